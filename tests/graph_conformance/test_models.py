"""Models and the query runner, in sessions, in transactions and on their own."""

from __future__ import annotations

from typing import Any

import pytest

import evsession

AWKWARD = ["with space", "back`tick", "``", "line\nbreak", "\u00fcml\u00e4ut \U0001f600", "`) DETACH DELETE n //", "1a", "a.b"]


@pytest.fixture
def users(graph: evsession.GraphStore, label: str) -> type[evsession.Model]:
    """A model with a relationship to itself."""
    return graph.model(
        label,
        properties={"id": str, "name": "string", "age": int, "tags": list[str]},
        primary_key="id",
        relationships={"friends": {"model": "self", "name": "FRIEND OF", "direction": "out", "properties": {"since": int}}},
    )


async def test_create_and_find(users: type[evsession.Model]) -> None:
    john = await users.create_one({"id": "1", "name": "John", "age": 30})
    assert (john.id, john.name, john.age, john.exists, john.changed) == ("1", "John", 30, True, {})
    many = await users.create_many([{"id": "2", "name": "Ann", "age": 20}, users(id="3", name="Bo", tags=["x"])])
    assert [one.id for one in many] == ["2", "3"]
    assert await users.create_many([]) == []
    assert await users.find_one({"id": "1"}) == john
    assert await users.find_one({"id": "nobody"}) is None
    with pytest.raises(evsession.SessionError) as caught:
        await users.find_one({"id": "nobody"}, must_exist=True)
    assert caught.value.status_code == 404
    assert [one.id for one in await users.find_many(order="-id")] == ["3", "2", "1"]
    assert [one.id for one in await users.find_all(order=[("id", "ASC")], skip=1, limit=1)] == ["2"]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"age": 30}, ["1"]),
        ({"age": {"gt": 20, "lte": 30}}, ["1"]),
        ({"age": None}, ["3"]),
        ({"age": {"ne": None}}, ["1", "2"]),
        ({"age": {"is_null": True}}, ["3"]),
        ({"id": {"in": ["1", "3", "9"]}}, ["1", "3"]),
        ({"id": {"not_in": ["1"]}}, ["2", "3"]),
        ({"tags": {"has": "x"}}, ["3"]),
        ({"tags": ["x"]}, ["3"]),
        ({"name": {"contains": "n"}}, ["1", "2"]),
        ({"name": {"starts_with": "J"}}, ["1"]),
        ({"name": {"ends_with": "o"}}, ["3"]),
        ({"age": {"lt": 30}}, ["2"]),
        ({"age": {"gte": 30}}, ["1"]),
        ({"name": {"eq": "Ann"}, "age": 20}, ["2"]),
        ({"name": "' OR 1=1 //"}, []),
    ],
    ids=repr,
)
async def test_conditions(users: type[evsession.Model], where: dict[str, Any], found: list[str]) -> None:
    await users.create_many(
        [{"id": "1", "name": "John", "age": 30}, {"id": "2", "name": "Ann", "age": 20}, {"id": "3", "name": "Bo", "tags": ["x"]}]
    )
    assert [one.id for one in await users.find_many(where, order="id")] == found


async def test_update_delete_and_save(users: type[evsession.Model]) -> None:
    await users.create_many([{"id": "1", "age": 1}, {"id": "2", "age": 1}])
    changed, summary = await users.update({"age": 5, "name": None}, {"id": "1"})
    assert ([one.age for one in changed], summary is not None) == ([5], True)
    assert await users.update({}) == ([], None)
    two = await users.find_one({"id": "2"})
    assert two is not None
    two.name, two.age = "Two", None
    assert two.changed == {"name": "Two", "age": None}
    await two.save()
    assert two.data == {"id": "2", "name": "Two"}
    del two.name
    await two.save()
    assert (await users.find_one({"id": "2"}, must_exist=True)) == two
    assert await users.delete({"id": "2"}) == 1
    with pytest.raises(evsession.SessionError) as caught:
        two.age = 9
        await two.save()
    assert caught.value.status_code == 404
    assert await users.delete(None) == 1


