"""Transactions of a document session: what `flush` stages, and what ends with it."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import evsession
from evsession import Change
from tests.conformance.kennel import Told, Wire
from tests.conformance.shelf import ANNA, BEN, PETER, Book, Log, User, edit, names_of, row

pytestmark = pytest.mark.usefixtures("users")

BATCH = ["POST /bulk_docs"]


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


class TestFlush:
    async def test_stages_and_commit_sends_one_batch(
        self, session: evsession.Session, store: evsession.Store, wire: Wire
    ) -> None:
        """Scenario 19."""
        assert (session.capabilities.interactive_transactions, session.capabilities.reads_own_writes) == (False, False)
        peter = await session.load(PETER)
        transaction = session.use_transaction()
        assert session.has_transaction()
        assert session.use_transaction() is session.assigned_transaction is transaction
        assert (transaction.is_open, transaction.staged, transaction.session) == (True, 0, session)
        peter.name = "Petra"
        wire.take()
        saved = await session.add(Log("x", id="x")).remove(BEN).flush()
        assert not wire.take()
        assert (transaction.staged, session.has_transaction()) == (3, True)
        assert (saved, saved.removed) == ([PETER, "logs/x"], [BEN])
        assert (await row(store, PETER)).name == "Peter"
        assert await names_of(store, User) == ["Anna", "Ben", "Peter"]
        saved = await session.commit()
        assert wire.take() == BATCH
        assert (saved, saved.removed) == ([PETER, "logs/x"], [BEN])
        assert await names_of(store, User) == ["Anna", "Petra"]
        now = [session.has_transaction(), session.assigned_transaction, transaction.is_open]
        assert now == [False, None, False]
        assert transaction.staged == 0
        assert await session.commit() == []

    async def test_of_several_flushes(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter = await session.load(PETER)
        transaction = session.use_transaction()
        new = Log("1", id="new")
        wire.take()
        peter.name = "one"
        await session.add(new).flush()
        peter.name, new.text = "two", "2"
        assert session.changes(peter) == {"name": Change("one", "two")}
        await session.flush()
        peter.logins = 7
        await session.add(Log("later", id="later")).flush()
        assert transaction.staged == 3
        peter.tags = []
        assert not wire.take()
        saved = await session.commit()
        assert wire.take() == BATCH
        assert sorted(saved) == ["logs/later", "logs/new", PETER]
        stored = await row(store, PETER)
        assert (stored.name, stored.logins, stored.tags) == ("two", 7, [])
        assert await names_of(store, Log) == ["2", "later"]
        assert session.changes() == []

    async def test_without_a_transaction_is_a_commit(self, session: evsession.Session, wire: Wire) -> None:
        assert await session.add(Log("x")).flush() == ["logs/1"]
        assert wire.take() == BATCH

    async def test_what_is_staged_and_taken_back(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter, anna = await session.load([PETER, ANNA])
        new = Log("x", id="x")
        session.use_transaction()
        peter.name = "Petra"
        await session.add(new).remove(anna).flush()
        session.remove(new).add(anna)
        peter.name = "Peter"
        wire.take()
        saved = await session.commit()
        assert (saved, saved.removed, saved.inserted) == ([], [], [])
        assert not wire.take()
        assert session.changes() == []
        assert (new in session.identity_map, session.identity_map.get(ANNA) is anna) == (False, True)

    async def test_that_is_removed_later(self, session: evsession.Session, store: evsession.Store) -> None:
        peter = await session.load(PETER)
        session.use_transaction()
        peter.name = "Petra"
        await session.flush()
        await session.remove(peter).flush()
        assert (await session.commit()).removed == [PETER]
        assert await row(store, PETER) is None

    async def test_what_is_forgotten_is_not_sent(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter, anna = await session.load([PETER, ANNA])
        session.use_transaction()
        peter.name = anna.name = "x"
        await session.flush()
        session.evict(peter)
        assert await session.commit() == [ANNA]
        session.use_transaction()
        anna.name = "y"
        await session.add(Log("x")).flush()
        session.clear()
        assert session.has_transaction()
        wire.take()
        assert await session.commit() == []
        assert not wire.take()
        assert await names_of(store, User) == ["Ben", "Peter", "x"]

    async def test_what_others_see(self, session: evsession.Session, store: evsession.Store) -> None:
        """Loads answer from the identity map; queries see what is committed, and their rows are the known entities."""
        peter = await session.load(PETER)
        session.use_transaction()
        peter.logins = 77
        await session.add(User("new")).flush()
        assert await session.load(PETER) is peter
        documents, _ = await session.query(User)
        assert sorted(user.name for user in documents) == ["Anna", "Ben", "Peter"]
        assert [user for user in documents if user is peter] == [peter]
        assert peter.logins == 77
        documents, _ = await session.query(User, {"logins": 77}, wait_for_non_stale=True)
        assert documents == []
        await session.rollback()

    async def test_staged_edits_are_not_refreshed_away(self, session: evsession.Session, store: evsession.Store) -> None:
        peter = await session.load(PETER)
        session.use_transaction()
        peter.name = "Petra"
        await session.flush()
        with pytest.raises(evsession.DirtyEntity):
            await session.refresh(peter)
        assert peter.name == "Petra"
        await session.commit()
        assert (await row(store, PETER)).name == "Petra"

    async def test_that_is_refused_stages_nothing(self, session: evsession.Session, wire: Wire) -> None:
        peter = await session.load(PETER)
        transaction = session.use_transaction()
        peter.tags = [float("nan")]
        session.add(Log("x"))
        with pytest.raises(evsession.InvalidDocument):
            await session.flush()
        assert (transaction.staged, transaction.is_open) == (0, True)
        await session.rollback()
        peter.tags = []
        assert await session.commit() == [PETER, "logs/1"]


class TestRollback:
    async def test_gives_back_what_was_flushed(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 20."""
        peter, ben = await session.load([PETER, BEN])
        new = Log("x", id="x")
        session.use_transaction()
        peter.name = "Petra"
        await session.add(new).remove(ben).flush()
        wire.take()
        await session.rollback()
        assert not wire.take()
        assert (session.has_transaction(), peter.name) == (False, "Petra")
        kinds = [(change.entity, change.kind) for change in session.changes()]
        assert kinds == [(peter, "update"), (ben, "delete"), (new, "insert")]
        assert session.changes(peter) == {"name": Change("Peter", "Petra")}
        assert await names_of(store, User) == ["Anna", "Ben", "Peter"]
        saved = await session.commit()
        assert wire.take() == BATCH
        assert (saved.updated, saved.inserted, saved.removed) == ([PETER], ["logs/x"], [BEN])
        assert await names_of(store, User) == ["Anna", "Petra"]

    async def test_of_several_flushes_gives_back_all(self, session: evsession.Session, store: evsession.Store) -> None:
        peter = await session.load(PETER)
        session.use_transaction()
        for name in ("one", "two"):
            peter.name = name
            await session.flush()
        session.remove(peter)
        await session.flush()
        session.add(peter)
        await session.rollback()
        assert session.changes(peter) == {"name": Change("Peter", "two")}
        session.revert(peter)
        assert (peter.name, session.is_dirty(peter)) == ("Peter", False)

    async def test_leaves_what_was_not_flushed(self, session: evsession.Session) -> None:
        session.use_transaction()
        session.add(Log("x"))
        await session.rollback()
        assert await session.commit() == ["logs/1"]

    async def test_increments(self, session: evsession.Session, store: evsession.Store) -> None:
        anna = await session.load(ANNA)
        session.use_transaction()
        session.increment(anna, "logins", 2)
        await session.flush()
        session.increment(anna, "logins", 3)
        await session.rollback()
        await edit(store, ANNA, logins=100)
        assert await session.commit() == [ANNA]
        assert ((await row(store, ANNA)).logins, anna.logins) == (105, 105)

    async def test_without_a_transaction_is_silent(self, session: evsession.Session, wire: Wire) -> None:
        """Scenario 21."""
        peter = await session.load(PETER)
        peter.name = "Petra"
        wire.take()
        await session.rollback()
        session.use_transaction()
        await session.rollback()
        session.use_transaction()
        peter.name = "Peter"
        assert await session.commit() == []
        assert not session.has_transaction()
        assert not wire.take()


