"""Queries: from their text to rows of JSON. Knows sources, conditions and projections; the app makes HTTP of it.

Answers are always of the moment: nothing is ever stale. What is different from RavenDB 7.1 is said where it is decided: `terms`,
`conditions`, `ordering`, `groups`. In addition:

* ``filter``, facets, suggestions, spatial and other full-text methods, and includes of counters are refused.
* Unsorted rows come in the order in which they were written; RavenDB's indexes keep the place of a document that was changed.
* Names of automatic indexes are like RavenDB's, but which of several it takes is its secret.
* ``select true`` is true, not null; ``limit 1, 0`` of distinct rows gives none, not all; times in rows are as they were written.
* An index that sums up, and ``group by``, read all documents for each query.
* A query that is nested about 20 levels deep is refused: SQLite reads no deeper.
* RavenDB 6.2.4 answers a few queries differently from 7.1 itself; those seen have a range and ``not`` within ``and``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import lru_cache
from hashlib import blake2b
from time import time_ns

import msgspec

from evsession.embedded.failures import RavenFailure, invalid_argument
from evsession.embedded.includes import included_ids
from evsession.embedded.query.conditions import Conditions, FieldNames
from evsession.embedded.query.definitions import Index, read_index
from evsession.embedded.query.found import Found, Plan, count
from evsession.embedded.query.groups import COUNT, Grouping, GroupNames
from evsession.embedded.query.indexes import MappedDocuments, ReducedRows, reduce_rows
from evsession.embedded.query.inspection import State, grouped_query, read_state, read_terms, reduced_index
from evsession.embedded.query.kept import KeptFields
from evsession.embedded.query.naming import ALL_DOCUMENTS, AutoIndex, AutoNames, index_fields, needs_no_index
from evsession.embedded.query.ordering import order_by
from evsession.embedded.query.projections import projection
from evsession.embedded.query.sources import Collection, FieldKey, Rows, Source, body_for
from evsession.embedded.query.values import MAX_COUNT, Values
from evsession.embedded.rql import parse, tree
from evsession.embedded.storage import Database, document_json, fold_key
from evsession.embedded.storage.documents import Row, last_etag, rows_by_key
from evsession.wire.json import JSON, decode

__all__ = ["Page", "QueryEngine"]

NO_TIME = "0001-01-01T00:00:00.0000000"
MAX_NAMES = 1000
"""Queries whose indexes' names are remembered."""


class Page(msgspec.Struct):
    """What a query found.

    Attributes:
        rows: Documents or rows, JSON objects with their ``@metadata``.
        includes: Included documents by their keys.
        total: How many rows there are without paging and ``distinct``; -1 if RavenDB would not say.
        skipped: Equal rows that ``distinct`` left out up to the end of the page.
        index_name: The index that was asked, or would have been.
        included_paths: What was to be included, or None.
        timestamp: When the index was brought up to date.
        result_etag: Changes when the database does.
        capped: How many rows there are at most by the query's own ``limit``, or None.
    """

    rows: list[bytes]
    includes: dict[str, bytes]
    total: int
    skipped: int
    index_name: str
    included_paths: list[str] | None
    timestamp: str
    result_etag: int
    capped: int | None


