"""Indexes on demand: a table of terms for fields that queries ask for, kept right by triggers. Knows SQL's definitions.

``fields_N`` says which fields are kept, ``terms_N`` has their terms by the etag of the document. A document that is written
gets a new etag, so triggers take the old terms away and add the new ones, in the transaction of the write. All names in the
SQL are made of the database's number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from evsession.embedded.query.sources import FieldKey, terms_table
from evsession.embedded.storage import Tables

__all__ = ["KeptFields", "drop"]

ENOUGH = 200
"""Documents in a collection from which on its fields are worth keeping: reading so few costs less than a write to the disk."""

MAX_FIELDS = 500
"""Fields that one database keeps; queries for more of them read documents."""

_INSERTED = (
    "INSERT INTO {terms} (field, document, t, l, d)"
    " SELECT f.number, {etag}, json_extract(e.value, '$[0]'), json_extract(e.value, '$[1]'), json_extract(e.value, '$[2]')"
    " FROM {source}, json_each(ev_terms({body}, f.path, f.analyzer)) e"
)
_TABLES = (
    "CREATE TABLE IF NOT EXISTS {fields} (number INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, path TEXT NOT NULL,"
    " analyzer TEXT NOT NULL, UNIQUE (collection, path, analyzer))",
    "CREATE TABLE IF NOT EXISTS {terms} (field INTEGER NOT NULL, document INTEGER NOT NULL, t TEXT, l INTEGER, d REAL)",
    "CREATE INDEX IF NOT EXISTS {terms}_text ON {terms} (field, t, document)",
    "CREATE INDEX IF NOT EXISTS {terms}_whole ON {terms} (field, l, document) WHERE l IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS {terms}_fraction ON {terms} (field, d, document) WHERE d IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS {terms}_document ON {terms} (document)",
    "CREATE TRIGGER IF NOT EXISTS {terms}_insert AFTER INSERT ON {documents} BEGIN {insert}; END",
    "CREATE TRIGGER IF NOT EXISTS {terms}_update AFTER UPDATE ON {documents} BEGIN"
    " DELETE FROM {terms} WHERE document = OLD.etag; {insert}; END",
    "CREATE TRIGGER IF NOT EXISTS {terms}_delete AFTER DELETE ON {documents} BEGIN"
    " DELETE FROM {terms} WHERE document = OLD.etag; END",
)


class KeptFields:
    """The kept fields of one database.

    Args:
        tables: The database's.
    """

    def __init__(self, tables: Tables) -> None:
        self._documents = tables.documents
        self._terms = terms_table(tables)
        self._fields = tables.documents.replace("documents", "fields")
        self._wanted: set[FieldKey] = set()

    @property
    def are_wanted(self) -> bool:
        """Whether queries asked for fields that are worth keeping."""
        return bool(self._wanted)

    def read(self, connection: sqlite3.Connection) -> Mapping[FieldKey, int]:
        """Return the numbers of the fields that are kept, as this connection sees them."""
        try:
            found = connection.execute(f"SELECT collection, path, analyzer, number FROM {self._fields}").fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return {}
        return {FieldKey(*row[:3]): row[3] for row in found}

    def want(self, connection: sqlite3.Connection, keys: Iterable[FieldKey], kept: int) -> None:
        """Say that a query had to read documents for these fields; `kept` are kept already."""
        for key in keys:
            if len(self._wanted) + kept < MAX_FIELDS and self._is_large(connection, key.collection):
                self._wanted.add(key)

    def _is_large(self, connection: sqlite3.Connection, collection: str) -> bool:
        where, values = ("WHERE collection = ?", (collection,)) if collection else ("", ())
        counted = f"SELECT count(*) FROM (SELECT 1 FROM {self._documents} {where} LIMIT {ENOUGH})"
        found: int = connection.execute(counted, values).fetchone()[0]
        return found == ENOUGH

    def maintain(self, connection: sqlite3.Connection) -> None:
        """Begin to keep the wanted fields; inside of a write transaction."""
        wanted, self._wanted = self._wanted, set()
        names = {"documents": self._documents, "terms": self._terms, "fields": self._fields}
        source = f"{self._fields} f"
        insert = _INSERTED.format(terms=self._terms, etag="NEW.etag", body="NEW.body", source=source)
        for statement in _TABLES:
            connection.execute(statement.format(**names, insert=f"{insert} WHERE f.collection IN (NEW.collection, '')"))
        fill = _INSERTED.format(terms=self._terms, etag="o.etag", body="o.body", source=f"{source} JOIN {self._documents} o")
        for key in sorted(wanted):
            added = connection.execute(f"INSERT OR IGNORE INTO {self._fields} (collection, path, analyzer) VALUES (?, ?, ?)", key)
            if added.rowcount:
                where = "WHERE f.number = ? AND (f.collection = '' OR o.collection = f.collection)"
                connection.execute(f"{fill} {where}", (added.lastrowid,))


def drop(connection: sqlite3.Connection, tables: Tables) -> None:
    """Remove what is kept of a database that goes."""
    terms = terms_table(tables)
    for event in ("insert", "update", "delete"):
        connection.execute(f"DROP TRIGGER IF EXISTS {terms}_{event}")
    for name in (terms, tables.documents.replace("documents", "fields")):
        connection.execute(f"DROP TABLE IF EXISTS {name}")
