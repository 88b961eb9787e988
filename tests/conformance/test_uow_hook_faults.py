"""Hooks that raise, never end, or commit; and what is left of their work when the commit fails."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import evsession
from evsession import CommitEvent
from tests.conformance.kennel import Told, Wire
from tests.conformance.shelf import ANNA, BEN, HOOKS, PETER, Book, Log, User, edit, names_of, row

pytestmark = pytest.mark.usefixtures("users")

BATCH = ["POST /bulk_docs"]


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


def failing(*, waits: bool) -> Any:
    """Return a hook that raises, and what it raises."""
    error = LookupError("the hook's own")

    async def later(event: CommitEvent) -> None:
        await trio.lowlevel.checkpoint()
        raise error

    def at_once(event: CommitEvent) -> None:
        raise error

    return (later if waits else at_once), error


def pending(session: evsession.Session) -> list[tuple[str | None, str]]:
    return [(change.key, change.kind) for change in session.changes()]


@pytest.mark.parametrize("waits", [False, True], ids=["sync", "async"])
class TestExceptions:
    @pytest.mark.parametrize("name", [name for name in HOOKS if name.endswith(".pre")])
    async def test_before_the_write(self, name: str, waits: bool, session: evsession.Session, wire: Wire) -> None:
        peter, anna = await session.load([PETER, ANNA])
        hook, error = failing(waits=waits)
        session.once(name, hook)
        peter.name = "Petra"
        session.add(Log("x", id="x")).remove(anna)
        before = pending(session)
        told, heard = Told(), Told()
        session.on("error", heard)
        wire.take()
        with pytest.raises(LookupError) as caught:
            await session.commit(told)
        assert caught.value is error
        assert told.calls == [(error, None)]
        assert heard.calls == []  # handlers are for what sessions and servers fail with
        assert not wire.take()
        assert pending(session) == before == [(PETER, "update"), (ANNA, "delete"), ("logs/x", "insert")]
        assert (session.in_commit, session.state) == (False, "idle")
        saved = await session.commit()
        assert (saved, saved.removed) == ([PETER, "logs/x"], [ANNA])

    @pytest.mark.parametrize("name", ["insert.post", "update.post", "delete.post", "commit.post"])
    async def test_after_the_write(
        self, name: str, waits: bool, session: evsession.Session, store: evsession.Store, wire: Wire
    ) -> None:
        peter, anna = await session.load([PETER, ANNA])
        hook, error = failing(waits=waits)
        session.once(name, hook)
        peter.name = "Petra"
        log = Log("x", id="x")
        session.add(log).remove(anna)
        told = Told()
        with pytest.raises(LookupError) as caught:
            await session.commit(told)
        assert caught.value is error
        assert told.calls == [(error, None)]
        assert (await names_of(store, User), await names_of(store, Log)) == (["Ben", "Petra"], ["x"])
        assert pending(session) == []
        assert (log.id, anna in session.identity_map) == ("logs/x", False)
        wire.take()
        assert await session.commit() == []
        assert not wire.take()

    async def test_after_a_rollback(self, waits: bool, session: evsession.Session) -> None:
        hook, error = failing(waits=waits)
        session.once("rollback.post", hook)
        session.use_transaction()
        await session.add(Log("x")).flush()
        with pytest.raises(LookupError) as caught:
            await session.rollback()
        assert caught.value is error
        assert not session.has_transaction()
        assert await session.commit() == ["logs/1"]

    async def test_in_a_transaction_that_is_ended(
        self, waits: bool, session: evsession.Session, store: evsession.Store, wire: Wire
    ) -> None:
        hook, error = failing(waits=waits)
        session.once("insert.pre", hook)
        with pytest.raises(LookupError) as caught:
            async with session.transaction():
                session.add(Log("x"))
        assert caught.value is error
        assert not session.has_transaction()
        assert not wire.take()
        assert await session.commit() == ["logs/1"]

    async def test_later_hooks_are_not_called(self, waits: bool, session: evsession.Session) -> None:
        hook, _ = failing(waits=waits)
        calls = Told()
        session.once("insert.pre", hook)
        session.on("insert.pre", calls)
        session.add(Log("x"))
        with pytest.raises(LookupError):
            await session.commit()
        assert calls.calls == []


class TestUndoing:
    """What hooks have queued is taken back when the commit fails, so that the next one does not do it twice."""

    async def test_adds(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        session.options.use_optimistic_concurrency = True
        added: list[Log] = []

        @session.on("insert.pre", type=User)
        def log(event: CommitEvent) -> None:
            added.append(Log("insert"))
            event.session.add(added[-1])

        peter = await session.load(PETER)
        await edit(store, PETER, logins=1)
        peter.name = "Petra"
        session.add(User("new", id="new"))
        for _ in range(2):
            with pytest.raises(evsession.ConcurrencyError):
                await session.commit()
            assert [change.kind for change in session.changes()] == ["update", "insert"]
            assert added[-1] not in session.identity_map
            assert added[-1].id is None
        await session.refresh(peter, force=True)
        peter.name = "Petra"
        saved = await session.commit()
        assert (saved[:2], len(saved), saved.rounds) == ([PETER, "users/new"], 3, 2)
        assert await names_of(store, Log) == ["insert"]
        assert added[2].id == saved[2]

    async def test_removes(self, session: evsession.Session, store: evsession.Store) -> None:
        anna = await session.load(ANNA)
        hook, _ = failing(waits=False)
        session.once("insert.pre", lambda event: event.session.remove(anna, BEN))
        session.once("insert.pre", hook)
        session.add(Log("x"))
        with pytest.raises(LookupError):
            await session.commit()
        assert [change.kind for change in session.changes()] == ["insert"]
        assert not session.is_dirty(anna)
        assert BEN not in session.identity_map or not session.is_dirty(session.identity_map.get(BEN))
        saved = await session.commit()
        assert (saved, saved.removed) == (["logs/1"], [])
        assert await names_of(store, User) == ["Anna", "Ben", "Peter"]

    async def test_removes_of_new_ones(self, session: evsession.Session) -> None:
        log, book = Log("x"), Book("t")
        hook, _ = failing(waits=False)
        session.once("insert.pre", lambda event: event.session.remove(log), type=Book)
        session.once("insert.pre", hook, type=Book)
        session.add(log, book)
        with pytest.raises(LookupError):
            await session.commit()
        assert sorted(await session.commit()) == ["books/1", "logs/1"]

    async def test_adds_of_what_was_removed(self, session: evsession.Session) -> None:
        peter = await session.load(PETER)
        hook, _ = failing(waits=False)
        session.once("delete.pre", lambda event: event.session.add(peter))
        session.once("delete.pre", hook)
        session.remove(peter)
        with pytest.raises(LookupError):
            await session.commit()
        assert session.is_dirty(peter)
        assert (await session.commit()).removed == [PETER]

    async def test_vetoes(self, session: evsession.Session) -> None:
        peter = await session.load(PETER)
        hook, _ = failing(waits=False)
        session.once("insert.pre", lambda event: event.prevent())
        session.once("delete.pre", lambda event: event.prevent())
        session.once("insert.pre", hook)
        session.add(Log("x")).remove(peter)
        with pytest.raises(LookupError):
            await session.commit()
        saved = await session.commit()
        assert (saved, saved.removed) == (["logs/1"], [PETER])

    async def test_edits_stay_as_edits(self, session: evsession.Session, store: evsession.Store) -> None:
        anna = await session.load(ANNA)
        hook, _ = failing(waits=False)
        session.once("insert.pre", lambda event: setattr(anna, "name", "Anne"))
        session.once("insert.pre", hook)
        session.add(Log("x"))
        with pytest.raises(LookupError):
            await session.commit()
        assert session.is_dirty(anna)
        assert await session.commit() == [ANNA, "logs/1"]
        assert (await row(store, ANNA)).name == "Anne"

    async def test_increments_are_not_done_twice(self, session: evsession.Session, store: evsession.Store) -> None:
        anna = await session.load(ANNA)
        session.increment(anna, "logins", 2)
        hook, _ = failing(waits=False)
        session.once("update.pre", hook)
        with pytest.raises(LookupError):
            await session.commit()
        await edit(store, ANNA, logins=100)
        assert await session.commit() == [ANNA]
        assert ((await row(store, ANNA)).logins, anna.logins) == (102, 102)

    async def test_what_a_post_hook_added_before_another_raised(self, session: evsession.Session, store: evsession.Store) -> None:
        hook, _ = failing(waits=False)
        session.once("insert.post", lambda event: event.session.add(Log("of the hook")), type=User)
        session.once("insert.post", hook, type=User)
        with pytest.raises(LookupError):
            await session.add(User("x")).commit()
        assert session.changes() == []
        assert await session.commit() == []
        assert await names_of(store, Log) == []

    async def test_a_further_round_that_fails(self, session: evsession.Session, store: evsession.Store) -> None:
        """The first batch stands; what the hook queued for the second is taken back."""
        session.options.use_optimistic_concurrency = True
        session.once("insert.post", lambda event: event.session.store(User("Peter the Second"), key=PETER), type=User)
        user = User("x", id="x")
        with pytest.raises(evsession.ConcurrencyError) as caught:
            await session.add(user).commit()
        assert caught.value.key == PETER
        assert (await row(store, "users/x")).name == "x"
        assert session.changes() == []
        assert await session.commit() == []
        assert (await session.load(PETER)).name == "Peter"


class TestTooManyRounds:
    async def test_before_the_write(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 25."""

        def never_ends(event: CommitEvent) -> None:
            event.session.add(Log("more"))

        session.on("insert.pre", lambda event: None)
        session.on("insert.pre", never_ends)
        session.add(Log("first", id="first"))
        with pytest.raises(evsession.TransactionError, match=r"never_ends.*Log.*100 rounds"):
            await session.commit()
        assert not wire.take()
        assert pending(session) == [("logs/first", "insert")]
        session.off("insert.pre", never_ends)
        assert await session.commit() == ["logs/first"]

    async def test_after_the_write(self, session: evsession.Session, store: evsession.Store) -> None:
        async def never_ends(event: CommitEvent) -> None:
            event.session.add(Log("more"))

        session.on("insert.post", never_ends)
        session.add(Log("first"))
        with pytest.raises(evsession.TransactionError, match=r"never_ends.*Log.*100 rounds"):
            await session.commit()
        assert len(await names_of(store, Log)) == 100
        assert session.changes() == []

    async def test_a_hundred_are_allowed(self, session: evsession.Session, wire: Wire) -> None:
        logs = [Log(str(number)) for number in range(100)]
        session.on("insert.pre", lambda event: event.session.add(logs[event.round]) if event.round < 100 else None)
        saved = await session.add(logs[0]).commit()
        assert (len(saved), saved.rounds, wire.take()) == (100, 100, BATCH)

    async def test_edits_alone_end(self, session: evsession.Session, store: evsession.Store) -> None:
        """Each entity is announced once, so a hook that edits what it is told of does not call itself."""
        peter, anna = await session.load([PETER, ANNA])

        def poke(event: CommitEvent) -> None:
            peter.logins += 1
            anna.logins += 1

        session.on("update.pre", poke)
        peter.name = "Petra"
        saved = await session.commit()
        assert (sorted(saved), saved.rounds) == ([ANNA, PETER], 2)
        assert [(await row(store, key)).logins for key in (PETER, ANNA)] == [2, 7]


