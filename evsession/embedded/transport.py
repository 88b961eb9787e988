"""A transport without a network: requests are answered by the embedded server in this process, in worker threads.

Knows trio and the server as a function; knows no document. To a session it looks like HTTP: the same events, the same honesty
about what was cut off. A request that has been handed to the server runs to its end, whoever stops waiting for it.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

import trio

from evsession.config import Options
from evsession.embedded.app import App, Conversation
from evsession.errors import ConfigurationError, ConnectionFailed, ProtocolError, SessionClosed, SessionError
from evsession.wire.json import encode
from evsession.wire.message import Request, Response
from evsession.wire.transport import Trail, WireEvent

__all__ = ["EmbeddedExchange", "EmbeddedTransport"]

T = TypeVar("T")

URL = "http://embedded"
"""What errors and events name as the server; nothing listens there."""

THREADS = 16
"""Requests that are worked on at once; more would only wait for each other. Further ones wait in line."""


class EmbeddedTransport:
    """Implements `evsession.wire.transport.Transport` over an `App`. Opens no port.

    Args:
        source: The path of a file, opened by `start` and closed by `aclose`; None for memory, which lasts as long as this object;
            or an `App` that somebody else opens and closes.
        options: `max_body_size` counts here, as it does over a network.
    """

    def __init__(self, source: App | str | os.PathLike[str] | None, options: Options | None = None) -> None:
        self._is_own = not isinstance(source, App)
        self._app: App | None = source if isinstance(source, App) else None
        self._path = None if isinstance(source, App) else source
        self._options = options or Options()
        self._threads = trio.CapacityLimiter(THREADS)
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<EmbeddedTransport on {'memory' if self._path is None else os.fspath(self._path)}>"

    def __del__(self) -> None:
        if self._is_own and self._app is not None:
            self._app.close()

    async def start(self, database: str) -> None:
        """Open the file, and create the database if there is none of this name.

        Raises:
            ConfigurationError: the file cannot be opened, or the database not be created.
        """
        self._is_closed = False
        self._threads = trio.CapacityLimiter(THREADS)  # a thread that outlived another run of trio gives nothing back
        await trio.to_thread.run_sync(self.prepare, database)

    def prepare(self, database: str) -> None:
        """Do what `start` does, in any thread."""
        if self._app is None:
            self._app = App(self._path)
        target = f"/admin/databases?{urlencode({'name': database})}"
        made = self._app.answer(Request("PUT", target, encode({"DatabaseName": database}), writes=True))
        if made.status not in (201, 409):
            raise ConfigurationError(f"the embedded server cannot make the database {database!r}: {made.body.decode()}")

    async def send(self, request: Request, trail: Trail) -> Response:
        """Return the whole response, whatever its status.

        Raises:
            SessionClosed: the transport is closed.
            ProtocolError: the answer is larger than `max_body_size`.
        """
        app = self._begin(request, trail)
        begun = trio.current_time()
        turn: Any = _Turn(self._threads, trail)
        response = await trio.to_thread.run_sync(app.answer, request, abandon_on_cancel=True, limiter=turn)
        self._tell_answer(request, trail, response, begun)
        self._check_size(len(response.body), request, trail)
        return response

    async def open(self, request: Request, trail: Trail, *, streams_body: bool = False) -> EmbeddedExchange:
        """Begin an exchange in pieces; failures are those of `send`."""
        app = self._begin(request, trail)
        exchange = EmbeddedExchange(self, app, request, trail)
        if not streams_body:
            try:
                await exchange.finish()
            except BaseException:
                exchange.close()
                raise
        return exchange

    async def aclose(self) -> None:
        """Close the file once what was handed to the server is done. May be called again; another's `App` is left alone."""
        self._is_closed = self._is_own
        if self._is_own and self._path is not None and self._app is not None:
            app, self._app = self._app, None
            await trio.to_thread.run_sync(app.close)
        else:
            await trio.lowlevel.checkpoint()

    def _begin(self, request: Request, trail: Trail) -> App:
        trail.url = URL + request.target
        if self._is_closed or self._app is None:
            raise _told(SessionClosed("the store is closed"), request, trail)
        if trail.observe is not None:
            trail.observe(WireEvent("request", trail.operation, request.method, trail.url))
        return self._app

    def _check_size(self, size: int, request: Request, trail: Trail) -> None:
        if size > (limit := self._options.max_body_size):
            raise _told(ProtocolError(f"the body is larger than max_body_size, {limit} bytes"), request, trail)

    def _tell_answer(self, request: Request, trail: Trail, response: Response, begun: float) -> None:
        trail.answered = True
        if trail.observe is not None:
            took = trio.current_time() - begun
            trail.observe(
                WireEvent("response", trail.operation, request.method, trail.url or "", 1, response.status, duration=took)
            )


