"""Queries: which documents a type means, which field a name means, and what becomes of the results."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from tests.conformance.kennel import MAX, Dog, Told, Wire, change, names
from tests.conformance.pack import EVERYBODY, PACK

Feline = evsession.DocumentType("Feline", collection="Cats")
Unicorn = evsession.DocumentType("Unicorn")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"owner.name": "Olga"}, ["Max"]),
        ({"owner.address.city": "kyiv"}, ["Max"]),
        ({"owner.name": "O*"}, ["Jess", "Max"]),
        ({"vets[].name": "Vera"}, ["Jess", "Max"]),
        ({"vets[].fee": "[30 TO 40]"}, ["Max"]),
        ({"tags[]": "blue"}, ["Russell"]),
        ({"first name": "Maximilian"}, ["Max"]),
        ({"first name": "(Jessica OR W*)"}, ["Billy", "Jess"]),
        ({"order": 2}, ["Jess"]),
        ({"order": "[2 TO 10]", "first name": "*"}, ["Billy", "Jess"]),
        ({"it's": "quoted"}, ["Max"]),
        ({"from": "Zurich"}, ["Zoe"]),
        ({"id()": "DOGS/max"}, ["Max"]),
        ({"id()": ["dogs/max", "dogs/bob", "cats/tom"]}, ["Bob", "Max"]),
        ({"Name": "Max"}, []),
        ({"no such field": 1}, []),
        ({"nothing.at.all": None, "name": "Max"}, []),
    ],
)
async def test_fields(pack: evsession.Session, params: dict[str, Any], expected: list[str]) -> None:
    documents, _ = await pack.query("Dog", params)
    assert names(documents) == expected


async def test_keys_by_prefix(pack: evsession.Session) -> None:
    documents, _ = await pack.query("Dog", {"id()": "dogs/b*"})
    assert names(documents) == ["Billy", "Bob"]


@pytest.mark.parametrize(
    "name",
    [
        "name = 'x' or true or name",
        "name' or 'a' = 'a",
        r"name\' or true /* x",
        "true or name",
        "name) or (true",
        "$p0",
        "id() or name",
        "1",
        "-",
    ],
)
async def test_a_name_is_a_name_whatever_it_looks_like(pack: evsession.Session, name: str) -> None:
    documents, _ = await pack.query("Dog", {name: "zzz"})
    assert documents == []


@pytest.mark.parametrize("name", ["", "a\x00b", "a\nb", "\ud800", 5, None])
async def test_a_name_that_no_query_can_hold_is_refused(unsent: evsession.Session, name: Any) -> None:
    with pytest.raises(evsession.ConfigurationError):
        await unsent.query("Dog", {name: 1})


@pytest.mark.parametrize("type", ["Dog", "Dogs", "dogs", Dog])
async def test_a_type_by_name_collection_or_class(pack: evsession.Session, type: Any) -> None:
    documents, statistics = await pack.query(type)
    assert names(documents) == EVERYBODY
    assert statistics.total == len(EVERYBODY)
    assert all(isinstance(document, Dog) for document in documents)


async def test_a_type_with_its_own_collection(pack: evsession.Session) -> None:
    by_class, _ = await pack.query(Feline, {"age": "[4 TO 9]"})
    assert names(by_class) == ["Felix", "Tom"]
    assert all(type(cat) is Feline for cat in by_class)
    by_name, _ = await pack.query("Feline", {"age": 4})
    assert names(by_name) == ["Tom"]
    by_collection, _ = await pack.query("Cats", {"age": 9})
    assert names(by_collection) == ["Felix"]


@pytest.mark.parametrize("type", ["Unicorn", Unicorn, "Dogs' or 'a' = 'a", "Dogs where true", "Odd 'name' \\"])
async def test_an_unknown_type_gives_nothing(pack: evsession.Session, type: Any) -> None:
    documents, statistics = await pack.query(type, {"name": "Max"})
    assert (documents, statistics.total) == ([], 0)
    assert (await pack.query(type))[0] == []


async def test_everything(pack: evsession.Session) -> None:
    documents, _ = await pack.query("@all_docs")
    assert {document.id for document in documents} == set(PACK)


@pytest.mark.parametrize("type", ["", " ", 5, None, dict])
async def test_what_is_no_type_is_refused(unsent: evsession.Session, type: Any) -> None:
    with pytest.raises((evsession.ConfigurationError, TypeError)):
        await unsent.query(type)


async def test_a_callback_gets_documents_and_statistics(pack: evsession.Session) -> None:
    told = Told()
    await pack.query("Dog", {"breed": "Labrador"}, told)
    error, documents, statistics = told.calls[0]
    assert error is None
    assert isinstance(documents, evsession.Queryable)
    assert names(documents) == ["Billy", "Russell"]
    assert statistics.total == 2
    await pack.query("Dog", lambda error, documents: told(error, documents))
    assert len(told.calls[1][1]) == len(EVERYBODY)


async def test_parameters_are_those_of_the_call(pack: evsession.Session) -> None:
    params: dict[str, Any] = {"name": ["Max"]}
    operation = pack.query("Dog", params)
    params["name"].append("Jess")
    params["age"] = 5
    assert names((await operation)[0]) == ["Max"]


@pytest.mark.usefixtures("family")
class TestResults:
    async def test_are_remembered(self, session: evsession.Session, wire: Wire) -> None:
        documents, _ = await session.query("Dog", {"name": "Max"})
        wire.take()
        assert await session.load(MAX) is documents[0]
        assert not wire.take()

    async def test_are_tracked(self, session: evsession.Session) -> None:
        documents, _ = await session.query("Dog", {"breed": "Labrador"})
        documents[0].age = 77
        assert await session.save() == [documents[0].id]

    async def test_are_the_known_objects_with_their_edits(self, session: evsession.Session, store: evsession.Store) -> None:
        max = await session.load(MAX)
        max.age = 13
        await change(store, MAX, name="Maximilian", age=50)
        documents, _ = await session.query("Dog", {"age": 50}, wait_for_non_stale=True)
        assert documents[0] is max
        assert (max.name, max.age) == ("Max", 13)

    async def test_repeated_are_not_doubled(self, session: evsession.Session) -> None:
        first, _ = await session.query("Dog", sort="name")
        second, _ = await session.query("Dog", sort="-name")
        assert [id(document) for document in first] == [id(document) for document in reversed(second)]
