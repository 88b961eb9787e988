"""Clients of the served port, honest and hostile, over streams in memory and a clock that does not wait."""

from __future__ import annotations

import gzip
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from evsession.embedded.limits import Limits
from evsession.embedded.serve import Server
from evsession.wire.message import Request, Response

T = TypeVar("T")

HOST = b"Host: 127.0.0.1:8080\r\n"
SMALL = Limits(body=100_000, connections=3)


class Talk:
    """A conversation that tells what it was asked; a target of ``/pieces/3`` is answered in so many."""

    def __init__(self, app: Answering, request: Request) -> None:
        self.request = request
        self.body = [request.body]
        self.pieces: list[bytes] = []
        self.is_finished = self.is_closed = False
        app.talks.append(self)
        app.asked.set()

    def send(self, data: bytes) -> bool:
        self.body.append(data)
        return not data.endswith(b"enough")

    def finish(self) -> Response:
        self.is_finished = True
        if self.request.target == "/fails":
            raise RuntimeError("a bug")
        if self.request.target.startswith("/pieces/"):
            self.pieces = [bytes([65 + n]) * 60_000 for n in range(int(self.request.target.rpartition("/")[2]))]
        elif self.request.target == "/nothing":
            return Response(204)
        elif self.request.method != "HEAD":
            self.pieces = [f"{self.request.method} {self.request.target} {len(b''.join(self.body))}".encode()]
        return Response(200, ((b"etag", b'"1"'),))

    def receive(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def close(self) -> None:
        self.is_closed = True


class Answering:
    """What a server needs of an app."""

    def __init__(self) -> None:
        self.talks: list[Talk] = []
        self.asked = threading.Event()

    def open(self, request: Request) -> Talk:
        return Talk(self, request)


class InlineServer(Server):
    """Works in the event loop, since trio's fast clock does not wait for threads."""

    work = 0.0

    async def _work(self, function: Callable[[], T]) -> T:
        await trio.sleep(self.work)
        return function()


@pytest.fixture
def app() -> Answering:
    return Answering()


@pytest.fixture
def server(app: Answering) -> InlineServer:
    given: Any = app
    return InlineServer(given, SMALL)


async def hear(stream: trio.abc.ReceiveStream) -> bytes:
    """Return everything until the server closes."""
    heard = b""
    while data := await stream.receive_some(65_536):
        heard += bytes(data)
    return heard


async def ask(server: Server, *data: bytes, hangs_up: bool = True) -> bytes:
    """Send this on a connection, and return all that comes until the server closes it."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve_stream, theirs)
        for piece in data:
            await ours.send_all(piece)
        if hangs_up:
            await ours.send_eof()
    return await hear(ours)


def statuses(answers: bytes) -> list[int]:
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


def bodies(answers: bytes) -> list[bytes]:
    return [part.partition(b"\r\n\r\n")[2] for part in answers.split(b"HTTP/1.1 ")[1:]]


def request(target: bytes = b"/docs?id=a", body: bytes | None = None, *headers: bytes, method: bytes = b"GET") -> bytes:
    lines = [*headers, *([] if body is None else [b"Content-Length: %d" % len(body)])]
    return b"%b %b HTTP/1.1\r\n%b%b\r\n\r\n%b" % (method, target, HOST, b"\r\n".join([*lines, b"X-Any: 1"]), body or b"")


def chunked(*pieces: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))
    return b"POST /queries HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + framed


CHUNKS_OF_5 = chunked(b"12345").replace(b"POST /queries", b"PUT /b")
FOLDED = b"Transfer-Encoding:\r\n chunked"


class TestAnswers:
    async def test_one_after_the_other(self, autojump_clock: MockClock, server: InlineServer, app: Answering) -> None:
        answers = await ask(
            server, request(b"/a") + request(b"/b", b"12345", method=b"PUT") + chunked(b"12", b"3") + request(b"/c")
        )
        assert statuses(answers) == [200] * 4
        assert bodies(answers) == [b"GET /a 0", b"PUT /b 5", b"POST /queries 3", b"GET /c 0"]
        assert [talk.is_closed for talk in app.talks] == [True] * 4
        assert dict(app.talks[1].request.headers)["x-any"] == "1"
        assert (app.talks[0].request.writes, app.talks[1].request.writes) == (False, True)

    async def test_in_single_bytes(self, autojump_clock: MockClock, server: InlineServer) -> None:
        whole = request(b"/a") + chunked(b"12", b"3")
        assert bodies(await ask(server, *(whole[n : n + 1] for n in range(len(whole))))) == [b"GET /a 0", b"POST /queries 3"]

    @pytest.mark.parametrize(
        "framed",
        [
            pytest.param(request(b"/b", None, b"Content-Length:\r\n  5", method=b"PUT") + b"12345", id="folded length"),
            pytest.param(request(b"/b", None, b"Content-Length: 5", b"Content-Length: 5", method=b"PUT") + b"12345", id="twice"),
            pytest.param(request(b"/b", b"12345", method=b"PUT").replace(b"\r\n", b"\n"), id="bare LF"),
            pytest.param(CHUNKS_OF_5.replace(b": chunked", b":\r\n\tCHUNKED"), id="folded"),
            pytest.param(CHUNKS_OF_5.replace(b"\n5\r\n", b"\n5;a=b\r\n"), id="extension"),
        ],
    )  # fmt: skip
    async def test_of_the_length_that_everybody_reads(
        self, autojump_clock: MockClock, server: InlineServer, framed: bytes
    ) -> None:
        answers = await ask(server, framed + request(b"/c"))
        assert bodies(answers) == [b"PUT /b 5", b"GET /c 0"]

    async def test_in_pieces(self, autojump_clock: MockClock, server: InlineServer) -> None:
        answers = await ask(server, request(b"/pieces/1") + request(b"/pieces/4"))
        assert statuses(answers) == [200, 200]
        first, second = bodies(answers)
        assert first == b"A" * 60_000
        assert b"transfer-encoding: chunked" in answers.lower()
        assert second.count(b"D") > 59_999
        assert second.endswith(b"0\r\n\r\n")

    async def test_without_a_body(self, autojump_clock: MockClock, server: InlineServer) -> None:
        answers = await ask(server, request(method=b"HEAD") + request(b"/nothing") + request(b"/pieces/0"))
        assert (statuses(answers), bodies(answers)) == ([200, 204, 200], [b"", b"", b""])
        assert b"content-length" not in answers.partition(b" 204 ")[2].partition(b"HTTP/1.1")[0]

    @pytest.mark.parametrize("ends", [b"Connection: close", b""])
    async def test_the_last_of_a_connection(
        self, autojump_clock: MockClock, server: InlineServer, app: Answering, ends: bytes
    ) -> None:
        first = request(b"/a", None, ends) if ends else b"GET /a HTTP/1.0\r\n" + HOST + b"\r\n"
        answers = await ask(server, first + request(b"/b"), hangs_up=False)
        assert bodies(answers) == [b"GET /a 0"]
        assert b"connection: close" in answers.lower()

    async def test_a_coded_body(self, autojump_clock: MockClock, server: InlineServer, app: Answering) -> None:
        coded = gzip.compress(b"x" * 90_000)
        assert bodies(await ask(server, request(b"/a", coded, b"Content-Encoding: gzip", method=b"PUT"))) == [b"PUT /a 90000"]
        assert "content-encoding" not in dict(app.talks[0].request.headers)

    async def test_one_that_waits_for_leave_to_send_its_body(self, autojump_clock: MockClock, server: InlineServer) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve_stream, theirs)
            await ours.send_all(request(b"/a", None, b"Expect: 100-continue\r\nContent-Length: 3", method=b"PUT"))
            assert (await ours.receive_some()).startswith(b"HTTP/1.1 100 ")
            await ours.send_all(b"123")
            await ours.send_eof()
            assert bodies(await hear(ours)) == [b"PUT /a 3"]

    async def test_a_bulk_insert_is_worked_on_as_it_comes(
        self, autojump_clock: MockClock, server: InlineServer, app: Answering
    ) -> None:
        target = b"/databases/a/bulk_insert?id=1"
        assert statuses(await ask(server, request(target, b"x" * 200_000, method=b"POST"))) == [200]
        assert len(app.talks[0].body) > 3
        # A verdict before the end: what is still to come is thrown away, and the connection with it.
        answers = await ask(server, request(target, None, b"Content-Length: 10000", method=b"POST") + b"enough", hangs_up=False)
        assert statuses(answers) == [200]
        assert app.talks[1].body[-1] == b"enough"


CHUNKED = b"Transfer-Encoding: chunked"
SMUGGLED = request(b"/smuggled")


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "status"),
        [
            pytest.param(b"nonsense\r\n\r\n", 400, id="nonsense"),
            pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40 + b"\r\n\r\n", 400, id="TLS"),
            pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2"),
            pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
            pytest.param(b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400, id="two hosts"),
            pytest.param(b"GET http://127.0.0.1:8080/ HTTP/1.1\r\n" + HOST + b"\r\n", 400, id="absolute target"),
            pytest.param(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400, id="asterisk"),
            pytest.param(b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + HOST + b"\r\n", 400, id="connect"),
            pytest.param(b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400, id="space in target"),
            pytest.param("GET /é HTTP/1.1\r\n".encode() + HOST + b"\r\n", 400, id="raw UTF-8"),
            pytest.param(b"GET / HTTP/1.1\r\nX : 1\r\n" + HOST + b"\r\n", 400, id="space before colon"),
            pytest.param(b"GET / HTTP/1.1\r\nX: a\0b\r\n" + HOST + b"\r\n", 400, id="NUL"),
            pytest.param(b"GET / HTTP/1.1\r\nX: a\rY: b\r\n" + HOST + b"\r\n", 400, id="bare CR"),
            pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b" X: 1\r\n\r\n", 403, id="folded host"),
            pytest.param(request(b"/", None, FOLDED, b"Content-Length: 1", method=b"PUT"), 400, id="folded TE.CL"),
            pytest.param(b"PUT / HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n\r\n", 400, id="chunks of 1.0"),
            pytest.param(request(b"/", None, b"Content-Length: 1", CHUNKED, method=b"PUT"), 400, id="CL.TE"),
            pytest.param(request(b"/", None, CHUNKED, b"Content-Length: 1", method=b"PUT"), 400, id="TE.CL"),
            pytest.param(request(b"/", None, b"Content-Length: 1", b"Content-Length: 2", method=b"PUT"), 400, id="two lengths"),
            pytest.param(request(b"/", None, b"Content-Length: 1, 2", method=b"PUT"), 400, id="a list of lengths"),
            pytest.param(request(b"/", None, b"Content-Length: +1", method=b"PUT"), 400, id="+1"),
            pytest.param(request(b"/", None, b"Content-Length: -1", method=b"PUT"), 400, id="-1"),
            pytest.param(request(b"/", None, b"Content-Length: 0x1", method=b"PUT"), 400, id="hex"),
            pytest.param(request(b"/", None, b"Content-Length: " + b"9" * 30, method=b"PUT"), 400, id="length of 30 digits"),
            pytest.param(request(b"/", None, b"Transfer-Encoding: xchunked", method=b"PUT"), 501, id="xchunked"),
            pytest.param(request(b"/", None, b"Transfer-Encoding: chunked, identity", method=b"PUT"), 501, id="two codings"),
            pytest.param(request(b"/", None, b"Transfer-Encoding: gzip, chunked", method=b"PUT"), 501, id="gzip, chunked"),
            pytest.param(request(b"/" + b"a" * 20_000), 414, id="long target"),
            pytest.param(request(b"/", None, b"X: " + b"a" * 60_000), 431, id="long head"),
            pytest.param(b"a" * 60_000, 431, id="no line"),
            pytest.param(request(b"/", None, b"Content-Length: 100001", method=b"PUT"), 413, id="long body"),
            pytest.param(request(b"/", b"", b"Content-Encoding: br", method=b"PUT"), 415, id="brotli"),
            pytest.param(b"GET / HTTP/1.1\r\nHost: dogs.example\r\n\r\n", 403, id="somebody else's name"),
            pytest.param(b"GET / HTTP/1.1\r\nHost: a[\r\n\r\n", 403, id="no name"),
            pytest.param(request(b"/", None, b"Origin: http://dogs.example"), 403, id="somebody else's page"),
            pytest.param(request(b"/", None, b"Origin: null"), 403, id="a page of nobody"),
        ],
    )  # fmt: skip
    async def test_a_head(
        self, autojump_clock: MockClock, server: InlineServer, app: Answering, data: bytes, status: int
    ) -> None:
        answers = await ask(server, data + SMUGGLED, hangs_up=False)
        assert statuses(answers) == [status]
        assert b"connection: close" in answers.lower()
        assert app.talks == []

    @pytest.mark.parametrize(
        ("data", "status"),
        [
            pytest.param(chunked(b"x" * 60_000, b"x" * 60_000), 413, id="many chunks"),
            pytest.param(chunked(b"x").replace(b"1\r\n", b"zz\r\n"), 400, id="no size"),
            pytest.param(chunked(b"x").replace(b"1\r\n", b"-1\r\n"), 400, id="negative size"),
            pytest.param(chunked(b"x").replace(b"1\r\n", b"f" * 30 + b"\r\n"), 400, id="size of 30 digits"),
            pytest.param(chunked(b"xyz").replace(b"3\r\n", b"1\r\n"), 400, id="wrong size"),
            pytest.param(chunked(b"xyz").replace(b"xyz\r\n", b"xyzXX"), 400, id="no end of a chunk"),
            pytest.param(chunked(b"xyz").replace(b"3\r\n", b"3\n"), 400, id="bare LF after a size"),
            pytest.param(chunked(b"x").replace(b"1\r\n", b"1;" + b"e" * 120_000), 431, id="endless extension"),
            pytest.param(chunked().replace(b"0\r\n\r\n", b"0\r\nX: " + b"e" * 120_000), 431, id="endless trailer"),
            pytest.param(request(b"/", b"no gzip", b"Content-Encoding: gzip", method=b"PUT"), 400, id="no gzip"),
            pytest.param(request(b"/", gzip.compress(b"x")[:-3], b"Content-Encoding: gzip", method=b"PUT"), 400, id="half gzip"),
            pytest.param(request(b"/", gzip.compress(bytes(10**7)), b"Content-Encoding: gzip", method=b"PUT"), 413, id="bomb"),
        ],
    )  # fmt: skip
    async def test_a_body(
        self, autojump_clock: MockClock, server: InlineServer, app: Answering, data: bytes, status: int
    ) -> None:
        assert statuses(await ask(server, data + SMUGGLED, hangs_up=False)) == [status]
        assert app.talks == []

    @pytest.mark.parametrize("whole", [request(b"/a", b"12345", method=b"PUT"), chunked(b"123", b"45")])
    async def test_half_a_request_at_every_byte(
        self, autojump_clock: MockClock, server: InlineServer, app: Answering, whole: bytes
    ) -> None:
        for cut in range(len(whole)):
            assert statuses(await ask(server, whole[:cut])) in ([], [400])
        assert app.talks == []
        assert server.connections == 0

    async def test_half_a_bulk_insert_is_never_finished(
        self, autojump_clock: MockClock, server: InlineServer, app: Answering
    ) -> None:
        await ask(server, request(b"/databases/a/bulk_insert", None, b"Content-Length: 1000", method=b"POST") + b"[{}")
        assert [(talk.is_finished, talk.is_closed) for talk in app.talks] == [(False, True)]

    async def test_names_of_this_machine(self, autojump_clock: MockClock, server: InlineServer) -> None:
        for name in (b"localhost", b"LOCALHOST:1", b"dogs.localhost", b"127.0.0.1", b"[::1]:8080"):
            answers = await ask(server, b"GET /a HTTP/1.1\r\nHost: " + name + b"\r\nOrigin: http://" + name + b"\r\n\r\n")
            assert statuses(answers) == [200]

    async def test_any_name_where_everybody_may_come(self, autojump_clock: MockClock, app: Answering) -> None:
        given: Any = app
        server = InlineServer(given, is_local=False)
        assert statuses(await ask(server, b"GET /a HTTP/1.1\r\nHost: dogs.example\r\n\r\n")) == [200]

    async def test_the_reason_is_told(self, autojump_clock: MockClock, server: InlineServer) -> None:
        assert b"not called dogs.example" in await ask(server, b"GET / HTTP/1.1\r\nHost: dogs.example\r\n\r\n")


class TestSlowClients:
    async def test_nobody_says_anything(self, autojump_clock: MockClock, server: InlineServer) -> None:
        assert await ask(server, hangs_up=False) == b""
        assert trio.current_time() == pytest.approx(SMALL.idle_timeout)

    async def drip(self, stream: trio.abc.SendStream, data: bytes, *, every: float) -> None:
        with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
            for n in range(len(data)):
                await stream.send_all(data[n : n + 1])
                await trio.sleep(every)
            await trio.sleep(1000)
            await stream.send_all(b"x")

    @pytest.mark.parametrize(
        ("head", "rest", "limit"),
        [
            (b"", request(), SMALL.head_timeout),
            (request(b"/", None, b"Content-Length: 50000", method=b"PUT"), b"x" * 50_000, SMALL.grace * 1.1),
        ],
    )
    async def test_a_byte_a_second(
        self, autojump_clock: MockClock, server: InlineServer, app: Answering, head: bytes, rest: bytes, limit: float
    ) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve_stream, theirs)
            await ours.send_all(head)
            nursery.start_soon(lambda: self.drip(ours, rest, every=1))
            assert statuses(await hear(ours)) == [408]
            assert trio.current_time() <= limit + 1
        assert app.talks == []

    async def test_a_bulk_insert_may_pause_but_not_for_ever(
        self, autojump_clock: MockClock, server: InlineServer, app: Answering
    ) -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve_stream, theirs)
            await ours.send_all(request(b"/databases/a/bulk_insert", None, b"Content-Length: 9", method=b"POST"))
            for _ in range(3):
                await trio.sleep(SMALL.idle_timeout - 1)
                await ours.send_all(b"x")
            assert statuses(await hear(ours)) == [408]
        assert [(talk.is_finished, talk.is_closed) for talk in app.talks] == [(False, True)]

    @pytest.mark.parametrize("target", [b"/a", b"/pieces/5"])
    async def test_one_that_does_not_read(
        self, autojump_clock: MockClock, server: InlineServer, app: Answering, target: bytes
    ) -> None:
        ours, theirs = trio.testing.lockstep_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve_stream, theirs)
            await ours.send_all(request(target))
        assert 0 < trio.current_time() < 1000
        assert [talk.is_closed for talk in app.talks] == [True]

    @pytest.mark.parametrize("target", [b"/a", b"/pieces/50"])
    async def test_one_that_hangs_up(
        self, autojump_clock: MockClock, server: InlineServer, app: Answering, target: bytes
    ) -> None:
        ours, theirs = trio.testing.lockstep_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve_stream, theirs)
            await ours.send_all(request(target))
            await ours.receive_some(10)
            await ours.aclose()
        assert [talk.is_closed for talk in app.talks] == [True]

    async def test_one_that_does_not_listen_to_a_refusal(self, autojump_clock: MockClock, server: InlineServer) -> None:
        ours, theirs = trio.testing.lockstep_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve_stream, theirs)
            await ours.send_all(b"nonsense\r\n\r\n")
            await ours.aclose()


class TestNumbers:
    async def connect(self, server: Server, nursery: trio.Nursery, data: bytes = b"") -> trio.StapledStream[Any, Any]:
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(server.serve_stream, theirs)
        await ours.send_all(data) if data else None
        await trio.testing.wait_all_tasks_blocked()
        return ours

    async def test_one_too_many_ends_the_one_that_waits_for_longest(
        self, autojump_clock: MockClock, server: InlineServer
    ) -> None:
        async with trio.open_nursery() as nursery:
            flood = [await self.connect(server, nursery, b"GET /slow" * (n % 2)) for n in range(20)]
            assert server.connections == 3
            for stream in flood[:17]:
                assert await hear(stream) == b""
            honest = await self.connect(server, nursery, request())
            assert (await honest.receive_some()).startswith(b"HTTP/1.1 200 ")
            for stream in (*flood[17:], honest):
                await stream.send_eof()

    async def test_one_too_many_while_all_are_at_work(self, autojump_clock: MockClock, server: InlineServer) -> None:
        server.work = 5
        async with trio.open_nursery() as nursery:
            busy = [await self.connect(server, nursery, request()) for _ in range(3)]
            late = await self.connect(server, nursery, request())
            assert statuses(await hear(late)) == [503]
            for stream in busy:
                await stream.send_eof()
                assert statuses(await hear(stream)) == [200]

    async def test_bodies_of_all_connections_together(self, autojump_clock: MockClock, app: Answering) -> None:
        given: Any = app
        server = InlineServer(given, Limits(memory=100_000))
        slow = request(b"/slow", None, b"Content-Length: 70000", method=b"PUT") + b"x" * 60_000
        async with trio.open_nursery() as nursery:
            first = await self.connect(server, nursery, slow)
            assert statuses(await ask(server, request(b"/a", b"x" * 50_000, method=b"PUT"))) == [503]
            assert statuses(await ask(server, request(b"/a", b"x" * 30_000, method=b"PUT"))) == [200]
            await first.send_all(b"x" * 10_000)
            await first.send_eof()
            assert statuses(await hear(first)) == [200]
        assert server._kept == 0

    async def test_only_a_bulk_insert_may_be_endless(
        self, autojump_clock: MockClock, server: InlineServer, app: Answering
    ) -> None:
        for method, target in (
            (b"PUT", b"/databases/a/bulk_insert"),
            (b"POST", b"/bulk_insert"),
            (b"POST", b"/databases/a/b/bulk_insert"),
        ):
            head = request(target, None, b"Content-Length: 100001", method=method)
            assert statuses(await ask(server, head, hangs_up=False)) == [413]
        assert app.talks == []

    async def test_a_stream_that_cannot_be_closed_by_halves(self, autojump_clock: MockClock, server: InlineServer) -> None:
        class Whole(trio.abc.Stream):
            said = b""

            async def receive_some(self, max_bytes: int | None = None) -> bytes:
                await trio.lowlevel.checkpoint()
                return b"" if self.said else b"nonsense\r\n\r\n"

            async def send_all(self, data: Any) -> None:
                self.said += bytes(data)

            async def wait_send_all_might_not_block(self) -> None:
                raise NotImplementedError

            async def aclose(self) -> None:
                await trio.lowlevel.checkpoint()

        stream = Whole()
        await server.serve_stream(stream)
        assert statuses(stream.said) == [400]

    async def test_a_bug_ends_one_connection(
        self, autojump_clock: MockClock, server: InlineServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR):
            assert await ask(server, request(b"/fails") + request()) == b""
        assert "a bug" in caplog.text
        assert statuses(await ask(server, request())) == [200]


class TestTheEnd:
    async def test_what_is_in_work_is_answered(self, autojump_clock: MockClock, server: InlineServer, app: Answering) -> None:
        server.work = 5
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run, await trio.open_tcp_listeners(0, host="127.0.0.1"))
            numbers = TestNumbers()
            idle = await numbers.connect(server, nursery)
            half = await numbers.connect(server, nursery, b"GET /")
            busy = await numbers.connect(server, nursery, request(b"/a") + request(b"/b"))
            server.stop()
            assert await hear(idle) == await hear(half) == b""
            answers = await hear(busy)
            assert (bodies(answers), b"connection: close" in answers) == ([b"GET /a 0"], True)
            assert statuses(await hear(await numbers.connect(server, nursery, request()))) == []
        assert len(app.talks) == 1

    async def test_asked_again_it_waits_for_nobody(self, autojump_clock: MockClock) -> None:
        app: Any = Answering()
        server = Server(app, Limits(grace=10_000))
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run, listeners)
            stream = await trio.testing.open_stream_to_socket_listener(listeners[0])
            await stream.send_all(request(b"/databases/a/bulk_insert", None, b"Content-Length: 9", method=b"POST"))
            await trio.to_thread.run_sync(app.asked.wait, 10)
            for _ in range(3):
                server.stop()
                await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() < 10_000
        await stream.aclose()

    async def test_one_that_takes_too_long_is_not_waited_for(self, autojump_clock: MockClock) -> None:
        app: Any = Answering()
        server = Server(app, SMALL)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run, listeners)
            stream = await trio.testing.open_stream_to_socket_listener(listeners[0])
            await stream.send_all(request(b"/databases/a/bulk_insert", None, b"Content-Length: 9", method=b"POST"))
            await trio.to_thread.run_sync(app.asked.wait, 10)
            server.stop()
        assert app.talks[0].is_closed
        assert not app.talks[0].is_finished
        await stream.aclose()
