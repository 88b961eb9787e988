"""Specifications of a query: which fields, in which order, which part, what else."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import evsession
from tests.conformance.kennel import MAX, Dog, Wire, change, names, of, put
from tests.conformance.pack import EVERYBODY

BY_AGE = ["Bob", "Ghost", "Billy", "Russell", "Jess", "Anna", "Zoe", "Max"]


class TestProjections:
    async def test_one_property(self, pack: evsession.Session) -> None:
        documents, statistics = await pack.query("Dog", {"breed": "Labrador"}, {"projections": "age"})
        assert sorted(documents, key=lambda row: row.age) == [
            {"__document_id": "dogs/billy", "age": 2},
            {"__document_id": "dogs/russell", "age": 5},
        ]
        assert statistics.total == 2

    async def test_several_properties(self, pack: evsession.Session) -> None:
        documents, _ = await pack.query("Dog", {"name": "Billy"}, {"projections": ["name", "age", "name"]})
        assert documents == [{"__document_id": "dogs/billy", "name": "Billy", "age": 2}]

    async def test_odd_names(self, pack: evsession.Session) -> None:
        for odd, value in {"first name": "Maximilian", "it's": "quoted", "order": 1}.items():
            documents, _ = await pack.query(Dog, {"name": "Max"}, projections=[odd, "age"])
            assert documents == [{"__document_id": MAX, odd: value, "age": 12}]

    async def test_names_are_no_program(self, pack: evsession.Session) -> None:
        for name in ('"], x: id(__row), "', "age as x", "x' or true", "age, name"):
            documents, _ = await pack.query("Dog", {"name": "Max"}, projections=name)
            assert documents[0]["__document_id"] == MAX
            assert documents[0].get(name) is None
            assert "Max" not in documents[0].values()

    async def test_nested_and_missing(self, pack: evsession.Session) -> None:
        documents, _ = await pack.query("Dog", {"name": "(Max OR Anna)"}, projections=["owner.name", "nothing"], sort="name")
        assert [row.get("owner.name") for row in documents] == [None, "Olga"]
        assert [row.get("nothing") for row in documents] == [None, None]

    async def test_are_not_tracked(self, pack: evsession.Session) -> None:
        wire = Wire(pack)
        documents, _ = await pack.query("Dog", {"name": "Max"}, projections="age")
        documents[0].age = 99
        assert await pack.save() == []
        assert (await pack.load(MAX)).age == 12
        assert wire.take() == ["POST /queries", "GET /docs"]

    async def test_are_not_stored(self, pack: evsession.Session) -> None:
        documents, _ = await pack.query("Dog", {"name": "Max"}, projections="age")
        with pytest.raises(TypeError):
            pack.store(documents[0])

    async def test_do_not_disturb_what_is_known(self, pack: evsession.Session) -> None:
        max = await pack.load(MAX)
        await pack.query("Dog", {"name": "Max"}, projections="age")
        assert await pack.load(MAX) is max
        assert max.name == "Max"


class TestSort:
    @pytest.mark.parametrize(
        ("sort", "expected"),
        [
            ("age", BY_AGE),
            ("-age", BY_AGE[::-1]),
            ("age as double", BY_AGE),
            (("-age", "double"), BY_AGE[::-1]),
            ("name", EVERYBODY),
            (["-name"], EVERYBODY[::-1]),
            ("id()", EVERYBODY),
            ("-id()", EVERYBODY[::-1]),
        ],
    )
    async def test_one_property(self, pack: evsession.Session, sort: Any, expected: list[str]) -> None:
        documents, _ = await pack.query("Dog", {}, {"sort": sort})
        assert [document.name for document in documents] == expected

    @pytest.mark.parametrize(
        ("sort", "expected"),
        [
            (["breed", "-age"], ["Russell", "Billy", "Anna"]),
            (["-breed", "age"], ["Anna", "Billy", "Russell"]),
            (["breed", "age"], ["Billy", "Russell", "Anna"]),
        ],
    )
    async def test_several_properties(self, pack: evsession.Session, sort: Any, expected: list[str]) -> None:
        documents, _ = await pack.query("Dog", {"breed": "(Labrador OR Poodle)"}, {"sort": sort})
        assert [document.name for document in documents] == expected

    @pytest.mark.parametrize("sort", ["first name", "order", "owner.name", "weight", "born", "note", "it's", "nothing", "isGood"])
    async def test_loses_nothing(self, pack: evsession.Session, sort: str) -> None:
        for key in (sort, f"-{sort}"):
            documents, statistics = await pack.query("Dog", sort=key)
            assert names(documents) == EVERYBODY
            assert statistics.total == len(EVERYBODY)

    async def test_odd_names(self, pack: evsession.Session) -> None:
        for name, expected in {"first name": ["Jess", "Max", "Billy"], "order": ["Max", "Jess", "Billy"]}.items():
            documents, _ = await pack.query("Dog", {name: "*"}, sort=name)
            assert [document.name for document in documents] == expected

    async def test_mixed_kinds(self, pack: evsession.Session) -> None:
        for sort, expected in {
            "rank": ["a", "b", 1.5, 2, 10],
            "-rank": [10, 2, 1.5, "b", "a"],
        }.items():
            documents, _ = await pack.query("Rank", sort=sort)
            assert [document["rank"] for document in documents if "rank" in document] == expected
            assert len(documents) == 6

    async def test_negative_numbers(self, pack: evsession.Session) -> None:
        documents, _ = await pack.query("Dog", {"weight": "*"}, sort="weight")
        assert [document.weight for document in documents] == [-1.5, 9.75, 10, 10.5, 28.25, 30.5, 100]

    async def test_dates_among_others_lose_nothing(self, pack: evsession.Session) -> None:
        # In which order they come is the server's secret: on 6.2 and 7.1 texts that look like dates are sorted apart.
        for sort in ("at", "-at"):
            assert len((await pack.query("Moment", sort=sort))[0]) == 5


class TestPaging:
    async def test_pages(self, pack: evsession.Session) -> None:
        for start, size, expected in (
            (0, 3, BY_AGE[:3]),
            (2, 3, BY_AGE[2:5]),
            (6, 10, BY_AGE[6:]),
            (3, None, BY_AGE[3:]),
            (0, 0, []),
        ):
            documents, statistics = await pack.query("Dog", {}, {"sort": "age", "start": start, "page_size": size})
            assert [document.name for document in documents] == expected
            assert statistics.total == len(EVERYBODY)

    async def test_past_the_end(self, pack: evsession.Session) -> None:
        documents, statistics = await pack.query("Dog", {"breed": "Labrador"}, start=5, page_size=5)
        assert (documents, statistics.total) == ([], 2)

    async def test_without_paging_all_come(self, store: evsession.Store, session: evsession.Session) -> None:
        await put(store, {f"dogs/{number}": {"n": number} for number in range(1500)})
        documents, statistics = await session.query("Dog", {"n": "[100 TO *]"}, wait_for_non_stale=True)
        assert len(documents) == statistics.total == 1400

    async def test_unsorted_pages_are_stable(self, store: evsession.Store) -> None:
        await put(store, {f"dogs/{number}": {"name": f"{number}", "n": 0} for number in range(9)})
        seen: list[str] = []
        for start in (0, 3, 6):
            async with store.open_session() as session:
                documents, _ = await session.query("Dog", start=start, page_size=3, wait_for_non_stale=True)
            seen += [document.id for document in documents]
            # Left to itself the server gives what was written last at the end.
            await change(store, seen[0], n=start + 1)
        assert sorted(seen) == [f"dogs/{number}" for number in range(9)]


class TestIncludes:
    async def test_come_along(self, pack: evsession.Session) -> None:
        wire = Wire(pack)
        documents, _ = await pack.query("Dog", {"name": "(Max OR Jess)"}, include=["owner.id", "friend"], sort="-name")
        assert [document.name for document in documents] == ["Max", "Jess"]
        assert (await pack.load(documents[0].owner["id"])).name == "Olga"
        assert of(await pack.load(["people/1", "people/2"]), "people/2").name == "Otto"
        assert await pack.load(documents[0].friend) is documents[1]
        assert wire.take() == ["POST /queries"]
        assert await pack.load("dogs/nobody") is None

    @pytest.mark.parametrize("beside", ["name", "first name"])
    async def test_through_projected_fields(self, pack: evsession.Session, beside: str) -> None:
        wire = Wire(pack)
        documents, _ = await pack.query(
            "Dog", {"name": "Max"}, projections=["owner", "friend", beside], include=["owner.id", "friend"]
        )
        assert beside in documents[0]
        assert (await pack.load("people/1")).name == "Olga"
        assert (await pack.load(documents[0].friend)).name == "Jess"
        assert wire.take() == ["POST /queries"]

    async def test_odd_paths(self, pack: evsession.Session) -> None:
        for path in ("it's", "first name", "nothing", "order"):
            documents, _ = await pack.query("Dog", {"name": "Max"}, include=path)
            assert names(documents) == ["Max"]


class TestStatistics:
    async def test_of_an_index(self, pack: evsession.Session) -> None:
        _, statistics = await pack.query("Dog", {"age": 7})
        assert isinstance(statistics, evsession.Statistics)
        assert (statistics.total, statistics.stale, statistics.skipped) == (1, False, 0)
        assert statistics.index is not None
        assert statistics.index.startswith("Auto/Dogs/")
        assert isinstance(statistics.duration, float)
        assert statistics.duration >= 0
        assert isinstance(statistics.timestamp, datetime)
        assert abs(datetime.now(timezone.utc) - statistics.timestamp) < timedelta(hours=1)

    async def test_of_a_collection(self, pack: evsession.Session) -> None:
        _, statistics = await pack.query("Dog")
        assert (statistics.total, statistics.stale, statistics.index) == (8, False, "collection/Dogs")
        assert statistics.timestamp is None


async def test_waiting_for_the_index(store: evsession.Store) -> None:
    for number in range(5):
        await put(store, {f"dogs/{number}": {"age": number}})
        async with store.open_session() as session:
            documents, statistics = await session.query("Dog", {"age": "*"}, wait_for_non_stale=True if number else 10)
            assert (len(documents), statistics.stale) == (number + 1, False)


@pytest.mark.parametrize(
    "specs",
    [
        {"pageSize": 1},
        {"page_size": -1},
        {"start": -1},
        {"start": 1.5},
        {"page_size": "3"},
        {"page_size": True},
        {"projections": 5},
        {"projections": [""]},
        {"sort": "-"},
        {"sort": [5]},
        {"sort": "age as colour"},
        {"include": ""},
        {"wait_for_non_stale": -1},
        {"wait_for_non_stale": float("nan")},
        {"projections": ["a\nb"]},
        5,
    ],
)
async def test_what_can_be_no_specification_is_refused_unsent(unsent: evsession.Session, specs: Any) -> None:
    with pytest.raises(evsession.ConfigurationError):
        await unsent.query("Dog", {}, specs)
    with pytest.raises(evsession.ConfigurationError):
        await unsent.query("Dog", sort="age", specs={"sort": "-age"})
