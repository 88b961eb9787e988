"""Queries for keys: the field of a class that holds its key stands for ``id()``, which a document has not among its fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

import evsession

KEYS = [f"toys/{name}" for name in "abc"]


@evsession.document(collection="Toys")
@dataclass
class Toy:
    name: str
    id: str | None = None


@evsession.document(collection="Toys")
class Plain:
    name: str


@evsession.document(collection="Toys")
class Quick(msgspec.Struct):
    name: str
    id: str | None = None


@pytest.fixture
async def toys(session: evsession.Session) -> evsession.Session:
    for key in KEYS:
        session.store({"name": key[-1].upper()}, key=key, collection="Toys")
    await session.save()
    session.clear()
    return session


@pytest.mark.parametrize("cls", [Toy, Plain, Quick])
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (KEYS[1], KEYS[1:2]),
        ("TOYS/B", KEYS[1:2]),
        ([KEYS[2], KEYS[0], "toys/none"], [KEYS[0], KEYS[2]]),
        ("toys/*", KEYS),
        ("[toys/a TO toys/c}", KEYS[:2]),
        ("toys/none", []),
    ],
)
async def test_values(toys: evsession.Session, cls: Any, value: Any, found: list[str]) -> None:
    loaded, _ = await toys.query(cls, {"id": value}, sort="id", wait_for_non_stale=True)
    assert [toy.id for toy in loaded] == found
    assert [toy.id async for toy in toys.stream(cls, {"id": value}, sort="-id")] == found[::-1]


@pytest.mark.parametrize("projections", [["id"], ["id", "name"], ["id", "first name"]])
async def test_projections(toys: evsession.Session, projections: list[str]) -> None:
    rows: Any = (await toys.query(Toy, sort="-id", projections=projections, wait_for_non_stale=True))[0]
    assert [row["id"] for row in rows] == [row["__document_id"] for row in rows] == KEYS[::-1]


async def test_a_dict_has_a_field_of_its_own(session: evsession.Session) -> None:
    session.store({"id": "mine"}, key="boxes/1", collection="Boxes")
    await session.save()
    found, _ = await session.query("Boxes", {"id": "mine"}, wait_for_non_stale=True)
    assert found == [{"id": "mine"}]
    found, _ = await session.query("Boxes", {"id()": "boxes/1"}, wait_for_non_stale=True)
    assert found == [{"id": "mine"}]
