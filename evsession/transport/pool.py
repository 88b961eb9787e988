"""Which connection serves whom. Decides synchronously; knows neither HTTP nor how connections are opened.

A *slot* is the right to have a connection open; there are as many as `size`. Whoever holds a slot gives it back once, with the
connection (`release`) or without (`free`). A free slot or an idle connection never coexists with a waiter: it is handed over
in the moment it comes back, so the queue is first come, first served.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import outcome
import trio

from evsession.errors import SessionClosed

__all__ = ["Pool"]


class Pooled(Protocol):
    """What the pool needs of a connection; `idle_since` is the pool's to write."""

    idle_since: float

    def close(self) -> None:
        """Close at once."""


C = TypeVar("C", bound=Pooled)


class Pool(Generic[C]):
    """Idle connections, most recently used first, and the queue of those who wait for one."""

    def __init__(self, size: int, keepalive_expiry: float | None) -> None:
        self._size = size
        self._expiry = math.inf if keepalive_expiry is None else keepalive_expiry
        self._idle: deque[C] = deque()
        self._busy: set[C] = set()
        self._slots = size
        self._waiters: OrderedDict[trio.lowlevel.Task, None] = OrderedDict()
        self._token: trio.lowlevel.TrioToken  # of whoever waited last
        self.closed = False

    def __repr__(self) -> str:
        taken = self._size - self._slots
        connecting = taken - len(self._busy) - len(self._idle)
        return (
            f"<Pool {'closed, ' if self.closed else ''}{taken} of {self._size} slots taken: {len(self._busy)} busy, "
            f"{len(self._idle)} idle, {connecting} connecting; {len(self._waiters)} waiting>"
        )

    def acquire_nowait(self) -> C | None:
        """Return the most recently used idle connection, or None for a slot to open one in.

        Raises:
            trio.WouldBlock: if all slots are taken.
            SessionClosed: after `close`.
        """
        if self.closed:
            raise SessionClosed("the store is closed")
        if self._idle:
            connection = self._idle.pop()
            self._busy.add(connection)
            return connection
        if self._slots:
            self._slots -= 1
            return None
        raise trio.WouldBlock

    async def wait(self) -> C | None:
        """Wait in line for what `acquire_nowait` could not give. Cancellation leaves the line."""
        self._token = trio.lowlevel.current_trio_token()
        task = trio.lowlevel.current_task()
        self._waiters[task] = None

        def leave(_: object) -> trio.lowlevel.Abort:
            del self._waiters[task]
            return trio.lowlevel.Abort.SUCCEEDED

        handed: C | None = await trio.lowlevel.wait_task_rescheduled(leave)
        return handed

    def adopt(self, connection: C) -> None:
        """Note a connection that was opened in a slot.

        Raises:
            SessionClosed: if the pool was closed meanwhile; connection and slot are still the caller's to give up.
        """
        if self.closed:
            raise SessionClosed("the store was closed")
        self._busy.add(connection)

    def replace(self, connection: C, *, by_new: bool) -> C | None:
        """Give up a connection that is closed for the next idle one, or (None) for its slot to open a new one in."""
        self._busy.discard(connection)
        if by_new or not self._idle:
            return None
        self._slots += 1  # nobody waits while a connection is idle
        return self.acquire_nowait()

    def release(self, connection: C) -> None:
        """Take back a connection that is fit for another request, and its slot."""
        connection.idle_since = now = trio.current_time()
        if self.closed:
            connection.close()
            self.free(connection)
        elif self._waiters:
            self._hand_over(connection)
        else:
            self._busy.discard(connection)
            self._idle.append(connection)
            if self._idle[0].idle_since + self._expiry <= now:
                self._close_expired(now)

    def free(self, connection: C | None = None) -> None:
        """Take back a slot whose connection is closed or was never opened."""
        if connection is not None:
            self._busy.discard(connection)
        if not self._waiters:
            self._slots += 1
        elif trio.lowlevel.in_trio_run():
            self._hand_over(None)
        else:  # the garbage collector found a forgotten exchange while another thread was running
            self._token.run_sync_soon(self.free)

    def is_fresh(self, connection: C) -> bool:
        """Return whether the connection was not idle for too long."""
        return trio.current_time() < connection.idle_since + self._expiry

    def drop_idle(self, is_unwanted: Callable[[C], bool]) -> None:
        """Close the idle connections that are unwanted."""
        unwanted = [connection for connection in self._idle if is_unwanted(connection)]
        self._idle = deque(connection for connection in self._idle if not is_unwanted(connection))
        for connection in unwanted:
            connection.close()
            self._slots += 1

    def close(self) -> None:
        """Close every connection, wake everybody who waits with `SessionClosed`. Nothing can be acquired any more."""
        self.closed = True
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._slots += len(self._idle)
        self._idle.clear()
        while self._waiters:
            task, _ = self._waiters.popitem(last=False)
            trio.lowlevel.reschedule(task, outcome.Error(SessionClosed("the store was closed")))

    def _hand_over(self, connection: C | None) -> None:
        task, _ = self._waiters.popitem(last=False)
        trio.lowlevel.reschedule(task, outcome.Value(connection))

    def _close_expired(self, now: float) -> None:
        while self._idle and self._idle[0].idle_since + self._expiry <= now:
            self._idle.popleft().close()
            self._slots += 1
