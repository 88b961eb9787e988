"""Which documents a document refers to by an include path. Reads rows as RavenDB does; sends nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from evsession.errors import ConfigurationError
from evsession.wire.json import JSON

__all__ = ["include_paths", "referred_keys"]

_PREFIXED = re.compile(r"(?P<path>.*)\((?P<prefix>[^()]*)\)\Z")


def include_paths(includes: Any) -> tuple[str, ...]:
    """Return the paths that were asked for: none, one text, or several.

    Raises:
        ConfigurationError: something else was given.
    """
    if includes is None:
        return ()
    is_one = isinstance(includes, (str, Mapping)) or not isinstance(includes, Iterable)
    paths = (includes,) if is_one else tuple(includes)
    for path in paths:
        if not isinstance(path, str) or not path:
            raise ConfigurationError(f"an include is the path of a field, such as 'owner.id', not {path!r}")
    return paths


def referred_keys(row: JSON, path: str) -> Iterator[str]:
    """Yield the keys that the row holds at the path.

    A path names fields joined by dots; lists are gone through with or without ``[]``; ``number(people/)`` puts a prefix before
    what is found. Names are case sensitive (seen on 5.4, 6.2 and 7.1).
    """
    prefixed = _PREFIXED.match(path)
    prefix, path = (prefixed["prefix"], prefixed["path"]) if prefixed else ("", path)
    for value in _walk(row, path.replace("[]", "").split(".")):
        if isinstance(value, str) or (prefix and isinstance(value, int)):
            yield f"{prefix}{value}"


def _walk(value: JSON, names: list[str]) -> Iterator[JSON]:
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, names)
    elif not names:
        yield value
    elif isinstance(value, dict) and names[0] in value:
        yield from _walk(value[names[0]], names[1:])
