"""What official clients ask before anything else, and the list of databases: version, topology, create, delete, switch."""

from __future__ import annotations

from evsession.config import VERSION
from evsession.embedded.app.answers import SERVER_VERSION, empty, json_answer
from evsession.embedded.app.call import Call, Routes, parse_object
from evsession.embedded.failures import RavenFailure, conflict, invalid_argument
from evsession.embedded.query import drop
from evsession.embedded.storage import Database
from evsession.embedded.storage.database import NODE_TAG
from evsession.embedded.storage.keys import check_database_name
from evsession.wire.json import JSON, decode_object, encode
from evsession.wire.message import Response

__all__ = ["RECORD_ROUTES", "SERVER_ROUTES"]


def build_version(call: Call) -> Response:
    """Answer which version this is: of RavenDB, as far as a client needs it, and of what really runs."""
    product, _, build = SERVER_VERSION.decode().rpartition(".")
    return json_answer(
        {
            "BuildVersion": int(build),
            "ProductVersion": product.rpartition(".")[0],
            "CommitHash": f"evsession-{VERSION}",
            "FullVersion": product,
        }
    )


def alive(call: Call) -> Response:
    """Answer that the server runs."""
    return empty(204)


def _missing(name: str, status: int) -> Response:
    body = {"Type": "Error", "Message": f"Database {name} wasn't found"}
    return json_answer(body, (b"database-missing", encode(name).strip(b'"')), status=status)


def topology(call: Call) -> Response:
    """Answer where the database is: here."""
    name = call.required("name")
    database = call.tenants.storage.database(name)
    if database is None:
        return _missing(name, 503)
    node = {"Url": call.host, "ClusterTag": NODE_TAG, "ServerRole": "Member", "Database": database.name}
    return json_answer({"Promotables": [], "Nodes": [node], "Etag": database.number})


def cluster_topology(call: Call) -> Response:
    """Answer with the cluster of one."""
    nodes = {NODE_TAG: call.host}
    cluster = {
        "TopologyId": "evsession-embedded",
        "AllNodes": nodes,
        "Members": nodes,
        "Promotables": {},
        "Watchers": {},
        "LastNodeId": NODE_TAG,
        "Etag": 1,
    }
    leader = {"Leader": NODE_TAG, "CurrentState": "Leader", "NodeTag": NODE_TAG, "ServerRole": "Member", "CurrentTerm": 1}
    return json_answer({"Topology": cluster, "Etag": 1, **leader, "Status": {}})


def list_databases(call: Call) -> Response:
    """Answer with the names of all databases or a page of them, or a little more about them."""
    start, size = max(call.number("start", 0) or 0, 0), call.number("pageSize", None)
    databases = sorted(call.tenants.storage.databases.values(), key=lambda database: database.name)
    databases = databases[start : None if size is None else start + max(size, 0)]
    if call.flag("namesOnly"):
        return json_answer({"Databases": [database.name for database in databases]})
    name = call.text("name")
    if name:
        found = call.tenants.storage.database(name)
        databases = [found] if found else []
    return json_answer(
        {"Databases": [{"Name": database.name, "Disabled": database.disabled, "LockMode": "Unlock"} for database in databases]}
    )


def database_record(call: Call) -> Response:
    """Answer with what the database was created with."""
    return _record(call, call.required("name"))


def own_record(call: Call) -> Response:
    """Answer with what the database in the path was created with."""
    return _record(call, call.tenant.database.name)


def _record(call: Call, name: str) -> Response:
    database = call.tenants.storage.database(name)
    if database is None:
        return _missing(name, 404)
    record = decode_object(database.record.encode())
    state = {"Disabled": database.disabled, "DatabaseState": "Normal", "LockMode": "Unlock", "Topology": _topology(database)}
    return json_answer({"Settings": {}, **record, "DatabaseName": database.name, **state, "Etag": database.number})


def _topology(database: Database) -> dict[str, JSON]:
    return {
        "Members": [NODE_TAG],
        "Promotables": [],
        "Rehabs": [],
        "PromotablesStatus": {},
        "DemotionReasons": {},
        "Stamp": {"Index": database.number, "Term": 1, "LeadersTicks": -2},
        "PriorityOrder": [],
        "ReplicationFactor": 1,
        "DynamicNodesDistribution": False,
        "DatabaseTopologyIdBase64": database.guid,
    }


def create_database(call: Call) -> Response:
    """Create a database of the name in the body; that in the query counts for nothing, as on RavenDB."""
    body = parse_object(call.request.body)
    name = body.get("DatabaseName")
    if not isinstance(name, str):
        raise RavenFailure(500, "System.NullReferenceException", "A database must have a 'DatabaseName'")
    name = check_database_name(name)
    if (factor := call.number("replicationFactor", 1)) is not None and factor < 1:
        raise invalid_argument("Replication factor must be greater than 0.")
    settings = body.get("Settings")
    if settings is not None and not isinstance(settings, dict):
        raise RavenFailure(500, "System.FormatException", f"'Settings' must be an object, not {settings!r}")
    record = {**body, "DatabaseName": name}
    database = call.tenants.storage.create_database(name, encode(record).decode())
    if database is None:
        raise conflict(f"Database '{name}' already exists!", key=None, expected=None, actual=None)
    return json_answer(
        {
            "RaftCommandIndex": database.number,
            "Name": name,
            "Topology": _topology(database),
            "NodesAddedTo": [call.host],
            "ShardsDefined": False,
        },
        status=201,
    )


def _names(call: Call) -> list[str]:
    names = parse_object(call.request.body).get("DatabaseNames")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid_argument("DatabaseNames must be a list of names")
    return names


def delete_databases(call: Call) -> Response:
    """Delete databases; one that does not exist is passed over."""
    index = -1
    names = [call.text("name")] if call.text("name") else _names(call)
    for name in names:
        deleted = call.tenants.storage.delete_database(name, also=drop)
        if deleted is not None:
            call.tenants.forget(deleted)
            index = deleted.number
    return json_answer({"RaftCommandIndex": index, "PendingDeletes": []})


def disable_databases(call: Call) -> Response:
    """Switch databases off: every request to them is a 503 until they are switched on."""
    return _switch(call, disabled=True)


def enable_databases(call: Call) -> Response:
    """Switch databases on."""
    return _switch(call, disabled=False)


def _switch(call: Call, *, disabled: bool) -> Response:
    status = []
    for name in _names(call):
        database = call.tenants.storage.switch_database(name, disabled=disabled)
        facts: dict[str, JSON] = {"Name": name, "Success": database is not None}
        if database is None:
            status.append({**facts, "Reason": "database not found"})
        else:
            status.append({**facts, "Disabled": disabled, "Reason": f"Database state={disabled} was propagated on the cluster"})
    return json_answer({"Status": status})


def nothing(call: Call) -> Response:
    """Answer that there is none: of configurations and operations of the server itself."""
    return empty(404)


RECORD_ROUTES: Routes = {("GET", "admin/record"): own_record}

SERVER_ROUTES: Routes = {
    ("GET", "configuration/client"): nothing,
    ("GET", "operations/state"): nothing,
    ("GET", "build/version"): build_version,
    ("GET", "setup/alive"): alive,
    ("GET", "topology"): topology,
    ("GET", "cluster/topology"): cluster_topology,
    ("GET", "databases"): list_databases,
    ("GET", "admin/databases"): database_record,
    ("PUT", "admin/databases"): create_database,
    ("DELETE", "admin/databases"): delete_databases,
    ("POST", "admin/databases/disable"): disable_databases,
    ("POST", "admin/databases/enable"): enable_databases,
}
