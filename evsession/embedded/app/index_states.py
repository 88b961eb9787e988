"""What indexes are doing: statistics, errors, terms, start and stop. They work in queries only, so most of it is always the same.

What differs from RavenDB, seen on 7.1: an index that is stopped runs, one that is disabled only says so, and both answer as
before; the steps that an index has taken are the documents that there are; rates are 0.
"""

from __future__ import annotations

from evsession.embedded.app.answers import empty, json_answer
from evsession.embedded.app.call import Call, Routes
from evsession.embedded.app.indexes import CREATED, forms, named_forms, switch
from evsession.embedded.failures import RavenFailure, invalid_argument
from evsession.embedded.storage.transaction import timestamp
from evsession.wire.json import JSON
from evsession.wire.message import Response

__all__ = ["INDEX_STATE_ROUTES", "summary"]

_NOT_HERE = dict.fromkeys(
    (
        *("MapReferenceAttempts", "MapReferenceSuccesses", "MapReferenceErrors"),
        *("ReduceAttempts", "ReduceSuccesses", "ReduceErrors"),
        *("ReduceOutputCollection", "ReduceOutputReferencePattern", "PatternReferencesCollectionName"),
        *("ArchivedDataProcessingBehavior", "Memory", "LastBatchStats"),
    )
)


def summary(index: dict[str, JSON]) -> dict[str, JSON]:
    """Return what the statistics of a database say of an index."""
    facts = {name: index[name] for name in ("Name", "State", "LockMode", "Priority", "Type", "SourceType")}
    return {**facts, "IsStale": False, "LastIndexingTime": timestamp()}


def _named(call: Call) -> list[dict[str, JSON]]:
    names = call.query.get("name", [])
    return named_forms(call, names) if any(names) else forms(call)


def statistics(call: Call) -> Response:
    """Answer with what is in the indexes."""
    try:
        found = _named(call)
    except RavenFailure:
        return empty(404)
    return json_answer({"Results": [_statistics(call, index) for index in found]})


def _statistics(call: Call, index: dict[str, JSON]) -> JSON:
    engine, name = call.tenant.engine, index["Name"]
    with call.tenant.storage.read() as connection:
        state = engine.state(connection, name)
    collections = {
        collection: {
            "LastProcessedDocumentEtag": etag,
            "LastProcessedTombstoneEtag": 0,
            "LastProcessedTimeSeriesDeletedRangeEtag": 0,
            "DocumentLag": 0,
            "TombstoneLag": 0,
        }
        for collection, etag in state.etags.items()
    }
    steps = {"Map", "Reduce"} if "Reduce" in index["Type"] else {"Map"}
    worked = {f"{step}{what}": state.documents for step in steps for what in ("Attempts", "Successes")}
    return {
        **_NOT_HERE,
        **worked,
        **{f"{step}Errors": 0 for step in steps},
        **summary(index),
        "MappedPerSecondRate": 0.0,
        "ReducedPerSecondRate": 0.0,
        "MaxNumberOfOutputsPerDocument": min(state.documents, 1),
        "Collections": collections,
        "LastQueryingTime": engine.last_query(name) or index[CREATED],
        "CreatedTimestamp": index[CREATED],
        "SearchEngineType": "Corax",
        "Status": _status(index),
        "EntriesCount": state.entries,
        "ErrorsCount": 0,
        "ReferencedCollections": [],
        "IsInvalidIndex": False,
    }


def _status(index: dict[str, JSON]) -> str:
    return "Disabled" if index["State"] == "Disabled" else "Running"


def errors(call: Call) -> Response:
    """Answer that there are no errors; none ever are."""
    return json_answer({"Results": [{"Name": index["Name"], "Errors": []} for index in _named(call)]})


def forget_errors(call: Call) -> Response:
    """Answer that there are no errors any more."""
    _named(call)
    return empty(204)


def staleness(call: Call) -> Response:
    """Answer that the index is not stale; none ever is."""
    named_forms(call, [call.required("name")])
    return json_answer({"IsStale": False, "StalenessReasons": []})


def status(call: Call) -> Response:
    """Answer which indexes run: all that are not disabled."""
    known = [{"Name": index["Name"], "Status": _status(index)} for index in forms(call)]
    return json_answer({"Status": "Running", "Indexes": known})


def terms(call: Call) -> Response:
    """Answer with the terms of a field, in order."""
    field, name = call.required("field"), call.required("name")
    (index,) = named_forms(call, [name])
    size = call.number("pageSize", None) if call.text("pagesize") else None
    with call.tenant.storage.read() as connection:
        found = call.tenant.engine.terms(connection, index["Name"], field, after=call.text("fromvalue"), size=size)
    return json_answer({"IndexName": index["Name"], "ResultEtag": 0, "Terms": found})


def start_or_stop(call: Call) -> Response:
    """Answer that it is done: an index needs neither be started nor stopped."""
    _named(call)
    return empty(204)


def reset(call: Call) -> Response:
    """Answer that it is done: an index is always as if it had just been made."""
    named_forms(call, [call.required("name")])
    return empty(204)


def enable(call: Call) -> Response:
    """Say of an index that it is enabled."""
    return _set_state(call, "Normal")


def disable(call: Call) -> Response:
    """Say of an index that it is disabled."""
    return _set_state(call, "Disabled")


def _set_state(call: Call, state: str) -> Response:
    if not call.text("name"):
        raise invalid_argument("Query string name is mandatory, but wasn't specified.")
    return switch(call, [call.text("name")], "State", state)


INDEX_STATE_ROUTES: Routes = {
    ("RESET", "indexes"): reset,
    ("GET", "indexes/stats"): statistics,
    ("GET", "indexes/errors"): errors,
    ("DELETE", "indexes/errors"): forget_errors,
    ("GET", "indexes/staleness"): staleness,
    ("GET", "indexes/status"): status,
    ("GET", "indexes/terms"): terms,
    ("POST", "admin/indexes/start"): start_or_stop,
    ("POST", "admin/indexes/stop"): start_or_stop,
    ("POST", "admin/indexes/enable"): enable,
    ("POST", "admin/indexes/disable"): disable,
}
