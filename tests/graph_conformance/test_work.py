"""The unit of work on a real Neo4j: what is written, in how many requests, and what a failure leaves."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from typing import Any

import attrs
import pytest
import trio

import evsession
from tests.graph_conformance.tools import Wire, count, soon


class Size(Enum):
    SMALL = "small"


@pytest.fixture
def dog(label: str) -> Any:
    """A class of nodes with this test's label."""

    @evsession.node(label, key="id")
    @dataclasses.dataclass
    class Dog:
        id: str
        name: str | None = None
        age: int = 0
        tags: list[str] = dataclasses.field(default_factory=list)

    return Dog


async def test_new_changed_and_removed_in_one_transaction(graph_session: evsession.GraphSession, dog: Any, label: str) -> None:
    dogs = [dog(str(n), f"dog {n}", n) for n in range(50)]
    wire = Wire(graph_session)
    saved = await graph_session.add(*dogs).commit()
    assert saved == [f"{label}/{n}" for n in range(50)]
    assert wire.take() == ["POST /tx", "POST /tx/{id}/commit"]
    assert await graph_session.commit() == []
    assert wire.take() == []
    dogs[0].name, dogs[1].name = "Max", None
    graph_session.remove(dogs[2]).add(dog("new"))
    saved = await graph_session.commit()
    assert (saved, saved.removed) == ([f"{label}/0", f"{label}/1", f"{label}/new"], [f"{label}/2"])
    assert wire.take() == ["POST /tx", "POST /tx/{id}", "POST /tx/{id}", "POST /tx/{id}/commit"]
    rows = (await graph_session.run(f"MATCH (n:{label}) RETURN n.id AS id, n.name AS name")).data()
    names = {row["id"]: row["name"] for row in rows}
    assert (len(names), names["0"], names["1"], names["new"], "2" in names) == (50, "Max", None, None, False)


async def test_only_edited_fields_are_written(graph: evsession.GraphStore, dog: Any, label: str) -> None:
    async with graph.open_session() as one, graph.open_session() as other:
        await one.add(dog("1", "Max", 3)).commit()
        theirs: Any = await other.load(dog, "1")
        mine: Any = await one.load(dog, "1")
        theirs.age = 4
        await other.commit()
        mine.name = "Moritz"
        await one.commit()
        node = (await one.run(f"MATCH (n:{label}) RETURN n")).value()
        assert (node["name"], node["age"]) == ("Moritz", 4)


async def test_what_is_flushed_is_seen_in_the_transaction_only(
    graph: evsession.GraphStore, graph_session: evsession.GraphSession, dog: Any, label: str
) -> None:
    async with graph.open_session() as other:
        async with graph_session.transaction():
            graph_session.add(dog("1"))
            await graph_session.flush()
            assert (await graph_session.run(f"MATCH (n:{label}) RETURN n.id")).values(0) == ["1"]
            assert await count(other, label) == 0
            graph_session.add(dog("2"))
        assert await count(other, label) == 2
        tx = await graph_session.begin_transaction()
        graph_session.add(dog("3"))
        await graph_session.flush()
        assert (await tx.run(f"MATCH (n:{label}) RETURN count(n)")).value() == 3
        await graph_session.rollback()
        assert not tx.is_open
        assert await count(other, label) == 2
        assert await graph_session.commit() == [f"{label}/3"]


async def test_hooks_of_the_end_of_a_transaction(graph: evsession.GraphStore, dog: Any, label: str) -> None:
    told: list[str] = []

    async def fail(tx: evsession.GraphTransaction) -> None:
        await tx.run(f"CREATE (:{label})")
        raise ZeroDivisionError

    async with graph.open_session() as session:
        for name in ("commit.post", "rollback.post"):
            session.on(name, lambda event: told.append(event.name))
        await session.use_transaction().commit()
        await session.use_transaction().rollback()
        await graph.get_transaction(session, lambda tx: session.add(dog("1")))
        with pytest.raises(ZeroDivisionError):
            await graph.get_transaction(session, fail)
        assert (told, await count(session, label)) == (["commit.post", "rollback.post"] * 2, 1)
        await (await session.begin_transaction()).commit()
        assert len(told) == 4


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_a_commit_whose_transaction_a_hook_ends_has_failed(
    graph_session: evsession.GraphSession, dog: Any, label: str, end: str
) -> None:
    session = graph_session

    @session.once("insert.post")
    async def interfere(event: evsession.CommitEvent) -> None:
        await getattr(session.assigned_transaction, end)()
        session.use_transaction()

    with pytest.raises(evsession.TransactionError, match="Can't commit"):
        await session.add(dog("1")).commit()
    await session.rollback()
    assert (await count(session, label), len(session.changes())) == ((1, 0) if end == "commit" else (0, 1))
    session.clear()


