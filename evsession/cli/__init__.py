"""The command line. Uses what is public, and the embedded server; click and the commands are imported when it is used."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, and exit with its status."""
    try:
        from evsession.cli.commands import commands
    except ImportError as error:
        sys.exit(f"the command line needs the package {error.name}: pip install 'evsession[cli]'")
    commands(prog_name="evsession")
