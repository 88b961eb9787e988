from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import trio
import trio.testing

import evsession
from evsession.session.graphs.keep_alive import LONGEST_PAUSE, SHORTEST_PAUSE, _pause
from tests.unit.neo4j.typed import DISCOVERY_5, GONE, ROLLED_BACK, answer, committed, opened, refused, rows
from tests.unit.session.graphs.scripted import hang, lost, scripted_graph, sent

BUSY = refused("Neo.ClientError.Transaction.TransactionAccessedConcurrently")
SYNTAX = refused("Neo.ClientError.Statement.SyntaxError")


async def test_begin_run_commit() -> None:
    async with scripted_graph(opened("t1"), opened("t1", 5, expires="2031-01-01T00:00:00Z"), committed("FB:3")) as (
        session,
        transport,
    ):
        tx = await session.begin_transaction(timeout=None)
        assert (tx.is_open, repr(tx)) == (True, "<GraphTransaction WRITE active>")
        assert tx.expires == datetime(2030, 1, 1, tzinfo=timezone.utc)
        assert (await tx.run("RETURN 1", lambda error, result: None)).value() == 5
        assert tx.expires == datetime(2031, 1, 1, tzinfo=timezone.utc)
        await tx.commit()
        assert (tx.is_open, session.last_bookmark()) == (False, evsession.Bookmark(("FB:3",)))
        assert sent(transport) == ["POST /tx", "POST /tx/t1", "POST /tx/t1/commit"]
        assert [r.body for r in transport.requests[::2]] == [b"{}", b"{}"]


async def test_one_that_has_not_begun_does_not_expire() -> None:
    async with scripted_graph() as (session, _):
        assert session.use_transaction().expires is None


async def test_the_cluster_s_header_comes_back_with_every_request() -> None:
    begun = evsession.Response(202, ((b"neo4j-cluster-affinity", b"member-2"),), opened("t1").body)
    async with scripted_graph(begun, opened("t1", 1), ROLLED_BACK) as (session, transport):
        tx = await session.begin_transaction()
        await tx.run("RETURN 1")
        await tx.rollback()
        assert ("neo4j-cluster-affinity", "member-2") not in transport.requests[0].headers
        assert all(("neo4j-cluster-affinity", "member-2") in r.headers for r in transport.requests[1:])


@pytest.mark.parametrize("ends", ["commit", "rollback", "close", "leave"])
async def test_as_a_block(ends: str) -> None:
    async with scripted_graph(opened(), committed() if ends in ("commit", "leave") else ROLLED_BACK) as (session, transport):
        async with await session.begin_transaction() as tx:
            if ends != "leave":
                await getattr(tx, ends)()
        assert sent(transport)[1:] == ["POST /tx/t1/commit" if ends in ("commit", "leave") else "DELETE /tx/t1"]


async def test_what_comes_after_a_block_that_failed_tells_why() -> None:
    async with scripted_graph(opened(), ROLLED_BACK) as (session, _):
        tx = await session.begin_transaction()
        with pytest.raises(ZeroDivisionError) as first:
            async with tx:
                raise ZeroDivisionError
        with pytest.raises(evsession.TransactionError, match="rolled back") as caught:
            tx.run("RETURN 1")
        assert caught.value.__cause__ is first.value


async def test_nonsense_in_place_of_an_answer_is_no_lost_commit() -> None:
    async with scripted_graph(opened(), evsession.Response(202, (), b"<html>"), ROLLED_BACK) as (session, transport):
        tx = await session.begin_transaction()
        with pytest.raises(evsession.ProtocolError):
            await tx.run("RETURN 1")
        with pytest.raises(evsession.TransactionError, match="can't be committed") as caught:
            tx.commit()
        assert (caught.value.uncertain, sent(transport)[2:]) == (False, ["DELETE /tx/t1"])


