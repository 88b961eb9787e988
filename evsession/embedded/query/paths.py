"""Following paths through JSON without decoding what is only copied: numbers come out as they were written."""

from __future__ import annotations

import msgspec

from evsession.embedded.query.terms import parse_path
from evsession.wire.json import Raw, encode

__all__ = ["NULL", "fields_of_object", "follow"]

NULL = Raw(b"null")
_OBJECTS = msgspec.json.Decoder(dict[str, Raw])
_LISTS = msgspec.json.Decoder(list[Raw])


def fields_of_object(value: bytes | Raw) -> dict[str, Raw]:
    """Return the members of a JSON object; anything else has none."""
    return _OBJECTS.decode(value) if _first(value) == b"{" else {}


def _first(value: bytes | Raw) -> bytes:
    return bytes(memoryview(value)[:1])


def follow(value: bytes | Raw, path: str) -> Raw | None:
    """Return the value that ``select`` gives for a path, or None; lists on the way give lists of what is in their items."""
    return _follow(value, [(step.name, step.lists) for step in parse_path(path)], lists=False)


def _follow(value: bytes | Raw, steps: list[tuple[str, bool]], *, lists: bool) -> Raw | None:
    if not steps:
        return Raw(bytes(value))
    kind = _first(value)
    if kind == b"{":
        found = _OBJECTS.decode(value).get(steps[0][0])
        return None if found is None else _follow(found, steps[1:], lists=steps[0][1])
    if kind == b"[":
        items = [_item(item, steps, lists=lists) for item in _LISTS.decode(value)]
        return Raw(encode([item for item in items if item is not None]))
    return None


def _item(item: Raw, steps: list[tuple[str, bool]], *, lists: bool) -> Raw | None:
    kind = _first(item)
    if kind in (b"{", b"["):
        found = _follow(item, steps, lists=lists)
        return NULL if found is None and lists else found
    return item if lists else None
