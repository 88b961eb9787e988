"""One request and its answer on one connection. Knows when the connection may be used again, and what to tell about a failure."""

from __future__ import annotations

import warnings

import h11
import trio

from evsession.config import Options
from evsession.errors import ProtocolError, SessionClosed
from evsession.transport.connection import Connection
from evsession.transport.gate import Gate
from evsession.transport.pool import Pool
from evsession.wire.coding import Decoder, decoder_for
from evsession.wire.message import Request, Response
from evsession.wire.transport import Trail, WireEvent

__all__ = ["HTTPExchange"]

PIECE = 1 << 20
"""Decompressed bytes that one piece of a streamed body has at most; a coded piece may expand a thousandfold."""


class HTTPExchange(Gate):
    """Implements `evsession.wire.transport.Exchange`; made by `HTTPTransport.open`.

    Any failure, cancellation included, closes the connection and frees its slot before it goes on to the caller. An exchange
    that is left to the garbage collector does the same and warns. `may_resend` tells after a failed `begin` whether the request
    may go out again.
    """

    __slots__ = (
        "_attempt",
        "_begun",
        "_connection",
        "_decoder",
        "_is_complete",
        "_is_undecided",
        "_late",
        "_options",
        "_pool",
        "_response",
        "_was_sent",
        "may_resend",
    )

    def __init__(
        self, connection: Connection, pool: Pool[Connection], request: Request, trail: Trail, *, options: Options, attempt: int
    ) -> None:
        super().__init__(request, trail)
        self._connection: Connection | None = connection
        self._pool = pool
        self._options = options
        self._attempt = attempt
        self._response: Response | None = None
        self._decoder: Decoder | None = None
        self._is_undecided = True
        self._is_complete = False
        self._late: Exception | None = None
        self._begun = 0.0
        self._was_sent = trail.sent
        self.may_resend = False

    def __repr__(self) -> str:
        state = "complete" if self._is_complete else "closed" if self._connection is None else repr(self._connection)
        return f"<HTTPExchange {self._request.method} {self._trail.url}: {state}>"

    def __del__(self) -> None:
        if self._connection is not None:
            forgotten = f"{self!r} was never read to its end or closed"
            self.close()
            warnings.warn(forgotten, ResourceWarning, source=self, stacklevel=2)

    def close(self) -> None:
        """Drop what is left at once: the connection is closed and its slot freed. Does nothing once the exchange is over."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self._pool.free(connection)

    def _clean_up(self) -> None:
        connection = self._connection
        if connection is not None:
            self._trail.sent = self._was_sent or connection.has_sent
            # Servers close idle connections at will. A request that left no trace, or does no harm twice, may go again.
            harmless = not self._request.writes and not connection.received
            self.may_resend = connection.reused and (harmless or not connection.has_sent)
            self.close()

    async def begin(self, *, streams_body: bool) -> None:
        """Send the request and receive the head of the answer, or send only the head of the request if its body is streamed."""
        with self:
            connection = self._live()
            if self._trail.observe is not None:
                self._begun = trio.current_time()
                self._trail.observe(self._event("request"))
            self._trail.sent = True
            if streams_body:
                await connection.send_head(self._request)
            else:
                await connection.send_request(self._request)
                self._take_head(await connection.receive_head())

    async def send(self, data: bytes) -> bool:
        """Send a piece of the request's body; False when the server has answered already and wants no more of it."""
        with self:
            connection = self._live()
            await trio.lowlevel.checkpoint()
            return self._response is None and (not data or await connection.send_data(data))

    async def finish(self) -> Response:
        """End the request's body and return the response's head."""
        if self._response is not None:
            return self._response
        with self:
            connection = self._live()
            if connection.head is None:
                await connection.end_body()
            return self._take_head(await connection.receive_head())

    async def receive(self) -> bytes:
        """Return the next piece of the response's body, ``b""`` at its end.

        It is all that has come, whatever pieces the server made of it: what is done for each costs more than to join them.
        """
        if self._response is None:
            await self.finish()
        pieces: list[bytes] = []
        size = 0
        with self:
            if self._late is not None:
                raise self._late
            while not self._is_complete and size < PIECE:
                try:
                    piece = self._piece_nowait(PIECE - size)
                except Exception as error:
                    if not pieces:
                        raise
                    self._late = error  # what came before it is good
                    break
                if piece is not None:
                    pieces.append(piece)
                    size += len(piece)
                elif size:
                    break
                else:
                    await self._live().receive()
        return b"".join(pieces)

    async def read(self) -> bytes:
        """Return the rest of the response's body, within the limit for bodies."""
        return (await self.read_response()).body

    async def read_response(self) -> Response:
        """Return the whole response."""
        response = self._response or await self.finish()
        limit = self._options.max_body_size
        pieces: list[bytes] = []
        size = 0
        with self:
            if self._request.method != "HEAD" and int(response.header(b"content-length") or 0) > limit:
                raise ProtocolError(f"the body has {response.header(b'content-length')} bytes, max_body_size is {limit}")
            while not self._is_complete:
                piece = self._piece_nowait(limit - size + 1)
                if piece is None:
                    await self._live().receive()
                    continue
                size += len(piece)
                if size > limit:
                    raise ProtocolError(f"the body is larger than max_body_size, {limit} bytes")
                pieces.append(piece)
        return Response(response.status, response.headers, b"".join(pieces))

    def _piece_nowait(self, limit: int) -> bytes | None:
        """Return the next piece of at most `limit` decoded bytes, None if it has not come; it may be empty, and is at the end."""
        decoder = self._decoder
        if decoder is not None and decoder.pending:
            return decoder.feed(b"", limit)
        event = self._live().next_event()
        if event is h11.NEED_DATA:
            return None
        if isinstance(event, h11.Data):
            return self._decode(event.data, limit)
        self._end()
        return b""

    def _decode(self, data: bytes, limit: int) -> bytes:
        if self._is_undecided:  # not before there is a body: HEAD and 304 name the coding of one that never comes
            self._is_undecided = False
            assert self._response is not None
            self._decoder = decoder_for(self._response.header(b"content-encoding") or "")
        return data if self._decoder is None else self._decoder.feed(data, limit)

    def _take_head(self, head: h11.Response) -> Response:
        self._trail.answered = True
        headers = tuple(head.headers)  # which is searched twice as fast as h11's own type
        self._response = Response(head.status_code, headers)
        if self._trail.observe is not None:
            took = trio.current_time() - self._begun
            self._trail.observe(self._event("response", status_code=head.status_code, duration=took))
        return self._response

    def _end(self) -> None:
        if self._decoder is not None:
            self._decoder.finish()
        connection = self._live()
        if connection.make_idle():
            self._connection = None
            self._pool.release(connection)
        else:
            self.close()
        self._is_complete = True

    def _live(self) -> Connection:
        if self._connection is None:
            raise SessionClosed("the exchange is over")
        return self._connection

    def _event(self, name: str, *, status_code: int | None = None, duration: float | None = None) -> WireEvent:
        trail, method = self._trail, self._request.method
        return WireEvent(
            name, trail.operation, method, trail.url or "", self._attempt, status_code=status_code, duration=duration
        )
