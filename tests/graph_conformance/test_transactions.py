"""Explicit transactions: what may follow what, and what stays on the server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
import trio

import evsession
from tests.graph_conformance.tools import LONG, Wire, count, soon, wait_running

Verb = Callable[[evsession.GraphTransaction], evsession.Operation[Any]]

VERBS: dict[str, Verb] = {
    "run": lambda tx: tx.run("RETURN 1"),
    "commit": lambda tx: tx.commit(),
    "rollback": lambda tx: tx.rollback(),
    "close": lambda tx: tx.close(),
}


async def test_commit_and_rollback(graph_session: evsession.GraphSession, label: str) -> None:
    async with await graph_session.begin_transaction() as tx:
        await tx.run(f"CREATE (:{label})")
        was_open = tx.is_open
        assert tx.expires is not None
    assert (was_open, tx.is_open) == (True, False)
    assert await count(graph_session, label) == 1
    with pytest.raises(ZeroDivisionError):
        async with await graph_session.begin_transaction() as tx:
            await tx.run(f"CREATE (:{label})")
            assert 1 / len("") == 0
    assert await count(graph_session, label) == 1


@pytest.mark.parametrize("second", VERBS)
@pytest.mark.parametrize("first", ["commit", "rollback", "close"])
async def test_only_close_is_tolerated_after_the_end(graph_session: evsession.GraphSession, first: str, second: str) -> None:
    tx = await graph_session.begin_transaction()
    await VERBS[first](tx)
    wire = Wire(graph_session)
    if second == "close":
        await VERBS[second](tx)
    else:
        ended = "been committed" if first == "commit" else "been rolled back"
        with pytest.raises(evsession.TransactionError, match=ended):
            await VERBS[second](tx)
    assert wire.take() == []
    assert not tx.is_open


async def test_a_failure_ends_the_transaction_but_not_the_session(graph_session: evsession.GraphSession, label: str) -> None:
    tx = await graph_session.begin_transaction()
    await tx.run(f"CREATE (:{label})")
    with pytest.raises(evsession.QueryError) as failure:
        await tx.run("RETURN nonsense(1)")
    wire = Wire(graph_session)
    with pytest.raises(evsession.TransactionError) as caught:
        await tx.run("RETURN 1")
    assert caught.value.__cause__ is failure.value
    with pytest.raises(evsession.TransactionError):
        await graph_session.begin_transaction()
    with pytest.raises(evsession.TransactionError, match="can't be committed") as caught:
        await tx.commit()
    assert caught.value.__cause__ is failure.value
    assert not tx.is_open
    with pytest.raises(evsession.TransactionError, match="has been rolled back"):
        await tx.rollback()
    await tx.close()
    assert wire.take() == []
    assert await count(graph_session, label) == 0


async def test_a_late_error_in_a_transaction(graph_session: evsession.GraphSession) -> None:
    tx = await graph_session.begin_transaction()
    good = await tx.run("UNWIND [1, 2] AS n RETURN n")
    with pytest.raises(evsession.QueryError) as caught:
        await tx.run("UNWIND [2, 1, 0] AS n RETURN 2 / n")
    assert caught.value.rows_before == 2
    assert good.values(0) == [1, 2]
    wire = Wire(graph_session)
    await tx.close()
    assert wire.take() == []


async def test_one_at_a_time(graph_session: evsession.GraphSession, label: str) -> None:
    tx = await graph_session.begin_transaction()
    await tx.run(f"CREATE (:{label})")
    for call in (
        lambda: graph_session.run("RETURN 1"),
        graph_session.begin_transaction,
        lambda: graph_session.write_transaction(lambda tx: None),
    ):
        with pytest.raises(evsession.TransactionError, match="open transaction"):
            call()
    await tx.commit()
    assert await count(graph_session, label) == 1


async def test_what_is_called_without_waiting_keeps_its_order(graph_session: evsession.GraphSession, label: str) -> None:
    begun = graph_session.begin_transaction()
    tx = await begun
    made = [tx.run(f"CREATE (:{label})") for _ in range(3)]
    tx.commit()
    counted = graph_session.run(f"MATCH (n:{label}) RETURN count(n)")
    assert (await counted).value() == 3
    assert all(operation.is_done for operation in made)


async def test_closing_the_session_rolls_back_once(graph: evsession.GraphStore, label: str) -> None:
    session = graph.open_session()
    wire = Wire(session)
    tx = await session.begin_transaction()
    await tx.run(f"CREATE (:{label} {{locked: 1}})")
    wire.take()
    await session.close()
    assert wire.take() == ["DELETE /tx/{id}"]
    await session.close()
    assert (wire.take(), tx.is_open) == ([], False)
    with pytest.raises(evsession.SessionClosed):
        session.run("RETURN 1")
    async with graph.open_session() as other:
        assert await count(other, label) == 0


async def test_idle_transactions_expire_unless_kept_alive(graph: evsession.GraphStore) -> None:
    async with graph.open_session() as lazy, graph.open_session() as lively:
        lively.options.keep_alive = True
        forgotten, kept = await lazy.begin_transaction(), await lively.begin_transaction()
        assert forgotten.expires is not None
        left = (forgotten.expires - datetime.now(timezone.utc)).total_seconds()
        if left > 10:
            pytest.skip(f"the server keeps idle transactions for {left:.0f} s")
        await trio.sleep(left + 8)
        with pytest.raises(evsession.TransactionError, match="has expired"):
            await forgotten.run("RETURN 1")
        await forgotten.close()
        assert (await lazy.run("RETURN 1")).value() == 1
        assert (await kept.run("RETURN 1")).value() == 1
        await kept.commit()


async def test_a_statement_that_somebody_terminates(graph: evsession.GraphStore, graph_session: evsession.GraphSession) -> None:
    tx = await graph_session.begin_transaction()
    running = tx.run(f"/* victim */ {LONG}")
    async with graph.open_session() as other:
        await wait_running(other, "/* victim */")
        await other.run(
            "SHOW TRANSACTIONS YIELD transactionId AS id, currentQuery AS q "
            "WHERE q CONTAINS '/* victim */' AND NOT q STARTS WITH 'SHOW' "
            "TERMINATE TRANSACTIONS id YIELD message RETURN message"
        )
    with pytest.raises(evsession.TransactionError) as caught:
        await running
    assert not caught.value.is_retryable()


async def test_an_operation_on_a_transaction_that_is_being_reset(
    graph: evsession.GraphStore, graph_session: evsession.GraphSession, label: str
) -> None:
    tx = await graph_session.begin_transaction()
    await tx.run(f"MERGE (n:{label} {{a: 1}}) SET n.b = 1")
    running = tx.run(f"/* resetting */ {LONG}")
    async with graph.open_session() as other:
        await wait_running(other, "/* resetting */")
        await graph_session.reset()
        with pytest.raises(evsession.SessionError):
            await running
        await soon(other, f"MERGE (n:{label} {{a: 1}}) SET n.b = 2")
    with pytest.raises(evsession.TransactionError, match="can't be committed"):
        await tx.commit()
    await tx.close()


@pytest.mark.parametrize("begins", [True, False])
async def test_a_transaction_left_open_in_the_session_of_a_helper(graph: evsession.GraphStore, label: str, begins: bool) -> None:
    users: Any = graph.model(label, properties={"id": str})

    async def leave(session: evsession.GraphSession) -> None:
        if begins:
            tx = await session.begin_transaction()
            await tx.run(f"CREATE (:{label} {{id: 'run'}})")
        else:
            session.use_transaction()
        session.add(users(id="flushed"))
        await session.flush()
        session.add(users(id="pending"))

    await graph.get_session(None, leave)
    assert [user.id for user in await users.find_many()] == ["pending"]


async def test_a_transaction_that_is_used_while_a_commit_is_under_way_is_another_one(
    graph: evsession.GraphStore, label: str
) -> None:
    users: Any = graph.model(label, properties={"id": str})
    async with graph.open_session() as session:
        session.add(users(id="1")).commit(lambda *_: None)
        session.use_transaction()
        await session.add(users(id="2")).flush()
        await session.rollback()
        assert (await session.run(f"MATCH (n:{label}) RETURN n.id")).values(0) == ["1"]
        assert await session.commit() == [f"{label}/2"]
