"""``load d.owner as o``: documents that a query loads for each of its rows, for what it selects. Knows no projections.

What differs from RavenDB, seen on 7.1: a query that selects nothing but a loaded document is refused, for its rows are that
document's; and names of loaded documents mean nothing in ``where``, where RavenDB takes them for fields.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import TypeAlias

from evsession.embedded.failures import RavenFailure
from evsession.embedded.includes import included_ids
from evsession.embedded.query.values import Values, named
from evsession.embedded.rql import invalid_query, tree
from evsession.embedded.storage import Tables, document_json, fold_key
from evsession.embedded.storage.documents import Row, row_by_key
from evsession.wire.json import JSON, decode

__all__ = ["Loaded", "Loads"]

Loaded: TypeAlias = "Mapping[str, Row | list[Row] | None]"
"""What was loaded, by name: a document or None, or a list of those that there are."""


class Loads:
    """Loads documents for the rows of one query.

    Args:
        values: The query's.
        connection: Where they are read.
        tables: The database's.

    Raises:
        RavenFailure: two have the same name, one has none, or it is not said by what they are loaded.
    """

    def __init__(self, values: Values, connection: sqlite3.Connection, tables: Tables) -> None:
        self._values = values
        self._connection = connection
        self._tables = tables
        self._last: tuple[Row | None, Loaded] = (None, {})
        self.names: dict[str, bool] = {}
        query = values.query
        for load in query.loads:
            if not load.alias:
                raise invalid_query(f"LOAD clause requires an alias but got: {named(load.operand)}", query.text)
            if load.alias in self.names or load.alias == query.alias:
                raise invalid_query(f"LOAD clause duplicate alias detected: {named(load.operand)}", query.text)
            if isinstance(load.operand, tree.Method):
                raise invalid_query(f"LOAD clause require a field or value references {named(load.operand)}", query.text)
            self._place(load)
            self.names[load.alias] = load.is_list

    def _place(self, load: tree.Load) -> tuple[str | None, str]:
        """Return the name of the loaded document that the reference is in, None for the row's own, and the path in it."""
        if not isinstance(load.operand, tree.Field) or load.operand.is_quoted:
            return None, ""
        first, dot, rest = load.operand.path.partition(".")
        if first in self.names:
            return first, rest
        alias = self._values.query.alias
        if alias is None or not (dot or first == alias):
            return None, load.operand.path
        if first != alias:
            raise self._values.unknown_alias(first)
        return None, rest

    def __call__(self, row: Row) -> Loaded:
        """Return the documents that are loaded for a row.

        Raises:
            RavenFailure: a reference is a list, and what it is to be called is none.
        """
        if self._last[0] is row:
            return self._last[1]
        found: dict[str, Row | list[Row] | None] = {}
        document = decode(row[1])
        for load in self._values.query.loads:
            documents = [one for key in self._keys(load, document, found) if (one := self._read(key)) is not None]
            found[load.alias] = documents if load.is_list else next(iter(documents), None)
        self._last = (row, found)
        return found

    def _keys(self, load: tree.Load, document: JSON, found: Loaded) -> list[str]:
        if not isinstance(load.operand, tree.Field) or load.operand.is_quoted:
            value = self._values.get(load.operand)
            return [value] if isinstance(value, str) else []
        name, path = self._place(load)
        sources = [document]
        if name is not None:
            inner = found.get(name)
            sources = [decode(one[1]) for one in (inner if isinstance(inner, list) else [inner]) if one is not None]
        keys = [key for source in sources for key in included_ids(source, path)]
        if len(keys) > 1 and not load.is_list:
            message = (
                f"Attempted to read multiple values in field {load.alias}, but it isn't an array and should have only a single"
            )
            raise RavenFailure(500, "System.NotSupportedException", f"{message} value, did you forget '[]' ?")
        return keys

    def _read(self, key: str) -> Row | None:
        return row_by_key(self._connection, self._tables, fold_key(key))

    def documents(self, row: Row) -> dict[str, JSON]:
        """Return what is loaded for a row as JSON."""
        return {name: _decoded(one) for name, one in self(row).items()}


def _decoded(loaded: Row | list[Row] | None) -> JSON:
    if isinstance(loaded, list):
        return [_decoded(one) for one in loaded]
    return None if loaded is None else decode(document_json(loaded))
