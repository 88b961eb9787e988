"""How commands end: what is said of a failure, and with which status. Knows no command."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

import evsession

__all__ = ["Commands", "told"]

INTERRUPTED = 130
"""The status that a shell gives to a program that Ctrl-C has ended."""

PIPE_BROKEN = 141
"""The status that a shell gives to a program that nobody listens to any more."""


class Commands(click.Group):
    """A group whose commands end with one line and a status, never with a traceback, whatever was expected to go wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was called.

        Raises:
            ClickException: with one line: the database or the system refused; status 1.
            Exit: the program was interrupted, 130; or nobody reads its output, 141.
        """
        try:
            return super().invoke(ctx)
        except evsession.SessionError as error:
            raise click.ClickException(told(error)) from error
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            _drop_output()
            ctx.exit(PIPE_BROKEN)
        except OSError as error:
            raise click.ClickException(_refused(error)) from error


def told(error: evsession.SessionError) -> str:
    """Return the error as one line: the message, the status and the code where there are any, and whether a write is unsure."""
    facts = ", ".join(str(fact) for fact in (error.status_code, error.code) if fact is not None)
    line = " ".join(error.message.split()) + (f" ({facts})" if facts else "")
    return f"{line}; the write may or may not have happened" if error.uncertain else line


def _refused(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else what


def _drop_output() -> None:
    """Let what Python still writes at its end go nowhere, or it would complain of the pipe again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
