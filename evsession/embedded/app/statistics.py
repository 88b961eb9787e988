"""What there is and what became of it: statistics, health, operations. Numbers of what this server has not are 0.

Sizes are the whole file's, which all its databases share, and those of the JSON that is in a collection.
"""

from __future__ import annotations

from evsession.embedded.app.answers import empty, json_answer
from evsession.embedded.app.call import Call, Routes
from evsession.embedded.app.index_states import summary
from evsession.embedded.app.indexes import forms
from evsession.embedded.failures import invalid_argument
from evsession.embedded.storage.database import NODE_TAG
from evsession.embedded.storage.transaction import timestamp
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


def _size(size: int) -> dict[str, JSON]:
    return {"SizeInBytes": size, "HumaneSize": f"{size:,} Bytes"}


def detailed_collection_statistics(call: Call) -> Response:
    """Answer with the number of documents in each collection, and what they take."""
    tables = call.tenant.database.tables
    statement = f"SELECT collection, sum(length(body) + length(metadata)) FROM {tables.documents} GROUP BY collection"
    with call.tenant.storage.read() as connection:
        sizes = dict(connection.execute(statement).fetchall())
    others = ("Tombstones", "Revisions", "CounterEntries", "TimeSeriesSegments", "TimeSeriesDeletedRanges")
    nothing = {f"{what}Size": _size(0) for what in others} | {f"CountOf{what}": 0 for what in others}
    counts = _collections(call)
    collections = {
        name: {
            "Name": name,
            "CountOfDocuments": count,
            "Size": _size(sizes.get(name, 0)),
            "DocumentsSize": _size(sizes.get(name, 0)),
            **nothing,
        }
        for name, count in counts.items()
    }
    return json_answer({"CountOfDocuments": sum(counts.values()), **_NONE_HERE, "Collections": collections})


def essential_statistics(call: Call) -> Response:
    """Answer with the numbers alone."""
    return json_answer(_essentials(call))


def _essentials(call: Call) -> dict[str, JSON]:
    indexes = [summary(index) for index in forms(call)]
    count = sum(_collections(call).values())
    return {"CountOfIndexes": len(indexes), "CountOfDocuments": count, **_NONE_HERE, "Indexes": indexes}


def database_statistics(call: Call) -> Response:
    """Answer with what there is in the database."""
    return json_answer(_statistics(call))


def detailed_statistics(call: Call) -> Response:
    """Answer with what there is in the database, identities included."""
    with call.tenant.storage.read() as connection:
        (identities,) = connection.execute(f"SELECT count(*) FROM {call.tenant.database.tables.identities}").fetchone()
    others = dict.fromkeys(("CountOfCompareExchange", "CountOfCompareExchangeTombstones", "CountOfTimeSeriesDeletedRanges"), 0)
    return json_answer({**_statistics(call), "CountOfIdentities": identities, **others})


def _statistics(call: Call) -> dict[str, JSON]:
    tenant = call.tenant
    essentials = _essentials(call)
    with tenant.storage.read() as connection:
        (size,) = connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
    last = tenant.database.last_etag
    return {
        **essentials,
        "CountOfUniqueAttachments": 0,
        "DatabaseChangeVector": tenant.database.change_vector(last),
        "DatabaseId": tenant.database.guid,
        "Is64Bit": True,
        "LastDocEtag": last,
        "LastDatabaseEtag": last,
        "LastIndexingTime": timestamp() if essentials["Indexes"] else None,
        "Pager": "SQLite",
        "SizeOnDisk": _size(size),
        "TempBuffersSizeOnDisk": _size(0),
        "NumberOfTransactionMergerQueueOperations": 0,
    }


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
    ("GET", "stats/detailed"): detailed_statistics,
    ("GET", "stats/essential"): essential_statistics,
    ("GET", "collections/stats"): collection_statistics,
    ("GET", "collections/stats/detailed"): detailed_collection_statistics,
    ("GET", "healthcheck"): healthy,
    ("GET", "configuration/client"): client_configuration,
}
