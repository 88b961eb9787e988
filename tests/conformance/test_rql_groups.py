"""``group by`` in RQL: keys of several fields, and what conditions and orders may ask for; and orders of empty lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.backends import Backend
from tests.conformance.asked import INVALID, Asked

pytestmark = pytest.mark.since("6.2")

DOGS: dict[str, dict[str, Any]] = {
    "1": {"breed": "pug", "age": 1, "o": {"n": 1}, "n": 1, "tags": ["b"]},
    "2": {"breed": "pug", "age": 1, "o": {"n": 1}, "n": 2, "tags": []},
    "3": {"breed": "lab", "age": 3, "n": 3},
    "4": {"breed": None, "n": 4, "tags": ["c", "a"]},
    "5": {"breed": "pug", "age": 2, "o": {"n": 1}, "n": 5, "tags": None},
}
PUG = {"breed": "pug", "age": 1}
LAB = {"breed": "lab", "age": 3}
OLD = {"breed": "pug", "age": 2}
NONE = {"breed": None, "age": None}


@pytest.fixture(scope="session")
def dogs(shared_backend: Backend) -> Iterator[Asked]:
    """A database for tests that only read."""
    with shared_backend.fresh_database() as name:
        yield Asked(shared_backend, name, {"Dogs": DOGS})


@pytest.mark.parametrize(
    ("clauses", "rows"),
    [
        (
            "by breed, age select key() as k, count()",
            [{"k": PUG, "Count": 2}, {"k": LAB, "Count": 1}, {"k": NONE, "Count": 1}, {"k": OLD, "Count": 1}],
        ),
        ("by age, breed where age = 1 select count(), key()", [{"Count": 2, "Key": {"age": 1, "breed": "pug"}}]),
        ("by breed, age where age = 1 select key(), breed", [{"Key": PUG, "breed": "pug"}]),
        ("by breed, age where age = 1 select key() as a, key() as b", [{"a": PUG, "b": PUG}]),
        ("by breed, age where age = 1 select distinct key()", [{"Key": PUG}]),
        ("by breed, age order by age as long desc select key() as k limit 1", [{"k": LAB}]),
        ("by breed, o.n where breed = 'pug' select o.n, key() as k", [{"o.n": 1, "k": {"breed": "pug", "o.n": 1}}]),
        ("by n, array(tags) where n = 4 select key() as k", [{"k": {"n": 4, "tags": ["c", "a"]}}]),
        ("by n, tags[] where n = 4 select key()", [{"Key": {"n": 4, "tags[]": tag}} for tag in "ca"]),
        ("by o select key() as k, count()", [{"k": {"n": 1}, "Count": 3}, {"k": None, "Count": 2}]),
        ("by breed where count() > 1 select breed, count()", [{"breed": "pug", "Count": 3}]),
        ("by breed where Count > 1 select breed, count() as n", [{"breed": "pug", "n": 3}]),
        ("by breed where n > 1 select breed, count() as n", [{"breed": "pug", "n": 3}]),
        ("by breed where sum(age) > 3 select breed, sum(age)", [{"breed": "pug", "age": 4}]),
        ("by breed where breed = 'pug' and not (count() > 3) select count()", [{"Count": 3}]),
        ("by breed where k = 'pug' select key() as k", [{"k": "pug"}]),
        ("by breed order by count() desc select breed limit 1", [{"breed": "pug"}]),
        ("by breed order by sum(age) desc select breed limit 1", [{"breed": "pug"}]),
    ],
)
def test_groups(dogs: Asked, clauses: str, rows: list[Any]) -> None:
    assert sorted(dogs.rows(f"from Dogs group {clauses}"), key=str) == sorted(rows, key=str)


@pytest.mark.parametrize("named", [False, True])
def test_a_key_of_several_fields_has_them_in_the_order_of_the_query(dogs: Asked, named: bool) -> None:
    text = "from Dogs as d group by d.n, d.age" if named else "from Dogs group by n, age"
    rows = dogs.rows(f"{text} where n = 3 select key() as k")
    assert [list(row["k"].items()) for row in rows] == [[("n", 3), ("age", 3)]]


@pytest.mark.parametrize(
    ("clauses", "name"),
    [
        ("by breed where count() > 1 select breed", "Count"),
        ("by breed where count() > 1", "Count"),
        ("by breed where Count > 1 select breed", "Count"),
        ("by breed where exists(Count) select breed", "Count"),
        ("by breed where count() between 1 and 2 select breed, sum(age)", "Count"),
        ("by breed where breed = 'pug' or count() in (1) select breed", "Count"),
        ("by breed where exact(count() > 1) select breed", "Count"),
        ("by breed where boost(count() > 1, 2) select breed", "Count"),
        ("by breed where breed = 'pug' and not (count() > 1) select breed", "Count"),
        ("by breed where sum(age) > 1 select breed, count()", "age"),
        ("by breed where age > 1 select breed", "age"),
        ("by breed where count() > 1 order by count() select breed", "Count"),
        ("by breed order by Count select breed", "Count"),
        ("by breed order by age select breed", "age"),
        ("by breed, age where k = 'pug' select key() as k", "k"),
        ("by breed, age order by k select key() as k", "k"),
    ],
)
def test_what_is_not_selected_cannot_be_asked_for(dogs: Asked, clauses: str, name: str) -> None:
    message = f"Field '{name}' is neither an aggregation operation nor part of the group by key"
    assert dogs.refused(f"from Dogs group {clauses}") == (INVALID, message)


@pytest.mark.parametrize("by", ["breed", "breed, age"])
def test_keys_are_asked_for_by_name(dogs: Asked, by: str) -> None:
    condition = dogs.refused(f"from Dogs group by {by} where key() = 'pug' select count()")
    assert condition == ("System.NotSupportedException", "Method 'key' is not supported.")
    assert dogs.refused(f"from Dogs group by {by} order by key() select breed") == (
        INVALID,
        "Invalid ORDER BY method call key",
    )


@pytest.mark.parametrize(
    ("order", "keys"),
    [
        ("tags", ["3", "5", "4", "1", "2"]),
        ("tags desc", ["2", "1", "4", "5", "3"]),
        ("tags as long", ["1", "2", "3", "4", "5"]),
        ("tags, n as long", ["2", "3", "5", "4", "1"]),
        ("tags desc, n as long", ["1", "4", "3", "5", "2"]),
    ],
)
def test_orders_of_lists(dogs: Asked, order: str, keys: list[str]) -> None:
    assert dogs.keys(f"from Dogs where n > 0 order by {order}") == keys
