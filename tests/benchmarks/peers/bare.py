"""The yardstick: trio, h11 and msgspec put together plainly, as one would for a single program. No identity map, no events.

It has what no program goes without: a pool with a bound, and a limit of time per operation. `Untimed` goes without the limit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import quote, urlsplit

import h11
import msgspec
import trio

from tests.benchmarks.client import TIMEOUT
from tests.benchmarks.dataset import QUERY, STREAM

__all__ = ["Bare", "Untimed"]

PIECE = 65_536


class Connection:
    """A socket and its h11."""

    def __init__(self, stream: trio.SocketStream, host: str) -> None:
        self.stream = stream
        self.host = host
        self.http = h11.Connection(h11.CLIENT)

    async def send_head(self, method: str, target: str, framing: tuple[str, str] | None) -> None:
        headers = [("Host", self.host), ("User-Agent", "bare")]
        if framing is not None:
            headers += [("Content-Type", "application/json"), framing]
        await self.send(h11.Request(method=method, target=target, headers=headers))

    async def send(self, *events: h11.Event) -> None:
        await self.stream.send_all(b"".join(self.http.send(event) or b"" for event in events))

    async def ask(self, method: str, target: str, body: bytes) -> bytes:
        headers = [("Host", self.host), ("User-Agent", "bare")]
        if not body:
            await self.send(h11.Request(method=method, target=target, headers=headers), h11.EndOfMessage())
        else:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
            request = h11.Request(method=method, target=target, headers=headers)
            await self.send(request, h11.Data(data=body), h11.EndOfMessage())
        return b"".join([piece async for piece in self.receive()])

    async def receive(self) -> AsyncIterator[bytes]:
        """Yield the pieces of the answer's body."""
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.http.receive_data(await self.stream.receive_some(PIECE))
            elif isinstance(event, h11.Response) and event.status_code >= 300:
                raise RuntimeError(f"the server answered {event.status_code}")
            elif isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.http.start_next_cycle()
                return


class Bare:
    """A client with one timeout for every operation."""

    run = staticmethod(trio.run)

    def __init__(self, url: str, database: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 8080
        self.base = f"/databases/{database}"
        self.idle: list[Connection] = []
        self.limiter = trio.CapacityLimiter(64)
        self.encoder = msgspec.json.Encoder()
        self.decoder = msgspec.json.Decoder()

    async def __aenter__(self) -> Bare:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self.idle:
            await connection.stream.aclose()

    def limit(self) -> AbstractContextManager[object]:
        return trio.fail_after(TIMEOUT)

    async def take(self) -> Connection:
        if self.idle:
            return self.idle.pop()
        return Connection(await trio.open_tcp_stream(self.host, self.port), f"{self.host}:{self.port}")

    async def ask(self, method: str, target: str, body: bytes = b"") -> Any:
        with self.limit():
            async with self.limiter:
                connection = await self.take()
                answer = await connection.ask(method, self.base + target, body)
                self.idle.append(connection)
        return self.decoder.decode(answer)

    async def rows(self, query: str) -> AsyncIterator[Any]:
        """Yield document by document."""
        connection = await self.take()
        body = self.encoder.encode({"Query": query})
        await connection.send_head("POST", f"{self.base}/streams/queries?format=jsonl", ("Content-Length", str(len(body))))
        await connection.send(h11.Data(data=body), h11.EndOfMessage())
        rest = b""
        async for piece in connection.receive():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                value = self.decoder.decode(line)
                if "Item" in value:
                    yield value["Item"]
        self.idle.append(connection)

    def make(self, fields: Mapping[str, Any], key: str) -> Any:
        return fields

    async def load(self, keys: Sequence[str], at_once: int) -> int:
        found = 0

        async def work(waiting: Iterator[str]) -> None:
            nonlocal found
            for key in waiting:
                answer = await self.ask("GET", f"/docs?id={quote(key, safe='')}")
                found += len(answer["Results"])

        if at_once == 1:
            await work(iter(keys))
        else:
            waiting = iter(keys)
            async with trio.open_nursery() as nursery:
                for _ in range(at_once):
                    nursery.start_soon(work, waiting)
        return found

    async def query(self, teams: Sequence[str]) -> int:
        found = 0
        for team in teams:
            body = self.encoder.encode({"Query": QUERY, "QueryParameters": {"p0": team}})
            found += len((await self.ask("POST", "/queries", body))["Results"])
        return found

    async def save(self, batches: Sequence[Sequence[tuple[str, Any]]]) -> int:
        written = 0
        for batch in batches:
            commands = [
                {"Id": key, "ChangeVector": None, "Document": {**made, "@metadata": {"@collection": "Saveds"}}, "Type": "PUT"}
                for key, made in batch
            ]
            answer = await self.ask("POST", "/bulk_docs", self.encoder.encode({"Commands": commands}))
            written += len(answer["Results"])
        return written

    async def bulk(self, documents: Sequence[tuple[str, Any]]) -> int:
        number = (await self.ask("GET", "/operations/next-operation-id"))["Id"]
        connection = await self.take()
        target = f"{self.base}/bulk_insert?id={number}&skipOverwriteIfUnchanged=false"
        await connection.send_head("POST", target, ("Transfer-Encoding", "chunked"))
        buffer, count = bytearray(b"["), 0
        for key, made in documents:
            if count:
                buffer += b","
            document = {**made, "@metadata": {"@collection": "Bulks"}}
            buffer += self.encoder.encode({"Id": key, "Type": "PUT", "Document": document})
            count += 1
            if len(buffer) >= PIECE:
                with self.limit():
                    await connection.send(h11.Data(data=bytes(buffer)))
                buffer.clear()
        buffer += b"]"
        with self.limit():
            await connection.send(h11.Data(data=bytes(buffer)), h11.EndOfMessage())
            async for _ in connection.receive():
                pass
        self.idle.append(connection)
        return count

    async def stream(self, count: int) -> int:
        found = 0
        async for _ in self.rows(STREAM):
            found += 1
        return found


class Untimed(Bare):
    """The same without a limit of time."""

    def limit(self) -> AbstractContextManager[object]:
        return nullcontext()