class TestCommitTransaction:
    async def test_sends_what_was_flushed_alone(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter, anna = await session.load([PETER, ANNA])
        session.use_transaction()
        peter.name = "Petra"
        await session.flush()
        peter.logins, anna.name = 99, "Anne"
        session.add(Log("x"))
        wire.take()
        assert await session.commit_transaction() == [PETER]
        assert wire.take() == BATCH
        assert not session.has_transaction()
        stored = await row(store, PETER)
        assert (stored.name, stored.logins) == ("Petra", 0)
        assert session.changes(peter) == {"logins": Change(0, 99)}
        assert await session.commit() == [PETER, ANNA, "logs/1"]

    async def test_without_a_transaction_or_a_flush(self, session: evsession.Session, wire: Wire) -> None:
        session.add(Log("x"))
        assert await session.commit_transaction() == []
        session.use_transaction()
        assert await session.commit_transaction() == []
        assert not session.has_transaction()
        assert not wire.take()
        assert await session.commit() == ["logs/1"]

    async def test_increments(self, session: evsession.Session, store: evsession.Store) -> None:
        anna = await session.load(ANNA)
        session.use_transaction()
        session.increment(anna, "logins", 2)
        await session.flush()
        session.increment(anna, "logins", 3)
        await edit(store, ANNA, logins=100)
        assert await session.commit_transaction() == [ANNA]
        assert (await row(store, ANNA)).logins == 102
        assert await session.commit() == [ANNA]
        assert ((await row(store, ANNA)).logins, anna.logins) == (105, 105)


class TestTheObject:
    async def test_has_the_sessions_verbs(self, session: evsession.Session, store: evsession.Store) -> None:
        transaction = session.use_transaction()
        peter = await transaction.load(PETER)
        peter.name = "Petra"
        transaction.add(Log("x")).remove(BEN)
        documents, _ = await transaction.query(User)
        assert len(documents) == 3
        saved = await transaction.commit()
        assert (saved, saved.removed) == ([PETER, "logs/1"], [BEN])
        assert "ended" in repr(transaction)

    async def test_is_of_one_use(self, session: evsession.Session) -> None:
        transaction = session.use_transaction()
        assert "open" in repr(transaction)
        await transaction.rollback()
        assert not transaction.is_open
        for verb in (transaction.commit, transaction.rollback):
            with pytest.raises(evsession.TransactionError):
                verb()
        another = session.use_transaction()
        assert another is not transaction
        assert (another.is_open, transaction.is_open) == (True, False)
        with pytest.raises(evsession.TransactionError):
            transaction.commit()
        assert another.is_open
        with pytest.raises(AttributeError):
            transaction.no_such_verb  # noqa: B018

    async def test_ends_with_the_session(self, store: evsession.Store) -> None:
        session = store.open_session()
        transaction = session.use_transaction()
        await session.add(Log("x")).flush()
        with pytest.warns(ResourceWarning, match="was closed with a transaction open"):
            await session.aclose()
        assert not transaction.is_open
        assert await names_of(store, Log) == []


class TestBlock:
    async def test_commits(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        async with session.transaction() as transaction:
            assert transaction is session.assigned_transaction
            session.add(Log("1"))
            await session.flush()
            session.add(Log("2"))
            assert not wire.take()
        assert wire.take() == BATCH
        assert not session.has_transaction()
        assert await names_of(store, Log) == ["1", "2"]
        async with session.transaction():
            pass
        assert not wire.take()

    async def test_rolls_back_and_lets_the_exception_through(self, session: evsession.Session, wire: Wire) -> None:
        error = LookupError("own")
        with pytest.raises(LookupError) as caught:
            async with session.transaction():
                session.add(Log("1"))
                await session.flush()
                raise error
        assert caught.value is error
        assert not session.has_transaction()
        assert not wire.take()
        assert await session.commit() == ["logs/1"]

    async def test_that_ends_it_itself(self, session: evsession.Session, store: evsession.Store) -> None:
        async with session.transaction() as transaction:
            session.add(Log("1"))
            await transaction.rollback()
        assert not session.has_transaction()
        assert await names_of(store, Log) == []
        async with session.transaction() as transaction:
            await transaction.commit()
        assert await names_of(store, Log) == ["1"]

    async def test_that_goes_on_after_a_commit_of_its_own(self, session: evsession.Session, store: evsession.Store) -> None:
        async with session.transaction():
            await session.add(Log("1")).commit()
            session.add(Log("2"))
        assert await names_of(store, Log) == ["1", "2"]

        async def work(inside: evsession.Session) -> str:
            await inside.add(Log("3")).commit()
            inside.add(Log("4"))
            return "done"

        assert await session.transaction(work) == "done"
        assert await names_of(store, Log) == ["1", "2", "3", "4"]
        with pytest.raises(ZeroDivisionError):
            async with session.transaction():
                await session.add(Log("5")).commit()
                session.add(Log(str(1 // 0)))
        assert await names_of(store, Log) == ["1", "2", "3", "4", "5"]

    async def test_does_not_nest(self, session: evsession.Session, store: evsession.Store) -> None:
        """Scenario 21: the outer one stays open, and is not committed by the inner one."""
        async with session.transaction() as outer:
            await session.add(Log("outer")).flush()
            with pytest.raises(evsession.TransactionError):
                async with session.transaction():
                    raise AssertionError
            with pytest.raises(evsession.TransactionError):
                await session.transaction(lambda inner: None)
            assert outer.is_open
            assert outer.staged == 1
            assert await names_of(store, Log) == []
        assert await names_of(store, Log) == ["outer"]

    async def test_whose_commit_fails_is_rolled_back(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        peter = await session.load(PETER)
        await edit(store, PETER, logins=50)
        peter.name = "Petra"
        with pytest.raises(evsession.ConcurrencyError):
            async with session.transaction():
                await session.add(Log("x", id="x")).flush()
        assert not session.has_transaction()
        assert [change.kind for change in session.changes()] == ["update", "insert"]
        await session.refresh(peter, force=True)
        assert peter.logins == 50
        peter.name = "Petra"
        assert await session.commit() == [PETER, "logs/x"]

    async def test_that_is_cancelled(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter = await session.load(PETER)
        wire.take()
        with trio.CancelScope() as scope:
            async with session.transaction():
                peter.name = "Petra"
                await session.flush()
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert not session.has_transaction()
        assert not wire.take()
        assert session.changes(peter) == {"name": Change("Peter", "Petra")}
        assert await session.commit() == [PETER]


class TestWork:
    async def test_returns_its_value(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 21."""

        async def work(given: Any) -> str:
            assert given is session
            assert session.has_transaction()
            given.add(Log("1"), Log("2"))
            await given.flush()
            given.add(Log("3"))
            assert await names_of(store, Log) == []
            return "value"

        assert await session.transaction(work) == "value"
        assert wire.take() == BATCH
        assert await names_of(store, Log) == ["1", "2", "3"]
        assert not session.has_transaction()
        assert await session.transaction(lambda given: 7) == 7
        assert not wire.take()

    @pytest.mark.parametrize("waits", [False, True])
    async def test_that_raises(self, waits: bool, session: evsession.Session, store: evsession.Store) -> None:
        """Scenario 21."""
        error = LookupError("own")

        async def later(given: Any) -> None:
            await given.add(Log("x")).flush()
            raise error

        def at_once(given: Any) -> None:
            given.add(Log("x"))
            raise error

        told = Told()
        with pytest.raises(LookupError) as caught:
            await session.transaction(later if waits else at_once, told)
        assert caught.value is error
        assert told.calls == [(error, None)]
        assert not session.has_transaction()
        assert await names_of(store, Log) == []
        assert await session.commit() == ["logs/1"]

    async def test_with_a_callback(self, session: evsession.Session) -> None:
        told = Told()
        session.transaction(lambda given: [given.add(Log("x")), "value"][1], told)
        assert told.calls == []
        await session.drain()
        assert told.calls == [(None, "value")]
        assert not session.has_transaction()

    async def test_that_is_none(self, session: evsession.Session) -> None:
        wrong: Any = 5
        with pytest.raises(TypeError):
            session.transaction(wrong)
        assert not session.has_transaction()

    async def test_that_is_cancelled(self, session: evsession.Session, wire: Wire) -> None:
        started = trio.Event()

        async def work(given: Any) -> None:
            await given.add(Log("x")).flush()
            started.set()
            await trio.sleep_forever()

        told = Told()
        operation = session.transaction(work, told)
        await started.wait()
        operation.cancel()
        await session.drain()
        ((error, _),) = told.calls
        assert isinstance(error, evsession.OperationCancelled)
        assert not error.uncertain
        assert not session.has_transaction()
        assert not wire.take()
        assert await session.commit() == ["logs/1"]

    async def test_takes_longer_than_one_operation_may(self, session: evsession.Session) -> None:
        session.options.timeout = 0.05

        async def work(given: Any) -> str:
            await trio.sleep(0.1)
            return "done"

        assert await session.transaction(work) == "done"


class TestRetries:
    async def test_until_it_succeeds(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        seen: list[int] = []

        async def work(given: Any) -> int:
            anna = await given.load(ANNA)
            seen.append(anna.logins)
            if len(seen) < 3:
                await edit(store, ANNA, logins=anna.logins + 100)
            anna.logins += 1
            given.add(Log("counted"))
            logins: int = anna.logins
            return logins

        assert await session.transaction(work, retries=2) == 206
        assert seen == [5, 105, 205]
        assert (await row(store, ANNA)).logins == 206
        assert await names_of(store, Log) == ["counted"]

    async def test_that_are_used_up(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        attempts: list[int] = []

        async def work(given: Any) -> None:
            anna = await given.load(ANNA)
            attempts.append(anna.logins)
            await edit(store, ANNA, logins=anna.logins + 100)
            anna.logins += 1

        told = Told()
        with pytest.raises(evsession.ConcurrencyError) as caught:
            await session.transaction(work, told, retries=1)
        assert caught.value.key == ANNA
        assert attempts == [5, 105]
        assert told.calls == [(caught.value, None)]
        assert not session.has_transaction()

    async def test_of_another_failure_there_are_none(self, session: evsession.Session) -> None:
        attempts: list[int] = []

        async def work(given: Any) -> None:
            attempts.append(1)
            raise LookupError

        with pytest.raises(LookupError):
            await session.transaction(work, retries=5)
        assert attempts == [1]

    async def test_of_none_there_is_one_attempt(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        attempts: list[int] = []

        async def work(given: Any) -> None:
            attempts.append(1)
            anna = await given.load(ANNA)
            await edit(store, ANNA, logins=50)
            anna.logins += 1

        with pytest.raises(evsession.ConcurrencyError):
            await session.transaction(work)
        assert attempts == [1]


async def test_a_transaction_that_fails_stays_open_until_it_is_rolled_back(
    session: evsession.Session, store: evsession.Store, wire: Wire
) -> None:
    session.options.use_optimistic_concurrency = True
    peter = await session.load(PETER)
    transaction = session.use_transaction()
    peter.name = "Petra"
    await session.flush()
    await edit(store, PETER, logins=50)
    await session.add(Book("t", id="t")).flush()
    for _ in range(2):
        with pytest.raises(evsession.ConcurrencyError) as caught:
            await session.commit()
        assert caught.value.key == PETER
        assert (transaction.is_open, transaction.staged) == (True, 2)
    await session.rollback()
    assert [change.kind for change in session.changes()] == ["update", "insert"]
    session.evict(peter)
    assert await session.commit() == ["books/t"]


class TestStaged:
    """What a flush has staged is nobody's to undo but the transaction's."""

    @pytest.mark.parametrize("how", ["patch", "load"])
    async def test_stays_when_the_document_is_read(self, session: evsession.Session, store: evsession.Store, how: str) -> None:
        peter = await session.load(PETER)
        session.use_transaction()
        peter.name = "Petra"
        await session.flush()
        if how == "patch":
            await session.patch(PETER, [{"Type": "Set", "Name": "logins", "Value": 7}])
        else:
            await edit(store, PETER, logins=7)
            session.options.cache = False
            assert await session.load(PETER) is peter
        assert (peter.name, peter.logins) == ("Petra", 0)
        assert await session.commit() == [PETER]
        assert (await row(store, PETER)).name == "Petra"

    @pytest.mark.parametrize("is_new", [False, True])
    async def test_is_given_up_when_the_document_is_deleted(
        self, session: evsession.Session, store: evsession.Store, *, is_new: bool
    ) -> None:
        entity: Any = Log("x", id="x") if is_new else await session.load(PETER)
        session.add(entity).use_transaction()
        if not is_new:
            entity.name = "Petra"
        await session.flush()
        await session.delete(entity)
        assert await session.commit() == []
        assert await row(store, "logs/x" if is_new else PETER) is None


async def test_a_block_cannot_be_run_again(session: evsession.Session) -> None:
    again: Any = {"retries": 3}
    with pytest.raises(TypeError, match="cannot be run again"):
        session.transaction(**again)
