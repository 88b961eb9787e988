"""How the instances of a class are taken apart and put together: which fields, which of them is the key, which types.

Knows dataclasses, attrs classes, Structs, plain classes and their annotations. Knows no collection and no document.
"""

from __future__ import annotations

import re
import sys
import typing
from collections.abc import Callable, Iterator
from dataclasses import InitVar, fields
from enum import Enum
from inspect import get_annotations, getattr_static
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import inspect

from evsession.errors import ConfigurationError
from evsession.standins import is_class_var

__all__ = [
    "MARK",
    "Kind",
    "Shape",
    "key_field_of",
    "key_name_of",
    "kind_of",
    "public_attributes",
    "shape_of",
    "take_apart",
]

MARK = "__evsession_type__"
"""The attribute of a class that `evsession.raven.types` keeps its `TypeInfo` in."""

_SHAPE = "__evsession_shape__"
_KEY = "id"
_MORE = ("__class__", "__class__")
"""Attributes that every object has: with them `attrgetter` returns a tuple, however many fields there are."""


class Kind(Enum):
    """The ways a class may hold its fields."""

    DICT = "dict"
    STRUCT = "struct"
    FIELDS = "fields"
    PLAIN = "plain"


class Shape(msgspec.Struct, eq=False):
    """A class, looked through once.

    Attributes:
        cls: The class.
        kind: How it holds its fields.
        names: The declared fields and their names in JSON, without the key; for plain classes those with a type hint.
        key: The attribute that holds the key, if one is declared. It is never part of the stored document.
        key_name: The key's name in JSON.
        mirror: A TypedDict of the declared fields, to check and convert values without making an instance.
        types: msgspec's description of the declared fields, by name in JSON; only of those that hold untyped values.
        sets: The names in JSON of the fields that hold sets somewhere.
        hides_nan: Whether a NaN could pass for a None somewhere, which JSON would both spell ``null``.
        values: Returns the values of the declared fields, and two more; raises AttributeError if one was never set.
        decoder: Of the mirror; made by those who know the hook, when they first need it.
    """

    cls: type
    kind: Kind
    names: dict[str, str]
    key: str | None
    key_name: str | None
    mirror: Any
    types: dict[str, inspect.Type]
    sets: frozenset[str]
    hides_nan: bool
    values: Callable[[Any], tuple[Any, ...]]
    decoder: msgspec.json.Decoder[Any] | None = None


def kind_of(cls: type) -> Kind:
    """Return how the class holds its fields.

    Raises:
        ConfigurationError: if its instances cannot be stored field by field.
    """
    if issubclass(cls, dict):
        return Kind.DICT
    if issubclass(cls, msgspec.Struct):
        if cls.__struct_config__.array_like:
            raise ConfigurationError(f"{cls.__qualname__} is array_like; a document is an object")
        return Kind.STRUCT
    if hasattr(cls, "__dataclass_fields__") or hasattr(cls, "__attrs_attrs__"):
        return Kind.FIELDS
    layout = [base for base in cls.__mro__[:-1] if not _is_plain(base)]
    if layout:
        raise ConfigurationError(
            f"{cls.__qualname__} cannot be a document: {layout[0].__name__} keeps state outside the attributes of its instances; "
            "declare a dataclass, an attrs class or a Struct"
        )
    return Kind.PLAIN


def _is_plain(base: type) -> bool:
    slots = base.__dict__.get("__slots__", ())
    return bool(base.__flags__ & 1 << 9) and not issubclass(base, Enum) and not slots  # 1 << 9: made by a class statement


def key_field_of(cls: type) -> str | None:
    """Return ``"id"`` if the class declares such a field, which then holds the key."""
    kind = kind_of(cls)
    if kind is Kind.DICT:
        return None
    if kind is Kind.PLAIN:
        return _KEY if any(_KEY in get_annotations(base) for base in cls.__mro__) else None
    return _KEY if _KEY in _declared(cls, kind) else None


def key_name_of(cls: type) -> str | None:
    """Return the attribute of the class's instances that is their key, and no field of their documents; None for dicts."""
    return _KEY if kind_of(cls) is Kind.PLAIN else key_field_of(cls)


def _declared(cls: Any, kind: Kind) -> dict[str, str]:
    """Return the declared fields with their names in JSON."""
    if kind is Kind.STRUCT:
        return dict(zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True))
    if hasattr(cls, "__attrs_attrs__"):
        return {field.name: field.name for field in cls.__attrs_attrs__}
    return {field.name: field.name for field in fields(cls)}


def shape_of(cls: type) -> Shape:
    """Return the shape of the class; it is kept on the class, so that it lives as long.

    Raises:
        ConfigurationError: if a field is of a type that no document can hold, or a type hint cannot be resolved.
    """
    known: Shape | None = cls.__dict__.get(_SHAPE)
    if known is None:
        known = _look_through(cls)
        setattr(cls, _SHAPE, known)
    elif known.kind is Kind.PLAIN and kind_of(cls) is not Kind.PLAIN:
        raise ConfigurationError(f"write @evsession.document above the other decorators of {cls.__qualname__}")
    return known


