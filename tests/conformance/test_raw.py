"""RQL as the program wrote it."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from tests.conformance.kennel import MAX, Dog, Told, Wire, names


async def test_documents(pack: evsession.Session) -> None:
    documents, statistics = await pack.raw("from Dogs where age > $age order by age as double", {"age": 9.5})
    assert [document.name for document in documents] == ["Anna", "Zoe", "Max"]
    assert statistics.total == 3
    assert all(isinstance(document, Dog) for document in documents)


async def test_documents_are_remembered(pack: evsession.Session) -> None:
    wire = Wire(pack)
    documents, _ = await pack.raw("from Dogs where name = 'Max'")
    assert await pack.load(MAX) is documents[0]
    assert len(wire) == 1


@pytest.mark.parametrize(
    ("rql", "params", "expected"),
    [
        ("from Dogs where name in ($names)", {"names": ["Max", "jess"]}, ["Jess", "Max"]),
        ("from Dogs where breed = $breed", {"breed": None}, ["Ghost"]),
        ("from Dogs where isGood = $good", {"good": False}, ["Jess"]),
        ("from Dogs where exact(breed = 'labrador')", None, ["Russell"]),
        ("from Dogs where name = $p and age between $low and $high", {"p": "Max", "low": 5.0, "high": 12.0}, ["Max"]),
        ("from Dogs where name = $name", {"name": "x' or true or name = '"}, []),
    ],
)
async def test_parameters(pack: evsession.Session, rql: str, params: Any, expected: list[str]) -> None:
    documents, _ = await pack.raw(rql, params)
    assert names(documents) == expected


async def test_projections_and_groups_are_not_tracked(pack: evsession.Session) -> None:
    rows, _ = await pack.raw("from Cats order by age as long select name, age")
    assert rows == [{"name": "Tom", "age": 4}, {"name": "Felix", "age": 9}]
    rows[0]["age"] = 5
    groups, _ = await pack.raw("from Cats group by name where name = 'Tom' select count() as count, name")
    assert groups == [{"count": 1, "name": "Tom"}]
    assert await pack.save() == []


async def test_includes(pack: evsession.Session) -> None:
    wire = Wire(pack)
    documents, _ = await pack.raw("from Dogs where name = 'Max' include owner.id")
    assert (await pack.load(documents[0].owner["id"])).name == "Olga"
    assert len(wire) == 1


async def test_a_callback(pack: evsession.Session) -> None:
    told = Told()
    await pack.raw("from Cats", told)
    error, documents, statistics = told.calls[0]
    assert (error, names(documents), statistics.total) == (None, ["Felix", "Tom"], 2)
    await pack.raw("from Cats where age = $age", {"age": 4}, told)
    assert names(told.calls[1][1]) == ["Tom"]


@pytest.mark.parametrize(
    ("rql", "params"),
    [("", None), ("  ", None), (5, None), ("from Dogs", [1]), ("from Dogs", {"a": float("nan")}), ("from Dogs", {"a": {1, 2}})],
)
async def test_what_can_be_no_query_is_refused_unsent(unsent: evsession.Session, rql: Any, params: Any) -> None:
    with pytest.raises((evsession.ConfigurationError, evsession.QueryError)):
        await unsent.raw(rql, params)
