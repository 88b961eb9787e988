"""A request taken apart, and what a handler needs to answer it. Knows URLs and JSON bodies; touches no storage."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from itertools import accumulate
from math import isinf
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from evsession.embedded.app.answers import Streamed
from evsession.embedded.failures import RavenFailure, invalid_argument
from evsession.wire.json import JSON
from evsession.wire.message import Request, Response

if TYPE_CHECKING:
    from evsession.embedded.app.tenants import Tenant, Tenants


__all__ = ["NULL", "Call", "Routes", "check_depth", "parse_json", "parse_object", "parse_shape"]

T = TypeVar("T")

NULL = msgspec.Raw(b"null")
"""What stands for a member that is missing; in RavenDB's bodies that is mostly the same."""

MAX_DEPTH = 500
"""Levels of nesting in a body; SQLite reads 1,000, and RavenDB any number (seen on 7.1)."""

MAX_DIGITS = 308
"""Digits of a whole number that a double is sure to hold."""

_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,20}\s*", re.ASCII)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_WHOLE = re.compile(rb"[0-9]{%d,}(?![.eE])" % (MAX_DIGITS + 1))
_LONG_NUMBER = b"0" * (MAX_DIGITS + 1)
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))


class Call:
    """One request.

    Attributes:
        request: As it came.
        path: The path's segments, unquoted.
        query: Parameters by name in lower case; a bare ``+`` is a space.
        tenants: All databases.
        tenant: The database in the path; only its handlers may ask for it.
    """

    def __init__(self, request: Request, tenants: Tenants) -> None:
        self.request = request
        path, _, query = request.target.partition("?")
        self.path = [unquote(segment) for segment in path.split("/")[1:]]
        self.query: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            self.query.setdefault(name.lower(), []).append(value)
        self.tenants = tenants
        self.tenant: Tenant

    def header(self, name: str) -> str | None:
        """Return the first header of this lower-case name, or None."""
        for known, value in self.request.headers:
            if known.lower() == name:
                return value
        return None

    def quoted_header(self, name: str) -> str | None:
        """Return the header without the quotes of an ETag, which RavenDB does not insist on; None if there is none."""
        value = self.header(name)
        if value is not None and len(value) > 1 and value[0] == value[-1] == '"':
            return value[1:-1]
        return value

    def text(self, name: str, default: str = "") -> str:
        """Return the parameter's first value."""
        return self.query.get(name, [default])[0]

    def required(self, name: str) -> str:
        """Return the parameter's first value.

        Raises:
            RavenFailure: it is missing or empty.
        """
        if not (value := self.text(name.lower())):
            raise invalid_argument(f"Query string value '{name}' must have a non empty value")
        return value

    def number(self, name: str, default: int | None) -> int | None:
        """Return the parameter as an integer.

        Raises:
            RavenFailure: it is none, or one that RavenDB has no room for.
        """
        text = self.query.get(name.lower(), [None])[0]
        if text is None:
            return default
        bits, kind = (32, "int") if name in ("start", "pageSize", "replicationFactor") else (64, "long")
        if not _INTEGER.fullmatch(text) or not -(1 << bits - 1) <= int(text) < 1 << bits - 1:
            raise invalid_argument(f"Could not parse header '{name}' header as {kind}, value was: {text}")
        return int(text)

    def flag(self, name: str) -> bool:
        """Return whether the parameter says true."""
        return self.text(name.lower()).lower() == "true"

    @cached_property
    def host(self) -> str:
        """The URL that the client came by, for topologies."""
        return f"http://{self.header('host') or '127.0.0.1'}"


Routes: TypeAlias = "dict[tuple[str, str], Callable[[Call], Response | Streamed]]"
"""Handlers by method and path; the path in lower case, without a slash before it, within the database if it is in one."""


def _refuse(error: Exception) -> RavenFailure:
    text = str(error)
    if isinstance(error, msgspec.ValidationError):
        return _too_large(text) if "out of range" in text else RavenFailure(500, "System.InvalidOperationException", text)
    if isinstance(error, RecursionError):
        return _too_deep()
    if "truncated" in text:
        return RavenFailure(500, "System.IO.EndOfStreamException", "Stream ended without reaching end of json content")
    return RavenFailure(500, "System.IO.InvalidDataException", f"The body is not JSON: {text}")


def _too_deep() -> RavenFailure:
    return RavenFailure(
        500,
        "System.IO.InvalidDataException",
        f"The body nests deeper than {MAX_DEPTH} levels, which the embedded server of evsession does not store.",
    )


def _too_large(number: str) -> RavenFailure:
    return RavenFailure(500, "System.IO.InvalidDataException", f"Could not parse double: {number[:MAX_DIGITS]}")


def check_depth(data: bytes) -> None:
    """Refuse JSON that nests too deep. Counting brackets tells almost always; else strings are left out and levels counted."""
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        steps = _STRING.sub(b"", data).translate(_STEPS, _NO_BRACKET)
        if max(accumulate(memoryview(steps).cast("b")), default=0) > MAX_DEPTH:
            raise _too_deep()


def _check_whole_numbers(data: bytes) -> None:
    """Refuse JSON with a whole number beyond what a double holds. One look for a long run of digits tells almost always."""
    if len(data) > MAX_DIGITS and _LONG_NUMBER in data.translate(_DIGITS):
        for number in _WHOLE.finditer(_STRING.sub(b"", data)):
            if isinf(float(number[0])):
                raise _too_large(number[0].decode())


def _as_written(text: str) -> msgspec.Raw:
    if isinf(float(text)):
        raise _too_large(text)
    return msgspec.Raw(text.encode())


_READER = msgspec.json.Decoder()
_EXACT = msgspec.json.Decoder(float_hook=_as_written)


def parse_json(data: bytes, *, exact: bool = False) -> JSON:
    """Return the JSON value; `exact` keeps the text of every fraction, for writing it again.

    Raises:
        RavenFailure: it is none, nests too deep, or holds a number beyond a double.
    """
    try:
        check_depth(data)
        if exact:
            _check_whole_numbers(data)
        return (_EXACT if exact else _READER).decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _refuse(error) from None


def parse_object(data: bytes, *, exact: bool = False) -> dict[str, JSON]:
    """Return the JSON object; see `parse_json`."""
    value = parse_json(data, exact=exact)
    if not isinstance(value, dict):
        raise RavenFailure(
            500,
            "Sparrow.Exceptions.InvalidStartOfObjectException",
            f"Expected start of object, but got a {type(value).__name__}",
        )
    return value


def parse_shape(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return what the decoder makes of the JSON.

    Raises:
        RavenFailure: it is no JSON, or has another shape.
    """
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _refuse(error) from None
