"""Where a command goes: the options that say so, and the store that they mean."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeAlias, TypeVar

import click
from click.core import ParameterSource

import evsession

__all__ = ["Target", "on_documents", "on_graphs", "run_in_session"]

Command: TypeAlias = Callable[..., Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """A server or a file, as the options name it.

    Attributes:
        urls: Of one server, or of the nodes of a cluster.
        database: The database, or None.
        data: The file of the embedded server, in place of URLs.
        timeout: Seconds for each operation, or None.
        ca_file: A PEM file of the authorities to trust.
        certificate: A PEM file to log in with.
    """

    urls: tuple[str, ...] = ()
    database: str | None = None
    data: str | None = None
    timeout: float | None = None
    ca_file: str | None = None
    certificate: str | None = None

    @property
    def _connection(self) -> dict[str, Any]:
        return {"ca_file": self.ca_file, "certificate": self.certificate, "options": {"timeout": self.timeout}}

    def documents(self) -> evsession.Store:
        """Return the store of documents, which does not run yet."""
        if self.data is None:
            return evsession.Store(self.urls, self.database, **self._connection)
        return evsession.Store.embedded(self.data, self.database or "default", options={"timeout": self.timeout})

    def graphs(self, auth: tuple[str, str] | None = None) -> evsession.GraphStore:
        """Return the store of graphs, which does not run yet."""
        return evsession.GraphStore(self.urls, self.database or "neo4j", auth=auth, **self._connection)


def run_in_session(target: Target, work: Callable[[evsession.Store, evsession.Session], Awaitable[T]]) -> T:
    """Start trio, run the work in a session that remembers nothing, and return its result."""
    store = target.documents()

    async def run() -> T:
        async with store.open_session(with_identity_map=False) as session:
            return await work(store, session)

    return store.run(run)


CONNECTION = (
    click.option(
        "--url", "urls", metavar="URL", multiple=True, envvar="EVSESSION_URL", help="The server; again for further nodes."
    ),
    click.option("--database", metavar="NAME", envvar="EVSESSION_DATABASE", help="The database."),
    click.option("--timeout", metavar="SECONDS", type=click.FloatRange(0, min_open=True), help="A limit for each operation."),
    click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="PEM: whom to trust, in place of the system's."),
    click.option("--certificate", type=click.Path(exists=True, dir_okay=False), help="PEM: certificate and key to log in with."),
)

NO_SERVER = "say where the server is: --url or EVSESSION_URL"
NO_DATABASE = "say which database: --database or EVSESSION_DATABASE"


def on_documents(*, makes: bool = False, needs_database: bool = True) -> Callable[[Command], Command]:
    """Give a command on documents its options of the connection; it gets a `Target` as its first argument.

    Args:
        makes: Whether the file of ``--data`` may be one that is not there yet.
        needs_database: Whether a server must be told a database.
    """
    data = click.option(
        "--data",
        type=click.Path(exists=not makes, dir_okay=False),
        help="In place of a URL: a file of the local server" + (", made if missing." if makes else "."),
    )

    def check(target: Target) -> Target:
        target = _file_or_server(target)
        if not target.urls and target.data is None:
            raise click.UsageError(f"{NO_SERVER}, or --data with a file of the local server")
        if target.urls and target.database is None and needs_database:
            raise click.UsageError(NO_DATABASE)
        return target

    return _with_target((*CONNECTION, data), check)


def on_graphs(command: Command) -> Command:
    """Give a command on graphs its options of the connection; it gets a `Target` as its first argument."""
    return _with_target(CONNECTION, _check_graphs)(command)


def _check_graphs(target: Target) -> Target:
    if not target.urls:
        raise click.UsageError(NO_SERVER)
    return target


def _file_or_server(target: Target) -> Target:
    """Let a file that was named in the call win over a server that was named in the environment."""
    if target.data is None:
        return target
    if target.ca_file or target.certificate or _is_in_call("urls"):
        raise click.UsageError("--data is in place of --url, --ca-file and --certificate")
    return Target(database=target.database, data=target.data, timeout=target.timeout)


def _is_in_call(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def _with_target(options: tuple[Any, ...], check: Callable[[Target], Target]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        @wraps(command)
        def call(
            *arguments: Any,
            urls: tuple[str, ...],
            database: str | None,
            timeout: float | None,
            ca_file: str | None,
            certificate: str | None,
            data: str | None = None,
            **more: Any,
        ) -> Any:
            return command(check(Target(urls, database, data, timeout, ca_file, certificate)), *arguments, **more)

        made: Command = call
        for option in reversed(options):
            made = option(made)
        return made

    return decorate
