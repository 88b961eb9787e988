"""Nodes of which only the key is known, and what is found out after a commit whose outcome was unknown."""

from __future__ import annotations

import dataclasses
import re
from datetime import date
from math import inf, nan
from typing import Any, ClassVar

import attrs
import pytest

import evsession
from evsession.testing.scripted import ScriptedTransport
from tests.unit.neo4j.typed import GONE, ROLLED_BACK, committed, opened, refused
from tests.unit.session.graphs.scripted import lost, scripted_graph, sent
from tests.unit.session.graphs.test_work import Dog, dog_node, found, kept, places, sent_rows


@evsession.node("Dog")
@attrs.define
class Slotted:
    id: str
    name: str = "?"
    age: int = 0


@evsession.node("Dog")
class Plain:
    id: str
    name: str
    age: int


@evsession.node("Dog")
@dataclasses.dataclass(frozen=True)
class Frozen:
    id: str
    name: str | None = None
    age: int = 0
    tricks: list[str] = dataclasses.field(default_factory=list, init=False)


@evsession.node("Dog")
class Habit:
    """A plain class with defaults in the class, as is the habit."""

    id = None
    name = "nobody"
    age: int = 7
    unit: ClassVar[str] = "metres"

    def shout(self) -> str:
        return self.name.upper()

    @property
    def is_old(self) -> bool:
        return self.age > 9


def model() -> Any:
    return evsession.GraphStore("http://h").model("Dog", {"id": str, "name": str, "age": int})


@pytest.mark.parametrize("make", [lambda: Dog, lambda: Slotted, lambda: Plain, lambda: Frozen, model], ids=range(5))
async def test_only_the_key_is_known_until_it_is_hydrated(make: Any) -> None:
    cls: Any = make()
    async with scripted_graph(kept(dog_node(id="1", name="Max", age=3))) as (session, transport):
        dog: Any = session.get_reference(cls, "1")
        assert session.get_reference(cls, "1") is dog
        assert isinstance(dog, cls)
        assert (dog.id, dog == cls.__new__(cls), "not loaded" in repr(dog)) == ("1", False, True)
        with pytest.raises(evsession.NotLoaded, match=r"\.name of '1'"):
            _ = dog.name
        assert not session.is_dirty(dog)
        assert await session.commit() == []
        assert transport.requests == []
        await session.hydrate(dog, dog)
        assert (type(dog), dog.id, dog.name, dog.age) == (cls, "1", "Max", 3)
        assert not session.is_dirty(dog)
        await session.hydrate(dog)
        assert len(transport.requests) == 1
        assert getattr(dog, "tricks", []) == []


@pytest.mark.parametrize("make", [lambda: Dog, lambda: Slotted, lambda: Plain, model], ids=range(4))
async def test_what_is_set_is_written_alone_and_stays_set(make: Any) -> None:
    cls: Any = make()
    script = (places([]), committed(), kept(dog_node(id="1", name="theirs", age=3)))
    async with scripted_graph(*script) as (session, transport):
        dog: Any = session.get_reference(cls, "1")
        dog.name = "Max"
        assert (dog.name, list(session.changes(dog)), session.is_dirty(dog)) == ("Max", ["name"], True)
        session.revert(dog)
        assert not session.is_dirty(dog)
        with pytest.raises(evsession.NotLoaded):
            _ = dog.name
        dog.name = "Max"
        assert await session.commit() == ["Dog/1"]
        assert sent_rows(transport, 0) == [{"place": "0", "key": "1", "set": {"name": "Max"}, "more": {}}]
        session.revert(dog)
        assert dog.name == "Max"
        dog.name = "mine"
        await session.hydrate(dog)
        assert (dog.name, dog.age) == ("mine", 3)
        assert session.changes(dog)["name"] == evsession.Change("theirs", "mine")


NO_KEYS = [None, nan, ["1"], ("1",), [], {"1": 1}, {"1"}, frozenset("1"), Dog, len]


