"""Cutting a JSON array that comes in pieces into its items. Knows brackets and strings; the items are for others to parse."""

from __future__ import annotations

import re

__all__ = ["ItemSplitter"]

_TOKEN = re.compile(rb'["\[\]{}]')
_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*("?)', re.DOTALL)
_GAP = re.compile(rb"[ \t\r\n,]*")


class ItemSplitter:
    """Cuts ``[{...}, {...}]`` into its objects, in whatever pieces it comes.

    Attributes:
        is_done: Whether the array has ended; what follows it is passed over, as RavenDB does (seen on 7.1).
    """

    def __init__(self) -> None:
        self.is_done = False
        self._buffer = bytearray()  # from the begin of an item, or of what stands between items
        self._seen = 0
        self._depth = 0
        self._in_string = False

    def __len__(self) -> int:
        """Return how many bytes are held of what is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the items that are whole by now.

        Raises:
            ValueError: this is no array of objects.
        """
        self._buffer += data
        items: list[bytes] = []
        while not self.is_done and self._leave_string():
            found = _TOKEN.search(self._buffer, self._seen)
            token, self._seen = (found[0], found.end()) if found else (b"", len(self._buffer))
            if self._depth < 2:
                self._pass_gap(bytes(token))
            if not token:
                break
            if self._depth == 2 and token == b"}":
                items.append(bytes(self._buffer[: self._seen]))
                self._drop(self._seen)
            self._step(bytes(token))
        return items

    def _leave_string(self) -> bool:
        """Go on to the end of the string that was entered; return whether it is there."""
        if self._in_string:
            found = _STRING.match(self._buffer, self._seen)
            assert found is not None  # it may match nothing, but always matches
            self._seen = found.end()
            self._in_string = not found[1]
        return not self._in_string

    def _pass_gap(self, token: bytes) -> None:
        """Drop what stands before the array or between its items, up to the token."""
        end = self._seen - len(token)
        if token not in (b"", b"[" if self._depth == 0 else b"{", b"" if self._depth == 0 else b"]") or not _GAP.fullmatch(
            self._buffer, 0, end
        ):
            raise ValueError(f"expected an array of objects, not {bytes(self._buffer[: self._seen][:40])!r}")
        self._drop(end if token == b"{" else self._seen)
        self._seen = len(token) if token == b"{" else 0

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._seen = 0

    def _step(self, token: bytes) -> None:
        if token == b'"':
            self._in_string = True
        else:
            self._depth += 1 if token in b"[{" else -1
            self.is_done = self._depth == 0
