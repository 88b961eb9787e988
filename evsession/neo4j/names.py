"""Names in Cypher: labels, relationship types, properties, aliases and databases. The only place that puts a name into a text."""

from __future__ import annotations

import re

from evsession.errors import ConfigurationError

__all__ = ["check_database", "quote"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LONGEST = 16_383  # of a label on 5.26 and 2026.07; far above what anybody needs, and far below what a parser chokes on


def quote(name: object, what: str = "a name") -> str:
    r"""Return the name as it stands in a statement: as it is if it is plain, else in backticks with those in it doubled.

    Neo4j reads ``\u0060`` as a backtick before it parses anything, so a name with a backslash that begins such an escape is
    refused: no spelling of it is safe on every version.

    Raises:
        ConfigurationError: it can be no name.
    """
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{what} is a text that is not empty, not {name!r}")
    if _PLAIN.fullmatch(name):
        return name
    if len(name) > _LONGEST:
        raise ConfigurationError(f"{what} may have {_LONGEST} characters, not {len(name)}")
    if "\0" in name or "\\u" in name.lower():
        raise ConfigurationError(f"{what} may hold neither a NUL nor an escape such as '\\u0060': {name!r}")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{what} has half a surrogate pair: {name!r}") from None
    return "`" + name.replace("`", "``") + "`"


def check_database(name: object) -> str:
    """Return the name of a database; which names there may be is for the server to say, as aliases may have any."""
    if not isinstance(name, str) or not name or not name.isprintable() or name.strip(".") == "":
        raise ConfigurationError(f"{name!r} cannot be the name of a database")
    return name
