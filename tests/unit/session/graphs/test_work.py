from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import trio

import evsession
from evsession.testing.scripted import ScriptedTransport
from tests.unit.neo4j.typed import GONE, ROLLED_BACK, answer, body, committed, integer, opened, refused, rows, typed
from tests.unit.session.graphs.scripted import hang, lost, scripted_graph, sent


@evsession.node("Dog")
@dataclasses.dataclass
class Dog:
    id: str | None
    name: str | None = None
    age: int = 0


DOGS = ["POST /tx", "POST /tx/t1/commit"]


def dog_node(**properties: Any) -> dict[str, Any]:
    content = {name: integer(value) if isinstance(value, int) else typed("String", value) for name, value in properties.items()}
    return typed("Node", {"_element_id": "4:x:1", "_labels": ["Dog"], "_properties": content})


def found(*nodes: dict[str, Any], transaction: bool = False) -> evsession.Response:
    more: dict[str, Any] = {"transaction": {"id": "t1"}} if transaction else {"bookmarks": ["FB:1"]}
    return answer(body(["n"], [[one] for one in nodes], **more))


def kept(*nodes: dict[str, Any], place: int = 0) -> evsession.Response:
    """The answer to a question for nodes by their keys."""
    return answer(body(["place", "n"], [[place, one] for one in nodes], bookmarks=["FB:1"]))


def places(*made: list[Any], id: str = "t1") -> evsession.Response:
    """The answer to an update of as many nodes, with what became of increments."""
    values = [[place, typed("List", [integer(value) for value in one])] for place, one in enumerate(made)]
    return answer(body(["place", "made"], values, transaction={"id": id}))


def sent_rows(transport: ScriptedTransport, number: int) -> Any:
    """The rows of a request, without their types."""

    def plain(value: Any) -> Any:
        content = value["_value"]
        if value["$type"] == "List":
            return [plain(one) for one in content]
        return {name: plain(one) for name, one in content.items()} if value["$type"] == "Map" else content

    parameters = json.loads(transport.requests[number].body)["parameters"]
    return plain(parameters.get("rows") or parameters["keys"])


async def test_a_commit() -> None:
    async with scripted_graph(opened("t1", 2), committed(), opened("t1", 1), places([]), opened("t1"), committed()) as (
        session,
        transport,
    ):
        one, two = Dog("1", "Max"), Dog("2")
        assert await session.add(one, two).commit() == ["Dog/1", "Dog/2"]
        assert sent(transport) == DOGS
        assert sent_rows(transport, 0) == [{"age": "0", "id": "1", "name": "Max"}, {"age": "0", "id": "2"}]
        assert await session.commit() == []
        one.name, one.age = None, 5
        saved = await session.remove(two).add(Dog("3")).commit()
        assert (saved, saved.removed) == (["Dog/1", "Dog/3"], ["Dog/2"])
        assert sent(transport)[2:] == ["POST /tx", "POST /tx/t1", "POST /tx/t1", "POST /tx/t1/commit"]
        assert sent_rows(transport, 2) == ["2"]
        assert sent_rows(transport, 3) == [{"place": "0", "key": "1", "set": {"age": "5", "name": None}, "more": {}}]
        assert list(session.identity_map) == [one, session.identity_map.get("Dog/3")]
        with pytest.raises(TypeError, match='"User/1" of a node, not .*Dog'):
            session.identity_map.get(Dog, "1")  # type: ignore[arg-type]  # as load takes them


def test_what_a_transaction_can_do_is_told() -> None:
    assert evsession.GraphSession.capabilities == evsession.Capabilities(interactive_transactions=True, reads_own_writes=True)


@pytest.mark.parametrize("verb", ["add", "remove"])
async def test_one_that_is_no_entity_keeps_all_from_the_queue(verb: str) -> None:
    async with scripted_graph() as (session, _):
        with pytest.raises(TypeError, match="no class of nodes"):
            getattr(session, verb)(Dog("1"), object())
        assert (session.changes(), len(session.identity_map)) == ([], 0)


