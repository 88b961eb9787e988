"""Values to typed JSON. Knows what Neo4j takes as a parameter, and refuses everything else with the way to it.

The server says only "Bad Request" to what it cannot read (seen on 5.26 and 2026.07), so nothing may get that far. ``$type`` comes
before ``_value``: servers before 2026.08 read them in this order only.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from enum import Enum
from math import isfinite, isinf, isnan
from typing import Any
from uuid import UUID

from evsession.errors import InvalidDocument
from evsession.neo4j.temporal import MAX_INT, MIN_INT, Date, DateTime, Duration, Time
from evsession.neo4j.things import Node, Path, Point, Relationship, Vector
from evsession.wire.json import MAX_DEPTH, Raw, decode

__all__ = ["PLAIN", "UUIDS", "VECTORS", "Encoder", "TypedMap", "check_property", "path_to"]

PLAIN, VECTORS, UUIDS = 0, 1, 2
"""What the typed media type must know: its version 1.0, 1.1 or 1.2."""

_KINDS = {VECTORS: "Vector", UUIDS: "UUID"}

_LONGEST, _DAY, _MONTH = 2**63 - 1, 86_400, 2_629_746
"""Seconds: of the longest duration, and what its days and months count for (seen on 5.26 and 2026.07)."""


class _Unfit(Exception):
    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.steps: list[str] = []


class TypedMap:
    """A map whose values are typed and encoded already; it is sent as it is.

    Attributes:
        content: The map.
        level: What its values ask of the media type.
    """

    __slots__ = ("content", "level")

    def __init__(self, content: bytes) -> None:
        self.content = content
        # No text holds these marks: quotes in it are escaped.
        marks = ((UUIDS, b'"$type":"UUID"'), (VECTORS, b'"$type":"Vector"'))
        self.level = next((level for level, mark in marks if mark in content), PLAIN)


class Encoder:
    """Turns parameters into typed values.

    Attributes:
        level: What the values met so far ask of the media type: `PLAIN`, `VECTORS` or `UUIDS`.
    """

    __slots__ = ("_depth", "level")

    def __init__(self) -> None:
        self.level = PLAIN
        self._depth = 0

    def parameters(self, values: object, what: str = "parameters") -> dict[str, Any]:
        """Return the parameters of a statement, or metadata, each typed.

        Args:
            values: Names and values.
            what: What an error calls them.

        Raises:
            InvalidDocument: with the `path` of what cannot be sent.
        """
        if not isinstance(values, Mapping):
            raise InvalidDocument(f"{what} are a mapping of names to values, not {type(values).__name__}")
        try:
            return {name: self._at(_check_key(name), value) for name, value in values.items()}
        except _Unfit as culprit:
            path = "".join(reversed(culprit.steps)).lstrip(".")
            message = f"{what} cannot be sent: {path + ': ' if path else ''}{culprit.reason}"
            raise InvalidDocument(message, path=path) from None

    def _at(self, step: str, value: Any) -> dict[str, Any]:
        try:
            return self.typed(value)
        except _Unfit as culprit:
            culprit.steps.append(f".{step}" if step[:1] != "[" else step)
            raise

    def typed(self, value: Any) -> dict[str, Any]:
        """Return one value, typed."""
        cls = type(value)
        if cls is str:
            if not value.isascii():
                _check_text(value)
            return {"$type": "String", "_value": value}
        if cls is int:
            return _integer(value)
        if value is None:
            return {"$type": "Null", "_value": None}
        if cls is dict or cls is list or cls is tuple:
            return self._compound(value)
        if cls is bool:
            return {"$type": "Boolean", "_value": value}
        if cls is float:
            return {"$type": "Float", "_value": _spell_float(value)}
        return self._other(value)

    def _compound(self, value: Any) -> dict[str, Any]:
        if self._depth > MAX_DEPTH:
            raise _Unfit(f"it contains itself or nests deeper than {MAX_DEPTH} levels")
        self._depth += 1
        try:
            if isinstance(value, Mapping):
                return {"$type": "Map", "_value": {name: self._at(_check_key(name), item) for name, item in value.items()}}
            return {"$type": "List", "_value": [self._at(f"[{index}]", item) for index, item in enumerate(value)]}
        finally:
            self._depth -= 1

    def _other(self, value: Any) -> dict[str, Any]:
        if isinstance(value, TypedMap):
            self.level = max(self.level, value.level)
            return {"$type": "Map", "_value": Raw(value.content)}
        if isinstance(value, Enum):
            return self.typed(value.value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return {"$type": "Base64", "_value": b64encode(value).decode()}
        if isinstance(value, UUID):
            self.level = UUIDS
            return {"$type": "UUID", "_value": str(value)}
        if isinstance(value, Vector):
            self.level = max(self.level, VECTORS)
            numbers = [_spell_float(x) if value.type.startswith("F") else str(x) for x in value.values]
            return {"$type": "Vector", "_value": {"coordinatesType": value.type, "coordinates": numbers}}
        if isinstance(value, Point):
            if not all(map(isfinite, (value.x, value.y, value.z or 0))):
                raise _Unfit(f"{value} is no place that Neo4j takes")
            return {"$type": "Point", "_value": str(value)}
        if isinstance(value, (date, time, timedelta, Date, Time, DateTime, Duration)):
            return _temporal(value)
        if isinstance(value, (Node, Relationship, Path)):
            raise _Unfit(f"a {type(value).__name__} cannot be a parameter; give its element_id or its properties")
        # Subclasses are sent as what they are.
        for base in (str, int, float):
            if isinstance(value, base):
                return self.typed(base(value))
        if isinstance(value, (Mapping, list, tuple)):
            return self._compound(value)
        raise _Unfit(f"a value of type {type(value).__name__} is none that Neo4j knows")


def path_to(level: int, typed: Any) -> str:
    """Return the way to the first value in typed parameters that asks this of the media type."""
    return (_step_to(_KINDS[level], typed) or "").lstrip(".")


def _step_to(kind: str, typed: Any) -> str | None:
    for step, value in typed.items() if isinstance(typed, dict) else enumerate(typed):
        if value["$type"] == kind:
            rest: str | None = ""
        elif value["$type"] in ("Map", "List"):
            content = value["_value"]
            rest = _step_to(kind, decode(content) if isinstance(content, Raw) else content)
        else:
            rest = None
        if rest is not None:
            return (f".{step}" if isinstance(step, str) else f"[{step}]") + rest
    return None


_SIMPLE = frozenset({str, int, float, bool, bytes, type(None)})


def check_property(name: str, value: Any) -> None:
    """Refuse what no property of a node can be: a map, and a list that holds a map, a list, None, or values of several kinds.

    Raises:
        InvalidDocument: with the `path` of it.
    """
    if type(value) in _SIMPLE or not isinstance(value, (Mapping, list, tuple)):
        return
    if isinstance(value, Mapping):
        _refuse_property(name, "a map")
    for index, item in enumerate(value):
        if item is None or isinstance(item, (Mapping, list, tuple)):
            what = "None" if item is None else "a map" if isinstance(item, Mapping) else "a list"
            _refuse_property(f"{name}[{index}]", f"{what} in a list")
        if _kind_of(item) is not _kind_of(value[0]):
            _refuse_property(f"{name}[{index}]", "a list of several kinds of values")


def _kind_of(item: Any) -> type:
    """Return what the values of a list have in common; numbers go together, and most kinds are for the server to tell apart."""
    return next((kind for kind in (bool, str, int) if isinstance(item, kind)), int if isinstance(item, float) else object)


def _refuse_property(path: str, what: str) -> None:
    raise InvalidDocument(f"{path}: {what} is none of the values that properties have in Neo4j", path=path)


def _temporal(value: Any) -> dict[str, Any]:
    try:
        if isinstance(value, datetime):
            value = DateTime.from_native(value)
        elif isinstance(value, time):
            value = Time.from_native(value)
        elif isinstance(value, timedelta):
            value = Duration.from_native(value)
        elif isinstance(value, date):
            value = Date.from_native(value)
    except ValueError as error:
        raise _Unfit(str(error)) from None
    if isinstance(value, Duration) and abs(value.months * _MONTH + value.days * _DAY + value.seconds) > _LONGEST:
        raise _Unfit(f"{value} is longer than 2**63 - 1 seconds")
    return {"$type": _temporal_type(value), "_value": str(value)}


def _temporal_type(value: Any) -> str:
    if isinstance(value, Time):
        return "LocalTime" if value.offset is None else "Time"
    if not isinstance(value, DateTime):
        return type(value).__name__
    if value.zone is not None:
        return "ZonedDateTime"
    return "LocalDateTime" if value.offset is None else "OffsetDateTime"


def _integer(value: int) -> dict[str, Any]:
    if not MIN_INT <= value <= MAX_INT:
        raise _Unfit(f"an integer has 64 bits: {value if abs(value) < 10**40 else 'this one has many more digits'}")
    return {"$type": "Integer", "_value": str(value)}


def _spell_float(value: float) -> str:
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(float(value))


def _check_key(name: object) -> str:
    if not isinstance(name, str):
        raise _Unfit(f"the name {name!r} is of type {type(name).__name__}; names are strings")
    if not name.isascii():
        _check_text(name)
    return name


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _Unfit(f"the text has half a surrogate pair at {error.start}, which has no form in UTF-8") from None
