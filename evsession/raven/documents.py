"""Loading documents by key, and asking whether they exist. Knows RavenDB's ``/docs`` endpoint; gives rows, not entities."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from evsession.errors import ProtocolError
from evsession.raven.errors import error_from
from evsession.raven.vocabulary import Database
from evsession.wire.flow import Flow
from evsession.wire.json import JSON, decode_object, encode
from evsession.wire.message import Request, Response
from evsession.wire.url import target

__all__ = ["Loaded", "exists_flow", "load_flow", "load_many_flow"]

Row = dict[str, JSON]


class Loaded(msgspec.Struct, frozen=True):
    """What a load brought: a row or None per key asked, and the included rows that RavenDB did not list among them."""

    rows: Sequence[Row | None]
    includes: dict[str, Row] = msgspec.field(default_factory=dict)


def load_flow(database: Database, key: str, includes: Sequence[str] = ()) -> Flow[Loaded]:
    """Load one document; a missing one is 404 without a body, also when includes are asked (seen on 5.4 - 7.1)."""
    query = [("id", key), *[("include", path) for path in includes]]
    response = yield Request("GET", target(database.docs, query), key=key)
    return _parse(response, 1, key)


def load_many_flow(database: Database, keys: Sequence[str], includes: Sequence[str] = ()) -> Flow[Loaded]:
    """Load documents in the order asked, None for each that is missing.

    Keys must be distinct. Without keys nothing is asked: RavenDB 6.2 and 7.1 answer an empty list with the whole database. A list
    of one missing key is answered as a single load is, by 404 without a body (seen on 5.4 - 7.1).
    """
    if not keys:
        return Loaded([])
    where = target(database.docs, [("include", path) for path in includes])
    response = yield Request("POST", where, encode({"Ids": list(keys)}), headers=(("Content-Type", "application/json"),))
    return _parse(response, len(keys), None)


def _parse(response: Response, expected: int, key: str | None) -> Loaded:
    if expected == 1 and response.status == 404 and not response.body:
        return Loaded([None])
    if response.status != 200:
        raise error_from(response, key=key)
    answer = decode_object(response.body)
    rows, includes = answer.get("Results"), answer.get("Includes") or {}
    if not isinstance(rows, list) or len(rows) != expected or not all(row is None or isinstance(row, dict) for row in rows):
        raise ProtocolError(f"the answer does not list {expected} documents", status_code=response.status, key=key)
    if not isinstance(includes, dict):
        raise ProtocolError("the answer's includes are no documents by key", status_code=response.status, key=key)
    return Loaded(rows, {name: row for name, row in includes.items() if isinstance(row, dict)})


def exists_flow(database: Database, key: str) -> Flow[bool]:
    """Ask whether the document exists.

    RavenDB answers 500 without a body when the database is missing, so a failure is asked again as a GET, which says why.
    """
    where = target(database.docs, [("id", key)])
    response = yield Request("HEAD", where, key=key)
    if response.status in (200, 404):
        return response.status == 200
    described = yield Request("GET", target(database.docs, [("id", key), ("metadataOnly", "true")]), key=key)
    raise error_from(described if described.status >= 400 else response, key=key)
