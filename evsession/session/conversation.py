"""What every session is: open until it is closed, with settings and handlers of its own and a count of what is under way.

Knows when a session may be used and what its end waits for. What sessions do is known to those that inherit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakSet

from evsession.config import Held, SessionOptions
from evsession.errors import SessionClosed
from evsession.session.callbacks import Callback
from evsession.session.events import Events, Listening
from evsession.session.gate import Gate
from evsession.session.operation import Operation, Owner, Steps
from evsession.session.rows import Rows
from evsession.session.runtime import Runtime
from evsession.wire.transport import Transport

__all__ = ["Conversation", "Running"]

S = TypeVar("S", bound="Conversation")

Running = Callable[[], tuple[Runtime, Transport]]
"""Returns what a store runs on, or raises SessionClosed."""


class Conversation(Listening):
    """One program's dealings with one database; `Session` and `GraphSession` are made of it."""

    options = Held(SessionOptions)

    def __init__(self, *, options: SessionOptions, events: Events, gate: Gate, running: Running) -> None:
        self.options = options
        self._events = events
        self._gate = gate
        self._is_open = True
        self._store_running = running
        self._streams: WeakSet[Rows[Any]] = WeakSet()

    async def drain(self) -> None:
        """Wait until the session has nothing in flight: no operation, callback or handler.

        Called in a callback, it waits for everything but that callback. Cancelling it only stops the waiting.

        Raises:
            TransactionError: a hook, or the work of a transaction, would wait for what waits for it.
        """
        self._refuse_end("drain", None)
        await self._gate.wait()

    def close(self, callback: Callback | None = None) -> Operation[None]:
        """Wait for what is in flight, then close; `aclose` as an operation, for programs of callbacks.

        With a callback a hook may call it: then the session closes after the commit that calls the hook.
        """
        return _Closing(self).start(callback)

    async def aclose(self) -> None:
        """Wait for what is in flight, then close. Closing again does nothing. Unsaved changes are forgotten.

        Raises:
            TransactionError: a hook, or the work of a transaction, would wait for what waits for it. The session stays open.
        """
        self._refuse_end("aclose", None)
        await self._end()

    def _operate(
        self, owner: Owner, name: str, steps: Steps, callback: Callback | None, width: int, *, timed: bool = True
    ) -> Operation[Any]:
        """Return an operation that may have to wait for what calls it."""
        return Operation(owner, name, steps, callback, width, timed=timed)

    def _refuse_end(self, name: str, callback: Callback | None) -> None:
        """Raise TransactionError where waiting for the session's end would be waiting for oneself."""

    async def _end(self) -> None:
        """Wait for what is in flight, then close."""
        try:
            if self._is_open:
                await self._gate.wait()
        finally:
            self._is_open = False
            self._let_go()

    def _let_go(self) -> None:
        """Drop at once what the session still holds."""
        for stream in list(self._streams):
            stream.cut_off()

    async def __aenter__(self: S) -> S:
        self._check_open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _check_open(self) -> None:
        if not self._is_open:
            raise SessionClosed("this session is closed; open another one")

    def _running(self) -> tuple[Runtime, Transport]:
        self._check_open()
        return self._store_running()


class _Closing:
    """The end of a session as an operation: its owner, since a closed session can be closed again, and its pause."""

    _operation: Operation[None]

    def __init__(self, session: Conversation) -> None:
        self._session = session
        self._events = session._events
        self._gate = session._gate
        self.options = session.options

    def _running(self) -> tuple[Runtime, Transport]:
        return self._session._store_running()

    def start(self, callback: Callback | None) -> Operation[None]:
        """Return the operation."""
        self._operation = self._session._operate(self, "close", self._steps(callback), callback, 0, timed=False)
        return self._operation

    def _steps(self, callback: Callback | None) -> Steps:
        self._session._refuse_end("close", callback)
        yield self
        return ()

    async def wait(self) -> None:
        """Close the session when nothing else is under way."""
        self._operation.stop_counting()
        await self._session._end()
