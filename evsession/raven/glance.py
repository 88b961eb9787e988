"""The quick look at entities that have most likely not changed since their snapshots were taken.

Knows shapes. What it cannot tell is told by `evsession.raven.codec.encode_entity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import adler32

from evsession.raven.shapes import shape_of
from evsession.raven.snapshots import Snapshot, pack_into, packed
from evsession.raven.vocabulary import METADATA
from evsession.wire.json import encode, encode_each, encode_into

__all__ = ["changed_lines", "is_as_it_was", "may_be_in_other_order"]


def changed_lines(documents: Sequence[dict[str, Any]], snapshots: Sequence[Snapshot]) -> dict[int, bytes | None]:
    """Return the places of those documents that may have changed, in order; all others are certainly as they were.

    With each that certainly has, in more than the order of its fields, comes what `encode_entity` returns for it; None where only
    that can tell.

    Args:
        documents: Some that are encoded and compared as dicts are.
        snapshots: What they were; those that are JSON yet become msgpack.
    """
    changed: list[int] = []
    unsure: list[int] = []
    room = bytearray()
    for place, (document, snapshot) in enumerate(zip(documents, snapshots, strict=True)):
        try:
            pack_into(document, room)
        except (TypeError, ValueError, RecursionError, OverflowError):
            unsure.append(place)
            continue
        if room != snapshot.kept:
            then = packed(snapshot)
            if then is None or METADATA in document or may_be_in_other_order(room, then):
                unsure.append(place)
            elif room != then:
                changed.append(place)
    lines = encode_each([documents[place] for place in changed], plain=True)
    found = dict(zip(changed, lines, strict=True))
    return dict(sorted({**found, **dict.fromkeys(unsure)}.items())) if unsure else found


def may_be_in_other_order(one: bytes | bytearray, other: bytes) -> bool:
    """Return whether two documents may differ in the order of their fields alone; asking it is much less than decoding them."""
    return len(one) == len(other) and one != other and _sum(one) == _sum(other)


def _sum(data: bytes | bytearray) -> int:
    return adler32(data) & 0xFFFF  # its low half is the sum of the bytes, see RFC 1950


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
    if shape.key_name is None:
        return False
    if data.startswith(known[:-1]):
        return data[len(known) - 1 :] == b"".join((b',"', shape.key_name.encode(), b'":', encode(key), b"}"))
    more = len(data) - len(known) + 1
    return data.endswith(known[1:]) and data[:more] == b"".join((b'{"', shape.key_name.encode(), b'":', encode(key), b","))
