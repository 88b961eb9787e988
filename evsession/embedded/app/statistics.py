"""What there is and what became of it: statistics, health, operations. Numbers of what this server has not are 0."""

from __future__ import annotations

from evsession.embedded.app.answers import empty, json_answer
from evsession.embedded.app.call import Call, Routes
from evsession.embedded.app.indexes import definitions
from evsession.embedded.failures import invalid_argument
from evsession.embedded.storage.database import NODE_TAG
from evsession.wire.json import JSON
from evsession.wire.message import Response

__all__ = ["STATISTICS_ROUTES"]

_NONE_HERE = dict.fromkeys(
    (
        "CountOfRevisionDocuments",
        "CountOfTombstones",
        "CountOfDocumentsConflicts",
        "CountOfConflicts",
        "CountOfAttachments",
        "CountOfCounterEntries",
        "CountOfTimeSeriesSegments",
    ),
    0,
)


def _collections(call: Call) -> dict[str, int]:
    tables = call.tenant.database.tables
    with call.tenant.storage.read() as connection:
        counts = dict(connection.execute(f"SELECT name, 0 FROM {tables.collections} ORDER BY name").fetchall())
        counts.update(connection.execute(f"SELECT collection, count(*) FROM {tables.documents} GROUP BY collection").fetchall())
    return counts


def collection_statistics(call: Call) -> Response:
    """Answer with the number of documents in each collection."""
    counts = _collections(call)
    facts = {"CountOfDocuments": sum(counts.values()), **_NONE_HERE, "CountOfTimeSeriesDeletedRanges": 0}
    return json_answer({**facts, "Collections": counts})


def database_statistics(call: Call) -> Response:
    """Answer with what there is in the database."""
    tenant = call.tenant
    count = sum(_collections(call).values())
    with tenant.storage.read() as connection:
        known = definitions(connection, tenant.database.tables)
    indexes = [
        {name: index[name] for name in ("Name", "State", "LockMode", "Priority", "Type", "SourceType")} | {"IsStale": False}
        for index in known
    ]
    last = tenant.database.last_etag
    facts: dict[str, JSON] = {"CountOfIndexes": len(indexes), "CountOfDocuments": count, **_NONE_HERE, "Indexes": indexes}
    return json_answer(
        {
            **facts,
            "CountOfUniqueAttachments": 0,
            "DatabaseChangeVector": tenant.database.change_vector(last),
            "DatabaseId": tenant.database.guid,
            "Is64Bit": True,
            "LastDocEtag": last,
            "LastDatabaseEtag": last,
            "LastIndexingTime": None,
        }
    )


def healthy(call: Call) -> Response:
    """Answer that the database is there."""
    return empty(204)


def client_configuration(call: Call) -> Response:
    """Answer that there is none, so that clients keep their own."""
    return json_answer({"Etag": -2, "Configuration": None})


def next_operation_id(call: Call) -> Response:
    """Hand out a number for an operation."""
    return json_answer({"Id": call.tenant.operations.next_number(), "NodeTag": NODE_TAG})


def _number(call: Call) -> int:
    number = call.number("id", None)
    if number is None:
        raise invalid_argument("Query string id is mandatory, but wasn't specified.")
    return number


def operation_state(call: Call) -> Response:
    """Answer with the state of an operation."""
    state = call.tenant.operations.state(_number(call))
    return empty(404) if state is None else json_answer(state)


def kill_operation(call: Call) -> Response:
    """Stop an operation."""
    number = _number(call)
    if not call.tenant.operations.kill(number):
        raise invalid_argument(f"Operation {number} was not registered")
    return empty(204)


STATISTICS_ROUTES: Routes = {
    ("GET", "operations/next-operation-id"): next_operation_id,
    ("GET", "operations/state"): operation_state,
    ("POST", "operations/kill"): kill_operation,
    ("GET", "stats"): database_statistics,
    ("GET", "stats/detailed"): database_statistics,
    ("GET", "stats/essential"): database_statistics,
    ("GET", "collections/stats"): collection_statistics,
    ("GET", "healthcheck"): healthy,
    ("GET", "configuration/client"): client_configuration,
}
