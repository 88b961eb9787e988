"""The quick look at entities that have most likely not changed since their snapshots were taken.

Knows shapes. What it cannot tell is told by `evsession.raven.codec.encode_entity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evsession.raven.shapes import Kind, shape_of
from evsession.raven.snapshots import Snapshot, is_plain, pack_into, packed
from evsession.wire.json import encode, encode_into

__all__ = ["changed_places", "is_as_it_was"]


def changed_places(documents: Sequence[dict[str, Any]], snapshots: Sequence[Snapshot]) -> dict[int, bytes | None]:
    """Return the places of those documents that may have changed, in order; all others are certainly as they were.

    With each comes what would be kept of it as it is now, for comparing it with its snapshot, provided that it can be stored; or
    None, where only `encode_entity` can tell.

    Args:
        documents: Some that are encoded as dicts are.
        snapshots: What they were; those that are JSON yet become msgpack.
    """
    changed: dict[int, bytes | None] = {}
    room = bytearray()
    for place, (document, snapshot) in enumerate(zip(documents, snapshots, strict=True)):
        try:
            pack_into(document, room)
        except (TypeError, ValueError, RecursionError, OverflowError):
            changed[place] = None
            continue
        if room != snapshot.kept and room != (packed(snapshot) or b""):
            changed[place] = bytes(room) if is_plain(room) else None
    return changed


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
