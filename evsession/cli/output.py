"""What commands write: values to the standard output, remarks and progress to the standard error output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

__all__ = ["counted", "name_of", "note", "open_input", "printing", "progress"]


@contextmanager
def printing() -> Iterator[Callable[[bytes], Any]]:
    """Give a function that writes to the standard output. What was written is out at the end, or there is a `BrokenPipeError`.

    Raises:
        OSError: it was closed before the program began, as by ``>&-``.
    """
    if sys.stdout is None:
        raise OSError("the standard output is closed")
    out = sys.stdout.buffer
    try:
        yield out.write
    finally:
        out.flush()


def open_input(path: str) -> Any:
    """Open a file, or the standard input for ``"-"``, to read its bytes.

    Raises:
        OSError: it cannot be; or the standard input was closed before the program began.
    """
    if path == "-" and sys.stdin is None:
        raise OSError("the standard input is closed")
    return click.open_file(path, "rb")


def note(text: str) -> None:
    """Tell something that is no result."""
    click.echo(text, err=True)


def name_of(path: str) -> str:
    """Return what errors call a file."""
    return "standard input" if path == "-" else path


def counted(number: int, of: int | None = None) -> str:
    """Return the number of documents in words: ``1 document``, ``2 of 5 documents``."""
    total = number if of is None else of
    return f"{number if of is None else f'{number} of {of}'} document{'' if total == 1 else 's'}"


def progress(label: str, length: int) -> Any:
    """Return a progress bar, whose ``update`` takes a number of steps. On what is no terminal it is its label alone."""
    return click.progressbar(length=length, label=label, file=sys.stderr, update_min_steps=max(1, length // 1000))
