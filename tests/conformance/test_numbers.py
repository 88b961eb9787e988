"""Numbers as they are written: those that a double holds come back as they were, the others are refused."""

from __future__ import annotations

import json

import pytest

from tests.backends import Backend

pytestmark = pytest.mark.since("6.2")

TOO_LARGE = ["1e400", "-1e400", "1E+309", "1.7976931348623159e308", "9" * 309, "-" + "9" * 400, "9" * 5000, "9" * 310 + ".5"]
HELD = ["1e308", "1.50", "1e-400", "9" * 308, "12345678901234567890", "-0.0", "1e0000308", "0." + "0" * 400 + "1"]


@pytest.fixture
def path(backend: Backend, database: str) -> str:
    """The path of a fresh database with one document."""
    backend.ask("PUT", f"/databases/{database}/docs?id=dogs/max", {"age": 12})
    return f"/databases/{database}"


def bodies(path: str, number: str) -> list[tuple[str, str, bytes]]:
    """Return requests that would store the number."""
    document = f'{{"digits":"{"5" * 310}","list":[{{"x":{number}}}]}}'
    commands = [
        f'"Type":"PUT","Document":{document}',
        f'"Type":"PUT","Document":{{"@metadata":{document}}}',
        f'"Type":"PATCH","Patch":{{"Script":"this.y = 1"}},"CreateIfMissing":{document}',
        f'"Type":"JsonPatch","JsonPatch":{{"Operations":[{{"op":"add","path":"/x","value":{number}}}]}}',
    ]
    return [
        ("PUT", f"{path}/docs?id=dogs/new", document.encode()),
        *[
            ("POST", f"{path}/bulk_docs", f'{{"Commands":[{{"Id":"dogs/{key}",{command}}}]}}'.encode())
            for key, command in zip(("new", "new", "new", "max"), commands, strict=True)
        ],
    ]


@pytest.mark.parametrize("number", TOO_LARGE, ids=lambda number: number[:12])
def test_a_number_beyond_a_double_is_refused(backend: Backend, path: str, number: str) -> None:
    for method, target, body in bodies(path, number):
        status, answer = backend.answer(method, target, body)
        assert (status, answer["Type"]) == (500, "System.IO.InvalidDataException")
        assert "Could not parse double" in answer["Message"]
    operation = backend.ask("GET", f"{path}/operations/next-operation-id")["Id"]
    insert = f'[{{"Id":"dogs/new","Type":"PUT","Document":{{"x":{number}}}}}]'
    status, answer = backend.answer("POST", f"{path}/bulk_insert?id={operation}", insert.encode())
    assert status == 500
    assert "Could not parse double" in answer["Error"]
    (found,) = backend.ask("GET", f"{path}/docs")["Results"]
    assert (found["age"], list(found)) == (12, ["age", "@metadata"])


@pytest.mark.parametrize("number", HELD, ids=lambda number: number[:12])
def test_a_number_that_a_double_holds_is_kept(backend: Backend, path: str, number: str) -> None:
    for method, target, body in bodies(path, number):
        assert backend.answer(method, target, body)[0] == 201
        backend.ask("GET", f"{path}/docs")
        backend.ask("DELETE", f"{path}/docs?id=dogs/new")
    backend.ask("PUT", f"{path}/docs?id=dogs/new", f'{{"x":{number}}}'.encode())
    (found,) = backend.ask("GET", f"{path}/docs?id=dogs/new")["Results"]
    assert found["x"] == json.loads(number)