async def test_a_failed_commit_leaves_everything_as_it_was() -> None:
    refusal = refused("Neo.ClientError.Schema.ConstraintValidationFailed")
    async with scripted_graph(refusal, opened("t1", 1), refusal, opened("t1", 1), committed()) as (session, transport):
        told: list[Any] = []
        session.on("Neo.ClientError.Schema.ConstraintValidationFailed", told.append)
        session.add(Dog("1"))
        for _ in range(2):
            with pytest.raises(evsession.ConstraintError) as caught:
                await session.commit()
            assert (session.state, session.has_transaction(), len(session.changes())) == ("idle", False, 1)
        assert (len(told), caught.value.operation) == (2, "commit")
        assert await session.commit() == ["Dog/1"]
        assert [r.body.count(b"CREATE") for r in transport.requests] == [1, 1, 0, 1, 0]


async def test_an_uncertain_commit_says_so() -> None:
    async with scripted_graph(opened("t1", 1), lost, GONE) as (session, _):
        session.add(Dog("1"))
        with pytest.raises(evsession.ConnectionFailed) as caught:
            await session.commit()
        assert caught.value.uncertain
        assert len(session.changes()) == 1


async def test_a_node_that_is_gone() -> None:
    async with scripted_graph(
        found(dog_node(id="1")), answer(body(["place", "made"], [], transaction={"id": "t1"})), ROLLED_BACK
    ) as (session, transport):
        dog = await session.load(Dog, "1")
        assert dog is not None
        dog.name = "x"
        with pytest.raises(evsession.SessionError) as caught:
            await session.commit()
        assert (caught.value.status_code, caught.value.key) == (404, "Dog/1")
        assert sent(transport)[1:] == ["POST /tx", "DELETE /tx/t1"]
        assert session.is_dirty(dog)


async def test_flush_and_commit_in_a_transaction() -> None:
    script = (
        opened("t1", 1),
        rows(1, bookmark=None, transaction={"id": "t1"}),
        found(dog_node(id="9"), transaction=True),
        places([]),
        committed(),
    )
    async with scripted_graph(*script) as (session, transport):
        tx = session.use_transaction()
        assert session.use_transaction() is tx
        assert session.assigned_transaction is tx
        dog = Dog("1")
        session.add(dog)
        await session.flush()
        assert (await session.run("MATCH (n:Dog) RETURN count(n)")).value() == 1
        with pytest.raises(evsession.TransactionError, match="settings"):
            session.run("RETURN 1", timeout=1)
        nine = await session.load(Dog, "9")
        assert nine is not None
        nine.age = 2
        await session.commit()
        assert (session.has_transaction(), tx.is_open, session.state) == (False, False, "idle")
        assert sent(transport) == ["POST /tx", "POST /tx/t1", "POST /tx/t1", "POST /tx/t1", "POST /tx/t1/commit"]
        assert not session.is_dirty(dog)


@pytest.mark.parametrize("how", ["session", "transaction", "unused"])
async def test_a_rollback_makes_it_pending_again(how: str) -> None:
    script = () if how == "unused" else (opened("t1", 1), ROLLED_BACK)
    async with scripted_graph(*script) as (session, transport):
        tx = session.use_transaction()
        session.add(Dog("1"))
        if how != "unused":
            await session.flush()
            assert session.changes() == []
        await (tx.rollback() if how == "transaction" else session.rollback())
        assert (len(session.changes()), session.has_transaction()) == (1, False)
        assert len(transport.requests) == len(script)
        await session.rollback()


async def test_a_transaction_that_the_program_begins_is_the_unit_s_too() -> None:
    async with scripted_graph(
        opened("t1"),
        opened("t1", 1),
        committed(),
    ) as (session, transport):
        tx = await session.begin_transaction()
        assert session.assigned_transaction is tx
        session.add(Dog("1"))
        await session.flush()
        await tx.commit()
        assert (session.changes(), session.has_transaction()) == ([], False)
        assert len(transport.requests) == 3


