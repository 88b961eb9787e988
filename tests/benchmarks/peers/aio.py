"""aiohttp and orjson, put together plainly; they are optional, so their names are looked up here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib import import_module
from typing import Any

from tests.benchmarks.client import TIMEOUT
from tests.benchmarks.dataset import QUERY, STREAM

__all__ = ["Aio"]

aiohttp: Any = import_module("aiohttp")
orjson: Any = import_module("orjson")

JSON = {"Content-Type": "application/json"}


class Aio:
    """A client with one timeout for every operation."""

    def __init__(self, url: str, database: str) -> None:
        self.base = f"{url}/databases/{database}"
        self.http: Any = None

    @staticmethod
    def run(main: Callable[[], Coroutine[Any, Any, None]]) -> object:
        return asyncio.run(main())

    async def __aenter__(self) -> Aio:
        connector = aiohttp.TCPConnector(limit=64)
        self.http = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def post(self, path: str, body: object) -> Any:
        async with self.http.post(self.base + path, data=orjson.dumps(body), headers=JSON) as answer:
            answer.raise_for_status()
            return orjson.loads(await answer.read())

    def make(self, fields: Mapping[str, Any], key: str) -> Any:
        return fields

    async def load(self, keys: Sequence[str], at_once: int) -> int:
        found = 0
        waiting = iter(keys)

        async def work() -> None:
            nonlocal found
            for key in waiting:
                async with self.http.get(f"{self.base}/docs", params={"id": key}) as answer:
                    results = orjson.loads(await answer.read())["Results"]
                found += len(results)

        await asyncio.gather(*(work() for _ in range(at_once)))
        return found

    async def query(self, teams: Sequence[str]) -> int:
        found = 0
        for team in teams:
            found += len((await self.post("/queries", {"Query": QUERY, "QueryParameters": {"p0": team}}))["Results"])
        return found

    async def save(self, batches: Sequence[Sequence[tuple[str, Any]]]) -> int:
        written = 0
        for batch in batches:
            commands = [
                {"Id": key, "ChangeVector": None, "Document": {**made, "@metadata": {"@collection": "Saveds"}}, "Type": "PUT"}
                for key, made in batch
            ]
            written += len((await self.post("/bulk_docs", {"Commands": commands}))["Results"])
        return written

    async def bulk(self, documents: Sequence[tuple[str, Any]]) -> int:
        raise NotImplementedError("no row compares bulk inserts with aiohttp")

    async def stream(self, count: int) -> int:
        found = 0
        where, body = f"{self.base}/streams/queries?format=jsonl", orjson.dumps({"Query": STREAM})
        async with self.http.post(where, data=body, headers=JSON) as answer:
            async for line in answer.content:
                found += "Item" in orjson.loads(line)
        return found