@pytest.mark.parametrize("make", [lambda: Dog, lambda: Plain, model], ids=range(3))
@pytest.mark.parametrize("key", NO_KEYS, ids=repr)
async def test_what_is_no_key_is_refused_at_the_call(make: Any, key: Any) -> None:
    async with scripted_graph() as (session, transport):
        with pytest.raises(evsession.ConfigurationError, match=re.escape(f"{key!r} is no id of a node")):
            session.get_reference(make(), key)
        if not isinstance(key, (list, tuple)) and not callable(key):
            with pytest.raises(evsession.ConfigurationError, match="is no id of a node"):
                session.load(make(), key)
        with pytest.raises(evsession.ConfigurationError, match="is no id of a node"):
            session.load(make(), ["1", key])
        assert (session.changes(), len(session.identity_map), transport.requests) == ([], 0, [])


@pytest.mark.parametrize("key", [True, 5, 2.5, object(), 2**70])
async def test_a_key_that_no_node_of_the_model_has_is_refused_at_the_call(key: Any) -> None:
    async with scripted_graph() as (session, _):
        with pytest.raises(evsession.InvalidDocument, match="id"):
            session.get_reference(model(), key)
        assert (session.changes(), len(session.identity_map)) == ([], 0)


@pytest.mark.parametrize("key", ["", "1", 5, True, 2.5, inf, b"1", date(2020, 1, 2), evsession.Point(7203, 1.0, 2.0)], ids=repr)
async def test_whatever_a_property_can_be_is_a_key(key: Any) -> None:
    async with scripted_graph(places([]), committed()) as (session, _):
        dog: Any = session.get_reference(Plain, key)
        assert session.changes() == []
        dog.name = "Max"
        assert len(await session.commit()) == 1


async def test_a_default_of_the_class_is_not_taken_for_the_value() -> None:
    class Own(model()):  # type: ignore[misc]
        """A model with a method, and what is meant for a default."""

        age = 7
        unit = "metres"  # which is no property of the model

        def shout(self) -> str:
            return str(self.name).upper()

    for cls in (Habit, Own):
        async with scripted_graph(places([]), committed(), kept(dog_node(id="1", name="Max", age=3))) as (session, transport):
            dog: Any = session.get_reference(cls, "1")
            for name in ("name", "age", "is_old") if cls is Habit else ("name", "age"):
                with pytest.raises(evsession.NotLoaded, match="of '1' is not loaded"):
                    getattr(dog, name)
            with pytest.raises(evsession.NotLoaded):
                dog.shout()
            with pytest.raises(evsession.NotLoaded):
                dog.age += 1
            assert (dog.unit, session.is_dirty(dog)) == ("metres", False)
            dog.name = "Rex"
            assert dog.shout() == "REX"
            assert await session.commit() == ["Dog/1"]
            assert sent_rows(transport, 0) == [{"place": "0", "key": "1", "set": {"name": "Rex"}, "more": {}}]
            session.revert(dog)
            await session.hydrate(dog)
            assert (type(dog), dog.age, dog.shout()) == (cls, 3, "REX")


async def test_references_are_incremented_and_removed() -> None:
    script = (places([8]), committed(), kept(dog_node(id="1", age=8, name="Max")), opened("t3"), committed())
    async with scripted_graph(*script) as (session, transport):
        dog: Any = session.get_reference(Dog, "1")
        session.increment(dog, "age", 2)
        assert await session.commit() == ["Dog/1"]
        assert sent_rows(transport, 0) == [{"place": "0", "key": "1", "set": {}, "more": {"age": "2"}}]
        session.increment(dog, "age", 5)
        session.increment(dog, "name", 1)  # which is a text there
        await session.refresh(dog, force=True)
        assert (dog.age, dog.name) == (13, "Max")
        session.revert(dog)
        session.remove(session.get_reference(Dog, "2"))
        session.revert(dog)
        saved = await session.commit()
        assert saved.removed == ["Dog/2"]
        assert sent_rows(transport, 3) == ["2"]