async def test_merge_changes_what_is_there(users: type[evsession.Model]) -> None:
    await users.create_one({"id": "1", "age": 1, "name": "A"})
    await users.create_one({"id": "1", "age": 2}, merge=True)
    assert [one.data for one in await users.find_many()] == [{"id": "1", "age": 2, "name": "A"}]


async def test_relationships(users: type[evsession.Model], graph_session: evsession.GraphSession) -> None:
    a, b, c = await users.create_many([{"id": "a"}, {"id": "b"}, {"id": "c"}])
    assert await users.relate_to("friends", {"source": a, "target": {"id": {"in": ["b", "c"]}}}, {"since": 2012}) == 2
    assert await users.relate_to("friends", {"source": a, "target": b}, {"since": 2013}, merge=True) == 1
    found = await users.find_relationships("friends", {"source": a, "relationship": {"since": {"gt": 2012}}})
    assert [(one.id, dict(r), other.id) for one, r, other in found] == [("a", {"since": 2013}, "b")]
    with pytest.raises(evsession.ConstraintError):
        await users.delete(a)
    with pytest.raises(evsession.SessionError, match="2 relationships"):
        await users.relate_to("friends", {"source": b, "target": {"id": {"ne": "b"}}}, expected=5)
    assert await users.relate_to("friends", {"source": b, "target": c}, expected=1, session=graph_session) == 1
    assert len(await users.find_relationships("friends", limit=9)) == 3
    for change in (users.relate_to, users.delete_relationships):
        with pytest.raises(evsession.ConfigurationError, match="there is no target"):
            change("friends", {"source": a})
    assert await users.delete_relationships("friends", {"source": a, "target": None}) == 2
    assert await users.delete(b, detach=True) == 1


async def test_everything_runs_where_it_is_told(
    users: type[evsession.Model], graph: evsession.GraphStore, graph_session: evsession.GraphSession
) -> None:
    tx = await graph_session.begin_transaction()
    await users.create_one({"id": "1"}, session=tx)
    assert len(await users.find_many(session=tx)) == 1
    assert await users.find_many() == []
    result = await graph.query_runner.run(f"MATCH (n:{users._schema.labels[0]}) RETURN count(n)", {}, tx)
    assert result.value() == 1
    await tx.rollback()
    assert await users.find_many(session=graph_session) == []
    assert (await graph.query_runner.run("RETURN $x", {"x": 1}, graph_session)).value() == 1
    told: list[Any] = []
    await graph.query_runner.run("RETURN 2", lambda error, result: told.append(result.value()))
    assert told == [2]


@pytest.mark.parametrize("name", AWKWARD, ids=repr)
async def test_names_of_any_kind(graph: evsession.GraphStore, label: str, name: str) -> None:
    things = graph.model([label, name], properties={name: int, "id": str}, relationships={"r": {"model": "self", "name": name}})
    await things.create_one({"id": "1", name: 7})
    found = await things.find_one({name: {"gte": 7}}, order=f"-{name}")
    assert found is not None
    assert found.data == {"id": "1", name: 7}
    assert await things.relate_to("r", {"source": {"id": "1"}, "target": {"id": "1"}}) == 1
    [(_, relationship, _)] = await things.find_relationships("r")
    assert relationship.type == name
    node = (await graph.query_runner.run(f"MATCH (n:{label}) RETURN n")).value()
    assert node.labels == {label, name}


async def test_a_backslash_in_a_name_is_what_it_looks_like(graph: evsession.GraphStore, label: str) -> None:
    name = "a\\`b\\n"
    things = graph.model([label, name])
    await things.create_one({"id": "1"})
    assert (await graph.query_runner.run(f"MATCH (n:{label}) RETURN n")).value().labels == {label, name}


async def test_models_and_the_unit_of_work_know_of_each_other(
    graph_session: evsession.GraphSession, users: type[evsession.Model], label: str
) -> None:
    one = users(id="1", name="John")
    await graph_session.add(one).commit()
    assert (one.exists, one.changed) == (True, {})
    one.name = "Ann"
    await one.save(session=graph_session)
    assert not graph_session.is_dirty(one)
    two = await users.create_one({"id": "2"}, session=graph_session)
    assert await graph_session.add(two).commit() == []
    two.age = 7
    assert await graph_session.commit() == [f"{label}/2"]
    rows = await graph_session.run(f"MATCH (n:{label}) RETURN n.id, n.name, n.age ORDER BY n.id")
    assert rows.values() == [["1", "Ann", None], ["2", None, 7]]
    assert await one.delete(session=graph_session) == 1
    assert (one.exists, [u.id for u in await users.find_all()]) == (False, ["2"])