class QueryEngine:
    """Answers the queries of one database. Threads may share it; each call brings a connection of its own.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tables = database.tables
        self._kept = KeptFields(database.tables)
        self._names = AutoNames()
        self._definitions: dict[str, tuple[str, Index]] = {}
        self._index_names: dict[str, tuple[int, str]] = {}
        self._queried: dict[str, str] = {}

    @property
    def wants_maintenance(self) -> bool:
        """Whether `maintain` has something to do."""
        return self._kept.are_wanted

    def maintain(self, connection: sqlite3.Connection) -> None:
        """Make what queries since the last call would be faster with; inside of a write transaction."""
        self._kept.maintain(connection)

    def define(self, connection: sqlite3.Connection, definition: Mapping[str, JSON]) -> None:
        """See that an index can be run.

        Raises:
            RavenFailure: it cannot.
        """
        read_index(definition)

    def forget(self) -> None:
        """Read the definitions of indexes again."""
        self._definitions = {}

    def auto_indexes(self) -> list[AutoIndex]:
        """Return the automatic indexes that there would be by now, by name."""
        return self._names.all()

    def forget_auto(self, name: str) -> bool:
        """Forget an automatic index, until a query asks for it again; return whether there was one of this name."""
        return self._names.forget(name)

    def last_query(self, index: str) -> str | None:
        """Return when an index was last asked, or None."""
        return self._queried.get(index)

    def state(self, connection: sqlite3.Connection, index: str) -> State:
        """Return how far an index is: as far as the documents are.

        Raises:
            RavenFailure: there is none of this name, or it cannot be run.
        """
        static, auto = self._index(connection, index), self._names.find(index)
        collections: list[str | None] = [auto.collection if auto else None]
        if static is not None:
            collections = [one.collection for one in static.maps]
        plan = self._plan(connection, _from_index(index), {}, None, None)
        return read_state(connection, self._tables, plan, [self._collection(name or ALL_DOCUMENTS) for name in collections])

    def terms(self, connection: sqlite3.Connection, index: str, field: str, *, after: str, size: int | None) -> list[str]:
        """Return the terms of an index's field that come after a text, in order, none for a field that it does not have.

        Raises:
            RavenFailure: there is no such index, or it cannot be run.
        """
        return read_terms(connection, self._plan(connection, _from_index(index), {}, None, None), field, after, size)

    def run(
        self,
        connection: sqlite3.Connection,
        text: str,
        parameters: Mapping[str, JSON],
        *,
        start: int | None = None,
        page_size: int | None = None,
        metadata_only: bool = False,
    ) -> Page:
        """Answer a query.

        Args:
            connection: Where to read; all of the answer is of its snapshot.
            text: The query.
            parameters: Its parameters.
            start: Rows to skip, if the query does not say.
            page_size: Rows to give at most.
            metadata_only: Whether rows are documents' metadata only.

        Raises:
            RavenFailure: it cannot be read or be run.
        """
        plan = self._plan(connection, text, parameters, start, page_size)
        found = Found(connection, plan, metadata_only=metadata_only)
        rows = found.documents() if found.are_plain else list(found)
        is_whole = not plan.query.distinct and plan.size is None and not plan.start
        total = len(rows) if is_whole else count(connection, plan)
        page = self._page(connection, plan, total, found.skipped)
        page.rows = rows
        if plan.query.includes:
            page.includes = self._includes(connection, plan.query.includes, found.raw, rows)
        return page

    def stream(
        self,
        connection: sqlite3.Connection,
        text: str,
        parameters: Mapping[str, JSON],
        *,
        start: int | None = None,
        page_size: int | None = None,
    ) -> tuple[Page, Iterator[bytes]]:
        """Answer a query row by row, in constant memory unless it sorts; the page has no rows.

        Raises:
            RavenFailure: it cannot be read or be run, or includes documents.
        """
        plan = self._plan(connection, text, parameters, start, page_size)
        if plan.query.includes:
            raise RavenFailure(500, "System.NotSupportedException", "Includes are not supported by this type of query.")
        page = self._page(connection, plan, count(connection, plan), 0)
        return page, iter(Found(connection, plan))

    def keys(self, connection: sqlite3.Connection, text: str, parameters: Mapping[str, JSON]) -> Iterator[str]:
        """Yield the keys of the documents that a query finds, also one that updates.

        Raises:
            RavenFailure: it cannot be read or be run.
        """
        plan = self._plan(connection, text, parameters, None, None, updates=True)
        for key, *_ in Found(connection, plan).raw_rows():
            yield key

    def update_script(self, text: str) -> str | None:
        """Return the script of a query that updates, or None.

        Raises:
            RavenFailure: it cannot be read.
        """
        return parse(text).update

    def _plan(
        self,
        connection: sqlite3.Connection,
        text: str,
        parameters: Mapping[str, JSON],
        start: int | None,
        page_size: int | None,
        *,
        updates: bool = False,
    ) -> Plan:
        query = parse(text)
        values = Values(query, parameters)
        if query.update is not None and not updates:
            raise values.fail("Expected end of query but got: update")
        if query.includes:
            query = msgspec.structs.replace(query, includes=tuple(values.own_path(path) for path in query.includes))
        skip, capped = values.count(query.skip, "Offset (Start)"), values.count(query.take, "Limit (PageSize)")
        if (start or 0) < 0 or (page_size or 0) < 0:
            what, number = ("Start", start) if (start or 0) < 0 else ("PageSize", page_size)
            raise values.fail(f"{what} cannot be negative, but was {number}.")
        kept = self._kept.read(connection)
        source, names, index_name = self._source(connection, values, kept)
        where = source.condition
        if query.where is not None:
            where = Conditions(source, values, names).compile_all(query.where, where)
        order = order_by(source, values, names)
        if missing := getattr(source, "missing", None):
            self._kept.want(connection, missing, len(kept))
        sizes = [size for size in (capped, page_size) if size is not None and size < MAX_COUNT]
        return Plan(
            query=query,
            source=source,
            where=where,
            order=order,
            project=projection(values, names, connection, self._tables, by_index=not index_name.startswith("collection/")),
            extra=b',"@index-score":0' if index_name.startswith("collection/") else b"",
            index_name=index_name,
            from_collection=index_name.startswith("collection/"),
            start=(start or 0) if skip is None else skip,
            size=min(sizes) if sizes else None,
            capped=capped,
        )

    def _source(
        self, connection: sqlite3.Connection, values: Values, kept: Mapping[FieldKey, int]
    ) -> tuple[Source, FieldNames, str]:
        query = values.query
        if query.is_index:
            return self._index_source(connection, values, kept)
        if query.group:
            return self._grouped(connection, values)
        collection = self._collection(query.source)
        source = Collection(self._tables, collection, kept)
        if not query.order and needs_no_index(query.where):
            return source, FieldNames(values), f"collection/{query.source}"
        return source, FieldNames(values), self._index_name(query)

    def _index_name(self, query: tree.Query) -> str:
        known = self._index_names.get(query.text)
        if known is None or known[0] != self._names.changes:
            if len(self._index_names) > MAX_NAMES:
                self._index_names = {}
            name = self._names.name(query.source, index_fields(query))
            known = self._index_names[query.text] = (self._names.changes, name)
        return known[1]

    def _collection(self, name: str) -> str | None:
        """Return the stored name of a collection, or None for all documents."""
        if name.lower() == ALL_DOCUMENTS:
            return None
        return self._database.collections.get(fold_key(name), name)

    def _index_source(
        self, connection: sqlite3.Connection, values: Values, kept: Mapping[FieldKey, int]
    ) -> tuple[Source, FieldNames, str]:
        query = values.query
        if query.group:
            message = "Can't use 'group by' when querying on an Index. 'group by' can be used only when querying on collections."
            raise invalid_argument(message)
        index = self._index(connection, query.source)
        if index is None:
            auto = self._names.find(query.source)
            if auto is None:
                raise RavenFailure(404, "", f"Index {query.source} does not exist")
            if auto.keys:
                return self._regrouped(connection, values, auto)
            return Collection(self._tables, self._collection(auto.collection), kept), FieldNames(values), auto.name
        if index.reduction is not None:
            rows = reduce_rows(connection, self._tables, index, self._database.collections)
            return ReducedRows(index, rows, query.text), FieldNames(values), index.name
        source = MappedDocuments(index, self._database.collections, self._tables, kept, query.text)
        return source, FieldNames(values), index.name

    def _index(self, connection: sqlite3.Connection, name: str) -> Index | None:
        found = connection.execute(f"SELECT definition FROM {self._tables.indexes} WHERE key = ?", (name.lower(),)).fetchone()
        if found is None:
            return None
        known = self._definitions.get(name.lower())
        if known is None or known[0] != found[0]:
            known = self._definitions[name.lower()] = (found[0], read_index(decode(found[0].encode())))
        return known[1]

    def _grouped(self, connection: sqlite3.Connection, values: Values) -> tuple[Source, FieldNames, str]:
        grouping = Grouping(values)
        names = GroupNames(values, grouping)
        rows = self._groups(connection, grouping, values.query.source)
        name = self._names.name(values.query.source, grouping.index_fields, grouping.index_keys)
        return Rows(rows), names, name

    def _regrouped(self, connection: sqlite3.Connection, values: Values, auto: AutoIndex) -> tuple[Source, FieldNames, str]:
        """Return the groups of an automatic index that is asked by its name."""
        made = grouped_query(values.query, auto)
        grouping = Grouping(Values(made, values.parameters))
        rows = self._groups(connection, grouping, auto.collection, with_counts=COUNT in auto.fields)
        return ReducedRows(reduced_index(auto), rows, values.query.text), FieldNames(values), auto.name

    def _groups(self, connection: sqlite3.Connection, grouping: Grouping, source: str, *, with_counts: bool = True) -> str:
        collection = self._collection(source)
        where, given = ("", ()) if collection is None else (" WHERE collection = ?", (collection,))
        document = body_for([*grouping.keys, *grouping.sums]).text
        bodies = connection.execute(f"SELECT {document} FROM {self._tables.documents} d{where} ORDER BY etag", given)
        return grouping.rows((body for (body,) in bodies), with_counts=with_counts)

    def _page(self, connection: sqlite3.Connection, plan: Plan, total: int, skipped: int) -> Page:
        query = plan.query
        is_prefix = plan.from_collection and isinstance(query.where, tree.Method)
        capped = plan.capped
        if capped is None and query.skip is not None:
            capped = MAX_COUNT
        if capped is not None and not is_prefix:
            left = total - plan.start
            capped = min(capped, left if plan.from_collection else max(left, 0))
        timestamp = NO_TIME
        if not plan.from_collection:
            timestamp = self._queried[plan.index_name] = _now()
        return Page(
            rows=[],
            includes={},
            total=-1 if is_prefix else total,
            skipped=skipped,
            index_name=plan.index_name,
            included_paths=list(query.includes) or None,
            timestamp=timestamp,
            result_etag=self._etag(connection, plan.index_name),
            capped=capped,
        )

    def _etag(self, connection: sqlite3.Connection, index_name: str) -> int:
        state = f"{self._database.guid}/{last_etag(connection, self._database)}/{index_name}"
        return int.from_bytes(blake2b(state.encode(), digest_size=8).digest(), "big", signed=True)

    def _includes(
        self, connection: sqlite3.Connection, paths: tuple[str, ...], documents: list[Row], rows: list[bytes]
    ) -> dict[str, bytes]:
        keys: dict[str, None] = {}
        for row in rows:
            content = decode(row)
            for path in paths:
                keys.update(dict.fromkeys(fold_key(key) for key in included_ids(content, path)))
        given = {fold_key(document[0]) for document in documents if document[0]}
        wanted = [key for key in keys if key not in given]
        found = rows_by_key(connection, self._tables, wanted)
        return {found[key][0]: document_json(found[key]) for key in wanted if key in found}


def _from_index(name: str) -> str:
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"from index '{quoted}'"


def _now() -> str:
    seconds, nanoseconds = divmod(time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{nanoseconds // 100:07d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}"