async def test_loads_and_finds_make_a_reference_the_node() -> None:
    script = (found(dog_node(id="1", age=3)), found(dog_node(id="2", age=4)), found())
    async with scripted_graph(*script) as (session, _):
        one, two, gone = (session.get_reference(Dog, key) for key in "129")
        assert await session.load(Dog, "1") is one
        assert await session.find(Dog) == [two]
        assert [one.age, two.age] == [3, 4]
        assert await session.load(Dog, "9") is None
        with pytest.raises(evsession.NotLoaded):
            _ = gone.age


async def test_several_classes_are_asked_for_in_one_request() -> None:
    @evsession.node("Cat", key="name")
    @dataclasses.dataclass
    class Cat:
        name: str
        lives: int = 9

    cat_node = dog_node(name="Tom", lives=7)
    async with scripted_graph(kept(dog_node(id="1", age=3)), kept(cat_node, place=1)) as (session, transport):
        dog, cat = session.get_reference(Dog, "1"), session.get_reference(Cat, "Tom")
        with pytest.raises(evsession.SessionError) as caught:
            await session.hydrate(dog, cat)
        assert (caught.value.status_code, caught.value.key, dog.age) == (404, "Cat/Tom", 3)
        assert b"UNION ALL" in transport.requests[0].body
        with pytest.raises(evsession.SessionError) as caught:
            await session.refresh(dog, cat)
        assert (caught.value.key, cat.lives) == ("Dog/1", 7)


async def test_a_callback_may_be_the_last_of_the_entities() -> None:
    async with scripted_graph(kept(dog_node(id="1", age=3)), kept(dog_node(id="1", age=4))) as (session, _):
        dog, told = session.get_reference(Dog, "1"), list[Any]()
        await session.hydrate(dog, told.append)
        await session.refresh(dog, callback=told.append)
        assert (told, dog.age) == ([None, None], 4)
        await session.refresh()


async def test_references_that_cannot_be() -> None:
    async with scripted_graph() as (session, _), scripted_graph() as (other, _):
        with pytest.raises(TypeError):
            session.get_reference(dict, "1")
        with pytest.raises(evsession.ConfigurationError, match="None"):
            session.get_reference(Dog, None)
        with pytest.raises(evsession.ConfigurationError, match="another session"):
            session.add(other.get_reference(Dog, "1"))
        with pytest.raises(evsession.NotLoaded) as caught:
            assert session.get_reference(Dog, "9").name
        assert caught.value.key == "Dog/9"
        dog: Any = session.get_reference(model(), "1")
        dog.age = "many"
        with pytest.raises(evsession.InvalidDocument):
            session.commit()


async def test_a_reference_to_a_model_can_be_saved_by_itself() -> None:
    transport = ScriptedTransport(found(dog_node(id="1", name="Max", age=3)))
    graph = evsession.GraphStore(transport=transport)
    dogs = graph.model("Dog", {"id": str, "name": str, "age": int})
    async with graph, graph.open_session() as session:
        dog: Any = session.get_reference(dogs, "1")
        dog.name = "Max"
        await dog.save(session=session)
        assert b"MATCH" in transport.requests[0].body
        assert dog.age == 3


async def test_a_reference_that_is_loaded_in_a_transaction_keeps_what_was_flushed() -> None:
    script = (places([]), found(dog_node(id="1", age=4), transaction=True), ROLLED_BACK)
    async with scripted_graph(*script) as (session, _):
        session.use_transaction()
        dog = session.get_reference(Dog, "1")
        dog.age = 4
        dog.name = None
        await session.flush()
        assert await session.load(Dog, "1") is dog
        assert not session.is_dirty(dog)
        await session.rollback()
        assert dog.age == 4


