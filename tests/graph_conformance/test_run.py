"""Statements in transactions of their own: results, failures, bookmarks."""

from __future__ import annotations

import pytest

import evsession
from tests.graph_conformance.tools import LONG, Wire, count, is_running, wait_running


async def test_records_in_order_with_keys_and_summary(graph_session: evsession.GraphSession, label: str) -> None:
    result = await graph_session.run(f"UNWIND range(1, 3) AS i CREATE (n:{label} {{i: i}}) RETURN n.i AS i, i * 2 AS double")
    assert result.keys == ["i", "double"]
    assert [(record["i"], record[1]) for record in result] == [(1, 2), (2, 4), (3, 6)]
    assert result.values("double") == [2, 4, 6]
    counters = result.summary.counters
    assert (counters.contains_updates, counters.nodes_created, counters.labels_added, counters.properties_set) == (True, 3, 3, 3)
    assert result.summary.query_type in (None, "rw")


async def test_plans_and_notifications(graph_session: evsession.GraphSession) -> None:
    plan = (await graph_session.run("EXPLAIN MATCH (n:NoSuchLabelAnywhere) RETURN n.x")).summary
    assert plan.plan is not None
    assert plan.plan.operator_type.startswith("ProduceResults")
    assert plan.plan.arguments["planner-impl"] == "IDP"
    assert plan.plan.children
    assert {notice.category for notice in plan.notifications} == {"UNRECOGNIZED"}
    assert plan.notifications[0].position is not None
    profile = (await graph_session.run("PROFILE UNWIND [1, 2] AS x RETURN x")).summary.plan
    assert profile is not None
    assert profile.figures["records"] == 2


async def test_a_late_error_fails_and_tells_how_many_rows_came(graph_session: evsession.GraphSession) -> None:
    before = graph_session.last_bookmark()
    with pytest.raises(evsession.QueryError) as caught:
        await graph_session.run("UNWIND range(10000, 0, -1) AS n RETURN 10000 / n")
    assert (caught.value.status_code, caught.value.code) == (202, "Neo.ClientError.Statement.ArithmeticError")
    assert caught.value.rows_before == 10_000
    assert graph_session.last_bookmark() == before
    assert (await graph_session.run("RETURN 1")).value() == 1


@pytest.mark.parametrize(
    ("query", "error", "code"),
    [
        ("RETURN", evsession.QueryError, "Neo.ClientError.Statement.SyntaxError"),
        ("RETURN 1; RETURN 2", evsession.QueryError, "Neo.ClientError.Statement.SyntaxError"),
        ("RETURN $missing", evsession.QueryError, "Neo.ClientError.Statement.ParameterMissing"),
    ],
)
async def test_bad_statements(
    graph_session: evsession.GraphSession, query: str, error: type[evsession.SessionError], code: str
) -> None:
    told: list[evsession.SessionError] = []
    graph_session.on(code, told.append)
    with pytest.raises(error) as caught:
        await graph_session.run(query)
    assert (caught.value.code, caught.value.status_code, caught.value.uncertain) == (code, 400, False)
    assert told == [caught.value]


async def test_constraints_have_an_error_of_their_own(graph_session: evsession.GraphSession, label: str) -> None:
    await graph_session.run(f"CREATE CONSTRAINT c{label} FOR (n:{label}) REQUIRE n.id IS UNIQUE")
    try:
        await graph_session.run(f"CREATE (:{label} {{id: 1}})")
        with pytest.raises(evsession.ConstraintError) as caught:
            await graph_session.run(f"CREATE (:{label} {{id: 1}})")
        assert caught.value.code == "Neo.ClientError.Schema.ConstraintValidationFailed"
        assert await count(graph_session, label) == 1
    finally:
        await graph_session.run(f"DROP CONSTRAINT c{label}")


async def test_a_constraint_that_cannot_be_is_not_there(graph_session: evsession.GraphSession, label: str) -> None:
    await graph_session.run(f"CREATE (:{label} {{id: '1'}}), (:{label} {{id: '1'}})")
    with pytest.raises(evsession.ConstraintError) as caught:
        await graph_session.run(f"CREATE CONSTRAINT c{label} FOR (n:{label}) REQUIRE n.id IS UNIQUE")
    assert (str(caught.value.code).split(".")[2:], caught.value.uncertain) == (["Schema", "ConstraintCreationFailed"], False)
    result = await graph_session.run("SHOW CONSTRAINTS YIELD name WHERE name = $name RETURN count(*)", {"name": f"c{label}"})
    assert result.value() == 0


async def test_an_unknown_database(graph: evsession.GraphStore) -> None:
    async with graph.open_session(database="no-such") as session:
        for call in (lambda: session.run("RETURN 1"), session.begin_transaction):
            with pytest.raises(evsession.DatabaseMissing) as caught:
                await call()
            assert (caught.value.database, caught.value.status_code) == ("no-such", 404)


