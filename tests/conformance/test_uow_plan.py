"""A dry run: what `plan` shows is what `commit` sends. And `changes`, which says it in fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

import evsession
from evsession import MISSING, Change
from tests.conformance.kennel import Dog, Told, Wire
from tests.conformance.shelf import ANNA, BEN, PETER, Book, Events, Log, Relay, User, names_of, row

pytestmark = pytest.mark.usefixtures("users")


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


def commands(plan: evsession.Plan) -> list[dict[str, Any]]:
    (request,) = plan.requests
    given: list[dict[str, Any]] = json.loads(request.body)["Commands"]
    return given


class TestPlan:
    async def test_is_what_is_sent(self, relayed: evsession.Session, relay: Relay, database: str) -> None:
        session = relayed
        session.options.use_optimistic_concurrency = True
        peter, anna, ben = await session.load([PETER, ANNA, BEN])
        log, book = Log("ü", id="x"), Book("t")
        peter.name = "Petra"
        session.increment(anna, "logins", 2)
        session.add(log, book).remove(ben)
        relay.sent.clear()
        plan = session.plan()
        assert not relay.sent
        assert (plan.inserts, plan.updates, plan.deletes) == ([log, book], [peter, anna], [ben])
        assert (len(plan), bool(plan)) == (5, True)
        (request,) = plan.requests
        assert (request.method, request.target) == ("POST", f"/databases/{database}/bulk_docs")
        assert [command["Id"] for command in commands(plan)] == [BEN, PETER, ANNA, "logs/x", "books|"]
        await session.commit()
        assert request.body in relay.sent
        assert f"POST {request.target} HTTP/1.1".encode() in relay.sent

    async def test_can_be_read(self, session: evsession.Session) -> None:
        peter = await session.load(PETER)
        peter.name = "Petra"
        text = str(session.plan())
        assert text.startswith("POST /databases/")
        assert '"name": "Petra"' in text
        assert len(text.splitlines()) > 10
        assert "1 updates" in repr(session.plan())

    async def test_of_nothing(self, session: evsession.Session, wire: Wire) -> None:
        await session.load(PETER)
        wire.take()
        plan = session.plan()
        assert (plan.requests, plan.inserts, plan.updates, plan.deletes, len(plan)) == ([], [], [], [], 0)
        assert not plan
        assert str(plan) == "nothing to do"
        assert not wire.take()

    async def test_calls_no_hooks_and_changes_nothing(
        self, session: evsession.Session, store: evsession.Store, wire: Wire
    ) -> None:
        events = Events(session)
        peter, user = await session.load(PETER), User("new")
        session.add(user)
        session.increment(peter, "logins", 2)
        before = session.changes()
        wire.take()
        for _ in range(2):
            assert len(session.plan()) == 2
        assert not wire.take()
        assert events.calls == []
        assert [(one.entity, one.kind, one.fields) for one in session.changes()] == [
            (one.entity, one.kind, one.fields) for one in before
        ]
        assert user.id is None
        assert await session.commit() == [PETER, "users/1"]
        assert (await row(store, PETER)).logins == 2

    async def test_of_keys_that_are_not_made_yet(self, session: evsession.Session, wire: Wire) -> None:
        session.conventions.id_generation_strategy = "hilo"
        session.add(Log("x"))
        (command,) = commands(session.plan())
        assert command["Id"].startswith("logs/")
        assert not wire.take()
        (key,) = await session.commit()
        assert key.startswith("logs/")
        session.conventions.id_generation_strategy = lambda entity: "logs/chosen"
        session.add(Log("y"))
        (command,) = commands(session.plan())
        assert command["Id"] == "logs/chosen"
        assert await session.commit() == ["logs/chosen"]

    async def test_of_versions(self, session: evsession.Session) -> None:
        peter, ben = await session.load([PETER, BEN])
        peter.name = "Petra"
        session.remove(ben).add(Log("x", id="x"))
        assert [command["ChangeVector"] for command in commands(session.plan())] == [None, None, None]
        session.options.use_optimistic_concurrency = True
        vectors = [command["ChangeVector"] for command in commands(session.plan())]
        assert vectors[0]
        assert vectors[1]
        assert vectors[2] == ""

    async def test_of_a_transaction(self, session: evsession.Session, wire: Wire) -> None:
        peter, ben = await session.load([PETER, BEN])
        session.use_transaction()
        peter.name = "one"
        await session.flush()
        peter.name = "two"
        session.remove(ben)
        plan = session.plan()
        assert (plan.updates, plan.deletes) == ([peter], [ben])
        assert commands(plan)[1]["Document"]["name"] == "two"
        await session.flush()
        assert (session.plan().updates, session.plan().deletes) == ([peter], [ben])
        await session.rollback()
        assert (session.plan().updates, session.plan().deletes) == ([peter], [ben])

    async def test_of_what_cannot_be(self, session: evsession.Session, store: evsession.Store) -> None:
        one = User("one", id="same")
        session.add(one)
        one.tags = [float("nan")]
        with pytest.raises(evsession.InvalidDocument):
            session.plan()
        one.tags = []
        assert len(session.plan()) == 1
        assert await session.commit() == ["users/same"]
        assert "one" in await names_of(store, User)

    async def test_while_a_commit_is_under_way(self, session: evsession.Session) -> None:
        peter = await session.load(PETER)
        peter.name = "one"
        operation = session.commit()
        peter.name = "two"
        assert session.plan().updates == [peter]
        await operation
        assert commands(session.plan())[0]["Document"]["name"] == "two"
        peter.name = "one"
        assert not session.plan()

    async def test_is_no_commit(self, session: evsession.Session) -> None:
        """A plan holds what it was made of; later edits do not change it."""
        peter = await session.load(PETER)
        peter.name = "one"
        plan = session.plan()
        peter.name = "two"
        assert commands(plan)[0]["Document"]["name"] == "one"


class TestChanges:
    async def test_of_all(self, session: evsession.Session) -> None:
        peter, anna, ben = await session.load([PETER, ANNA, BEN])
        peter.name = "Petra"
        peter.tags = []
        session.remove(ben)
        log = Log("x")
        session.add(log)
        changes = {change.kind: change for change in session.changes()}
        assert set(changes) == {"update", "delete", "insert"}
        assert changes["update"] == evsession.EntityChanges(
            peter, PETER, "update", {"name": Change("Peter", "Petra"), "tags": Change(["a", "b", "c"], [])}
        )
        assert (changes["delete"].entity, changes["delete"].key, changes["delete"].fields) == (ben, BEN, {})
        inserted = changes["insert"]
        assert (inserted.entity, inserted.key, inserted.fields) == (log, None, {"text": Change(MISSING, "x")})
        assert session.changes(anna) == session.changes(ben) == {}
        assert [session.is_dirty(one) for one in (peter, anna, ben, log)] == [True, False, True, True]

    async def test_old_values_of_removed_fields(self, session: evsession.Session) -> None:
        dog = Dog(name="Max", age=[1, {"a": None}])
        await session.add(dog).commit()
        del dog.age
        dog.new = None
        assert session.changes(dog) == {"age": Change([1, {"a": None}], MISSING), "new": Change(MISSING, None)}
        assert not MISSING
        assert repr(MISSING) == "MISSING"

    async def test_of_what_is_unknown_or_unstorable(self, session: evsession.Session) -> None:
        for call in (session.changes, session.is_dirty):
            with pytest.raises(evsession.ConfigurationError):
                call(User("stranger"))
        peter = await session.load(PETER)
        peter.tags = [float("nan")]
        with pytest.raises(evsession.InvalidDocument):
            session.changes(peter)
        with pytest.raises(evsession.InvalidDocument):
            session.changes()

    async def test_of_an_update_event(self, session: evsession.Session) -> None:
        told = Told()
        session.on("update.pre", told)
        peter, anna = await session.load([PETER, ANNA])
        peter.name, anna.logins = "Petra", 6
        await session.commit()
        ((event,),) = told.calls
        changes = event.changes
        assert list(changes) == [{"name": Change("Peter", "Petra")}, {"logins": Change(5, 6)}]
        assert (len(changes), changes[1], changes[anna], changes[ANNA], changes[-1]) == (2, *[{"logins": Change(5, 6)}] * 4)
        assert changes[:1] == [{"name": Change("Peter", "Petra")}]
        for wrong in (BEN, User("x"), 2.5):
            with pytest.raises(KeyError):
                changes[wrong]
        with pytest.raises(IndexError):
            changes[2]
        assert PETER in repr(changes)
