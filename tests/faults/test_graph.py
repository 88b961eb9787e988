"""Faults of the wire under graph sessions: lost, cut and foreign answers, and servers that go and come."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import trio.testing

import evsession
from evsession.testing import ScriptedServer, Step, answer, close, read_request, reset, send, stall
from tests.unit.neo4j.typed import DISCOVERY_5, GONE, ROLLED_BACK, committed, opened, rows

COMMITTED = committed().body
HEAD = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/vnd.neo4j.query\r\nContent-Length: %d\r\n\r\n" % len(COMMITTED)
WHOLE = HEAD + COMMITTED


async def commit_cut(end: Sequence[Step], then: evsession.Response) -> tuple[evsession.SessionError, int, ScriptedServer]:
    """Commit on a server that takes the request and then does this; return the error and how often the work was done."""
    calls = 0
    begun = [answer(opened("t1", 1)), read_request(), *end]
    async with ScriptedServer(begun, [answer(then), answer(rows(1))]) as server:
        async with evsession.GraphStore(server.url) as graph, graph.open_session() as session:

            async def work(tx: evsession.GraphTransaction) -> None:
                nonlocal calls
                calls += 1
                await tx.run("MATCH (n:Counter) SET n.n = n.n + 1")

            with pytest.raises(evsession.SessionError) as caught:
                await session.write_transaction(work)
            assert session.last_bookmark() is None
            assert (await session.run("RETURN 1")).value() == 1
        return caught.value, calls, server


@pytest.mark.parametrize("end", range(len(WHOLE)))
async def test_a_commit_whose_answer_is_cut_anywhere_is_uncertain_and_done_once(end: int) -> None:
    error, calls, server = await commit_cut([send(WHOLE[:end])] if end else [], GONE)
    assert (error.uncertain, error.is_retryable(), calls) == (True, False, 1)
    assert [(seen.method, seen.target.rpartition("/")[2]) for seen in server.requests] == [
        ("POST", "tx"),
        ("POST", "commit"),
        ("DELETE", "t1"),
        ("POST", "v2"),
    ]


ANSWER = opened("t1", 1, 2).body
BEGUN = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/vnd.neo4j.query\r\nContent-Length: %d\r\n\r\n%b" % (
    len(ANSWER),
    ANSWER,
)


@pytest.mark.parametrize("end", range(len(BEGUN)))
async def test_half_an_answer_to_a_statement_is_none(end: int) -> None:
    async with ScriptedServer([read_request(), send(BEGUN[:end])], [answer(rows(5))]) as server:
        async with evsession.GraphStore(server.url) as graph, graph.open_session() as session:
            with pytest.raises(evsession.SessionError) as caught:
                await session.run("CREATE (n) RETURN 1")
            assert caught.value.uncertain
            assert session.last_bookmark() is None
            assert (await session.run("RETURN 5")).value() == 5
        assert len(server.requests) == 2


@pytest.mark.parametrize("end", range(0, len(BEGUN), 7))
async def test_half_an_answer_in_a_managed_transaction_is_tried_again(end: int) -> None:
    first = [read_request(), send(BEGUN[:end])]
    # What is still running is terminated first, for the next try would wait for its locks.
    async with ScriptedServer(first, [answer(rows(1)), answer(opened("t2", 7)), answer(committed())]) as server:
        async with evsession.GraphStore(server.url) as graph, graph.open_session() as session:
            session.options.retry_delay = 0.0
            result = await session.write_transaction(lambda tx: tx.run("CREATE (n) RETURN 7"))
            assert result.value() == 7
        tag = json.loads(server.requests[0].body)["parameters"]["__evsession"]
        terminating = json.loads(server.requests[1].body)
        assert "TERMINATE" in terminating["statement"]
        assert terminating["parameters"]["tag"] == tag


@pytest.mark.parametrize(("status", "uncertain"), [(200, True), (202, True), (403, False), (502, True)])
async def test_a_proxy_that_answers_html_to_a_statement(status: int, uncertain: bool) -> None:
    html = evsession.Response(status, ((b"Content-Type", b"text/html"),), b"<html>Who are you?</html>")
    async with ScriptedServer([answer(html), answer(rows(1))]) as server:
        async with evsession.GraphStore(server.url) as graph, graph.open_session() as session:
            with pytest.raises(evsession.SessionError, match="Who are you") as caught:
                await session.run("CREATE ()")
            assert (caught.value.status_code, caught.value.uncertain) == (status, uncertain)
            assert (await session.run("RETURN 1")).value() == 1


async def test_a_commit_that_is_reset_is_uncertain() -> None:
    error, calls, _ = await commit_cut([reset()], GONE)
    assert (error.uncertain, calls) == (True, 1)


@pytest.mark.parametrize(
    ("status", "then", "uncertain"), [(502, GONE, True), (502, ROLLED_BACK, False), (200, GONE, True), (404, GONE, False)]
)
async def test_a_proxy_that_answers_html(status: int, then: evsession.Response, uncertain: bool) -> None:
    html = evsession.Response(status, ((b"Content-Type", b"text/html"),), b"<html>Bad gateway</html>")
    async with ScriptedServer([answer(opened("t1", 1)), answer(html), answer(then)]) as server:
        async with evsession.GraphStore(server.url) as graph, graph.open_session() as session:
            tx = await session.begin_transaction()
            with pytest.raises(evsession.SessionError, match="Bad gateway") as caught:
                await tx.commit()
            assert (caught.value.status_code, caught.value.uncertain) == (status, uncertain)
            await tx.close()


async def test_a_server_that_goes_and_comes() -> None:
    async with ScriptedServer([answer(rows(1)), close()], [answer(rows(2))]) as server:
        port = server.port
        async with evsession.GraphStore(server.url) as graph, graph.open_session("read") as session:
            assert (await session.run("RETURN 1")).value() == 1
            assert (await session.run("RETURN 1")).value() == 2
            server_url = server.url
        assert server_url.endswith(str(port))
    async with evsession.GraphStore(server_url) as graph, graph.open_session() as session:
        with pytest.raises(evsession.ConnectionFailed) as caught:
            await session.run("CREATE ()")
        assert (caught.value.uncertain, caught.value.is_retryable()) == (False, True)
        async with ScriptedServer([answer(rows(3))], port=port):
            assert (await session.run("CREATE ()")).value() == 3


async def test_a_statement_outside_of_a_transaction_is_never_sent_twice() -> None:
    async with ScriptedServer([answer(rows(1)), read_request()], [answer(rows(2))]) as server:
        async with evsession.GraphStore(server.url) as graph, graph.open_session() as session:
            await session.run("CREATE ()")
            with pytest.raises(evsession.ConnectionFailed) as caught:
                await session.run("CREATE ()")
            assert caught.value.uncertain
        assert len(server.requests) == 2


async def test_credentials_are_in_no_error() -> None:
    async with ScriptedServer([read_request(), reset()]) as server:
        async with evsession.GraphStore(server.url, auth=("neo4j", "secret-word")) as graph, graph.open_session() as session:
            with pytest.raises(evsession.ConnectionFailed) as caught:
                await session.run("CREATE ()")
        shown = repr(caught.value) + str(caught.value) + repr(graph) + repr(session)
        assert server.requests[0].headers["authorization"].startswith("Basic ")
        for secret in ("secret-word", server.requests[0].headers["authorization"].removeprefix("Basic ")):
            assert secret not in shown


WRITTEN = rows(1, 2, 3)
STREAMED = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/vnd.neo4j.query\r\nContent-Length: %d\r\n\r\n%b" % (
    len(WRITTEN.body),
    WRITTEN.body,
)
ENDS: dict[str, tuple[Sequence[Step], type[evsession.SessionError]]] = {
    "silent": ([read_request(), send(STREAMED[:-20]), stall()], evsession.OperationTimeout),
    "silent from the start": ([read_request(), stall()], evsession.OperationTimeout),
    "reset": ([read_request(), send(STREAMED[:-20]), reset()], evsession.ConnectionFailed),
    "closed": ([read_request(), send(STREAMED[:-20]), close()], evsession.ConnectionFailed),
    "nonsense": ([read_request(), send(STREAMED.replace(b'"values"', b'"value s"'))], evsession.ProtocolError),
    "html": ([answer(evsession.Response(502, (), b"<html>"))], evsession.TransientError),
}


@pytest.mark.parametrize("access", ["write", "read"])
@pytest.mark.parametrize("has_callback", [False, True])
@pytest.mark.parametrize("end", ENDS)
async def test_a_stream_that_breaks_may_have_written(
    end: str, has_callback: bool, access: str, autojump_clock: trio.testing.MockClock
) -> None:
    steps, kind = ENDS[end]
    script = [answer(DISCOVERY_5), *steps]
    async with ScriptedServer(script, [answer(rows())], [answer(rows())]) as server:
        async with evsession.GraphStore(server.url, options={"timeout": 1}) as graph, graph.open_session(access) as session:
            with pytest.raises(kind) as caught:
                if has_callback:
                    await session.stream("CREATE (n) RETURN 1", on_record=id)
                else:
                    async for _record in session.stream("CREATE (n) RETURN 1"):
                        pass
            assert caught.value.uncertain == (access == "write")


@pytest.mark.parametrize("end", [*range(0, len(WHOLE), 7), len(WHOLE) - 1])
async def test_a_commit_of_what_only_read_leaves_nothing_open(end: int) -> None:
    begun = [answer(opened("t1", 1)), read_request(), *([send(WHOLE[:end])] if end else [])]
    async with ScriptedServer(begun, [answer(GONE), answer(opened("t2", 1)), answer(committed())]) as server:
        async with evsession.GraphStore(server.url) as graph, graph.open_session() as session:
            session.options.retry_delay = 0.0
            result = await session.read_transaction(lambda tx: tx.run("RETURN 1"))
            assert result.value() == 1
    async with ScriptedServer(begun, [answer(GONE)]) as server:
        async with evsession.GraphStore(server.url) as graph, graph.open_session("read") as session:
            transaction = await session.begin_transaction()
            with pytest.raises(evsession.ConnectionFailed) as caught:
                await transaction.commit()
            assert not caught.value.uncertain
            with pytest.raises(evsession.TransactionError) as caught_later:
                await transaction.run("RETURN 1")
            assert not caught_later.value.uncertain


@pytest.mark.parametrize("access", ["write", "read"])
async def test_nonsense_leaves_open_only_what_a_commit_has_written(access: str) -> None:
    nonsense = evsession.Response(202, (), b"<html>")
    async with ScriptedServer([answer(nonsense), answer(opened("t1")), answer(nonsense), answer(GONE)]) as server:
        async with evsession.GraphStore(server.url) as graph, graph.open_session(access) as session:
            with pytest.raises(evsession.ProtocolError) as caught:
                await session.begin_transaction()
            assert not caught.value.uncertain
            transaction = await session.begin_transaction()
            with pytest.raises(evsession.ProtocolError) as caught:
                await transaction.run("CREATE (n)")
            assert not caught.value.uncertain
            await transaction.close()
    async with ScriptedServer([answer(opened("t1")), answer(nonsense), answer(GONE)]) as server:
        async with evsession.GraphStore(server.url) as graph, graph.open_session(access) as session:
            transaction = await session.begin_transaction()
            with pytest.raises(evsession.ProtocolError) as caught:
                await transaction.commit()
            assert caught.value.uncertain == (access == "write")


async def test_a_beginning_without_a_statement_that_breaks_has_nothing_to_terminate() -> None:
    async with ScriptedServer([read_request(), reset()], [answer(rows(1))]) as server:
        async with evsession.GraphStore(server.url) as graph, graph.open_session() as session:
            with pytest.raises(evsession.ConnectionFailed) as caught:
                await session.begin_transaction()
            assert not caught.value.uncertain
            assert (await session.run("RETURN 1")).value() == 1
        assert len(server.requests) == 2
