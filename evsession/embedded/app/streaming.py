"""Rows that are given out while they are read: the connection they come from, and the frames they go in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from evsession.embedded.app.answers import told
from evsession.embedded.storage import Storage
from evsession.wire.json import encode

__all__ = ["Lease", "as_lines", "as_object", "gathered"]

PIECE = 64 * 1024
"""Bytes that are gathered before they are given out."""


class Lease:
    """A reader's connection for as long as a stream takes. Must be released; once is enough.

    Attributes:
        connection: It sees one state of the database. After `keep` it is not to be used any more.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.connection = storage.begin_read()
        self._give_back: Callable[[], None] | None = lambda: storage.end_read(self.connection)

    def keep(self, rows: Iterator[bytes]) -> Iterator[bytes]:
        """Return the rows, to be read as they are wanted.

        A store in memory has one connection for all, so there the rows are put aside, lest others wait for a slow client.
        """
        if not self._storage.is_shared:
            return rows
        aside = self._storage.put_aside(rows)
        self.release()
        self._give_back = aside.close
        return aside

    def release(self) -> None:
        """Give the connection back, and let go of the rows."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


def gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Join small pieces to such as are worth sending."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    yield b"".join(waiting)


def as_lines(rows: Iterator[bytes], *, head: bytes = b"", form: bytes = b"%b") -> Iterator[bytes]:
    """Yield the rows as JSON lines; a failure on the way is a line of its own, after a good status."""
    if head:
        yield head + b"\r\n"
    try:
        for row in rows:
            yield form % row + b"\r\n"
    except Exception as error:
        yield b'{"Error":%b}\r\n' % _told(error)


def as_object(rows: Iterator[bytes], *, head: bytes = b"{}") -> Iterator[bytes]:
    """Yield the rows as the member ``Results`` that the object gets; a failure on the way becomes one more."""
    yield head[:-1] + (b"," if len(head) > 2 else b"") + b'"Results":['
    joint, end = b"", b"]}"
    try:
        for row in rows:
            yield joint + row
            joint = b","
    except Exception as error:
        end = b'],"Error":%b}' % _told(error)
    yield end


def _told(error: Exception) -> bytes:
    """Return the failure as RavenDB tells it in the middle of a stream: its type and message in one text."""
    failure = told(error, "a stream")
    return encode(f"{failure.type}: {failure.message}")
