"""Causal chaining: what one session wrote, another one reads, also on another member of a cluster or in another program."""

from __future__ import annotations

import os

import trio

import evsession

URL = os.environ.get("EVSESSION_GRAPH_URL", "http://127.0.0.1:7474")


async def hire(graph: evsession.GraphStore, name: str) -> evsession.Bookmark | None:
    async with graph.open_session() as session:
        await session.write_transaction(lambda tx: tx.run("CREATE (:ExampleEmployee {name: $name})", {"name": name}))
        return session.last_bookmark()


async def main() -> None:
    async with evsession.GraphStore(URL) as one, evsession.GraphStore(URL) as other:
        marks = [await hire(one, "Alice"), await hire(other, "Bob")]
        # Without the bookmarks this session might read from a member of the cluster that has not heard of Alice and Bob yet.
        async with one.open_session("read", [mark for mark in marks if mark is not None]) as session:
            result = await session.run("MATCH (e:ExampleEmployee) RETURN e.name ORDER BY e.name")
            print("both are there:", result.values(0))
        async with one.open_session() as session:
            before = session.last_bookmark()
            await session.run("MATCH (e:ExampleEmployee) DELETE e")
            print("a bookmark of its own now:", before is None, session.last_bookmark() not in marks)


if __name__ == "__main__":
    trio.run(main)
