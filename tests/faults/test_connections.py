"""Opening, reusing, losing and sharing connections."""

from __future__ import annotations

import gc
import random

import pytest
import trio
import trio.testing

from evsession.errors import ConnectionFailed, SessionClosed
from evsession.testing import Peer, ScriptedServer, Step, answer, close, forever, read_request, reset, send, stall
from evsession.wire.message import Request
from evsession.wire.transport import Trail
from tests.faults.wire import GET, OK, PUT, Watched, slots, transport_to


@pytest.fixture
async def free_url() -> str:
    """A URL where nobody listens."""
    async with ScriptedServer([close()]) as server:
        return server.url


async def test_connection_refused(free_url: str) -> None:
    async with transport_to(free_url) as transport:
        trail = Trail("load")
        with pytest.raises(ConnectionFailed, match="refused") as caught:
            await transport.send(PUT, trail)
        assert free_url in caught.value.message
        assert isinstance(caught.value.__cause__, OSError)
        assert not caught.value.uncertain
        assert caught.value.is_retryable()
        assert (caught.value.operation, caught.value.key, caught.value.url) == ("load", "dogs/max", free_url + PUT.target)
        assert not trail.sent


async def test_unknown_host() -> None:
    async with transport_to("http://no-such-host.invalid") as transport:
        with pytest.raises(ConnectionFailed, match=r"no-such-host\.invalid:8080"):
            await transport.send(GET, Trail())


