"""Managed transactions: two programs change two nodes in opposite order, deadlock, and are tried again until both are done.

The library begins, commits or rolls back, and tries again what may pass. A commit whose outcome is unknown is never tried again.
"""

from __future__ import annotations

import os

import trio

import evsession

URL = os.environ.get("EVSESSION_GRAPH_URL", "http://127.0.0.1:7474")


async def transfer(graph: evsession.GraphStore, source: str, target: str, amount: int) -> None:
    async def work(tx: evsession.GraphTransaction) -> int:
        await tx.run("MATCH (a:ExampleAccount {id: $id}) SET a.amount = a.amount - $n", {"id": source, "n": amount})
        await trio.sleep(0.2)  # long enough for the other one to lock its first account
        result = await tx.run(
            "MATCH (a:ExampleAccount {id: $id}) SET a.amount = a.amount + $n RETURN a.amount", {"id": target, "n": amount}
        )
        balance: int = result.value()
        return balance

    async with graph.open_session() as session:
        session.on("retry", lambda event: print("deadlock, once more:", event.error.code.endswith("DeadlockDetected")))
        session.options.retry_delay = 0.1
        await session.write_transaction(work, timeout=10)


async def main() -> None:
    async with evsession.GraphStore(URL) as graph, graph.open_session() as session:
        await session.run("UNWIND ['a', 'b'] AS id CREATE (:ExampleAccount {id: id, amount: 100})")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transfer, graph, "a", "b", 10)
            nursery.start_soon(transfer, graph, "b", "a", 30)
        result = await session.run("MATCH (a:ExampleAccount) RETURN a.id AS id, a.amount AS amount ORDER BY id")
        print(result.data())
        await session.run("MATCH (a:ExampleAccount) DELETE a")


if __name__ == "__main__":
    trio.run(main)
