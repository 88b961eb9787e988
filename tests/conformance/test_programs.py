"""Whole programs that have a trio loop already."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import evsession
from tests.conformance.kennel import BILLY, JESS, MAX, Dog, Told, change, names, of, read

pytestmark = pytest.mark.usefixtures("family")


async def test_the_program_of_the_design(make_store: Any) -> None:
    async with make_store() as store:
        async with store.open_session() as session:
            max = await session.load(MAX)
            max.age += 1
            keys = await session.save()
        assert keys == [MAX]
        assert (await read(store, MAX)).age == 13


async def test_callbacks_and_await_together(session: evsession.Session) -> None:
    told = Told()
    max, includes = await session.load(MAX, "puppy", lambda error, document, includes: told(document, includes))
    assert told.calls == [(max, includes)]
    documents, statistics = await session.query("Dog", {"breed": "Labrador"}, told)
    assert told.calls[1] == (None, documents, statistics)
    assert names(documents) == ["Billy", "Mum"]


async def test_several_at_once(session: evsession.Session) -> None:
    operations = [session.load(key) for key in (MAX, JESS, BILLY)]
    query = session.query("Dog", {"name": "Mum"})
    assert [(await operation).name for operation in reversed(operations)] == ["Billy", "Jess", "Max"]
    assert names((await query)[0]) == ["Mum"]
    assert (await operations[0]).name == "Max"


async def test_leaving_waits_for_what_nobody_awaits(store: evsession.Store) -> None:
    async with store.open_session() as session:
        session.store(Dog(name="New"), key="dogs/new")
        session.save()
    assert (await read(store, "dogs/new")).name == "New"


async def test_the_request_is_that_of_the_call(session: evsession.Session, store: evsession.Store) -> None:
    dog = Dog(age=1)
    session.store(dog, key="dogs/new")
    operation = session.save()
    dog.age = 2
    await trio.lowlevel.checkpoint()
    await operation
    assert (await read(store, "dogs/new")).age == 1


async def test_a_retry_after_a_conflict(store: evsession.Store) -> None:
    tries = 0
    while True:
        async with store.open_session() as session:
            session.options.use_optimistic_concurrency = True
            documents = await session.load([MAX])
            max = of(documents, MAX)
            if not tries:
                await change(store, MAX, age=50)
            tries += 1
            max.age += 1
            try:
                await session.save()
            except evsession.ConcurrencyError:
                continue
            break
    assert tries == 2
    assert (await read(store, MAX)).age == 51
