"""The quick look at an entity that has most likely not changed since its snapshot was taken.

Knows snapshots and shapes. What it cannot tell is told by `evsession.raven.codec.encode_entity`.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from evsession.raven.codec import Snapshot
from evsession.raven.shapes import Kind, shape_of
from evsession.wire.json import encode, encode_into

__all__ = ["Glance"]

_find_nulls = re.compile(b"null").findall  # counts them in less time than bytes.count


class Glance:
    """Tells entities that are certainly as they were. Made for one scan of a commit, in which most entities have not changed."""

    __slots__ = ("_nulls", "_room")

    def __init__(self) -> None:
        self._room = bytearray()
        self._nulls: tuple[str, ...] = ()

    def is_as_it_was(self, entity: Any, key: str | None, snapshot: Snapshot) -> bool:
        """Return whether the entity is certainly as it was; False where only `encode_entity` can tell.

        It is encoded as it is, without `encode_entity`'s proofs: for these very bytes they have been given before. Only a
        ``null`` may also be a NaN now, unless it is a None that the entity holds itself. An object's key stands among its fields;
        where it is not the first or the last one, the bytes differ.
        """
        room = self._room
        try:
            encode_into(entity, room)
        except (TypeError, ValueError, RecursionError, OverflowError):
            return False
        if room != snapshot.known and (isinstance(entity, dict) or not _is_with_key(room, snapshot.known, type(entity), key)):
            return False
        nulls = snapshot.nulls
        if nulls is not None:
            return not nulls or _are_none(entity, nulls)
        nulls = self._nulls  # documents of one type mostly lack the same, and share the tuple
        if len(_find_nulls(snapshot.known)) == len(nulls) and (not nulls or _are_none(entity, nulls)):
            snapshot.nulls = nulls
            return True
        return self._look_for_nulls(entity, snapshot)

    def _look_for_nulls(self, entity: Any, snapshot: Snapshot) -> bool:
        """Return whether every null in the entity's JSON is a None of its own, and remember which."""
        if isinstance(entity, dict):
            nulls = tuple([name for name, value in entity.items() if value is None])
        else:
            nulls = tuple([name for name in shape_of(type(entity)).names if getattr(entity, name, self) is None])
        if len(nulls) != len(_find_nulls(snapshot.known)):
            return False
        snapshot.nulls = self._nulls = nulls
        return True


def _are_none(entity: Any, names: tuple[str, ...]) -> bool:
    get = entity.get if isinstance(entity, dict) else partial(getattr, entity)
    for name in names:  # noqa: SIM110 - half the time of a generator in `all`, for every document
        if get(name, names) is not None:
            return False
    return True


def _is_with_key(data: bytearray, known: bytes, cls: type, key: str | None) -> bool:
    """Return whether an object's JSON is the known one and its key."""
    shape = shape_of(cls)
    if shape.key_name is None or key is None or shape.sets or shape.kind is Kind.PLAIN:
        return False  # without a key, not in order, or not encoded by its fields
    if data.startswith(known[:-1]):
        return data[len(known) - 1 :] == b"".join((b',"', shape.key_name.encode(), b'":', encode(key), b"}"))
    more = len(data) - len(known) + 1
    return data.endswith(known[1:]) and data[:more] == b"".join((b'{"', shape.key_name.encode(), b'":', encode(key), b","))
