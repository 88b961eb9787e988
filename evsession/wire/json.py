"""The one JSON codec, on msgspec. Knows JSON and what it cannot hold; knows nothing of documents' meaning.

Three facts shape it. RavenDB destroys the escaped surrogate pair of a character beyond the basic plane (it comes back as two
replacement characters; seen on 5.4, 6.2 and 7.1): msgspec writes raw UTF-8. msgspec writes NaN as ``null``, a set as a list
and the key 1 as ``"1"``: `check` refuses them with their path. Integers of any size stay integers both ways.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from evsession.errors import InvalidDocument, ProtocolError
from evsession.standins import is_reference

__all__ = [
    "JSON",
    "Raw",
    "check",
    "decode",
    "decode_as",
    "decode_lines",
    "decode_object",
    "encode",
    "encode_each",
    "encode_exact",
    "encode_into",
    "encode_to_keep",
    "from_builtins",
    "has_hidden_nulls",
    "is_storable",
    "join_lines",
    "plain_scalar",
    "to_builtins",
]

T = TypeVar("T")

JSON: TypeAlias = Any
"""What JSON holds: dict, list, str, int, float, bool or None."""

Raw = msgspec.Raw
"""Bytes that are JSON already and are copied as they are."""

AT_ONCE = 16
"""Documents that are encoded in one piece; of more the processor's cache holds none any more when they are looked at again."""

MAX_DEPTH = 200
"""Levels of nesting that a document may have; a document that contains itself is noticed by it."""

_MISSING = "missing required field `(.*?)`"
_PLAIN = frozenset({str, int, bool, type(None)})
# Whatever the class of a dict has for them: documents may have fields, and methods, of these names.
_is_equal, _items, _get = dict.__eq__, dict.items, dict.get
_find_nulls = re.compile(b"null").findall  # counts them in less time than bytes.count
_SCALARS = (datetime, date, time, timedelta, Decimal, UUID, bytes, bytearray)
_ENCODED = (*_SCALARS, Enum)


def plain_scalar(value: Any) -> Any:
    """Take subclasses of str, int and float for what they are; msgspec wants exact types."""
    for cls in (str, int, float):
        if isinstance(value, cls):
            return cls(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


_ENCODER = msgspec.json.Encoder(enc_hook=plain_scalar)
_DECODER = msgspec.json.Decoder()
_encode, _decode = _ENCODER.encode, _DECODER.decode  # looked up once: every document passes here

encode_into = _ENCODER.encode_into
"""Fills a bytearray with a value's UTF-8 JSON; raises TypeError, ValueError, RecursionError or OverflowError, as msgspec does."""


def encode(value: JSON) -> bytes:
    """Return the value as UTF-8 JSON.

    Raises:
        InvalidDocument: naming the path of what cannot be encoded.
    """
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        check(value)
        raise InvalidDocument(f"cannot be stored: {error}") from error


def encode_to_keep(value: Any, room: bytearray, encode_into: Callable[[Any, bytearray], None] = encode_into) -> bytes:
    """Return what was decoded from JSON as JSON again, or in the form that `encode_into` makes, for keeping.

    msgspec gives bytes with room for up to half as many again behind them. By way of a buffer that is used again and again they
    are of just their size, and 15 % faster made.

    Args:
        value: What `decode` gave, or was made of that: a value that runs code of the program while it is encoded could use the
            buffer, too.
        room: The buffer, whatever is in it.
        encode_into: What fills it.
    """
    encode_into(value, room)
    return bytes(room)


def decode(data: bytes | memoryview) -> JSON:
    """Return the value that the JSON stands for.

    Raises:
        ProtocolError: if it is none.
    """
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        start = bytes(data[:60]).decode("utf-8", "replace")
        raise ProtocolError(f"the answer is not JSON: {error}; it starts with {start!r}") from error


def decode_as(data: bytes | bytearray | memoryview, shape: type[T], *, lax: bool = False) -> T:
    """Return the object that the JSON stands for, as this type.

    Args:
        data: The JSON.
        shape: A Struct, or any other type that msgspec reads.
        lax: Whether numbers may be spelled as texts.

    Raises:
        ProtocolError: if it is none.
    """
    try:
        return msgspec.json.decode(data, type=shape, strict=not lax)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        start = bytes(data[:60]).decode("utf-8", "replace")
        raise ProtocolError(f"the answer is not what it should be: {error}; it starts with {start!r}") from error


def decode_lines(data: bytes) -> list[JSON]:
    """Return the values of JSON lines, one each; empty lines count for nothing.

    Raises:
        ProtocolError: if a line is no JSON.
    """
    try:
        return _DECODER.decode_lines(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"the answer is not JSON lines: {error}") from error


def decode_object(data: bytes) -> dict[str, JSON]:
    """Return the object that the JSON stands for.

    Raises:
        ProtocolError: if it is none.
    """
    value = decode(data)
    if not isinstance(value, dict):
        raise ProtocolError(f"the answer is a {type(value).__name__}, not a JSON object")
    return value


def encode_exact(value: dict[str, JSON]) -> bytes:
    """Return the object as UTF-8 JSON, and refuse what JSON would change silently.

    That decoding gives an equal value proves it in C: 1.0 us for 230 bytes, where `check` alone takes 2.1 us. Only what differs
    (a tuple, a date, or a culprit) is walked through. Nesting is limited by the codec alone if nothing differs.

    Raises:
        InvalidDocument: with the `path` of the first culprit.
    """
    try:
        data = _encode(value)
        if _is_equal(_decode(data), value) is True:
            return data
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError, OverflowError):
        data = encode(value)
    check(value)
    return data


