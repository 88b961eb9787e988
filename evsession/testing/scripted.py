"""A transport without a network: a test says what each request is answered with, and sees what was sent."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

import trio

from evsession.errors import ConnectionFailed, SessionClosed
from evsession.wire.json import JSON, decode, encode
from evsession.wire.message import Request, Response
from evsession.wire.transport import Trail, WireEvent

__all__ = ["Answer", "ScriptedExchange", "ScriptedTransport", "json_answer"]

Answer: TypeAlias = Response | Exception | Callable[[Request], "Response | Awaitable[Response]"]
"""A response, an exception to raise, or a plain or async function of the request that gives or raises one of these."""

URL = "http://scripted"


def json_answer(body: JSON = None, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()) -> Response:
    """Return a response with this body as JSON, or without one for None."""
    return Response(status, tuple(headers), b"" if body is None else encode(body))


class ScriptedTransport:
    """Answers requests from a script, in the order in which they are sent; the last answer may be repeated for ever.

    Give it to ``Store(transport=...)``. A request beyond the script fails as a refused connection.

    Attributes:
        requests: What was sent so far.
        is_closed: Whether the store has closed it.
    """

    def __init__(self, *answers: Answer, repeat: Answer | None = None) -> None:
        self.requests: list[Request] = []
        self.is_closed = False
        self._answers = deque(answers)
        self._repeat = repeat

    def bodies(self) -> list[JSON]:
        """Return the bodies of the requests that have one, decoded."""
        return [decode(request.body) for request in self.requests if request.body]

    async def send(self, request: Request, trail: Trail) -> Response:
        """Answer from the script."""
        if self.is_closed:
            raise SessionClosed("the transport is closed")
        await trio.lowlevel.checkpoint()
        trail.url = URL + request.target
        trail.sent = True
        self.requests.append(request)
        if trail.observe is not None:
            trail.observe(WireEvent("request", trail.operation, request.method, trail.url))
        response = await self._next(request)
        trail.answered = True
        if trail.observe is not None:
            event = WireEvent("response", trail.operation, request.method, trail.url, 1, response.status, 0.0)
            trail.observe(event)
        return response

    async def _next(self, request: Request) -> Response:
        given = self._answers.popleft() if self._answers else self._repeat
        if given is None:
            raise ConnectionFailed(f"the script has no answer to {request.method} {request.target}")
        if isinstance(given, Exception):
            raise given
        if isinstance(given, Response):
            return given
        made = given(request)
        return await made if inspect.isawaitable(made) else made

    async def open(self, request: Request, trail: Trail, *, streams_body: bool = False) -> ScriptedExchange:
        """Begin an exchange; its answer is taken from the script when the request is complete."""
        exchange = ScriptedExchange(self, request, trail)
        if not streams_body:
            await exchange.finish()
        return exchange

    async def aclose(self) -> None:
        """Refuse further requests."""
        self.is_closed = True
        await trio.lowlevel.checkpoint()


class ScriptedExchange:
    """An exchange with a `ScriptedTransport`; the body of the answer comes in pieces of `piece` bytes."""

    piece = 16

    def __init__(self, transport: ScriptedTransport, request: Request, trail: Trail) -> None:
        self._transport = transport
        self._request = request
        self._trail = trail
        self._sent: list[bytes] = []
        self._head: Response | None = None
        self._rest = b""
        self.is_closed = False

    async def send(self, data: bytes) -> bool:
        """Take a piece of the request's body."""
        await trio.lowlevel.checkpoint()
        self._trail.sent = True
        self._sent.append(data)
        return True

    async def finish(self) -> Response:
        """Return the head of the answer."""
        if self._head is None:
            request = self._request
            whole = Request(
                request.method, request.target, b"".join(self._sent) or request.body, request.headers, request.writes, request.key
            )
            response = await self._transport.send(whole, self._trail)
            self._head, self._rest = Response(response.status, response.headers), response.body
        return self._head

    async def receive(self) -> bytes:
        """Return the next piece of the answer's body."""
        await trio.lowlevel.checkpoint()
        data, self._rest = self._rest[: self.piece], self._rest[self.piece :]
        return data

    async def read(self) -> bytes:
        """Return the rest of the answer's body."""
        await trio.lowlevel.checkpoint()
        data, self._rest = self._rest, b""
        return data

    def close(self) -> None:
        """End the exchange."""
        self.is_closed = True
