"""Byte streams under HTTP: a bare socket, and TLS over it. Knows what the kernel has taken, knows no HTTP.

The bare socket is driven directly: against trio's SocketStream that saves 3-9 % of a request's CPU (one epoll_wait instead of
three), and it can tell how many bytes the kernel took, which decides whether a request may be sent again.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

import trio

__all__ = ["BROKEN", "ByteStream", "PlainStream", "TLSStream"]

RECEIVE_SIZE = 122_880
"""Reads beyond 128 KiB would make glibc map and unmap fresh pages for each of them."""

BROKEN = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)
"""How a stream says that it is of no use any more."""

Bytes = bytes | bytearray | memoryview


class ByteStream(Protocol):
    """What a connection needs of a stream."""

    @property
    def accepted(self) -> int:
        """Bytes that were handed on so far and so may have reached the peer."""

    def send_nowait(self, data: bytes) -> int:
        """Send what can be sent without waiting and return its length; 0 also if there is trouble, `send_all` will tell."""

    async def send_all(self, data: Bytes) -> None:
        """Send everything. A checkpoint only if it has to wait."""

    async def receive_some(self) -> bytes:
        """Wait for data and return it, ``b""`` at the end. Always a checkpoint; nothing is lost on cancellation."""

    def is_quiet(self) -> bool:
        """Return whether certainly nothing has come; False if only `poll` can tell."""

    async def poll(self) -> bytes | None:
        """Return what has come already, ``b""`` at the end, None if nothing has. Never waits for the peer."""

    def close(self) -> None:
        """Close at once. Whoever waits in it gets `trio.ClosedResourceError`."""


class PlainStream:
    """A connected socket, which it takes over."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # Without it a body that follows its head in a second segment waits 40 ms for an acknowledgement.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self._sock = sock
        self._closed = False
        self.accepted = 0
        self.is_quiet = _look_at(sock)

    def send_nowait(self, data: bytes) -> int:
        """Send what can be sent without waiting."""
        try:
            count = self._sock.send(data)
        except OSError:
            return 0
        self.accepted += count
        return count

    async def send_all(self, data: Bytes) -> None:
        """Send everything."""
        view = memoryview(data)
        while view:
            self._check_open()
            try:
                count = self._sock.send(view)
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._sock)
            else:
                self.accepted += count
                view = view[count:]

    async def receive_some(self) -> bytes:
        """Wait for data and return it."""
        # With others running, the answer is there after one turn of the loop; asking for readiness would cost two system
        # calls and another turn (measured: 8 % of a load, one at a time and 32 at once).
        await trio.lowlevel.checkpoint()
        while True:
            self._check_open()
            try:
                return self._sock.recv(RECEIVE_SIZE)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._sock)

    async def poll(self) -> bytes | None:
        """Return what has come already."""
        self._check_open()
        try:
            return self._sock.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Close at once."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(RuntimeError):  # outside of trio nobody waits
                trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("the connection was closed")


def _look_at(sock: socket.socket) -> Callable[[], bool]:
    """Return a function that tells whether nothing has come, at a third of the price of a read that fails."""
    if not hasattr(select, "poll"):  # Windows
        return lambda: False
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return lambda: not poll.poll(0)


class _UnderTLS(trio.abc.Stream):
    """The socket as `trio.SSLStream` sees it, with two differences.

    It keeps a failure to send to itself until TLS has come back, since SSLStream would refuse to read after one, and what the
    server said before it hung up would be lost. And it can be told not to wait for data.
    """

    def __init__(self, raw: PlainStream) -> None:
        self.raw = raw
        self.patient = True
        self.failure: OSError | None = None

    async def send_all(self, data: Bytes) -> None:
        try:
            await self.raw.send_all(data)
        except OSError as error:
            self.failure = error

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self.patient:
            return await self.raw.receive_some()
        data = await self.raw.poll()
        if data is None:
            raise trio.WouldBlock
        return data

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        self.raw.close()
        await trio.lowlevel.checkpoint()


class TLSStream:
    """TLS over a socket; call `handshake` first."""

    def __init__(self, raw: PlainStream, context: ssl.SSLContext, host: str) -> None:
        self._under = _UnderTLS(raw)
        self._tls = trio.SSLStream(self._under, context, server_hostname=host)

    @property
    def accepted(self) -> int:
        """Bytes on the wire so far, those of the handshake included."""
        return self._under.raw.accepted

    async def handshake(self) -> None:
        """Agree on keys and check the server's certificate."""
        await self._tls.do_handshake()
        self._raise_failure()

    def send_nowait(self, data: bytes) -> int:
        """Return 0: TLS may have to wait."""
        return 0

    async def send_all(self, data: Bytes) -> None:
        """Send everything."""
        await self._tls.send_all(data)
        self._raise_failure()

    async def receive_some(self) -> bytes:
        """Wait for data and return it."""
        return bytes(await self._tls.receive_some(RECEIVE_SIZE))

    def is_quiet(self) -> bool:
        """Return False: what lies in TLS' own buffers cannot be seen from outside."""
        return False

    async def poll(self) -> bytes | None:
        """Return what has come already. Session tickets, which TLS 1.3 servers send any time, are no data."""
        self._under.patient = False
        try:
            return bytes(await self._tls.receive_some(RECEIVE_SIZE))
        except trio.WouldBlock:
            return None
        finally:
            self._under.patient = True

    def close(self) -> None:
        """Close at once, without TLS' farewell: HTTP's own framing tells a whole answer from a cut one."""
        self._under.raw.close()

    def _raise_failure(self) -> None:
        if self._under.failure is not None:
            raise self._under.failure
