"""The command that changes single fields of a document, and what its failure means."""

from __future__ import annotations

import json

import pytest

from evsession.errors import SessionError
from evsession.raven.batches import Put, batch_flow
from evsession.raven.edits import Edit, edit_command, reason_of
from evsession.raven.vocabulary import Database
from tests.unit.raven.flows import answer, body_of, run


def test_fields_are_values_and_never_part_of_the_script() -> None:
    one = edit_command("dogs/max", None, sets={"a'b": 1}, unsets=["gone\n"], increments={"n": 2})
    two = edit_command("dogs/max", "A:1", sets={}, unsets=[], increments={})
    first, second = json.loads(bytes(one.patch)), json.loads(bytes(two.patch))
    assert first["Values"] == {"set": {"a'b": 1}, "unset": ["gone\n"], "increment": {"n": 2}}
    assert first["Script"] == second["Script"]
    assert (one.key, one.change_vector, two.change_vector) == ("dogs/max", None, "A:1")


def test_on_the_wire_it_fails_for_a_missing_document_and_returns_the_whole() -> None:
    edit = edit_command("dogs/max", "A:1", sets={"a": 1}, unsets=[], increments={})
    results = {"Results": [{"Type": "PATCH", "Id": "dogs/max", "ChangeVector": "A:2", "PatchStatus": "Patched"}]}
    (request,), written = run(batch_flow(Database("db"), [edit]), answer(201, results))
    (command,) = body_of(request)["Commands"]
    assert command.pop("Patch")["Values"]["set"] == {"a": 1}
    assert command.pop("PatchIfMissing")["Script"].startswith("throw ")
    assert command == {"Type": "PATCH", "Id": "dogs/max", "ChangeVector": "A:1", "ReturnDocument": True}
    assert (written[0].key, written[0].edit_vector, written[0].edit_status) == ("dogs/max", "A:2", "Patched")


MISSING = "At 6:4 Script failed for document ID 'dogs/it's'. evsession: there is no such document"


@pytest.mark.parametrize(
    ("message", "given", "key"),
    [
        (MISSING, None, "dogs/it's"),
        (MISSING, "dogs/other", "dogs/it's"),
        ("evsession: there is no such document", "dogs/max", "dogs/max"),
        ("evsession: there is no such document", None, ""),
    ],
)
def test_the_failure_of_a_missing_document_is_a_404_of_its_key(message: str, given: str | None, key: str) -> None:
    error = reason_of(SessionError(message, status_code=500, key=given))
    assert (error.status_code, error.key, error.uncertain) == (404, key, False)
    assert error.message == f"there is no document {key!r} to change; nothing was written"


def test_any_other_failure_is_what_it_is() -> None:
    error = SessionError("At 6:4 Script failed for document ID 'dogs/max'. boom", status_code=500)
    assert reason_of(error) is error


def test_a_batch_tells_a_missing_document() -> None:
    edit: Edit = edit_command("dogs/none", None, sets={"a": 1}, unsets=[], increments={})
    refused = {
        "Type": "Raven.Client.Exceptions.Documents.Patching.JavaScriptException",
        "Message": "At 6:4 Script failed for document ID 'dogs/none'. evsession: there is no such document",
        "Error": "...",
    }
    with pytest.raises(SessionError, match="no document 'dogs/none'") as caught:
        run(batch_flow(Database("db"), [Put("dogs/a", None, b"{}", b"{}"), edit]), answer(500, refused))
    assert (caught.value.status_code, caught.value.key, caught.value.uncertain) == (404, "dogs/none", False)
