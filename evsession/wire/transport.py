"""The seam between sessions and whatever carries their requests: a network, or a server in the same process.

Knows the shape of the exchange only. `evsession.transport` implements it over h11 and trio.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from evsession.wire.message import Request, Response

__all__ = ["Exchange", "Trail", "Transport", "WireEvent"]


class WireEvent(msgspec.Struct, frozen=True):
    """What the observation events ``"request"``, ``"response"``, ``"retry"`` and ``"failover"`` carry.

    Attributes:
        name: The event's name.
        operation: The method of the session that caused it, such as ``"load"``.
        method: The HTTP method.
        url: Where the request goes or went.
        attempt: 1 for the first time this request is sent.
        status_code: The status of the answer, on ``"response"``.
        duration: Seconds since this attempt began, on ``"response"``, ``"retry"`` and ``"failover"``.
        error: Why the attempt before failed, on ``"retry"`` and ``"failover"``.
    """

    name: str
    operation: str
    method: str
    url: str
    attempt: int = 1
    status_code: int | None = None
    duration: float | None = None
    error: Exception | None = None


class Trail:
    """What became of one request, written by the transport while it works, so that a cut-off outcome can be told honestly.

    Attributes:
        operation: The name of the operation, for events.
        url: Where the request went last, or None before a node was chosen.
        sent: Whether any byte of the request may have reached a server.
        answered: Whether the head of an answer has come.
        observe: Called with each `WireEvent`, or None when nobody listens.
    """

    __slots__ = ("answered", "observe", "operation", "sent", "url")

    def __init__(self, operation: str = "", observe: Callable[[WireEvent], None] | None = None) -> None:
        self.operation = operation
        self.url: str | None = None
        self.sent = False
        self.answered = False
        self.observe = observe


class Exchange(Protocol):
    """One request and its response in pieces. Not for use by two tasks at once.

    The body of the request: any number of `send`, then `finish`, which returns the head of the response. The server may answer
    before the body is complete; then `send` raises, or `finish` returns, whichever notices first, and nothing more is sent.
    The body of the response: `receive` until it returns ``b""``. `aclose` (or `close`, which never waits) ends the exchange
    at any point; a connection that is not at the end of both bodies is dropped, not reused.
    """

    async def send(self, data: bytes) -> bool:
        """Send a piece of the request's body; False when the server has answered already and wants no more of it."""

    async def finish(self) -> Response:
        """End the request's body and return the response's head (its `body` is empty)."""

    async def receive(self) -> bytes:
        """Return the next piece of the response's body, ``b""`` at its end."""

    async def read(self) -> bytes:
        """Return the rest of the response's body, within the limit for bodies."""

    def close(self) -> None:
        """Drop what is left at once, without waiting."""


class Transport(Protocol):
    """Carries requests to a server. May be used by any number of tasks at once."""

    async def send(self, request: Request, trail: Trail) -> Response:
        """Send the request and return its whole response.

        Raises `ConnectionFailed` or a subclass when there is none. Cancellation drops the connection in use.
        """

    async def open(self, request: Request, trail: Trail, *, streams_body: bool = False) -> Exchange:
        """Begin an exchange in pieces; with `streams_body` the request's body goes through `Exchange.send`."""

    async def aclose(self) -> None:
        """Close every connection."""
