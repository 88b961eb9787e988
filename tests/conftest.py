"""Fixtures for all tests: the real server, a fresh database on it for each test, and stores."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from uuid import uuid4

import pytest

import evsession

StoreFactory = Callable[..., evsession.Store]


@pytest.fixture(scope="session")
def raven_url() -> str:
    """The URL of a real RavenDB. Without one the test is skipped, or fails if EVSESSION_REQUIRE_SERVERS is set."""
    url = os.environ.get("EVSESSION_TEST_RAVENDB")
    if not url:
        if os.environ.get("EVSESSION_REQUIRE_SERVERS"):
            pytest.fail("EVSESSION_REQUIRE_SERVERS is set, but EVSESSION_TEST_RAVENDB names no server")
        pytest.skip("no real RavenDB: set EVSESSION_TEST_RAVENDB to its URL")
    return url.rstrip("/")


@pytest.fixture
def database(raven_url: str) -> Iterator[str]:
    """The name of a new, empty database on the real server."""
    name = f"test-{uuid4().hex}"
    _ask(raven_url, "PUT", f"/admin/databases?name={name}", {"DatabaseName": name})
    yield name
    _ask(raven_url, "DELETE", "/admin/databases", {"DatabaseNames": [name], "HardDelete": True})


def _ask(url: str, method: str, path: str, body: object) -> None:
    # Not by evsession: what prepares a test must not share the faults that the test is to find.
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


@pytest.fixture
def make_store(raven_url: str, database: str) -> StoreFactory:
    """Make a store on the fresh database, with the arguments given."""

    def make(**arguments: object) -> evsession.Store:
        return evsession.Store(raven_url, database, **arguments)  # type: ignore[arg-type]

    return make


@pytest.fixture
async def store(make_store: StoreFactory) -> AsyncIterator[evsession.Store]:
    """A running store on the fresh database."""
    async with make_store() as running:
        yield running


@pytest.fixture
async def session(store: evsession.Store) -> AsyncIterator[evsession.Session]:
    """An open session of the running store."""
    async with store.open_session() as opened:
        yield opened
