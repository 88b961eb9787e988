"""Queries in RQL that name their documents, and what may stand where: fields by that name, parameters, keys."""

from __future__ import annotations

from typing import Any

import pytest

from tests.backends import Backend
from tests.conformance.asked import INVALID, Asked

pytestmark = pytest.mark.since("7.1")

DOGS: dict[str, dict[str, Any]] = {
    "dogs/max": {"name": "Max", "age": 1, "friend": "cats/tom", "vets": [{"id": "cats/kit"}], "ok": True},
    "dogs/rex": {"name": "Rex", "age": 2.5},
}
CATS: dict[str, dict[str, Any]] = {"cats/tom": {"name": "Tom"}, "cats/kit": {"name": "Kit"}}
UNKNOWN = "Unknown alias {}, but there are aliases specified in the query (d)"
VARIABLES = "Incompatible types of variables in WHERE clause on '{}' field. It got values of the following types: Value,Value"
PARAMETERS = (
    "Incompatible types of parameters in WHERE clause on '{}' field. It got parameters of the following types:   Value,Value"
)


@pytest.fixture
def asked(backend: Backend, database: str) -> Asked:
    """The database."""
    return Asked(backend, database, {"Dogs": DOGS, "Cats": CATS})


@pytest.mark.parametrize(
    ("clauses", "paths", "keys"),
    [
        ("include d.friend", ["friend"], ["cats/tom"]),
        ("include friend", ["friend"], ["cats/tom"]),
        ("include d.friend, d.vets[].id", ["friend", "vets[].id"], ["cats/kit", "cats/tom"]),
        ("include d.vets.id", ["vets.id"], ["cats/kit"]),
        ("select { friend: d.friend } include d.friend", ["friend"], ["cats/tom"]),
        ("where d.age < 2 order by d.name include d.friend", ["friend"], ["cats/tom"]),
        ("include d", ["d"], []),
    ],
)
def test_documents_that_are_included(asked: Asked, clauses: str, paths: list[str], keys: list[str]) -> None:
    status, answer = asked.answer(f"from Dogs as d {clauses}")
    assert (status, answer["IncludedPaths"], sorted(answer["Includes"])) == (200, paths, keys)


@pytest.mark.parametrize(
    ("clauses", "name"),
    [
        ("include owner.id", "owner"),
        ("include vets[].id", "vets[]"),
        ("select { n: d.name } include friend, owner.id", "owner"),
        ("where tags[] = 'x'", "tags"),
        ("where vets[].id = 'x'", "vets[]"),
        ("order by tags[]", "tags"),
        ("group by owner.name select count()", "owner"),
    ],
)
def test_names_that_nothing_has(asked: Asked, clauses: str, name: str) -> None:
    assert asked.refused(f"from Dogs as d {clauses}") == (INVALID, UNKNOWN.format(name))


@pytest.mark.parametrize(
    ("clauses", "rows"),
    [
        ("select ok", [{"ok": True}, {"ok": None}]),
        ("select d.ok", [{"ok": True}, {}]),
        ("select d.ok, ok as o", [{"ok": True, "o": True}, {"o": None}]),
        ("where age > 0 select ok as o, d.ok as k", [{"o": True, "k": True}, {"o": None}]),
        ("where age > 0 select ok as o, id() as k", [{"o": True, "k": "dogs/max"}, {"k": "dogs/rex"}]),
        ("group by 'no.field' select count() as n", [{"n": 2}]),
        ("select distinct ok", [{"ok": True}, {"ok": None}]),
        ("load d.friend as c select c.name as n, ok", [{"n": "Tom", "ok": True}, {"ok": None}]),
    ],
)
def test_fields_that_are_missing(asked: Asked, clauses: str, rows: list[Any]) -> None:
    assert asked.rows(f"from Dogs as d {clauses}") == rows


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("name between 'a' and $word", VARIABLES.format("<Field>: name")),
        ("age between $number and 7", VARIABLES.format("<Field>: age")),
        ("age between null and $number", VARIABLES.format("<Field>: age")),
        ("age between null and 7", VARIABLES.format("<Field>: age")),
        ("id() between null and $word", VARIABLES.format("id()")),
        ("'o d' between $word and 1", VARIABLES.format("<Field>: o d")),
        ("name in ('Max', $word)", VARIABLES.format("<Field>: name")),
        ("age between $word and $number", PARAMETERS.format("<Field>: age")),
        ("vets[].id between $word and $number", PARAMETERS.format("<Field>: vets.[].id")),
        ("name in ($word, $number)", PARAMETERS.format("<Field>: name")),
    ],
)
def test_values_that_do_not_go_together(asked: Asked, condition: str, message: str) -> None:
    assert asked.refused(f"from Dogs where {condition}", word="z", number=5.0) == (INVALID, message)


@pytest.mark.parametrize("condition", ["id() > $number", "id() < $number", "id() >= 1", "id() between 1 and 3", "id() > true"])
def test_keys_are_no_numbers(asked: Asked, condition: str) -> None:
    assert asked.keys(f"from Dogs where {condition}", number=-1.0) == []


@pytest.mark.parametrize("kind", ["long", "double"])
def test_keys_are_not_sorted_as_numbers(asked: Asked, kind: str) -> None:
    allowed = "this field can only be sorted as a string or alphanumeric value"
    said = f"Invalid ORDER BY 'id()' call, {allowed}, but got {kind.capitalize()}"
    assert asked.refused(f"from Dogs order by id() as {kind}") == (INVALID, said)
    assert asked.keys("from Dogs order by id() as alphaNumeric desc") == ["dogs/rex", "dogs/max"]


@pytest.mark.parametrize(
    ("condition", "name"),
    [
        ("search(name, 'x') order by name", "Search(name)"),
        ("exact(name = 'x') and name > 'a'", "Exact(name)"),
        ("exact(name = 'x') and search(name, 'x') and age = 1", "Search(name)AndExact(name)Andage"),
        ("search(name, 'x') and exact(age = 1) and exact(name = 'x')", "Exact(age)AndSearch(name)AndExact(name)"),
        ("search('a b', 'x') and Z = 1 and 'a b' = 'y'", "Search('a b')AndZ"),
    ],
)
def test_an_automatic_index_is_named_by_each_field_once(asked: Asked, condition: str, name: str) -> None:
    assert asked.answer(f"from Dogs where {condition}")[1]["IndexName"] == f"Auto/Dogs/By{name}"


@pytest.mark.parametrize("rest", ["x=1", "a.b=1"])
def test_a_complaint_shows_what_stands_there(asked: Asked, rest: str) -> None:
    _, message = asked.refused(f"from Dogs wher {rest}")
    assert message == f"1:16 Expected end of query but got: {rest}"
