"""Keys of documents: which texts can be one, and what a new document asks the server for.

Knows RavenDB's rules for document ids and the conventions. Knows no request; ranges of numbers are `evsession.raven.hilo`'s.

Seen on 5.4, 6.2 and 7.1: ids differ by case in nothing; ``a|b``, ``per%cent``, ``..``, quotes, emoji and spaces at either end are
kept as they are; ``x/`` and ``x|`` ask the server for the rest; a blank id counts as none, so the document gets a GUID; the limit
is 512 bytes of UTF-8.
"""

from __future__ import annotations

import unicodedata
from enum import Enum
from typing import Any, Literal

from evsession.config import Conventions
from evsession.errors import ConfigurationError
from evsession.raven.codec import id_of
from evsession.raven.types import TypeInfo, derive_key, info_of

__all__ = [
    "MAX_KEY_BYTES",
    "KeySource",
    "check_key",
    "check_new_key",
    "chosen_key",
    "is_server_made",
    "key_from_id",
    "new_key",
    "separator_of",
]

MAX_KEY_BYTES = 512
"""Of UTF-8; a longer one is a 500 (seen on 5.4, 6.2 and 7.1)."""


class KeySource(Enum):
    """Where a key is fetched before the save."""

    HILO = "hilo"


def check_key(key: object) -> str:
    """Return the key if a document could have it.

    Raises:
        ConfigurationError: naming the key and what is wrong with it.
    """
    if not isinstance(key, str):
        raise ConfigurationError(f"a key is text, not {key!r}")
    if 0 < len(key) <= MAX_KEY_BYTES and key.isascii() and key.isprintable() and key[0] != " ":
        return key  # as nearly every key is
    if not key.strip():
        raise ConfigurationError(f"a key is not blank, as {key!r} is")
    try:
        size = len(key) if key.isascii() else len(key.encode())
    except UnicodeEncodeError:
        raise ConfigurationError(f"the key {key!r} has half a surrogate pair, which has no form in UTF-8") from None
    if size > MAX_KEY_BYTES:
        raise ConfigurationError(f"the key {key[:40]!r}... has {size} bytes; RavenDB takes {MAX_KEY_BYTES}", key=key)
    if not key.isprintable() and any(unicodedata.category(character) == "Cc" for character in key):
        raise ConfigurationError(f"the key {key!r} has a control character", key=key)
    return key


def check_new_key(key: object) -> str:
    """Return the key if a document can be stored under it; as a new id, ``dogs/`` and ``dogs|`` ask the server for the rest.

    Raises:
        ConfigurationError: naming the key and what is wrong with it.
    """
    checked = check_key(key)
    return checked if checked[-1] not in "/|" else _check_end(checked)


def _check_end(checked: str) -> str:
    if checked[-1] in "/|":
        raise ConfigurationError(
            f"the key {checked!r} ends in {checked[-1]!r}, so the server would make the rest; set no id for that, and "
            "id_generation_strategy 'server' or 'auto'",
            key=checked,
        )
    return checked


def is_server_made(key: str | None) -> bool:
    """Return whether what `new_key` gave leaves the key, or the rest of it, to the server."""
    return key is None or key[-1] in "/|"


def key_from_id(id: str, collection: str | None, separator: str) -> str:
    """Return the key that an id means; see `derive_key`.

    Raises:
        ConfigurationError: if no document can have the key.
    """
    checked = check_key(id)
    if separator in checked:
        return checked if checked[-1] not in "/|" else _check_end(checked)
    key = derive_key(checked, collection, separator)
    return _check_end(checked) if key is checked else check_new_key(key)


def separator_of(entity: Any, conventions: Conventions) -> str:
    """Return what stands between the collection and the rest of a key that is made here."""
    info = info_of(entity)
    return (info and info.id_separator) or conventions.id_separator


def chosen_key(
    entity: Any, info: TypeInfo | None, conventions: Conventions, *, collection: str | None = None, known: str | None = None
) -> str | None:
    """Return the key that the entity's own id means, or what the type's `key` function returns; None if neither says one.

    Args:
        entity: The entity.
        info: What was declared about its class, if anything.
        conventions: The session's.
        collection: Where it goes, if not where its class says.
        known: What this gave before; it is not checked again.

    Raises:
        ConfigurationError: if no document can have the key.
    """
    id = id_of(entity)
    if id is None and info is not None and info.key is not None:
        id = info.key(entity)
    if id is None:
        return None
    if collection is None and info is not None:
        collection = info.collection
    separator = (info and info.id_separator) or conventions.id_separator
    # A `key` function may return anything; what is no text is refused below.
    if known is not None and type(id) is str and derive_key(id, collection, separator) == known:
        return known
    return key_from_id(id, collection, separator)


def new_key(
    entity: Any, info: TypeInfo | None, conventions: Conventions, *, collection: str | None = None, known: str | None = None
) -> str | Literal[KeySource.HILO] | None:
    """Return the id that a new document is sent with, `KeySource.HILO` if a number is to be fetched for it first.

    In this order: the entity's own id, what the type's `key` function returns, the type's strategy, the session's. Options of the
    type go before the conventions. Keys that the server makes have ``/`` whatever the separator is, as in 2012. Without a
    collection there is nothing to put in front of a number, so the server makes a GUID.

    Args:
        entity: The new entity.
        info: What was declared about its class, if anything.
        conventions: The session's.
        collection: Where it goes, if not where its class says.
        known: The key that its id meant before, if that was asked; it is not checked again.

    Returns:
        A whole key, ``"dogs|"`` (auto), ``"dogs/"`` (server), or None for a GUID.
    """
    if collection is None and info is not None:
        collection = info.collection
    chosen = chosen_key(entity, info, conventions, collection=collection, known=known)
    if chosen is not None:
        return chosen
    strategy = (info and info.id_generation_strategy) or conventions.id_generation_strategy
    if callable(strategy):
        return check_new_key(strategy(entity))
    if collection is None or strategy == "guid":
        return None
    if strategy == "hilo":
        return KeySource.HILO
    return f"{collection.lower()}{'|' if strategy == 'auto' else '/'}"
