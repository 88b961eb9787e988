"""Keys: how RavenDB compares them, and which it refuses. Knows strings only."""

from __future__ import annotations

from evsession.embedded.failures import invalid_argument

__all__ = ["MAX_NAME_LENGTH", "check_key", "fold_key", "is_database_name"]

MAX_KEY_SIZE = 512
"""Bytes that a key may have in UTF-8; RavenDB's own limit (seen on 7.1)."""


MAX_NAME_LENGTH = 128
"""Characters that the name of a database may have; RavenDB's own limit (seen on 7.1)."""


def fold_key(key: str) -> str:
    """Return the key as it is compared: each character in lower case by itself.

    A final sigma is a sigma, and a character whose lower case is two characters stays what it is (seen on 7.1).
    """
    if key.isascii():
        return key.lower()
    return "".join(folded if len(folded := character.lower()) == 1 else character for character in key)


def check_key(key: str) -> str:
    """Return the folded key.

    Raises:
        RavenFailure: if it is too long, with RavenDB's words.
    """
    if len(key) * 3 > MAX_KEY_SIZE and (size := len(key.encode())) > MAX_KEY_SIZE:
        raise invalid_argument(
            f"Document ID cannot exceed {MAX_KEY_SIZE} bytes, but the ID was {size} bytes. The invalid ID is '{key}'."
            " (Parameter 'str')"
        )
    return fold_key(key)


def is_database_name(name: str) -> bool:
    """Return whether a database may be called this: letters, digits, ``_``, ``-`` and ``.`` (seen on 7.1)."""
    return name.strip(".") != "" and all(character.isalnum() or character in "_-." for character in name)