def join_lines(values: Sequence[JSON]) -> bytes:
    """Return the values as UTF-8 JSON, each with a line feed behind it; 1 KB takes half of the time that it takes alone.

    Raises:
        TypeError, ValueError, RecursionError, OverflowError: as msgspec does.
    """
    return _ENCODER.encode_lines(values)


def encode_each(values: Sequence[dict[str, JSON]], *, plain: bool = False) -> list[bytes | None]:
    """Return what `encode_exact` returns for each of the objects, and None in place of those of which only that can tell.

    Many together take half of the time.

    Args:
        values: Dicts whose classes compare as dict does.
        plain: Whether times and bytes, which are text in JSON, are left to it, too.
    """
    lines: list[bytes | None] = []
    for start in range(0, len(values), AT_ONCE):
        lines += _encode_some(values[start : start + AT_ONCE], () if plain else _SCALARS)
    return lines


def _encode_some(values: Sequence[dict[str, JSON]], scalars: Sequence[type]) -> list[bytes | None]:
    try:
        data = join_lines(values)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return [None] * len(values)
    lines: list[bytes | None] = [*data.split(b"\n")[:-1]]
    if len(lines) != len(values):  # something is JSON already, of several lines
        return [None] * len(values)
    if has_hidden_nulls(values, data):  # one of them does not make the others slow
        lines = [None if has_hidden_nulls((value,), line or b"") else line for value, line in zip(values, lines, strict=True)]
    return _only_exact(values, lines, scalars)


def _only_exact(values: Sequence[dict[str, JSON]], lines: list[bytes | None], scalars: Sequence[type]) -> list[bytes | None]:
    """Return the lines, and None in place of those of objects that JSON may have changed silently, other than a NaN.

    A copy in which sets have become lists and names texts takes 60 % of the time of decoding for 1 KB; for much less, it takes
    more.
    """
    try:
        copies = msgspec.to_builtins(values, str_keys=True, builtin_types=scalars)
        if copies == values:
            return lines
        return [line if copy == value else None for line, copy, value in zip(lines, copies, values, strict=True)]
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError, OverflowError):
        return [None] * len(values)


def has_hidden_nulls(values: Sequence[dict[str, JSON]], data: bytes) -> bool:
    """Return whether a ``null`` in the JSON of these objects may be something else than a None at the top of one: a NaN."""
    count = len(_find_nulls(data))
    if not count:
        return False
    # Objects that are written together mostly lack the same. Each None makes one null, so there is no other if the sums agree.
    names = [name for name, item in _items(values[0]) if item is None]
    known = len([1 for name in names for value in values if _get(value, name, names) is None])
    return known != count and len([1 for value in values for _, item in _items(value) if item is None]) != count


def to_builtins(value: Any, hook: Callable[[Any], Any] | None = None, *, in_order: bool = False) -> JSON:
    """Return the dataclass, attrs object or Struct as plain JSON values.

    Args:
        value: The object.
        hook: Called with what is no such object; it returns something that is, or raises TypeError.
        in_order: Sort sets, so that equal ones give equal JSON; and with them dicts, which otherwise keep their order.

    Raises:
        InvalidDocument: if some value has no form in JSON.
    """
    try:
        return msgspec.to_builtins(
            value, str_keys=True, order="deterministic" if in_order else None, enc_hook=hook or plain_scalar
        )
    except RecursionError:
        raise InvalidDocument(f"cannot be stored: it contains itself or nests deeper than {MAX_DEPTH} levels") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidDocument(f"cannot be stored: {error}") from error


