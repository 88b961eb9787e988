"""What of a document is compared: fields become terms, as RavenDB's indexes have them. Knows JSON values, neither RQL nor SQL.

A field has a term for each value in it. A term is a text, in lower case, and for numbers, times and durations also a whole
number and a fraction: ``=`` and ranges with a whole number compare the first (so 1 "equals" 1.5), those with a fraction the
second, all others the text. Seen on 7.1 (Corax), in so many words:

* A number's text is what was written, less the zeros that say nothing: ``1.50`` is ``"1.5"``, ``1.0`` is ``"1"``, ``1e5`` stays.
* A text that looks like a time or a duration is a number, too: its ticks of 100 ns since the year 1, offsets taken into account.
* Lists are their items, nested ones theirs. An empty list has no term, so it does not exist; null has one, without a text.
* An object is one term, ``"json_value"``.
* ``a.b`` goes through lists on its way, ``a[].b`` also takes items that are no objects. A missing field has no term.
* A name in quotes is one field's, whatever is in it: ``'a.b'`` is not ``a.b``, which finds no field that is called so.

Different here: in a list within a list RavenDB finds the first items only; texts with characters beyond the basic plane are not
found there by their own value; a field that is an object is sometimes not there at all once a field within it is indexed; and it
takes ``'a.b'`` for ``a.b``, or the other way around, once it has an index on that.
"""

from __future__ import annotations

import re
import sys
from datetime import date, time
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from evsession.embedded.storage import fold_key as fold
from evsession.wire.json import JSON

__all__ = [
    "MAX_INTEGER",
    "Analyzer",
    "Term",
    "decode_body",
    "fold",
    "literal",
    "numbers_of",
    "parse_path",
    "plain",
    "stored",
    "terms_of",
    "text_of",
    "texts_in_order",
    "ticks_of",
    "values_at",
    "words",
]

Analyzer = str
"""``"fold"`` (text in lower case), ``"exact"`` (text as it is) or ``"words"`` (each word a term)."""

MAX_INTEGER = 2**63 - 1
MAX_FRACTION = sys.float_info.max
_DAY = 24 * 60 * 60 * 10_000_000
JSON_VALUE = "json_value"

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,7}))?(?:Z|([+-])(\d\d):(\d\d))?)?")
_DURATION = re.compile(r"(?:(\d{1,7})\.)?(\d\d):(\d\d):(\d\d)(?:\.(\d{1,7}))?")
_STEP = re.compile(r"([^.\[]+)((?:\[\])*)")
STOP_WORDS = frozenset(
    """a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was
    will with""".split()  # noqa: SIM905  # a list of these would be a page long
)


class Term(NamedTuple):
    """One value of a field.

    Attributes:
        text: As it is compared, or None for null.
        whole: As a whole number, or None.
        fraction: As a fraction, or None.
    """

    text: str | None
    whole: int | None = None
    fraction: float | None = None


class Written(float):
    """A fraction that remembers how it was written."""

    text: str

    def __new__(cls, text: str) -> Written:
        made = super().__new__(cls, text)
        made.text = text
        return made


_DECODER = msgspec.json.Decoder(float_hook=Written)


def decode_body(body: str | bytes) -> JSON:
    """Return the document; its fractions are `Written`."""
    return _DECODER.decode(body)


class Step(NamedTuple):
    """One step of a path, and whether brackets follow: then what is no object is its own value."""

    name: str
    lists: bool


def literal(name: str) -> str:
    """Return the path to the field of this name, in quotes if it would be read as another path."""
    return f"'{name}'" if "." in name or "[" in name or name.startswith("'") else name


def plain(path: str) -> str:
    """Return the name of which `literal` made the path, or the path."""
    return path[1:-1] if path[:1] == path[-1:] == "'" else path


