"""The main job in one program: make a database, store typed documents, load, query, change, save and delete them.

Prints each step. It can be run again and again. `quickstart.sh` beside it installs what it needs first. It uses the embedded
server in memory, or the file that EVSESSION_DATA names, or the RavenDB at EVSESSION_URL.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass, field
from datetime import date

import trio

import evsession

URL = os.environ.get("EVSESSION_URL")
DATA = os.environ.get("EVSESSION_DATA")
DATABASE = os.environ.get("EVSESSION_DATABASE", "Quickstart")


@evsession.document
@dataclass
class Dog:
    """A dog; `id` holds the key and is no field of the stored document."""

    name: str
    breed: str
    born: date
    tricks: list[str] = field(default_factory=list)
    id: str | None = None


async def tour(store: evsession.Store) -> None:
    with contextlib.suppress(evsession.ConcurrencyError):  # 409: there is one of this name already
        await store.create_database(DATABASE)
    print(f"database {DATABASE}")

    async with store.open_session() as session:
        session.store(Dog("Max", "Golden Retriever", date(2012, 4, 13), id="Max"))
        session.store(Dog("Billy", "Labrador", date(2022, 6, 1), id="Billy"))
        session.store(Dog("Jess", "Labrador", date(2017, 2, 3), id="Jess"))
        print("stored", await session.save(), "in one request")

    async with store.open_session() as session:
        max = await session.load("dogs/max", type=Dog)
        assert max is not None
        print("loaded", max.name, "born", max.born.year)

        labradors, statistics = await session.query(Dog, {"breed": "Lab*"}, sort="born", wait_for_non_stale=True)
        print("found", [dog.name for dog in labradors], "of", statistics.total)

        max.tricks.append("sit")
        labradors[0].tricks.append("roll over")
        print("saved", await session.save(), "since those have changed")

        await session.delete("dogs/billy")
        print("deleted dogs/billy; exists:", await session.exists("dogs/billy"))


def connect() -> evsession.Store:
    options = {"timeout": 60}
    if URL:
        return evsession.Store(URL, DATABASE, options=options)
    return evsession.Store.embedded(DATA, DATABASE, options=options)


async def main() -> None:
    async with connect() as store:
        await tour(store)


if __name__ == "__main__":
    try:
        trio.run(main)
    except evsession.ConnectionFailed as error:
        sys.exit(f"No RavenDB answers at {URL}; start one, or set EVSESSION_URL to where one is.\n({error})")
