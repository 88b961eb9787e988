"""Transactions of a session: the object that programs hold, and the block that ends one.

Knows a session's verbs. What a transaction is on the server, if anything, is the session's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Protocol

import msgspec
import trio

from evsession.errors import TransactionError
from evsession.session.callbacks import Callback
from evsession.session.operation import Operation

__all__ = ["Capabilities", "Transaction", "TransactionBlock", "end_after"]


class Capabilities(msgspec.Struct, frozen=True):
    """What the database behind a session can do.

    Attributes:
        interactive_transactions: Whether a transaction lives on the server from its first statement to its end. RavenDB has none
            over HTTP: `flush` keeps the writes in the session, and `commit` sends them as one atomic batch.
        reads_own_writes: Whether loads and queries in a transaction see what it has flushed.
    """

    interactive_transactions: bool
    reads_own_writes: bool


class Transactional(Protocol):
    """What a transaction needs of its session."""

    @property
    def assigned_transaction(self) -> Transaction | None:
        """The open transaction."""

    def use_transaction(self) -> Transaction:
        """Open a transaction."""

    def _refuse_in_hook(self, name: str, callback: Callback | None) -> None:
        """Raise TransactionError if a hook calls."""

    async def _free(self) -> None:
        """Wait until what was called before, and ends a transaction, has ended."""

    def commit(self, callback: Callback | None = None) -> Operation[Any]:
        """Write what is pending and end the transaction."""

    def rollback(self, callback: Callback | None = None) -> Operation[None]:
        """End the transaction without writing."""


class Transaction:
    """An open transaction of a session. Everything that its session can do, it can: ``tx.load``, ``tx.add``, ``tx.query``.

    When it has ended, all of that raises `TransactionError`.

    Attributes:
        session: The session.
    """

    def __init__(self, session: Any) -> None:
        self.session = session
        self._is_committed = False

    @property
    def is_open(self) -> bool:
        """Whether it has neither been committed nor rolled back."""
        return self.session.assigned_transaction is self

    @property
    def staged(self) -> int:
        """How many entities flushes have staged."""
        journal = self.session._unit.journal
        return len(journal) if self.is_open and journal else 0

    def commit(self, callback: Callback | None = None) -> Operation[Any]:
        """Write what is pending in the session, and end the transaction.

        Raises:
            TransactionError: it has ended.
        """
        self._check_open()
        operation: Operation[Any] = self.session.commit(callback)
        return operation

    def rollback(self, callback: Callback | None = None) -> Operation[None]:
        """End the transaction; what it flushed is pending again. See the session's `rollback`.

        Raises:
            TransactionError: it has ended.
        """
        self._check_open()
        operation: Operation[None] = self.session.rollback(callback)
        return operation

    def _check_open(self) -> None:
        if not self.is_open:
            raise TransactionError("this transaction has ended; open another one with session.use_transaction()")

    def __getattr__(self, name: str) -> Any:
        if name[:1] == "_" or name == "session":
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        found = getattr(self.session, name)
        self._check_open()
        return found

    def __repr__(self) -> str:
        return f"<Transaction {'open' if self.is_open else 'ended'}, {self.staged} staged>"


class TransactionBlock:
    """``async with session.transaction():`` commits at the end, or rolls back and lets the exception through."""

    def __init__(self, session: Transactional) -> None:
        self._session = session
        self._transaction: Transaction | None = None

    async def __aenter__(self) -> Transaction:
        self._session._refuse_in_hook("transaction", None)
        await self._session._free()
        if self._session.assigned_transaction is not None:
            raise TransactionError("a transaction is open in this session already; transactions do not nest")
        self._transaction = self._session.use_transaction()
        return self._transaction

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assigned = self._session.assigned_transaction
        if assigned is not self._transaction and (assigned is not None or error is not None or not self.is_committed):
            return  # the block has ended it
        if error is None:  # also after a commit in the block, which may have gone on
            try:
                await self._session.commit()  # noqa: ASYNC102 - on the way out of a block that was not cancelled
            except BaseException as failure:
                await self._undo(failure)  # noqa: ASYNC102 - it shields
                raise
        else:
            await self._undo(error)  # noqa: ASYNC102 - it shields

    @property
    def is_committed(self) -> bool:
        """Whether the block's transaction has been committed."""
        return self._transaction is not None and self._transaction._is_committed

    async def _undo(self, error: BaseException) -> None:
        if self._session.assigned_transaction is self._transaction:
            await end_after(self._session.rollback, error)


async def end_after(end: Callable[[], Awaitable[object]], error: BaseException) -> None:
    """End something because of an error, also when cancelled; what goes wrong with it must not hide the error."""
    with trio.CancelScope(shield=True):
        try:
            await end()
        except Exception as failure:
            failure.__context__, error.__context__ = error.__context__, failure
