"""What streams and bulk inserts share: an exchange that is used in pieces, with a limit for each wait and failures told once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from evsession.errors import OperationTimeout, SessionError
from evsession.session.operation import Owner
from evsession.wire.transport import Exchange, Trail, WireEvent

__all__ = ["Streaming"]

T = TypeVar("T")


class Streaming:
    """One exchange in pieces. Once it has failed or ended, the exchange is gone."""

    name: str

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._runtime, self._transport = owner._running()
        self._trail = Trail(self.name, self._observe if owner._events.observes else None)
        self._exchange: Exchange | None = None

    async def _wait(self, step: Callable[[], Awaitable[T]]) -> T:
        """Do one step within the time limit."""
        timeout = self._owner.options.timeout
        if timeout is None:
            return await step()
        with trio.move_on_after(timeout):
            return await step()
        raise OperationTimeout(f"{self.name} waited for the server for more than {timeout} s")

    @asynccontextmanager
    async def _guarded(self, *, writes: bool = False) -> AsyncIterator[None]:
        """End the exchange if the body fails; a failure gets the facts known here."""
        try:
            yield
        except BaseException as error:
            self.close()
            if isinstance(error, SessionError):
                error.operation = error.operation or self.name
                error.url = error.url or self._trail.url
                error.uncertain = error.uncertain or (writes and self._trail.sent)
            raise

    def _observe(self, event: WireEvent) -> None:
        for handler in self._owner._events.pick(event.name):
            self._runtime.call(self._owner._gate, self._owner._events, handler, event)

    def _tell(self, error: SessionError) -> None:
        """Tell the handlers of a failure."""
        for handler in self._owner._events.pick_for(error):
            self._runtime.call(self._owner._gate, self._owner._events, handler, error)

    def close(self) -> None:
        """Drop the connection unless everything was read. Never waits."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.close()
