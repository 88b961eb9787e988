"""Numbers for keys: identities, one by one, and HiLo ranges, handed out ahead. Both are kept in the database."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from evsession.embedded.app.answers import json_answer, raw_answer
from evsession.embedded.app.call import Call, Routes
from evsession.embedded.failures import RavenFailure, invalid_argument
from evsession.embedded.storage import Transaction
from evsession.embedded.storage.database import NODE_TAG
from evsession.embedded.storage.transaction import timestamp, wrapped
from evsession.raven.vocabulary import COLLECTION
from evsession.wire.json import JSON, decode_object, encode
from evsession.wire.message import Response

__all__ = ["NUMBER_ROUTES"]

CAPACITY = 32
"""Numbers in the first range of a client, and the fewest in any."""

MOST = 1_048_576
"""Numbers in the largest range."""

QUICK = timedelta(seconds=30)
"""A client that asks again within this time gets twice as many numbers."""

PATIENT = timedelta(seconds=60)
"""A client that asks again after this time gets half as many."""

_HILO_METADATA = encode({COLLECTION: "@hilo"}).decode()


def next_range(call: Call) -> Response:
    """Hand out the next range of numbers of a collection; the server keeps it as the document ``Raven/Hilo/<tag>``."""
    tag = call.required("tag")
    separator = call.text("identitypartsseparator", "/")
    if len(separator) != 1:
        raise RavenFailure(
            500,
            "System.InvalidOperationException",
            f"Query string identityPartsSeparator is expecting single character, but got '{separator}'.",
        )
    size = _size(call.number("lastBatchSize", 0) or 0, call.text("lastrangeat"))
    last = call.number("lastMax", 0) or 0
    with call.tenant.storage.write(call.tenant.database) as transaction:
        document, highest = _read(transaction, tag)
        low = wrapped(max(highest, last) + 1)
        high = wrapped(low + size - 1)
        _write(transaction, tag, document, high)
    answer = {
        "Prefix": f"{tag}{separator}",
        "Low": low,
        "High": high,
        "LastSize": size,
        "ServerTag": NODE_TAG,
        "LastRangeAt": timestamp(),
    }
    return json_answer(answer, status=201)


def _size(last: int, at: str) -> int:
    """Return how many numbers a client gets that got `last` of them at that time."""
    try:
        passed = datetime.now(timezone.utc) - datetime.fromisoformat(at[:19]).replace(tzinfo=timezone.utc)
    except ValueError:
        return CAPACITY
    if passed < QUICK:
        last *= 2
    elif passed > PATIENT:
        last //= 2
    return min(max(last, CAPACITY), MOST)


def _read(transaction: Transaction, tag: str) -> tuple[dict[str, JSON], int]:
    row = transaction.read(f"Raven/Hilo/{tag}")
    document = decode_object(row[1]) if row else {}
    highest = document.get("Max", 0)
    return document, highest if isinstance(highest, int) else 0


def _write(transaction: Transaction, tag: str, document: dict[str, JSON], highest: int) -> None:
    body = encode({**document, "Max": highest}).decode()
    transaction.put(f"Raven/Hilo/{tag}", body, _HILO_METADATA, "@hilo")


def return_range(call: Call) -> Response:
    """Take back the end of a range, if nobody has got a later one; else the numbers are lost, which costs nothing."""
    tag = call.required("tag")
    end, last = _mandatory(call, "end"), _mandatory(call, "last")
    with call.tenant.storage.write(call.tenant.database) as transaction:
        document, highest = _read(transaction, tag)
        if highest == end and last <= end and document:
            _write(transaction, tag, document, last)
    return raw_answer(b"")


def _mandatory(call: Call, name: str) -> int:
    value = call.number(name, None)
    if value is None:
        raise invalid_argument(f"Query string {name} is mandatory, but wasn't specified.")
    return value


def next_identity(call: Call) -> Response:
    """Move an identity on and answer with its value."""
    name = call.required("name")
    with call.tenant.storage.write(call.tenant.database) as transaction:
        return json_answer({"NewIdentityValue": transaction.next_identity(name)})


def seed_identity(call: Call) -> Response:
    """Set an identity; a lower value counts by force only."""
    name, value = call.required("name"), _mandatory(call, "value")
    with call.tenant.storage.write(call.tenant.database) as transaction:
        return json_answer({"NewSeedValue": transaction.seed_identity(name, value, force=call.flag("force"))})


def list_identities(call: Call) -> Response:
    """Answer with all identities and their values."""
    with call.tenant.storage.read() as connection:
        found = connection.execute(f"SELECT key, value FROM {call.tenant.database.tables.identities} ORDER BY key")
        return json_answer(dict(found.fetchall()))


NUMBER_ROUTES: Routes = {
    ("GET", "hilo/next"): next_range,
    ("PUT", "hilo/return"): return_range,
    ("POST", "identity/next"): next_identity,
    ("POST", "identity/seed"): seed_identity,
    ("GET", "debug/identities"): list_identities,
}
