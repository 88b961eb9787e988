from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest
import trio

import evsession
from evsession import Bookmark, ConfigurationError, GraphStore, TransactionConfig
from evsession.testing.scripted import ScriptedTransport
from tests.unit.neo4j.typed import DISCOVERY_5, DISCOVERY_2026, answer, body, committed, opened, refused, rows
from tests.unit.session.graphs.scripted import hang, lost, scripted_graph, sent

STOPPED = rows(1)
NOT_FOUND = rows()


async def test_a_statement_and_its_result() -> None:
    async with scripted_graph(rows(1, 2)) as (session, transport):
        result = await session.run("RETURN $a", {"a": 1})
        assert (result.values(0), result.summary.parameters) == ([1, 2], {"a": 1})
        assert session.last_bookmark() == Bookmark(("FB:1",))
        assert sent(transport) == ["POST -"]
        assert transport.requests[0].writes


@pytest.mark.parametrize("style", ["params", "config", "none"])
async def test_callbacks_come_last_wherever(style: str) -> None:
    told: list[Any] = []
    async with scripted_graph(repeat=rows(7)) as (session, _):
        if style == "params":
            await session.run("RETURN 1", {"a": 1}, lambda error, result: told.append(result.value()))
        elif style == "config":
            await session.run("RETURN 1", {}, TransactionConfig(), lambda error, result: told.append(result.value()))
        else:
            await session.run("RETURN 1", lambda error, result: told.append(result.value()))
    assert told == [7]


async def test_a_config_in_place_of_parameters() -> None:
    async with scripted_graph(DISCOVERY_2026, rows(1)) as (session, transport):
        await session.run("RETURN 1", TransactionConfig(5))
        assert transport.bodies()[-1]["maxExecutionTime"] == 5


async def test_reading_sessions_say_so_and_may_be_asked_twice() -> None:
    async with scripted_graph(rows(1), access="read") as (session, transport):
        await session.run("RETURN 1")
        assert transport.bodies()[0]["accessMode"] == "READ"
        assert not transport.requests[0].writes


async def test_bookmarks_are_sent_and_replaced() -> None:
    transport = ScriptedTransport(
        rows(1, bookmark="FB:9"), refused("Neo.ClientError.Statement.SyntaxError"), rows(1, bookmark=None)
    )
    async with GraphStore(transport=transport) as graph:
        async with graph.open_session(bookmarks=["b", Bookmark(("a",))]) as session:
            assert session.last_bookmark() == Bookmark(("a", "b"))
            await session.run("RETURN 1")
            assert session.last_bookmark() == Bookmark(("FB:9",))
            with pytest.raises(evsession.QueryError):
                await session.run("RETURN")
            await session.run("RETURN 1")
            assert session.last_bookmark() == Bookmark(("FB:9",))
    assert [sorted(one["bookmarks"]) for one in transport.bodies()] == [["a", "b"], ["FB:9"], ["FB:9"]]


async def test_statements_take_turns_in_call_order() -> None:
    async with scripted_graph(rows(1, bookmark="FB:1"), rows(2)) as (session, transport):
        first, second = session.run("RETURN 1"), session.run("RETURN 2")
        assert [(await second).value(), (await first).value()] == [2, 1]
        assert transport.bodies()[1]["bookmarks"] == ["FB:1"]


async def test_old_servers_give_a_statement_with_a_timeout_a_transaction() -> None:
    script = (DISCOVERY_5, opened("t1", 5), committed(), refused("Neo.ClientError.Statement.SyntaxError"), rows(1))
    async with scripted_graph(*script) as (session, transport):
        assert (await session.run("RETURN 1", timeout=1.5)).value() == 5
        assert sent(transport) == ["GET /", "POST /tx", "POST /tx/t1/commit"]
        assert transport.bodies()[0]["maxExecutionTime"] == 2
        with pytest.raises(evsession.QueryError):
            await session.run("RETURN", timeout=1)
        assert (await session.run("RETURN 1")).value() == 1


