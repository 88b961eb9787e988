"""The unit of work of nodes: increments of commits that do not last go to the commits that were called after them."""

from __future__ import annotations

from collections.abc import Sequence

from evsession.session.graph_mapper import Item, KnownNode, NodePicture
from evsession.unitofwork.tracking import Kind
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["NodeUnit"]


class NodeUnit(UnitOfWork[NodePicture]):
    """The unit of work of a graph session."""

    def release(self, staged: Sequence[Item]) -> None:
        """Note that a commit has ended; one that was cut off before its turn leaves its increments to those called after it.

        Those that were called before do not have the sum in what they write.
        """
        waiting = [item for item in staged if item.increments and not item.is_begun]
        if waiting:
            place = next(place for place, one in enumerate(self._frozen) if one is staged)
            for item in waiting:
                heir = self._heir(item.known, self._frozen[place + 1 :])
                if heir is None:
                    self.give_back_increments(item)
                else:
                    self._add_increments(heir, item.increments or {})
                    item.increments = None
        super().release(staged)

    def roll_back(self) -> None:
        """Forget what the open transaction has staged; increments go to the next commit if it was called already."""
        for undo in (self.journal or {}).values():
            heir = self._heir(undo.known, self._frozen) if undo.increments else None
            if heir is not None:
                self._add_increments(heir, undo.increments or {})
                undo.increments = None
        super().roll_back()

    @staticmethod
    def _heir(known: KnownNode, later: Sequence[Sequence[Item]]) -> Item | None:
        """Return what the first of these that is still to be written has of the entity."""
        items = (item for frozen in later for item in frozen if item.known is known and item.kind is not Kind.DELETE)
        return next((item for item in items if not item.is_begun and not item.is_settled), None)