async def test_a_block() -> None:
    async with scripted_graph(opened("t1", 1), ROLLED_BACK, opened("t2", 1), committed()) as (session, _):
        with pytest.raises(ZeroDivisionError):
            async with session.transaction():
                session.add(Dog("1"))
                await session.flush()
                raise ZeroDivisionError

        async def work(given: Any) -> int:
            assert given is session
            return 5

        assert await session.transaction(work) == 5
        assert session.changes() == []


async def test_a_failure_in_a_transaction_of_the_program_ends_it() -> None:
    async with scripted_graph(opened("t1"), refused("Neo.ClientError.Statement.SyntaxError"), rows(1)) as (session, _):
        tx = session.use_transaction()
        await tx.run("RETURN 1")
        session.add(Dog("1"))
        with pytest.raises(evsession.QueryError):
            await session.flush()
        assert (session.has_transaction(), len(session.changes()), tx.is_open) == (False, 1, False)
        assert (await session.run("RETURN 1")).value() == 1


async def test_a_hook_that_raises_leaves_a_transaction_of_the_program_open() -> None:
    async with scripted_graph(opened("t1"), ROLLED_BACK, opened("t2", 1), ROLLED_BACK) as (session, transport):

        @session.on("insert.post", type=Dog)
        def fail(event: evsession.CommitEvent) -> None:
            raise ZeroDivisionError

        session.add(Dog("1"))
        with pytest.raises(ZeroDivisionError):
            await session.commit()
        assert sent(transport) == ["POST /tx", "DELETE /tx/t1"]
        tx = session.use_transaction()
        with pytest.raises(ZeroDivisionError):
            await session.flush()
        assert tx.is_open
        await session.rollback()


async def test_a_hook_that_raises_before_anything_is_sent() -> None:
    async with scripted_graph() as (session, transport):

        @session.on("insert.pre", type=Dog)
        def fail(event: evsession.CommitEvent) -> None:
            raise ZeroDivisionError

        dog = Dog("1")
        with pytest.raises(ZeroDivisionError):
            await session.add(dog).commit()
        assert transport.requests == []
        assert list(session.changes(dog)) == ["age", "id"]


async def test_increments() -> None:
    script = (found(dog_node(id="1", age=3), dog_node(id="2", age=1)), places([10], [7]), committed(), places([]), committed())
    async with scripted_graph(*script) as (session, transport):
        one, two = await session.find(Dog)
        session.increment(one, "age", 2)
        session.increment(two, "age", 1)
        two.name = "x"
        await session.commit()
        assert (one.age, two.age) == (10, 7)
        assert sent_rows(transport, 1) == [
            {"place": "0", "key": "1", "set": {}, "more": {"age": "2"}},
            {"place": "1", "key": "2", "set": {"name": "x"}, "more": {"age": "1"}},
        ]
        one.age = 5
        session.increment(one, "age", 1)
        await session.commit()
        assert sent_rows(transport, 3) == [{"place": "0", "key": "1", "set": {"age": "6"}, "more": {}}]


async def test_an_increment_of_what_the_node_lacks_counts_from_zero() -> None:
    async with scripted_graph(found(dog_node(id="1")), places([9]), committed()) as (session, transport):
        one: Any
        [one] = await session.find(Pup, {})
        session.increment(one, "age", 2)
        await session.commit()
        assert sent_rows(transport, 1) == [{"place": "0", "key": "1", "set": {}, "more": {"age": "2"}}]
        assert (one.age, session.changes()) == (9, [])


@evsession.node("Dog")
class Pup:
    """One whose nodes may lack the key."""


async def test_loading_gives_the_same_object_and_asks_once() -> None:
    many = found(dog_node(id="1", age=9), dog_node(id="A"), dog_node(id="a"))
    async with scripted_graph(found(dog_node(id="1", age=3)), found(), many, found(dog_node(age=1))) as (session, transport):
        one = await session.load(Dog, "1")
        assert one is not None
        assert await session.load(Dog, "1") is one
        assert await session.load(Dog, "2") is None
        told: list[Any] = []
        await session.find(Dog, callback=lambda error, dogs: told.extend(dogs))
        assert told == [one, Dog("A"), Dog("a")]
        assert (one.age, told[0] is one, len(session.identity_map)) == (3, True, 3)
        [pup] = await session.find(Pup, {})
        assert (vars(pup), len(session.identity_map)) == ({"age": 1}, 3)
        session.remove(one)
        assert await session.load(Dog, "1") is None
        assert len(transport.requests) == 4


