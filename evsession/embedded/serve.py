"""The served port: connections, their number, and an end that keeps what was acknowledged. Knows no HTTP, which is `peer`'s."""

from __future__ import annotations

import logging
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from ipaddress import ip_address
from typing import TypeVar

import msgspec
import trio

from evsession.embedded.app import App, Conversation
from evsession.embedded.limits import Limits
from evsession.embedded.peer import PIECE, ClientGone, Peer, Refused
from evsession.errors import ConfigurationError
from evsession.wire.message import Request, Response

__all__ = ["Server", "serve"]

T = TypeVar("T")

THREADS = 32
"""Requests that are worked on at once; more would only wait for each other."""

_LOG = logging.getLogger("evsession.embedded")


class Server:
    """Answers HTTP on any number of connections.

    Args:
        app: What answers; somebody else opens and closes it.
        limits: What a client may ask for at most.
        is_local: Whether it is reached by loopback only. Then a name in the ``Host`` header that is not ``localhost`` is refused:
            a browser sends one when a page of somebody else's has pointed its own name to this machine.
    """

    def __init__(self, app: App, limits: Limits | None = None, *, is_local: bool = True) -> None:
        self._app = app
        self._limits = limits or Limits()
        self._is_local = is_local
        self._threads = trio.CapacityLimiter(THREADS)
        self._waiting: dict[trio.CancelScope, None] = {}
        self._stopping = trio.Event()
        self._patience: trio.CancelScope | None = None
        self._kept = 0
        self.connections = 0

    def stop(self) -> None:
        """Take no further connection and no further request; `run` returns when those in work have been answered.

        Called again, it ends `run` as soon as what is being written has been written, answered or not.
        """
        if self._stopping.is_set() and self._patience is not None:
            self._patience.cancel()
        self._stopping.set()

    async def run(self, listeners: Sequence[trio.SocketListener]) -> None:
        """Serve these listeners until `stop`, and close them."""
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                serve_all = partial(trio.serve_listeners, self.serve_stream, list(listeners), handler_nursery=connections)
                accepting.start_soon(serve_all)
                await self._stopping.wait()
                accepting.cancel_scope.cancel()
            for scope in self._waiting:
                scope.cancel()
            self._patience = connections.cancel_scope
            self._patience.deadline = trio.current_time() + self._limits.grace

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection to its end, and close it. Raises nothing but cancellation."""
        self.connections += 1
        try:
            await self._serve(Peer(stream, self._limits))
        except ClientGone:
            pass
        except Exception:
            _LOG.exception("a connection ended with an error of the server")
        finally:
            self.connections -= 1
            await trio.aclose_forcefully(stream)

    async def _serve(self, peer: Peer) -> None:
        try:
            if not self._make_room():
                raise Refused(503)
            while not self._stopping.is_set():
                request = await self._next_request(peer)
                if request is None:
                    break
                self._check_origin(request)
                await self._answer(peer, request)
                if not peer.make_ready():
                    await peer.linger()
                    break
        except Refused as refusal:
            await peer.refuse(refusal)

    def _make_room(self) -> bool:
        """Close the connection that waits for longest, if there are too many; False if all of them are at work."""
        if self.connections > self._limits.connections:
            scope = next(iter(self._waiting), None)
            if scope is None:
                return False
            del self._waiting[scope]
            scope.cancel()
        return True

    async def _next_request(self, peer: Peer) -> Request | None:
        with trio.CancelScope() as waiting:
            self._waiting[waiting] = None
            try:
                return await peer.read_head()
            finally:
                self._waiting.pop(waiting, None)
        return None

    def _check_origin(self, request: Request) -> None:
        """Refuse what a browser sends for a page that is not of this server, for it asks nobody before it sends a POST."""
        headers = dict(request.headers)
        host, origin = headers.get("host", ""), headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise Refused(403, f"The embedded server of evsession answers no pages of {origin}.")
        if self._is_local and not is_own_name(host):
            raise Refused(403, f"The embedded server of evsession listens on loopback, which is not called {host}.")

    async def _answer(self, peer: Peer, request: Request) -> None:
        talk: Conversation | None = None
        try:
            if peer.is_endless:
                talk = await self._work(lambda: self._app.open(request))
                while piece := await peer.read_body():
                    if not await self._work(partial(talk.send, piece)):
                        break
            else:
                talk = self._app.open(msgspec.structs.replace(request, body=await self._read_body(peer)))
            await self._send_answer(peer, talk)
        finally:
            if talk is not None:
                with trio.CancelScope(shield=True):
                    await self._work(talk.close)

    async def _read_body(self, peer: Peer) -> bytes:
        """Return a whole body. While it comes, it counts among what is kept for all connections."""
        pieces: list[bytes] = []
        size = 0
        try:
            while piece := await peer.read_body():
                size += len(piece)
                self._kept += len(piece)
                if self._kept > self._limits.memory:
                    raise Refused(503)
                pieces.append(piece)
            return b"".join(pieces)
        finally:
            self._kept -= size

    async def _send_answer(self, peer: Peer, talk: Conversation) -> None:
        head, data, is_whole = await self._work(lambda: (talk.finish(), *_gather(talk)))
        closes = self._stopping.is_set()
        if is_whole:
            await peer.answer(Response(head.status, head.headers, data), closes=closes)
            return
        await peer.begin_answer(head, closes=closes)
        while True:
            await peer.send_piece(data)
            if is_whole:
                break
            data, is_whole = await self._work(lambda: _gather(talk))
        await peer.end_answer()

    async def _work(self, function: Callable[[], T]) -> T:
        """Call in a thread. What has begun is not abandoned: it may be a write."""
        return await trio.to_thread.run_sync(function, limiter=self._threads)


def _gather(talk: Conversation) -> tuple[bytes, bool]:
    """Return the next bytes of an answer, enough for one thread's worth of trouble, and whether they are the last."""
    pieces: list[bytes] = []
    size = 0
    while size < PIECE:
        piece = talk.receive()
        if not piece:
            return b"".join(pieces), True
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces), False


def is_own_name(authority: str) -> bool:
    """Return whether a ``Host`` is an address or ``localhost``, which nobody else can make point here."""
    name = re.sub(r":\d*\Z", "", authority).lower()
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    return True


async def serve(
    path: str | os.PathLike[str] | None,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    limits: Limits | None = None,
    tell: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve a file, or memory, until SIGTERM or SIGINT; requests that are in work then are answered first, unless it comes again.

    Args:
        path: The file; None for memory.
        host: Where to listen. Anything but a loopback address lets everybody in who can reach it: there is no login.
        port: 0 takes a free one.
        limits: What a client may ask for at most.
        tell: Called with the URL once it is served.

    Raises:
        ConfigurationError: the file cannot be opened, or the port not be taken.
    """
    app = await trio.to_thread.run_sync(App, path)
    try:
        try:
            listeners = await trio.open_tcp_listeners(port, host=host)
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
        address = listeners[0].socket.getsockname()
        server = Server(app, limits, is_local=all(_is_loopback(listener) for listener in listeners))
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_obey, signals, server)
                tell(f"http://{f'[{host}]' if ':' in host else host}:{address[1]}")
                await server.run(listeners)
                nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(app.close)


async def _obey(signals: AsyncIterator[int], server: Server) -> None:
    async for _ in signals:
        server.stop()


def _is_loopback(listener: trio.SocketListener) -> bool:
    return ip_address(listener.socket.getsockname()[0].partition("%")[0]).is_loopback
