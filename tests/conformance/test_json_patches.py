"""JSON patches, which evsession does not send but the official client does: what the server makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.backends import Backend

pytestmark = pytest.mark.since("7.1")

DOCUMENT: dict[str, Any] = {
    "name": "Max",
    "age": 12,
    "weight": 30.5,
    "tags": ["a", "b"],
    "vets": [{"fee": 1}, {"fee": 2}],
    "owner": {"city": {"zip": 1}},
    "puppy": None,
    "a/b": 1,
    "m~n": 2,
    "@metadata": {"@collection": "Dogs", "note": "x"},
}
FAILED = "An error occurred while trying to apply json patch operation to document dogs/max."
INVALID = "System.InvalidOperationException"


def operations(*asked: Any) -> list[Any]:
    """Return operations: of ``("add", path, value)``, ``("move", from, path)`` and the like; what is no tuple is kept."""
    return [_operation(*one) if isinstance(one, tuple) else one for one in asked]


def _operation(name: str, path: str, *rest: Any) -> dict[str, Any]:
    if name in ("move", "copy"):
        return {"op": name, "from": path, "path": rest[0]}
    return {"op": name, "path": path, **({"value": rest[0]} if rest else {})}


class Patched:
    """A document that is patched in a database."""

    def __init__(self, backend: Backend, database: str) -> None:
        self._backend = backend
        self._path = f"/databases/{database}"
        backend.ask("PUT", f"{self._path}/docs?id=dogs/max", DOCUMENT)

    def batch(self, *patches: Any, **members: Any) -> tuple[int, Any]:
        """Send patches in one batch."""
        command = {"Id": "dogs/max", "ChangeVector": None, "Type": "JsonPatch", **members}
        commands = [{**command, "JsonPatch": None if patch is None else {"Operations": operations(*patch)}} for patch in patches]
        return self._backend.answer("POST", f"{self._path}/bulk_docs", {"Commands": commands})

    def patch(self, body: Any, key: str = "?id=dogs/max") -> tuple[int, Any]:
        """Send a patch alone."""
        return self._backend.answer("PATCH", f"{self._path}/json-patch{key}", body)

    def changes(self) -> dict[str, Any]:
        """Return what is different in the document, None for what is gone."""
        (found,) = self._backend.ask("GET", f"{self._path}/docs?id=dogs/max")["Results"]
        for name in ("@id", "@change-vector", "@last-modified"):
            del found["@metadata"][name]
        return {name: found.get(name) for name in {**DOCUMENT, **found} if found.get(name, ...) != DOCUMENT.get(name, ...)}


@pytest.fixture
def patched(backend: Backend, database: str) -> Patched:
    """A document in a fresh database."""
    return Patched(backend, database)


@pytest.mark.parametrize(
    ("patch", "changes"),
    [
        ([("add", "/breed", "Lab")], {"breed": "Lab"}),
        ([("ADD", "/age", 13)], {"age": 13}),
        ([("add", "breed", 9)], {"breed": 9}),
        ([("add", "x/breed", 9)], {"breed": 9}),
        ([("add", "", 9)], {"": 9}),
        ([("add", "/breed", None)], {"breed": None}),
        ([("add", "/tags/0", "z")], {"tags": ["z", "a", "b"]}),
        ([("add", "/tags/01", "z")], {"tags": ["a", "z", "b"]}),
        ([("add", "/tags/ +1 ", "z")], {"tags": ["a", "z", "b"]}),
        ([("add", "/tags/-", "z")], {"tags": ["a", "b", "z"]}),
        ([("add", "/tags/-", "x"), ("remove", "/tags/0"), ("add", "/tags/-", "y")], {"tags": ["b", "x", "y"]}),
        ([("add", "/owner/city/town", {"q": [1]})], {"owner": {"city": {"zip": 1, "town": {"q": [1]}}}}),
        ([("add", "/vets/1/name", "Ann")], {"vets": [{"fee": 1}, {"fee": 2, "name": "Ann"}]}),
        ([("add", "/a~1b", 3), ("add", "/m~0n", 4), ("add", "/x~01", 5)], {"a/b": 3, "m~n": 4, "x/": 5}),
        ([("add", "/big", 12345678901234567890123)], {"big": 12345678901234567890123}),
        ([("remove", "/name")], {"name": None}),
        ([("remove", "/tags/0")], {"tags": ["b"]}),
        ([("remove", "/vets/0"), ("replace", "/vets/0/fee", 7)], {"vets": [{"fee": 7}]}),
        ([("replace", "/name", "Rex")], {"name": "Rex"}),
        ([("replace", "/tags/1", 2)], {"tags": ["a", 2]}),
        ([("replace", "/name", "Max")], {}),
        ([("move", "/name", "/nick")], {"name": None, "nick": "Max"}),
        ([("move", "/name", "/name")], {}),
        ([("move", "/tags/0", "/tags/1")], {"tags": ["b", "a"]}),
        ([("move", "/tags/0", "/tags/-")], {"tags": ["b", "a"]}),
        ([("move", "/vets/0", "/vets/1/old")], {"vets": [{"fee": 2, "old": {"fee": 1}}]}),
        ([("move", "/owner", "/owner/city/x")], {"owner": None}),
        ([("copy", "/owner", "/of"), ("add", "/of/city/zip", 2)], {"of": {"city": {"zip": 2}}}),
        ([("copy", "/weight", "/mass"), ("test", "/mass", 30.5)], {"mass": 30.5}),
        ([("test", "/vets", [{"fee": 1}, {"fee": 2}]), ("add", "/ok", True)], {"ok": True}),
        ([("add", "/@metadata/note", "y")], {"@metadata": {"@collection": "Dogs", "note": "y"}}),
        ([("add", "/@metadata", {"@collection": "Dogs"})], {"@metadata": {"@collection": "Dogs"}}),
        ([{"op": "add", "path": "/age", "value": 1, "more": 2}], {"age": 1}),
    ],
)
def test_a_patch(patched: Patched, patch: list[Any], changes: dict[str, Any]) -> None:
    status, answer = patched.batch(patch)
    assert status == 201, answer
    (result,) = answer["Results"]
    assert (result["Id"], result["Type"], result["PatchStatus"]) == ("dogs/max", "JsonPatch", "Patched")
    assert result["ChangeVector"].startswith(f"A:{result['Etag']}-")
    assert patched.changes() == changes


@pytest.mark.parametrize(
    ("patch", "cause"),
    [
        ([("add", "/tags/2", 9)], "out of array bounds"),
        ([("add", "/tags/-1", 9)], "out of array bounds"),
        ([("add", "/tags/x", 9)], "Expected an index"),
        ([("add", "/tags/9999999999", 9)], "Expected an index"),
        ([("remove", "/tags/-")], "Expected an index"),
        ([("replace", "/tags/-", 9)], "Expected an index"),
        ([("copy", "/tags/-", "/x")], "Expected an index"),
        ([("add", "/no/x", 9)], "Failed to fetch 'no' in path '/no/x' for operation 'Add'"),
        ([("add", "/name/x", 9)], "element at name is not an object or a collection"),
        ([("add", "/name/x/y", 9)], "Failed to fetch 'x'"),
        ([("remove", "/no")], "Failed to fetch 'no' in path '/no' for operation 'Remove'"),
        ([("replace", "/no", 9)], "for operation 'Replace'"),
        ([("move", "/no", "/x")], "for operation 'Move'"),
        ([("copy", "/owner", "/owner/x")], "InvalidDataException"),
        ([("test", "/name", "max")], "The current value 'Max' is not equal to the test value 'max'"),
        ([("test", "/age", 12.0)], "The current value '12' is not equal to the test value '12.0'"),
        ([("test", "/age", "12")], "is not equal"),
        ([("test", "/puppy", None)], "NullReferenceException"),
        ([("test", "/no", 1)], "for operation 'Test'"),
        ([("remove", "/@metadata/@collection")], "DocumentCollectionMismatchException"),
        ([("add", "/@metadata", 5)], "FormatException"),
        ([("add", "/ok", 1), ("remove", "/no")], "for operation 'Remove'"),
    ],
)
def test_what_cannot_be_done(patched: Patched, patch: list[Any], cause: str) -> None:
    status, answer = patched.batch([("add", "/before", 1)], patch)
    assert (status, answer["Type"], answer["Message"]) == (500, INVALID, FAILED)
    assert cause in answer["Error"]
    assert patched.changes() == {}


@pytest.mark.parametrize(
    ("patch", "kind", "message"),
    [
        ([("nope", "/x", 9)], "ArgumentException", "Unable to understand 'op' nope"),
        ([{"path": "/x", "value": 9}], "ArgumentException", "Unable to understand 'op' "),
        ([{"op": "add", "value": 9}], "ArgumentException", "Unable to find 'path' property"),
        ([{"op": "add", "path": 5, "value": 9}], "ArgumentException", "Unable to find 'path' property"),
        ([{"op": "add", "path": None, "value": 9}], "NullReferenceException", ""),
        ([("add", "/x")], "ArgumentException", "Unable to find 'value' property for operation 'add'"),
        ([{"op": "copy", "path": "/x"}], "ArgumentException", "Unable to find 'from' property for operation 'copy'"),
        ([("move", "", "/x")], "ArgumentException", "Unable to find 'from' property for operation 'move'"),
        ([("move", "/name/", "/x")], "ArgumentException", "Paths must be of format /*/*/*... "),
        ([("add", "/", 9)], "ArgumentException", "Invalid path /. Paths must be of format /*/*/*... "),
        ([("add", "/owner/ ", 9)], "ArgumentException", "Invalid path /owner/ . Paths must be of format /*/*/*... "),
        ([5], "InvalidCastException", ""),
        ([None], "NullReferenceException", ""),
    ],
)
def test_what_is_no_patch(patched: Patched, patch: list[Any], kind: str, message: str) -> None:
    status, answer = patched.batch(patch)
    assert (status, answer["Type"]) == (500, f"System.{kind}")
    assert message in answer["Message"]
    assert patched.changes() == {}


def test_a_patch_that_only_tests_has_modified_nothing(patched: Patched) -> None:
    for patch in ([], [("test", "/name", "Max"), ("test", "/tags/0", "a")]):
        status, answer = patched.batch(patch, ReturnDocument=True)
        assert (status, answer["Results"]) == (
            201,
            [
                {
                    "Id": "dogs/max",
                    "ChangeVector": None,
                    "LastModified": "0001-01-01T00:00:00.0000000",
                    "Type": "JsonPatch",
                    "PatchStatus": "NotModified",
                    "Etag": 0,
                    "ModifiedDocument": None,
                }
            ],
        )
        assert patched.patch({"Operations": operations(*patch)}) == (200, {"Status": "NotModified"})


def test_the_document_is_returned_if_asked_for(patched: Patched) -> None:
    _, answer = patched.batch([("add", "/age", 13)], ReturnDocument=True, ChangeVector="A:1-another")
    assert answer["Results"][0]["ModifiedDocument"] == {**DOCUMENT, "age": 13}


def test_a_command_without_a_patch_fails(patched: Patched) -> None:
    status, answer = patched.batch(None)
    assert (status, answer["Type"]) == (500, "System.NullReferenceException")


def test_a_missing_document_fails(patched: Patched) -> None:
    for key, message in {"dogs/none": "Cannot apply json patch because the document dogs/none does not exist", "": "id"}.items():
        status, answer = patched.batch([("add", "/age", 13)], Id=key)
        assert status == 500
        assert message in answer["Message"]
    assert patched.patch({"Operations": []}, "?id=dogs/none")[0] == 500


def test_a_patch_alone(patched: Patched) -> None:
    status, answer = patched.patch({"Operations": operations(("add", "/age", 13))})
    assert status == 200
    assert (answer["Status"], answer["Collection"]) == ("Patched", "Dogs")
    assert answer["ModifiedDocument"] == {**DOCUMENT, "age": 13}
    assert answer["ChangeVector"]
    status, answer = patched.patch({"Operations": operations(("remove", "/no"))})
    assert (status, answer["Message"]) == (500, FAILED)


@pytest.mark.parametrize(
    ("body", "key", "kind"),
    [
        ({}, "?id=dogs/max", "System.NullReferenceException"),
        ({"Operations": "x"}, "?id=dogs/max", "System.FormatException"),
        ([], "?id=dogs/max", "Sparrow.Exceptions.InvalidStartOfObjectException"),
        (b"{bad", "?id=dogs/max", "System.IO.InvalidDataException"),
        ({"Operations": []}, "", "System.ArgumentException"),
    ],
)
def test_a_body_that_is_none(patched: Patched, body: Any, key: str, kind: str) -> None:
    status, answer = patched.patch(body, key)
    assert (status, answer["Type"]) == (500, kind)