async def test_a_transaction_that_the_program_has_begun_is_none_to_use(
    graph_session: evsession.GraphSession, dog: Any, label: str
) -> None:
    tx = await graph_session.begin_transaction()
    await tx.run(f"CREATE (:{label} {{id: '0'}})")
    with pytest.raises(evsession.TransactionError, match="begin_transaction"):
        graph_session.add(dog("1")).use_transaction()
    await graph_session.flush()
    await tx.commit()
    async with graph_session.use_transaction():
        graph_session.add(dog("2"))
    assert await count(graph_session, label) == 3


@pytest.mark.parametrize("how", ["alone", "in a session", "by hand", "block"])
async def test_the_end_of_a_transaction_writes_what_is_pending(
    graph: evsession.GraphStore, graph_session: evsession.GraphSession, dog: Any, label: str, how: str
) -> None:
    async def work(tx: evsession.GraphTransaction) -> None:
        await tx.run(f"CREATE (:{label})")
        tx.session.add(dog("1"))

    if how == "by hand":
        tx = graph_session.use_transaction()
        await work(tx)
        await tx.commit()
    elif how == "block":
        async with graph_session.use_transaction() as tx:
            await work(tx)
    else:
        await graph.get_transaction(None if how == "alone" else graph_session, work)
    assert (await count(graph_session, label), graph_session.changes(), graph_session.state) == (2, [], "idle")


async def test_a_transaction_that_cannot_write_what_is_pending(graph: evsession.GraphStore, dog: Any, label: str) -> None:
    async with graph.open_session() as session:
        await session.run(f"CREATE CONSTRAINT c{label} FOR (n:{label}) REQUIRE n.id IS UNIQUE")
        try:
            await session.run(f"CREATE (:{label} {{id: '1'}})")
            for _ in range(2):
                with pytest.raises(evsession.ConstraintError):
                    await evsession.get_transaction(session, lambda tx: session.add(*[] if session.changes() else [dog("1")]))
                assert ([change.kind for change in session.changes()], session.state) == (["insert"], "idle")
            assert await count(session, label) == 1
        finally:
            await session.run(f"DROP CONSTRAINT c{label}")


async def test_a_failed_commit_leaves_everything_pending(graph: evsession.GraphStore, dog: Any, label: str) -> None:
    async with graph.open_session() as session:
        await session.run(f"CREATE CONSTRAINT c{label} FOR (n:{label}) REQUIRE n.id IS UNIQUE")
        try:
            await session.run(f"CREATE (:{label} {{id: '1'}})")
            first, second = dog("0"), dog("1")
            session.add(first, second)
            for _ in range(2):
                with pytest.raises(evsession.ConstraintError):
                    await session.commit()
                assert [change.kind for change in session.changes()] == ["insert", "insert"]
                assert session.state == "idle"
            await session.run(f"MATCH (n:{label}) DELETE n")
            assert await session.commit() == [f"{label}/0", f"{label}/1"]
        finally:
            await session.run(f"DROP CONSTRAINT c{label}")


async def test_nodes_that_are_gone_are_told(graph_session: evsession.GraphSession, dog: Any, label: str) -> None:
    one, two = dog("1"), dog("2")
    await graph_session.add(one, two).commit()
    await graph_session.run(f"MATCH (n:{label} {{id: '2'}}) DELETE n")
    one.name = two.name = "x"
    with pytest.raises(evsession.SessionError) as caught:
        await graph_session.commit()
    assert (caught.value.status_code, caught.value.key) == (404, f"{label}/2")
    assert (await graph_session.run(f"MATCH (n:{label}) RETURN n.name")).values(0) == [None]
    assert graph_session.is_dirty(one)
    with pytest.raises(evsession.SessionError):
        await graph_session.refresh(two, force=True)


