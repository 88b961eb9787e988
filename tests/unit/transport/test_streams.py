"""The bare socket as a stream."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from evsession.transport.streams import PlainStream


@pytest.fixture
def ends() -> Iterator[tuple[PlainStream, socket.socket]]:
    ours, theirs = socket.socketpair()
    stream = PlainStream(ours)
    yield stream, theirs
    stream.close()
    theirs.close()


async def test_sending_and_receiving(ends: tuple[PlainStream, socket.socket]) -> None:
    stream, theirs = ends
    await stream.send_all(b"ping")
    await stream.send_all(b"")
    assert theirs.recv(10) == b"ping"
    assert stream.accepted == 4
    assert stream.is_quiet()
    assert await stream.poll() is None
    theirs.send(b"pong")
    assert not stream.is_quiet()
    assert await stream.receive_some() == b"pong"
    theirs.send(b"more")
    assert await stream.poll() == b"more"
    theirs.close()
    assert not stream.is_quiet()
    assert await stream.poll() == b""
    assert await stream.receive_some() == b""


async def test_sending_without_waiting(ends: tuple[PlainStream, socket.socket]) -> None:
    stream, theirs = ends
    assert stream.send_nowait(b"ping") == stream.accepted == 4
    taken = stream.send_nowait(bytes(10_000_000))
    assert 0 < taken < 10_000_000
    assert stream.send_nowait(b"more") == 0, "the pipe is full"
    theirs.close()
    assert stream.send_nowait(b"more") == 0
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        await stream.send_all(b"more")


async def test_a_full_pipe_is_waited_for(ends: tuple[PlainStream, socket.socket]) -> None:
    stream, theirs = ends
    data = bytes(range(256)) * 8192
    got = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, data)
        await trio.testing.wait_all_tasks_blocked()
        assert 0 < stream.accepted < len(data)
        while len(got) < len(data):
            await trio.lowlevel.wait_readable(theirs)
            got += theirs.recv(1 << 20)
    assert bytes(got) == data
    assert stream.accepted == len(data)


async def test_waking_for_nothing(ends: tuple[PlainStream, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    stream, theirs = ends
    real, calls = trio.lowlevel.wait_readable, []

    async def wake_early(sock: socket.socket) -> None:
        calls.append(sock)
        if len(calls) > 1:
            await real(sock)
        else:
            await trio.lowlevel.checkpoint()

    monkeypatch.setattr(trio.lowlevel, "wait_readable", wake_early)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        theirs.send(b"x")
    assert len(calls) == 2


async def test_closing_wakes_whoever_waits(ends: tuple[PlainStream, socket.socket]) -> None:
    stream, _ = ends

    async def wait() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        stream.close()
        stream.close()
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()
    with pytest.raises(trio.ClosedResourceError):
        await stream.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await stream.poll()


def test_closing_outside_of_trio() -> None:
    ours, theirs = socket.socketpair()
    PlainStream(ours).close()
    assert theirs.recv(1) == b""
    theirs.close()


async def test_without_poll_a_read_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "poll")
    ours, theirs = socket.socketpair()
    stream = PlainStream(ours)
    assert not stream.is_quiet()
    assert await stream.poll() is None
    stream.close()
    theirs.close()
