"""A byte stream without a network: it says what a test gives it and keeps what it is sent."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from evsession.config import Options
from evsession.transport.connection import Connection
from evsession.transport.exchange import HTTPExchange
from evsession.transport.head import Heads
from evsession.transport.nodes import Node
from evsession.transport.pool import Pool
from evsession.wire.message import Request
from evsession.wire.transport import Trail

NODE = Node("http", "db.example", 8080)


class MemoryStream:
    """Implements `ByteStream`. After the last piece comes the end, or the exception given as a piece."""

    def __init__(self, pieces: Iterable[bytes | Exception], *, accepts: int | None = None) -> None:
        self._pieces = iter(pieces)
        self._accepts = accepts
        self.accepted = 0
        self.sent = b""
        self.closed = False

    def send_nowait(self, data: bytes) -> int:
        taken = len(data) if self._accepts is None else min(len(data), self._accepts - self.accepted)
        self.sent += data[:taken]
        self.accepted += taken
        return taken

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.send_nowait(bytes(data)) < len(data):
            raise BrokenPipeError(32, "Broken pipe")

    async def receive_some(self) -> bytes:
        await trio.lowlevel.checkpoint()
        piece = next(self._pieces, b"")
        if isinstance(piece, Exception):
            raise piece
        return piece

    def is_quiet(self) -> bool:
        return True

    async def poll(self) -> bytes | None:
        return None

    def close(self) -> None:
        self.closed = True


def exchange_over(
    stream: MemoryStream, request: Request, trail: Trail, **options: object
) -> tuple[HTTPExchange, Pool[Connection]]:
    """An exchange that is about to begin on a new connection, and its pool."""
    pool: Pool[Connection] = Pool(1, None)
    assert pool.acquire_nowait() is None
    connection = Connection(stream, NODE, Heads(NODE, "test"), max_header_size=1000)
    pool.adopt(connection)
    return HTTPExchange(connection, pool, request, trail, options=Options(options), attempt=1), pool
