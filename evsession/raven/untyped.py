"""Values that no type describes, inside of fields that have one: they may hold only what JSON keeps.

Knows msgspec's descriptions of types. ``tags: set[str]`` comes back as a set, but a set in ``extra: dict[str, Any]`` would come
back as a list: this finds the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import inspect

from evsession.errors import InvalidDocument
from evsession.raven.shapes import Kind, Shape, shape_of, take_apart
from evsession.wire.json import check

__all__ = ["check_untyped"]


def check_untyped(fields: Mapping[str, Any], shape: Shape, path: str = "") -> None:
    """Refuse what JSON cannot hold in those parts of an object whose type is open.

    Args:
        fields: The object, taken apart.
        shape: That of its class.
        path: The way to the object, with a dot at its end.

    Raises:
        InvalidDocument: with the `path` of the first culprit.
    """
    for name, node in shape.types.items():
        if name in fields:
            _check(fields[name], node, path + name)
    if shape.kind is Kind.PLAIN:
        for name in fields.keys() - shape.names.keys():
            _check_open(fields[name], path + name)


def _check(value: Any, node: Any, path: str) -> None:
    if isinstance(node, inspect.AnyType) or (isinstance(node, inspect.CustomType) and issubclass(node.cls, dict)):
        _check_open(value, path)
    elif isinstance(node, inspect.CustomType):
        if isinstance(value, node.cls):
            shape = shape_of(type(value))
            check_untyped(take_apart(value, shape), shape, path + ".")
    else:
        for part, inner, step in _parts(value, node):
            _check(part, inner, path + step)


def _check_open(value: Any, path: str) -> None:
    try:
        check(value)
    except InvalidDocument as error:
        text = error.message.removeprefix("cannot be stored: ")
        step = f".{error.path}" if error.path and error.path[0] != "[" else error.path
        reason = text.removeprefix(f"{error.path}: ") if error.path else text
        raise InvalidDocument(f"cannot be stored: {path}{step}: {reason}", path=path + step) from None


def _parts(value: Any, node: Any) -> Iterator[tuple[Any, Any, str]]:
    """Yield the parts of the value with their types and the step that leads to each."""
    if isinstance(node, inspect.Metadata):
        yield value, node.type, ""
    elif isinstance(node, inspect.UnionType):
        open_ones = [member for member in node.types if isinstance(member, inspect.AnyType)]
        for member in [member for member in node.types if _fits(value, member)] or open_ones:
            yield value, member, ""
    elif isinstance(node, inspect.DictType) and isinstance(value, Mapping):
        for name, item in value.items():
            yield item, node.value_type, f".{name}"
    elif hasattr(node, "fields"):
        held = value if isinstance(value, Mapping) else {field.name: getattr(value, field.name, None) for field in node.fields}
        for field in node.fields:
            yield held.get(field.name), field.type, f".{field.encode_name}"
    elif isinstance(value, (list, tuple, set, frozenset)):
        types = getattr(node, "item_types", None) or [getattr(node, "item_type", None)] * len(value)
        for index, (item, inner) in enumerate(zip(value, types, strict=False)):
            yield item, inner, f"[{index}]"


def _fits(value: Any, node: Any) -> bool:
    """Return whether the value may be meant by this member of a union."""
    if hasattr(node, "cls"):
        return isinstance(value, node.cls)
    if isinstance(node, inspect.DictType):
        return isinstance(value, dict)
    return isinstance(value, (list, tuple, set, frozenset)) and (hasattr(node, "item_type") or hasattr(node, "item_types"))
