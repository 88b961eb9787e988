"""The transport: from a request to its answer, over pool, connector and exchange. Decides about the one second attempt."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import trio

from evsession.config import VERSION, Options
from evsession.errors import ConnectionFailed
from evsession.transport.connect import Connector
from evsession.transport.connection import Connection
from evsession.transport.exchange import HTTPExchange
from evsession.transport.nodes import parse_urls
from evsession.transport.pool import Pool
from evsession.wire.message import Request, Response
from evsession.wire.transport import Trail, WireEvent

__all__ = ["HTTPTransport"]


class HTTPTransport:
    """Implements `evsession.wire.transport.Transport` over HTTP/1.1. Opens nothing before it is needed, starts no task.

    Args:
        urls: Servers with the same databases, in order of preference; see `parse_urls`. The first that can be reached serves
            every request, until a connection to it cannot be opened; then the next one takes over, and stays.
        options: `max_connections`, `connect_timeout`, `keepalive_expiry`, `max_header_size` and `max_body_size` count here.
            There is no other limit of time: the caller's cancel scopes are in force everywhere.
        ssl_context: For https; None verifies against the system's authorities.
    """

    def __init__(self, urls: str | Sequence[str], options: Options, ssl_context: ssl.SSLContext | None = None) -> None:
        self._options = options
        self._connector = Connector(parse_urls(urls), options=options, ssl_context=ssl_context, user_agent=f"evsession/{VERSION}")
        self._pool: Pool[Connection] = Pool(options.max_connections, options.keepalive_expiry)

    def __repr__(self) -> str:
        return f"<HTTPTransport {self._connector!r}, {self._pool!r}>"

    async def send(self, request: Request, trail: Trail) -> Response:
        """Send the request and return its whole response, whatever its status.

        A request that changes data goes out once. Another one goes out a second time, on a new connection, if an idle
        connection turned out to be closed before a byte of an answer had come.

        Raises:
            ConnectionFailed: if there is no (whole) answer, with the cause chained.
            ProtocolError: if the answer is no HTTP, or exceeds a limit.
            ConfigurationError: if the request cannot be put in HTTP; nothing was sent.
            SessionClosed: if the transport is closed, or is being closed.
        """
        exchange = await self.open(request, trail)
        return await exchange.read_response()

    async def open(self, request: Request, trail: Trail, *, streams_body: bool = False) -> HTTPExchange:
        """Begin an exchange in pieces.

        Without `streams_body` the head of the answer has come when this returns. Failures are those of `send`.
        """
        attempt = 1
        while True:
            connection = await self._connection(request, trail, attempt)
            exchange = HTTPExchange(connection, self._pool, request, trail, options=self._options, attempt=attempt)
            begun = 0.0 if trail.observe is None else trio.current_time()
            try:
                await exchange.begin(streams_body=streams_body)
            except ConnectionFailed as error:
                if not exchange.may_resend:  # on a new connection, such as the second attempt's, it never may
                    raise
                failure = error
            else:
                return exchange
            attempt = 2
            if trail.observe is not None:
                took = trio.current_time() - begun
                url = trail.url or ""
                trail.observe(WireEvent("retry", trail.operation, request.method, url, attempt, duration=took, error=failure))

    async def aclose(self) -> None:
        """Close every connection; whoever waits for one gets `SessionClosed`. May be called again."""
        self._pool.close()
        await trio.lowlevel.checkpoint()

    async def _connection(self, request: Request, trail: Trail, attempt: int) -> Connection:
        """Return an idle connection that is still good, or a new one."""
        try:
            connection = self._pool.acquire_nowait()
        except trio.WouldBlock:
            connection = await self._pool.wait()
        try:
            while connection is not None:
                # For the second attempt neither this one nor its neighbours are trusted.
                if (
                    attempt == 1
                    and self._pool.is_fresh(connection)
                    and (connection.is_quiet() or not await connection.is_stale())
                ):
                    trail.url = connection.url + request.target
                    return connection
                connection.close()
                connection = self._pool.replace(connection, by_new=attempt > 1)
            connection = await self._connect(request, trail, attempt)
            self._pool.adopt(connection)
        except BaseException:
            if connection is not None:
                connection.close()
            self._pool.free(connection)
            raise
        return connection

    async def _connect(self, request: Request, trail: Trail, attempt: int) -> Connection:
        preferred = self._connector.current
        connection = await self._connector.connect(request, trail, attempt=attempt)
        if connection.node != preferred:
            # A host that lost its power says nothing on connections that it had; nobody shall wait for them.
            self._pool.drop_idle(lambda idle: idle.node == preferred)
        return connection
