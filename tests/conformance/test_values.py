"""What a document may hold comes back as it was: any text, any number, any name of a field."""

from __future__ import annotations

import math
from typing import Any

import pytest

import evsession
from tests.conformance.kennel import Dog, put, read

VALUES: list[Any] = [
    "emoji 😀 👩‍👩‍👧 🇺🇦",
    "astral \U0001d518\U0001d52b \U0010ffff",
    "quotes \" ' \\ / \\u0041 </script>",
    "controls \x00 \x01 \x1f \x7f \u2028 \ufeff \ufffe",
    "tab\tnewline\r\nend",
    "",
    "ä" * 100_000,
    0,
    2**53 + 1,
    -(2**63),
    2**63,
    2**64 + 1,
    -(10**40),
    0.1,
    5e-324,
    1.7976931348623157e308,
    -1.5,
    True,
    False,
    None,
    [],
    {},
    [[], [[]], {}],
    [1, "1", 1.5, None, {"a": []}],
    "2026-01-01T00:00:00.1234567Z",
    "NaN",
    {"@metadata": 1},
    {"@id": "x", "Id": "y", "$type": "z"},
]


async def test_values(session: evsession.Session, store: evsession.Store) -> None:
    session.store([Dog({"value": value}, id=f"v{number}") for number, value in enumerate(VALUES)])
    keys = await session.save()
    async with store.open_session() as other:
        documents = await other.load(keys)
        assert [document["value"] for document in documents] == VALUES
        assert [type(document["value"]) for document in documents] == [type(value) for value in VALUES]
        # What was read is not taken for changed.
        assert await other.save() == []
        for document in documents:
            document.more = 1
        assert await other.save() == keys
    async with store.open_session() as other:
        assert [document["value"] for document in await other.load(keys)] == VALUES


async def test_numbers_keep_their_kind(session: evsession.Session, store: evsession.Store) -> None:
    session.store(Dog(whole=1, float=1.0, minus=-0.0, big=1e22, small=1e-7, zero=0.0), key="dogs/n")
    await session.save()
    dog = await read(store, "dogs/n")
    assert [type(dog[name]) for name in ("whole", "float", "minus", "big", "small", "zero")] == [int, *[float] * 5]
    assert math.copysign(1, dog.minus) == -1
    assert (dog.whole, dog.float, dog.big, dog.small) == (1, 1.0, 1e22, 1e-7)


async def test_one_and_one_point_zero_are_different(session: evsession.Session, store: evsession.Store) -> None:
    await put(store, {"dogs/n": {"age": 1}})
    dog = await session.load("dogs/n")
    dog.age = 1.0
    assert await session.save() == ["dogs/n"]
    assert type((await read(store, "dogs/n")).age) is float


async def test_deep_nesting(session: evsession.Session, store: evsession.Store) -> None:
    value: Any = "bottom"
    for depth in range(60):
        value = [value] if depth % 2 else {"down": value}
    session.store(Dog(value=value), key="dogs/deep")
    await session.save()
    assert (await read(store, "dogs/deep"))["value"] == value


FIELDS = [
    "a.b",
    "items",
    "id",
    "Id",
    "keys",
    "metadata",
    "_private",
    "__class__",
    "first name",
    "it's",
    'say "hi"',
    "",
    " ",
    "ключ",
    "🐕",
    "[]",
    "$p0",
    "back\\slash",
    "new\nline",
    "@id",
    "@collection",
    "class",
    "1",
    "x" * 1000,
]


async def test_names_of_fields(session: evsession.Session, store: evsession.Store) -> None:
    session.store(Dog(dict.fromkeys(FIELDS, "value")), key="dogs/names")
    await session.save()
    dog = await read(store, "dogs/names")
    assert dog == dict.fromkeys(FIELDS, "value")
    assert (dog.id, dog["id"]) == ("dogs/names", "value")
    async with store.open_session() as other:
        dog = await other.load("dogs/names")
        for name in FIELDS:
            dog[name] = [name]
        await other.save()
    assert await read(store, "dogs/names") == {name: [name] for name in FIELDS}


async def test_order_of_fields(session: evsession.Session, store: evsession.Store) -> None:
    session.store(Dog({"z": 1, "a": 2, "m": {"z": 1, "a": 2}}), key="dogs/order")
    await session.save()
    assert list(await read(store, "dogs/order")) == ["z", "a", "m"]


@pytest.mark.parametrize("fields", [{"@metadata": {"@collection": "Cats"}}, {"@metadata": None}])
async def test_metadata_is_no_field(session: evsession.Session, fields: dict[str, Any]) -> None:
    session.store(Dog(fields))
    with pytest.raises(evsession.InvalidDocument, match="@metadata"):
        await session.save()


async def test_an_empty_document(session: evsession.Session, store: evsession.Store) -> None:
    session.store(Dog(), key="dogs/empty")
    await session.save()
    dog = await read(store, "dogs/empty")
    assert dog == {}
    assert isinstance(dog, Dog)
