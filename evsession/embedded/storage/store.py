"""All databases of one file, or of memory: one writer, any number of readers. Knows locks and connections."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

from evsession.embedded.storage.connect import OLDEST_SQLITE, Prepare, checked_path, connect, lock, prepare
from evsession.embedded.storage.database import Database, new_guid
from evsession.embedded.storage.keys import fold_key
from evsession.embedded.storage.schema import Tables, create_statements, drop_statements
from evsession.embedded.storage.spool import Spool, Spools
from evsession.embedded.storage.transaction import Transaction
from evsession.errors import ConfigurationError

__all__ = ["Storage"]


class Storage:
    """The databases of a file. May be used by several threads at once; what blocks, blocks the thread.

    A file is written ahead of (WAL), and a commit returns when the disk has it. Readers see the last commit before they began.
    Memory has one connection, which readers and writers take turns to use: while a script of a patch runs, for a second at most,
    nobody reads.

    Args:
        path: The file, made if it is missing; None keeps everything in memory.
        also: Called with each connection before its first use, such as to give it functions.

    Raises:
        ConfigurationError: the file is none of ours, a newer version's, open already, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, also: Prepare = lambda connection: None) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise ConfigurationError(
                f"the embedded server needs SQLite {'.'.join(map(str, OLDEST_SQLITE))}, not {sqlite3.sqlite_version}"
            )
        self.path = None if path is None else checked_path(path)
        self._also = also
        self._closed = False
        self._writing = threading.Lock()
        self._spools = Spools()
        self._idle: list[sqlite3.Connection] = []
        self._lock: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection
        self.databases: dict[str, Database] = self._open()

    def __repr__(self) -> str:
        return f"<Storage {self.path or 'in memory'}, {len(self.databases)} databases{', closed' if self._closed else ''}>"

    @property
    def is_shared(self) -> bool:
        """Whether readers and writers share a connection, so that whoever reads for long keeps the writers waiting."""
        return self.path is None

    def _open(self) -> dict[str, Database]:
        """Take the file, and return its databases; what fails takes nothing."""
        with ExitStack() as undo:
            try:
                if self.path is not None:
                    self._lock = undo.enter_context(closing(lock(self.path)))
                self._writer = undo.enter_context(closing(connect(self.path, self._also)))
                prepare(self._writer, self.path)
                databases = self._load()
            except sqlite3.Error as error:
                raise ConfigurationError(f"{self.path!r} cannot be used by the embedded server: {error}") from error
            undo.pop_all()
        return databases

    def _load(self) -> dict[str, Database]:
        found = self._writer.execute("SELECT number, key, name, guid, last_etag, disabled, record FROM databases").fetchall()
        databases = {}
        for number, key, name, guid, last_etag, disabled, record in found:
            database = databases[key] = Database(number, name, guid, last_etag, disabled=bool(disabled), record=record)
            database.collections = dict(self._writer.execute(f"SELECT key, name FROM {database.tables.collections}"))
        return databases

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that sees one state of all databases, until the block is left."""
        connection = self.begin_read()
        try:
            yield connection
        finally:
            self.end_read(connection)

    def begin_read(self) -> sqlite3.Connection:
        """Lend a connection that sees one state of all databases until `end_read`, in whichever thread that is called."""
        if self.path is None:
            self._writing.acquire()
            if self._closed:
                self._writing.release()
                raise _closed()
            self._spools.sweep(self._writer)
            return self._writer
        try:
            connection = self._idle.pop()
        except IndexError:
            if self._closed:
                raise _closed() from None
            connection = connect(self.path, self._also)
        try:
            connection.execute("BEGIN")
        except BaseException:
            connection.close()
            raise
        return connection

    def end_read(self, connection: sqlite3.Connection) -> None:
        """Take the connection back."""
        if self.path is None:
            self._writing.release()
            return
        try:
            connection.execute("ROLLBACK")
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        if self._closed:
            self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def put_aside(self, rows: Iterable[bytes]) -> Aside:
        """Take all rows at once, from the connection that was lent, and return what gives them one by one later.

        Only for a store with one connection (`is_shared`). Closing what is returned lets go of the rows, without waiting.
        """
        spool = self._spools.fill(self._writer, rows)
        return Aside(self, self._spools, spool)

    @contextmanager
    def write(self, database: Database) -> Iterator[Transaction]:
        """Lend a transaction, committed when the block is left; an exception undoes all of it and goes on.

        Raises:
            sqlite3.Error: the disk is full or refuses; nothing was written.
        """
        with self._exclusively() as connection:
            transaction = Transaction(connection, database)
            try:
                with _committed(connection):
                    yield transaction
                    transaction.finish()
            except BaseException:
                transaction.undone()
                raise
            transaction.apply()

    @contextmanager
    def _exclusively(self) -> Iterator[sqlite3.Connection]:
        with self._writing:
            if self._closed:
                raise _closed()
            yield self._writer

    def create_database(self, name: str, record: str = "{}") -> Database | None:
        """Create a database and return it, or None if there is one of this name, whatever its case."""
        key = fold_key(name)
        with self._exclusively() as connection:
            if key in self.databases:
                return None
            guid = new_guid()
            with _committed(connection):
                cursor = connection.execute(
                    "INSERT INTO databases (key, name, guid, last_etag, disabled, record) VALUES (?, ?, ?, 0, 0, ?)",
                    (key, name, guid, record),
                )
                database = Database(cursor.lastrowid or 0, name, guid, 0, disabled=False, record=record)
                for statement in create_statements(database.tables):
                    connection.execute(statement)
            self.databases = {**self.databases, key: database}
        return database

    def delete_database(
        self, name: str, *, also: Callable[[sqlite3.Connection, Tables], None] = lambda connection, tables: None
    ) -> Database | None:
        """Delete a database with all that is in it and return it, or None if there was none.

        Args:
            name: Its name, whatever its case.
            also: Called in the same transaction with the names of the database's tables, to remove what others keep of it.
        """
        key = fold_key(name)
        with self._exclusively() as connection:
            database = self.databases.get(key)
            if database is None:
                return None
            with _committed(connection):
                also(connection, database.tables)
                connection.execute("DELETE FROM databases WHERE number = ?", (database.number,))
                for statement in drop_statements(database.tables):
                    connection.execute(statement)
            self.databases = {other: kept for other, kept in self.databases.items() if other != key}
        return database

    def switch_database(self, name: str, *, disabled: bool) -> Database | None:
        """Switch a database on or off and return it, or None if there is none."""
        with self._exclusively() as connection:
            database = self.databases.get(fold_key(name))
            if database is not None:
                connection.execute("UPDATE databases SET disabled = ? WHERE number = ?", (disabled, database.number))
                database.disabled = disabled
        return database

    def database(self, name: str) -> Database | None:
        """Return the database of this name, whatever its case, or None."""
        return self.databases.get(fold_key(name))

    def close(self) -> None:
        """Close the file. What reads still, reads to its end; what wants to begin gets `ConfigurationError`."""
        with self._writing:
            if self._closed:
                return
            self._closed = True
            self._close_idle()
            self._writer.close()
            if self._lock is not None:
                self._lock.close()


class Aside(Iterator[bytes]):
    """Rows that were put aside; it has a connection only while it reads the next of them."""

    def __init__(self, storage: Storage, spools: Spools, spool: Spool) -> None:
        self._storage = storage
        self._spools = spools
        self._spool: Spool | None = spool
        self._rows: list[bytes] = []

    def __next__(self) -> bytes:
        if not self._rows and self._spool is not None:
            with self._storage.read() as connection:
                self._rows = self._spool.read(connection)[::-1]
        if not self._rows:
            self.close()
            raise StopIteration
        return self._rows.pop()

    def close(self) -> None:
        """Let go of the rows."""
        spool, self._spool = self._spool, None
        self._rows = []
        if spool is not None:
            self._spools.let_go(spool)


@contextmanager
def _committed(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in a transaction: all of it, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have ended it already
            connection.execute("ROLLBACK")
        raise


def _closed() -> ConfigurationError:
    return ConfigurationError("the embedded server is closed")
