"""``select``: rows of fields instead of documents. Knows how RavenDB names and fills them; values are copied as written.

A missing field is null, but left out if the query names its documents (``from Dogs as d``), or asks an index for ``id()`` too
(seen on 7.1; ``null`` in a document stays). Rows of projections carry ``@projection``, those straight from a collection a score.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import TypeAlias

from evsession.embedded.failures import RavenFailure, unsupported
from evsession.embedded.query.conditions import FieldNames, is_id
from evsession.embedded.query.groups import GroupNames
from evsession.embedded.query.loads import Loads
from evsession.embedded.query.paths import NULL, fields_of_object, follow
from evsession.embedded.query.shapes import shape_of
from evsession.embedded.query.sources import METADATA
from evsession.embedded.query.terms import parse_path
from evsession.embedded.query.values import KNOWN_ELSEWHERE, Values
from evsession.embedded.rql import invalid_query, tree
from evsession.embedded.scripts import project
from evsession.embedded.storage import Tables, document_json, fold_key
from evsession.embedded.storage.documents import Row, row_by_key
from evsession.wire.json import JSON, Raw, decode, encode

__all__ = ["Projection", "projection"]

Projection: TypeAlias = Callable[[Row], bytes]
"""Makes the fields of a row, as a JSON object without metadata, of a document."""

_Column: TypeAlias = "Callable[[Row], Raw | None]"
"""Gives a field of a row, or None if it is missing."""

DOCUMENT = "__document"
"""What a program knows the document by if the query does not name it."""

DUPLICATE = (
    "Duplicate alias '{0}' detected. Note: if an alias is not specified, the implicit alias is equal to field name. So a select"
    " clause 'select employee.Name, manager.Name' is invalid because it has two fields with the same implicit alias - 'Name'."
    " In order to fix it, use explicit aliases - 'select employee.Name as EmployeeName, manager.Name as ManagerName'"
)


def projection(
    values: Values, names: FieldNames, connection: sqlite3.Connection, tables: Tables, *, by_index: bool
) -> Projection | None:
    """Return what makes the rows, or None if they are the documents; `by_index` tells that an index is asked.

    Raises:
        RavenFailure: the query selects what cannot be.
    """
    query = values.query
    loads = Loads(values, connection, tables)
    if query.program is not None:
        if query.alias is None and not loads.names:
            raise invalid_query("Use of select function body requires that aliases will be defined, but none had", query.text)
        return _program(values, query.program, loads, connection, tables)
    if not query.items:
        return None
    if len(query.items) == 1:
        (item,) = query.items
        if item.operand is None or (isinstance(item.operand, tree.Field) and item.operand.path == query.alias):
            return None
        if isinstance(item.operand, tree.Field) and item.operand.path in loads.names:
            raise unsupported("rows that are loaded documents; select their fields")
        if isinstance(item.operand, tree.Method) and _is_declared(query, item.operand):
            arguments = ", ".join(_argument(values, argument) for argument in item.operand.arguments)
            return _run(values, f"{item.operand.written}({arguments})", loads, connection, tables)
    columns: dict[str, _Column] = {}
    has_key = by_index and any(is_id(item.operand) for item in query.items if item.operand is not None)
    for item in query.items:
        name, column = _column(values, names, item, loads)
        if name in columns:
            raise values.fail(DUPLICATE.format(name))
        is_left_out = (has_key or _is_by_alias(query, item, loads)) and not query.group
        columns[name] = column if is_left_out else _or_null(column)
    return lambda row: encode({name: value for name, column in columns.items() if (value := column(row)) is not None})


def _is_by_alias(query: tree.Query, item: tree.Item, loads: Loads) -> bool:
    """Return whether a field is read by the name of its document; it is left out where it is missing, others are null."""
    if not isinstance(item.operand, tree.Field) or item.operand.is_quoted:
        return False
    return item.operand.path.partition(".")[0] in (query.alias, *loads.names)


def _or_null(column: _Column) -> _Column:
    return lambda row: NULL if (value := column(row)) is None else value


def _is_declared(query: tree.Query, method: tree.Method) -> bool:
    return any(declaration.name == method.written for declaration in query.declarations)


def _argument(values: Values, argument: tree.Expression) -> str:
    if isinstance(argument, tree.Field) and not argument.is_quoted:
        if values.query.alias is not None:
            return argument.path
        return "?.".join([DOCUMENT, *(f"[{encode(step.name).decode()}]" for step in parse_path(argument.path))])
    return encode(values.get(argument)).decode()


def _column(values: Values, names: FieldNames, item: tree.Item, loads: Loads) -> tuple[str, _Column]:
    operand = item.operand
    if is_id(operand or tree.All()):
        assert isinstance(operand, tree.Method)
        if operand.arguments:
            raise values.fail(f"Unknown alias {_shown(operand)}, but there are aliases specified in the query ()")
        return item.alias or "id()", lambda row: Raw(encode(row[0]))
    if isinstance(operand, tree.Method):
        if _is_declared(values.query, operand):
            raise unsupported("functions beside other fields in select")
        if operand.name in KNOWN_ELSEWHERE:
            raise values.method_missing(operand)
        if not values.query.group:
            raise values.fail(_misplaced(operand))
        if isinstance(names, GroupNames) and (parts := names.parts_of(operand)):
            return item.alias or "Key", lambda row: _some(row, parts)
        return item.alias or ("Count" if operand.name == "count" else names(operand)), _member(names(operand), is_row=True)
    if operand is None:
        raise values.fail("Cannot select * and fields at once")
    if isinstance(operand, tree.Field) and not operand.is_quoted:
        first, _, rest = operand.path.partition(".")
        if first in loads.names:
            return item.alias or rest or first, lambda row: _of_loaded(loads(row)[first], rest)
        if loads.names and operand.path == values.query.alias:
            return item.alias or first, _whole
        path = names(operand)
        if path == METADATA:
            return item.alias or path, lambda row: Raw(row[2])
        return item.alias or path, _member(path, is_row=bool(values.query.group))
    value = values.get(operand)
    literal = Raw(encode(value))
    return item.alias or (operand.name if isinstance(operand, tree.Parameter) else str(value)), lambda row: literal


def _shown(method: tree.Method) -> str:
    first = method.arguments[0]
    return first.path if isinstance(first, tree.Field) else str(first)


def _misplaced(method: tree.Method) -> str:
    if method.name in ("count", "sum", "key"):
        return f"{method.name} may only be used in group by queries"
    return f"Unknown method call in SELECT clause: '{method.written}' method"


def _member(path: str, *, is_row: bool) -> _Column:
    """Return a column; the fields of a made row have the names that they have, with dots and all."""
    if is_row:
        return lambda row: fields_of_object(row[1]).get(path)
    if path.startswith(f"{METADATA}."):
        inner = path.removeprefix(f"{METADATA}.")
        return lambda row: follow(_metadata(row), inner)
    return lambda row: follow(row[1], path)


def _some(row: Row, names: list[str]) -> Raw:
    fields = fields_of_object(row[1])
    return Raw(encode({name: fields[name] for name in names}))


def _metadata(row: Row) -> bytes:
    """Return a document's metadata as they are read through a path: with the time of the last write (seen on 7.1)."""
    return encode({**fields_of_object(row[2]), "@last-modified": row[4]})