async def test_increments_do_not_lose_others(graph: evsession.GraphStore, dog: Any, label: str) -> None:
    async with graph.open_session() as one, graph.open_session() as other:
        await one.add(dog("1", age=1)).commit()
        mine: Any = await one.load(dog, "1")
        theirs: Any = await other.load(dog, "1")
        one.increment(mine, "age", 2)
        other.increment(theirs, "age", 10)
        await one.commit()
        await other.commit()
        assert theirs.age == 13
        await one.refresh(mine)
        assert mine.age == 13
        mine.age = 5
        one.increment(mine, "age", 1)
        await one.commit()
        assert (await one.run(f"MATCH (n:{label}) RETURN n.age")).value() == 6


async def test_references_are_written_loaded_and_deleted_without_a_load(
    graph: evsession.GraphStore, dog: Any, label: str
) -> None:
    cow = graph.model([label, "Model"], properties={"id": str, "milk": float})
    async with graph.open_session() as session:
        await session.add(dog("1", "Max", 3), dog("2", "Jess"), cow(id="c", milk=1.5)).commit()
    async with graph.open_session() as session:
        wire = Wire(session)
        one, two, animal = session.get_reference(dog, "1"), session.get_reference(dog, "2"), session.get_reference(cow, "c")
        one.name, animal.milk = "Moritz", 2.5
        session.increment(one, "age", 2)
        session.remove(two)
        plan = session.plan()
        assert (len(plan.updates), len(plan.deletes), wire.take()) == (2, 1, [])
        await session.commit()
        assert len(wire.take()) == len(plan.requests) == 4
        with pytest.raises(evsession.NotLoaded):
            _ = one.age
        await session.hydrate(one, animal)
        assert (one, animal.data) == (dog("1", "Moritz", 5), {"id": "c", "milk": 2.5})
        assert wire.take() == ["POST"]
        assert await session.load(dog, "2") is None
        gone = session.get_reference(dog, "2")
        gone.name = "x"
        one.age = 6
        with pytest.raises(evsession.SessionError) as caught:
            await session.commit()
        assert (caught.value.status_code, caught.value.key) == (404, f"{label}/2")
        assert (await session.run(f"MATCH (n:{label} {{id: '1'}}) RETURN n.age")).value() == 5


async def test_a_rollback_leaves_increments_pending(graph: evsession.GraphStore, dog: Any, label: str) -> None:
    async with graph.open_session() as session, graph.open_session() as other:
        await session.add(dog("1", age=1)).commit()
        mine: Any = await session.load(dog, "1")
        await other.run(f"MATCH (n:{label}) SET n.age = 11")
        session.use_transaction()
        session.increment(mine, "age", 2)
        await session.flush()
        assert mine.age == 13
        await session.rollback()
        await other.run(f"MATCH (n:{label}) SET n.age = 101")
        await session.commit()
        assert mine.age == 103


async def test_hooks_see_and_change_what_is_written(graph_session: evsession.GraphSession, dog: Any, label: str) -> None:
    told: list[str] = []

    @graph_session.on("insert.pre", type=dog)
    def name_it(event: evsession.CommitEvent) -> None:
        told.append(event.name)
        for entity in event.entities:
            entity.name = entity.name or "nameless"

    @graph_session.on("insert.post", type=dog)
    async def look(event: evsession.CommitEvent) -> None:
        found = await event.session.run(f"MATCH (n:{label}) RETURN n.name")
        told.extend(found.values(0))

    await graph_session.add(dog("1")).commit()
    assert told == ["insert.pre", "nameless"]

    @graph_session.on("update.pre", type=dog)
    def fail(event: evsession.CommitEvent) -> None:
        raise ZeroDivisionError

    graph_session.identity_map.get(f"{label}/1").name = "x"
    with pytest.raises(ZeroDivisionError):
        await graph_session.commit()
    assert (await graph_session.run(f"MATCH (n:{label}) RETURN n.name")).value() == "nameless"


async def test_a_cancelled_commit_frees_the_locks(graph: evsession.GraphStore, dog: Any, label: str) -> None:
    async with graph.open_session() as session, graph.open_session() as other:
        await session.add(dog("1")).commit()
        known: Any = await session.load(dog, "1")
        known.name = "x"

        @session.on("update.post", type=dog)
        async def stay(event: evsession.CommitEvent) -> None:
            await trio.sleep_forever()

        with trio.move_on_after(0.5):
            await session.commit()
        await soon(other, f"MATCH (n:{label}) SET n.name = 'y'")
        assert session.is_dirty(known)