async def test_a_cancelled_statement_is_terminated(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_graph(hang(), NOT_FOUND, STOPPED, rows(1)) as (session, transport):
        with trio.move_on_after(1):
            await session.run("RETURN 1")
        tag = transport.bodies()[0]["parameters"]["__evsession"]["_value"]
        assert [one["parameters"]["tag"]["_value"] for one in transport.bodies()[1:]] == [tag, tag]
        await session.run("RETURN 1")


async def test_terminating_gives_up(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_graph(hang(), NOT_FOUND, answer([]), NOT_FOUND, hang(), hang(), lost) as (session, transport):
        for requests in (4, 6):
            with trio.move_on_after(1):
                await session.run("RETURN 1")
            assert len(transport.requests) == requests
        with pytest.raises(evsession.ConnectionFailed):
            await session.run("RETURN 1")


async def test_a_question_for_the_version_is_not_terminated(autojump_clock: trio.testing.MockClock) -> None:
    async with scripted_graph(hang()) as (session, transport):
        with trio.move_on_after(1):
            await session.run("RETURN 1", timeout=1)
        assert len(transport.requests) == 1


async def test_reset_terminates_what_runs(autojump_clock: trio.testing.MockClock) -> None:
    async def ended(request: evsession.Request) -> evsession.Response:
        await trio.sleep(1)
        return refused("Neo.ClientError.Transaction.Terminated")

    async with scripted_graph(ended, STOPPED) as (session, transport):
        await session.reset()
        assert transport.requests == []
        running = session.run("RETURN 1")
        await trio.sleep(0.1)
        await session.reset()
        with pytest.raises(evsession.TransactionError):
            await running


async def test_the_version_is_asked_once() -> None:
    transport = ScriptedTransport(DISCOVERY_2026)
    async with GraphStore(transport=transport) as graph:
        assert [await graph.server_version(), await graph.server_version()] == ["2026.07.1", "2026.07.1"]
        assert sent(transport) == ["GET /"]


async def test_who_logs_in() -> None:
    async with scripted_graph(rows(1), auth=("neo4j", "secret")) as (session, transport):
        await session.run("RETURN 1")
        assert ("Authorization", "Basic bmVvNGo6c2VjcmV0") in transport.requests[0].headers
        for thing in (session, transport.requests[0], session._database):
            assert "bmVvNGo6c2VjcmV0" not in repr(thing)
            assert "secret" not in repr(thing)


def test_stores() -> None:
    graph = GraphStore("http://localhost", auth=("neo4j", "secret"), options={"retry_time": 0, "timeout": 5})
    assert repr(graph) == "<GraphStore http://localhost:7474 'neo4j' not initialized>"
    assert repr(GraphStore(host="a", port=1, database="x")) == "<GraphStore http://a:1 'x' not initialized>"
    assert repr(GraphStore("https://a")) == "<GraphStore https://a:7473 'neo4j' not initialized>"
    assert (graph.options.retry_time, graph.options.timeout) == (0.0, 5.0)
    with pytest.raises(ConfigurationError, match="initialize"):
        graph.open_session()
    graph.initialize()
    session = graph.open_session(database="other", impersonated_user="ann")
    assert repr(session) == "<GraphSession 'other' WRITE open, 0 in flight>"
    session.options.retry_time = 1
    with pytest.raises(ConfigurationError, match="frozen"):
        graph.options.retry_time = 1


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"urls": "http://neo4j:secret@a"},
        {"urls": "http://a", "auth": "secret"},
        {"urls": "http://a", "database": ""},
        {"urls": "http://a", "options": {"retry_time": -1}},
        {"urls": "http://a", "options": {"keep_alive": 1}},
        {"urls": "http://a", "options": {"retry_delay": "1"}},
    ],
)
def test_stores_that_cannot_be(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        GraphStore(**arguments)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("arguments", [{"access_mode": "rw"}, {"bookmarks": 5}, {"impersonated_user": ""}, {"database": ".."}])
def test_sessions_that_cannot_be(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        GraphStore("http://a").initialize().open_session(**arguments)


async def test_errors_pickle_with_the_rows_that_came_before() -> None:
    late = body(["n"], [[1]], errors=[{"code": "Neo.ClientError.Statement.ArithmeticError", "message": "m"}])
    async with scripted_graph(answer(late)) as (session, _):
        with pytest.raises(evsession.QueryError) as caught:
            await session.run("RETURN 1")
    assert pickle.loads(pickle.dumps(caught.value)).rows_before == 1


async def test_wrong_credentials_are_told_once_and_not_tried_again() -> None:
    told: list[Any] = []
    async with scripted_graph(repeat=refused("Neo.ClientError.Security.Unauthorized", "no", 401)) as (session, transport):
        session.on(401, told.append)
        with pytest.raises(evsession.AuthenticationError):
            await session.write_transaction(lambda tx: tx.run("RETURN 1"))
        assert (len(transport.requests), len(told)) == (1, 1)


async def test_the_guards_leave_exchanges_alone_and_close_nothing() -> None:
    async with scripted_graph(opened(), opened()) as (session, transport):
        for owner in (session._alone(), session._new_transaction("WRITE", TransactionConfig())):
            guard = owner._running()[1]
            exchange = await guard.open(evsession.Request("GET", "/"), evsession.Trail())
            assert (await exchange.finish()).status == 202
            exchange.close()
            await guard.aclose()
        assert len(transport.requests) == 2


def test_nodes_have_no_versions() -> None:
    with pytest.raises(evsession.ConfigurationError, match="no versions"):
        evsession.GraphOptions({"use_optimistic_concurrency": True})
    assert evsession.GraphOptions({"use_optimistic_concurrency": False}).use_optimistic_concurrency is False


async def test_what_may_change_has_no_hash() -> None:
    async with scripted_graph(rows(1)) as (session, _):
        record = (await session.run("RETURN 1"))[0]
    thing = evsession.GraphStore("http://h").model("Thing")(id="1")
    for unhashable in (record, TransactionConfig(), thing):
        with pytest.raises(TypeError, match="has no hash"):
            hash(unhashable)


BAD: dict[str, Any] = {
    "run timeout": (lambda s, cb: s.run("RETURN 1", None, cb, timeout=-1), evsession.ConfigurationError),
    "run metadata": (lambda s, cb: s.run("RETURN 1", None, cb, metadata={"a": object()}), evsession.InvalidDocument),
    "stream statement": (lambda s, cb: s.stream("", None, cb, on_record=print), evsession.QueryError),
    "stream timeout": (lambda s, cb: s.stream("RETURN 1", None, cb, on_record=print, timeout=-1), evsession.ConfigurationError),
    "begin": (lambda s, cb: s.begin_transaction(cb, timeout=-1), evsession.ConfigurationError),
    "read": (lambda s, cb: s.read_transaction(print, cb, timeout=-1), evsession.ConfigurationError),
    "write": (lambda s, cb: s.write_transaction(print, cb, timeout=-1), evsession.ConfigurationError),
    "refresh": (lambda s, cb: s.refresh(Thing("1"), callback=cb), evsession.ConfigurationError),
    "hydrate": (lambda s, cb: s.hydrate(Thing("1"), callback=cb), evsession.ConfigurationError),
}


@evsession.node
@dataclasses.dataclass
class Thing:
    id: str


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_told_to_the_callback(case: str) -> None:
    call: Any
    call, kind = BAD[case]
    async with scripted_graph() as (session, transport):
        told: list[Any] = []
        operation = call(session, lambda error, *results: told.append((error, results)))
        assert told == []
        with pytest.raises(kind):
            await operation
        ((error, results),) = told
        assert (type(error), set(results) <= {None}) == (kind, True)
        with pytest.raises(kind):
            call(session, None)
        assert (transport.requests, session.state, session._turns.first()) == ([], "idle", None)


async def test_settings_in_a_transaction_are_told_to_the_callback() -> None:
    async with scripted_graph() as (session, _):
        session.use_transaction()
        told: list[Any] = []
        session.run("RETURN 1", None, lambda error, _: told.append(error), timeout=1)
        await session.drain()
        assert isinstance(told[0], evsession.TransactionError)
        await session.rollback()
