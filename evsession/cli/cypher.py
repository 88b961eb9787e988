"""``cypher``: one statement on a graph."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import GetPassWarning, getpass
from typing import Any

import click
import msgspec
import trio

import evsession
from evsession.cli.cells import cell
from evsession.cli.documents import check_assignments
from evsession.cli.lines import line
from evsession.cli.output import note, printing
from evsession.cli.target import Target, on_graphs

__all__ = ["cypher", "spell_counters"]


@click.command()
@click.argument("statement", metavar="QUERY")
@click.argument("parameters", metavar="[NAME=VALUE]...", nargs=-1, callback=check_assignments)
@click.option("--user", metavar="NAME", help="Log in; the password is asked for, or in EVSESSION_PASSWORD.")
@click.option("--pretty", is_flag=True, help="Indent the records.")
@on_graphs
def cypher(target: Target, statement: str, parameters: dict[str, Any], user: str | None, *, pretty: bool) -> None:
    """Run a statement on a Neo4j, and print its records.

    The parameter $NAME is the VALUE, which is JSON, or else text. The database is neo4j if none is named. Ctrl-C terminates the
    statement. What a statement has changed is told on the standard error output.
    """
    graph = target.graphs(None if user is None else (user, _password(user)))

    async def run() -> evsession.Summary | None:
        with cancelled_by_ctrl_c():
            async with graph.open_session(with_identity_map=False) as session:
                records = session.stream(statement, parameters)
                async for record in records:
                    write(line({name: cell(value) for name, value in record.items()}, pretty=pretty))
                return records.summary

    with printing() as write:
        summary = graph.run(run)
    changes = "" if summary is None else spell_counters(summary.counters)
    if changes:
        note(changes)


def _password(user: str) -> str:
    known = os.environ.get("EVSESSION_PASSWORD")
    if known is not None:
        return known
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)
            return getpass(f"Password of {user}: ")
    except (GetPassWarning, EOFError):
        raise click.UsageError("there is no terminal to ask for the password on: set EVSESSION_PASSWORD") from None


@contextmanager
def cancelled_by_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C cancel what is inside, and raise KeyboardInterrupt when that has ended.

    A KeyboardInterrupt in the midst of waiting ends the program only: the server goes on with the statement (seen on 5.26).
    Cancelling terminates it.
    """
    token = trio.lowlevel.current_trio_token()
    with trio.CancelScope() as scope:
        before = signal.signal(signal.SIGINT, lambda number, frame: token.run_sync_soon(scope.cancel))
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
    if scope.cancelled_caught:
        raise KeyboardInterrupt


def spell_counters(counters: evsession.Counters) -> str:
    """Return what was changed, in one line; an empty text if nothing was."""
    known = msgspec.structs.asdict(counters)
    return ", ".join(
        f"{name.replace('_', ' ')}: {number}" for name, number in known.items() if number and not isinstance(number, bool)
    )
