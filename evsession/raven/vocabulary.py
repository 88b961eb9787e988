"""RavenDB's names: paths, headers, metadata keys. Values only, so that client and server may share them."""

from __future__ import annotations

from dataclasses import dataclass, field

from evsession.errors import ConfigurationError
from evsession.wire.url import path

__all__ = ["SERVER_METADATA", "Database"]

COLLECTION = "@collection"
ID = "@id"
CHANGE_VECTOR = "@change-vector"
LAST_MODIFIED = "@last-modified"
METADATA = "@metadata"
PROJECTION = "@projection"
EMPTY_COLLECTION = "@empty"

SERVER_METADATA = frozenset(
    {
        ID,
        CHANGE_VECTOR,
        LAST_MODIFIED,
        "@flags",
        "@counters",
        "@timeseries",
        "@index-score",
        "@etag",
        "Last-Modified",
        "@attachments",
        PROJECTION,
    }
)
"""Metadata that the server owns. Most of it is ignored when sent back, but `@attachments` and `@projection` would be stored."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database by name, with its quoted base path and that of its documents."""

    name: str
    base: str = field(init=False, repr=False)
    docs: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # The server's own rule (seen on 7.1: "Only letters, digits and characters ('_', '-', '.') are allowed"); asking here
        # names the culprit before anything is sent.
        if not _is_name(self.name):
            raise ConfigurationError(f"{self.name!r} cannot be the name of a database: letters, digits and '_', '-', '.' only")
        object.__setattr__(self, "base", path("databases", self.name))
        object.__setattr__(self, "docs", self.path("docs"))

    def path(self, *segments: str) -> str:
        """Return the quoted path of an endpoint of this database."""
        return self.base + path(*segments)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != "" and all(c.isalnum() or c in "_-." for c in value) and value.strip(".") != ""
