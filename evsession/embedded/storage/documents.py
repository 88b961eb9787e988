"""Reading documents: rows by key, by prefix, by etag, and the JSON that a row becomes. Writes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from evsession.embedded.storage.database import Database
from evsession.embedded.storage.schema import Tables
from evsession.wire.json import encode

__all__ = [
    "DOCUMENT_COLUMNS",
    "Row",
    "all_rows",
    "document_json",
    "last_etag",
    "metadata_json",
    "prefixed_rows",
    "row_by_key",
    "rows_by_key",
    "successor",
]

DOCUMENT_COLUMNS = "id, CAST(body AS BLOB), CAST(metadata AS BLOB), change_vector, modified"
"""What `document_json` needs, in its order."""

Row = tuple[str, bytes, bytes, str, str]


def metadata_json(row: Row) -> bytes:
    """Return the document's metadata with what the server adds, as a JSON object."""
    key, _, metadata, change_vector, modified = row
    joint = b"," if len(metadata) > 2 else b""
    return b'%b%b"@change-vector":"%b","@id":%b,"@last-modified":"%b"}' % (
        metadata[:-1],
        joint,
        change_vector.encode(),
        encode(key),
        modified.encode(),
    )


def document_json(row: Row) -> bytes:
    """Return the document as RavenDB gives it: its fields, and its metadata last."""
    body = row[1]
    return b'%b%b"@metadata":%b}' % (body[:-1], b"," if len(body) > 2 else b"", metadata_json(row))


def last_etag(connection: sqlite3.Connection, database: Database) -> int:
    """Return the etag of the last write that the connection sees; `Database.last_etag` may be ahead of it."""
    found: tuple[int] | None = connection.execute(
        "SELECT last_etag FROM databases WHERE number = ?", (database.number,)
    ).fetchone()
    return found[0] if found else 0


def row_by_key(connection: sqlite3.Connection, tables: Tables, key: str) -> Row | None:
    """Return the document with this folded key, or None."""
    found: Row | None = connection.execute(f"SELECT {DOCUMENT_COLUMNS} FROM {tables.documents} WHERE key = ?", (key,)).fetchone()
    return found


def rows_by_key(connection: sqlite3.Connection, tables: Tables, keys: list[str]) -> dict[str, Row]:
    """Return the documents with these folded keys, by key; missing ones are left out."""
    if len(keys) == 1:
        row = row_by_key(connection, tables, keys[0])
        return {keys[0]: row} if row else {}
    found = connection.execute(
        f"SELECT key, {DOCUMENT_COLUMNS} FROM {tables.documents} WHERE key IN (SELECT value FROM json_each(?))",
        (encode(keys).decode(),),
    )
    return {row[0]: row[1:] for row in found}


def prefixed_rows(connection: sqlite3.Connection, tables: Tables, prefix: str, after: str = "") -> Iterator[Row]:
    """Yield the documents whose folded keys start with the folded prefix and come after `after`, in the order of keys.

    RavenDB goes to `after` and stops at the first key without the prefix, so an `after` outside finds nothing (seen on 7.1).
    """
    if after and not after.startswith(prefix):
        return
    end = successor(prefix)
    where = "key >= ? AND key > ?" + (" AND key < ?" if end else "")
    values = (prefix, after, *([end] if end else []))
    yield from connection.execute(f"SELECT {DOCUMENT_COLUMNS} FROM {tables.documents} WHERE {where} ORDER BY key", values)


def successor(prefix: str) -> str | None:
    """Return the first text after all texts that start so, or None if there is none."""
    for length in range(len(prefix), 0, -1):
        code = ord(prefix[length - 1])
        if code < 0x10FFFF:
            # Half a surrogate pair has no form in UTF-8.
            return prefix[: length - 1] + chr(0xE000 if code == 0xD7FF else code + 1)
    return None


def all_rows(connection: sqlite3.Connection, tables: Tables) -> Iterator[Row]:
    """Yield all documents, the last written first."""
    yield from connection.execute(f"SELECT {DOCUMENT_COLUMNS} FROM {tables.documents} ORDER BY etag DESC")