async def test_without_an_identity_map() -> None:
    transport = ScriptedTransport(repeat=found(dog_node(id="1")))
    async with evsession.GraphStore(transport=transport) as graph, graph.open_session(with_identity_map=False) as session:
        one, again = await session.load(Dog, "1"), await session.load(Dog, "1")
        assert one == again
        assert one is not again
        assert len(session.identity_map) == 0


async def test_without_an_identity_map_only_what_is_added_is_written() -> None:
    script = [opened("t1", 1), committed(), found(dog_node(id="2", age=3)), places([]), committed()]
    transport = ScriptedTransport(*script)
    async with evsession.GraphStore(transport=transport) as graph, graph.open_session(with_identity_map=False) as session:
        told: list[str] = []
        for kind in ("insert", "update"):
            session.on(f"{kind}.post", lambda event: told.append(event.name))
        new = Dog("1")
        assert (await session.add(new).commit()).inserted == ["Dog/1"]
        new.age = 5
        assert (await session.commit(), session.changes(), list(session.identity_map)) == ([], [], [])
        loaded = await session.load(Dog, "2")
        assert loaded is not None
        loaded.age = 4
        assert await session.commit() == []
        assert (await session.add(loaded).commit()).updated == ["Dog/2"]
        assert sent_rows(transport, 3) == [{"place": "0", "key": "2", "set": {"age": "4"}, "more": {}}]
        assert told == ["insert.post", "update.post"]


async def test_refresh_and_revert() -> None:
    script = (found(dog_node(id="1", age=3)), kept(dog_node(id="1", age=4, name="x")), kept(dog_node(id="1", age=5)), kept())
    async with scripted_graph(*script) as (session, _):
        dog = await session.load(Dog, "1")
        assert dog is not None
        await session.refresh(dog)
        assert (dog.age, dog.name) == (4, "x")
        dog.name = "mine"
        with pytest.raises(evsession.DirtyEntity):
            session.refresh(dog)
        await session.refresh(dog, force=True)
        assert [dog.age, dog.name, session.is_dirty(dog)] == [5, None, False]
        dog.age = 9
        session.revert(dog)
        assert (dog.age, session.is_dirty(dog)) == (5, False)
        with pytest.raises(evsession.SessionError) as caught:
            await session.refresh(dog)
        assert caught.value.status_code == 404
        fresh = Dog("new")
        session.add(fresh)
        with pytest.raises(evsession.DirtyEntity):
            session.refresh(fresh)
        with pytest.raises(evsession.ConfigurationError, match="new"):
            session.revert(fresh)
        with pytest.raises(evsession.ConfigurationError, match="not known"):
            session.revert(Dog("x"))


async def test_models_are_entities() -> None:
    transport = ScriptedTransport(found(dog_node(id="1", name="x")), places([]), committed())
    graph = evsession.GraphStore(transport=transport)
    dogs = graph.model("Dog", {"id": str, "name": str, "age": int})
    async with graph, graph.open_session() as session:
        dog: Any = await session.load(dogs, "1")
        assert (dog.name, dog.exists) == ("x", True)
        dog.name = "y"
        assert await session.commit() == ["Dog/1"]
        dog.age = "many"
        with pytest.raises(evsession.InvalidDocument) as caught:
            session.commit()
        assert caught.value.path == "age"


async def test_what_can_be_no_entity() -> None:
    async with scripted_graph() as (session, transport):
        for bad in (5, {"id": "1"}, Dog):
            with pytest.raises(TypeError):
                session.add(bad)
            with pytest.raises(TypeError):
                session.remove(bad)
        late = Dog(None)
        with pytest.raises(evsession.ConfigurationError, match="has no id"):
            session.add(late).commit()
        late.id = "9"
        session.add(Dog("9"))
        with pytest.raises(evsession.KeyConflict):
            session.commit()
        session.clear()
        with pytest.raises(evsession.ConfigurationError, match="has no id"):
            session.remove(Dog(None))
        session.add(Dog("1"), Dog("2")).add(Dog("3"))
        with pytest.raises(evsession.KeyConflict):
            session.add(Dog("1"))
        assert session.remove(session.identity_map.get("Dog/1")).identity_map.get("Dog/1") is None
        with pytest.raises(evsession.InvalidDocument) as caught:
            session.add(Dog("4", name={1})).commit()  # type: ignore[arg-type]
        assert caught.value.path == "name"
        assert transport.requests == []


