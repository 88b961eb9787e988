from __future__ import annotations

from typing import Any

import pytest

import evsession
from evsession.testing.scripted import Answer, ScriptedTransport
from tests.unit.neo4j.typed import GONE, ROLLED_BACK, answer, body, committed, opened, refused, rows, typed
from tests.unit.session.graphs.scripted import lost, sent


def node(label: str = "User", **properties: str) -> dict[str, Any]:
    content = {name: typed("String", value) for name, value in properties.items()}
    return typed("Node", {"_element_id": "4:x:" + properties.get("id", ""), "_labels": [label], "_properties": content})


def nodes(*found: dict[str, Any], **more: Any) -> evsession.Response:
    return answer(body(["n"], [[one] for one in found], bookmarks=["FB:1"], **more))


BOTH = {"source": None, "target": None}
"""All nodes at both ends of a relationship."""


class Place:
    """A store with a script, and a model on it."""

    def __init__(self, *answers: Answer) -> None:
        self.transport = ScriptedTransport(*answers)
        self.graph = evsession.GraphStore(transport=self.transport)
        self.users = self.graph.model(
            "User",
            properties={"id": str, "name": str},
            relationships={"friends": {"model": "self", "name": "KNOWS"}, "odd": {"model": 5, "name": "ODD"}},
        )


async def test_one_is_created_and_takes_what_the_database_made_of_it() -> None:
    place = Place(nodes(node(id="1", name="JOHN")))
    async with place.graph:
        john = place.users(id="1", name="John")
        assert (john.exists, john.changed, repr(john)) == (False, {"id": "1", "name": "John"}, "User(id='1', name='John')")
        assert await place.users.create_one(john) is john
        assert (john.exists, john.changed, john.name, john.labels) == (True, {}, "JOHN", ("User",))
        assert len(place.transport.requests) == 1


@pytest.mark.parametrize("data", [{"name": "x"}, {"id": 1}, {"id": "1", "age": 3}, None, 5, {1: 2}])
async def test_what_fits_no_model_is_refused_before(data: Any) -> None:
    place = Place()
    async with place.graph:
        with pytest.raises(evsession.InvalidDocument):
            place.users.create_one(data)
        with pytest.raises(evsession.InvalidDocument):
            place.users.create_many([data])
        told: list[Any] = []
        await_failed = place.users.create_one(data, told.append)
        with pytest.raises(evsession.InvalidDocument):
            await await_failed
        assert isinstance(told[0], evsession.InvalidDocument)
        assert place.transport.requests == []


@pytest.mark.parametrize("answered", [evsession.Response(202, (), b"{}"), nodes(), nodes(node(id="1"), node(id="2"))])
async def test_an_answer_that_does_not_fit_what_was_to_be_made(answered: evsession.Response) -> None:
    place = Place(answered)
    async with place.graph:
        with pytest.raises(evsession.ProtocolError, match="in place of the 1 ") as caught:
            await place.users.create_one({"id": "1"})
        assert (caught.value.uncertain, caught.value.operation) == (True, "create_one")


async def test_models_compare_by_their_properties() -> None:
    place = Place()
    one = place.users(id="1")
    one.validate()
    assert one == place.users(id="1") != place.users(id="2")
    assert one != 5
    with pytest.raises(TypeError):
        hash(one)
    with pytest.raises(evsession.InvalidDocument):
        place.users(name="x").validate()


async def test_finding() -> None:
    place = Place(nodes(node(id="1"), node(id="2")), nodes(), nodes(), nodes(), nodes(node(id="3")))
    async with place.graph, place.graph.open_session() as session:
        assert [one.id for one in await place.users.find_many({"name": "x"})] == ["1", "2"]
        assert await place.users.find_one() is None
        for find in (place.users.find_one, place.users.find_all):
            with pytest.raises(evsession.SessionError, match="no User") as caught:
                await find({"id": "9"}, must_exist=True)
            assert caught.value.status_code == 404
        found = await place.users.find_one(session=session)
        assert found is not None
        assert [one.get("accessMode") for one in place.transport.bodies()] == ["READ", "READ", "READ", "READ", None]


