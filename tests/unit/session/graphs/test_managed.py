from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import trio

import evsession
from evsession.session.graphs.managed import _chain
from evsession.testing.scripted import Answer
from tests.unit.neo4j.typed import GONE, ROLLED_BACK, committed, opened, refused, rows
from tests.unit.session.graphs.scripted import hang, lost, scripted_graph, sent

MADE_UP = "Neo.TransientError.Completely.MadeUp"


async def work(tx: evsession.GraphTransaction) -> Any:
    return (await tx.run("RETURN 1")).value()


async def test_two_requests_and_the_value() -> None:
    async with scripted_graph(opened("t1", 7), committed("FB:5")) as (session, transport):
        assert await session.write_transaction(work) == 7
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit"]
        assert session.last_bookmark() == evsession.Bookmark(("FB:5",))


async def test_reading() -> None:
    async with scripted_graph(opened("t1", 7), committed()) as (session, transport):
        await session.read_transaction(work, evsession.TransactionConfig())
        assert transport.bodies()[0]["accessMode"] == "READ"


async def five(tx: evsession.GraphTransaction) -> int:
    return 5


@pytest.mark.parametrize("idle", [lambda tx: 5, five, lambda tx, done: done(None, 5), lambda tx, done=None: 5])
async def test_work_that_asks_nothing_sends_nothing(idle: Callable[..., Any]) -> None:
    async with scripted_graph() as (session, transport):
        assert await session.write_transaction(idle) == 5
        assert transport.requests == []


async def test_callback_style() -> None:
    told: list[Any] = []

    def run(tx: evsession.GraphTransaction, done: Callable[..., None]) -> None:
        def ran(error: Exception | None, result: evsession.Result) -> None:
            done(error, result.value())
            done(ValueError("twice"))

        tx.run("RETURN 1", ran)

    async with scripted_graph(opened("t1", 7), committed()) as (session, _):
        await session.write_transaction(run, lambda error, value: told.append((error, value)))
    assert told == [(None, 7)]


async def test_callback_style_that_fails() -> None:
    async with scripted_graph(opened("t1", 7), ROLLED_BACK) as (session, transport):

        def run(tx: evsession.GraphTransaction, done: Callable[..., None]) -> None:
            tx.run("RETURN 1", lambda error, result: done(KeyError("mine")))

        with pytest.raises(KeyError, match="mine"):
            await session.write_transaction(run)
        assert sent(transport)[1:] == ["DELETE /tx/t1"]
        with pytest.raises(TypeError, match="neither"):
            await session.write_transaction(lambda tx, done: done("text"))


@pytest.mark.parametrize("bad", [5, lambda: None])
async def test_what_is_no_work(bad: Any) -> None:
    async with scripted_graph() as (session, _):
        with pytest.raises(TypeError):
            session.write_transaction(bad)


@pytest.mark.parametrize("failing", [refused(MADE_UP), refused("Neo.TransientError.Transaction.DeadlockDetected"), lost])
async def test_what_may_pass_is_tried_again(failing: Answer, autojump_clock: trio.testing.MockClock) -> None:
    watched: list[evsession.WireEvent] = []
    undone = [ROLLED_BACK] if failing is lost else []
    script = (failing, opened("t1", 7), failing, *undone, opened("t2", 7), opened("t2", 7), committed())
    async with scripted_graph(*script) as (session, _):
        session.on("retry", watched.append)

        async def twice(tx: evsession.GraphTransaction) -> Any:
            await tx.run("RETURN 1")
            return (await tx.run("RETURN 2")).value()

        begun = trio.current_time()
        assert await session.write_transaction(twice) == 7
        delays = [event.duration for event in watched]
        assert [event.attempt for event in watched] == [2, 3]
        assert all(wanted * 0.8 <= (delay or 0) <= wanted * 1.2 for delay, wanted in zip(delays, [1, 2], strict=True))
        assert trio.current_time() - begun == pytest.approx(sum(delay or 0 for delay in delays))


@pytest.mark.parametrize(
    "code",
    [
        "Neo.TransientError.Transaction.Terminated",
        "Neo.TransientError.Transaction.LockClientStopped",
        "Neo.ClientError.Statement.SyntaxError",
        "Neo.ClientError.Transaction.Terminated",
    ],
)
async def test_what_does_not_pass_is_not(code: str) -> None:
    told: list[Any] = []
    async with scripted_graph(refused(code)) as (session, transport):
        session.on(code, told.append)
        with pytest.raises(evsession.SessionError) as caught:
            await session.write_transaction(work)
        assert (len(transport.requests), told) == (1, [caught.value])


async def test_a_failure_of_the_program_is_not_tried_again_and_keeps_its_place() -> None:
    calls = 0
    async with scripted_graph(opened("t1", 7), ROLLED_BACK) as (session, transport):

        async def fail(tx: evsession.GraphTransaction) -> None:
            nonlocal calls
            calls += 1
            await tx.run("RETURN 1")
            raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine"):
            await session.write_transaction(fail)
        assert (calls, sent(transport)) == (1, ["POST /tx", "DELETE /tx/t1"])


