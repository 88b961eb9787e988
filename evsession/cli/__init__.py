"""The command line. Uses what is public, and the embedded server; click and the commands are imported when it is used."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line and return the exit status."""
    try:
        from evsession.cli.commands import commands
    except ImportError as error:
        print(f"the command line needs the package {error.name}: pip install 'evsession[cli]'", file=sys.stderr)
        return 1
    commands(prog_name="evsession")
    return 0
