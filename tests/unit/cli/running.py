"""Running commands in this process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from evsession.cli.commands import commands

__all__ = ["PYTHON", "evsession_cli", "on_file", "printed"]

_HEED = "import os, signal, sys; signal.signal(2, signal.SIG_DFL); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"

PYTHON = [sys.executable, "-c", _HEED]
"""Python as it is started in a terminal. One that a shell starts in the background, and what that starts, ignores Ctrl-C."""

NOTHING = {"EVSESSION_URL": None, "EVSESSION_DATABASE": None, "EVSESSION_PASSWORD": None}


def evsession_cli(*arguments: str | Path, input: str | bytes | None = None, **environment: str) -> Result:
    """Run a command; what it raises beside its exit is raised here."""
    runner = CliRunner(env={**NOTHING, **environment})
    return runner.invoke(commands, [*map(str, arguments)], input=input, catch_exceptions=False)


def on_file(path: Path, *arguments: str | Path, input: str | bytes | None = None) -> Result:
    """Run a command on a file of the embedded server."""
    return evsession_cli(*arguments, "--data", path, input=input)


def printed(result: Result) -> list[Any]:
    """Return what was printed, of a command that did well."""
    assert (result.exit_code, "Error" in result.stderr) == (0, False), result.output
    return [json.loads(line) for line in result.stdout_bytes.splitlines()]
