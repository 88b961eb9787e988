"""Putting back what a class does not know: the body to send for an entity of which the server has more fields.

Knows JSON only. Works on three versions of one document: the entity as it is now, as it was read, and the server's row.
"""

from __future__ import annotations

from evsession.wire.json import JSON, decode, encode

__all__ = ["merge_bodies"]


def merge_bodies(entity: bytes, known: bytes, raw: bytes) -> bytes:
    """Return the entity's JSON with those fields of the row that the class had not taken up, at every depth.

    Whatever is as it was read is sent as the server had it, so a date keeps its seventh digit. A field that was known and is gone
    was removed by the program and stays removed. An element of a list that equals an old one keeps that one's unknown fields;
    in a list of the same length other elements keep those of their place. In a longer or shorter list an element that was also
    edited cannot be told from a new one, and is sent as it is.
    """
    if known == raw:
        return entity
    return encode(_merge(decode(entity), decode(known), decode(raw)))


def _merge(new: JSON, known: JSON, raw: JSON) -> JSON:
    if isinstance(new, dict) and isinstance(known, dict) and isinstance(raw, dict):
        return _merge_objects(new, known, raw)
    if isinstance(new, list) and isinstance(known, list) and isinstance(raw, list):
        return _merge_lists(new, known, raw)
    # Bytes are compared, since 1, 1.0 and True are equal in Python and three values in JSON.
    return raw if encode(new) == encode(known) else new


def _merge_objects(new: dict[str, JSON], known: dict[str, JSON], raw: dict[str, JSON]) -> dict[str, JSON]:
    merged: dict[str, JSON] = {}
    for name, old in raw.items():
        if name in new:
            merged[name] = _merge(new[name], known[name], old) if name in known else new[name]
        elif name not in known:
            merged[name] = old
    for name, value in new.items():
        merged.setdefault(name, value)
    return merged


def _merge_lists(new: list[JSON], known: list[JSON], raw: list[JSON]) -> list[JSON]:
    before, now = [encode(item) for item in known], [encode(item) for item in new]
    if before == now:
        return raw
    if len(known) != len(raw):
        return new  # a set was read from a list with repetitions
    places = _places(now, before)
    taken = set(places)
    if len(new) == len(known):
        places = [index if place is None and index not in taken else place for index, place in enumerate(places)]
    return [
        # Scalars have no fields to keep, and those of a set stand in another order than in the row.
        item if place is None or not _holds_object(raw[place]) else _merge(item, known[place], raw[place])
        for item, place in zip(new, places, strict=True)
    ]


def _places(now: list[bytes], before: list[bytes]) -> list[int | None]:
    """Return for each element the place that an equal one had; its own place first, and no place twice."""
    free: dict[bytes, list[int]] = {}
    for index, item in enumerate(before):
        if index >= len(now) or now[index] != item:
            free.setdefault(item, []).append(index)
    places: list[int | None] = []
    for index, item in enumerate(now):
        if index < len(before) and before[index] == item:
            places.append(index)
        else:
            places.append(free[item].pop(0) if free.get(item) else None)
    return places


def _holds_object(value: JSON) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(_holds_object(item) for item in value))