async def test_a_block_that_fails_rolls_back_and_keeps_its_error() -> None:
    async with scripted_graph(opened(), lost) as (session, transport):
        with pytest.raises(ZeroDivisionError):
            async with await session.begin_transaction():
                math.sqrt(1 / len(""))
        assert sent(transport)[1:] == ["DELETE /tx/t1"]


async def test_a_block_whose_commit_fails() -> None:
    async with scripted_graph(opened(), refused("Neo.ClientError.Schema.ConstraintValidationFailed")) as (session, transport):
        with pytest.raises(evsession.ConstraintError):
            async with await session.begin_transaction():
                pass
        assert len(transport.requests) == 2
        assert session._current is None


@pytest.mark.parametrize("verb", ["run", "commit", "rollback"])
@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_nothing_follows_the_end(end: str, verb: str) -> None:
    async with scripted_graph(opened(), committed() if end == "commit" else ROLLED_BACK) as (session, transport):
        tx = await session.begin_transaction()
        await getattr(tx, end)()
        with pytest.raises(evsession.TransactionError, match="committed" if end == "commit" else "rolled back"):
            await (tx.run("RETURN 1") if verb == "run" else getattr(tx, verb)())
        await tx.close()
        assert len(transport.requests) == 2


async def test_a_rollback_that_is_refused() -> None:
    async with scripted_graph(opened(), evsession.Response(502, (), b"<html>"), ROLLED_BACK) as (session, transport):
        tx = await session.begin_transaction()
        with pytest.raises(evsession.TransientError):
            await tx.rollback()
        assert sent(transport)[1:] == ["DELETE /tx/t1", "DELETE /tx/t1"]
        assert (tx.is_open, session.has_transaction()) == (False, False)
        await tx.close()


async def test_what_waits_behind_a_failure_fails_with_it() -> None:
    async with scripted_graph(opened(), SYNTAX) as (session, transport):
        tx = await session.begin_transaction()
        operations: list[Any] = [tx.run("RETURN"), tx.run("RETURN 1"), tx.commit()]
        errors = []
        for operation in operations:
            with pytest.raises(evsession.SessionError) as caught:
                await operation
            errors.append(caught.value)
        assert [type(error) for error in errors] == [evsession.QueryError, evsession.TransactionError, evsession.TransactionError]
        assert errors[1].__cause__ is errors[2].__cause__ is errors[0]
        assert len(transport.requests) == 2
        assert (tx.is_open, session.has_transaction()) == (False, False)
        with pytest.raises(evsession.TransactionError, match="has been rolled back"):
            tx.rollback()
        await tx.close()


async def test_a_commit_that_fails_ends_its_transaction() -> None:
    refusal = refused("Neo.ClientError.Schema.ConstraintValidationFailed")
    async with scripted_graph(opened(), refusal, rows(1)) as (session, _):
        tx = await session.begin_transaction()
        with pytest.raises(evsession.ConstraintError):
            await tx.commit()
        assert (tx.is_open, repr(tx)) == (False, "<GraphTransaction WRITE rolled_back>")
        assert (await session.run("RETURN 1")).value() == 1
    for wait in (True, False):
        async with scripted_graph(opened(), SYNTAX, rows(1)) as (session, _):
            tx = await session.begin_transaction()
            failing = tx.run("RETURN")
            if wait:
                with pytest.raises(evsession.QueryError):
                    await failing
            assert tx.is_open
            with pytest.raises(evsession.SessionError, match="can't be committed"):
                await tx.commit()
            assert (tx.is_open, session.has_transaction(), session.state) == (False, False, "idle")
            assert (await session.run("RETURN 1")).value() == 1


