"""What a session without an identity map still knows of the entities it has read: as long as the program holds them."""

from __future__ import annotations

import weakref
from typing import Any, Generic, TypeVar

import msgspec

from evsession.errors import InvalidDocument
from evsession.unitofwork.mapper import Mapper
from evsession.unitofwork.tracking import Picture, Tracked

__all__ = ["Acquaintances"]

S = TypeVar("S", bound=Picture)


class Acquaintances(Generic[S]):
    """Entities that are not kept alive, each with its key, version and snapshot.

    Objects that allow no weak reference (of a class with slots that has no ``__weakref__``) cannot be kept in mind; they are
    known by their key only.
    """

    __slots__ = ("__weakref__", "_again", "_met")

    def __init__(self) -> None:
        self._met: dict[int, tuple[weakref.ref[Any], Tracked[S]]] = {}
        self._again: set[int] = set()

    def meet(self, tracked: Tracked[S]) -> None:
        """Keep the entity in mind, without holding it."""
        entity = tracked.entity
        place = id(entity)
        met = self._met

        def forget(_: object) -> None:
            met.pop(place, None)

        try:
            self._met[place] = weakref.ref(entity, forget), msgspec.structs.replace(tracked, entity=None, writes=0)
        except TypeError:
            return

    def note_again(self, tracked: Tracked[S]) -> None:
        """Take note that an entity was added again; edits that were made while it is written are to be written, too, then."""
        if tracked.writes:
            self._again.add(id(tracked))

    def may_go(self, tracked: Tracked[S], mapper: Mapper[S]) -> bool:
        """Return whether nothing more is to be done with an entity that a commit has just written.

        Another commit may be about to write it, or the program may have removed it or added it again since it was frozen.

        Args:
            tracked: The entity.
            mapper: Tells whether it differs from what was written.
        """
        if tracked.writes > 1:
            return False
        is_again = id(tracked) in self._again
        self._again.discard(id(tracked))
        return not tracked.is_removed and not tracked.increments and not (is_again and _is_changed(tracked, mapper))

    def take(self, entity: Any) -> Tracked[S] | None:
        """Return what is known of the entity, holding it again, and keep it in mind no more."""
        met = self._met.get(id(entity))
        if met is None or met[0]() is not entity:
            return None
        del self._met[id(entity)]
        met[1].entity = entity
        return met[1]


def _is_changed(tracked: Tracked[S], mapper: Mapper[S]) -> bool:
    """Return whether the entity differs from what was written, or cannot be stored."""
    try:
        return mapper.changed(tracked) is not None
    except InvalidDocument:
        return True
