"""The scripted server itself: what tests rely on."""

from __future__ import annotations

import pytest
import trio

from evsession.testing import Peer, ScriptedServer, answer, close, forever, read_head, read_request, send, stall
from evsession.wire.message import Response


async def talk(server: ScriptedServer, data: bytes) -> bytes:
    stream = await trio.open_tcp_stream("127.0.0.1", server.port)
    async with stream:
        await stream.send_all(data)
        await stream.send_eof()
        return b"".join([bytes(piece) async for piece in stream])


GET = b"GET /a?b HTTP/1.1\r\nHost: x\r\nX-Y: Z\r\n\r\n"
PUT = b"PUT /c HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"


async def test_requests_that_come_together_are_read_one_by_one() -> None:
    script = [answer(b"{}"), answer(Response(204)), answer(b"no", status=599)]
    async with ScriptedServer(script) as server:
        said = await talk(server, GET + PUT + GET)
        assert said == (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
            b"HTTP/1.1 204 No Content\r\n\r\n"
            b"HTTP/1.1 599 -\r\nContent-Length: 2\r\n\r\nno"
        )
        seen = server.requests[0]
        assert (seen.method, seen.target, seen.headers["x-y"], seen.body, seen.connection) == ("GET", "/a?b", "Z", b"", 0)
        assert server.requests[1].body == b"body"


async def test_each_connection_has_its_script_and_the_last_one_repeats() -> None:
    async with ScriptedServer([send(b"one")], [send(b"two"), close(), send(b"never")]) as server:
        assert [await talk(server, b"") for _ in range(3)] == [b"one", b"two", b"two"]
        await server.wait_connections(3)


async def test_a_response_keeps_its_own_framing() -> None:
    async with ScriptedServer([answer(Response(200, ((b"Content-Length", b"9"),), b"short"))]) as server:
        assert await talk(server, GET) == b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"


async def test_a_client_that_leaves_ends_its_script_only() -> None:
    async with ScriptedServer([forever(read_request(), send(b"."))], [read_head(), stall()]) as server:
        assert await talk(server, GET + GET) == b".."
        await server.wait_requests(2)


async def test_a_bug_in_a_step_comes_out() -> None:
    async def broken(peer: Peer) -> None:
        raise ZeroDivisionError

    async def run() -> None:
        async with ScriptedServer([broken]) as server:
            await talk(server, b"")
            await trio.sleep_forever()

    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        await run()
