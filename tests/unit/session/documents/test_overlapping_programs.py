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
Log = evsession.DocumentType("Log")

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
                    self.prepare(session)
                    for _ in range(2):
                        nursery.start_soon(self.work, session)
            self.wire.failures = 0
            self.hook = ""
            for session in sessions:
                await self.end(session)
        self.check()

    def prepare(self, session: evsession.Session) -> None:
        """Do what is to be done with a new session."""

    def row(self, key: str) -> Any:
        return self.ask("GET", f"/databases/{self.database}/docs?id={key}")["Results"][0]

    def check(self) -> None:
        """Look at what is there in the end."""
        for key in KEYS:
            row = self.row(key)
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
        for dog in self.dogs(session):
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
                with suppress(DirtyEntity, ConnectionFailed, evsession.ConfigurationError):  # it may be gone meanwhile
                    await session.refresh(dog)

    async def commit(self, session: evsession.Session) -> None:
        logs = {dog.id: set(dog.log) for dog in self.dogs(session)}
        for key in await session.commit():
            if key in self.told:
                self.told[key] |= logs.get(key, set())

    def dogs(self, session: evsession.Session) -> list[Any]:
        """Return the dogs of `KEYS` that the session knows, but for references."""
        known = [session.identity_map.get(key) for key in KEYS]
        return [dog for dog in known if dog is not None and not session._workspace.known(dog).is_reference]

    def any_of(self, session: evsession.Session) -> Any:
        return self.random.choice([*self.dogs(session), None])

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


class RicherProgram(Program):
    """One that also adds and removes documents, writes through references, patches, asks, and has hooks.

    Attributes:
        wanted: The documents of its own that shall be there in the end, or not.
        marks: The fields that a write is said to have set, by key.
    """

    def __init__(self, seed: int, server: MemoryServer) -> None:
        super().__init__(seed, server)
        self.wanted: dict[str, bool] = {}
        self.marks: dict[str, set[str]] = {key: set() for key in KEYS}
        self.owners: dict[str, tuple[evsession.Session, Any]] = {}
        steps = [self.add, self.drop, self.replace, self.refer, self.hydrate, self.patch, self.query, self.evict, self.increment]
        self.steps = [*self.random.sample([*steps, *self.steps], 5), self.load, self.append, self.add]
        self.hook = self.random.choice(["", "", "edit", "add", "veto", "raise"])

    def prepare(self, session: evsession.Session) -> None:
        @session.on("update.pre")
        async def hook(event: evsession.CommitEvent) -> None:
            await trio.sleep(self.random.choice(TIMES))
            if self.hook == "edit":
                for dog in event.entities:
                    dog.seen = dog.get("seen", 0) + 1
            elif self.hook == "add":
                self.number += 1
                session.add(Log({"of": event.keys}, id=f"logs/{self.number}"))
            elif self.hook == "veto":
                event.prevent(*event.entities[:1])
            elif self.hook == "raise" and self.random.random() < 0.3:
                raise SessionError("the hook says no")

    def own(self, session: evsession.Session) -> list[str]:
        return [key for key, (owner, _) in self.owners.items() if owner is session]

    async def add(self, session: evsession.Session) -> None:
        self.number += 1
        dog = Dog({"log": [], "n": 0}, id=f"dogs/{self.number}")
        session.add(dog)
        self.wanted[f"dogs/{self.number}"] = True
        self.owners[f"dogs/{self.number}"] = session, dog
        if self.random.random() < 0.5:
            await self.commit(session)
        await trio.lowlevel.checkpoint()

    async def drop(self, session: evsession.Session) -> None:
        keys = self.own(session)
        if keys:
            key = self.random.choice(keys)
            dog = self.owners[key][1]
            if dog in session.identity_map:
                session.remove(dog)
                self.wanted[key] = False
        if self.random.random() < 0.5:
            await self.commit(session)
        await trio.lowlevel.checkpoint()

    async def replace(self, session: evsession.Session) -> None:
        keys = self.own(session)
        if keys:
            key = self.random.choice(keys)
            dog = self.owners[key][1]
            if dog in session.identity_map and self.wanted[key]:
                other = Dog({"log": [], "n": 0, "again": True}, id=key)
                session.remove(dog).add(other)
                self.owners[key] = session, other
        await trio.lowlevel.checkpoint()

    async def refer(self, session: evsession.Session) -> None:
        key = self.random.choice(KEYS)
        dog = session.get_reference(Dog, key)
        self.number += 1
        name = f"t{self.number}"
        dog[name] = self.number
        if self.random.random() < 0.7 and key in await session.commit() and self.hook != "veto":
            self.marks[key].add(name)
        await trio.lowlevel.checkpoint()

    async def hydrate(self, session: evsession.Session) -> None:
        await session.hydrate(session.get_reference(Dog, self.random.choice(KEYS)))

    async def patch(self, session: evsession.Session) -> None:
        key = self.random.choice(KEYS)
        self.number += 1
        number = self.number
        await session.patch(key, evsession.Patch("this.log.push(args.number)", {"number": number}))
        self.told[key].add(number)

    async def query(self, session: evsession.Session) -> None:
        await session.query("Dog", {"n": 0})

    async def evict(self, session: evsession.Session) -> None:
        dog = session.identity_map.get(self.random.choice(KEYS))
        if dog is not None and not session.is_dirty(dog) and not session._workspace.known(dog).writes:
            session.evict(dog)
        await trio.lowlevel.checkpoint()

    def check(self) -> None:
        super().check()
        for key, is_wanted in self.wanted.items():
            rows = (self.ask("GET", f"/databases/{self.database}/docs?id={key}") or {"Results": []})["Results"]
            assert bool(rows) == is_wanted, key
        for key in KEYS:
            assert self.marks[key] <= set(self.row(key)), key


@pytest.mark.parametrize("kind", [Program, RicherProgram])
@pytest.mark.parametrize("first", range(500, 900, 40))
def test_what_was_told_as_written_is_there(first: int, kind: type[Program], monkeypatch: pytest.MonkeyPatch) -> None:
    evsession.document(Dog, collection="Dogs")
    with MemoryServer() as server:
        for seed in range(first, first + 40):
            # Tasks that may run at the same moment do so in an order that is the program's, too.
            monkeypatch.setattr("trio._core._run._r", Random(seed))
            monkeypatch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
            trio.run(kind(seed, server).run, clock=trio.testing.MockClock(autojump_threshold=0))
