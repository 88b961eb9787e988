"""PATCH: a script changes a document, alone or as a command of a batch. Knows the shapes of both; runs no script itself.

What differs from RavenDB, seen on 7.1:

* A document with a field without a name can be patched; RavenDB fails on it (IndexOutOfRangeException), and on some scripts that
  join texts with characters beyond the basic plane.
* With ``test=true`` nothing is told of other documents that the script changed, and with ``debug=true`` only its output.
* A script that stores its own document by ``put`` and leaves ``this`` alone has modified nothing; RavenDB calls that patched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from evsession.embedded.app.answers import empty, json_answer
from evsession.embedded.app.call import NULL, Call, Routes, parse_json, parse_object, parse_shape
from evsession.embedded.app.documents import put_document, stored_form
from evsession.embedded.failures import RavenFailure, conflict, invalid_argument
from evsession.embedded.scripts import PatchOutcome, check_script, run_patch
from evsession.embedded.storage import Transaction, Written, document_json
from evsession.raven.vocabulary import METADATA
from evsession.wire.json import JSON, Raw, decode_object
from evsession.wire.message import Response

__all__ = ["NEVER", "PATCH_ROUTES", "Patch", "Patched", "parse_patch", "patch_document", "shown"]

NEVER = "0001-01-01T00:00:00.0000000"
"""When a document was changed that was not."""

_UNORDERED = msgspec.json.Encoder(order="sorted")


class Patch(NamedTuple):
    """A script and its values."""

    script: str
    values: Mapping[str, JSON]


class Patched(NamedTuple):
    """What became of the document.

    Attributes:
        status: ``"Patched"``, ``"Created"``, ``"NotModified"`` or ``"DocumentDoesNotExist"``.
        document: As it is afterwards, with the metadata that are stored; None if there is none.
        before: As it was, None if there was none.
        written: Its new change vector, None if it was not changed.
        output: What the script told.
    """

    status: str
    document: dict[str, JSON] | None = None
    before: dict[str, JSON] | None = None
    written: Written | None = None
    output: list[str] = []


def parse_patch(raw: Raw) -> Patch | None:
    """Return the script and its values, or None where there are none.

    Raises:
        RavenFailure: it has another shape.
    """
    if bytes(raw) == b"null":
        return None
    value = parse_object(bytes(raw))
    script, values = value.get("Script"), value.get("Values")
    if not isinstance(script, str):
        raise RavenFailure(500, "System.IO.InvalidDataException", "Missing 'Script' property on 'Patch'")
    if values is not None and not isinstance(values, dict):
        raise RavenFailure(500, "System.FormatException", f"'Values' must be an object, not {type(values).__name__}")
    return Patch(script, values or {})


def patch_document(
    transaction: Transaction,
    id: str,
    patch: Patch,
    *,
    expected: str | None = None,
    if_missing: Patch | None = None,
    create: dict[str, JSON] | None = None,
) -> Patched:
    """Run the script on the document and store what it leaves.

    Args:
        transaction: Where.
        id: The document.
        patch: The script.
        expected: The change vector that the document must have.
        if_missing: The script that makes the document if there is none.
        create: What the document is if there is none and no such script.

    Raises:
        RavenFailure: the change vector is another, or the script or what it does is refused; the transaction is to be undone.
    """
    row = transaction.read(id)
    actual = row[3] if row else None
    is_stale = expected is not None and expected != actual
    if is_stale or row is None:
        check_script(patch.script)  # RavenDB parses first, whatever comes then (seen on 7.1)
    if is_stale:
        raise _stale(id, expected, actual)
    if row is None and if_missing is None:
        if create is None:
            return Patched("DocumentDoesNotExist")
        written = put_document(transaction, id, dict(create))
        return Patched("Created", create, None, written)
    before = decode_object(document_json(row)) if row else {METADATA: {}}
    outcome = _run(transaction, row[0] if row else id, patch if row or if_missing is None else if_missing, before)
    body, metadata, collection = stored_form(dict(outcome.document))
    after = shown(body.encode(), metadata.encode())
    if row is None:
        return Patched("Created", after, None, transaction.put(id, body, metadata, collection), outcome.output)
    before = shown(row[1], row[2])
    if _UNORDERED.encode(after) == _UNORDERED.encode(before):
        return Patched("NotModified", after, before, None, outcome.output)
    return Patched("Patched", after, before, transaction.put(row[0], body, metadata, collection, actual), outcome.output)


def shown(body: bytes, metadata: bytes) -> dict[str, JSON]:
    """Return a document as answers to patches show it: with the metadata that are stored, if there are any."""
    facts = decode_object(metadata)
    return {**decode_object(body), METADATA: facts} if facts else decode_object(body)


def _run(transaction: Transaction, id: str, patch: Patch, document: dict[str, JSON]) -> PatchOutcome:
    def load(key: str) -> dict[str, JSON] | None:
        row = transaction.read(key)
        return decode_object(document_json(row)) if row else None

    def put(key: str, value: dict[str, JSON], change_vector: str | None = None) -> str:
        if key.endswith("|"):
            raise RavenFailure(
                500, "System.NotSupportedException", f"Document ids cannot end with '|', but was called with {key}."
            )
        return put_document(transaction, key, dict(value), change_vector).id

    return run_patch(patch.script, patch.values, document, key=id, load=load, put=put, delete=transaction.delete)


def _stale(id: str, expected: str | None, actual: str | None) -> RavenFailure:
    message = f"Could not patch document '{id}' because non current change vector was used"
    return conflict(message, key=id, expected=expected, actual=actual)


class _Body(msgspec.Struct, rename="pascal"):
    patch: Raw = NULL
    patch_if_missing: Raw = NULL
    create_if_missing: Raw = NULL


_BODY = msgspec.json.Decoder(_Body)


def patch_one(call: Call) -> Response:
    """Run a script on one document; with ``test=true`` nothing is stored, with ``debug=true`` its output is told."""
    id = call.required("id")
    body = parse_shape(call.request.body, _BODY)
    patch, if_missing = parse_patch(body.patch), parse_patch(body.patch_if_missing)
    if patch is None:
        raise invalid_argument("The 'Patch' field in the body request is mandatory")
    if parse_json(bytes(body.create_if_missing)) is not None:
        # RavenDB fails here, too, in other words (seen on 7.1); in a batch it works.
        raise RavenFailure(500, "System.InvalidOperationException", "CreateIfMissing belongs into a command of a batch")
    expected = call.quoted_header("if-match")
    is_test = call.flag("test")
    try:
        with call.tenant.storage.write(call.tenant.database) as transaction:
            result = patch_document(transaction, id, patch, expected=expected, if_missing=if_missing)
            if is_test:
                raise _Tested
    except _Tested:
        result = result._replace(written=None)
    except RavenFailure as error:
        if (
            error.status == 409
            and call.flag("skippatchifchangevectormismatch")
            and error.extras["ExpectedChangeVector"] == expected
        ):
            return empty(304)
        raise
    return _answer(result, is_test=is_test, is_debugging=is_test or call.flag("debug"))


class _Tested(Exception):
    """Undoes what was only to be tested."""


def _answer(result: Patched, *, is_test: bool, is_debugging: bool) -> Response:
    if result.document is None:
        return empty(404)
    answer: dict[str, JSON] = {"Status": result.status, "ModifiedDocument": result.document}
    if is_debugging:
        answer["OriginalDocument"] = result.before if is_test else None
        answer["Debug"] = {"Info": result.output, "Actions": {}}
    if is_test and result.status != "NotModified":
        answer |= {"LastModified": NEVER, "ChangeVector": None, "Collection": None}
    if result.written is not None:
        written = result.written
        answer |= {"LastModified": written.modified, "ChangeVector": written.change_vector, "Collection": written.collection}
    return json_answer(answer, status=201 if result.status == "Created" else 200)


PATCH_ROUTES: Routes = {("PATCH", "docs"): patch_one}
