"""Bookmarks: what a session has seen, to be handed on to others. Their contents are the server's business."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from evsession.errors import ConfigurationError

__all__ = ["Bookmark", "bookmarks_of"]


class Bookmark(msgspec.Struct, frozen=True):
    """A point in the history of a database. A session that is opened with it sees everything that was written up to it.

    It is opaque, may be stored and sent elsewhere (it pickles, and its `values` are plain texts), and equals another one that
    says the same.

    Attributes:
        values: The server's texts, sorted; several where a session was opened with several and has not committed anything yet.
    """

    values: tuple[str, ...]

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "values", tuple(sorted(set(self.values))))


def bookmarks_of(given: Any) -> tuple[str, ...]:
    """Return the texts of a bookmark, of several, or of None.

    Raises:
        ConfigurationError: something can be no bookmark.
    """
    if given is None:
        return ()
    if isinstance(given, Bookmark):
        return given.values
    if isinstance(given, str):
        if not given:
            raise ConfigurationError("a bookmark is not empty")
        return (given,)
    if not isinstance(given, Iterable) or isinstance(given, (bytes, dict)):
        raise ConfigurationError(f"bookmarks are what last_bookmark() gives, not {given!r}")
    return tuple(dict.fromkeys(text for one in given for text in bookmarks_of(one)))
