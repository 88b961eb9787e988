"""SQL functions that read documents as indexes do. Every connection that asks or writes needs them; see `prepare`.

Regular expressions are those of the package ``regex``, which differ from .NET's in rare things: classes that subtract
(``[a-z-[m]]``), groups that balance, and the options ``RightToLeft`` and ``ECMAScript``.
"""

from __future__ import annotations

import re
import sqlite3
from hashlib import blake2b
from typing import Any

import msgspec
import regex

from evsession.embedded.failures import RavenFailure
from evsession.embedded.query.terms import Term, decode_body, terms_of, texts_in_order, values_at
from evsession.wire.json import JSON, decode, encode

__all__ = ["check_pattern", "prepare"]

PATTERN_TIMEOUT = 0.1
"""Seconds that one regular expression may look at one text; RavenDB's own default."""

MAX_PATTERN = 10_000
"""Characters of a regular expression."""


def prepare(connection: sqlite3.Connection) -> None:
    """Register the functions on a connection."""
    reader = _Reader()
    connection.create_function("ev_terms", 3, reader.terms, deterministic=True)
    connection.create_function("ev_key", 4, reader.key, deterministic=True)
    connection.create_function("ev_has", 2, reader.has, deterministic=True)
    connection.create_function("ev_empty", 2, reader.empty, deterministic=True)
    connection.create_function("ev_phrase", 3, reader.phrase, deterministic=True)
    connection.create_function("ev_regex", 2, _matches, deterministic=True)
    connection.create_function("ev_suffix", 2, _ends_with, deterministic=True)
    connection.create_function("ev_infix", 2, _contains, deterministic=True)
    connection.create_function("ev_shuffle", 2, _shuffle, deterministic=True)


class _Reader:
    """Reads documents for one connection, which one thread uses at a time; several fields of one document decode it once."""

    def __init__(self) -> None:
        self._body: str | None = None
        self._document: JSON = None

    def _terms(self, body: str, path: str | None, analyzer: str) -> list[Term]:
        if path is None:  # a field that only other maps of the index have
            return []
        try:
            if body != self._body:
                self._document = decode_body(body)
                self._body = body
            return terms_of(self._document, path, analyzer)
        except (RecursionError, ValueError, msgspec.MsgspecError):
            # Nested too deeply, or with a number of thousands of digits: it can be stored, but not be searched.
            self._body = None
            return []

    def terms(self, body: str, path: str | None, analyzer: str) -> str:
        """Return the field's terms as JSON: ``[[text, whole, fraction], ...]``."""
        return encode(self._terms(body, path, analyzer)).decode()

    def key(self, body: str, path: str | None, kind: str, last: int) -> str | int | float | None:
        """Return what a document is sorted by, or None if the field has nothing of the kind: its first term, or its last."""
        terms = self._terms(body, path, "fold")
        keys: list[Any]
        if kind == "long":
            keys = [term.whole for term in terms if term.whole is not None]
        elif kind == "double":
            keys = [term.fraction for term in terms if term.fraction is not None]
        else:
            keys = [term.text for term in terms if term.text is not None]
            if kind == "alphanumeric":
                keys = [_natural(text) for text in keys]
        return (max if last else min)(keys, default=None)

    def has(self, body: str, path: str | None) -> bool:
        """Return whether the document has the field; null counts."""
        return bool(self._terms(body, path, "fold"))

    def empty(self, body: str, path: str | None) -> bool:
        """Return whether the field has values, but only empty lists."""
        has_terms = bool(self._terms(body, path, "fold"))
        return path is not None and not has_terms and self._body is not None and bool(values_at(self._document, path))

    def phrase(self, body: str, path: str | None, phrase: str) -> bool:
        """Return whether the field has these words, a list of JSON, one after the other."""
        if path is None or not self._terms(body, path, "words"):
            return False
        wanted, found = decode(phrase.encode()), texts_in_order(self._document, path)
        return any(found[at : at + len(wanted)] == wanted for at in range(len(found) - len(wanted) + 1))


def _natural(text: str) -> str:
    """Return a text that sorts digits by the number they make, and after what is no digit."""
    return re.sub(r"\d+", lambda digits: f"{len(digits[0].lstrip('0')):04d}{digits[0].lstrip('0')}", text)


def check_pattern(pattern: str) -> None:
    """See that a text is a regular expression.

    Raises:
        RavenFailure: it is none.
    """
    if len(pattern) > MAX_PATTERN:
        raise _bad_pattern(f"Invalid pattern: it is longer than {MAX_PATTERN} characters.")
    try:
        _compile(pattern)
    except regex.error as error:
        raise _bad_pattern(f"Invalid pattern '{pattern}' at offset {getattr(error, 'pos', 0)}. {error}.") from None


def _bad_pattern(message: str) -> RavenFailure:
    return RavenFailure(500, "System.Text.RegularExpressions.RegexParseException", message)


def _compile(pattern: str) -> Any:
    r"""Compile a pattern of .NET. ``\z`` is the very end, ``\Z`` may be a line's, ``\k<name>`` is what the group matched."""
    return regex.compile(_ESCAPE.sub(_translated, pattern), regex.IGNORECASE | regex.VERSION0)


_ESCAPE = re.compile(r"\\(?:k(?:<(?P<name>\w+)>|'(?P<quoted>\w+)')|(?P<one>.))", re.DOTALL)
_ENDS = {"z": r"\Z", "Z": r"(?=\n?\Z)"}


def _translated(escape: re.Match[str]) -> str:
    name = escape["name"] or escape["quoted"]
    if name:
        return f"\\{name}" if name.isdecimal() else f"(?P={name})"
    return _ENDS.get(escape["one"], escape[0])


def _matches(pattern: str, text: str | None) -> bool:
    if text is None:
        return False
    try:
        return _compile(pattern).search(text, timeout=PATTERN_TIMEOUT) is not None
    except TimeoutError:
        # SQLite turns whatever is raised here into "user-defined function raised exception".
        return False


def _ends_with(text: str | None, suffix: str) -> bool:
    return text is not None and (text.endswith(suffix) if suffix else text == "")


def _contains(text: str | None, part: str) -> bool:
    return text is not None and part in text


def _shuffle(seed: str, etag: int) -> int:
    return int.from_bytes(blake2b(f"{seed}/{etag}".encode(), digest_size=7).digest(), "big")
