"""Random programs on one graph session: whatever overlaps, the session, the program and the server agree in the end.

A failure names its seed; ``make_program(seed)`` is the program, and the server's `log` what has happened.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from random import Random

import pytest
import trio
import trio.testing

import evsession
from tests.unit.session.graphs.checks import Wrong, check_nodes, check_nothing_left, check_wishes
from tests.unit.session.graphs.memory import LABEL, Effect, MemoryGraph
from tests.unit.session.graphs.programs import Program, Told, make_program
from tests.unit.session.graphs.runs import SEEDS, Run

RUNS = 600

SINGLE = ("run", "tx.run", "commit", "flush", "commit_transaction", "write_transaction", "save", "delete")


@evsession.node("E")
@dataclasses.dataclass(eq=False)
class Thing:
    id: str
    v: int = 0
    n: int = 0


MODEL = evsession.GraphStore("http://neo4j").model(
    "E",
    properties={"id": str, "v": int, "n": int},
    relationships={"to": {"model": "self", "name": "TO", "direction": "out"}},
)


@pytest.fixture(autouse=True)
def _same_each_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let trio's tasks take turns in the same order each time, and let failures go unheard."""
    monkeypatch.setattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    monkeypatch.setattr("evsession.session.graphs.managed.random", Random(0))
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(0, RUNS, 50))
def test_random_programs(first: int) -> None:
    for seed in range(first, first + 50):
        trio._core._run._r.seed(seed)
        try:
            trio.run(_play, make_program(seed), clock=trio.testing.MockClock(autojump_threshold=0))
        except Exception as error:
            raise Wrong(f"program {seed} goes wrong") from error


async def _play(program: Program) -> None:
    server = MemoryGraph(Random(program.seed), losses=program.losses)
    for key in SEEDS:
        server.put("E", id=key, v=0, n=0)
    graph = evsession.GraphStore(transport=server, options={"retry_time": 2, "retry_delay": 0.1})
    with trio.fail_after(1000):
        async with graph, graph.open_session(with_identity_map=program.tracks) as session:
            run = Run(session, MODEL if program.has_models else Thing, "CREATE (n:R {id: $id})", server.note)
            await run.play(program)
            run.settle()
            await trio.sleep(5)  # the server ends what nobody waits for any more
            check_nothing_left(run)
            held = {tx._opened.id for tx in run.transactions if tx._opened is not None and tx.is_open}
            _check_outcomes(run, server, has_hook=bool(program.hooks))
            left = server.opened.keys() - held - server.excused
            assert not left, f"{left} stay open"
            server.losses = 0.0
            if await run.finish():
                nodes = [dict(node) for node in server.nodes.values() if node.pop(LABEL) == "E"]
                check_nodes(run, nodes)
                check_wishes(run, nodes)
        assert not server.opened.keys() - server.excused


def _check_outcomes(run: Run, server: MemoryGraph, *, has_hook: bool) -> None:
    """Check that what was told of each call is what the server did."""
    effects: dict[int, list[Effect]] = {}
    for effect in server.effects:
        effects.setdefault(effect.call, []).append(effect)
    for tx in run.transactions:
        fate = None if tx._opened is None else server.ended.get(tx._opened.id)
        assert (fate == "committed") == (tx._phase.name == "COMMITTED") or fate is None or tx._phase.name == "UNKNOWN", tx
    for told in run.told:
        fates = {server.ended.get(effect.transaction) for effect in effects.get(told.number, ())}
        if told.verb in ("commit", "commit_transaction") and told.outcome == "ok":
            assert fates <= {"committed"}, told
        if told.is_handed_on:
            continue
        if told.verb in ("run", "stream", "rows") and told.outcome == "ok" and told.subject is None:
            assert fates == {"committed"}, told
        # A flush that a hook has ended is for the program to be rolled back.
        if told.verb in SINGLE and told.is_sure and not (told.verb == "flush" and has_hook):
            assert "committed" not in fates, told
        if told.verb in ("tx.commit", "tx.rollback") and told.outcome == "ok":
            _check_statements(run, server, told, effects)


def _check_statements(run: Run, server: MemoryGraph, end: Told, effects: dict[int, list[Effect]]) -> None:
    """Check what became of the statements of a transaction."""
    for told in run.told:
        if told.verb == "tx.run" and told.subject is end.subject and not told.is_handed_on:
            fates = {server.ended.get(effect.transaction) for effect in effects.get(told.number, ())}
            expected = {"committed"} if end.verb == "tx.commit" and told.outcome == "ok" else set()
            assert expected <= fates, told
            assert "committed" not in fates or end.verb == "tx.commit", told
