"""Exchanges in pieces: bulk uploads, streamed answers, and their ends."""

from __future__ import annotations

import gzip

import pytest
import trio
import trio.testing

from evsession.errors import ConnectionFailed, ProtocolError, SessionClosed
from evsession.testing import Peer, ScriptedServer, Step, answer, close, forever, read_head, read_request, reset, send, stall
from evsession.wire.message import Request
from evsession.wire.transport import Trail
from tests.faults.wire import GET, OK, Watched, slots, transport_to

BULK = Request("POST", "/bulk_insert?id=1", writes=True)
REFUSAL = b"HTTP/1.1 500 Error\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbad"
CHUNK = bytes(65_536)


async def test_an_upload_in_pieces() -> None:
    async with ScriptedServer([forever(answer(b"done"))]) as server, transport_to(server.url) as transport:
        for _ in range(2):
            trail = Watched()
            exchange = await transport.open(BULK, trail, streams_body=True)
            for piece in (b"[1,", b"", CHUNK, b"2]"):
                assert await exchange.send(piece)
            assert not trail.answered
            head = await exchange.finish()
            assert (head.status, head.body, trail.answered) == (200, b"", True)
            assert await exchange.finish() is head
            assert await exchange.read() == b"done"
            assert trail.names == ["request", "response"]
        assert server.requests[0].body == b"[1," + CHUNK + b"2]"
        assert server.requests[0].headers["transfer-encoding"] == "chunked"
        assert server.connections == 1
        assert "complete" in repr(exchange)


async def test_an_upload_whose_end_nobody_calls_is_finished_by_reading() -> None:
    async with ScriptedServer([answer(b"done")]) as server, transport_to(server.url) as transport:
        exchange = await transport.open(BULK, Trail(), streams_body=True)
        assert await exchange.receive() == b"done"
        assert await exchange.receive() == b""
        assert await exchange.receive() == b""


@pytest.mark.parametrize("ending", [stall(), close(), reset()], ids=["stall", "close", "reset"])
async def test_an_early_refusal_stops_the_upload(ending: Step) -> None:
    answered = trio.Event()

    async def tell(peer: Peer) -> None:
        answered.set()
        await trio.lowlevel.checkpoint()

    steps = [read_head(), send(REFUSAL), tell, ending]
    async with ScriptedServer(steps) as server, transport_to(server.url) as transport:
        exchange = await transport.open(BULK, Trail(), streams_body=True)
        await answered.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert not await exchange.send(CHUNK)
        assert not await exchange.send(CHUNK)
        assert (await exchange.finish()).status == 500
        assert await exchange.read() == b"bad"
        assert slots(transport)["taken"] == 0


async def test_a_refusal_is_heard_when_sending_breaks() -> None:
    steps = [read_head(), send(REFUSAL), reset()]
    async with ScriptedServer(steps) as server, transport_to(server.url) as transport:
        exchange = await transport.open(BULK, Trail(), streams_body=True)
        for _ in range(10_000):
            if not await exchange.send(CHUNK):
                break
        assert (await exchange.finish()).status == 500
        assert await exchange.read() == b"bad"


async def test_interim_answers_do_not_stop_the_upload() -> None:
    steps = [read_head(), send(b"HTTP/1.1 100 Continue\r\n\r\n"), stall()]
    async with ScriptedServer(steps) as server, transport_to(server.url) as transport:
        exchange = await transport.open(BULK, Trail(), streams_body=True)
        await server.wait_requests(1)
        await trio.testing.wait_all_tasks_blocked()
        assert await exchange.send(b"piece")
        assert await exchange.send(b"piece")
        exchange.close()


async def test_half_an_early_answer_is_waited_for_at_the_end() -> None:
    steps = [read_head(), send(OK[:10]), read_request(), send(OK[10:])]
    async with ScriptedServer(steps) as server, transport_to(server.url) as transport:
        exchange = await transport.open(BULK, Trail(), streams_body=True)
        await server.wait_requests(1)
        await trio.testing.wait_all_tasks_blocked()
        assert await exchange.send(b"piece")
        exchange.close()
        with pytest.raises(SessionClosed):
            await exchange.finish()


@pytest.mark.parametrize("ending", [close(), reset()], ids=["close", "reset"])
async def test_an_upload_into_the_void_fails(ending: Step) -> None:
    steps = [read_head(), ending]
    async with ScriptedServer(steps) as server, transport_to(server.url) as transport:
        exchange = await transport.open(BULK, Trail("bulk"), streams_body=True)

        async def send_on() -> None:
            while True:
                await exchange.send(CHUNK)

        with pytest.raises(ConnectionFailed) as caught:
            await send_on()
        assert caught.value.uncertain
        assert caught.value.operation == "bulk"
        with pytest.raises(SessionClosed):
            await exchange.send(CHUNK)
        assert "closed" in repr(exchange)


async def test_a_server_that_does_not_read_holds_the_upload_back() -> None:
    async with ScriptedServer([read_head(), stall()]) as server, transport_to(server.url) as transport:
        exchange = await transport.open(BULK, Trail(), streams_body=True)
        sent = 0
        with trio.move_on_after(0.2) as scope:
            while True:
                await exchange.send(CHUNK)
                sent += 1
        assert scope.cancelled_caught
        assert sent * len(CHUNK) < 50_000_000
        assert slots(transport)["taken"] == 0


