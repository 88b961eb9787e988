"""Which class stands for which nodes: the `node` decorator, and how its instances are taken apart and put together.

Knows classes and properties. Knows neither sessions nor statements. Models have their own class and say the same of it.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from datetime import date, datetime, time, timedelta
from functools import cached_property
from math import isnan
from typing import Any, TypeVar, overload

from evsession.errors import ConfigurationError, InvalidDocument
from evsession.neo4j.addresses import address_of
from evsession.neo4j.cypher import labels_of
from evsession.neo4j.names import quote
from evsession.neo4j.temporal import Date, DateTime, Duration, Time
from evsession.standins import UNSET, base_of, defaults_of, forget, make_class, peek

__all__ = ["MARK", "NodeInfo", "info_of", "node"]

C = TypeVar("C", bound=type)

MARK = "__evsession_node__"
"""The attribute of a class that holds what is known of its nodes."""

_OWN_TIMES = (Date, DateTime, Duration, Time)
_PYTHON_S_TIMES = (date, datetime, time, timedelta)


class NodeInfo:
    """What a class says of its nodes.

    Attributes:
        labels: Of its nodes; a node has all of them.
        key: The property that tells them apart.
    """

    def __init__(self, cls: type, labels: tuple[str, ...], key: str) -> None:
        self.cls = cls
        self.labels = labels
        self.key = key
        self._fields = _field_names(cls)
        self._stand_in: type | None = None

    def address(self, key: Any) -> str:
        """Return the key in the identity map of the node with this primary key."""
        return address_of(self.labels, key)

    def check_key(self, key: Any) -> Any:
        """Return a primary key if it is a value by which a node can be found.

        Raises:
            ConfigurationError: it is none; a list is several, and NaN equals nothing, not even itself.
        """
        is_nan = isinstance(key, float) and isnan(key)
        if key is None or is_nan or callable(key) or isinstance(key, (Mapping, list, tuple, set, frozenset)):
            raise ConfigurationError(f"{key!r} is no {self.key} of a node")
        return key

    def properties(self, entity: Any) -> dict[str, Any]:
        """Return the properties of an entity; what is None is none."""
        names = self._fields if self._fields is not None else [name for name in vars(entity) if not name.startswith("_")]
        return {name: value for name in names if (value := getattr(entity, name, None)) is not None}

    def make(self, properties: Mapping[str, Any]) -> Any:
        """Return an entity with these properties; those that its class does not know stay in the database only.

        To Neo4j a property that is None is none, so one that the node lacks is None where the field may be that, and else what
        the class gives by default.

        Raises:
            InvalidDocument: they do not make one.
        """
        known = {**self._fitting(properties), **{name: None for name in self._optional if name not in properties}}
        if self._fields is None:
            entity: Any = object.__new__(self.cls)
            vars(entity).update(known)
            return entity
        try:
            return self.cls(**known)
        except (TypeError, ValueError) as error:
            raise InvalidDocument(f"the node makes no {self.cls.__name__}: {error}") from error

    def fill(self, entity: Any, properties: Mapping[str, Any]) -> None:
        """Let an entity be what `make` makes of a node with these properties.

        Raises:
            InvalidDocument: they do not make one; the entity is as it was.
        """
        fresh = self.make(properties)
        for name in self._fields or {**self.properties(entity), **vars(fresh)}:
            object.__setattr__(entity, name, getattr(fresh, name, None))

    def restore(self, entity: Any, properties: Mapping[str, Any]) -> None:
        """Let an entity have these properties again, which it had once; others were None."""
        known = self._fitting(properties)
        for name in self.properties(entity).keys() | known.keys():
            object.__setattr__(entity, name, known.get(name))

    def refer(self, key: Any) -> Any:
        """Return an object of the class that knows its key only."""
        if self._stand_in is None:
            self._stand_in = self._make_stand_in()
        entity: Any = object.__new__(self._stand_in)
        object.__setattr__(entity, self.key, key)
        return entity

    def _make_stand_in(self) -> type:
        declared = self.names
        fields = defaults_of(self.cls, self.key) if declared is None else declared
        names = [name for name in fields if name != self.key]
        return make_class(self.cls, names, key=self.key, is_open=self._fields is None, address=self.address)

    def written(self, entity: Any) -> dict[str, Any]:
        """Return what the program has set of an object that stands for a node; None removes a property."""
        names = self._fields if self._fields is not None else [name for name in vars(entity) if not name.startswith("_")]
        held = {name: peek(entity, name) for name in names if name != self.key}
        return {name: value for name, value in held.items() if value is not UNSET}

    def check_field(self, field: str) -> str:
        """Return the name of a field of its entities.

        Raises:
            ConfigurationError: they have no such field.
        """
        names = self.names
        if names is not None and field not in names:
            raise ConfigurationError(f"{self.cls.__qualname__} has no field {field!r}; there are: {', '.join(names)}")
        return field

    def check(self, properties: Mapping[str, Any]) -> None:
        """Raise InvalidDocument for properties that its nodes cannot have."""

    @property
    def names(self) -> list[str] | None:
        """The properties that its class declares; None takes any."""
        return self._fields

    def attach(self, entity: Any, known: Any) -> None:
        """Let an entity know what the session knows of it, if it is one that cares."""

    def stored(self, entity: Any) -> dict[str, Any] | None:
        """Return what the entity itself knows to be in the database; None is nothing."""
        return None

    def forget_written(self, entity: Any) -> None:
        """Let an object that stands for a node know nothing but its key again."""
        forget(entity, self.written(entity))

    def set(self, entity: Any, properties: Mapping[str, Any]) -> None:
        """Set some properties of an entity, or of an object that stands for one."""
        for name, value in self._fitting(properties).items():
            object.__setattr__(entity, name, value)

    def become_loaded(self, entity: Any, fresh: Any) -> None:
        """Let an object that stands for a node be the entity that was read; what the program has set stays set."""
        own = {**self.written(entity), self.key: getattr(entity, self.key)}
        self.forget_written(entity)
        object.__setattr__(entity, "__class__", base_of(type(entity)))
        if self._fields is None:
            vars(entity).update({**vars(fresh), **own})
            return
        for name in {**dict.fromkeys(self._fields), **getattr(fresh, "__dict__", {})}:
            object.__setattr__(entity, name, own[name] if name in own else getattr(fresh, name))

    @cached_property
    def _types(self) -> dict[str, Any]:
        return _types(self.cls)

    @cached_property
    def _optional(self) -> list[str]:
        """The fields that may be None."""
        names = [name for name in self._types if name[:1] != "_"] if self._fields is None else self._fields
        return [name for name in names if name != self.key and _admits_none(self._types.get(name, MISSING))]

    def _fitting(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties that the class has, of the types that it says."""
        names = properties.keys() if self._fields is None else [name for name in self._fields if name in properties]
        return {name: _fit(properties[name], self._types.get(name)) for name in names}


