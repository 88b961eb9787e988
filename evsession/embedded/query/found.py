"""Reading what a plan finds: rows of SQL become rows of JSON, one after the other. Knows RavenDB's metadata of rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from evsession.embedded.failures import unsupported
from evsession.embedded.query.projections import Projection
from evsession.embedded.query.sources import Source
from evsession.embedded.query.sql import Piece, SqlValue
from evsession.embedded.query.values import MAX_COUNT
from evsession.embedded.rql import tree
from evsession.embedded.storage import document_json
from evsession.embedded.storage.documents import Row, metadata_json
from evsession.wire.json import encode

__all__ = ["Found", "Plan", "count"]

_ROW_COLUMNS = "d.id, CAST(d.body AS BLOB), CAST(d.metadata AS BLOB), d.change_vector, d.modified"
_PLAIN_COLUMNS = "d.id, CAST(d.body AS BLOB), CAST(d.metadata AS BLOB), CAST(d.change_vector AS BLOB), CAST(d.modified AS BLOB)"
"""The same, all but the key as bytes: what only goes into JSON need not become text."""

_MADE_COLUMNS = "NULL, CAST(d.body AS BLOB), NULL, NULL, NULL"


class Plan(NamedTuple):
    """How one query is answered.

    Attributes:
        query: The query.
        source: What it looks through.
        where: Its condition, the source's included.
        order: Its order.
        project: What makes rows of documents, or None.
        extra: Metadata of the rows of a projection.
        index_name: The index to name in the answer.
        from_collection: Whether no index would be needed.
        start: Rows to skip.
        size: Rows to give at most, or None for all.
        capped: The query's own limit.
    """

    query: tree.Query
    source: Source
    where: Piece
    order: Piece
    project: Projection | None
    extra: bytes
    index_name: str
    from_collection: bool
    start: int
    size: int | None
    capped: int | None


class Found:
    """The rows of a plan: documents read, projected and rendered one after the other."""

    def __init__(self, connection: sqlite3.Connection, plan: Plan, *, metadata_only: bool = False) -> None:
        self._connection = connection
        self._plan = plan
        self._metadata_only = metadata_only
        self.raw: list[Row] = []
        self.skipped = 0

    @property
    def are_plain(self) -> bool:
        """Whether the rows are documents as they are, with nothing to do for them."""
        query = self._plan.query
        is_asked = self._metadata_only or query.distinct or query.includes
        return self._plan.project is None and self._plan.source.has_ids and not is_asked

    def documents(self) -> list[bytes]:
        """Return all rows, if they are plain."""
        join = b"".join
        return [
            # As `document_json` does it, which is for those that have no fields or no metadata, too.
            join(
                (
                    body[:-1],
                    b',"@metadata":',
                    metadata[:-1],
                    b',"@change-vector":"',
                    version,
                    b'","@id":',
                    encode(key),
                    b',"@last-modified":"',
                    time,
                    b'"}}',
                )
            )
            if len(body) > 2 and len(metadata) > 2
            else document_json((key, body, metadata, version.decode(), time.decode()))
            for key, body, metadata, version, time in self._read(_PLAIN_COLUMNS).fetchall()
        ]

    def raw_rows(self) -> sqlite3.Cursor:
        """Read the rows."""
        return self._read(_ROW_COLUMNS if self._plan.source.has_ids else _MADE_COLUMNS)

    def _read(self, columns: str) -> sqlite3.Cursor:
        plan, table = self._plan, self._plan.source.table
        statement = f"SELECT {columns} FROM {table.text} WHERE {plan.where.text} ORDER BY {plan.order.text}"
        values = table.values + plan.where.values + plan.order.values
        if not plan.query.distinct and (plan.size is not None or plan.start):
            statement += " LIMIT ? OFFSET ?"
            values += (MAX_COUNT if plan.size is None else plan.size, plan.start)
        return _execute(self._connection, statement, values)

    def __iter__(self) -> Iterator[bytes]:
        return self._distinct() if self._plan.query.distinct else self._each()

    def _each(self) -> Iterator[bytes]:
        keeps = bool(self._plan.query.includes)
        for row in self.raw_rows():
            if keeps:
                self.raw.append(row)
            yield self._render(row)

    def _distinct(self) -> Iterator[bytes]:
        """Give each content once. Rows before the page count as they are; what they hold is known after them (seen on 7.1)."""
        plan = self._plan
        known: set[bytes] = set()
        given, size = 0, MAX_COUNT if plan.size is None else plan.size
        for number, row in enumerate(self.raw_rows()):
            if given == size:
                return
            content = row[1] if plan.project is None else plan.project(row)
            is_known = content in known
            known.add(content)
            if number < plan.start:
                continue
            if is_known:
                self.skipped += 1
                continue
            given += 1
            yield self._rendered(row, content)

    def _render(self, row: Row) -> bytes:
        plan = self._plan
        if plan.project is None:
            return self._rendered(row, row[1])
        return self._rendered(row, plan.project(row))

    def _rendered(self, row: Row, content: bytes) -> bytes:
        plan = self._plan
        if not plan.source.has_ids:
            flag = b'"@projection":true,' if plan.project is not None else b""
            return b'%b%b"@metadata":{%b"@change-vector":null}}' % (content[:-1], _comma(content), flag)
        if plan.project is None:
            if self._metadata_only:
                return b'{"@metadata":%b}' % metadata_json(row)
            return document_json(row)
        key, _, _, change_vector, modified = row
        return b'%b%b"@metadata":{"@projection":true,"@change-vector":"%b","@id":%b%b,"@last-modified":"%b"}}' % (
            content[:-1],
            _comma(content),
            change_vector.encode(),
            encode(key),
            plan.extra,
            modified.encode(),
        )


def count(connection: sqlite3.Connection, plan: Plan) -> int:
    """Return how many rows there are without paging."""
    table = plan.source.table
    counted = f"SELECT count(*) FROM {table.text} WHERE {plan.where.text}"
    total: int = _execute(connection, counted, table.values + plan.where.values).fetchone()[0]
    return total


def _execute(connection: sqlite3.Connection, statement: str, values: tuple[SqlValue, ...]) -> sqlite3.Cursor:
    """Run a statement.

    Raises:
        RavenFailure: it is beyond SQLite's limits, of which those on depth are the ones that a query can meet.
    """
    try:
        return connection.execute(statement, values)
    except sqlite3.OperationalError as error:
        if "parser stack overflow" in str(error) or "too " in str(error):
            raise unsupported(f"queries that are nested so deeply or are so long ({error})") from error
        raise


def _comma(content: bytes) -> bytes:
    return b"," if len(content) > 2 else b""
