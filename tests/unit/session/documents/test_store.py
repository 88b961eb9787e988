"""Where a store's requests go, what is frozen when, and what is refused before anything is opened."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

import evsession
from evsession import ConfigurationError, SessionError
from evsession.session.runtime import unwrap
from evsession.testing.scripted import ScriptedTransport, json_answer
from tests.unit.session.conftest import Scripted, refused

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"urls": "http://localhost:8080"}, "http://localhost:8080"),
        ({"urls": "http://localhost"}, "http://localhost:8080"),
        ({"urls": ["http://a:1", "http://b:2/"]}, "http://a:1, http://b:2"),
        ({"host": "localhost"}, "http://localhost:8080"),
        ({"port": 18080}, "http://localhost:18080"),
        ({"host": "127.0.0.1", "port": 18080}, "http://127.0.0.1:18080"),
        ({"host": "::1", "port": 18080}, "http://[::1]:18080"),
        ({"host": "[::1]"}, "http://[::1]:8080"),
        ({"urls": "https://raven.example"}, "https://raven.example:443"),
    ],
)
def test_where_a_store_goes(arguments: dict[str, Any], shown: str) -> None:
    assert shown in repr(evsession.Store(**arguments, database="db"))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"database": "db"},
        {"port": 0},
        {"urls": "http://a", "host": "b"},
        {"urls": "http://a", "port": 80},
        {"urls": []},
        {"urls": 5},
        {"urls": "ftp://a"},
        {"urls": "http://a/path"},
        {"urls": "http://user:secret@a"},
        {"urls": "a:8080"},
        {"urls": "http://a", "transport": ScriptedTransport()},
        {"host": "a", "transport": ScriptedTransport()},
        {"urls": "http://a", "database": "a/b"},
        {"urls": "http://a", "database": ""},
        {"urls": "http://a", "options": {"timeuot": 3}},
        {"urls": "http://a", "options": {"timeout": 0}},
        {"urls": "http://a", "conventions": {"id_generation_strategy": "none"}},
        {"urls": "http://a", "certificate": "client.pem"},
        {"urls": "https://a", "certificate": "/missing/client.pem"},
        {"urls": "https://a", "ca_file": "/missing/ca.pem"},
        {"urls": "https://a", "ca_file": "ca.pem", "ssl_context": ssl.create_default_context()},
    ],
)
def test_what_can_be_no_store_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        evsession.Store(**arguments)
    assert "secret" not in str(caught.value)


def test_certificates_are_read_when_the_store_is_made(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    store = evsession.Store("https://localhost", "db", ca_file=str(tmp_path / "ca.pem"), certificate=str(tmp_path / "client.pem"))
    assert "client.pem" not in repr(store)
    given = ssl.create_default_context()
    store = evsession.Store("https://localhost", "db", ssl_context=given, certificate=[str(tmp_path / "client.pem")])  # type: ignore[arg-type]
    assert store._ssl_context is given


def test_options_and_conventions_may_be_given_in_any_form() -> None:
    given = evsession.Options(timeout=3)
    store = evsession.Store("http://a", options=given, conventions=evsession.Conventions(id_separator="-"))
    assert store.options is given
    assert store.conventions.id_separator == "-"
    assert evsession.Store("http://a", options={"cache": False}).options.cache is False


def test_initialize_freezes() -> None:
    store = evsession.Store("http://a", "db")
    store.options.timeout = 5
    with pytest.raises(ConfigurationError, match="initialize the store"):
        store.open_session()
    assert store.initialize() is store
    assert store.initialize() is store
    with pytest.raises(ConfigurationError, match="'timeout' is frozen"):
        store.options.timeout = 6
    with pytest.raises(ConfigurationError, match="'id_separator' is frozen"):
        store.conventions.id_separator = "-"
    with pytest.raises(ConfigurationError, match="is frozen since the store was initialized"):
        store.options = {}
    session = store.open_session()
    setattr(session, "options", {"timeout": 3, "cache": False})  # noqa: B010 - the checker wants the type that is read
    assert (session.options.timeout, session.options.cache) == (3, False)
    session.conventions = {}
    for wrong in (5, "timeout", {"timeuot": 3}):
        with pytest.raises(ConfigurationError, match=r"the options are SessionOptions or a mapping of some, not|'timeuot'"):
            setattr(session, "options", wrong)  # noqa: B010 - as above
    session.options.timeout = 7
    session.conventions.id_separator = "_"
    assert (store.options.timeout, store.conventions.id_separator) == (5, "/")


def test_a_session_needs_a_database() -> None:
    store = evsession.Store("http://a").initialize()
    with pytest.raises(ConfigurationError, match="no database"):
        store.open_session()
    assert "'other'" in repr(store.open_session("other"))
    with pytest.raises(ConfigurationError, match="no database"):
        store.bulk_insert()
    assert "None" in repr(store)


async def test_administration(scripted: Scripted) -> None:
    told: list[Any] = []
    transport = ScriptedTransport(
        json_answer({"Name": "new"}, 201),
        json_answer({"PendingDeletes": []}),
        json_answer({"Results": [{"Index": "I"}]}, 201),
        json_answer(None, 204),
    )
    async with evsession.Store(transport=transport, database="db") as store:
        await store.create_database("new")
        await store.delete_database("new", lambda error: told.append(error))
        await store.put_index("I", "from d in docs.Dogs select new { d.name }", lambda error: told.append(error))
        await store.delete_index("I")
    assert told == [None, None]
    assert [(request.method, request.target.split("?")[0]) for request in transport.requests] == [
        ("PUT", "/admin/databases"),
        ("DELETE", "/admin/databases"),
        ("PUT", "/databases/db/admin/indexes"),
        ("DELETE", "/databases/db/indexes"),
    ]


async def test_failures_of_the_store_are_told_to_its_handlers() -> None:
    told: list[Any] = []
    store = evsession.Store(transport=ScriptedTransport(refused(409, "Raven.Client.Exceptions.ConcurrencyException")))
    store.on(409, told.append)
    async with store:
        with pytest.raises(evsession.ConcurrencyError) as caught:
            await store.create_database("db")
        assert told == [caught.value]
        with pytest.raises(ConfigurationError):
            store.create_database("a/b")
        with pytest.raises(ConfigurationError, match="no database"):
            store.put_index("I", "from d in docs.Dogs select new { d.name }")


async def test_the_transport_is_closed_when_the_store_ends() -> None:
    transport = ScriptedTransport()
    store = evsession.Store(transport=transport, database="db")
    seen: list[object] = [repr(store)]
    async with store:
        seen += [repr(store), transport.is_closed]
    seen += [repr(store), transport.is_closed]
    assert [str(one).rsplit("' ", 1)[-1] for one in seen] == ["not initialized>", "running>", "False", "not running>", "True"]


async def test_a_store_that_is_cancelled_ends_cancelled() -> None:
    transport = ScriptedTransport()
    with trio.CancelScope() as scope:
        async with evsession.Store(transport=transport, database="db"):
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert transport.is_closed


async def test_a_store_may_run_again_over_http() -> None:
    store = evsession.Store("http://127.0.0.1:9", "db")
    for _ in range(2):
        async with store, store.open_session() as session:
            with pytest.raises(evsession.ConnectionFailed):
                await session.exists("a")


async def test_entering_is_undone_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    store = evsession.Store("http://127.0.0.1:9", "db")
    with monkeypatch.context() as patch:
        patch.setattr("evsession.session.endpoint.HTTPTransport", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            async with store:
                raise AssertionError("it was entered")  # pragma: no cover
    async with store:
        pass


async def leave_by(error: BaseException) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever comes out is looked at
        async with evsession.Store(transport=ScriptedTransport(), database="db"):
            raise error
    return caught.value


@pytest.mark.parametrize("error", [ValueError("a"), KeyboardInterrupt(), ExceptionGroup("mine", [ValueError("a")])])
async def test_what_the_program_raises_leaves_as_it_was(error: BaseException) -> None:
    cause = KeyError("the cause")
    error.__cause__ = cause
    assert await leave_by(error) is error
    assert error.__cause__ is cause
    assert error.__context__ is None


async def test_a_handler_that_raises_because_of_an_error_that_nobody_caught_has_it_as_context() -> None:
    store = evsession.Store(transport=ScriptedTransport(refused(500)), database="db")
    store.on(500, lambda error: 1 / 0)
    with pytest.raises(ZeroDivisionError) as caught:
        async with store:
            await store.open_session().load("dogs/max")
    assert isinstance(caught.value.__context__, SessionError)


async def test_the_cause_of_an_error_survives_the_way_out() -> None:
    with pytest.raises(evsession.ConnectionFailed) as caught:
        async with evsession.Store("http://127.0.0.1:9", "db") as store:
            await store.open_session().load("dogs/max")
    assert isinstance(caught.value.__cause__, OSError)


def test_what_leaves_a_store() -> None:
    one, two, own = ValueError(), KeyError(), SessionError("own")
    cancelled = trio.Cancelled._create()
    group = BaseExceptionGroup("mine", [one, two])
    assert unwrap(one, one, []) is one
    assert unwrap(BaseExceptionGroup("nursery", [one, cancelled]), one, []) is one
    assert unwrap(BaseExceptionGroup("nursery", [BaseExceptionGroup("a copy", [one, two]), cancelled]), group, []) is group
    assert unwrap(cancelled, cancelled, []) is cancelled
    assert unwrap(cancelled, None, []) is cancelled
    assert unwrap(cancelled, cancelled, [one]) is one
    assert unwrap(BaseExceptionGroup("nursery", [two]), None, []) is two
    assert unwrap(None, None, [one]) is one
    assert unwrap(one, one, [one]) is one
    assert unwrap(own, own, [one]) is one
    assert one.__context__ is own
    cases: list[tuple[BaseException | None, BaseException | None, list[BaseException], int]] = [
        (one, one, [two], 2),
        (two, own, [one, two], 3),
        (None, None, [one, two], 2),
    ]
    for error, body, crashes, count in cases:
        several = unwrap(error, body, crashes)
        assert isinstance(several, BaseExceptionGroup)
        assert len(several.exceptions) == count


async def test_an_error_of_a_running_store_tells_where_it_happened(scripted: Scripted) -> None:
    async with scripted(refused(500)) as (session, _):
        with pytest.raises(SessionError) as caught:
            await session.load("dogs/max")
    assert caught.value.url == "http://scripted/databases/db/docs?id=dogs%2Fmax"
    assert caught.value.operation == "load"


def test_what_is_no_ssl_context() -> None:
    context: Any = 5
    with pytest.raises(evsession.ConfigurationError, match="ssl_context"):
        evsession.Store("https://127.0.0.1", "db", ssl_context=context)
