"""`get_session`, `get_transaction` and `get_runnable`: what is passed in is used, what they open they end."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import evsession
from evsession import get_runnable, get_session, get_transaction
from tests.conformance.kennel import Told
from tests.conformance.shelf import PETER, Log, Relay, User, edit, names_of, row

pytestmark = pytest.mark.usefixtures("users")

ALL = ("get_session", "get_transaction", "get_runnable")


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


@pytest.fixture(params=["function", "method"])
def call(request: pytest.FixtureRequest) -> Any:
    """Call a helper by its name, as a function of the package or as a method of the store."""
    if request.param == "method":
        return lambda name, existing, work, store, *more: getattr(store, name)(existing, work, *more)
    return lambda name, existing, work, store, *more: getattr(evsession, name)(existing, work, store, *more)


class TestWithNothing:
    @pytest.mark.parametrize("name", ["get_session", "get_runnable"])
    async def test_a_session_is_opened_committed_and_closed(self, call: Any, name: str, store: evsession.Store) -> None:
        given: list[Any] = []

        async def work(session: Any) -> str:
            given.append((session, session.state, session.has_transaction()))
            peter = await session.load(PETER)
            peter.name = "Petra"
            session.add(Log("x"))
            return "value"

        assert await call(name, None, work, store) == "value"
        ((session, state, in_transaction),) = given
        assert isinstance(session, evsession.Session)
        assert (state, in_transaction, session.state) == ("idle", False, "closed")
        assert (await row(store, PETER)).name == "Petra"
        assert await names_of(store, Log) == ["x"]
        assert await call(name, None, lambda session: 7, store) == 7

    @pytest.mark.parametrize("name", ["get_session", "get_transaction", "get_runnable"])
    async def test_what_callbacks_of_the_work_add_is_committed_too(self, call: Any, name: str, store: evsession.Store) -> None:
        def work(session: Any) -> None:
            session.add(Log("1"))
            session.exists(PETER, lambda error, found: session.add(Log(f"found {found}")))

        await call(name, None, work, store)
        assert await names_of(store, Log) == ["1", "found True"]

    async def test_a_transaction_is_opened_committed_and_its_session_closed(self, call: Any, store: evsession.Store) -> None:
        given: list[Any] = []

        async def work(transaction: Any) -> str:
            given.append(transaction)
            assert isinstance(transaction, evsession.Transaction)
            assert transaction.is_open
            transaction.add(Log("1"))
            await transaction.flush()
            transaction.add(Log("2"))
            assert await names_of(store, Log) == []
            return "value"

        assert await call("get_transaction", None, work, store) == "value"
        (transaction,) = given
        assert (transaction.is_open, transaction.session.state) == (False, "closed")
        assert await names_of(store, Log) == ["1", "2"]

    @pytest.mark.parametrize("name", ALL)
    @pytest.mark.parametrize("waits", [False, True], ids=["sync", "async"])
    async def test_work_that_raises(self, call: Any, name: str, waits: bool, store: evsession.Store) -> None:
        given: list[Any] = []
        error = LookupError("own")

        async def later(runnable: Any) -> None:
            given.append(runnable)
            await runnable.load(PETER)
            runnable.add(Log("x"))
            raise error

        def at_once(runnable: Any) -> None:
            given.append(runnable)
            runnable.add(Log("x"))
            raise error

        told = Told()
        with pytest.raises(LookupError) as caught:
            await call(name, None, later if waits else at_once, store, told)
        assert caught.value is error
        assert told.calls == [(error, None)]
        session = getattr(given[0], "session", given[0])
        assert session.state == "closed"
        assert await names_of(store, Log) == []

    @pytest.mark.parametrize("name", ALL)
    async def test_a_commit_that_fails(self, name: str, make_store: Any) -> None:
        given: list[Any] = []

        async def work(runnable: Any) -> str:
            given.append(runnable)
            peter = await runnable.load(PETER)
            await edit(store, PETER, logins=50)
            peter.name = "Petra"
            return "value"

        async with make_store(options={"use_optimistic_concurrency": True}) as store:
            with pytest.raises(evsession.ConcurrencyError) as caught:
                await getattr(store, name)(None, work)
            assert caught.value.key == PETER
            assert getattr(given[0], "session", given[0]).state == "closed"
            assert not getattr(given[0], "session", given[0]).has_transaction()
            assert (await row(store, PETER)).name == "Peter"

    @pytest.mark.parametrize("name", ALL)
    async def test_work_that_commits_or_closes_itself(self, name: str, store: evsession.Store) -> None:
        async def commits(runnable: Any) -> str:
            await runnable.add(Log(name)).commit()
            return "value"

        async def rolls_back(runnable: Any) -> str:
            runnable.add(Log("never"))
            await runnable.rollback()
            getattr(runnable, "session", runnable).clear()
            return "value"

        assert await getattr(store, name)(None, commits) == "value"
        assert await getattr(store, name)(None, rolls_back) == "value"
        assert await names_of(store, Log) == [name]

    @pytest.mark.parametrize("name", ALL)
    async def test_cancellation(self, name: str, store: evsession.Store) -> None:
        given: list[Any] = []

        async def work(runnable: Any) -> None:
            given.append(runnable)
            runnable.add(Log("x"))
            await runnable.flush() if name == "get_transaction" else None
            scope.cancel()
            await trio.sleep_forever()

        with trio.CancelScope() as scope:
            await getattr(store, name)(None, work)
        assert scope.cancelled_caught
        session = getattr(given[0], "session", given[0])
        assert (session.state, session.has_transaction()) == ("closed", False)
        assert await names_of(store, Log) == []

    async def test_without_a_store(self) -> None:
        for helper in (get_session, get_transaction, get_runnable):
            with pytest.raises(evsession.ConfigurationError, match="store"):
                helper(None, lambda session: None)


class TestWithASession:
    @pytest.mark.parametrize("name", ["get_session", "get_runnable"])
    async def test_it_is_used_and_nothing_else(
        self, call: Any, name: str, session: evsession.Session, store: evsession.Store
    ) -> None:
        def work(given: Any) -> str:
            assert given is session
            given.add(Log("x", id="x"))
            return "value"

        assert await call(name, session, work, store) == "value"
        assert session.state == "idle"
        assert [change.kind for change in session.changes()] == ["insert"]
        assert await names_of(store, Log) == []
        assert await getattr(evsession, name)(session, lambda given: given) is session
        assert await session.commit() == ["logs/x"]

    @pytest.mark.parametrize("name", ["get_session", "get_runnable"])
    async def test_work_that_raises(self, name: str, session: evsession.Session, store: evsession.Store) -> None:
        error = LookupError("own")

        async def work(given: Any) -> None:
            given.add(Log("x", id="x"))
            raise error

        with pytest.raises(LookupError) as caught:
            await getattr(evsession, name)(session, work)
        assert caught.value is error
        assert session.state == "idle"
        assert await session.commit() == ["logs/x"]

    async def test_a_transaction_in_it(self, call: Any, session: evsession.Session, store: evsession.Store) -> None:
        async def work(transaction: Any) -> str:
            is_its_own: bool = transaction is session.assigned_transaction
            assert is_its_own
            await transaction.add(Log("x")).flush()
            return "value"

        assert await call("get_transaction", session, work, store) == "value"
        assert (session.state, session.has_transaction()) == ("idle", False)
        assert await names_of(store, Log) == ["x"]

    async def test_a_transaction_that_fails(self, session: evsession.Session, store: evsession.Store) -> None:
        error = LookupError("own")

        async def work(transaction: Any) -> None:
            await transaction.add(Log("x", id="x")).flush()
            raise error

        with pytest.raises(LookupError) as caught:
            await get_transaction(session, work)
        assert caught.value is error
        assert (session.state, session.has_transaction()) == ("idle", False)
        assert [change.kind for change in session.changes()] == ["insert"]
        assert await session.commit() == ["logs/x"]

    async def test_the_transaction_that_is_open_in_it_is_shared(self, session: evsession.Session, store: evsession.Store) -> None:
        transaction = session.use_transaction()

        def work(given: Any) -> None:
            assert given is transaction
            given.add(Log("x"))

        await get_transaction(session, work)
        assert transaction.is_open
        assert await names_of(store, Log) == []
        with pytest.raises(LookupError):
            await get_transaction(session, raising)
        assert transaction.is_open
        await session.commit()
        assert await names_of(store, Log) == ["x"]

    @pytest.mark.parametrize("name", ALL)
    async def test_that_is_closed(self, name: str, store: evsession.Store) -> None:
        closed = store.open_session()
        await closed.aclose()
        calls = Told()
        with pytest.raises(evsession.SessionClosed):
            await getattr(evsession, name)(closed, calls)
        assert calls.calls == []


def raising(given: Any) -> None:
    raise LookupError


class TestWithATransaction:
    @pytest.mark.parametrize("name", ALL)
    async def test_it_is_used_and_not_ended(
        self, call: Any, name: str, session: evsession.Session, store: evsession.Store
    ) -> None:
        transaction = session.use_transaction()

        async def work(given: Any) -> str:
            assert given is transaction
            await given.add(Log("x")).flush()
            return "value"

        assert await call(name, transaction, work, store) == "value"
        assert (transaction.is_open, transaction.staged, session.state) == (True, 1, "transaction")
        with pytest.raises(LookupError):
            await call(name, transaction, raising, store)
        assert (transaction.is_open, transaction.staged) == (True, 1)
        assert await names_of(store, Log) == []
        await transaction.commit()
        assert await names_of(store, Log) == ["x"]


class TestNesting:
    @pytest.mark.parametrize("inner", ALL)
    @pytest.mark.parametrize("middle", ALL)
    @pytest.mark.parametrize("outer", ALL)
    async def test_three_levels(self, outer: str, middle: str, inner: str, store: evsession.Store) -> None:
        """The outermost one ends what it opened; a transaction is ended by the outermost get_transaction."""
        seen: list[Any] = []

        def session_of(runnable: Any) -> Any:
            return getattr(runnable, "session", runnable)

        async def third(runnable: Any) -> str:
            seen.append(runnable)
            runnable.add(Log("3"))
            return "value"

        async def second(runnable: Any) -> Any:
            seen.append(runnable)
            runnable.add(Log("2"))
            value = await getattr(store, inner)(runnable, third)
            assert session_of(runnable).state != "closed"
            if "get_transaction" in (outer, middle):
                assert await names_of(store, Log) == []
            return value

        async def first(runnable: Any) -> Any:
            seen.append(runnable)
            runnable.add(Log("1"))
            value = await getattr(store, middle)(runnable, second)
            assert session_of(runnable).state != "closed"
            if outer == "get_transaction":
                assert await names_of(store, Log) == []
                assert runnable.is_open
            else:
                assert not session_of(runnable).has_transaction()
            return value

        assert await getattr(store, outer)(None, first) == "value"
        (session,) = {id(session_of(runnable)): session_of(runnable) for runnable in seen}.values()
        assert (session.state, session.has_transaction()) == ("closed", False)
        kinds = ["transaction" if isinstance(one, evsession.Transaction) else "session" for one in seen]
        in_transaction = [name == "get_transaction" for name in (outer, middle, inner)]
        expected = ["transaction" if any(in_transaction[: level + 1]) else "session" for level in range(3)]
        assert kinds == expected
        assert await names_of(store, Log) == ["1", "2", "3"]

    @pytest.mark.parametrize("inner", ALL)
    @pytest.mark.parametrize("outer", ALL)
    async def test_an_error_inside_ends_all(self, outer: str, inner: str, store: evsession.Store) -> None:
        error, seen = LookupError("own"), []

        async def third(runnable: Any) -> None:
            runnable.add(Log("3"))
            await runnable.flush() if isinstance(runnable, evsession.Transaction) else None
            raise error

        async def second(runnable: Any) -> Any:
            return await getattr(store, inner)(runnable, third)

        async def first(runnable: Any) -> Any:
            seen.append(getattr(runnable, "session", runnable))
            runnable.add(Log("1"))
            return await getattr(store, inner)(runnable, second)

        with pytest.raises(LookupError) as caught:
            await getattr(store, outer)(None, first)
        assert caught.value is error
        assert (seen[0].state, seen[0].has_transaction()) == ("closed", False)
        assert await names_of(store, Log) == []

    async def test_an_error_that_the_work_catches(self, store: evsession.Store) -> None:
        async def work(transaction: Any) -> str:
            transaction.add(Log("1"))
            with pytest.raises(LookupError):
                await get_transaction(transaction, raising)
            transaction.add(Log("2"))
            return "value"

        assert await store.get_transaction(None, work) == "value"
        assert await names_of(store, Log) == ["1", "2"]

    async def test_with_nothing_inside_is_independent(self, store: evsession.Store) -> None:
        async def work(transaction: Any) -> None:
            transaction.add(Log("outer"))
            await store.get_transaction(None, lambda other: other.add(Log("inner")) and None)
            raise LookupError

        with pytest.raises(LookupError):
            await store.get_transaction(None, work)
        assert await names_of(store, Log) == ["inner"]


class TestFailuresOfTheEnd:
    async def test_of_the_commit(self, relay: Relay, database: str, store: evsession.Store) -> None:
        """A lost commit: the error of the commit is told, the session is closed, and nothing is repeated."""
        given: list[Any] = []

        def work(runnable: Any) -> None:
            given.append(getattr(runnable, "session", runnable))
            runnable.add(Log("x"))
            relay.lose("answer")

        async with evsession.Store(relay.url, database) as relayed:
            for name in ALL:
                with pytest.raises(evsession.ConnectionFailed) as caught:
                    await getattr(relayed, name)(None, work)
                assert caught.value.uncertain
                assert (given[-1].state, given[-1].has_transaction()) == ("closed", False)
        assert await names_of(store, Log) == ["x"] * 3

    async def test_of_the_rollback(self, store: evsession.Store) -> None:
        """The original error survives a hook of the rollback that raises."""
        error, given = LookupError("own"), []

        async def work(transaction: Any) -> None:
            given.append(transaction.session)
            transaction.session.on("rollback.post", fail)
            await transaction.add(Log("x")).flush()
            raise error

        def fail(event: evsession.CommitEvent) -> None:
            raise ZeroDivisionError

        with pytest.raises(LookupError) as caught:
            await store.get_transaction(None, work)
        assert caught.value is error
        assert isinstance(error.__context__, ZeroDivisionError)
        assert (given[0].state, given[0].has_transaction()) == ("closed", False)
        assert await names_of(store, Log) == []

    async def test_of_the_close(self, store: evsession.Store, monkeypatch: pytest.MonkeyPatch) -> None:
        error = LookupError("own")
        closing = evsession.Session.aclose

        async def fail(session: evsession.Session) -> None:
            await closing(session)
            raise ZeroDivisionError

        def work(session: Any) -> None:
            raise error

        monkeypatch.setattr(evsession.Session, "aclose", fail)
        with pytest.raises(LookupError) as caught:
            await get_session(None, work, store)
        assert caught.value is error
        with pytest.raises(ZeroDivisionError):
            await get_session(None, lambda session: session.add(Log("x")) and None, store)
        monkeypatch.undo()
        assert await names_of(store, Log) == ["x"]


class TestCalling:
    @pytest.mark.parametrize("name", ALL)
    async def test_with_a_callback(self, call: Any, name: str, store: evsession.Store) -> None:
        told = Told()
        operation = call(name, None, lambda runnable: runnable.add(Log("x")) and "value", store, told)
        assert told.calls == []
        await operation
        assert told.calls == [(None, "value")]
        assert operation.name == name

    @pytest.mark.parametrize("name", ALL)
    def test_in_a_program_of_callbacks(self, name: str, make_store: Any) -> None:
        store, told = make_store(), Told()

        def main() -> None:
            def work(runnable: Any) -> str:
                runnable.add(User("new", id="new"))
                return "value"

            getattr(store, name)(None, work, told)

        store.run(main)
        assert told.calls == [(None, "value")]
        assert store.run(names_of, store, User) == ["Anna", "Ben", "Peter", "new"]

    @pytest.mark.parametrize("name", ALL)
    async def test_the_callback_in_the_place_of_the_store(self, name: str, session: evsession.Session) -> None:
        told = Told()
        await getattr(evsession, name)(session, lambda given: "value", told)
        assert told.calls == [(None, "value")]

    @pytest.mark.parametrize("name", ALL)
    async def test_nonsense(self, name: str, session: evsession.Session, store: evsession.Store) -> None:
        helper = getattr(evsession, name)
        for existing, work, where in (
            (session, 5, None),
            (session, None, None),
            (5, raising, None),
            ("session", raising, store),
            (store, raising, store),
            (None, raising, 5),
        ):
            with pytest.raises(TypeError):
                helper(existing, work, where)

    async def test_many_operations_in_one_session(self, store: evsession.Store) -> None:
        async def find(session: Any, name: str) -> Any:
            async def work(given: Any) -> Any:
                users, _ = await given.query(User, {"name": name}, wait_for_non_stale=True)
                return users.first()

            return await get_session(session, work, store)

        async def work(session: Any) -> None:
            one = await find(session, "Peter")
            assert await find(session, "Peter") is one
            assert one is session.identity_map.get(PETER)
            assert await find(None, "Peter") is not one

        await store.get_session(None, work)


class TestTransactionsThatHaveEnded:
    async def test_what_work_has_rolled_back_is_not_written(self, call: Any, store: evsession.Store) -> None:
        async def work(transaction: Any) -> str:
            transaction.add(Log("never"))
            await transaction.rollback()
            return "value"

        assert await call("get_transaction", None, work, store) == "value"
        assert await names_of(store, Log) == []

    @pytest.mark.parametrize("name", ALL)
    async def test_nothing_can_be_done_in_them(self, call: Any, name: str, session: Any, store: evsession.Store) -> None:
        transaction = session.use_transaction()
        await session.commit()
        ran: list[Any] = []
        told = Told()
        with pytest.raises(evsession.TransactionError, match="has ended"):
            await call(name, transaction, ran.append, store, told)
        assert isinstance(told.errors[0], evsession.TransactionError)
        for method in ("add", "load", "commit"):
            with pytest.raises(evsession.TransactionError, match="has ended"):
                getattr(transaction, method)(Log("x"))
        assert not ran
        assert session.changes() == []
        assert (transaction.is_open, transaction.staged, transaction.session) == (False, 0, session)

    async def test_work_may_close_the_session_that_was_opened_for_it(self, call: Any, store: evsession.Store) -> None:
        async def work(session: Any) -> str:
            session.add(Log("x"))
            await session.commit()
            await session.aclose()
            return "value"

        assert await call("get_session", None, work, store) == "value"
        assert await names_of(store, Log) == ["x"]


class TestOneSession:
    async def test_calls_at_once_take_turns(self, call: Any, session: evsession.Session, store: evsession.Store) -> None:
        begun = trio.Event()

        async def bad(transaction: Any) -> None:
            transaction.add(Log("bad"))
            begun.set()
            await trio.testing.wait_all_tasks_blocked()
            raise KeyError("mine")

        async def good(transaction: Any) -> str:
            transaction.add(Log("good"))
            await trio.testing.wait_all_tasks_blocked()
            transaction.add(Log("better"))
            return "value"

        told = Told()
        call("get_transaction", session, bad, store, told)
        await begun.wait()
        operations = [call("get_transaction", session, good, store) for _ in range(2)]
        assert [await operation for operation in operations] == ["value", "value"]
        assert isinstance(told.errors[0], KeyError)
        # What the first one had added is pending again, as after any rollback.
        assert await names_of(store, Log) == ["bad", "better", "better", "good", "good"]

    async def test_a_call_in_the_work_of_another_shares(self, call: Any, session: Any, store: evsession.Store) -> None:
        async def inner(transaction: Any) -> Any:
            transaction.add(Log("inner"))
            return transaction

        async def outer(transaction: Any) -> None:
            assert await call("get_transaction", session, inner, store) is transaction
            assert transaction.is_open

        await call("get_transaction", session, outer, store)
        await session.transaction(lambda _: call("get_transaction", session, inner, store))
        assert await names_of(store, Log) == ["inner", "inner"]

    async def test_work_of_callbacks_has_ended_when_they_have(self, call: Any, session: Any, store: evsession.Store) -> None:
        def work(runnable: Any) -> str:
            def loaded(error: Any, peter: Any) -> None:
                peter.logins += 1
                runnable.exists(PETER, lambda error, found: runnable.add(Log(f"found {found}")))

            runnable.load(PETER, loaded)
            return "value"

        assert await session.transaction(work) == "value"
        assert await call("get_transaction", session, work, store) == "value"
        assert await call("get_session", session, lambda given: given.transaction(work), store) == "value"
        assert session.changes() == []
        assert (await row(store, PETER)).logins == 3
        assert await names_of(store, Log) == ["found True"] * 3


class TestHandlers:
    async def test_are_told_once_of_what_fails_in_the_work(self, call: Any, session: Any, store: evsession.Store) -> None:
        heard = Told()
        session.on(404, heard)

        async def work(runnable: Any) -> None:
            await runnable.patch("users/none", [{"Type": "Inc", "Name": "logins", "Value": 1}])

        for name in ALL:
            with pytest.raises(evsession.SessionError):
                await call(name, session, work, store)
        with pytest.raises(evsession.SessionError):
            await session.transaction(work)
        assert [error.operation for error in heard.errors] == ["patch"] * 4

    async def test_are_not_told_of_the_program_s_own_exceptions(self, call: Any, session: Any, store: evsession.Store) -> None:
        heard = Told()
        session.on("error", heard)

        def work(runnable: Any) -> None:
            raise LookupError("mine")

        for name in ALL:
            with pytest.raises(LookupError, match="mine"):
                await call(name, session, work, store)
        with pytest.raises(LookupError, match="mine"):
            await session.stream(User, on_document=work)
        assert not heard.calls
