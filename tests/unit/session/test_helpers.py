"""`get_session`, `get_transaction` and `get_runnable`: what was passed in is never ended, what was opened always is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

import evsession
from evsession import ConfigurationError, SessionClosed, SessionError, get_runnable, get_session, get_transaction
from evsession.testing.scripted import ScriptedTransport
from tests.unit.session.conftest import refused
from tests.unit.session.documents.tiny import TinyRaven

Dog = evsession.DocumentType("Dog")

HELPERS: list[Callable[..., Any]] = [get_session, get_transaction, get_runnable]
OPENERS: list[Callable[..., Any]] = [get_session, get_runnable]


class Opened:
    """A store that notes the sessions that it opens."""

    def __init__(self, *answers: Any) -> None:
        self.tiny = TinyRaven()
        self.sessions: list[evsession.Session] = []
        self.store = evsession.Store(transport=ScriptedTransport(*answers, repeat=self.tiny), database="db")
        open_session = self.store.open_session

        def note(**arguments: Any) -> evsession.Session:
            self.sessions.append(open_session(**arguments))
            return self.sessions[-1]

        self.store.open_session = note  # type: ignore[method-assign, assignment]


@pytest.fixture(autouse=True)
def _dogs_are_documents() -> None:
    evsession.document(Dog, collection="Dogs")


def is_closed(session: evsession.Session) -> bool:
    return session.state == "closed"


@pytest.mark.parametrize("helper", HELPERS)
async def test_opened_here_it_is_committed_and_closed(helper: Callable[..., Any]) -> None:
    opened = Opened()
    async with opened.store:

        async def work(runnable: Any) -> str:
            await trio.lowlevel.checkpoint()
            runnable.add(Dog(n=1))
            return "value"

        assert await helper(None, work, opened.store) == "value"
        assert opened.tiny.rows == {"dogs/1": {"n": 1}}
        (session,) = opened.sessions
        assert is_closed(session)


async def test_a_transaction_that_the_work_leaves_open_is_rolled_back() -> None:
    opened = Opened()
    async with opened.store:

        async def work(session: Any) -> None:
            session.use_transaction()
            session.add(Dog(n=1))
            await session.flush()
            session.add(Dog(n=2))

        await get_session(None, work, opened.store)
        assert list(opened.tiny.rows.values()) == [{"n": 2}]
        assert is_closed(opened.sessions[0])


@pytest.mark.parametrize("helper", HELPERS)
async def test_opened_here_it_is_dropped_and_closed_when_the_work_raises(helper: Callable[..., Any]) -> None:
    opened = Opened()
    async with opened.store:
        boom = ValueError("boom")

        def work(runnable: Any) -> None:
            runnable.add(Dog(n=1))
            raise boom

        with pytest.raises(ValueError, match="boom") as caught:
            await helper(None, work, opened.store)
        assert caught.value is boom
        assert opened.tiny.batches == []
        assert is_closed(opened.sessions[0])


@pytest.mark.parametrize("helper", HELPERS)
async def test_a_refused_commit_is_told_and_the_session_closed(helper: Callable[..., Any]) -> None:
    opened = Opened(refused(500, message="not today"))
    async with opened.store:
        with pytest.raises(SessionError, match="not today"):
            await helper(None, lambda runnable: runnable.add(Dog()) and None, opened.store)
        assert is_closed(opened.sessions[0])


@pytest.mark.parametrize("helper", HELPERS)
async def test_a_cancelled_one_is_closed(helper: Callable[..., Any]) -> None:
    opened = Opened()
    async with opened.store:
        with trio.CancelScope() as scope:

            async def work(runnable: Any) -> None:
                runnable.add(Dog())
                scope.cancel()
                await trio.lowlevel.checkpoint()

            await helper(None, work, opened.store)
        assert scope.cancelled_caught
        assert is_closed(opened.sessions[0])
        assert opened.tiny.batches == []


@pytest.mark.parametrize("helper", OPENERS)
@pytest.mark.parametrize("fails", [False, True])
async def test_a_given_session_is_used_and_left_as_it_is(helper: Callable[..., Any], fails: bool) -> None:
    opened = Opened()
    async with opened.store, opened.store.open_session() as session:

        def work(runnable: Any) -> Any:
            assert runnable is session
            runnable.add(Dog())
            return 1 // 0 if fails else "value"

        if fails:
            with pytest.raises(ZeroDivisionError):
                await helper(session, work)
        else:
            assert await helper(session, work) == "value"
        assert session.state == "idle"
        assert opened.tiny.batches == []
        assert len(session.changes()) == 1
        assert len(opened.sessions) == 1


@pytest.mark.parametrize("helper", HELPERS)
@pytest.mark.parametrize("fails", [False, True])
async def test_a_given_transaction_is_used_and_left_as_it_is(helper: Callable[..., Any], fails: bool) -> None:
    opened = Opened()
    async with opened.store, opened.store.open_session() as session:
        transaction = session.use_transaction()

        def work(runnable: Any) -> Any:
            assert runnable is transaction
            return 1 // 0 if fails else "value"

        if fails:
            with pytest.raises(ZeroDivisionError):
                await helper(transaction, work)
        else:
            assert await helper(transaction, work) == "value"
        assert transaction.is_open
        assert opened.tiny.batches == []


class TestGetTransaction:
    async def test_of_a_given_session_it_is_committed_and_the_session_stays_open(self) -> None:
        opened = Opened()
        async with opened.store, opened.store.open_session() as session:

            async def work(transaction: evsession.Transaction) -> str:
                assert session.assigned_transaction is transaction
                transaction.add(Dog(n=1))
                await transaction.flush()
                assert opened.tiny.batches == []
                return "value"

            assert await get_transaction(session, work) == "value"
            assert opened.tiny.rows == {"dogs/1": {"n": 1}}
            assert session.state == "idle"

    async def test_it_is_rolled_back_when_the_work_raises(self) -> None:
        opened = Opened()
        async with opened.store, opened.store.open_session() as session:
            boom = ValueError("boom")

            async def work(transaction: evsession.Transaction) -> None:
                transaction.add(Dog(n=1))
                await transaction.flush()
                raise boom

            with pytest.raises(ValueError, match="boom") as caught:
                await get_transaction(session, work)
            assert caught.value is boom
            assert opened.tiny.batches == []
            assert session.state == "idle"
            assert len(session.changes()) == 1

    async def test_the_error_survives_a_failing_rollback(self) -> None:
        opened = Opened()
        async with opened.store, opened.store.open_session() as session:
            session.on("rollback.post", lambda event: 1 // 0)
            with pytest.raises(KeyError) as caught:
                await get_transaction(session, lambda transaction: {"y": 1}["x"])
            assert isinstance(caught.value.__context__, ZeroDivisionError)

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    @pytest.mark.parametrize("fails", [False, True])
    async def test_the_work_may_end_it_itself(self, end: str, fails: bool) -> None:
        opened = Opened()
        async with opened.store, opened.store.open_session() as session:

            async def work(transaction: evsession.Transaction) -> str:
                transaction.add(Dog())
                await getattr(transaction, end)()
                return "value"[1 // (not fails) :]

            if fails:
                with pytest.raises(ZeroDivisionError):
                    await get_transaction(session, work)
            else:
                assert await get_transaction(session, work) == "alue"
            assert session.state == "idle"
            assert len(opened.tiny.batches) == (end == "commit")

    async def test_nested_calls_share_it_and_the_outermost_ends_it(self) -> None:
        opened = Opened()
        async with opened.store:
            seen: list[Any] = []

            async def inner(transaction: evsession.Transaction) -> None:
                seen.append(transaction)
                transaction.add(Dog(n=2))

            async def outer(transaction: evsession.Transaction) -> None:
                transaction.add(Dog(n=1))
                await get_transaction(transaction, inner)
                await get_transaction(transaction.session, inner)
                await get_runnable(transaction, inner)
                assert transaction.is_open
                assert opened.tiny.batches == []
                assert seen == [transaction] * 3

            await get_transaction(None, outer, opened.store)
            assert len(opened.tiny.batches) == 1
            assert len(opened.tiny.rows) == 4
            assert len(opened.sessions) == 1

    async def test_in_a_session_with_an_open_one_it_is_shared(self) -> None:
        opened = Opened()
        async with opened.store, opened.store.open_session() as session:
            transaction = session.use_transaction()
            assert await get_transaction(session, lambda given: given is transaction) is True
            assert transaction.is_open


class TestMethodsAndCallbacks:
    async def test_methods_of_a_store(self) -> None:
        opened = Opened()
        async with opened.store as store, store.open_session() as session:
            assert await store.get_session(None, lambda s: s.state) == "idle"
            assert await store.get_transaction(None, lambda t: t.is_open) is True
            assert await store.get_runnable(None, lambda s: s.state) == "idle"
            assert await store.get_session(session, lambda s: s is session) is True
            assert len(opened.sessions) == 4

    @pytest.mark.parametrize("name", ["get_session", "get_transaction", "get_runnable"])
    async def test_callbacks(self, name: str) -> None:
        opened = Opened()
        told: list[Any] = []

        def tell(error: Any, value: Any) -> None:
            told.append((error, value))

        boom = ValueError("boom")

        def fail(_: Any) -> None:
            raise boom

        async with opened.store as store:
            getattr(store, name)(None, lambda _: 1, tell)
            getattr(evsession, name)(None, lambda _: 2, store, tell)
            async with store.open_session() as session:
                getattr(evsession, name)(session, lambda _: 3, tell)
                getattr(evsession, name)(session, fail, callback=tell)
                await session.drain()
        assert sorted(told, key=repr) == sorted([(None, 1), (None, 2), (None, 3), (boom, None)], key=repr)

    async def test_the_helpers_time_has_no_limit_but_each_operation_has(self, autojump_clock: Any) -> None:
        opened = Opened()
        opened.store.options.timeout = 1
        async with opened.store as store:

            async def slow(session: evsession.Session) -> str:
                await trio.sleep(100)
                return "value"

            assert await store.get_session(None, slow) == "value"


class TestBadInput:
    @pytest.mark.parametrize("helper", HELPERS)
    async def test_it_is_told_at_once(self, helper: Callable[..., Any]) -> None:
        opened = Opened()
        async with opened.store as store:
            with pytest.raises(TypeError, match="work is a function"):
                helper(None, 5, store)
            with pytest.raises(ConfigurationError, match="there must be a store"):
                helper(None, lambda _: None)
            with pytest.raises(TypeError, match="opened in a store, not in 'http://x'"):
                helper(None, lambda _: None, "http://x")
            for wrong in (5, store, trio):
                with pytest.raises(TypeError, match="neither a session nor a transaction"):
                    helper(wrong, lambda _: None, store)
            assert opened.sessions == []

    @pytest.mark.parametrize("helper", HELPERS)
    async def test_a_closed_session_or_store(self, helper: Callable[..., Any]) -> None:
        opened = Opened()
        async with opened.store as store:
            async with store.open_session() as session:
                pass
            with pytest.raises(SessionClosed):
                helper(session, lambda _: None)
        with pytest.raises(SessionClosed):
            helper(None, lambda _: None, store)


@pytest.mark.parametrize("name", ["get_session", "get_transaction", "get_runnable"])
async def test_the_session_may_be_left_out_of_a_store_s_helpers(name: str) -> None:
    opened = Opened()
    told: list[Any] = []
    async with opened.store as store:
        helper: Any = getattr(store, name)
        assert await helper(lambda runnable: 5) == 5
        assert await helper(lambda runnable: 6, lambda error, value: told.append(value)) == 6
        assert await helper(lambda runnable: 7, callback=lambda error, value: told.append(value)) == 7
        assert (len(opened.sessions), told) == (3, [6, 7])
        with pytest.raises(TypeError, match="neither"):
            helper(len, len, len)


def yields(runnable: Any) -> Any:
    yield runnable


async def yields_later(runnable: Any) -> Any:
    yield runnable


@pytest.mark.parametrize("work", [yields, yields_later])
async def test_work_that_would_never_run_is_refused(work: Any) -> None:
    opened = Opened()
    async with opened.store as store, store.open_session() as session:
        for helper in HELPERS:
            with pytest.raises(TypeError, match="generator"):
                await helper(session, work, store)
        with pytest.raises(TypeError, match="generator"):
            await session.transaction(work)
        assert session.state == "idle"
