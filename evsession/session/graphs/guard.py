"""What stands between a graph session and the transport: whoever gets no answer leaves nothing behind on the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from evsession.errors import SessionError
from evsession.neo4j.flows import opened_by
from evsession.session.graphs.phase import Phase
from evsession.session.graphs.release import send_kept, terminate
from evsession.wire.message import Request, Response
from evsession.wire.transport import Exchange, Trail, Transport

if TYPE_CHECKING:
    from evsession.session.graphs.session import GraphSession
    from evsession.session.graphs.transaction import GraphTransaction

__all__ = ["Guard", "SingleGuard"]


class _Passing:
    """A transport by way of another one, which is the store's and stays open."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def open(self, request: Request, trail: Trail, *, streams_body: bool = False) -> Exchange:
        """Open an exchange; a stream lets go by itself."""
        return await self.transport.open(request, trail, streams_body=streams_body)

    async def aclose(self) -> None:
        """Do nothing."""


class SingleGuard(_Passing):
    """The transport of statements that have a transaction for themselves: terminates one whose caller is cancelled."""

    def __init__(self, session: GraphSession, transport: Transport) -> None:
        super().__init__(transport)
        self._session = session

    async def send(self, request: Request, trail: Trail) -> Response:
        """Send the request; cancelled, terminate its statement."""
        try:
            return await self.transport.send(request, trail)
        except trio.Cancelled:
            if trail.sent and request.method == "POST":
                await terminate(self.transport, self._session._database, self._session._tag, trail)  # noqa: ASYNC102 - what must be shielded there is
            raise


class Guard(_Passing):
    """The transport of a transaction: whatever keeps an answer from coming, nothing is left on the server."""

    def __init__(self, transaction: GraphTransaction, transport: Transport) -> None:
        super().__init__(transport)
        self._transaction = transaction

    async def send(self, request: Request, trail: Trail) -> Response:
        """Send the request; if there is no answer, the transaction has failed and is rolled back before that is told."""
        transaction, commits = self._transaction, request.target.endswith("/commit")
        lasts = commits and transaction._writes
        if request.method == "POST":
            # It may have been ended since the request was made.
            transaction._check("commit" if commits else "run", transaction._phase)
        if transaction._opened is None and request.method == "POST":
            return await self._begin(request, trail)
        try:
            response = await self.transport.send(request, trail)
        except BaseException as error:
            opened = transaction._opened
            if not commits:
                transaction._fail(error)
            was_sent = trail.sent
            # Also if nothing was sent: what was begun before holds its locks.
            released = opened is not None and await transaction._release(opened, trail)  # noqa: ASYNC102 - what must be shielded there is
            undone = released or not was_sent
            if undone or not lasts:
                transaction._fail(error)
                # Nothing of a transaction lasts that was not committed, and nothing is written by one that reads.
                trail.sent = False
                if isinstance(error, SessionError):
                    error.uncertain = False
            else:
                transaction._lose(error)
            raise
        trail.sent = lasts  # what else is answered may be nonsense: it leaves nothing open
        return response

    async def _begin(self, request: Request, trail: Trail) -> Response:
        """Begin, maybe by a statement: the transaction is known by its answer alone."""
        transaction = self._transaction
        database = transaction._session._database
        response: Response | None = None
        beginning = transaction._beginning = trio.Event()
        try:
            response = await send_kept(self.transport, database, request, transaction._tag, trail)
            await trio.lowlevel.checkpoint_if_cancelled()
            if transaction._phase is not Phase.ACTIVE:  # who has ended it did not know what to roll back
                await self._release(response, trail)
        except BaseException as error:
            transaction._fail(error)
            was_sent, trail.sent = trail.sent, False
            if isinstance(error, SessionError):
                error.uncertain = False
                if was_sent and response is None and transaction._tag:
                    # The transaction has no name here, but while its statement runs, that can be found, and its locks go with it.
                    await terminate(self.transport, database, transaction._tag, trail)  # noqa: ASYNC102 - shields itself
            await self._release(response, trail)  # noqa: ASYNC102 - what must be shielded there is
            raise
        finally:
            beginning.set()
        assert response is not None  # a task that is not cancelled waits for it
        trail.sent = False  # whatever the answer means, nothing lasts yet
        return response

    async def _release(self, response: Response | None, trail: Trail) -> None:
        """Roll back what the answer names."""
        opened = None if response is None else opened_by(response)
        if opened is not None:
            await self._transaction._release(opened, trail)
