"""Times in metadata, at which RavenDB removes a document or writes it anew."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from tests.backends import Backend

pytestmark = pytest.mark.since("6.2")

NAMES = ["@expires", "@refresh", "@archive-at"]
KIND = "System.InvalidOperationException"


def put(backend: Backend, database: str, key: str, metadata: dict[str, Any]) -> tuple[int, Any]:
    """Put a document with these metadata."""
    document = {"a": 1, "@metadata": {"@collection": "Things", **metadata}}
    return backend.answer("PUT", f"/databases/{database}/docs?id={key}", document)


@pytest.mark.parametrize(
    "value",
    [
        "2999-01-01T00:00:00",
        "2999-01-01T00:00:00Z",
        "2999-01-01T00:00:00.Z",
        "2999-01-01T00:00:00.1234567Z",
        "2999-01-01T00:00:00.123+02:00",
        "2999-01-01T00:00:00-2:00",
        "2999-01-01T00:00:00+0200",
        5,
        1.5,
        True,
        [],
        {},
    ],
)
def test_times_and_what_is_no_text(backend: Backend, emptied_database: str, value: Any) -> None:
    for name in NAMES:
        assert put(backend, emptied_database, "things/1", {name: value})[0] == 201


@pytest.mark.parametrize(
    "value",
    [
        "bad",
        "",
        None,
        "2999",
        "2999-01-01",
        "12:00",
        "2999-1-1T00:00:00",
        "2999-01-01 00:00:00",
        "2999-01-01t00:00:00Z",
        "2999-01-01T00:00",
        "2999-01-01T24:00:00Z",
        "2999-02-30T00:00:00Z",
        "2999-01-01T00:00:00z",
        "2999-01-01T00:00:00Z ",
        "2999-01-01T00:00:00.12345678Z",
        "2999-01-01T00:00:00+20:00",
    ],
)
def test_what_is_no_time(backend: Backend, emptied_database: str, value: Any) -> None:
    for name in NAMES:
        status, answer = put(backend, emptied_database, "Things/1", {name: value})
        assert (status, answer["Type"]) == (500, KIND)
        wrong = f"The due date format for document 'things/1' is not valid: '{value or ''}'. Use the following format: 2"
        assert answer["Message"].startswith(wrong)
    assert backend.answer("GET", f"/databases/{emptied_database}/docs?id=things/1")[0] == 404


def test_other_names_are_free(backend: Backend, emptied_database: str) -> None:
    metadata = {"@Expires": "bad", "expires": "bad", "o": {"@expires": "bad"}, "x": '"@expires"'}
    assert put(backend, emptied_database, "things/1", metadata)[0] == 201


def test_every_way_to_write(backend: Backend, emptied_database: str) -> None:
    path = f"/databases/{emptied_database}"
    assert put(backend, emptied_database, "things/1", {})[0] == 201
    document = {"@metadata": {"@collection": "Things", "@expires": "bad"}}
    script = "this['@metadata']['@refresh'] = 'bad'"
    step = {"op": "add", "path": "/@metadata/@expires", "value": "bad"}
    commands: list[dict[str, Any]] = [
        {"Type": "PUT", "Id": "things/1", "Document": document},
        {"Type": "PATCH", "Id": "things/1", "Patch": {"Script": script}},
        {"Type": "PATCH", "Id": "things/1", "Patch": {"Script": "put('things/2', {'@metadata': {'@expires': null}})"}},
        {"Type": "JsonPatch", "Id": "things/1", "JsonPatch": {"Operations": [step]}},
    ]
    for command in commands:
        other = {"Type": "PUT", "Id": "things/3", "Document": {}}
        status, answer = backend.answer("POST", f"{path}/bulk_docs", {"Commands": [other, command]})
        assert (status, answer["Type"]) == (500, KIND), command
    assert put(backend, emptied_database, "things/", {"@expires": "bad"})[0] == 500
    collection = put(backend, emptied_database, "things/1", {"@expires": "bad", "@collection": "Others"})
    assert collection[1]["Message"].startswith("Changing 'things/1' from 'Things' to 'Others'")
    assert [row["@metadata"]["@id"] for row in backend.ask("GET", f"{path}/docs")["Results"]] == ["things/1"]


async def test_a_session_is_told(session: evsession.Session) -> None:
    session.store({"a": 1}, key="things/1", metadata={"@expires": "bad"})
    with pytest.raises(evsession.SessionError, match="The due date format for document 'things/1' is not valid: 'bad'"):
        await session.save()
