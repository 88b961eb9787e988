"""What is done in a transaction as a part of another operation, such as a commit of the unit of work."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from evsession.errors import OperationCancelled, OperationTimeout, SessionClosed, SessionError
from evsession.neo4j.flows import Opened
from evsession.session.conversation import Running
from evsession.session.gate import Turn
from evsession.session.graphs.release import stop_beginning
from evsession.session.operation import Operation, Steps
from evsession.wire.transport import Trail

if TYPE_CHECKING:
    from evsession.session.graphs.transaction import GraphTransaction

__all__ = ["CUT_OFF", "PARTS", "LastTurn", "Part", "Releasing", "do_part", "let_go"]

CUT_OFF = (OperationCancelled, OperationTimeout)
"""What steps see that were not waited for to the end."""

PARTS: ContextVar[GraphTransaction | None] = ContextVar("evsession part", default=None)
"""The transaction in which a part is done."""


class LastTurn:
    """The pause of what ends a transaction until it is its turn: cut off, it ends the transaction nevertheless."""

    def __init__(self, transaction: GraphTransaction, turn: Turn) -> None:
        self._transaction = transaction
        self._turn = turn

    async def wait(self) -> None:
        """Wait; cut off, roll back, whatever runs."""
        try:
            await self._turn.wait()
        except BaseException as error:
            await self._transaction._abandon(error)  # noqa: ASYNC102 - what must be shielded there is
            raise


class Part:
    """The owner of what is done in a transaction as a part of another operation."""

    def __init__(self, transaction: GraphTransaction, running: Running) -> None:
        self._events = transaction._events.without_failures()
        self._gate = transaction._gate
        self.options = transaction.options
        self._running = running


async def do_part(transaction: GraphTransaction, name: str, steps: Steps) -> Any:
    """Do a part of another operation, which tells the handlers of its failure, and whose name the error is to have."""
    token = PARTS.set(transaction)
    try:
        return await Operation[Any](Part(transaction, transaction._running), name, steps, None, name == "run")
    except SessionError as error:
        error.operation = None
        raise
    finally:
        PARTS.reset(token)


async def let_go(transaction: GraphTransaction, opened: Opened | None, name: str) -> None:
    """Roll back what is open on the server; what is just beginning is terminated, and rolled back by who has begun it."""
    beginning = transaction._beginning
    if opened is not None:
        await transaction._release(opened, Trail(name))
    elif beginning is not None and not beginning.is_set():
        with suppress(SessionClosed):
            transport, database = transaction._session._store_running()[1], transaction._session._database
            await stop_beginning(transport, database, transaction._tag, Trail(name), beginning)


class Releasing:
    """A pause in which a transaction is rolled back that may have survived a failure."""

    def __init__(self, transaction: GraphTransaction, opened: Opened) -> None:
        self.has_undone = False
        self._transaction = transaction
        self._opened = opened

    async def wait(self) -> None:
        """Roll back."""
        self.has_undone = await self._transaction._release(self._opened, Trail("rollback"))
