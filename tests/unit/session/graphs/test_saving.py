"""Saves of instances of models that are called without waiting: in call order, none twice, and no edit lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

import evsession
from evsession.session.graphs.instance import is_same
from tests.unit.neo4j.typed import committed, opened, refused, typed
from tests.unit.session.graphs.test_models import Place, node, nodes
from tests.unit.session.graphs.test_state import DELETED, in_transaction
from tests.unit.session.graphs.test_work import places

REFUSED = refused("Neo.ClientError.Schema.ConstraintValidationFailed")


def parameters(place: Any, number: int) -> Any:
    return json.loads(place.transport.requests[number].body)["parameters"]


@pytest.mark.parametrize("there", ["session", "alone", "transaction"])
async def test_a_new_instance_that_is_saved_twice_is_one_node(there: str) -> None:
    made = (in_transaction if there == "transaction" else nodes)(node(id="1", name="x"))
    begun, ended = ([opened("t1")], [committed()]) if there == "transaction" else ([], [])
    place = Place(*begun, made, *ended)
    async with place.graph, place.graph.open_session() as session:
        tx = await session.begin_transaction() if there == "transaction" else None
        where: Any = {"session": session, "transaction": tx}.get(there)
        john = place.users(id="1", name="x")
        first, second, third = [john.save(session=where) for _ in range(3)]
        assert (await second, await third, await first) == (john, john, john)
        assert (john.changed, john.exists, "_writing" in vars(john)) == ({}, True, False)
        if tx is not None:
            await tx.commit()
        assert len(place.transport.requests) == 1 + len(begun) + len(ended)


@pytest.mark.parametrize("first", ["commit", "save", "delete"])
async def test_saves_and_commits_take_turns(first: str) -> None:
    script = {
        "commit": [opened("t1", 1), committed()],
        "save": [nodes(node(id="1", name="x"))],
        "delete": [DELETED, nodes(node(id="1", name="x"))],
    }
    place = Place(*script[first])
    async with place.graph, place.graph.open_session() as session:
        john = place.users(id="1", name="x")
        if first == "commit":
            session.add(john)
            operations: list[Any] = [session.commit(), john.save(session=session)]
        elif first == "save":
            operations = [john.save(session=session), session.add(john).commit()]
        else:
            operations = [john.delete(session=session), john.save(session=session)]
        for operation in reversed(operations):
            await operation
        assert (john.exists, john.changed, len(place.transport.requests)) == (True, {}, len(script[first]))


@pytest.mark.parametrize("there", ["session", "alone"])
async def test_edits_after_the_call_stay_edits(there: str) -> None:
    place = Place(nodes(node(id="1", name="x")), nodes(node(id="1", name="y")), nodes(node(id="1")))
    async with place.graph, place.graph.open_session() as session:
        where: Any = session if there == "session" else None
        john = place.users(id="1", name="x")
        saving = john.save(session=where)
        john.name = "late"
        await saving
        assert (john.exists, john.changed, john.name) == (True, {"name": "late"}, "late")
        john.name = "y"
        saving = john.save(session=where)
        del john.name
        await saving
        assert (john.changed, john.name) == ({"name": None}, None)
        await john.save(session=where)
        assert b"Null" in place.transport.requests[2].body
        assert john.changed == {}


async def test_edits_after_a_node_was_created_stay_edits() -> None:
    place = Place(nodes(node(id="1")))
    async with place.graph:
        john = place.users(id="1")
        creating = place.users.create_one(john)
        john.name = "late"
        assert await creating is john
        assert john.changed == {"name": "late"}


@pytest.mark.parametrize("before", ["save", "commit"])
async def test_what_is_changed_back_meanwhile_is_written_back(before: str) -> None:
    writes = [nodes(node(id="1", name="y"))] if before == "save" else [opened("t1"), committed()]
    if before == "commit":
        writes[0] = places([])
    place = Place(nodes(node(id="1", name="x")), *writes, nodes(node(id="1", name="x")))
    async with place.graph, place.graph.open_session() as session:
        john = await place.users.create_one({"id": "1", "name": "x"}, session=session)
        session.add(john)
        john.name = "y"
        first: Any = john.save(session=session) if before == "save" else session.commit()
        john.name = "x"
        second = john.save(session=session)
        await second
        await first
        assert (john.changed, john.name, session.is_dirty(john)) == ({}, "x", False)
        assert "x" in json.dumps(parameters(place, len(writes) + 1))


async def test_a_save_before_a_commit_that_writes_back() -> None:
    place = Place(nodes(node(id="1", name="x")), nodes(node(id="1", name="y")), places([]), committed())
    async with place.graph, place.graph.open_session() as session:
        john = await place.users.create_one({"id": "1", "name": "x"}, session=session)
        session.add(john)
        john.name = "y"
        saving = john.save(session=session)
        john.name = "x"
        assert await session.commit() == ["User/1"]
        await saving
        assert (john.changed, session.is_dirty(john)) == ({}, False)


async def test_a_save_after_one_that_failed_creates() -> None:
    place = Place(REFUSED, nodes(node(id="1", name="y")))
    async with place.graph, place.graph.open_session() as session:
        john = place.users(id="1", name="x")
        first = john.save(session=session)
        john.name = "y"
        second = john.save(session=session)
        with pytest.raises(evsession.ConstraintError):
            await first
        await second
        assert (john.exists, john.changed) == (True, {})
        assert b"CREATE" in place.transport.requests[1].body


async def test_bad_input_is_told_at_the_call_also_when_others_are_under_way() -> None:
    place = Place(nodes(node(id="1")))
    async with place.graph, place.graph.open_session() as session:
        john = place.users(id="1")
        saving = john.save(session=session)
        john.name = 5
        with pytest.raises(evsession.InvalidDocument, match="name"):
            john.save(session=session)
        assert session._turns.first() is not None
        await saving
        assert (john.changed, "_writing" in vars(john)) == ({"name": 5}, False)


async def test_lists_that_are_edited_in_place() -> None:
    tags = typed("List", [typed("String", "a")])
    place = Place(nodes(typed("Node", {"_element_id": "1", "_labels": ["User"], "_properties": {"tags": tags}})))
    async with place.graph:
        found: Any = await place.graph.model("User", primary_key="id").find_one()
        assert found.changed == {}
        found.tags.append("b")
        assert found.changed == {"tags": ["a", "b"]}


async def test_what_was_deleted_and_created_again_exists() -> None:
    place = Place(nodes(node(id="1")), DELETED, nodes(node(id="1")))
    async with place.graph, place.graph.open_session() as session:
        john = await place.users.create_one({"id": "1"}, session=session)
        session.add(john)
        await john.delete(session=session)
        assert not john.exists
        await john.save(session=session)
        assert (john.exists, john.changed) == (True, {})
        await john.save(session=session)
        assert len(place.transport.requests) == 3


def test_values_that_are_one_to_the_database() -> None:
    assert is_same((1, 2), [1, 2])
    assert not is_same(1, True)
    assert not is_same(1, 1.0)
    assert not is_same(0.0, -0.0)
    assert is_same(float("nan"), float("nan"))
    assert not is_same(object(), object())
