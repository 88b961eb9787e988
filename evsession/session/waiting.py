"""Sessions that never wait for themselves: what the program's own functions must not wait for while a session waits for them."""

from __future__ import annotations

from typing import Any

from evsession.errors import TransactionError
from evsession.session.callbacks import Callback
from evsession.session.conversation import Conversation
from evsession.session.works import works_of
from evsession.unitofwork.hooks import calling
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["Waiting"]


class Waiting(Conversation):
    """Knows what a session waits for: hooks, and the work of transactions."""

    _unit: UnitOfWork[Any]

    def _refuse_end(self, name: str, callback: Callback | None) -> None:
        self._refuse_in_hook(name, callback)
        for work in works_of(self):
            raise TransactionError(
                f"{name}() in the work of {work.name}() would wait for that work; do it when {work.name}() has ended"
            )

    def _refuse_in_hook(self, name: str, callback: Callback | None) -> None:
        if callback is None and calling(self._unit) is not None:
            raise TransactionError(
                f"{name}() in a hook would wait for the commit that calls the hook; entities that a hook adds join that commit"
            )

    def _check_turn(self, name: str) -> None:
        """Raise TransactionError where what waits for its turn is waiting for oneself."""
        for work in works_of(self):
            if work.keeps_turn:
                raise TransactionError(
                    f"{name}() in the work of {work.name}() would wait for that work; do it in the work's transaction,"
                    f" or when {work.name}() has ended, or in another session"
                )

    async def _settle(self) -> None:
        """Wait until what the work of an operation has called has ended, its callbacks too."""
        await self._gate.wait(len(works_of(self)))