async def test_reading_sessions_do_not_write(graph: evsession.GraphStore, label: str) -> None:
    async with graph.open_session("read") as session:
        with pytest.raises(evsession.QueryError) as caught:
            await session.run(f"CREATE (:{label})")
        assert caught.value.code == "Neo.ClientError.Statement.AccessMode"
        assert await count(session, label) == 0


async def test_bookmarks_are_replaced_by_success_only(graph: evsession.GraphStore, label: str) -> None:
    async with graph.open_session() as session:
        assert session.last_bookmark() is None
        await session.run(f"CREATE (:{label})")
        first = session.last_bookmark()
        tx = await session.begin_transaction()
        await tx.run(f"CREATE (:{label})")
        assert session.last_bookmark() == first
        await tx.rollback()
        assert session.last_bookmark() == first
        tx = await session.begin_transaction()
        await tx.run(f"CREATE (:{label})")
        await tx.commit()
        second = session.last_bookmark()
        assert second not in (None, first)
    assert first is not None
    assert second is not None
    async with graph.open_session("read", [first, second]) as other:
        assert await count(other, label) == 2


async def test_a_bookmark_that_is_none_fails_at_the_beginning(graph: evsession.GraphStore) -> None:
    async with graph.open_session(bookmarks="nonsense") as session:
        with pytest.raises(evsession.TransactionError) as caught:
            await session.begin_transaction()
        assert caught.value.code == "Neo.ClientError.Transaction.InvalidBookmark"
        assert session._current is None


async def test_a_timeout_ends_a_statement(graph_session: evsession.GraphSession) -> None:
    with pytest.raises(evsession.TransactionError) as caught:
        await graph_session.run(LONG, timeout=1)
    assert caught.value.code == "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration"
    assert (await graph_session.run("RETURN 1", timeout=60)).value() == 1


async def test_metadata_where_the_server_has_it(graph: evsession.GraphStore, graph_session: evsession.GraphSession) -> None:
    statement = "SHOW TRANSACTIONS YIELD metaData RETURN metaData"
    if (await graph.server_version()).startswith("5."):
        with pytest.raises(evsession.UnsupportedFeature):
            await graph_session.run(statement, metadata={"type": "import"})
    else:
        result = await graph_session.run(statement, metadata={"type": "import"})
        assert {"type": "import"} in result.values(0)


async def test_runs_of_a_session_see_each_other_in_the_order_of_the_calls(
    graph_session: evsession.GraphSession, label: str
) -> None:
    made = [graph_session.run(f"CREATE (:{label})") for _ in range(5)]
    counted = graph_session.run(f"MATCH (n:{label}) RETURN count(n)")
    assert (await counted).value() == 5
    assert all(operation.is_done for operation in made)


async def test_streams_give_every_record(graph_session: evsession.GraphSession) -> None:
    stream = graph_session.stream("UNWIND range(1, 5000) AS i RETURN i, $text AS text", {"text": '"],["\\'})
    seen = [(record["i"], record["text"]) async for record in stream]
    assert seen == [(i, '"],["\\') for i in range(1, 5001)]
    assert stream.summary is not None
    assert stream.count == 5000
    assert graph_session.last_bookmark() is not None


async def test_a_stream_fails_after_the_good_rows(graph_session: evsession.GraphSession) -> None:
    stream = graph_session.stream("UNWIND range(10000, 0, -1) AS n RETURN 10000 / n AS n")
    with pytest.raises(evsession.QueryError) as caught:
        async for _ in stream:
            pass
    assert (stream.count, caught.value.rows_before) == (10_000, 10_000)
    with pytest.raises(evsession.QueryError):
        async for _ in graph_session.stream("RETURN"):
            pass


async def test_a_stream_that_is_left_ends_its_statement(
    graph: evsession.GraphStore, graph_session: evsession.GraphSession
) -> None:
    async for _ in graph_session.stream("UNWIND range(1, 100000000) AS stream RETURN stream"):
        break
    async with graph.open_session() as other:
        for _ in range(200):
            if not await is_running(other, "AS stream RETURN stream"):
                break
        else:
            raise AssertionError("the statement goes on")


async def test_reset_ends_what_runs(graph: evsession.GraphStore, graph_session: evsession.GraphSession) -> None:
    running = graph_session.run(f"/* reset */ {LONG}")
    async with graph.open_session() as other:
        await wait_running(other, "/* reset */")
    await graph_session.reset()
    with pytest.raises(evsession.TransactionError):
        await running
    assert (await graph_session.run("RETURN 1")).value() == 1


async def test_one_request_for_a_statement(graph_session: evsession.GraphSession) -> None:
    wire = Wire(graph_session)
    await graph_session.run("RETURN 1")
    assert wire.take() == ["POST"]
