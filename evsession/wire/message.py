"""Requests and responses as values. Knows HTTP's vocabulary, but neither sockets nor documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Request", "Response"]

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request, complete and quoted; nothing downstream changes it.

    Attributes:
        method: The HTTP method.
        target: Path and query in origin form, quoted, pure ASCII.
        body: The whole body, or empty. A streamed request sends its body through the exchange instead.
        headers: Further headers. Host, framing and client version are the transport's.
        writes: Whether the request may change data, and so must never be sent twice.
        key: The document that an error should name, if there is one.
    """

    method: str
    target: str
    body: bytes = field(default=b"", repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    writes: bool = False
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One whole response; names of headers are lower case."""

    status: int
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)

    def header(self, name: bytes) -> str | None:
        """Return the first header of this lower-case name, or None."""
        for known, value in self.headers:
            if known == name:
                return value.decode("latin-1")
        return None
