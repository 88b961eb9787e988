"""What a scripted server can do. Each function returns a step; a program may add its own, see `Step`."""

from __future__ import annotations

from http import HTTPStatus

import trio

from evsession.testing.server import Peer, Step
from evsession.wire.message import Response

__all__ = ["answer", "close", "forever", "read_head", "read_request", "reset", "send", "stall"]


def answer(what: Response | bytes = b"", *, status: int = 200) -> Step:
    """Read a request and answer it: with this response, or with these bytes as the body of one.

    ``Content-Length`` is added unless the response has framing of its own.
    """
    response = what if isinstance(what, Response) else Response(status, (), what)
    data = _write(response)

    async def step(peer: Peer) -> None:
        await peer.read_request()
        await peer.stream.send_all(data)

    return step


def _write(response: Response) -> bytes:
    known = HTTPStatus._value2member_map_.get(response.status)
    lines = [b"HTTP/1.1 %d %b" % (response.status, known.phrase.encode() if isinstance(known, HTTPStatus) else b"-")]
    lines += [name + b": " + value for name, value in response.headers]
    framed = {name.lower() for name, _ in response.headers} & {b"content-length", b"transfer-encoding"}
    if not framed and response.status not in (204, 304):
        lines.append(b"Content-Length: %d" % len(response.body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + response.body


def send(data: bytes) -> Step:
    """Send these bytes, whatever they are, without reading anything."""

    async def step(peer: Peer) -> None:
        await peer.stream.send_all(data)

    return step


def read_request() -> Step:
    """Read a whole request and record it."""

    async def step(peer: Peer) -> None:
        await peer.read_request()

    return step


def read_head() -> Step:
    """Read the head of a request and record it; what the client sends after it is left unread."""

    async def step(peer: Peer) -> None:
        await peer.read_request(body=False)

    return step


def reset() -> Step:
    """End the connection with a TCP reset."""

    async def step(peer: Peer) -> None:
        peer.reset()
        await trio.lowlevel.checkpoint()

    return step


def close() -> Step:
    """End the connection properly; nothing that follows in the script can reach the client."""

    async def step(peer: Peer) -> None:
        await peer.stream.aclose()

    return step


def stall() -> Step:
    """Do nothing any more, but keep the connection."""

    async def step(peer: Peer) -> None:
        await trio.sleep_forever()

    return step


def forever(*steps: Step) -> Step:
    """Repeat these steps until the client hangs up."""

    async def step(peer: Peer) -> None:
        while True:
            for repeated in steps:
                await repeated(peer)

    return step