async def test_the_time_for_trying_again_ends(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_graph(repeat=refused(MADE_UP)) as (session, transport):
        session.options.retry_time = 10
        begun = trio.current_time()
        with pytest.raises(evsession.TransientError) as caught:
            await session.write_transaction(work)
        assert 10 <= trio.current_time() - begun <= 10 + 8 * 1.2
        chain, error = 0, caught.value.__context__
        while error is not None:
            chain, error = chain + 1, error.__context__
        assert chain == len(transport.requests) - 1
        session.options.retry_time = 0
        sent_before = len(transport.requests)
        with pytest.raises(evsession.TransientError):
            await session.write_transaction(work)
        assert len(transport.requests) == sent_before + 1


async def test_a_swallowed_failure_that_may_pass_is_tried_again(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_graph(opened("t1"), refused(MADE_UP), opened("t2"), opened("t2"), committed()) as (session, transport):

        async def swallow(tx: evsession.GraphTransaction) -> str:
            await tx.run("RETURN 1")
            try:
                await tx.run("RETURN 2")
            except evsession.SessionError:
                return "swallowed"
            return "done"

        assert await session.write_transaction(swallow) == "done"
        assert len(transport.requests) == 5


@pytest.mark.parametrize("undone", [True, False])
async def test_a_lost_commit_is_tried_again_only_if_it_was_undone(undone: bool, autojump_clock: trio.testing.MockClock) -> None:
    script = (opened("t1", 1), lost, ROLLED_BACK if undone else GONE, opened("t2", 2), committed())
    async with scripted_graph(*script) as (session, transport):
        if undone:
            assert await session.write_transaction(work) == 2
        else:
            with pytest.raises(evsession.ConnectionFailed) as caught:
                await session.write_transaction(work)
            assert caught.value.uncertain
            assert len(transport.requests) == 3


async def test_cancelled_while_it_waits_for_the_next_try(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_graph(refused(MADE_UP)) as (session, transport):
        with trio.CancelScope(deadline=trio.current_time() + 0.5) as scope:
            await session.write_transaction(work)
        assert scope.cancelled_caught
        assert len(transport.requests) == 1


async def test_several_take_turns_and_nothing_comes_between() -> None:
    async with scripted_graph(rows(1), opened("t1", 1), committed(), opened("t2", 2), committed()) as (session, transport):
        session.run("RETURN 1")
        first, second = session.write_transaction(work), session.write_transaction(work)
        assert [await second, await first] == [2, 1]
        assert sent(transport) == ["POST -", "POST /tx", "POST /tx/t1/commit", "POST /tx", "POST /tx/t2/commit"]


async def test_the_session_is_taken_while_work_goes_on() -> None:
    async with scripted_graph(opened("t1", 1), committed()) as (session, _):

        async def run(tx: evsession.GraphTransaction) -> None:
            await work(tx)
            with pytest.raises(evsession.TransactionError):
                session.run("RETURN 1")

        await session.write_transaction(run)


async def test_it_waits_for_a_transaction_that_ends() -> None:
    async with scripted_graph(opened("t1"), committed(), opened("t2", 2), committed()) as (session, transport):
        tx = await session.begin_transaction()
        tx.commit()
        assert await session.write_transaction(work) == 2
        assert sent(transport)[2:] == ["POST /tx", "POST /tx/t2/commit"]


async def test_work_that_rolls_back_itself() -> None:
    async with scripted_graph(opened("t1", 1), ROLLED_BACK) as (session, transport):

        async def run(tx: evsession.GraphTransaction) -> str:
            await work(tx)
            await tx.rollback()
            return "undone"

        assert await session.write_transaction(run) == "undone"
        assert sent(transport)[1:] == ["DELETE /tx/t1"]


async def test_cancelled_work_is_rolled_back(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_graph(opened("t1", 1), ROLLED_BACK, hang()) as (session, transport):

        async def wait(tx: evsession.GraphTransaction) -> None:
            await work(tx)
            await trio.sleep_forever()

        with trio.move_on_after(1):
            await session.write_transaction(wait)
        assert sent(transport)[1:] == ["DELETE /tx/t1"]


def test_the_last_failure_carries_all_before_it() -> None:
    first, second, third = evsession.TransientError("1"), ValueError("2"), evsession.TransientError("3")
    third.__context__ = second
    second.__context__ = third  # a program may build a circle
    _chain(third, first)
    assert second.__context__ is third
    second.__context__ = None
    _chain(third, second)
    _chain(third, first)
    assert [second.__context__] == [first]
    _chain(third, None)


async def test_reset_during_work() -> None:
    async with scripted_graph(opened("t1", 1), ROLLED_BACK) as (session, _):

        async def wait(tx: evsession.GraphTransaction) -> None:
            await work(tx)
            await session.reset()

        with pytest.raises(evsession.TransactionError, match="can't be committed"):
            await session.write_transaction(wait)


async def test_work_that_hides_a_lost_commit_is_not_tried_again() -> None:
    attempts: list[int] = []

    async def work(tx: Any) -> None:
        attempts.append(1)
        await tx.run("CREATE (:Dog)")
        with contextlib.suppress(evsession.ConnectionFailed):
            await tx.commit()
        await tx.run("RETURN 1")

    async with scripted_graph(opened("t1"), lost, GONE) as (session, _):
        with pytest.raises(evsession.TransactionError, match="unknown") as caught:
            await session.write_transaction(work)
        assert (attempts, caught.value.uncertain) == ([1], True)


async def yields(tx: evsession.GraphTransaction) -> Any:
    yield tx


async def test_work_that_would_never_run_is_refused() -> None:
    async with scripted_graph() as (session, transport):
        with pytest.raises(TypeError, match="generator"):
            await session.write_transaction(yields)
        assert transport.requests == []


@pytest.mark.parametrize("work", [5, lambda: None, None])
async def test_work_that_is_none(work: Any) -> None:
    async with scripted_graph() as (session, _):
        with pytest.raises(TypeError, match="the work of a transaction is a function"):
            session.write_transaction(work)
