"""Where tests find RavenDB's API: in this process, on a port of the embedded server, or on a real server.

The same tests run on all of them. What differs is this, and nothing else:

* ``embedded`` has no port, so what names hosts and ports (fixture `raven_url`) runs on the other two.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

import evsession
from evsession.embedded.transport import EmbeddedTransport
from evsession.testing.memory import MemoryServer

__all__ = ["Backend", "Remote", "Within", "choose", "open_backend"]

NAMES = ("embedded", "embedded-http", "ravendb")


class Backend:
    """A server with databases.

    Attributes:
        name: One of `NAMES`.
        url: What errors and events name as its URL.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url

    def connect(self, database: str | None, **arguments: Any) -> evsession.Store:
        """Return a store that does not run yet; the database need not exist."""
        raise NotImplementedError

    def answer(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send a request, past all that is to be tested, and return the answer's status and body; bytes are sent as they are."""
        raise NotImplementedError

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request that is to be carried out, and return the answer's body."""
        status, answer = self.answer(method, path, body)
        assert status < 300, answer
        return answer

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Give the name of a new, empty database."""
        name = f"test-{uuid4().hex}"
        self.ask("PUT", f"/admin/databases?name={name}", {"DatabaseName": name})
        try:
            yield name
        finally:
            self.ask("DELETE", "/admin/databases", {"DatabaseNames": [name], "HardDelete": True})


class Within(Backend):
    """The embedded server in this process, in memory, without a port."""

    def __init__(self, server: MemoryServer) -> None:
        super().__init__("embedded", "http://embedded")
        self._server = server

    def connect(self, database: str | None, **arguments: Any) -> evsession.Store:
        """Return a store that does not run yet."""
        options = evsession.Options(arguments.pop("options", None))
        return evsession.Store(
            database=database, transport=EmbeddedTransport(self._server.app, options), options=options, **arguments
        )

    def answer(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send a request."""
        answer = self._server.app.answer(evsession.Request(method, path, _encoded(body)))
        return answer.status, json.loads(answer.body or b"null")


class Remote(Backend):
    """A server that has a URL."""

    def connect(self, database: str | None, **arguments: Any) -> evsession.Store:
        """Return a store that does not run yet."""
        return evsession.Store(self.url, database, **arguments)

    @cached_property
    def _connection(self) -> HTTPConnection:
        parts = urlsplit(self.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=60)

    def answer(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send a request, on the one connection of this backend."""
        # Not by evsession: what prepares a test must not share the faults that the test is to find.
        try:
            answer = self._send(method, path, body)
        except ConnectionError:  # the server has hung up while nobody asked
            self._connection.close()
            answer = self._send(method, path, body)
        return answer.status, json.loads(answer.read() or b"null")

    def _send(self, method: str, path: str, body: object) -> HTTPResponse:
        self._connection.request(method, path, _encoded(body), {"Content-Type": "application/json"})
        return self._connection.getresponse()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _encoded(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@contextmanager
def open_backend(name: str) -> Iterator[Backend]:
    """Give the backend of this name. Without a real server its tests are skipped, or fail if EVSESSION_REQUIRE_SERVERS is set."""
    if name == "ravendb":
        with closing(Remote(name, _real_url())) as real:
            yield real
        return
    with MemoryServer() as server:
        if name == "embedded":
            yield Within(server)
        else:
            with server.serving() as url, closing(Remote(name, url)) as served:
                yield served


def _real_url() -> str:
    url = os.environ.get("EVSESSION_TEST_RAVENDB")
    if not url:
        if os.environ.get("EVSESSION_REQUIRE_SERVERS"):
            pytest.fail("EVSESSION_REQUIRE_SERVERS is set, but EVSESSION_TEST_RAVENDB names no server")
        pytest.skip("no real RavenDB: set EVSESSION_TEST_RAVENDB to its URL")
    return url.rstrip("/")


def choose(fixtures: list[str]) -> list[Any]:
    """Return the backends that a test with these fixtures runs on, as parameters."""
    names = [name for name in NAMES if name != "embedded" or "raven_url" not in fixtures]
    return [pytest.param(name, marks=pytest.mark.server) if name == "ravendb" else name for name in names]
