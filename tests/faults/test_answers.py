"""Whole, broken and hostile answers."""

from __future__ import annotations

import gzip

import pytest
import trio

from evsession.config import VERSION
from evsession.errors import ConfigurationError, ConnectionFailed, ProtocolError
from evsession.testing import Peer, ScriptedServer, answer, close, forever, read_head, read_request, reset, send, stall
from evsession.wire.message import Request, Response
from evsession.wire.transport import Trail
from tests.faults.wire import GET, OK, PUT, Watched, slots, transport_to

HEAD = Request("HEAD", "/docs?id=x")


def raw(head: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {head}".replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def test_one_connection_serves_requests_one_after_another() -> None:
    async with ScriptedServer([forever(answer(b"[1]"))]) as server, transport_to(server.url) as transport:
        for _ in range(3):
            trail = Watched()
            response = await transport.send(GET, trail)
            assert (response.status, response.body) == (200, b"[1]")
            assert (trail.sent, trail.answered, trail.url) == (True, True, server.url + GET.target)
            assert trail.names == ["request", "response"]
            assert trail.events[1].status_code == 200
            assert trail.events[1].duration is not None
        assert server.connections == 1
        assert slots(transport) == {"taken": 1, "busy": 0, "idle": 1, "connecting": 0, "waiting": 0}


async def test_the_request_arrives_as_it_was_meant() -> None:
    async with ScriptedServer([forever(answer())]) as server, transport_to(server.url) as transport:
        await transport.send(Request("POST", "/a?b=c", b"body", headers=(("Raven-Client-Version", "7.0.0"),)), Trail())
        await transport.send(Request("POST", "/empty"), Trail())
        await transport.send(GET, Trail())
        await transport.send(HEAD, Trail())
        posted, empty, got, head = server.requests
        assert (posted.method, posted.target, posted.body) == ("POST", "/a?b=c", b"body")
        assert posted.headers["host"] == f"127.0.0.1:{server.port}"
        assert posted.headers["user-agent"] == f"evsession/{VERSION}"
        assert posted.headers["raven-client-version"] == "7.0.0"
        assert posted.headers["content-length"] == "4"
        assert empty.headers["content-length"] == "0"
        assert "content-length" not in got.headers
        assert (head.method, "content-length" in head.headers) == ("HEAD", False)


@pytest.mark.parametrize(
    ("request_", "answered", "expected"),
    [
        (GET, raw("503 Unavailable\nContent-Type: text/html\nContent-Length: 6", b"<html>"), (503, b"<html>")),
        (GET, raw("200 OK\nTransfer-Encoding: chunked", chunked(b"one", b"two")), (200, b"onetwo")),
        (GET, raw("204 No Content"), (204, b"")),
        (GET, raw("304 Not Modified\nContent-Length: 100\nContent-Encoding: zstd"), (304, b"")),
        (HEAD, raw("200 OK\nContent-Length: 999999999\nContent-Encoding: gzip"), (200, b"")),
        (GET, raw("100 Continue") + raw("103 Early Hints\nLink: x") + OK, (200, b"ok")),
        (PUT, raw("100 Continue") + OK, (200, b"ok")),
        (GET, raw("200 OK\nContent-Encoding: gzip\nContent-Length: 25", gzip.compress(b"plain")), (200, b"plain")),
        (GET, raw("200 OK\nContent-Encoding: gzip\nContent-Length: 0"), (200, b"")),
        (GET, raw("200 OK\nContent-Encoding: identity\nContent-Length: 2", b"ok"), (200, b"ok")),
        (GET, raw("200\nContent-Length: 2", b"ok"), (200, b"ok")),
    ],
    ids=["503", "chunked", "204", "304", "head", "1xx", "1xx write", "gzip", "empty gzip", "identity", "no reason"],
)
async def test_answers_that_keep_the_connection(request_: Request, answered: bytes, expected: tuple[int, bytes]) -> None:
    steps = [forever(read_request(), send(answered))]
    async with ScriptedServer(steps) as server, transport_to(server.url) as transport:
        for _ in range(2):
            response = await transport.send(request_, Trail())
            assert (response.status, response.body) == expected
        assert server.connections == 1


@pytest.mark.parametrize(
    "answered",
    [
        raw("200 OK\nConnection: close\nContent-Length: 2", b"ok"),
        raw("200 OK\nConnection: close", b"ok"),
        raw("200 OK", b"ok"),
        OK.replace(b"1.1", b"1.0"),
        OK + b"left over",
    ],
    ids=["close", "until the end", "no framing", "1.0", "trailing bytes"],
)
async def test_answers_that_end_the_connection(answered: bytes) -> None:
    async with ScriptedServer([read_request(), send(answered), close()]) as server, transport_to(server.url) as transport:
        for connections in (1, 2):
            assert (await transport.send(PUT, Trail())).body == b"ok"
            assert slots(transport)["idle"] == 0
            assert server.connections == connections


ENDLESS_HEADER = raw("200 OK")[:-2] + b"X: " + b"y" * 200_000


@pytest.mark.parametrize(
    ("answered", "error", "says"),
    [
        (b"", ConnectionFailed, "without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", ConnectionFailed, "after 27 bytes"),
        (b"H", ConnectionFailed, "after 1 bytes"),
        (raw("100 Continue"), ConnectionFailed, "after 25 bytes"),
        (raw("200 OK\nContent-Length: 10", b"half"), ConnectionFailed, "after 43 bytes"),
        (raw("200 OK\nTransfer-Encoding: chunked", b"4\r\nhalf\r\n"), ConnectionFailed, "after 56 bytes"),
        (raw("200 OK\nTransfer-Encoding: chunked", b"zz\r\nhalf\r\n"), ProtocolError, "illegal chunk header"),
        (raw("200 OK\nContent-Length: 2\nContent-Length: 3", b"ok"), ProtocolError, "Content-Length"),
        (raw("200 OK\nContent-Length: -2", b"ok"), ProtocolError, "Content-Length"),
        (raw("200 OK\nTransfer-Encoding: gzip", b"ok"), ProtocolError, "chunked"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", ProtocolError, "illegal status line"),
        (b"\x15\x03\x03\x00\x02\x02\x28" * 10, ProtocolError, "illegal"),
        (raw("200 OK\nContent-Length: 2000", b"x" * 2000), ProtocolError, "2000 bytes, max_body_size is 1000"),
        (raw("200 OK\nTransfer-Encoding: chunked", chunked(*[b"x" * 100] * 11)), ProtocolError, "larger than max_body_size"),
        (raw("200 OK\nContent-Encoding: gzip", gzip.compress(bytes(10_000_000))), ProtocolError, "larger than max_body_size"),
        (raw("200 OK\nContent-Encoding: gzip", b"no gzip"), ProtocolError, "not the gzip"),
        (raw("200 OK\nContent-Encoding: gzip", gzip.compress(b"plain")[:-4]), ProtocolError, "ends early"),
        (raw("200 OK\nContent-Encoding: br", b"ok"), ProtocolError, "unknown Content-Encoding 'br'"),
        (raw("101 Switching Protocols\nUpgrade: x"), ProtocolError, "SWITCH"),
        (raw("100 Continue") * 40, ProtocolError, "32 interim answers"),
        (ENDLESS_HEADER, ProtocolError, "too long"),
    ],
    ids=lambda value: value[:30].decode("latin-1") if isinstance(value, bytes) else None,
)
@pytest.mark.parametrize("request_", [GET, PUT], ids=["GET", "PUT"])
async def test_answers_that_are_none(request_: Request, answered: bytes, error: type[ConnectionFailed], says: str) -> None:
    steps = [read_request(), send(answered), close()]
    async with ScriptedServer(steps, [answer(b"ok")]) as server, transport_to(server.url, max_body_size=1000) as transport:
        trail = Trail("save")
        with pytest.raises(ConnectionFailed, match=says) as caught:
            await transport.send(request_, trail)
        assert type(caught.value) is error
        assert (caught.value.url, caught.value.key, caught.value.operation) == (server.url + GET.target, "dogs/max", "save")
        assert caught.value.uncertain is request_.writes
        assert trail.sent
        assert (await transport.send(request_, Trail())).body == b"ok"
        assert len(server.requests) == 2


async def test_longer_than_announced_is_not_the_next_answer() -> None:
    steps = [read_request(), send(raw("200 OK\nContent-Length: 2", b"ok" + OK)), stall()]
    async with ScriptedServer(steps, [answer(b"second")]) as server, transport_to(server.url) as transport:
        assert (await transport.send(GET, Trail())).body == b"ok"
        assert (await transport.send(GET, Trail())).body == b"second"


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"])
async def test_reset_before_and_within_the_answer(sent: bytes) -> None:
    async with ScriptedServer([read_request(), send(sent), reset()]) as server, transport_to(server.url) as transport:
        with pytest.raises(ConnectionFailed) as caught:
            await transport.send(PUT, Trail())
        assert caught.value.uncertain
        assert not caught.value.is_retryable()


async def test_reset_after_the_answer() -> None:
    steps = [answer(b"ok"), reset()]
    async with ScriptedServer(steps) as server, transport_to(server.url) as transport:
        for _ in range(3):
            assert (await transport.send(PUT, Trail())).body == b"ok"
            await trio.testing.wait_all_tasks_blocked()
        assert len(server.requests) == 3


async def test_an_early_refusal_of_a_large_body_is_the_answer() -> None:
    refusal = raw("413 Too Large\nConnection: close\nContent-Length: 4", b"much")
    large = Request("PUT", "/docs", bytes(30_000_000), writes=True)
    async with ScriptedServer([read_head(), send(refusal), reset()]) as server, transport_to(server.url) as transport:
        for _ in range(3):
            response = await transport.send(large, Trail())
            assert (response.status, response.body) == (413, b"much")
            assert slots(transport)["idle"] == 0


async def test_a_large_body_arrives() -> None:
    body = bytes(range(256)) * 20_000
    async with ScriptedServer([forever(answer(b"ok"))]) as server, transport_to(server.url) as transport:
        for _ in range(2):
            await transport.send(Request("PUT", "/docs", body, writes=True), Trail())
        assert [seen.body == body for seen in server.requests] == [True, True]
        assert server.connections == 1


async def test_a_refusal_without_a_word_is_a_failure() -> None:
    large = Request("PUT", "/docs", bytes(30_000_000), writes=True)
    async with ScriptedServer([read_head(), reset()]) as server, transport_to(server.url) as transport:
        with pytest.raises(ConnectionFailed) as caught:
            await transport.send(large, Trail())
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.uncertain


async def test_a_server_that_drips_is_cut_off_by_the_caller() -> None:
    async def drip(peer: Peer) -> None:
        for byte in OK[:-1]:
            await peer.stream.send_all(bytes([byte]))
            await trio.sleep(0.01)
        await trio.sleep_forever()

    async with ScriptedServer([read_request(), drip], [answer(b"ok")]) as server, transport_to(server.url) as transport:
        trail = Trail()
        with trio.move_on_after(0.2) as scope:
            await transport.send(PUT, trail)
        assert scope.cancelled_caught
        assert trail.sent
        assert slots(transport)["taken"] == 0
        assert (await transport.send(PUT, Trail())).body == b"ok"


@pytest.mark.parametrize(
    "wrong",
    [
        Request("GET", "/a b"),
        Request("GET", "relative"),
        Request("GET", "/a\r\nX: y"),
        Request("GET", "/\u00fc"),
        Request("GE T", "/"),
        Request("GET", "/", headers=(("X", "a\r\nY: b"),)),
        Request("GET", "/", headers=(("X\n", "a"),)),
        Request("GET", "/", headers=(("X", "\u20ac"),)),
        Request("GET", "/", headers=(("Host", "other"),)),
        Request("HEAD", "/", headers=(("Content-Length", "3"),)),
        Request("PUT", "/", b"x", headers=(("Transfer-Encoding", "chunked"),), writes=True),
    ],
)
async def test_what_http_cannot_carry_is_refused_before_anything_is_sent(wrong: Request) -> None:
    async with ScriptedServer([forever(answer(b"ok"))]) as server, transport_to(server.url) as transport:
        trail = Trail()
        with pytest.raises(ConfigurationError):
            await transport.send(wrong, trail)
        assert not trail.sent
        await transport.send(GET, Trail())
        assert [seen.target for seen in server.requests] == [GET.target]


async def test_an_answer_to_a_head_with_a_body() -> None:
    async with ScriptedServer([forever(answer(Response(200, ((b"Content-Length", b"5"),))))]) as server:
        async with transport_to(server.url) as transport:
            assert (await transport.send(Request("HEAD", "/", b"odd"), Trail())).header(b"content-length") == "5"
            assert server.requests[0].body == b"odd"
