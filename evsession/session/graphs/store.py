"""The graph store: connection, login, defaults for its sessions, and the run in which their operations take place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ssl import SSLContext
from typing import Any

from evsession.config import GraphOptions, GraphSessionOptions, Held, check_flag
from evsession.errors import ConfigurationError
from evsession.neo4j.bookmarks import Bookmark, bookmarks_of
from evsession.neo4j.flows import Known, learn_flow
from evsession.neo4j.models import Schema
from evsession.neo4j.statements import GraphDatabase
from evsession.neo4j.transactions import BasicAuth, BearerAuth, auth_header, check_access
from evsession.session.callbacks import Callback
from evsession.session.endpoint import Endpoint
from evsession.session.gate import Gate
from evsession.session.graphs.model import Model, make_model
from evsession.session.graphs.runnables import QueryRunner
from evsession.session.graphs.session import GraphSession
from evsession.session.helpers import SessionHelpers
from evsession.session.operation import Operation, Steps
from evsession.wire.transport import Transport

__all__ = ["GraphStore"]


class GraphStore(SessionHelpers, Endpoint):
    """One Neo4j server or cluster, spoken to by its HTTP Query API: Neo4j 5.26 and later.

    Set options and handlers, then enter ``async with graph`` (a trio program) or call `run` (a program of callbacks). Leaving
    waits until every operation and callback is done. A store may be run again afterwards.

    Attributes:
        conventions: Of no use to graphs; there for what is written for both kinds of store.
        options: `GraphOptions` for all sessions and for the connections, frozen by `initialize`.
    """

    _ports = {"http": 7474, "https": 7473}
    _login = "Neo4j's go into auth=(user, password)"

    options = Held(GraphOptions)

    def __init__(
        self,
        urls: str | Sequence[str] | None = None,
        database: str = "neo4j",
        *,
        auth: tuple[str, str] | BasicAuth | BearerAuth | None = None,
        host: str | None = None,
        port: int | None = None,
        certificate: str | tuple[str, str] | None = None,
        ca_file: str | None = None,
        ssl_context: SSLContext | None = None,
        transport: Transport | None = None,
        options: GraphOptions | Mapping[str, Any] | None = None,
    ) -> None:
        """Describe the connection; nothing is opened yet.

        Args:
            urls: ``"http://127.0.0.1:7474"``, or several of one cluster: the first that can be reached is used, and the next one
                when connecting fails. Without a port it is 7474 for http and 7473 for https.
            database: The name of the database; by HTTP Neo4j has no home database.
            auth: A user and a password, a `BasicAuth`, a `BearerAuth`, or None for a server that asks for no login.
            host: In place of `urls`, a host name or address, for plain http; ``localhost`` if there is a port alone.
            port: The port of `host`; 7474.
            certificate: A PEM file with certificate and key, or a pair of files, for a server that asks for one.
            ca_file: A PEM file of the authorities to trust, in place of the system's.
            ssl_context: A context to use, in place of `ca_file`; a `certificate` is loaded into it.
            transport: In place of all of these, something that carries the requests, such as a test's.
            options: `GraphOptions`, or a mapping of some.

        Raises:
            ConfigurationError: nothing says where the server is, two things do, or something can be no URL, name, login, file or
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
            conventions=None,
            options=options,
        )
        self._login_header = auth_header(auth)
        self._database = GraphDatabase(database, self._login_header)
        self._known = Known()

    def open_session(
        self,
        access_mode: str = "write",
        bookmarks: Bookmark | str | Iterable[Bookmark | str] | None = None,
        *,
        database: str | None = None,
        impersonated_user: str | None = None,
        with_identity_map: bool = True,
    ) -> GraphSession:
        """Return a new session; it starts with copies of the store's options and handlers.

        Args:
            access_mode: ``"write"``, or ``"read"``: then the server refuses statements that write.
            bookmarks: What other sessions' `last_bookmark` gave, also those of other stores and programs; this session sees what
                they wrote.
            database: Another database than the store's.
            impersonated_user: A user whose rights count in place of the own ones (Enterprise).
            with_identity_map: Whether the session remembers the nodes that it loads and notices edits. If not, every load gives
                new objects, and only what is added is written.

        Raises:
            ConfigurationError: the store is not initialized, or an argument can be none.
        """
        self._check_initialized()
        if impersonated_user is not None:
            _check_user(impersonated_user)
        return GraphSession(
            database=self._database if database is None else GraphDatabase(database, self._login_header),
            access=check_access(access_mode),
            bookmarks=bookmarks_of(bookmarks),
            impersonated_user=impersonated_user,
            known=self._known,
            options=self.options._copy_as(GraphSessionOptions),
            events=self._events.copy(),
            gate=Gate(self._gate),
            running=self._running,
            with_identity_map=check_flag("with_identity_map", with_identity_map),
        )

    @property
    def query_runner(self) -> QueryRunner:
        """Runs statements in a given session or transaction, or in a session of their own."""
        return QueryRunner(self)

    def model(
        self,
        labels: str | Sequence[str],
        properties: Mapping[str, Any] | Iterable[str] | None = None,
        primary_key: str = "id",
        *,
        relationships: Mapping[str, Any] | None = None,
    ) -> type[Model]:
        """Return a class for the nodes of a label: ``Users = graph.model("User", properties={"id": str, "age": int})``.

        Args:
            labels: The label of its nodes, or several, all of which they have.
            properties: Names and types, such as ``int``, ``"integer"``, ``{"type": str, "required": True}``, ``list[str]``; or
                names only; or None for any.
            primary_key: The property that tells the nodes apart; new nodes must have it.
            relationships: By alias: ``{"orders": {"model": Orders, "name": "ORDERED", "direction": "out"}}``, with ``properties``
                where there are any; the model may be ``"self"``, the direction ``"in"`` or ``"none"``.

        Raises:
            ConfigurationError: something in it cannot be; or a property has the name of a method of `Model`.
        """
        return make_model(self, Schema.of(labels, properties, primary_key, relationships or {}))

    def server_version(self, callback: Callback | None = None) -> Operation[str]:
        """Ask which Neo4j it is, such as ``"5.26.31"``; asked once, then remembered.

        Raises:
            ProtocolError: it is no Neo4j.
        """
        return Operation(self, "server_version", self._learn(), callback, 1)

    def _learn(self) -> Steps:
        return ((yield from learn_flow(self._known)).version,)

    def __repr__(self) -> str:
        return f"<GraphStore {self._where()} {self._database.name!r} {self._state.value}>"


def _check_user(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"impersonated_user is the name of a user, not {name!r}")
