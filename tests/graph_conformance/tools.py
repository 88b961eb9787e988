"""What the tests on a real Neo4j share."""

from __future__ import annotations

import math
from typing import Any

import trio

import evsession

LONG = "UNWIND range(1, 3000) AS i UNWIND range(1, 30000) AS j WITH i * j AS k WHERE k % 7 = 9 RETURN count(k)"
"""A statement that runs for many seconds and changes nothing."""


class Late:
    """A transport that a real one carries, whose answers to requests for paths with this end come late, or never.

    Attributes:
        reached: Set when the server has answered such a request.
        statuses: What the server has answered to each method.
    """

    def __init__(self, graph: evsession.GraphStore, end: str, delay: float = math.inf) -> None:
        self._carrier = graph._running()[1]
        self._end = end
        self._delay = delay
        self.reached = trio.Event()
        self.statuses: list[tuple[str, int]] = []

    async def send(self, request: evsession.Request, trail: evsession.Trail) -> evsession.Response:
        response = await self._carrier.send(request, trail)
        self.statuses.append((request.method, response.status))
        if request.method == "POST" and request.target.endswith(self._end):
            self.reached.set()
            await trio.sleep(self._delay)
        return response

    async def open(self, request: evsession.Request, trail: evsession.Trail, *, streams_body: bool = False) -> evsession.Exchange:
        return await self._carrier.open(request, trail, streams_body=streams_body)

    async def aclose(self) -> None:
        """Leave the real one to its store."""


class Wire:
    """What is sent from now on by sessions that are watched, as their observation events tell it."""

    def __init__(self, *sessions: evsession.GraphSession) -> None:
        self.sent: list[str] = []
        for session in sessions:
            session.add_listener("request", self._note)

    def _note(self, event: evsession.WireEvent) -> None:
        path = event.url.split("/query/v2", 1)[-1] if "/query/v2" in event.url else "discovery"
        steps = [
            "/tx" if step == "tx" else "/{id}" if number == 2 else f"/{step}"
            for number, step in enumerate(path.split("/"))
            if step
        ]
        self.sent.append(f"{event.method} {''.join(steps)}".strip())

    def take(self) -> list[str]:
        """Return method and path of each request since the last call."""
        taken, self.sent[:] = list(self.sent), []
        return taken


async def count(session: evsession.GraphSession, label: str) -> int:
    """Return how many nodes there are."""
    total: int = (await session.run(f"MATCH (n:{label}) RETURN count(n)")).value()
    return total


async def is_running(session: evsession.GraphSession, text: str) -> bool:
    """Return whether a statement with this text runs."""
    statement = "SHOW TRANSACTIONS YIELD currentQuery AS q WHERE q CONTAINS $text AND NOT q STARTS WITH 'SHOW' RETURN count(q)"
    return bool((await session.run(statement, {"text": text})).value())


async def wait_running(session: evsession.GraphSession, text: str) -> None:
    """Wait until a statement with this text runs."""
    with trio.fail_after(10):
        while not await is_running(session, text):  # noqa: ASYNC110 - the server tells nobody
            await trio.sleep(0.02)


async def soon(session: evsession.GraphSession, query: str, **params: Any) -> evsession.Result:
    """Run what must not wait for anybody's lock."""
    with trio.fail_after(2.5):
        return await session.run(query, params)
