"""Content codings: gzip, and a bound on what it may expand to. Knows bytes only."""

from __future__ import annotations

import zlib
from typing import Protocol

from evsession.errors import ProtocolError

__all__ = ["Decoder", "decoder_for"]

_GZIP = 31  # zlib's "window bits" for a gzip wrapper, and nothing else


class Decoder(Protocol):
    """Turns a coded body, fed in pieces, into the plain one."""

    def feed(self, data: bytes, limit: int) -> bytes:
        """Return at most `limit` plain bytes of what was fed so far; more may be waiting, see `pending`."""

    @property
    def pending(self) -> bool:
        """Whether fed data waits to be decoded: call ``feed(b"", limit)``."""

    def finish(self) -> None:
        """Say that the body is complete; raises `ProtocolError` if it is not."""


class Gzip:
    """One or more gzip members in a row."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=_GZIP)
        self._waiting = b""
        self._fed = False

    @property
    def pending(self) -> bool:
        """Whether fed data waits to be decoded."""
        return bool(self._waiting)

    def feed(self, data: bytes, limit: int) -> bytes:
        """Return at most `limit` plain bytes."""
        data = self._waiting + data if self._waiting else data
        self._fed = self._fed or bool(data)
        if self._inflate.eof and data:
            self._inflate = zlib.decompressobj(wbits=_GZIP)
        try:
            plain = self._inflate.decompress(data, limit)
        except zlib.error as error:
            raise ProtocolError(f"the body is not the gzip that it claims to be: {error}") from error
        self._waiting = self._inflate.unconsumed_tail or self._inflate.unused_data
        return plain

    def finish(self) -> None:
        """Raise unless every member was complete."""
        if self._fed and not self._inflate.eof:
            raise ProtocolError("the gzip body ends early")


def decoder_for(codings: str) -> Decoder | None:
    """Return the decoder for a Content-Encoding header, None for no coding.

    Raises:
        ProtocolError: for a coding that was never asked for.
    """
    name = codings.strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return Gzip()
    raise ProtocolError(f"the body has the unknown Content-Encoding {codings!r}")
