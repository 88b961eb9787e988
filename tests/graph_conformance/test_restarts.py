"""A server that is stopped, killed and started again under open sessions, and one that asks for a password."""

from __future__ import annotations

import dataclasses
import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import trio

import evsession
from tests.graph_conformance.own import OwnServer
from tests.graph_conformance.tools import Wire

WORKERS, KILLS = 6, 2


def start(neo4j_url: str, tmp_path_factory: pytest.TempPathFactory, *settings: str) -> OwnServer:
    """Start a server of the version that is tested."""
    program = os.environ.get("EVSESSION_NEO4J_SERVER")
    if not program:
        if os.environ.get("EVSESSION_REQUIRE_SERVERS"):
            pytest.fail("EVSESSION_REQUIRE_SERVERS is set, but EVSESSION_NEO4J_SERVER names no program that starts a server")
        pytest.skip("no Neo4j to be killed: set EVSESSION_NEO4J_SERVER to a program that starts one")
    graph = evsession.GraphStore(neo4j_url)

    async def ask() -> str:
        return await graph.server_version()

    own = OwnServer(program, graph.run(ask), tmp_path_factory.mktemp("neo4j"), *settings)
    own.up()
    return own


@pytest.fixture(scope="module")
def own(neo4j_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A server that asks for no password."""
    server = start(neo4j_url, tmp_path_factory)
    yield server
    server.kill()
    server.down()


@pytest.fixture
def locked(neo4j_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A server that asks for a password, which is to be changed first."""
    server = start(neo4j_url, tmp_path_factory, "dbms.security.auth_enabled=true")
    yield server
    server.kill()
    server.down()


async def test_a_session_goes_on_when_its_server_was_stopped_and_started(own: OwnServer) -> None:
    async with evsession.GraphStore(own.url) as graph, graph.open_session() as session, graph.open_session() as other:
        await session.run("CREATE (:Stopped {n: 1})")
        bookmark = session.last_bookmark()
        tx = await other.begin_transaction()
        await tx.run("CREATE (:Stopped {n: 2})")
        await trio.to_thread.run_sync(own.down)
        for call in (session.run, tx.run, lambda text: tx.commit()):
            with pytest.raises(evsession.SessionError) as caught:
                await call("CREATE (:Stopped {n: 3})")
            assert not caught.value.uncertain
        await tx.close()
        await trio.to_thread.run_sync(own.up)
        assert session.last_bookmark() == bookmark
        assert (await session.run("MATCH (n:Stopped) RETURN n.n")).values(0) == [1]
        await other.write_transaction(lambda tx: tx.run("CREATE (:Stopped {n: 4})"))
        assert (await other.run("MATCH (n:Stopped) RETURN n.n ORDER BY n.n")).values(0) == [1, 4]


async def test_nothing_is_applied_twice_and_nothing_lost_when_a_server_is_killed(own: OwnServer) -> None:
    # Each step counts and leaves a mark in the same transaction. A managed one goes on when the server is back.
    told: dict[str, str] = {}
    is_over = trio.Event()

    async def count(graph: evsession.GraphStore, worker: int) -> None:
        async with graph.open_session() as session:
            session.options.retry_time, session.options.retry_delay = 0.5, 0.05
            for step in range(100_000):
                if is_over.is_set():
                    return
                mark = f"{worker}-{step}"

                async def work(tx: evsession.GraphTransaction, mark: str = mark) -> None:
                    await tx.run("MERGE (c:Counter {id: $id}) SET c.n = coalesce(c.n, 0) + 1", {"id": worker})
                    await tx.run("CREATE (:Mark {id: $mark})", {"mark": mark})

                try:
                    await session.write_transaction(work)
                except evsession.SessionError as error:
                    told[mark] = "uncertain" if error.uncertain else "not done"
                    await trio.sleep(0.05)
                else:
                    told[mark] = "done"

    async def kill() -> None:
        for _ in range(KILLS):
            before = Counter(told.values())["done"]
            while Counter(told.values())["done"] < before + 5 * WORKERS:  # noqa: ASYNC110 - they work all the time
                await trio.sleep(0.02)
            await trio.sleep(random.uniform(0, 0.1))
            own.kill()
            await trio.to_thread.run_sync(own.up)
        is_over.set()

    async with evsession.GraphStore(own.url) as graph:
        async with graph.open_session() as session:
            await session.run("CREATE CONSTRAINT FOR (c:Counter) REQUIRE c.id IS UNIQUE")
        async with trio.open_nursery() as nursery:
            for worker in range(WORKERS):
                nursery.start_soon(count, graph, worker)
            nursery.start_soon(kill)
        async with graph.open_session() as session:
            marks = Counter((await session.run("MATCH (m:Mark) RETURN m.id")).values(0))
            counted = (await session.run("MATCH (c:Counter) RETURN sum(c.n)")).value()
    assert set(marks.values()) == {1}
    assert counted == len(marks)
    for mark, outcome in told.items():
        assert outcome == "uncertain" or (mark in marks) is (outcome == "done"), (mark, outcome)
    assert marks.keys() <= told.keys()
    assert Counter(told.values())["not done"] > 0


@evsession.node("Killed", key="id")
@dataclasses.dataclass
class Thing:
    """A node with a number."""

    id: str
    n: int = 0


async def test_refresh_tells_what_became_of_a_commit_when_the_server_was_killed(own: OwnServer) -> None:
    things: list[Thing] = []
    async with evsession.GraphStore(own.url) as graph, graph.open_session() as session:
        counter = Thing("counter")
        await session.add(counter).commit()

        async def commit_on() -> None:
            for number in range(100_000):
                things.append(Thing(str(number)))
                counter.n += 1
                await session.add(things[-1]).commit()

        async def kill() -> None:
            await trio.sleep(0.7)
            own.kill()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill)
            with pytest.raises(evsession.SessionError) as caught:
                await commit_on()
        await trio.to_thread.run_sync(own.up)
        lost = things[-1]
        assert session.is_dirty(lost)
        if caught.value.uncertain:
            await session.refresh(lost, counter)
        was_written = not session.is_dirty(lost)
        assert session.is_dirty(counter) is not was_written
        assert len(await session.commit()) == (0 if was_written else 2)
        rows = (await session.run("MATCH (n:Killed) WHERE n.id <> 'counter' RETURN n.id, count(*)")).values()
        assert len(rows) == len(things) == counter.n
        assert {row[1] for row in rows} == {1}
        assert (await session.run("MATCH (n:Killed {id: 'counter'}) RETURN n.n")).value() == len(things)


