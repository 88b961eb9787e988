"""Sessions that never wait for themselves: what the program's own functions must not wait for while a session waits for them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from evsession.errors import TransactionError
from evsession.session.callbacks import Callback
from evsession.session.conversation import Conversation
from evsession.session.operation import Operation, Owner, Steps
from evsession.session.works import works_of
from evsession.unitofwork.hooks import Calling, calling, calling_now
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["Waiting"]


class Later(Operation[Any]):
    """An operation that a hook has called with a callback: it waits for the commit that waits for the hook."""

    __slots__ = ("_hook",)

    def __init__(
        self, call: Calling, owner: Owner, name: str, steps: Steps, callback: Callback | None, width: int, *, timed: bool
    ) -> None:
        super().__init__(owner, name, steps, callback, width, timed=timed)
        self._hook = call

    def __await__(self) -> Generator[Any, Any, Any]:
        if calling_now(self._hook):
            raise TransactionError(
                f"{self.name}() that is awaited in a hook, or returned by it, would wait for the commit that calls the hook;"
                " its callback is called after that commit"
            )
        return super().__await__()


class Waiting(Conversation):
    """Knows what a session waits for: hooks, and the work of transactions."""

    _unit: UnitOfWork[Any]

    def _operate(
        self, owner: Owner, name: str, steps: Steps, callback: Callback | None, width: int, *, timed: bool = True
    ) -> Operation[Any]:
        call = calling(self._unit)
        if call is None:
            return super()._operate(owner, name, steps, callback, width, timed=timed)
        return Later(call, owner, name, steps, callback, width, timed=timed)

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
