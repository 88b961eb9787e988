"""pytest fixtures; a project opts in with ``pytest_plugins = ["evsession.testing.plugin"]`` in its top ``conftest.py``.

``embedded_store`` is what most tests want::

    async def test_birthday(embedded_store):            # under pytest-trio
        async with embedded_store as store, store.open_session() as session:
            session.store({"age": 12}, key="dogs/max", collection="Dogs")
            await session.save()

    def test_birthday_by_callbacks(embedded_store):     # under pytest alone
        embedded_store.run(main, embedded_store)

Each test has a server of its own, in memory and in the same process: nothing to start, nothing to clean up, nothing shared. It
works in threads, which trio's `autojump_clock` does not wait for: with that clock, set no time limits on its operations.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evsession.session.documents.store import Store
from evsession.testing.memory import MemoryServer

__all__ = ["embedded_server", "embedded_store", "embedded_url"]


@pytest.fixture
def embedded_server() -> Iterator[MemoryServer]:
    """A fresh `MemoryServer`: ``embedded_server.store(database, conventions=..., options=...)`` makes stores that share it."""
    with MemoryServer() as server:
        yield server


@pytest.fixture
def embedded_store(embedded_server: MemoryServer) -> Store:
    """A store on a fresh, empty server; enter it with ``async with``, or give it to ``run``."""
    return embedded_server.store()


@pytest.fixture
def embedded_url(embedded_server: MemoryServer) -> Iterator[str]:
    """The URL of the same server on a free port of loopback, for other programs and other clients."""
    with embedded_server.serving() as url:
        yield url
