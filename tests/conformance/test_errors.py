"""Errors: what is raised for which failure, what it says, and what it does not."""

from __future__ import annotations

import pickle
import socket
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

import evsession
from tests.backends import Backend
from tests.conformance.kennel import Dog, Told, Wire, put, read

MISSING = "no-such-database"


@pytest.fixture
async def nowhere(backend: Backend) -> AsyncIterator[evsession.Session]:
    """A session on a database that is not there."""
    async with backend.connect(MISSING) as store, store.open_session() as session:
        yield session


CALLS: dict[str, Any] = {
    "load": lambda session: session.load("dogs/max"),
    "load with includes": lambda session: session.load("dogs/max", "puppy"),
    "load many": lambda session: session.load(["dogs/max", "dogs/jess"]),
    "exists": lambda session: session.exists("dogs/max"),
    "query": lambda session: session.query("Dog", {"age": 5}),
    "index": lambda session: session.index("DogsByBreed"),
    "raw": lambda session: session.raw("from Dogs"),
    "save": lambda session: session.store(Dog(), key="dogs/new").save(),
    "delete": lambda session: session.delete("dogs/max"),
    "patch": lambda session: session.patch("dogs/max", [{"Type": "Unset", "Name": "age"}]),
    "stream": lambda session: session.stream(Dog, on_document=print),
}


class TestMissingDatabase:
    @pytest.mark.parametrize("name", CALLS)
    async def test_is_an_error_of_its_own(self, nowhere: evsession.Session, name: str) -> None:
        told = Told()
        nowhere.on("error", told)
        with pytest.raises(evsession.DatabaseMissing, match=MISSING) as caught:
            await CALLS[name](nowhere)
        error = caught.value
        assert (error.database, error.operation, error.uncertain) == (MISSING, name.split()[0], False)
        assert told.calls == [(error,)]
        assert_presentable(error)

    async def test_and_of_a_hilo_range(self, nowhere: evsession.Session) -> None:
        nowhere.conventions.id_generation_strategy = "hilo"
        nowhere.store(Dog())
        with pytest.raises(evsession.DatabaseMissing):
            await nowhere.save()

    async def test_and_of_an_index(self, backend: Backend) -> None:
        async with backend.connect(MISSING) as store:
            with pytest.raises(evsession.DatabaseMissing):
                await store.put_index("X", "map('Dogs', d => ({ a: d.a }))")
            with pytest.raises(evsession.DatabaseMissing):
                await store.delete_index("X")


def assert_presentable(error: evsession.SessionError) -> None:
    """An error is for people, and survives pickling with all its facts."""
    for text in (error.message, str(error), repr(error)):
        assert "   at " not in text
        assert "Raven." not in text
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is type(error)
    assert (str(twin), repr(twin), vars(twin)) == (str(error), repr(error), vars(error))


@pytest.mark.parametrize(
    "rql",
    [
        "from Dogs wher name = 1",
        "nonsense",
        "from Dogs where",
        "from Dogs where age = $missing",
        "from Dogs where nosuch(age)",
        "from 'Dogs",
    ],
)
async def test_bad_rql(pack: evsession.Session, rql: str) -> None:
    told = Told()
    with pytest.raises(evsession.QueryError) as caught:
        await pack.raw(rql, told)
    error = caught.value
    assert (error.status_code, error.operation, error.is_retryable(), error.uncertain) == (500, "raw", False, False)
    assert error.code is not None
    assert error.message
    assert told.calls == [(error, None, None)]
    assert_presentable(error)