async def test_without_a_cache_a_load_renews_what_has_no_edits() -> None:
    script = [found(dog_node(id="1", age=age)) for age in (1, 2, 3)]
    async with scripted_graph(*script) as (session, _):
        session.options.cache = False
        dog = await session.load(Dog, "1")
        assert dog is not None
        assert await session.load(Dog, "1") is dog
        assert dog.age == 2
        dog.age = 7
        await session.load(Dog, "1")
        assert dog.age == 7


async def test_a_plan_is_what_a_commit_sends() -> None:
    script = (found(dog_node(id="1"), dog_node(id="2")), opened("t1"), places([]), opened("t1", 1), committed())
    async with scripted_graph(*script) as (session, transport):
        assert (len(session.plan()), str(session.plan())) == (0, "nothing to do")
        one, two = await session.find(Dog)
        one.name = "x"
        session.remove(two).add(Dog("3"))
        plan = session.plan()
        assert (plan.inserts, plan.updates, plan.deletes) == ([Dog("3")], [one], [two])
        assert len(transport.requests) == 1
        await session.commit()
        tag = session._mark.encode()
        assert len(plan.requests) == 4
        for planned, request in zip(plan.requests, transport.requests[1:], strict=True):
            assert planned.target == request.target.replace("/t1", "/new")
            assert planned.body.split(tag)[0] == request.body.split(tag)[0]


async def test_a_plan_goes_on_with_the_open_transaction() -> None:
    async with scripted_graph(opened("t1", 1), ROLLED_BACK) as (session, _):
        session.use_transaction()
        session.add(Dog("1"))
        assert [r.target.rpartition("/v2")[2] for r in session.plan().requests] == ["/tx", "/tx/new/commit"]
        await session.flush()
        assert [r.target.rpartition("/v2")[2] for r in session.plan().requests] == ["/tx/t1/commit"]
        session.add(Dog("2"))
        assert [r.target.rpartition("/v2")[2] for r in session.plan().requests] == ["/tx/t1", "/tx/t1/commit"]
        await session.rollback()


async def test_increments_are_increments_again_after_a_rollback() -> None:
    script = (found(dog_node(id="1", age=1)), places([13]), places([14]), ROLLED_BACK, places([13]), committed())
    async with scripted_graph(*script) as (session, transport):
        [dog] = await session.find(Dog)
        session.use_transaction()
        for amount in (2, 1):
            session.increment(dog, "age", amount)
            await session.flush()
        assert dog.age == 14  # others have added 10
        await session.rollback()
        assert list(session.changes(dog)) == ["age"]
        await session.commit()
        assert sent_rows(transport, 4) == [{"place": "0", "key": "1", "set": {}, "more": {"age": "3"}}]


async def test_half_a_flush_ends_a_transaction_of_the_program() -> None:
    script = (found(dog_node(id="1", age=1), dog_node(id="2")), places([2]), ROLLED_BACK, places([2], [0]), committed())
    async with scripted_graph(*script) as (session, transport):
        one, two = await session.find(Dog)
        tx = session.use_transaction()
        session.increment(one, "age", 1)
        two.name = "x"
        with pytest.raises(evsession.SessionError) as caught:
            await session.flush()
        assert (caught.value.status_code, caught.value.key) == (404, "Dog/2")
        assert (tx.is_open, session.has_transaction()) == (False, False)
        assert sent(transport)[1:] == ["POST /tx", "DELETE /tx/t1"]
        # The increment is sent again, since nothing of it has lasted.
        assert await session.commit() == ["Dog/1", "Dog/2"]
        assert sent_rows(transport, 3)[0]["more"] == {"age": "1"}