@pytest.mark.parametrize("how", ["cancelled", "lost", "nonsense", "failed inside"])
async def test_a_commit_whose_outcome_is_unknown(how: str, autojump_clock: trio.testing.MockClock) -> None:
    answers: dict[str, list[Any]] = {
        "cancelled": [hang(), GONE],
        "lost": [lost, GONE],
        "nonsense": [evsession.Response(202, (), b"<html>"), GONE],
        "failed inside": [refused("Neo.DatabaseError.General.UnknownError", status=500)],
    }
    async with scripted_graph(opened("t1"), *answers[how], rows(1)) as (session, transport):
        tx = await session.begin_transaction()
        first: Any = None
        with trio.move_on_after(1) as scope:
            first = tx.commit()
            try:
                await first
            except evsession.SessionError as error:
                assert error.uncertain
        assert scope.cancelled_caught == (how == "cancelled")
        assert (tx.is_open, repr(tx)) == (False, "<GraphTransaction WRITE unknown>")
        for verb in ("commit", "rollback", "run"):
            with pytest.raises(evsession.TransactionError, match="outcome is unknown") as caught:
                getattr(tx, verb)(*["RETURN 1"][: verb == "run"])
            assert caught.value.uncertain
        await tx.close()
        assert (session.has_transaction(), (await session.run("RETURN 1")).value()) == (False, 1)
        assert sent(transport).count("DELETE /tx/t1") == len(answers[how]) - 1


