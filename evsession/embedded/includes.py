"""Which documents a document refers to, by the path of an include. Knows values only."""

from __future__ import annotations

import re
from collections.abc import Iterator

from evsession.wire.json import JSON

__all__ = ["included_ids"]

_PREFIXED = re.compile(r"(.*)\(([^()]*)\)", re.DOTALL)


def included_ids(document: JSON, path: str) -> Iterator[str]:
    """Yield the ids that stand at the path.

    Fields are joined by dots, lists are entered with or without ``[]``, and ``number(people/)`` puts a text before each value.
    Names are case sensitive (all seen on 5.4 - 7.1).
    """
    match = _PREFIXED.fullmatch(path)
    path, prefix = match.groups() if match else (path, "")
    steps = path.replace("[]", "").split(".")
    found = [document]
    for step in steps:
        found = [value[step] for value in _entered(found) if isinstance(value, dict) and step in value]
    for value in _entered(found):
        if isinstance(value, str) or (prefix and isinstance(value, (int, float)) and not isinstance(value, bool)):
            yield f"{prefix}{value}"


def _entered(values: list[JSON]) -> Iterator[JSON]:
    for value in values:
        if isinstance(value, list):
            yield from _entered(value)
        else:
            yield value
