"""The transport without a network: what becomes of requests that are cut off, and of exchanges in pieces."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

import evsession
from evsession.embedded import transport as module
from evsession.embedded.app import App
from evsession.embedded.transport import EmbeddedTransport
from evsession.wire.message import Request, Response
from evsession.wire.transport import Trail, WireEvent

READ = Request("GET", "/build/version")
WRITE = Request("PUT", "/slow", writes=True, key="dogs/max")


class SlowApp(App):
    """Waits inside of a request until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.answered: list[str] = []
        self.closed = threading.Event()
        self.done = threading.Event()

    def answer(self, request: Request) -> Response:
        self.begun.set()
        self.go_on.wait(10)
        self.answered.append(request.target)
        self.done.set()
        return Response(200, (), b"12345")

    def open(self, request: Request) -> Any:
        return SlowTalk(self)


class SlowTalk:
    def __init__(self, app: SlowApp) -> None:
        self.app = app
        self.pieces = [b"12", b"345"]

    def send(self, data: bytes) -> bool:
        if data == b"break":
            raise RuntimeError("the disk is gone")
        return data != b"enough"

    def finish(self) -> Response:
        self.app.begun.set()
        self.app.go_on.wait(10)
        return Response(200, ((b"a", b"b"),))

    def receive(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def close(self) -> None:
        self.app.closed.set()


@pytest.fixture
def app() -> Iterator[SlowApp]:
    app = SlowApp()
    yield app
    app.go_on.set()
    app.close()


class TestRequests:
    async def test_events_and_the_trail(self, app: SlowApp) -> None:
        app.go_on.set()
        seen: list[WireEvent] = []
        trail = Trail("save", seen.append)
        response = await EmbeddedTransport(app).send(WRITE, trail)
        assert response.body == b"12345"
        assert (trail.url, trail.sent, trail.answered) == ("http://embedded/slow", True, True)
        assert [(event.name, event.operation, event.status_code) for event in seen] == [
            ("request", "save", None),
            ("response", "save", 200),
        ]
        assert seen[1].duration is not None

    async def test_one_that_was_cut_off_is_done_all_the_same(self, app: SlowApp) -> None:
        store = evsession.Store(database="default", transport=EmbeddedTransport(app))
        async with store, store.open_session() as session:
            session.store({"a": 1}, key="dogs/max")
            saving = session.save(callback=lambda error, keys: told.append(error))
            told: list[Any] = []
            await trio.to_thread.run_sync(app.begun.wait)
            saving.cancel()
            with pytest.raises(evsession.OperationCancelled) as caught:
                await saving
            assert told == [caught.value]
            assert (caught.value.uncertain, caught.value.url) == (True, "http://embedded/databases/default/bulk_docs")
            assert app.answered == []
            app.go_on.set()
            await trio.to_thread.run_sync(app.done.wait, 10)
        assert app.answered == ["/databases/default/bulk_docs"]

    async def test_one_that_waits_in_line_was_not_sent(self, app: SlowApp, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "THREADS", 1)
        transport = EmbeddedTransport(app)
        trail = Trail("save")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.send, READ, Trail())
            await trio.to_thread.run_sync(app.begun.wait)
            with trio.move_on_after(0.01):
                await transport.send(WRITE, trail)
            assert not trail.sent
            app.go_on.set()
        assert app.answered == [READ.target]

    async def test_an_answer_that_is_too_large(self, app: SlowApp) -> None:
        app.go_on.set()
        transport = EmbeddedTransport(app, evsession.Options(max_body_size=4))
        with pytest.raises(evsession.ProtocolError, match="max_body_size, 4 bytes") as caught:
            await transport.send(WRITE, Trail("save"))
        error = caught.value
        assert (error.operation, error.key, error.uncertain) == ("save", "dogs/max", True)
        exchange = await transport.open(READ, Trail())
        with pytest.raises(evsession.ProtocolError):
            await exchange.read()
        assert app.closed.is_set()


