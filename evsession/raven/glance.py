"""The quick look at entities that have most likely not changed since their snapshots were taken.

Knows shapes. What it cannot tell is told by `evsession.raven.codec.encode_entity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evsession.raven.shapes import Kind, shape_of
from evsession.raven.vocabulary import METADATA
from evsession.wire.json import encode, encode_into, has_hidden_nulls, join_lines, only_exact

__all__ = ["changed_lines", "is_as_it_was"]

LARGE = 1 << 20
"""Bytes of documents that are not encoded in one piece any more: for a moment they are in memory three times."""


def changed_lines(documents: Sequence[dict[str, Any]], known: Sequence[bytes]) -> dict[int, bytes | None]:
    """Return the places of those documents that may have changed; all others are certainly as they were.

    With each comes what `encode_entity` returns for it, or None where only that can tell. Documents are encoded as they are,
    without its proofs: for the very bytes that there were these have been given before.

    Args:
        documents: Some that are encoded and compared as dicts are.
        known: Their JSON as it was.
    """
    if len(documents) > 1 and sum(map(len, known)) > LARGE:
        half = len(documents) // 2
        ends = changed_lines(documents[half:], known[half:])
        return {**changed_lines(documents[:half], known[:half]), **{half + place: line for place, line in ends.items()}}
    try:
        data = join_lines(documents)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return dict.fromkeys(range(len(documents)))
    changed: dict[int, bytes | None] = {}
    start = 0
    for place, then in enumerate(known):
        if data.startswith(then, start):  # no object's JSON goes on behind that of another
            start += len(then) + 1
        else:
            end = data.find(b"\n", start)
            changed[place] = data[start:end]
            start = end + 1
    if start != len(data):  # something is JSON already, of several lines
        return dict.fromkeys(range(len(documents)))
    if has_hidden_nulls(documents, data):
        lines = zip(documents, data.split(b"\n"), strict=False)
        changed.update((place, None) for place, (document, line) in enumerate(lines) if has_hidden_nulls((document,), line))
    if not changed:
        return changed
    exact = only_exact([documents[place] for place in changed], list(changed.values()))
    return {place: None if METADATA in documents[place] else line for place, line in zip(changed, exact, strict=True)}


def is_as_it_was(entity: Any, key: str | None, known: bytes, room: bytearray) -> bool:
    """Return whether the object is certainly as it was; False where only `encode_entity` can tell.

    Its key stands among its fields; where it is not the first or the last one, the bytes differ.

    Args:
        entity: The object, of any class but dict's.
        key: Its key.
        known: Its JSON as it was.
        room: A buffer to work in.
    """
    try:
        encode_into(entity, room)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return False
    if room != known and not _is_with_key(room, known, type(entity), key):
        return False
    nulls = known.count(b"null")
    return not nulls or nulls == len([1 for name in shape_of(type(entity)).names if getattr(entity, name, room) is None])


def _is_with_key(data: bytearray, known: bytes, cls: type, key: str | None) -> bool:
    """Return whether an object's JSON is the known one and its key."""
    shape = shape_of(cls)
    if shape.key_name is None or key is None or shape.sets or shape.kind is Kind.PLAIN:
        return False  # without a key, not in order, or not encoded by its fields
    if data.startswith(known[:-1]):
        return data[len(known) - 1 :] == b"".join((b',"', shape.key_name.encode(), b'":', encode(key), b"}"))
    more = len(data) - len(known) + 1
    return data.endswith(known[1:]) and data[:more] == b"".join((b'{"', shape.key_name.encode(), b'":', encode(key), b","))
