"""HiLo: numbers for keys from ranges that the server hands out, so that a save knows its keys beforehand.

Knows ranges, and the two endpoints. The server keeps one counter per collection (the document ``Raven/Hilo/Dogs``); who asked for
a range owns its numbers, and those that are never used leave a gap. Seen on 5.4, 6.2 and 7.1 unless said otherwise.
"""

from __future__ import annotations

from collections import deque

import msgspec

from evsession.errors import ProtocolError
from evsession.raven.errors import error_from
from evsession.raven.vocabulary import Database
from evsession.wire.flow import Flow
from evsession.wire.json import decode
from evsession.wire.message import Request
from evsession.wire.url import target

__all__ = ["HiLoNumber", "HiLoRange", "HiLoRanges", "hilo_key_flow", "hilo_next_flow", "hilo_return_flow"]


class HiLoNumber(msgspec.Struct, frozen=True):
    """One number, and the node that gave it; two nodes may give the same number."""

    value: int
    server_tag: str


class HiLoRange(msgspec.Struct, frozen=True):
    """The numbers from `low` to `high`, both included, that nobody else uses."""

    low: int
    high: int
    server_tag: str


class _Pool:
    """The unused numbers of one collection, and what the server wants to hear with the next question."""

    __slots__ = ("last_max", "last_range_at", "last_size", "ranges")

    def __init__(self) -> None:
        self.ranges: deque[HiLoRange] = deque()
        self.last_size = 0
        self.last_range_at = ""
        self.last_max = 0


class HiLoRanges:
    """The ranges that a store holds, by collection. Every number leaves it once: `take` and `drain` never wait."""

    def __init__(self) -> None:
        self._pools: dict[str, _Pool] = {}

    def _pool(self, tag: str) -> _Pool:
        return self._pools.setdefault(tag, _Pool())

    def take(self, tag: str) -> HiLoNumber | None:
        """Return the next number, or None if a range is to be fetched first."""
        ranges = self._pool(tag).ranges
        if not ranges:
            return None
        first = ranges.popleft()
        if first.low < first.high:
            ranges.appendleft(HiLoRange(first.low + 1, first.high, first.server_tag))
        return HiLoNumber(first.low, first.server_tag)

    def add(self, tag: str, fetched: HiLoRange, *, size: int, at: str) -> None:
        """Keep a range that the server has handed out."""
        pool = self._pool(tag)
        pool.ranges.append(fetched)
        pool.last_size, pool.last_range_at, pool.last_max = size, at, max(pool.last_max, fetched.high)

    def question(self, tag: str) -> list[tuple[str, str]]:
        """Return what to ask for the next range with; the last size and time let the server hand out more to who asks often."""
        pool = self._pool(tag)
        return [
            ("tag", tag),
            ("lastBatchSize", str(pool.last_size)),
            ("lastRangeAt", pool.last_range_at),
            ("lastMax", str(pool.last_max)),
        ]

    def drain(self) -> list[tuple[str, HiLoRange]]:
        """Return all unused ranges with their collections, the highest first, and keep none.

        The server takes a range back only if it is the end of what it has handed out, so the order matters.
        """
        rest = [(tag, unused) for tag, pool in self._pools.items() for unused in pool.ranges]
        self._pools.clear()
        return sorted(rest, key=lambda pair: pair[1].high, reverse=True)


def hilo_next_flow(database: Database, tag: str, ranges: HiLoRanges) -> Flow[None]:
    """Fetch a range and add it. Asking again loses nothing but numbers, so the request counts as a read.

    The separator is not sent: it shapes only a ``Prefix`` in the answer that is not used, and one of two characters is a 500.

    Raises:
        SessionError: if the server refuses.
    """
    response = yield Request("GET", target(database.path("hilo", "next"), ranges.question(tag)))
    if response.status not in (200, 201):
        raise error_from(response)
    answer = decode(response.body)
    try:
        fetched = HiLoRange(int(answer["Low"]), int(answer["High"]), str(answer["ServerTag"]))
        ranges.add(tag, fetched, size=int(answer["LastSize"]), at=str(answer["LastRangeAt"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"the answer holds no range of numbers: {answer!r}", status_code=response.status) from error


def hilo_key_flow(database: Database, collection: str, ranges: HiLoRanges, separator: str = "/") -> Flow[str]:
    """Return a new key (``dogs/1-A``), from the ranges at hand if there is a number left.

    The client makes these keys, so the separator of the conventions counts. Any number of flows may run at once: a number is
    taken in the step that returns the key, so none is lost when a flow fails or is cancelled, and none is given twice. Flows
    that find the range empty at the same time fetch one each, and what they do not need is used later.

    Raises:
        SessionError: if the server refuses a range.
    """
    while (number := ranges.take(collection)) is None:
        yield from hilo_next_flow(database, collection, ranges)
    return f"{collection.lower()}{separator}{number.value}-{number.server_tag}"


def hilo_return_flow(database: Database, ranges: HiLoRanges) -> Flow[None]:
    """Give back what was not used, when the store closes; a refusal costs only numbers and is passed over.

    5.4 answers 204, 6.2 and 7.1 answer 200, also when they ignore it because somebody else has a later range.
    """
    for tag, unused in ranges.drain():
        query = [("tag", tag), ("end", str(unused.high)), ("last", str(unused.low - 1))]
        yield Request("PUT", target(database.path("hilo", "return"), query), writes=True)
