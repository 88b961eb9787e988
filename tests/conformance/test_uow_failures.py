"""Commits that fail, are cancelled, or whose outcome nobody knows: nothing is lost and nothing is done twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

import evsession
from evsession import Change
from tests.conformance.kennel import Told, Wire, etag_of
from tests.conformance.shelf import ANNA, BEN, PETER, Book, Events, Log, Relay, User, edit, names_of, row

pytestmark = pytest.mark.usefixtures("users")

BATCH = ["POST /bulk_docs"]


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


def pending(session: evsession.Session) -> list[tuple[str | None, str]]:
    return [(change.key, change.kind) for change in session.changes()]


class TestRefused:
    async def test_everything_is_as_before(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 23."""
        session.options.use_optimistic_concurrency = True
        peter, anna, ben = await session.load([PETER, ANNA, BEN])
        heard, told = Told(), Told()
        session.on(409, heard)
        events = Events(session, "insert.pre", "insert.post", "update.post", "delete.post", "commit.post")
        peter.name, anna.logins = "changed", 6
        rival = Log("mine", id="taken")
        fresh = Book("t")
        session.add(rival, fresh).remove(ben)
        async with store.open_session() as other:
            await other.add(Log("theirs", id="taken")).commit()
        before = [(one.entity, one.kind, one.fields) for one in session.changes()]
        wire.take()
        for attempt in (1, 2):
            with pytest.raises(evsession.ConcurrencyError) as caught:
                await session.commit(told)
            error = caught.value
            assert (error.status_code, error.key, error.uncertain) == (409, "logs/taken", False)
            assert (error.expected, error.actual) == ("", etag_of(await row(store, "logs/taken")))
            assert len(heard.calls) == len(told.calls) == attempt
            assert heard.errors[-1] is error
            assert told.calls[-1] == (error, None)
            assert [(one.entity, one.kind, one.fields) for one in session.changes()] == before
            assert fresh.id is None
            assert events.take() == ["insert.pre Log", "insert.pre Book"]
        assert await names_of(store, User) == ["Anna", "Ben", "Peter"]
        assert await names_of(store, Book) == []
        async with store.open_session() as other:
            await other.delete("logs/taken")
        saved = await session.commit()
        assert (saved.updated, len(saved.inserted), saved.removed) == ([PETER, ANNA], 2, [BEN])
        assert (await row(store, "logs/taken")).text == "mine"
        assert session.changes() == []

    async def test_an_update(self, session: evsession.Session, store: evsession.Store) -> None:
        """Scenario 23: what would have been written is still known to be a change."""
        session.options.use_optimistic_concurrency = True
        told = Told()
        session.on("update.pre", told)
        peter = await session.load(PETER)
        peter.name = "changed"
        await edit(store, PETER, logins=50)
        loaded = etag_of_entity(session, PETER)
        with pytest.raises(evsession.ConcurrencyError) as caught:
            await session.commit()
        assert told.calls[0][0].changes[peter] == session.changes(peter) == {"name": Change("Peter", "changed")}
        assert caught.value.key == PETER
        assert caught.value.expected == loaded
        assert caught.value.actual == etag_of(await row(store, PETER))

    async def test_reload_and_retry(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        anna, ben = await session.load([ANNA, BEN])
        await edit(store, ANNA, logins=100)
        ben.name = "Benno"
        anna.logins += 1
        with pytest.raises(evsession.ConcurrencyError) as caught:
            await session.commit()
        assert caught.value.key == ANNA
        await session.refresh(session.identity_map.get(ANNA), force=True)
        anna.logins += 1
        assert await session.commit() == [ANNA, BEN]
        assert [(await row(store, key)).logins for key in (ANNA, BEN)] == [101, 9]
        assert (await row(store, BEN)).name == "Benno"

    async def test_a_delete(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        peter, anna = await session.load([PETER, ANNA])
        await edit(store, PETER, logins=50)
        session.remove(peter, anna)
        with pytest.raises(evsession.ConcurrencyError) as caught:
            await session.commit()
        assert caught.value.key == PETER
        assert await names_of(store, User) == ["Anna", "Ben", "Peter"]
        assert pending(session) == [(PETER, "delete"), (ANNA, "delete")]
        session.add(peter)
        assert (await session.commit()).removed == [ANNA]
        session.remove(PETER)
        with pytest.raises(evsession.ConcurrencyError):
            await session.commit()
        session.evict(peter)
        session.remove(PETER)  # a key by itself has no version
        assert (await session.commit()).removed == [PETER]

    async def test_keys_that_were_fetched_are_kept(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        session.conventions.id_generation_strategy = "hilo"
        peter = await session.load(PETER)
        await edit(store, PETER, logins=50)
        peter.name = "Petra"
        log = Log("x")
        session.add(log)
        with pytest.raises(evsession.ConcurrencyError):
            await session.commit()
        planned = session.plan()
        assert planned.inserts == [log]
        (change,) = [change for change in session.changes() if change.entity is log]
        await session.refresh(peter, force=True)
        assert await session.commit() == [change.key]
        assert log.id == change.key

    async def test_a_missing_database(self, raven_url: str) -> None:
        async with evsession.Store(raven_url, "no-such-database") as store, store.open_session() as session:
            log = Log("x", id="x")
            session.add(log).remove("users/y")
            for _ in range(2):
                with pytest.raises(evsession.DatabaseMissing) as caught:
                    await session.commit()
                assert not caught.value.uncertain
            assert sorted(kind for _, kind in pending(session)) == ["delete", "insert"]


def etag_of_entity(session: evsession.Session, key: str) -> str | None:
    """Return the version that a typed entity was loaded with, as a dry run shows it."""
    (request,) = session.plan().requests
    (command,) = (one for one in json.loads(request.body)["Commands"] if one["Id"] == key)
    vector: str | None = command["ChangeVector"]
    return vector


class TestSeveralAtOnce:
    async def test_in_call_order(self, session: evsession.Session, store: evsession.Store) -> None:
        """Scenario 25: callbacks are called in the order of the calls, and the awaited one comes last."""
        order: list[Any] = []
        peter = await session.load(PETER)
        for number in range(5):
            peter.logins = number + 1
            session.commit(lambda error, keys, number=number: order.append((number, error, list(keys))))
        peter.logins = 99
        assert await session.commit() == [PETER]
        assert order == [(number, None, [PETER]) for number in range(5)]
        assert (await row(store, PETER)).logins == 99

    async def test_each_writes_what_there_was(self, session: evsession.Session, store: evsession.Store) -> None:
        one, two = Log("1", id="1"), Log("2", id="2")
        peter = await session.load(PETER)
        first = session.add(one).commit()
        second = session.add(two).remove(peter).commit()
        third = session.commit()
        assert await third == []
        assert (await first, await second, (await second).removed) == (["logs/1"], ["logs/2"], [PETER])

    async def test_from_two_tasks(self, session: evsession.Session, store: evsession.Store) -> None:
        async def write(name: str) -> None:
            for number in range(10):
                await session.add(Log(f"{name}{number}")).commit()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, "a")
            nursery.start_soon(write, "b")
        assert len(await names_of(store, Log)) == 20
        assert session.changes() == []

    async def test_the_one_after_a_failure(self, session: evsession.Session, store: evsession.Store) -> None:
        """It sends what the one before could not, as far as it was there at its call."""
        session.options.use_optimistic_concurrency = True
        peter = await session.load(PETER)
        await edit(store, PETER, logins=50)
        peter.name = "Petra"
        first = session.add(Log("1", id="1")).commit()
        session.options.use_optimistic_concurrency = False
        second = session.add(Log("2", id="2")).commit()
        saved = await second
        with pytest.raises(evsession.ConcurrencyError):
            await first
        assert saved == [PETER, "logs/1", "logs/2"]
        assert session.changes() == []

    async def test_a_removal_while_it_is_inserted(self, session: evsession.Session, store: evsession.Store) -> None:
        log = Log("x", id="x")
        operation = session.add(log).commit()
        session.remove(log)
        assert (await operation).inserted == ["logs/x"]
        assert pending(session) == [("logs/x", "delete")]
        assert (await session.commit()).removed == ["logs/x"]
        assert await row(store, "logs/x") is None

    async def test_an_addition_while_it_is_deleted(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        peter = await session.load(PETER)
        operation = session.remove(peter).commit()
        session.add(peter)
        assert (await operation).removed == [PETER]
        assert pending(session) == [(PETER, "insert")]
        assert (await session.commit()).inserted == [PETER]
        assert (await row(store, PETER)).name == "Peter"

    async def test_an_addition_while_its_deletion_is_on_its_way(self, relayed: evsession.Session, relay: Relay) -> None:
        session = relayed
        peter = await session.load(PETER)
        with relay.hold():
            operation = session.remove(peter).commit()
            await relay.wait_held()
            session.add(peter)
        assert (await operation).removed == [PETER]
        assert pending(session) == [(PETER, "insert")]
        assert (await session.commit()).inserted == [PETER]

    async def test_edits_in_flight_stay_edits(self, relayed: evsession.Session, relay: Relay, store: evsession.Store) -> None:
        """Scenario 25: also when the server has answered and the session does not know it yet."""
        session = relayed
        peter, log = await session.load(PETER), Log("1", id="x")
        peter.name = "one"
        with relay.hold():
            operation = session.add(log).commit()
            await relay.wait_held()
            assert (await row(store, PETER)).name == "one"
            peter.name, log.text = "two", "2"
            assert session.in_commit
        assert await operation == [PETER, "logs/x"]
        assert session.changes(peter) == {"name": Change("one", "two")}
        assert session.changes(log) == {"text": Change("1", "2")}
        assert await session.commit() == [PETER, "logs/x"]
        assert (await row(store, "logs/x")).text == "2"

    async def test_reads_while_a_commit_is_under_way(self, relayed: evsession.Session, relay: Relay) -> None:
        session = relayed
        peter = await session.load(PETER)
        peter.name = "one"
        with relay.hold():
            operation = session.commit()
            await relay.wait_held()
            assert await session.load(PETER) is peter
        await operation
        users, _ = await session.query(User)
        assert [user for user in users if user is peter] == [peter]

    async def test_a_read_that_began_before_a_deletion(self, relayed: evsession.Session, relay: Relay) -> None:
        """Its answer brings the document, but the session does not know it any more."""
        session = relayed
        peter = await session.load(PETER)
        with relay.hold(only_first=True):
            query = session.query(User)
            await relay.wait_held()
            assert (await session.remove(peter).commit()).removed == [PETER]
        users, _ = await query
        assert len(users) == 3
        assert PETER not in session.identity_map
        assert await session.load(PETER) is None

    async def test_a_hundred_deletions(self, session: evsession.Session, store: evsession.Store) -> None:
        """Scenario 25."""
        await session.add(*(Log(str(number), id=str(number)) for number in range(100))).commit()
        operations = [session.delete(f"logs/{number}") for number in range(100)]
        for operation in operations:
            await operation
        assert await names_of(store, Log) == []


LOSSES = pytest.mark.parametrize("loss", ["request", "answer"])


class TestUncertain:
    """The connection breaks: before the server has the batch, or when it has written it and the answer is lost."""

    @LOSSES
    async def test_refresh_finds_out(self, loss: str, relayed: evsession.Session, relay: Relay, store: evsession.Store) -> None:
        session = relayed
        session.options.use_optimistic_concurrency = True
        peter, anna = await session.load([PETER, ANNA])
        new = Log("x", id="x")
        peter.name = "Petra"
        session.increment(anna, "logins", 2)
        session.add(new)
        heard = Told()
        session.on("error", heard)
        relay.lose(loss)
        with pytest.raises(evsession.ConnectionFailed) as caught:
            await session.commit()
        assert caught.value.uncertain
        assert not caught.value.is_retryable()
        assert heard.errors == [caught.value]
        assert pending(session) == [(PETER, "update"), (ANNA, "update"), ("logs/x", "insert")]
        assert ((await row(store, PETER)).name == "Petra") is (loss == "answer")
        if loss == "request":
            for entity in (peter, anna):
                await session.refresh(entity)
            await session.refresh(new)
            assert pending(session) == [(PETER, "update"), (ANNA, "update"), ("logs/x", "insert")]
            assert await session.commit() == [PETER, ANNA, "logs/x"]
        else:
            await session.refresh(peter, anna, new)
            assert session.changes() == []
            assert await session.commit() == []
        stored = [await row(store, key) for key in (PETER, ANNA, "logs/x")]
        assert (stored[0].name, stored[1].logins, stored[2].text) == ("Petra", 7, "x")
        assert (peter.name, anna.logins, new.id) == ("Petra", 7, "logs/x")
        peter.name = new.text = "after"
        assert await session.commit() == [PETER, "logs/x"]

    async def test_a_conflict_with_one_s_own_write_tells_nothing_of_it(
        self, relayed: evsession.Session, relay: Relay, store: evsession.Store
    ) -> None:
        session = relayed
        session.options.use_optimistic_concurrency = True
        peter = await session.load(PETER)
        peter.name = "Petra"
        relay.lose("answer")
        with pytest.raises(evsession.ConnectionFailed):
            await session.commit()
        with pytest.raises(evsession.ConcurrencyError):
            await session.commit()
        await session.refresh(peter)
        assert (peter.name, session.changes()) == ("Petra", [])
        peter.logins = 3
        assert await session.commit() == [PETER]

    @LOSSES
    async def test_with_edits_made_meanwhile(
        self, loss: str, relayed: evsession.Session, relay: Relay, store: evsession.Store
    ) -> None:
        session = relayed
        peter = await session.load(PETER)
        peter.name = "Petra"
        relay.lose(loss)
        with pytest.raises(evsession.ConnectionFailed):
            await session.commit()
        peter.logins = 7
        await session.refresh(peter)
        written = loss == "answer"
        expected = {"logins": Change(0, 7)} | ({} if written else {"name": Change("Peter", "Petra")})
        assert session.changes(peter) == expected
        assert await session.commit() == [PETER]
        stored = await row(store, PETER)
        assert (stored.name, stored.logins) == ("Petra", 7)

    @LOSSES
    async def test_of_a_deletion(self, loss: str, relayed: evsession.Session, relay: Relay, store: evsession.Store) -> None:
        session = relayed
        peter = await session.load(PETER)
        session.remove(peter)
        relay.lose(loss)
        with pytest.raises(evsession.ConnectionFailed) as caught:
            await session.commit()
        assert caught.value.uncertain
        assert pending(session) == [(PETER, "delete")]
        await session.refresh(peter)
        assert (peter in session.identity_map) is (loss == "request")
        assert (await session.commit()).removed == ([PETER] if loss == "request" else [])
        assert await row(store, PETER) is None

    @LOSSES
    async def test_committing_again_is_safe_with_versions(
        self, loss: str, relayed: evsession.Session, relay: Relay, store: evsession.Store
    ) -> None:
        session = relayed
        session.options.use_optimistic_concurrency = True
        peter = await session.load(PETER)
        peter.name = "Petra"
        relay.lose(loss)
        with pytest.raises(evsession.ConnectionFailed):
            await session.commit()
        if loss == "request":
            assert await session.commit() == [PETER]
        else:
            with pytest.raises(evsession.ConcurrencyError):
                await session.commit()
            await session.refresh(peter, force=True)
            assert (peter.name, session.changes()) == ("Petra", [])

    async def test_somebody_else_has_written_since(
        self, relayed: evsession.Session, relay: Relay, store: evsession.Store
    ) -> None:
        session = relayed
        peter = await session.load(PETER)
        peter.name = "Petra"
        relay.lose("request")
        with pytest.raises(evsession.ConnectionFailed):
            await session.commit()
        await edit(store, PETER, logins=50)
        await session.refresh(peter)
        assert session.is_dirty(peter)
        await session.refresh(peter, force=True)
        assert (peter.name, peter.logins, session.is_dirty(peter)) == ("Peter", 50, False)

    async def test_evict_gives_up(self, relayed: evsession.Session, relay: Relay) -> None:
        session = relayed
        peter = await session.load(PETER)
        peter.name = "Petra"
        relay.lose("answer")
        with pytest.raises(evsession.ConnectionFailed):
            await session.commit()
        session.evict(peter)
        assert (await session.load(PETER)).name == "Petra"
        assert await session.commit() == []

    @LOSSES
    async def test_hooks_of_a_lost_commit(
        self, loss: str, relayed: evsession.Session, relay: Relay, store: evsession.Store
    ) -> None:
        session = relayed
        events = Events(session, "update.post", "commit.post")
        session.on("update.pre", lambda event: event.session.add(Log("x", id="x")))
        peter = await session.load(PETER)
        peter.name = "Petra"
        relay.lose(loss)
        with pytest.raises(evsession.ConnectionFailed):
            await session.commit()
        assert events.take() == []
        assert pending(session) == [(PETER, "update")]
        await session.refresh(peter)
        await session.commit()
        assert await names_of(store, Log) == ["x"]


class TestCancelled:
    async def test_by_the_operation(self, relayed: evsession.Session, relay: Relay, store: evsession.Store) -> None:
        session = relayed
        peter = await session.load(PETER)
        peter.name = "Petra"
        told = Told()
        with relay.hold():
            operation = session.commit(told)
            await relay.wait_held()
            operation.cancel()
            await session.drain()
        ((error, keys),) = told.calls
        assert isinstance(error, evsession.OperationCancelled)
        assert (error.uncertain, keys) == (True, None)
        assert (session.in_commit, session.is_dirty(peter)) == (False, True)
        await session.refresh(peter)
        assert session.changes() == []
        assert (await row(store, PETER)).name == "Petra"

    async def test_by_the_task(self, relayed: evsession.Session, relay: Relay, store: evsession.Store) -> None:
        session = relayed
        peter = await session.load(PETER)
        peter.name = "Petra"
        with relay.hold():
            async with trio.open_nursery() as nursery:

                async def stop() -> None:
                    await relay.wait_held()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(stop)
                await session.add(Log("x", id="x")).commit()
        assert nursery.cancel_scope.cancelled_caught
        assert pending(session) == [(PETER, "update"), ("logs/x", "insert")]
        await session.refresh(peter)
        assert pending(session) == [("logs/x", "insert")]
        await session.refresh(*[one for one in session.identity_map if one is not peter])
        assert session.changes() == []
        assert await session.commit() == []

    async def test_by_the_time_limit(self, relayed: evsession.Session, relay: Relay) -> None:
        session = relayed
        peter = await session.load(PETER)
        peter.name = "Petra"
        session.options.timeout = 0.05
        with relay.hold(), pytest.raises(evsession.OperationTimeout) as caught:
            await session.commit()
        assert caught.value.uncertain
        session.options.timeout = 30
        await session.refresh(peter)
        assert await session.commit() == []

    async def test_before_it_is_sent(self, session: evsession.Session, wire: Wire) -> None:
        peter = await session.load(PETER)
        peter.name = "Petra"
        wire.take()
        told = Told()
        first, second = session.commit(told), session.commit(told)
        first.cancel()
        second.cancel()
        await session.drain()
        assert [(type(error), error.uncertain) for error in told.errors] == [(evsession.OperationCancelled, False)] * 2
        assert not wire.take()
        assert await session.commit() == [PETER]

    async def test_the_one_that_waits_for_its_turn(
        self, relayed: evsession.Session, relay: Relay, store: evsession.Store
    ) -> None:
        session = relayed
        peter = await session.load(PETER)
        peter.name = "one"
        told = Told()
        with relay.hold():
            first = session.commit()
            peter.name = "two"
            second = session.commit(told)
            await relay.wait_held()
            second.cancel()
            peter.name = "three"
            third = session.commit()
        assert await first == [PETER]
        assert await third == [PETER]
        ((error, _),) = told.calls
        assert (type(error), error.uncertain) == (evsession.OperationCancelled, False)
        assert (await row(store, PETER)).name == "three"
        assert session.changes() == []

    async def test_in_a_hook(self, session: evsession.Session, wire: Wire) -> None:
        peter = await session.load(PETER)
        peter.name = "Petra"
        entered = trio.Event()

        @session.once("update.pre")
        async def wait(event: evsession.CommitEvent) -> None:
            event.session.add(Log("x"))
            entered.set()
            await trio.sleep_forever()

        wire.take()
        told = Told()
        operation = session.commit(told)
        await entered.wait()
        operation.cancel()
        await session.drain()
        ((error, _),) = told.calls
        assert (type(error), error.uncertain) == (evsession.OperationCancelled, False)
        assert not wire.take()
        assert pending(session) == [(PETER, "update")]
        assert (session.in_commit, session.state) == (False, "idle")
        assert await session.commit() == [PETER]

    async def test_a_transaction_whose_commit_is_cancelled(
        self, relayed: evsession.Session, relay: Relay, store: evsession.Store
    ) -> None:
        session = relayed
        peter = await session.load(PETER)
        with relay.hold():
            async with trio.open_nursery() as nursery:

                async def stop() -> None:
                    await relay.wait_held()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(stop)
                async with session.transaction():
                    peter.name = "Petra"
                    await session.flush()
        assert nursery.cancel_scope.cancelled_caught
        assert not session.has_transaction()
        assert pending(session) == [(PETER, "update")]
        await session.refresh(peter)
        assert session.changes() == []
        assert (await row(store, PETER)).name == "Petra"


class TestCallbacksThatRaise:
    async def test_the_write_stands(self, store: evsession.Store) -> None:
        raised = Told()

        def callback(error: Any, keys: Any) -> None:
            raise LookupError("callback")

        async with store.open_session() as session:
            session.on("exception", raised)
            peter = await session.load(PETER)
            peter.name = "Petra"
            session.commit(callback)
            await session.drain()
            assert [type(error) for error in raised.errors] == [LookupError]
            assert session.changes() == []
            peter.name = "Paula"
            assert await session.commit() == [PETER]
        assert (await row(store, PETER)).name == "Paula"

    async def test_it_leaves_the_store(self, make_store: Any) -> None:
        with pytest.raises(ZeroDivisionError):
            async with make_store() as store, store.open_session() as session:
                session.commit(lambda error, keys: 1 / 0)
                await session.drain()
                await trio.sleep_forever()
