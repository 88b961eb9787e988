"""Static indexes as sources of queries: their fields are looked up in the documents, or in rows summed up for the query."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from evsession.embedded.failures import invalid_argument
from evsession.embedded.query.definitions import Constant, FieldOf, Index, Map, Reduction, Source
from evsession.embedded.query.groups import sum_up
from evsession.embedded.query.sources import BODY, FieldKey, FieldPlan, Rows, body_for, is_metadata, terms_table
from evsession.embedded.query.sql import FALSE, TRUE, Piece, joined
from evsession.embedded.query.terms import decode_body, plain, values_at
from evsession.embedded.storage import Tables, fold_key
from evsession.wire.json import JSON, encode

__all__ = ["MappedDocuments", "ReducedRows", "reduce_rows"]

_VALUE = "v"


class MappedDocuments:
    """The documents that the maps of an index see, with the fields that they give them.

    Args:
        index: The index.
        collections: Stored names of collections by folded ones.
        tables: The database's.
        kept: Numbers of fields whose terms are kept.
        text: The query, for its errors.

    Attributes:
        missing: Fields that were asked for and are not kept.
    """

    has_ids = True

    def __init__(
        self, index: Index, collections: Mapping[str, str], tables: Tables, kept: Mapping[FieldKey, int], text: str
    ) -> None:
        self.table = Piece(f"{tables.documents} d")
        self.terms = terms_table(tables)
        self.missing: list[FieldKey] = []
        self._index = index
        self._text = text
        self._kept = kept
        self._maps = [(_stored(one, collections), one) for one in index.maps]
        conditions = [TRUE if name is None else Piece("d.collection = ?", (name,)) for name, _ in self._maps]
        self.condition = joined(conditions, "OR") if conditions else FALSE

    def field(self, name: str, analyzer: str) -> FieldPlan:
        """Return where the field is found; how it is analyzed is the index's business.

        Raises:
            RavenFailure: the index does not have it.
        """
        name = plain(name)
        if name not in self._index.fields:
            raise not_indexed(name, self._index.name, self._text)
        analyzer = self._index.analyzer(name)
        if analyzer == "no":
            return FieldPlan(BODY, Piece("NULL"), "fold")
        if len(self._maps) > 1:
            return self._by_collection(name, analyzer)
        collection, one = self._maps[0]
        source = one.fields[name]
        body, path = _place(source)
        number = None
        if isinstance(source, FieldOf) and not is_metadata(source.path):
            key = FieldKey(collection or "", source.path, analyzer)
            number = self._kept.get(key)
            if number is None:
                self.missing.append(key)
        return FieldPlan(body, Piece("?", (path,)), analyzer, number)

    def _by_collection(self, name: str, analyzer: str) -> FieldPlan:
        bodies: list[Piece] = []
        paths: list[Piece] = []
        for collection, one in self._maps:
            if name in one.fields:
                body, path = _place(one.fields[name])
                bodies.append(Piece(f"WHEN ? THEN {body.text}", (collection, *body.values)))
                paths.append(Piece("WHEN ? THEN ?", (collection, path)))
        return FieldPlan(_case(bodies), _case(paths), analyzer)


def _stored(one: Map, collections: Mapping[str, str]) -> str | None:
    return None if one.collection is None else collections.get(fold_key(one.collection), one.collection)


def _case(whens: list[Piece]) -> Piece:
    return Piece(f"CASE d.collection {' '.join(when.text for when in whens)} END", sum((when.values for when in whens), ()))


def _place(source: Source) -> tuple[Piece, str]:
    """Return what holds a field, as SQL, and the path in it."""
    if isinstance(source, FieldOf):
        return body_for([source.path]), source.path
    if isinstance(source, Constant):
        return Piece("?", (encode({_VALUE: source.value}).decode(),)), _VALUE
    return Piece("json_object('v', d.id)"), _VALUE


class ReducedRows(Rows):
    """The rows of an index that sums up.

    Args:
        index: The index.
        rows: They, as a JSON array.
        text: The query, for its errors.
    """

    def __init__(self, index: Index, rows: str, text: str) -> None:
        super().__init__(rows)
        self._index = index
        self._text = text

    def field(self, name: str, analyzer: str) -> FieldPlan:
        """Return where the field is found.

        Raises:
            RavenFailure: the index does not have it.
        """
        name = plain(name)
        if name not in self._index.fields:
            raise not_indexed(name, self._index.name, self._text)
        return super().field(name, self._index.analyzer(name))


def not_indexed(field: str, index: str, text: str) -> Exception:
    """Return the failure of a query that asks an index for a field that it does not have."""
    reason = "cannot query/sort on fields that are not indexed in query"
    return invalid_argument(f"The field '{field}' is not indexed in '{index}', {reason}: {text}")


def reduce_rows(connection: sqlite3.Connection, tables: Tables, index: Index, collections: Mapping[str, str]) -> str:
    """Return the rows of an index that sums up, as a JSON array; all documents of its maps are read for it."""
    assert index.reduction is not None
    groups: dict[bytes, dict[str, Any]] = {}
    for one in index.maps:
        name = _stored(one, collections)
        where, values = ("", ()) if name is None else (" WHERE collection = ?", (name,))
        document = body_for(source.path for source in one.fields.values() if isinstance(source, FieldOf)).text
        for key, body in connection.execute(f"SELECT id, {document} FROM {tables.documents} d{where} ORDER BY etag", values):
            _add(groups, index.reduction, _mapped(one, key, decode_body(body)))
    return encode(list(groups.values())).decode()


def _mapped(one: Map, key: str, document: JSON) -> dict[str, JSON]:
    row: dict[str, JSON] = {}
    for name, source in one.fields.items():
        if isinstance(source, FieldOf):
            row[name] = next(iter(values_at(document, source.path)), None)
        else:
            row[name] = source.value if isinstance(source, Constant) else key
    return row


def _add(groups: dict[bytes, dict[str, Any]], reduction: Reduction, mapped: Mapping[str, JSON]) -> None:
    key = [mapped.get(name) for name in reduction.keys]
    row = groups.setdefault(
        encode(key), {name: key[part] if isinstance(part, int) else 0 for name, part in reduction.fields.items()}
    )
    for name, part in reduction.fields.items():
        if part == "":
            row[name] += 1
        elif isinstance(part, str):
            row[name] += sum_up([mapped.get(part)])
