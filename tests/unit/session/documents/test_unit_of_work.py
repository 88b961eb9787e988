"""What a session's unit of work sends and believes: queue, references, increments, reloading, the dry run, hooks."""

from __future__ import annotations

import gc
import weakref
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import attrs
import msgspec
import pytest
import trio
import trio.lowlevel
import trio.testing

import evsession
from evsession import (
    MISSING,
    CommitEvent,
    ConcurrencyError,
    ConfigurationError,
    DirtyEntity,
    InvalidDocument,
    KeyConflict,
    NotLoaded,
    SessionClosed,
    SessionError,
    TransactionError,
)
from evsession.testing.scripted import ScriptedTransport
from tests.unit.session.conftest import Scripted, loaded, row
from tests.unit.session.documents.tiny import TinyRaven

Dog = evsession.DocumentType("Dog")


@evsession.document(collection="Dogs")
@dataclass
class TypedDog:
    name: str
    age: int = 0
    id: str | None = None


@evsession.document(collection="Dogs")
@dataclass
class NamedDog:
    id: str
    name: str = ""
    age: int = 0


@evsession.document(collection="Dogs")
@dataclass
class KeylessDog:
    name: str
    age: int = 0


@evsession.document(collection="Dogs")
@dataclass(slots=True)
class SlottedDog:
    """It can hold no key, and nobody can refer to it weakly."""

    name: str
    age: int = 0


@evsession.document(collection="Dogs")
@attrs.define
class AttrsDog:
    name: str
    age: int = 0
    id: str | None = None


@evsession.document(collection="Dogs")
class StructDog(msgspec.Struct):
    name: str
    age: int = 0
    id: str | None = None


@evsession.document(collection="Dogs")
class HandDog:
    name: str
    age: int = 0


KINDS: list[Any] = [Dog, TypedDog, AttrsDog, StructDog, HandDog]

MAX = {"name": "Max", "age": 12}


@pytest.fixture(autouse=True)
def _dogs_are_documents() -> None:
    evsession.document(Dog, collection="Dogs")


def on(scripted: Scripted, tiny: TinyRaven, **more: Any) -> AbstractAsyncContextManager[tuple[evsession.Session, Any]]:
    return scripted(repeat=tiny, **more)


def sent(tiny: TinyRaven) -> list[list[tuple[str, str]]]:
    return [[(command["Type"], command["Id"]) for command in batch] for batch in tiny.batches]


def patch_of(tiny: TinyRaven, batch: int = -1, command: int = 0) -> dict[str, Any]:
    values: dict[str, Any] = tiny.batches[batch][command]["Patch"]["Values"]
    return values


