"""Keys: who makes them, what they look like, which texts can be one."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest

import evsession
from tests.conformance.kennel import Dog, Wire, put, read


async def save(session: evsession.Session, *documents: Any) -> list[str]:
    return await session.store(list(documents)).save()


class TestStrategies:
    async def test_auto_counts_for_each_collection(self, session: evsession.Session, store: evsession.Store) -> None:
        cat = evsession.DocumentType("Cat")
        assert await save(session, Dog(), cat(), Dog()) == ["dogs/1", "cats/1", "dogs/2"]
        async with store.open_session() as other:
            assert await save(other, Dog()) == ["dogs/3"]

    async def test_server(self, session: evsession.Session) -> None:
        session.conventions.id_generation_strategy = "server"
        first, second = Dog(), Dog()
        keys = await save(session, first, second)
        assert [first.id, second.id] == keys
        assert keys == sorted(keys)
        assert all(re.fullmatch(r"dogs/\d{19}-\w+", key) for key in keys)

    async def test_guid(self, session: evsession.Session) -> None:
        session.conventions.id_generation_strategy = "guid"
        first, second = Dog(), Dog()
        keys = await save(session, first, second)
        assert [str(UUID(key)) for key in keys] == keys == [first.id, second.id]
        assert keys[0] != keys[1]

    async def test_hilo(self, session: evsession.Session, wire: Wire) -> None:
        session.conventions.id_generation_strategy = "hilo"
        keys = await save(session, Dog(), Dog(), Dog())
        assert keys[0] == "dogs/1-A"
        assert keys == [f"dogs/{number}-A" for number in (1, 2, 3)]
        assert wire.take() == ["GET /next", "POST /bulk_docs"]
        assert await save(session, Dog()) == ["dogs/4-A"]
        assert wire.take() == ["POST /bulk_docs"]

    async def test_a_function(self, session: evsession.Session, wire: Wire) -> None:
        session.conventions.id_generation_strategy = lambda document: f"kennel/{document.name}"
        assert await save(session, Dog(name="Max"), Dog(name="Jess", id="J")) == ["kennel/Max", "dogs/j"]
        session.conventions.id_generation_strategy = lambda document: ""
        session.store(Dog())
        with pytest.raises(evsession.ConfigurationError):
            await session.save()
        assert len(wire) == 1

    async def test_of_the_store_and_of_a_type(self, make_store: Any) -> None:
        cat = evsession.DocumentType("Cat", id_generation_strategy="server")
        async with make_store(conventions={"id_generation_strategy": "guid"}) as store, store.open_session() as session:
            by_store, by_type = await save(session, Dog(), cat())
            assert str(UUID(by_store)) == by_store
            assert by_type.startswith("cats/000")
            session.conventions.id_generation_strategy = "auto"
            assert await save(session, Dog()) == ["dogs/1"]
            assert store.conventions.id_generation_strategy == "guid"


class TestHilo:
    async def test_ranges_belong_to_the_store_and_go_back(self, make_store: Any) -> None:
        async with make_store(conventions={"id_generation_strategy": "hilo"}) as store:
            async with store.open_session() as one, store.open_session() as two:
                assert await save(one, Dog()) == ["dogs/1-A"]
                assert await save(two, Dog()) == ["dogs/2-A"]
                assert (await one.load("Raven/Hilo/Dogs"))["Max"] >= 32
        async with make_store().initialize() as store, store.open_session() as session:
            assert (await session.load("Raven/Hilo/Dogs"))["Max"] == 2
        async with make_store(conventions={"id_generation_strategy": "hilo"}) as store, store.open_session() as session:
            assert await save(session, Dog()) == ["dogs/3-A"]

    async def test_at_the_same_time_no_number_is_given_twice(self, make_store: Any) -> None:
        async with make_store(conventions={"id_generation_strategy": "hilo"}) as store:
            sessions = [store.open_session() for _ in range(8)]
            for session in sessions:
                session.store([Dog() for _ in range(30)])
            saves = [session.save() for session in sessions]
            keys = [key for operation in saves for key in await operation]
            assert len(set(keys)) == 240


class TestIds:
    async def test_an_id_becomes_a_key_of_the_collection(self, session: evsession.Session) -> None:
        dog = Dog(name="Max")
        dog.id = "Max"
        assert await save(session, dog, Dog(id="dogs/Jess"), Dog(id="x/y"), Dog(id="DOGS/Z")) == [
            "dogs/max",
            "dogs/Jess",
            "x/y",
            "DOGS/Z",
        ]
        assert dog.id == "dogs/max"

    async def test_separators(self, session: evsession.Session) -> None:
        cat = evsession.DocumentType("Cat", id_separator="::")
        session.conventions.id_separator = "-"
        assert await save(session, Dog(id="Max"), cat(id="Tom"), Dog()) == ["dogs-max", "cats::tom", "dogs/1"]

    async def test_a_function_of_the_document(self, session: evsession.Session) -> None:
        cat = evsession.DocumentType("Cat", key=lambda cat: cat.get("name"))
        assert await save(session, cat(name="Tom"), cat(name="Felix", id="F"), cat(age=1)) == ["cats/tom", "cats/f", "cats/1"]

    async def test_a_key_is_taken_as_it_is(self, session: evsession.Session) -> None:
        dog = Dog()
        session.store(dog, key="Anything")
        assert dog.id == "Anything"
        assert await session.save() == ["Anything"]

    async def test_a_key_cannot_change(self, session: evsession.Session) -> None:
        dog = Dog(id="max")
        await save(session, dog)
        with pytest.raises(evsession.ConfigurationError):
            dog.id = "jess"

    async def test_an_identity_that_meets_a_key_chosen_by_hand(self, session: evsession.Session, store: evsession.Store) -> None:
        await put(store, {f"dogs/{number}": {"name": "By hand"} for number in (1, 2, 4)})
        a, b = await save(session, Dog(name="A"), Dog(name="B"))
        assert [re.fullmatch(r"dogs/[356789]", key) is not None for key in (a, b)] == [True, True]
        assert [(await read(store, key)).name for key in (a, b, "dogs/1", "dogs/4")] == ["A", "B", "By hand", "By hand"]
        session.options.use_optimistic_concurrency = True
        await put(store, {f"dogs/{number}": {"name": "By hand"} for number in range(10, 13)})
        keys = [(await save(session, Dog(name="C")))[0] for _ in range(12)]
        assert not {f"dogs/{number}" for number in (1, 2, 4, 10, 11, 12)} & {a, b, *keys}
        assert len({a, b, *keys}) == 14


ODD = [
    "dogs/a b",
    "dogs/a+b",
    "dogs/100%",
    "dogs/%2F%41",
    "a&b=c",
    "dogs/#1?x=y",
    'it\'s "quoted"',
    "dogs/\\back",
    "dogs//x",
    "../up",
    ".",
    "🐕/😀",
    "Hunde/Größe",
    "собаки/1",
    "犬/一",
    "a|b",
    "dogs/max ",
    " x",
    "Raven-ish",
    "a;b,c",
    "<x>",
    "{}[]$`^~",
    "x" * 512,
    "ä" * 256,
]


async def test_odd_keys(session: evsession.Session, store: evsession.Store) -> None:
    for number, key in enumerate(ODD):
        session.store(Dog(n=number, next=ODD[number - 1]), key=key)
    assert await session.save() == ODD
    async with store.open_session() as other:
        many = await other.load(ODD)
        assert [dog.id for dog in many] == ODD
        assert [dog.n for dog in many] == list(range(len(ODD)))
    for number, key in enumerate(ODD):
        async with store.open_session() as other:
            dog, includes = await other.load(key, "next")
            assert (dog.id, dog.n, [include.id for include in includes]) == (key, number, [ODD[number - 1]])
            assert await other.exists(key)
            await other.patch(key, [{"Type": "Set", "Name": "seen", "Value": True}])
            assert dog.seen
            dog.n = -1
            assert await other.save() == [key]
    for key in ODD[:12]:
        await session.delete(key)
    await session.delete(ODD[12:])
    async with store.open_session() as other:
        assert await other.load(ODD) == []
        assert not await other.exists(ODD[0])


@pytest.mark.parametrize("key", ["", " ", "x" * 513, "ä" * 257, "a\x00b", "a\nb", "\x7f", "\ud800", 5, b"x"])
async def test_what_can_be_no_key_is_refused_unsent(unsent: evsession.Session, key: Any) -> None:
    with pytest.raises(evsession.ConfigurationError):
        unsent.store(Dog(), key=key)
    for call in (unsent.load, unsent.exists, unsent.delete, lambda key: unsent.delete([key])):
        with pytest.raises((evsession.ConfigurationError, TypeError)):
            await call(key)
    with pytest.raises(evsession.ConfigurationError):
        await unsent.patch(key, [{"Type": "Unset", "Name": "a"}])
    assert await unsent.save() == []


@pytest.mark.parametrize("key", ["dogs/", "dogs|", "/", "|"])
async def test_a_new_key_is_a_whole_one(session: evsession.Session, wire: Wire, key: str) -> None:
    with pytest.raises(evsession.ConfigurationError):
        session.store(Dog(), key=key)
    session.store(Dog(id=key))
    with pytest.raises(evsession.ConfigurationError):
        await session.save()
    assert not wire.take()
