"""``/bulk_insert``: documents that come one after the other for as long as the client likes, stored a batch at a time."""

from __future__ import annotations

import msgspec

from evsession.embedded.app.answers import empty, json_answer, told
from evsession.embedded.app.call import NULL, Call, parse_object, parse_shape
from evsession.embedded.app.documents import put_document, stored_form
from evsession.embedded.app.items import ItemSplitter
from evsession.embedded.app.operations import bulk_result
from evsession.embedded.failures import RavenFailure, invalid_argument, unsupported
from evsession.embedded.storage import Transaction
from evsession.embedded.storage.documents import DOCUMENT_COLUMNS
from evsession.embedded.storage.keys import check_key
from evsession.wire.json import JSON
from evsession.wire.message import Response

__all__ = ["BulkInsert", "bulk_insert"]

BATCH_BYTES = 1 << 20
"""Bytes of items that are stored in one transaction; the last ones wait for the end of the array."""


class _Item(msgspec.Struct, rename="pascal", gc=False):
    type: str | None = None
    id: str | None = None
    document: msgspec.Raw = NULL


_ITEM = msgspec.json.Decoder(_Item)


class BulkInsert:
    """One bulk insert: `feed` it the request's body, then `finish`.

    Whole batches are stored as they come, as on RavenDB; of a batch with a bad item, and of an array without its end, nothing is.
    A failure is kept until `finish` answers with it.
    """

    def __init__(self, call: Call) -> None:
        number = call.number("id", None)
        if number is None:
            raise invalid_argument("Query string id is mandatory, but wasn't specified.")
        self._tenant = call.tenant
        self._number = number
        self._is_careful = call.flag("skipoverwriteifunchanged")
        self._target = call.request.target
        self._splitter = ItemSplitter()
        self._waiting: list[bytes] = []
        self._size = 0
        self._stored = 0
        self._batches = 0
        self._failure: RavenFailure | None = None
        self._tenant.operations.begin(number)

    def feed(self, data: bytes) -> bool:
        """Take a piece of the body; False when it has failed already and nothing more is wanted."""
        if self._failure is None:
            try:
                self._take(data)
            except Exception as error:
                self._fail(error)
        return self._failure is None

    def _take(self, data: bytes) -> None:
        if self._tenant.operations.is_killed(self._number):
            raise RavenFailure(500, "System.OperationCanceledException", "The operation was killed.")
        items = self._splitter.feed(data)
        self._waiting += items
        self._size += sum(map(len, items))
        if self._size >= BATCH_BYTES:
            self._store()

    def _store(self) -> None:
        count = 0
        with self._tenant.storage.write(self._tenant.database) as transaction:
            for item in self._waiting:
                count += self._insert(transaction, item)
        self._stored += count
        self._batches += 1
        self._waiting.clear()
        self._size = 0

    def _insert(self, transaction: Transaction, data: bytes) -> bool:
        item = parse_shape(data, _ITEM)
        if item.type == "HeartBeat":
            return False
        if item.type != "PUT":
            raise unsupported(f"{item.type!r} in a bulk insert")
        if item.id is not None and item.id.endswith("|"):
            raise RavenFailure(
                500, "System.NotSupportedException", f"Document ids cannot end with '|', but was called with {item.id}."
            )
        document = parse_object(bytes(item.document), exact=True)
        if not (self._is_careful and item.id and self._is_stored(transaction, item.id, dict(document))):
            put_document(transaction, item.id, document)
        return True

    def _is_stored(self, transaction: Transaction, id: str, document: dict[str, JSON]) -> bool:
        row = transaction.connection.execute(
            f"SELECT {DOCUMENT_COLUMNS} FROM {self._tenant.database.tables.documents} WHERE key = ?", (check_key(id),)
        ).fetchone()
        body, metadata, _ = stored_form(document)
        return row is not None and row[1:3] == (body.encode(), metadata.encode())

    def finish(self) -> Response:
        """Store what is left and answer."""
        if self._failure is None:
            try:
                if not self._splitter.is_done:
                    raise RavenFailure(500, "System.IO.EndOfStreamException", "The array has no end")
                self._store()
            except Exception as error:
                self._fail(error)
        if self._failure is not None:
            return self._refuse(self._failure)
        self._tenant.operations.complete(self._number, bulk_result(self._stored))
        return empty(201)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, RavenFailure):
            self._failure = error
        elif isinstance(error, ValueError):
            self._failure = RavenFailure(500, "System.IO.InvalidDataException", str(error))
        else:
            self._failure = told(error, "a bulk insert")
        self._waiting.clear()
        self._tenant.operations.fail(self._number, self._failure.type, self._failure.message)

    def _refuse(self, failure: RavenFailure) -> Response:
        """Answer in RavenDB's shape: the message counts, and the cause is in the second line of the error (seen on 7.1)."""
        kind = "System.InvalidOperationException"
        message = f"Failed to process bulk insert. Inserted {self._stored} items in {self._batches} batches."
        cause = failure.message.replace("\n", " ").replace("\r", " ")
        error = f"{kind}: {message}\n ---> {failure.type}: {cause}"
        body = {"Url": self._target, "Type": kind, "Message": message, "Error": error}
        return json_answer(body, (b"connection", b"close"), status=500)

    def close(self) -> None:
        """Forget what has not been stored."""
        self._waiting.clear()


def bulk_insert(call: Call) -> Response:
    """Answer a bulk insert whose body has come as a whole."""
    insert = BulkInsert(call)
    insert.feed(call.request.body)
    return insert.finish()
