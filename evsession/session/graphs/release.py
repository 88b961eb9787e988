"""Letting go of what a transaction or statement holds on the server when nobody waits for its answer any more.

The server goes on with a statement whose client has hung up, and keeps the locks of an idle transaction for a minute. So whoever
is cancelled says goodbye first, shielded, but never for longer than `RELEASE_TIME`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import trio

from evsession.errors import SessionError
from evsession.neo4j.flows import Opened
from evsession.neo4j.statements import GraphDatabase, rollback_request, terminate_request
from evsession.wire.json import decode
from evsession.wire.message import Request, Response
from evsession.wire.transport import Trail, Transport

__all__ = ["RELEASE_TIME", "release", "send_kept", "stop_beginning", "terminate"]

RELEASE_TIME = 3.0
"""Seconds that a cancelled task may be held up."""

PAUSES = (0.0, 0.05, 0.2)
"""Seconds between looks for a statement that may not have begun when the first look was taken."""


async def release(transport: Transport, database: GraphDatabase, opened: Opened, tag: str, trail: Trail) -> bool:
    """Roll a transaction back, terminating the statement that runs in it; return whether it certainly was not committed.

    While a statement runs the rollback is refused (500 on 5.26, 400 on 2026.07); a terminated one takes its transaction with it.
    """
    with trio.move_on_after(RELEASE_TIME, shield=True), suppress(SessionError):
        pause = 0.02
        while True:
            response = await transport.send(rollback_request(database, opened.id, opened.affinity), _trail("rollback", trail))
            if response.status in (200, 404):
                return response.status == 200
            await transport.send(terminate_request(database, tag), _trail("terminate", trail))
            await trio.sleep(pause)
            pause *= 2
    return False


async def terminate(
    transport: Transport, database: GraphDatabase, tag: str, trail: Trail, *, until: trio.Event | None = None
) -> None:
    """Terminate a statement that runs in a transaction of its own, and with it that transaction.

    Args:
        transport: What sends.
        database: The database.
        tag: The mark of the statement.
        trail: Of the request that is terminated.
        until: Set when the statement has been answered, so that nothing is left to look for.
    """
    answered = trio.Event() if until is None else until
    with trio.move_on_after(RELEASE_TIME, shield=True), suppress(SessionError):
        for pause in PAUSES:
            with trio.move_on_after(pause):
                await answered.wait()
            if answered.is_set():
                return
            response = await transport.send(terminate_request(database, tag), _trail("terminate", trail))
            if _has_rows(response):
                return


async def stop_beginning(transport: Transport, database: GraphDatabase, tag: str, trail: Trail, answered: trio.Event) -> None:
    """Terminate the statement that begins a transaction, if one does, and wait until who has sent it has put things in order."""
    with trio.move_on_after(RELEASE_TIME, shield=True):
        if tag:
            await terminate(transport, database, tag, trail, until=answered)
        await answered.wait()


def _has_rows(response: Response) -> bool:
    answer: Any = decode(response.body)
    return bool(isinstance(answer, dict) and (answer.get("data") or {}).get("values"))


def _trail(name: str, trail: Trail) -> Trail:
    return Trail(name, trail.observe)


class _Kept:
    """A request that goes on for a while when its caller is cancelled."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope(shield=True)
        self.done = trio.Event()
        self.response: Response | None = None
        self.error: SessionError | None = None

    async def carry(self, transport: Transport, request: Request, trail: Trail) -> None:
        try:
            with self.scope:
                self.response = await transport.send(request, trail)
        except SessionError as error:
            self.error = error
        finally:
            self.done.set()


async def send_kept(transport: Transport, database: GraphDatabase, request: Request, tag: str, trail: Trail) -> Response | None:
    """Send a request that begins a transaction, and runs a statement in it if there is a tag.

    Only its answer names the transaction. So when the caller is cancelled, the statement is terminated and the answer awaited
    nevertheless; what it names is to be rolled back by the caller.

    Returns:
        The answer; None if there is none, because the caller was cancelled and the time for letting go is over.
    """
    kept = _Kept()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.carry, transport, request, trail)
        try:
            await kept.done.wait()
        except trio.Cancelled:  # noqa: ASYNC103 - the caller raises it
            with trio.move_on_after(RELEASE_TIME, shield=True):
                if tag:
                    await terminate(transport, database, tag, trail, until=kept.done)
                await kept.done.wait()
            kept.scope.cancel()
    if kept.error is not None:
        raise kept.error
    return kept.response
