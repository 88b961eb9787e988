"""A trio application: one store for the whole program, and a session for each piece of work.

Workers take the names of guests from a channel and register each in a session of its own. Operations are awaited; cancelling a
task cancels the operation that it awaits, and the store's time limit bounds each of them.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import trio

import evsession

DATABASE = os.environ.get("EVSESSION_DATABASE", "Examples")
NAMES = ["Max", "Jess", "Billy", "Russell", "Bella", "Rocky"]
WORKERS = 3


@evsession.document
@dataclass
class Guest:
    """Somebody who comes here, and how often."""

    name: str
    visits: int = 0
    id: str | None = None


async def register(session: evsession.Session, name: str) -> None:
    guest = await session.load(f"guests/{name.lower()}", type=Guest)
    if guest is None:
        guest = Guest(name, id=name)
        session.store(guest)
    guest.visits += 1
    await session.save()


async def work(store: evsession.Store, names: trio.MemoryReceiveChannel[str]) -> None:
    async with names:
        async for name in names:
            async with store.open_session() as session:
                await register(session, name)


async def report(store: evsession.Store) -> None:
    async with store.open_session() as session:
        guests, statistics = await session.query(Guest, sort="name", wait_for_non_stale=True)
        for guest in guests:
            print(guest.id, guest.visits)
        print(statistics.total, "guests")


async def main() -> None:
    url = os.environ.get("EVSESSION_URL", "http://127.0.0.1:8080")
    async with evsession.Store(url, database=DATABASE, options={"timeout": 30}) as store:
        with contextlib.suppress(evsession.ConcurrencyError):  # 409: there is one of this name already
            await store.create_database(DATABASE)
        send, receive = trio.open_memory_channel[str](0)
        async with trio.open_nursery() as nursery, send:
            for _ in range(WORKERS):
                nursery.start_soon(work, store, receive.clone())
            receive.close()
            for name in NAMES:
                await send.send(name)
        await report(store)


if __name__ == "__main__":
    trio.run(main)
