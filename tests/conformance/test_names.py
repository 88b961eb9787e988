"""What databases and indexes may be called, and what an index may be: the server's own answers."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.backends import Backend

pytestmark = pytest.mark.since("6.2")

MAP = "from d in docs.Dogs select new { d.name, d.age }"
SUMS = "from r in results group r by r.name into g select new { name = g.Key, age = g.Sum(x => x.age) }"
CREATION = "Raven.Client.Exceptions.Documents.Indexes.IndexCreationException"
COMPILATION = "Raven.Client.Exceptions.Documents.Compilation.IndexCompilationException"
ARGUMENT = "System.ArgumentException"
FORMAT = "System.FormatException"
NULL = "System.NullReferenceException"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Name cannot be null or empty."),
        ("  ", "Name cannot be null or empty."),
        ("a b", "The name 'a b' is not permitted. Only letters, digits and characters ('_', '-', '.') are allowed."),
        ("a$", "Only letters, digits"),
        ("²", "Only letters, digits"),
        ("a\\b", "Only letters, digits"),
        ("a/b", "The name 'a/b' contains characters that are forbidden for use!"),
        (".", "If a name contains '.' character then it must be surrounded by other allowed characters."),
        (".a", "surrounded by other allowed characters"),
        ("a.", "surrounded by other allowed characters"),
        ("a..b", "The name 'a..b' is not permitted. If a name"),
        ("con", "The name 'con' is forbidden for use!"),
        ("LPT9", "The name 'LPT9' is forbidden for use!"),
        ("x" * 129, "exceeds '128' characters!"),
    ],
)
def test_a_database_cannot_be_called_so(backend: Backend, name: str, message: str) -> None:
    status, answer = backend.answer("PUT", "/admin/databases?name=other", {"DatabaseName": name})
    assert (status, answer["Type"]) == (400, "Raven.Client.Exceptions.BadRequestException")
    assert message in answer["Message"]


@pytest.mark.parametrize("name", ["{}.con", "{}-_", "_{}", "{}ÜnïÇ中٣", " {}\t", "{}com0"])
def test_a_database_may_be_called_so(backend: Backend, name: str) -> None:
    name = name.format(f"test-{uuid4().hex}")
    made = backend.ask("PUT", "/admin/databases", {"DatabaseName": name})
    assert made["Name"] == name.strip()
    backend.ask("DELETE", "/admin/databases", {"DatabaseNames": [made["Name"]], "HardDelete": True})


@pytest.mark.parametrize(
    ("body", "query", "kind"),
    [
        ({}, "?name=other", NULL),
        ({"DatabaseName": None}, "?name=other", NULL),
        ({"DatabaseName": 5}, "", NULL),
        ({"DatabaseName": "other", "Settings": 5}, "", FORMAT),
        ({"DatabaseName": "other"}, "?replicationFactor=0", ARGUMENT),
        ({"DatabaseName": "other"}, "?replicationFactor=x", ARGUMENT),
    ],
)
def test_what_makes_no_database(backend: Backend, body: object, query: str, kind: str) -> None:
    status, answer = backend.answer("PUT", f"/admin/databases{query}", body)
    assert (status, answer["Type"]) == (500, kind)


@pytest.fixture
def path(backend: Backend, database: str) -> str:
    """The path of a fresh database."""
    return f"/databases/{database}"


def define(backend: Backend, path: str, **definition: Any) -> tuple[int, Any]:
    """Define an index."""
    return backend.answer("PUT", f"{path}/admin/indexes", {"Indexes": [{"Name": "X", "Maps": [MAP], **definition}]})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (" ", "Index name cannot be empty!"),
        ("a!", "Index name 'a!' is not permitted. Only letters, digits and characters ('_', '-', '.', '/') are allowed."),
        ("a\\b", "Only letters, digits"),
        (".a", "surrounded by other allowed characters"),
        ("a..b", "Index name 'a..b' is not permitted. If a name contains '.' character"),
        ("a//b", "Index name cannot contain // (double slashes)"),
        ("ReplacementOf/x", "Index name must not start with 'ReplacementOf/'. Provided index name: 'ReplacementOf/x'"),
        ("Auto/x", "'Auto/x'"),
        ("x" * 256, "Index name cannot exceed"),
    ],
)
def test_an_index_cannot_be_called_so(backend: Backend, path: str, name: str, message: str) -> None:
    status, answer = define(backend, path, Name=name)
    assert (status, answer["Type"]) == (500, ARGUMENT)
    assert message in answer["Message"]
    assert backend.ask("GET", f"{path}/indexes?namesOnly=true")["Results"] == []


@pytest.mark.parametrize(
    ("definition", "kind"),
    [
        ({"Maps": []}, ARGUMENT),
        ({"Maps": None}, ARGUMENT),
        ({"Maps": "x"}, FORMAT),
        ({"Maps": ["  "]}, ARGUMENT),
        ({"Maps": ["garbage"]}, CREATION),
        ({"Maps": ["from d in docs.Dogs select"]}, COMPILATION),
        ({"Maps": [MAP, "from c in docs.Cats select new { c.name }"]}, COMPILATION),
        ({"Maps": ["from d in docs.Dogs select new { d.name, d.name }"]}, COMPILATION),
        ({"Maps": ["from d in docs.Dogs select new { d.name }"], "Reduce": SUMS}, COMPILATION),
        ({"Fields": 5}, FORMAT),
        ({"Fields": {"name": 5}}, FORMAT),
        ({"Fields": {"name": {"Indexing": "Bad"}}}, FORMAT),
        ({"Fields": {"name": {"Indexing": "search"}}}, FORMAT),
        ({"Fields": {"name": {"Storage": "Bad"}}}, FORMAT),
        ({"Fields": {"name": {"Analyzer": "Nope"}}}, COMPILATION),
        ({"LockMode": "Bad"}, FORMAT),
        ({"Priority": "Bad"}, FORMAT),
        ({"State": "Bad"}, FORMAT),
        ({"Type": "Bad"}, FORMAT),
        ({"SourceType": "Bad"}, FORMAT),
        ({"Configuration": 5}, FORMAT),
    ],
)
def test_an_index_cannot_be_so(backend: Backend, path: str, definition: dict[str, Any], kind: str) -> None:
    status, answer = define(backend, path, **definition)
    assert (status, answer["Type"]) == (500, kind)
    assert backend.ask("GET", f"{path}/indexes?namesOnly=true")["Results"] == []


@pytest.mark.parametrize(("first", "second"), [("ByName", "BYNAME"), ("a/b", "a_b")])
def test_two_indexes_in_one_place(backend: Backend, path: str, first: str, second: str) -> None:
    assert define(backend, path, Name=first)[0] == 201
    status, answer = define(backend, path, Name=second, Maps=["from d in docs.Dogs select new { d.name }"])
    assert (status, answer["Type"]) == (500, CREATION)
    assert backend.ask("GET", f"{path}/indexes?namesOnly=true")["Results"] == [first]
