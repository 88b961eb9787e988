"""Queries in RQL that evsession's own methods do not write: documents loaded beside a row, programs, brackets in names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.backends import Backend
from tests.conformance.asked import INVALID, Asked

pytestmark = pytest.mark.since("6.2")

DOGS: dict[str, dict[str, Any]] = {
    "dogs/max": {
        "name": "Max",
        "age": 1,
        "friend": "cats/tom",
        "friends": ["cats/tom", "cats/none", "cats/kit"],
        "vets": [{"id": "cats/tom"}, {"id": "cats/kit"}],
        "best": {"friend": "cats/kit"},
        "nothing": None,
    },
    "dogs/rex": {"name": "Rex", "age": 2, "friend": "cats/none", "friends": []},
}
CATS: dict[str, dict[str, Any]] = {
    "cats/tom": {"name": "Tom", "home": "homes/1", "mood": {"now": "good"}},
    "cats/kit": {"name": "Kit"},
}
TOM = {**CATS["cats/tom"], "@metadata": {"@collection": "Cats", "@id": "cats/tom"}}
KIT = {**CATS["cats/kit"], "@metadata": {"@collection": "Cats", "@id": "cats/kit"}}


def included(backend: Backend, database: str, path: str) -> list[str]:
    """Return what is included with a dog."""
    return sorted(backend.ask("GET", f"/databases/{database}/docs?id=dogs/max&include={path}")["Includes"])


@pytest.fixture
def asked(backend: Backend, database: str) -> Asked:
    """The database."""
    return Asked(backend, database, {"Dogs": DOGS, "Cats": CATS, "Homes": {"homes/1": {"name": "Home"}}})


@pytest.mark.parametrize(
    ("clauses", "rows"),
    [
        ("load d.friend as c select { n: d.name, c: c.name }", [{"n": "Max", "c": "Tom"}, {"n": "Rex", "c": None}]),
        ("load d.friend c select { m: c.mood.now }", [{"m": "good"}, {"m": None}]),
        ("load friend as c select { c: c }", [{"c": TOM}, {"c": None}]),
        ("load d.friend as c select { c: c && c.name + '!' }", [{"c": "Tom!"}, {"c": None}]),
        (
            "load d.best.friend as c, d.friend as e select { c: c, e: e && e.name }",
            [{"c": KIT, "e": "Tom"}, {"c": None, "e": None}],
        ),
        ("load d.friend as c, c.home as h select { h: h && h.name }", [{"h": "Home"}, {"h": None}]),
        ("load d.friend as c select { h: [c.home, 'x'] }", [{"h": ["homes/1", "x"]}, {"h": [None, "x"]}]),
        ("load d.friend as c select { c: c && id(c) }", [{"c": "cats/tom"}, {"c": None}]),
        ("load d.friends as l[] select { l: l }", [{"l": [TOM, KIT]}, {"l": []}]),
        ("load d.friends as l[] select { l: l.map(c => c.name) }", [{"l": ["Tom", "Kit"]}, {"l": []}]),
        ("load d.vets[].id as l[] select { l: l.length }", [{"l": 2}, {"l": 0}]),
        (
            "load d.friend as l[], l.home as h select { l: l.length, h: h && h.name }",
            [{"l": 1, "h": "Home"}, {"l": 0, "h": None}],
        ),
        ("load 'cats/kit' as c select { c: c.name }", [{"c": "Kit"}, {"c": "Kit"}]),
        ("load $key as c select { c: c.name }", [{"c": "Kit"}, {"c": "Kit"}]),
        ("load $number as c select { c: c }", [{"c": None}, {"c": None}]),
        ("load d.nothing as c select { c: c }", [{"c": None}, {"c": None}]),
        ("load d.age as c select { c: c }", [{"c": None}, {"c": None}]),
        ("load d as c select { c: c }", [{"c": None}, {"c": None}]),
        ("load d.friend as c select c.name", [{"name": "Tom"}, {}]),
        ("load d.friend as c select c.mood.now, d.name", [{"mood.now": "good", "name": "Max"}, {"name": "Rex"}]),
        ("load d.friend as c select c.name as cat, name", [{"cat": "Tom", "name": "Max"}, {"name": "Rex"}]),
        ("load d.friend as c select c.name as a, c.home as b", [{"a": "Tom", "b": "homes/1"}, {}]),
        ("load d.friend as c select c, d.age", [{"c": TOM, "age": 1}, {"age": 2}]),
        ("load d.friends as l[] select l.name, d.age", [{"name": ["Tom", "Kit"], "age": 1}, {"name": [], "age": 2}]),
        ("load d.friend as c select distinct c.name", [{"name": "Tom"}, {}]),
        ("load d.friend as c", [DOGS["dogs/max"], DOGS["dogs/rex"]]),
        ("load d.friend as c select d", [DOGS["dogs/max"], DOGS["dogs/rex"]]),
    ],
)
def test_documents_that_are_loaded(asked: Asked, clauses: str, rows: list[Any]) -> None:
    assert asked.rows(f"from Dogs as d {clauses}", key="cats/kit", number=5) == rows


def test_documents_that_are_loaded_for_other_rows(asked: Asked) -> None:
    assert asked.rows("from Dogs load friend as c select { c: c.name }") == [{"c": "Tom"}, {"c": None}]
    assert asked.rows("from Dogs load friend as c select c.name") == [{"name": "Tom"}, {}]
    text = "from Dogs as d where d.age < 2 order by d.name load d.friend as c select { c: c.name } limit 1"
    assert asked.rows(text) == [{"c": "Tom"}]
    text = "declare function f(d, c) { return { d: d.name, c: c && c.name }; } from Dogs as d load d.friend as c select f(d, c)"
    assert asked.rows(text) == [{"d": "Max", "c": "Tom"}, {"d": "Rex", "c": None}]
    both = asked.rows("from Dogs as d load d.friend as c select c.name, d limit 1")
    assert both == [{"name": "Tom", "d": {**DOGS["dogs/max"], "@metadata": {"@collection": "Dogs", "@id": "dogs/max"}}}]


@pytest.mark.parametrize(
    ("clauses", "kind", "message"),
    [
        ("load d.friend select { n: 1 }", INVALID, "LOAD clause requires an alias but got: d.friend"),
        ("load d.friend as d", INVALID, "LOAD clause duplicate alias detected: d.friend"),
        ("load d.friend as c, d.best as c", INVALID, "LOAD clause duplicate alias detected: d.best"),
        ("load id(d) as c select { c: c }", INVALID, "LOAD clause require a field or value references id(d)"),
        ("load x.friend as c select { c: c }", INVALID, "Unknown alias x, but there are aliases specified in the query (d)"),
        ("load c.home as h, d.friend as c select { h: h }", INVALID, "Unknown alias c"),
        ("load d.friend as c select c.name, d.name", INVALID, "Duplicate alias 'name' detected"),
        ("load d.friends as l select { l: l }", "System.NotSupportedException", "Attempted to read multiple values in field l"),
    ],
)
def test_what_cannot_be_loaded(asked: Asked, clauses: str, kind: str, message: str) -> None:
    status, answer = asked.answer(f"from Dogs as d {clauses}")
    assert (status, answer["Type"]) == (500, kind)
    assert message in answer["Message"]


@pytest.mark.parametrize("program", ["{ x: id(this), y: this.name }", "{ x: 1 }", "{ x: name }"])
def test_a_program_needs_an_alias(asked: Asked, program: str) -> None:
    status, answer = asked.answer(f"from Dogs where age = 1 select {program}")
    assert (status, answer["Type"]) == (500, INVALID)
    assert answer["Message"].startswith(
        "Use of select function body requires that aliases will be defined, but none had\nQuery: "
    )


def test_functions_without_an_alias_take_fields(asked: Asked) -> None:
    declared = "declare function f(x, y) { return { x: x, y: y }; } from Dogs where age = 1 select"
    assert asked.rows(f"{declared} f(name, best.friend)") == [{"x": "Max", "y": "cats/kit"}]
    assert asked.rows(f"{declared} f(this, $p)", p=5) == [{"x": None, "y": 5}]


def test_documents_within_rows_have_no_version(asked: Asked) -> None:
    (row,) = asked.rows("from Cats as c where c.name = 'kit' select { c: c, l: [c], n: c.name + '' }")
    assert row == {"c": KIT, "l": [KIT], "n": "Kit"}


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("friends[0]", ["cats/kit", "cats/tom"]),
        ("friends[7]", ["cats/kit", "cats/tom"]),
        ("friends[x]", ["cats/kit", "cats/tom"]),
        ("friends[]", ["cats/kit", "cats/tom"]),
        ("friend[0]", ["cats/tom"]),
        ("best.friend[0]", ["cats/kit"]),
        ("vets[].id", ["cats/kit", "cats/tom"]),
        ("vets[0].id", []),
        ("friends[0", []),
        ("[0]", []),
    ],
)
@pytest.mark.usefixtures("asked")
def test_brackets_in_paths_of_includes(backend: Backend, database: str, path: str, keys: list[str]) -> None:
    assert included(backend, database, path) == keys


def test_brackets_in_names(asked: Asked) -> None:
    assert asked.rows("from Dogs where id() = 'dogs/max' select friends[0]") == [{"friends.0": []}]
    assert asked.rows("from Dogs where friends[0] = 'cats/tom'") == []
    _, answer = asked.answer("from Dogs where id() = 'dogs/max' include friends[0]")
    assert answer["Includes"] == {}
    _, answer = asked.answer("from Dogs where id() = 'dogs/max' include 'friends[0]'")
    assert sorted(answer["Includes"]) == ["cats/kit", "cats/tom"]