class TestCommitsInHooks:
    @pytest.mark.parametrize("name", ["insert.pre", "insert.post", "commit.pre", "commit.post"])
    @pytest.mark.parametrize("verb", ["commit", "save", "flush", "rollback", "commit_transaction"])
    async def test_raise(self, name: str, verb: str, session: evsession.Session, store: evsession.Store) -> None:
        errors: list[evsession.TransactionError] = []

        @session.once(name)
        async def commit(event: CommitEvent) -> None:
            with pytest.raises(evsession.TransactionError, match=verb) as caught:
                await getattr(event.session, verb)()
            errors.append(caught.value)

        with trio.fail_after(10):
            assert await session.add(Log("x")).commit() == ["logs/1"]
        assert len(errors) == 1

    async def test_waiting_for_the_session_or_its_end(self, session: evsession.Session) -> None:
        @session.once("insert.pre")
        async def wait(event: CommitEvent) -> None:
            for verb in ("drain", "aclose"):
                with pytest.raises(evsession.TransactionError, match=verb):
                    await getattr(event.session, verb)()

        with trio.fail_after(10):
            assert await session.add(Log("x")).commit() == ["logs/1"]
        assert session.state == "idle"

    async def test_that_are_not_caught(self, session: evsession.Session, wire: Wire) -> None:
        """Scenario 25."""
        session.once("insert.pre", lambda event: event.session.commit())
        with trio.fail_after(10):
            with pytest.raises(evsession.TransactionError, match="hook"):
                await session.add(Log("x")).commit()
            assert not wire.take()
            assert await session.commit() == ["logs/1"]

    async def test_in_a_task_of_the_hook(self, session: evsession.Session) -> None:
        @session.once("insert.pre")
        async def commit(event: CommitEvent) -> None:
            async def inner(verb: str) -> None:
                with pytest.raises(evsession.TransactionError):
                    await getattr(event.session, verb)()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(inner, "commit")
                nursery.start_soon(inner, "rollback")

        with trio.fail_after(10):
            assert await session.add(Log("x")).commit() == ["logs/1"]

    async def test_transactions(self, session: evsession.Session) -> None:
        @session.once("insert.pre")
        async def commit(event: CommitEvent) -> None:
            with pytest.raises(evsession.TransactionError):
                await event.session.transaction(lambda session: None)
            with pytest.raises(evsession.TransactionError):
                async with event.session.transaction():
                    pass

        with trio.fail_after(10):
            assert await session.add(Log("x")).commit() == ["logs/1"]
        assert not session.has_transaction()

    @pytest.mark.parametrize("verb", ["commit", "save", "flush"])
    async def test_with_a_callback_run_afterwards(self, verb: str, session: evsession.Session, store: evsession.Store) -> None:
        order: list[Any] = []
        session.on("insert.post", lambda event: order.append((event.name, event.entities[0].text)))
        session.once("commit.post", lambda event: order.append("end"))

        def queue(event: CommitEvent) -> None:
            log = Log("of the hook")
            event.session.add(log)
            getattr(event.session, verb)(lambda error, keys: order.append((error, list(keys))))

        session.once("insert.pre", queue)
        with trio.fail_after(10):
            saved = await session.add(Log("first")).commit()
            await session.drain()
        assert (saved, saved.rounds) == (["logs/1", "logs/2"], 2)
        assert order == [("insert.post", "first"), "end", (None, [])]
        assert len(await names_of(store, Log)) == 2

    async def test_in_a_callback_of_a_hook(self, session: evsession.Session) -> None:
        """An operation that the hook has started outlives it; its callback is not the hook any more."""
        told = Told()

        def start(event: CommitEvent) -> None:
            event.session.load(PETER, loaded)

        async def loaded(error: Any, user: Any) -> None:
            user.name = "Petra"
            told(await session.commit())

        session.once("insert.post", start)
        with trio.fail_after(10):
            await session.add(Log("x")).commit()
            await session.drain()
        assert told.calls == [([PETER],)]

    async def test_of_other_sessions(self, session: evsession.Session, store: evsession.Store) -> None:
        @session.once("insert.pre")
        async def log(event: CommitEvent) -> None:
            async with store.open_session() as other:
                assert await other.add(Log("other")).commit() == ["logs/1"]
            await store.get_session(None, lambda another: another.add(Log("another")) and None)
            await store.get_transaction(None, lambda another: another.add(Log("last")) and None)

        with trio.fail_after(10):
            assert await session.add(Log("mine")).commit() == ["logs/4"]
        assert await names_of(store, Log) == ["another", "last", "mine", "other"]
