"""NAME=VALUE, as commands take it. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

__all__ = ["assigned", "parse_value"]


def parse_value(text: str) -> Any:
    """Return what the text is as JSON, or else the text itself: ``5`` is a number, ``"5"`` a text, and so is ``5 TO 10``."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return text


def assigned(arguments: Iterable[str]) -> dict[str, Any]:
    """Return the values of ``NAME=VALUE`` by their names.

    Raises:
        ValueError: naming an argument that has no ``=`` or no name, or a name that has two values.
    """
    values: dict[str, Any] = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if not equals or not name:
            raise ValueError(f"{argument!r} is not NAME=VALUE")
        if name in values:
            raise ValueError(f"{name!r} is given twice")
        values[name] = parse_value(text)
    return values
