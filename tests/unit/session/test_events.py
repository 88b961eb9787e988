"""Who is told of what: precedence, inheritance, order, once and off, and what can be no handler."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import trio

import evsession
from evsession import ConfigurationError, ConnectionFailed, SessionError
from evsession.session.events import Events, event_name, failure_events
from evsession.testing.scripted import ScriptedTransport, json_answer
from tests.unit.session.conftest import Scripted, loaded, refused, row

CONFLICT = refused(409, "Raven.Client.Exceptions.ConcurrencyException", "changed")


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (409, "409"),
        ("409", "409"),
        ("4xx", "4xx"),
        ("5XX", "5xx"),
        ("error", "error"),
        ("ConcurrencyException", "ConcurrencyException"),
        ("Raven.Client.Exceptions.ConcurrencyException", "ConcurrencyException"),
    ],
)
def test_an_event_has_one_spelling(event: Any, name: str) -> None:
    assert event_name(event) == name


@pytest.mark.parametrize(
    "event", [True, None, "", 3.5, 99, 600, "42", ("409",), "6xx", "0XX", "409 ", "no event", "insert.pree", "eror"]
)
def test_what_can_be_no_event_is_refused(event: Any) -> None:
    with pytest.raises(ConfigurationError, match="event|status"):
        event_name(event)


def test_events_of_a_failure_from_the_most_specific() -> None:
    error = SessionError("", status_code=409, code="ConcurrencyException")
    assert failure_events(error) == ["ConcurrencyException", "409", "4xx", "error"]
    assert failure_events(SessionError("", status_code=503)) == ["503", "5xx", "error"]
    assert failure_events(ConnectionFailed("")) == ["error"]
    assert failure_events(ZeroDivisionError()) == ["error"]


@pytest.mark.parametrize("count", range(1, 5))
async def test_only_the_most_specific_event_fires(scripted: Scripted, count: int) -> None:
    told: list[str] = []
    names = ["error", "4xx", "409", "ConcurrencyException"][:count]
    async with scripted(CONFLICT) as (session, _):
        for name in names:
            session.on(name, lambda error, name=name: told.append(name))
        with pytest.raises(SessionError):
            await session.load("dogs/max")
    assert told == [names[-1]]


async def test_store_handlers_are_inherited_replaced_and_added() -> None:
    told: list[str] = []
    store = evsession.Store(transport=ScriptedTransport(repeat=CONFLICT), database="db")
    store.on(409, lambda error: told.append("store"))
    async with store:
        inherits, replaces, adds = (store.open_session() for _ in range(3))
        replaces.on("409", lambda error: told.append("replaced"))
        adds.add_listener(409, lambda error: told.append("added"))
        for session, expected in [(inherits, ["store"]), (replaces, ["replaced"]), (adds, ["store", "added"])]:
            told.clear()
            session.exists("dogs/max", lambda error, found: told.append("callback"))
            await session.drain()
            assert told == [*expected, "callback"]


async def test_on_replaces_what_was_set_before(scripted: Scripted) -> None:
    told: list[str] = []
    async with scripted(CONFLICT) as (session, _):
        session.on(409, lambda error: told.append("first"))
        session.on(409, lambda error: told.append("second"))
        with pytest.raises(SessionError):
            await session.load("dogs/max")
    assert told == ["second"]


async def test_decorators_keep_the_function(scripted: Scripted) -> None:
    async with scripted(CONFLICT, CONFLICT) as (session, _):
        told: list[Any] = []

        @session.on(409)
        def first(error: SessionError) -> None:
            told.append(("first", error.status_code))

        @session.add_listener("409")
        def second(error: SessionError) -> None:
            told.append(("second", error.message))

        @session.once(409)
        def third(error: SessionError) -> None:
            told.append(("third", error.code))

        for _ in range(2):
            with pytest.raises(SessionError):
                await session.load("dogs/max")
    assert told[:3] == [("first", 409), ("second", "changed"), ("third", "ConcurrencyException")]
    assert told[3:] == told[:2]
    assert [first.__name__, second.__name__, third.__name__] == ["first", "second", "third"]


async def test_once_on_a_store_is_once_in_each_session() -> None:
    told: list[int] = []
    store = evsession.Store(transport=ScriptedTransport(repeat=CONFLICT), database="db")
    store.once(409, lambda error: told.append(1))
    async with store:
        for session in (store.open_session(), store.open_session()):
            for _ in range(2):
                session.exists("dogs/max", lambda error: None)
            await session.drain()
    assert told == [1, 1]


async def test_off(scripted: Scripted) -> None:
    told: list[str] = []

    def one(error: Any) -> None:
        told.append("one")

    def two(error: Any) -> None:
        told.append("two")

    async with scripted(repeat=CONFLICT) as (session, _):

        async def fail() -> list[str]:
            told.clear()
            with pytest.raises(SessionError):
                await session.load("dogs/max")
            return list(told)

        session.on(409, one)
        session.add_listener(409, two)
        session.once(409, one)
        session.off(409, one)
        assert await fail() == ["two"]
        session.off(409)
        session.off(409)
        session.off("error", one)
        assert await fail() == []


async def test_a_missing_document_is_told_to_404_only(scripted: Scripted) -> None:
    told: list[Any] = []
    async with scripted(repeat=json_answer(None, 404)) as (session, _):
        session.on("4xx", told.append)
        session.on("error", told.append)
        assert await session.load("dogs/max") is None
        assert told == []
        session.on(404, told.append)
        assert await session.load("dogs/max", lambda error, document: told.append((error, document))) is None
    error, called = told
    assert (error.status_code, error.key, error.operation) == (404, "dogs/max", "load")
    assert called == (None, None)


async def test_each_missing_document_of_several_is_told(scripted: Scripted) -> None:
    told: list[str] = []
    async with scripted(loaded(None, row("dogs/b"), None)) as (session, _):
        session.on(404, lambda error: told.append(error.key))
        assert len(await session.load(["dogs/a", "dogs/b", "dogs/c"])) == 1
    assert told == ["dogs/a", "dogs/c"]


async def test_async_handlers_are_started_before_the_callback_and_awaited_by_the_session(scripted: Scripted) -> None:
    told: list[str] = []

    async def slow(error: Any) -> None:
        told.append("handler begins")
        await trio.testing.wait_all_tasks_blocked()
        told.append("handler ends")

    async with scripted(CONFLICT, json_answer(None, 404)) as (session, _):
        session.on(409, slow)
        session.on(404, slow)
        for _attempt in range(2):
            session.load("dogs/max", lambda *_: told.append("callback"))
            await session.drain()
    assert told == ["handler begins", "callback", "handler ends"] * 2


async def test_a_transport_failure_fires_error(scripted: Scripted) -> None:
    told: list[Any] = []
    async with scripted() as (session, _):
        session.on("error", told.append)
        with pytest.raises(ConnectionFailed):
            await session.load("dogs/max")
    assert [type(error) for error in told] == [ConnectionFailed]


async def test_an_error_that_nobody_listens_to_crashes_nothing(scripted: Scripted) -> None:
    async with scripted(CONFLICT) as (session, _):
        session.load("dogs/max")
        await session.drain()


async def test_observers_see_what_was_sent(scripted: Scripted) -> None:
    seen: list[evsession.WireEvent] = []
    async with scripted(loaded(row("dogs/max"))) as (session, _):
        session.on("request", seen.append)
        session.on("response", seen.append)
        await session.load("dogs/max")
    assert [(event.name, event.operation, event.method, event.status_code) for event in seen] == [
        ("request", "load", "GET", None),
        ("response", "load", "GET", 200),
    ]
    assert seen[0].url == "http://scripted/databases/db/docs?id=dogs%2Fmax"


def test_observation_is_noticed_whatever_way_it_begins_or_ends() -> None:
    events = Events()
    seen = [events.observes]
    for change in (
        lambda: events.add("retry", print, once=True),
        lambda: events.pick("retry"),
        lambda: events.replace("failover", print),
        lambda: events.remove("failover"),
        lambda: events.add("409", print),
    ):
        change()
        assert events.copy().observes is events.observes
        seen.append(events.observes)
    assert seen == [False, True, False, True, False, False]


@pytest.mark.parametrize("add", ["on", "once", "add_listener"])
def test_a_handler_must_be_callable_and_the_event_possible(add: str) -> None:
    store = evsession.Store("http://localhost")
    with pytest.raises(TypeError, match="'409'"):
        getattr(store, add)(409, "not callable")
    with pytest.raises(ConfigurationError):
        getattr(store, add)(1000)


def test_handlers_of_a_store_are_frozen_by_initialize() -> None:
    store = evsession.Store("http://localhost").initialize()
    for change in (
        lambda: store.on(409, print),
        lambda: store.off(409),
        lambda: store.once(409),
        lambda: store.add_listener(409),
    ):
        with pytest.raises(ConfigurationError, match="frozen"):
            change()


def test_no_warning_when_pyee_is_used_without_a_loop() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Events().add("error", print)


@pytest.mark.parametrize("event", ["-1", "+409", "4.5", "@409"])
async def test_what_begins_like_no_code_is_no_event(scripted: Scripted, event: str) -> None:
    async with scripted() as (session, _):
        with pytest.raises(evsession.ConfigurationError, match="is not an event"):
            session.on(event, print)


@pytest.mark.parametrize("handler", [lambda: None, lambda one, two: None, dict.get])
async def test_a_handler_takes_one_argument(scripted: Scripted, handler: Any) -> None:
    async with scripted() as (session, _):
        for event in (404, "error", "request", "insert.pre"):
            for register in (session.on, session.once, session.add_listener):
                with pytest.raises(TypeError, match="must take one argument"):
                    register(event, handler)
