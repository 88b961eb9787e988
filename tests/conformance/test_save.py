"""Saving: one atomic batch of what is new and what changed, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from tests.conformance.kennel import BILLY, JESS, MAX, Dog, Told, Wire, change, put, read


async def test_new_documents_in_one_request(session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
    max, jess, billy = Dog(name="Max", age=12), Dog(name="Jess"), Dog(name="Billy")
    assert session.store(max) is session
    session.store([jess, billy])
    assert not wire.take()
    max.age = 13
    told = Told()
    keys = await session.save(told)
    assert wire.take() == ["POST /bulk_docs"]
    assert keys == ["dogs/1", "dogs/2", "dogs/3"]
    assert told.calls == [(None, keys)]
    assert [max.id, jess.id, billy.id] == keys
    assert max.metadata["@collection"] == "Dogs"
    assert (await read(store, "dogs/1")) == {"name": "Max", "age": 13}


async def test_a_saved_document_is_known_and_tracked(session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
    max = Dog(name="Max")
    (key,) = await session.store(max).save()
    wire.take()
    assert await session.load(key) is max
    assert await session.save() == []
    assert not wire.take()
    max.age = 1
    max.friend = {"name": "Jess"}
    assert await session.save() == [key]
    assert await read(store, key) == {"name": "Max", "age": 1, "friend": {"name": "Jess"}}


@pytest.mark.usefixtures("family")
class TestChanges:
    async def test_only_what_changed_is_sent(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        max, jess, billy = await session.load([MAX, JESS, BILLY])
        await change(store, BILLY, age=3)
        billy.age = 2
        max.age += 1
        jess.name = "Jess"
        wire.take()
        assert await session.save() == [MAX]
        assert wire.take() == ["POST /bulk_docs"]
        assert (await read(store, MAX)).age == 13
        assert (await read(store, BILLY)).age == 3

    async def test_nested_and_removed_fields(self, session: evsession.Session, store: evsession.Store) -> None:
        await put(store, {"dogs/a": {"owner": {"tags": ["a"]}, "old": 1, "kept": None}})
        dog = await session.load("dogs/a")
        dog["owner"]["tags"].append("b")
        del dog.old
        assert await session.save() == ["dogs/a"]
        assert await read(store, "dogs/a") == {"owner": {"tags": ["a", "b"]}, "kept": None}
        dog["owner"]["tags"].append("c")
        dog["owner"]["tags"].pop()
        assert await session.save() == []

    async def test_changed_documents_come_before_new_ones(self, session: evsession.Session) -> None:
        session.store(Dog(name="New"), key="dogs/new")
        for document in await session.load([JESS, MAX]):
            document.age = 0
        session.store(Dog(name="Newer"), key="dogs/newer")
        assert await session.save() == [JESS, MAX, "dogs/new", "dogs/newer"]

    async def test_nothing_to_save(self, session: evsession.Session, wire: Wire) -> None:
        await session.load(MAX)
        wire.take()
        told = Told()
        assert await session.save(told) == []
        assert told.calls == [(None, [])]
        assert not wire.take()

    async def test_an_edit_in_flight_stays_an_edit(self, session: evsession.Session, store: evsession.Store) -> None:
        max = await session.load(MAX)
        new = Dog(n=1)
        session.store(new, key="dogs/new")
        max.age = 13
        operation = session.save()
        max.age, new.n = 14, 2
        assert await operation == [MAX, "dogs/new"]
        assert ((await read(store, MAX)).age, (await read(store, "dogs/new")).n) == (13, 1)
        assert (max.age, new.n) == (14, 2)
        assert await session.save() == [MAX, "dogs/new"]
        assert ((await read(store, MAX)).age, (await read(store, "dogs/new")).n) == (14, 2)

    async def test_saves_take_turns(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        max = await session.load(MAX)
        session.store(Dog(name="New"))
        max.age = 13
        wire.take()
        operations = [session.save(), session.save()]
        max.age = 14
        operations.append(session.save())
        assert [await operation for operation in operations] == [[MAX, "dogs/1"], [], [MAX]]
        assert len(wire) == 2
        assert (await read(store, MAX)).age == 14

    async def test_an_edit_that_is_taken_back_while_it_is_saved(self, session: evsession.Session, store: evsession.Store) -> None:
        max = await session.load(MAX)
        max.age = 13
        session.save()
        max.age = 12
        await session.save()
        assert (await read(store, MAX)).age == 12

    async def test_unknown_metadata_survives(self, session: evsession.Session, store: evsession.Store) -> None:
        session.store(Dog(n=1), key="dogs/meta", metadata={"Origin": "shelter", "@expires": "2090-01-01T00:00:00.0000000Z"})
        await session.save()
        other = await read(store, "dogs/meta")
        assert (other.metadata["Origin"], other.metadata["@expires"]) == ("shelter", "2090-01-01T00:00:00.0000000Z")
        await change(store, "dogs/meta", n=2)
        other = await read(store, "dogs/meta")
        assert (other.n, other.metadata["Origin"], other.metadata["@collection"]) == (2, "shelter", "Dogs")


class TestAtomicity:
    async def test_one_bad_document_saves_nothing_and_is_named(self, session: evsession.Session, wire: Wire) -> None:
        good, bad = Dog(name="Good"), Dog(name="Bad", tags=["a", {"deep": float("nan")}])
        session.store(good, key="dogs/good").store(bad, key="dogs/bad")
        told = Told()
        with pytest.raises(evsession.InvalidDocument, match=r"tags\[1\]\.deep") as caught:
            await session.save()
        assert (caught.value.path, caught.value.key) == ("tags[1].deep", "dogs/bad")
        with pytest.raises(evsession.InvalidDocument):
            await session.save(told)
        assert isinstance(told.calls[0][0], evsession.InvalidDocument)
        assert not wire.take()
        bad.tags = []
        assert await session.save() == ["dogs/good", "dogs/bad"]

    async def test_what_the_server_refuses_is_sent_again_after_repair(
        self, session: evsession.Session, store: evsession.Store
    ) -> None:
        await put(store, {"cats/1": {"name": "Tom"}})
        session.store(Dog(name="Good"), key="dogs/good")
        wrong = Dog(name="Wrong")
        session.store(wrong, key="cats/1")
        for _ in range(2):
            with pytest.raises(evsession.SessionError) as caught:
                await session.save()
            assert caught.value.code == "DocumentCollectionMismatchException"
            assert not caught.value.uncertain
            assert await read(store, "dogs/good") is None
        await session.delete(wrong)
        assert await session.save() == ["dogs/good"]
        assert (await read(store, "dogs/good")).name == "Good"

    @pytest.mark.parametrize(
        "value",
        [float("inf"), {1, 2}, object(), {5: 1}, "\ud83d", {"a": [1, {"b": float("-inf")}]}, [{"\udc00": 1}], 1j],
    )
    async def test_what_json_cannot_hold(self, unsent: evsession.Session, value: Any) -> None:
        unsent.store(Dog(ok=1, field=value))
        with pytest.raises(evsession.InvalidDocument, match="field"):
            await unsent.save()

    async def test_cycles(self, session: evsession.Session, wire: Wire) -> None:
        dog = Dog(name="Max")
        dog.puppy = {"mother": dog}
        session.store(dog)
        with pytest.raises(evsession.InvalidDocument):
            await session.save()
        assert not wire.take()


class TestPlainDicts:
    async def test_with_key_and_collection(self, session: evsession.Session, store: evsession.Store) -> None:
        session.store({"name": "Max"}, key="dogs/plain", collection="Dogs")
        assert await session.save() == ["dogs/plain"]
        document = await read(store, "dogs/plain")
        assert (document, document.metadata["@collection"]) == ({"name": "Max"}, "Dogs")
        known = await session.load("dogs/plain")
        known.age = 1
        assert known.id == "dogs/plain"
        assert await session.save() == ["dogs/plain"]

    async def test_with_a_collection_only(self, session: evsession.Session) -> None:
        session.store([{"name": "Max"}, {"name": "Jess"}], collection="Dogs")
        assert await session.save() == ["dogs/1", "dogs/2"]

    async def test_with_nothing(self, session: evsession.Session, store: evsession.Store) -> None:
        session.store({"name": "Max"})
        (key,) = await session.save()
        assert len(key) == 36
        assert (await read(store, key)).name == "Max"

    @pytest.mark.parametrize("wrong", [5, "dog", None, object(), [Dog(), 5], {1, 2}, Dog])
    async def test_nothing_else_can_be_stored(self, unsent: evsession.Session, wrong: Any) -> None:
        with pytest.raises(TypeError):
            unsent.store(wrong)
        assert await unsent.save() == []


class TestSameKeyTwice:
    async def test_two_new_ones(self, session: evsession.Session, wire: Wire) -> None:
        session.store(Dog(n=1), key="dogs/a")
        with pytest.raises(evsession.KeyConflict) as caught:
            session.store(Dog(n=2), key="Dogs/A")
        assert caught.value.key == "Dogs/A"
        with pytest.raises(evsession.KeyConflict):
            session.store(Dog(n=3, id="a"))
        late = Dog(n=4)
        session.store(late)
        late.id = "A"
        with pytest.raises(evsession.KeyConflict):
            await session.save()
        assert not wire.take()
        late.id = "b"
        assert await session.save() == ["dogs/a", "dogs/b"]

    @pytest.mark.usefixtures("family")
    async def test_a_new_one_and_a_known_one(self, session: evsession.Session) -> None:
        max = await session.load(MAX)
        with pytest.raises(evsession.KeyConflict):
            session.store(Dog(name="Another"), key=MAX)
        with pytest.raises(evsession.KeyConflict):
            session.store(Dog(name="Another", id="max"))
        assert await session.save() == []
        assert max.name == "Max"

    async def test_the_same_object_twice_is_one_document(self, session: evsession.Session) -> None:
        max = Dog(name="Max")
        session.store(max).store([max, max])
        assert await session.save() == ["dogs/1"]
        session.store(max)
        assert await session.save() == []


async def test_thousands_at_once(session: evsession.Session, wire: Wire, store: evsession.Store) -> None:
    dogs = [Dog(number=number, text="ä" * 50) for number in range(5000)]
    session.store(dogs)
    for number, dog in enumerate(dogs):
        dog.id = f"n{number}"
    keys = await session.save()
    assert keys == [f"dogs/n{number}" for number in range(5000)]
    assert wire.take() == ["POST /bulk_docs"]
    for dog in dogs[::1000]:
        dog.number = -1
    assert len(await session.save()) == 5
    assert (await read(store, "dogs/n4000")).number == -1


class TestStoredAgain:
    async def test_a_new_one_has_what_is_said_of_it_last(self, session: evsession.Session, store: evsession.Store) -> None:
        dog = Dog(name="Rex")
        session.store(dog).store(dog, key="pets/rex", collection="Pets", metadata={"by": "me"})
        session.store(dog, metadata={"for": "you"})
        assert await session.save() == ["pets/rex"]
        stored = await read(store, "pets/rex")
        assert [stored.metadata[name] for name in ("@collection", "by", "for")] == ["Pets", "me", "you"]
        assert dog.id == "pets/rex"

    async def test_a_taken_key_changes_nothing(self, session: evsession.Session) -> None:
        one, other = Dog(), Dog()
        session.store(one, key="dogs/one").store(other)
        with pytest.raises(evsession.KeyConflict):
            session.store(other, key="dogs/one")
        assert other.id is None

    @pytest.mark.usefixtures("family")
    @pytest.mark.parametrize("said", [{"key": "dogs/copy"}, {"collection": "Pets"}, {"metadata": {"@expires": "2090-01-01"}}])
    async def test_of_one_in_the_database_nothing_else_can_be_said(self, session: evsession.Session, said: Any) -> None:
        max = await session.load(MAX)
        max.age = 99
        with pytest.raises(evsession.ConfigurationError, match="is known to this session with"):
            session.store(max, **said)
        session.store(max, key=MAX, collection="Dogs")
        assert await session.save() == [MAX]
