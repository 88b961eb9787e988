"""``/docs``: get, list, put and delete documents one by one. Knows its parameters, statuses and ETags.

What differs from RavenDB, seen on 7.1:

* A body is JSON and nothing else. RavenDB also takes single quotes, a comma too much, text after the object, control characters,
  NaN (which it stores as a text) and bytes that are no UTF-8, and destroys escaped characters beyond the basic plane.
* No number beyond a double is read anywhere; RavenDB refuses it in what is stored, and elsewhere takes it for an infinite one.
  It also refuses a zero with an exponent (``0e1``).
* A body nests at most 500 levels deep, for which SQLite has room; RavenDB takes 100,000.
* Metadata of the server that are sent back are dropped here as in batches. RavenDB keeps them in a single PUT, hides what is its
  own when it answers, and refuses an ``@last-modified`` that is no time.
* An ETag of a list changes with every write that changes something; RavenDB's also with deleting what is not there any more.
* An id with escaped bytes that are no UTF-8 gets the replacement character for them; RavenDB leaves it escaped.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator

from evsession.embedded.app.answers import Streamed, empty, json_answer, raw_answer
from evsession.embedded.app.call import Call, Routes, parse_object
from evsession.embedded.app.streaming import Lease, as_lines, as_object, gathered
from evsession.embedded.failures import RavenFailure, invalid_argument
from evsession.embedded.includes import included_ids
from evsession.embedded.storage import Tables, Transaction, Written, document_json, last_etag
from evsession.embedded.storage.documents import Row, all_rows, metadata_json, prefixed_rows, rows_by_key
from evsession.embedded.storage.keys import check_key
from evsession.embedded.storage.transaction import EMPTY_COLLECTION
from evsession.raven.vocabulary import COLLECTION, METADATA, PROJECTION, SERVER_METADATA
from evsession.wire.json import JSON, decode, encode
from evsession.wire.message import Response

__all__ = ["DOCUMENT_ROUTES", "put_document", "stored_form"]

DROPPED_METADATA = SERVER_METADATA - {"@attachments", PROJECTION}
"""What a client may send back and the server knows better; RavenDB stores the two exceptions (seen on 5.4 - 7.1)."""


def get_documents(call: Call) -> Response:
    """Answer with documents by id, by the start of their ids, or with all, the last written first."""
    ids = call.query.get("id")
    return _listed(call) if ids is None else _by_id(call, list(ids))


def post_documents(call: Call) -> Response:
    """Answer with documents by the ids in the body; an empty list asks for all (seen on 6.2 and 7.1)."""
    ids = parse_object(call.request.body).get("Ids")
    if ids is None:
        raise invalid_argument("Property 'Ids' must be a list of document ids")
    if not isinstance(ids, list):
        raise RavenFailure(500, "System.FormatException", f"'Ids' must be a list, not {ids!r}")
    return _by_id(call, [id if isinstance(id, str) else None for id in ids]) if ids else _listed(call)


def _by_id(call: Call, ids: list[str | None]) -> Response:
    tables, paths = call.tenant.database.tables, call.query.get("include", [])
    keys = [check_key(id) if id else "" for id in ids]
    with call.tenant.storage.read() as connection:
        found = rows_by_key(connection, tables, keys)
        if len(keys) == 1 and not found:
            return empty(404)
        included = _included(connection, tables, found, paths) if paths else {}
    rows = [found.get(key) for key in keys]
    etag = _etag(rows, included)
    if call.quoted_header("if-none-match") == etag:
        return empty(304)
    show = _shown(call)
    results = b",".join([show(row) if row else b"null" for row in rows])
    includes = b",".join([b"%b:%b" % (encode(row[0]), document_json(row)) for row in included.values()])
    return raw_answer(b'{"Results":[%b],"Includes":{%b}}' % (results, includes), (b"etag", f'"{etag}"'.encode()))


def _shown(call: Call) -> Callable[[Row], bytes]:
    return _only_metadata if call.flag("metadataOnly") else document_json


def _only_metadata(row: Row) -> bytes:
    return b'{"@metadata":%b}' % metadata_json(row)


def _etag(rows: list[Row | None], included: dict[str, Row]) -> str:
    """Return the change vector of a single document, or else what changes when one of several does."""
    if len(rows) == 1 and rows[0] is not None and not included:
        return rows[0][3]
    seen = "\n".join([*[row[3] if row else "" for row in rows], "included", *[row[3] for row in included.values()]])
    return "Hash-" + base64.b64encode(hashlib.sha256(seen.encode()).digest()).decode()


def _included(connection: sqlite3.Connection, tables: Tables, found: dict[str, Row], paths: Iterable[str]) -> dict[str, Row]:
    """Return the documents that those found refer to and that are not among them."""
    wanted: dict[str, None] = {}
    for row in found.values():
        document = decode(row[1])
        for path in paths:
            wanted.update(
                (check_key(id), None) for id in included_ids(document, path) if len(id.encode("utf-8", "replace")) <= 512
            )
    keys = [key for key in wanted if key not in found]
    known = rows_by_key(connection, tables, keys) if keys else {}
    return {key: known[key] for key in keys if key in known}


def _listed(call: Call) -> Response:
    database = call.tenant.database
    with call.tenant.storage.read() as connection:
        etag = database.change_vector(last_etag(connection, database))
        if call.quoted_header("if-none-match") == etag:
            return empty(304)
        body = b",".join(map(_shown(call), _page(call, _selected(call, connection))))
    return raw_answer(b'{"Results":[%b]}' % body, (b"etag", f'"{etag}"'.encode()))


def _page(call: Call, rows: Iterator[Row]) -> Iterator[Row]:
    start, size = call.number("start", 0), call.number("pageSize", None)
    begin = max(start or 0, 0)
    return itertools.islice(rows, begin, None if size is None else begin + max(size, 0))


def _selected(call: Call, connection: sqlite3.Connection, *, excluding: str = "exclude") -> Iterator[Row]:
    """Return the documents that the parameters ask for: by the start of their ids in their order, or all, newest first."""
    tables = call.tenant.database.tables
    if "startswith" not in call.query:
        return all_rows(connection, tables)
    prefix, after = check_key(call.text("startswith")), check_key(call.text("startafter"))
    rows = prefixed_rows(connection, tables, prefix, after)
    matches, exclude = _wildcards(call.text("matches")), _wildcards(call.text(excluding))
    if matches is None and exclude is None:
        return rows
    rests = ((row, row[0][len(prefix) :]) for row in rows)
    return (
        row
        for row, rest in rests
        if (matches is None or matches.fullmatch(rest)) and not (exclude is not None and exclude.fullmatch(rest))
    )


def _wildcards(patterns: str) -> re.Pattern[str] | None:
    """Return what ``m*|b?`` matches, whatever the case; None without a pattern."""
    if not patterns:
        return None
    parts = ("".join({"*": ".*", "?": "."}.get(c) or re.escape(c) for c in part) for part in patterns.split("|"))
    return re.compile("|".join(parts), re.IGNORECASE | re.DOTALL)


def head_document(call: Call) -> Response:
    """Answer whether the one document is there."""
    ids = call.query.get("id", [])
    if len(ids) != 1 or not ids[0]:
        raise invalid_argument("Query string value 'id' must have exactly one value")
    key = check_key(ids[0])
    with call.tenant.storage.read() as connection:
        row = rows_by_key(connection, call.tenant.database.tables, [key]).get(key)
    if row is None:
        return empty(404)
    if call.quoted_header("if-none-match") == row[3]:
        return empty(304)
    return raw_answer(b"", (b"etag", f'"{row[3]}"'.encode()))


def stored_form(document: dict[str, JSON]) -> tuple[str, str, str]:
    """Return the document as it is stored, the metadata as it is stored, and the collection; the document loses its metadata.

    Raises:
        RavenFailure: the metadata are no object.
    """
    metadata = document.pop(METADATA, {})
    if metadata is None:
        raise RavenFailure(500, "System.NullReferenceException", f"{METADATA!r} must be an object, not null")
    if not isinstance(metadata, dict):
        raise RavenFailure(500, "System.FormatException", f"{METADATA!r} must be an object, not {metadata!r}")
    collection = metadata.get(COLLECTION)
    if not DROPPED_METADATA.isdisjoint(metadata):
        metadata = {name: value for name, value in metadata.items() if name not in DROPPED_METADATA}
    return (
        encode(document).decode(),
        encode(metadata).decode(),
        collection if isinstance(collection, str) else EMPTY_COLLECTION,
    )


def put_document(transaction: Transaction, id: str | None, document: dict[str, JSON], expected: str | None = None) -> Written:
    """Store the document under the id, or the one that is made from it."""
    body, metadata, collection = stored_form(document)
    return transaction.put(transaction.make_key(id), body, metadata, collection, expected)


def put_one(call: Call) -> Response:
    """Store the document in the body."""
    id = call.required("id")
    document = parse_object(call.request.body, exact=True)
    with call.tenant.storage.write(call.tenant.database) as transaction:
        written = put_document(transaction, id, document, call.quoted_header("if-match"))
    return json_answer({"Id": written.id, "ChangeVector": written.change_vector}, status=201)


def delete_one(call: Call) -> Response:
    """Delete the document; whether there was one, the answer does not say."""
    id = call.required("id")
    with call.tenant.storage.write(call.tenant.database) as transaction:
        transaction.delete(id, call.quoted_header("if-match"))
    return empty(204)


def stream_documents(call: Call) -> Streamed:
    """Answer with the documents that `get_documents` would list, as they are read; with ``format=jsonl`` one a line."""
    lease = Lease(call.tenant.storage)
    try:
        if not call.text("startswith"):
            call.query.pop("startswith", None)  # here RavenDB takes an empty one for none (seen on 7.1)
        rows = lease.keep(map(document_json, _page(call, _selected(call, lease.connection, excluding="excludes"))))
    except BaseException:
        lease.release()
        raise
    is_lines = call.text("format").lower() == "jsonl"
    return Streamed(raw_answer(b""), gathered(as_lines(rows) if is_lines else as_object(rows)), lease.release)


DOCUMENT_ROUTES: Routes = {
    ("GET", "streams/docs"): stream_documents,
    ("GET", "docs"): get_documents,
    ("POST", "docs"): post_documents,
    ("HEAD", "docs"): head_document,
    ("PUT", "docs"): put_one,
    ("DELETE", "docs"): delete_one,
}
