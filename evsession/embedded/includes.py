"""Which documents a document refers to, by the path of an include. Knows values only."""

from __future__ import annotations

import re
from collections.abc import Iterator

from evsession.wire.json import JSON

__all__ = ["included_ids"]

_INDEXED = re.compile(r"(?<=[^.\]])\[[^\[\]]+\]$")
_PREFIXED = re.compile(r"(.*)\(([^()]*)\)", re.DOTALL)


def included_ids(document: JSON, path: str) -> Iterator[str]:
    """Yield the ids that stand at the path.

    Fields are joined by dots, lists are entered with or without ``[]``, and ``number(people/)`` puts a text before each value.
    What stands in a list that is marked by ``[]`` and is no object is taken itself. Brackets at the end may hold anything, an
    index too, and mean the whole list all the same. Names are case sensitive. (Seen on 7.1, which refuses two pairs of them.)
    """
    match = _PREFIXED.fullmatch(path)
    path, prefix = match.groups() if match else (_INDEXED.sub("", path), "")
    found = [document]
    in_list = False
    for step in path.split("."):
        name = step.removesuffix("[]")
        found = [inner for value in _entered(found) for inner in _step(value, name, in_list)]
        in_list = name != step
    for value in _entered(found):
        if isinstance(value, str) or (prefix and isinstance(value, (int, float)) and not isinstance(value, bool)):
            yield f"{prefix}{value}"


def _step(value: JSON, name: str, in_list: bool) -> list[JSON]:
    if isinstance(value, dict):
        return [value[name]] if name in value else []
    return [value] if in_list else []


def _entered(values: list[JSON]) -> Iterator[JSON]:
    """Yield the values, of lists their items; lists within lists are not entered (seen on 7.1)."""
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value
