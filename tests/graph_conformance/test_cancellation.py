"""Whoever is cancelled leaves nothing behind: a second writer gets at the same node at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio

import evsession
from tests.graph_conformance.tools import LONG, Late, count, is_running, soon, wait_running

LOCK = "MERGE (n:{label} {{a: 1}}) SET n.b = 1"


async def cancelled_while(graph: evsession.GraphStore, text: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work(task_status)`` and cancel it as soon as a statement with this text runs."""
    async with graph.open_session() as watcher, trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await wait_running(watcher, text)
        nursery.cancel_scope.cancel()


async def test_a_statement_of_its_own(graph: evsession.GraphStore, label: str) -> None:
    text = LOCK.format(label=label)
    async with graph.open_session() as session:

        async def work() -> None:
            await session.run(f"{text} WITH n {LONG}")

        await cancelled_while(graph, label, work)
        await soon(session, text)
        assert not await is_running(session, LONG[:20])


async def test_a_statement_in_a_transaction(graph: evsession.GraphStore, label: str) -> None:
    text = LOCK.format(label=label)
    async with graph.open_session() as session, graph.open_session() as other:
        tx = await session.begin_transaction()
        await tx.run(text)

        async def work() -> None:
            await tx.run(f"/* {label} */ {LONG}")

        await cancelled_while(graph, f"/* {label} */", work)
        await soon(other, text)
        assert "terminated" in repr(tx)
        await tx.close()
        await soon(session, text)


async def test_between_statements_of_a_transaction(graph: evsession.GraphStore, label: str) -> None:
    text = LOCK.format(label=label)
    async with graph.open_session() as session, graph.open_session() as other:
        with trio.CancelScope() as scope:
            async with await session.begin_transaction() as tx:
                await tx.run(text)
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        await soon(other, text)


@pytest.mark.parametrize("verb", ["read_transaction", "write_transaction"])
async def test_the_first_statement_of_a_managed_transaction(graph: evsession.GraphStore, label: str, verb: str) -> None:
    async with graph.open_session() as session:

        async def work() -> None:
            await getattr(session, verb)(lambda tx: tx.run(f"/* {label} */ {LONG}"))

        await cancelled_while(graph, f"/* {label} */", work)
        assert not await is_running(session, LONG[:20])


async def test_the_work_of_a_managed_transaction(graph: evsession.GraphStore, label: str) -> None:
    text = LOCK.format(label=label)
    async with graph.open_session() as session:
        with trio.CancelScope() as scope:

            async def work(tx: evsession.GraphTransaction) -> None:
                await tx.run(text)
                scope.cancel()
                await trio.sleep_forever()

            await session.write_transaction(work)
        assert scope.cancelled_caught
        await soon(session, text)


async def test_at_any_moment(graph: evsession.GraphStore, label: str) -> None:
    # Without knowing when: the moments are spread over what the whole takes.
    text = LOCK.format(label=label)
    async with graph.open_session() as session, graph.open_session() as other:

        async def work(tx: evsession.GraphTransaction) -> None:
            await tx.run(text)
            await tx.run(f"MATCH (n:{label}) SET n.c = 1")

        await session.write_transaction(work)
        begun = trio.current_time()
        await session.write_transaction(work)
        whole = trio.current_time() - begun
        for step in range(20):
            with trio.move_on_after(whole * step / 16):
                await session.write_transaction(work)
            await soon(other, text)


async def test_cancelled_operations_tell_whether_something_may_have_happened(graph: evsession.GraphStore, label: str) -> None:
    async with graph.open_session() as session, graph.open_session() as watcher:
        tx = await session.begin_transaction()
        running = tx.run(f"/* {label} */ {LONG}")
        await wait_running(watcher, f"/* {label} */")
        running.cancel()
        with pytest.raises(evsession.OperationCancelled) as caught:
            await running
        assert not caught.value.uncertain  # what was not committed has not happened


async def test_a_timeout_of_the_client_frees_the_locks(graph: evsession.GraphStore, label: str) -> None:
    text = LOCK.format(label=label)
    async with graph.open_session() as session, graph.open_session() as other:
        session.options.timeout = 0.5
        with pytest.raises(evsession.OperationTimeout):
            await session.write_transaction(lambda tx: tx.run(f"{text} WITH n {LONG}"))
        await soon(other, text)


async def test_refresh_tells_what_became_of_a_commit_that_was_cancelled_at_any_moment(
    graph: evsession.GraphStore, label: str
) -> None:
    @evsession.node(label)
    class Thing:
        def __init__(self, id: int) -> None:
            self.id = id

    async with graph.open_session() as session:
        begun = trio.current_time()
        await session.add(Thing(-1)).commit()
        whole = trio.current_time() - begun
        for step in range(30):
            thing = Thing(step)
            session.add(thing)
            with trio.move_on_after(whole * step / 25):
                await session.commit()
            if session.is_dirty(thing):
                with suppress(evsession.DirtyEntity):  # certainly not written
                    await session.refresh(thing)
            assert (await session.commit()) in ([], [f"{label}/{step}"])
            rows = await session.run(f"MATCH (n:{label} {{id: $id}}) RETURN count(n)", {"id": step})
            assert rows.value() == 1


