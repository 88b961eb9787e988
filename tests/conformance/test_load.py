"""Loading: one document or several, known ones without a request, missing ones without an error."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from tests.conformance.kennel import BILLY, JESS, MAX, MUM, Told, Wire, change, of, put, read

pytestmark = pytest.mark.usefixtures("family")


async def test_one(session: evsession.Session) -> None:
    document = await session.load(MAX)
    assert document == {"name": "Max", "breed": "Golden Retriever", "age": 12, "puppy": JESS, "mother": MUM}
    assert (document.id, document.name, document["age"]) == (MAX, "Max", 12)
    assert document.metadata["@collection"] == "Dogs"
    assert document.metadata["@change-vector"]


async def test_a_missing_document_is_none_and_no_error(session: evsession.Session) -> None:
    told = Told()
    assert await session.load("dogs/nobody", told) is None
    assert told.calls == [(None, None)]


async def test_a_missing_document_is_asked_for_again(session: evsession.Session, store: evsession.Store) -> None:
    assert await session.load("dogs/late") is None
    await put(store, {"dogs/late": {"name": "Late"}})
    assert (await session.load("dogs/late")).name == "Late"


async def test_again_is_the_same_object_without_a_request(session: evsession.Session, wire: Wire) -> None:
    first = await session.load(MAX)
    assert wire.take() == ["GET /docs"]
    first.age = 13
    assert await session.load(MAX) is first
    assert (await session.load(MAX)).age == 13
    assert not wire.take()


async def test_keys_have_no_case(session: evsession.Session, wire: Wire) -> None:
    first = await session.load("DOGS/Max")
    assert first.id == MAX
    assert await session.load(MAX) is first
    assert (await session.load(["dogs/MAX"])).load("Dogs/mAx") is first
    assert len(wire) == 1


async def test_at_the_same_time_is_one_object(session: evsession.Session) -> None:
    operations = [session.load(MAX), session.load(MAX), session.load([MAX])]
    one, two, many = [await operation for operation in operations]
    assert one is two
    assert many[0] is one


async def test_many_in_the_order_asked_without_the_missing(session: evsession.Session, wire: Wire) -> None:
    documents = await session.load([JESS, "dogs/nobody", MAX, BILLY])
    assert [document.id for document in documents] == [JESS, MAX, BILLY]
    assert of(documents, MAX).name == "Max"
    assert documents.load("dogs/nobody") is None
    assert len(wire) == 1


async def test_many_are_cached(session: evsession.Session, wire: Wire) -> None:
    max = await session.load(MAX)
    wire.take()
    documents = await session.load([MAX, JESS])
    assert documents[0] is max
    assert len(wire) == 1
    assert [document.id for document in await session.load([JESS, MAX])] == [JESS, MAX]
    assert await session.load(JESS) is documents[1]
    assert len(wire) == 1


async def test_duplicates_stay_in_their_places(session: evsession.Session, wire: Wire) -> None:
    documents = await session.load([MAX, JESS, "Dogs/MAX", MAX])
    assert [document.id for document in documents] == [MAX, JESS, MAX, MAX]
    assert documents[0] is documents[2] is documents[3]
    assert len(wire) == 1


async def test_no_keys_send_nothing(session: evsession.Session, wire: Wire) -> None:
    # Sent, an empty list of ids means every document of the database on 6.2 and 7.1.
    documents = await session.load([])
    assert documents == []
    assert isinstance(documents, evsession.Queryable)
    documents, includes = await session.load([], "puppy")
    assert (documents, includes) == ([], [])
    assert not wire.take()


@pytest.mark.parametrize("keys", [["dogs/nobody"], ["dogs/nobody", "dogs/neither"]])
async def test_none_of_several(session: evsession.Session, keys: list[str]) -> None:
    assert await session.load(keys) == []
    assert await session.load(keys, "puppy") == ([], [])


async def test_one_missing_beside_known_ones(session: evsession.Session) -> None:
    await session.load(MAX)
    assert [document.id for document in await session.load([MAX, "dogs/nobody"])] == [MAX]


async def test_more_keys_than_an_address_holds(session: evsession.Session, wire: Wire) -> None:
    keys = [f"dogs/{number:04}-{'ü' * 20}" for number in range(1000)]
    documents = await session.load([*keys, MAX])
    assert [document.id for document in documents] == [MAX]
    assert len(wire) == 1


@pytest.mark.parametrize("several", [False, True])
async def test_a_key_that_can_be_none_is_refused(unsent: evsession.Session, several: bool) -> None:
    for key in ("", "  ", "dogs/\n", "dogs/\x00", "ä" * 257, 5, None):
        wrong: Any = [MAX, key] if several else key
        with pytest.raises(evsession.ConfigurationError):
            await unsent.load(wrong)


async def test_a_callback_gets_the_error_of_a_bad_key(session: evsession.Session) -> None:
    told = Told()
    with pytest.raises(evsession.ConfigurationError):
        await session.load("", told)
    assert isinstance(told.calls[0][0], evsession.ConfigurationError)
    assert told.calls[0][1:] == (None,)


class TestWithoutCache:
    async def test_asks_every_time(self, session: evsession.Session, wire: Wire) -> None:
        session.options.cache = False
        await session.load(MAX)
        await session.load([MAX])
        assert len(wire) == 2

    async def test_what_has_no_edits_takes_the_values_of_the_server(
        self, session: evsession.Session, store: evsession.Store
    ) -> None:
        session.options.cache = False
        max, jess = await session.load([MAX, JESS])
        jess.age = 8
        await change(store, MAX, age=20)
        await change(store, JESS, age=30)
        assert await session.load(MAX) is max
        assert await session.load(JESS) is jess
        assert (max.age, jess.age) == (20, 8)
        assert await session.save() == [JESS]
        assert (await read(store, JESS)).age == 8

    async def test_for_a_whole_store(self, make_store: Any) -> None:
        async with make_store(options={"cache": False}) as store, store.open_session() as session:
            wire = Wire(session)
            await session.load(MAX)
            await session.load(MAX)
            assert len(wire) == 2


async def test_sessions_share_nothing(session: evsession.Session, store: evsession.Store) -> None:
    mine = await session.load(MAX)
    theirs = await read(store, MAX)
    assert mine is not theirs
    assert mine == theirs
