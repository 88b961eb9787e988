"""What entities of a real Neo4j are made of: what a node lacks, kinds of keys, classes and values that cannot be."""

from __future__ import annotations

import dataclasses

import evsession


async def test_none_survives(graph: evsession.GraphStore, label: str) -> None:
    @evsession.node(label)
    @dataclasses.dataclass
    class Opt:
        id: str
        name: str | None = "dflt"
        count: int | None = 5
        legs: int = 4

    async with graph.open_session() as one, graph.open_session() as other, graph.open_session() as third:
        await one.add(Opt("1", name=None, count=None)).commit()
        await one.run(f"MATCH (n:{label}) REMOVE n.legs")
        loaded = await other.load(Opt, "1")
        assert loaded == Opt("1", None, None, 4)
        assert not other.is_dirty(loaded)
        await other.refresh(loaded)
        assert (loaded, other.changes()) == (Opt("1", None, None, 4), [])
        (found,) = await third.find(Opt, {"name": None})
        reference = third.get_reference(Opt, "1")
        assert (found, reference is found, third.changes()) == (loaded, True, [])
        found.name = "x"
        third.revert(found)
        assert (found, third.changes()) == (loaded, [])
        third.clear()
        reference = third.get_reference(Opt, "1")
        await third.hydrate(reference)
        assert (reference, third.changes(), await third.commit()) == (loaded, [], [])
