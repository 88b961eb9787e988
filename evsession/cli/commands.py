"""All commands in one group. Each is in a module of its own, which knows its options and nothing of the others."""

from __future__ import annotations

import click

import evsession
from evsession.cli.cypher import cypher
from evsession.cli.documents import delete, load, patch, query, save
from evsession.cli.endings import Commands
from evsession.cli.files import export_documents, import_documents
from evsession.cli.ping import ping
from evsession.cli.serve import serve

__all__ = ["commands"]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(evsession.__version__, prog_name="evsession")
def commands() -> None:
    """Documents of a RavenDB, graphs of a Neo4j, and a local server that speaks RavenDB's API.

    The server is named by --url or EVSESSION_URL, its database by --database or EVSESSION_DATABASE. Commands on documents also
    take --data, a file of the local server, and then need no server at all.

    Documents and records are printed as JSON, one on each line; counts, progress and errors go to the standard error output.
    The status is 0 for success, 1 for a failure, 2 for a call that cannot be.
    """


for command in (load, query, save, delete, patch, cypher, import_documents, export_documents, ping, serve):
    commands.add_command(command)
