"""What operations of a graph session wait for, and the owner of statements that have a transaction for themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from evsession.errors import TransactionError
from evsession.neo4j.results import Result
from evsession.neo4j.statements import Statement
from evsession.session.graphs.guard import SingleGuard
from evsession.session.graphs.phase import Phase
from evsession.session.graphs.release import terminate
from evsession.session.graphs.transaction import GraphTransaction
from evsession.session.runtime import Runtime
from evsession.wire.transport import Trail, Transport

if TYPE_CHECKING:
    from evsession.session.graphs.session import GraphSession

__all__ = ["Alone", "Ending", "One", "Resetting"]


class Alone:
    """The owner of a statement that has a transaction for itself."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session
        self._events = session._events
        self._gate = session._gate
        self.options = session.options
        self._guard: SingleGuard | None = None

    def _running(self) -> tuple[Runtime, Transport]:
        runtime, transport = self._session._running()
        if self._guard is None or self._guard.transport is not transport:
            self._guard = SingleGuard(self._session, transport)
        return runtime, self._guard


class Ending:
    """The pause until a transaction is over that is asked to end."""

    def __init__(self, transaction: GraphTransaction) -> None:
        self._transaction = transaction
        self._left = transaction._left

    async def wait(self) -> None:
        """Wait.

        Raises:
            TransactionError: its end was given up, so it is still open.
        """
        await self._left.wait()
        if self._transaction._phase is Phase.ACTIVE:
            raise TransactionError(
                "the end of the open transaction, for which this waited, was given up;"
                " use that one, end it, or take another session"
            )


class One:
    """The pause while one statement runs in a transaction that it gets for itself."""

    result: Result

    def __init__(self, transaction: GraphTransaction, statement: Statement) -> None:
        self._transaction = transaction
        self._statement = statement

    async def wait(self) -> None:
        """Begin by the statement, and commit."""
        transaction = self._transaction
        try:
            self.result = await transaction._do("run", self._statement.text, self._statement.parameters)
            await transaction._do("commit")
        finally:
            await transaction._abandon(None)  # noqa: ASYNC102 - what must be shielded there is


class Resetting:
    """The pause while a session lets go."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def wait(self) -> None:
        """Roll back, or terminate."""
        session = self._session
        transaction = session._current or session._managed
        if transaction is not None:
            await transaction._reset()
        elif session._turns.first() is not None and session._tag:
            await terminate(session._store_running()[1], session._database, session._tag, Trail("reset"))
        else:
            await trio.lowlevel.checkpoint()
