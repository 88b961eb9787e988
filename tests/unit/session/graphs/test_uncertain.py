"""Operations that are cut off while a part of them commits: what is told of them, whoever has waited for that part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

import evsession
from evsession.testing.scripted import Answer
from tests.unit.neo4j.typed import DISCOVERY_5, GONE, ROLLED_BACK, opened
from tests.unit.session.graphs.scripted import scripted_graph
from tests.unit.session.graphs.test_work import Dog


async def create(tx: Any) -> None:
    await tx.run("CREATE (:Dog)")


async def add(session: Any) -> None:
    session.add(Dog("1"))


CALLS: dict[str, Callable[[evsession.GraphSession, Any], Any]] = {
    "commit": lambda session, graph: session.add(Dog("1")).commit(),
    "write_transaction": lambda session, graph: session.write_transaction(create),
    "transaction": lambda session, graph: session.transaction(add),
    "run": lambda session, graph: session.run("CREATE (:Dog)", timeout=30),
    "get_transaction": lambda session, graph: evsession.get_transaction(session, create),
    "get_session": lambda session, graph: evsession.get_session(None, add, graph[0]),
}


def answers(outcome: evsession.Response) -> Answer:
    """Answer everything but commits, of which the outcome is what a rollback is told then."""

    async def answer(request: evsession.Request) -> evsession.Response:
        if request.target.endswith("/commit"):
            await trio.sleep_forever()
        if request.method == "DELETE":
            return outcome
        return DISCOVERY_5 if request.target == "/" else opened("t1", 1)

    return answer


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
@pytest.mark.parametrize("outcome", ["gone", "rolled back"])
@pytest.mark.parametrize("name", CALLS)
async def test_cut_off_while_a_part_commits(name: str, outcome: str, how: str, autojump_clock: trio.testing.MockClock) -> None:
    graphs: list[Any] = []
    repeat = answers(GONE if outcome == "gone" else ROLLED_BACK)
    options = {"timeout": 2} if how == "timed out" else None
    async with scripted_graph(repeat=repeat, prepare=graphs.append, options=options) as (session, transport):
        operation = CALLS[name](session, graphs)
        if how == "cancelled":
            await trio.sleep(1)
            operation.cancel()
        with pytest.raises(evsession.SessionError) as caught:
            await operation
        assert isinstance(caught.value, evsession.OperationCancelled if how == "cancelled" else evsession.OperationTimeout)
        assert caught.value.uncertain == (outcome == "gone")
        assert caught.value.is_retryable() == (how != "cancelled" and outcome != "gone")
        assert sum(request.target.endswith("/commit") for request in transport.requests) == 1
        session.clear()


async def test_cut_off_while_a_part_reads(autojump_clock: trio.testing.MockClock) -> None:
    async def never(request: evsession.Request) -> evsession.Response:
        return await trio.sleep_forever()

    async with scripted_graph(repeat=never, access="read") as (session, _):

        async def load(session: Any) -> None:
            await session.run("RETURN 1")

        operation = evsession.get_session(session, load)
        await trio.sleep(1)
        operation.cancel()
        with pytest.raises(evsession.OperationCancelled) as caught:
            await operation
        assert not caught.value.uncertain
