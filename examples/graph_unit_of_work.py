"""The unit of work on a graph: plain classes are nodes; a commit is one transaction, one statement for each kind of change."""

from __future__ import annotations

import os
from dataclasses import dataclass

import trio

import evsession

URL = os.environ.get("EVSESSION_GRAPH_URL", "http://127.0.0.1:7474")


@evsession.node("ExampleDog", key="id")
@dataclass
class Dog:
    """Somebody with four legs."""

    id: str
    name: str
    age: int = 0


async def main() -> None:
    async with evsession.GraphStore(URL) as graph, graph.open_session() as session:
        requests: list[evsession.WireEvent] = []
        session.add_listener("request", requests.append)
        dogs = [Dog(str(n), f"dog {n}", n) for n in range(1000)]
        print("new:", len(await session.add(*dogs).commit()), "in requests:", len(requests))

        dogs[0].name = "Max"
        session.increment(dogs[1], "age", 5)
        session.remove(dogs[2])
        saved = await session.commit()
        print("changed:", saved, "removed:", saved.removed, dogs[1].age)

        try:
            async with session.transaction():
                dogs[0].name = "Moritz"
                await session.flush()
                seen = await session.run("MATCH (n:ExampleDog {id: '0'}) RETURN n.name")
                print("seen in the transaction:", seen.value())
                raise RuntimeError("never mind")
        except RuntimeError:
            print("pending again:", session.is_dirty(dogs[0]))
        session.revert(dogs[0])
        print("as it was:", dogs[0].name, await session.load(Dog, "0") is dogs[0])
        print("left:", len(await session.remove(*dogs[:2], *dogs[3:]).commit()))


if __name__ == "__main__":
    trio.run(main)
