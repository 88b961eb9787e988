"""Hooks of commits of one graph session that overlap: what they did in one that fails is taken back wherever it has got."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

import evsession
from tests.unit.session.graphs.test_overlaps import CREATE, Counter, Thing, fail, memory_graph, things

Clock = trio.testing.MockClock


def once(session: evsession.GraphSession, event: str, deed: Callable[[evsession.CommitEvent], Any]) -> None:
    """Let the first commit that comes to the event do something, take its time, and fail in the end."""

    @session.once(event)
    async def hook(event: evsession.CommitEvent) -> None:
        deed(event)
        await trio.sleep(1)
        raise LookupError


class TestCommitsThatWait:
    """What a hook has done in a commit that fails is in what was frozen for a later one."""

    @pytest.mark.parametrize("event", ["insert.pre", "insert.post"])
    async def test_what_was_added_is_not_written(self, event: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            added = Thing("2")
            once(session, event, lambda event: session.add(added))
            first = session.add(Thing("1")).commit(lambda *_: None)
            await trio.sleep(0.7)
            second = session.commit(lambda *_: None)
            await fail(first, LookupError)
            assert await second == ["E/1"]
            assert [node["id"] for node in things(server)] == ["1"]
            assert added not in session.identity_map
            assert session.changes() == []

    async def test_what_was_removed_is_not_deleted(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Thing("1")
            await session.add(thing).commit()
            once(session, "insert.pre", lambda event: session.remove(thing))
            thing.v = 1
            first = session.add(Thing("2")).commit(lambda *_: None)
            await trio.sleep(0.1)
            second = session.commit(lambda *_: None)
            await fail(first, LookupError)
            assert (await second).removed == []
            await session.commit()
            assert sorted((node["id"], node["v"]) for node in things(server)) == [("1", 1), ("2", 0)]

    async def test_what_was_vetoed_is_not_written(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Thing("1")

            @session.once("insert.pre")
            def veto(event: evsession.CommitEvent) -> None:
                event.prevent(thing)

            session.add(thing).commit(lambda *_: None)
            assert await session.add(Thing("2")).commit() == ["E/2"]
            assert [node["id"] for node in things(server)] == ["2"]
            assert thing not in session.identity_map

    @pytest.mark.parametrize("what", ["new", "known", "reference"])
    @pytest.mark.parametrize("waits", [True, False])
    async def test_what_was_added_to_a_field(self, waits: bool, what: str, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Counter("1")
            if what == "reference":
                server.put("E", id="1", v=0)
                thing = session.get_reference(Counter, "1")
            elif what == "known":
                await session.add(thing).commit()
            session.add(thing)
            thing.name = "Max"
            event = "insert.pre" if what == "new" else "update.pre"
            once(session, event, lambda event: session.increment(thing, "v", 2))
            first = session.commit(lambda *_: None)
            await trio.sleep(0.1)
            second = session.commit(lambda *_: None) if waits else None
            await fail(first, LookupError)
            assert await (session.commit() if second is None else second) == ["E/1"]
            assert session.changes() == []
            await session.refresh(thing)
            assert (thing.v, things(server)[0]["v"]) == (0, 0)

    async def test_what_was_added_to_a_field_that_is_assigned(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Thing("1")
            await session.add(thing).commit()
            session.once("commit.pre", lambda event: session.increment(thing, "v", 1))
            thing.v = 5
            first, second = session.commit(lambda *_: None), session.commit(lambda *_: None)
            await trio.sleep(0.35)  # all is sent but the end
            first.cancel()
            await fail(first, evsession.OperationCancelled)
            assert await second == ["E/1"]
            assert await session.commit() == []
            assert (thing.v, things(server)[0]["v"]) == (5, 5)

    async def test_what_one_that_is_cut_off_was_to_add(self, autojump_clock: Clock) -> None:
        async with memory_graph() as (session, server):
            thing = Counter("1")
            await session.add(thing).commit()

            @session.once("update.pre")
            async def pause(event: evsession.CommitEvent) -> None:
                await trio.sleep(1)

            thing.name = "Max"
            first = session.commit(lambda *_: None)
            session.increment(thing, "v", 1)
            second = session.commit(lambda *_: None)
            await trio.sleep(0.5)
            second.cancel()
            assert await first == ["E/1"]
            await session.commit()
            assert (thing.v, things(server)[0]["v"], session.changes()) == (1, 1, [])


async def test_a_veto_of_all_lasts_whatever_becomes_of_later_transactions(autojump_clock: Clock) -> None:
    async with memory_graph() as (session, _):
        thing = Thing("1")
        session.once("insert.pre", lambda event: event.prevent())
        assert await session.add(thing).commit() == []
        async with session.transaction() as tx:
            await tx.run(CREATE, {"id": "1"})
            await session.rollback()
        assert thing not in session.identity_map
        assert await session.commit() == []
