"""Writing documents: one transaction of one database. Knows change vectors, collections and identities."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from datetime import datetime, timezone
from time import time_ns
from typing import NamedTuple
from uuid import uuid4

from evsession.embedded.failures import collection_mismatch, delete_conflict, put_conflict
from evsession.embedded.storage.database import NODE_TAG, Database
from evsession.embedded.storage.documents import Row, prefixed_rows, row_by_key
from evsession.embedded.storage.due import check_due
from evsession.embedded.storage.keys import check_key, fold_key

__all__ = ["EMPTY_COLLECTION", "Transaction", "Written", "timestamp", "wrapped"]

EMPTY_COLLECTION = "@empty"

_TICKS = 10_000_000


def timestamp() -> str:
    """Return the time as RavenDB writes it, with seven digits after the second."""
    seconds, ticks = divmod(time_ns() // 100, _TICKS)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{ticks:07d}Z"


def wrapped(number: int) -> int:
    """Return the number as 64 bits hold it, as RavenDB counts (seen on 7.1)."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


class Written(NamedTuple):
    """What became of a document that was written."""

    id: str
    collection: str
    change_vector: str
    modified: str


class Transaction:
    """The writes of one transaction, in order; each sees those before it. Made by `Storage.write`.

    Attributes:
        connection: Where they go.
        database: What they are made in; its counters stay as they are until `apply`.
        etag: The etag of the last write so far.
        now: The time of all its writes.
    """

    def __init__(self, connection: sqlite3.Connection, database: Database) -> None:
        self.connection = connection
        self.database = database
        self.etag = database.last_etag
        self.now = timestamp()
        self._collections: dict[str, str] = {}
        self._identities: dict[str, int] = {}
        documents = database.tables.documents
        self._find = f"SELECT id, collection, change_vector FROM {documents} WHERE key = ?"
        self._insert = f"INSERT INTO {documents} VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        self._update = (
            f"UPDATE {documents} SET etag = ?, key = ?, id = ?, collection = ?, body = ?, metadata = ?,"
            " change_vector = ?, modified = ? WHERE key = ?"
        )
        self._delete = f"DELETE FROM {documents} WHERE key = ?"

    def read(self, id: str) -> Row | None:
        """Return the document as it is now, or None."""
        return row_by_key(self.connection, self.database.tables, check_key(id))

    def put(self, id: str, body: str, metadata: str, collection: str, expected: str | None = None) -> Written:
        """Write a document.

        Args:
            id: The whole key; see `make_key`.
            body: The document as a JSON object, without metadata.
            metadata: The metadata to keep, as a JSON object.
            collection: Where it belongs; a known collection's spelling wins.
            expected: The change vector that the document must have, ``""`` if it must not exist, None for any.

        Raises:
            RavenFailure: the key is too long, the change vector is another, or the document is in another
                collection, or a time in its metadata is none.
        """
        key = check_key(id)
        found = self.connection.execute(self._find, (key,)).fetchone()
        if expected is not None and expected != (found[2] if found else ""):
            raise put_conflict(id, expected, found[2] if found else None)
        if found and found[1] != collection and fold_key(found[1]) != fold_key(collection):
            raise collection_mismatch(id, found[1], self._known(collection) or collection)
        check_due(key, metadata, self.now)
        self.etag += 1
        written = Written(id, self._collection(collection), self.database.change_vector(self.etag), self.now)
        values = (self.etag, key, id, written.collection, body, metadata, written.change_vector, self.now)
        if found:
            self.connection.execute(self._update, (*values, key))
        else:
            self.connection.execute(self._insert, values)
        return written

    def delete(self, id: str, expected: str | None = None) -> bool:
        """Delete a document, and return whether there was one.

        Raises:
            RavenFailure: the key is too long, or the change vector is another; that of a missing document is no text at all.
        """
        key = check_key(id)
        if expected is not None:
            found = self.connection.execute(self._find, (key,)).fetchone()
            if not found or found[2] != expected:
                raise delete_conflict(id if found else key, expected, found[2] if found else None)
        gone = self.connection.execute(self._delete, (key,)).rowcount > 0
        self.etag += gone
        return gone

    def delete_prefixed(self, prefix: str) -> bool:
        """Delete the documents whose keys start so, and return whether there were any."""
        keys = [fold_key(row[0]) for row in prefixed_rows(self.connection, self.database.tables, check_key(prefix))]
        self.connection.executemany(self._delete, [(key,) for key in keys])
        self.etag += len(keys)
        return bool(keys)

    def make_key(self, asked: str | None) -> str:
        """Return a whole key for what was asked: ``dogs/`` a number that sorts by time, ``dogs|`` an identity, none a GUID.

        A number that sorts by time is the etag of the write that must follow.
        """
        if not asked:
            return str(uuid4())
        if asked.endswith("/"):
            return f"{asked}{self.etag + 1:019d}-{NODE_TAG}"
        if asked.endswith("|"):
            return f"{asked[:-1]}/{self.next_identity(asked)}"
        return asked

    def next_identity(self, name: str, step: int = 1) -> int:
        """Move the identity on and return its value. It starts at 1; after the largest number of 64 bits comes the smallest."""
        table, key = self.database.tables.identities, _identity(name)
        found = self.connection.execute(f"SELECT value FROM {table} WHERE key = ?", (key,)).fetchone()
        value = wrapped((found[0] if found else 0) + step)
        self.connection.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (key, value))
        self._identities[key] = value
        return value

    def seed_identity(self, name: str, value: int, *, force: bool) -> int:
        """Set the identity, to a lower value only by force, and return what it is now."""
        table, chosen = self.database.tables.identities, "excluded.value" if force else "max(value, excluded.value)"
        found = self.connection.execute(
            f"INSERT INTO {table} VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = {chosen} RETURNING value",
            (_identity(name), value),
        ).fetchall()
        now: int = found[0][0]
        return now

    def _collection(self, name: str) -> str:
        """Return the collection's name as it was first written."""
        known = self._known(name)
        if known is None:
            key = check_key(name)  # its name may be as long as a key, and no longer (seen on 7.1)
            self.connection.execute(f"INSERT INTO {self.database.tables.collections} VALUES (?, ?)", (key, name))
            self._collections[key] = known = name
        return known

    def _known(self, collection: str) -> str | None:
        key = fold_key(collection)
        return self.database.collections.get(key) or self._collections.get(key)

    def finish(self) -> None:
        """Write the counters; the last thing before the commit."""
        if self.etag != self.database.last_etag:
            self.connection.execute("UPDATE databases SET last_etag = ? WHERE number = ?", (self.etag, self.database.number))

    def undone(self) -> None:
        """Keep what must not come twice, after everything was undone: etags that were told, and identities that were given."""
        self.database.last_etag = self.etag
        if self._identities:
            # Nobody misses a number that is lost here: a full disk must not hide why the transaction failed.
            with suppress(sqlite3.Error):
                self.connection.executemany(
                    f"INSERT INTO {self.database.tables.identities} VALUES (?, ?)"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    list(self._identities.items()),
                )

    def apply(self) -> None:
        """Let the database know its counters; the first thing after the commit."""
        self.database.last_etag = self.etag
        self.database.collections.update(self._collections)


def _identity(name: str) -> str:
    return fold_key(name if name.endswith("|") else name + "|")