async def test_saving() -> None:
    place = Place(nodes(node(id="1")), nodes(node(id="1", name="x")), nodes(), nodes())
    async with place.graph:
        one = place.users(id="1")
        await one.save()
        await one.save()
        one.name = "x"
        assert (await one.save()).changed == {}
        assert place.transport.bodies()[1]["parameters"]["p1"]["_value"] == {"name": typed("String", "x")}
        del one.name
        assert one.changed == {"name": None}
        with pytest.raises(evsession.SessionError) as caught:
            await one.save()
        assert caught.value.status_code == 404
        one.id = None
        with pytest.raises(evsession.InvalidDocument):
            one.save()


async def test_updating_and_deleting() -> None:
    counters = {"nodesDeleted": 2, "relationshipsDeleted": 3}
    place = Place(nodes(node(id="1", name="y")), nodes(), *[answer({"counters": counters})] * 3)
    async with place.graph:
        changed, summary = await place.users.update({"name": "y"}, {"id": "1"})
        assert ([one.name for one in changed], summary is None) == (["y"], False)
        assert await place.users.update({}) == ([], None)
        assert (await place.users.update({"id": "2"}))[0] == []
        with pytest.raises(evsession.InvalidDocument, match="cannot be removed"):
            place.users.update({"id": None})
        assert await place.users.delete({"id": "1"}) == 2
        assert await place.users.delete(place.users(id="1")) == 2
        assert await place.users.delete_relationships("friends", {"source": place.users(id="1"), "target": None}) == 3
        with pytest.raises(evsession.ConfigurationError, match="no id"):
            place.users.delete(place.users(name="x"))


async def test_relationships() -> None:
    relationship = typed(
        "Relationship",
        {"_element_id": "5", "_start_node_element_id": "1", "_end_node_element_id": "2", "_type": "KNOWS", "_properties": {}},
    )
    place = Place(rows(2), answer(body(["s", "r", "t"], [[node(id="1"), relationship, node(id="2")]])))
    async with place.graph:
        assert await place.users.relate_to("friends", {"source": {"id": "1"}, "target": None}, {"since": 1, "x": None}) == 2
        assert place.transport.bodies()[0]["parameters"]["p1"]["_value"] == {"since": typed("Integer", "1")}
        [(one, found, other)] = await place.users.find_relationships("friends")
        assert (one.id, found.type, other.id) == ("1", "KNOWS", "2")
        where: Any
        for alias, where in (("odd", BOTH), ("no", BOTH), ("friends", 5)):
            with pytest.raises(evsession.ConfigurationError):
                place.users.relate_to(alias, where)


@pytest.mark.parametrize("verb", ["relate_to", "delete_relationships"])
async def test_what_changes_relationships_names_both_ends(verb: str) -> None:
    script = [rows(2), answer({"counters": {"relationshipsDeleted": 2}})][verb != "relate_to"]
    place = Place(*[script] * 4)
    john, where = place.users(id="1"), dict[str, Any]()
    of_class, of_john = getattr(place.users, verb), getattr(john, verb)
    async with place.graph:
        for where, lacks in (
            ({}, "no source and no target"),
            ({"relationship": {"since": 1}}, "no source and no target"),
            ({"source": {"id": "1"}}, "no target"),
            ({"target": john}, "no source"),
        ):
            with pytest.raises(evsession.ConfigurationError, match=f"there is {lacks}"):
                of_class("friends", where)
        for where in ({}, {"relationship": {"since": 1}}):
            with pytest.raises(evsession.ConfigurationError, match="there is no target"):
                of_john("friends", where)
        assert place.transport.requests == []
        all_nodes: Any
        for all_nodes in (None, {}):
            assert await of_class("friends", {"source": all_nodes, "target": all_nodes}) == 2
            assert await of_john("friends", {"target": all_nodes}) == 2


