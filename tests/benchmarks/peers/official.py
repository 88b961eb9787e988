"""The official client, `ravendb`; it is optional, so its names are looked up here. It blocks, and so does every method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import trio

from tests.benchmarks.dataset import QUERY, STREAM

__all__ = ["Official"]

ravendb: Any = import_module("ravendb")


class User:
    """What it makes of documents and takes to write; `vars` are the fields."""

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)


class Saved(User):
    """Goes to another collection."""


class Official:
    """One document store with its defaults, but for the limit of 30 requests per session."""

    run = staticmethod(trio.run)  # nothing is asynchronous in here; any loop will do

    def __init__(self, url: str, database: str) -> None:
        self.store = ravendb.DocumentStore(url, database)
        self.store.conventions.max_number_of_requests_per_session = 1_000_000

    async def __aenter__(self) -> Official:
        self.store.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.store.close()

    def make(self, fields: Mapping[str, Any], key: str) -> Any:
        return Saved(**fields)

    async def load(self, keys: Sequence[str], at_once: int) -> int:
        with self.store.open_session() as session:
            return sum(session.load(key, User) is not None for key in keys)

    async def query(self, teams: Sequence[str]) -> int:
        found = 0
        for team in teams:
            with self.store.open_session() as session:
                query = session.advanced.raw_query(QUERY, object_type=User).add_parameter("p0", team)
                found += len(list(query))
        return found

    async def save(self, batches: Sequence[Sequence[tuple[str, Any]]]) -> int:
        for batch in batches:
            with self.store.open_session() as session:
                for key, made in batch:
                    session.store(made, key)
                session.save_changes()
        return sum(map(len, batches))

    async def bulk(self, documents: Sequence[tuple[str, Any]]) -> int:
        with self.store.bulk_insert() as insert:
            for key, made in documents:
                insert.store_as(made, key)
        return len(documents)

    async def stream(self, count: int) -> int:
        with self.store.open_session() as session:
            query = session.advanced.raw_query(STREAM, object_type=User)
            return sum(1 for _ in session.advanced.stream(query))
