"""Opening connections: which node, and what to tell when none answers. Knows addresses and TLS, sends no request."""

from __future__ import annotations

import math
import socket
import ssl

import trio

from evsession.config import Options
from evsession.errors import ConnectionFailed
from evsession.transport.connection import Connection
from evsession.transport.gate import Gate
from evsession.transport.head import Heads
from evsession.transport.nodes import Node
from evsession.transport.streams import ByteStream, PlainStream, TLSStream
from evsession.transport.tls import build_ssl_context
from evsession.wire.message import Request
from evsession.wire.transport import Trail, WireEvent

__all__ = ["Connector"]


class Connector:
    """Connects to the first node that can be reached, and stays with it until it cannot."""

    def __init__(self, nodes: tuple[Node, ...], *, options: Options, ssl_context: ssl.SSLContext | None, user_agent: str) -> None:
        self._nodes = nodes
        self._heads = {node: Heads(node, user_agent) for node in nodes}
        self._options = options
        # Loading the system's authorities takes 10 ms and more, so once, and not for http.
        self._ssl_context = build_ssl_context() if ssl_context is None and nodes[0].scheme == "https" else ssl_context
        self._current = 0

    def __repr__(self) -> str:
        others = len(self._nodes) - 1
        return f"<Connector to {self.current.url}{f' or {others} more' if others else ''}>"

    @property
    def current(self) -> Node:
        """The node that new connections go to first."""
        return self._nodes[self._current]

    async def connect(self, request: Request, trail: Trail, *, attempt: int) -> Connection:
        """Return a new connection.

        Raises:
            ConnectionFailed: naming every URL that was tried, and why it failed.
        """
        failures: list[ConnectionFailed] = []
        begun = 0.0
        for index in self._in_turn():
            node = self._nodes[index]
            trail.url = node.url + request.target
            if failures and trail.observe is not None:
                took = trio.current_time() - begun
                event = WireEvent(
                    "failover", trail.operation, request.method, trail.url, attempt, duration=took, error=failures[-1]
                )
                trail.observe(event)
            begun = trio.current_time()
            try:
                with _Connecting(request, trail, node):
                    stream = await self._open(node)
            except ConnectionFailed as error:
                failures.append(error)
            else:
                self._current = index
                return Connection(stream, node, self._heads[node], max_header_size=self._options.max_header_size)
        if len(failures) == 1:
            raise failures[0]
        with Gate(request, trail):
            raise ConnectionFailed("; ".join(error.message for error in failures)) from failures[-1]

    def _in_turn(self) -> list[int]:
        count = len(self._nodes)
        return [(self._current + step) % count for step in range(count)]

    async def _open(self, node: Node) -> ByteStream:
        limit = self._options.connect_timeout
        with trio.fail_after(math.inf if limit is None else limit):
            stream = await trio.open_tcp_stream(node.host, node.port)
            plain = PlainStream(_take_over(stream))
            if self._ssl_context is None or node.scheme == "http":
                return plain
            try:
                secure = TLSStream(plain, self._ssl_context, node.host)
                await secure.handshake()
            except BaseException:
                plain.close()
                raise
            return secure


class _Connecting(Gate):
    """The gate while a connection is opened: no byte of the request has left."""

    __slots__ = ("_node",)

    def __init__(self, request: Request, trail: Trail, node: Node) -> None:
        super().__init__(request, trail)
        self._node = node

    def _doing(self) -> str:
        return f"cannot connect to {self._node.url}"


def _take_over(stream: trio.SocketStream) -> socket.socket:
    """Return the bare socket; the stream is of no use afterwards."""
    return socket.socket(stream.socket.family, stream.socket.type, stream.socket.proto, fileno=stream.socket.detach())
