"""What `evsession.testing` offers to other projects: a server in memory, and pytest fixtures."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
import trio

import evsession
from evsession.testing.memory import MemoryServer


async def save(store: evsession.Store, name: str) -> Any:
    async with store.open_session() as session:
        session.store({"name": name}, key=f"dogs/{name}", collection="Dogs")
        return await session.save()


def test_stores_share_a_server(embedded_server: MemoryServer) -> None:
    first = embedded_server.store("kennel", options=evsession.Options(timeout=9))
    second = embedded_server.store("kennel", options={"cache": False}, conventions={"id_separator": "-"})
    other = embedded_server.store()
    assert (first.options.timeout, second.options.cache, second.conventions.id_separator) == (9, False, "-")
    for _ in range(2):
        first.run(save, first, "max")
    assert second.run(lambda: second.open_session().load("dogs/max")) == {"name": "max"}
    assert other.run(lambda: other.open_session().load("dogs/max")) is None


def test_a_store_in_callback_style(embedded_store: evsession.Store) -> None:
    told: list[Any] = []

    def main() -> None:
        session = embedded_store.open_session()
        session.store({"age": 12}, key="dogs/max", collection="Dogs")
        session.save(lambda error, keys: told.extend([error, keys]))

    embedded_store.run(main)
    assert told == [None, ["dogs/max"]]


async def test_a_port_of_the_same_server(embedded_store: evsession.Store, embedded_url: str) -> None:
    async with embedded_store as store:
        await save(store, "max")
        async with evsession.Store(embedded_url, "default") as remote:
            assert await remote.open_session().load("dogs/max") == {"name": "max"}


def test_a_port_is_free_again() -> None:
    with MemoryServer() as server:
        with server.serving() as url:
            port = int(url.rpartition(":")[2])
            with pytest.raises(OSError, match=f"port {port}"):
                with server.serving(port):
                    raise AssertionError
        with server.serving(port) as again:
            assert again == url
            with urllib.request.urlopen(f"{url}/build/version", timeout=10) as answer:
                assert answer.status == 200


def test_each_test_has_its_own(embedded_store: evsession.Store) -> None:
    async def main() -> Any:
        async with embedded_store, embedded_store.open_session() as session:
            return await session.load("dogs/max")

    assert trio.run(main) is None
