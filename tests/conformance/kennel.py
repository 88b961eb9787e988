"""Documents that most tests share, and short ways to put them on the server and to read them without a session's memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import evsession

Dog = evsession.DocumentType("Dog")
Cat = evsession.DocumentType("Cat")
Person = evsession.DocumentType("Person")

MAX, JESS, BILLY, MUM = "dogs/max", "dogs/jess", "dogs/billy", "dogs/mum"

FAMILY: dict[str, dict[str, Any]] = {
    MAX: {"name": "Max", "breed": "Golden Retriever", "age": 12, "puppy": JESS, "mother": MUM},
    JESS: {"name": "Jess", "breed": "German Shepherd", "age": 7, "puppy": BILLY, "mother": MAX},
    BILLY: {"name": "Billy", "breed": "Labrador", "age": 2, "mother": JESS},
    MUM: {"name": "Mum", "breed": "Labrador", "age": 17},
}


class Wire:
    """What a session sends from now on, as its observation events tell it."""

    def __init__(self, session: evsession.Session) -> None:
        self.requests: list[evsession.WireEvent] = []
        session.add_listener("request", self.requests.append)

    def __len__(self) -> int:
        return len(self.requests)

    def take(self) -> list[str]:
        """Return the methods and paths since the last call, without host and query."""
        taken, self.requests[:] = list(self.requests), []
        return [f"{event.method} /{event.url.partition('?')[0].rpartition('/')[2]}" for event in taken]


class Told:
    """A callback or handler that remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *results: Any) -> None:
        self.calls.append(results)

    @property
    def errors(self) -> list[Any]:
        """The first argument of each call."""
        return [call[0] for call in self.calls]


async def put(store: evsession.Store, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Write documents by another session; the first part of a key names the collection."""
    async with store.open_session() as other:
        for key, fields in rows.items():
            other.store(dict(fields), key=key, collection=key.partition("/")[0].capitalize())
        await other.save()


async def read(store: evsession.Store, key: str) -> Any:
    """Return the document as the server has it now, or None."""
    async with store.open_session() as other:
        return await other.load(key)


async def change(store: evsession.Store, key: str, **fields: Any) -> None:
    """Let somebody else change a document."""
    async with store.open_session() as other:
        (await other.load(key)).update(fields)
        await other.save()


def etag_of(document: Any) -> str:
    """Return the version that a document was read with."""
    etag: str = document.metadata["@change-vector"]
    return etag


def of(documents: Any, key: str) -> Any:
    """Return the one of the documents that has this key."""
    return documents.load(key)


def names(documents: Any) -> list[str]:
    """Return the names of documents, sorted."""
    return sorted(document["name"] for document in documents)
