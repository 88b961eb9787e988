"""What is left of a commit or transaction that does not last: everything is pending as before, and a retry sends the same."""

from __future__ import annotations

import dataclasses
from itertools import count
from typing import Any

import pytest

import evsession
from evsession import Change


@pytest.fixture
def dog(label: str) -> Any:
    @evsession.node(label)
    @dataclasses.dataclass
    class Dog:
        id: str
        age: int = 0

    return Dog


async def ages(graph: evsession.GraphStore, label: str) -> dict[str, int]:
    async with graph.open_session() as session:
        result = await session.run(f"MATCH (n:{label}) RETURN n.id, n.age")
        return dict(sorted(result.values()))


@pytest.mark.parametrize("way", ["hydrate", "load", "find"])
async def test_a_reference_that_was_filled_meanwhile(graph: evsession.GraphStore, label: str, dog: Any, way: str) -> None:
    async with graph.open_session() as one, graph.open_session() as session:
        await one.add(dog("1", age=1)).commit()
        rex = session.get_reference(dog, "1")
        rex.age = 5
        session.use_transaction()
        await session.flush()
        if way == "hydrate":
            await session.hydrate(rex)
        else:
            await (session.load(dog, "1") if way == "load" else session.find(dog))
        await session.rollback()
        assert [change.key for change in session.changes()] == [f"{label}/1"]
        assert await session.commit() == [f"{label}/1"]
    assert await ages(graph, label) == {"1": 5}


async def test_a_new_node_that_was_refreshed_meanwhile(graph: evsession.GraphStore, label: str, dog: Any) -> None:
    async with graph.open_session() as session:
        rex = dog("1", age=1)
        session.add(rex).use_transaction()
        await session.flush()
        await session.refresh(rex)
        await session.refresh(rex, force=True)
        assert session.changes() == []
        await session.rollback()
        assert [change.kind for change in session.changes()] == ["insert"]
        assert await session.commit() == [f"{label}/1"]
    assert await ages(graph, label) == {"1": 1}


@pytest.mark.parametrize("way", ["rollback", "exception"])
async def test_hooks_are_called_again_and_count_once(graph: evsession.GraphStore, label: str, dog: Any, way: str) -> None:
    numbers = count(10)
    async with graph.open_session() as session:
        old = dog("0")
        await session.add(old).commit()

        @session.on("insert.pre", type=dog)
        def audit(event: evsession.CommitEvent) -> None:
            if any(one.id == "1" for one in event.entities):
                session.add(dog(str(next(numbers))))
                session.increment(old, "age", 1)

        session.add(dog("1"))
        if way == "rollback":
            session.use_transaction()
            await session.flush()
            await session.rollback()
        else:
            session.once("insert.post", lambda event: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await session.commit()
        assert [(change.key, change.kind) for change in session.changes()] == [(f"{label}/1", "insert")]
        assert old.age == 0
        await session.commit()
        assert old.age == 1
    assert await ages(graph, label) == {"0": 1, "1": 0, "11": 0}


async def test_vetoes_end_with_it(graph: evsession.GraphStore, label: str, dog: Any) -> None:
    async with graph.open_session() as session:
        one, two = dog("1"), dog("2")
        await session.add(one, two).commit()
        for name in ("insert.pre", "delete.pre"):
            session.once(name, lambda event: event.prevent())
        session.add(dog("3")).remove(one).use_transaction()
        two.age = 2
        await session.flush()
        await session.rollback()
        assert sorted((change.kind, change.key) for change in session.changes()) == [
            ("delete", f"{label}/1"),
            ("insert", f"{label}/3"),
            ("update", f"{label}/2"),
        ]
        await session.commit()
    assert await ages(graph, label) == {"2": 2, "3": 0}


async def test_an_increment_is_added_once_by_whoever_comes_next(graph: evsession.GraphStore, label: str, dog: Any) -> None:
    async with graph.open_session() as session:
        rex = dog("1")
        await session.add(rex).commit()
        session.increment(rex, "age", 2)

        @session.once("commit.pre")
        def fail(event: evsession.CommitEvent) -> None:
            raise LookupError

        first, second = session.commit(lambda error, saved: None), session.commit(lambda error, saved: None)
        with pytest.raises(LookupError):
            await first
        assert await second == [f"{label}/1"]
        assert await session.commit() == []
        assert rex.age == 2
    assert await ages(graph, label) == {"1": 2}


async def test_a_replacement_of_one_key(graph: evsession.GraphStore, label: str, dog: Any) -> None:
    async with graph.open_session() as session:
        rex = dog("1", age=1)
        await session.add(rex).commit()
        session.once("delete.pre", lambda event: event.prevent())
        session.remove(rex).add(dog("1", age=7))
        with pytest.raises(evsession.KeyConflict, match="cannot stay"):
            await session.commit()
        saved = await session.commit()
        assert (saved.inserted, saved.removed) == ([f"{label}/1"], [f"{label}/1"])
        assert session.changes() == []
    assert await ages(graph, label) == {"1": 7}


async def test_edits_are_pending_with_what_they_were_before(graph: evsession.GraphStore, label: str, dog: Any) -> None:
    async with graph.open_session() as session:
        rex = dog("1", age=1)
        await session.add(rex).commit()
        session.use_transaction()
        rex.age = 5
        await session.flush()
        await session.rollback()
        assert session.changes(rex) == {"age": Change(1, 5)}
