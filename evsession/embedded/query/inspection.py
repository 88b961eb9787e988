"""What is in an index: how far it is, how much is in it, which terms a field has. Reads what queries read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from evsession.embedded.failures import RavenFailure
from evsession.embedded.query.definitions import Index, Reduction
from evsession.embedded.query.found import Plan, count
from evsession.embedded.query.groups import COUNT
from evsession.embedded.query.naming import ALL_DOCUMENTS, ID, AutoIndex
from evsession.embedded.rql import tree
from evsession.embedded.storage import Tables

__all__ = ["State", "grouped_query", "read_state", "read_terms", "reduced_index"]

_TERMS = (
    "SELECT DISTINCT CASE WHEN t IS NULL THEN 'NULL_VALUE' WHEN t = '' THEN char(3) ELSE t END AS term"
    " FROM (SELECT json_extract(e.value, '$[0]') AS t FROM {table}, json_each(ev_terms({body}, {path}, ?)) e WHERE {condition})"
    " WHERE term >= ? ORDER BY term LIMIT ?"
)
"""Null and the empty text are spelled as RavenDB spells them here (seen on 7.1)."""


class State(NamedTuple):
    """How far an index is.

    Attributes:
        entries: How many rows it has.
        documents: How many documents it is made of.
        etags: The last etag of each of its collections.
    """

    entries: int
    documents: int
    etags: dict[str, int]


def read_state(connection: sqlite3.Connection, tables: Tables, plan: Plan, collections: Iterable[str | None]) -> State:
    """Return the state of the index that the plan reads, which is on these collections; None is all documents."""
    etags: dict[str, int] = {}
    documents = 0
    for name in collections:
        where, values = ("", ()) if name is None else (" WHERE collection = ?", (name,))
        read = connection.execute(f"SELECT count(*), max(etag) FROM {tables.documents}{where}", values).fetchone()
        documents += read[0]
        etags[name or ALL_DOCUMENTS] = read[1] or 0
    return State(count(connection, plan), documents, etags)


def read_terms(connection: sqlite3.Connection, plan: Plan, field: str, after: str, size: int | None) -> list[str]:
    """Return the terms of a field of the index that the plan reads, in order: all, or those after one of them.

    After what is no term there are none (seen on 7.1).
    """
    limit = -1 if size is None else size + bool(after)
    terms = [term for (term,) in _terms(connection, plan, field, (after, limit))]
    if not after:
        return terms
    return terms[1:] if terms[:1] == [after] else []


def _terms(connection: sqlite3.Connection, plan: Plan, field: str, page: tuple[str, int]) -> Iterable[tuple[str]]:
    source, (name, analyzer) = plan.source, _analyzed(field)
    if field == ID and source.has_ids:
        keys = f"SELECT d.key FROM {source.table.text} WHERE {source.condition.text} AND d.key >= ? ORDER BY d.key LIMIT ?"
        return connection.execute(keys, (*source.condition.values, *page))
    try:
        found = source.field(name, analyzer)
    except RavenFailure:
        return []
    statement = _TERMS.format(
        table=source.table.text, body=found.body.text, path=found.path.text, condition=source.condition.text
    )
    values = (*source.table.values, *found.body.values, *found.path.values, found.analyzer, *source.condition.values)
    return connection.execute(statement, (*values, *page))


def _analyzed(field: str) -> tuple[str, str]:
    """Return the field and the analyzer that the field of an automatic index means."""
    for prefix, analyzer in (("search(", "words"), ("exact(", "exact")):
        if field.lower().startswith(prefix):
            return field[len(prefix) : -1], analyzer
    return field, "fold"


def grouped_query(query: tree.Query, auto: AutoIndex) -> tree.Query:
    """Return a query for the groups of an automatic index, whatever the query on them selects."""
    keys = tuple(_key(key) for key in auto.keys)
    sums = tuple(tree.Method("sum", (tree.Field(field),), "sum") for field in sorted(auto.fields - {COUNT}))
    return tree.Query(query.text, source=auto.collection, group=keys, items=tuple(tree.Item(sum, None) for sum in sums))


def _key(key: str) -> tree.Operand:
    name = key.removeprefix("Array(")
    return tree.Field(key) if name == key else tree.Method("array", (tree.Field(name[:-1]),), "array")


def reduced_index(auto: AutoIndex) -> Index:
    """Return an automatic index that groups as if it were a static one."""
    keys = tuple(key.removeprefix("Array(").removesuffix(")") for key in auto.keys)
    fields: dict[str, int | str] = {field: field for field in auto.fields}
    return Index(auto.name, (), Reduction(keys, {**fields, **dict.fromkeys(keys, 0)}), {})
