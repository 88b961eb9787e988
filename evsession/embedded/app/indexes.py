"""Definitions of indexes: put, list, delete. Whether one can be run, the query engine says; here they are kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from evsession.embedded.app.answers import empty, json_answer
from evsession.embedded.app.call import Call, Routes, parse_object
from evsession.embedded.failures import RavenFailure, invalid_argument
from evsession.embedded.storage import Tables, fold_key
from evsession.wire.json import JSON, decode_object, encode
from evsession.wire.message import Response

__all__ = ["INDEX_ROUTES", "definitions"]

_DEFAULTS: dict[str, JSON] = {
    "SourceType": "Documents",
    "Type": "Map",
    "LockMode": "Unlock",
    "ArchivedDataProcessingBehavior": None,
    "Priority": "Normal",
    "State": "Normal",
    "OutputReduceToCollection": None,
    "DeploymentMode": None,
    "ReduceOutputIndex": None,
    "PatternForOutputReduceToCollectionReferences": None,
    "PatternReferencesCollectionName": None,
    "Configuration": {},
    "AdditionalSources": {},
    "AdditionalAssemblies": [],
    "Reduce": None,
    "Fields": {},
}


def put_indexes(call: Call) -> Response:
    """Define indexes: all, or none if one cannot be run here."""
    body = parse_object(call.request.body)
    if "Indexes" not in body:
        raise invalid_argument("Request should have a property name 'Indexes' which is mandatory.")
    asked = body["Indexes"]
    if not isinstance(asked, list) or not all(isinstance(definition, dict) for definition in asked):
        raise RavenFailure(500, "System.FormatException", "'Indexes' must be a list of objects")
    for definition in asked:
        _check(definition)
    tenant = call.tenant
    with tenant.storage.write(tenant.database) as transaction:
        for definition in asked:
            tenant.engine.define(transaction.connection, definition)
            transaction.connection.execute(
                f"INSERT INTO {tenant.database.tables.indexes} VALUES (?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET name = excluded.name, definition = excluded.definition",
                (fold_key(definition["Name"]), definition["Name"], encode(definition).decode()),
            )
    tenant.engine.forget()
    results = [{"Index": definition["Name"], "RaftCommandIndex": tenant.database.last_etag} for definition in asked]
    return json_answer({"Results": results}, status=201)


def _check(definition: dict[str, JSON]) -> None:
    name, maps = definition.get("Name"), definition.get("Maps")
    if not isinstance(name, str) or not name:
        raise RavenFailure(500, "System.NullReferenceException", "An index must have a 'Name'")
    if name.lower().startswith("auto/"):
        raise invalid_argument(f"Index name '{name}' is not permitted. Static index name cannot start with 'Auto/'")
    if maps is not None and not isinstance(maps, list):
        raise RavenFailure(500, "System.FormatException", f"'Maps' must be a list, not {maps!r}")
    if not maps or not all(isinstance(text, str) for text in maps):
        raise invalid_argument("Index must have a 'Maps' fields")


def put_javascript_indexes(call: Call) -> Response:
    """Define indexes as somebody who is no administrator: in JavaScript only, as on RavenDB."""
    asked = parse_object(call.request.body).get("Indexes")
    for definition in asked if isinstance(asked, list) else []:
        maps = definition.get("Maps") if isinstance(definition, dict) else None
        if isinstance(maps, list) and any(isinstance(text, str) and not text.lstrip().startswith("map") for text in maps):
            raise RavenFailure(
                500,
                "System.UnauthorizedAccessException",
                f"Index {definition.get('Name')} is a C# index but was sent through a non-admin endpoint using REST api,"
                " this is not allowed.",
            )
    return put_indexes(call)


def definitions(connection: sqlite3.Connection, tables: Tables) -> list[dict[str, JSON]]:
    """Return all definitions, by name."""
    rows = connection.execute(f"SELECT definition FROM {tables.indexes} ORDER BY name")
    return [{**_DEFAULTS, **decode_object(row[0].encode())} for row in rows]


def _named(call: Call) -> list[dict[str, JSON]]:
    """Return the definitions that the request is about: the one that is named, or a page of all, automatic ones included."""
    tenant = call.tenant
    with tenant.storage.read() as connection:
        known = definitions(connection, tenant.database.tables)
    automatic = [{**_DEFAULTS, "Name": name, "Type": "AutoMap", "Maps": []} for name in tenant.engine.auto_indexes()]
    known = sorted([*known, *automatic], key=lambda definition: str(definition["Name"]))
    name = call.text("name")
    if name:
        return [definition for definition in known if fold_key(definition["Name"]) == fold_key(name)]
    start, size = call.number("start", 0) or 0, call.number("pageSize", None)
    return known[max(start, 0) : None if size is None else max(start, 0) + max(size, 0)]


def list_indexes(call: Call) -> Response:
    """Answer with definitions, or only with names."""
    found = _named(call)
    if not found and call.text("name"):
        return empty(404)
    return json_answer({"Results": [index["Name"] for index in found] if call.flag("namesonly") else found})


def delete_index(call: Call) -> Response:
    """Delete a definition."""
    name, tenant = call.required("name"), call.tenant
    with tenant.storage.write(tenant.database) as transaction:
        gone = transaction.connection.execute(
            f"DELETE FROM {tenant.database.tables.indexes} WHERE key = ?", (fold_key(name),)
        ).rowcount
    tenant.engine.forget()
    return empty(204 if gone else 404)


def _listed(describe: Callable[[dict[str, JSON]], JSON]) -> Callable[[Call], Response]:
    def answer(call: Call) -> Response:
        return json_answer({"Results": [describe(index) for index in _named(call)]})

    return answer


def _statistics(index: dict[str, JSON]) -> JSON:
    facts = {name: index[name] for name in ("Name", "Type", "LockMode", "Priority", "State", "SourceType")}
    return {**facts, "IsStale": False, "IsInvalidIndex": False, "Status": "Running", "ErrorsCount": 0}


def _errors(index: dict[str, JSON]) -> JSON:
    return {"Name": index["Name"], "Errors": []}


def staleness(call: Call) -> Response:
    """Answer that the index is not stale; none ever is."""
    name = call.required("name")
    if not _named(call):
        raise RavenFailure(
            500,
            "Raven.Client.Exceptions.Documents.Indexes.IndexDoesNotExistException",
            f"There is no index with '{name}' name.",
        )
    return json_answer({"IsStale": False, "StalenessReasons": []})


def status(call: Call) -> Response:
    """Answer that all indexes run."""
    return json_answer({"Status": "Running", "Indexes": [{"Name": index["Name"], "Status": "Running"} for index in _named(call)]})


def accept(call: Call) -> Response:
    """Answer that it is done: indexes need neither be started nor stopped, nor reset."""
    return empty(204)


INDEX_ROUTES: Routes = {
    ("PUT", "admin/indexes"): put_indexes,
    ("PUT", "indexes"): put_javascript_indexes,
    ("GET", "indexes"): list_indexes,
    ("DELETE", "indexes"): delete_index,
    ("RESET", "indexes"): accept,
    ("GET", "indexes/stats"): _listed(_statistics),
    ("GET", "indexes/errors"): _listed(_errors),
    ("GET", "indexes/staleness"): staleness,
    ("GET", "indexes/status"): status,
    ("POST", "admin/indexes/start"): accept,
    ("POST", "admin/indexes/stop"): accept,
}
