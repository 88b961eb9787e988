"""All commands in one group. Each is in a module of its own, which knows its options and nothing of the others."""

from __future__ import annotations

import click

from evsession.cli.serve import serve
from evsession.config import VERSION

__all__ = ["commands"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="evsession")
def commands() -> None:
    """Sessions on RavenDB, and a local server that speaks its API."""


commands.add_command(serve)