async def cancelled_when(late: Late, work: Callable[[], Awaitable[object]]) -> None:
    """Do the work, and cancel it when the server has answered."""
    async with trio.open_nursery() as nursery:

        async def do() -> None:
            await work()

        nursery.start_soon(do)
        with trio.fail_after(5):
            await late.reached.wait()
        nursery.cancel_scope.cancel()


async def test_a_commit_that_was_cancelled_after_the_server_had_carried_it_out(graph: evsession.GraphStore, label: str) -> None:
    late = Late(graph, "/commit")
    async with evsession.GraphStore(transport=late) as slow, slow.open_session() as session, graph.open_session() as other:
        tx = await session.begin_transaction()
        await tx.run(f"CREATE (:{label})")
        await cancelled_when(late, tx.commit)
        assert await count(other, label) == 1
        assert (tx.is_open, session.has_transaction()) == (False, False)
        for ask in (tx.commit, tx.rollback, lambda: tx.run("RETURN 1")):
            with pytest.raises(evsession.TransactionError, match="unknown") as caught:
                await ask()
            assert caught.value.uncertain
        await tx.close()
        assert (await session.run("RETURN 1")).value() == 1


async def test_a_commit_of_what_has_failed_ends_it(graph: evsession.GraphStore, label: str) -> None:
    async with graph.open_session() as session:
        tx = await session.begin_transaction()
        with pytest.raises(evsession.QueryError):
            await tx.run("RETRUN 1")
        with pytest.raises(evsession.TransactionError, match="can't be committed"):
            await tx.commit()
        assert (tx.is_open, session.has_transaction()) == (False, False)
        assert (await session.run("RETURN 1")).value() == 1


@pytest.mark.parametrize("name", ["commit", "write_transaction", "transaction", "get_transaction"])
async def test_a_commit_inside_of_something_that_was_cancelled(graph: evsession.GraphStore, label: str, name: str) -> None:
    users: Any = graph.model(label, properties={"id": str})
    late = Late(graph, "/commit")

    async def run(tx: Any) -> None:
        await tx.run(f"CREATE (:{label})")

    calls: dict[str, Callable[[evsession.GraphSession], Any]] = {
        "commit": lambda session: session.add(users(id="1")).commit(),
        "write_transaction": lambda session: session.write_transaction(run),
        "transaction": lambda session: session.transaction(run),
        "get_transaction": lambda session: evsession.get_transaction(session, run),
    }
    async with evsession.GraphStore(transport=late) as slow, slow.open_session() as session:
        operation = calls[name](session)
        with trio.fail_after(5):
            await late.reached.wait()
        operation.cancel()
        with pytest.raises(evsession.OperationCancelled) as caught:
            await operation
        assert caught.value.uncertain
        session.clear()
    async with graph.open_session() as other:
        assert await count(other, label) == 1


async def test_a_transaction_whose_begin_was_cancelled(graph: evsession.GraphStore) -> None:
    late = Late(graph, "/tx", delay=0.1)
    async with evsession.GraphStore(transport=late) as slow, slow.open_session() as session:
        await cancelled_when(late, session.begin_transaction)
        assert (session.has_transaction(), late.statuses) == (False, [("POST", 202), ("DELETE", 200)])


async def test_who_waits_for_a_commit_and_is_cancelled_leaves_it_alone(graph: evsession.GraphStore, label: str) -> None:
    users: Any = graph.model(label, properties={"id": str})
    async with graph.open_session() as session:
        going, done = trio.Event(), trio.Event()

        @session.on("insert.post")
        async def pause(event: evsession.CommitEvent) -> None:
            going.set()
            await done.wait()

        committing = session.add(users(id="1")).commit(lambda *_: None)
        await going.wait()
        with trio.move_on_after(0.01):
            await session.commit()
        done.set()
        assert await committing == [f"{label}/1"]
        assert await session.commit() == []
        assert await count(session, label) == 1


@pytest.mark.parametrize("verb", ["rollback", "close", "commit"])
async def test_the_end_of_a_transaction_that_is_cancelled_while_it_waits(
    graph: evsession.GraphStore, label: str, verb: str
) -> None:
    text = LOCK.format(label=label)
    async with graph.open_session() as session, graph.open_session() as other:
        tx = await session.begin_transaction()
        await tx.run(text)
        running = tx.run(f"/* {label} */ {LONG}", lambda *_: None)
        await wait_running(other, f"/* {label} */")
        with trio.move_on_after(0.01):
            await getattr(tx, verb)()
        await soon(other, text)
        with pytest.raises(evsession.SessionError):
            await running
        assert (tx.is_open, session.has_transaction()) == (False, False)
        assert (await session.run("RETURN 1")).value() == 1
