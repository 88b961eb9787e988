"""Optimistic concurrency: a save fails with 409 if the document changed meanwhile; then load it again, and edit it again.

Eight tasks add a year to the same dog at the same time. No year is lost, and the retry is bounded.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass

import trio

import evsession

DATABASE = os.environ.get("EVSESSION_DATABASE", "Examples")
TASKS = 8
# A task's save fails only if another one's has succeeded since its load, and each of the others succeeds once.
ATTEMPTS = TASKS


@evsession.document
@dataclass
class Dog:
    """A dog, with its age in years."""

    name: str
    age: int
    id: str | None = None


async def change(store: evsession.Store, key: str, edit: Callable[[Dog], None]) -> None:
    """Edit the document, on its newest version."""
    for attempt in range(1, ATTEMPTS + 1):
        async with store.open_session() as session:  # a new session knows nothing, so it loads what is there now
            session.options.use_optimistic_concurrency = True
            dog = await session.load(key, type=Dog)
            if dog is None:
                raise LookupError(key)
            edit(dog)
            try:
                await session.save()
                return
            except evsession.ConcurrencyError:
                if attempt == ATTEMPTS:
                    raise


def add_year(dog: Dog) -> None:
    dog.age += 1


async def main() -> None:
    url = os.environ.get("EVSESSION_URL", "http://127.0.0.1:8080")
    async with evsession.Store(url, database=DATABASE) as store:
        with contextlib.suppress(evsession.ConcurrencyError):  # 409: there is one of this name already
            await store.create_database(DATABASE)
        async with store.open_session() as session:
            session.store(Dog("Max", 12, id="Max"))
            await session.save()

        async with store.open_session() as late, store.open_session() as fresh:
            late.options.use_optimistic_concurrency = True
            max = await late.load("dogs/max", type=Dog)
            assert max is not None
            async with trio.open_nursery() as nursery:
                for _ in range(TASKS):
                    nursery.start_soon(change, store, "dogs/max", add_year)
            max.age = 0
            try:
                await late.save()
            except evsession.ConcurrencyError as error:
                print("too late:", error.status_code, error.key, error.actual != error.expected)
            print(await fresh.load("dogs/max", type=Dog))


if __name__ == "__main__":
    trio.run(main)
