"""The server as a function: a request comes, an answer goes. Knows routes and failures, and no socket."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TypeAlias

import msgspec

from evsession.embedded.app.admin import SERVER_ROUTES
from evsession.embedded.app.answers import Conversation, Streamed, failure
from evsession.embedded.app.batches import BATCH_ROUTES
from evsession.embedded.app.call import Call
from evsession.embedded.app.documents import DOCUMENT_ROUTES
from evsession.embedded.app.tenants import Tenants
from evsession.embedded.failures import RavenFailure
from evsession.embedded.storage import Storage
from evsession.errors import SessionError
from evsession.wire.message import Request, Response

__all__ = ["App"]

Answer: TypeAlias = "Response | Streamed"
Handler: TypeAlias = Callable[[Call], Answer]

_LOG = logging.getLogger("evsession.embedded")


class App:
    """RavenDB's HTTP API on one file or on memory.

    Args:
        path: The file, made if it is missing; None keeps everything in memory.

    Raises:
        ConfigurationError: the file is none of ours, a newer version's, open already, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.storage = Storage(path)
        self._tenants = Tenants(self.storage)

    def __repr__(self) -> str:
        return f"<App on {self.storage!r}>"

    def answer(self, request: Request) -> Response:
        """Return the answer to a whole request. It may block; several threads may call it at once; it raises nothing."""
        answer = self.begin(request)
        if isinstance(answer, Streamed):
            return Response(answer.head.status, answer.head.headers, b"".join(answer.pieces))
        return answer

    def begin(self, request: Request) -> Answer:
        """Return the answer to a whole request, in pieces if it is one that streams. Raises nothing."""
        try:
            return self._answer(request)
        except Exception as error:
            return self._failed(request, error)

    def open(self, request: Request) -> Conversation:
        """Begin to answer a request whose body comes, or whose answer goes, in pieces; any request may."""
        return _Conversation(self, request)

    def close(self) -> None:
        """Close the file. Answers in work are finished, those that begin later fail."""
        self.storage.close()

    def _answer(self, request: Request) -> Answer:
        call = Call(request, self._tenants)
        path = [segment for segment in call.path if segment]
        if len(path) >= 3 and path[0].lower() == "databases":
            handler = _DATABASE_ROUTES.get((request.method, "/".join(path[2:]).lower()))
            if handler is not None:
                call.tenant = self._tenants.find(path[1])
                return handler(call)
        handler = SERVER_ROUTES.get((request.method, "/".join(path).lower()))
        if handler is None:
            raise RavenFailure(
                400,
                "Raven.Client.Exceptions.Routing.RouteNotFoundException",
                f"There is no handler for path: {request.method} {request.target.partition('?')[0]}"
                " (this is the embedded server of evsession, which has only a part of RavenDB's)",
            )
        return handler(call)

    def _failed(self, request: Request, error: Exception) -> Response:
        if isinstance(error, RavenFailure):
            return failure(error, request.target)
        if isinstance(error, sqlite3.Error):
            # The text is SQLite's own and short, such as "database or disk is full".
            return failure(RavenFailure(500, "System.IO.IOException", f"The embedded server's file: {error}"), request.target)
        if isinstance(error, SessionError):
            return failure(RavenFailure(503, "System.ObjectDisposedException", error.message), request.target)
        _LOG.error("%s %s failed", request.method, request.target.partition("?")[0], exc_info=error)
        what = f"{type(error).__name__} in the embedded server of evsession; its log has the rest"
        return failure(RavenFailure(500, "System.InvalidOperationException", what), request.target)


class _Conversation:
    """A request's body in pieces, an answer's body in pieces; between them the request is answered like any other."""

    def __init__(self, app: App, request: Request) -> None:
        self._app = app
        self._request = request
        self._body = [request.body]
        self._pieces: Iterator[bytes] = iter(())

    def send(self, data: bytes) -> bool:
        self._body.append(data)
        return True

    def finish(self) -> Response:
        request = msgspec.structs.replace(self._request, body=b"".join(self._body))
        self._body.clear()
        answer = self._app.begin(request)
        if isinstance(answer, Streamed):
            self._pieces = answer.pieces
            return answer.head
        self._pieces = iter([answer.body] if answer.body else [])
        return Response(answer.status, answer.headers)

    def receive(self) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        self._body.clear()
        pieces, self._pieces = self._pieces, iter(())
        if isinstance(pieces, Generator):
            pieces.close()


_DATABASE_ROUTES: Mapping[tuple[str, str], Handler] = {**DOCUMENT_ROUTES, **BATCH_ROUTES}
