"""Streamed queries: the request, and the parser that turns bytes into rows as they come.

Knows the JSON lines of ``POST /streams/queries?format=jsonl`` (the same on 5.4, 6.2 and 7.1): ``{"Stats": ...}``, then
``{"Item": ...}`` per row, each line ended by CR LF. A failure half-way comes as a line ``{"Error": "Type: message and stack
trace"}``, with status 200. Nothing says that the last row was the last: a stream that is cut between two lines looks whole here,
and it is for HTTP's framing to notice.
"""

from __future__ import annotations

import re
from typing import Any

from evsession.errors import ProtocolError, SessionError
from evsession.raven.errors import query_error
from evsession.raven.queries import JSON_BODY, Query, query_body
from evsession.raven.results import Statistics, parse_statistics
from evsession.raven.vocabulary import Database
from evsession.wire.json import decode, decode_lines, encode
from evsession.wire.message import Request, Response
from evsession.wire.url import target

__all__ = ["StreamParser", "stream_request"]

_FAILURE = r"(?s)([\w.+`]+\.[\w+`]+): ?(.*)"


def stream_request(database: Database, query: Query) -> Request:
    """Return the request. A stream cannot be asked twice, so paging through an index gets no default order here.

    Without a JSON content type the server reads an empty body (500, seen on 7.1); with ``include`` it refuses (500).
    """
    where = target(database.path("streams", "queries"), [("format", "jsonl")])
    return Request("POST", where, query_body(query, streams=True), JSON_BODY)


class StreamParser:
    """Give it the body in pieces of any size with `feed`, then call `close`. Holds at most one unfinished line.

    A failure is raised after the rows before it have been given: by the next call.

    Attributes:
        statistics: What the server said before the first row, or None so far.
    """

    def __init__(self, index: str | None = None) -> None:
        self.statistics: Statistics | None = None
        self._index = index
        self._pieces: list[bytes] = []
        self._failure: SessionError | None = None

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Return the rows that these bytes complete.

        Raises:
            QueryError: or another `SessionError` by its type, if the server failed half-way. Its status is the 500 that the same
                failure has before the first row.
            ProtocolError: if this is no stream of rows.
        """
        self._raise_failure()
        end = data.rfind(b"\n") + 1
        lines = b""
        if end:
            lines = b"".join([*self._pieces, data[:end]])
            self._pieces = []
        if end < len(data):
            self._pieces.append(data[end:])
        rows = self._parse_rows(lines)
        if not rows:
            self._raise_failure()
        return rows

    def close(self) -> None:
        """Say that there are no more bytes.

        Raises:
            ProtocolError: if the stream ended within a line, or before it had begun.
            SessionError: if it ended with a failure of the server.
        """
        self._raise_failure()
        if self._pieces or self.statistics is None:
            raise ProtocolError("the stream ended early", status_code=200)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _parse_rows(self, lines: bytes) -> list[dict[str, Any]]:
        """Parse all lines at once, as they nearly always are rows only; one by one if they are not."""
        try:
            return [value["Item"] for value in decode_lines(lines)]
        except (ProtocolError, KeyError, TypeError):
            return self._parse(lines.split(b"\n"))

    def _parse(self, lines: list[bytes]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for line in filter(None, lines):
            try:
                value = decode(line)
                rows.append(value["Item"])
            except ProtocolError as error:
                self._failure = error
            except (KeyError, TypeError):
                self._other(value)
            if self._failure is not None:
                break
        return rows

    def _other(self, value: Any) -> None:
        if isinstance(value, dict) and isinstance(value.get("Stats"), dict):
            self.statistics = parse_statistics(value["Stats"])
        elif isinstance(value, dict) and isinstance(value.get("Error"), str):
            self._failure = _failure(value["Error"], self._index)
        else:
            self._failure = ProtocolError("the stream holds a line that is neither a row nor statistics", status_code=200)


def _failure(text: str, index: str | None) -> SessionError:
    """Return what the text means, whose first line is ``Type: message`` and whose others are a stack trace."""
    head = text.split("\n", 1)[0].strip()
    parts = re.fullmatch(_FAILURE, head)
    name, message = parts.groups() if parts else ("Error", head)
    return query_error(Response(500, body=encode({"Type": name, "Message": message or name})), index=index)
