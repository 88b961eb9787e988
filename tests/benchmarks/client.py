"""What a client must be able to do to be measured, and which clients there are. Knows none of their packages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Any, Protocol

__all__ = ["CLIENTS", "TIMEOUT", "Client", "client_class"]

TIMEOUT = 30.0
"""Seconds for an operation, set in every client that is measured with a limit."""

CLIENTS = {
    "evsession": "ours:Ours",
    "evsession typed": "ours:Typed",
    "bare": "bare:Bare",
    "bare, no timeout": "bare:Untimed",
    "aiohttp": "aio:Aio",
    "ravendb": "official:Official",
}
"""The module in `tests.benchmarks.peers` and the class there. A client whose package is missing is left out."""

Documents = Sequence[tuple[str, Any]]


class Client(AbstractAsyncContextManager["Client"], Protocol):
    """One client, connected to the database. Each method returns how many documents it dealt with."""

    run: Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
    """Runs a coroutine function in the client's own event loop."""

    def make(self, fields: Mapping[str, Any], key: str) -> Any:
        """Return what the client wants to be given to write; not part of what is measured."""

    async def load(self, keys: Sequence[str], at_once: int) -> int:
        """Load documents one by one, so many at once."""

    async def query(self, teams: Sequence[str]) -> int:
        """Run `QUERY` for each of the teams."""

    async def save(self, batches: Sequence[Documents]) -> int:
        """Write each batch in one request."""

    async def bulk(self, documents: Documents) -> int:
        """Write all in one request that is sent piece by piece."""

    async def stream(self, count: int) -> int:
        """Read what `STREAM` finds, document by document."""


def client_class(name: str) -> Callable[[str, str], Client]:
    """Return the class of the client, to call with URL and database.

    Raises:
        ModuleNotFoundError: its package is not installed.
    """
    module, _, cls = CLIENTS[name].partition(":")
    found: Callable[[str, str], Client] = getattr(import_module(f"tests.benchmarks.peers.{module}"), cls)
    return found
