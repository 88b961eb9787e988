"""A request taken apart, and what a handler needs to answer it. Knows URLs and JSON bodies; touches no storage."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from itertools import accumulate
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

_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,20}\s*", re.ASCII)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
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
        bits, kind = (32, "int") if name in ("start", "pageSize") else (64, "long")
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
    if isinstance(error, msgspec.ValidationError):
        return RavenFailure(500, "System.InvalidOperationException", str(error))
    if isinstance(error, RecursionError):
        return _too_deep()
    text = str(error)
    if "truncated" in text:
        return RavenFailure(500, "System.IO.EndOfStreamException", "Stream ended without reaching end of json content")
    return RavenFailure(500, "System.IO.InvalidDataException", f"The body is not JSON: {text}")


def _too_deep() -> RavenFailure:
    return RavenFailure(
        500,
        "System.IO.InvalidDataException",
        f"The body nests deeper than {MAX_DEPTH} levels, which the embedded server of evsession does not store.",
    )


def check_depth(data: bytes) -> None:
    """Refuse JSON that nests too deep. Counting brackets tells almost always; else strings are left out and levels counted."""
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        steps = _STRING.sub(b"", data).translate(_STEPS, _NO_BRACKET)
        if max(accumulate(memoryview(steps).cast("b")), default=0) > MAX_DEPTH:
            raise _too_deep()


_READER = msgspec.json.Decoder()
_EXACT = msgspec.json.Decoder(float_hook=lambda text: msgspec.Raw(text.encode()))


def parse_json(data: bytes, *, exact: bool = False) -> JSON:
    """Return the JSON value; `exact` keeps the text of every fraction, for writing it again.

    Raises:
        RavenFailure: it is none, or nests too deep.
    """
    try:
        check_depth(data)
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
