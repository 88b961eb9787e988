"""Operations of one graph session that overlap: none is done twice, undone by another, or left on the server."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import trio
import trio.testing

import evsession
from tests.unit.session.graphs.memory import LABEL, MemoryGraph

CREATE = "CREATE (n:R {id: $id})"


Clock = trio.testing.MockClock


@evsession.node("E")
@dataclasses.dataclass(eq=False)
class Thing:
    id: str
    v: int = 0


@evsession.node("E")
@dataclasses.dataclass(eq=False)
class Counter(Thing):
    name: str = ""


NODES = evsession.GraphStore("http://neo4j").model("E", relationships={"to": {"model": "self", "name": "TO", "direction": "out"}})


@asynccontextmanager
async def memory_graph(**options: Any) -> AsyncIterator[tuple[evsession.GraphSession, MemoryGraph]]:
    """Open a session on a server that takes its time."""
    server = MemoryGraph(Random(1), pauses=(0.1,))
    is_over = False
    async with evsession.GraphStore(transport=server) as graph:
        session = graph.open_session(**options)
        with trio.fail_after(100):
            yield session, server
            await session.aclose()
        assert not server.opened
        is_over = True
    assert is_over, "the test was cut off, and the store let nobody know"


def told() -> tuple[list[BaseException | None], Callable[..., None]]:
    """What a callback is told, and the callback."""
    errors: list[BaseException | None] = []
    return errors, lambda error, *_: errors.append(error)


def things(server: MemoryGraph) -> list[dict[str, Any]]:
    """The nodes of the unit of work."""
    return [
        {name: value for name, value in node.items() if name != LABEL} for node in server.nodes.values() if node[LABEL] == "E"
    ]


async def fail(work: Awaitable[Any], kind: type[BaseException] = evsession.TransactionError, match: str | None = None) -> None:
    """Await what fails."""
    with pytest.raises(kind, match=match):
        await work


async def refuse(call: Callable[[], Any], match: str | None = None) -> None:
    """Call, and await if need be, what is refused."""
    with pytest.raises(evsession.TransactionError, match=match):
        await call()


class TestWhatIsCutOff:
    @pytest.mark.parametrize("verb", ["run", "commit", "rollback"])
    async def test_a_request_that_was_not_sent(self, verb: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            tx = await session.begin_transaction()
            with trio.CancelScope() as scope:
                scope.cancel()
                await (tx.run("RETURN 1") if verb == "run" else getattr(tx, verb)())
            assert not server.opened
            await tx.close()

    @pytest.mark.parametrize("verb", ["run", "commit", "rollback"])
    async def test_what_has_not_begun(self, verb: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            tx = await session.begin_transaction()
            operation = tx.run("RETURN 1", None, lambda *_: None) if verb == "run" else getattr(tx, verb)(lambda *_: None)
            operation.cancel()
            await fail(operation, evsession.OperationCancelled)
            assert tx.is_open
            await tx.run(CREATE, {"id": "1"})
            await tx.commit()
            assert len(server.nodes) == 1

    async def test_a_commit_that_has_not_sent_all(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Thing("1")
            with trio.move_on_after(0.45):
                await session.add(thing).commit()
            assert (server.ended, server.opened) == ({"t1": "rolled back"}, {})
            assert session.is_dirty(thing)
            await session.commit()
            assert things(server) == [{"id": "1", "v": 0}]

    @pytest.mark.parametrize("how", ["raises", "reset", "reset at the beginning", "closed"])
    async def test_what_a_transaction_begins_with(self, how: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            errors, callback = told()

            async def work(tx: evsession.GraphTransaction) -> None:
                tx.run(CREATE, {"id": "1"}, callback)
                await trio.sleep(0.15)
                raise LookupError

            if how == "raises":
                await fail(session.write_transaction(work), LookupError)
            elif how == "closed":
                session.use_transaction().run(CREATE, {"id": "1"}, callback)
                with trio.move_on_after(0.15):
                    await session.aclose()
            else:
                if how == "reset":
                    session.use_transaction().run(CREATE, {"id": "1"}, callback)
                else:
                    session.begin_transaction(callback)
                await trio.sleep(0.15)
                await session.reset()
            assert not server.opened
            assert not server.nodes
            await session._gate.wait()
            assert [type(error) for error in errors] == [evsession.TransactionError]
            if how.startswith("reset"):
                await session.rollback()

    async def test_a_statement_that_has_not_been_sent_when_its_transaction_ends(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            errors, callback = told()

            async def work(tx: evsession.GraphTransaction) -> None:
                tx.run(CREATE, {"id": "1"}, callback)
                raise LookupError

            await fail(session.write_transaction(work), LookupError)
            await session.drain()
            assert [type(error) for error in errors] == [evsession.TransactionError]
            assert server.most == 0

    @pytest.mark.parametrize("how", ["commit", "begin", "use"])
    async def test_nothing_begins_while_a_session_is_closed(self, how: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server), trio.open_nursery() as nursery:
            errors, callback = told()
            session.add(Thing("1")).commit(callback)
            if how == "commit":
                session.add(Thing("2")).commit(callback)
            elif how == "begin":
                session.begin_transaction(callback)
            else:
                session.use_transaction().run("RETURN 1", callback)
            await trio.sleep(0.15)
            nursery.start_soon(session.aclose)
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await trio.sleep(0.06)
                assert (session.state, list(server.opened)) == ("closed", ["t1"])
                with pytest.raises(evsession.SessionClosed):
                    session.commit()
                await trio.sleep(1)
            assert (len(errors), None in errors) == (2, False)
            assert (session._current, session._unit.journal, server.nodes) == (None, None, {})


class TestBeginnings:
    async def test_a_load_does_not_begin_a_transaction_again(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            beginning = session.begin_transaction(lambda *_: None)
            assert await session.load(Thing, "1") is None
            assert (list(server.opened), server.most) == (["t1"], 1)
            await (await beginning).commit()

    @pytest.mark.parametrize("verb", ["run", "write_transaction", "commit"])
    async def test_a_transaction_begins_after_what_was_called_before(self, verb: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            session.add(Thing("1"))
            if verb == "run":
                before: Any = session.run(CREATE, {"id": "2"}, lambda *_: None)
            elif verb == "write_transaction":
                before = session.write_transaction(lambda tx: tx.run(CREATE, {"id": "2"}), lambda *_: None)
            else:
                before = session.commit(lambda *_: None)
            tx = session.use_transaction()
            assert (await tx.run("RETURN 1")).value() == 1
            assert before.is_done
            assert (len(server.nodes), server.most) == (1, 1)
            await tx.rollback()

    async def test_what_is_undone_by_itself_begins_after_the_end_of_another(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            tx = await session.begin_transaction()
            ending = tx.commit(lambda *_: None)
            assert await NODES.relate_to("to", {"source": None, "target": {"id": "1"}}, expected=1, session=session) == 1
            assert (ending.is_done, server.most) == (True, 1)

    async def test_a_transaction_that_is_about_to_be_committed_is_not_shared(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, _):
            tx = session.use_transaction()
            committing = session.add(Thing("1")).commit(lambda *_: None)
            other = session.use_transaction()
            with trio.CancelScope() as scope:
                scope.cancel()
                await other.rollback()  # it was coming
            third = session.use_transaction()
            assert tx is not third is not other
            await third.run("RETURN 1")
            assert committing.is_done
            assert await committing == ["E/1"]
            await third.rollback()

    @pytest.mark.parametrize("verb", ["commit", "tx.commit"])
    async def test_a_transaction_that_is_not_ended_after_all_stays(self, verb: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            session.run("RETURN 1", lambda *_: None)
            async with session.transaction() as tx:
                ending = (tx if verb == "tx.commit" else session).commit(lambda *_: None)
                other = session.use_transaction()
                third = session.use_transaction()
                ending.cancel()
                await fail(ending, evsession.OperationCancelled)
                assert (tx.is_open, other.is_open, third is other) == (True, False, True)
                assert session.assigned_transaction is tx
                session.add(Thing("1"))
            assert things(server) == [{"id": "1", "v": 0}]
            assert server.most == 1

    async def test_the_transaction_of_a_commit_is_nobody_else_s(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            committing = session.add(Thing("1")).commit(lambda *_: None)
            other = session.use_transaction()
            with trio.CancelScope() as scope:
                scope.cancel()
                await other.rollback()
            await trio.sleep(0.3)
            own = session._current
            assert own is not None
            assert await evsession.get_transaction(session, lambda tx: tx is own) is False
            assert await committing == ["E/1"]
            assert server.most == 1


class TestCommitsIntoATransaction:
    @pytest.mark.parametrize("verb", ["commit", "rollback", "close"])
    @pytest.mark.parametrize("begins", ["use", "begin"])
    async def test_what_ends_it_waits_for_the_commit(self, begins: str, verb: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):

            @session.on("insert.post")
            async def pause(event: evsession.CommitEvent) -> None:
                await session.run("RETURN 1")
                await trio.sleep(1)

            tx = session.use_transaction() if begins == "use" else await session.begin_transaction()
            thing = Thing("1")
            committing = session.add(thing).commit(lambda *_: None)
            await trio.sleep(0.5)
            ending = getattr(tx, verb)()
            if verb == "rollback":
                await fail(ending, match="has been committed")
            else:
                await ending
            assert await committing == ["E/1"]
            assert not session.is_dirty(thing)
            assert (len(things(server)), server.ended) == (1, {"t1": "committed"})

    async def test_a_flush_of_several_statements_is_whole_before_the_end(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Thing("1")
            await session.add(thing).commit()
            thing.v = 1
            tx = session.use_transaction()
            flushing = session.add(Thing("2")).flush(lambda *_: None)
            await tx.commit()
            assert await flushing == ["E/1", "E/2"]
            assert things(server) == [{"id": "1", "v": 1}, {"id": "2", "v": 0}]
            assert session.changes() == []

    async def test_a_commit_that_is_lost_is_lost_for_who_waits_for_it(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            tx = session.use_transaction()
            server.loses = "/commit"
            committing = session.add(Thing("1")).commit(lambda *_: None)
            ends = [tx.commit(lambda *_: None), tx.close(lambda *_: None)]
            for end in (committing, ends[0]):
                with pytest.raises(evsession.SessionError) as caught:
                    await end
                assert caught.value.uncertain
            await ends[1]

    async def test_an_end_that_is_cancelled_before_the_commit_has_ended_is_none(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            tx = session.use_transaction()
            committing = session.add(Thing("1")).commit(lambda *_: None)
            ending = tx.rollback(lambda *_: None)
            ending.cancel()
            assert await committing == ["E/1"]
            assert server.ended == {"t1": "committed"}

    @pytest.mark.parametrize("how", ["raises", "timeout"])
    async def test_one_that_a_hook_ends_half_way_is_rolled_back(self, how: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):

            @session.once("insert.post")
            async def stop(event: evsession.CommitEvent) -> None:
                if how == "raises":
                    raise LookupError
                await trio.sleep_forever()

            async def work(tx: evsession.GraphTransaction) -> None:
                session.options.timeout = 2
                with pytest.raises((LookupError, evsession.OperationTimeout)):
                    await session.commit()
                session.options.timeout = None

            thing = Thing("1")
            session.add(thing)
            await evsession.get_transaction(session, work)
            assert (server.ended, things(server)) == ({"t1": "rolled back"}, [])
            assert await session.commit() == ["E/1"]


class TestCommitsBehindTheEndOfATransaction:
    @pytest.mark.parametrize("verb", ["run", "load", "begin", "write_transaction", "save"])
    @pytest.mark.parametrize("end", ["commit", "rollback"])
    @pytest.mark.parametrize("begins", [True, False])
    async def test_nothing_waits_for_an_end_that_is_given_up(
        self, begins: bool, end: str, verb: str, autojump_clock: Clock
    ) -> None:
        async with memory_graph() as (session, server):
            tx = await session.begin_transaction() if begins else session.use_transaction()
            await tx.run(CREATE, {"id": "1"})
            ending = getattr(tx, end)(lambda *_: None)
            ending.cancel()
            call: dict[str, Callable[[], Any]] = {
                "run": lambda: session.run(CREATE, {"id": "2"}),
                "load": lambda: session.load(Thing, "1"),
                "begin": session.begin_transaction,
                "write_transaction": lambda: session.write_transaction(lambda tx: None),
                "save": lambda: NODES(id="1").save(session=session),
            }
            await fail(call[verb](), match="was given up")
            assert tx.is_open
            await tx.run(CREATE, {"id": "3"})
            await tx.commit()
            assert sorted(node["id"] for node in server.nodes.values()) == ["1", "3"]

    @pytest.mark.parametrize("verb", ["commit", "flush"])
    @pytest.mark.parametrize("end", ["commit", "rollback"])
    @pytest.mark.parametrize("hook", ["none", "pause"])
    async def test_they_leave_it_to_that(self, hook: str, end: str, verb: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            if hook == "pause":

                @session.on("insert.pre")
                async def pause(event: evsession.CommitEvent) -> None:
                    await trio.sleep(1)

            tx = session.use_transaction()
            await tx.run(CREATE, {"id": "1"})
            ending = getattr(tx, end)(lambda *_: None)
            assert await getattr(session.add(Thing("1")), verb)() == ["E/1"]
            await ending
            first = "committed" if end == "commit" else "rolled back"
            assert (server.ended, server.opened) == ({"t1": first, "t2": "committed"}, {})
            assert (session.state, server.most) == ("idle", 1)

    async def test_an_end_that_is_given_up_lets_them_keep_their_places(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            tx = session.use_transaction()
            running = tx.run(CREATE, {"id": "1"}, lambda *_: None)
            ending = tx.commit(lambda *_: None)
            commits = [session.add(Thing("1")).commit(lambda *_: None)]
            ending.cancel()
            await fail(ending, evsession.OperationCancelled)
            commits.append(session.add(Thing("2")).commit(lambda *_: None))
            assert not running.is_done
            assert [await commit for commit in commits] == [["E/1"], ["E/2"]]
            assert (len(server.nodes), server.most) == (3, 1)

    @pytest.mark.parametrize("verb", ["commit", "flush"])
    async def test_an_end_that_is_given_up_is_none(self, verb: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            tx = session.use_transaction()
            running = tx.run(CREATE, {"id": "1"}, lambda *_: None)
            ending = tx.commit(lambda *_: None)
            writing = getattr(session.add(Thing("1")), verb)(lambda *_: None)
            ending.cancel()
            await fail(ending, evsession.OperationCancelled)
            assert await writing == ["E/1"]
            assert running.is_done
            assert (tx.is_open, list(server.opened)) == ((False, []) if verb == "commit" else (True, ["t1"]))
            await tx.close()


class TestLostCommits:
    @pytest.mark.parametrize("happens", [True, False])
    @pytest.mark.parametrize("finds_out", [True, False])
    @pytest.mark.parametrize("when", ["meanwhile", "afterwards"])
    async def test_what_was_created_is_deleted_if_it_was(
        self, when: str, finds_out: bool, happens: bool, autojump_clock: Clock
    ) -> None:
        async with memory_graph() as (session, server):
            server.loses = "/commit"
            thing = Thing("1")
            committing = session.add(thing).commit(lambda *_: None)
            if when == "meanwhile":
                session.remove(thing)
            await fail(committing, evsession.ConnectionFailed)
            if when == "afterwards":
                session.remove(thing)
            if not happens:
                server.nodes.clear()
            if finds_out:
                await session.refresh(thing)
            saved = await session.commit()
            assert saved.removed == ([] if finds_out and not happens else ["E/1"])
            assert (things(server), list(session.identity_map), session.changes()) == ([], [], [])

    async def test_it_is_created_after_all(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            server.loses = "/commit"
            thing = Thing("1")
            await fail(session.add(thing).commit(), evsession.ConnectionFailed)
            server.nodes.clear()
            session.remove(thing).add(thing)
            assert await session.commit() == ["E/1"]
            assert things(server) == [{"id": "1", "v": 0}]

    async def test_a_node_of_somebody_else_stays(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            server.loses = "/commit"
            thing = Thing("1")
            await fail(session.add(thing).commit(), evsession.ConnectionFailed)
            for node in server.nodes.values():
                node["v"] = 9
            await session.remove(thing).refresh(thing)
            assert (await session.commit()).removed == []
            assert things(server) == [{"id": "1", "v": 9}]

    @pytest.mark.parametrize("order", ["old", "new", "old new", "new old", "none"])
    @pytest.mark.parametrize("happens", [True, False])
    async def test_what_takes_the_place_of_another_one(self, happens: bool, order: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            old, new = Thing("1", 1), Thing("1", 2)
            await session.add(old).commit()
            before = {identity: dict(node) for identity, node in server.nodes.items()}
            server.loses = "/commit"
            await fail(session.remove(old).add(new).commit(), evsession.ConnectionFailed)
            if not happens:
                server.nodes.clear()
                server.nodes.update(before)
            asked = [old if name == "old" else new for name in order.split() if name != "none"]
            await session.refresh(*asked)
            await session.commit()
            assert things(server) == [{"id": "1", "v": 2}]
            assert session.identity_map.get("E/1") is new

    async def test_what_takes_the_place_of_a_reference(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            server.put("E", id="1", v=1)
            old, new = session.get_reference(Thing, "1"), Thing("1", 2)
            server.loses = "/commit"
            await fail(session.remove(old).add(new).commit(), evsession.ConnectionFailed)
            await session.refresh(old)
            assert session.changes() == []
            await session.commit()
            assert things(server) == [{"id": "1", "v": 2}]

    async def test_what_takes_the_place_of_one_that_is_being_created(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            old, new = Thing("1", 1), Thing("1", 2)
            server.loses = "/commit"
            committing = session.add(old).commit(lambda *_: None)
            session.remove(old).add(new)
            await fail(committing, evsession.ConnectionFailed)
            await session.refresh(old)
            await session.commit()
            assert things(server) == [{"id": "1", "v": 2}]

    async def test_what_a_commit_creates_that_waits_for_a_rollback_is_still_to_be_deleted(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            old, new = Thing("1", 1), Thing("1", 2)
            tx = session.use_transaction()
            flushing = session.add(old).flush(lambda *_: None)
            tx.rollback(lambda *_: None)
            committing = session.commit(lambda *_: None)
            session.remove(old).add(new)
            assert await flushing == ["E/1"]
            assert await committing == ["E/1"]
            assert (await session.commit()).removed == ["E/1"]
            assert things(server) == [{"id": "1", "v": 2}]

    async def test_what_a_second_commit_creates_is_still_to_be_deleted(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Thing("1")
            first, second = session.add(thing).commit(lambda *_: None), session.commit(lambda *_: None)
            session.remove(thing)
            await trio.sleep(0.45)  # all is sent but the end
            first.cancel()
            await fail(first, evsession.OperationCancelled)
            assert await second == ["E/1"]
            assert (await session.commit()).removed == ["E/1"]
            assert things(server) == []


class TestDeletions:
    async def test_a_deletion_that_was_flushed_spares_what_has_taken_the_place(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            old, new = Thing("1", 1), Thing("1", 2)
            await session.add(old).commit()
            session.use_transaction()
            flushing = session.remove(old).add(new).flush(lambda *_: None)
            assert await session.commit() == []
            assert (await flushing).removed == ["E/1"]
            assert things(server) == [{"id": "1", "v": 2}]

    @pytest.mark.parametrize("verb", ["commit", "flush"])
    async def test_what_is_added_again_meanwhile_is_created_again(self, verb: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Thing("1")
            await session.add(thing).commit()
            tx = session.use_transaction() if verb == "flush" else None
            deleting = getattr(session.remove(thing), verb)(lambda *_: None)
            await trio.sleep(0.2)
            session.add(thing)
            assert (await deleting).removed == ["E/1"]
            assert session.is_dirty(thing)
            if tx is not None:
                await session.rollback()
                assert (session.is_dirty(thing), things(server)) == (False, [{"id": "1", "v": 0}])
            else:
                assert things(server) == []
                assert await session.commit() == ["E/1"]
                assert things(server) == [{"id": "1", "v": 0}]

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    async def test_what_is_added_again_after_a_flush(self, end: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Thing("1")
            await session.add(thing).commit()
            session.use_transaction()
            await session.remove(thing).flush()
            session.add(thing)
            await getattr(session, end)()
            assert (things(server), session.changes()) == ([{"id": "1", "v": 0}], [])
            assert thing in session.identity_map

    @pytest.mark.parametrize("tracks", [True, False])
    async def test_the_program_may_commit_the_transaction_itself(self, tracks: bool, autojump_clock: Clock) -> None:
        async with memory_graph(with_identity_map=tracks) as (session, server):
            thing = Thing("1")
            await session.add(thing).commit()
            tx = await session.begin_transaction()
            await session.remove(thing).flush()
            session.add(thing)
            await tx.commit()
            assert (things(server), session.is_dirty(thing)) == ([], True)
            await session.commit()
            assert things(server) == [{"id": "1", "v": 0}]

    @pytest.mark.parametrize("happens", [True, False])
    async def test_what_is_added_again_while_nobody_knows(self, happens: bool, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Thing("1")
            await session.add(thing).commit()
            before = dict(server.nodes)
            server.loses = "/commit"
            await fail(session.remove(thing).commit(), evsession.ConnectionFailed)
            server.nodes.update({} if happens else before)
            await session.add(thing).refresh(thing)
            assert await session.commit() == (["E/1"] if happens else [])
            assert things(server) == [{"id": "1", "v": 0}]


class TestSessionsWithoutAnIdentityMap:
    @pytest.mark.parametrize("edits", [True, False])
    @pytest.mark.parametrize("way", ["load", "load several", "find", "hydrate"])
    async def test_a_reference_becomes_what_is_loaded(self, way: str, edits: bool, autojump_clock: Clock) -> None:
        async with memory_graph(with_identity_map=False) as (session, server):
            server.put("E", id="1", v=3)
            thing = session.get_reference(Thing, "1")
            if edits:
                thing.v = 5
            if way == "hydrate":
                await session.hydrate(thing)
            elif way == "load":
                assert await session.load(Thing, "1") is thing
            elif way == "load several":
                assert await session.load(Thing, ["1", "2"]) == [thing]
            else:
                assert await session.find(Thing) == [thing]
            assert thing.v == (5 if edits else 3)
            assert (await session.remove(thing).commit()).removed == ["E/1"]
            assert (things(server), len(session.identity_map)) == ([], 0)

    async def test_what_is_added_is_not_what_is_loaded(self, autojump_clock: Clock) -> None:
        async with memory_graph(with_identity_map=False) as (session, server):
            server.put("E", id="1", v=3)
            thing = Thing("1")
            session.add(thing)
            assert await session.load(Thing, "1") is not thing
            session.evict(thing)

    @pytest.mark.parametrize("waits", [True, False])
    @pytest.mark.parametrize("what", ["removal", "edit", "increment", "nothing", "nonsense"])
    async def test_what_is_asked_while_it_is_written(self, what: str, waits: bool, autojump_clock: Clock) -> None:
        async with memory_graph(with_identity_map=False) as (session, server):
            thing = Thing("1")
            await session.add(thing).commit()
            commits = [session.add(thing).commit(lambda *_: None) for _ in range(2 if waits else 1)]
            if what == "removal":
                session.remove(thing)
            elif what == "increment":
                session.increment(thing, "v", 3)
            elif what != "nothing":
                thing.v = object() if what == "nonsense" else 3  # type: ignore[assignment]
                session.add(thing)
            for commit in commits:
                assert await commit == ["E/1"]
            thing.v = 3
            await session.commit()
            left = [] if what == "removal" else [{"id": "1", "v": 0 if what == "nothing" else 3}]
            assert (things(server), list(session.identity_map)) == (left, [])


class TestModels:
    @pytest.mark.parametrize("verb", ["save", "delete"])
    async def test_what_is_removed_while_it_waits_is_gone_if_it_is_cut_off(self, verb: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, _):
            one = NODES(id="1")
            session.run(CREATE, {"id": "1"}, lambda *_: None)
            session.add(one)
            operation = getattr(one, verb)(lambda *_: None, session=session)
            session.remove(one)
            operation.cancel()
            await fail(operation, evsession.OperationCancelled)
            assert (session.changes(), list(session.identity_map)) == ([], [])

    @pytest.mark.parametrize("more", [0, 3])
    async def test_what_a_save_has_set_is_not_added_again(self, more: int, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            one = NODES(id="1", v=0)
            await session.add(one).commit()
            session.increment(one, "v", 1)
            one.save(lambda *_: None, session=session)
            if more:
                session.increment(one, "v", more)
            assert await session.commit() == (["E/1"] if more else [])
            assert (one.v, things(server), session.changes()) == (1 + more, [{"id": "1", "v": 1 + more}], [])

    @pytest.mark.parametrize("is_new", [True, False])
    @pytest.mark.parametrize("place", ["session", "transaction"])
    async def test_a_commit_that_was_called_after_a_deletion(self, place: str, is_new: bool, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            one = NODES(id="1")
            session.add(one)
            if not is_new:
                await session.commit()
                one.v = 1
            if place == "transaction":
                session.use_transaction()
            one.delete(lambda *_: None, session=session)
            assert await session.commit() == []
            assert (things(server), session.changes(), list(session.identity_map)) == ([], [], [])


class TestIncrements:
    async def test_those_of_a_commit_that_is_cut_off_go_to_later_ones(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Counter("1")
            await session.add(thing).commit()
            running = session.run(CREATE, {"id": "1"}, lambda *_: None)
            thing.name = "Max"
            commits = [session.commit(lambda *_: None)]
            for _ in range(3):
                session.increment(thing, "v", 1)
                commits.append(session.commit(lambda *_: None))
            commits[1].cancel()
            commits[3].cancel()
            await running
            for commit, sum in ((commits[0], 0), (commits[2], 2), (session.commit(), 3)):
                assert await commit == ["E/1"]
                assert things(server) == [{"id": "1", "v": sum, "name": "Max"}]
            assert (thing.v, session.changes()) == (3, [])

    @pytest.mark.parametrize("later", ["nothing", "before", "behind"])
    async def test_those_that_were_reverted_are_gone_with_the_commit(self, later: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Thing("1")
            await session.add(thing).commit()
            session.increment(thing, "v", 1)
            first = session.commit(lambda *_: None)
            second = session.commit(lambda *_: None) if later == "before" else None
            session.revert(thing)
            second = session.commit(lambda *_: None) if later == "behind" else second
            first.cancel()
            await fail(first, evsession.OperationCancelled)
            if second is not None:
                await second
            assert [node["v"] for node in things(server)] == [1 if later == "before" else 0]
            await session.commit()
            assert (thing.v, things(server), session.changes()) == (0, [{"id": "1", "v": 0}], [])

    async def test_those_of_a_transaction_that_is_rolled_back_go_to_the_next_commit(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Thing("1")
            await session.add(thing).commit()
            session.increment(thing, "v", 1)
            first, second = session.commit(lambda *_: None), session.commit(lambda *_: None)
            await trio.sleep(0.45)  # all is sent but the end
            first.cancel()
            await fail(first, evsession.OperationCancelled)
            assert await second == ["E/1"]
            assert (things(server), thing.v) == ([{"id": "1", "v": 1}], 1)
            assert await session.commit() == []


class TestRefreshing:
    @pytest.mark.parametrize("what", ["edit", "increment", "both", "removal", "nonsense", "commit", "nothing", "force"])
    async def test_edits_that_are_made_meanwhile_stay(self, what: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Thing("1")
            await session.add(thing).commit()
            for node in server.nodes.values():
                node["v"] = 5
            refreshing = session.refresh(thing, force=what == "force", callback=lambda *_: None)
            if what in ("edit", "both", "commit", "force"):
                thing.v = 7
            if what in ("increment", "both"):
                session.increment(thing, "v", 1)
            if what == "removal":
                session.remove(thing)
            if what == "nonsense":
                thing.v = object()  # type: ignore[assignment]
            committing = session.commit(lambda *_: None) if what == "commit" else None
            await refreshing
            if committing is not None:
                assert await committing == ["E/1"]
            if what == "nonsense":
                thing.v = 7
            expected = {"increment": 6, "both": 8, "removal": 0, "nothing": 5, "force": 5}.get(what, 7)
            assert thing.v == expected
            assert session.is_dirty(thing) == (what not in ("commit", "nothing", "force"))
            await session.commit()
            assert things(server) == ([] if what == "removal" else [{"id": "1", "v": expected}])


class TestManagedWork:
    @pytest.mark.parametrize("verb", ["run", "load", "begin", "write_transaction", "use", "get_transaction", "relate_to"])
    async def test_nothing_waits_for_the_work_when_its_transaction_has_ended(self, verb: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, _):
            verbs: dict[str, Callable[[], Any]] = {
                "run": lambda: session.run("RETURN 1"),
                "load": lambda: session.load(Thing, "1"),
                "begin": session.begin_transaction,
                "write_transaction": lambda: session.write_transaction(lambda tx: None),
                "use": session.use_transaction,
                "get_transaction": lambda: evsession.get_transaction(session, lambda tx: None),
                "relate_to": lambda: NODES.relate_to("to", {"source": None, "target": {"id": "1"}}, expected=1, session=session),
            }

            async def work(tx: evsession.GraphTransaction) -> None:
                await tx.rollback()
                await refuse(verbs[verb], "would wait for that work")

            await session.write_transaction(work)

    @pytest.mark.parametrize("verb", ["load", "run", "tx.run", "tx.commit", "tx.close", "get_transaction"])
    @pytest.mark.parametrize("before", ["nothing", "a flush"])
    async def test_nor_for_what_waits_for_it(self, before: str, verb: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, _):
            if before == "a flush":
                session.add(Thing("1")).flush(lambda *_: None)

            async def work(tx: evsession.GraphTransaction) -> None:
                await trio.sleep(1)
                assert later is not None
                verbs: dict[str, Callable[[], Any]] = {
                    "load": lambda: session.load(Thing, "2"),
                    "run": lambda: session.run("RETURN 1"),
                    "tx.run": lambda: later.run("RETURN 1"),
                    "tx.commit": later.commit,
                    "tx.close": later.close,
                    "get_transaction": lambda: evsession.get_transaction(session, lambda tx: None),
                }
                await refuse(verbs[verb])
                assert later.is_open

            managing = session.write_transaction(work, lambda *_: None)
            later: Any = None

            async def use(given: evsession.GraphSession) -> None:
                nonlocal later
                later = given.use_transaction()

            using = session.transaction(use, lambda *_: None)
            await managing
            await using
