"""Prints what graph sessions cost beside others: ``python -m tests.benchmarks.graph [--url URL] [--bolt URL] [--rounds N]``.

Needs a Neo4j that asks for no login, and for the peers the packages neo4j and neo4j-rust-ext; without them there is only ours.
Figures are of the client's CPU, microseconds for each item, the median of rounds in which the clients take turns; ratios are
medians of those within a round.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from statistics import median
from time import process_time
from typing import Any

import h11
import msgspec
import trio

import evsession
from evsession.neo4j.statements import GraphDatabase, Opening, Statement, statement_request

neo4j: Any
try:
    neo4j = import_module("neo4j")
except ModuleNotFoundError:
    neo4j = None

Measured = Callable[[], float]

ONE = "RETURN $x AS x"
ROWS = "UNWIND range(1, 10000) AS i RETURN i, 'text ' + i AS text, i / 3.0 AS third"
MILLION = "UNWIND range(1, 1000000) AS i RETURN i, 'text' AS text"
TIMES, NODES = 200, 10_000


@evsession.node("Bench", key="id")
class Thing:
    """A new node."""

    def __init__(self, number: int) -> None:
        self.id, self.name, self.weight = f"b{number}", f"thing {number}", number / 3


class Bench:
    """One server and all clients."""

    def __init__(self, url: str, bolt: str) -> None:
        self.url, self.bolt = url, bolt

    def ours(self, work: Callable[[evsession.GraphSession], Awaitable[float]]) -> float:
        async def main() -> float:
            async with evsession.GraphStore(self.url) as graph, graph.open_session() as session:
                return await work(session)

        return trio.run(main)

    def official_async(self, work: Callable[[Any], Awaitable[float]]) -> float:
        async def main() -> float:
            async with neo4j.AsyncGraphDatabase.driver(self.bolt) as driver, driver.session(database="neo4j") as session:
                return await work(session)

        return asyncio.run(main())

    def official(self, work: Callable[[Any], float]) -> float:
        with neo4j.GraphDatabase.driver(self.bolt) as driver, driver.session(database="neo4j") as session:
            return work(session)

    # One row.

    def one_ours(self) -> float:
        async def work(session: evsession.GraphSession) -> float:
            async def once() -> None:
                assert (await session.run(ONE, {"x": 1})).single()["x"] == 1

            return await timed(once)

        return self.ours(work)

    def one_official(self) -> float:
        async def work(session: Any) -> float:
            async def once() -> None:
                assert (await (await session.run(ONE, {"x": 1})).single())["x"] == 1

            return await timed(once)

        return self.official_async(work)

    def one_bare(self) -> float:
        request = statement_request(
            GraphDatabase("neo4j"), Statement.of(ONE, {"x": 1}), Opening("WRITE", (), evsession.TransactionConfig()), "t" * 34
        )
        host = self.url.removeprefix("http://")
        decoder, encoder, shape = msgspec.json.Decoder(), msgspec.json.Encoder(), json.loads(request.body)
        headers = [("Host", host), ("User-Agent", "bare"), *request.headers]

        async def main() -> float:
            name, _, port = host.partition(":")
            stream = await trio.open_tcp_stream(name, int(port))
            http = h11.Connection(h11.CLIENT)

            async def once() -> None:
                body = encoder.encode(shape)
                head = h11.Request(method="POST", target=request.target, headers=[*headers, ("Content-Length", str(len(body)))])
                sent = [http.send(event) or b"" for event in (head, h11.Data(data=body), h11.EndOfMessage())]
                await stream.send_all(b"".join(sent))
                pieces = []
                while True:
                    event = http.next_event()
                    if event is h11.NEED_DATA:
                        http.receive_data(await stream.receive_some(65_536))
                    elif isinstance(event, h11.Data):
                        pieces.append(bytes(event.data))
                    elif isinstance(event, h11.EndOfMessage):
                        break
                http.start_next_cycle()
                assert int(decoder.decode(b"".join(pieces))["data"]["values"][0][0]["_value"]) == 1

            async with stream:
                return await timed(once)

        return trio.run(main)

    # Many rows.

    def rows_ours(self) -> float:
        async def work(session: evsession.GraphSession) -> float:
            async def once() -> None:
                for record in await session.run(ROWS):
                    record["i"], record["text"], record["third"]

            return await timed(once, 5, 10_000)

        return self.ours(work)

    def rows_official(self) -> float:
        def work(session: Any) -> float:
            def once() -> None:
                for record in session.run(ROWS):
                    record["i"], record["text"], record["third"]

            once()
            begun = process_time()
            for _ in range(5):
                once()
            return (process_time() - begun) / 50_000 * 1e6

        return self.official(work)

    # A managed transaction.

    def managed_ours(self) -> float:
        async def work(session: evsession.GraphSession) -> float:
            return await timed(lambda: session.write_transaction(lambda tx: tx.run(ONE, {"x": 1})))

        return self.ours(work)

    def managed_official(self) -> float:
        async def work(session: Any) -> float:
            async def change(tx: Any) -> Any:
                return await (await tx.run(ONE, {"x": 1})).single()

            return await timed(lambda: session.execute_write(change))

        return self.official_async(work)

    # New nodes.

    def nodes_ours(self) -> float:
        async def work(session: evsession.GraphSession) -> float:
            things = [Thing(number) for number in range(NODES)]
            begun = process_time()
            await session.add(*things).commit()
            took = process_time() - begun
            await session.run("MATCH (n:Bench) DELETE n")
            return took / NODES * 1e6

        return self.ours(work)

    def nodes_official(self) -> float:
        def work(session: Any) -> float:
            things = [Thing(number) for number in range(NODES)]
            begun = process_time()
            with session.begin_transaction() as tx:
                for thing in things:
                    tx.run("CREATE (n:Bench) SET n = $properties", {"properties": vars(thing)})
                tx.commit()
            took = process_time() - begun
            session.run("MATCH (n:Bench) DELETE n").consume()
            return took / NODES * 1e6

        return self.official(work)

    def memory(self) -> float:
        """Return by how many megabytes the process grows while a million rows are streamed."""

        async def work(session: evsession.GraphSession) -> float:
            before = 0
            async for record in session.stream(MILLION):
                if record["i"] == 20_000:
                    gc.collect()
                    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

        return self.ours(work)


async def timed(once: Callable[[], Awaitable[object]], times: int = TIMES, items: int = 1) -> float:
    """Return the CPU of one item in microseconds."""
    for _ in range(max(times // 10, 1)):
        await once()
    begun = process_time()
    for _ in range(times):
        await once()
    return (process_time() - begun) / times / items * 1e6


def race(title: str, clients: Mapping[str, Measured], rounds: int) -> None:
    """Print a line for what the clients need, and their ratios to the first one's."""
    seen: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(rounds):
        for name, measure in clients.items():
            seen[name].append(measure())
    first, *others = seen
    parts = [f"{name} {median(figures):.1f} us" for name, figures in seen.items()]
    ratios = [f"{median(a / b for a, b in zip(seen[first], seen[name], strict=True)):.2f}x {name}" for name in others]
    print(f"{title}: {', '.join(parts)}; {first} is {', '.join(ratios)}")


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.graph")
    parser.add_argument("--url", default=os.environ.get("EVSESSION_TEST_NEO4J", "http://127.0.0.1:7474"))
    parser.add_argument("--bolt", default="bolt://127.0.0.1:7687")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    bench = Bench(given.url.rstrip("/"), given.bolt)
    print(f"a million rows streamed: {bench.memory():.1f} MB more memory")
    official = neo4j is not None
    one = {"ours": bench.one_ours, "bare": bench.one_bare} | ({"neo4j async": bench.one_official} if official else {})
    race("one row", one, given.rounds)
    if not official:
        return
    race("10,000 rows, each", {"ours": bench.rows_ours, "neo4j": bench.rows_official}, given.rounds)
    race("managed write of one statement", {"ours": bench.managed_ours, "neo4j async": bench.managed_official}, given.rounds)
    race("10,000 new nodes, each", {"ours": bench.nodes_ours, "neo4j": bench.nodes_official}, 3)


if __name__ == "__main__":
    main()
