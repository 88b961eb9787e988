"""Times in metadata at which RavenDB does something with a document: they must be times, though nothing is done here."""

from __future__ import annotations

import re
from datetime import datetime

from evsession.embedded.failures import RavenFailure
from evsession.wire.json import JSON, decode

__all__ = ["check_due"]

_NAMES = ("@expires", "@refresh", "@archive-at")
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{0,7})?(?:Z|[+-](?P<hours>\d{1,2}):?(?P<minutes>\d\d))?", re.ASCII
)
_FURTHEST = 14 * 60


def check_due(key: str, metadata: str, now: str) -> None:
    """See that the times are times; numbers and whatever else is no text mean nothing (seen on 7.1).

    Args:
        key: The document's folded key.
        metadata: Its metadata as JSON.
        now: The time, which the failure shows as an example.

    Raises:
        RavenFailure: one is another text, or null.
    """
    if '"@expires"' in metadata or '"@refresh"' in metadata or '"@archive-at"' in metadata:
        known = decode(metadata.encode())
        for name in _NAMES:
            if name in known and not _is_due(known[name]):
                message = f"The due date format for document '{key}' is not valid: '{known[name] or ''}'."
                raise RavenFailure(500, "System.InvalidOperationException", f"{message} Use the following format: {now}")


def _is_due(value: JSON) -> bool:
    if not isinstance(value, str):
        return value is not None
    found = _TIME.fullmatch(value)
    if found is None:
        return False
    try:
        year, month, day, hours, minutes, seconds = map(int, found.groups()[:6])
        datetime(year, month, day, hours, minutes, seconds)
    except ValueError:
        return False
    return found["hours"] is None or int(found["hours"]) * 60 + int(found["minutes"]) <= _FURTHEST
