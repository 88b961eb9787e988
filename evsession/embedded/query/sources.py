"""What a query looks through, as a table ``d`` of SQL, and where its fields are found: in terms that are kept, or in documents.

A field that is not kept is read out of each document by ``ev_terms``, so a query never needs an index; it is only faster with
one. Names and paths are values of SQL, always.

The metadata of a document are under ``@metadata`` as they are stored, with the time of the last write, but without the key and
the change vector (seen on 7.1). What is looked for in them is never kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from evsession.embedded.query.sql import TRUE, Piece
from evsession.embedded.query.terms import literal
from evsession.embedded.storage import Tables

__all__ = [
    "BODY",
    "METADATA",
    "Collection",
    "FieldKey",
    "FieldPlan",
    "Rows",
    "Source",
    "body_for",
    "is_metadata",
    "terms_table",
]

BODY = Piece("d.body")
METADATA = "@metadata"
_WITH_METADATA = Piece(
    "substr(d.body, 1, length(d.body) - 1) || CASE d.body WHEN '{}' THEN '' ELSE ',' END || '\"@metadata\":'"
    " || substr(d.metadata, 1, length(d.metadata) - 1) || CASE d.metadata WHEN '{}' THEN '' ELSE ',' END"
    " || '\"@last-modified\":\"' || d.modified || '\"}}'"
)


def is_metadata(path: str) -> bool:
    """Return whether a path leads into the metadata."""
    return path == METADATA or path.startswith(f"{METADATA}.")


def body_for(paths: Iterable[str]) -> Piece:
    """Return documents, as SQL, in which all of the paths can be followed."""
    return _WITH_METADATA if any(map(is_metadata, paths)) else BODY


class FieldKey(NamedTuple):
    """A field whose terms may be kept: the collection (empty for all documents), the path and the analyzer."""

    collection: str
    path: str
    analyzer: str


class FieldPlan(NamedTuple):
    """Where a field's terms come from.

    Attributes:
        body: What holds the field, as SQL.
        path: Where in it, as SQL.
        analyzer: How texts become terms.
        kept: The number of the field in the table of terms, or None.
    """

    body: Piece
    path: Piece
    analyzer: str
    kept: int | None = None


class Source(Protocol):
    """Something to look through.

    Attributes:
        table: What stands after ``FROM``; its rows are called ``d``.
        condition: Which of its rows belong to the source.
        terms: The name of the table of terms.
        has_ids: Whether its rows have keys.
    """

    table: Piece
    condition: Piece
    terms: str
    has_ids: bool

    def field(self, name: str, analyzer: str) -> FieldPlan:
        """Return where the field is found; the analyzer is ``"fold"`` unless the query asks for another."""
        ...


def terms_table(tables: Tables) -> str:
    """Return the name of the table that keeps a database's terms."""
    return tables.documents.replace("documents", "terms")


class Collection:
    """The documents of a collection.

    Args:
        tables: The database's.
        name: The collection, in its stored spelling, or None for all documents.
        kept: Numbers of fields whose terms are kept.

    Attributes:
        missing: Fields that were asked for and are not kept.
    """

    has_ids = True

    def __init__(self, tables: Tables, name: str | None, kept: Mapping[FieldKey, int]) -> None:
        self.table = Piece(f"{tables.documents} d")
        self.condition = TRUE if name is None else Piece("d.collection = ?", (name,))
        self.terms = terms_table(tables)
        self.missing: list[FieldKey] = []
        self._name = name or ""
        self._kept = kept

    def field(self, name: str, analyzer: str) -> FieldPlan:
        """Return where the field is found."""
        if is_metadata(name):
            return FieldPlan(body_for([name]), Piece("?", (name,)), analyzer)
        key = FieldKey(self._name, name, analyzer)
        number = self._kept.get(key)
        if number is None:
            self.missing.append(key)
        return FieldPlan(BODY, Piece("?", (name,)), analyzer, number)


class Rows:
    """Rows that were made for this query, as JSON: groups and reductions.

    Args:
        rows: A JSON array of objects.
    """

    has_ids = False
    condition = TRUE
    terms = ""

    def __init__(self, rows: str) -> None:
        self.table = Piece("(SELECT key AS etag, value AS body FROM json_each(?)) d", (rows,))

    def field(self, name: str, analyzer: str) -> FieldPlan:
        """Return where the field is found; a row's fields have the names that they have, with dots and all."""
        return FieldPlan(BODY, Piece("?", (literal(name),)), analyzer)
