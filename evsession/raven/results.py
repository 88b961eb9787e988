"""What comes back from a query: rows, included documents, statistics. Knows the answer's shape, not the question."""

# Annotations are not postponed: a Struct's signature would look names up in the package, where public classes say they live.

import re
from datetime import datetime, timezone
from typing import Any

import msgspec

from evsession.errors import ProtocolError
from evsession.wire.json import JSON

__all__ = ["Page", "Statistics", "parse_page", "parse_statistics", "parse_timestamp"]

_TIMESTAMP = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-]\d\d:\d\d))?"


class Statistics(msgspec.Struct, frozen=True):
    """How a query was answered.

    Attributes:
        total: Matches before paging (and before ``distinct``), or None when the server does not count them (a prefix of ids).
        stale: Whether the index had not yet seen every document.
        index: The index that answered, such as ``"Auto/Dogs/Bybreed"`` or ``"collection/Dogs"``.
        timestamp: When the index last changed; None where there is no index.
        duration: Seconds that the server worked; 0 on streams, which do not say.
        skipped: Rows dropped by ``distinct`` or a fan-out: the next page starts at start + rows + skipped.
    """

    total: int | None = None
    stale: bool = False
    index: str | None = None
    timestamp: datetime | None = None
    duration: float = 0.0
    skipped: int = 0


class Page(msgspec.Struct, frozen=True):
    """The rows of one answer, in order, as plain dicts with their ``@metadata``.

    Attributes:
        rows: The documents or projections; the latter say so in their metadata (``@projection``).
        includes: Included documents by id. Missing ones are absent, and so are those among the rows.
        statistics: How the query was answered.
    """

    rows: list[dict[str, Any]]
    includes: dict[str, dict[str, Any]]
    statistics: Statistics


def parse_timestamp(text: object) -> datetime | None:
    """Return a time as RavenDB writes it, or None for no time.

    Seven fraction digits are cut to six (`datetime.fromisoformat` refuses them before Python 3.11), a time without a zone is UTC,
    and the year 1 stands for "never" (``0001-01-01T00:00:00.0000000`` on queries without an index, seen on 5.4, 6.2 and 7.1).
    """
    match = re.fullmatch(_TIMESTAMP, text) if isinstance(text, str) else None
    if match is None or match[1].startswith("0001-"):
        return None
    try:
        moment = datetime.fromisoformat(f"{match[1]}.{(match[2] or '0')[:6]:0<6}{match[3] or '+00:00'}")
    except ValueError:
        return None
    return moment.astimezone(timezone.utc)


def parse_statistics(answer: dict[str, Any]) -> Statistics:
    """Return the statistics in a query's answer or in the first line of a stream.

    ``TotalResults`` is -1 when the server does not count (seen on 5.4, 6.2 and 7.1 for a prefix of ids in a collection).
    """
    total = answer.get("LongTotalResults", answer.get("TotalResults"))
    return Statistics(
        total=total if isinstance(total, int) and total >= 0 else None,
        stale=answer.get("IsStale") is True,
        index=answer.get("IndexName"),
        timestamp=parse_timestamp(answer.get("IndexTimestamp")),
        duration=(answer.get("DurationInMs") or 0) / 1000,
        skipped=answer.get("SkippedResults") or 0,
    )


def parse_page(answer: JSON) -> Page:
    """Return the page in a query's answer.

    Raises:
        ProtocolError: if the answer has no results.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("Results"), list):
        raise ProtocolError("the answer to the query holds no results")
    rows, includes = answer["Results"], answer.get("Includes") or {}
    if not all(isinstance(row, dict) for row in rows) or not isinstance(includes, dict):
        raise ProtocolError("the answer to the query holds something else than rows")
    return Page(rows, {key: row for key, row in includes.items() if isinstance(row, dict)}, parse_statistics(answer))
