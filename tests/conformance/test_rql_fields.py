"""Names of fields in RQL: paths into metadata, and names that hold dots and brackets themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.backends import Backend
from tests.conformance.asked import Asked

pytestmark = pytest.mark.since("6.2")

METADATA = {"x": 1, "o": {"n": "a"}, "l": ["p", "q"], "Python-Type": "m.Dog"}
DOGS: dict[str, dict[str, Any]] = {
    "d/1": {"breed": "pug", "n": 1, "@metadata": METADATA},
    "d/2": {"breed": "lab", "n": 2},
    "d/3": {},
}
ODD: dict[str, dict[str, Any]] = {
    "o/1": {"a.b": 1, "v[]": 4, "'q'": 1},
    "o/2": {"a": {"b": 1}, "v": [4]},
    "o/3": {"a.b": 2, "a": {"b": 1}, "v": [{"x": 4}]},
}


@pytest.fixture(scope="session")
def shared(shared_backend: Backend) -> Iterator[Asked]:
    """A database for tests that only read."""
    with shared_backend.fresh_database() as name:
        yield Asked(shared_backend, name, {"Dogs": DOGS, "Cats": {"c/1": {"breed": "pug"}}})


@pytest.fixture
def odd(backend: Backend, database: str) -> Asked:
    """A database that has no index yet: RavenDB takes one on ``a.b`` for one on ``'a.b'``."""
    return Asked(backend, database, {"Odds": ODD})


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ("@metadata.@collection = 'Dogs'", ["d/1", "d/2", "d/3"]),
        ("startsWith(@metadata.@collection, 'do')", ["d/1", "d/2", "d/3"]),
        ("@metadata.@collection in ('Cats')", []),
        ("exact(@metadata.@collection = 'dogs')", []),
        ("@metadata.x = 1", ["d/1"]),
        ("@metadata.x > 1", []),
        ("@metadata.X = 1", []),
        ("@metadata.x != 1", ["d/2", "d/3"]),
        ("@metadata.o.n = 'A'", ["d/1"]),
        ("search(@metadata.Python-Type, 'm.dog')", ["d/1"]),
        ("@metadata.l = 'q'", ["d/1"]),
        ("@metadata.l[] = 'q'", ["d/1"]),
        ("@metadata.l.length = 2", ["d/1"]),
        ("@metadata.Python-Type = 'm.dog' and breed = 'pug'", ["d/1"]),
        ("exists(@metadata.x)", ["d/1"]),
        ("exists(@metadata)", ["d/1", "d/2", "d/3"]),
        ("@metadata = null", []),
        ("exists(@metadata.@last-modified)", ["d/1", "d/2", "d/3"]),
        ("@metadata.@last-modified > '2000-01-01T00:00:00Z'", ["d/1", "d/2", "d/3"]),
        ("@metadata.@last-modified < '2000-01-01T00:00:00Z'", []),
        ("exists(@metadata.@id)", []),
        ("exists(@metadata.@change-vector)", []),
        ("o.@metadata.x = 1", []),
        ("n >= 0 order by @metadata.x desc", ["d/1", "d/2"]),
        ("n >= 0 order by @metadata.@last-modified desc", ["d/2", "d/1"]),
    ],
)
def test_metadata_are_fields(shared: Asked, condition: str, keys: list[str]) -> None:
    assert shared.keys(f"from Dogs where {condition}") == keys


def test_metadata_of_a_named_document(shared: Asked) -> None:
    assert shared.keys("from Dogs as d where d.@metadata.x = 1 order by d.@metadata.l") == ["d/1"]
    assert shared.rows("from Dogs as d where d.n < 3 select d.@metadata.x") == [{"@metadata.x": 1}, {}]


def test_metadata_of_all_documents(shared: Asked) -> None:
    assert shared.keys("from @all_docs where @metadata.@collection = 'cats'") == ["c/1"]
    groups = shared.rows("from @all_docs group by @metadata.@collection select @metadata.@collection, count()")
    assert sorted((group["@metadata.@collection"], group["Count"]) for group in groups) == [("Cats", 1), ("Dogs", 3)]
    groups = shared.rows("from Dogs group by breed select key() as k, sum(@metadata.x)")
    assert {group["k"]: group["@metadata.x"] for group in groups} == {"pug": 1, "lab": 0, None: 0}
    groups = shared.rows("from Dogs group by @metadata.l[] select key() as k, count()")
    assert {group["k"]: group["Count"] for group in groups} == {"p": 1, "q": 1, None: 2}


def test_metadata_that_are_selected(shared: Asked) -> None:
    rows = shared.rows("from Dogs where n = 1 select @metadata.@collection, @metadata.o.n as m, @metadata.@id as k, @metadata.l")
    assert rows == [{"@metadata.@collection": "Dogs", "m": "a", "k": None, "@metadata.l": ["p", "q"]}]
    (row,) = shared.results("from Dogs where n = 1 select @metadata.@last-modified as t")
    assert row["t"] == row["@metadata"]["@last-modified"]
    rows = shared.rows("from Dogs as d where d.n = 1 select { c: d['@metadata']['@collection'], x: d['@metadata'].x }")
    assert rows == [{"c": "Dogs", "x": 1}]


def test_metadata_in_an_index(backend: Backend, database: str) -> None:
    asked = Asked(backend, database, {"Dogs": DOGS})
    maps = ["map('Dogs', d => ({ x: d['@metadata'].x, c: d['@metadata']['@collection'] }))"]
    backend.ask("PUT", f"{asked.path}/admin/indexes", {"Indexes": [{"Name": "Meta", "Maps": maps}]})
    assert asked.keys("from index 'Meta' where x = 1") == ["d/1"]
    assert asked.keys("from index 'Meta' where c = 'dogs'") == ["d/1", "d/2", "d/3"]


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ("a.b = 1", ["o/2", "o/3"]),
        ("'a.b' = 1", ["o/1"]),
        ('"a.b" = 1', ["o/1"]),
        ("'a.b' >= 0", ["o/1", "o/3"]),
        ("exists(a.b)", ["o/2", "o/3"]),
        ("exists('a.b')", ["o/1", "o/3"]),
        ("search(a.b, '1')", ["o/2", "o/3"]),
        ("search('a.b', '1')", ["o/1"]),
        ("v[] = 4", ["o/2"]),
        ("'v[]' = 4", ["o/1"]),
        ("v[].x = 4", ["o/2", "o/3"]),
        ("'v[].x' = 4", []),
        ("'v.x' = 4", []),
        ("\"'q'\" = 1", ["o/1"]),
    ],
)
def test_names_with_dots_and_brackets(odd: Asked, condition: str, keys: list[str]) -> None:
    assert odd.keys(f"from Odds where {condition}") == keys


def test_names_with_dots_in_groups(odd: Asked) -> None:
    groups = odd.rows("from Odds group by a.b select a.b, count()")
    assert sorted(groups, key=str) == [{"a.b": 1, "Count": 2}, {"a.b": None, "Count": 1}]
    assert odd.rows("from Odds group by a.b where a.b = 1 select a.b, count()") == [{"a.b": 1, "Count": 2}]


def test_names_with_dots_in_an_index(odd: Asked, backend: Backend) -> None:
    maps = ["map('Odds', o => ({ x: o['a.b'], 'y.z': o.a.b }))"]
    backend.ask("PUT", f"{odd.path}/admin/indexes", {"Indexes": [{"Name": "Named", "Maps": maps}]})
    assert odd.keys("from index 'Named' where x = 1") == ["o/1"]
    assert odd.keys("from index 'Named' where 'y.z' = 1") == ["o/2", "o/3"]
    assert odd.keys("from index 'Named' where y.z = 1") == ["o/2", "o/3"]


async def test_a_field_that_holds_a_dot_is_not_found(odd: Asked, backend: Backend, database: str) -> None:
    assert odd.keys("from Odds") == ["o/1", "o/2", "o/3"]
    async with backend.connect(database) as store, store.open_session() as session:
        found, _ = await session.query("Odd", {"a.b": 1})
        assert [document.id for document in found] == ["o/2", "o/3"]
