"""Queries: parameters and specifications become RQL, and the flow that sends it.

Knows RQL and the query endpoint. What the values mean is `lucene`'s, how names are quoted `rql`'s, what returns `results`'.

Facts that shape the text, seen on 5.4, 6.2 and 7.1: the clauses come in the order from, where, order by, select, include, limit.
Sorting without a ``where`` loses rows on Corax, hence ``where true``. ``as double`` and then the bare field sorts numbers as
numbers and texts as texts, in one field, too. ``id()`` sorts as text only, and map-reduce indexes have none. A quoted name in
``select`` is a text, so odd names need the JavaScript form. ``include`` takes no parameters.

Where nulls and missing fields stand among texts differs: before them on Corax, as if they were the text ``NULL_VALUE`` on 5.4.
Not to be helped: on 6.2 and 7.1 (Corax) a text with a character beyond the basic plane (an emoji) is found by no value but one
that begins it, a numeric range open upwards also finds texts that look like dates, sorting by a field called ``score`` is a
``NullReferenceException``, and ``as alphaNumeric`` fails on some texts (an ``ArgumentOutOfRangeException``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from evsession.errors import ConfigurationError, InvalidDocument, OperationTimeout, QueryError
from evsession.raven.errors import query_error
from evsession.raven.lucene import parse_value
from evsession.raven.results import Page, parse_page
from evsession.raven.rql import ID_FIELD, Parameters, check_name, clause, field_name, is_plain, javascript, quoted
from evsession.raven.specs import MAX_ROWS, SortKey, Specs
from evsession.raven.vocabulary import Database
from evsession.wire.flow import Flow
from evsession.wire.json import check, decode, encode
from evsession.wire.message import Request

__all__ = ["DOCUMENT_ID", "Query", "collection_query", "index_query", "query_body", "query_flow", "raw_query"]

DOCUMENT_ID = "__document_id"
"""The field of a projection that holds the key of its document."""

JSON_BODY = (("Content-Type", "application/json"),)

_ALIAS = "__row"


class Query(msgspec.Struct, frozen=True):
    """One query, complete; its parameters are copies that nobody else holds.

    Attributes:
        text: The RQL.
        parameters: Values by name, without the dollar sign.
        wait: Seconds to wait until the index is not stale, or None.
        index: The index that the query names, if it names one.
        unordered: The same text without the order that paging was given by default, or None if it was given none.
    """

    text: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    wait: float | None = None
    index: str | None = None
    unordered: str | None = None


def collection_query(
    collection: str, params: Mapping[str, Any] | None = None, specs: Specs | None = None, *, key: str | None = None
) -> Query:
    """Return the query for documents of a collection whose fields have these values.

    Args:
        collection: The collection.
        params: Values by the names of fields.
        specs: What else is wanted.
        key: The field of the documents' class that holds their key, which no document has itself: it means ``id()``.

    Raises:
        ConfigurationError: if the collection, a field's name or the specifications cannot be.
        QueryError: if a value cannot be understood; it names the field.
    """
    return _build("", _source(collection, "a collection"), params, specs or Specs(), key=key)


def index_query(index: str, params: Mapping[str, Any] | None = None, specs: Specs | None = None) -> Query:
    """Return the same for the entries of an index.

    Raises:
        ConfigurationError: if the index, a field's name or the specifications cannot be.
        QueryError: if a value cannot be understood; it names the field.
    """
    return _build("index ", _source(index, "an index"), params, specs or Specs(), index=index)


def raw_query(rql: str, params: Mapping[str, Any] | None = None, *, wait: float | None = None) -> Query:
    """Return a query as the program wrote it; parameters are sent as they are, integers as integers.

    Raises:
        ConfigurationError: if the text is empty or no text, or the parameters are not a mapping with names.
        QueryError: if a parameter has no form in JSON.
    """
    text: object = rql
    if not isinstance(text, str) or not text.strip():
        raise ConfigurationError(f"a query is a text of RQL, not {text!r}")
    return Query(rql, _snapshot(_checked(params)), wait)


def query_body(query: Query, *, streams: bool = False) -> bytes:
    """Return the JSON to POST. A stream is not repeated without its default order, so it is asked for without at once."""
    text = query.unordered if streams and query.unordered is not None else query.text
    body: dict[str, Any] = {"Query": text, "QueryParameters": query.parameters}
    if query.wait is not None:
        body["WaitForNonStaleResults"] = True
        body["WaitForNonStaleResultsTimeout"] = _time_span(query.wait)
    return encode(body)


def query_flow(database: Database, query: Query) -> Flow[Page]:
    """Run the query.

    Paging through an index in no order gets that of ids. A map-reduce index has none and refuses (500, "The field 'id()' is not
    indexed"; seen on 5.4, 6.2 and 7.1); then the query is repeated without, in the index's own order.

    Raises:
        QueryError: if the server cannot run it.
        OperationTimeout: if the index was still stale after waiting: the server answers 200 with ``IsStale``, and the official
            clients take that for a failure, too.
        SessionError: a subclass by what the server answered.
    """
    response = yield _request(database, query_body(query))
    if response.status == 500 and query.unordered is not None:
        error = query_error(response, index=query.index)
        if isinstance(error, QueryError) and error.field == ID_FIELD:
            response = yield _request(database, query_body(query, streams=True))
    if response.status != 200:
        raise query_error(response, index=query.index)
    page = parse_page(decode(response.body))
    if query.wait is not None and page.statistics.stale:
        raise OperationTimeout(f"the index {page.statistics.index!r} was still stale after {query.wait:g} s", status_code=200)
    return page


def _request(database: Database, body: bytes) -> Request:
    return Request("POST", database.path("queries"), body, JSON_BODY)


def _source(name: object, what: str) -> str:
    # An empty collection would be every document of the database (seen on 5.4, 6.2 and 7.1).
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{what} has a name, not {name!r}")
    return quoted(check_name(name, f"the name of {what}"))


def _checked(params: object) -> Mapping[str, Any]:
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise ConfigurationError(f"parameters are a mapping of names to values, not {params!r}")
    for name in params:
        if not check_name(name, "the name of a parameter"):
            raise ConfigurationError("the name of a field or parameter is empty")
    return params


def _snapshot(params: Mapping[str, Any]) -> dict[str, Any]:
    plain = dict(params)
    try:
        check(plain)
        copy: dict[str, Any] = decode(encode(plain))
    except InvalidDocument as error:
        raise QueryError(f"the parameters cannot be sent: {error.message.removeprefix('cannot be stored: ')}") from error
    return copy


def _build(kind: str, source: str, params: object, specs: Specs, *, index: str | None = None, key: str | None = None) -> Query:
    parameters = Parameters()
    wanted = [
        clause(ID_FIELD if name == key else name, parse_value(name, value), parameters)
        for name, value in _checked(params).items()
    ]
    odd = not all(is_plain(name) for name in specs.projections)
    head = f"from {kind}{source}{f' as {_ALIAS}' if odd else ''}"
    tail = _select(specs.projections, odd, key)
    if specs.include:
        # Where rows have a name, a path with a dot is read as beginning with one (seen on 7.1).
        tail += " include " + ", ".join(quoted(f"{_ALIAS}.{path}" if odd else path) for path in specs.include)
    where = f" where {' and '.join(wanted or ['true'])}" if wanted or specs.sort else ""
    paged = bool(specs.start) or specs.page_size is not None
    if paged:
        size = MAX_ROWS if specs.page_size is None else specs.page_size
        tail += f" limit {parameters.add(specs.start)}, {parameters.add(size)}"
    order = f" order by {', '.join(_sort(one, key) for one in specs.sort)}" if specs.sort else ""
    if order or not paged:
        return Query(head + where + order + tail, parameters.values, specs.wait_for_non_stale, index)
    ordered = f"{head}{where} order by {ID_FIELD}{tail}"
    unordered = None if index is None else head + where + tail
    return Query(ordered, parameters.values, specs.wait_for_non_stale, index, unordered)


def _sort(sort: SortKey, key: str | None) -> str:
    name, direction = ID_FIELD if sort.field == key else field_name(sort.field), " desc" if sort.descending else ""
    if sort.kind is not None:
        return f"{name} as {sort.kind}{direction}"
    return f"{name}{direction}" if name == ID_FIELD else f"{name} as double{direction}, {name}{direction}"


def _select(names: tuple[str, ...], odd: bool, key: str | None) -> str:
    wanted = [name for name in names if name != DOCUMENT_ID]
    if not odd:
        shown = [f"{ID_FIELD} as {name}" if name == key else name for name in wanted]
        return f" select {', '.join([f'{ID_FIELD} as {DOCUMENT_ID}', *shown])}" if names else ""
    paths = [(name, ID_FIELD if name == key else name) for name in wanted]
    fields = [f"{DOCUMENT_ID}: id({_ALIAS})", *(f"{javascript(name)}: {_path(path)}" for name, path in paths)]
    return f" select {{ {', '.join(fields)} }}"


def _path(name: str) -> str:
    """Return the JavaScript that reads a field; a missing step gives null, not an error (seen on 5.4, 6.2 and 7.1)."""
    if name == ID_FIELD:
        return f"id({_ALIAS})"
    if "[]" in name:
        raise ConfigurationError(f"the items of {name!r} cannot be projected beside a name that needs quoting")
    return _ALIAS + "".join(f"[{javascript(step)}]" for step in name.split("."))


def _time_span(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    days, hours = divmod(int(minutes) // 60, 24)
    return f"{days}.{hours:02}:{int(minutes) % 60:02}:{rest:010.7f}" if rest < 59.9999999 else _time_span(int(seconds) + 1)
