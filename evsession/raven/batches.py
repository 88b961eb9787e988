"""Writing documents: any number of commands in one request, all or nothing.

Knows RavenDB's ``/bulk_docs``. One failing command undoes the whole batch (seen on 5.4, 6.2 and 7.1); deleting a missing
document does not fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from evsession.errors import ConcurrencyError, ProtocolError
from evsession.raven.edits import Edit, reason_of
from evsession.raven.errors import error_from
from evsession.raven.keys import is_server_made
from evsession.raven.vocabulary import CHANGE_VECTOR, COLLECTION, ID, LAST_MODIFIED, METADATA, Database
from evsession.wire.flow import Flow
from evsession.wire.json import JSON, decode_as, encode, join_lines
from evsession.wire.message import Request

__all__ = ["MUST_BE_NEW", "Command", "Delete", "Put", "Written", "batch_flow", "batch_request"]

_PUT = b',{"Type":"PUT","Id":'
_OF_ANY_VERSION = b',"ChangeVector":null,"Document":'
_JOINT = f',"{METADATA}":'.encode()

MUST_BE_NEW = ""
"""The change vector that a document must not exist yet."""

# Without a client version RavenDB drops the concurrency checks of cluster-wide transactions (seen on 5.4, 6.2 and 7.1).
_HEADERS = (("Content-Type", "application/json"), ("Raven-Client-Version", "5.4.0"))


class Put(msgspec.Struct, frozen=True, gc=False):
    """Write a document. A key that ends in ``/`` or ``|``, or None, lets the server make the rest.

    Attributes:
        key: The document's key.
        change_vector: That of the document that it takes the place of; None for no matter which.
        body: The document, as a JSON object.
        metadata: Its metadata, as a JSON object.
    """

    key: str | None
    change_vector: str | None
    body: bytes
    metadata: bytes


class Delete(msgspec.Struct, frozen=True, rename={"key": "Id", "change_vector": "ChangeVector"}, tag_field="Type", tag="DELETE"):
    """Delete a document, missing or not; with a change vector a missing one is a conflict."""

    key: str
    change_vector: str | None = None


Command: TypeAlias = Put | Delete | Edit


class Written(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={
        "put_key": ID,
        "other_key": "Id",
        "change_vector": CHANGE_VECTOR,
        "last_modified": LAST_MODIFIED,
        "collection": COLLECTION,
        "edit_vector": "ChangeVector",
        "edit_modified": "LastModified",
        "edit_status": "PatchStatus",
        "document": "ModifiedDocument",
    },
):
    """What became of one command, in RavenDB's vocabularies: that of PUT, that of DELETE, which has only the key, and PATCH's.

    For a document there are its new change vector and its time (ISO text); after an edit, the whole document, too. An edit that
    changed nothing has no change vector.
    """

    put_key: str | None = None
    other_key: str | None = None
    change_vector: str | None = None
    last_modified: str | None = None
    collection: str | None = None
    edit_vector: str | None = None
    edit_modified: str | None = None
    edit_status: str | None = None
    document: dict[str, JSON] | None = None

    @property
    def key(self) -> str:
        """The key in full."""
        return self.put_key or self.other_key or ""


class _Answer(msgspec.Struct, frozen=True):
    results: list[Written] = msgspec.field(name="Results")


def batch_request(database: Database, commands: Sequence[Command]) -> Request:
    """Return the request that carries out the commands in order in one transaction."""
    key = commands[0].key if len(commands) == 1 and not is_server_made(commands[0].key) else None
    return Request("POST", database.path("bulk_docs"), _batch(commands), headers=_HEADERS, writes=True, key=key)


def _batch(commands: Sequence[Command]) -> bytes:
    """Return the body of the request; documents are JSON already, and copied once."""
    pieces = [b'{"Commands":[']
    keys = join_lines([command.key for command in commands]).split(b"\n")
    for command, key in zip(commands, keys, strict=False):  # the last line is empty
        if not isinstance(command, Put):
            pieces += (b",", encode(command))
            continue
        body, version = command.body, command.change_vector
        pieces += (
            _PUT,
            key,
            _OF_ANY_VERSION if version is None else b',"ChangeVector":%b,"Document":' % encode(version),
            body[:-1],
            _JOINT if len(body) > 2 else _JOINT[1:],
            command.metadata,
            b"}}",
        )
    pieces[1] = pieces[1][1:]  # the comma
    pieces.append(b"]}")
    return b"".join(pieces)


def batch_flow(database: Database, commands: Sequence[Command]) -> Flow[list[Written]]:
    """Carry out the commands, of which there is at least one, in order in one transaction.

    Raises:
        ConcurrencyError: a change vector did not match; its `key` names the document, and nothing was written.
        SessionError: with status 404, a document to edit is missing; nothing was written.
    """
    request = batch_request(database, commands)
    response = yield request
    if response.status not in (200, 201):
        raise reason_of(error_from(response, key=request.key, writes=True))
    results = decode_as(response.body, _Answer).results
    if len(results) != len(commands) or [True for result in results if not (result.put_key or result.other_key)]:
        raise ProtocolError(f"the answer does not list {len(commands)} results with their keys", status_code=response.status)
    return results


def is_taken_identity(error: ConcurrencyError, commands: Sequence[Command]) -> bool:
    """Return whether the batch failed because an identity met a key that somebody had chosen by hand.

    RavenDB then refuses the batch although no change vector was sent, and has moved its counter on, so that the same batch
    succeeds at the next free number (seen on 5.4, 6.2 and 7.1).
    """
    asks = any(isinstance(command, Put) and command.key is not None and command.key.endswith("|") for command in commands)
    named = {command.key.lower() for command in commands if command.key is not None}
    return asks and error.key is not None and error.key.lower() not in named
