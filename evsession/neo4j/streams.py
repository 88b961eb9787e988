"""Rows as they come: JSON lines (2025.12 and later), and one JSON object that is taken apart while it arrives (5.26).

Both parsers have the same face: `feed` gives the rows that the bytes complete, `close` the rest of the answer. A failure is
raised after the rows before it have been given.
"""

# Annotations are not postponed: msgspec looks the names of unions up where they are defined.

import re
from typing import Any

import msgspec

from evsession.errors import ProtocolError, SessionError
from evsession.neo4j.answers import Answer
from evsession.neo4j.decoding import TypedValue, values_of
from evsession.neo4j.errors import ServerFault, fault_error
from evsession.wire.json import decode_as

__all__ = ["LineParser", "ObjectParser"]


class _Event(msgspec.Struct, tag_field="$event"):
    """A line."""


class _Fields(msgspec.Struct):
    fields: list[str] = []


class _Header(_Event, tag="Header"):
    body: _Fields = msgspec.field(name="_body")


class _Record(_Event, tag="Record"):
    body: list[TypedValue] = msgspec.field(name="_body")


class _Summary(_Event, tag="Summary"):
    body: Answer = msgspec.field(name="_body")


class _Error(_Event, tag="Error"):
    body: list[ServerFault] = msgspec.field(name="_body")


_LINE: Any = _Header | _Record | _Summary | _Error

_NEXT_ROW = b"],["
_VALUES = re.compile(rb'"values"\s*:\s*\[')
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]]', re.DOTALL)


class LineParser:
    """JSON lines.

    Attributes:
        fields: The names that the statement returns, once they have come.
        answer: What follows the rows, once it has come.
        count: Rows so far.
    """

    def __init__(self, database: str, *, writes: bool = False) -> None:
        self.fields: list[str] | None = None
        self.answer: Answer | None = None
        self.count = 0
        self._database = database
        self._writes = writes
        self._pieces: list[bytes] = []
        self._failure: SessionError | None = None

    def feed(self, data: bytes) -> list[list[Any]]:
        """Return the rows that these bytes complete.

        Raises:
            SessionError: what the server failed with half-way.
            ProtocolError: this is no stream of rows.
        """
        if self._failure is not None:
            raise self._failure
        end = data.rfind(b"\n") + 1
        if not end:
            self._pieces.append(data)
            return []
        lines = b"".join([*self._pieces, data[:end]])
        self._pieces = [data[end:]]
        return self._take(lines)

    def _take(self, lines: bytes) -> list[list[Any]]:
        rows: list[list[TypedValue]] = []
        for line in lines.split(b"\n"):
            if not line.strip():
                continue
            event: Any = decode_as(line, _LINE, lax=True)
            if isinstance(event, _Record):
                rows.append(event.body)
            elif isinstance(event, _Header):
                self.fields = event.body.fields
            elif isinstance(event, _Summary):
                self.answer = event.body
            else:
                before = self.count + len(rows)
                faults = event.body or [ServerFault()]
                self._failure = fault_error(faults, 202, rows=before, database=self._database, writes=self._writes)
                break
        self.count += len(rows)
        if self._failure is not None and not rows:
            raise self._failure
        return values_of(rows)

    def close(self) -> list[list[Any]]:
        """Say that there are no more bytes; return the rows that were left.

        Raises:
            SessionError: what the server failed with at the end.
            ProtocolError: the end is missing.
        """
        rest, self._pieces = b"".join(self._pieces), []
        rows = self._take(rest) if rest else []
        if self._failure is None and self.answer is None:
            raise ProtocolError("the stream ended early", status_code=202)
        return rows

    def finish(self) -> Answer:
        """Return what followed the rows, or raise the failure that did, once all rows were given."""
        if self._failure is not None:
            raise self._failure
        assert self.answer is not None
        return self.answer


class ObjectParser:
    """One JSON object, ``{"data": {"fields": [...], "values": [row, ...]}, ...}``, in this order on 5.26. Attributes as above.

    Holds at most one row and one piece. Rows are found by the ``],[`` between them, which is nowhere else but in texts: what is
    cut there is read at once, and only if that fails is it looked at token by token.
    """

    def __init__(self, database: str, *, writes: bool = False) -> None:
        self.fields: list[str] | None = None
        self.answer: Answer | None = None
        self.count = 0
        self._database = database
        self._writes = writes
        self._buffer = b""
        self._head: bytes | None = None
        self._failure: SessionError | None = None

    def feed(self, data: bytes) -> list[list[Any]]:
        """Return the rows that these bytes complete; raises as `LineParser.feed`."""
        self._buffer += data
        if self._head is None:
            found = _VALUES.search(self._buffer)
            if found is None:
                return []
            self._head, self._buffer = self._buffer[: found.end()], self._buffer[found.end() :]
            data_before = _answer(self._head + b"]}}").data
            assert data_before is not None  # its beginning was found
            self.fields = data_before.fields
        self._buffer = self._buffer.lstrip(b", \r\n")
        cut = self._buffer.rfind(_NEXT_ROW)
        if cut < 0:
            return []
        try:
            rows = _rows(self._buffer[: cut + 1])
        except ProtocolError:
            cut = _last_row(self._buffer)[0]
            if cut < 0:
                return []
            rows = _rows(self._buffer[: cut + 1])
        self._buffer = self._buffer[cut + 1 :]
        self.count += len(rows)
        return values_of(rows)

    def close(self) -> list[list[Any]]:
        """Say that there are no more bytes; return the rows that were left; raises as `LineParser.close`."""
        rest, rows = self._buffer.lstrip(b", \r\n"), []
        if self._head is not None:
            cut, end = _last_row(rest)
            if end < 0:
                raise ProtocolError("the stream ended early", status_code=202)
            rows = _rows(rest[: cut + 1]) if cut >= 0 else []
            rest = self._head + rest[end:]
        self.count += len(rows)
        self.answer = _answer(rest)
        if self.fields is None:
            self.fields = []
        if self.answer.errors:
            faults = self.answer.errors
            self._failure = fault_error(faults, 202, rows=self.count, database=self._database, writes=self._writes)
        return values_of(rows)

    def finish(self) -> Answer:
        """Return what surrounded the rows, or raise the failure that followed them; as `LineParser.finish`."""
        if self._failure is not None:
            raise self._failure
        assert self.answer is not None
        return self.answer


def _answer(data: bytes) -> Answer:
    return decode_as(data, Answer, lax=True)


def _rows(data: bytes) -> list[list[TypedValue]]:
    return decode_as(b"[" + data + b"]", list[list[TypedValue]], lax=True)


def _last_row(data: bytes) -> tuple[int, int]:
    """Return where the last complete row ends that another one follows or the end of the rows, and where the rows end; or -1."""
    depth, row = 0, -1
    for token in _TOKEN.finditer(data):
        mark = token.group()
        if mark == b"[":
            depth += 1
        elif mark == b"]":
            if depth == 0:
                return row, token.start()
            depth -= 1
            if depth == 0:
                row = token.start()
        elif mark == b'"':
            break
    return row, -1
