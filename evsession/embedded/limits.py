"""What a client of the served port may ask for at most. Values only."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MAX_TARGET", "Limits"]

MAX_TARGET = 16_384
"""Bytes of path and query that any request may have, also one that goes over no network."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that keep slow and hostile clients from costing anything.

    Attributes:
        target: Bytes of path and query; more is a 414, as on RavenDB (seen on 7.1).
        head: Bytes of a request's line and headers; more is a 431.
        body: Bytes of a body once decompressed; more is a 413. A bulk insert may be of any length.
        memory: Bytes of bodies that are kept for all connections together; more is a 503.
        connections: Open at once. One more closes the one that has been waiting for a request for longest; if all are at work, it
            gets a 503.
        head_timeout: Seconds from the first byte of a head to its end.
        idle_timeout: Seconds without a request after which a connection is closed, and without a byte for a bulk insert.
        grace: Seconds that a body or an answer may be slower than `rate`, and that `Server.stop` leaves to requests in work.
        rate: Bytes per second that a client must send of a body and take of an answer.
    """

    target: int = MAX_TARGET
    head: int = 49_152
    body: int = 256 << 20
    memory: int = 512 << 20
    connections: int = 512
    head_timeout: float = 10.0
    idle_timeout: float = 120.0
    grace: float = 10.0
    rate: int = 240
