"""Rows put aside in SQLite's own memory, to be read later bit by bit. For stores in memory, which have no snapshots."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from itertools import count

__all__ = ["Spool", "Spools"]

READ = 100
"""Rows that are read at a time."""


class Spool:
    """Rows that were put aside.

    Attributes:
        table: Where they are; its name is a number's.
    """

    def __init__(self, connection: sqlite3.Connection, number: int, rows: Iterable[bytes]) -> None:
        self.table = f"temp.spool_{number:d}"
        self._last = 0
        connection.execute(f"CREATE TEMP TABLE spool_{number:d} (number INTEGER PRIMARY KEY, row BLOB NOT NULL)")
        connection.execute("BEGIN")
        try:
            connection.executemany(f"INSERT INTO {self.table} (row) VALUES (?)", ((row,) for row in rows))
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def read(self, connection: sqlite3.Connection) -> list[bytes]:
        """Return the next rows, none at their end."""
        found = connection.execute(
            f"SELECT number, row FROM {self.table} WHERE number > ? ORDER BY number LIMIT {READ}", (self._last,)
        ).fetchall()
        if found:
            self._last = found[-1][0]
        return [row for _, row in found]


class Spools:
    """The spools of a connection. What is not wanted any more is dropped when the connection is used next, so nobody waits."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._unwanted: list[Spool] = []

    def fill(self, connection: sqlite3.Connection, rows: Iterable[bytes]) -> Spool:
        """Put the rows aside. Whoever calls this has the connection to himself."""
        return Spool(connection, next(self._numbers), rows)

    def let_go(self, spool: Spool) -> None:
        """Say that a spool is not wanted any more. Never waits."""
        self._unwanted.append(spool)

    def sweep(self, connection: sqlite3.Connection) -> None:
        """Drop what is not wanted any more. Whoever calls this has the connection to himself."""
        while self._unwanted:
            with suppress(sqlite3.Error):
                connection.execute(f"DROP TABLE {self._unwanted.pop().table}")