@pytest.mark.parametrize("given", ["nothing", "session", "transaction"])
async def test_a_count_that_is_expected(given: str) -> None:
    script = {
        "nothing": (opened("t1", 2), ROLLED_BACK, opened("t2", 1), committed()),
        "session": (rows(9), opened("t1", 2), ROLLED_BACK, opened("t2", 1), committed()),
        "transaction": (opened("t1"), opened("t1", 2), opened("t1", 1), ROLLED_BACK),
    }[given]
    place = Place(*script)
    async with place.graph, place.graph.open_session() as session:
        where: Any = None
        if given == "session":
            where = session
            session.run("RETURN 1")
        elif given == "transaction":
            where = await session.begin_transaction()
        with pytest.raises(evsession.SessionError, match="2 relationships"):
            await place.users.relate_to("friends", BOTH, expected=1, session=where)
        assert await place.users.relate_to("friends", BOTH, expected=1, session=where) == 1
        if given == "transaction":
            with pytest.raises(evsession.TransactionError, match="use that one"):
                place.users.relate_to("friends", BOTH, expected=1, session=session)
    assert "DELETE /tx/t1" in sent(place.transport)
    assert ("commit" in sent(place.transport)[-1]) == (given != "transaction")


async def test_a_failure_in_a_transaction_of_its_own() -> None:
    place = Place(refused("Neo.ClientError.Statement.SyntaxError"), opened("t1", 1), lost, GONE)
    async with place.graph:
        with pytest.raises(evsession.QueryError):
            await place.users.relate_to("friends", BOTH, expected=1)
        with pytest.raises(evsession.ConnectionFailed) as caught:
            await place.users.relate_to("friends", BOTH, expected=1)
        assert caught.value.uncertain


async def test_sessions_of_its_own_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(nodes())
    opened_sessions: list[evsession.GraphSession] = []
    real = place.graph.open_session

    def opening(*args: Any, **more: Any) -> evsession.GraphSession:
        opened_sessions.append(real(*args, **more))
        return opened_sessions[-1]

    monkeypatch.setattr(place.graph, "open_session", opening)
    async with place.graph:
        await place.users.find_many()
        with pytest.raises(evsession.ConfigurationError):
            place.users.find_many(5)  # type: ignore[arg-type]
    assert [session._is_open for session in opened_sessions] == [False, False]


async def test_the_query_runner() -> None:
    place = Place(rows(1), rows(2), rows(3), opened("t1"), opened("t1", 4), ROLLED_BACK)
    told: list[Any] = []
    async with place.graph, place.graph.open_session() as session:
        runner = place.graph.query_runner
        assert (await runner.run("RETURN 1")).value() == 1
        await runner.run("RETURN $a", {"a": 1}, lambda error, result: told.append(result.value()))
        assert (await runner.run("RETURN 1", {}, session)).value() == 3
        tx = await session.begin_transaction()
        await runner.run("RETURN 1", None, tx, lambda error, result: told.append(result.value()))
        assert told == [2, 4]
        with pytest.raises(TypeError, match="GraphSession"):
            runner.run("RETURN 1", {}, 5)  # type: ignore[arg-type]


def test_properties_with_the_names_of_methods_are_refused() -> None:
    graph = evsession.GraphStore("http://a")
    with pytest.raises(evsession.ConfigurationError, match="save"):
        graph.model("A", {"id": str, "save": str})
    assert graph.model(["A", "B"]).__name__ == "AB"