class TestQueue:
    async def test_one_batch_of_deletions_changes_and_new_ones(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {"n": 2}})
        async with on(scripted, tiny) as (session, _):
            a, b = await session.load(["dogs/a", "dogs/b"])
            assert session.add(Dog(name="new")) is session
            assert session.remove(b) is session
            a.n = 5
            saved = await session.commit()
            assert sent(tiny) == [[("DELETE", "dogs/b"), ("PUT", "dogs/a"), ("PUT", "dogs|")]]
            assert saved == ["dogs/a", "dogs/1"]
            assert (saved.inserted, saved.updated, saved.removed, saved.rounds) == (["dogs/1"], ["dogs/a"], ["dogs/b"], 1)
            assert await session.commit() == []
            assert await session.save() == []
            assert len(tiny.batches) == 1

    async def test_what_can_be_no_entity_queues_nothing(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            with pytest.raises(TypeError, match="int cannot be stored"):
                session.add(Dog(), 5)
            with pytest.raises(TypeError, match="int cannot be stored"):
                session.remove("dogs/a", 5)
            with pytest.raises(ConfigurationError, match="has no key and was not added"):
                session.remove(Dog(name="new"))
            assert len(session.identity_map) == 0
            assert await session.commit() == []

    async def test_metadata_of_one_s_own_is_sent_beside_that_of_the_collection(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            await session.add(Dog(name="a")).commit()
            session.store(Dog(name="b"), metadata={"color": "red"})
            await session.commit()
            assert tiny.batches[1][0]["Document"]["@metadata"] == {"@collection": "Dogs", "color": "red"}

    async def test_the_collection_is_sent_wherever_the_key_comes_from(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            for id in ("dogs/1", "One", None):
                dog = Dog()
                if id is not None:
                    dog.id = id
                session.add(dog)
            session.store(Dog(), key="pets/1")
            session.store(TypedDog("Max", id="Two"), collection="Strays")
            stray = evsession.Document()
            stray.id = "strays/3"
            session.add(stray)
            await session.commit()
            assert [(command["Id"], command["Document"]["@metadata"]) for command in tiny.batches[0]] == [
                ("dogs/1", {"@collection": "Dogs"}),
                ("dogs/one", {"@collection": "Dogs"}),
                ("dogs|", {"@collection": "Dogs"}),
                ("pets/1", {"@collection": "Dogs"}),
                ("strays/two", {"@collection": "Strays"}),
                ("strays/3", {}),
            ]

    async def test_a_key_that_is_named_goes_before_all_that_would_make_one(self, scripted: Scripted) -> None:
        @evsession.document(collection="Dogs", key=lambda dog: dog.name)
        @dataclass(slots=True)
        class Called:
            """It can hold no key."""

            name: str

        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            session.add(Called("Rex"))
            session.store(Called("Max"), key="pets/1")
            assert [change.key for change in session.changes()] == ["dogs/rex", "pets/1"]
            assert await session.commit() == ["dogs/rex", "pets/1"]

    async def test_what_can_hold_no_key_is_deleted_by_the_one_it_is_known_by(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": MAX})
        async with on(scripted, tiny) as (session, _):
            await session.delete(await session.load("dogs/a", type=SlottedDog))
            assert tiny.rows == {}

    @pytest.mark.parametrize("foreign", [Dog(key="dogs/b"), TypedDog("Max")])
    async def test_a_document_of_another_session_is_deleted_by_its_own_key(self, scripted: Scripted, foreign: Any) -> None:
        """A field may be named as the parameter is."""
        tiny = TinyRaven({"dogs/a": {}, "dogs/b": {}})
        foreign.id = "dogs/a"
        async with on(scripted, tiny) as (session, _):
            session.remove(foreign)
            assert (await session.commit()).removed == ["dogs/a"]
            assert list(tiny.rows) == ["dogs/b"]

    async def test_an_id_is_known_by_the_key_that_it_means(self, scripted: Scripted) -> None:
        @evsession.document(collection="Dogs", id_separator="-")
        @dataclass
        class Dashed:
            id: str | None

        async with on(scripted, TinyRaven()) as (session, _):
            one, two, three = Dashed("One"), Dashed("Two"), TypedDog("x", id="Three")
            session.add(one)
            session.store(two, collection="Strays")
            session.store(three, collection="Strays")
            assert [session.identity_map.get(key) for key in ("dogs-one", "strays-two", "strays/three")] == [one, two, three]
            assert await session.commit() == ["dogs-one", "strays-two", "strays/three"]

    @pytest.mark.parametrize(("id", "key"), [("dogs-1", "dogs-1"), ("dogs/1", "strays-dogs/1")])
    async def test_an_id_that_is_whole_in_one_collection_may_not_be_in_another(
        self, scripted: Scripted, id: str, key: str
    ) -> None:
        @evsession.document(collection="Dogs", id_separator="-")
        class Dashed(evsession.Document):
            pass

        async with on(scripted, TinyRaven()) as (session, _):
            dog = Dashed()
            dog.id = id
            session.add(dog)
            assert session.identity_map.get(id) is dog
            session.store(dog, collection="Strays")
            assert await session.commit() == [key]

    async def test_an_id_may_be_given_until_the_transaction_ends(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            session.use_transaction()
            dog = TypedDog("Max")
            session.add(dog)
            await session.flush()
            dog.id, dog.age = "dogs/max", 12
            assert await session.commit() == ["dogs/max"]
            assert tiny.rows == {"dogs/max": MAX}

    async def test_an_id_may_be_edited_until_the_document_is_saved(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            dog = Dog()
            dog.id = "dogs/a"
            session.add(dog)
            dog.id = "dogs/b"
            assert await session.commit() == ["dogs/b"]
            assert list(tiny.rows) == ["dogs/b"]

    async def test_what_cannot_be_stored_is_named_by_the_key_it_has_or_will_have(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": MAX, "dogs/b": MAX})
        async with on(scripted, tiny) as (session, _):
            loaded: Any = await session.load("dogs/a", type=KeylessDog)
            reference = session.get_reference(Dog, "b")
            plain: dict[str, Any] = {}
            session.store(plain, key="pets/c")
            new: Any = Dog()
            session.add(new)
            new.id = "dogs/d"
            loaded.age = reference["age"] = plain["age"] = new.age = float("nan")
            named = {"dogs/d": new, "pets/c": plain, "dogs/a": loaded, "dogs/b": reference}
            for key, entity in named.items():
                with pytest.raises(InvalidDocument) as caught:
                    session.changes(entity)
                assert (caught.value.key, caught.value.path) == (key, "age")
            told = []
            for _ in named:
                with pytest.raises(InvalidDocument) as caught:
                    session.commit()
                told.append(caught.value.key)
                session.evict(named[told[-1] or ""])
            assert sorted(map(str, told)) == sorted(named)
            assert await session.commit() == []
            assert tiny.batches == []

    async def test_a_removal_by_key_needs_no_loading(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {}})
        async with on(scripted, tiny) as (session, transport):
            session.remove("dogs/a", "dogs/none")
            assert (await session.commit()).removed == ["dogs/a", "dogs/none"]
            assert tiny.rows == {}
            assert len(transport.requests) == 1
            with pytest.raises(ConfigurationError, match="would make the rest"):
                session.remove("dogs/")

    async def test_a_removal_by_key_is_that_of_the_known_one(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {}})
        async with on(scripted, tiny) as (session, _):
            a = await session.load("dogs/a")
            session.remove("DOGS/A")
            assert session.is_dirty(a)
            assert [(change.entity, change.kind) for change in session.changes()] == [(a, "delete")]
            await session.commit()
            assert "dogs/a" not in session.identity_map

    async def test_a_document_of_another_session_may_be_removed(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            session.options.use_optimistic_concurrency = True
            stranger = await session.load("dogs/a")
            session.evict(stranger)
            tiny.put("dogs/a", {"n": 2})
            session.remove(stranger)
            with pytest.raises(ConcurrencyError) as caught:
                await session.commit()
            assert (caught.value.key, caught.value.expected, caught.value.actual) == ("dogs/a", "A:1-tiny", "A:2-tiny")
            session.evict(stranger)
            assert await session.commit() == []

    async def test_a_removal_frees_the_key_and_gives_it_back(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            a = await session.load("dogs/a")
            session.remove(a)
            other = Dog(n=2)
            session.store(other, key="dogs/a")
            with pytest.raises(KeyConflict):
                session.add(a)
            session.remove(other)
            session.add(a)
            assert await session.load("dogs/a") is a
            assert await session.commit() == []

    @pytest.mark.parametrize("cls", KINDS)
    async def test_every_kind_of_class_is_tracked(self, scripted: Scripted, cls: Any) -> None:
        tiny = TinyRaven({"dogs/a": {**MAX, "more": 1}})
        async with on(scripted, tiny) as (session, _):
            dog: Any = await session.load("dogs/a", type=cls)
            assert not session.is_dirty(dog)
            dog.age = 13
            assert session.changes(dog) == {"age": (12, 13)}
            await session.commit()
            assert tiny.rows == {"dogs/a": {"name": "Max", "age": 13, "more": 1}}
            session.remove(dog)
            await session.commit()
            assert tiny.rows == {}
            session.add(dog)
            await session.commit()
            assert tiny.rows["dogs/a"]["age"] == 13

    async def test_sets_are_compared_as_sets(self, scripted: Scripted) -> None:
        @evsession.document(collection="Dogs")
        @dataclass
        class Tagged:
            tags: set[str]
            id: str | None = None

        tiny = TinyRaven({"dogs/a": {"tags": ["y", "x"]}})
        async with on(scripted, tiny) as (session, _):
            dog: Any = await session.load("dogs/a", type=Tagged)
            assert await session.commit() == []
            dog.tags.add("z")
            dog.tags.remove("z")
            assert await session.commit() == []
            dog.tags.add("z")
            assert session.changes(dog) == {"tags": (["x", "y"], ["x", "y", "z"])}

    async def test_an_id_of_a_document_without_a_type_is_its_key(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            one, two = evsession.Document(n=1), evsession.Document(n=2)
            one.id, two.id = "strays/1", "One"
            session.store(one)
            session.store(two, collection="Strays")
            assert session.identity_map.get("strays/1") is one
            assert session.identity_map.get("strays/one") is two
            assert await session.commit() == ["strays/1", "strays/one"]

    @pytest.mark.parametrize("cls", KINDS[1:])
    async def test_a_key_cannot_be_edited(self, scripted: Scripted, cls: Any) -> None:
        tiny = TinyRaven({"dogs/a": MAX})
        async with on(scripted, tiny) as (session, _):
            dog: Any = await session.load("dogs/a", type=cls)
            dog.id = "dogs/b"
            with pytest.raises(ConfigurationError, match="'dogs/a' cannot change to 'dogs/b'"):
                session.commit()
            assert tiny.batches == []
            dog.id = "dogs/a"
            assert await session.commit() == []

    async def test_one_that_became_unstorable_is_named(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {}})
        async with on(scripted, tiny) as (session, _):
            a, b = await session.load(["dogs/a", "dogs/b"])
            a.n, b.deep = 2, {"x": [1, float("nan")]}
            session.add(Dog(name="new"))
            with pytest.raises(InvalidDocument, match=r"deep\.x\[1\]") as caught:
                session.commit()
            assert (caught.value.key, caught.value.path) == ("dogs/b", "deep.x[1]")
            assert tiny.batches == []
            b.deep = 1
            assert len(await session.commit()) == 3

    async def test_the_order_of_fields_is_no_change(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"a": 1, "b": {"x": 1, "y": 2}}})
        async with on(scripted, tiny) as (session, _):
            dog = await session.load("dogs/a")
            del dog["a"], dog.b["x"]
            dog.a = dog.b["x"] = 1
            assert not session.is_dirty(dog)
            assert await session.commit() == []
            assert tiny.batches == []

    async def test_a_null_is_no_proof_that_nothing_changed(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": None}})
        async with on(scripted, tiny) as (session, _):
            a = await session.load("dogs/a")
            assert await session.commit() == []
            a.n = float("nan")
            with pytest.raises(InvalidDocument, match="nan has no form"):
                session.commit()
            a["@metadata"] = {}
            with pytest.raises(InvalidDocument, match="@metadata"):
                session.commit()

    async def test_what_the_quick_look_cannot_encode_is_looked_at_again(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": MAX})
        async with on(scripted, tiny) as (session, _):
            dog: Any = await session.load("dogs/a", type=TypedDog)
            dog.age = object()
            with pytest.raises(InvalidDocument) as caught:
                session.commit()
            assert caught.value.key == "dogs/a"


class TestWhatHasChanged:
    async def test_the_key_that_an_id_means_by_now(self, scripted: Scripted) -> None:
        async with on(scripted, TinyRaven()) as (session, _):
            dog = Dog(name="new")
            session.add(dog)
            dog.id = "Max"
            assert [change.key for change in session.changes()] == ["dogs/max"]

    async def test_a_key_that_was_changed_is_told_where_it_is_the_first_field(self, scripted: Scripted) -> None:
        async with on(scripted, TinyRaven({"dogs/a": {"name": "x"}})) as (session, _):
            dog: Any = await session.load("dogs/a", type=NamedDog)
            assert session.changes() == []
            dog.id = "dogs/b"
            with pytest.raises(ConfigurationError, match="dogs/b"):
                session.commit()

    @pytest.mark.parametrize("cls", [*KINDS, NamedDog, KeylessDog, SlottedDog])
    @pytest.mark.parametrize(("field", "value"), [("name", "Rex"), ("name", "Maxi"), ("name", ""), ("age", 21), ("age", 123)])
    async def test_an_edit_is_found_whatever_it_looks_like(self, scripted: Scripted, cls: Any, field: str, value: Any) -> None:
        """The JSON may be as long as before, and may begin or end as before."""
        tiny = TinyRaven({"dogs/a": MAX})
        async with on(scripted, tiny) as (session, _):
            dog: Any = await session.load("dogs/a", type=cls)
            setattr(dog, field, value)
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows["dogs/a"] == {**MAX, field: value}

    @pytest.mark.parametrize(
        ("now", "is_changed"),
        [
            ({"b": [1, {"d": 4, "c": 3}], "a": 2}, False),
            ({"a": 2, "b": [1, {"c": 4, "d": 3}]}, True),
            ({"a": 1, "b": [2, {"c": 3, "d": 4}]}, True),
            ({"b": 2, "a": [1, {"c": 3, "d": 4}]}, True),
            ({"a": 2, "b": [{"c": 3, "d": 4}, 1]}, True),
        ],
    )
    async def test_the_order_of_fields_means_nothing(self, scripted: Scripted, now: Any, *, is_changed: bool) -> None:
        """All of these are of the same letters."""
        tiny = TinyRaven({"dogs/a": {"a": 2, "b": [1, {"c": 3, "d": 4}]}})
        async with on(scripted, tiny) as (session, _):
            dog: Any = await session.load("dogs/a")
            dict.clear(dog)
            dog.update(now)
            assert session.is_dirty(dog) == is_changed
            assert await session.commit() == (["dogs/a"] if is_changed else [])
            assert tiny.rows["dogs/a"] == now

    @pytest.mark.parametrize("counts", [False, True])
    async def test_entities_of_all_kinds_are_written_in_the_order_they_were_met(
        self, scripted: Scripted, *, counts: bool
    ) -> None:
        tiny = TinyRaven({f"dogs/{number}": dict(MAX) for number in range(len(KINDS) * 2)})
        async with on(scripted, tiny) as (session, _):
            dogs: list[Any] = [await session.load(key, type=KINDS[number % len(KINDS)]) for number, key in enumerate(tiny.rows)]
            if counts:
                session.increment(dogs[4], "age", 1)
            for dog in (*dogs[:4], *dogs[4 + counts :]):
                dog.name = "Rex"
            assert await session.commit() == list(tiny.rows)


class TestKnownEntities:
    async def test_the_identity_map_is_looked_into(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {}, "dogs/b": {}})
        async with on(scripted, tiny) as (session, _):
            a, b = await session.load(["dogs/a", "dogs/b"])
            known = session.identity_map
            assert known.get("DOGS/A") is a
            assert known.get("dogs/c") is None
            assert known.get("dogs/c", 5) == known.get("dogs/c", default=5) == 5
            for wrong in (5, None, a, evsession.Document):
                with pytest.raises(TypeError, match="a key of the identity map is a text"):
                    known.get(wrong, "dogs/a")  # type: ignore[arg-type]
            assert "dogs/b" in known
            assert "dogs/c" not in known
            assert a in known
            assert dict(a) not in known
            assert [one is other for one, other in zip(known, (a, b), strict=True)] == [True, True]
            assert len(known) == 2
            assert repr(known) == "<KnownEntities ['dogs/a', 'dogs/b']>"
            known.clear()
            assert len(session.identity_map) == 0

    async def test_a_plain_dict_that_was_saved_is_a_document_when_it_is_asked_for(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, transport):
            session.store({"n": 1}, key="dogs/a", collection="Dogs")
            await session.commit()
            dog = await session.load("dogs/a")
            assert len(transport.requests) == 1
            assert (dog, dog.id) == ({"n": 1}, "dogs/a")
            assert (dog.metadata["@collection"], dog.metadata["@change-vector"]) == ("Dogs", tiny.versions["dogs/a"])
            dog.n = 2
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"n": 2}}

    async def test_evict_and_clear_forget_edits(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            a = await session.load("dogs/a")
            a.n = 2
            session.evict(a, Dog())
            assert await session.commit() == []
            again = await session.load("dogs/a")
            assert again is not a
            again.n = 3
            session.add(Dog())
            session.clear()
            assert await session.commit() == []
            assert tiny.rows == {"dogs/a": {"n": 1}}

    async def test_a_session_holds_what_it_loaded_until_it_is_evicted(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": MAX})
        async with on(scripted, tiny) as (session, _):
            dog = weakref.ref(await session.load("dogs/a", type=TypedDog))
            gc.collect()
            held = dog()
            assert held is not None
            session.evict(held)
            del held
            await trio.lowlevel.checkpoint()  # until then the store knows of the load
            gc.collect()
            assert dog() is None

    async def test_a_closed_session_is_gone_without_the_collector(self) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})

        async def work(store: evsession.Store) -> tuple[weakref.ref[Any], ...]:
            async with store.open_session() as session:
                session.on("insert.pre", lambda event: None)
                a, b = await session.load("dogs/a"), Dog()
                a.n = 2
                assert session.add(b).is_dirty(a)
                assert await session.commit() == ["dogs/a", "dogs/1"]
                return weakref.ref(session), weakref.ref(a), weakref.ref(b)

        async with evsession.Store(transport=ScriptedTransport(repeat=tiny), database="db") as store:
            gc.disable()
            try:
                refs = await work(store)
                await trio.lowlevel.checkpoint()  # until then the store knows of the commit
                assert [ref() for ref in refs] == [None] * 3
            finally:
                gc.enable()

    async def test_changes_of_one_and_of_all(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1, "tags": ["x"]}, "dogs/b": {}, "dogs/c": {}})
        async with on(scripted, tiny) as (session, _):
            a, b, _c = await session.load(["dogs/a", "dogs/b", "dogs/c"])
            a.tags.append("y")
            del a["n"]
            session.remove(b)
            new = Dog(name="x")
            new.id = "New"
            session.add(new)
            assert session.changes(a) == {"tags": (["x"], ["x", "y"]), "n": (1, MISSING)}
            every = session.changes()
            assert [(change.key, change.kind, change.fields) for change in every] == [
                ("dogs/a", "update", session.changes(a)),
                ("dogs/b", "delete", {}),
                ("dogs/new", "insert", {"name": (MISSING, "x")}),
            ]
            with pytest.raises(ConfigurationError, match="neither loaded nor added"):
                session.changes(Dog())
            with pytest.raises(ConfigurationError, match="not known"):
                session.is_dirty(Dog())


class TestReferences:
    async def test_one_that_is_loaded_while_its_commit_waits_is_written_whole(
        self, scripted: Scripted, autojump_clock: trio.testing.MockClock
    ) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1, "name": "theirs"}})
        pauses = iter([1, 5, 0])

        async def slow(request: evsession.Request) -> evsession.Response:
            await trio.sleep(next(pauses))
            return tiny(request)

        async with scripted(repeat=slow) as (session, _):
            dog = session.get_reference(Dog, "dogs/a")
            loading = session.load("dogs/a", lambda *_: None)
            await trio.sleep(0.1)
            session.store(Dog(), key="dogs/b")
            first = session.commit(lambda *_: None)
            dog.name = "mine"
            second = session.commit(lambda *_: None)
            assert await loading is dog
            assert not first.is_done
            await second
            assert tiny.rows["dogs/a"] == {"n": 1, "name": "mine"}

    async def test_it_is_written_alone_as_an_edit(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1, "tags": ["x"]}})
        async with on(scripted, tiny) as (session, transport):
            dog = session.get_reference(Dog, "a")
            assert session.get_reference("Dog", "dogs/A") is dog
            assert (dog.id, session.is_dirty(dog)) == ("dogs/a", False)
            assert await session.commit() == []
            assert transport.requests == []
            dog.name = "Max"
            assert session.changes(dog) == {"name": (MISSING, "Max")}
            assert await session.commit() == ["dogs/a"]
            assert sent(tiny) == [[("PATCH", "dogs/a")]]
            assert patch_of(tiny) == {"set": {"name": "Max"}, "unset": [], "increment": {}}
            assert tiny.rows == {"dogs/a": {"n": 1, "tags": ["x"], "name": "Max"}}
            assert not session.is_dirty(dog)
            assert dog.name == "Max"
            with pytest.raises(NotLoaded):
                _ = dog.n

    async def test_a_missing_document_fails_the_whole_batch(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            dog = session.get_reference(Dog, "a")
            dog.name = "Max"
            session.add(Dog(name="new"))
            with pytest.raises(SessionError, match="no document 'dogs/a' to change; nothing was written") as caught:
                await session.commit()
            assert (caught.value.status_code, caught.value.key, caught.value.uncertain) == (404, "dogs/a", False)
            assert tiny.rows == {}
            assert session.is_dirty(dog)

    async def test_hydrate_loads_all_in_one_request_and_keeps_what_was_set(self, scripted: Scripted) -> None:
        tiny = TinyRaven({f"dogs/{name}": {"name": name, "n": 1} for name in "abc"})
        async with on(scripted, tiny) as (session, transport):
            a, b, c = (session.get_reference(Dog, name) for name in "abc")
            b.n = 5
            await session.hydrate(a, b, c)
            assert len(transport.requests) == 1
            assert [dog.name for dog in (a, b, c)] == ["a", "b", "c"]
            assert b.n == 5
            assert session.changes(b) == {"n": (1, 5)}
            assert a.metadata["@change-vector"] == tiny.versions["dogs/a"]
            await session.hydrate(a, b, c)
            assert len(transport.requests) == 1
            assert await session.commit() == ["dogs/b"]
            assert sent(tiny) == [[("PUT", "dogs/b")]]

    async def test_a_null_that_was_set_and_written(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            dog = session.get_reference(Dog, "a")
            dog.n = None
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"n": None}}
            assert await session.commit() == []

    async def test_a_written_one_that_is_hydrated_is_clean(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1, "name": "old"}})
        async with on(scripted, tiny) as (session, _):
            dog = session.get_reference(Dog, "a")
            dog.name = "Max"
            await session.commit()
            await session.hydrate(dog)
            assert session.changes(dog) == {}
            assert not session.is_dirty(dog)

    @pytest.mark.parametrize("cls", KINDS)
    async def test_of_every_kind_of_class(self, scripted: Scripted, cls: Any) -> None:
        tiny = TinyRaven({"dogs/a": {**MAX, "more": [1]}, "dogs/b": MAX})
        async with on(scripted, tiny) as (session, _):
            a, b = session.get_reference(cls, "dogs/a"), session.get_reference(cls, "dogs/b")
            a.age = b.age = 1
            await session.commit()
            assert tiny.rows == {"dogs/a": {"name": "Max", "age": 1, "more": [1]}, "dogs/b": {"name": "Max", "age": 1}}
            await session.hydrate(a)
            assert type(a) is cls
            assert (a.name, a.age, a.id) == ("Max", 1, "dogs/a")
            a.name = "Jess"
            b.name = "Billy"
            assert await session.commit() == ["dogs/a", "dogs/b"]
            assert tiny.rows["dogs/a"] == {"name": "Jess", "age": 1, "more": [1]}
            assert tiny.rows["dogs/b"] == {"name": "Billy", "age": 1}

    async def test_a_missing_one_is_told_and_the_others_are_loaded(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/b": {"name": "b"}})
        async with on(scripted, tiny) as (session, _):
            refs = [session.get_reference(Dog, str(name)) for name in ["a", "b", 1, 2, 3, 4, 5]]
            with pytest.raises(SessionError, match=r"no document 'dogs/a', .*'dogs/4', \.\.\.$") as caught:
                await session.hydrate(*refs)
            assert (caught.value.status_code, caught.value.key, caught.value.operation) == (404, "dogs/a", "hydrate")
            assert refs[1].name == "b"
            with pytest.raises(SessionError, match=r"there is no document 'dogs/a'$"):
                await session.hydrate(refs[0])

    async def test_a_query_or_load_that_brings_the_document_hydrates_it(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {"n": 2}, "dogs/c": {"n": 3}})
        async with on(scripted, tiny) as (session, _):
            a, b, c = (session.get_reference(Dog, name) for name in "abc")
            assert await session.load("dogs/a") is a
            assert a.n == 1
            assert await session.load(["dogs/a", "dogs/b"]) == [a, b]
            assert b.n == 2
            session.options.cache = False
            assert await session.load("dogs/c") is c
            assert c.n == 3

    async def test_a_load_of_what_is_to_be_deleted_by_its_key_finds_it(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            session.remove("dogs/a")
            assert (await session.load("dogs/a")).n == 1
            assert (await session.commit()).removed == ["dogs/a"]

    async def test_it_can_be_removed_reverted_and_added(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            a, b = session.get_reference(Dog, "a"), session.get_reference(Dog, "b")
            a.n = b.n = 5
            session.add(a)
            session.remove(b)
            session.revert(a)
            with pytest.raises(NotLoaded):
                _ = a.n
            saved = await session.commit()
            assert (saved, saved.removed) == ([], ["dogs/b"])
            assert tiny.rows == {"dogs/a": {"n": 1}}

    async def test_of_another_session_is_refused(self, scripted: Scripted) -> None:
        async with on(scripted, TinyRaven()) as (session, _):
            dog = session.get_reference(Dog, "a")
            session.evict(dog)
            with pytest.raises(ConfigurationError, match="refers to a document of another session"):
                session.add(dog)

    @pytest.mark.parametrize("cls", KINDS[1:])
    async def test_its_key_cannot_be_edited(self, scripted: Scripted, cls: Any) -> None:
        tiny = TinyRaven({"dogs/a": MAX})
        async with on(scripted, tiny) as (session, _):
            dog: Any = session.get_reference(cls, "dogs/a")
            dog.id, dog.age = "dogs/b", 1
            with pytest.raises(ConfigurationError, match="'dogs/a' cannot change to 'dogs/b'"):
                session.commit()
            dog.id = "dogs/a"
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {**MAX, "age": 1}}

    async def test_bad_input(self, scripted: Scripted) -> None:
        async with on(scripted, TinyRaven()) as (session, transport):
            with pytest.raises(TypeError):
                session.get_reference(7, "a")  # type: ignore[call-overload]
            with pytest.raises(ConfigurationError):
                session.get_reference(Dog, "")
            with pytest.raises(ConfigurationError, match="neither loaded nor added"):
                session.hydrate(Dog())
            assert transport.requests == []
            await session.hydrate()
        with pytest.raises(SessionClosed):
            session.get_reference(Dog, "a")

    async def test_callbacks_come_last(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            told: list[Any] = []
            a, b = session.get_reference(Dog, "a"), session.get_reference(Dog, "b")
            session.hydrate(a, told.append)
            session.hydrate(b, callback=told.append)
            await session.drain()
            session.refresh(a, told.append)
            await session.drain()
            assert told == [None, None, None]
            assert a.n == b.n == 1

    async def test_an_entity_that_can_be_called_is_no_callback(self, scripted: Scripted) -> None:
        @evsession.document(collection="Dogs")
        @dataclass
        class Barker:
            name: str
            id: str | None = None

            def __call__(self, error: object) -> None:
                raise AssertionError

        tiny = TinyRaven({"dogs/a": {"name": "x"}})
        async with on(scripted, tiny) as (session, _):
            one = session.get_reference(Barker, "dogs/a")
            await session.hydrate(one)
            assert one.name == "x"


class TestReloading:
    @pytest.mark.parametrize("kind", [TypedDog, NamedDog, AttrsDog, StructDog])
    async def test_without_a_cache_an_object_keeps_its_id(self, scripted: Scripted, kind: Any) -> None:
        tiny = TinyRaven({"dogs/a": {"name": "Max"}})
        async with on(scripted, tiny) as (session, _):
            session.options.cache = False
            dog: Any = await session.load("dogs/a", type=kind)
            tiny.put("dogs/a", {"name": "Moritz"})
            again: Any = await session.load("dogs/a", type=kind)
            assert (again is dog, again.name, again.id, session.changes()) == (True, "Moritz", "dogs/a", [])

    async def test_an_edit_that_cannot_be_stored_is_one(self, scripted: Scripted) -> None:
        async with on(scripted, TinyRaven({"dogs/a": {"n": 1}})) as (session, transport):
            a = await session.load("dogs/a")
            a.n = object()
            with pytest.raises(DirtyEntity, match="dogs/a"):
                session.refresh(a)
            assert len(transport.requests) == 1
            session.revert(a)

    async def test_refresh_takes_what_the_server_has(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {"n": 1}})
        async with on(scripted, tiny) as (session, transport):
            a, b = await session.load(["dogs/a", "dogs/b"])
            tiny.put("dogs/a", {"n": 2})
            tiny.put("dogs/b", {"m": 3})
            await session.refresh(a, b)
            assert len(transport.requests) == 2
            assert (a, b) == ({"n": 2}, {"m": 3})
            assert a.metadata["@change-vector"] == tiny.versions["dogs/a"]
            assert session.changes() == []

    async def test_edits_are_not_overwritten_unless_that_is_said(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, transport):
            a, new = await session.load("dogs/a"), Dog()
            a.n = 7
            session.add(new)
            with pytest.raises(DirtyEntity, match="unsaved changes") as caught:
                session.refresh(a)
            assert caught.value.key == "dogs/a"
            for force in (False, True):
                with pytest.raises(DirtyEntity, match="is new"):
                    session.refresh(new, force=force)
            assert len(transport.requests) == 1
            session.increment(a, "n")
            await session.refresh(a, force=True)
            assert a.n == 1
            assert not session.is_dirty(a)

    async def test_a_missing_one_is_told_and_stays(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            a = await session.load("dogs/a")
            tiny.delete("dogs/a")
            with pytest.raises(SessionError, match="no document 'dogs/a'") as caught:
                await session.refresh(a)
            assert (caught.value.status_code, caught.value.key) == (404, "dogs/a")
            assert a.n == 1
            assert a in session.identity_map

    async def test_a_reference_is_loaded_by_refresh_too(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            a = session.get_reference(Dog, "a")
            await session.refresh(a)
            assert a.n == 1

    async def test_what_a_transaction_has_staged_is_not_overwritten(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            a = await session.load("dogs/a")
            session.use_transaction()
            a.n = 2
            await session.flush()
            with pytest.raises(DirtyEntity):
                await session.refresh(a)
            await session.commit()
            assert tiny.rows == {"dogs/a": {"n": 2}}

    @pytest.mark.parametrize("cls", KINDS)
    async def test_revert_undoes_edits(self, scripted: Scripted, cls: Any) -> None:
        tiny = TinyRaven({"dogs/a": MAX})
        async with on(scripted, tiny) as (session, transport):
            a: Any = await session.load("dogs/a", type=cls)
            a.age, a.name = 1, "x"
            session.increment(a, "age")
            session.revert(a)
            assert (a.name, a.age, a.id) == ("Max", 12, "dogs/a")
            assert not session.is_dirty(a)
            assert await session.commit() == []
            assert len(transport.requests) == 1

    async def test_one_whose_key_was_edited_is_reverted_with_its_key(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": MAX})
        async with on(scripted, tiny) as (session, _):
            a: Any = await session.load("dogs/a", type=TypedDog)
            a.id = "dogs/x"
            session.revert(a)
            assert a.id == "dogs/a"

    async def test_a_new_one_has_nothing_to_go_back_to(self, scripted: Scripted) -> None:
        async with on(scripted, TinyRaven({"dogs/a": {"n": 1}})) as (session, _):
            a, new = await session.load("dogs/a"), Dog()
            session.add(new)
            a.n = 2
            with pytest.raises(ConfigurationError, match="is new"):
                session.revert(new)
            with pytest.raises(ConfigurationError, match="not known"):
                session.revert(a, Dog())
            assert a.n == 2

    async def test_after_an_edit_in_place_it_goes_back_to_what_the_server_has(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            a = await session.load("dogs/a")
            tiny.put("dogs/a", {"n": 1, "theirs": 1})
            session.increment(a, "n")
            await session.commit()
            a.n = 50
            session.revert(a)
            assert not session.is_dirty(a)
            assert a.n == 2


class TestIncrements:
    async def test_those_of_others_are_not_lost(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1, "name": "x"}})
        async with on(scripted, tiny) as (session, _):
            a = await session.load("dogs/a")
            tiny.put("dogs/a", {"n": 11, "name": "theirs"})
            session.increment(a, "n", 2)
            session.increment(a, "new")
            assert (a.n, a.new) == (3, 1)
            assert session.is_dirty(a)
            assert await session.commit() == ["dogs/a"]
            assert patch_of(tiny) == {"set": {}, "unset": [], "increment": {"n": 2, "new": 1}}
            assert tiny.rows == {"dogs/a": {"n": 13, "name": "theirs", "new": 1}}
            assert a.n == 13
            assert a.metadata["@change-vector"] == tiny.versions["dogs/a"]
            assert not session.is_dirty(a)
            a.age = 5
            await session.commit()
            assert tiny.rows["dogs/a"] == {"n": 13, "name": "theirs", "new": 1, "age": 5}

    async def test_an_edit_while_it_is_sent_outlives_what_others_have_changed(
        self, scripted: Scripted, autojump_clock: trio.testing.MockClock
    ) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1, "name": "x"}})

        async def slow(request: evsession.Request) -> evsession.Response:
            await trio.sleep(1)
            return tiny(request)

        async with scripted(repeat=slow) as (session, _):
            a = await session.load("dogs/a")
            tiny.put("dogs/a", {"n": 11, "name": "theirs"})
            session.increment(a, "n", 2)
            committing = session.commit(lambda *_: None)
            await trio.sleep(0.5)
            a.name = "mine"
            await committing
            assert (a.name, a.n) == ("mine", 13)
            await session.commit()
            assert tiny.rows["dogs/a"] == {"n": 13, "name": "mine"}

    async def test_of_a_reference_to_what_is_just_being_created_are_still_increments(
        self, scripted: Scripted, autojump_clock: trio.testing.MockClock
    ) -> None:
        tiny = TinyRaven()

        async def slow(request: evsession.Request) -> evsession.Response:
            await trio.sleep(1)
            return tiny(request)

        async with scripted(repeat=slow) as (session, _):
            new = Dog(n=1)
            committing = session.add(new).commit(lambda *_: None)
            session.increment(session.get_reference(Dog, "dogs/1"), "n", 2)
            assert await committing == ["dogs/1"]
            tiny.put("dogs/1", {"n": 10})
            await session.commit()
            assert (tiny.rows["dogs/1"], new.n) == ({"n": 12}, 12)

    async def test_with_other_edits_it_is_one_command(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1, "gone": 1}})
        async with on(scripted, tiny) as (session, _):
            a = await session.load("dogs/a")
            session.increment(a, "n", -1.5)
            a.name = "x"
            del a["gone"]
            await session.commit()
            assert patch_of(tiny) == {"set": {"name": "x"}, "unset": ["gone"], "increment": {"n": -1.5}}
            assert tiny.rows == {"dogs/a": {"n": -0.5, "name": "x"}}

    async def test_the_later_word_counts(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {"n": 1}, "dogs/c": {"n": "text"}})
        async with on(scripted, tiny) as (session, _):
            a, b, c = await session.load(["dogs/a", "dogs/b", "dogs/c"])
            session.increment(a, "n", 2)
            a.n = 50
            session.increment(b, "n", 2)
            b.n = "text"
            c.n = 1
            session.increment(c, "n", 2)
            await session.commit()
            assert tiny.rows == {"dogs/a": {"n": 50}, "dogs/b": {"n": "text"}, "dogs/c": {"n": 3}}
            assert session.changes() == []

    async def test_a_field_that_was_deleted_afterwards_is_deleted(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            a = await session.load("dogs/a")
            session.increment(a, "n", 2)
            del a["n"]
            await session.commit()
            assert tiny.rows == {"dogs/a": {}}
            assert session.changes() == []

    @pytest.mark.parametrize("cls", KINDS)
    async def test_of_every_kind_of_class(self, scripted: Scripted, cls: Any) -> None:
        tiny = TinyRaven({"dogs/a": MAX})
        async with on(scripted, tiny) as (session, _):
            a: Any = await session.load("dogs/a", type=cls)
            tiny.put("dogs/a", {**MAX, "age": 112})
            session.increment(a, "age")
            assert a.age == 13
            await session.commit()
            assert a.age == 113
            assert not session.is_dirty(a)

    async def test_by_the_name_in_json(self, scripted: Scripted) -> None:
        @evsession.document(collection="Dogs")
        class Renamed(msgspec.Struct, rename={"age": "Age"}):
            age: int
            id: str | None = None

        tiny = TinyRaven({"dogs/a": {"Age": 1}})
        async with on(scripted, tiny) as (session, _):
            a: Any = await session.load("dogs/a", type=Renamed)
            tiny.put("dogs/a", {"Age": 10})
            session.increment(a, "age", 2)
            await session.commit()
            assert tiny.rows == {"dogs/a": {"Age": 12}}
            assert a.age == 12

    async def test_of_a_reference_only_the_servers_field_is_changed(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            a = session.get_reference(Dog, "a")
            session.increment(a, "n", 2)
            assert session.is_dirty(a)
            with pytest.raises(NotLoaded):
                _ = a.n
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"n": 3}}
            assert not session.is_dirty(a)
            await session.hydrate(a)
            assert a.n == 3
            assert not session.is_dirty(a)

    async def test_of_a_reference_that_is_loaded_before_it_was_written(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1, "m": 1, "text": "x"}})
        async with on(scripted, tiny) as (session, _):
            a = session.get_reference(Dog, "a")
            for field in ("n", "m", "text", "new"):
                session.increment(a, field, 2)
            a.m = 50
            await session.hydrate(a)
            assert dict(a) == {"n": 3, "m": 50, "text": "x", "new": 2}
            tiny.put("dogs/a", {"n": 11, "m": 1})
            a.text = 0
            await session.commit()
            assert tiny.rows == {"dogs/a": {"n": 13, "m": 50, "text": 0, "new": 2}}
            assert a.n == 13
            assert session.changes() == []

    async def test_of_a_new_one_it_is_part_of_the_insert(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            new = Dog(n=1)
            session.store(new, key="dogs/a")
            session.increment(new, "n", 2)
            await session.commit()
            assert sent(tiny) == [[("PUT", "dogs/a")]]
            assert tiny.rows == {"dogs/a": {"n": 3}}

    async def test_of_what_somebody_else_has_made_unreadable_meanwhile(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": MAX})
        async with on(scripted, tiny) as (session, _):
            a: Any = await session.load("dogs/a", type=TypedDog)
            tiny.put("dogs/a", {"name": ["no", "text"], "age": 20})
            session.increment(a, "age", 2)
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"name": ["no", "text"], "age": 22}}
            assert (a.name, a.age) == ("Max", 22)
            assert await session.commit() == []
            session.options.use_optimistic_concurrency = True
            a.name = "Rex"
            with pytest.raises(ConcurrencyError):
                await session.commit()

    async def test_it_needs_no_version(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1, "name": "x"}})
        async with on(scripted, tiny) as (session, _):
            session.options.use_optimistic_concurrency = True
            a = await session.load("dogs/a")
            tiny.put("dogs/a", {"n": 5, "name": "y"})
            session.increment(a, "n")
            a.name = "z"
            with pytest.raises(ConcurrencyError) as caught:
                await session.commit()
            assert caught.value.key == "dogs/a"
            del a["name"]
            with pytest.raises(ConcurrencyError) as caught:
                await session.commit()
            a.name = "x"
            await session.commit()
            assert tiny.rows == {"dogs/a": {"n": 6, "name": "y"}}

    @pytest.mark.parametrize("n", [True, "1", None, float("nan"), float("inf"), 1j])
    async def test_by_no_number_is_refused(self, scripted: Scripted, n: Any) -> None:
        async with on(scripted, TinyRaven({"dogs/a": {"n": 1}})) as (session, _):
            a = await session.load("dogs/a")
            with pytest.raises(TypeError, match="incremented by a number"):
                session.increment(a, "n", n)
            assert a.n == 1

    async def test_of_no_number_or_nobody_is_refused(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": "x", "b": True}, "dogs/b": {}})
        async with on(scripted, tiny) as (session, _):
            a, b = await session.load(["dogs/a", "dogs/b"])
            for field in ("n", "b"):
                with pytest.raises(TypeError, match="no number to add to"):
                    session.increment(a, field)
            session.remove(b)
            with pytest.raises(ConfigurationError, match="'dogs/b' is to be deleted"):
                session.increment(b, "n")
            with pytest.raises(ConfigurationError, match="not known"):
                session.increment(Dog(), "n")

    @pytest.mark.parametrize("is_loaded", [False, True])
    async def test_by_what_the_field_cannot_hold_is_refused(self, scripted: Scripted, *, is_loaded: bool) -> None:
        tiny = TinyRaven({"dogs/a": MAX, "dogs/b": {"n": 1e308}})
        async with on(scripted, tiny) as (session, _):
            a: Any = session.get_reference(TypedDog, "dogs/a")
            if is_loaded:
                await session.hydrate(a)
                b = await session.load("dogs/b")
                with pytest.raises(InvalidDocument, match="inf has no form in JSON"):
                    session.increment(b, "n", 1e308)
            with pytest.raises(InvalidDocument, match="age"):
                session.increment(a, "age", 0.5)
            with pytest.raises(ConfigurationError, match="TypedDog has no field 'agee'; there are: name, age$"):
                session.increment(a, "agee")
            assert session.changes() == []
            assert await session.commit() == []

    async def test_a_loaded_entity_that_reads_a_reference_says_so(self, scripted: Scripted) -> None:
        reference: list[Any] = []

        @evsession.document(collection="Dogs")
        class Reader:
            @property
            def mother_age(self) -> int:
                age: int = reference[0].age
                return age

        tiny = TinyRaven({"dogs/a": {}})
        async with on(scripted, tiny) as (session, _):
            a: Any = await session.load("dogs/a", type=Reader)
            reference.append(session.get_reference(Dog, "mum"))
            with pytest.raises(NotLoaded, match="dogs/mum"):
                session.increment(a, "mother_age")
            assert not session.is_dirty(a)


class TestPlan:
    async def test_it_is_exactly_what_a_commit_sends(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {"n": 2}, "dogs/c": {"n": 1}})
        async with on(scripted, tiny) as (session, transport):
            session.options.use_optimistic_concurrency = True
            a, b, c = await session.load(["dogs/a", "dogs/b", "dogs/c"])
            new = Dog(name="new")
            session.add(new)
            a.n = 5
            session.remove(b)
            session.increment(c, "n")
            for _ in range(2):
                plan = session.plan()
            assert (plan.inserts, plan.updates, plan.deletes) == ([new], [a, c], [b])
            assert len(plan) == 4
            assert plan
            assert repr(plan) == "<Plan 1 inserts, 2 updates, 1 deletes>"
            assert len(transport.requests) == 1
            await session.commit()
            assert plan.requests == transport.requests[1:]
            assert str(plan).startswith("POST /databases/db/bulk_docs\n{\n")
            assert '"Type": "DELETE"' in str(plan)

    async def test_of_nothing(self, scripted: Scripted) -> None:
        async with on(scripted, TinyRaven({"dogs/a": {}})) as (session, _):
            await session.load("dogs/a")
            plan = session.plan()
            assert not plan
            assert (len(plan), plan.requests, str(plan)) == (0, [], "nothing to do")

    async def test_numbers_that_are_fetched_are_shown_open(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, transport):
            session.conventions.id_generation_strategy = "hilo"
            session.add(Dog(name="new"))
            named = Dog(name="named")
            session.store(named, key="dogs/named")
            assert '"Id": "dogs/?"' in str(session.plan())
            assert '"Id": "dogs/named"' in str(session.plan())
            assert transport.requests == []

    async def test_it_shows_what_a_transaction_has_staged(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            a = await session.load("dogs/a")
            session.use_transaction()
            a.n = 2
            await session.flush()
            assert session.plan().updates == [a]
            await session.rollback()

    async def test_what_cannot_be_stored_is_told(self, scripted: Scripted) -> None:
        async with on(scripted, TinyRaven()) as (session, _):
            bad = Dog(x=object())
            session.add(bad)
            with pytest.raises(InvalidDocument):
                session.plan()
            bad.x = 1
            assert session.plan().inserts == [bad]

    async def test_no_hook_is_called(self, scripted: Scripted) -> None:
        async with on(scripted, TinyRaven()) as (session, _):
            told: list[Any] = []
            session.on("insert.pre", told.append)
            session.add(Dog())
            session.plan()
            assert told == []


class TestWithoutIdentityMap:
    @asynccontextmanager
    async def open(self, tiny: TinyRaven, scripted: Scripted) -> Any:
        stores: list[evsession.Store] = []
        async with scripted(repeat=tiny, prepare=stores.append):
            async with stores[0].open_session(with_identity_map=False) as session:
                yield session

    async def test_every_read_is_another_object_and_edits_are_saved_when_added(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with self.open(tiny, scripted) as session:
            one, two = await session.load("dogs/a"), await session.load("dogs/a")
            assert one is not two
            one.n = two.n = 5
            assert await session.commit() == []
            session.add(one)
            assert await session.commit() == ["dogs/a"]
            assert sent(tiny) == [[("PUT", "dogs/a")]]
            assert await session.commit() == []
            one.n = 6
            assert await session.commit() == []
            assert (await session.add(one).commit()).updated == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"n": 6}}

    async def test_what_is_unchanged_is_written_when_added(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with self.open(tiny, scripted) as session:
            assert await session.add(await session.load("dogs/a")).commit() == ["dogs/a"]

    async def test_unknown_fields_survive_and_versions_are_known(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {**MAX, "more": 1}})
        async with self.open(tiny, scripted) as session:
            session.options.use_optimistic_concurrency = True
            dog: Any = await session.load("dogs/a", type=TypedDog)
            dog.age = 1
            await session.add(dog).commit()
            assert tiny.rows == {"dogs/a": {"name": "Max", "age": 1, "more": 1}}
            tiny.put("dogs/a", MAX)
            dog.age = 2
            with pytest.raises(ConcurrencyError):
                await session.add(dog).commit()

    async def test_what_was_read_can_be_removed(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with self.open(tiny, scripted) as session:
            dog = await session.load("dogs/a")
            assert (await session.remove(dog).commit()).removed == ["dogs/a"]
            session.remove("dogs/b")
            assert (await session.commit()).removed == ["dogs/b"]
            assert len(session.identity_map) == 0

    async def test_new_ones_are_written_and_forgotten(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with self.open(tiny, scripted) as session:
            dog = Dog(n=1)
            assert await session.add(dog).commit() == ["dogs/1"]
            assert len(session.identity_map) == 0
            dog.n = 2
            assert (await session.add(dog).commit()).updated == ["dogs/1"]

    async def test_references_are_written_and_increments_too(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with self.open(tiny, scripted) as session:
            dog = session.get_reference(Dog, "a")
            dog.name = "x"
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"n": 1, "name": "x"}}

    @pytest.mark.parametrize("cls", [TypedDog, AttrsDog, HandDog])
    async def test_a_key_cannot_be_edited(self, scripted: Scripted, cls: Any) -> None:
        tiny = TinyRaven({"dogs/a": MAX})
        async with self.open(tiny, scripted) as session:
            dog: Any = await session.load("dogs/a", type=cls)
            dog.id = "dogs/b"
            session.add(dog)
            with pytest.raises(ConfigurationError, match="'dogs/a' cannot change to 'dogs/b'"):
                session.commit()
            dog.id = "dogs/a"
            assert await session.commit() == ["dogs/a"]

    async def test_nobody_is_kept_alive(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": MAX})
        async with self.open(tiny, scripted) as session:
            dog = weakref.ref(await session.load("dogs/a", type=TypedDog))
            await trio.lowlevel.checkpoint()  # until then the store knows of the load
            gc.collect()
            assert dog() is None

    async def test_what_was_not_added_is_not_known(self, scripted: Scripted) -> None:
        async with self.open(TinyRaven({"dogs/a": {}}), scripted) as session:
            dog = await session.load("dogs/a")
            with pytest.raises(ConfigurationError, match="has no identity map"):
                session.is_dirty(dog)


class TestHooks:
    async def test_the_last_one_is_told_everything_that_was_written(self, scripted: Scripted) -> None:
        async with on(scripted, TinyRaven()) as (session, _):
            told: list[Any] = []
            session.on("commit.post", lambda event: told.append((event.entities, event.keys)))
            dog = Dog(name="new")
            await session.add(dog).commit()
            assert told == [([dog], ["dogs/1"])]

    async def test_of_the_session_and_of_the_store_by_type(self, scripted: Scripted) -> None:
        told: list[str] = []

        def prepare(store: evsession.Store) -> None:
            store.on("insert.pre", lambda event: told.append(f"store {event.keys}"))
            store.on("insert.post", lambda event: told.append(f"Dog {event.keys}"), type="Dog")

        tiny = TinyRaven()
        async with on(scripted, tiny, prepare=prepare) as (session, _):

            @session.on("insert.post", type=TypedDog)
            async def hook(event: CommitEvent) -> None:
                await trio.lowlevel.checkpoint()
                told.append(f"typed {event.entities[0].name} {event.type is TypedDog}")

            session.on("insert.pre", lambda event: told.append("by collection"), type="Dogs")
            named = Dog()
            session.store(named, key="dogs/x")
            session.add(TypedDog("t"))
            await session.commit()
            assert told == [
                "store ['dogs/x']",
                "by collection",
                "store [None]",
                "by collection",
                "Dog ['dogs/x']",
                "typed t True",
            ]

    async def test_a_reference_to_nothing_is_told_in_a_hook_too(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            told: list[str] = []
            dog = session.get_reference(Dog, "a")
            dog.name = "Max"

            @session.on("update.pre")
            async def hook(event: CommitEvent) -> None:
                with pytest.raises(SessionError, match="there is no document 'dogs/a'$"):
                    await session.hydrate(dog)
                event.prevent()
                told.append(event.name)

            assert await session.commit() == []
            assert (told, tiny.batches) == (["update.pre"], [])

    async def test_of_what_has_no_type_are_told_of_documents(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            told: list[Any] = []
            session.on("insert.pre", lambda event: told.append((event.type, event.keys)))
            session.on("insert.post", lambda event: told.append(event.keys), type="Strays")
            session.store({"n": 1}, key="pets/1")
            session.store(evsession.Document(n=2), key="pets/2")
            session.store(evsession.Document(n=3), key="pets/3", collection="Strays")
            assert await session.commit() == ["pets/1", "pets/2", "pets/3"]
            assert told == [
                (dict, ["pets/1"]),
                (evsession.Document, ["pets/2"]),
                (evsession.Document, ["pets/3"]),
                ["pets/3"],
            ]

    async def test_once_off_and_a_wrong_one(self, scripted: Scripted) -> None:
        told: list[Any] = []

        def hook(event: CommitEvent) -> None:
            told.append(event.name)

        async with on(scripted, TinyRaven()) as (session, _):
            session.once("commit.pre", hook)
            await session.commit()
            await session.commit()
            assert told == ["commit.pre"]
            session.on("commit.post", hook)
            session.off("commit.post", hook)
            await session.commit()
            assert told == ["commit.pre"]
            with pytest.raises(TypeError, match="must be callable"):
                session.on("commit.pre", 5)  # type: ignore[call-overload]
            for event, kind in [(409, Dog), ("error", "Dog"), ("insert.pre", 5)]:
                with pytest.raises(ConfigurationError, match=r"type= is (for|the class)"):
                    session.on(event, hook, type=kind)  # type: ignore[call-overload]

    async def test_a_hook_for_once_on_the_store_is_for_once_in_each_session(self, scripted: Scripted) -> None:
        told: list[Any] = []
        stores: list[evsession.Store] = []

        def prepare(store: evsession.Store) -> None:
            stores.append(store)
            store.once("commit.pre", told.append)

        async with on(scripted, TinyRaven(), prepare=prepare) as (session, _):
            await session.commit()
            await session.commit()
            async with stores[0].open_session() as other:
                await other.commit()
        assert len(told) == 2

    async def test_a_soft_delete_and_an_audit(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):

            @session.on("delete.pre", type=Dog)
            def soften(event: CommitEvent) -> None:
                event.prevent()
                for entity in event.entities:
                    entity.deleted = True

            a = await session.load("dogs/a")
            session.remove(a)
            saved = await session.commit()
            assert (saved, saved.removed, saved.rounds, session.rounds) == (["dogs/a"], [], 2, 2)
            assert tiny.rows == {"dogs/a": {"n": 1, "deleted": True}}
            assert session.identity_map.get("dogs/a") is a
            assert not session.is_dirty(a)

    async def test_what_a_hook_sees_of_the_session(self, scripted: Scripted) -> None:
        seen: list[Any] = []
        async with on(scripted, TinyRaven()) as (session, _):
            session.on("commit.pre", lambda event: seen.append((session.in_commit, session.state, event.session is session)))
            assert (session.in_commit, session.state, session.rounds) == (False, "idle", 0)
            await session.commit()
            assert seen == [(True, "committing", True)]
            assert (session.in_commit, session.state) == (False, "idle")
            session.use_transaction()
            assert session.state == "transaction"
        assert session.state == "closed"

    @pytest.mark.parametrize("verb", ["commit", "save", "flush", "rollback", "commit_transaction"])
    async def test_waiting_for_a_commit_in_a_hook_raises(self, scripted: Scripted, verb: str) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):

            @session.on("commit.pre")
            async def hook(event: CommitEvent) -> None:
                await getattr(session, verb)()

            session.add(Dog())
            with pytest.raises(TransactionError, match=rf"{verb}\(\) in a hook would wait"):
                await session.commit()
            assert tiny.batches == []

    async def test_a_transaction_in_a_hook_raises(self, scripted: Scripted) -> None:
        async with on(scripted, TinyRaven()) as (session, _):
            session.on("commit.pre", lambda event: session.transaction(lambda _: None))
            with pytest.raises(TransactionError, match=r"transaction\(\) in a hook"):
                await session.commit()

    async def test_with_a_callback_it_runs_after_the_commit_that_called_the_hook(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            order: list[Any] = []

            @session.once("insert.pre")
            def hook(event: CommitEvent) -> None:
                session.commit(lambda error, saved: order.append((error, len(tiny.batches))))

            session.add(Dog())
            await session.commit()
            order.append("first")
            await session.drain()
            assert order[0] == "first"
            assert order[1][0] is None
            assert len(tiny.batches) == 1

    @pytest.mark.parametrize("name", ["commit", "flush", "rollback", "transaction", "close"])
    @pytest.mark.parametrize("event", ["insert.pre", "insert.post"])
    async def test_with_a_callback_it_must_not_be_waited_for(self, scripted: Scripted, name: str, event: str) -> None:
        tiny = TinyRaven()
        told: list[Any] = []
        async with on(scripted, tiny) as (session, _):

            def later() -> Any:
                arguments = [lambda session: None] if name == "transaction" else []
                return getattr(session, name)(*arguments, lambda *results: told.append(results))

            async def awaits(event: CommitEvent) -> None:
                with pytest.raises(evsession.TransactionError, match=f"^{name}.*would wait for the commit"):
                    await later()

            session.once(event, awaits)
            await session.add(Dog()).commit()
            session.once(event, lambda event: later())
            with pytest.raises(evsession.TransactionError, match="returned by it"):
                await session.add(Dog()).commit()
        assert len(told) == 2

    async def test_what_waits_for_the_commit_may_be_awaited_elsewhere(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            operations: list[Any] = []

            @session.once("insert.pre")
            def hook(event: CommitEvent) -> None:
                operations.append(session.commit(lambda error, saved: None))

            await session.add(Dog()).commit()
            assert await operations[0] == []

    async def test_another_session_may_commit_in_a_hook(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        stores: list[evsession.Store] = []
        async with on(scripted, tiny, prepare=stores.append) as (session, _):

            @session.on("insert.post")
            async def audit(event: CommitEvent) -> None:
                async with stores[0].open_session() as other:
                    await other.add(Dog(audit=event.keys)).commit()

            session.add(Dog(n=1))
            await session.commit()
            assert tiny.rows == {"dogs/1": {"n": 1}, "dogs/2": {"audit": ["dogs/1"]}}

    async def test_a_hook_that_raises_is_the_commits_error(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with on(scripted, tiny) as (session, _):
            told: list[Any] = []
            session.on("commit.pre", lambda event: 1 / 0)
            dog = Dog()
            session.add(dog)
            with pytest.raises(ZeroDivisionError):
                await session.commit()
            session.commit(lambda error, saved: told.append((type(error), saved)))
            await session.drain()
            assert told == [(ZeroDivisionError, None)]
            session.off("commit.pre")
            assert await session.commit() == ["dogs/1"]

    async def test_rollback_is_told(self, scripted: Scripted) -> None:
        async with on(scripted, TinyRaven()) as (session, _):
            told: list[str] = []
            session.on("rollback.post", lambda event: told.append(repr(event)))
            await session.rollback()
            assert told == []
            session.use_transaction()
            await session.rollback()
            assert told == ["<CommitEvent rollback.post []>"]

    async def test_an_increment_of_a_reference_in_a_hook_joins_the_commit(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with on(scripted, tiny) as (session, _):
            a = session.get_reference(Dog, "a")
            session.on("insert.pre", lambda event: session.increment(a, "n", 5))
            session.add(Dog())
            await session.commit()
            assert tiny.rows["dogs/a"] == {"n": 6}


@evsession.document(collection="Weights")
@dataclass
class Weight:
    name: str = ""
    kilos: float | None = None
    more: Any = None
    id: str | None = None


class TestNullsThatAreNone:
    """A NaN is written as a null, too: what was None must not hide it."""

    @pytest.mark.parametrize("cls", [Weight, evsession.DocumentType("Weight")])
    @pytest.mark.parametrize("looks", [0, 1, 2])
    async def test_a_nan_in_the_place_of_a_none_is_found(self, scripted: Scripted, cls: Any, looks: int) -> None:
        evsession.document(cls, collection="Weights")
        rows: list[dict[str, Any]] = [
            {"name": "a", "kilos": None, "more": None},
            {"name": "b", "kilos": None, "more": [None, {"deep": None}]},
            {"name": "null", "kilos": 1.5, "more": "null"},
        ]
        answers = [row(f"weights/{place}", **fields) for place, fields in enumerate(rows)]
        async with scripted(loaded(*answers)) as (session, transport):
            one, two, three = await session.load([f"weights/{place}" for place in range(3)], type=cls)
            for _ in range(looks):
                assert await session.commit() == []
            for entity, field, old in ((one, "kilos", None), (one, "more", None), (three, "kilos", 1.5)):
                setattr(entity, field, float("nan"))
                with pytest.raises(InvalidDocument, match="nan has no form in JSON"):
                    session.commit()
                setattr(entity, field, old)
            two.more[1]["deep"] = float("nan")
            with pytest.raises(InvalidDocument, match="nan has no form in JSON"):
                session.commit()
            two.more[1]["deep"] = None
            assert await session.commit() == []
            assert len(transport.requests) == 1