@lru_cache(maxsize=4096)
def parse_path(path: str) -> tuple[Step, ...]:
    """Return the steps of a path like ``owner.name`` or ``vets[].name``, or the only one of what `literal` made."""
    if (name := plain(path)) != path:
        return (Step(name, False),)
    return tuple(Step(found[1], bool(found[2])) for found in _STEP.finditer(path))


def values_at(document: JSON, path: str) -> list[JSON]:
    """Return the values that a path leads to; lists on the way are gone through, the last one is not."""
    found = [document]
    lists = False
    for name, brackets in parse_path(path):
        found = [value for item in found for value in _step(item, name, lists)]
        lists = brackets
    if lists:
        found = [value for value in found if isinstance(value, list)]
    return found


def _step(value: JSON, name: str, lists: bool) -> list[JSON]:
    if isinstance(value, dict):
        return [value[name]] if name in value else []
    if isinstance(value, list):
        if name in ("length", "Length", "Count"):
            return [len(value)]
        return [found for item in value for found in _item(item, name, lists)]
    if isinstance(value, str) and name in ("length", "Length"):
        return [len(value)]
    return []


def _item(item: JSON, name: str, lists: bool) -> list[JSON]:
    if isinstance(item, (dict, list)):
        return _step(item, name, lists)
    return [item] if lists else []


def stored(text: str) -> str:
    """Return a text as it is kept and compared: SQLite's JSON functions lose NUL, so it is written otherwise, order kept."""
    if "\0" not in text and "\1" not in text:
        return text
    return text.replace("\1", "\1\2").replace("\0", "\1\1")


def terms_of(document: JSON, path: str, analyzer: Analyzer) -> list[Term]:
    """Return the field's terms, each once."""
    terms: dict[Term, None] = {}
    for value in values_at(document, path):
        _add(terms, value, analyzer)
    return list(terms)


def texts_in_order(document: JSON, path: str) -> list[str | None]:
    """Return the texts of the field's terms when its texts are cut into words, in their order and as often as they come."""
    texts: list[str | None] = []
    pending = values_at(document, path)[::-1]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value[::-1]
        elif isinstance(value, str) and ticks_of(value) is None:
            texts += words(value)
        else:
            terms: dict[Term, None] = {}
            _add(terms, value, "words")
            texts += [term.text for term in terms]
    return texts


def _add(terms: dict[Term, None], value: JSON, analyzer: Analyzer) -> None:
    if isinstance(value, list):
        for item in value:
            _add(terms, item, analyzer)
    elif value is None:
        terms[Term(None)] = None
    elif isinstance(value, str):
        if (ticks := ticks_of(value)) is not None:
            terms[Term(_time_text(value), ticks, float(ticks))] = None
        elif analyzer == "words":
            terms.update(dict.fromkeys(map(Term, words(value) if value else [""])))
        else:
            terms[Term(stored(value if analyzer == "exact" else fold(value)))] = None
    else:
        text, numbers = text_of(value), numbers_of(value)
        terms[Term(text, *numbers)] = None