async def test_entities_of_every_kind(graph: evsession.GraphStore, label: str) -> None:
    @evsession.node([label, "Attrs"])
    @attrs.define
    class Cat:
        id: int
        born: datetime | None = None
        day: date | None = None
        slept: timedelta | None = None
        size: Size | None = None
        legs: tuple[int, ...] = ()

    @evsession.node([label, "Plain"])
    class Hen:
        def __init__(self, id: str) -> None:
            self.id = id
            self.eggs = 3
            self._secret = 1

    cow = graph.model([label, "Model"], properties={"id": str, "milk": float})
    things = [
        Cat(1, datetime(2020, 1, 1, tzinfo=timezone.utc), date(2020, 1, 2), timedelta(1), Size.SMALL, (1, 2)),
        Hen("h"),
        cow(id="c", milk=1.5),
    ]
    async with graph.open_session() as session:
        await session.add(*things).commit()
    async with graph.open_session() as session:
        found: list[Any] = [await session.load(type(thing), key) for thing, key in zip(things, [1, "h", "c"], strict=True)]
        cat, hen, animal = found
        assert cat == things[0]
        assert (vars(hen), animal) == ({"id": "h", "eggs": 3}, things[2])
        hen.eggs, animal.milk = 4, 2.5
        assert len(await session.commit()) == 2
        session.remove(cat)
        await session.commit()
        assert await session.find(Cat) == []
        assert [one.milk for one in await cow.find_many(session=session)] == [2.5]


@pytest.mark.parametrize("name", ["back`tick", "line\nbreak", "\u00fc \U0001f600", "`}) DETACH DELETE n //"], ids=repr)
async def test_labels_and_properties_of_any_name(graph_session: evsession.GraphSession, label: str, name: str) -> None:
    @evsession.node([label, name], key=name)
    class Odd:
        def __init__(self, **properties: Any) -> None:
            vars(self).update(properties)

    odd: Any = Odd(**{name: "k", f"{name}2": 1})
    await graph_session.add(odd).commit()
    graph_session.increment(odd, f"{name}2", 2)
    await graph_session.commit()
    await graph_session.refresh(odd)
    assert vars(odd) == {name: "k", f"{name}2": 3}
    assert (await graph_session.run(f"MATCH (n:{label}) RETURN n")).value().labels == {label, name}
    await graph_session.remove(odd).commit()
    assert await count(graph_session, label) == 0


async def test_helpers_three_levels_deep(graph: evsession.GraphStore, label: str) -> None:
    async def mark(runnable: Any, level: int) -> None:
        await runnable.run(f"CREATE (:{label} {{level: $level}})", {"level": level})

    async def levels(first: Any, failing: int, catching: int) -> list[int]:
        """Run three levels in one transaction, of which one raises and one may catch; return what lasts."""
        error = ZeroDivisionError(failing)

        async def third(tx: Any) -> None:
            await mark(tx, 3)
            if failing == 3:
                raise error

        async def second(tx: Any) -> None:
            await mark(tx, 2)
            try:
                await graph.get_runnable(tx, third)
            except ZeroDivisionError:
                if catching != 2:
                    raise
            if failing == 2:
                raise error

        async def outermost(tx: Any) -> None:
            await mark(tx, 1)
            try:
                await graph.get_transaction(tx, second)
            except ZeroDivisionError:
                if catching != 1:
                    raise
            assert tx.is_open

        if failing > catching > 0 or not failing:
            await graph.get_transaction(first, outermost)
        else:
            with pytest.raises(ZeroDivisionError) as caught:
                await graph.get_transaction(first, outermost)
            assert caught.value is error
        async with graph.open_session() as other:
            found = (
                await other.run(
                    f"MATCH (n:{label}) WITH n ORDER BY n.level WITH collect(n) AS ns, collect(n.level) AS levels "
                    "FOREACH (n IN ns | DELETE n) RETURN levels"
                )
            ).value()
        return list(found)

    async with graph.open_session() as session:
        for first in (None, session):
            assert await levels(first, 0, 0) == [1, 2, 3]
            assert await levels(first, 3, 0) == []
            assert await levels(first, 2, 0) == []
            assert await levels(first, 3, 1) == [1, 2, 3]  # what was caught was the program's; the transaction is unharmed
            assert await levels(first, 3, 2) == [1, 2, 3]
            assert not session.has_transaction()
            assert session._is_open
        tx = await session.begin_transaction()
        assert await graph.get_session(tx, lambda given: given) is tx
        await graph.get_transaction(tx, lambda given: mark(given, 1))
        assert tx.is_open
        await tx.rollback()
        assert await count(session, label) == 0