async def test_connect_timeout_moves_on(free_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = trio.open_tcp_stream

    async def open_or_hang(host: str, port: int) -> trio.SocketStream:
        if host == "hangs.example":
            await trio.sleep_forever()
        return await really_open(host, port)

    monkeypatch.setattr(trio, "open_tcp_stream", open_or_hang)
    async with ScriptedServer([answer(b"ok")]) as server:
        async with transport_to(["http://hangs.example", server.url], connect_timeout=0.05) as transport:
            trail = Watched()
            assert (await transport.send(GET, trail)).body == b"ok"
            assert "connect_timeout" in str(trail.events[0].error)
            assert trail.events[0].duration is not None
            assert trail.events[0].duration > 0.01


async def test_failover_goes_on_and_wraps(free_url: str) -> None:
    async with ScriptedServer([forever(answer(b"a"))]) as first, ScriptedServer([forever(answer(b"b"))]) as second:
        async with transport_to([free_url, first.url, second.url]) as transport:
            trail = Watched()
            assert (await transport.send(GET, trail)).body == b"a"
            assert trail.names == ["failover", "request", "response"]
            assert trail.events[0].url == trail.url == first.url + GET.target
            assert isinstance(trail.events[0].error, ConnectionFailed)
            assert free_url in str(trail.events[0].error)
            assert f"to {first.url} or 2 more" in repr(transport)

            again = Watched()
            assert (await transport.send(PUT, again)).body == b"a"
            assert again.names == ["request", "response"], "stays with the node that works"


async def test_failover_when_the_node_dies_drops_what_is_idle_there() -> None:
    async with ScriptedServer([forever(answer(b"b"))]) as second:
        async with ScriptedServer([forever(answer(b"a"))]) as first:
            async with transport_to([first.url, second.url], max_connections=3) as transport:
                assert (await transport.send(GET, Trail())).body == b"a"
        trail = Watched()
        async with transport_to([first.url, second.url]) as transport:
            assert (await transport.send(GET, trail)).body == b"b"
            assert trail.url == second.url + GET.target


async def test_idle_connections_of_an_unreachable_node_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = trio.open_tcp_stream
    down: list[int] = []
    give_up = trio.Event()

    async def open_unless_down(host: str, port: int) -> trio.SocketStream:
        if port in down:
            await give_up.wait()
            raise OSError(113, "No route to host")
        return await really_open(host, port)

    monkeypatch.setattr(trio, "open_tcp_stream", open_unless_down)
    async with ScriptedServer([forever(answer(b"a"))]) as first, ScriptedServer([forever(answer(b"b"))]) as second:
        async with transport_to([first.url, second.url]) as transport:
            under_way = [await transport.open(GET, Trail()) for _ in range(2)]
            down.append(first.port)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(transport.send, GET, Trail())
                await trio.testing.wait_all_tasks_blocked()
                assert await under_way[0].read() == b"a"
                assert slots(transport)["idle"] == 1
                give_up.set()
            assert slots(transport)["idle"] == 1, "the new one; the old one would have hung"
            assert await under_way[1].read() == b"a", "what is under way goes on"
            trail = Trail()
            assert (await transport.send(GET, trail)).body == b"a"
            assert (first.connections, second.connections) == (2, 1)


async def test_the_second_attempt_trusts_no_idle_connection_but_leaves_the_others() -> None:
    dying = [answer(b"1"), read_request(), close()]
    async with ScriptedServer(dying, dying, dying, [forever(answer(b"2"))]) as server, transport_to(server.url) as transport:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(transport.send, GET, Trail())
        assert slots(transport)["idle"] == 3
        assert (await transport.send(GET, Trail())).body == b"2"
        assert slots(transport)["idle"] == 2
        assert server.connections == 4


async def test_every_node_that_failed_is_named(free_url: str) -> None:
    urls = [free_url, "http://127.0.0.1:1", "http://no-such-host.invalid"]
    async with transport_to(urls) as transport:
        trail = Watched()
        with pytest.raises(ConnectionFailed) as caught:
            await transport.send(PUT, trail)
        assert all(url in caught.value.message for url in urls)
        assert isinstance(caught.value.__cause__, ConnectionFailed)
        assert (caught.value.key, caught.value.uncertain) == ("dogs/max", False)
        assert trail.names == ["failover", "failover"]


@pytest.mark.parametrize("request_", [GET, PUT], ids=["GET", "PUT"])
@pytest.mark.parametrize("ending", [close(), reset(), send(b"HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n")])
async def test_a_stale_idle_connection_is_noticed_before_it_is_used(request_: Request, ending: Step) -> None:
    gone = trio.Event()

    async def tell(peer: Peer) -> None:
        gone.set()
        await trio.lowlevel.checkpoint()

    steps = [answer(b"1"), ending, tell, stall()]
    async with ScriptedServer(steps, [answer(b"2")]) as server, transport_to(server.url) as transport:
        await transport.send(request_, Trail())
        await gone.wait()
        await trio.testing.wait_all_tasks_blocked()
        trail = Watched()
        assert (await transport.send(request_, trail)).body == b"2"
        assert trail.names == ["request", "response"], "nothing was sent into the void"
        assert [seen.connection for seen in server.requests] == [0, 1], "seen exactly once"


@pytest.mark.parametrize("ending", [close(), reset()])
async def test_a_read_that_a_dying_connection_swallowed_is_sent_once_more(ending: Step) -> None:
    first = [answer(b"1"), read_request(), ending]
    async with ScriptedServer(first, [answer(b"2")]) as server, transport_to(server.url) as transport:
        await transport.send(GET, Trail())
        trail = Watched()
        assert (await transport.send(GET, trail)).body == b"2"
        assert trail.names == ["request", "retry", "request", "response"]
        assert [event.attempt for event in trail.events] == [1, 2, 2, 2]
        assert isinstance(trail.events[1].error, ConnectionFailed)
        assert [seen.connection for seen in server.requests] == [0, 0, 1]


async def test_a_read_is_not_sent_a_third_time() -> None:
    dying = [answer(b"1"), read_request(), close()]
    async with ScriptedServer(dying, [read_request(), close()]) as server, transport_to(server.url) as transport:
        await transport.send(GET, Trail())
        with pytest.raises(ConnectionFailed):
            await transport.send(GET, Trail())
        assert len(server.requests) == 3


async def test_a_read_is_not_sent_again_once_an_answer_has_begun() -> None:
    async with (
        ScriptedServer([answer(b"1"), read_request(), send(OK[:9]), close()]) as server,
        transport_to(server.url) as transport,
    ):
        await transport.send(GET, Trail())
        with pytest.raises(ConnectionFailed, match="after 9 bytes"):
            await transport.send(GET, Trail())
        assert server.connections == 1


async def test_a_read_on_a_new_connection_is_not_sent_again() -> None:
    async with ScriptedServer([read_request(), close()]) as server, transport_to(server.url) as transport:
        with pytest.raises(ConnectionFailed):
            await transport.send(GET, Trail())
        assert len(server.requests) == 1


@pytest.mark.parametrize("ending", [close(), reset()])
async def test_a_write_that_was_read_is_never_sent_again(ending: Step) -> None:
    async with ScriptedServer([answer(b"1"), read_request(), ending]) as server, transport_to(server.url) as transport:
        await transport.send(PUT, Trail())
        trail = Watched()
        with pytest.raises(ConnectionFailed) as caught:
            await transport.send(PUT, trail)
        assert (trail.sent, trail.answered, caught.value.uncertain) == (True, False, True)
        assert trail.names == ["request"]
        assert len(server.requests) == 2


async def test_a_failing_second_attempt_still_tells_that_the_first_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(host: str, port: int) -> trio.SocketStream:
        raise OSError(111, "Connection refused")

    async with ScriptedServer([answer(b"1"), read_request(), close()]) as server, transport_to(server.url) as transport:
        await transport.send(GET, Trail())
        trail = Trail()
        monkeypatch.setattr(trio, "open_tcp_stream", refuse)
        with pytest.raises(ConnectionFailed, match="refused"):
            await transport.send(GET, trail)
        assert trail.sent


async def test_expired_connections_are_closed(autojump_clock: trio.testing.MockClock) -> None:
    async with ScriptedServer([forever(answer(b"ok"))]) as server, transport_to(server.url, keepalive_expiry=10) as transport:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(transport.send, GET, Trail())
        assert slots(transport)["idle"] == 3
        autojump_clock.jump(11)
        await transport.send(GET, Trail())
        assert slots(transport)["idle"] == 1
        assert server.connections == 4


async def test_old_connections_are_closed_when_a_young_one_comes_back(autojump_clock: trio.testing.MockClock) -> None:
    async with ScriptedServer([forever(answer(b"ok"))]) as server, transport_to(server.url, keepalive_expiry=10) as transport:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(transport.send, GET, Trail())
        for _ in range(3):
            autojump_clock.jump(6)
            await transport.send(GET, Trail())
        assert slots(transport)["idle"] == 1
        assert server.connections == 3


@pytest.mark.parametrize("every", [0, 2])
async def test_a_thousand_requests_on_four_connections(every: int) -> None:
    """Order is first come, first served; with `every` = 2 half of those who wait give up."""
    order: list[int] = []
    finished: list[int] = []
    hold = trio.Event()

    async def hold_back(peer: Peer) -> None:
        await hold.wait()

    async def one(number: int, scope: trio.CancelScope) -> None:
        with scope:
            response = await transport.send(Request("GET", f"/{number}"), Trail())
            assert response.body == b"ok"
            finished.append(number)

    async with ScriptedServer([forever(read_request(), hold_back, send(OK))]) as server:
        async with transport_to(server.url, max_connections=4) as transport, trio.open_nursery() as nursery:
            scopes = [trio.CancelScope() for _ in range(1000)]
            for number, scope in enumerate(scopes):
                nursery.start_soon(one, number, scope)
                if number < 4:
                    await server.wait_requests(number + 1)
                elif number % 50 == 0:
                    await trio.testing.wait_all_tasks_blocked()
                    order.append(number)
            await trio.testing.wait_all_tasks_blocked()
            expected = {"taken": 4, "busy": 4, "idle": 0, "connecting": 0, "waiting": 996}
            assert slots(transport) == expected
            gone = set(range(4, 1000, every)) if every else set()
            for number in random.sample(sorted(gone), len(gone)):
                scopes[number].cancel()
            hold.set()
        assert sorted(finished) == [number for number in range(1000) if number not in gone]
        assert server.connections == 4
        assert len(server.requests) == len(finished)


async def test_waiters_are_served_in_the_order_of_their_coming() -> None:
    async with ScriptedServer([forever(answer(b"ok"))]) as server:
        async with transport_to(server.url, max_connections=1) as transport:
            exchange = await transport.open(Request("GET", "/first"), Trail())
            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(transport.send, Request("GET", f"/{number}"), Trail())
                    await trio.testing.wait_all_tasks_blocked()
                await exchange.read()
            assert [seen.target for seen in server.requests] == ["/first", *(f"/{number}" for number in range(50))]


async def test_a_waiter_gets_the_slot_of_a_connection_that_failed() -> None:
    async with ScriptedServer([read_request(), close()], [answer(b"ok")]) as server:
        async with transport_to(server.url, max_connections=1) as transport:

            async def fail() -> None:
                with pytest.raises(ConnectionFailed):
                    await transport.send(PUT, Trail())

            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail)
                await server.wait_requests(1)
                assert (await transport.send(PUT, Trail())).body == b"ok"


