"""Fixtures of the conformance suite, beside those of all tests: what is sent, and a database that queries may share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from urllib.parse import quote

import pytest

import evsession
from tests.backends import Backend
from tests.conformance.kennel import FAMILY, Cat, Dog, Person, Wire, put
from tests.conformance.pack import PACK
from tests.conformance.shelf import SHELF, USERS, Relay, open_relay
from tests.conftest import StoreFactory


@pytest.fixture(autouse=True)
def _types_are_those_of_the_kennel() -> None:
    # The class declared last stands for a collection, and other tests declare dogs, too.
    for cls in (Dog, Cat, Person, *SHELF):
        evsession.document(cls)


@pytest.fixture
def wire(session: evsession.Session) -> Wire:
    """What the session sends."""
    return Wire(session)


@pytest.fixture
def family(make_store: StoreFactory) -> None:
    """Max, his puppy, his mother and his grandchild are in the database."""
    # Not async: pytest-trio does not wait for what a test only "uses".
    store = make_store()
    store.run(put, store, FAMILY)


@pytest.fixture(scope="session")
def worn_database(shared_backend: Backend) -> Iterator[str]:
    """The name of a database that tests use one after the other."""
    with shared_backend.fresh_database() as name:
        yield name


@pytest.fixture
def emptied_database(backend: Backend, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a database that holds nothing and counts keys from 1; on a real server quicker than a new one for each test."""
    with ExitStack() as stack:
        if backend.name == "ravendb":
            name: str = request.getfixturevalue("worn_database")
            empty(backend, name)
        else:
            name = stack.enter_context(backend.fresh_database())
        yield name


def empty(backend: Backend, name: str) -> None:
    """Delete every document, and start those identities anew that were used."""
    path = f"/databases/{name}"
    rows = backend.ask("POST", f"{path}/queries", {"Query": "from @all_docs select id() as key"})["Results"]
    if rows:
        backend.ask("POST", f"{path}/bulk_docs", {"Commands": [{"Type": "DELETE", "Id": row["key"]} for row in rows]})
    for identity, last in backend.ask("GET", f"{path}/debug/identities").items():
        if last:
            backend.ask("POST", f"{path}/identity/seed?name={quote(identity)}&value=0&force=true")


@pytest.fixture(autouse=True)
def _new_enough(request: pytest.FixtureRequest) -> None:
    """Skip on an older RavenDB what is told of a newer one, which the embedded server copies."""
    marker = request.node.get_closest_marker("since")
    if marker is None or "shared_backend" not in request.fixturenames:
        return
    backend: Backend = request.getfixturevalue("shared_backend")
    if backend.name == "ravendb":
        version = backend.ask("GET", "/build/version")["ProductVersion"]
        if _numbers(version) < _numbers(marker.args[0]):
            pytest.skip(f"told of RavenDB {marker.args[0]}, not of {version}")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")[:2]]


@pytest.fixture
def users(backend: Backend, database: str) -> None:
    """Peter, Anna and Ben are in the database."""
    commands = [
        {"Type": "PUT", "Id": key, "Document": {**fields, "@metadata": {"@collection": "Users"}}} for key, fields in USERS.items()
    ]
    backend.ask("POST", f"/databases/{database}/bulk_docs", {"Commands": commands})


@pytest.fixture
async def relay(raven_url: str) -> AsyncIterator[Relay]:
    """A relay before the server."""
    async with open_relay(raven_url) as running:
        yield running


@pytest.fixture
async def relayed(relay: Relay, database: str) -> AsyncIterator[evsession.Session]:
    """A session whose requests go through the relay."""
    async with evsession.Store(relay.url, database) as store, store.open_session() as session:
        yield session


@pytest.fixture(scope="session")
def shared_database(shared_backend: Backend) -> Iterator[str]:
    """The name of a database that holds `PACK`, for tests that only read: its indexes are built once."""
    with shared_backend.fresh_database() as name:
        store = shared_backend.connect(name)
        store.run(put, store, PACK)
        yield name


@pytest.fixture
async def pack(shared_backend: Backend, shared_database: str) -> AsyncIterator[evsession.Session]:
    """A session on the shared database; its tests only read."""
    async with shared_backend.connect(shared_database) as store, store.open_session() as session:
        yield session


@pytest.fixture
async def unsent(pack: evsession.Session) -> AsyncIterator[evsession.Session]:
    """A session that must not send anything."""
    wire = Wire(pack)
    yield pack
    assert not wire.take()
