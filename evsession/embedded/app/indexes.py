"""Definitions of indexes: put, list, compare, lock, delete. Whether one can be run, the query engine says; here they are kept.

What differs from RavenDB, seen on 7.1:

* A definition is in force at once; RavenDB builds a changed index beside the old one, which answers until then.
* Keys of ``Configuration`` that RavenDB does not know are kept, and without effect, as all are.
* Automatic indexes are names: they last as long as the server runs, and their priority is always the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from evsession.embedded.app.answers import empty, json_answer
from evsession.embedded.app.call import Call, Routes, parse_object
from evsession.embedded.app.index_forms import LOCK_MODES, PRIORITIES, alike, auto_form, check_shape, form, same_files
from evsession.embedded.failures import RavenFailure, invalid_argument
from evsession.embedded.query import one_of
from evsession.embedded.storage import Tables, fold_key
from evsession.embedded.storage.transaction import timestamp
from evsession.wire.json import JSON, decode_object, encode
from evsession.wire.message import Response

__all__ = ["INDEX_ROUTES", "forms", "named_forms", "no_index", "switch"]

_INDEXES = "Raven.Client.Exceptions.Documents.Indexes."
CREATED = "CreatedTimestamp"


def put_indexes(call: Call) -> Response:
    """Define indexes: all, or none if one cannot be run here."""
    body = parse_object(call.request.body)
    if "Indexes" not in body:
        raise invalid_argument("Request should have a property name 'Indexes' which is mandatory.")
    asked = body["Indexes"]
    if not isinstance(asked, list) or not all(isinstance(definition, dict) for definition in asked):
        raise RavenFailure(500, "System.FormatException", "'Indexes' must be a list of objects")
    for definition in asked:
        check_shape(definition)
    tenant = call.tenant
    with tenant.storage.write(tenant.database) as transaction:
        for definition in asked:
            tenant.engine.define(transaction.connection, definition)
            _put(transaction.connection, tenant.database.tables, definition)
    tenant.engine.forget()
    results = [{"Index": definition["Name"], "RaftCommandIndex": tenant.database.last_etag} for definition in asked]
    return json_answer({"Results": results}, status=201)


def _put(connection: sqlite3.Connection, tables: Tables, definition: dict[str, JSON]) -> None:
    """Keep a definition, unless another one is locked.

    Raises:
        RavenFailure: it is locked against this, too, or there is an index that RavenDB would keep in the same place.
    """
    name, new = definition["Name"], form(definition)
    made, lock = timestamp(), definition.get("LockMode")
    for other in _definitions(connection, tables):
        if same_files(other["Name"], name):
            raise _not_created(name, f"there is '{other['Name']}'")
        if other["Name"] == name and alike(form(other), new):
            made, lock = other.get(CREATED, made), lock or other.get("LockMode")
        elif other["Name"] == name and other.get("LockMode") == "LockedIgnore":
            return
        elif other["Name"] == name and other.get("LockMode") == "LockedError":
            raise _not_created(name, "it is locked")
    _keep(connection, tables, {**definition, "LockMode": lock, CREATED: made})


def _not_created(name: str, why: str) -> RavenFailure:
    return RavenFailure(500, _INDEXES + "IndexCreationException", f"Failed to create index '{name}': {why}")


def _keep(connection: sqlite3.Connection, tables: Tables, definition: Mapping[str, JSON]) -> None:
    connection.execute(
        f"INSERT INTO {tables.indexes} VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET name = excluded.name, definition = excluded.definition",
        (fold_key(definition["Name"]), definition["Name"], encode(definition).decode()),
    )


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


def _definitions(connection: sqlite3.Connection, tables: Tables) -> list[dict[str, JSON]]:
    rows = connection.execute(f"SELECT definition FROM {tables.indexes} ORDER BY name")
    return [decode_object(row[0].encode()) for row in rows]


def forms(call: Call) -> list[dict[str, JSON]]:
    """Return all indexes by name, automatic ones included, each with when it was made."""
    tenant = call.tenant
    with tenant.storage.read() as connection:
        known = [{**form(one), CREATED: one.get(CREATED)} for one in _definitions(connection, tenant.database.tables)]
    known += [{**auto_form(one), CREATED: one.created} for one in tenant.engine.auto_indexes()]
    return sorted(known, key=lambda one: str(one["Name"]))


def named_forms(call: Call, names: list[str]) -> list[dict[str, JSON]]:
    """Return the indexes of these names; case counts for automatic ones only.

    Raises:
        RavenFailure: there is none of such a name.
    """
    known = {_key(one["Name"]): one for one in forms(call)}
    if missing := [name for name in names if _key(name) not in known]:
        raise no_index(missing[0])
    return [known[_key(name)] for name in names]


def _key(name: str) -> str:
    return name if name.startswith("Auto/") else fold_key(name)


def no_index(name: str) -> RavenFailure:
    """Return the failure of a request for an index that there is not."""
    return RavenFailure(500, _INDEXES + "IndexDoesNotExistException", f"There is no index with '{name}' name.")


def list_indexes(call: Call) -> Response:
    """Answer with definitions, or only with names: of the one that is named, or of a page of all."""
    if name := call.text("name"):
        try:
            found = named_forms(call, [name])
        except RavenFailure:
            return empty(404)
    else:
        start, size = max(call.number("start", 0) or 0, 0), call.number("pageSize", None)
        found = forms(call)[start : None if size is None else start + max(size, 0)]
    if call.flag("namesonly"):
        return json_answer({"Results": [one["Name"] for one in found]})
    return json_answer({"Results": [{name: value for name, value in one.items() if name != CREATED} for one in found]})


def delete_index(call: Call) -> Response:
    """Delete a definition, unless it is locked."""
    name, tenant = call.required("name"), call.tenant
    if tenant.engine.forget_auto(name):
        return empty(204)
    with tenant.storage.write(tenant.database) as transaction:
        for one in _definitions(transaction.connection, tenant.database.tables):
            if fold_key(one["Name"]) == fold_key(name):
                if one.get("LockMode") == "LockedError":
                    raise RavenFailure(500, _INDEXES + "IndexDeletionException", f"Failed to delete index '{name}'.")
                if one.get("LockMode") != "LockedIgnore":
                    table = tenant.database.tables.indexes
                    transaction.connection.execute(f"DELETE FROM {table} WHERE key = ?", (fold_key(name),))
                break
        else:
            return empty(404)
    tenant.engine.forget()
    return empty(204)


def has_changed(call: Call) -> Response:
    """Answer whether putting the definition would change anything."""
    definition = parse_object(call.request.body)
    if not isinstance(definition.get("Name"), str) or not definition.get("Maps"):
        message = "Index definition must contain name and at least one map."
        raise RavenFailure(400, "Raven.Client.Exceptions.BadRequestException", message)
    check_shape(definition)
    known = [one for one in forms(call) if one["Name"] == definition["Name"]]
    is_whole = all(isinstance(definition.get(name), dict) for name in ("Fields", "Configuration"))
    is_same = bool(known) and is_whole and alike(known[0], form(definition), with_options=True)
    return json_answer({"Changed": not is_same})


def set_lock(call: Call) -> Response:
    """Lock indexes against changes, or unlock them."""
    body = parse_object(call.request.body)
    names = _index_names(body)
    mode = one_of(body, "Mode", LOCK_MODES, "IndexLockMode") or "Unlock"
    if any(name.lower().startswith("auto/") for name in names):
        message = "'Indexes list contains Auto-Indexes. Lock Mode' is not set for Auto-Indexes."
        raise RavenFailure(500, "System.InvalidOperationException", message)
    return switch(call, names, "LockMode", mode)


def set_priority(call: Call) -> Response:
    """Set how important indexes are, which is kept and changes nothing."""
    body = parse_object(call.request.body)
    names = _index_names(body) if body.get("IndexNames") else []
    return switch(call, names, "Priority", one_of(body, "Priority", PRIORITIES, "IndexPriority") or "Normal")


def _index_names(body: dict[str, JSON]) -> list[str]:
    names = body.get("IndexNames")
    if not names or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RavenFailure(500, "System.ArgumentNullException", "Value cannot be null. (Parameter 'IndexNames')")
    return names


def switch(call: Call, names: list[str], option: str, value: str) -> Response:
    """Set an option of indexes; of automatic ones nothing is kept.

    Raises:
        RavenFailure: there is none of such a name.
    """
    tenant = call.tenant
    wanted = {fold_key(one["Name"]) for one in named_forms(call, names)}
    with tenant.storage.write(tenant.database) as transaction:
        tables = tenant.database.tables
        for one in _definitions(transaction.connection, tables):
            if fold_key(one["Name"]) in wanted:
                _keep(transaction.connection, tables, {**one, option: value})
    return empty(204)


INDEX_ROUTES: Routes = {
    ("PUT", "admin/indexes"): put_indexes,
    ("PUT", "indexes"): put_javascript_indexes,
    ("GET", "indexes"): list_indexes,
    ("DELETE", "indexes"): delete_index,
    ("POST", "indexes/has-changed"): has_changed,
    ("POST", "indexes/set-lock"): set_lock,
    ("POST", "indexes/set-priority"): set_priority,
}
