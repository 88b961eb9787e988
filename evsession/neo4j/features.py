"""What a server can do, by the version that its discovery document names (``GET /``, which needs no login)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from evsession.errors import ProtocolError
from evsession.neo4j.errors import error_from
from evsession.wire.flow import Flow
from evsession.wire.json import decode
from evsession.wire.message import Request

__all__ = ["Features", "discovery_flow", "features_of"]


@dataclass(frozen=True, slots=True)
class Features:
    """What counts for requests.

    Attributes:
        version: As the server spells it, such as ``"5.26.31"``.
        has_lines: Answers can come as JSON lines, 2025.12 and later.
        has_metadata: Transactions can have metadata; before 2026.04 the server answers 400 to it (seen on 5.26).
        has_timeouts: A statement outside of a transaction can have a timeout; before 2026.04 the server accepts it and ignores it
            (seen on 5.26).
        level: The highest kind of parameters: 0 all types of 5.26, 1 vectors (2025.11), 2 UUIDs (2026.07).
    """

    version: str
    has_lines: bool
    has_metadata: bool
    has_timeouts: bool
    level: int


def features_of(version: str) -> Features:
    """Return what a server of this version can do."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    level = 2 if numbers >= (2026, 7) else 1 if numbers >= (2025, 11) else 0
    return Features(version, numbers >= (2025, 12), numbers >= (2026, 4), numbers >= (2026, 4), level)


def discovery_flow() -> Flow[Features]:
    """Ask the server what it is.

    Raises:
        ProtocolError: it is no Neo4j.
    """
    response = yield Request("GET", "/", headers=(("Accept", "application/json"),))
    if response.header(b"raven-server-version") is not None:  # the likeliest mistake; it answers with a redirection
        raise ProtocolError("the server is a RavenDB, and no Neo4j", status_code=response.status)
    if response.status != 200:
        raise error_from(response)
    about = decode(response.body)
    version = about.get("neo4j_version") if isinstance(about, dict) else None
    if not isinstance(version, str):
        raise ProtocolError("the server does not say which Neo4j it is; is it one?", status_code=response.status)
    return features_of(version)
