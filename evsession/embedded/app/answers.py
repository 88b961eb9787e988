"""Answers: of JSON, of failures, and those that come in pieces. Knows RavenDB's headers and the shape of its errors."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from typing import Protocol

from evsession.config import VERSION
from evsession.embedded.failures import RavenFailure
from evsession.errors import SessionError
from evsession.wire.json import JSON, encode
from evsession.wire.message import Response

__all__ = ["Conversation", "Streamed", "empty", "failure", "json_answer", "raw_answer", "told"]

_LOG = logging.getLogger("evsession.embedded")

SERVER_VERSION = b"7.1.0.71000"
"""The version of RavenDB whose behaviour this follows; official clients look at it."""

JSON_TYPE = (b"content-type", b"application/json; charset=utf-8")
_SERVER = (b"raven-server-version", SERVER_VERSION)
_EMBEDDED = (b"x-evsession-embedded", VERSION.encode())
_HEADERS = (JSON_TYPE, _SERVER, _EMBEDDED)
_BARE = (_SERVER, _EMBEDDED)


class Conversation(Protocol):
    """A request's body in pieces and its answer's body in pieces. Not for two threads at once.

    Call `send` any number of times, `finish` once, `receive` until it returns ``b""``; `close` at any point, and always.
    """

    def send(self, data: bytes) -> bool:
        """Take a piece of the request's body; False when it has been answered already and no more is wanted."""

    def finish(self) -> Response:
        """End the request's body and return the answer's head; its `body` is empty."""

    def receive(self) -> bytes:
        """Return the next piece of the answer's body, ``b""`` at its end."""

    def close(self) -> None:
        """Let go of everything; what was not received will not be."""


class Streamed:
    """An answer whose body comes in pieces.

    Attributes:
        head: Status and headers.
        pieces: The body.
        release: To be called when no more pieces are wanted; more than once does no harm.
    """

    def __init__(self, head: Response, pieces: Iterator[bytes], release: Callable[[], None]) -> None:
        self.head = head
        self.pieces = pieces
        self.release = release


def raw_answer(body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> Response:
    """Return an answer of JSON that is encoded already."""
    return Response(status, (*_HEADERS, *headers), body)


def json_answer(value: JSON, *headers: tuple[bytes, bytes], status: int = 200) -> Response:
    """Return an answer of JSON."""
    return raw_answer(encode(value), *headers, status=status)


def empty(status: int, *headers: tuple[bytes, bytes]) -> Response:
    """Return an answer without a body; 404 has a content type all the same (seen on 7.1)."""
    return Response(status, (*(_HEADERS if status == 404 else _BARE), *headers))


def failure(error: RavenFailure, target: str) -> Response:
    """Return the answer that tells of a failure, in the shape of RavenDB's; a stack trace there is none."""
    if not error.type:
        return empty(error.status)
    body = {
        "Url": target,
        "Type": error.type,
        "Message": error.message,
        "Error": f"{error.type}: {error.message}",
        **error.extras,
    }
    return json_answer(body, status=error.status)


def told(error: Exception, what: str) -> RavenFailure:
    """Return what a client is told of a failure. One that is nobody's but ours goes to the log, and hides its details.

    Args:
        error: The failure.
        what: What failed, for the log.
    """
    if isinstance(error, RavenFailure):
        return error
    if isinstance(error, sqlite3.Error):
        # The text is SQLite's own and short, such as "database or disk is full".
        return RavenFailure(500, "System.IO.IOException", f"The embedded server's file: {error}")
    if isinstance(error, SessionError):
        return RavenFailure(503, "System.ObjectDisposedException", error.message)
    _LOG.error("%s failed", what, exc_info=error)
    message = f"{type(error).__name__} in the embedded server of evsession; its log has the rest"
    return RavenFailure(500, "System.InvalidOperationException", message)
