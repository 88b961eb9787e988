"""Keys: how RavenDB compares them, and which it refuses. Knows strings only."""

from __future__ import annotations

from evsession.embedded.failures import RavenFailure, invalid_argument

__all__ = ["check_database_name", "check_key", "complaint_about", "fold_key"]

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


def check_database_name(name: str) -> str:
    """Return the name that a database is to have, without spaces around it.

    Raises:
        RavenFailure: no database may be called so, with RavenDB's words (seen on 7.1).
    """
    name = name.strip()
    complaint = complaint_about(name, "_-.")
    if not name:
        message = "Name cannot be null or empty."
    elif "/" in name:
        message = f"The name '{name}' contains characters that are forbidden for use!"
    elif name.lower() in _DEVICES:
        message = f"The name '{name}' is forbidden for use!"
    elif len(name) > MAX_NAME_LENGTH:
        message = f"The name '{name}' exceeds '{MAX_NAME_LENGTH}' characters!"
    elif complaint:
        message = f"The name '{name}' is not permitted. {complaint}"
    else:
        return name
    raise RavenFailure(400, "Raven.Client.Exceptions.BadRequestException", message)


_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{kind}{number}" for kind in ("com", "lpt") for number in range(1, 10))})
"""Names that files cannot have on Windows."""


def complaint_about(name: str, allowed: str) -> str | None:
    """Return what RavenDB says of the characters of a name, if there is something to say.

    Args:
        name: The name.
        allowed: What it may have besides letters and digits of the basic plane.
    """
    if not all((ord(c) < 0x10000 and (c.isalpha() or c.isdecimal())) or c in allowed for c in name):
        listed = ", ".join(f"'{character}'" for character in allowed)
        return f"Only letters, digits and characters ({listed}) are allowed."
    if not all(name.split(".")):
        return "If a name contains '.' character then it must be surrounded by other allowed characters."
    return None
