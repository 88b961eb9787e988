"""Every fault as a session tells it: failed or uncertain, nothing lost, nothing applied twice, and the next operation works."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from typing import Any

import pytest
import trio

import evsession
from evsession import ConnectionFailed, OperationTimeout, ProtocolError, SessionError, TransientError
from evsession.testing import ScriptedServer, Step, answer, close, forever, read_request, reset, send, stall
from evsession.wire.message import Response

LOADED = b'{"Results":[{"n":1,"@metadata":{"@id":"dogs/max","@change-vector":"A:1"}}],"Includes":{}}'
SAVED = b'{"Results":[{"Type":"PUT","@id":"dogs/max","@change-vector":"A:2","@last-modified":"t"}]}'
HTML = Response(503, ((b"content-type", b"text/html"),), b"<html><h1>Service Unavailable</h1></html>")
REFUSAL = Response(500, (), b'{"Type":"System.InvalidOperationException","Message":"no","Error":"no\\n   at Raven.Server"}')
BOMB = Response(201, ((b"content-encoding", b"gzip"),), gzip.compress(b'"' + b"x" * 2_000_000 + b'"'))


def head(length: int, status: str = "201 Created") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode()


# What happens after the request was read, the error, and whether a write may have happened.
FAULTS: dict[str, tuple[Sequence[Step], type[SessionError], bool]] = {
    "reset before the answer": ([read_request(), reset()], ConnectionFailed, True),
    "closed before the answer": ([read_request(), close()], ConnectionFailed, True),
    "reset in the head": ([read_request(), send(b"HTTP/1.1 201 Cr"), reset()], ConnectionFailed, True),
    "half a head": ([read_request(), send(b"HTTP/1.1 201 Created\r\nContent-"), close()], ConnectionFailed, True),
    "half a body": ([read_request(), send(head(100) + b'{"Results":['), close()], ConnectionFailed, True),
    "reset in the body": ([read_request(), send(head(100) + b'{"Results":['), reset()], ConnectionFailed, True),
    "a body that is too short": ([read_request(), send(head(5) + b'{"Re'), close()], ConnectionFailed, True),
    "a body that is cut by its length": ([read_request(), send(head(5) + SAVED)], ProtocolError, True),
    "no JSON": ([answer(Response(201, (), b"saved!"))], ProtocolError, True),
    "an empty body": ([answer(Response(201))], ProtocolError, True),
    "no HTTP": ([read_request(), send(b"220 mail.example ESMTP\r\n\r\n"), close()], ProtocolError, True),
    "an endless head": ([read_request(), send(b"HTTP/1.1 201 Created\r\nX: " + b"x" * 100_000)], ProtocolError, True),
    "endless interim answers": ([read_request(), send(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)], ProtocolError, True),
    "a gzip bomb": ([answer(BOMB)], ProtocolError, True),
    "a page of a proxy": ([answer(HTML)], TransientError, True),
    "a refusal": ([answer(REFUSAL)], SessionError, False),
    "silence": ([read_request(), stall()], OperationTimeout, True),
    "a slow answer": ([read_request(), send(head(100) + b"{"), stall()], OperationTimeout, True),
}


def store_at(server: ScriptedServer) -> evsession.Store:
    return evsession.Store(server.url, "db", options={"timeout": 0.3, "max_body_size": 1_000_000})


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_save_is_failed_or_uncertain_and_can_be_repeated(fault: str) -> None:
    steps, kind, uncertain = FAULTS[fault]
    told: list[Any] = []
    async with ScriptedServer(list(steps), [forever(answer(Response(201, (), SAVED)))]) as server, store_at(server) as store:
        session = store.open_session()
        session.on("error", told.append)
        session.store({"n": 1}, key="dogs/max", collection="Dogs")
        with pytest.raises(kind) as caught:
            await session.save()
        error = caught.value
        assert (error.uncertain, error.operation, error.key) == (uncertain, "save", "dogs/max")
        assert error.is_retryable() is False
        assert error.url == server.url + "/databases/db/bulk_docs"
        assert told == [error]
        assert "at Raven" not in str(error)
        assert len(server.requests) == 1  # never sent twice by itself
        await trio.testing.wait_all_tasks_blocked(0.01)  # the server hangs up, so that its second script is next
        session.options.timeout = 5
        assert await session.save() == ["dogs/max"]
        assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_load_fails_and_is_never_uncertain(fault: str) -> None:
    steps, kind, _ = FAULTS[fault]
    async with ScriptedServer(list(steps), [forever(answer(LOADED))]) as server, store_at(server) as store:
        session = store.open_session()
        with pytest.raises(SessionError) as caught:
            await session.load("dogs/max")
        assert isinstance(caught.value, kind) or caught.value.status_code == 201
        assert not caught.value.uncertain
        assert caught.value.key == "dogs/max"
        await trio.testing.wait_all_tasks_blocked(0.01)
        session.options.timeout = 5
        assert (await session.load("dogs/max")).n == 1


async def test_a_refused_connection_is_failed_and_certain() -> None:
    async with ScriptedServer() as server:
        url = server.url
    async with evsession.Store(url, "db") as store, store.open_session() as session:
        session.store({"n": 1}, key="dogs/max")
        with pytest.raises(ConnectionFailed) as caught:
            await session.save()
        assert not caught.value.uncertain
        assert caught.value.is_retryable()


async def test_a_write_on_a_connection_that_was_closed_meanwhile_is_sent_once() -> None:
    first = [answer(LOADED), close()]
    async with ScriptedServer(first, [forever(answer(Response(201, (), SAVED)))]) as server, store_at(server) as store:
        session = store.open_session()
        max_ = await session.load("dogs/max")
        max_.n = 2
        await server.wait_requests(1)
        await trio.testing.wait_all_tasks_blocked()
        assert await session.save() == ["dogs/max"]
        assert [request.method for request in server.requests] == ["GET", "POST"]


async def test_a_list_of_nodes_goes_on_to_the_next() -> None:
    events: list[evsession.WireEvent] = []
    async with ScriptedServer() as gone:
        dead = gone.url
    async with ScriptedServer([forever(answer(LOADED))]) as server:
        store = evsession.Store([dead, server.url], "db")
        store.on("failover", events.append)
        async with store, store.open_session() as session:
            assert (await session.load("dogs/max")).n == 1
    assert [(event.name, event.operation) for event in events] == [("failover", "load")]
    assert isinstance(events[0].error, ConnectionFailed)


async def test_a_repeated_read_is_told_as_a_retry() -> None:
    events: list[evsession.WireEvent] = []
    first = [answer(LOADED), read_request(), reset()]
    async with ScriptedServer(first, [forever(answer(b""))]) as server, store_at(server) as store:
        session = store.open_session()
        session.on("retry", events.append)
        await session.load("dogs/max")
        assert await session.exists("dogs/other") is True
        assert [(event.attempt, event.method) for event in events] == [(2, "HEAD")]
        assert len(server.requests) == 3
