"""What a session without an identity map still knows of the entities it has read: as long as the program holds them."""

from __future__ import annotations

import weakref
from typing import Any, Generic, TypeVar

import msgspec

from evsession.unitofwork.tracking import Picture, Tracked

__all__ = ["Acquaintances"]

S = TypeVar("S", bound=Picture)


class Acquaintances(Generic[S]):
    """Entities that are not kept alive, each with its key, version and snapshot.

    Objects that allow no weak reference (of a class with slots that has no ``__weakref__``) cannot be kept in mind; they are
    known by their key only.
    """

    __slots__ = ("__weakref__", "_met")

    def __init__(self) -> None:
        self._met: dict[int, tuple[weakref.ref[Any], Tracked[S]]] = {}

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

    def take(self, entity: Any) -> Tracked[S] | None:
        """Return what is known of the entity, holding it again, and keep it in mind no more."""
        met = self._met.get(id(entity))
        if met is None or met[0]() is not entity:
            return None
        del self._met[id(entity)]
        met[1].entity = entity
        return met[1]