class TestExchanges:
    async def test_in_pieces(self, app: SlowApp) -> None:
        app.go_on.set()
        seen: list[WireEvent] = []
        exchange = await EmbeddedTransport(app).open(WRITE, Trail("bulk", seen.append), streams_body=True)
        assert repr(exchange) == "<EmbeddedExchange PUT http://embedded/slow: open>"
        assert [await exchange.send(b"x"), await exchange.send(b"enough")] == [True, False]
        assert (await exchange.finish()) is (await exchange.finish())
        assert [await exchange.receive() for _ in range(4)] == [b"12", b"345", b"", b""]
        assert app.closed.is_set()
        assert "closed" in repr(exchange)
        assert [event.name for event in seen] == ["request", "response"]
        with pytest.raises(evsession.SessionClosed):
            await exchange.send(b"x")

    async def test_whole(self, app: SlowApp) -> None:
        app.go_on.set()
        exchange = await EmbeddedTransport(app).open(READ, Trail())
        assert await exchange.read() == b"12345"
        exchange.close()

    async def test_one_that_is_left_in_the_middle_of_a_step(self, app: SlowApp) -> None:
        trail = Trail()
        with trio.move_on_after(0.01) as scope:
            await EmbeddedTransport(app).open(WRITE, trail)
        assert scope.cancelled_caught
        assert trail.sent
        assert not app.closed.is_set()
        app.go_on.set()
        assert await trio.to_thread.run_sync(app.closed.wait, 10)

    async def test_one_that_breaks(self, app: SlowApp) -> None:
        exchange = await EmbeddedTransport(app).open(WRITE, Trail("bulk"), streams_body=True)
        with pytest.raises(evsession.ConnectionFailed, match="broke off: the disk is gone") as caught:
            await exchange.send(b"break")
        assert (caught.value.uncertain, caught.value.operation) == (True, "bulk")
        assert app.closed.is_set()

    async def test_one_that_is_forgotten(self, app: SlowApp) -> None:
        app.go_on.set()
        forgotten = [await EmbeddedTransport(app).open(READ, Trail())]
        with pytest.warns(ResourceWarning, match="never read to its end"):
            forgotten.clear()
        assert app.closed.is_set()


class TestStores:
    def test_a_file_is_there_again_and_is_closed_between(self, tmp_path: Path) -> None:
        path = tmp_path / "dogs.db"
        store = evsession.Store.embedded(path, "Kennel")

        async def save(name: str) -> list[str]:
            async with store.open_session() as session:
                session.store({"name": name}, key=f"dogs/{name}", collection="Dogs")
                return await session.save()

        async def load(name: str) -> Any:
            async with store.open_session() as session:
                return await session.load(f"dogs/{name}")

        assert store.run(save, "max") == ["dogs/max"]
        assert store.run(load, "max") == {"name": "max"}
        again = evsession.Store.embedded(str(path), "Kennel")
        assert again.initialize().run(lambda: again.open_session().load("dogs/max")) == {"name": "max"}

    def test_memory_lasts_as_long_as_the_store(self) -> None:
        store = evsession.Store.embedded(options={"timeout": 5}, conventions={"id_separator": "-"})

        async def save() -> Any:
            async with store.open_session() as session:
                session.store(evsession.DocumentType("Dog")(id="Max", name="Max"))
                return await session.save()

        assert store.run(save) == ["dogs-max"]
        assert store.run(lambda: store.open_session().load("dogs-max")) == {"name": "Max"}
        assert repr(store) == "<Store <EmbeddedTransport on memory> 'default' not running>"

    @pytest.mark.parametrize("content", [b"not a database at all, but long enough to look like one" * 20, None])
    def test_a_file_that_is_none_of_ours(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "file"
        path.mkdir() if content is None else path.write_bytes(content)
        store = evsession.Store.embedded(path)
        for _ in range(2):
            with pytest.raises(evsession.ConfigurationError, match="file"):
                store.run(lambda: None)
        assert content is None or path.read_bytes() == content

    def test_a_file_that_is_open(self, tmp_path: Path) -> None:
        path = tmp_path / "dogs.db"
        first, second = (evsession.Store.embedded(path) for _ in range(2))

        async def main() -> None:
            async with first:
                with pytest.raises(evsession.ConfigurationError, match=r"dogs\.db"):
                    async with second:
                        raise AssertionError
            async with second:
                assert not await second.open_session().exists("dogs/max")

        trio.run(main)

    @pytest.mark.parametrize("name", ["", "a/b", "...", "a b"])
    def test_what_can_be_no_name(self, name: str) -> None:
        with pytest.raises(evsession.ConfigurationError):
            evsession.Store.embedded(None, name)

    async def test_a_database_that_cannot_be_made(self, app: SlowApp) -> None:
        app.go_on.set()  # it answers 200, which is not how a database is made
        with pytest.raises(evsession.ConfigurationError, match="cannot make the database 'dogs'"):
            await EmbeddedTransport(app).start("dogs")

    async def test_a_closed_one_takes_nothing(self) -> None:
        transport = EmbeddedTransport(None)
        for _ in range(2):
            with pytest.raises(evsession.SessionClosed):
                await transport.send(READ, Trail())
            await transport.aclose()
        await transport.start("default")
        assert (await transport.send(READ, Trail())).status == 200

    def test_without_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "evsession.embedded.transport", None)
        with pytest.raises(evsession.ConfigurationError, match=r"pip install 'evsession\[embedded\]'"):
            evsession.Store.embedded()
