"""Transactions that the unit of work of a graph session opens: they end with all that is pending, and with its hooks."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Protocol

from evsession.neo4j.transactions import TransactionConfig
from evsession.session.callbacks import Callback
from evsession.session.calls import Call
from evsession.session.events import Events
from evsession.session.gate import Turn
from evsession.session.graphs.commit import Whole
from evsession.session.graphs.home import TransactionHome
from evsession.session.graphs.parts import PARTS
from evsession.session.graphs.phase import Phase
from evsession.session.graphs.transaction import GraphTransaction
from evsession.session.operation import Operation, Steps
from evsession.session.transaction import end_after
from evsession.unitofwork.hooks import calling

__all__ = ["WorkTransaction"]


class WorkHome(TransactionHome, Protocol):
    """The session of a transaction of its unit of work."""

    _coming: GraphTransaction | None
    _current: GraphTransaction | None

    def _counting(self, *, ends: bool) -> AbstractContextManager[None]:
        """Know that something is called that ends a transaction, until it is done."""

    def _whole_of(self, transaction: GraphTransaction) -> Whole:
        """Freeze what is to be written, and return the pause that writes it when its turn comes."""

    async def _tell_rolled_back(self) -> None:
        """Call the hooks of a rollback."""


class WorkTransaction(GraphTransaction):
    """A transaction that `use_transaction` has opened, or a block, a helper, or a commit for itself alone."""

    _session: WorkHome

    def __init__(self, session: WorkHome, access: str, config: TransactionConfig, events: Events) -> None:
        super().__init__(session, access, config, events)
        self._is_assigned = True

    def commit(self, callback: Callback | None = None) -> Operation[None]:
        """Write what is pending in the session, and make that and everything else that was done in the transaction last.

        As the session's `commit`, whose hooks are called, but a failure ends the transaction: everything is pending as before.

        Raises:
            TransactionError: it has ended already, or something in it has failed (which is the cause).
            InvalidDocument: what is pending cannot be stored. Nothing has been done, and the transaction is still open.
            KeyConflict: two entities have one key; likewise.
        """
        # In a hook it is a part of the commit that calls the hook, which writes by itself what is pending.
        steps = self._commit() if calling(self._session._unit) is not None else self._commit_all()
        return Operation(self, "commit", steps, callback, 0)

    def _commit_all(self) -> Steps:
        is_second = self._phase is Phase.ACTIVE and self._asked is Phase.COMMITTED
        if not is_second:
            self._check("commit", self._asked)
        whole = self._session._whole_of(self)
        asked, self._asked = self._asked, Phase.COMMITTED
        try:
            with self._session._counting(ends=True), self._flushing() as turn:
                yield Call(partial(self._end_with, whole, turn, is_second=is_second))
                return ()
        finally:
            whole.close()
            self._take_back(asked)

    async def _end_with(self, whole: Whole, turn: Turn, *, is_second: bool) -> None:
        """Write and commit when the turn comes; whatever goes wrong ends the transaction."""
        session = self._session
        try:
            await turn.wait()
            if is_second:
                self._shared()
            elif self._phase is not Phase.COMMITTED:
                self._check("commit", self._phase)
            # After an end that was called before, what has been added since is left to the next transaction, if there is one.
            if self._phase is Phase.ACTIVE or (session._coming is None and session._current is None):
                await whole.wait()
        except BaseException as error:
            await self._abandon_telling(error)  # noqa: ASYNC102 - what must be shielded there is
            raise

    def _roll_back(self, verb: str) -> Steps:
        results = yield from super()._roll_back(verb)
        if self._is_undone and PARTS.get() is not self:  # the session tells of what is a part of its own rollback
            yield Call(self._session._tell_rolled_back)
        return results

    async def _abandon_telling(self, error: BaseException) -> None:
        """Roll back, and call the hooks of that, unless it has ended."""
        was_open = self._phase in (Phase.ACTIVE, Phase.TERMINATED)
        await self._abandon(error)
        if was_open and self._phase is Phase.ROLLED_BACK:
            await end_after(self._session._tell_rolled_back, error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            await self._abandon_telling(error)  # noqa: ASYNC102 - what must be shielded there is
        else:
            await super().__aexit__(kind, error, traceback)  # noqa: ASYNC102 - what must be shielded there is