async def test_an_upload_on_a_connection_that_took_nothing_starts_again() -> None:
    async with ScriptedServer([answer(b"1"), close()], [answer(b"2")]) as server, transport_to(server.url) as transport:
        await transport.send(GET, Trail())
        await trio.testing.wait_all_tasks_blocked()
        exchange = await transport.open(BULK, Trail(), streams_body=True)
        await exchange.send(b"x")
        assert await exchange.read() == b"2"
        assert [seen.body for seen in server.requests] == [b"", b"x"]


async def test_a_streamed_answer_comes_as_it_is_sent_and_has_no_limit() -> None:
    proceed = trio.Event()

    async def wait(peer: Peer) -> None:
        await proceed.wait()

    parts = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n", b"3\r\ntwo\r\n0\r\n\r\n"]
    steps = [read_request(), send(parts[0]), wait, send(parts[1]), stall()]
    async with ScriptedServer(steps) as server, transport_to(server.url, max_body_size=4) as transport:
        exchange = await transport.open(GET, Trail())
        assert await exchange.receive() == b"one"
        assert slots(transport)["busy"] == 1
        proceed.set()
        assert await exchange.receive() == b"two"  # with it came the end
        assert slots(transport)["idle"] == 1
        assert await exchange.receive() == b""
        assert await exchange.receive() == b""
        exchange.close()
        assert slots(transport)["idle"] == 1


async def test_what_came_before_nonsense_is_given_before_it_is_told() -> None:
    nonsense = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\nnonsense\r\n"
    async with ScriptedServer([read_request(), send(nonsense), stall()]) as server, transport_to(server.url) as transport:
        exchange = await transport.open(GET, Trail())
        assert await exchange.receive() == b"onetwo"
        assert slots(transport)["busy"] == 1
        with pytest.raises(ProtocolError):
            await exchange.receive()
        assert slots(transport) == {**slots(transport), "busy": 0, "idle": 0}
        with pytest.raises(ProtocolError):
            await exchange.receive()


async def test_a_streamed_gzip_bomb_comes_in_bounded_pieces() -> None:
    plain = b"".join(b"%07d " % number for number in range(10)) * 400_000 + b"end"
    packed = gzip.compress(plain[:20_000_000]) + gzip.compress(plain[20_000_000:])
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with ScriptedServer([read_request(), send(head + packed)]) as server, transport_to(server.url) as transport:
        exchange = await transport.open(GET, Trail())
        pieces = []
        while piece := await exchange.receive():
            pieces.append(piece)
        assert b"".join(pieces) == plain
        assert max(map(len, pieces)) <= 1 << 20


async def test_reading_the_rest_after_some_pieces() -> None:
    async with ScriptedServer([answer(b"x" * 200_000)]) as server, transport_to(server.url) as transport:
        exchange = await transport.open(GET, Trail())
        first = await exchange.receive()
        assert len(first) + len(await exchange.read()) == 200_000


async def test_closing_half_way_frees_the_slot_at_once() -> None:
    async with ScriptedServer([read_request(), send(OK[:-1]), stall()]) as server:
        async with transport_to(server.url, max_connections=1) as transport:
            exchange = await transport.open(GET, Trail())
            assert slots(transport)["busy"] == 1
            exchange.close()
            exchange.close()
            assert slots(transport)["taken"] == 0
            with pytest.raises(SessionClosed):
                await exchange.receive()


async def test_a_stream_cut_half_way_tells_how_much_had_come() -> None:
    async with ScriptedServer([read_request(), send(OK[:-1]), close()]) as server, transport_to(server.url) as transport:
        exchange = await transport.open(GET, Trail())
        assert await exchange.receive() == b"o"
        with pytest.raises(ConnectionFailed, match=f"after {len(OK) - 1} bytes"):
            await exchange.receive()


async def test_garbage_within_a_stream() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\nzz\r\n"
    async with ScriptedServer([read_request(), send(chunked), close()]) as server, transport_to(server.url) as transport:
        exchange = await transport.open(GET, Trail())
        assert await exchange.receive() == b"one"
        with pytest.raises(ProtocolError):
            await exchange.receive()


@pytest.mark.parametrize("step", ["send", "finish", "receive"])
async def test_cancelling_a_step_of_an_exchange_drops_the_connection(step: str) -> None:
    script = [read_head(), stall()] if step != "receive" else [read_request(), send(OK[:-2]), stall()]
    async with ScriptedServer(script) as server, transport_to(server.url) as transport:
        exchange = await transport.open(BULK, Trail(), streams_body=True)
        with trio.CancelScope() as scope:
            if step == "receive":
                await exchange.finish()
            scope.deadline = trio.current_time() + 0.02
            while True:
                await (exchange.send(CHUNK) if step == "send" else exchange.finish() if step == "finish" else exchange.receive())
        assert scope.cancelled_caught
        assert slots(transport)["taken"] == 0
