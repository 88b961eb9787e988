"""Transactions as programs call them: opened and ended by hand, for a block, or around a function of the program.

What a commit writes, and how a rollback undoes it, is known to those that inherit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeVar, overload

from evsession.errors import ConcurrencyError
from evsession.session.callbacks import Callback
from evsession.session.calls import call_steps
from evsession.session.operation import Operation, Steps
from evsession.session.transaction import Transaction, TransactionBlock
from evsession.session.waiting import Waiting
from evsession.session.works import Work, refuse_generator

__all__ = ["Transacting"]

S = TypeVar("S", bound="Transacting")
T = TypeVar("T")


class Transacting(Waiting, ABC):
    """The open transaction of a session, and what opens and ends one."""

    _transaction: Transaction | None = None
    _transacting: Work | None = None
    """The work that the last transaction was begun for, by a call that ends it."""

    @abstractmethod
    def commit(self, callback: Callback | None = None) -> Operation[Any]:
        """Write what is pending, and end the transaction."""

    @abstractmethod
    def rollback(self, callback: Callback | None = None) -> Operation[None]:
        """End the transaction without writing."""

    def use_transaction(self) -> Transaction:
        """Open a transaction, or return the one that is open; it ends with `commit` or `rollback`.

        It costs nothing until something is flushed.
        """
        self._check_open()
        if self._unit.journal is None:
            self._unit.journal = {}
            self._transaction = Transaction(self)
        assert self._transaction is not None
        return self._transaction

    async def _free(self) -> None:
        """Wait until what was called before, and ends a transaction that a later call must not share, has ended."""

    async def _begin(self) -> Any:
        """Open a transaction for a helper."""
        return self.use_transaction()

    @property
    def assigned_transaction(self) -> Transaction | None:
        """The open transaction, or None."""
        return None if self._unit.journal is None else self._transaction

    def has_transaction(self) -> bool:
        """Return whether a transaction is open."""
        return self._unit.journal is not None

    @overload
    def transaction(self) -> TransactionBlock: ...
    @overload
    def transaction(
        self: S, work: Callable[[S], Awaitable[T]], callback: Callback | None = None, *, retries: int = 0
    ) -> Operation[T]: ...
    @overload
    def transaction(self: S, work: Callable[[S], T], callback: Callback | None = None, *, retries: int = 0) -> Operation[T]: ...
    def transaction(
        self, work: Callable[[Any], Any] | None = None, callback: Callback | None = None, *, retries: int = 0
    ) -> Operation[Any] | TransactionBlock:
        """Run `work` in a transaction: commit when it returns, roll back and re-raise when it raises.

        Without `work` it is a block: ``async with session.transaction():``.

        Args:
            work: A function of the session, plain or async; its value is the result. A plain one has ended when what it has
                called has ended, too, callbacks included.
            callback: Called with the error and the value.
            retries: How often to start again when the commit meets a `ConcurrencyError`. Before each further attempt the
                session forgets every entity (`clear`), so `work` must load what it changes.

        After a failure what `work` has added stays pending, as after any rollback, so a `work` that adds the same keys is called
        again only after a `clear()`, or it raises `KeyConflict`; with `retries` that is done.

        The transaction is that of the whole session: another task's `commit` ends it with what it has until then, so tasks
        whose work must not meet use a session each. ``options.timeout`` is for each operation in it, not for the whole.

        Raises:
            TypeError: `work` cannot be called, or is a generator; or retries without it, for a block cannot be run again.
            TransactionError: a transaction is open already; it stays open.
        """
        if work is None:
            if retries:
                raise TypeError("a block cannot be run again: retries are for transaction(work)")
            return TransactionBlock(self)
        self._refuse_in_hook("transaction", callback)
        return self._operate(self, "transaction", self._transaction_steps(work, retries), callback, 1, timed=False)

    def _transaction_steps(self, work: Callable[[Any], Any], retries: int) -> Steps:
        self._check_turn("transaction")
        if not callable(work):
            raise TypeError(f"the work of a transaction is a function of the session, not {work!r}")
        refuse_generator(work)
        if type(retries) is not int or retries < 0:
            raise ValueError(f"retries is how often to start again, not {retries!r}")
        marked = Work(self, "transaction")
        return (yield from call_steps(lambda: marked.run(lambda: self._transact(work, retries, marked))))

    async def _transact(self, work: Callable[[Any], Any], retries: int, marked: Work) -> Any:
        while True:
            block = TransactionBlock(self)
            try:
                async with block:
                    self._transacting = marked
                    value = work(self)
                    if isawaitable(value):
                        return await value
                    await marked.settle()
                    return value
            except ConcurrencyError:
                if not retries or block.is_committed:
                    raise
                retries -= 1
                self._unit.clear()
