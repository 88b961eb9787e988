"""One object per key and session. Knows entities by identity and keys by their folded text; does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from evsession.errors import KeyConflict
from evsession.unitofwork.tracking import Picture, Tracked

__all__ = ["IdentityMap"]

S = TypeVar("S", bound=Picture)


def fold(key: str) -> str:
    """Return what two keys of the same document have in common.

    RavenDB compares keys without regard to case, letter by letter: ``straße`` and ``strasse`` are two documents, and so are
    ``İ`` and its two-letter lower case (seen on 7.1).
    """
    if key.isascii():
        return key.lower()
    return "".join(lower if len(lower := letter.lower()) == 1 else letter for letter in key)


class IdentityMap(Generic[S]):
    """The entities that a session knows, in the order in which it met them.

    Holds its entities strongly: what was loaded stays known until it is removed. An entity that the next commit deletes leaves
    its key to another one that is added.
    """

    __slots__ = ("_by_entity", "_by_key", "_former", "find", "fold")

    def __init__(self, fold: Callable[[str], str] = fold) -> None:
        self.fold = fold
        """Returns what two keys of the same entity have in common."""
        self._by_key: dict[str, Tracked[S]] = {}
        self._by_entity: dict[int, Tracked[S]] = {}
        self._former: dict[str, list[Tracked[S]]] = {}
        self.find = self._by_key.get
        """Return what is known under this key, which is folded already, or None; asked for every row that is read."""

    def __len__(self) -> int:
        return len(self._by_entity)

    def __iter__(self) -> Iterator[Tracked[S]]:
        return iter(self._by_entity.values())

    def get(self, key: str) -> Tracked[S] | None:
        """Return what is known under this key."""
        return self._by_key.get(self.fold(key))

    def learn(self, folded: str, tracked: Tracked[S]) -> None:
        """Add an entity under a key that `find` has just not found; made for every row that is read."""
        self._by_key[folded] = tracked
        self._by_entity[id(tracked.entity)] = tracked

    def former(self, key: str) -> Sequence[Tracked[S]]:
        """Return those that are to be deleted, and have left this key to another entity, in the order in which they had it."""
        return tuple(self._former.get(self.fold(key), ()))

    def of(self, entity: Any) -> Tracked[S] | None:
        """Return what is known of this very object."""
        return self._by_entity.get(id(entity))

    def add(self, tracked: Tracked[S]) -> None:
        """Learn an entity.

        Raises:
            KeyConflict: if its key belongs to another object; nothing is changed then.
        """
        key = tracked.key
        if key is not None:
            folded = self.fold(key)
            known = self._by_key.setdefault(folded, tracked)
            if known is not tracked:
                if not known.is_removed:
                    raise KeyConflict(f"{key!r} is the key of another object in this session", key=key)
                self._former.setdefault(folded, []).append(known)
                self._by_key[folded] = tracked
        self._by_entity[id(tracked.entity)] = tracked

    def rekey(self, tracked: Tracked[S], key: str | None) -> None:
        """Give an entity its key; one that is not known, since it was evicted while it was written, has it for itself.

        Raises:
            KeyConflict: if the key belongs to another object; nothing is changed then.
        """
        if self.of(tracked.entity) is not tracked:
            tracked.key = key
            return
        if key is not None:
            known = self._by_key.get(self.fold(key))
            if known is not None and known is not tracked and not known.is_removed:
                raise KeyConflict(f"{key!r} is the key of another object in this session", key=key)
        if key == tracked.key:
            return
        self._drop_key(tracked)
        tracked.key = key
        if key is not None:
            folded = self.fold(key)
            if folded in self._by_key:
                self._former.setdefault(folded, []).append(self._by_key[folded])
            self._by_key[folded] = tracked

    def remove(self, tracked: Tracked[S]) -> None:
        """Forget an entity; nothing happens if it is unknown."""
        self._drop_key(tracked)
        if self.of(tracked.entity) is tracked:  # not what was made of the same object when it was added again
            del self._by_entity[id(tracked.entity)]

    def _drop_key(self, tracked: Tracked[S]) -> None:
        """Free the key; it returns to an entity that had left it because it was to be deleted, and is still known."""
        if tracked.key is None:
            return
        folded = self.fold(tracked.key)
        former = self._former.get(folded, [])
        if self._by_key.get(folded) is tracked:
            del self._by_key[folded]
            if former:
                self._by_key[folded] = former.pop()
        elif tracked in former:
            former.remove(tracked)
        if not former:
            self._former.pop(folded, None)

    def replace(self, tracked: Tracked[S], entity: Any) -> None:
        """Let another object take the place of the one that was known; it counts as met last."""
        del self._by_entity[id(tracked.entity)]
        tracked.entity = entity
        self._by_entity[id(entity)] = tracked

    def clear(self) -> None:
        """Forget everything."""
        self._by_key.clear()
        self._former.clear()
        self._by_entity.clear()