def _whole(row: Row) -> Raw:
    """Return a document as it is within a row: without what tells its version."""
    body, metadata = row[1], row[2]
    comma = [b"," if len(one) > 2 else b"" for one in (body, metadata)]
    return Raw(b'%b%b"@metadata":%b%b"@id":%b}}' % (body[:-1], comma[0], metadata[:-1], comma[1], encode(row[0])))


def _of_loaded(loaded: Row | list[Row] | None, path: str) -> Raw | None:
    if isinstance(loaded, list):
        return Raw(encode([value for one in loaded if (value := _of_loaded(one, path)) is not None]))
    if loaded is None:
        return None
    return follow(loaded[1], path) if path else _whole(loaded)


def _program(values: Values, program: str, loads: Loads, connection: sqlite3.Connection, tables: Tables) -> Projection:
    singles = frozenset(name for name, is_list in loads.names.items() if not is_list)
    shape = None if values.query.declarations else shape_of(program, values.query.alias, singles)
    if shape is None:
        return _run(values, f"({program})", loads, connection, tables)
    if not loads.names:
        return lambda row: bytes(shape(row[1], row[0], {}))

    def fill(row: Row) -> bytes:
        bodies = {name: one[1] if isinstance(one, tuple) else b"null" for name, one in loads(row).items()}
        return bytes(shape(row[1], row[0], bodies))

    return fill


def _run(values: Values, expression: str, loads: Loads, connection: sqlite3.Connection, tables: Tables) -> Projection:
    """Run a program of JavaScript for each row.

    It sees the document and those loaded by the names that the query gives them, and the parameters as ``$name``.
    """
    source = "\n".join([*(declaration.source for declaration in values.query.declarations), f";{expression}"])
    given: Mapping[str, JSON] = {f"${name}": value for name, value in values.parameters.items()}

    def load(key: str) -> dict[str, JSON] | None:
        found = row_by_key(connection, tables, fold_key(key))
        loaded: dict[str, JSON] | None = None if found is None else decode(document_json(found))
        return loaded

    def run(row: Row) -> bytes:
        document = decode(document_json(row))
        value = project(source, {**given, **loads.documents(row), values.query.alias or DOCUMENT: document}, load=load)
        if not isinstance(value, dict):
            shown = encode(value).decode()
            message = f"Query returning a single function call result must return an object, but got: {shown}"
            raise RavenFailure(500, "System.InvalidOperationException", message)
        value.pop("@metadata", None)
        return encode(value)

    return run
