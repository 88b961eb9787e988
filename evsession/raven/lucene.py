r"""What one value of a query means: Lucene's notation, as queries of 2012 used it, becomes a small tree of conditions.

Knows values only; `evsession.raven.rql` turns the tree into a clause. The server's own ``lucene()`` is no help: it is gone on
6.2 and 7.1 (Corax), and on 5.4 it compares numbers as text.

========================================  ==========================================================================
``"5 TO 12"``, ``"[5 TO 12]"``            between; ``{`` and ``}`` leave their end out; ``*`` or ``NULL`` is an open end
``"Lab*"``, ``"*dor"``, ``"L?b*r"``       begins with, ends with, pattern (``*`` any text, ``?`` one character)
``"*"``                                   the field exists
``'"Golden Retriever"'``                  exactly this text
``"(a OR b)"``                            one of these; members may be quoted, or be any form but a group
``r"5 \* 3"``                             a backslash before a character of the notation takes its meaning away
``"[[NULL_VALUE]]"``, ``None``            null; ``"[[EMPTY_STRING]]"`` is the empty text
a list or tuple                           one of these, each taken as it is
anything else                             exactly this value (texts are compared without regard to case)
========================================  ===========================================================================

Text is exact unless it is one of the forms. Text that begins as a form and does not end as one (``"[5 TO 12"``, ``'"Max'``) is
refused before anything is sent, as are ``AND``, ``NOT`` and loose words in a group: guessing would find the wrong documents.
A bracket or quote that is closed early is ordinary punctuation: ``"(030) 123"``, ``"[draft] plan"``, ``'"Big" Al'``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import NoReturn
from uuid import UUID

from evsession.errors import QueryError
from evsession.raven.conditions import AnyOf, Condition, Equals, Exists, OneOf, Pattern, Prefix, Range, Scalar, Suffix
from evsession.wire.json import to_builtins

__all__ = ["parse_value"]

EXACT_INTEGERS = 2**53
"""Integers up to here are sent as floats: the server compares an integer parameter with the truncated field (1 "equals" 1.5)."""

SHOWN = 100
"""Characters of a value that an error shows."""

_SPECIAL = set('+-&|!(){}[]^"~*?:\\/ ')
_CONSTANTS: dict[str, str | None] = {"[[NULL_VALUE]]": None, "[[EMPTY_STRING]]": ""}
_CLOSING = {"[": "]", "{": "}", "(": ")"}
_TEXTUAL = (datetime, date, time, timedelta, Decimal, UUID)
# Most of these are text, which `re` compiles on first use and keeps: compiling all of them costs every import 1 ms.
_TERM = r'(?:"(?:[^"\\]|\\.)*"|[^\s"]\S*)'
_RANGE = rf"(?s)({_TERM})\s+TO\s+({_TERM})"
_HALF_RANGE = rf"(?s)TO\s+{_TERM}|{_TERM}\s+TO"
_PHRASE = r'(?s)"((?:[^"\\]|\\.)*)"'
_PROXIMITY = r'(?s)"(?:[^"\\]|\\.)*"[~^][\d.]*'
_MEMBER = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[\[{][^\[\]{}"]*[\]}]|(?:[^\s()"\\]|\\.)+)', re.DOTALL)
_OPERATOR = r"\s(?:TO|OR|AND|NOT)\s"
_NUMBER = r"(?:[ILFD]x)?([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d|$)")
_HEX = r"0x([0-9A-Fa-f]{1,16})"


def parse_value(field: str, value: object) -> Condition:
    """Return what the value asks of the field.

    Raises:
        QueryError: naming the field, the value and what is wrong with it.
    """
    if isinstance(value, (list, tuple)):
        return _one_of(_scalar(field, item) for item in value)
    if isinstance(value, str) and not isinstance(value, Enum):
        return _parse_text(field, str(value))
    return Equals(_scalar(field, value))


def _scalar(field: str, value: object) -> Scalar:
    """Return the value as the parameter it becomes; texts are taken as they are."""
    if isinstance(value, Enum):
        return _scalar(field, value.value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if re.search("[\ud800-\udfff]", value):
            _refuse(field, value, "it holds half a surrogate pair")
        return str(value)
    if isinstance(value, int):
        return float(value) if abs(value) <= EXACT_INTEGERS else int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _refuse(field, value, "it has no form in JSON")
    if isinstance(value, _TEXTUAL):
        return str(to_builtins(value))
    return _refuse(field, value, f"a value of type {type(value).__name__} cannot be compared; lists and single values can")


def _one_of(values: Iterator[Scalar]) -> Condition:
    """Group values by kind: the server refuses a list of several kinds, and even one of True and False.

    A time stands alone, too: ``=`` compares times however they are written, ``in`` compares their texts (seen on 5.4 - 7.1).
    """
    groups: dict[object, list[Scalar]] = {}
    for value in values:
        stands_alone = value is None or isinstance(value, bool) or (isinstance(value, str) and _TIME.match(value) is not None)
        groups.setdefault(value if stands_alone else type(value), []).append(value)
    parts = [OneOf(tuple(group)) if isinstance(kind, type) else Equals(group[0]) for kind, group in groups.items()]
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts)) if parts else OneOf(())


def _parse_text(field: str, value: str) -> Condition:
    _scalar(field, value)
    text = value.strip()
    if text in _CONSTANTS:
        return Equals(_CONSTANTS[text])
    first = text[:1]
    if first == "(":
        return _parse_group(field, value, text)
    if first in ("[", "{"):
        return _parse_brackets(field, value, text)
    if first == '"':
        return _parse_phrase(field, value, text)
    return _parse_bare(field, value, text)


def _parse_brackets(field: str, value: str, text: str) -> Condition:
    inside = text[1:-1].strip()
    if text[-1] not in "]}" or len(text) == 1:
        closing = max(text.find("]"), text.find("}"))
        if closing < 0:
            _refuse(field, value, f"{text[0]} is never closed")
        if re.search(_OPERATOR, text):
            _refuse(field, value, f"there is something after {text[closing]}")
        return _parse_wildcards(value)
    ends = re.fullmatch(_RANGE, inside)
    if ends is None:
        _refuse(field, value, f"{text[0]}...{text[-1]} is a range, which is written [low TO high]")
    return _range(field, value, ends, with_low=text[0] == "[", with_high=text[-1] == "]")


def _parse_phrase(field: str, value: str, text: str) -> Condition:
    phrase = re.fullmatch(_PHRASE, text)
    if phrase is not None:
        return Equals(_unescape(phrase[1]))
    if re.match(_PHRASE, text) is None:
        _refuse(field, value, "the quote is never closed")
    ends = re.fullmatch(_RANGE, text)
    if ends is not None:
        return _range(field, value, ends)
    if re.fullmatch(_PROXIMITY, text):
        _refuse(field, value, "proximity and boost are not supported")
    if re.search(_OPERATOR, text):
        _refuse(field, value, "alternatives stand in parentheses: (a OR b)")
    return _parse_wildcards(value)


def _parse_bare(field: str, value: str, text: str) -> Condition:
    ends = re.fullmatch(_RANGE, text)
    if ends is not None:
        return _range(field, value, ends)
    if re.fullmatch(_HALF_RANGE, text):
        _refuse(field, value, "a range has two ends: low TO high (* for an open one)")
    return _parse_wildcards(value)


def _parse_group(field: str, value: str, text: str) -> Condition:
    end = _closing_parenthesis(text)
    if end is None:
        _refuse(field, value, "( is never closed")
    if end < len(text) - 1:
        if re.search(_OPERATOR, text):
            _refuse(field, value, "there is something after )")
        return _parse_wildcards(value)
    members = list(_members(field, value, text[1:-1]))
    conditions = [_parse_member(field, value, member) for member in members]
    plain = [condition.value for condition in conditions if isinstance(condition, Equals)]
    others = [condition for condition in conditions if not isinstance(condition, Equals)]
    if not plain:
        return others[0] if len(others) == 1 else AnyOf(tuple(others))
    same = Equals(plain[0]) if len(plain) == 1 else _one_of(iter(plain))
    return same if not others else AnyOf((same, *others))


def _closing_parenthesis(text: str) -> int | None:
    depth = 0
    for token in re.finditer(r'\\.|"(?:[^"\\]|\\.)*"|[()]', text, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0:
            return token.start()
    return None


def _members(field: str, value: str, inside: str) -> Iterator[str]:
    """Yield the members of a group, which have ``OR`` between them."""
    at, expects_member = 0, True
    inside = inside.rstrip()
    while at < len(inside) or expects_member:
        token = _MEMBER.match(inside, at)
        if token is None:
            _refuse(field, value, "a group is written (a OR b), with a quoted text where a member has spaces or parentheses")
        at = token.end()
        if token[1] in ("AND", "NOT", "&&", "!"):
            _refuse(field, value, f"{token[1]} is not supported; use several fields, or raw")
        if expects_member == (token[1] in ("OR", "||")):
            _refuse(field, value, "OR stands between two members" if expects_member else f"there is no OR before {token[1]}")
        if expects_member:
            yield token[1]
        expects_member = not expects_member


def _parse_member(field: str, value: str, member: str) -> Condition:
    if member[0] in "[{":
        return _parse_brackets(field, value, member)
    phrase = re.fullmatch(_PHRASE, member)
    return Equals(_unescape(phrase[1])) if phrase else _parse_wildcards(member)


def _range(field: str, value: str, terms: re.Match[str], *, with_low: bool = True, with_high: bool = True) -> Condition:
    ends: list[str | None] = []
    for term in terms.groups():
        if term[0] != '"' and (stray := re.search(r"(?<!\\)[][{}]", term)):
            _refuse(field, value, f"{stray[0]} stands inside the range")
        ends.append(None if term in ("*", "NULL") else _unescape(term[1:-1] if term[0] == '"' else term))
    if ends == [None, None]:
        return Exists()
    numbers = [None if end is None else _number(end) for end in ends]
    numeric = all(end is None or number is not None for end, number in zip(ends, numbers, strict=True))
    lower, upper = numbers if numeric else ends
    return Range(lower, upper, with_low, with_high)


def _number(text: str) -> float | int | None:
    """Return a number, also as Lucene indexes of old wrote them (``Ix5``, ``Dx1.5``, ``0x0000000A``); None for a text."""
    hexadecimal = re.fullmatch(_HEX, text)
    if hexadecimal is not None:
        digits = hexadecimal[1]
        number = int(digits, 16)
        if len(digits) in (8, 16) and digits[0] in "89abcdefABCDEF":  # two's complement
            number -= 16 ** len(digits)
        return float(number) if abs(number) <= EXACT_INTEGERS else number
    decimal = re.fullmatch(_NUMBER, text)
    if decimal is None:
        return None
    number_text = decimal[1]
    if re.fullmatch(r"[+-]?\d+", number_text) and len(number_text) <= 20 and abs(int(number_text)) > EXACT_INTEGERS:
        return int(number_text)
    number_value = float(number_text)
    return number_value if math.isfinite(number_value) else None


def _parse_wildcards(text: str) -> Condition:
    """Return the condition of a text whose only notation left is wildcards and escapes."""
    parts = _split(text)
    wild = [part for part in parts if part in (_MANY, _ONE)]
    if not wild:
        return Equals("".join(parts))
    if parts == [_MANY]:
        return Exists()
    if len(parts) == 2 and parts[1] == _MANY and parts[0] != _ONE:
        return Prefix(parts[0])
    if len(parts) == 2 and parts[0] == _MANY and parts[1] != _ONE:
        return Suffix(parts[1])
    return Pattern(r"(?s)^" + "".join({_MANY: ".*", _ONE: "."}.get(part) or _literal(part) for part in parts) + r"\z")


_MANY, _ONE = "\ud800*", "\ud800?"
"""Wildcards among the parts of a text, told from literal ones by half a surrogate pair, which no text holds."""


def _split(text: str) -> list[str]:
    """Return literal texts, unescaped, and wildcards in their order; stars in a row are one."""
    parts: list[str] = []
    for token in re.finditer(r"\\(.)|([*?])|[^\\*?]+|\\", text, re.DOTALL):
        if token[2]:
            part = _MANY if token[2] == "*" else _ONE
            if part == _ONE or parts[-1:] != [_MANY]:
                parts.append(part)
            continue
        literal = _unescape(token[0])
        if parts and parts[-1] not in (_MANY, _ONE):
            parts[-1] += literal
        else:
            parts.append(literal)
    return parts


def _literal(text: str) -> str:
    return re.sub(r"[\\*+?|{}\[\]()^$.#\s-]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _unescape(text: str) -> str:
    r"""Take backslashes away, but only before characters of the notation: ``C:\dogs`` keeps its own."""
    return re.sub(r"\\(.)", lambda found: found[1] if found[1] in _SPECIAL else found[0], text, flags=re.DOTALL)


def _refuse(field: str, value: object, reason: str) -> NoReturn:
    shown = repr(value) if len(repr(value)) <= SHOWN else f"{repr(value)[:SHOWN]}..."
    hint = "; to find the text itself, put it in double quotes" if isinstance(value, str) else ""
    error = QueryError(f"{field}: {shown} cannot be understood: {reason}{hint}")
    error.field = field
    raise error
