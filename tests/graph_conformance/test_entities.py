"""What entities of a real Neo4j are made of: what a node lacks, kinds of keys, classes and values that cannot be."""

from __future__ import annotations

import dataclasses
import math
import uuid
from datetime import date
from typing import Any

import pytest
import trio

import evsession


async def test_none_survives(graph: evsession.GraphStore, label: str) -> None:
    @evsession.node(label)
    @dataclasses.dataclass
    class Opt:
        id: str
        name: str | None = "dflt"
        count: int | None = 5
        legs: int = 4

    async with graph.open_session() as one, graph.open_session() as other, graph.open_session() as third:
        await one.add(Opt("1", name=None, count=None)).commit()
        await one.run(f"MATCH (n:{label}) REMOVE n.legs")
        loaded = await other.load(Opt, "1")
        assert loaded == Opt("1", None, None, 4)
        assert not other.is_dirty(loaded)
        await other.refresh(loaded)
        assert (loaded, other.changes()) == (Opt("1", None, None, 4), [])
        (found,) = await third.find(Opt, {"name": None})
        reference = third.get_reference(Opt, "1")
        assert (found, reference is found, third.changes()) == (loaded, True, [])
        found.name = "x"
        third.revert(found)
        assert (found, third.changes()) == (loaded, [])
        third.clear()
        reference = third.get_reference(Opt, "1")
        await third.hydrate(reference)
        assert (reference, third.changes(), await third.commit()) == (loaded, [], [])


async def test_a_default_of_the_class_is_not_taken_for_the_value(graph: evsession.GraphStore, label: str) -> None:
    @evsession.node(label)
    class User:
        name = "nobody"
        age: int = 7

        def __init__(self, id: str, name: str, age: int) -> None:
            self.id = id
            self.name = name
            self.age = age

    async with graph.open_session() as one, graph.open_session() as other:
        await one.add(User("1", "Max", 30)).commit()
        reference = other.get_reference(User, "1")
        with pytest.raises(evsession.NotLoaded, match=r"User\.age of '1'"):
            reference.age += 1
        assert (other.is_dirty(reference), await other.commit()) == (False, [])
        reference.name = "Maximilian"
        other.increment(reference, "age", 1)
        await other.commit()
        user = await one.load(User, "1")
        await one.refresh(user)
        await other.hydrate(reference)
        assert [vars(known) for known in (user, reference)] == [{"id": "1", "name": "Maximilian", "age": 31}] * 2


async def test_without_an_identity_map(graph: evsession.GraphStore, label: str) -> None:
    @evsession.node(label)
    @dataclasses.dataclass
    class Dog:
        id: str
        age: int = 0

    users: Any = graph.model(label, properties={"id": str, "age": int})
    for cls in (Dog, users):
        async with graph.open_session(with_identity_map=False) as session:
            one, two = cls(id="1", age=1), cls(id="2", age=2)
            assert (await session.add(one, two).commit()).inserted == [f"{label}/1", f"{label}/2"]
            one.age = 5
            assert (await session.commit(), session.changes()) == ([], [])
            await session.run(f"MATCH (n:{label} {{id: '2'}}) DELETE n")
            assert (await session.add(one).commit()).updated == [f"{label}/1"]
            loaded: Any = await session.load(cls, "1")
            assert (loaded.age, loaded is one) == (5, False)
            loaded.age = 6
            first, second = session.add(loaded).commit(), session.commit()
            await second
            assert (await first).updated == [f"{label}/1"]
            assert (await session.commit(), list(session.identity_map)) == ([], [])
            assert [dog.age for dog in await session.find(cls)] == [6]
            assert (await session.remove(loaded).commit()).removed == [f"{label}/1"]
            assert await session.find(cls) == []


async def test_classes_that_inherit(graph: evsession.GraphStore, label: str) -> None:
    @evsession.node(label)
    @dataclasses.dataclass
    class Base:
        id: str
        n: int = 0

    @dataclasses.dataclass
    class Sub(Base):
        z: int = 1

    class Users(graph.model(label, properties={"id": str, "n": int})):  # type: ignore[misc]  # a class that is made at run time
        def shout(self) -> str:
            return f"{self.id}!"

    async with graph.open_session() as session, graph.open_session() as other:
        for refused in (
            lambda: session.add(Sub("1", z=7)),
            lambda: session.load(Sub, "1"),
            lambda: session.get_reference(Sub, "1"),
        ):
            with pytest.raises(TypeError, match=r"Sub is no class of nodes.*inherits.*Base.*mark it"):
                refused()
        marked: Any = evsession.node(label)(Sub)
        await session.add(marked("1", z=7)).commit()
        loaded: Any = await other.load(marked, "1")
        assert (type(loaded), loaded.z) == (Sub, 7)
        assert await other.load(Base, "1") is loaded
        for conflict in (lambda: other.load(Users, "1"), lambda: other.load(Users, ["1"]), lambda: other.find(Users)):
            with pytest.raises(evsession.KeyConflict, match="of a Sub in this session, not of a Users"):
                await conflict()
        with pytest.raises(evsession.KeyConflict):
            other.get_reference(Users, "1")
        other.clear()
        user: Any = await other.load(Users, "1")
        assert (user.shout(), [one.shout() for one in await Users.find_many()]) == ("1!", ["1!"])
        other.clear()
        reference: Any = other.get_reference(Users, "1")
        await other.hydrate(reference)
        assert (type(reference), reference.shout()) == (Users, "1!")


