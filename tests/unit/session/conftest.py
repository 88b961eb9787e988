"""Sessions on a scripted transport: no network, no server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import pytest

import evsession
from evsession.testing.scripted import Answer, ScriptedTransport, json_answer

Scripted: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[evsession.Session, ScriptedTransport]]]


def row(key: str, version: str = "A:1-x", /, **fields: Any) -> dict[str, Any]:
    """A document as the server sends it."""
    collection = key.split("/")[0].capitalize()
    return {**fields, "@metadata": {"@id": key, "@change-vector": version, "@collection": collection}}


def loaded(*rows: dict[str, Any] | None, includes: dict[str, Any] | None = None) -> evsession.Response:
    """The answer to a load."""
    return json_answer({"Results": list(rows), "Includes": includes or {}})


def saved(*keys: str, version: str = "A:2-x") -> evsession.Response:
    """The answer to a batch of puts."""
    results = [
        {"Type": "PUT", "@id": key, "@change-vector": version, "@collection": "Dogs", "@last-modified": "2026-01-01T00:00:00Z"}
        for key in keys
    ]
    return json_answer({"Results": results}, 201)


def refused(status: int, kind: str = "System.Exception", message: str = "no", **more: Any) -> evsession.Response:
    """An answer by which the server refuses."""
    return json_answer({"Url": "/", "Type": kind, "Message": message, "Error": f"{message}\n   at Raven.Server", **more}, status)


@pytest.fixture
def scripted() -> Scripted:
    """Open a session whose requests are answered from a script; keywords go to the store."""

    @asynccontextmanager
    async def open_scripted(
        *answers: Answer,
        repeat: Answer | None = None,
        prepare: Callable[[evsession.Store], object] | None = None,
        **arguments: Any,
    ) -> AsyncIterator[tuple[evsession.Session, ScriptedTransport]]:
        transport = ScriptedTransport(*answers, repeat=repeat)
        store = evsession.Store(transport=transport, database="db", **arguments)
        if prepare is not None:
            prepare(store)
        is_over = False
        async with store, store.open_session() as session:
            yield session, transport
            is_over = True
        assert is_over, "the test was cut off, and the store let nobody know"

    return open_scripted


_Dog = evsession.DocumentType("Dog")


@pytest.fixture(autouse=True)
def _dogs_are_documents() -> None:
    # The class declared last stands for a collection, and modules of tests declare theirs when they are imported.
    evsession.document(_Dog, collection="Dogs")
