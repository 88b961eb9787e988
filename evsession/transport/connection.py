"""One HTTP connection: h11 over a byte stream. Knows requests and answers as h11's events, no pool and no retry."""

from __future__ import annotations

import ssl

import h11

from evsession.errors import ConnectionFailed, ProtocolError
from evsession.transport.head import Heads
from evsession.transport.nodes import Node
from evsession.transport.streams import BROKEN, ByteStream
from evsession.wire.message import Request

__all__ = ["Connection"]

PIECE = 65_536
"""Bytes of a body that go out with the head."""

LARGE_PIECE = 262_144
"""Bytes of a body that go out between two looks at whether the server has answered already."""

MAX_INFORMATIONAL = 32
"""1xx answers before the final one; a server that sends more of them never means to answer."""


_END = h11.EndOfMessage()

_FINAL = (b"2", b"3", b"4", b"5")
_SOME_REQUEST = h11.Request(method="GET", target="/", headers=[("Host", "-")])
"""What h11 is told of a request that was written without it, once that matters.

It reads a final answer to a request that it never saw, but takes an interim one, or the end of the connection, for something
else. Not telling it saves an eighth of a small request's CPU.
"""


class Connection:
    """One exchange at a time.

    `send_request`, or `send_head`, `send_data`, `end_body`; then `receive_head`, `next_event` and `receive`; then `make_idle`.
    Any exception leaves it unfit for anything but `close`.
    """

    __slots__ = (
        "_begin",
        "_ended",
        "_h11",
        "_heads",
        "_informational",
        "_max_header_size",
        "_stream",
        "_unsent",
        "head",
        "idle_since",
        "is_quiet",
        "node",
        "received",
        "reused",
        "url",
    )

    def __init__(self, stream: ByteStream, node: Node, heads: Heads, *, max_header_size: int) -> None:
        self._stream = stream
        self._heads = heads
        self._max_header_size = max_header_size
        self.node = node
        self.url = node.url
        # Whether an idle connection is certainly as it was left; False if only `is_stale` can tell.
        self.is_quiet = stream.is_quiet
        self.idle_since = 0.0
        self.reused = False
        self._start()

    def _start(self) -> None:
        # A fresh one costs less than a new cycle of the old one.
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=self._max_header_size)
        self.head: h11.Response | None = None
        self.received = 0
        self._informational = 0
        self._unsent = False
        self._ended = False
        self._begin = self._stream.accepted

    def __repr__(self) -> str:
        state = self._h11.states
        return f"<Connection to {self.url}: we are {state[h11.CLIENT]}, it is {state[h11.SERVER]}>"

    @property
    def has_sent(self) -> bool:
        """Whether any byte of this exchange's request may have reached the server."""
        return self._stream.accepted > self._begin

    async def is_stale(self) -> bool:
        """Return whether an idle connection has ended, or holds bytes that belong to no request."""
        try:
            return await self._stream.poll() is not None
        except BROKEN:
            return True

    def close(self) -> None:
        """Close at once."""
        self._stream.close()

    def make_idle(self) -> bool:
        """Return whether the connection is at the end of both bodies and fit for another request."""
        parser = self._h11
        if self._unsent or self._ended or parser.their_state is not h11.DONE or parser.our_state is h11.SEND_BODY:
            return False
        if parser.trailing_data[0]:  # would be taken for the answer to the next request
            return False
        self.reused = True
        self._start()
        return True

    async def send_request(self, request: Request) -> None:
        """Send a whole request; stops early if the server answers before it has taken all of the body."""
        body = request.body
        if request.method == "HEAD":  # h11 must know it, to expect no body
            head = self._speak(self._heads.event(request), *([h11.Data(data=body)] if body else []), _END)
            body = b""
        else:
            head = self._heads.write(request)
        if len(body) <= PIECE:
            data = head + body
            count = self._stream.send_nowait(data)
            self._unsent = count < len(data) and not await self._push(data[count:])
        else:
            await self._send_large(head, memoryview(body))

    async def _send_large(self, head: bytes, body: memoryview) -> None:
        self._unsent = True
        if await self._push(head + body[:PIECE]):
            for start in range(PIECE, len(body), LARGE_PIECE):
                if await self.has_answer() or not await self._push(body[start : start + LARGE_PIECE]):
                    return
            self._unsent = False

    async def send_head(self, request: Request) -> None:
        """Send the head of a request whose body follows in pieces."""
        await self._push(self._speak(self._heads.event(request, streams_body=True)))

    async def send_data(self, data: bytes) -> bool:
        """Send a piece of the body; False if the server has answered instead of taking it."""
        framed = self._speak(h11.Data(data=data))
        return not await self.has_answer() and await self._push(framed)

    async def end_body(self) -> None:
        """Send the end of a body that went out in pieces."""
        await self._push(self._speak(_END))

    def _speak(self, *events: h11.Event) -> bytes:
        return b"".join(self._h11.send(event) or b"" for event in events)

    async def _push(self, data: bytes | memoryview) -> bool:
        """Send; False if the server has hung up, but not without an answer."""
        try:
            await self._stream.send_all(data)
        except BROKEN as error:
            failure = error
        else:
            return True
        # An error answer followed by a reset is how servers refuse a body that they do not want to read. On a reused connection
        # that took nothing there can be no answer, but perhaps a farewell that looks like one.
        if self.has_sent or not self.reused:
            await self._hear()
        if self.head is None:
            raise failure
        return False

    async def _hear(self) -> None:
        """Take the answer that came before sending broke, if there is one; an alert of TLS is raised, for it tells the reason."""
        try:
            await self.receive_head()
        except (*BROKEN, ConnectionFailed) as error:
            if isinstance(error.__cause__, ssl.SSLError):
                raise

    async def has_answer(self) -> bool:
        """Return whether the head of the answer has come; does not wait for it."""
        while self.head is None:
            event = self.next_event()
            if event is not h11.NEED_DATA:
                self._take_head(event)
                continue
            if self._stream.is_quiet():
                return False
            data = await self._stream.poll()
            if data is None:
                return False
            self._feed(data)
        return True

    async def receive_head(self) -> h11.Response:
        """Return the head of the final answer."""
        if not self.received and not self._ended:  # h11 takes 3 us to say that it knows nothing yet
            self._feed(await self._stream.receive_some())
        while self.head is None:
            event = self.next_event()
            if event is h11.NEED_DATA:
                self._feed(await self._stream.receive_some())
            else:
                self._take_head(event)
        return self.head

    def _take_head(self, event: object) -> None:
        if isinstance(event, h11.Response):
            self.head = event
            return
        self._informational += 1  # h11 refuses 101, since nobody offered to change the protocol
        if self._informational > MAX_INFORMATIONAL:
            raise ProtocolError(f"{self.url} sent {MAX_INFORMATIONAL} interim answers and no final one")

    async def receive(self) -> None:
        """Wait for more of the answer; then `next_event` may have something."""
        self._feed(await self._stream.receive_some())

    def _feed(self, data: bytes) -> None:
        if not self.received and self._h11.our_state is h11.IDLE and data[9:10] not in _FINAL:
            self._speak(_SOME_REQUEST, _END)
        self.received += len(data)
        self._ended = not data
        self._h11.receive_data(data)

    def next_event(self) -> object:
        """Return what h11 made of the data received so far, or NEED_DATA. Of the body: any number of Data, EndOfMessage."""
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            if not self._ended:
                raise
            came = f"after {self.received} bytes of its answer" if self.received else "without an answer"
            raise ConnectionFailed(f"{self.url} closed the connection {came}") from error
