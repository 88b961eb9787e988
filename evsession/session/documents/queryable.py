"""The list that loads and queries give, with node-ravendb's ways of asking it. Knows nothing of sessions."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, SupportsIndex, TypeVar, overload

from evsession.raven.codec import key_of
from evsession.raven.queries import DOCUMENT_ID
from evsession.unitofwork.identity_map import fold

__all__ = ["Queryable"]

E = TypeVar("E")
T = TypeVar("T")
Predicate = Callable[[E], object]


class Queryable(list[E]):
    """A list of documents.

    The names are node-ravendb's; where it gave ``undefined``, these give None. A predicate is a function of one document.
    """

    __slots__ = ("_keys",)

    def __init__(self, items: Iterable[E] = (), keys: Mapping[int, str] | None = None) -> None:
        """Make a list.

        Args:
            items: The documents.
            keys: The keys of those that do not hold theirs, by the ``id()`` of the object.
        """
        super().__init__(items)
        self._keys = keys

    @overload
    def __getitem__(self, index: SupportsIndex) -> E: ...
    @overload
    def __getitem__(self, index: slice) -> Queryable[E]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> E | Queryable[E]:
        found: Any = super().__getitem__(index)
        return Queryable(found, self._keys) if isinstance(index, slice) else found

    def all(self, predicate: Predicate[E]) -> bool:
        """Return whether the predicate holds for every document."""
        return all(map(predicate, self))

    def any(self, predicate: Predicate[E] | None = None) -> bool:
        """Return whether there is a document (that the predicate holds for)."""
        return any(predicate is None or predicate(item) for item in self)

    def exists(self, predicate: Predicate[E]) -> bool:
        """Return whether the predicate holds for some document; the same as `any`."""
        return self.any(predicate)

    def count(self, predicate: Any = None) -> int:
        """Return how many documents there are (that the predicate holds for)."""
        return len(self) if predicate is None else len(self.where(predicate))

    def element_at(self, index: SupportsIndex) -> E | None:
        """Return the document at this place, or None past the end."""
        return self[index] if -len(self) <= index.__index__() < len(self) else None

    def first(self, predicate: Predicate[E] | None = None) -> E | None:
        """Return the first document (that the predicate holds for), or None."""
        return next((item for item in self if predicate is None or predicate(item)), None)

    def last(self, predicate: Predicate[E] | None = None) -> E | None:
        """Return the last document (that the predicate holds for), or None."""
        return next((item for item in reversed(self) if predicate is None or predicate(item)), None)

    def single(self, predicate: Predicate[E] | None = None) -> E | None:
        """Return the only document (that the predicate holds for), or None.

        Raises:
            ValueError: there is more than one.
        """
        found = self.where(predicate or (lambda _: True))
        if len(found) > 1:
            raise ValueError(f"there is more than one: {len(found)}")
        return found.first()

    def random(self, predicate: Predicate[E] | None = None) -> E | None:
        """Return some document (that the predicate holds for), or None."""
        found = self if predicate is None else self.where(predicate)
        return random.choice(found) if found else None

    def is_empty(self) -> bool:
        """Return whether there is none."""
        return not self

    def load(self, key: str | None) -> E | None:
        """Return the document with this key (in any case, as on the server), or None; projections have it, too."""
        if key is None:  # of a document that refers to none
            return None
        folded, keys = fold(key), self._keys or {}
        for item in self:
            known = (
                item.get(DOCUMENT_ID) if isinstance(item, dict) and DOCUMENT_ID in item else key_of(item) or keys.get(id(item))
            )
            if isinstance(known, str) and fold(known) == folded:
                return item
        return None

    @overload
    def select(self, what: str) -> Queryable[Any]: ...
    @overload
    def select(self, what: Callable[[E], T]) -> Queryable[T]: ...
    def select(self, what: Any) -> Queryable[Any]:
        """Return a field of each document by its name (None where it is missing), or what the function makes of each."""
        if callable(what):
            return Queryable(map(what, self))
        return Queryable(item.get(what) if isinstance(item, dict) else getattr(item, what, None) for item in self)

    def where(self, predicate: Predicate[E]) -> Queryable[E]:
        """Return the documents that the predicate holds for."""
        return Queryable((item for item in self if predicate(item)), self._keys)
