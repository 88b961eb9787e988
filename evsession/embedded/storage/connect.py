"""Opening the file: whose it is, which version it has, and that nobody else has it open. Knows SQLite's settings, no tables."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from evsession.embedded.storage.schema import APPLICATION_ID, CATALOGUE, FORMAT_VERSION
from evsession.errors import ConfigurationError

__all__ = ["Prepare", "checked_path", "connect", "lock", "prepare"]

OLDEST_SQLITE = (3, 38, 0)
"""The first with JSON built in and everything that is used of it."""

BUSY_TIMEOUT = 30.0
"""Seconds to wait for a lock of SQLite's own; there is one writer, so only a checkpoint can hold one for long."""


Prepare = Callable[[sqlite3.Connection], None]
"""What is done to each connection before its first use."""


def connect(path: str | None, also: Prepare) -> sqlite3.Connection:
    """Return a prepared connection that begins and ends no transaction by itself; None is memory of its own."""
    connection = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        also(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def lock(path: str) -> sqlite3.Connection:
    """Take the file for this process and this server: a lock that ends with the connection, or with the process however it ends.

    It is SQLite's lock on an empty file beside the data, since one on the data would keep its own readers out. The file stays:
    removing it would let two take it at once.

    Raises:
        ConfigurationError: if somebody else has it.
    """
    held = sqlite3.connect(path + "-lock", timeout=0, isolation_level=None, check_same_thread=False)
    try:
        held.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        held.close()
        if "locked" in str(error):
            raise ConfigurationError(
                f"{path!r} is open already, in this process or another; a file belongs to one embedded server at a time"
            ) from error
        raise
    return held


def prepare(connection: sqlite3.Connection, path: str | None) -> None:
    """Make an empty file ours, or see that it is.

    Raises:
        ConfigurationError: it is another program's, or a newer version's.
        sqlite3.Error: it cannot be read or written.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == 0 and version == 0 and objects == 0:
        # Before there is a write-ahead log, so that the header says from its first byte on whose the file is.
        connection.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT_VERSION};"
            f"{CATALOGUE}; COMMIT"
        )
    elif application != APPLICATION_ID:
        raise ConfigurationError(f"{path!r} is a database of another program, not of evsession's embedded server")
    elif version != FORMAT_VERSION:
        raise ConfigurationError(
            f"{path!r} has format {version}, this evsession reads format {FORMAT_VERSION}: use the version that wrote it"
        )
    if path is not None:
        _write_ahead(connection, path)


def _write_ahead(connection: sqlite3.Connection, path: str) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise ConfigurationError(f"{path!r} is where SQLite cannot write ahead (it offers {mode!r}): use a local disk")
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")  # tells at once if the file cannot be written


def checked_path(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """Return the absolute path of the file, links followed, so that one file has one lock.

    Raises:
        ConfigurationError: there can be no such file.
    """
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise ConfigurationError(f"{text!r} cannot be the path of a file")
    real = Path(os.path.realpath(text))
    if real.is_dir():
        raise ConfigurationError(f"{text!r} is a directory; the embedded server wants a file")
    if not real.parent.is_dir():
        raise ConfigurationError(f"{str(real.parent)!r}, where the file of the embedded server should be, is no directory")
    return str(real)
