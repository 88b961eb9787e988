from __future__ import annotations

import json
from typing import Any

import pytest
import trio

import evsession
from tests.unit.neo4j.typed import DISCOVERY_5, DISCOVERY_2026, answer, body, integer, opened, refused, rows
from tests.unit.session.graphs.scripted import hang, scripted_graph, sent

JSONL = (b"content-type", b"application/vnd.neo4j.query.v1.2+jsonl")


def lines(*events: tuple[str, Any], status: int = 202) -> evsession.Response:
    text = "\n ".join(json.dumps({"$event": name, "_body": content}) for name, content in events) + "\n"
    return evsession.Response(status, (JSONL,), text.encode())


HEADER = ("Header", {"fields": ["n"]})
RECORDS = [("Record", [integer(n)]) for n in range(3)]
SUMMARY = ("Summary", {"bookmarks": ["FB:7"], "queryType": "r"})
FAULT = {"code": "Neo.ClientError.Statement.ArithmeticError", "message": "/ by zero"}


@pytest.mark.parametrize(
    ("discovery", "response"),
    [
        (DISCOVERY_2026, lines(HEADER, *RECORDS, SUMMARY)),
        (DISCOVERY_2026, evsession.Response(202, (JSONL,), lines(HEADER, *RECORDS, SUMMARY).body.rstrip())),
        (DISCOVERY_5, answer(body(["n"], [[0], [1], [2]], bookmarks=["FB:7"]))),
    ],
)
async def test_records_one_by_one(discovery: evsession.Response, response: evsession.Response) -> None:
    async with scripted_graph(discovery, response) as (session, transport):
        stream = session.stream("RETURN 1", {"a": 1})
        assert transport.requests == []
        assert [record["n"] async for record in stream] == [0, 1, 2]
        assert (stream.count, session.last_bookmark()) == (3, evsession.Bookmark(("FB:7",)))
        assert stream.summary is not None
        assert stream.summary.parameters == {"a": 1}
        assert ("jsonl" in dict(transport.requests[1].headers)["Accept"]) == (discovery is DISCOVERY_2026)
        assert [record async for record in stream] == []


@pytest.mark.parametrize(
    ("discovery", "response"),
    [
        (DISCOVERY_2026, lines(HEADER, *RECORDS, ("Error", [FAULT]))),
        (DISCOVERY_5, answer(body(["n"], [[0], [1], [2]], errors=[FAULT]))),
    ],
)
async def test_a_late_failure(discovery: evsession.Response, response: evsession.Response) -> None:
    told: list[Any] = []
    async with scripted_graph(discovery, response) as (session, _):
        session.on("error", told.append)
        stream = session.stream("RETURN 1")
        seen = []
        for _ in range(2):
            with pytest.raises(evsession.QueryError, match="3 rows came before"):
                async for record in stream:
                    seen.append(record["n"])
        assert (seen, session.last_bookmark(), stream.summary) == ([0, 1, 2], None, None)
        assert told[0].operation == "stream"


@pytest.mark.parametrize(
    "response",
    [
        refused("Neo.ClientError.Statement.SyntaxError"),
        lines(("Error", [{"code": "Neo.ClientError.Statement.SyntaxError", "message": "no"}]), status=400),
    ],
)
async def test_a_refusal(response: evsession.Response) -> None:
    async with scripted_graph(DISCOVERY_2026, response) as (session, _):
        with pytest.raises(evsession.QueryError) as caught:
            async for _record in session.stream("RETURN"):
                pass
        assert (caught.value.status_code, caught.value.code) == (400, "Neo.ClientError.Statement.SyntaxError")


async def test_a_refusal_without_words() -> None:
    empty = evsession.Response(503, (JSONL,), b"")
    async with scripted_graph(DISCOVERY_2026, empty) as (session, _):
        with pytest.raises(evsession.TransientError):
            async for _record in session.stream("RETURN"):
                pass


async def test_a_timeout_needs_a_server_that_has_it() -> None:
    async with scripted_graph(DISCOVERY_5) as (session, _):
        with pytest.raises(evsession.UnsupportedFeature, match=r"2026\.04"):
            async for _record in session.stream("RETURN 1", timeout=1):
                pass
    async with scripted_graph(DISCOVERY_2026, lines(HEADER, SUMMARY)) as (session, transport):
        assert [record async for record in session.stream("RETURN 1", timeout=1)] == []
        assert transport.bodies()[0]["maxExecutionTime"] == 1


