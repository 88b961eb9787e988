"""Requests and answers byte by byte, without a network."""

from __future__ import annotations

import gzip
import ssl

import pytest
import trio

from evsession.errors import ConfigurationError, ConnectionFailed, ProtocolError
from evsession.transport.connection import Connection
from evsession.transport.exchange import HTTPExchange
from evsession.transport.head import Heads
from evsession.wire.message import Request
from evsession.wire.transport import Trail
from tests.unit.transport.memory import NODE, MemoryStream, exchange_over

GET = Request("GET", "/docs")
PUT = Request("PUT", "/docs", b"{}", writes=True)
HEAD = Request("HEAD", "/docs")
PACKED = gzip.compress(b"hello, world")

WHOLE = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag: x\r\n\r\nhello, world",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nA: b\r\n\r\n",
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(PACKED), PACKED),
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world",
}


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("request_", [GET, PUT], ids=["GET", "PUT"])
async def test_byte_by_byte(answer: bytes, request_: Request) -> None:
    stream = MemoryStream(answer[index : index + 1] for index in range(len(answer)))
    exchange, pool = exchange_over(stream, request_, Trail())
    await exchange.begin(streams_body=False)
    response = await exchange.read_response()
    assert (response.status, response.body) == (200, b"hello, world")
    assert "1 idle" in repr(pool)


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("piece", [1, 10_000])
async def test_cut_at_every_byte(answer: bytes, piece: int) -> None:
    for end in range(len(answer)):
        cut = answer[:end]
        stream = MemoryStream(cut[start : start + piece] for start in range(0, end, piece))
        exchange, pool = exchange_over(stream, PUT, Trail())
        with pytest.raises(ConnectionFailed, match="closed the connection") as caught:
            await (await begun(exchange)).read_response()
        assert caught.value.uncertain
        assert stream.closed
        assert "0 of 1 slots taken" in repr(pool)


async def begun(exchange: HTTPExchange) -> HTTPExchange:
    await exchange.begin(streams_body=False)
    return exchange


