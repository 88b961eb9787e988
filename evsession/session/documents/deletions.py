"""What a session has deleted, and is deleting: answers to earlier questions may still bring it. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from evsession.session.documents.mapper import Known
from evsession.unitofwork.identity_map import fold

__all__ = ["Deletions"]


class Deletions:
    """The deletions of one session.

    Attributes:
        count: How many there were. A question remembers how many there were when it was asked.
    """

    def __init__(self) -> None:
        self.count = 0
        self._last: dict[str, int] = {}
        self._under_way: dict[int, bool] = {}

    def note(self, key: str) -> None:
        """Take note that a document is gone."""
        self._last.pop(fold(key), None)
        self._last[fold(key)] = self.count
        self.count += 1

    def has_been_since(self, folded: str, count: int) -> bool:
        """Return whether the document was deleted when there had been so many deletions already; the key is folded."""
        return bool(self._last) and self._last.get(folded, -1) >= count

    @contextmanager
    def under_way(self, entities: Sequence[Known | None]) -> Iterator[None]:
        """Notice which of the entities are stored again while their deletion is under way."""
        places = [id(known) for known in entities if known is not None]
        self._under_way.update(dict.fromkeys(places, False))
        try:
            yield
        finally:
            for place in places:
                self._under_way.pop(place, None)

    def note_stored(self, known: Known) -> None:
        """Take note that the entity was stored again."""
        if id(known) in self._under_way:
            self._under_way[id(known)] = True

    def is_stored_again(self, known: Known) -> bool:
        """Return whether the entity was stored since its deletion was called."""
        return self._under_way.get(id(known), False)