async def test_what_a_model_wrote_in_a_transaction_that_is_rolled_back(
    graph_session: evsession.GraphSession, users: type[evsession.Model]
) -> None:
    async with graph_session.transaction():
        graph_session.add(users(id="0"))
    tx = await graph_session.begin_transaction()
    one = await users.create_one({"id": "1"}, session=tx)
    graph_session.add(one)
    await tx.rollback()
    assert one.exists is False
    assert len(await graph_session.commit()) == 1
    assert sorted(u.id for u in await users.find_all()) == ["0", "1"]


async def test_a_typo_deletes_nothing(users: type[evsession.Model]) -> None:
    await users.create_one({"id": "1"})
    where: Any
    for where in ({"agee": None}, {"age": {}}):
        with pytest.raises(evsession.ConfigurationError):
            users.delete(where)
    assert len(await users.find_all()) == 1


@pytest.mark.parametrize("there", ["session", "alone", "transaction"])
async def test_a_new_instance_saved_twice_without_waiting_is_one_node(
    graph: evsession.GraphStore, users: type[evsession.Model], there: str
) -> None:
    async with graph.open_session() as session:
        tx = await session.begin_transaction() if there == "transaction" else None
        where: Any = {"session": session, "transaction": tx}.get(there)
        user: Any = users(id="1")
        first = user.save(session=where)
        user.name = "late"
        second = user.save(session=where)
        user.age = 5
        await second
        await first
        assert (user.exists, user.changed) == (True, {"age": 5})
        await user.save(session=where)
        if tx is not None:
            await tx.commit()
    (found,) = await users.find_many()
    assert found.data == {"id": "1", "name": "late", "age": 5}


async def test_a_commit_and_a_save_without_waiting_make_one_node(
    graph: evsession.GraphStore, users: type[evsession.Model]
) -> None:
    async with graph.open_session() as session:
        for key in ("1", "2"):
            user = users(id=key)
            calls = [lambda user=user: session.add(user).commit(), lambda user=user: user.save(session=session)]
            for operation in [call() for call in (calls if key == "1" else reversed(calls))]:
                await operation
        assert [one.id for one in await users.find_many(order="id")] == ["1", "2"]


async def test_an_instance_changes_its_own_node_alone(users: type[evsession.Model]) -> None:
    one, two, three = await users.create_many([{"id": key} for key in "123"])
    told: list[Any] = []
    relate: Any = one.relate_to
    assert await relate("friends", {"target": {"id": {"ne": "1"}}}, lambda *results: told.append(results)) == 2
    assert told == [(None, 2)]
    assert await two.relate_to("friends", {"target": three}, {"since": 5}) == 1
    assert [target.id for _, _, target in await two.find_relationships("friends")] == ["3"]
    find: Any = one.find_relationships
    assert len(await find("friends", lambda *results: told.append(results))) == 2
    assert len(told) == 2
    assert await one.delete_relationships("friends", {"target": three}) == 1
    assert [(source.id, target.id) for source, _, target in await users.find_relationships("friends")] in (
        [("1", "2"), ("2", "3")],
        [("2", "3"), ("1", "2")],
    )
    with pytest.raises(TypeError, match="itself"):
        one.relate_to("friends", {"source": two, "target": three})
    with pytest.raises(TypeError, match=r"update\(\) is of the class"):
        one.update({"name": "x"})
    assert [user.name for user in await users.find_many()] == [None] * 3


async def test_an_update_knows_its_properties(users: type[evsession.Model]) -> None:
    await users.create_one({"id": "1", "name": "x"})
    with pytest.raises(evsession.InvalidDocument, match="no such property") as caught:
        await users.update({"nm": None})
    assert caught.value.path == "nm"
    assert [user.name for user in (await users.update({"name": None}))[0]] == [None]
