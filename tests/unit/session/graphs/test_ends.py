"""Ends of transactions that are cut off, or that meet each other: nobody ends what is another's, or tells a false success."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

import evsession
from tests.unit.neo4j.typed import GONE, ROLLED_BACK, committed, opened, refused, rows
from tests.unit.session.graphs.scripted import lost, scripted_graph, sent
from tests.unit.session.graphs.test_work import Dog

Answer = Callable[[evsession.Request], Any]


def late(*responses: evsession.Response, when: trio.Event, ends: str, reached: trio.Event) -> Answer:
    """Answer in order, but a request for a path with this end not before the event."""
    script = iter(responses)

    async def answer(request: evsession.Request) -> evsession.Response:
        response = next(script)
        if request.method == "POST" and request.target.endswith(ends):
            reached.set()
            await when.wait()
        return response

    return answer


@pytest.mark.parametrize("how", ["cancelled", "timed out", "left"])
@pytest.mark.parametrize("name", ["commit", "flush", "commit_transaction"])
@pytest.mark.parametrize("ends", ["/tx", "/commit"])
async def test_who_waits_for_a_commit_and_is_cut_off_leaves_it_alone(
    ends: str, name: str, how: str, autojump_clock: trio.testing.MockClock
) -> None:
    when, reached = trio.Event(), trio.Event()
    answer = late(opened("t1", 1), committed(), when=when, ends=ends, reached=reached)
    async with scripted_graph(repeat=answer) as (session, transport):
        dog = Dog("1")
        first = session.add(dog).commit(lambda *_: None)
        await reached.wait()
        if how == "timed out":
            session.options.timeout = 1
        with trio.move_on_after(1 if how == "left" else 9):
            second = getattr(session, name)()
            if how == "cancelled":
                second.cancel()
            with pytest.raises(evsession.SessionError) as caught:
                await second
            assert not caught.value.uncertain
        when.set()
        assert await first == ["Dog/1"]
        assert (session.is_dirty(dog), session.state) == (False, "idle")
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit"]


async def test_a_commit_whose_session_is_closed_meanwhile_tells_no_success(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_graph(opened("t1", 1), ROLLED_BACK) as (session, transport):

        @session.on("insert.post")
        async def pause(event: evsession.CommitEvent) -> None:
            await trio.sleep(0.05)

        committing = session.add(Dog("1")).commit(lambda *_: None)
        with trio.move_on_after(0.01):
            await session.aclose()
        with pytest.raises(evsession.SessionClosed):
            await committing
        assert sent(transport) == ["POST /tx", "DELETE /tx/t1"]


async def test_a_statement_whose_transaction_is_ended_meanwhile_is_no_success() -> None:
    terminated, reached = trio.Event(), trio.Event()

    async def answer(request: evsession.Request) -> evsession.Response:
        if b"TERMINATE" in request.body:
            terminated.set()
            return rows(1)
        if request.method == "POST":
            reached.set()
            await terminated.wait()
            return opened("t1", 1)  # it had just ended
        return ROLLED_BACK

    async with scripted_graph(repeat=answer) as (session, transport):
        dog = Dog("1")
        committing = session.add(dog).commit(lambda *_: None)
        await reached.wait()
        await session.reset()
        assert sent(transport) == ["POST /tx", "POST -", "DELETE /tx/t1"]  # it was not known before
        with pytest.raises(evsession.TransactionError):
            await committing
        assert (session.state, session.is_dirty(dog)) == ("idle", True)


async def test_a_statement_whose_transaction_was_reset_as_it_was_answered() -> None:
    when, reached = trio.Event(), trio.Event()
    answer = late(opened("t1"), rows(1, transaction={"id": "t1"}), ROLLED_BACK, when=when, ends="/t1", reached=reached)
    async with scripted_graph(repeat=answer) as (session, transport):
        tx = await session.begin_transaction()
        running = tx.run("RETURN 1", lambda *_: None)
        await reached.wait()
        await session.reset()
        when.set()
        with pytest.raises(evsession.TransactionError) as caught:
            await running
        assert "reset" in str(caught.value.__cause__)
        await tx.close()
        assert sent(transport) == ["POST /tx", "POST /tx/t1", "DELETE /tx/t1"]


@pytest.mark.parametrize("verb", ["reset", "aclose"])
async def test_while_a_commit_is_on_the_way_its_answer_counts(verb: str, autojump_clock: trio.testing.MockClock) -> None:
    when, reached = trio.Event(), trio.Event()
    answer = late(opened("t1", 1), committed(), GONE, when=when, ends="/commit", reached=reached)
    async with scripted_graph(repeat=answer) as (session, transport):
        dog = Dog("1")
        committing = session.add(dog).commit(lambda *_: None)
        await reached.wait()
        async with trio.open_nursery() as nursery:

            async def end() -> None:
                with trio.move_on_after(0.1):
                    await getattr(session, verb)()

            nursery.start_soon(end)
            await trio.sleep(1)
            when.set()
        assert await committing == ["Dog/1"]
        assert not session.is_dirty(dog)
        assert session.state == ("idle" if verb == "reset" else "closed")
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit", "DELETE /tx/t1"]


@pytest.mark.parametrize("how", ["cancelled", "timed out", "left", "at once"])
@pytest.mark.parametrize("verb", ["rollback", "close", "commit"])
async def test_the_end_of_a_transaction_that_is_cut_off_while_it_waits(
    verb: str, how: str, autojump_clock: trio.testing.MockClock
) -> None:
    when, reached = trio.Event(), trio.Event()
    answer = late(opened("t1"), opened("t1", 1), ROLLED_BACK, rows(5), when=when, ends="/t1", reached=reached)
    async with scripted_graph(repeat=answer) as (session, transport):
        tx = await session.begin_transaction()
        running = tx.run("RETURN 1", lambda *_: None)
        await reached.wait()
        tx.options.timeout = 1 if how == "timed out" else None
        with trio.move_on_after(1 if how == "left" else 9):
            ending = getattr(tx, verb)(lambda *_: None) if how in ("cancelled", "at once") else getattr(tx, verb)()
            if how == "cancelled":
                await trio.sleep(0.1)
            if how != "left" and how != "timed out":
                ending.cancel()
            with pytest.raises(evsession.SessionError):
                await ending
        tx.options.timeout = None
        assert tx.is_open == (how == "at once")  # nothing was begun
        when.set()
        if how == "at once":
            await running
            await tx.rollback()
        else:
            with pytest.raises(evsession.TransactionError):
                await running
        assert sent(transport) == ["POST /tx", "POST /tx/t1", "DELETE /tx/t1"]
        assert (tx.is_open, session.has_transaction()) == (False, False)
        assert (await session.run("RETURN 5")).value() == 5


async def test_a_transaction_that_is_used_while_a_commit_is_under_way_is_another_one() -> None:
    script = (opened("t1", 1), committed(), opened("t2", 1), rows(2, transaction={"id": "t2"}), ROLLED_BACK)
    async with scripted_graph(*script) as (session, transport):
        one, two = Dog("1"), Dog("2")
        committing = session.add(one).commit()
        tx = session.use_transaction()
        assert session.use_transaction() is tx is session.assigned_transaction
        assert session.has_transaction()
        session.add(two)
        flushing, running, ending = session.flush(), session.run("RETURN 2"), session.rollback()
        assert (await committing, await flushing, (await running).value()) == (["Dog/1"], ["Dog/2"], 2)
        await ending
        assert (session.is_dirty(one), session.is_dirty(two), session.has_transaction()) == (False, True, False)
        assert sent(transport)[1:] == ["POST /tx/t1/commit", "POST /tx", "POST /tx/t2", "DELETE /tx/t2"]


async def test_transactions_one_after_another_that_nobody_waits_for() -> None:
    script = (opened("t1", 1), committed(), opened("t2", 1), ROLLED_BACK)
    async with scripted_graph(*script) as (session, transport):
        tx = session.use_transaction()
        operations: list[Any] = [session.add(Dog("1")).flush(), session.commit()]
        other = session.use_transaction()
        operations += [session.add(Dog("2")).flush(), session.rollback()]
        third = session.use_transaction()
        for operation in operations:
            await operation
        assert len({id(tx), id(other), id(third)}) == 3
        assert (tx.is_open, other.is_open, third.is_open) == (False, False, True)
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit", "POST /tx", "DELETE /tx/t2"]
        await session.rollback()


async def test_a_transaction_that_is_used_while_one_is_asked_to_end() -> None:
    async with scripted_graph(opened("t1", 1), committed()) as (session, _):
        tx = session.use_transaction()
        await tx.run("RETURN 1")
        ending = tx.commit(lambda *_: None)
        other = session.use_transaction()
        await ending
        assert other is not tx
        assert (await session.commit(), other.is_open) == ([], False)


async def test_what_is_flushed_into_a_transaction_that_never_began_is_refused() -> None:
    async with scripted_graph(opened("t1", 1), committed()) as (session, transport):
        committing = session.add(Dog("1")).commit()
        with pytest.raises(KeyError):
            async with session.use_transaction():
                flushing = session.add(Dog("2")).flush()
                raise KeyError
        assert await committing == ["Dog/1"]
        with pytest.raises(evsession.TransactionError):
            await flushing
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit"]


async def test_a_transaction_does_not_begin_while_that_before_it_stays_open() -> None:
    async with scripted_graph() as (session, _):
        tx = session.use_transaction()

        @session.once("commit.pre")
        def refuse(event: evsession.CommitEvent) -> None:
            event.prevent()

        committing = session.add(Dog("1")).commit(lambda *_: None)
        other = session.use_transaction()
        with pytest.raises(evsession.TransactionError):
            await committing
        await session.rollback()
        assert (tx.is_open, other.is_open) == (False, False)


@pytest.mark.parametrize("name", ["block", "work", "get_transaction"])
async def test_a_transaction_of_a_function_waits_for_a_commit(name: str) -> None:
    async with scripted_graph(opened("t1", 1), committed(), opened("t2", 1), ROLLED_BACK) as (session, transport):

        async def work(_: Any) -> None:
            await session.add(Dog("2")).flush()
            raise KeyError

        async def block() -> None:
            async with session.transaction() as tx:
                await work(tx)

        committing = session.add(Dog("1")).commit()
        call: Any = {"block": block, "work": lambda: session.transaction(work)}.get(
            name, lambda: evsession.get_transaction(session, work)
        )
        with pytest.raises(KeyError):
            await call()
        assert await committing == ["Dog/1"]
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit", "POST /tx", "DELETE /tx/t2"]
        assert session.state == "idle"


async def test_a_block_in_a_hook_is_refused_and_leaves_nothing_open() -> None:
    async with scripted_graph() as (session, _):

        @session.on("insert.pre")
        async def begin(event: evsession.CommitEvent) -> None:
            async with session.transaction():
                pass

        with pytest.raises(evsession.TransactionError, match=r"transaction\(\) in a hook"):
            await session.add(Dog("1")).commit()
        assert (session.state, session.has_transaction()) == ("idle", False)


@pytest.mark.parametrize("name", ["commit", "flush"])
async def test_what_a_lost_commit_may_have_written_is_not_written_by_one_that_was_called_before_that(name: str) -> None:
    async with scripted_graph(opened("t1", 1), lost, GONE, opened("t2", 1), committed("t2")) as (session, transport):
        dog = Dog("1")
        first = session.add(dog).commit(lambda *_: None)
        second = getattr(session, name)(lambda *_: None)
        for operation in (first, second):
            with pytest.raises(evsession.SessionError) as caught:
                await operation
            assert caught.value.uncertain
        assert caught.value.key == "Dog/1"
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit", "DELETE /tx/t1"]
        assert session.is_dirty(dog)
        assert await session.commit() == ["Dog/1"]  # who calls it by now knows


async def test_a_transaction_that_is_used_while_the_end_of_one_is_on_the_way() -> None:
    async def slow(request: evsession.Request) -> evsession.Response:
        await trio.testing.wait_all_tasks_blocked()
        return committed()

    async with scripted_graph(opened("t1", 1), slow) as (session, _):
        tx = session.use_transaction()
        await tx.run("RETURN 1")
        ending = tx.commit(lambda *_: None)
        other = session.use_transaction()
        assert (await session.commit(), other.is_open) == ([], False)
        assert ending.is_done


async def test_a_hook_uses_the_transaction_of_its_commit() -> None:
    async with scripted_graph(opened("t1", 1), committed()) as (session, _):
        told: list[Any] = []

        @session.on("insert.pre")
        async def ask(event: evsession.CommitEvent) -> None:
            told.extend([session.use_transaction(), session.use_transaction()])
            told.append(await evsession.get_transaction(session, lambda tx: tx))

        assert await session.add(Dog("1")).commit() == ["Dog/1"]
        assert told[0] is told[1] is told[2]
        assert session.state == "idle"


async def test_nothing_is_flushed_into_a_transaction_that_has_failed() -> None:
    async with scripted_graph(refused("Neo.ClientError.Statement.SyntaxError")) as (session, _):
        session.use_transaction()
        with pytest.raises(evsession.QueryError):
            await session.run("RETRUN 1")
        with pytest.raises(evsession.TransactionError):
            await session.add(Dog("1")).flush()
        await session.rollback()


async def test_a_flush_that_is_called_behind_the_end_of_a_transaction_is_no_part_of_it() -> None:
    async with scripted_graph(opened("t1"), committed(), opened("t2", 1), committed()) as (session, transport):
        transaction, dog = await session.begin_transaction(), Dog("1")
        end = transaction.commit(lambda *_: None)
        assert await session.add(dog).flush() == ["Dog/1"]
        assert end.is_done
        assert not session.has_transaction()
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit", "POST /tx", "POST /tx/t2/commit"]