async def test_closing_ends_everything_and_may_be_repeated() -> None:
    async with ScriptedServer([forever(answer(b"ok"))], [read_request(), stall()]) as server:
        async with transport_to(server.url, max_connections=2) as transport:
            idle = await transport.open(GET, Trail())
            failures: list[SessionClosed] = []

            async def fail(request: Request) -> None:
                with pytest.raises(SessionClosed) as caught:
                    await transport.send(request, Trail())
                failures.append(caught.value)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail, PUT)
                await server.wait_requests(2)
                nursery.start_soon(fail, GET)
                await trio.testing.wait_all_tasks_blocked()
                assert slots(transport)["waiting"] == 1
                await transport.aclose()
                await transport.aclose()
            assert sorted(failure.uncertain for failure in failures) == [False, True]
            assert await idle.read() == b"ok", "what had come already is not lost"
            with pytest.raises(SessionClosed):
                await transport.send(GET, Trail())


async def test_closing_while_a_connection_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = trio.open_tcp_stream
    closed = trio.Event()

    async def open_late(host: str, port: int) -> trio.SocketStream:
        stream = await really_open(host, port)
        await closed.wait()
        return stream

    monkeypatch.setattr(trio, "open_tcp_stream", open_late)
    async with ScriptedServer([forever(answer(b"ok"))]) as server, transport_to(server.url) as transport:
        async with trio.open_nursery() as nursery:

            async def fail() -> None:
                with pytest.raises(SessionClosed):
                    await transport.send(GET, Trail())

            nursery.start_soon(fail)
            await server.wait_connections(1)
            await transport.aclose()
            closed.set()


