"""What reading again makes of nodes whose last write is in doubt, or that are edited meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import evsession
from tests.unit.neo4j.typed import DISCOVERY_5
from tests.unit.session.graphs.scripted import scripted_graph
from tests.unit.session.graphs.test_overlaps import Clock, Counter, Thing, fail, memory_graph, things
from tests.unit.session.graphs.test_work import Dog, dog_node, found


async def test_a_forced_refresh_ends_the_doubt(autojump_clock: Clock) -> None:
    async with memory_graph() as (session, server):
        server.put("E", id="1", v=1)
        thing = await session.load(Thing, "1")
        assert thing is not None
        session.increment(thing, "v", 2)
        server.loses = "/commit"
        await fail(session.commit(), evsession.ConnectionFailed)
        server.nodes.clear()
        server.put("E", id="1", v=9)
        with pytest.raises(evsession.SessionError) as caught:
            await session.refresh(thing)
        assert caught.value.uncertain
        await session.refresh(thing, force=True)
        assert (thing.v, session.changes()) == (9, [])
        thing.v = 10
        with pytest.raises(evsession.DirtyEntity, match="has unsaved changes"):
            session.refresh(thing)
        await session.commit()
        assert things(server) == [{"id": "1", "v": 10}]


async def test_one_that_is_to_be_deleted_and_was_never_created_is_forgotten(autojump_clock: Clock) -> None:
    async with memory_graph() as (session, server):
        thing = Thing("1")
        server.loses = "/commit"
        await fail(session.add(thing).commit(), evsession.ConnectionFailed)
        server.nodes.clear()
        await session.remove(thing).refresh(thing)
        assert (session.changes(), len(session.identity_map)) == ([], 0)


async def test_of_a_reference_that_was_flushed_and_then_loaded_only_what_was_set_is_pending_again(autojump_clock: Clock) -> None:
    async with memory_graph() as (session, server):
        server.put("E", id="1", v=3, name="theirs")
        thing = session.get_reference(Counter, "1")
        thing.v = 5
        session.use_transaction()
        await session.flush()
        assert await session.load(Counter, "1") is thing
        await session.rollback()
        assert list(session.changes(thing)) == ["v"]
        await session.commit()
        assert things(server) == [{"id": "1", "v": 5, "name": "theirs"}]


async def test_an_increment_while_it_is_refreshed_is_still_one(autojump_clock: Clock) -> None:
    async with memory_graph() as (session, server):
        server.put("E", id="1", v=3)
        thing = await session.load(Thing, "1")
        assert thing is not None
        refreshing = session.refresh(thing, callback=lambda *_: None)
        await trio.sleep(0.05)
        session.increment(thing, "v")
        await refreshing
        server.nodes.clear()
        server.put("E", id="1", v=30)
        await session.commit()
        assert (things(server), thing.v) == ([{"id": "1", "v": 31}], 31)


@pytest.mark.parametrize("many", [True, False])
async def test_what_the_server_is_too_old_for_is_named_by_entity_and_property(many: bool) -> None:
    async with scripted_graph(DISCOVERY_5, DISCOVERY_5) as (session, transport):
        vector: Any = evsession.Vector("INT8", (1,))
        session.add(*([Dog("1")] if many else []), Dog("2", vector))
        with pytest.raises(evsession.UnsupportedFeature, match="name of 'Dog/2'") as caught:
            await session.commit()
        assert (caught.value.key, caught.value.path) == ("Dog/2", "name")
        assert [request.target for request in transport.requests] == ["/"]
        assert len(session.changes()) == 1 + many


async def test_two_nodes_of_one_key_are_told_behind_one_without_a_key() -> None:
    twin = dog_node(id="1")
    twin["_value"]["_element_id"] = "4:x:2"
    async with scripted_graph(found(dog_node(name="Max"), dog_node(id="1"), twin)) as (session, _):
        with pytest.raises(evsession.KeyConflict, match="two nodes have the key"):
            await session.find(Dog)
        assert len(session.identity_map) == 0
