"""Bulk insert: one request whose body is a JSON array that goes on for as long as documents come.

Knows the requests and the form of an item. The server confirms only at the end; ids that end in ``|`` and null ids are refused
with 500 (seen on 5.4, 6.2 and 7.1).
"""

from __future__ import annotations

from evsession.errors import ProtocolError
from evsession.raven.errors import error_from
from evsession.raven.vocabulary import Database
from evsession.wire.flow import Flow
from evsession.wire.json import decode_object, encode
from evsession.wire.message import Request
from evsession.wire.url import target

__all__ = ["bulk_item", "bulk_request", "kill_request", "operation_id_flow"]


def bulk_item(key: str, document: bytes, metadata: bytes) -> bytes:
    """Return the item that writes a document; all three are put together from their JSON, without parsing any."""
    joint = b',"@metadata":' if len(document) > 2 else b'"@metadata":'
    return b"".join((b'{"Type":"PUT","Id":', encode(key), b',"Document":', document[:-1], joint, metadata, b"}}"))


def operation_id_flow(database: Database) -> Flow[int]:
    """Ask for the number under which the server can be asked about, or told to stop, the insert."""
    response = yield Request("GET", database.path("operations", "next-operation-id"))
    if response.status != 200:
        raise error_from(response)
    number = decode_object(response.body).get("Id")
    if not isinstance(number, int):
        raise ProtocolError("the answer holds no operation id", status_code=response.status)
    return number


def bulk_request(database: Database, number: int) -> Request:
    """Return the head of the insert; its body is streamed."""
    query = [("id", str(number)), ("skipOverwriteIfUnchanged", "false")]
    headers = (("Content-Type", "application/json"),)
    return Request("POST", target(database.path("bulk_insert"), query), headers=headers, writes=True)


def kill_request(database: Database, number: int) -> Request:
    """Return the request that stops an insert."""
    return Request("POST", target(database.path("operations", "kill"), [("id", str(number))]))
