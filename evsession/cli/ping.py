"""``ping``: whether a server answers, and which."""

from __future__ import annotations

import click
import trio

import evsession
from evsession.cli.target import Target, on_documents

__all__ = ["ping", "spell_server"]


@click.command()
@on_documents(needs_database=False)
def ping(target: Target) -> None:
    """Tell which server answers, in which version, and how long it took.

    RavenDB, Neo4j and the local server are known. A database of documents that is named must be there, too.
    """
    try:
        said = _ask_documents(target)
    except evsession.ConnectionFailed as error:
        if not target.urls:
            raise
        said = _ask_graphs(target, error)
    click.echo(said)


def _ask_documents(target: Target) -> str:
    store = target.documents()

    async def ask() -> str:
        begun = trio.current_time()
        version = await store.server_version()
        took = trio.current_time() - begun
        if target.database is not None:
            async with store.open_session() as session:
                await session.exists("ping")
        return _answered(spell_server(version), took)

    return store.run(ask)


def _ask_graphs(target: Target, otherwise: evsession.SessionError) -> str:
    """Return what a Neo4j says, or raise the error where there is none either."""
    graph = target.graphs()

    async def ask() -> str:
        begun = trio.current_time()
        version = await graph.server_version()
        return _answered(f"Neo4j {version}", trio.current_time() - begun)

    try:
        return graph.run(ask)
    except evsession.SessionError:
        raise otherwise from None


def spell_server(version: str) -> str:
    """Return the name of a server of documents by the version that it says."""
    raven, _, own = version.partition("+evsession-")
    return f"the embedded server of evsession {own} (as RavenDB {raven})" if own else f"RavenDB {raven}"


def _answered(server: str, seconds: float) -> str:
    return f"{server} answered in {seconds * 1000:.1f} ms"
