"""What the tables look like, and how the file says whose it is. SQL of definitions only."""

from __future__ import annotations

import msgspec

__all__ = ["APPLICATION_ID", "CATALOGUE", "FORMAT_VERSION", "Tables", "create_statements", "drop_statements"]

APPLICATION_ID = 0x65767365
"""``"evse"``, in the header of every file of ours."""

FORMAT_VERSION = 1
"""Counts changes of the tables that older versions of this package could not read."""

CATALOGUE = """
CREATE TABLE databases (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  guid TEXT NOT NULL,
  last_etag INTEGER NOT NULL,
  disabled INTEGER NOT NULL,
  record TEXT NOT NULL)
"""

# The etag is the rowid: a write gives a document a new one, so the table is in the order in which RavenDB lists documents,
# inserts append, and an index on the collection needs no further column to be in that order.
_TABLES = (
    """
    CREATE TABLE {0.documents} (
      etag INTEGER PRIMARY KEY,
      key TEXT NOT NULL UNIQUE,
      id TEXT NOT NULL,
      collection TEXT NOT NULL,
      body TEXT NOT NULL,
      metadata TEXT NOT NULL,
      change_vector TEXT NOT NULL,
      modified TEXT NOT NULL)
    """,
    "CREATE INDEX {0.documents}_collection ON {0.documents} (collection)",
    "CREATE TABLE {0.collections} (key TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE {0.identities} (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE {0.indexes} (key TEXT PRIMARY KEY, name TEXT NOT NULL, definition TEXT NOT NULL) WITHOUT ROWID",
)


class Tables(msgspec.Struct, frozen=True):
    """The names of one database's tables: made of its number, so that nothing a user wrote gets into SQL."""

    documents: str
    collections: str
    identities: str
    indexes: str

    @classmethod
    def of(cls, number: int) -> Tables:
        """Return the names of the tables of the database with this number."""
        return cls(*(f"{name}_{number:d}" for name in cls.__struct_fields__))


def create_statements(tables: Tables) -> list[str]:
    """Return the statements that make a database's tables."""
    return [statement.format(tables) for statement in _TABLES]


def drop_statements(tables: Tables) -> list[str]:
    """Return the statements that remove a database's tables with their indexes."""
    return [f"DROP TABLE {name}" for name in msgspec.structs.astuple(tables)]
