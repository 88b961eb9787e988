"""Deleting and asking for existence: at once, by document or key, several as one."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from tests.conformance.kennel import BILLY, JESS, MAX, MUM, Dog, Told, Wire, change, etag_of, put, read

pytestmark = pytest.mark.usefixtures("family")


async def left(store: evsession.Store) -> list[str]:
    async with store.open_session() as other:
        return sorted(document.id for document in await other.load([MAX, JESS, BILLY, MUM]))


async def test_a_document(session: evsession.Session, store: evsession.Store) -> None:
    max = await session.load(MAX)
    told = Told()
    await session.delete(max, told)
    assert told.calls == [(None,)]
    assert await left(store) == [BILLY, JESS, MUM]


async def test_a_key(session: evsession.Session, store: evsession.Store) -> None:
    told = Told()
    await session.delete("DOGS/max", told)
    assert told.calls == [(None,)]
    assert await left(store) == [BILLY, JESS, MUM]


async def test_and_forget(session: evsession.Session, store: evsession.Store) -> None:
    session.delete(MAX)
    await session.drain()
    assert await left(store) == [BILLY, JESS, MUM]


async def test_what_is_not_there_is_no_error(session: evsession.Session) -> None:
    await session.delete("dogs/nobody")
    await session.delete(["dogs/nobody", {"key": "dogs/neither"}])
    max = await session.load(MAX)
    await session.delete(MAX)
    await session.delete(max)


async def test_it_is_forgotten(session: evsession.Session, wire: Wire) -> None:
    max = await session.load(MAX)
    max.age = 99
    await session.delete("Dogs/Max")
    assert await session.load(MAX) is None
    assert await session.save() == []
    assert wire.take() == ["GET /docs", "POST /bulk_docs", "GET /docs"]


async def test_several_at_once(session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
    max = await session.load(MAX)
    wire.take()
    told = Told()
    await session.delete([max, JESS, {"key": BILLY}, {"key": "dogs/nobody", "etag": None}], told)
    assert told.calls == [(None,)]
    assert wire.take() == ["POST /bulk_docs"]
    assert await left(store) == [MUM]


async def test_none_sends_nothing(session: evsession.Session, wire: Wire) -> None:
    await session.delete([])
    assert not wire.take()


async def test_an_etag_that_matches(session: evsession.Session, store: evsession.Store) -> None:
    max, jess, billy = await session.load([MAX, JESS, BILLY])
    await session.delete(MAX, etag_of(max))
    await session.delete(jess, etag_of(jess), Told())
    await session.delete([{"key": BILLY, "etag": etag_of(billy)}])
    assert await left(store) == [MUM]


async def test_an_etag_that_does_not_match(session: evsession.Session, store: evsession.Store) -> None:
    max = await session.load(MAX)
    await change(store, MAX, age=99)
    actual = etag_of(await read(store, MAX))
    told = Told()
    with pytest.raises(evsession.ConcurrencyError) as caught:
        await session.delete(MAX, etag_of(max), told)
    error = caught.value
    assert (error.status_code, error.key, error.expected, error.actual) == (409, MAX, etag_of(max), actual)
    assert told.calls == [(error,)]
    with pytest.raises(evsession.ConcurrencyError):
        await session.delete(max, etag_of(max))
    assert MAX in await left(store)
    assert await session.load(MAX) is max


async def test_one_wrong_etag_saves_them_all(session: evsession.Session, store: evsession.Store) -> None:
    max = await session.load(MAX)
    await change(store, JESS, age=99)
    with pytest.raises(evsession.ConcurrencyError) as caught:
        await session.delete([max, BILLY, {"key": JESS, "etag": etag_of(max)}, MUM])
    assert caught.value.key == JESS
    assert await left(store) == [BILLY, JESS, MAX, MUM]
    assert await session.load(MAX) is max


async def test_an_etag_of_a_document_that_is_gone(session: evsession.Session, store: evsession.Store) -> None:
    max = await session.load(MAX)
    async with store.open_session() as other:
        await other.delete(MAX)
    with pytest.raises(evsession.ConcurrencyError) as caught:
        await session.delete(MAX, etag_of(max))
    assert (caught.value.key, caught.value.expected, caught.value.actual) == (MAX, etag_of(max), None)
    with pytest.raises(evsession.ConcurrencyError) as caught:
        await session.delete([JESS, {"key": MAX, "etag": etag_of(max)}, BILLY])
    assert (caught.value.key, caught.value.expected, caught.value.actual) == (MAX, etag_of(max), None)


async def test_what_was_stored_but_not_saved_is_taken_back(session: evsession.Session, wire: Wire) -> None:
    one, two = Dog(name="One"), Dog(name="Two")
    session.store([one, two])
    await session.delete(one)
    assert not wire.take()
    assert await session.save() == ["dogs/1"]
    assert (two.id, one.id) == ("dogs/1", None)


async def test_and_store_again(session: evsession.Session, store: evsession.Store) -> None:
    max = await session.load(MAX)
    await session.delete(max)
    session.store(max)
    assert await session.save() == [MAX]
    assert (await read(store, MAX)).name == "Max"
    await session.delete(MAX)
    session.store(Dog(name="Another"), key=MAX)
    assert await session.save() == [MAX]
    assert (await read(store, MAX)).name == "Another"


async def test_what_is_stored_while_it_is_deleted_is_kept(session: evsession.Session, store: evsession.Store) -> None:
    operation = session.delete(MAX)
    session.store(Dog(name="Another"), key=MAX)
    await operation
    assert await session.save() == [MAX]
    assert (await read(store, MAX)).name == "Another"


async def test_the_collection_may_change_by_deleting(session: evsession.Session, store: evsession.Store) -> None:
    await session.delete(MAX)
    session.store({"name": "Max"}, key=MAX, collection="Cats")
    await session.save()
    assert (await read(store, MAX)).metadata["@collection"] == "Cats"


@pytest.mark.parametrize("wrong", [5, None, object(), {"name": "Max"}, {"key": MAX, "Etag": "x"}, {"key": 5}, [MAX, 5], [[MAX]]])
async def test_what_can_be_no_document_is_refused_unsent(unsent: evsession.Session, wrong: Any) -> None:
    with pytest.raises((TypeError, evsession.ConfigurationError)):
        await unsent.delete(wrong)
    with pytest.raises((TypeError, evsession.ConfigurationError)):
        await unsent.delete(Dog(name="never stored"))


@pytest.mark.parametrize("etag", [5, "a\nb", b"x"])
async def test_what_can_be_no_etag_is_refused_unsent(unsent: evsession.Session, etag: Any) -> None:
    with pytest.raises((TypeError, evsession.ConfigurationError)):
        await unsent.delete(MAX, etag)
    with pytest.raises((TypeError, evsession.ConfigurationError)):
        await unsent.delete([MAX], "A:1-x")


class TestExists:
    async def test_true_or_false(self, session: evsession.Session, wire: Wire) -> None:
        told = Told()
        assert await session.exists(MAX, told) is True
        assert await session.exists("DOGS/MAX") is True
        assert await session.exists("dogs/nobody", told) is False
        assert told.calls == [(None, True), (None, False)]
        assert wire.take() == ["HEAD /docs"] * 3

    async def test_it_asks_the_server(self, session: evsession.Session, store: evsession.Store) -> None:
        await session.load(MAX)
        await put(store, {"dogs/new": {}})
        async with store.open_session() as other:
            await other.delete(MAX)
        assert (await session.exists(MAX), await session.exists("dogs/new")) == (False, True)


@pytest.mark.usefixtures("family")
async def test_of_one_document_twice_is_one_deletion(session: evsession.Session, store: evsession.Store) -> None:
    session.options.use_optimistic_concurrency = True
    max = await session.load(MAX)
    await session.delete([max, max, JESS, JESS])
    assert [await read(store, key) for key in (MAX, JESS)] == [None, None]
