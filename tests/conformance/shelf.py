"""Users and their books for the tests of the unit of work, a relay that loses and holds back answers, and short ways to look."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import trio

import evsession

HOOKS = [
    "commit.pre",
    "insert.pre",
    "insert.post",
    "update.pre",
    "update.post",
    "delete.pre",
    "delete.post",
    "commit.post",
    "rollback.post",
]

PETER, ANNA, BEN = "users/peter", "users/anna", "users/ben"

USERS: dict[str, dict[str, Any]] = {
    PETER: {"name": "Peter", "logins": 0, "tags": ["a", "b", "c"]},
    ANNA: {"name": "Anna", "logins": 5, "tags": []},
    BEN: {"name": "Ben", "logins": 9, "tags": ["x"]},
}


@evsession.document
@dataclass
class User:
    name: str
    logins: int = 0
    tags: list[Any] = field(default_factory=list)
    version: int = 0
    updated_at: str | None = None
    deleted_at: str | None = None
    image_id: str | None = None
    photo: bytes = b""
    id: str | None = None


@evsession.document
@dataclass
class Book:
    title: str
    author_id: str | None = None
    info: dict[str, Any] = field(default_factory=dict)
    id: str | None = None


@evsession.document
@dataclass
class Log:
    text: str
    id: str | None = None


SHELF: list[Any] = [User, Book, Log]


class Events:
    """A hook that remembers its calls; it is the hook of all events unless it is told which."""

    def __init__(self, target: Any, *names: str, type: Any = None) -> None:
        self.calls: list[evsession.CommitEvent] = []
        for name in names or HOOKS:
            target.on(name, self.note, type=type)

    def note(self, event: evsession.CommitEvent) -> None:
        self.calls.append(event)

    def take(self) -> list[str]:
        """Return since the last call what was told: the event and its class."""
        taken, self.calls[:] = list(self.calls), []
        return [event.name if event.type is None else f"{event.name} {event.type.__name__}" for event in taken]


async def row(store: evsession.Store, key: str) -> Any:
    """Return the document as it is stored, as a `Document`, or None."""
    async with store.open_session() as other:
        return await other.load(key, type=evsession.Document)


async def edit(store: evsession.Store, key: str, **fields: Any) -> None:
    """Let somebody else set fields of a document."""
    async with store.open_session() as other:
        document = await other.load(key, type=evsession.Document)
        assert document is not None
        document.update(fields)
        await other.save()


async def names_of(store: evsession.Store, type: Any) -> list[str]:
    """Return the names, titles or texts of all documents of a type, sorted."""
    async with store.open_session() as other:
        documents, _ = await other.query(type)
        return sorted(getattr(one, "name", None) or getattr(one, "title", None) or one.text for one in documents)


class Relay:
    """Stands before the server and passes everything on, until it is told to have a fault.

    Attributes:
        url: Where it listens.
        sent: What clients have sent so far.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = parts.hostname or "127.0.0.1", parts.port or 80
        self._loses: str | None = None
        self._held: trio.Event | None = None
        self._holding = trio.Event()
        self._holds_one = False
        self.sent = bytearray()
        self.url = ""

    def lose(self, what: str) -> None:
        """Cut the connection at the next ``"request"``, before the server has it, or at the next ``"answer"``."""
        self._loses = what

    @contextmanager
    def hold(self, *, only_first: bool = False) -> Iterator[None]:
        """Keep answers back while the block lasts: all of them, or the first that comes."""
        self._held = held = trio.Event()
        self._holding, self._holds_one = trio.Event(), only_first
        try:
            yield
        finally:
            held.set()
            self._held = None

    async def wait_held(self) -> None:
        """Return when the server's answer is here and held back."""
        with trio.fail_after(10):
            await self._holding.wait()

    def _cuts(self, what: str) -> bool:
        if self._loses != what:
            return False
        self._loses = None
        return True

    async def _serve(self, client: trio.SocketStream) -> None:
        upstream = await trio.open_tcp_stream(*self._upstream)
        async with client, upstream, trio.open_nursery() as nursery:
            nursery.start_soon(self._up, client, upstream, nursery.cancel_scope)
            nursery.start_soon(self._down, client, upstream, nursery.cancel_scope)

    async def _up(self, client: trio.SocketStream, upstream: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            async for data in client:
                if self._cuts("request"):
                    break
                self.sent += data
                await upstream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        scope.cancel()

    async def _down(self, client: trio.SocketStream, upstream: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            async for data in upstream:
                if self._cuts("answer"):
                    break
                held = self._held
                if held is not None:
                    if self._holds_one:
                        self._held = None
                    self._holding.set()
                    await held.wait()
                await client.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        scope.cancel()


@asynccontextmanager
async def open_relay(upstream: str) -> AsyncIterator[Relay]:
    """Run a relay."""
    relay = Relay(upstream)
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        relay.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        await nursery.start(trio.serve_listeners, relay._serve, [listener])
        yield relay
        nursery.cancel_scope.cancel()
