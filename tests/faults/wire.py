"""What the fault tests share: a transport that must be whole again at the end, and requests."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from evsession.config import Options
from evsession.transport import HTTPTransport
from evsession.wire.message import Request
from evsession.wire.transport import Trail, WireEvent

GET = Request("GET", "/docs?id=dogs%2Fmax", key="dogs/max")
PUT = Request("PUT", "/docs?id=dogs%2Fmax", b'{"name":"Max"}', writes=True, key="dogs/max")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def transport_to(
    urls: str | Sequence[str], *, ssl_context: ssl.SSLContext | None = None, **options: object
) -> AsyncIterator[HTTPTransport]:
    """A transport that must not have a slot or a connection in use when the test is done with it."""
    transport = HTTPTransport(urls, Options(options), ssl_context)
    try:
        yield transport
        counts = slots(transport)
        assert counts["busy"] == counts["connecting"] == counts["waiting"] == 0, transport
        assert counts["taken"] == counts["idle"], transport
    finally:
        await transport.aclose()
    assert slots(transport)["taken"] == 0, transport


def slots(transport: HTTPTransport) -> dict[str, int]:
    """Read the pool's counters from its repr, as a person would."""
    text = repr(transport)
    counts = {name: int(count) for count, name in re.findall(r"(\d+) (busy|idle|connecting|waiting)", text)}
    taken = re.search(r"(\d+) of \d+ slots taken", text)
    assert taken is not None
    return {"taken": int(taken[1]), **counts}


class Watched(Trail):
    """A trail that keeps the events."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: list[WireEvent] = []
        super().__init__("load", self.events.append)

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]
