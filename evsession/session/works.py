"""Functions of the program that operations wait for, and what is part of which."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import Any

import trio

from evsession.session.gate import WORK_GATE, Gate

__all__ = ["Work", "refuse_generator", "works_of"]


class Work:
    """A function of the program that an operation of a session waits for: what it awaits must not wait for that operation.

    Args:
        session: The session.
        name: The operation.
        keeps_turn: Whether what writes and what runs statements waits for the operation, too.
    """

    __slots__ = ("_ended", "_gate", "is_active", "keeps_turn", "name", "outer", "session")

    def __init__(self, session: object, name: str, *, keeps_turn: bool = False) -> None:
        self.session = session
        self.name = name
        self.keeps_turn = keeps_turn
        self.is_active = False
        self.outer: Work | None = None
        self._ended: trio.Event | None = None

    async def run(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Call the function, and let everything that it starts know what it is part of."""
        self.outer = WORK.get()
        self._gate = Gate(WORK_GATE.get())
        token = WORK.set(self)
        gate_token = WORK_GATE.set(self._gate)
        self.is_active = True
        try:
            return await function()
        finally:
            self.is_active = False
            WORK_GATE.reset(gate_token)
            WORK.reset(token)
            if self._ended is not None:
                self._ended.set()

    async def settle(self) -> None:
        """Wait until what it has called has ended, and the callbacks of that."""
        await self._gate.wait()

    async def wait(self) -> None:
        """Wait until it has ended; it has not."""
        if self._ended is None:
            self._ended = trio.Event()
        await self._ended.wait()

    def is_around(self) -> bool:
        """Return whether what asks is part of it."""
        return any(work is self for work in _works())


WORK: ContextVar[Work | None] = ContextVar("evsession work", default=None)


def refuse_generator(work: Callable[..., Any]) -> None:
    """Refuse a function whose body would never run.

    Raises:
        TypeError: it yields.
    """
    if isgeneratorfunction(work) or isasyncgenfunction(work):
        raise TypeError(f"{work!r} is a generator, whose body would not run: it must return its value")


def works_of(session: object) -> list[Work]:
    """Return the work of the session's operations that this is part of, the innermost first."""
    return [work for work in _works() if work.is_active and work.session is session]


def _works() -> Iterator[Work]:
    work = WORK.get()
    while work is not None:
        yield work
        work = work.outer