def text_of(value: JSON) -> str:
    """Return the text of a value that is no null and no list, in lower case."""
    if isinstance(value, str):
        return fold(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = value.text if isinstance(value, Written) else repr(float(value))
        if "." in text and "e" not in text and "E" not in text:
            text = text.rstrip("0").rstrip(".")
        return text.lower()
    return JSON_VALUE


def numbers_of(value: JSON) -> tuple[int, float] | tuple[()]:
    """Return a number as a whole number, cut off and kept within 64 bits, and as a fraction; nothing for other values."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ()
    if isinstance(value, float) and abs(value) > MAX_INTEGER:
        return (MAX_INTEGER if value > 0 else -MAX_INTEGER - 1), float(value)
    return max(-MAX_INTEGER - 1, min(MAX_INTEGER, int(value))), _fraction(value)


def _fraction(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return MAX_FRACTION if value > 0 else -MAX_FRACTION


def ticks_of(text: str) -> int | None:
    """Return the ticks of a text that is a time or a duration, or None."""
    # Most texts are neither; this is what tells them apart at a glance.
    if len(text) < 8 or not text[0].isdigit() or not text.isascii():
        return None
    if text[4] == "-":
        return _time(text)
    found = _DURATION.fullmatch(text) if ":" in text else None
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:4])
    return _ticks(days, hours, minutes, seconds, found[5])


def _time(text: str) -> int | None:
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:6])
    try:
        days = date(year, month, day).toordinal() - 1
    except ValueError:
        return None
    if hours > 24 or minutes > 59 or seconds > 59:
        return None
    ticks = _ticks(days, hours, minutes, seconds, found[7])
    if found[8]:
        offset = _ticks(0, int(found[9]), int(found[10]), 0, None)
        ticks -= offset if found[8] == "+" else -offset
    return ticks


def _ticks(days: int, hours: int, minutes: int, seconds: int, fraction: str | None) -> int:
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return whole * 10_000_000 + int((fraction or "").ljust(7, "0"))


def _time_text(text: str) -> str:
    """Return the text of a time: in Universal Time if it has an offset, always with seven digits, in upper case."""
    if "T" not in text:
        return text
    days, ticks = divmod(ticks_of(text) or 0, _DAY)
    seconds, ticks = divmod(ticks, 10_000_000)
    zone = "" if text[19:].lstrip(".0123456789") == "" else "Z"
    moment = time(seconds // 3600, seconds // 60 % 60, seconds % 60)
    return f"{date.fromordinal(days + 1).isoformat()}T{moment.isoformat()}.{ticks:07d}{zone}"


def words(text: str) -> list[str]:
    """Return the words of a text as ``search`` sees them: in lower case, without those that every text has.

    They are cut by the rules of Lucene's classic tokenizer: ``"x-ray"`` is two words, but what is joined to digits is one, like
    ``"dogs/1"``, and so are names of hosts, addresses of mail, ``"o'reilly"`` and ``"AT&T"``; ``"U.S.A."`` is ``"usa"``.
    """
    found = []
    at = 0
    folded = fold(text)
    while (start := _LETTER.search(folded, at)) is not None:
        best = max((rule.match(folded, start.start()) for rule in _RULES), key=lambda one: one.end() if one else 0)
        assert best is not None  # the first rule takes any letter
        at = best.end()
        word = best[0]
        if best.re is _ACRONYM:
            word = word.replace(".", "")
        elif best.re is _APOSTROPHE:
            word = word.removesuffix("'s")
        if word not in STOP_WORDS:
            found.append(word)
    return found


_A, _D, _P = r"[^\W_]+", r"[^\W\d_]*\d[^\W_]*", r"[_\-/.,]"
_LETTER = re.compile(r"[^\W_]")
_ACRONYM = re.compile(r"[^\W\d_]\.(?:[^\W\d_]\.)+")
_APOSTROPHE = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)+")
_RULES = [
    re.compile(_A),
    _ACRONYM,
    _APOSTROPHE,
    re.compile(r"[^\W\d_]+[&@][^\W\d_]+"),
    re.compile(rf"{_A}(?:[._-]{_A})*@{_A}(?:[.-]{_A})+"),
    re.compile(rf"{_A}(?:\.{_A})+"),
    re.compile(rf"{_A}{_P}{_D}"),
    re.compile(rf"{_D}{_P}{_A}"),
    re.compile(rf"{_A}(?:{_P}{_D}{_P}{_A})+"),
    re.compile(rf"{_D}(?:{_P}{_A}{_P}{_D})+"),
    re.compile(rf"{_A}{_P}{_D}(?:{_P}{_A}{_P}{_D})+"),
    re.compile(rf"{_D}{_P}{_A}(?:{_P}{_D}{_P}{_A})+"),
]
"""What a word can be; the longest wins, the earlier one among equals. With digits, every other step has one."""
