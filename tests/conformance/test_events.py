"""Handlers: who is told of which failure, in which order, and what is observed of the wire."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import evsession
from tests.backends import Backend
from tests.conformance.kennel import BILLY, MAX, Dog, Told, change

pytestmark = pytest.mark.usefixtures("family")

CONFLICT = ["ConcurrencyException", "409", "4xx", "error"]
BAD_QUERY = ["ParseException", "500", "5xx", "error"]


async def conflict(session: evsession.Session, callback: Any = None) -> None:
    """Fail with 409."""
    with pytest.raises(evsession.ConcurrencyError):
        await session.delete(MAX, "A:1-nothing", callback)


async def bad_query(session: evsession.Session, callback: Any = None) -> None:
    """Fail with 500."""
    with pytest.raises(evsession.QueryError):
        await session.raw("from Dogs wher name = 1", callback)


class TestFailures:
    @pytest.mark.parametrize(("fail", "events"), [(conflict, CONFLICT), (bad_query, BAD_QUERY)])
    async def test_the_most_specific_one_alone_is_told(self, session: evsession.Session, fail: Any, events: list[str]) -> None:
        told = {event: Told() for event in [*events, "404", "418", "ConstraintException"]}
        for event, handler in told.items():
            session.on(int(event) if event.isdecimal() else event, handler)
        for event in events:
            await fail(session)
            assert [name for name, handler in told.items() if handler.calls] == events[: events.index(event) + 1]
            assert len(told[event].calls) == 1
            session.off(event)
        await fail(session)
        assert sum(len(handler.calls) for handler in told.values()) == len(events)

    async def test_what_they_are_told(self, session: evsession.Session) -> None:
        told, callback = Told(), Told()
        session.on("4xx", told)
        await conflict(session, callback)
        (error,) = told.errors
        assert isinstance(error, evsession.ConcurrencyError)
        assert (error.status_code, error.code, error.operation, error.key) == (409, "ConcurrencyException", "delete", MAX)
        assert error.url is not None
        assert "/bulk_docs" in error.url
        assert callback.errors == [error]

    async def test_a_status_is_text_or_number(self, session: evsession.Session) -> None:
        first, second = Told(), Told()
        session.on("409", first)
        session.on(409, second)
        await conflict(session)
        assert (len(first.calls), len(second.calls)) == (0, 1)
        session.off("409", second)
        await conflict(session)
        assert len(second.calls) == 1

    async def test_before_the_callback(self, session: evsession.Session) -> None:
        order: list[str] = []
        release = trio.Event()

        async def slow(error: evsession.SessionError) -> None:
            order.append("async started")
            await release.wait()
            order.append("async ended")

        session.on(409, lambda error: order.append("sync"))
        session.add_listener(409, slow)
        try:
            await conflict(session, lambda error: order.append("callback"))
            assert sorted(order[:2]) == ["async started", "sync"]
            assert order[2:] == ["callback"]
        finally:
            release.set()
        await session.drain()
        assert order[3:] == ["async ended"]

    async def test_beside_once_and_off(self, session: evsession.Session) -> None:
        first, beside, once = Told(), Told(), Told()
        session.on(409, first)
        session.add_listener(409, beside)
        session.once(409, once)
        for _ in range(2):
            await conflict(session)
        assert (len(first.calls), len(beside.calls), len(once.calls)) == (2, 2, 1)
        session.off(409, beside)
        await conflict(session)
        session.off(409)
        await conflict(session)
        assert (len(first.calls), len(beside.calls)) == (3, 2)

    async def test_as_decorators(self, session: evsession.Session) -> None:
        errors = []

        @session.on(409)
        def handler(error: evsession.SessionError) -> None:
            errors.append(error)

        await conflict(session)
        assert len(errors) == 1
        assert callable(handler)

    async def test_an_exception_of_a_handler_is_not_swallowed(self, make_store: Any) -> None:
        with pytest.raises(ZeroDivisionError):
            async with make_store() as store, store.open_session() as session:
                session.on(409, lambda error: 1 / 0)
                await conflict(session)
                await trio.sleep_forever()

    async def test_unless_somebody_takes_it(self, make_store: Any) -> None:
        taken = Told()
        store = make_store()
        store.on("exception", taken)
        async with store, store.open_session() as session:
            session.on(409, lambda error: 1 / 0)
            callback = Told()
            await conflict(session, callback)
            assert len(callback.calls) == 1
            await session.load(MAX, lambda error, document: document["missing"])
        assert [type(error) for error in taken.errors] == [ZeroDivisionError, KeyError]

    @pytest.mark.parametrize("event", ["", None, 5, 600, True, 4.5])
    async def test_what_can_be_no_event(self, unsent: evsession.Session, event: Any) -> None:
        with pytest.raises(evsession.ConfigurationError):
            unsent.on(event, print)
        wrong: Any = 5
        with pytest.raises(TypeError):
            unsent.on("error", wrong)


class TestOfTheStore:
    async def test_are_inherited_replaced_and_added(self, make_store: Any) -> None:
        of_store, mine, beside = Told(), Told(), Told()
        store = make_store()
        store.on(409, of_store)
        store.add_listener("5xx", of_store)
        async with store:
            async with store.open_session() as inheriting, store.open_session() as replacing, store.open_session() as adding:
                replacing.on(409, mine)
                adding.add_listener(409, beside)
                await conflict(inheriting)
                assert (len(of_store.calls), len(mine.calls), len(beside.calls)) == (1, 0, 0)
                await conflict(replacing)
                assert (len(of_store.calls), len(mine.calls), len(beside.calls)) == (1, 1, 0)
                await conflict(adding)
                assert (len(of_store.calls), len(mine.calls), len(beside.calls)) == (2, 1, 1)
                await bad_query(replacing)
                assert len(of_store.calls) == 3
                replacing.off("5xx")
                await bad_query(replacing)
                await bad_query(inheriting)
                assert len(of_store.calls) == 4
            with pytest.raises(evsession.ConfigurationError):
                store.on(409, mine)

    async def test_more_specific_ones_of_the_session_go_first(self, make_store: Any) -> None:
        general, special = Told(), Told()
        store = make_store()
        store.on("error", general)
        async with store, store.open_session() as session:
            session.on(409, special)
            await conflict(session)
            await bad_query(session)
        assert [type(error) for error in special.errors] == [evsession.ConcurrencyError]
        assert [type(error) for error in general.errors] == [evsession.QueryError]

    async def test_hear_of_what_the_store_does(self, make_store: Any, database: str) -> None:
        told = Told()
        store = make_store()
        store.on(409, told)
        async with store:
            with pytest.raises(evsession.ConcurrencyError):
                await store.create_database(database)
        assert len(told.calls) == 1


class TestMissingDocuments:
    async def test_are_told_although_they_are_no_error(self, session: evsession.Session) -> None:
        told, general, callback = Told(), Told(), Told()
        session.on(404, told)
        session.on("error", general)
        assert await session.load("dogs/nobody", callback) is None
        assert callback.calls == [(None, None)]
        (error,) = told.errors
        assert isinstance(error, evsession.SessionError)
        assert (error.status_code, error.key, error.operation) == (404, "dogs/nobody", "load")
        documents = await session.load([MAX, "dogs/neither", BILLY, "dogs/nor"])
        assert len(documents) == 2
        assert [error.key for error in told.errors] == ["dogs/nobody", "dogs/neither", "dogs/nor"]
        assert not general.calls

    async def test_are_told_before_the_callback(self, session: evsession.Session) -> None:
        order: list[str] = []
        session.on(404, lambda error: order.append("handler"))
        await session.load("dogs/nobody", "puppy", lambda error, document, includes: order.append("callback"))
        assert order == ["handler", "callback"]

    async def test_are_told_each_time(self, session: evsession.Session) -> None:
        told = Told()
        session.once(404, told)
        await session.load("dogs/nobody")
        await session.load("dogs/nobody")
        assert len(told.calls) == 1


class TestTheWire:
    async def test_requests_and_responses(self, session: evsession.Session, backend: Backend, database: str) -> None:
        seen: list[evsession.WireEvent] = []
        session.on("request", seen.append)
        session.on("response", seen.append)
        await session.load("dogs/a b")
        session.store(Dog(), key="dogs/new")
        await session.save()
        await bad_query(session)
        facts = [(event.name, event.operation, event.method, event.status_code, event.attempt) for event in seen]
        assert facts == [
            ("request", "load", "GET", None, 1),
            ("response", "load", "GET", 404, 1),
            ("request", "save", "POST", None, 1),
            ("response", "save", "POST", 201, 1),
            ("request", "raw", "POST", None, 1),
            ("response", "raw", "POST", 500, 1),
        ]
        assert seen[0].url == seen[1].url == f"{backend.url}/databases/{database}/docs?id=dogs%2Fa%20b"
        assert [event.duration is not None and event.duration > 0 for event in seen] == [False, True] * 3

    async def test_of_all_sessions(self, make_store: Any) -> None:
        told = Told()
        store = make_store()
        store.on("request", told)
        async with store, store.open_session() as one, store.open_session() as two:
            await one.load(MAX)
            await two.load(MAX)
            await change(store, MAX, age=1)
        assert [event.operation for event in told.errors] == ["load", "load", "load", "save"]
