"""Requests and responses as values. Knows HTTP's vocabulary, but neither sockets nor documents."""

# Annotations are not postponed: a Struct's signature would look names up in the package, where public classes say they live.

from collections.abc import Sequence

import msgspec

__all__ = ["Request", "Response"]

Headers = Sequence[tuple[bytes, bytes]]


class _Message(msgspec.Struct, frozen=True):
    """What requests and responses have in common: their bodies, which may be long or secret, and logins are in no repr."""

    def __repr__(self) -> str:
        shown = (f"{name}={self._shown(name)!r}" for name in self.__struct_fields__ if name != "body")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _shown(self, field: str) -> object:
        value = getattr(self, field)
        if field != "headers":
            return value
        return tuple((name, "***" if name in ("Authorization", b"authorization") else content) for name, content in value)


class Request(_Message, frozen=True):
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
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    writes: bool = False
    key: str | None = None


class Response(_Message, frozen=True):
    """One whole response; names of headers are lower case."""

    status: int
    headers: Headers = ()
    body: bytes = b""

    def header(self, name: bytes) -> str | None:
        """Return the first header of this lower-case name, or None."""
        for known, value in self.headers:
            if known == name:
                return value.decode("latin-1")
        return None
