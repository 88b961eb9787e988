"""Which transaction what is called on a graph session belongs to: the open one, one that is coming, or one of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trio

from evsession.errors import TransactionError
from evsession.session.gate import Turn
from evsession.session.graphs.alone import Ending
from evsession.session.graphs.mapper import NodePicture
from evsession.session.graphs.phase import Phase
from evsession.session.graphs.transaction import GraphTransaction
from evsession.session.operation import Operation, Steps
from evsession.session.working import Working
from evsession.session.works import works_of
from evsession.unitofwork.hooks import calling

__all__ = ["GraphOpenings"]


class GraphOpenings(Working[NodePicture]):
    """The transactions of a unit of work of nodes: opened by the program, or by a commit for itself alone."""

    _coming: GraphTransaction | None
    _current: GraphTransaction | None
    _enders: int
    _is_ending: bool

    def _start_working(self) -> None:
        self._freed, self._lost = trio.Event(), 0
        super()._start_working()

    @abstractmethod
    def _new_work_transaction(self) -> GraphTransaction:
        """Return a transaction that begins with its first statement."""

    def _latest(self) -> GraphTransaction | None:
        """Return the transaction of what is called now; one that is coming waits for the commit or work that this is part of."""
        coming = self._coming
        is_meant = coming is not None and coming._is_assigned and not self._is_awaited()
        return coming if is_meant else self._current

    def _is_awaited(self) -> bool:
        """Return whether this is part of what others wait for: a hook of a commit, or the work of a managed transaction."""
        return calling(self._unit) is not None or any(work.keeps_turn for work in works_of(self))

    def _work_transaction(self) -> GraphTransaction:
        return self._current if self._unit.journal is not None and self._current else self._open_work(_is_own=True)

    def _open_work(self, *, _is_own: bool) -> GraphTransaction:
        self._unit.journal = {}
        self._current = transaction = self._new_work_transaction()
        transaction._is_own = _is_own
        return transaction

    def _become_current(self, transaction: GraphTransaction) -> None:
        self._current, self._unit.journal = transaction, {}
        transaction._is_coming, transaction._after = False, None
        self._coming = None if self._coming is transaction else self._coming

    def _stay_open(self) -> None:
        """Give up what was to begin after the end of a transaction that is not to end any more."""
        while self._coming is not None and not self._enders:
            after = self._coming._after
            if after is None or after._is_own or not after.is_open:
                return
            self._coming._move(Phase.ROLLED_BACK)

    @contextmanager
    def _counting(self, *, ends: bool) -> Iterator[None]:
        """Know that something is called that ends a transaction, until it is done."""
        self._enders += ends
        self._is_ending = self._is_ending or ends
        try:
            yield
        finally:
            self._enders -= ends
            self._is_ending = self._is_ending and self._enders > 0
            if ends:
                self._stay_open()
                self._freed.set()
                self._freed = trio.Event()

    async def _free(self) -> None:
        if self._is_awaited():
            return  # that would be waiting for oneself; it is refused, or shares what there is
        while self._is_ending:
            await self._freed.wait()

    def _place_before(self, transaction: GraphTransaction) -> Turn | None:
        """Return the turn of what is to begin when the transaction has ended, and waits for that."""
        place, later = None, self._coming
        while later is not None and later is not transaction:
            place, later = later._place or place, later._after
        return place if later is transaction else None

    def _open_later(self, transaction: GraphTransaction) -> Steps:
        """Let a transaction begin after what was called before; what is called in it waits for that."""
        first, turn = transaction._turns.take(), self._turns.take()
        transaction._place = turn
        try:
            yield turn
            while self._current is not None and not self._current.is_open:
                yield Ending(self._current)
            if self._is_open and self._current is None and transaction._phase is Phase.ACTIVE:
                self._become_current(transaction)
            return ()
        finally:
            if self._current is not transaction:
                transaction._move(Phase.ROLLED_BACK)
            transaction._place = None
            turn.release()
            first.release()

    def use_transaction(self) -> GraphTransaction:  # type: ignore[override]  # it has other verbs than one on documents
        """Open a transaction, or return the one that this has opened; it ends with `commit` or `rollback`.

        While something is under way that was called before and does not run in the open one, such as a commit, or a statement
        with a transaction of its own, it is one that begins after that.

        The result is a `GraphTransaction`, which begins on the server with its first statement. While it is open, `flush` writes
        into it, and `run` of the session runs in it and sees that. Its own `commit`, or leaving ``async with`` it, writes what is
        pending in the session before it commits; hooks are called as by the session's `commit` and `rollback`.

        Raises:
            TransactionError: a transaction from `begin_transaction` is open, which is not harmed: its commit writes nothing by
                itself. Or called in the work of a managed transaction.
        """
        self._check_open()
        self._check_turn("use_transaction")
        if calling(self._unit) is not None:
            return self._current if self._unit.journal is not None and self._current else self._open_work(_is_own=False)
        latest = self._coming or self._current
        if latest is not None and latest.is_open and not latest._is_own and not self._is_ending:
            if not latest._is_assigned:
                raise TransactionError(
                    "a transaction of begin_transaction() is open in this session; use that one, end it, or take another session",
                    operation="use_transaction",
                )
            return latest
        if latest is None and self._turns.first() is None:
            return self._open_work(_is_own=False)
        transaction = self._coming = self._new_work_transaction()
        transaction._is_coming, self._is_ending = True, False
        transaction._after = latest
        Operation(self, "use_transaction", self._open_later(transaction), lambda error: None, 0, timed=False)
        return transaction

    @property
    def assigned_transaction(self) -> Any:
        """The open transaction, or None; that of a commit is nobody's but of its hooks."""
        transaction = self._latest()
        if transaction is self._coming:
            return transaction
        is_hidden = transaction is not None and transaction._is_own and calling(self._unit) is None
        return None if self._unit.journal is None or is_hidden else transaction

    def has_transaction(self) -> bool:
        """Return whether a transaction is open."""
        return self.assigned_transaction is not None

    def _rollback_steps(self) -> Steps:
        with self._counting(ends=True):
            return (yield from super()._rollback_steps())
