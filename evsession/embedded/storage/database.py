"""One database of a store: its name, its tables, and the counters that the next write goes on from. Runs no SQL."""

from __future__ import annotations

import base64
from uuid import uuid4

from evsession.embedded.storage.schema import Tables

__all__ = ["NODE_TAG", "Database", "new_guid"]

NODE_TAG = "A"
"""The only node there is, as RavenDB calls its first."""


class Database:
    """A database. Its counters change only under the storage's lock for writers, and only after a commit.

    Attributes:
        name: As it was created.
        number: What its tables are named by.
        tables: Their names.
        guid: The part of its change vectors that tells it from other databases.
        last_etag: The etag of the last write.
        collections: Names of collections by folded name.
        record: What its creator said of it, as JSON.
        disabled: Whether it was switched off.
    """

    def __init__(self, number: int, name: str, guid: str, last_etag: int, *, disabled: bool, record: str) -> None:
        self.number = number
        self.name = name
        self.guid = guid
        self.last_etag = last_etag
        self.tables = Tables.of(number)
        self.collections: dict[str, str] = {}
        self.record = record
        self.disabled = disabled

    def __repr__(self) -> str:
        return f"<Database {self.name!r}, {self.last_etag} writes>"

    def change_vector(self, etag: int) -> str:
        """Return the change vector of the write with this etag, as RavenDB's: ``A:5-t09jB506iEunWcANKrlXcw``; empty at 0."""
        return f"{NODE_TAG}:{etag}-{self.guid}" if etag else ""


def new_guid() -> str:
    """Return a fresh id of a database: 22 characters."""
    return base64.b64encode(uuid4().bytes).decode().rstrip("=")
