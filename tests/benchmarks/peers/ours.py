"""evsession as programs use it: sessions with a timeout and with handlers, identity map and tracking on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import trio

import evsession
from tests.benchmarks.client import TIMEOUT

__all__ = ["Ours", "Typed"]


class Ours:
    """Documents without a declared shape."""

    run = staticmethod(trio.run)

    def __init__(self, url: str, database: str) -> None:
        self.store = evsession.Store(url, database, options={"timeout": TIMEOUT})
        self.store.on("error", self.fail)
        self.store.on(404, self.fail)
        self.saved: Any = evsession.DocumentType("Saved", collection="Saveds")
        self.bulked: Any = evsession.DocumentType("Bulk")

    def fail(self, error: object) -> None:
        raise RuntimeError(f"{error!r} spoils the measurement")

    async def __aenter__(self) -> Ours:
        await self.store.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.store.__aexit__(None, None, None)

    def make(self, fields: Mapping[str, Any], key: str) -> Any:
        return self.bulked(fields) if key.startswith("bulks/") else self.saved(fields, id=key)

    async def load(self, keys: Sequence[str], at_once: int) -> int:
        """Load in one session; the keys differ, so that each load asks the server."""
        found = 0

        async def work(waiting: Iterator[str]) -> None:
            nonlocal found
            for key in waiting:
                loaded = await session.load(key)
                found += loaded is not None

        async with self.store.open_session() as session:
            if at_once == 1:
                await work(iter(keys))
            else:
                waiting = iter(keys)
                async with trio.open_nursery() as nursery:
                    for _ in range(at_once):
                        nursery.start_soon(work, waiting)
        return found

    async def query(self, teams: Sequence[str]) -> int:
        """Run each query in a session of its own, so that all of its documents are new to the session."""
        found = 0
        for team in teams:
            async with self.store.open_session() as session:
                documents, _ = await session.query("User", {"team": team})
                found += len(documents)
        return found

    async def save(self, batches: Sequence[Sequence[tuple[str, Any]]]) -> int:
        written = 0
        for batch in batches:
            async with self.store.open_session() as session:
                for _, made in batch:
                    session.store(made)
                written += len(await session.save())
        return written

    async def bulk(self, documents: Sequence[tuple[str, Any]]) -> int:
        async with self.store.bulk_insert() as insert:
            for key, made in documents:
                await insert.store(made, key=key)
        return insert.count

    async def stream(self, count: int) -> int:
        found = 0
        async with self.store.open_session() as session:
            async for _ in session.stream("Item"):
                found += 1
        return found


class Typed(Ours):
    """Documents that are dataclasses."""

    def __init__(self, url: str, database: str) -> None:
        super().__init__(url, database)
        self.users = [evsession.document(User), evsession.document(Item)]
        self.saved = evsession.document(Saved)

    def make(self, fields: Mapping[str, Any], key: str) -> Any:
        values = {**fields, "address": Address(**fields["address"]), "history": [Year(**year) for year in fields["history"]]}
        return self.saved(id=key, **values)


@dataclass
class Address:
    street: str
    city: str
    zip: str
    country: str


@dataclass
class Year:
    year: int
    points: int
    place: int


@dataclass
class User:
    name: str
    team: str
    age: int
    score: float
    active: bool
    manager: str | None
    email: str
    address: Address
    tags: list[str]
    history: list[Year]
    notes: str
    id: str | None = None


@dataclass
class Saved(User):
    """The same fields in another collection."""


@dataclass
class Item:
    name: str
    price: float
    count: int
    colour: str
    owner: str
    tags: list[str]
    size: dict[str, int]
    text: str
    id: str | None = None