async def test_what_the_server_cannot_store_is_refused_before(graph: evsession.GraphStore, label: str) -> None:
    @evsession.node(label)
    @dataclasses.dataclass
    class Tagged:
        id: str
        tag: Any = None

    if (await graph.server_version()).startswith("5."):
        async with graph.open_session() as session:
            known = Tagged("0")
            await session.add(known).commit()
            for tag, path in list[tuple[Any, str]]([(uuid.uuid4(), "tag"), ([uuid.uuid4()], "tag[0]")]):
                session.add(Tagged("1"), Tagged("2", tag))
                with pytest.raises(evsession.UnsupportedFeature, match="UUIDs need") as caught:
                    await session.commit()
                assert (caught.value.path, caught.value.key, caught.value.operation) == (path, f"{label}/2", "commit")
                session.clear()
            known = await session.load(Tagged, "0")  # type: ignore[assignment]
            known.tag = uuid.uuid4()
            with pytest.raises(evsession.UnsupportedFeature, match="tag of .*/0'") as caught:
                await session.flush()
            assert (caught.value.path, caught.value.key, caught.value.operation) == ("tag", f"{label}/0", "flush")
            with pytest.raises(evsession.UnsupportedFeature, match=r"ids\[1\]") as caught:
                await session.run("RETURN $ids", {"ids": ["x", uuid.uuid4()]})
            assert caught.value.path == "ids[1]"
    else:
        async with graph.open_session() as session:
            for tag in (uuid.uuid4(), evsession.Vector("FLOAT32", (1.0,))):
                session.add(Tagged("1", tag))
                # The store of the Community edition holds neither, and says so of what it has understood.
                with pytest.raises(evsession.SessionError, match="not supported in aligned store format"):
                    await session.commit()
                session.clear()