async def test_keys_cannot_change_and_removed_ones_come_back() -> None:
    async with scripted_graph(found(dog_node(id="1"))) as (session, _):
        dog = await session.load(Dog, "1")
        assert dog is not None
        session.remove(dog).add(dog).add(dog)
        assert session.changes() == []
        dog.id = "2"
        with pytest.raises(evsession.ConfigurationError, match="cannot change"):
            session.commit()
        dog.id = "1"
        dog.name = {1}  # type: ignore[assignment]
        with pytest.raises(evsession.InvalidDocument) as caught:
            session.commit()
        assert caught.value.key == "Dog/1"


async def test_removing_what_was_not_loaded() -> None:
    async with scripted_graph(opened("t1"), committed()) as (session, transport):
        saved = await session.remove(Dog("1")).commit()
        assert (saved.removed, len(session.identity_map), sent(transport)) == (["Dog/1"], 0, DOGS)


async def test_a_cancelled_commit_is_rolled_back(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_graph(opened("t1", 1), hang(), ROLLED_BACK, opened("t2", 1), committed()) as (session, transport):
        session.add(Dog("1"))
        with trio.move_on_after(1):
            await session.commit()
        assert sent(transport)[2:] == ["DELETE /tx/t1"]
        assert await session.commit() == ["Dog/1"]


async def test_commits_take_turns_with_everything_else() -> None:
    async with scripted_graph(rows(1), opened("t1", 1), committed(), rows(2)) as (session, transport):
        session.run("RETURN 1")
        session.add(Dog("1")).commit()
        assert (await session.run("RETURN 2")).value() == 2
        assert sent(transport) == ["POST -", *DOGS, "POST -"]


async def test_models_in_a_transaction_of_the_session() -> None:
    transport = ScriptedTransport(opened("t1"), found(dog_node(id="1"), transaction=True), ROLLED_BACK)
    graph = evsession.GraphStore(transport=transport)
    dogs = graph.model("Dog", {"id": str})
    async with graph, graph.open_session() as session:
        tx = session.use_transaction()
        await tx.run("RETURN 1")
        assert [one.id for one in await dogs.find_many(session=session)] == ["1"]
        assert sent(transport) == ["POST /tx", "POST /tx/t1"]


async def test_only_fields_can_be_incremented() -> None:
    async with scripted_graph(found(dog_node(id="1"))) as (session, _):
        [dog] = await session.find(Dog)
        with pytest.raises(evsession.ConfigurationError, match="no field 'weight'"):
            session.increment(session.get_reference(Dog, "2"), "weight", 1)
        assert not session.is_dirty(dog)


async def test_only_what_a_model_declares_can_be_incremented() -> None:
    graph = evsession.GraphStore(transport=ScriptedTransport())
    declared: Any = graph.model("User", {"id": str, "age": int})
    free: Any = graph.model("Any")
    async with graph, graph.open_session() as session:
        users = [declared(id="1"), session.get_reference(declared, "2")]
        session.add(users[0])
        for user in users:
            with pytest.raises(evsession.ConfigurationError, match="User has no field 'nosuch'; there are: id, age"):
                session.increment(user, "nosuch", 1)
        assert [change.key for change in session.changes()] == ["User/1"]
        other = session.get_reference(free, "3")
        session.increment(other, "nosuch", 1)
        assert session.is_dirty(other)


async def test_several_are_loaded_by_their_keys() -> None:
    nodes = [dog_node(id="3"), dog_node(id="1")]
    async with scripted_graph(found(dog_node(id="2")), kept(*nodes), kept()) as (session, transport):
        two = await session.load(Dog, "2")
        reference = session.get_reference(Dog, "3")
        found_dogs = await session.load(Dog, ["1", "2", "3", "1", "no"])
        assert [dog.id for dog in found_dogs] == ["1", "2", "3", "1"]
        assert (found_dogs[1] is two, found_dogs[2] is reference, reference.age) == (True, True, 0)
        session.remove(two)
        told: list[Any] = []
        assert await session.load(Dog, ("1", "2"), lambda *given: told.append(given)) == [found_dogs[0]]
        assert (told, await session.load(Dog, [])) == ([(None, [found_dogs[0]])], [])
        session.options.cache = False
        assert await session.load(Dog, ["1"]) == []
        assert len(transport.requests) == 3
        for key in (None, [["1"]], {"id": 1}, [None]):
            with pytest.raises(evsession.ConfigurationError, match="is no id"):
                session.load(Dog, key)


async def test_two_nodes_of_one_key_are_told() -> None:
    other = dog_node(id="1", age=2)
    other["_value"]["_element_id"] = "4:x:2"
    lone = dog_node(age=1)
    lone["_value"]["_element_id"] = "4:x:3"
    async with scripted_graph(found(dog_node(id="1"), other), kept(dog_node(id="1"), other), found(lone, lone)) as (session, _):
        with pytest.raises(evsession.KeyConflict) as caught:
            await session.find(Dog)
        assert (caught.value.key, list(session.identity_map)) == ("Dog/1", [])
        with pytest.raises(evsession.KeyConflict):
            await session.load(Dog, ["1", "2"])
        with pytest.raises(evsession.InvalidDocument):  # without an id it is no Dog, but neither a second one
            await session.find(Dog)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": 1}, "name"),
        ([1, {"a": 1}], "name[1]"),
        ([[1]], "name[0]"),
        ((1, None), "name[1]"),
        (object(), "name"),
        ([1, 2.5, "x"], "name[2]"),
    ],
)
async def test_what_can_be_no_property_is_named(value: Any, path: str) -> None:
    async with scripted_graph() as (session, transport):
        session.add(Dog("1", name=value))
        with pytest.raises(evsession.InvalidDocument) as caught:
            session.commit()
        assert (caught.value.key, caught.value.path) == ("Dog/1", path)
        session.clear()
        users = evsession.GraphStore(transport=transport).model("User")
        for write in (
            lambda: users.create_one({"id": "1", "name": value}, session=session),
            lambda: users.update({"name": value}, session=session),
        ):
            with pytest.raises(evsession.InvalidDocument, match="name"):
                write()
        assert transport.requests == []


