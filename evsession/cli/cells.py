"""Values of a graph as JSON. Pure functions."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from math import isfinite
from typing import Any

import evsession

__all__ = ["cell"]


def cell(value: Any) -> Any:
    """Return what JSON can hold of a value.

    Nodes become ``{"labels": [...], "properties": {...}}``, relationships ``{"type": ..., "properties": {...}}``, paths the list
    of both in the order of the walk. Bytes become base64, vectors lists. Dates, times, durations, points and UUIDs become the
    text by which Neo4j spells them, NaN and infinities ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``. What the server could not
    send becomes what it says of it.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else _spell(value)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, evsession.Unsupported):
        return value.message
    return _compound(value)


def _compound(value: Any) -> Any:
    if isinstance(value, evsession.Node):
        return {"labels": sorted(value.labels), "properties": _fields(value.properties)}
    if isinstance(value, evsession.Relationship):
        return {"type": value.type, "properties": _fields(value.properties)}
    if isinstance(value, evsession.Path):
        steps = zip(value.relationships, value.nodes[1:], strict=True)
        return [cell(value.start_node), *(cell(part) for step in steps for part in step)]
    if isinstance(value, Mapping):
        return _fields(value)
    if isinstance(value, (list, tuple, evsession.Vector)):
        return [cell(one) for one in value]
    return str(value)


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: cell(value) for name, value in values.items()}


def _spell(number: float) -> str:
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"
