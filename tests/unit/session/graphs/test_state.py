"""Instances of models in the unit of work: one state, whoever writes the node."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

import evsession
from tests.unit.neo4j.typed import ROLLED_BACK, answer, body, committed, opened, typed
from tests.unit.session.graphs.scripted import sent
from tests.unit.session.graphs.test_models import Place, node, nodes
from tests.unit.session.graphs.test_work import places

DELETED = answer({"counters": {"nodesDeleted": 1}})


def in_transaction(*found: Any) -> evsession.Response:
    return answer(body(["n"], [[one] for one in found], transaction={"id": "t1"}))


async def test_what_the_unit_of_work_has_written_exists() -> None:
    place = Place(opened("t1", 1), committed(), nodes(node(id="1", name="y")))
    async with place.graph, place.graph.open_session() as session:
        john = place.users(id="1", name="x")
        assert (john.exists, john.changed) == (False, {"id": "1", "name": "x"})
        await session.add(john).commit()
        assert (john.exists, john.changed, session.is_dirty(john)) == (True, {}, False)
        john.name = "y"
        assert (john.changed, session.is_dirty(john)) == ({"name": "y"}, True)
        await john.save(session=session)
        assert b"MATCH" in place.transport.requests[2].body
        assert (john.changed, session.is_dirty(john), await session.commit()) == ({}, False, [])


@pytest.mark.parametrize("there", ["session", "nothing"])
async def test_what_a_model_has_written_is_known_to_be_there(there: str) -> None:
    place = Place(nodes(node(id="1", name="x")), places([]), committed("FB:3"))
    async with place.graph, place.graph.open_session() as session:
        john = await place.users.create_one({"id": "1", "name": "x"}, session=session if there == "session" else None)
        assert await session.add(john).commit() == []
        assert (session.is_dirty(john), len(place.transport.requests)) == (False, 1)
        john.name = "y"
        saved = await session.commit()
        assert (saved.updated, saved.inserted) == (["User/1"], [])
        assert (john.changed, john.exists) == ({}, True)
        assert sent(place.transport) == ["POST -", "POST /tx", "POST /tx/t1/commit"]


async def test_what_is_pending_and_then_created_by_the_model_is_not_inserted_again() -> None:
    place = Place(nodes(node(id="1", name="x")), nodes(node(id="2")))
    async with place.graph, place.graph.open_session() as session:
        one, two = place.users(id="1", name="x"), place.users()
        session.add(one, two)
        two.id = "2"
        await one.save()
        await two.save(session=session)
        assert (await session.commit(), one.exists, two.exists) == ([], True, True)
        assert session.identity_map.get("User/2") is two


async def test_deleting_an_instance_deletes_its_node_alone() -> None:
    place = Place(nodes(node(id="1")), DELETED, nodes(node(id="1")), nodes(node(id="2")), DELETED, DELETED)
    async with place.graph, place.graph.open_session() as session:
        one = await place.users.create_one({"id": "1"})
        assert await one.delete() == 1
        assert b"WHERE n.id = $p0 DELETE n" in place.transport.requests[1].body.replace(b"`", b"")
        assert (one.exists, one.changed) == (False, {"id": "1"})
        await one.save()
        assert one.exists
        with pytest.raises(TypeError, match="callback"):
            delete: Any = one.delete
            delete({"id": "2"})
        with pytest.raises(evsession.ConfigurationError, match="no id"):
            place.users(name="x").delete()
        two = await place.users.create_one({"id": "2"}, session=session)
        session.add(two)
        two.name = "edited"
        told: list[Any] = []
        assert await two.delete(lambda *results: told.append(results), session=session, detach=True) == 1
        assert (told, two.exists, two in session.identity_map) == ([(None, 1)], False, False)
        assert (await session.commit(), await place.users.delete(one)) == ([], 1)


@pytest.mark.parametrize("ends", ["commit", "rollback"])
async def test_what_a_transaction_has_written_counts_until_it_is_rolled_back(ends: str) -> None:
    script = [
        opened("t1"),
        in_transaction(node(id="1")),
        in_transaction(node(id="2")),
        in_transaction(node(id="3", name="new")),
        answer({"counters": {"nodesDeleted": 1}, "transaction": {"id": "t1"}}),
        in_transaction(node(id="5")),
        committed() if ends == "commit" else ROLLED_BACK,
    ]
    place = Place(*[nodes(node(id=key)) for key in "34"], *script)
    async with place.graph, place.graph.open_session() as session:
        loaded: list[Any] = [await session.load(place.users, key) for key in "34"]
        three, four = loaded
        tx = await session.begin_transaction()
        one, pending = place.users(id="1"), place.users(id="2")
        session.add(pending)
        await one.save(session=tx)
        await pending.save(session=tx)
        three.name = "new"
        await three.save(session=tx)
        await four.delete(session=tx)
        five = await place.users.create_one({"id": "5"}, session=tx)
        session.add(five)
        assert [u.exists for u in (one, pending, three, four, five)] == [True, True, True, False, True]
        await getattr(tx, ends)()
        if ends == "commit":
            assert [u.exists for u in (one, pending, three, four, five)] == [True, True, True, False, True]
            assert (four in session.identity_map, session.changes()) == (False, [])
        else:
            assert [u.exists for u in (one, pending, three, four, five)] == [False, False, True, True, False]
            assert (three.changed, session.is_dirty(three), session.is_dirty(four)) == ({"name": "new"}, True, False)
            pending_now = {(change.key, change.kind) for change in session.changes()}
            assert pending_now == {("User/2", "insert"), ("User/3", "update"), ("User/5", "insert")}


@pytest.mark.parametrize("ends", ["commits", "fails"])
async def test_the_work_of_a_managed_transaction(ends: str) -> None:
    script = [in_transaction(node(id="1", name="x")), answer({"counters": {"nodesDeleted": 1}, "transaction": {"id": "t1"}})]
    place = Place(nodes(node(id="1")), nodes(node(id="2")), *script, committed() if ends == "commits" else ROLLED_BACK)
    async with place.graph, place.graph.open_session() as session:
        loaded: list[Any] = [await session.load(place.users, key) for key in "12"]
        one, two = loaded

        async def work(tx: evsession.GraphTransaction) -> None:
            one.name = "x"
            await one.save(session=tx)
            await two.delete(session=tx)
            assert (one.changed, two.exists) == ({}, False)
            if ends == "fails":
                raise ValueError

        if ends == "fails":
            with pytest.raises(ValueError):  # noqa: PT011 - it has no message
                await session.write_transaction(work)
        else:
            await session.write_transaction(work)
        assert (one.changed, two.exists) == (({"name": "x"}, True) if ends == "fails" else ({}, False))
        assert session.is_dirty(one) is (ends == "fails")


async def test_what_is_removed_does_not_exist_any_more_once_it_is_written() -> None:
    place = Place(nodes(node(id="1")), opened("t1"), ROLLED_BACK, opened("t2"), committed(), opened("t3"), committed())
    async with place.graph, place.graph.open_session() as session:
        one: Any = await session.load(place.users, "1")
        session.use_transaction()
        await session.remove(one).flush()
        assert [one.exists] == [False]
        await session.rollback()
        assert one.exists
        await session.commit()
        assert (one.exists, one in session.identity_map) == (False, False)
        stranger = place.users(id="3")
        assert (await session.remove(stranger).commit()).removed == ["User/3"]


async def test_one_that_another_session_has_known() -> None:
    place = Place(nodes(node(id="1")), opened("t1"), committed())
    async with place.graph:
        async with place.graph.open_session() as session:
            one = await session.load(place.users, "1")
            assert one is not None
        async with place.graph.open_session() as session:
            assert await session.add(one).commit() == []
            session.clear()
            assert (await session.remove(one).commit()).removed == ["User/1"]


async def test_one_without_a_key_cannot_be_found_again() -> None:
    place = Place(nodes(node(name="x")))
    async with place.graph, place.graph.open_session() as session:
        one = await place.users.find_one()
        assert one is not None
        with pytest.raises(evsession.ConfigurationError, match="has no id"):
            session.add(one)


async def test_a_reference_that_is_saved_by_itself_becomes_the_node() -> None:
    place = Place(nodes(node(id="1", name="x", city="y")))
    users = place.graph.model("User", properties={"id": str, "name": str, "logins": int})
    async with place.graph, place.graph.open_session() as session:
        one: Any = session.get_reference(users, "1")
        one.name = "x"
        session.increment(one, "logins")
        assert (one.exists, one.changed) == (True, {"name": "x"})
        await one.save(session=session)
        assert (type(one), one.city, one.changed) == (users, "y", {})
        assert session.changes(one) == {}
        assert session.is_dirty(one)  # for the increment is still to be done


async def test_one_that_is_saved_under_the_key_of_another_is_saved() -> None:
    place = Place(*[nodes(node(id=key)) for key in ("1", "2", "1")])
    async with place.graph, place.graph.open_session() as session:
        one, two = [await session.load(place.users, key) for key in "12"]
        assert two is not None
        two.id = "1"
        await two.save(session=session)
        assert (two.exists, two.changed) == (True, {})
        assert session.identity_map.get("User/1") is one


async def test_increments_that_a_save_has_written_are_not_written_again() -> None:
    place = Place(nodes(node(id="1", age="5")), nodes(node(id="1", age="6")))
    users = place.graph.model("User")
    async with place.graph, place.graph.open_session() as session:
        one: Any = await session.load(users, "1")
        one.age = 5
        session.increment(one, "age")
        await one.save(session=session)
        assert (one.age, session.is_dirty(one)) == ("6", False)


async def test_a_property_that_the_node_lacks_is_none() -> None:
    place = Place(nodes(node(id="1")))
    async with place.graph, place.graph.open_session() as session:
        one: Any = await place.users.find_one(session=session)
        assert (one.name, one.data, one.changed) == (None, {"id": "1"}, {})
        with pytest.raises(AttributeError, match="no property 'nope'"):
            _ = one.nope
        with pytest.raises(evsession.NotLoaded):
            _ = session.get_reference(place.users, "9").name


async def test_properties_that_only_the_database_knows_stay() -> None:
    place = Place(nodes(node(id="1", city="x")), nodes(node(id="1", city="x", name="y")), opened("t1"), committed())
    async with place.graph, place.graph.open_session() as session:
        one: Any = await session.load(place.users, "1")
        assert (one.city, session.is_dirty(one)) == ("x", False)
        one.name = "y"
        await one.save(session=session)
        assert not session.is_dirty(one)
        one.town = "z"
        for write in (session.commit, one.save):
            with pytest.raises(evsession.InvalidDocument, match="town"):
                write()


async def test_what_is_the_same_has_not_changed() -> None:
    when = typed("LocalDateTime", "2020-01-02T03:04:05")
    found = typed("Node", {"_element_id": "4:x:1", "_labels": ["User"], "_properties": {"id": typed("String", "1"), "at": when}})
    place = Place(nodes(found))
    users = place.graph.model("User", properties={"id": str, "at": datetime, "tags": tuple, "odd": object})
    async with place.graph, place.graph.open_session() as session:
        one: Any = await session.load(users, "1")
        one.at = datetime(2020, 1, 2, 3, 4, 5)
        assert one.changed == {}
        one.odd, one.id = object(), object()
        assert sorted(one.changed) == ["id", "odd"]


async def test_rows_that_do_not_fit_are_named() -> None:
    place = Place()
    given: Any
    async with place.graph:
        for given, path in (([{"id": "1"}, {"id": "2", "nope": 1}], "[1].nope"), ([{"id": "1"}, 5], "[1]")):
            with pytest.raises(evsession.InvalidDocument) as caught:
                place.users.create_many(given)
            assert caught.value.path == path
            assert path.split(".")[0] in str(caught.value)
        assert place.transport.requests == []


async def test_what_others_do_with_an_instance_that_a_session_knows() -> None:
    place = Place(nodes(node(id="1")), DELETED, opened("t1"), in_transaction(node(id="2", name="x")), ROLLED_BACK)
    async with place.graph, place.graph.open_session() as session, place.graph.open_session() as other:
        one: Any = await session.load(place.users, "1")
        assert await one.delete() == 1
        assert one.exists is False
        session.evict(one)
        two = place.users(id="2")
        two._become({"id": "2"})
        two.name = "x"
        tx = await other.begin_transaction()
        await two.save(session=tx)
        session.add(two)
        await tx.rollback()
        assert (two.exists, session.is_dirty(two)) == (True, False)


async def test_what_a_model_finds_is_known_to_no_session_until_it_is_added() -> None:
    place = Place(*[nodes(node(id="1", name="x"))] * 3, nodes(node(id="1", name="y")))
    async with place.graph, place.graph.open_session() as session:
        one: Any = await place.users.find_one(session=session)
        [other] = await place.users.find_many(session=session)
        assert (other is one, other == one, one in session.identity_map, list(session.identity_map)) == (False, True, False, [])
        one.name = "y"
        assert (session.changes(), await session.commit()) == ([], [])
        known = await session.load(place.users, "1")
        assert (known is one, known in session.identity_map) == (False, True)
        await one.save(session=session)
        with pytest.raises(evsession.KeyConflict):
            session.add(one)
        session.clear()
        session.add(one)
        one.name = "z"
        assert session.plan().updates == [one]


async def test_a_session_finds_by_what_the_model_declares() -> None:
    place = Place(nodes(), nodes())
    async with place.graph, place.graph.open_session() as session:
        assert await session.find(place.users, {"name": "x"}, order="-id") == []
        assert await session.find(place.graph.model("Any"), {"nope": None}) == []
        with pytest.raises(evsession.ConfigurationError, match="nope"):
            session.find(place.users, {"nope": None})
        assert (session.id > 0, session.with_identity_map) == (True, True)
        with pytest.raises(TypeError, match="named by a text"):
            field: Any = 5
            session.increment(session.get_reference(place.users, "1"), field)