class EmbeddedExchange:
    """Implements `evsession.wire.transport.Exchange` over a `Conversation`; made by `EmbeddedTransport.open`.

    A step that was cancelled goes on in its thread; what it leaves is dropped when it ends. An exchange that is left to the
    garbage collector is closed and warns.
    """

    def __init__(self, transport: EmbeddedTransport, app: App, request: Request, trail: Trail) -> None:
        self._transport = transport
        self._request = request
        self._trail = trail
        self._app = app
        self._talk: Conversation | None = None
        self._head: Response | None = None
        self._begun = trio.current_time()
        self._is_over = False
        self._in_step = threading.Lock()

    def __repr__(self) -> str:
        return f"<EmbeddedExchange {self._request.method} {self._trail.url}: {'closed' if self._is_over else 'open'}>"

    def __del__(self) -> None:
        if not self._is_over:
            forgotten = f"{self!r} was never read to its end or closed"
            self.close()
            warnings.warn(forgotten, ResourceWarning, source=self, stacklevel=2)

    async def send(self, data: bytes) -> bool:
        """Send a piece of the request's body; False when the server has answered already and wants no more of it."""
        return await self._step(lambda talk: talk.send(data))

    async def finish(self) -> Response:
        """End the request's body and return the response's head."""
        if self._head is None:
            self._head = await self._step(lambda talk: talk.finish())
            self._transport._tell_answer(self._request, self._trail, self._head, self._begun)
        return self._head

    async def receive(self) -> bytes:
        """Return the next piece of the response's body, ``b""`` at its end."""
        await self.finish()
        if self._is_over:
            await trio.lowlevel.checkpoint()
            return b""
        piece = await self._step(lambda talk: talk.receive())
        if not piece:
            self.close()
        return piece

    async def read(self) -> bytes:
        """Return the rest of the response's body, within the limit for bodies."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.receive():
            size += len(piece)
            try:
                self._transport._check_size(size, self._request, self._trail)
            except ProtocolError:
                self.close()
                raise
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Drop what is left at once, without waiting. Does nothing once the exchange is over."""
        self._is_over = True
        self._drop()

    async def _step(self, act: Callable[[Conversation], T]) -> T:
        if self._is_over:
            raise _told(SessionClosed("the exchange is over"), self._request, self._trail)
        turn: Any = _Turn(self._transport._threads, self._trail)
        try:
            return await trio.to_thread.run_sync(self._act, act, abandon_on_cancel=True, limiter=turn)
        except BaseException:  # the half of a step cannot be gone on from
            self.close()
            raise

    def _act(self, act: Callable[[Conversation], T]) -> T:
        try:
            with self._in_step:
                if self._talk is None:
                    self._talk = self._app.open(self._request)
                return act(self._talk)
        except Exception as error:
            raise _told(ConnectionFailed(f"the answer broke off: {error}"), self._request, self._trail) from error
        finally:
            if self._is_over:
                self._drop()

    def _drop(self) -> None:
        """Close the conversation, unless a thread is in it, which then does it itself."""
        if self._in_step.acquire(blocking=False):
            try:
                talk, self._talk = self._talk, None
                if talk is not None:
                    talk.close()
            finally:
                self._in_step.release()


class _Turn:
    """What a thread asks before it works: a place in line. From then on the request counts as sent."""

    def __init__(self, threads: trio.CapacityLimiter, trail: Trail) -> None:
        self._threads = threads
        self._trail = trail

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        await self._threads.acquire_on_behalf_of(borrower)
        self._trail.sent = True

    def release_on_behalf_of(self, borrower: object) -> None:
        self._threads.release_on_behalf_of(borrower)


def _told(error: SessionError, request: Request, trail: Trail) -> SessionError:
    """Return the error with the facts of the request."""
    error.operation = trail.operation or None
    error.key = request.key
    error.url = trail.url
    error.uncertain = request.writes and trail.sent
    return error
