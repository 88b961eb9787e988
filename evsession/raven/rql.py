"""Pieces of a query's text: names that cannot end where they should not, conditions, parameters.

Knows RQL's lexical rules, seen on 5.4, 6.2 and 7.1. Names are quoted, escaped or refused; values become parameters, always.

A quoted and a bare name are different fields of an auto index (``'v'`` and ``v``), so fields are quoted only if need be.
A name with a NUL makes 7.1 create auto indexes without end and never answer: control characters are refused. A dot always
separates steps of a path, quoted or not; a key that holds a dot itself cannot be reached by a query.
"""

from __future__ import annotations

import re
from typing import Any

from evsession.errors import ConfigurationError
from evsession.raven.conditions import AnyOf, Condition, Equals, OneOf, Pattern, Prefix, Range, Scalar, Suffix

__all__ = ["ID_FIELD", "Parameters", "check_name", "clause", "field_name", "is_plain", "javascript", "quoted"]

ID_FIELD = "id()"

_STEP = r"[A-Za-z_][A-Za-z0-9_]*(?:\[\])*"
_PLAIN = re.compile(rf"{_STEP}(?:\.{_STEP})*")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_KEYWORDS = frozenset(
    {
        "and",
        "as",
        "between",
        "distinct",
        "false",
        "filter",
        "from",
        "group",
        "in",
        "include",
        "limit",
        "load",
        "not",
        "null",
        "offset",
        "or",
        "order",
        "select",
        "true",
        "update",
        "where",
    }
)
"""Words that cannot begin a bare name in at least one place, in any case. Later steps of a path may be any of them."""


def check_name(name: object, what: str) -> str:
    """Return the name if a query can hold it.

    Raises:
        ConfigurationError: if it is no string, or holds a control character or half a surrogate pair.
    """
    if not isinstance(name, str):
        raise ConfigurationError(f"{what} is a string, not {name!r}")
    if _UNPRINTABLE.search(name):
        raise ConfigurationError(f"{name!r} cannot be {what}: it holds a control character or half a surrogate pair")
    return name


def quoted(name: str) -> str:
    """Return the name as a literal of RQL."""
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def is_plain(name: str) -> bool:
    """Return whether the name may stand in a query as it is."""
    return name == ID_FIELD or (
        _PLAIN.fullmatch(name) is not None and re.split(r"[.\[]", name, maxsplit=1)[0].lower() not in _KEYWORDS
    )


def field_name(name: str) -> str:
    """Return the field's name for ``where`` and ``order by``, quoted if it has to be."""
    return name if is_plain(name) else quoted(name)


def javascript(text: str) -> str:
    """Return the text as a JavaScript string in which everything but ASCII letters and digits is escaped."""
    units = text.encode("utf-16-be")
    codes = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    return '"' + "".join(chr(code) if code < 128 and chr(code).isalnum() else f"\\u{code:04x}" for code in codes) + '"'


class Parameters:
    """Values of a query on their way out: each becomes ``$p0``, ``$p1`` and so on, and its text never enters the query."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def add(self, value: Scalar | tuple[Scalar, ...]) -> str:
        """Return the reference to a value."""
        name = f"p{len(self.values)}"
        self.values[name] = list(value) if isinstance(value, tuple) else value
        return f"${name}"


def clause(field: str, condition: Condition, parameters: Parameters) -> str:
    """Return the condition on the field as a piece of ``where`` that binds as one."""
    name = field_name(field)
    match condition:
        case AnyOf(conditions):
            return f"({' or '.join(clause(field, part, parameters) for part in conditions)})"
        case Equals(value):
            return f"{name} = {parameters.add(value)}"
        case OneOf(values):
            return f"{name} in ({parameters.add(values)})"
        case Prefix(text):
            return f"startsWith({name}, {parameters.add(text)})"
        case Suffix(text):
            return f"endsWith({name}, {parameters.add(text)})"
        case Pattern(expression):
            return f"regex({name}, {parameters.add(expression)})"
        case Range():
            return _range(name, condition, parameters)
    return "true" if name == ID_FIELD else f"exists({name})"


def _range(name: str, condition: Range, parameters: Parameters) -> str:
    """Leave an open end out: comparing with null is an error of the server.

    On 5.4 (Lucene) null and the empty text are terms like ``NULL_VALUE``, which lie between other texts: they are left out.
    A range of nothing is asked for as such: 6.2 and 7.1 (Corax) turn its ends around or forget one.
    """
    if condition.is_empty:
        return f"{name} in ({parameters.add(())})"
    low, high = condition.low, condition.high
    parts = []
    if low is not None:
        parts.append(f"{name} {'>=' if condition.with_low else '>'} {parameters.add(low)}")
    if high is not None:
        parts.append(f"{name} {'<=' if condition.with_high else '<'} {parameters.add(high)}")
    if (isinstance(low, str) or isinstance(high, str)) and name != ID_FIELD:
        parts += [f"{name} != null"] + ([f"{name} != ''"] if low else [])
    return f"({' and '.join(parts)})" if len(parts) > 1 else parts[0]
