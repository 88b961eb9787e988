"""Static indexes: defining them, asking them, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from tests.conformance.kennel import MAX, Dog, Told, Wire, names

pytestmark = pytest.mark.usefixtures("family")

CSHARP = "from d in docs.Dogs select new { d.breed, d.age }"
JAVASCRIPT = "map('Dogs', d => ({ breed: d.breed, age: d.age }))"
TRIES = 2000
WAIT = {"wait_for_non_stale": True}


@pytest.mark.parametrize("maps", [CSHARP, JAVASCRIPT, [JAVASCRIPT]])
async def test_query(store: evsession.Store, session: evsession.Session, maps: Any) -> None:
    await store.put_index("DogsByBreed", maps)
    documents, statistics = await session.index("DogsByBreed", {"breed": "Labrador"}, WAIT)
    assert names(documents) == ["Billy", "Mum"]
    assert (statistics.total, statistics.stale, statistics.index) == (2, False, "DogsByBreed")
    assert all(isinstance(document, Dog) for document in documents)
    for params, expected in {
        "[5 TO 12]": ["Jess", "Max"],
        "{12 TO *]": ["Mum"],
        "(2 OR 17)": ["Billy", "Mum"],
    }.items():
        assert names((await session.index("DogsByBreed", {"age": params}))[0]) == expected
    assert names((await session.index("DogsByBreed", {"breed": "*erd", "age": 7}))[0]) == ["Jess"]
    assert len((await session.index("DogsByBreed"))[0]) == 4


async def test_results_are_documents_of_the_session(store: evsession.Store, session: evsession.Session, wire: Wire) -> None:
    await store.put_index("DogsByBreed", JAVASCRIPT)
    documents, _ = await session.index("DogsByBreed", {"age": 12}, WAIT)
    assert await session.load(MAX) is documents[0]
    assert wire.take() == ["POST /queries"]
    documents[0].age = 13
    assert await session.save() == [MAX]


async def test_specs(store: evsession.Store, session: evsession.Session, wire: Wire) -> None:
    await store.put_index("DogsByBreed", CSHARP)
    rows, statistics = await session.index("DogsByBreed", {}, {**WAIT, "sort": "-age", "projections": "name", "page_size": 2})
    assert rows == [{"__document_id": "dogs/mum", "name": "Mum"}, {"__document_id": MAX, "name": "Max"}]
    assert statistics.total == 4
    documents, _ = await session.index("DogsByBreed", sort="age", start=2, include="puppy")
    assert [document.name for document in documents] == ["Max", "Mum"]
    wire.take()
    assert (await session.load(documents[0].puppy)).name == "Jess"
    assert not wire.take()
    # No order is given, but pages need one.
    pages = [await session.index("DogsByBreed", start=start, page_size=2) for start in (0, 2)]
    assert sorted(document.name for documents, _ in pages for document in documents) == ["Billy", "Jess", "Max", "Mum"]


async def test_a_callback(store: evsession.Store, session: evsession.Session) -> None:
    told = Told()
    await store.put_index("DogsByBreed", CSHARP, told)
    await session.index("DogsByBreed", {"breed": "Labrador"}, WAIT, told)
    await store.delete_index("DogsByBreed", told)
    defined, asked, deleted = told.calls
    assert (defined, deleted) == ((None,), (None,))
    assert (asked[0], names(asked[1]), asked[2].total) == (None, ["Billy", "Mum"], 2)


async def test_reductions_are_rows_without_identity(store: evsession.Store, session: evsession.Session) -> None:
    await store.put_index(
        "Breeds",
        "from d in docs.Dogs select new { d.breed, count = 1 }",
        "from r in results group r by r.breed into g select new { breed = g.Key, count = g.Sum(x => x.count) }",
    )
    rows, statistics = await session.index("Breeds", {"count": 2}, WAIT)
    assert rows == [{"breed": "Labrador", "count": 2}]
    assert statistics.total == 1
    assert rows[0].id is None
    rows, _ = await session.index("Breeds", sort=["-count", "breed"])
    assert [row.breed for row in rows] == ["Labrador", "German Shepherd", "Golden Retriever"]
    assert len((await session.index("Breeds", page_size=2))[0]) == 2
    rows[0]["count"] = 9
    assert await session.save() == []


async def test_options_of_fields(store: evsession.Store, session: evsession.Session) -> None:
    await store.put_index("Exact", CSHARP, fields={"breed": {"Indexing": "Exact"}})
    await store.put_index("Words", CSHARP, None, {"breed": {"Indexing": "Search"}})
    assert names((await session.index("Exact", {"breed": "labrador"}, WAIT))[0]) == []
    assert names((await session.index("Exact", {"breed": "Labrador"}))[0]) == ["Billy", "Mum"]
    assert names((await session.index("Words", {"breed": "retriever"}, WAIT))[0]) == ["Max"]


async def test_putting_again_changes_it(store: evsession.Store, session: evsession.Session) -> None:
    await store.put_index("DogsByBreed", CSHARP)
    await store.put_index("DogsByBreed", CSHARP)
    await store.put_index("DogsByBreed", "from d in docs.Dogs select new { d.name }")
    for _ in range(TRIES):  # the old one answers until the new one is built
        try:
            documents, _ = await session.index("DogsByBreed", {"name": "max"}, WAIT)
            break
        except evsession.QueryError:
            continue
    assert names(documents) == ["Max"]


@pytest.mark.parametrize("params", [{"name": "Max"}, {"Breed": "Labrador"}, {"first name": "x"}, {"name": "[5 TO 12]"}])
async def test_a_field_that_is_not_indexed_is_named(
    store: evsession.Store, session: evsession.Session, params: dict[str, Any]
) -> None:
    await store.put_index("DogsByBreed", CSHARP)
    with pytest.raises(evsession.QueryError) as caught:
        await session.index("DogsByBreed", params)
    error = caught.value
    assert (error.field, error.index, error.status_code) == (next(iter(params)), "DogsByBreed", 500)
    assert next(iter(params)) in error.message
    assert "   at " not in str(error)
    with pytest.raises(evsession.QueryError) as caught:
        await session.index("DogsByBreed", sort="name")
    assert caught.value.field == "name"


async def test_an_index_that_is_not_there(store: evsession.Store, session: evsession.Session) -> None:
    told = Told()
    with pytest.raises(evsession.QueryError, match="NoSuchIndex") as caught:
        await session.index("NoSuchIndex", {"breed": "Labrador"}, told)
    assert (caught.value.status_code, caught.value.index) == (404, "NoSuchIndex")
    assert told.calls == [(caught.value, None, None)]
    with pytest.raises(evsession.SessionError, match="NoSuchIndex") as missing:
        await store.delete_index("NoSuchIndex")
    assert missing.value.status_code == 404


async def test_deleting(store: evsession.Store, session: evsession.Session) -> None:
    await store.put_index("DogsByBreed", CSHARP)
    await session.index("DogsByBreed", {}, WAIT)
    await store.delete_index("DogsByBreed")
    with pytest.raises(evsession.QueryError):
        await session.index("DogsByBreed")
    assert (await session.load(MAX)).name == "Max"


@pytest.mark.parametrize("maps", ["from d in docs.Dogs select new { d.breed, ", "map('Dogs', d => {{"])
async def test_an_index_that_does_not_compile(store: evsession.Store, session: evsession.Session, maps: str) -> None:
    with pytest.raises(evsession.SessionError) as caught:
        await store.put_index("Broken", maps)
    assert caught.value.status_code == 500
    assert caught.value.code is not None
    assert type(caught.value) is evsession.SessionError
    assert not caught.value.uncertain
    assert "   at Raven" not in str(caught.value)
    with pytest.raises(evsession.QueryError):
        await session.index("Broken")


@pytest.mark.parametrize(
    ("name", "maps", "fields"),
    [
        ("", CSHARP, None),
        ("a b", CSHARP, None),
        ("a?b", CSHARP, None),
        (5, CSHARP, None),
        ("X", [], None),
        ("X", "", None),
        ("X", [CSHARP, 5], None),
        ("X", CSHARP, 5),
        ("X", CSHARP, {"breed": 5}),
    ],
)
async def test_what_can_be_no_index_is_refused(store: evsession.Store, name: Any, maps: Any, fields: Any) -> None:
    with pytest.raises(evsession.ConfigurationError):
        await store.put_index(name, maps, None, fields)
