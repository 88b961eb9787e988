"""Managed transactions: commit, roll back, try again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

import evsession
from tests.graph_conformance.tools import Wire, count


async def test_work_is_committed_in_two_requests(graph_session: evsession.GraphSession, label: str) -> None:
    wire = Wire(graph_session)

    async def work(tx: evsession.GraphTransaction) -> Any:
        return (await tx.run(f"CREATE (n:{label} {{a: 7}}) RETURN n.a")).value()

    assert await graph_session.write_transaction(work) == 7
    assert wire.take() == ["POST /tx", "POST /tx/{id}/commit"]
    assert await count(graph_session, label) == 1
    assert graph_session.last_bookmark() is not None


async def test_work_in_callback_style(graph_session: evsession.GraphSession, label: str) -> None:
    def work(tx: evsession.GraphTransaction, done: Callable[..., None]) -> None:
        def made(error: evsession.SessionError | None, result: evsession.Result) -> None:
            done(error, None if error else result.value())

        tx.run(f"CREATE (n:{label}) RETURN 5", made)

    told: list[Any] = []
    await graph_session.write_transaction(work, lambda error, value: told.append((error, value)))
    assert told == [(None, 5)]
    assert await count(graph_session, label) == 1


async def test_work_that_raises_is_rolled_back(graph_session: evsession.GraphSession, label: str) -> None:
    calls = 0

    async def work(tx: evsession.GraphTransaction) -> None:
        nonlocal calls
        calls += 1
        await tx.run(f"CREATE (:{label})")
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        await graph_session.write_transaction(work)
    assert calls == 1
    assert await count(graph_session, label) == 0


async def test_a_failure_that_work_swallows_still_fails(graph_session: evsession.GraphSession, label: str) -> None:
    async def work(tx: evsession.GraphTransaction) -> None:
        await tx.run(f"CREATE (:{label})")
        with pytest.raises(evsession.QueryError):
            await tx.run("RETURN nonsense(1)")

    told: list[evsession.SessionError] = []
    graph_session.on("error", told.append)
    with pytest.raises(evsession.TransactionError, match="can't be committed"):
        await graph_session.write_transaction(work)
    assert len(told) == 1
    assert await count(graph_session, label) == 0


async def test_work_may_end_the_transaction_itself(graph_session: evsession.GraphSession, label: str) -> None:
    async def work(tx: evsession.GraphTransaction) -> str:
        await tx.run(f"CREATE (:{label})")
        await tx.rollback()
        return "undone"

    assert await graph_session.write_transaction(work) == "undone"
    assert await count(graph_session, label) == 0


async def test_reading_work_does_not_write(graph_session: evsession.GraphSession, label: str) -> None:
    with pytest.raises(evsession.QueryError):
        await graph_session.read_transaction(lambda tx: tx.run(f"CREATE (:{label})"))


async def test_a_deadlock_resolves_and_both_changes_happen_once(graph: evsession.GraphStore, label: str) -> None:
    async with graph.open_session() as session:
        await session.run(f"CREATE (:{label} {{id: 'a', n: 0}}), (:{label} {{id: 'b', n: 0}})")
    met = [trio.Event(), trio.Event()]
    tries = 0

    async def change(me: int, first: str, second: str) -> None:
        async def work(tx: evsession.GraphTransaction) -> None:
            nonlocal tries
            tries += 1
            await tx.run(f"MATCH (n:{label} {{id: $id}}) SET n.n = n.n + 1", {"id": first})
            met[me].set()
            await met[1 - me].wait()
            await tx.run(f"MATCH (n:{label} {{id: $id}}) SET n.n = n.n + 1", {"id": second})

        async with graph.open_session() as session:
            session.options.retry_delay = 0.1
            await session.write_transaction(work)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(change, 0, "a", "b")
        nursery.start_soon(change, 1, "b", "a")
    async with graph.open_session() as session:
        assert (await session.run(f"MATCH (n:{label}) RETURN n.n")).values(0) == [2, 2]
    assert tries >= 3


async def test_sessions_are_chained_by_bookmarks(neo4j_url: str, label: str) -> None:
    one, two = evsession.GraphStore(neo4j_url), evsession.GraphStore(neo4j_url)
    async with one, two, one.open_session() as writer:
        await writer.write_transaction(lambda tx: tx.run(f"CREATE (:{label})"))
        async with two.open_session("read", writer.last_bookmark()) as reader:
            assert await count(reader, label) == 1
