"""Random programs on one graph session of a real server: nothing is lost, done twice, or left there."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import trio

import evsession
from tests.graph_conformance.tools import soon
from tests.unit.session.graphs.checks import check_nodes, check_nothing_left, check_wishes
from tests.unit.session.graphs.programs import Program, make_program
from tests.unit.session.graphs.runs import SEEDS as KEYS
from tests.unit.session.graphs.runs import Run

SEEDS = range(20)

PACE = 0.05
"""The server answers sooner than the one in memory."""


@pytest.fixture(autouse=True)
def _unheard() -> Iterator[None]:
    """Let failures go unheard."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


async def test_random_programs(graph: evsession.GraphStore, label: str) -> None:
    @evsession.node((label, "ProgramE"))
    @dataclasses.dataclass(eq=False)
    class Thing:
        id: str
        v: int = 0
        n: int = 0

    model = graph.model(
        (label, "ProgramE"),
        properties={"id": str, "v": int, "n": int},
        relationships={"to": {"model": "self", "name": "TO", "direction": "out"}},
    )

    # Each statement locks the same node, so that a transaction that stays behind is noticed.
    statement = f"MATCH (a:{label}:A) SET a.n = a.n + 1 CREATE (n:{label}:R {{id: $id}})"
    async with graph.open_session() as other:
        for seed in SEEDS:
            await other.run(f"MATCH (n:{label}) DELETE n")
            await other.run(f"CREATE (:{label}:A {{n: 0}})")
            await other.run(f"UNWIND $keys AS key CREATE (:{label}:ProgramE {{id: key, v: 0, n: 0}})", {"keys": KEYS})
            program = make_program(seed, pace=PACE)
            log: list[str] = []
            try:
                with trio.fail_after(20):
                    await _play(graph, other, label, program, model if program.has_models else Thing, statement, log)
            except Exception as error:
                raise AssertionError(f"program {seed} goes wrong:\n" + "\n".join(log)) from error


async def _play(
    graph: evsession.GraphStore,
    other: evsession.GraphSession,
    label: str,
    program: Program,
    node: Any,
    statement: str,
    log: list[str],
) -> None:
    async with graph.open_session(with_identity_map=program.tracks) as session:
        session.options.retry_time, session.options.retry_delay = 0.2, 0.01
        run = Run(session, node, statement, log.append)
        await run.play(program)
        run.settle()
        check_nothing_left(run)
        if await run.finish():
            nodes = (await other.run(f"MATCH (n:{label}:ProgramE) RETURN properties(n)")).values(0)
            check_nodes(run, nodes)
            check_wishes(run, nodes)
        await soon(other, f"MATCH (n:{label}) SET n.n = n.n")
        counts = await other.run(f"MATCH (a:{label}:A) OPTIONAL MATCH (n:{label}:R) RETURN a.n, count(n), count(DISTINCT n.id)")
        assert len(set(counts.values()[0])) == 1
        told = {call.number: call for call in run.told if call.verb == "run"}
        there = set((await other.run(f"MATCH (n:{label}:R) RETURN n.id")).values(0))
        for number, call in told.items():
            is_certain = call.outcome == "failed" and not getattr(call.error, "uncertain", True)
            assert not (is_certain and f"r{number}" in there), call
            assert f"r{number}" in there or call.outcome != "ok" or call.subject is not None, call
