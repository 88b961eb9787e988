"""The server as a function: a request comes, an answer goes. Knows routes and failures, and no socket."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from evsession.embedded.app.admin import RECORD_ROUTES, SERVER_ROUTES
from evsession.embedded.app.answers import Conversation, Streamed, empty, failure, told
from evsession.embedded.app.batches import BATCH_ROUTES
from evsession.embedded.app.bulk import BulkInsert, bulk_insert
from evsession.embedded.app.call import Call, Routes
from evsession.embedded.app.documents import DOCUMENT_ROUTES
from evsession.embedded.app.index_states import INDEX_STATE_ROUTES
from evsession.embedded.app.indexes import INDEX_ROUTES
from evsession.embedded.app.json_patches import JSON_PATCH_ROUTES
from evsession.embedded.app.multi import multi_get
from evsession.embedded.app.numbers import NUMBER_ROUTES
from evsession.embedded.app.patches import PATCH_ROUTES
from evsession.embedded.app.queries import QUERY_ROUTES
from evsession.embedded.app.statistics import STATISTICS_ROUTES
from evsession.embedded.app.tenants import Tenants
from evsession.embedded.failures import RavenFailure
from evsession.embedded.limits import MAX_TARGET
from evsession.embedded.query import prepare
from evsession.embedded.storage import Storage
from evsession.wire.message import Request, Response

__all__ = ["App"]

Answer: TypeAlias = "Response | Streamed"


class App:
    """RavenDB's HTTP API on one file or on memory.

    Args:
        path: The file, made if it is missing; None keeps everything in memory.

    Raises:
        ConfigurationError: the file is none of ours, a newer version's, open already, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.storage = Storage(path, also=prepare)
        self._tenants = Tenants(self.storage)

    def __repr__(self) -> str:
        return f"<App on {self.storage!r}>"

    def answer(self, request: Request) -> Response:
        """Return the answer to a whole request. It may block; several threads may call it at once; it raises nothing."""
        answer = self.begin(request)
        if not isinstance(answer, Streamed):
            return answer
        try:
            return Response(answer.head.status, answer.head.headers, b"".join(answer.pieces))
        except Exception as error:
            return self._failed(request, error)
        finally:
            answer.release()

    def begin(self, request: Request) -> Answer:
        """Return the answer to a whole request, in pieces if it is one that streams. Raises nothing."""
        return self.guarded(request, lambda: self._answer(request))

    def guarded(self, request: Request, work: Callable[[], Answer]) -> Answer:
        """Return what the work returns, or the answer that its failure becomes."""
        try:
            return work()
        except Exception as error:
            return self._failed(request, error)

    def open(self, request: Request) -> Conversation:
        """Begin to answer a request whose body comes, or whose answer goes, in pieces; any request may."""
        return _Conversation(self, request)

    def close(self) -> None:
        """Close the file. Answers in work are finished, those that begin later fail."""
        self.storage.close()

    def bulk_insert(self, request: Request) -> BulkInsert | None:
        """Begin a bulk insert, if it is one that the request asks for.

        Raises:
            Exception: it cannot be begun; `begin` tells why.
        """
        call = Call(request, self._tenants)
        if (request.method, _local_path(call)) != ("POST", "bulk_insert"):
            return None
        call.tenant = self._tenants.find(call.path[1])
        return BulkInsert(call)

    def _answer(self, request: Request) -> Answer:
        if len(request.target) > MAX_TARGET:  # over a network, too (seen on 7.1)
            return empty(414)
        call = Call(request, self._tenants)
        path = _local_path(call)
        handler = _DATABASE_ROUTES.get((request.method, path)) if path is not None else None
        if handler is not None:
            call.tenant = self._tenants.find(call.path[1])
            return handler(call)
        if (request.method, path) == ("POST", "multi_get"):
            return multi_get(call, self.begin)
        handler = SERVER_ROUTES.get((request.method, "/".join(call.path).lower()))
        if handler is None:
            raise RavenFailure(
                400,
                "Raven.Client.Exceptions.Routing.RouteNotFoundException",
                f"There is no handler for path: {request.method} {request.target.partition('?')[0]}"
                " (this is the embedded server of evsession, which has only a part of RavenDB's)",
            )
        return handler(call)

    def _failed(self, request: Request, error: Exception) -> Response:
        answer = failure(told(error, f"{request.method} {request.target.partition('?')[0]}"), request.target)
        return Response(answer.status, answer.headers) if request.method == "HEAD" else answer


class _Conversation:
    """A request's body in pieces, an answer's body in pieces; what does not stream is answered between them."""

    def __init__(self, app: App, request: Request) -> None:
        self._app = app
        self._request = request
        self._body = [request.body] if request.body else []
        self._pieces: Iterator[bytes] = iter(())
        self._release: Callable[[], None] | None = None
        self._insert: BulkInsert | None = None
        self._is_refused = False
        try:
            self._insert = app.bulk_insert(request)
        except Exception:
            self._is_refused = True  # `finish` meets the same failure, and answers with it

    def send(self, data: bytes) -> bool:
        if self._insert is not None:
            return self._insert.feed(data)
        if not self._is_refused:  # what would be kept has no end
            self._body.append(data)
        return not self._is_refused

    def finish(self) -> Response:
        if self._insert is not None:
            answer: Answer = self._app.guarded(self._request, self._insert.finish)
        else:
            request = msgspec.structs.replace(self._request, body=b"".join(self._body))
            self._body.clear()
            answer = self._app.begin(request)
        if isinstance(answer, Streamed):
            self._pieces, self._release = answer.pieces, answer.release
            return answer.head
        self._pieces = iter([answer.body] if answer.body else [])
        return Response(answer.status, answer.headers)

    def receive(self) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        self._body.clear()
        self._pieces = iter(())
        if self._insert is not None:
            self._insert.close()
        if self._release is not None:
            self._release()


def _local_path(call: Call) -> str | None:
    """Return what follows the name of the database, in lower case, as RavenDB compares it; None if there is no such path."""
    if len(call.path) < 3 or call.path[0].lower() != "databases":
        return None
    return "/".join(call.path[2:]).lower()


_DATABASE_ROUTES: Routes = {
    **DOCUMENT_ROUTES,
    **BATCH_ROUTES,
    **PATCH_ROUTES,
    **JSON_PATCH_ROUTES,
    **NUMBER_ROUTES,
    **QUERY_ROUTES,
    **INDEX_ROUTES,
    **INDEX_STATE_ROUTES,
    **STATISTICS_ROUTES,
    **RECORD_ROUTES,
    ("POST", "bulk_insert"): bulk_insert,
}
