"""Optimistic concurrency: what somebody else changed in the meantime is not overwritten, if the program says so."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import evsession
from tests.conformance.kennel import BILLY, JESS, MAX, Dog, Told, Wire, change, etag_of, put, read

pytestmark = pytest.mark.usefixtures("family")


@pytest.fixture
def careful(session: evsession.Session) -> evsession.Session:
    """A session that checks."""
    session.options.use_optimistic_concurrency = True
    return session


async def test_by_default_the_last_one_wins(session: evsession.Session, store: evsession.Store) -> None:
    max = await session.load(MAX)
    await change(store, MAX, age=99, name="Maximilian")
    max.age = 13
    assert await session.save() == [MAX]
    assert (await read(store, MAX)).name == "Max"
    await change(store, MAX, age=99)
    await session.delete(max)
    assert await read(store, MAX) is None


async def test_nothing_is_written_if_one_changed(careful: evsession.Session, store: evsession.Store) -> None:
    max, jess = await careful.load([MAX, JESS])
    careful.store(Dog(name="New"), key="dogs/new")
    loaded = etag_of(max)
    await change(store, MAX, age=99)
    actual = etag_of(await read(store, MAX))
    jess.age, max.age = 8, 13
    told = Told()
    with pytest.raises(evsession.ConcurrencyError) as caught:
        await careful.save(told)
    error = caught.value
    assert (error.status_code, error.code, error.operation) == (409, "ConcurrencyException", "save")
    assert (error.key, error.expected, error.actual) == (MAX, loaded, actual)
    assert not error.uncertain
    assert not error.is_retryable()
    assert "   at Raven" not in str(error)
    assert told.calls == [(error, None)]
    assert (await read(store, MAX)).age == 99
    assert (await read(store, JESS)).age == 7
    assert await read(store, "dogs/new") is None
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.key, copy.expected, copy.actual) == (evsession.ConcurrencyError, MAX, loaded, actual)


async def test_again_with_the_new_version(careful: evsession.Session, store: evsession.Store) -> None:
    max = await careful.load(MAX)
    await change(store, MAX, weight=30)
    max.age = 13
    for _ in range(2):
        with pytest.raises(evsession.ConcurrencyError):
            await careful.save()
    async with store.open_session() as another:
        another.options.use_optimistic_concurrency = True
        (await another.load(MAX)).age = 13
        assert await another.save() == [MAX]
    assert ((await read(store, MAX)).age, (await read(store, MAX)).weight) == (13, 30)


async def test_versions_move_on_with_each_save(careful: evsession.Session, store: evsession.Store) -> None:
    max, new = await careful.load(MAX), Dog(name="New")
    careful.store(new)
    for age in (13, 14, 15):
        max.age, new.age = age, age
        before = etag_of(max)
        _, key = await careful.save()
        assert etag_of(max) != before
        assert etag_of(new) == etag_of(await read(store, key))
    assert (await read(store, MAX)).age == 15


async def test_saves_in_flight_use_the_versions_of_those_before(careful: evsession.Session, store: evsession.Store) -> None:
    max = await careful.load(MAX)
    operations = []
    for age in (13, 14, 15):
        max.age = age
        operations.append(careful.save())
    assert [await operation for operation in operations] == [[MAX]] * 3
    assert (await read(store, MAX)).age == 15


async def test_an_unchanged_document_is_not_checked(careful: evsession.Session, store: evsession.Store) -> None:
    max, jess = await careful.load([MAX, JESS])
    await change(store, JESS, age=99)
    max.age = 13
    assert await careful.save() == [MAX]
    assert jess.age == 7


async def test_a_new_document_must_be_new(careful: evsession.Session, store: evsession.Store) -> None:
    careful.store(Dog(name="Another"), key=MAX)
    with pytest.raises(evsession.ConcurrencyError) as caught:
        await careful.save()
    assert (caught.value.status_code, caught.value.key) == (409, MAX)
    assert caught.value.actual == etag_of(await read(store, MAX))
    assert (await read(store, MAX)).name == "Max"
    careful.options.use_optimistic_concurrency = False
    assert await careful.save() == [MAX]
    assert (await read(store, MAX)).name == "Another"


async def test_a_document_that_was_deleted_meanwhile(careful: evsession.Session, store: evsession.Store) -> None:
    max, jess = await careful.load([MAX, JESS])
    async with store.open_session() as other:
        await other.delete([MAX, JESS])
    max.age = 13
    with pytest.raises(evsession.ConcurrencyError) as caught:
        await careful.save()
    assert (caught.value.key, caught.value.actual) == (MAX, None)
    with pytest.raises(evsession.ConcurrencyError):
        await careful.delete(jess)


async def test_deleting_a_document_checks(careful: evsession.Session, store: evsession.Store) -> None:
    max, jess, billy = await careful.load([MAX, JESS, BILLY])
    await change(store, MAX, age=99)
    with pytest.raises(evsession.ConcurrencyError) as caught:
        await careful.delete(max)
    assert (caught.value.key, caught.value.operation) == (MAX, "delete")
    with pytest.raises(evsession.ConcurrencyError):
        await careful.delete([jess, billy, max])
    assert (await read(store, JESS)).age == 7
    await careful.delete([jess, billy])
    assert await read(store, JESS) is None
    # A key by itself has no version to check.
    await careful.delete(MAX)
    assert await read(store, MAX) is None


async def test_includes_and_results_have_versions_too(careful: evsession.Session, store: evsession.Store) -> None:
    _, includes = await careful.load(MAX, "puppy")
    documents, _ = await careful.query("Dog", {"name": "Billy"})
    for document in (includes[0], documents[0]):
        await change(store, document.id, age=99)
        document.age = 1
        with pytest.raises(evsession.ConcurrencyError) as caught:
            await careful.save()
        assert caught.value.key == document.id
        await careful.delete(document.id)


async def test_for_a_whole_store(make_store: Any) -> None:
    async with make_store(options={"use_optimistic_concurrency": True}) as store, store.open_session() as session:
        max = await session.load(MAX)
        await change(store, MAX, age=99)
        max.age = 13
        with pytest.raises(evsession.ConcurrencyError):
            await session.save()
        session.options.use_optimistic_concurrency = False
        assert await session.save() == [MAX]


async def test_a_document_of_another_session_brings_its_version(careful: evsession.Session, store: evsession.Store) -> None:
    max, jess = await read(store, MAX), await read(store, JESS)
    await change(store, JESS, age=99)
    careful.store(max)
    max.age = 13
    assert await careful.save() == [MAX]
    careful.store(jess)
    with pytest.raises(evsession.ConcurrencyError):
        await careful.save()


async def test_handlers_are_told(careful: evsession.Session, store: evsession.Store, wire: Wire) -> None:
    told = Told()
    careful.on(409, told)
    max = await careful.load(MAX)
    await change(store, MAX, age=99)
    max.age = 13
    callback = Told()
    operation = careful.save(callback)
    await careful.drain()
    assert operation.is_done
    assert told.errors == callback.errors
    assert isinstance(told.errors[0], evsession.ConcurrencyError)
    await put(store, {"dogs/free": {}})
    assert wire.take() == ["GET /docs", "POST /bulk_docs"]


@pytest.mark.usefixtures("family")
@pytest.mark.parametrize("way", ["delete", "delete a key", "remove", "remove a key"])
async def test_what_was_deleted_here_may_be_stored_again(session: evsession.Session, store: evsession.Store, way: str) -> None:
    session.options.use_optimistic_concurrency = True
    new = Dog({"name": "Rex"}, id="rex")
    session.store(new, metadata={"by": "me"})
    await session.save()
    session.clear()
    rex = await session.load("dogs/rex")
    what = "dogs/rex" if "key" in way else rex
    if way.startswith("delete"):
        await session.delete(what)
    else:
        await session.remove(what).commit()
    assert await read(store, "dogs/rex") is None
    session.store(rex)
    assert await session.save() == ["dogs/rex"]
    stored = await read(store, "dogs/rex")
    assert (stored, stored.metadata["by"], stored.metadata["@collection"]) == ({"name": "Rex"}, "me", "Dogs")