async def test_a_commit_that_was_cancelled_and_undone(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_graph(opened("t1"), hang(), ROLLED_BACK) as (session, _):
        tx = await session.begin_transaction()
        with trio.move_on_after(1):
            await tx.commit()
        assert tx._phase.name == "ROLLED_BACK"
        with pytest.raises(evsession.TransactionError, match="been rolled back") as caught:
            tx.commit()
        assert not caught.value.uncertain


async def test_a_rollback_waits_for_what_was_called_before() -> None:
    async with scripted_graph(opened(), opened("t1", 1), GONE) as (session, transport):
        tx = await session.begin_transaction()
        tx.run("RETURN 1")
        await tx.rollback()
        assert sent(transport)[1:] == ["POST /tx/t1", "DELETE /tx/t1"]


async def test_one_at_a_time() -> None:
    async with scripted_graph(opened(), committed(), rows(1), opened("t2"), ROLLED_BACK) as (session, transport):
        begun = session.begin_transaction()
        for call in (
            lambda: session.run("RETURN 1"),
            session.begin_transaction,
            lambda: session.read_transaction(lambda tx: None),
        ):
            with pytest.raises(evsession.TransactionError, match="another session"):
                call()
        tx = await begun
        tx.commit()
        statement, second = session.run("RETURN 1"), session.begin_transaction()
        assert (await statement).value() == 1
        await second
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit", "POST -", "POST /tx"]


async def test_a_beginning_that_fails_leaves_the_session_usable() -> None:
    script = (refused("Neo.ClientError.Transaction.InvalidBookmark"), answer({}), rows(1), DISCOVERY_5)
    async with scripted_graph(*script) as (session, _):
        for error in (evsession.TransactionError, evsession.ProtocolError):
            with pytest.raises(error):
                await session.begin_transaction()
        assert (await session.run("RETURN 1")).value() == 1
        with pytest.raises(evsession.UnsupportedFeature):
            await session.begin_transaction(metadata={"a": 1})
        assert session._current is None


async def test_a_beginning_takes_its_turn() -> None:
    async with scripted_graph(rows(1), opened(), ROLLED_BACK) as (session, transport):
        session.run("RETURN 1")
        await session.begin_transaction()
        assert sent(transport) == ["POST -", "POST /tx"]


@pytest.mark.parametrize("undone", [True, False])
async def test_a_commit_whose_answer_is_lost(undone: bool) -> None:
    async with scripted_graph(opened(), lost, ROLLED_BACK if undone else GONE, rows(1)) as (session, transport):
        tx = await session.begin_transaction()
        with pytest.raises(evsession.ConnectionFailed) as caught:
            await tx.commit()
        # What could be rolled back has not been committed.
        assert (caught.value.uncertain, caught.value.is_retryable()) == (not undone, undone)
        assert sent(transport)[1:] == ["POST /tx/t1/commit", "DELETE /tx/t1"]
        assert session.last_bookmark() is None
        await tx.close()
        await session.run("RETURN 1")


async def test_a_statement_whose_answer_is_lost_is_not_uncertain() -> None:
    async with scripted_graph(opened(), lost, ROLLED_BACK) as (session, _):
        tx = await session.begin_transaction()
        with pytest.raises(evsession.ConnectionFailed) as caught:
            await tx.run("CREATE ()")
        assert (caught.value.uncertain, caught.value.is_retryable()) == (False, True)


@pytest.mark.parametrize(
    "answered", [refused("Neo.ClientError.Security.Unauthorized", "no", 401), evsession.Response(502, (), b"<html>")]
)
async def test_a_refusal_that_may_leave_it_open_is_followed_by_a_rollback(answered: evsession.Response) -> None:
    async with scripted_graph(opened(), answered, ROLLED_BACK) as (session, transport):
        tx = await session.begin_transaction()
        with pytest.raises(evsession.SessionError):
            await tx.run("RETURN 1")
        assert sent(transport)[1:] == ["POST /tx/t1", "DELETE /tx/t1"]


async def test_cancelled_statements_are_terminated_until_the_rollback_is_taken(autojump_clock: trio.testing.MockClock) -> None:
    script = (opened(), hang(), BUSY, rows(), BUSY, rows(1), ROLLED_BACK)
    async with scripted_graph(*script) as (session, transport):
        tx = await session.begin_transaction()
        with trio.move_on_after(1):
            await tx.run("RETURN 1")
        assert "terminated" in repr(tx)
        assert sent(transport)[2:] == ["DELETE /tx/t1", "POST -", "DELETE /tx/t1", "POST -", "DELETE /tx/t1"]


async def test_letting_go_takes_limited_time(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_graph(opened(), hang(), hang()) as (session, _):
        tx = await session.begin_transaction()
        begun = trio.current_time()
        with trio.move_on_after(1):
            await tx.run("RETURN 1")
        assert trio.current_time() - begun == 4


@pytest.mark.parametrize("comes", ["late", "never", "broken", "refused"])
async def test_cancelled_at_the_statement_that_begins(comes: str, autojump_clock: trio.testing.MockClock) -> None:
    async def begin(request: evsession.Request) -> evsession.Response:
        await trio.sleep(math.inf if comes == "never" else 1.5)
        if comes == "broken":
            raise evsession.ConnectionFailed("closed")
        return SYNTAX if comes == "refused" else opened("t1", 1)

    def elsewhere(request: evsession.Request) -> evsession.Response:
        return ROLLED_BACK if request.method == "DELETE" else rows(1)

    async with scripted_graph(begin, repeat=elsewhere) as (session, transport):
        with trio.CancelScope(deadline=trio.current_time() + 1) as scope:
            await session.write_transaction(lambda tx: tx.run("RETURN 1"))
        assert scope.cancelled_caught
        deleted = "DELETE /tx/t1" in sent(transport)
        assert deleted == (comes == "late")
        assert session._managed is None


@pytest.mark.parametrize("comes", ["late", "never"])
async def test_cancelled_while_it_begins(comes: str, autojump_clock: trio.testing.MockClock) -> None:
    async def begin(request: evsession.Request) -> evsession.Response:
        await trio.sleep(math.inf if comes == "never" else 2)
        return opened("t1")

    async with scripted_graph(begin, ROLLED_BACK) as (session, transport):
        with trio.CancelScope(deadline=trio.current_time() + 1) as scope:
            await session.begin_transaction()
        assert (scope.cancelled_caught, session.has_transaction()) == (True, False)
        assert sent(transport) == ["POST /tx", "DELETE /tx/t1"][: 2 if comes == "late" else 1]


async def test_reset_of_a_transaction() -> None:
    async with scripted_graph(opened(), ROLLED_BACK) as (session, transport):
        tx = await session.begin_transaction()
        await session.reset()
        await session.reset()
        with pytest.raises(evsession.TransactionError, match="can't be committed"):
            await tx.commit()
        await tx.close()
        assert sent(transport)[1:2] == ["DELETE /tx/t1"]


async def test_reset_before_anything_has_begun() -> None:
    async with scripted_graph() as (session, transport):
        tx = session._current = session._new_transaction("WRITE", evsession.TransactionConfig())
        await session.reset()
        await tx.rollback()
        assert transport.requests == []


async def test_closing_the_session_rolls_back() -> None:
    async with scripted_graph(opened(), ROLLED_BACK) as (session, transport):
        tx = await session.begin_transaction()
        await session.close()
        assert sent(transport)[1:] == ["DELETE /tx/t1"]
        assert not tx.is_open
        with pytest.raises(evsession.SessionClosed):
            session.begin_transaction()
        await session.aclose()
    async with scripted_graph(opened(), SYNTAX) as (session, transport):
        tx = await session.begin_transaction()
        with pytest.raises(evsession.QueryError):
            await tx.run("RETURN")
    assert len(transport.requests) == 2


async def test_a_transaction_that_outlives_its_store() -> None:
    async with scripted_graph(opened()) as (session, transport):
        tx = session._new_transaction("WRITE", evsession.TransactionConfig())
        await tx.run("RETURN 1")
    await tx._abandon(None)
    assert len(transport.requests) == 1


async def test_keeping_alive(autojump_clock: trio.testing.MockClock) -> None:
    soon = (datetime.now(timezone.utc) + timedelta(seconds=30)).isoformat()
    begun = opened(expires=soon)
    async with scripted_graph(begun, begun, begun, GONE, lost) as (session, transport):
        session.options.keep_alive = True
        tx = await session.begin_transaction()
        await trio.sleep(25)
        assert sent(transport)[1:] == ["POST /tx/t1", "POST /tx/t1"]
        assert [r.body for r in transport.requests[1:]] == [b"{}", b"{}"]
        await tx.rollback()
        await trio.sleep(100)
        assert len(transport.requests) == 4
    async with scripted_graph(begun, lost, ROLLED_BACK) as (session, transport):
        session.options.keep_alive = True
        tx = await session.begin_transaction()
        await trio.sleep(100)
        assert len(transport.requests) == 2


async def test_keeping_alive_waits_for_statements(autojump_clock: trio.testing.MockClock) -> None:
    async def slow(request: evsession.Request) -> evsession.Response:
        await trio.sleep(30)
        return SYNTAX

    soon = (datetime.now(timezone.utc) + timedelta(seconds=15)).isoformat()
    async with scripted_graph(opened(expires=soon), slow) as (session, transport):
        session.options.keep_alive = True
        tx = await session.begin_transaction()
        with pytest.raises(evsession.QueryError):
            await tx.run("RETURN")
        await trio.sleep(100)
        assert len(transport.requests) == 2


async def test_keeping_alive_goes_on_when_an_end_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    soon = (datetime.now(timezone.utc) + timedelta(seconds=30)).isoformat()
    begun = opened(expires=soon)
    async with scripted_graph(begun, begun, begun, ROLLED_BACK) as (session, transport):
        session.options.keep_alive = True
        tx = await session.begin_transaction()
        await trio.testing.wait_all_tasks_blocked()  # it waits for the end now
        ending = tx.commit(lambda *_: None)
        ending.cancel()
        with pytest.raises(evsession.OperationCancelled):
            await ending
        await trio.sleep(15)
        assert (tx.is_open, sent(transport)) == (True, ["POST /tx", "POST /tx/t1", "POST /tx/t1"])
        await tx.rollback()


def test_pauses_between_signs_of_life() -> None:
    now = datetime.now(timezone.utc)
    assert _pause(None) == _pause(now - timedelta(hours=1)) == SHORTEST_PAUSE
    assert _pause(now + timedelta(hours=1)) == LONGEST_PAUSE
    assert 9 < _pause(now + timedelta(seconds=30)) < 11


@pytest.mark.parametrize("outcome", ["committed", "refused", "cancelled"])
async def test_commits_at_once_have_one_outcome(outcome: str) -> None:
    answers = {
        "committed": committed(),
        "refused": refused("Neo.ClientError.Schema.ConstraintValidationFailed"),
        "cancelled": GONE,
    }
    async with scripted_graph(opened("t1"), answers[outcome]) as (session, transport):
        tx = await session.begin_transaction()
        one, two = tx.commit(), tx.commit()
        for ask, word in ((tx.rollback, "rollback"), (lambda: tx.run("RETURN 1"), "run")):
            with pytest.raises(evsession.TransactionError, match=f"{word}.*requested to be committed"):
                ask()
        if outcome == "cancelled":
            one.cancel()
            with pytest.raises(evsession.OperationCancelled):
                await one
            with pytest.raises(evsession.SessionError):
                await two
        elif outcome == "refused":
            for commit in (one, two):
                with pytest.raises(evsession.ConstraintError):
                    await commit
        else:
            await one
            await two
            with pytest.raises(evsession.TransactionError, match="has been committed"):
                tx.commit()
        assert sent(transport)[:2] == ["POST /tx", "POST /tx/t1/commit"][: len(sent(transport))]
        await tx.close()


async def test_a_commit_after_a_rollback_was_asked_for() -> None:
    async with scripted_graph(opened("t1"), ROLLED_BACK) as (session, _):
        tx = await session.begin_transaction()
        ending = tx.rollback()
        with pytest.raises(evsession.TransactionError, match="requested to be rolled back"):
            tx.commit()
        await ending


async def test_a_commit_that_shares_with_one_that_was_reset() -> None:
    async with scripted_graph(opened("t1"), hang(), ROLLED_BACK) as (session, _):
        tx = await session.begin_transaction()
        running = tx.run("RETURN 1")
        one, two = tx.commit(), tx.commit()
        await trio.testing.wait_all_tasks_blocked()
        running.cancel()
        for commit in (one, two):
            with pytest.raises(evsession.SessionError):
                await commit


async def test_closing_what_has_ended_is_always_possible_while_the_store_runs() -> None:
    async with scripted_graph(opened("t1"), ROLLED_BACK) as (session, transport):
        tx = await session.begin_transaction()
        await session.aclose()
        await tx.close()
        assert sent(transport) == ["POST /tx", "DELETE /tx/t1"]


async def test_who_waits_for_a_commit_that_is_cut_off_is_not_cut_off_with_it(autojump_clock: trio.testing.MockClock) -> None:
    async def slow(request: evsession.Request) -> evsession.Response:
        await trio.sleep(5)
        return opened("t1", 1)

    async with scripted_graph(opened("t1"), slow, repeat=rows()) as (session, transport):
        tx = await session.begin_transaction()
        tx.run("RETURN 1", lambda *_: None)
        told: list[BaseException | None] = []
        one, _ = tx.commit(lambda error: told.append(error)), tx.commit(lambda error: told.append(error))
        await trio.sleep(1)
        one.cancel()
        await session.drain()
    # Here, for a foreign cancellation would have ended the block without a word.
    assert [type(error) for error in told] == [evsession.OperationCancelled, evsession.TransactionError]
    assert "POST /tx/t1/commit" not in sent(transport)


async def test_commits_at_once_of_what_has_failed_are_refused_alike(autojump_clock: trio.testing.MockClock) -> None:
    async def slow(request: evsession.Request) -> evsession.Response:
        await trio.sleep(5)
        return SYNTAX

    async with scripted_graph(opened("t1"), slow) as (session, transport):
        tx = await session.begin_transaction()
        running = tx.run("RETURN", lambda *_: None)
        one, two = tx.commit(lambda *_: None), tx.commit(lambda *_: None)
        with pytest.raises(evsession.QueryError) as failed:
            await running
        for operation in (one, two):
            with pytest.raises(evsession.TransactionError) as caught:
                await operation
            assert caught.value.__cause__ is failed.value
        assert len(transport.requests) == 2