@pytest.mark.parametrize(
    "longest", [{"days": (2**63 - 1) // 86_400}, {"months": (2**63 - 1) // 2_629_746}, {"seconds": 2**63 - 1}]
)
async def test_the_longest_duration(graph_session: evsession.GraphSession, longest: dict[str, int]) -> None:
    duration = evsession.Duration(**longest)
    assert (await graph_session.run("RETURN $d", {"d": duration})).value() == duration
    more = evsession.Duration(
        **{"seconds": 2**62, "days": 2**46, **{name: value for name, value in longest.items() if name != "seconds"}}
    )
    with pytest.raises(evsession.InvalidDocument, match="longer than") as caught:
        await graph_session.run("RETURN $d", {"d": [more]})
    assert caught.value.path == "d[0]"


async def test_the_longest_timeout(graph_session: evsession.GraphSession) -> None:
    tx = await graph_session.begin_transaction(timeout=2**31 - 1)
    await tx.close()
    with pytest.raises(evsession.ConfigurationError, match="at most 2147483647"):
        graph_session.begin_transaction(timeout=2**31)


async def test_failures_of_a_commit_name_what_was_called_and_the_entity(graph: evsession.GraphStore, label: str) -> None:
    @evsession.node(label)
    @dataclasses.dataclass
    class Dog:
        id: str
        name: str = ""

    async with graph.open_session() as session:
        await session.run(f"CREATE CONSTRAINT c{label} FOR (n:{label}) REQUIRE n.name IS UNIQUE")
        try:
            await session.run(f"CREATE (:{label} {{id: '1', name: 'Max'}})")
            for verb in ("commit", "save", "flush"):
                session.add(Dog("2", "Max"))
                with pytest.raises(evsession.ConstraintError) as caught:
                    await getattr(session, verb)()
                assert (caught.value.operation, caught.value.key) == (verb, f"{label}/2")
                session.add(Dog("3", "Max"))
                with pytest.raises(evsession.ConstraintError) as caught:
                    await getattr(session, verb)()
                assert (caught.value.operation, caught.value.key) == (verb, None)
                session.clear()
        finally:
            await session.run(f"DROP CONSTRAINT c{label}")


async def test_what_no_node_is_found_by_is_no_key(graph_session: evsession.GraphSession, label: str) -> None:
    @evsession.node(label)
    @dataclasses.dataclass
    class Thing:
        id: Any

    await graph_session.run(f"CREATE (:{label} {{id: $nan}})", {"nan": math.nan})
    assert not (await graph_session.run(f"MATCH (n:{label} {{id: $nan}}) RETURN n", {"nan": math.nan})).values()
    for key in (math.nan, {"a": 1}, None):
        with pytest.raises(evsession.ConfigurationError, match="is no id of a node"):
            graph_session.get_reference(Thing, key)
        with pytest.raises(evsession.ConfigurationError, match="is no id of a node"):
            graph_session.load(Thing, key)
    assert (graph_session.changes(), await graph_session.commit()) == ([], [])


async def test_kinds_of_keys(graph: evsession.GraphStore, label: str) -> None:
    @evsession.node(label)
    @dataclasses.dataclass
    class Dog:
        id: Any
        name: str

    keys = [5, "5", True, "True", 1.5, "1.5", b"x", "b'x'", date(2020, 1, 2), "2020-01-02"]
    async with graph.open_session() as session, graph.open_session() as other, graph.open_session() as third:
        saved = await session.add(*[Dog(key, repr(key)) for key in keys]).commit()
        assert saved == [f"{label}/{key}" for key in keys]
        for key in keys:
            loaded: Any = await other.load(Dog, key)
            assert (loaded.name, await other.load(Dog, key) is loaded) == (repr(key), True)
        assert len(other.identity_map) == len(keys)
        found = await third.load(Dog, keys)
        assert [dog.name for dog in found] == [repr(key) for key in keys]
        assert len(await third.find(Dog)) == len(keys)
        await third.refresh(*found)
        assert [dog.name for dog in found] == [repr(key) for key in keys]
        assert await third.load(Dog, 5.0) is found[0]
        assert (third.identity_map.get(f"{label}/5"), third.identity_map.get(f"{label}/1.5")) == (found[1], found[5])
        third.evict(found[1])
        assert (third.identity_map.get(f"{label}/5"), f"{label}/5" in third.identity_map) == (found[0], True)
        assert f"{label}/6" not in third.identity_map
        found[0].id = "5"
        with pytest.raises(evsession.ConfigurationError, match="cannot change"):
            await third.commit()
        with pytest.raises(evsession.ConfigurationError):
            other.get_reference(Dog, None)


async def test_numbers_that_are_hard_to_compare(graph: evsession.GraphStore, label: str) -> None:
    @evsession.node(label)
    @dataclasses.dataclass
    class Dog:
        id: str
        age: float

    async with graph.open_session() as session:
        dog, odd = Dog("1", 0.0), Dog("2", math.nan)
        await session.add(dog, odd).commit()
        assert (session.changes(odd), session.is_dirty(odd)) == ({}, False)
        dog.age = -0.0
        assert list(session.changes(dog)) == ["age"]
        # The server takes it for no change, and keeps 0.0 (seen on 5.26).
        assert (await session.commit(), session.changes()) == ([f"{label}/1"], [])


@pytest.mark.parametrize("name", ["insert.post", "update.post", "delete.post"])
async def test_an_exception_in_a_post_hook_rolls_the_commit_back(graph: evsession.GraphStore, label: str, name: str) -> None:
    @evsession.node(label)
    @dataclasses.dataclass
    class Dog:
        id: str
        name: str = ""

    def fail(event: evsession.CommitEvent) -> None:
        raise KeyError("x")

    async with graph.open_session() as session:
        changed, gone, new = Dog("changed"), Dog("gone"), Dog("new")
        await session.add(changed, gone).commit()
        changed.name = "x"
        session.remove(gone).add(new)
        session.on(name, fail)
        with pytest.raises(KeyError):
            await session.commit()
        kinds = {change.key: change.kind for change in session.changes()}
        assert kinds == {f"{label}/changed": "update", f"{label}/gone": "delete", f"{label}/new": "insert"}
        session.off(name)
        names = (await session.run(f"MATCH (n:{label}) RETURN n.id, n.name ORDER BY n.id")).values()
        assert [list(row) for row in names] == [["changed", ""], ["gone", ""]]
        assert len(await session.commit()) == 2


@pytest.mark.parametrize("begins", [True, False])
async def test_what_is_called_after_a_flush_sees_it(graph: evsession.GraphStore, label: str, begins: bool) -> None:
    users: Any = graph.model(label, properties={"id": str})
    total = f"MATCH (n:{label}) RETURN count(n)"
    async with graph.open_session() as session:
        seen: list[Any] = []

        async def look(event: evsession.CommitEvent) -> None:
            first, second = event.session.run(total), event.session.run(total)
            seen.extend([(await second).value(), (await first).value()])

        session.on("insert.post", look)
        tx = await session.begin_transaction() if begins else session.use_transaction()
        user = users(id="1")
        before = session.run(f"CREATE (:{label}) RETURN 1") if not begins else tx.run(f"CREATE (:{label}) RETURN 1")
        flushing = session.add(user).flush()
        after, found, saving = tx.run(total), session.find(users, {"id": "1"}), user.save(session=tx)
        more = session.add(users(id="2")).flush()
        last = tx.run(total)
        with trio.fail_after(5):
            assert ((await last).value(), (await after).value(), await found) == (3, 2, [user])
            assert (await saving, await flushing, await more) == (user, [f"{label}/1"], [f"{label}/2"])
            await before
            assert seen == [2, 2, 3, 3]
            ended = session.add(users(id="3")).flush(), session.rollback(), session.flush(), session.commit()
            for operation in reversed(ended):
                await operation
        assert (session.has_transaction(), await users.find_many()) == (False, [users(id="3")])
        assert await session.commit() == [f"{label}/1", f"{label}/2"]
