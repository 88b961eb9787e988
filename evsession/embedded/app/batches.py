"""``/bulk_docs``: any number of commands in one transaction. Knows the commands' shapes and what each answers.

What differs from RavenDB, seen on 7.1:

* ``Deleted`` says whether there was a document. RavenDB says so again for what was deleted in the last minutes.
* Whoever waits for replicas is told at once that there are none; RavenDB lets the time pass first.
* ``Commands`` may stand anywhere in the body; RavenDB wants it first.
* Attachments, counters, time series, revisions and compare-exchange values are refused by name, the latter also outside of a
  cluster-wide transaction, where RavenDB drops them without a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from evsession.embedded.app.answers import raw_answer
from evsession.embedded.app.call import NULL, Call, Routes, parse_json, parse_object, parse_shape
from evsession.embedded.app.documents import put_document
from evsession.embedded.app.json_patches import json_patch, parse_steps
from evsession.embedded.app.patches import NEVER, Patch, Patched, parse_patch, patch_document
from evsession.embedded.failures import RavenFailure, invalid_argument, unsupported
from evsession.embedded.storage import Transaction
from evsession.wire.json import JSON, encode
from evsession.wire.message import Response

__all__ = ["BATCH_ROUTES"]


class Command(msgspec.Struct, rename="pascal", gc=False):
    """One command, with what any kind may hold."""

    type: str | None = None
    id: str | None = None
    change_vector: str | None = None
    document: msgspec.Raw = NULL
    id_prefixed: bool = False
    patch: msgspec.Raw = NULL
    json_patch: msgspec.Raw = NULL
    patch_if_missing: msgspec.Raw = NULL
    create_if_missing: msgspec.Raw = NULL
    return_document: bool = False
    ids: msgspec.Raw = NULL


class Batch(msgspec.Struct, rename="pascal"):
    """The commands, and whether they go to the whole cluster."""

    commands: list[Command]
    transaction_mode: str | None = None


Run: TypeAlias = Callable[[Transaction, Command], bytes]

_BATCH = msgspec.json.Decoder(Batch)

_TIME_SPAN = re.compile(r"(?:\d{1,8}\.)?\d\d?:\d\d?:\d\d?(?:\.\d{1,7})?", re.ASCII)
_COUNT = re.compile(r"-?\d{1,9}", re.ASCII)
_JSON_TYPES = ("application/json", "multipart/mixed", "multipart/form-data")


def bulk_docs(call: Call) -> Response:
    """Carry out all commands, or none."""
    kind = call.header("content-type")
    if kind is not None and kind.partition(";")[0].strip().lower() not in _JSON_TYPES:
        raise RavenFailure(
            500,
            "System.InvalidOperationException",
            f"The requested Content type '{kind}' is not supported. Use 'application/json' or 'multipart/mixed'.",
        )
    if kind is not None and kind.lower().startswith("multipart/"):
        raise unsupported("attachments")
    batch: Batch = parse_shape(call.request.body, _BATCH)
    if batch.transaction_mode == "ClusterWide":
        raise unsupported("cluster-wide transactions")
    replicas = _replicas(call)
    runs = [_runner(command) for command in batch.commands]
    with call.tenant.storage.write(call.tenant.database) as transaction:
        for command in batch.commands:
            _identify(transaction, command)
        results = [run(transaction, command) for run, command in zip(runs, batch.commands, strict=True)]
    if replicas and call.text("throwontimeoutinwaitforreplicas", "true").lower() == "true":
        raise _not_replicated(call, replicas)
    return raw_answer(b'{"Results":[%b]}' % b",".join(results), status=201)


def _replicas(call: Call) -> int:
    """Return on how many other servers the batch is to be; there is none."""
    wait, number = call.text("waitforreplicastimeout"), call.text("numberofreplicastowaitfor", "1")
    if not wait or number.lower() == "majority":
        return 0
    for name, text, pattern, kind in (
        ("waitForReplicasTimeout", wait, _TIME_SPAN, "timespan"),
        ("numberOfReplicasToWaitFor", number, _COUNT, "int"),
    ):
        if not pattern.fullmatch(text):
            raise invalid_argument(f"Could not parse query string '{name}' as {kind} val {text}")
    return max(int(number), 0)


def _not_replicated(call: Call, replicas: int) -> RavenFailure:
    database = call.tenant.database
    message = (
        f"Could not verify that the change vector '{database.change_vector(database.last_etag)}' was replicated to {replicas}"
        f" servers in {call.text('waitforreplicastimeout')}. So far, it only replicated to 0"
    )
    return RavenFailure(408, "Raven.Client.Exceptions.RavenTimeoutException", message, FailImmediately=True)


def _runner(command: Command) -> Run:
    """Return what carries the command out; a batch with an unknown kind does nothing at all."""
    run = _COMMANDS.get(command.type or "")
    if run is None:
        raise _unknown(command.type)
    return run


def _identify(transaction: Transaction, command: Command) -> None:
    """Give the command its identity: before any command runs, and for good, whatever becomes of the batch (seen on 7.1).

    Where somebody has taken the key by hand, the batch fails, and the next number may be free.
    """
    if command.type == "PUT" and command.id and command.id.endswith("|"):
        command.id = transaction.make_key(command.id)
        command.change_vector = ""


def _unknown(kind: str | None) -> RavenFailure:
    if kind is None:
        return RavenFailure(500, "System.InvalidOperationException", "Command must have a valid 'Type' property")
    if kind in _OTHERS:
        return unsupported(f"the command {kind}")
    return RavenFailure(500, "Raven.Server.Exceptions.InvalidCommandTypeException", f"Invalid command type: {kind}")


def _put(transaction: Transaction, command: Command) -> bytes:
    raw = bytes(command.document)
    if raw == b"null":
        raise RavenFailure(500, "System.InvalidOperationException", "PUT command must have a 'Document' property")
    written = put_document(transaction, command.id, parse_object(raw, exact=True), command.change_vector)
    return b'{"Type":"PUT","@id":%b,"@collection":%b,"@change-vector":"%b","@last-modified":"%b"}' % (
        encode(written.id),
        encode(written.collection),
        written.change_vector.encode(),
        written.modified.encode(),
    )


def _delete(transaction: Transaction, command: Command) -> bytes:
    id = command.id
    if not id:
        gone = False
    elif command.id_prefixed:
        gone = transaction.delete_prefixed(id)
    else:
        gone = transaction.delete(id, command.change_vector)
    said = {"Id": id, "Type": "DELETE", "Deleted": gone}
    return encode({**said, "ChangeVector": None} if gone and not command.id_prefixed else said)


def _patch(transaction: Transaction, command: Command) -> bytes:
    if not command.id:
        raise invalid_argument("The ID argument has invalid value: '' (Parameter 'id')")
    create = parse_json(bytes(command.create_if_missing), exact=True)
    result = patch_document(
        transaction,
        command.id,
        _script(command),
        expected=command.change_vector,
        if_missing=parse_patch(command.patch_if_missing),
        create=create if isinstance(create, dict) else None,
    )
    return _patched(command, result, {"Debug": None})


def _patched(command: Command, result: Patched, extras: dict[str, JSON]) -> bytes:
    written = result.written
    answer: dict[str, JSON] = {
        "Id": command.id,
        "ChangeVector": written.change_vector if written else None,
        "LastModified": written.modified if written else NEVER,
        "Type": command.type,
        "PatchStatus": result.status,
        **extras,
    }
    if command.return_document:
        answer["ModifiedDocument"] = result.document
    return encode(answer)


def _script(command: Command) -> Patch:
    patch = parse_patch(command.patch)
    if patch is None:
        raise RavenFailure(500, "System.InvalidOperationException", f"{command.type} command must have a 'Patch' property")
    return patch


class _Target(msgspec.Struct, rename="pascal"):
    id: str
    change_vector: str | None = None


_TARGETS = msgspec.json.Decoder(list[_Target])


def _batch_patch(transaction: Transaction, command: Command) -> bytes:
    patch, if_missing = _script(command), parse_patch(command.patch_if_missing)
    for target in parse_shape(bytes(command.ids), _TARGETS):
        patch_document(transaction, target.id, patch, expected=target.change_vector, if_missing=if_missing)
    return b'{"Type":"BatchPATCH"}'


def _json_patch(transaction: Transaction, command: Command) -> bytes:
    result = json_patch(transaction, command.id, parse_steps(command.json_patch))
    return _patched(command, result, {"Etag": transaction.etag if result.written else 0})


_COMMANDS: dict[str, Run] = {
    "PUT": _put,
    "DELETE": _delete,
    "PATCH": _patch,
    "BatchPATCH": _batch_patch,
    "JsonPatch": _json_patch,
}

_OTHERS = frozenset(
    {
        "AttachmentPUT",
        "AttachmentDELETE",
        "AttachmentMOVE",
        "AttachmentCOPY",
        "Counters",
        "TimeSeries",
        "TimeSeriesWithIncrements",
        "TimeSeriesCopy",
        "TimeSeriesBulkInsert",
        "CompareExchangePUT",
        "CompareExchangeDELETE",
        "ForceRevisionCreation",
    }
)

BATCH_ROUTES: Routes = {("POST", "bulk_docs"): bulk_docs}