def from_builtins(value: JSON, cls: Any, hook: Callable[[type, Any], Any] | None = None) -> Any:
    """Return the plain JSON values as what the type says; nothing is converted that JSON itself tells apart.

    Args:
        value: The values.
        cls: The type to read them as.
        hook: Called with a class that is no dataclass, attrs class or Struct and the value in its place.

    Raises:
        InvalidDocument: with the `path` of the first value that does not fit.
    """
    try:
        return msgspec.convert(value, cls, str_keys=True, dec_hook=hook)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _misfit(error) from error


def _misfit(error: Exception) -> InvalidDocument:
    """Return msgspec's complaint with the path spelled as everywhere here."""
    text, _, steps = str(error).partition(" - at `$")
    missing = re.search(_MISSING, text)
    path = steps.rstrip("`") + (f".{missing[1]}" if missing else "")
    if isinstance(error.__cause__, InvalidDocument):  # of an object inside, by the hook
        inner = error.__cause__
        path += f".{inner.path}" if inner.path else ""
        text = inner.message.removeprefix(f"{inner.path}: ")
    path = path.lstrip(".")
    return InvalidDocument(f"{path}: {text}" if path else text, path=path)


def check(value: JSON) -> None:
    """Refuse what JSON cannot hold or would change silently.

    Raises:
        InvalidDocument: with the `path` of the first culprit.
    """
    try:
        _check(value, 0)
    except _Unstorable as culprit:
        where = _spell(culprit.path)
        message = f"{where}: {culprit.reason}" if where else culprit.reason
        raise InvalidDocument(f"cannot be stored: {message}", path=where) from None


class _Unstorable(Exception):
    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.path: list[str | int] = []


def _spell(path: list[str | int]) -> str:
    """Spell the path outside in; a very deep one is cut, since it is a cycle."""
    shown = path[::-1][:8]
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in shown)
    return text.lstrip(".") + ("..." if len(path) > len(shown) else "")


def _check(value: Any, depth: int) -> None:
    if is_reference(value):
        raise _Unstorable("an entity that is not loaded cannot be stored in another one; store its key")
    if isinstance(value, dict):
        for name in value:
            if name.__class__ is not str or not name.isascii():
                _check_name(name)
        _check_parts(value.items(), depth)
    elif isinstance(value, (list, tuple)):
        _check_parts(enumerate(value), depth)
    else:
        _check_value(value, value.__class__, depth)


def _check_parts(parts: Iterable[tuple[str | int, Any]], depth: int) -> None:
    """Check what a dict or a list holds; the common types are told by one look at the class."""
    if depth > MAX_DEPTH:
        raise _Unstorable(f"it contains itself or nests deeper than {MAX_DEPTH} levels")
    for step, item in parts:
        cls = item.__class__
        if cls in _PLAIN and cls is not str:
            continue
        try:
            _check_value(item, cls, depth)
        except _Unstorable as culprit:
            culprit.path.append(step)
            raise


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise _Unstorable(f"the name {name!r} is of type {type(name).__name__}; names are strings")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise _Unstorable(f"the name {name!r} has half a surrogate pair at {error.start}, which has no form in UTF-8") from None


def _check_value(value: Any, cls: type, depth: int) -> None:
    if cls is str:
        if not value.isascii():
            _check_text(value)
    elif cls is float:
        if not math.isfinite(value):
            raise _Unstorable(f"{value!r} has no form in JSON")
    elif isinstance(value, (dict, list, tuple)) or is_reference(value):
        _check(value, depth + 1)
    elif cls not in _PLAIN and not isinstance(value, (str, int, float, *_ENCODED)):
        _check_object(value, depth)
    elif isinstance(value, float) and not math.isfinite(value):
        raise _Unstorable(f"{value!r} has no form in JSON")


def _check_text(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _Unstorable(f"the text has half a surrogate pair at {error.start}, which has no form in UTF-8") from None


def _check_object(value: Any, depth: int) -> None:
    if not is_storable(type(value)):
        raise _Unstorable(f"a value of type {type(value).__name__} cannot be stored")
    try:
        plain = to_builtins(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise _Unstorable(str(error)) from None
    _check_value(plain, plain.__class__, depth)


def is_storable(cls: type) -> bool:
    """Return whether instances of the class are encoded field by field: dataclasses, attrs classes, Structs."""
    return issubclass(cls, msgspec.Struct) or hasattr(cls, "__dataclass_fields__") or hasattr(cls, "__attrs_attrs__")
