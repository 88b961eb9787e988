"""Fixtures of the conformance suite, beside those of all tests: what is sent, and a database that queries may share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

import evsession
from tests.backends import Backend
from tests.conformance.kennel import FAMILY, Cat, Dog, Person, Wire, put
from tests.conformance.pack import PACK
from tests.conftest import StoreFactory


@pytest.fixture(autouse=True)
def _types_are_those_of_the_kennel() -> None:
    # The class declared last stands for a collection, and other tests declare dogs, too.
    for cls in (Dog, Cat, Person):
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