async def test_the_helpers(graph: evsession.GraphStore, dog: Any, label: str) -> None:
    async def add(runnable: Any) -> Any:
        await runnable.run(f"CREATE (:{label})")
        return runnable

    session = await graph.get_session(None, add)
    assert not session._is_open
    async with graph.open_session() as mine:
        assert await graph.get_session(mine, add) is mine
        assert await graph.get_runnable(mine, add) is mine
        tx = await graph.get_transaction(mine, add)
        assert (tx.is_open, mine._is_open, await count(mine, label)) == (False, True, 4)

        async def nested(outer: Any) -> None:
            assert await graph.get_transaction(outer, add) is outer
            assert await graph.get_runnable(outer, add) is outer
            assert outer.is_open
            await graph.get_transaction(None, add)  # on its own, whatever becomes of the outer one
            raise error

        error = ZeroDivisionError()
        with pytest.raises(ZeroDivisionError) as caught:
            await graph.get_transaction(mine, nested)
        assert caught.value is error
        assert await count(mine, label) == 5

        async def swallow(outer: Any) -> None:
            with pytest.raises(evsession.QueryError):
                await outer.run("RETURN nonsense(1)")

        with pytest.raises(evsession.TransactionError, match="can't be committed"):
            await graph.get_transaction(mine, swallow)
        assert await count(mine, label) == 5
    await graph.get_transaction(None, lambda tx: tx.run(f"CREATE (:{label})"))
    async with graph.open_session() as mine:
        assert await count(mine, label) == 6


@pytest.mark.parametrize("hook", ["commit.pre", "insert.pre", "insert.post", "commit.post"])
async def test_hooks_read(graph_session: evsession.GraphSession, dog: Any, label: str, hook: str) -> None:
    told: list[Any] = []
    await graph_session.add(dog("0", "Max")).commit()
    other = graph_session.get_reference(dog, "0")
    assert other.name == "Max"
    graph_session.clear()

    @graph_session.on(hook)
    async def ask(event: evsession.CommitEvent) -> None:
        told.append(await count(graph_session, label))
        found: Any = await graph_session.load(dog, "0")
        told.extend([found.name, len(await graph_session.find(dog)), await graph_session.load(dog, "zz")])

    with trio.fail_after(10):
        assert await graph_session.add(dog("1")).commit() == [f"{label}/1"]
    seen = 1 if hook.endswith(".pre") else 2
    assert told == [seen, "Max", seen, None]


@pytest.mark.parametrize("name", ["commit", "flush", "rollback", "drain", "aclose", "close"])
async def test_the_work_of_a_transaction_does_not_wait_for_itself(
    graph: evsession.GraphStore, dog: Any, label: str, name: str
) -> None:
    async with graph.open_session() as session:

        async def work(tx: evsession.GraphTransaction) -> None:
            await tx.run(f"CREATE (:{label})")
            with pytest.raises(evsession.TransactionError, match=name):
                await getattr(session, name)()

        with trio.fail_after(10):
            await session.write_transaction(work)
        assert await count(session, label) == 1


@pytest.mark.parametrize("when", ["in the work", "after a flush", "in the commit"])
async def test_a_transaction_that_is_tried_again(graph: evsession.GraphStore, dog: Any, label: str, when: str) -> None:
    attempts = []

    async def work(session: evsession.GraphSession) -> int:
        attempts.append(session.identity_map.get(f"{label}/1"))
        session.add(dog("1"))
        if when == "after a flush":
            await session.flush()
        if when != "in the commit":
            fail()
        return len(attempts)

    def fail(event: Any = None) -> None:
        if len(attempts) < 3:
            raise evsession.ConcurrencyError("somebody was faster")

    async with graph.open_session() as session:
        if when == "in the commit":
            session.on("commit.pre", fail)
        with pytest.raises(evsession.ConcurrencyError, match="faster"):
            await session.transaction(work, retries=1)
        assert (attempts, await count(session, label), session.state) == ([None, None], 0, "idle")
        session.clear()
        attempts.clear()
        assert await session.transaction(work, retries=2) == 3
        assert (attempts, await count(session, label), session.changes()) == ([None] * 3, 1, [])
