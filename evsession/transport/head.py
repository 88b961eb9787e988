"""Request heads: what the transport adds to a request. Knows HTTP's framing headers, opens nothing."""

from __future__ import annotations

import re

import h11

from evsession.errors import ConfigurationError
from evsession.transport.nodes import Node
from evsession.wire.message import Request

__all__ = ["Heads"]

_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "te", "trailer"})
"""Framing is decided here; a caller that sets it, too, could make the server see two requests in one."""

_BODYLESS = frozenset({"GET", "HEAD", "DELETE"})
"""Methods that say nothing about a body if they have none; the others then send ``Content-Length: 0``."""

_KEPT = 64
"""Sets of headers to keep written. Most requests of a store have one of two or three sets."""

_TARGET = re.compile(r"/[\x21-\x7e]*")


class Heads:
    """Writes the heads of requests to one node.

    h11 checks and writes each set of headers once; after that only the request line and the length of the body are put to it.
    Building and writing every head through h11 costs a fifth of a small request's CPU.
    """

    __slots__ = ("_base", "_known")

    def __init__(self, node: Node, user_agent: str) -> None:
        self._base = [("Host", node.authority), ("User-Agent", user_agent)]
        self._known: dict[tuple[str, tuple[tuple[str, str], ...]], bytes] = {}

    def write(self, request: Request) -> bytes:
        """Return the head of a request with a whole body, as bytes.

        Raises:
            ConfigurationError: if the request sets a framing header, or its target is no quoted path.
            h11.LocalProtocolError: if the method or a header holds what HTTP cannot carry, such as a line end.
            UnicodeError: if one of them is not ASCII.
        """
        written = self._known.get((request.method, request.headers)) or self._write_headers(request)
        line = f"{request.method} {_checked(request.target)} HTTP/1.1\r\n".encode("ascii")
        if request.body or request.method not in _BODYLESS:
            return b"%b%bContent-Length: %d\r\n\r\n" % (line, written, len(request.body))
        return b"%b%b\r\n" % (line, written)

    def event(self, request: Request, *, streams_body: bool = False) -> h11.Request:
        """Return the head as h11's event; raises as `write` does."""
        headers = self._given(request)
        if streams_body:
            headers.append(("Transfer-Encoding", "chunked"))
        elif request.body:
            headers.append(("Content-Length", str(len(request.body))))
        return h11.Request(method=request.method, target=_checked(request.target), headers=headers)

    def _write_headers(self, request: Request) -> bytes:
        event = h11.Request(method=request.method, target="/", headers=self._given(request))
        head = h11.Connection(h11.CLIENT).send(event) or b""
        written = head.partition(b"\r\n")[2][:-2]
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[request.method, request.headers] = written
        return written

    def _given(self, request: Request) -> list[tuple[str, str]]:
        for name, _ in request.headers:
            if name.lower() in _OURS:
                raise ConfigurationError(f"the header {name!r} is set by the transport")
        return [*self._base, *request.headers]


def _checked(target: str) -> str:
    if _TARGET.fullmatch(target) is None:
        raise ConfigurationError(f"the target {target!r} is not a quoted path")
    return target
