"""Requests that evsession does not send, but other clients do: what the server answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.backends import Backend

BATCH = {"Commands": [{"Id": "dogs/max", "Type": "PUT", "Document": {"age": 12}}]}
REPLICAS = "waitForReplicasTimeout=00:00:00.2000000"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (REPLICAS, 408),
        (f"{REPLICAS}&numberOfReplicasToWaitFor=2", 408),
        (f"{REPLICAS}&numberOfReplicasToWaitFor=1&throwOnTimeoutInWaitForReplicas=true", 408),
        (f"{REPLICAS}&numberOfReplicasToWaitFor=1&throwOnTimeoutInWaitForReplicas=false", 201),
        (f"{REPLICAS}&numberOfReplicasToWaitFor=majority", 201),
        (f"{REPLICAS}&numberOfReplicasToWaitFor=0", 201),
        ("numberOfReplicasToWaitFor=2", 201),
    ],
)
def test_nobody_replicates(backend: Backend, database: str, query: str, status: int) -> None:
    told, answer = backend.answer("POST", f"/databases/{database}/bulk_docs?{query}", BATCH)
    assert told == status, answer
    if status == 408:
        assert answer["Type"] == "Raven.Client.Exceptions.RavenTimeoutException"
        assert answer["Message"].startswith("Could not verify that the change vector 'A:1-")
        assert answer["Message"].endswith("So far, it only replicated to 0")
        assert answer["FailImmediately"] is True
    assert backend.ask("GET", f"/databases/{database}/docs?id=dogs/max")["Results"]


@pytest.mark.since("6.2")
@pytest.mark.parametrize("query", ["waitForReplicasTimeout=x", f"{REPLICAS}&numberOfReplicasToWaitFor=x"])
def test_waits_that_cannot_be(backend: Backend, database: str, query: str) -> None:
    status, answer = backend.answer("POST", f"/databases/{database}/bulk_docs?{query}", BATCH)
    assert (status, answer["Type"]) == (500, "System.ArgumentException")
    assert answer["Message"].startswith("Could not parse query string '")


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"Ids": 5}, 500, "System.FormatException"),
        ({"Ids": {}}, 500, "System.FormatException"),
        ([], 500, "Sparrow.Exceptions.InvalidStartOfObjectException"),
        ({"Ids": [5]}, 404, None),
        ({"Ids": [None]}, 404, None),
    ],
)
def test_ids_that_are_none(backend: Backend, database: str, body: object, status: int, kind: str | None) -> None:
    told, answer = backend.answer("POST", f"/databases/{database}/docs", body)
    assert (told, answer and answer["Type"]) == (status, kind)


def test_a_database_is_described(backend: Backend, database: str) -> None:
    for path in (f"/admin/databases?name={database}", f"/databases/{database}/admin/record"):
        record = backend.ask("GET", path)
        assert (record["DatabaseName"], record["Disabled"], record["Settings"]) == (database, False, {})
        assert record["Topology"]["Members"] == ["A"]
    assert isinstance(backend.ask("GET", f"/admin/databases?name={database}")["Etag"], int)
    assert backend.answer("GET", "/databases/nosuch/admin/record")[0] == 500
    assert backend.answer("GET", "/admin/databases?name=nosuch")[0] == 404


def test_a_database_is_switched(backend: Backend, database: str) -> None:
    def switched(switch: str, *names: str) -> Any:
        return backend.ask("POST", f"/admin/databases/{switch}", {"DatabaseNames": [database, *names]})["Status"]

    said = {"Name": database, "Success": True, "Disabled": True, "Reason": "Database state=True was propagated on the cluster"}
    assert switched("disable") == [said]
    said |= {"Disabled": False, "Reason": "Database state=False was propagated on the cluster"}
    unknown = {"Name": "nosuch", "Success": False, "Reason": "database not found"}
    assert switched("enable", "nosuch") == [said, unknown]


def test_databases_come_in_pages(backend: Backend, database: str) -> None:
    known = backend.ask("GET", "/databases?namesOnly=true")["Databases"]
    assert database in known
    assert len(backend.ask("GET", "/databases?namesOnly=true&start=0&pageSize=1")["Databases"]) == 1
    assert backend.ask("GET", f"/databases?namesOnly=true&start={len(known) + 1000}&pageSize=5")["Databases"] == []


@pytest.mark.parametrize("path", ["/configuration/client", "/operations/state?id=12345"])
def test_what_the_server_itself_has_not(backend: Backend, path: str) -> None:
    assert backend.answer("GET", path) == (404, None)