async def test_cancelled_it_terminates_its_statement(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_graph(DISCOVERY_2026, hang(), rows(1), hang()) as (session, transport):
        with trio.move_on_after(1):
            async for _record in session.stream("RETURN 1"):
                pass
        assert sent(transport) == ["GET /", "POST -", "POST -"]
        assert "TERMINATE" in transport.bodies()[-1]["statement"]


async def test_a_wait_that_is_too_long_terminates_its_statement(autojump_clock: trio.testing.MockClock) -> None:
    options = {"timeout": 1}
    async with scripted_graph(DISCOVERY_2026, hang(), rows(1), options=options) as (session, transport):
        with pytest.raises(evsession.OperationTimeout) as caught:
            async for _record in session.stream("CREATE (n)"):
                pass
        assert caught.value.uncertain
        assert "TERMINATE" in transport.bodies()[-1]["statement"]
    async with scripted_graph(hang(), options=options) as (session, transport):
        with pytest.raises(evsession.OperationTimeout) as caught:
            async for _record in session.stream("CREATE (n)"):
                pass
        assert not caught.value.uncertain  # there is no statement yet
        assert sent(transport) == ["GET /"]


@pytest.mark.parametrize("access", ["write", "read"])
@pytest.mark.parametrize("waits_for", ["the server", "the program"])
async def test_a_cancelled_stream_may_have_written(waits_for: str, access: str, autojump_clock: trio.testing.MockClock) -> None:
    answers = [hang(), rows(1)] if waits_for == "the server" else [answer(body(["n"], [[0]]))]

    async def slowly(record: evsession.Record) -> None:
        await trio.sleep_forever()

    async with scripted_graph(DISCOVERY_5, *answers, access=access) as (session, _):
        operation = session.stream("CREATE (n) RETURN 1", on_record=slowly)
        await trio.sleep(1)
        operation.cancel()
        with pytest.raises(evsession.OperationCancelled) as caught:
            await operation
        assert caught.value.uncertain == (access == "write")


@pytest.mark.parametrize("access", ["write", "read"])
async def test_work_that_is_cancelled_with_its_stream(access: str, autojump_clock: trio.testing.MockClock) -> None:
    async def work(session: Any) -> None:
        async for _record in session.stream("CREATE (n)"):
            pass

    async with scripted_graph(DISCOVERY_5, hang(), rows(1), access=access) as (session, _):
        operation = evsession.get_session(session, work)
        await trio.sleep(1)
        operation.cancel()
        with pytest.raises(evsession.OperationCancelled) as caught:
            await operation
        assert caught.value.uncertain == (access == "write")


async def test_a_session_that_closes_before_its_stream_has_ended() -> None:
    async with scripted_graph(DISCOVERY_5, answer(body(["n"], [[0], [1]]))) as (session, _):
        stream = session.stream("CREATE (n) RETURN 1")
        assert (await anext(stream))["n"] == 0
        await session.aclose()
        with pytest.raises(evsession.SessionClosed) as caught:
            await anext(stream)
        assert caught.value.uncertain


async def test_a_failure_of_the_database_at_the_end_leaves_it_open() -> None:
    fault = {"code": "Neo.DatabaseError.Transaction.TransactionCommitFailed", "message": "disk"}
    for discovery, response in (
        (DISCOVERY_2026, lines(HEADER, *RECORDS, ("Error", [fault]))),
        (DISCOVERY_2026, lines(("Error", [fault]), status=500)),
        (DISCOVERY_5, answer(body(["n"], [[0], [1], [2]], errors=[fault]))),
    ):
        async with scripted_graph(discovery, response) as (session, _):
            with pytest.raises(evsession.SessionError) as caught:
                async for _record in session.stream("CREATE (n) RETURN 1"):
                    pass
            assert caught.value.uncertain


async def test_none_beside_an_open_transaction() -> None:
    async with scripted_graph(opened(), evsession.Response(200)) as (session, _):
        await session.begin_transaction()
        with pytest.raises(evsession.TransactionError):
            session.stream("RETURN 1")


async def test_a_stream_of_callbacks() -> None:
    async with scripted_graph(DISCOVERY_5, repeat=answer(body(["n"], [[0], [1], [2]], bookmarks=["FB:7"]))) as (session, _):
        seen: list[int] = []
        told: list[Any] = []

        async def slowly(record: evsession.Record) -> None:
            await trio.lowlevel.checkpoint()
            seen.append(record["n"])

        await session.stream("RETURN 1", lambda *results: told.append(results), on_record=slowly)
        assert await session.stream("RETURN 1", on_record=lambda record: seen.append(record["n"])) == 3
        assert (seen, told) == ([0, 1, 2] * 2, [(None, 3)])
        stray: Any = told.append
        with pytest.raises(TypeError, match="on_record"):
            session.stream("RETURN 1", stray)
