"""The transport's parts that need no connection."""

from __future__ import annotations

import socket
import ssl

import pytest
import trio

from evsession.config import Options
from evsession.errors import ConfigurationError, SessionClosed
from evsession.transport import HTTPTransport
from evsession.transport.streams import PlainStream, TLSStream
from evsession.wire.message import Request
from evsession.wire.transport import Trail, Transport


def test_it_is_a_transport_and_opens_nothing_by_itself() -> None:
    transport: Transport = HTTPTransport(["http://a", "http://b", "http://c"], Options())
    assert repr(transport) == (
        "<HTTPTransport <Connector to http://a:8080 or 2 more>, "
        "<Pool 0 of 64 slots taken: 0 busy, 0 idle, 0 connecting; 0 waiting>>"
    )


def test_bad_urls_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError):
        HTTPTransport("http://a/b", Options())


async def test_closed_it_sends_nothing() -> None:
    transport = HTTPTransport("http://127.0.0.1:1", Options())
    await transport.aclose()
    with pytest.raises(SessionClosed):
        await transport.open(Request("GET", "/"), Trail())


async def test_the_stream_under_tls_is_a_whole_stream() -> None:
    ours, theirs = socket.socketpair()
    raw = PlainStream(ours)
    stream = TLSStream(raw, ssl.create_default_context(), "db.example")
    assert not stream.is_quiet()
    assert stream.send_nowait(b"x") == 0
    await stream._under.wait_send_all_might_not_block()
    await stream._under.aclose()
    assert theirs.recv(1) == b""
    theirs.close()
    with pytest.raises(trio.ClosedResourceError):
        await raw.poll()


async def test_under_tls_a_failure_to_send_is_told_after_tls_has_come_back() -> None:
    ours, theirs = socket.socketpair()
    stream = TLSStream(PlainStream(ours), ssl.create_default_context(), "db.example")
    theirs.close()
    with pytest.raises(trio.BrokenResourceError):
        await stream.handshake()
    assert isinstance(stream._under.failure, BrokenPipeError)
    with pytest.raises(BrokenPipeError):
        stream._raise_failure()
    stream.close()