def _look_through(cls: type) -> Shape:
    kind, key = kind_of(cls), key_field_of(cls)
    try:
        hints = _hints(cls)
    except NameError as error:
        raise ConfigurationError(f"{cls.__qualname__}: a type hint cannot be resolved: {error}") from error
    _check_layout(cls, key, hints)
    names = {name: name for name in hints} if kind is Kind.PLAIN else _declared(cls, kind)
    key_name = None if key is None else names.pop(key)
    if key is not None:
        _check_key_type(cls, hints.get(key, Any))
    typed = {stored: hints.get(name, Any) for name, stored in names.items()}
    try:
        types = dict(zip(typed, inspect.multi_type_info(typed.values()), strict=True))
    except (TypeError, NameError) as error:
        raise ConfigurationError(f"{cls.__qualname__} cannot be a document: {error}") from error
    untyped, sets, hides_nan = {}, set(), False
    for stored, node in types.items():
        nodes = list(_walk(node, set()))
        for found in nodes:
            _check_type(cls, stored, found)
        if any(isinstance(found, (inspect.AnyType, inspect.CustomType)) for found in nodes):
            untyped[stored] = node
        if any(isinstance(found, (inspect.SetType, inspect.FrozenSetType)) for found in nodes):
            sets.add(stored)
        hides_nan = hides_nan or stored in untyped or any(map(_has_float_or_none, nodes))
    # Checkers know only TypedDicts that are written out; this one has the fields that the class has.
    mirror = typing.TypedDict("Fields", typed, total=False)  # type: ignore[misc]
    return Shape(cls, kind, names, key, key_name, mirror, untyped, frozenset(sets), hides_nan, attrgetter(*names, *_MORE))


def _hints(cls: type) -> dict[str, Any]:
    """Return the hints of the attributes that are not the class's own."""
    if sys.version_info < (3, 11):  # where typing takes no ClassVar without a type from a hint that is a text
        hints: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            named = {name: hint for name, hint in get_annotations(base).items() if not is_class_var(hint)}
            alone = type(base.__name__, (), {"__annotations__": named})
            names = getattr(sys.modules.get(base.__module__), "__dict__", {})
            hints.update(typing.get_type_hints(alone, names, dict(vars(base)), include_extras=True))
        return hints
    every = typing.get_type_hints(cls, include_extras=True)
    return {name: hint for name, hint in every.items() if not is_class_var(hint)}


def _has_float_or_none(node: inspect.Type) -> bool:
    parts = set(map(type, _walk(node, set()))) if isinstance(node, inspect.UnionType) else set()
    return {inspect.FloatType, inspect.NoneType} <= parts


def _check_layout(cls: type, key: str | None, hints: dict[str, Any]) -> None:
    init_only = [name for name, hint in hints.items() if isinstance(hint, InitVar)]
    if init_only:
        raise ConfigurationError(
            f"{cls.__qualname__} cannot be a document: {init_only[0]} is an InitVar, which is not there any more to be stored"
        )
    if key is None and isinstance(getattr_static(cls, _KEY, None), property):
        raise ConfigurationError(f"{cls.__qualname__}.id is a property, but an id is what holds the document's key; rename it")


def take_apart(entity: Any, shape: Shape) -> dict[str, Any]:
    """Return the entity's fields by their names in JSON, without the key; a field that was never set is left out."""
    try:
        declared = dict(zip(shape.names.values(), shape.values(entity), strict=False))
    except AttributeError:
        declared = {stored: getattr(entity, name) for name, stored in shape.names.items() if hasattr(entity, name)}
    return {**declared, **public_attributes(entity)} if shape.kind is Kind.PLAIN else declared


def public_attributes(entity: Any) -> dict[str, Any]:
    """Return those attributes of a plain object that are stored: all but its key."""
    return {name: value for name, value in vars(entity).items() if name != _KEY}


def _check_key_type(cls: type, hint: Any) -> None:
    try:
        msgspec.convert("dogs/1-A", hint)
    except (msgspec.ValidationError, TypeError):
        shown = re.sub(r"^<class '(.*)'>$", r"\1", str(hint))
        raise ConfigurationError(
            f"{cls.__qualname__}.id holds the document's key, which is text: declare it as 'str | None', not {shown}"
        ) from None


def _walk(node: inspect.Type, seen: set[int]) -> Iterator[inspect.Type]:
    """Yield the node and all that it is made of; a recursive type once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node
    for child in children_of(node):
        yield from _walk(child, seen)


def children_of(node: Any) -> list[inspect.Type]:
    """Return the types that a type is made of."""
    if isinstance(node, inspect.Metadata):
        return [node.type]
    if isinstance(node, inspect.UnionType):
        return list(node.types)
    if isinstance(node, inspect.TupleType):
        return list(node.item_types)
    if isinstance(node, inspect.DictType):
        return [node.key_type, node.value_type]
    if hasattr(node, "fields"):
        return [field.type for field in node.fields]
    return [node.item_type] if hasattr(node, "item_type") else []


def _check_type(cls: type, field: str, node: inspect.Type) -> None:
    where = f"{cls.__qualname__}.{field}"
    if isinstance(node, inspect.CustomType):
        if not issubclass(node.cls, dict) and getattr(node.cls, MARK, None) is None:
            raise ConfigurationError(
                f"{where} is of the type {node.cls.__qualname__}, which no document can hold; mark a class of yours with "
                "@evsession.document, or declare the field as Any"
            )
    elif isinstance(node, (inspect.SetType, inspect.FrozenSetType)):
        if any(
            hasattr(part, "fields") or isinstance(part, (inspect.DictType, inspect.CustomType)) for part in _walk(node, set())
        ):
            raise ConfigurationError(f"{where} is a set of objects, which have no order to be told apart by; use a list")
    elif isinstance(node, inspect.DictType):
        if children_of(node.key_type):
            raise ConfigurationError(f"{where} is a dict whose keys have no form as text")
    elif isinstance(node, inspect.DataclassType) and node.cls is not cls and hasattr(node.cls, "__attrs_attrs__"):
        hidden = [name for name in _declared(node.cls, Kind.FIELDS) if name.startswith("_")]
        if hidden:
            raise ConfigurationError(f"{where}: the field {node.cls.__qualname__}.{hidden[0]} would not be stored; rename it")
