"""The identity map as programs see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from evsession.unitofwork.tracking import Picture
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["KnownEntities"]

S = TypeVar("S", bound=Picture)


class KnownEntities(Generic[S]):
    """The identity map of a session, to look into: one object for each key, in the order in which the session met them.

    ``identity_map.get(key)`` returns the entity or None, ``in`` takes a key or an entity, and iteration yields entities. The
    session keeps all of them alive until it is closed, or until they are evicted or deleted.

    A key is a text: that of a document, ``"dogs/max"``; of a node its labels and its primary key, ``"User/1"`` or
    ``"Cat:Pet/Tom"``, as a commit lists them.
    """

    __slots__ = ("_find", "_unit")

    def __init__(self, unit: UnitOfWork[S], find: Callable[[str], Any]) -> None:
        self._unit = unit
        self._find = find

    def get(self, key: str, default: Any = None) -> Any:
        """Return the entity with this key, or `default`.

        Raises:
            TypeError: the key is no text.
        """
        given: Any = key
        if not isinstance(given, str):
            raise TypeError(f'a key of the identity map is a text, "dogs/max" of a document or "User/1" of a node, not {given!r}')
        entity = self._find(key)
        return default if entity is None else entity

    def __contains__(self, thing: object) -> bool:
        if isinstance(thing, str):
            return self._unit.map.get(thing) is not None or self._find(thing) is not None
        return self._unit.map.of(thing) is not None

    def __iter__(self) -> Iterator[Any]:
        return iter([known.entity for known in self._unit.map])

    def __len__(self) -> int:
        return len(self._unit.map)

    def clear(self) -> None:
        """Forget every entity, as the session's `clear` does."""
        self._unit.clear()

    def __repr__(self) -> str:
        return f"<KnownEntities {[known.key for known in self._unit.map]!r}>"
