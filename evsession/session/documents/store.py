"""The document store: connection, defaults for its sessions, and the run in which their operations take place."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from ssl import SSLContext
from typing import Any

import trio

from evsession.config import Conventions, Options, SessionOptions, check_flag
from evsession.errors import ConfigurationError, SessionError
from evsession.raven.admin import (
    create_database_flow,
    delete_database_flow,
    delete_index_flow,
    put_index_flow,
    server_version_flow,
)
from evsession.raven.hilo import HiLoRanges, hilo_return_flow
from evsession.raven.vocabulary import Database
from evsession.session.callbacks import Callback, shift
from evsession.session.documents.bulk import BulkInsert
from evsession.session.documents.session import Session
from evsession.session.endpoint import Endpoint
from evsession.session.gate import Gate
from evsession.session.helpers import SessionHelpers
from evsession.session.operation import Operation, Steps
from evsession.wire.flow import Flow, run_flow
from evsession.wire.transport import Trail, Transport

__all__ = ["Store"]

RETURN_TIMEOUT = 2.0
"""Seconds that giving back unused key numbers may hold up the end of a store; the server can do without them."""


class Store(SessionHelpers, Endpoint):
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
            host: In place of `urls`, a host name or address, for plain http; ``localhost`` if there is a port alone.
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
        super().__init__(
            urls,
            host,
            port,
            certificate=certificate,
            ca_file=ca_file,
            ssl_context=ssl_context,
            transport=transport,
            conventions=conventions,
            options=options,
        )
        self._prepare: Callable[[], Awaitable[None]] | None = None
        self._database = None if database is None else Database(database)
        self._ranges: dict[str, HiLoRanges] = {}

    @classmethod
    def embedded(
        cls,
        path: str | os.PathLike[str] | None = None,
        database: str = "default",
        *,
        conventions: Conventions | Mapping[str, Any] | None = None,
        options: Options | Mapping[str, Any] | None = None,
    ) -> Store:
        """Return a store on the embedded server: RavenDB's documents in a SQLite file, in this process, without a port.

        It needs the extra ``embedded``: ``pip install 'evsession[embedded]'``. The file is opened when the store is entered or
        run, and closed at the end; one store at a time may have it. The database is made if there is none of this name. A write
        that was handed to the server is not undone by cancelling it; the error then says `uncertain`, as over a network.

        Args:
            path: The file, made if it is missing. None, or SQLite's ``":memory:"``, keeps everything in memory, for as long as
                this store object lives.
            database: The name of the store's database.
            conventions: `Conventions`, or a mapping of some.
            options: `Options`, or a mapping of some; those about connections have no meaning here, but `max_body_size` has.

        Raises:
            ConfigurationError: the extra is not installed; or, when the store is entered or run: the file is none of the embedded
                server, is in use, of a newer version, or cannot be opened.
        """
        try:
            from evsession.embedded.transport import EmbeddedTransport
        except ImportError as error:
            raise ConfigurationError(
                f"the embedded server needs the package {error.name}: pip install 'evsession[embedded]'"
            ) from error
        path = None if path == ":memory:" else path
        settings = options if isinstance(options, Options) else Options(options)
        transport = EmbeddedTransport(path, settings)
        store = cls(database=database, transport=transport, conventions=conventions, options=settings)
        store._prepare = lambda: transport.start(database)
        return store

    async def _get_ready(self) -> None:
        if self._prepare is not None:
            await self._prepare()

    async def _say_goodbye(self, transport: Transport) -> None:
        """Give unused numbers back; what hinders that is no failure of the program's."""
        with trio.move_on_after(RETURN_TIMEOUT):
            for name, ranges in self._ranges.items():
                with suppress(SessionError):
                    flow = hilo_return_flow(Database(name), ranges)
                    await run_flow(flow, lambda request: transport.send(request, Trail("close")))

    def open_session(self, database: str | None = None, *, with_identity_map: bool = True) -> Session:
        """Return a new session; it starts with copies of the store's conventions, options and handlers.

        Args:
            database: Another database than the store's.
            with_identity_map: Whether the session remembers what it loads and notices edits. If not, every load gives new
                objects, and only what is added (`add`, `store`) is written.

        Raises:
            ConfigurationError: the store is not initialized, or no database was named.
        """
        self._check_initialized()
        chosen = self._choose(database)
        return Session(
            database=chosen,
            conventions=self.conventions._copy_as(Conventions),
            options=self.options._copy_as(SessionOptions),
            events=self._events.copy(),
            gate=Gate(self._gate),
            ranges=self._ranges_of(chosen),
            running=self._running,
            with_identity_map=check_flag("with_identity_map", with_identity_map),
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

    def server_version(self, callback: Callback | None = None) -> Operation[str]:
        """Ask which RavenDB it is, such as ``"7.1.5"``; asks each time, and needs no database.

        The embedded server names the version that it behaves like, and after a plus its own: ``"7.1.0+evsession-0.1.0"``.

        Raises:
            ProtocolError: it is no RavenDB.
        """
        return Operation(self, "server_version", _ask_version(), callback, 1)

    def __repr__(self) -> str:
        return f"<Store {self._where()} {self._database.name if self._database else None!r} {self._state.value}>"


def _steps(build: Callable[[], Flow[object]]) -> Steps:
    """Return the steps of an operation without results; bad arguments are found when its request is made."""
    yield from build()
    return ()


def _ask_version() -> Steps:
    return ((yield from server_version_flow()),)
