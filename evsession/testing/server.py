"""A server on loopback that does what a script says. Knows where a request ends; answers nothing by itself."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

import h11
import trio

__all__ = ["Peer", "ScriptedServer", "SeenRequest", "Step"]


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request as the server got it.

    Attributes:
        method: The HTTP method.
        target: Path and query as sent.
        headers: Names are lower case.
        body: Whole, or as much as the script read.
        connection: 0 for requests on the first connection, 1 for the second.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Peer:
    """The server's end of one connection: what the steps of a script work on.

    Attributes:
        stream: For sending bytes as they are.
        number: 0 for the first connection.
    """

    def __init__(self, server: ScriptedServer, stream: trio.abc.Stream, sock: trio.socket.SocketType, number: int) -> None:
        self.stream = stream
        self.number = number
        self._server = server
        self._sock = sock
        self._rest = b""

    async def read_request(self, *, body: bool = True) -> SeenRequest:
        """Read one request, without its body if `body` is False, and record it.

        Raises:
            trio.EndOfChannel: if the client hangs up first.
        """
        parser = h11.Connection(h11.SERVER)
        if self._rest:  # to h11 no bytes are the end
            parser.receive_data(self._rest)
        head: h11.Request | None = None
        pieces: list[bytes] = []
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                data = await self.stream.receive_some(65_536)
                if not data:
                    raise trio.EndOfChannel
                parser.receive_data(bytes(data))
            elif isinstance(event, h11.Request):
                head = event
                if not body:
                    break
            elif isinstance(event, h11.Data):
                pieces.append(event.data)
            else:
                break
        assert head is not None
        self._rest = parser.trailing_data[0]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        seen = SeenRequest(head.method.decode(), head.target.decode(), headers, b"".join(pieces), self.number)
        self._server._record(seen)
        return seen

    def reset(self) -> None:
        """End the connection with a TCP reset: what is on its way to the client may be lost."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


Step: TypeAlias = Callable[[Peer], Awaitable[None]]
"""One thing that the server does on a connection: any async function of a `Peer`; `evsession.testing` has the usual ones."""


class ScriptedServer:
    """An HTTP server that follows scripts, to try a client against every kind of answer and failure.

    ::

        async with ScriptedServer([answer(b"{}"), reset()], [forever(answer(b"{}"))]) as server:
            store = evsession.Store(server.url, database="dogs")

    The n-th connection follows the n-th script, further ones the last. At the end of its script a connection is closed. A client
    that hangs up ends the script; any other exception of a step comes out of the ``async with``, in groups, as from any nursery.

    Args:
        scripts: A sequence of steps for each connection.
        ssl_context: Makes it an https server.
        port: 0 takes a free one.

    Attributes:
        requests: What the scripts have read, in order.
        connections: How many connections there were.
    """

    def __init__(self, *scripts: Sequence[Step], ssl_context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.requests: list[SeenRequest] = []
        self.connections = 0
        self.port = port
        self._scripts = scripts
        self._ssl_context = ssl_context
        self._changed = trio.Event()
        self._running = self._run()

    @property
    def url(self) -> str:
        """Where it listens; known once it runs."""
        return f"{'https' if self._ssl_context else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> ScriptedServer:
        return await self._running.__aenter__()

    def __aexit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Awaitable[bool | None]:
        return self._running.__aexit__(cls, error, traceback)

    async def wait_requests(self, count: int) -> None:
        """Wait until that many requests have been read."""
        while len(self.requests) < count:
            await self._changed.wait()

    async def wait_connections(self, count: int) -> None:
        """Wait until there were that many connections."""
        while self.connections < count:
            await self._changed.wait()

    def _record(self, seen: SeenRequest) -> None:
        self.requests.append(seen)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    @contextlib.asynccontextmanager
    async def _run(self) -> AsyncIterator[ScriptedServer]:
        listeners = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self._serve, listeners)
            yield self
            nursery.cancel_scope.cancel()

    async def _serve(self, plain: trio.SocketStream) -> None:
        number = self.connections
        self.connections += 1
        self._wake()
        stream: trio.abc.Stream = plain
        if self._ssl_context is not None:
            stream = trio.SSLStream(plain, self._ssl_context, server_side=True, https_compatible=True)
        peer = Peer(self, stream, plain.socket, number)
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.EndOfChannel):
            for step in self._scripts[min(number, len(self._scripts) - 1)]:
                await step(peer)
            await stream.aclose()
        await trio.aclose_forcefully(plain)
