"""Request heads: what the transport adds to a request. Knows HTTP's framing headers, opens nothing."""

from __future__ import annotations

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
"""Validated sets of headers to keep. Most requests of a store have one of two or three sets."""

_PLAIN, _EMPTY, _CHUNKED = range(3)


class Heads:
    """Builds h11's events for the requests to one node.

    h11 spends 20 microseconds on checking headers; for requests without a body they are the same every time.
    """

    __slots__ = ("_base", "_known")

    def __init__(self, node: Node, user_agent: str) -> None:
        self._base = [("Host", node.authority), ("User-Agent", user_agent)]
        self._known: dict[tuple[int, tuple[tuple[str, str], ...]], h11.Request] = {}

    def build(self, request: Request, *, streams_body: bool = False) -> h11.Request:
        """Return the head.

        Raises:
            ConfigurationError: if the request sets a framing header, or its target is no path.
            h11.LocalProtocolError: if method, target or a header holds what HTTP cannot carry, such as a line end.
            UnicodeError: if one of them is not ASCII.
        """
        if not request.target.startswith("/"):
            raise ConfigurationError(f"the target {request.target!r} does not start with a slash")
        if request.body and not streams_body:
            headers = [*self._given(request), ("Content-Length", str(len(request.body)))]
            return h11.Request(method=request.method, target=request.target, headers=headers)
        framing = _CHUNKED if streams_body else _PLAIN if request.method in _BODYLESS else _EMPTY
        known = self._known.get((framing, request.headers))
        if known is not None:
            return h11.Request(method=request.method, target=request.target, headers=known.headers)
        return self._build_and_keep(request, framing)

    def _build_and_keep(self, request: Request, framing: int) -> h11.Request:
        headers = self._given(request)
        if framing == _CHUNKED:
            headers.append(("Transfer-Encoding", "chunked"))
        elif framing == _EMPTY:
            headers.append(("Content-Length", "0"))
        event = h11.Request(method=request.method, target=request.target, headers=headers)
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[framing, request.headers] = event
        return event

    def _given(self, request: Request) -> list[tuple[str, str]]:
        for name, _ in request.headers:
            if name.lower() in _OURS:
                raise ConfigurationError(f"the header {name!r} is set by the transport")
        return [*self._base, *request.headers]
