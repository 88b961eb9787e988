"""One client's connection to the served port: h11 over a stream, with every wait bounded. Knows HTTP, and not what is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http import HTTPStatus

import h11
import trio

from evsession.embedded.limits import Limits
from evsession.errors import ProtocolError
from evsession.wire.coding import Decoder, decoder_for
from evsession.wire.json import encode
from evsession.wire.message import Request, Response

__all__ = ["ClientGone", "Peer", "Refused"]

PIECE = 65_536
"""Bytes that are read, decompressed or written at a time."""

LINGER = 2.0
"""Seconds that a refused client has to read why, while what it still sends is thrown away."""

_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_BODYLESS = (204, 304)
_BULK_INSERT = re.compile("/databases/[^/]+/bulk_insert", re.IGNORECASE)


class ClientGone(Exception):
    """The client hung up, or does not take its answer; there is nobody to tell."""


class Refused(Exception):
    """The request is none, or too large, or too slow: the connection ends with this status, mostly without a body, as on RavenDB.

    Attributes:
        status: The HTTP status.
        message: What people read, if the status does not say it.
    """

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.message = message


class Peer:
    """Reads requests and writes answers, one after the other.

    In this order: `read_head`; `read_body` until it returns ``b""``; `answer`, or `begin_answer`, `send_piece`, `end_answer`;
    `make_ready`. After an exception only `refuse` is left.
    """

    def __init__(self, stream: trio.abc.Stream, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head)
        self._start()

    def _start(self) -> None:
        self._decoder: Decoder | None = None
        self._begun = trio.current_time()
        self._coded = self._plain = 0
        self._has_body = True
        self._is_endless = False
        self._takes_body = True

    async def read_head(self) -> Request | None:
        """Wait for the head of the next request; None if none comes.

        Raises:
            Refused: what comes is none, or none for us, or comes too slowly.
            ClientGone: the connection broke.
        """
        with self._translating():
            if not self._http.trailing_data[0]:
                with trio.move_on_after(self._limits.idle_timeout) as idle:
                    await self._receive()
                if idle.cancelled_caught:
                    return None
            with trio.fail_after(self._limits.head_timeout):
                event = await self._next_event()
        return self._begin_request(event) if isinstance(event, h11.Request) else None

    def _begin_request(self, head: h11.Request) -> Request:
        if len(head.target) > self._limits.target:
            raise Refused(414)
        if len(head.method) + sum(len(name) + len(value) + 4 for name, value in head.headers) > self._limits.head:
            raise Refused(431)  # h11 counts only what is incomplete
        names = {name for name, _ in head.headers}
        # Both a length and chunks: somebody between us and the client may see other requests in it than we do.
        if {b"content-length", b"transfer-encoding"} <= names or not head.target.startswith(b"/"):
            raise Refused(400)
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
        self._start()
        target = head.target.decode("ascii")
        method = head.method.decode("ascii")
        self._is_endless = method == "POST" and _BULK_INSERT.fullmatch(target.partition("?")[0]) is not None
        if not self._is_endless and int(headers.get("content-length", "0")) > self._limits.body:
            raise Refused(413)
        try:
            self._decoder = decoder_for(headers.pop("content-encoding", ""))
        except ProtocolError as error:
            raise Refused(415) from error
        self._takes_body = method != "HEAD"
        return Request(method, target, b"", tuple(headers.items()), writes=method not in ("GET", "HEAD"))

    @property
    def is_endless(self) -> bool:
        """Whether the request's body may be of any length, and is to be worked on as it comes."""
        return self._is_endless

    async def read_body(self) -> bytes:
        """Return the next piece of the request's body, decompressed; ``b""`` at its end.

        Raises:
            Refused: it is too large, too slow, or broken.
            ClientGone: it broke off.
        """
        with self._translating():
            while self._has_body:
                piece = await self._next_piece()
                self._plain += len(piece)
                if self._plain > self._limits.body and not self._is_endless:
                    raise Refused(413)
                if piece:
                    return piece
        return b""

    async def _next_piece(self) -> bytes:
        decoder = self._decoder
        if decoder is not None and decoder.pending:
            return decoder.feed(b"", PIECE)
        with trio.fail_after(self._patience()):
            event = await self._next_event()
        if isinstance(event, h11.Data):
            self._coded += len(event.data)
            return bytes(event.data) if decoder is None else decoder.feed(bytes(event.data), PIECE)
        if decoder is not None:
            decoder.finish()
        self._has_body = False
        return b""

    def _patience(self) -> float:
        """Return how many seconds the next bytes of the body may take."""
        limits = self._limits
        if self._is_endless:
            return limits.idle_timeout
        return max(0, self._begun + limits.grace + self._coded / limits.rate - trio.current_time())

    async def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            await self._receive()
        return event

    async def _receive(self) -> None:
        self._http.receive_data(bytes(await self._stream.receive_some(PIECE)))

    async def answer(self, response: Response, *, closes: bool = False) -> None:
        """Send a whole answer.

        Raises:
            ClientGone: the client does not take it.
        """
        headers = list(response.headers)
        if response.status not in _BODYLESS:
            headers.append((b"content-length", b"%d" % len(response.body)))
        events = [self._head(response.status, headers, closes=closes)]
        if response.body and self._takes_body and response.status not in _BODYLESS:
            events.append(self._http.send(h11.Data(data=response.body)))
        events.append(self._http.send(h11.EndOfMessage()))
        await self._write(b"".join(data or b"" for data in events))

    async def begin_answer(self, response: Response, *, closes: bool = False) -> None:
        """Send the head of an answer whose body comes in pieces."""
        await self._write(self._head(response.status, list(response.headers), closes=closes))

    async def send_piece(self, data: bytes) -> None:
        """Send a piece of the answer's body; it is not kept from a client that asked for the head only, there is none then."""
        await self._write(self._http.send(h11.Data(data=data)) or b"")

    async def end_answer(self) -> None:
        """Send the end of the answer's body."""
        await self._write(self._http.send(h11.EndOfMessage()) or b"")

    def _head(self, status: int, headers: list[tuple[bytes, bytes]], *, closes: bool) -> bytes:
        headers.append((b"date", formatdate(usegmt=True).encode()))
        if closes:
            headers.append((b"connection", b"close"))
        event = h11.Response(status_code=status, headers=headers, reason=_REASONS.get(status, b""))
        return self._http.send(event) or b""

    async def _write(self, data: bytes) -> None:
        view = memoryview(data)
        with self._translating():
            for start in range(0, len(view), PIECE):
                piece = view[start : start + PIECE]
                with trio.fail_after(self._limits.grace + len(piece) / self._limits.rate):
                    await self._stream.send_all(piece)

    def make_ready(self) -> bool:
        """Return whether the connection is at the end of both bodies and another request may come."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def refuse(self, refusal: Refused) -> None:
        """Tell the client, if it listens, that this was no request; then the connection is of no use any more."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        try:
            body = encode({"Type": "Error", "Message": refusal.message}) if refusal.message else b""
            await self.answer(Response(refusal.status, (), body), closes=True)
            await self.linger()
        except ClientGone:
            return

    async def linger(self) -> None:
        """Wait until the client has hung up, too: closing at once would destroy what it has not read yet."""
        with self._translating(), trio.move_on_after(LINGER):
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
            while await self._stream.receive_some(PIECE):
                pass

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except h11.RemoteProtocolError as error:
            raise Refused(error.error_status_hint) from error
        except ProtocolError as error:
            raise Refused(400) from error
        except trio.TooSlowError as error:
            # While an answer is being sent there is no room for another.
            raise (ClientGone if self._http.our_state is h11.SEND_BODY else Refused(408)) from error
        except _GONE as error:
            raise ClientGone from error
