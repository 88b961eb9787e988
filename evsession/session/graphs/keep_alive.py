"""Signs of life for transactions that are idle, where the session's options ask for them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import trio

from evsession.errors import SessionError
from evsession.neo4j.statements import keep_alive_request
from evsession.wire.transport import Trail, Transport

if TYPE_CHECKING:
    from evsession.session.graphs.transaction import GraphTransaction

__all__ = ["KeepingAlive"]

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 20.0
"""Seconds between two signs of life: a third of what the server gives."""


class KeepingAlive:
    """Signs of life for a transaction that is open and idle."""

    def __init__(self, transaction: GraphTransaction, transport: Transport) -> None:
        self._transaction = transaction
        self._transport = transport

    async def run(self) -> None:
        """Send one now and then until the transaction has ended; a failure is left to the next operation to notice."""
        transaction = self._transaction
        pause = _pause(transaction.expires)
        while True:
            with trio.move_on_after(pause):
                await transaction._left.wait()  # which is no end yet if that is given up
            turn = transaction._turns.take()
            try:
                await turn.wait()
                opened = transaction._opened
                if transaction._left.is_set() or opened is None:
                    return
                request = keep_alive_request(transaction._session._database, opened.id, opened.affinity)
                await self._transport.send(request, Trail("keep_alive"))
            except SessionError:
                return
            finally:
                turn.release()


def _pause(expires: datetime | None) -> float:
    """Return a third of the time that the server gives; of clocks that disagree the result is short at worst."""
    left = 0.0 if expires is None else (expires - datetime.now(timezone.utc)).total_seconds()
    return min(max(left / 3, SHORTEST_PAUSE), LONGEST_PAUSE)
