"""Queries: their requests and the frame of their answers. What they mean and what they find is `evsession.embedded.query`'s."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from time import perf_counter

import msgspec

from evsession.embedded.app.answers import Streamed, empty, json_answer, raw_answer
from evsession.embedded.app.call import Call, Routes, parse_object, parse_shape
from evsession.embedded.app.operations import bulk_result
from evsession.embedded.app.patches import Patch, patch_document
from evsession.embedded.app.streaming import Lease, as_lines, as_object, gathered
from evsession.embedded.app.tenants import Tenant
from evsession.embedded.failures import RavenFailure, unsupported
from evsession.embedded.query import Page
from evsession.embedded.storage import Transaction
from evsession.embedded.storage.database import NODE_TAG
from evsession.wire.json import JSON, encode
from evsession.wire.message import Response

__all__ = ["QUERY_ROUTES"]

_LOG = logging.getLogger("evsession.embedded")


class Question(msgspec.Struct):
    """A query as it was asked."""

    text: str
    parameters: dict[str, JSON]
    start: int | None = None
    page_size: int | None = None


def _question(call: Call) -> Question:
    """Return the query in the body of a POST, or in the parameters of a GET."""
    if call.request.method == "POST":
        return _from_body(parse_object(call.request.body))
    text = call.text("query")
    if not text:
        raise RavenFailure(500, "System.InvalidOperationException", "Missing mandatory query string parameter 'query'.")
    parameters = parse_object(call.text("parameters").encode()) if call.text("parameters") else {}
    return Question(text, parameters, call.number("start", None), call.number("pageSize", None))


def _from_body(body: dict[str, JSON]) -> Question:
    text, parameters = body.get("Query"), body.get("QueryParameters")
    if not isinstance(text, str) or not text:
        raise RavenFailure(500, "System.InvalidOperationException", "Index query does not contain 'Query' field.")
    if parameters is not None and not isinstance(parameters, dict):
        raise RavenFailure(500, "System.FormatException", f"'QueryParameters' must be an object, not {parameters!r}")
    return Question(text, parameters or {}, _count(body, "Start", text), _count(body, "PageSize", text))


def _count(body: dict[str, JSON], name: str, text: str) -> int | None:
    value = body.get(name)
    if value is None and name in body:
        return 0  # as RavenDB reads it: no rows, for a page size (seen on 7.1)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RavenFailure(500, "System.FormatException", f"{name!r} must be a whole number, not {value!r}")
    if value < 0:
        raise RavenFailure(
            500, "Raven.Client.Exceptions.InvalidQueryException", f"{name} cannot be negative, but was {value}.\nQuery: {text}"
        )
    return int(min(value, 2**31 - 1))


def query(call: Call) -> Response:
    """Answer a query with its rows and statistics."""
    begun = perf_counter()
    asked = _question(call)
    tenant = call.tenant
    with tenant.storage.read() as connection:
        page = tenant.engine.run(
            connection,
            asked.text,
            asked.parameters,
            start=asked.start,
            page_size=asked.page_size,
            metadata_only=call.flag("metadataonly"),
        )
    if call.text("debug"):
        return _explained(call.text("debug"), page)
    _maintain(tenant)
    headers = ((b"etag", str(page.result_etag).encode()), (b"request-time", b"%d" % ((perf_counter() - begun) * 1000)))
    if call.quoted_header("if-none-match") == str(page.result_etag):
        return empty(304, *headers)
    return raw_answer(_framed(page, int((perf_counter() - begun) * 1000)), *headers)


def _framed(page: Page, duration: int) -> bytes:
    facts: dict[str, JSON] = {"TotalResults": page.total}
    if page.capped is not None:
        facts["CappedMaxResults"] = page.capped
    facts |= {
        "ScannedResults": 0,
        "SkippedResults": page.skipped,
        "DurationInMs": duration,
        "IncludedPaths": page.included_paths,
        "IndexName": page.index_name,
        "IndexTimestamp": page.timestamp,
        "LastQueryTime": page.timestamp,
        "IsStale": False,
        "ResultEtag": page.result_etag,
        "NodeTag": NODE_TAG,
    }
    includes = b",".join([b"%b:%b" % (encode(id), row) for id, row in page.includes.items()])
    return b'%b,"Results":[%b],"Includes":{%b}}' % (encode(facts)[:-1], b",".join(page.rows), includes)


def _explained(wish: str, page: Page) -> Response:
    """Answer which automatic index a query is for. Why none of the others, is not said: no reason but its fields counts here."""
    if wish.lower() != "explain":
        raise RavenFailure(500, "System.NotSupportedException", f"Not supported query debug operation: '{wish}'")
    if not page.index_name.startswith(("Auto/", "collection/")):
        raise RavenFailure(500, "System.InvalidOperationException", "Explain can only work on dynamic indexes")
    return json_answer({"IndexName": page.index_name, "Results": []})


def _maintain(tenant: Tenant) -> None:
    """Let the engine build the indexes it wished for; a disk that refuses them costs nothing but time."""
    if tenant.engine.wants_maintenance:
        try:
            with tenant.storage.write(tenant.database) as transaction:
                tenant.engine.maintain(transaction.connection)
        except sqlite3.Error as error:
            _LOG.warning("no index could be built for %s: %s", tenant.database.name, error)


def stream_query(call: Call) -> Streamed:
    """Answer a query row by row as they are read: as one JSON object, or with ``format=jsonl`` as lines."""
    asked = _question(call)
    form = call.text("format").lower()
    if form == "csv":
        raise unsupported("CSV; format=jsonl has the same rows")
    tenant = call.tenant
    lease = Lease(tenant.storage)
    try:
        page, rows = tenant.engine.stream(
            lease.connection, asked.text, asked.parameters, start=asked.start, page_size=asked.page_size
        )
        rows = lease.keep(rows)
    except BaseException:
        lease.release()
        raise
    facts = encode(
        {
            "ResultEtag": page.result_etag,
            "IsStale": False,
            "IndexName": page.index_name,
            "TotalResults": page.total,
            "IndexTimestamp": page.timestamp if page.timestamp.endswith("Z") else page.timestamp + "Z",
        }
    )
    if form == "jsonl":
        lines = as_lines(rows, head=b'{"Stats":%b}' % facts, form=b'{"Item":%b}')
        return Streamed(raw_answer(b""), gathered(lines), lease.release)
    return Streamed(raw_answer(b""), gathered(as_object(rows, head=facts)), lease.release)


class _Update(msgspec.Struct, rename="pascal"):
    query: dict[str, JSON] | None = None


_UPDATE = msgspec.json.Decoder(_Update)


def patch_by_query(call: Call) -> Response:
    """Run the query's script on every document it finds, in one transaction."""
    body = parse_shape(call.request.body, _UPDATE)
    if body.query is None:
        raise RavenFailure(400, "Raven.Client.Exceptions.BadRequestException", "Missing 'Query' property.")
    asked = _from_body(body.query)
    script = call.tenant.engine.update_script(asked.text)
    if script is None:
        raise RavenFailure(
            500, "Raven.Client.Exceptions.InvalidQueryException", f"UPDATE clause was not specified\nQuery: {asked.text}"
        )

    def patch(transaction: Transaction, id: str) -> None:
        patch_document(transaction, id, Patch(script, asked.parameters))

    return _operated(call, asked, patch)


def delete_by_query(call: Call) -> Response:
    """Delete every document that the query finds, in one transaction."""
    return _operated(call, _from_body(parse_object(call.request.body)), Transaction.delete)


def _operated(call: Call, asked: Question, work: Callable[[Transaction, str], object]) -> Response:
    """Do the work on all documents of the query; its failure is that of the operation, not of this request."""
    tenant = call.tenant
    number = tenant.operations.next_number()
    with tenant.storage.read() as connection:
        keys = list(tenant.engine.keys(connection, asked.text, asked.parameters))
    try:
        with tenant.storage.write(tenant.database) as transaction:
            for key in keys:
                work(transaction, key)
    except RavenFailure as error:
        tenant.operations.fail(number, error.type, error.message)
    else:
        tenant.operations.complete(number, bulk_result(len(keys)))
    return json_answer({"OperationId": number, "OperationNodeTag": NODE_TAG})


QUERY_ROUTES: Routes = {
    ("GET", "queries"): query,
    ("POST", "queries"): query,
    ("GET", "streams/queries"): stream_query,
    ("POST", "streams/queries"): stream_query,
    ("PATCH", "queries"): patch_by_query,
    ("DELETE", "queries"): delete_by_query,
}
