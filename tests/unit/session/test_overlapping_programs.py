"""Random programs of several tasks on sessions that check versions: what was told as written is never lost, nor done twice.

Requests and answers take random times of a clock that jumps; some requests are refused, and some answers are lost. Every edit
appends a number of its own to a document's list, so that each can be looked for in the end.
"""

from __future__ import annotations

import json
from contextlib import suppress
from random import Random
from typing import Any

import pytest
import trio
import trio.testing

import evsession
from evsession import ConnectionFailed, DirtyEntity, Request, Response, SessionError
from evsession.testing.memory import MemoryServer
from evsession.wire.transport import Trail

Dog = evsession.DocumentType("Dog")

KEYS = ["dogs/a", "dogs/b"]
TIMES = [0, 0.1, 0.5, 1, 2]


class Slow:
    """A transport to a server in this process that takes its time, and fails as often as it is told to."""

    def __init__(self, server: MemoryServer, random: Random, failures: float) -> None:
        self.server = server
        self.random = random
        self.failures = failures
        self.sent = 0

    async def send(self, request: Request, trail: Trail) -> Response:
        self.sent += 1
        fate = self.random.choice(["refused", "lost"]) if self.random.random() < self.failures else ""
        await trio.sleep(self.random.choice(TIMES))
        if fate == "refused":
            raise ConnectionFailed("nobody is there")
        trail.sent = True
        response = self.server.app.answer(request)
        await trio.sleep(self.random.choice(TIMES))
        if fate == "lost":
            raise ConnectionFailed("hung up")
        return response

    async def open(self, request: Request, trail: Trail, *, streams_body: bool = False) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class Program:
    """One program, and what it was told.

    Attributes:
        told: The numbers of each document that a commit has been said to have written.
        added: How often the counter of each document was incremented here.
    """

    def __init__(self, seed: int, server: MemoryServer) -> None:
        self.random = Random(seed)
        self.server = server
        self.database = f"db{seed}"
        self.wire = Slow(server, self.random, self.random.choice([0, 0, 0.2]))
        self.number = 0
        self.told: dict[str, set[int]] = {key: set() for key in KEYS}
        self.added = dict.fromkeys(KEYS, 0)
        steps = [self.append, self.increment, self.load, self.reload, self.refresh, self.flush, self.roll_back, self.transact]
        self.steps = [*self.random.sample(steps, 4), self.load, self.append]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = b"" if body is None else json.dumps(body).encode()
        return json.loads(self.server.app.answer(Request(method, path, data, writes=method == "PUT")).body or b"null")

    async def run(self) -> None:
        self.ask("PUT", f"/admin/databases?name={self.database}", {"DatabaseName": self.database})
        for key in KEYS:
            row = {"log": [], "n": 0, "@metadata": {"@collection": "Dogs"}}
            self.ask("PUT", f"/databases/{self.database}/docs?id={key}", row)
        async with evsession.Store(transport=self.wire, database=self.database) as store:
            sessions = [store.open_session() for _ in range(self.random.choice([1, 2]))]
            async with trio.open_nursery() as nursery:
                for session in sessions:
                    session.options.use_optimistic_concurrency = True
                    for _ in range(2):
                        nursery.start_soon(self.work, session)
            self.wire.failures = 0
            for session in sessions:
                await self.end(session)
        rows = {key: self.ask("GET", f"/databases/{self.database}/docs?id={key}")["Results"][0] for key in KEYS}
        for key, row in rows.items():
            assert self.told[key] <= set(row["log"])
            assert len(set(row["log"])) == len(row["log"])
            assert row["n"] == self.added[key]

    async def work(self, session: evsession.Session) -> None:
        for _ in range(self.random.randint(2, 7)):
            try:
                await self.random.choice(self.steps)(session)
            except SessionError:
                await self.settle(session)
            await trio.sleep(self.random.choice(TIMES))

    async def end(self, session: evsession.Session) -> None:
        """Write all that is pending; what somebody else has changed is given up, but for increments."""
        await session.drain()
        await session.rollback()
        await self.settle(session)
        for dog in session.identity_map:
            missing = session._workspace.known(dog).increments
            if session.is_dirty(dog):
                await session.refresh(dog, force=True)
            if missing:
                session.increment(dog, "n", missing["n"])
        await self.commit(session)
        count = self.wire.sent
        assert await session.commit() == []
        assert (self.wire.sent, session.changes()) == (count, [])
        await session.aclose()

    async def settle(self, session: evsession.Session) -> None:
        """Find out what became of lost writes; those that are on their way have succeeded, or are lost, when that is asked."""
        for dog in list(session.identity_map):
            if dog in session.identity_map and session._workspace.known(dog).unsure is not None:
                with suppress(DirtyEntity, ConnectionFailed):
                    await session.refresh(dog)

    async def commit(self, session: evsession.Session) -> None:
        logs = {dog.id: set(dog.log) for dog in session.identity_map}
        for key in await session.commit():
            self.told[key] |= logs.get(key, set())

    def any_of(self, session: evsession.Session) -> Any:
        return self.random.choice([*session.identity_map, None])

    async def append(self, session: evsession.Session) -> None:
        dog = self.any_of(session)
        if dog is not None:
            self.number += 1
            dog.log.append(self.number)
            await self.commit(session)

    async def increment(self, session: evsession.Session) -> None:
        dog = self.any_of(session)
        if dog is not None and not self.wire.failures:
            session.increment(dog, "n", 1)
            self.added[dog.id] += 1
        await trio.lowlevel.checkpoint()

    async def load(self, session: evsession.Session) -> None:
        await session.load(self.random.choice(KEYS))

    async def reload(self, session: evsession.Session) -> None:
        session.options.cache = False
        operation = session.load(self.random.choice(KEYS))
        session.options.cache = True
        await operation

    async def refresh(self, session: evsession.Session) -> None:
        dog = self.any_of(session)
        if dog is not None:
            await session.refresh(dog)

    async def flush(self, session: evsession.Session) -> None:
        session.use_transaction()
        await session.flush()

    async def roll_back(self, session: evsession.Session) -> None:
        await session.rollback()

    async def transact(self, session: evsession.Session) -> None:
        async with session.transaction():
            dog = await session.load(self.random.choice(KEYS))
            self.number += 1
            dog.log.append(self.number)


@pytest.mark.parametrize("first", range(500, 900, 40))
def test_what_was_told_as_written_is_there(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    evsession.document(Dog, collection="Dogs")
    with MemoryServer() as server:
        for seed in range(first, first + 40):
            # Tasks that may run at the same moment do so in an order that is the program's, too.
            monkeypatch.setattr("trio._core._run._r", Random(seed))
            monkeypatch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
            trio.run(Program(seed, server).run, clock=trio.testing.MockClock(autojump_threshold=0))
