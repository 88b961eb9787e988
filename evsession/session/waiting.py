"""Sessions that never wait for themselves: what the program's own functions must not wait for while a session waits for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from evsession.errors import TransactionError
from evsession.session.callbacks import Callback
from evsession.session.conversation import Conversation
from evsession.unitofwork.hooks import calling
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["Waiting", "Work"]


class Work:
    """A function of the program that an operation of a session waits for: what it awaits must not wait for that operation.

    Args:
        session: The session.
        name: The operation.
        keeps_turn: Whether what writes and what runs statements waits for the operation, too.
    """

    __slots__ = ("is_active", "keeps_turn", "name", "outer", "session")

    def __init__(self, session: object, name: str, *, keeps_turn: bool = False) -> None:
        self.session = session
        self.name = name
        self.keeps_turn = keeps_turn
        self.is_active = False
        self.outer: Work | None = None

    async def run(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Call the function, and let everything that it starts know what it is part of."""
        self.outer = WORK.get()
        token = WORK.set(self)
        self.is_active = True
        try:
            return await function()
        finally:
            self.is_active = False
            WORK.reset(token)


WORK: ContextVar[Work | None] = ContextVar("evsession work", default=None)


def works_of(session: object) -> list[Work]:
    """Return the work of the session's operations that this is part of, the innermost first."""
    found, work = [], WORK.get()
    while work is not None:
        if work.is_active and work.session is session:
            found.append(work)
        work = work.outer
    return found


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