async def test_head_of_an_answer_with_a_length_has_no_body() -> None:
    exchange, pool = exchange_over(MemoryStream([b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"]), HEAD, Trail())
    assert (await (await begun(exchange)).read_response()).body == b""
    assert "1 idle" in repr(pool)


@pytest.mark.parametrize(("size", "fits"), [(900, True), (100_000, False)])
async def test_the_head_has_a_limit(size: int, fits: bool) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + b"y" * size + b"\r\n\r\n"
    exchange, _ = exchange_over(MemoryStream(answer[start : start + 100] for start in range(0, len(answer), 100)), GET, Trail())
    if fits:
        assert (await (await begun(exchange)).read_response()).status == 200
    else:
        with pytest.raises(ProtocolError, match="too long"):
            await exchange.begin(streams_body=False)


@pytest.mark.parametrize(("limit", "fits"), [(12, True), (11, False)])
@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
async def test_the_body_has_a_limit(answer: bytes, limit: int, fits: bool) -> None:
    exchange, _ = exchange_over(MemoryStream([answer]), GET, Trail(), max_body_size=max(limit, 11))
    await exchange.begin(streams_body=False)
    if fits and b"gzip" not in answer:
        assert await exchange.read() == b"hello, world"
    elif not fits:
        with pytest.raises(ProtocolError, match="max_body_size"):
            await exchange.read()
    exchange.close()


@pytest.mark.parametrize("accepts", [0, 1, 20])
@pytest.mark.parametrize("request_", [GET, PUT], ids=["GET", "PUT"])
async def test_a_stream_that_breaks_while_sending(accepts: int, request_: Request) -> None:
    trail = Trail()
    exchange, _ = exchange_over(MemoryStream([ConnectionResetError(104, "reset")], accepts=accepts), request_, trail)
    with pytest.raises(ConnectionFailed, match="Broken pipe") as caught:
        await exchange.begin(streams_body=False)
    assert trail.sent is (accepts > 0)
    assert caught.value.uncertain is (request_.writes and accepts > 0)
    assert not exchange.may_resend, "on a new connection a second attempt would fare no better"


@pytest.mark.parametrize(("accepts", "writes", "may"), [(0, True, True), (1, True, False), (1, False, True), (0, False, True)])
async def test_what_may_go_out_again_from_a_reused_connection(accepts: int, writes: bool, may: bool) -> None:
    stream = MemoryStream([ConnectionResetError(104, "reset")], accepts=accepts)
    exchange, _ = exchange_over(stream, Request("PUT", "/docs", b"{}", writes=writes), Trail())
    assert exchange._connection is not None
    exchange._connection.reused = True
    with pytest.raises(ConnectionFailed):
        await exchange.begin(streams_body=False)
    assert exchange.may_resend is may


async def test_an_answer_to_a_request_that_was_not_taken_whole() -> None:
    stream = MemoryStream([b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nno"], accepts=10)
    exchange, pool = exchange_over(stream, PUT, Trail())
    response = await (await begun(exchange)).read_response()
    assert (response.status, response.body) == (400, b"no")
    assert stream.closed
    assert "0 of 1 slots taken" in repr(pool)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (GET, b"GET /docs HTTP/1.1\r\nHost: db.example:8080\r\nUser-Agent: test\r\n\r\n"),
        (Request("DELETE", "/a%20b"), b"DELETE /a%20b HTTP/1.1\r\nHost: db.example:8080\r\nUser-Agent: test\r\n\r\n"),
        (PUT, b"PUT /docs HTTP/1.1\r\nHost: db.example:8080\r\nUser-Agent: test\r\nContent-Length: 2\r\n\r\n"),
        (Request("POST", "/"), b"POST / HTTP/1.1\r\nHost: db.example:8080\r\nUser-Agent: test\r\nContent-Length: 0\r\n\r\n"),
        (
            Request("GET", "/x?y=z", headers=(("If-Match", '"a, b"'),)),
            b'GET /x?y=z HTTP/1.1\r\nHost: db.example:8080\r\nUser-Agent: test\r\nIf-Match: "a, b"\r\n\r\n',
        ),
    ],
)
def test_heads_as_written(request_: Request, expected: bytes) -> None:
    heads = Heads(NODE, "test")
    assert heads.write(request_) == heads.write(request_) == expected


def test_written_headers_are_kept_but_not_without_bound() -> None:
    heads = Heads(NODE, "test")
    for number in range(1000):
        assert f"X: {number}\r\n".encode() in heads.write(Request("GET", "/", headers=(("X", str(number)),)))
    assert len(heads._known) <= 64


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", ["", "x", "http://a/", "/a b", "/\n", "/\x7f", "*", "/\u00e9"])
def test_targets_that_are_none(method: str, target: str) -> None:
    heads = Heads(NODE, "test")
    with pytest.raises(ConfigurationError, match="not a quoted path"):
        heads.write(Request(method, target))
    with pytest.raises(ConfigurationError, match="not a quoted path"):
        heads.event(Request(method, target))


def test_a_connection_tells_its_state() -> None:
    connection = Connection(MemoryStream([]), NODE, Heads(NODE, "test"), max_header_size=100)
    assert repr(connection) == "<Connection to http://db.example:8080: we are IDLE, it is IDLE>"


async def test_an_alert_tells_more_than_the_broken_pipe_that_it_causes() -> None:
    alert = trio.BrokenResourceError()
    alert.__cause__ = ssl.SSLError(1, "TLSV13_ALERT_CERTIFICATE_REQUIRED")
    exchange, _ = exchange_over(MemoryStream([alert], accepts=0), PUT, Trail())
    with pytest.raises(ConnectionFailed, match="client certificate") as caught:
        await exchange.begin(streams_body=False)
    assert not caught.value.uncertain


async def test_a_large_body_that_breaks_at_once_is_not_sent_on() -> None:
    stream = MemoryStream([WHOLE["length"]], accepts=100)
    exchange, _ = exchange_over(stream, Request("PUT", "/", bytes(1_000_000), writes=True), Trail())
    assert (await (await begun(exchange)).read_response()).body == b"hello, world"
    assert stream.accepted == 100
    assert stream.closed


async def test_an_earlier_attempt_that_was_sent_is_not_forgotten() -> None:
    trail = Trail()
    trail.sent = True
    exchange, _ = exchange_over(MemoryStream([], accepts=0), GET, trail)
    with pytest.raises(ConnectionFailed):
        await exchange.begin(streams_body=False)
    assert trail.sent


async def test_a_farewell_on_an_idle_connection_is_no_answer() -> None:
    stream = MemoryStream([b"HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n"], accepts=0)
    exchange, _ = exchange_over(stream, PUT, Trail())
    assert exchange._connection is not None
    exchange._connection.reused = True
    with pytest.raises(ConnectionFailed):
        await exchange.begin(streams_body=False)
    assert exchange.may_resend