async def test_the_callback_follows_whatever_is_given() -> None:
    relationship = typed(
        "Relationship",
        {"_element_id": "5", "_start_node_element_id": "1", "_end_node_element_id": "2", "_type": "KNOWS", "_properties": {}},
    )
    one = nodes(node(id="1"))
    related = answer(body(["s", "r", "t"], [[node(id="1"), relationship, node(id="2")]]))
    counted = answer({"counters": {"nodesDeleted": 2, "relationshipsDeleted": 3}})
    calls: list[tuple[Any, Any, int]] = [
        (lambda users, cb: users.find_one(cb), one, 1),
        (lambda users, cb: users.find_many(cb), one, 1),
        (lambda users, cb: users.find_all({"id": "1"}, cb), one, 1),
        (lambda users, cb: users.update({"name": "x"}, cb), one, 2),
        (lambda users, cb: users.create_one({"id": "1"}, cb), one, 1),
        (lambda users, cb: users.create_many([{"id": "1"}], cb), one, 1),
        (lambda users, cb: users(id="1").save(cb), one, 1),
        (lambda users, cb: users(id="1").delete(cb), counted, 1),
        (lambda users, cb: users.delete(None, cb), counted, 1),
        (lambda users, cb: users.relate_to("friends", BOTH, cb), rows(2), 1),
        (lambda users, cb: users.find_relationships("friends", cb), related, 1),
        (lambda users, cb: users.delete_relationships("friends", BOTH, cb), counted, 1),
    ]
    for call, script, results in calls:
        place = Place(script)
        told: list[Any] = []

        def callback(*given: Any, told: list[Any] = told) -> None:
            told.append(given)

        async with place.graph:
            await call(place.users, callback)
        assert (len(told), told[0][0], len(told[0])) == (1, None, 1 + results)
    place = Place()
    async with place.graph:
        users: Any = place.users
        told.clear()
        operation = users.create_one(lambda *given: told.append(given))
        with pytest.raises(evsession.InvalidDocument):
            await operation
        assert len(told) == 1


@pytest.mark.parametrize("where", [{"nope": 1}, {"nope": None}, {"name": {}}, {"name": None, "nope": {"is_null": True}}])
async def test_conditions_that_would_hold_for_everything_are_refused(where: Any) -> None:
    place = Place()
    users: Any = place.users
    async with place.graph:
        calls: list[Any] = [users.find_one, users.find_many, users.delete, lambda given: users.update({"name": "x"}, given)]
        for end in ("source", "target"):
            calls += [
                lambda given, end=end: users.relate_to("friends", {**BOTH, end: given}),
                lambda given, end=end: users.find_relationships("friends", {end: given}),
                lambda given, end=end: users.delete_relationships("friends", {**BOTH, end: given}),
            ]
        for call in calls:
            with pytest.raises(evsession.ConfigurationError, match="nope" if "nope" in where else "no operator"):
                call(where)
        for order in ("nope", "-nope", ["id", "nope"], [("nope", "DESC")], [["nope", "ASC"]]):
            with pytest.raises(evsession.ConfigurationError, match="nope"):
                users.find_many(order=order)
        odd: Any
        for odd in ([5], [()], 5, [[5, "ASC"]]):
            with pytest.raises(evsession.ConfigurationError):
                users.find_many(order=odd)
        assert place.transport.requests == []


async def test_conditions_on_what_is_open_are_not_checked() -> None:
    place = Place(nodes(), nodes())
    anything = place.graph.model("Any")
    async with place.graph:
        assert await anything.find_many({"nope": None}, order="-other") == []
        assert await place.users.find_many({"name": None}, order=["id", ("name", "DESC")]) == []


async def test_an_instance_is_the_source_of_its_relationships() -> None:
    counted = answer(body(["n"], [[1]], bookmarks=["FB:1"]))
    place = Place(counted, nodes(), answer({"counters": {}}))
    async with place.graph:
        john, mia = place.users(id="1"), place.users(id="2")
        assert await john.relate_to("friends", {"target": mia}) == 1
        told: list[Any] = []
        find: Any = john.find_relationships
        await find("friends", lambda *results: told.append(results))
        await john.delete_relationships("friends", {"target": None})
        for request in place.transport.requests:
            assert b'"_value":"1"' in request.body
        with pytest.raises(TypeError, match="itself"):
            john.relate_to("friends", {"source": mia, "target": mia})
        with pytest.raises(TypeError, match="is of the class"):
            john.update({"name": "x"})
        with pytest.raises(evsession.InvalidDocument, match="no such property"):
            place.users.update({"nm": None})
        assert (told, john.update.__doc__) == ([(None, [])], place.users.update.__doc__)
