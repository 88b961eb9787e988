"""Building request targets: every part that a caller gave is quoted, none is pasted in."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

__all__ = ["path", "target"]


def path(*segments: str) -> str:
    """Return an absolute path of quoted segments."""
    return "".join("/" + quote(segment, safe="") for segment in segments)


def target(base: str, query: Iterable[tuple[str, str]] = ()) -> str:
    """Return a path that is quoted already, with a query; the names in it are fixed words, the values are quoted.

    RavenDB reads a bare ``+`` in a query as a space (seen on 5.4, 6.2 and 7.1), so form encoding would do, but no other client
    sends it; percent encoding has one meaning everywhere.
    """
    pairs = "&".join([f"{name}={quote(value, safe='')}" for name, value in query])
    return f"{base}?{pairs}" if pairs else base