async def test_a_forgotten_exchange_frees_its_slot_and_warns() -> None:
    async with ScriptedServer([forever(answer(b"ok"))]) as server, transport_to(server.url) as transport:
        exchange = await transport.open(GET, Trail())
        with pytest.warns(ResourceWarning, match="GET .* was never read to its end"):
            del exchange
        assert slots(transport)["taken"] == 0
        gc.collect()


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope when a task is about to run for the n-th time."""

    def __init__(self, task: trio.lowlevel.Task, scope: trio.CancelScope, step: int) -> None:
        self._task = task
        self._scope = scope
        self._left = step

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._left -= 1
            if self._left == 0:
                self._scope.cancel()


@pytest.mark.parametrize("warm", [False, True], ids=["new connection", "idle connection"])
@pytest.mark.parametrize("request_", [GET, Request("PUT", "/docs", bytes(5_000_000), writes=True)], ids=["GET", "large PUT"])
async def test_cancelling_at_every_await_leaves_the_pool_whole(warm: bool, request_: Request) -> None:
    pieces = [OK[:10], OK[10:20], OK[20:-1], OK[-1:]]

    async def piecemeal(peer: Peer) -> None:
        for piece in pieces:
            await peer.stream.send_all(piece)
            await trio.testing.wait_all_tasks_blocked(0.001)

    async with ScriptedServer([forever(read_request(), piecemeal)]) as server:
        for step in range(1, 1000):
            async with transport_to(server.url, max_connections=1) as transport:
                if warm:
                    await transport.send(GET, Trail())
                trail = Trail()
                with trio.CancelScope() as scope:
                    instrument = CancelAtStep(trio.lowlevel.current_task(), scope, step)
                    trio.lowlevel.add_instrument(instrument)
                    try:
                        await transport.send(request_, trail)
                    finally:
                        trio.lowlevel.remove_instrument(instrument)
                if not scope.cancelled_caught:
                    break
                assert slots(transport)["taken"] == 0, step
                assert (await transport.send(GET, Trail())).body == b"ok"
        assert step > 4, "there were awaits to cancel at"
        assert trail.answered
