"""Graph sessions on a scripted transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

import evsession
from evsession.testing.scripted import Answer, ScriptedTransport


@asynccontextmanager
async def scripted_graph(
    *answers: Answer,
    repeat: Answer | None = None,
    access: str = "write",
    prepare: Callable[[Any], object] | None = None,
    **more: Any,
) -> AsyncIterator[tuple[evsession.GraphSession, ScriptedTransport]]:
    """Open a graph session whose requests are answered from a script."""
    transport = ScriptedTransport(*answers, repeat=repeat)
    graph = evsession.GraphStore(transport=transport, **more)
    if prepare is not None:
        prepare(graph)
    is_over = False
    async with graph, graph.open_session(access) as session:
        yield session, transport
        is_over = True
    assert is_over, "the test was cut off, and the store let nobody know"


def sent(transport: ScriptedTransport) -> list[str]:
    """Method and path of each request so far, from the end of the database's name."""
    return [f"{r.method} {r.target.removeprefix('/db/neo4j/query/v2') or '-'}" for r in transport.requests]


def hang() -> Answer:
    """An answer that never comes."""

    async def never(request: evsession.Request) -> evsession.Response:
        await trio.sleep_forever()

    return never


def lost(request: evsession.Request) -> evsession.Response:
    """The end of a connection after the request."""
    raise evsession.ConnectionFailed("closed", uncertain=request.writes)
