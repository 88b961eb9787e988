"""The session's methods on instances of the program's own classes: what is known, changed, patched, deleted."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

import evsession
from tests.conformance.farm import KINDS, Cow, declare, make
from tests.conformance.kennel import Told, Wire, read


@pytest.fixture(autouse=True)
def _declared() -> None:
    declare()


@pytest.mark.parametrize("cls", KINDS)
async def test_the_life_of_an_entity(cls: Any, session: evsession.Session, store: evsession.Store) -> None:
    session.options.use_optimistic_concurrency = True
    one, two = make(cls, "One"), make(cls, "Two")
    session.store(one, key="farm/1", metadata={"Origin": "market"})
    session.store([two])
    keys = await session.save()
    assert keys[0] == one.id == "farm/1"
    wire = Wire(session)
    metadata = session.metadata_for(one)
    assert [metadata[name] for name in ("@id", "@collection", "Origin")] == [
        "farm/1",
        session.metadata_for(two)["@collection"],
        "market",
    ]
    assert await session.load("FARM/1") is one
    assert not wire.take()

    # A patch gives its result to the one that is known, frozen or not.
    await session.patch("farm/1", [{"Type": "Inc", "Name": "age", "Value": 3}, {"Type": "Set", "Name": "extra", "Value": "kept"}])
    assert (one.age, one.name, one.id) == (3, "One", "farm/1")
    assert await session.save() == []

    if cls is not Cow:
        one.age += 1
        assert await session.save() == ["farm/1"]
        assert (await read(store, "farm/1")).age == 4
        async with store.open_session() as other:
            row: Any = await other.load("farm/1", type=evsession.Document)
            assert (row.extra, row.metadata["Origin"]) == ("kept", "market")

    # Somebody else changes it.
    async with store.open_session() as other:
        await other.patch("farm/1", [{"Type": "Set", "Name": "age", "Value": 50}])
    session.options.cache = False
    assert await session.load("farm/1") is one
    assert (one.age, one.id) == (50, "farm/1")
    assert await session.save() == []

    async with store.open_session() as other:
        await other.patch("farm/1", [{"Type": "Set", "Name": "age", "Value": 51}])
    told = Told()
    with pytest.raises(evsession.ConcurrencyError):
        await session.delete(one, told)
    assert await session.load("farm/1") is one
    await session.delete(one, session.metadata_for(one)["@change-vector"])
    await session.delete(two)
    assert await read(store, "farm/1") is None
    stored = make(cls, "Three")
    session.store(stored)
    assert session.metadata_for(evsession.Document()) == session.metadata_for(stored) == {}
    if not isinstance(two, evsession.Document):
        with pytest.raises(evsession.ConfigurationError, match="is not known"):
            session.metadata_for(two)
    assert await read(store, keys[1]) is None


@pytest.mark.parametrize("cls", KINDS)
async def test_two_that_are_equal_are_two(cls: Any, session: evsession.Session, store: evsession.Store) -> None:
    session.store([make(cls, "Same"), make(cls, "Same")])
    if cls is Cow:  # its key is made of its name
        with pytest.raises(evsession.KeyConflict):
            await session.save()
        return
    keys = await session.save()
    assert len(set(keys)) == 2
    documents = await session.load(keys)
    assert documents[0] is not documents[1]


class TestStoredButNotSaved:
    async def test_is_known_by_its_key(self, session: evsession.Session, wire: Wire) -> None:
        dog = evsession.Document(name="New", puppy="dogs/newer")
        newer = evsession.Document(name="Newer")
        session.store(dog, key="dogs/new", collection="Dogs")
        session.store(newer, key="dogs/newer", collection="Dogs")
        assert await session.load("Dogs/NEW") is dog
        found, includes = await session.load("dogs/new", "puppy")
        assert (found is dog, includes[0] is newer) == (True, True)
        assert [document is dog for document in await session.load(["dogs/new", "dogs/newer"])] == [True, False]
        assert not wire.take()
        assert not await session.exists("dogs/new")
        assert await session.save() == ["dogs/new", "dogs/newer"]

    async def test_is_included_by_a_document_of_the_server(self, session: evsession.Session, store: evsession.Store) -> None:
        async with store.open_session() as other:
            other.store({"puppy": "dogs/new"}, key="dogs/old", collection="Dogs")
            await other.save()
        new = evsession.Document(name="New")
        session.store(new, key="dogs/new", collection="Dogs")
        _, includes = await session.load("dogs/old", "puppy")
        assert includes == [new]
        assert includes[0] is new

    async def test_is_not_overwritten_by_what_is_loaded(self, session: evsession.Session, store: evsession.Store) -> None:
        async with store.open_session() as other:
            other.store({"name": "Old"}, key="dogs/1", collection="Dogs")
            await other.save()
        new = evsession.Document(name="New")
        loading = session.load("dogs/1")
        session.store(new, key="dogs/1", collection="Dogs")
        assert await loading is new
        documents, _ = await session.query("Dog")
        assert documents[0] is new
        assert await session.save() == ["dogs/1"]
        assert (await read(store, "dogs/1")).name == "New"

    async def test_what_was_deleted_elsewhere_is_gone_without_a_cache(
        self, session: evsession.Session, store: evsession.Store
    ) -> None:
        session.options.cache = False
        session.store(evsession.Document(name="New"), key="dogs/1", collection="Dogs")
        await session.save()
        async with store.open_session() as other:
            await other.delete("dogs/1")
        assert await session.load("dogs/1") is None
        assert await session.load(["dogs/1"]) == []


@pytest.mark.parametrize("asks", [False, True])
async def test_a_dict_that_was_stored_has_its_metadata_as_a_document(session: evsession.Session, *, asks: bool) -> None:
    session.store({"a": 1}, key="xs/1", collection="Xs")
    await session.save()
    found: Any = (await session.raw("from Xs"))[0][0] if asks else await session.load("xs/1")
    assert found.metadata["@collection"] == "Xs"
    await session.delete("xs/1", found.metadata["@change-vector"])
    assert not await session.exists("xs/1")


async def test_metadata_cannot_be_written(session: evsession.Session) -> None:
    dog: Any = evsession.Document(name="Max")
    session.store(dog, collection="Dogs")
    await session.save()
    metadata: Any = dog.metadata
    with pytest.raises(TypeError):
        metadata["@collection"] = "Cats"
    with pytest.raises(AttributeError):
        dog.metadata = {}
    assert metadata["@collection"] == "Dogs"


@evsession.document(collection="Mutes")
class Mute(msgspec.Struct):
    name: str = ""


async def test_lists_find_entities_that_do_not_hold_their_keys(store: evsession.Store) -> None:
    evsession.document(Mute, collection="Mutes")
    async with store.open_session() as session:
        keys = await session.add(Mute("a"), Mute("b")).save()
        known: Any = await session.load(keys)
        assert [known.load(key).name for key in keys] == ["a", "b"]
    async with store.open_session() as session:
        loaded = await session.load(keys)
        assert [loaded.load(key) for key in keys] == [Mute("a"), Mute("b")]
        found, _ = await session.query(Mute, wait_for_non_stale=True)
        assert {key: found.load(key) for key in keys} == dict(zip(keys, loaded, strict=True))
        session.store({"mute": keys[0]}, key="holders/1", collection="Holders")
        await session.save()
    async with store.open_session() as session:
        _, includes = await session.load("holders/1", "mute")
        assert includes.load(keys[0]) == Mute("a")


async def test_a_default_of_the_class_does_not_hide_what_is_stored(store: evsession.Store) -> None:
    @evsession.document(collection="Habits")
    class Habit:
        name = "nobody"
        tags: ClassVar[list[str]] = []

        def __init__(self, name: str) -> None:
            self.name = name

        def shout(self) -> str:
            return self.name.upper()

    async with store.open_session() as session:
        (key,) = await session.add(Habit("Max")).save()
    async with store.open_session() as session:
        habit = await session.load(key)
        assert (type(habit), habit.name, habit.shout()) == (Habit, "Max", "MAX")
        habit.name = "Jess"
        assert await session.save() == [key]
        reference = store.open_session().get_reference(Habit, key)
        with pytest.raises(evsession.NotLoaded, match="Habit.name"):
            _ = reference.name


@pytest.mark.parametrize("collection", [5, "", " ", "a\nb", ("Dogs",)])
async def test_a_collection_is_named_by_a_text(collection: Any, session: evsession.Session) -> None:
    with pytest.raises(evsession.ConfigurationError, match="is named by a printable text"):
        session.store({}, key="dogs/1", collection=collection)


async def test_sessions_have_numbers_and_say_whether_they_remember(store: evsession.Store) -> None:
    one, other = store.open_session(), store.open_session(with_identity_map=False)
    assert one.id != other.id
    assert (one.with_identity_map, other.with_identity_map) == (True, False)
    with pytest.raises(evsession.ConfigurationError, match="with_identity_map"):
        store.open_session(with_identity_map="no")  # type: ignore[arg-type]
