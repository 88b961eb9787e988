"""Fixtures for all tests: the backends, a fresh database for each test, and stores."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from uuid import uuid4

import pytest
from hypothesis import settings

import evsession
from evsession.testing.memory import MemoryServer
from tests.backends import Backend, Within, choose, open_backend

pytest_plugins = ["evsession.testing.plugin"]

# The same examples each time, so that a test that passes does so tomorrow; EVSESSION_TEST_RANDOM looks for new ones.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile("random" if os.environ.get("EVSESSION_TEST_RANDOM") else "steady")

StoreFactory = Callable[..., evsession.Store]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on every backend that it can run on."""
    if "shared_backend" in metafunc.fixturenames:
        metafunc.parametrize("shared_backend", choose(metafunc.fixturenames), indirect=True, scope="session")


@pytest.fixture(scope="session")
def shared_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A backend that lasts as long as the tests run."""
    with open_backend(request.param) as opened:
        yield opened


@pytest.fixture
def backend(shared_backend: Backend, request: pytest.FixtureRequest) -> Backend:
    """The backend of a test; in this process, a fresh one."""
    if isinstance(shared_backend, Within):
        server: MemoryServer = request.getfixturevalue("embedded_server")
        return Within(server)
    return shared_backend


@pytest.fixture
def raven_url(shared_backend: Backend) -> str:
    """The URL of a served backend."""
    return shared_backend.url


@pytest.fixture
def database(backend: Backend) -> Iterator[str]:
    """The name of a new, empty database."""
    with backend.fresh_database() as name:
        yield name


@pytest.fixture
def make_store(backend: Backend, database: str) -> StoreFactory:
    """Make a store on the fresh database, with the arguments given."""

    def make(**arguments: object) -> evsession.Store:
        return backend.connect(database, **arguments)

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
