"""What a graph session refuses of classes and keys before anything is sent, and what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

import evsession
from tests.unit.session.graphs.scripted import scripted_graph


@evsession.node("Pet", key="id")
@dataclass
class Pet:
    id: str
    born: date | None = None


@evsession.node("Pet", key="id")
@dataclass
class Toy:
    id: str


@dataclass
class Puppy(Pet):
    age: int = 0


async def test_a_class_that_only_inherits_from_one_of_nodes() -> None:
    async with scripted_graph() as (session, transport):
        with pytest.raises(TypeError, match="Puppy is no class of nodes, but inherits from one, Pet"):
            session.add(Puppy("1"))
        assert not transport.requests


async def test_a_key_of_an_entity_of_another_class() -> None:
    async with scripted_graph() as (session, transport):
        session.get_reference(Pet, "1")
        with pytest.raises(evsession.KeyConflict, match="is the key of a Pet in this session, not of a Toy"):
            session.get_reference(Toy, "1")
        assert not transport.requests


async def test_a_day_is_shown_in_the_plan() -> None:
    async with scripted_graph() as (session, _):
        session.add(Pet("1", date(2020, 2, 29)))
        assert b"2020-02-29" in session.plan().requests[0].body