async def test_passwords(locked: OwnServer) -> None:
    calls = 0

    async def work(tx: evsession.GraphTransaction) -> Any:
        nonlocal calls
        calls += 1
        return (await tx.run("RETURN 1")).value()

    async with evsession.GraphStore(locked.url, auth=("neo4j", "neo4j")) as graph:
        async with graph.open_session() as session:
            with pytest.raises(evsession.AuthenticationError) as caught:
                await session.run("RETURN 1")
            assert caught.value.code == "Neo.ClientError.Security.CredentialsExpired"
        async with graph.open_session(database="system") as session:
            await session.run("ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $new", {"new": "secret-word"})
    for password in ("wrong-one", "wrong-two", "wrong-three", "wrong-four"):
        async with evsession.GraphStore(locked.url, auth=("neo4j", password)) as graph, graph.open_session() as session:
            wire = Wire(session)
            with pytest.raises(evsession.AuthenticationError) as caught:
                await session.write_transaction(work)
            assert (caught.value.status_code in (401, 429), caught.value.is_retryable()) == (True, False)
            assert wire.take() == ["POST /tx"]
            assert password not in repr(caught.value) + str(caught.value)
    assert calls == 4
    async with evsession.GraphStore(locked.url) as graph, graph.open_session() as session:
        with pytest.raises(evsession.AuthenticationError):
            await session.run("RETURN 1")
    await trio.sleep(5.5)  # the server lets nobody in for 5 s after three wrong passwords
    async with evsession.GraphStore(locked.url, auth=evsession.BasicAuth("neo4j", "secret-word")) as graph:
        async with graph.open_session() as session:
            assert await session.write_transaction(work) == 1
            tx = await session.begin_transaction()
            await tx.run("CREATE (:Passed)")
            with pytest.raises(evsession.AuthenticationError):
                async with evsession.GraphStore(locked.url, auth=("neo4j", "x")) as wrong, wrong.open_session() as stranger:
                    await stranger.begin_transaction()
            await tx.commit()
            assert (await session.run("MATCH (n:Passed) RETURN count(n)")).value() == 1