def _field_names(cls: type) -> list[str] | None:
    """Return the declared fields, or None for a plain class."""
    if dataclasses.is_dataclass(cls):
        return [one.name for one in dataclasses.fields(cls) if one.init]
    attributes = getattr(cls, "__attrs_attrs__", None)
    return None if attributes is None else [one.name for one in attributes if one.init]


def _types(cls: type) -> dict[str, Any]:
    """Return the types of the fields; a text where a name in one is not there at run time."""
    try:
        return typing.get_type_hints(cls)
    except Exception:  # typing gives all or none
        found: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            for name, given in vars(base).get("__annotations__", {}).items():
                found[name] = _type(given, vars(sys.modules.get(base.__module__, typing)))
        return found


def _type(given: Any, names: dict[str, Any]) -> Any:
    alone = types.SimpleNamespace(__annotations__={"it": given})
    try:
        return typing.get_type_hints(alone, names)["it"]
    except Exception:
        return given


def _admits_none(wanted: Any) -> bool:
    if isinstance(wanted, str):
        return re.search(r"\b(None|Optional|Any)\b", wanted) is not None
    if typing.get_origin(wanted) in (typing.Union, types.UnionType):
        return any(map(_admits_none, typing.get_args(wanted)))
    return wanted in (None, types.NoneType, Any, object)


def _fit(value: Any, wanted: Any) -> Any:
    """Return the value as the field says it: Python's own times, and members of enumerations."""
    is_union = typing.get_origin(wanted) in (typing.Union, types.UnionType)
    for one in typing.get_args(wanted) if is_union else (wanted,):
        kind = typing.get_origin(one) or one
        if isinstance(value, _OWN_TIMES) and kind in _PYTHON_S_TIMES:
            return value.to_native()
        if isinstance(kind, type) and issubclass(kind, enum.Enum) and not isinstance(value, kind):
            return kind(value)
        if kind is tuple and isinstance(value, list):
            return tuple(value)
    return value


@overload
def node(cls: C, /) -> C: ...
@overload
def node(labels: str | list[str] | tuple[str, ...] | None = None, /, *, key: str = "id") -> Callable[[C], C]: ...
def node(cls: Any = None, /, *, key: str = "id") -> Any:
    """Let instances of a class be nodes: ``@evsession.node("User", key="id")`` on a dataclass, an attrs class or a plain class.

    Its fields are the properties; of a plain class, the attributes that do not begin with an underscore. Properties of the node
    that the class does not know stay as they are. A field that may be None is None where the node lacks the property; in a plain
    class its annotation says that, ``name: str | None``, and an attribute without one is what the class gives by default, or
    missing. A class that inherits from a marked one is no class of nodes until it is marked itself.

    Args:
        cls: The class, or the label of its nodes, or several labels; without any the class' name is the label.
        key: The field that tells the nodes apart. Neo4j does not make it unique by itself; a constraint does. Of two nodes
            with one key `load` gives the first, `find` raises `KeyConflict`, and a commit writes to both.

    Raises:
        ConfigurationError: a label or the key can be no name (any text but one with a NUL or an escape of a character, which
            Neo4j reads before anything else), or the class has no such field.
    """
    if isinstance(cls, type):
        return _mark(cls, cls.__name__, key)
    return lambda given: _mark(given, given.__name__ if cls is None else cls, key)


def _mark(cls: type, labels: Any, key: str) -> type:
    quote(key, "a key")
    info = NodeInfo(cls, labels_of(labels, f"the class {cls.__name__}"), key)
    if info._fields is not None and key not in info._fields:
        raise ConfigurationError(f"{cls.__name__} has no field {key!r} to be its key; it has: {', '.join(info._fields)}")
    setattr(cls, MARK, info)
    return cls


def info_of(cls: type) -> NodeInfo | None:
    """Return what the class says of its nodes, or None if it says nothing."""
    info: NodeInfo | None = getattr(cls, MARK, None)
    return info