class TestDatabases:
    async def test_come_and_go(self, store: evsession.Store) -> None:
        name, told = f"test-{uuid4().hex}", Told()
        await store.create_database(name, told)
        try:
            async with store.open_session(name) as session:
                assert await session.store(Dog(name="Max")).save() == ["dogs/1"]
            assert await read(store, "dogs/1") is None
            with pytest.raises(evsession.ConcurrencyError, match=name) as caught:
                await store.create_database(name, told)
            assert (caught.value.status_code, caught.value.uncertain) == (409, False)
            assert_presentable(caught.value)
        finally:
            await store.delete_database(name, told)
        assert told.calls == [(None,), (caught.value,), (None,)]
        async with store.open_session(name) as session:
            with pytest.raises(evsession.DatabaseMissing):
                await session.load("dogs/1")
        await store.delete_database(name)

    async def test_names_of_any_letters(self, store: evsession.Store) -> None:
        name = f"Тест_ü.犬-{uuid4().hex}"
        await store.create_database(name)
        try:
            async with store.open_session(name) as session:
                session.store(Dog(name="Max"), key="dogs/max")
                await session.save()
                await session.patch("dogs/max", [{"Type": "Set", "Name": "age", "Value": 1}])
                assert (await session.query("Dog", {"age": 1}))[1].total == 1
                assert [dog.name async for dog in session.stream(Dog)] == ["Max"]
            async with store.bulk_insert(name) as insert:
                await insert.store(Dog(), key="dogs/bulk")
            async with store.open_session(name) as session:
                assert await session.exists("dogs/bulk")
        finally:
            await store.delete_database(name)

    async def test_a_name_that_is_too_long(self, store: evsession.Store) -> None:
        with pytest.raises(evsession.SessionError, match="exceeds '128' characters") as caught:
            await store.create_database("x" * 129)
        assert caught.value.status_code == 400

    @pytest.mark.parametrize("name", ["a/b", "a?b", "a b", "", "a%b", "a#b", "..\n", "a\\b", "a:b", 5, None, "a\u2028"])
    async def test_what_can_be_no_name_is_refused(self, pack: evsession.Session, backend: Backend, name: Any) -> None:
        async with backend.connect(None) as store:
            calls: list[Any] = [store.create_database, store.delete_database, store.open_session, store.bulk_insert]
            for call in calls:
                with pytest.raises(evsession.ConfigurationError):
                    await call(name)
        if name is not None:
            with pytest.raises(evsession.ConfigurationError):
                backend.connect(name)


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    return port


class TestConnections:
    async def test_refused(self, closed_port: int) -> None:
        store = evsession.Store(f"http://127.0.0.1:{closed_port}", "x")
        told = Told()
        store.on("error", told)
        async with store, store.open_session() as session:
            for name, call in CALLS.items():
                with pytest.raises(evsession.ConnectionFailed, match=str(closed_port)) as caught:
                    await call(session)
                error = caught.value
                assert (error.status_code, error.code, error.operation) == (None, None, name.split()[0])
                assert (error.uncertain, error.is_retryable()) == (False, True)
                assert_presentable(error)
            assert len(told.calls) == len(CALLS)
            with pytest.raises(evsession.ConnectionFailed):
                async with store.bulk_insert() as insert:
                    await insert.store(Dog(), key="dogs/1")

    async def test_the_next_node_is_tried(self, closed_port: int, raven_url: str, database: str) -> None:
        events: list[evsession.WireEvent] = []
        store = evsession.Store([f"http://127.0.0.1:{closed_port}", raven_url], database)
        store.on("failover", events.append)
        async with store, store.open_session() as session:
            assert await session.store(Dog()).save() == ["dogs/1"]
            assert await session.exists("dogs/1")
        assert [event.name for event in events][:1] == ["failover"]
        assert isinstance(events[0].error, evsession.ConnectionFailed)

    async def test_by_host_and_port(self, raven_url: str, database: str) -> None:
        host, _, port = raven_url.removeprefix("http://").partition(":")
        async with evsession.Store(host=host, port=int(port), database=database) as store:
            await put(store, {"dogs/1": {"name": "Max"}})
            assert (await read(store, "dogs/1")).name == "Max"


class TestClosed:
    @pytest.mark.parametrize("name", CALLS)
    async def test_a_session(self, pack: evsession.Session, name: str) -> None:
        await pack.aclose()
        await pack.aclose()
        with pytest.raises(evsession.SessionClosed):
            CALLS[name](pack)

    async def test_a_store(self, make_store: Any) -> None:
        store = make_store()
        with pytest.raises(evsession.ConfigurationError):
            store.open_session()
        async with store:
            session = store.open_session()
            await put(store, {"dogs/max": {"name": "Max"}})
        with pytest.raises(evsession.SessionClosed):
            session.load("dogs/max")
        async with store:
            assert (await read(store, "dogs/max")).name == "Max"


@pytest.mark.parametrize(
    "call",
    [
        lambda session, told: session.query(5, told),
        lambda session, told: session.query("Dog", {"a": "[5 TO"}, told),
        lambda session, told: session.stream("Dog", {"a": "[5 TO"}, told),
        lambda session, told: session.stream("Dog", on_document=5, callback=told),
        lambda session, told: session.delete(None, told),
        lambda session, told: session.delete([None], told),
        lambda session, told: session.refresh({"a": 1}, told),
        lambda session, told: session.hydrate({"a": 1}, told),
        lambda session, told: session.transaction(5, told),
        lambda session, told: session.patch("dogs/max", 5, told),
    ],
)
async def test_bad_input_is_told_to_the_callback(session: evsession.Session, wire: Wire, call: Any) -> None:
    told = Told()
    call(session, told)
    assert not told.calls
    await session.drain()
    (error,) = told.errors
    assert isinstance(error, (evsession.SessionError, TypeError, ValueError))
    with pytest.raises(type(error)):
        call(session, None)
    assert not wire.take()
