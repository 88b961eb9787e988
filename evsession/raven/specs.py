"""Specifications of a query: what to return, in which order, how much of it. Normalised once, frozen after."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from evsession.errors import ConfigurationError
from evsession.raven.rql import check_name

__all__ = ["MAX_ROWS", "SortKey", "Specs"]

MAX_ROWS = 2**31 - 1
"""The server counts rows with 32 bits."""

DEFAULT_WAIT = 15.0
"""Seconds that ``wait_for_non_stale=True`` means: the server's own default."""

_KINDS = {"long": "long", "double": "double", "string": "string", "alphanumeric": "alphaNumeric"}
_TYPED = r"(?s)(.*\S)\s+as\s+(\w+)"
_NAMES = ("include", "page_size", "projections", "sort", "start", "wait_for_non_stale")


class SortKey(msgspec.Struct, frozen=True):
    """One key to sort by.

    Attributes:
        field: The field's name, unquoted.
        kind: ``"long"``, ``"double"``, ``"string"`` or ``"alphaNumeric"``; None sorts numbers as numbers and texts as texts.
        descending: Whether the largest comes first.
    """

    field: str
    kind: str | None = None
    descending: bool = False


class Specs(msgspec.Struct, frozen=True):
    """The specifications of one query, checked.

    Attributes:
        projections: Names of fields to return instead of whole documents.
        sort: Keys to sort by, the first one first.
        start: Rows to skip.
        page_size: Most rows to return; None for all.
        include: Paths of references whose documents to send along (``"owner.id"``, ``"vets[].id"``, ``"owner(people/)"``). The
            server follows them from the rows it returns: with projections only through projected fields.
        wait_for_non_stale: Seconds to wait for the index to catch up; None does not wait.
    """

    projections: tuple[str, ...] = ()
    sort: tuple[SortKey, ...] = ()
    start: int = 0
    page_size: int | None = None
    include: tuple[str, ...] = ()
    wait_for_non_stale: float | None = None

    @classmethod
    def of(cls, specs: Specs | Mapping[str, Any] | None = None, /, **keywords: Any) -> Specs:
        """Return checked specifications from a mapping, keywords or both; a keyword that is None was not given.

        Raises:
            ConfigurationError: naming what is unknown, given twice or out of range.
        """
        given = {name: value for name, value in keywords.items() if value is not None}
        if isinstance(specs, Specs):
            if given:
                raise ConfigurationError(f"specifications were given already, so {', '.join(given)} cannot be added")
            return specs
        if specs is not None and not isinstance(specs, Mapping):
            raise ConfigurationError(f"specifications are a mapping, not {specs!r}")
        for name, value in (specs or {}).items():
            if name in given:
                raise ConfigurationError(f"the specification {name} was given twice")
            given[name] = value
        for name in given:
            if name not in _NAMES:
                raise ConfigurationError(_unknown(name))
        return cls(
            projections=_names(given.get("projections"), "projections"),
            sort=_sort_keys(given.get("sort")),
            start=_count(given.get("start") or 0, "start"),
            page_size=None if given.get("page_size") is None else _count(given["page_size"], "page_size"),
            include=_names(given.get("include"), "include"),
            wait_for_non_stale=_seconds(given.get("wait_for_non_stale")),
        )


def _unknown(name: object) -> str:
    meant = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name)).lower()
    hint = f" (did you mean {meant}?)" if meant in _NAMES else ""
    return f"there is no specification {name!r}{hint}; known are {', '.join(_NAMES)}"


def _names(value: object, what: str) -> tuple[str, ...]:
    """Return the names without repetitions: a name twice in ``select`` is refused by the server."""
    names = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)):
        raise ConfigurationError(f"{what} is a name or a list of names, not {value!r}")
    for name in names:
        if not check_name(name, f"a name in {what}"):
            raise ConfigurationError(f"a name in {what} is empty")
    return tuple(dict.fromkeys(names))


def _sort_keys(value: object) -> tuple[SortKey, ...]:
    if value is None:
        return ()
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str) and value[1].lower() in _KINDS:
        return (_sort_key(value),)
    keys = value if isinstance(value, (list, tuple)) else [value]
    return tuple(_sort_key(key) for key in keys)


def _sort_key(value: object) -> SortKey:
    if isinstance(value, SortKey):
        return _checked(value.field, value.kind, value.descending)
    kind: object = None
    if isinstance(value, tuple) and len(value) == 2:
        value, kind = value
    name = check_name(value, "a field to sort by")
    if kind is None and (typed := re.fullmatch(_TYPED, name)):
        name, kind = typed.groups()
    # RQL's own words for the direction would otherwise be taken for a part of the name, and nothing would be sorted.
    field, _, direction = name.rpartition(" ")
    if field and direction.lower() in ("asc", "desc") and name[0] not in "+-":
        signed = ("-" if direction.lower() == "desc" else "") + field.strip()
        return _sort_key(signed if kind is None else (signed, kind))
    return _checked(name[1:] if name[:1] in ("-", "+") else name, kind, name.startswith("-"))


def _checked(name: object, kind: object, descending: bool) -> SortKey:
    field = check_name(name, "a field to sort by")
    if not field:
        raise ConfigurationError("a field to sort by has no name")
    if kind is None:
        return SortKey(field, None, descending)
    if not isinstance(kind, str) or kind.lower() not in _KINDS:
        raise ConfigurationError(f"{field!r} cannot be sorted as {kind!r}; known are {', '.join(_KINDS.values())}")
    return SortKey(field, _KINDS[kind.lower()], descending)


def _count(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_ROWS:
        raise ConfigurationError(f"{what} is a whole number from 0 to {MAX_ROWS}, not {value!r}")
    return value


def _seconds(value: object) -> float | None:
    if value is None or value is False:
        return None
    if value is True:
        return DEFAULT_WAIT
    if not isinstance(value, (int, float)) or not 0 < value <= 86_400 or not math.isfinite(value):
        raise ConfigurationError(f"wait_for_non_stale is True or a number of seconds up to a day, not {value!r}")
    return float(value)
