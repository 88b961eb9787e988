"""Which documents a TYPE means."""

from __future__ import annotations

from typing import Any

import evsession

__all__ = ["count_documents", "from_collection", "meant_by"]


def from_collection(name: str) -> str:
    """Return the RQL for all documents of a collection."""
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"from '{quoted}'"


async def count_documents(session: evsession.Session, collection: str) -> int:
    """Return how many documents a collection has. A page of none by RQL makes no index, unlike one by `Session.query`."""
    _, statistics = await session.raw(f"{from_collection(collection)} limit 0")
    return statistics.total or 0


async def meant_by(session: evsession.Session, name: str) -> Any:
    """Return what queries shall take for a TYPE: the collection of just this name if it has documents, else the type.

    Queries take the plural of a type's name for its collection, and so they would not find one that is no plural (``Staff``).
    """
    if name[:1] in ("", "@") or not await count_documents(session, name):
        return name
    return evsession.DocumentType("Row", collection=name)
