"""Documents as instances of the program's own classes."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

import evsession
from tests.conformance.farm import KINDS, Chip, Cow, Duck, Goat, Hen, Pony, Sheep, Size, declare, make
from tests.conformance.kennel import Wire, names, put, read


@pytest.fixture(autouse=True)
def _declared() -> None:
    declare()


@pytest.mark.parametrize("cls", KINDS)
async def test_come_back_as_what_they_were(cls: Any, session: evsession.Session, store: evsession.Store) -> None:
    session.store([make(cls, "One"), make(cls, "Two")])
    keys = await session.save()
    collection = (
        "farmyard" if cls is Cow else "sheep" if cls is Sheep else "ponies" if cls is Pony else f"{cls.__name__.lower()}s"
    )
    assert keys == ([f"{collection}/one", f"{collection}/two"] if cls is Cow else [f"{collection}/1", f"{collection}/2"])
    async with store.open_session() as other:
        wire = Wire(other)
        one = await other.load(keys[0])
        assert (type(one), one.name, one.id) == (cls, "One", keys[0])
        assert await other.load(keys[0]) is one
        documents, _ = await other.query(cls, {"name": "(One OR Two)"}, sort="name")
        assert documents[0] is one
        assert [type(document) for document in documents] == [cls, cls]
        assert await other.save() == []
        assert len(wire) == 2
        streamed = [document async for document in other.stream(cls)]
        assert sorted((type(document) is cls, document.id) for document in streamed) == [(True, key) for key in keys]


@pytest.mark.parametrize("cls", [Pony, Goat, Sheep, Hen, Duck])
async def test_unknown_fields_survive(cls: Any, session: evsession.Session, store: evsession.Store) -> None:
    session.store(make(cls, "Bo"), key="farm/1")
    await session.save()
    await session.patch("farm/1", evsession.Patch("this.extra = {a: [1]}; this.Name = 'other'"))
    async with store.open_session() as other:
        animal = await other.load("farm/1")
        animal.age = 5
        assert await other.save() == ["farm/1"]
    raw = await _row(store, "farm/1")
    assert (raw["extra"], raw["Name"], raw["name"], raw["age"]) == ({"a": [1]}, "other", "Bo", 5)


async def _row(store: evsession.Store, key: str) -> Any:
    async with store.open_session() as other:
        return await other.load(key, type=evsession.Document)


async def test_values_come_back_as_their_types_say(session: evsession.Session, store: evsession.Store) -> None:
    pony = Pony(
        "Bo",
        age=3,
        born=datetime(2020, 2, 29, 23, 59, 59, 123456, timezone.utc),
        day=date(2020, 2, 29),
        at=time(1, 2, 3),
        slept=timedelta(hours=8, microseconds=5),
        price=Decimal("1234567890.12345678901234567890"),
        token=UUID("12345678-1234-5678-1234-567812345678"),
        size=Size.LARGE,
        photo=b"\x00\xff\x01",
        tags={"b", "a"},
        chip=Chip(1, date(2021, 1, 1)),
        chips=[Chip(2), Chip(3)],
        places={"stable": (1.5, -2.0)},
        friend="ponies/x",
    )
    key = (await session.store(pony).save())[0]
    assert pony.id == key
    async with store.open_session() as other:
        assert await other.load(key) == pony
        assert await other.save() == []
        assert names_of(await other.query(Pony, {"size": Size.LARGE, "token": pony.token, "day": pony.day})) == ["Bo"]
        assert names_of(await other.query(Pony, {"born": pony.born, "price": pony.price})) == ["Bo"]
        assert names_of(await other.query(Pony, {"size": [Size.LARGE], "born": [pony.born], "token": [pony.token]})) == ["Bo"]
        assert names_of(await other.query(Pony, {"chips[].number": 3})) == ["Bo"]
    row = await _row(store, key)
    assert "id" not in row
    assert row.tags == ["a", "b"]
    assert row.price == "1234567890.12345678901234567890"


def names_of(result: tuple[Any, Any]) -> list[str]:
    return [document.name for document in result[0]]


async def test_nested_edits_are_saved(session: evsession.Session, store: evsession.Store) -> None:
    pony = Pony("Bo", chip=Chip(1), chips=[Chip(2)])
    session.store(pony)
    await session.save()
    assert pony.chip is not None
    pony.chip.number = 9
    pony.chips.append(Chip(3))
    pony.tags.add("new")
    assert await session.save() == ["ponies/1"]
    again = await read(store, "ponies/1")
    assert (again.chip, again.chips, again.tags) == (Chip(9), [Chip(2), Chip(3)], {"new"})


async def test_a_wrong_value_is_refused_unsent(session: evsession.Session, wire: Wire) -> None:
    pony = Pony("Bo")
    pony.age = "three"  # type: ignore[assignment]
    session.store(pony)
    with pytest.raises(evsession.InvalidDocument, match="age"):
        await session.save()
    assert not wire.take()
    pony.age = 3
    assert await session.save() == ["ponies/1"]


async def test_a_row_that_does_not_fit_is_an_error_that_says_so(session: evsession.Session, store: evsession.Store) -> None:
    await put(store, {"ponies/odd": {"name": "Odd", "age": "old"}})
    with pytest.raises(evsession.InvalidDocument, match="age") as caught:
        await session.load("ponies/odd")
    assert caught.value.key == "ponies/odd"
    row: Any = await session.load("ponies/odd", type=evsession.Document)
    row.age = 3
    await session.save()
    assert (await read(store, "ponies/odd")).age == 3


async def test_the_type_can_be_chosen(session: evsession.Session, store: evsession.Store) -> None:
    await put(store, {"beasts/1": {"name": "Beast", "age": 3}, "ponies/2": {"name": "Bo"}})
    beast = await session.load("beasts/1", type=Goat)
    assert (type(beast), beast and beast.name) == (Goat, "Beast")
    several = await session.load(["ponies/2"], type=Sheep)
    assert [type(animal) for animal in several] == [Sheep]
    several[0].age = 1
    assert await session.save() == ["ponies/2"]
    assert type(await read(store, "ponies/2")) is Pony
    with pytest.raises(evsession.ConfigurationError):
        await session.load("beasts/1", type="Goat")  # type: ignore[call-overload]


async def test_includes_are_of_their_own_types(session: evsession.Session, store: evsession.Store) -> None:
    await put(store, {"ponies/3": {"name": "Bo", "friend": "goats/1"}, "goats/1": {"name": "Ann"}})
    pony, includes = await session.load("ponies/3", "friend")
    assert (type(pony), [type(include) for include in includes]) == (Pony, [Goat])
    assert names([{"name": include.name} for include in includes]) == ["Ann"]


async def test_methods_of_a_document_type(session: evsession.Session, store: evsession.Store) -> None:
    await put(store, {"ducks/1": {"name": "Donald", "quack": "a field"}})
    duck = await session.load("ducks/1")
    assert (duck.quack(), duck["quack"]) == ("Donald!", "a field")
