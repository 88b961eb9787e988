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


@pytest.fixture(scope="session")
def neo4j_url() -> str:
    """The URL of a real Neo4j. Without one the test is skipped, or fails if EVSESSION_REQUIRE_SERVERS is set."""
    url = os.environ.get("EVSESSION_TEST_NEO4J")
    if not url:
        if os.environ.get("EVSESSION_REQUIRE_SERVERS"):
            pytest.fail("EVSESSION_REQUIRE_SERVERS is set, but EVSESSION_TEST_NEO4J names no server")
        pytest.skip("no real Neo4j: set EVSESSION_TEST_NEO4J to its URL")
    return url.rstrip("/")


@pytest.fixture
def label(neo4j_url: str) -> Iterator[str]:
    """A label of its own for each test, since the Community Edition has one database; its nodes are deleted afterwards."""
    name = f"T{uuid4().hex}"
    yield name
    body = {"statement": f"MATCH (n:{name}) DETACH DELETE n"}
    request = urllib.request.Request(
        neo4j_url + "/db/neo4j/query/v2", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


@pytest.fixture
async def graph(neo4j_url: str) -> AsyncIterator[evsession.GraphStore]:
    """A running graph store on the real server."""
    async with evsession.GraphStore(neo4j_url) as running:
        yield running


@pytest.fixture
async def graph_session(graph: evsession.GraphStore) -> AsyncIterator[evsession.GraphSession]:
    """An open session of the running graph store."""
    async with graph.open_session() as opened:
        yield opened
