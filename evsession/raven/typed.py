"""Objects of declared classes to JSON values and back, field by field.

Knows shapes and the documents inside of objects. Knows neither keys' rules nor snapshots: those are
`evsession.raven.codec`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from evsession.errors import InvalidDocument
from evsession.raven.document import make
from evsession.raven.shapes import MARK, Kind, Shape, kind_of, shape_of, take_apart
from evsession.raven.untyped import check_untyped
from evsession.standins import NotLoadedField, is_default
from evsession.wire.json import (
    JSON,
    check,
    encode,
    encode_to_keep,
    from_builtins,
    has_hidden_nulls,
    plain_scalar,
    to_builtins,
)

__all__ = ["build_object", "encode_object", "encode_parts", "keep_object", "typed_fields"]


def encode_object(entity: Any) -> bytes:
    """Return the object's fields as JSON, without its key.

    Raises:
        InvalidDocument: with the `path` of the first value that could not be read back as what it is.
    """
    shape = shape_of(type(entity))
    return encode_parts(take_apart(entity, shape), shape)


def encode_parts(fields: dict[str, Any], shape: Shape) -> bytes:
    """Return some fields of an object of this shape as JSON, by the same rules."""
    check_untyped(fields, shape)
    if not shape.sets:  # which have no order yet
        quick = _encode_quickly(fields, shape)
        if quick is not None:
            return quick
    plain = _plain(fields, shape)
    data = encode(plain)
    if b"null" in data and has_hidden_nulls((plain,), data):
        check(plain)  # perhaps for a NaN
    try:
        from_builtins(plain, shape.mirror, _from_plain)
    except InvalidDocument as error:
        raise InvalidDocument(f"cannot be stored: {error.message}", path=error.path) from error
    return data


def _encode_quickly(fields: dict[str, Any], shape: Shape) -> bytes | None:
    """Return the fields as JSON if that can be read as what the class says, and None where only a closer look can tell."""
    decoder = shape.decoder
    if decoder is None:
        decoder = shape.decoder = msgspec.json.Decoder(shape.mirror, dec_hook=_from_plain)
    try:
        data = _encode_typed(fields)
        decoder.decode(data)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError, OverflowError):
        return None
    return None if shape.hides_nan and b"null" in data and has_hidden_nulls((fields,), data) else data


def _plain(fields: dict[str, Any], shape: Shape) -> dict[str, JSON]:
    plain: dict[str, JSON] = to_builtins(fields, _hook)
    for name in shape.sets & fields.keys():
        plain[name] = to_builtins(fields[name], _hook, in_order=True)
    return plain


def _hook(value: Any) -> Any:
    """Let msgspec see marked plain objects as what they hold."""
    cls = type(value)
    if type(value) is NotLoadedField:
        raise TypeError(f"an entity that is not loaded ({value.key!r}) cannot be stored in another one; store its key")
    if getattr(cls, MARK, None) is not None and kind_of(cls) is Kind.PLAIN:
        return take_apart(value, shape_of(cls))
    return plain_scalar(value)


_TYPED = msgspec.json.Encoder(enc_hook=_hook)
_encode_typed, _encode_typed_into = _TYPED.encode, _TYPED.encode_into


def _from_plain(cls: type, value: Any) -> Any:
    """Make an object of a class that msgspec does not know by itself."""
    if not isinstance(value, dict):
        raise ValueError(f"Expected `object`, got `{type(value).__name__}`")
    return make(cls, value) if issubclass(cls, dict) else build_object(cls, value)


def keep_object(entity: Any, room: bytearray) -> bytes:
    """Return what `encode_object` returns for an object that was just made of a row, for keeping; see `encode_to_keep`."""
    shape = shape_of(type(entity))
    fields = take_apart(entity, shape)
    return encode_to_keep(_plain(fields, shape) if shape.sets else fields, room, _encode_typed_into)


def build_object(cls: type, row: Mapping[str, JSON], key: str | None = None) -> Any:
    """Return the object that the row stands for, with its key if the class declares a field for that.

    Raises:
        InvalidDocument: with the `path` of the first value that does not fit the class.
    """
    shape = shape_of(cls)
    if shape.kind is Kind.PLAIN:
        return _build_plain(cls, shape, row)
    if shape.key_name is not None:
        row = {**row, shape.key_name: key or ""}
    return from_builtins(row, cls, _from_plain)


def typed_fields(cls: type, fields: Mapping[str, JSON]) -> dict[str, Any]:
    """Return some fields of a document as the values that the class has for them, by their names in JSON."""
    shape = shape_of(cls)
    typed = {name: value for name, value in fields.items() if name in shape.names.values()}
    values: dict[str, Any] = from_builtins(typed, shape.mirror, _from_plain)
    return {**fields, **values}


def _build_plain(cls: type, shape: Shape, row: Mapping[str, JSON]) -> Any:
    typed = {name: value for name, value in row.items() if name in shape.names}
    values = from_builtins(typed, shape.mirror, _from_plain)
    for name in shape.names:
        if name not in values and not hasattr(cls, name):
            raise InvalidDocument(f"{name}: there is neither a value nor a default", path=name)
    entity: Any = object.__new__(cls)
    # A field of the row that would hide a method or property of the class is left to `merge`.
    others = {name: row[name] for name in row if name not in typed and name != "id" and _may_be_set(cls, name)}
    vars(entity).update({name: values.get(name, others.get(name)) for name in row if name in values or name in others})
    return entity


def _may_be_set(cls: type, name: str) -> bool:
    return not hasattr(cls, name) or is_default(cls, name)