async def test_what_can_be_no_condition_is_named() -> None:
    async with scripted_graph() as (session, transport):
        where: Any
        for where in ({"age": object()}, {"age": {"gt": object()}}):
            with pytest.raises(evsession.InvalidDocument, match="age"):
                session.find(Dog, where)
        for where, order in (({"nope": 1}, None), (None, "-nope")):
            with pytest.raises(evsession.ConfigurationError, match="nope"):
                session.find(Dog, where, order=order)
        assert transport.requests == []


async def test_a_transaction_is_tried_again() -> None:
    attempts = []

    def work(session: evsession.GraphSession) -> None:
        attempts.append(session.add(Dog("1")))
        if len(attempts) == 1:
            raise evsession.ConcurrencyError("somebody was faster")

    async with scripted_graph(opened("t1", 1), committed()) as (session, transport):
        await session.transaction(work, retries=1)
        assert (len(attempts), sent(transport)) == (2, DOGS)


async def test_what_is_called_after_a_flush_waits_for_it() -> None:
    script = (opened("t1", 1), rows(1, transaction={"id": "t1"}), ROLLED_BACK)
    async with scripted_graph(*script) as (session, transport):
        tx = session.use_transaction()
        flushing = session.add(Dog("1")).flush()
        counting = tx.run("RETURN 1")
        await counting
        assert await flushing == ["Dog/1"]
        assert [b"CREATE" in request.body for request in transport.requests] == [True, False]
        assert (tx._flushes, tx._turns.first()) == ([], None)
        await session.rollback()
