"""Counting what is under way, and waiting until it has ended; and the turns that writers take."""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar

import trio

__all__ = ["Gate", "Pass", "Turn", "Turns"]


class Gate:
    """How much is under way in a session or store, and how much of that waits for the rest. A session's counts in its store's."""

    __slots__ = ("_lot", "_parent", "count", "waiting")

    def __init__(self, parent: Gate | None = None) -> None:
        self.count = 0
        self.waiting = 0
        self._parent = parent
        self._lot = trio.lowlevel.ParkingLot()

    def enter(self) -> None:
        """Count one more."""
        self.count += 1
        if self._parent is not None:
            self._parent.enter()

    def leave(self) -> None:
        """Count one less, and wake who waits for the last one."""
        self.count -= 1
        if self._lot and self.count <= self.waiting:
            self._lot.unpark_all()
        if self._parent is not None:
            self._parent.leave()

    def hold_back(self, change: int) -> None:
        """Count how many of those under way wait for the others."""
        self.waiting += change
        if self._lot and self.count <= self.waiting:
            self._lot.unpark_all()
        if self._parent is not None:
            self._parent.hold_back(change)

    def pass_outside(self) -> Pass:
        """Return a pass that counts in the store only."""
        return Pass(self._parent or self)

    async def wait(self) -> None:
        """Wait until nothing is under way; in a callback, until nothing is but callbacks that wait like this one."""
        inside = INSIDE.get()
        await trio.lowlevel.checkpoint()
        if inside is None:
            while self.count:
                await self._lot.park()
            return
        inside.begin_waiting()
        try:
            while self.count > self.waiting:
                await self._lot.park()
        finally:
            inside.end_waiting()


class Pass:
    """One thing under way; given back exactly once."""

    __slots__ = ("_gate", "_waits", "_work")

    def __init__(self, gate: Gate) -> None:
        gate.enter()
        self._gate: Gate | None = gate
        self._work = work = WORK_GATE.get()
        self._waits = 0
        if work is not None:
            work.enter()

    def begin_waiting(self) -> None:
        """Count as waiting for the others: those that wait likewise do not wait for this one."""
        self._waits += 1
        if self._gate is not None and self._waits == 1:
            self._gate.hold_back(1)

    def end_waiting(self) -> None:
        """Count as one of the others again."""
        self._waits -= 1
        if self._gate is not None and self._waits == 0:
            self._gate.hold_back(-1)

    def give_back(self) -> None:
        """Stop counting."""
        gate, self._gate = self._gate, None
        assert gate is not None
        if self._waits:  # for what it has called and not waited for
            gate.hold_back(-1)
        gate.leave()
        if self._work is not None:
            self._work.leave()


WORK_GATE: ContextVar[Gate | None] = ContextVar("evsession gate of a work", default=None)
"""Counts what the work that this is part of has called, and what that has; see `evsession.session.works`."""

INSIDE: ContextVar[Pass | None] = ContextVar("evsession callback", default=None)
"""The pass of the asynchronous callback that runs here. One that waits for its session's end must not wait for itself."""


class Turn:
    """A writer's place in the queue of its session."""

    __slots__ = ("_event", "_has_left", "_left", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._event: trio.Event | None = None
        self._has_left = False
        self._left: trio.Event | None = None

    async def wait(self) -> None:
        """Wait until every writer that was called before has ended."""
        if self._turns.first() is not self:
            self._event = trio.Event()
            await self._event.wait()

    async def wait_left(self) -> None:
        """Wait until this writer has ended."""
        if not self._has_left:
            if self._left is None:
                self._left = trio.Event()
            await self._left.wait()

    def release(self) -> None:
        """Leave the queue, from any place in it."""
        self._turns.leave(self)
        self._has_left = True
        if self._left is not None:
            self._left.set()

    def call(self) -> None:
        """Let the writer run."""
        if self._event is not None:
            self._event.set()


class Turns:
    """The writers of one session in call order; trio starts tasks in any order, so the place is taken when the call is made."""

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: deque[Turn] = deque()

    def take(self, before: Turn | None = None) -> Turn:
        """Join the queue, at its end or before somebody for whom this is done."""
        turn = Turn(self)
        if before is None:
            self._queue.append(turn)
        else:
            self._queue.insert(self._queue.index(before), turn)
        return turn

    def first(self) -> Turn | None:
        """Return whose turn it is."""
        return self._queue[0] if self._queue else None

    def all(self) -> list[Turn]:
        """Return the writers that have not ended, in call order."""
        return list(self._queue)

    def is_next(self, turn: Turn) -> bool:
        """Return whether it need not wait."""
        return self._queue[0] is turn

    def leave(self, turn: Turn) -> None:
        """Take the writer out of the queue and call the next one."""
        self._queue.remove(turn)
        if self._queue:
            self._queue[0].call()
