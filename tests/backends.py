"""Where tests find RavenDB's API: in this process, on a port of the embedded server, or on a real server.

The same tests run on all of them. What differs is this, and nothing else:

* ``embedded`` has no port, so what names hosts and ports (fixture `raven_url`) runs on the other two.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
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

    def ask(self, method: str, path: str, body: object) -> None:
        """Send a request, past all that is to be tested."""
        raise NotImplementedError

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

    def ask(self, method: str, path: str, body: object) -> None:
        """Send a request."""
        answer = self._server.app.answer(evsession.Request(method, path, json.dumps(body).encode()))
        assert answer.status < 300, answer


class Remote(Backend):
    """A server that has a URL."""

    def connect(self, database: str | None, **arguments: Any) -> evsession.Store:
        """Return a store that does not run yet."""
        return evsession.Store(self.url, database, **arguments)

    def ask(self, method: str, path: str, body: object) -> None:
        """Send a request."""
        # Not by evsession: what prepares a test must not share the faults that the test is to find.
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()


@contextmanager
def open_backend(name: str) -> Iterator[Backend]:
    """Give the backend of this name. Without a real server its tests are skipped, or fail if EVSESSION_REQUIRE_SERVERS is set."""
    if name == "ravendb":
        yield Remote(name, _real_url())
        return
    with MemoryServer() as server:
        if name == "embedded":
            yield Within(server)
        else:
            with server.serving() as url:
                yield Remote(name, url)


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
