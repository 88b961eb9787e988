"""The document store: connection, defaults for its sessions, and the run in which their operations take place."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from inspect import isawaitable
from ssl import SSLContext
from types import TracebackType
from typing import Any, TypeVar, overload

import trio

from evsession.config import Conventions, Options, SessionOptions
from evsession.errors import ConfigurationError, SessionClosed, SessionError
from evsession.raven.admin import create_database_flow, delete_database_flow, delete_index_flow, put_index_flow
from evsession.raven.hilo import HiLoRanges, hilo_return_flow
from evsession.raven.vocabulary import Database
from evsession.session.bulk import BulkInsert
from evsession.session.callbacks import Callback, shift
from evsession.session.events import Events, Listening
from evsession.session.gate import Gate
from evsession.session.operation import Operation, Steps
from evsession.session.runtime import Runtime
from evsession.session.session import Session
from evsession.transport import HTTPTransport, build_ssl_context, parse_urls
from evsession.wire.flow import Flow, run_flow
from evsession.wire.transport import Trail, Transport

__all__ = ["Store"]

T = TypeVar("T")

RETURN_TIMEOUT = 2.0
"""Seconds that giving back unused key numbers may hold up the end of a store; the server can do without them."""


class State(enum.Enum):
    """CONFIGURING -> READY <-> RUNNING."""

    CONFIGURING = "not initialized"
    READY = "not running"
    RUNNING = "running"


class Store(Listening):
    """One RavenDB server or cluster and its database.

    Set conventions, options and handlers, then enter ``async with store`` (a trio program) or call `run` (a program of
    callbacks). Leaving waits until every operation and callback is done. A store may be run again afterwards.

    Attributes:
        conventions: `Conventions` for all sessions, frozen by `initialize`.
        options: `Options` for all sessions and for the connections, frozen by `initialize`.
    """

    def __init__(
        self,
        urls: str | Sequence[str] | None = None,
        database: str | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        certificate: str | tuple[str, str] | None = None,
        ca_file: str | None = None,
        ssl_context: SSLContext | None = None,
        transport: Transport | None = None,
        conventions: Conventions | Mapping[str, Any] | None = None,
        options: Options | Mapping[str, Any] | None = None,
    ) -> None:
        """Describe the connection; nothing is opened yet.

        Args:
            urls: ``"http://127.0.0.1:8080"``, or several of one cluster: the first that can be reached is used, and the next
                one when connecting fails. Without a port it is 8080 for http and 443 for https.
            database: The name of the database; sessions need one.
            host: In place of `urls`, a host name or address, for plain http.
            port: The port of `host`; 8080.
            certificate: A PEM file with certificate and key, or a pair of files, for RavenDB's login by client certificate.
            ca_file: A PEM file of the authorities to trust, in place of the system's.
            ssl_context: A context to use, in place of `ca_file`; a `certificate` is loaded into it.
            transport: In place of all of these, something that carries the requests, such as a test's.
            conventions: `Conventions`, or a mapping of some.
            options: `Options`, or a mapping of some.

        Raises:
            ConfigurationError: nothing says where the server is, two things do, or something can be no URL, name, file or
                setting.
        """
        self._nodes = () if transport is not None else parse_urls(_urls(urls, host, port))
        if transport is not None and (urls, host, port) != (None, None, None):
            raise ConfigurationError("a transport says itself where it goes: give no urls, host or port")
        self._ssl_context = ssl_context
        if certificate is not None or ca_file is not None:
            if not all(node.scheme == "https" for node in self._nodes):
                raise ConfigurationError("certificate and ca_file are for https, but the URL is one of http")
            if ssl_context is not None and ca_file is not None:
                raise ConfigurationError("an ssl_context says itself whom it trusts: give no ca_file beside it")
            self._ssl_context = build_ssl_context(ssl_context, ca_file=ca_file, certificate=certificate)
        self._own_transport = transport
        self._database = None if database is None else Database(database)
        self.conventions = conventions if isinstance(conventions, Conventions) else Conventions(conventions)
        self.options = options if isinstance(options, Options) else Options(options)
        self._events = Events()
        self._gate = Gate()
        self._ranges: dict[str, HiLoRanges] = {}
        self._state = State.CONFIGURING
        self._live: tuple[Runtime, Transport] | None = None
        self._scope: AbstractAsyncContextManager[None] | None = None

    def initialize(self) -> Store:
        """Freeze conventions, options and handlers, and return the store; entering or running it does the same."""
        if self._state is State.CONFIGURING:
            self.conventions._freeze()
            self.options._freeze()
            self._state = State.READY
        return self

    async def __aenter__(self) -> Store:
        """Start to run.

        Raises:
            ConfigurationError: it runs already.
        """
        if self._scope is not None:
            raise ConfigurationError("this store is running already")
        scope = self._scope = self._run_scope()
        try:
            await scope.__aenter__()
        except BaseException:
            self._scope = None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        scope, self._scope = self._scope, None
        assert scope is not None
        return await scope.__aexit__(kind, error, traceback)  # noqa: ASYNC102 - what must be shielded there is

    @asynccontextmanager
    async def _run_scope(self) -> AsyncIterator[None]:
        self.initialize()
        transport = self._own_transport or HTTPTransport([node.url for node in self._nodes], self.options, self._ssl_context)
        try:
            async with Runtime.open() as runtime:
                self._live, self._state = (runtime, transport), State.RUNNING
                yield
                await self._gate.wait()
                await self._return_ranges(transport)
        finally:
            self._live, self._state = None, State.READY
            with trio.CancelScope(shield=True):
                await transport.aclose()

    @overload
    def run(self, main: Callable[..., Awaitable[T]], *args: Any) -> T: ...
    @overload
    def run(self, main: Callable[..., T], *args: Any) -> T: ...
    def run(self, main: Callable[..., Any], *args: Any) -> Any:
        """Start trio, run `main`, and return its result once every operation and callback is done.

        `main` is a plain or an async function. Ctrl-C stops everything and leaves as KeyboardInterrupt.
        """

        async def run_main() -> Any:
            async with self:
                result = main(*args)
                return await result if isawaitable(result) else result

        return trio.run(run_main)

    async def _return_ranges(self, transport: Transport) -> None:
        """Give unused numbers back; what hinders that is no failure of the program's."""
        with trio.move_on_after(RETURN_TIMEOUT):
            for name, ranges in self._ranges.items():
                with suppress(SessionError):
                    flow = hilo_return_flow(Database(name), ranges)
                    await run_flow(flow, lambda request: transport.send(request, Trail("close")))

    def _running(self) -> tuple[Runtime, Transport]:
        if self._live is None or self._live[0].is_ended:
            raise SessionClosed(f"this store is {self._state.value}: use 'async with store' or store.run(main)")
        self._live[0].check_thread()
        return self._live

    def _check_listening(self) -> None:
        if self._state is not State.CONFIGURING:
            raise ConfigurationError("the store's handlers are frozen since it was initialized; add them before, or to a session")

    def open_session(self, database: str | None = None) -> Session:
        """Return a new session; it starts with copies of the store's conventions, options and handlers.

        Args:
            database: Another database than the store's.

        Raises:
            ConfigurationError: the store is not initialized, or no database was named.
        """
        if self._state is State.CONFIGURING:
            raise ConfigurationError("initialize the store before opening a session: store.initialize(), 'async with' or run()")
        chosen = self._choose(database)
        return Session(
            database=chosen,
            conventions=self.conventions._copy_as(Conventions),
            options=self.options._copy_as(SessionOptions),
            events=self._events.copy(),
            gate=Gate(self._gate),
            ranges=self._ranges_of(chosen),
            running=self._running,
        )

    def bulk_insert(self, database: str | None = None) -> BulkInsert:
        """Return a `BulkInsert` into the store's or another database: ``async with store.bulk_insert() as insert: ...``."""
        chosen = self._choose(database)
        return BulkInsert(self, chosen, self.conventions, self._ranges_of(chosen))

    def _choose(self, database: str | None) -> Database:
        if database is not None:
            return Database(database)
        if self._database is None:
            raise ConfigurationError("no database: name one in Store(url, database) or in this call")
        return self._database

    def _ranges_of(self, database: Database) -> HiLoRanges:
        return self._ranges.setdefault(database.name, HiLoRanges())

    def create_database(self, name: str, callback: Callback | None = None) -> Operation[None]:
        """Create a database.

        Raises:
            ConcurrencyError: there is one of this name, 409.
            ConfigurationError: the name can be none.
        """
        return Operation(self, "create_database", _steps(lambda: create_database_flow(Database(name))), callback, 0)

    def delete_database(self, name: str, callback: Callback | None = None) -> Operation[None]:
        """Delete a database and its files, if there is one of this name."""
        return Operation(self, "delete_database", _steps(lambda: delete_database_flow(Database(name))), callback, 0)

    def put_index(
        self, name: str, maps: str | Sequence[str], reduce: Any = None, fields: Any = None, callback: Callback | None = None
    ) -> Operation[None]:
        """Define a static index, or change it; RavenDB builds it in the background.

        Until a changed one is built, queries are answered by the old definition, also those that wait for a fresh result (seen on
        5.4 - 7.1).

        Args:
            name: The name for `Session.index`.
            maps: One map or several, in C# (``from d in docs.Dogs select new { d.breed }``) or JavaScript.
            reduce: The reduce function, if there is one.
            fields: Options of fields, as RavenDB names them: ``{"name": {"Indexing": "Search"}}``.
            callback: Called with the error.

        Raises:
            SessionError: it does not compile.
        """
        callback, reduce, fields = shift(callback, reduce, fields)
        steps = _steps(lambda: put_index_flow(self._choose(None), name, maps, reduce, fields))
        return Operation(self, "put_index", steps, callback, 0)

    def delete_index(self, name: str, callback: Callback | None = None) -> Operation[None]:
        """Delete a static index.

        Raises:
            SessionError: status 404, there is none of this name.
        """
        return Operation(self, "delete_index", _steps(lambda: delete_index_flow(self._choose(None), name)), callback, 0)

    def __repr__(self) -> str:
        where = ", ".join(node.url for node in self._nodes) or repr(self._own_transport)
        return f"<Store {where} {self._database.name if self._database else None!r} {self._state.value}>"


def _urls(urls: str | Sequence[str] | None, host: str | None, port: int | None) -> Sequence[str]:
    if urls is not None:
        if host is not None or port is not None:
            raise ConfigurationError("give either urls or host and port, not both")
        if not isinstance(urls, (str, Sequence)):
            raise ConfigurationError(f"urls is a URL or a list of them, not {urls!r}")
        return [urls] if isinstance(urls, str) else list(urls)
    if host is None:
        raise ConfigurationError("where is the server? Give urls, host, or a transport")
    literal = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return [f"http://{literal}" if port is None else f"http://{literal}:{port}"]


def _steps(build: Callable[[], Flow[object]]) -> Steps:
    """Return the steps of an operation without results; bad arguments are found when its request is made."""
    yield from build()
    return ()