class TestAfterAnUncertainCommit:
    async def test_what_was_written_counts_as_written(self) -> None:
        script = (opened("t1", 1), lost, GONE, kept(dog_node(id="1", age=0)), opened("t2", 1), committed())
        async with scripted_graph(*script) as (session, transport):
            one, two = Dog("1"), Dog("2")
            session.add(one, two)
            with pytest.raises(evsession.ConnectionFailed) as caught:
                await session.commit()
            assert (caught.value.uncertain, session.has_transaction()) == (True, False)
            await session.refresh(one, two)
            assert [session.is_dirty(one), session.is_dirty(two)] == [False, True]
            assert await session.commit() == ["Dog/2"]
            assert sent(transport)[4:] == ["POST /tx", "POST /tx/t2/commit"]

    async def test_edits_and_removals(self) -> None:
        nodes = [dog_node(id=key, age=1) for key in "1234"]
        after = [dog_node(id="1", age=2), dog_node(id="2", age=9), dog_node(id="4", age=1)]
        script = (found(*nodes), opened("t1"), places([], []), lost, GONE, kept(*after), kept(dog_node(id="2", age=9)))
        async with scripted_graph(*script) as (session, _):
            one, two, three, four = await session.find(Dog)
            one.age = two.age = 2
            session.remove(three, four)
            with pytest.raises(evsession.ConnectionFailed):
                await session.commit()
            one.name = "later"
            await session.refresh(one, two, three, four)
            assert {change.key: (change.kind, list(session.changes(change.entity))) for change in session.changes()} == {
                "Dog/1": ("update", ["name"]),
                "Dog/2": ("update", ["age"]),
                "Dog/4": ("delete", []),
            }
            assert three not in session.identity_map
            await session.refresh(two, force=True)
            assert two.age == 9

    @pytest.mark.parametrize(("age", "pending"), [(1, True), (3, False)])
    async def test_increments(self, age: int, pending: bool) -> None:
        script = (found(dog_node(id="1", age=1)), places([3]), lost, GONE, kept(dog_node(id="1", age=age)))
        async with scripted_graph(*script) as (session, _):
            [dog] = await session.find(Dog)
            session.increment(dog, "age", 2)
            with pytest.raises(evsession.ConnectionFailed):
                await session.commit()
            await session.refresh(dog)
            assert (session.is_dirty(dog), dog.age) == (pending, 3)

    async def test_increments_that_nobody_can_tell(self) -> None:
        theirs = kept(dog_node(id="1", age=13, name="theirs"))
        script = (found(dog_node(id="1", age=1)), places([3]), lost, GONE, theirs, theirs)
        async with scripted_graph(*script) as (session, _):
            [dog] = await session.find(Dog)
            session.increment(dog, "age", 2)
            with pytest.raises(evsession.ConnectionFailed):
                await session.commit()
            with pytest.raises(evsession.SessionError, match="cannot be told") as caught:
                await session.refresh(dog)
            assert (caught.value.uncertain, session.is_dirty(dog)) == (True, True)
            await session.refresh(dog, force=True)
            assert (dog.age, session.is_dirty(dog)) == (13, False)

    async def test_references(self) -> None:
        script = (places([]), lost, GONE, kept(dog_node(id="1", age=2, name="theirs")))
        async with scripted_graph(*script) as (session, _):
            dog = session.get_reference(Dog, "1")
            dog.age = 2
            with pytest.raises(evsession.ConnectionFailed):
                await session.commit()
            await session.refresh(dog)
            assert (dog.name, session.is_dirty(dog)) == ("theirs", False)

    async def test_a_refusal_is_certain(self) -> None:
        refusal = refused("Neo.ClientError.Schema.ConstraintValidationFailed")
        async with scripted_graph(opened("t1", 1), refusal) as (session, _):
            dog = Dog("1")
            with pytest.raises(evsession.ConstraintError):
                await session.add(dog).commit()
            with pytest.raises(evsession.DirtyEntity):
                session.refresh(dog)

    async def test_of_a_transaction_that_the_program_commits(self) -> None:
        async with scripted_graph(opened("t1", 1), lost, GONE, kept(dog_node(id="1", age=0))) as (session, _):
            tx = session.use_transaction()
            dog = Dog("1")
            await session.add(dog).flush()
            with pytest.raises(evsession.ConnectionFailed):
                await tx.commit()
            await tx.close()
            await session.refresh(dog)
            assert not session.is_dirty(dog)
