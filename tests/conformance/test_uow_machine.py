"""The random programs of the unit tests on a real server: what the tiny one there does is what RavenDB does."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

import evsession
from evsession.config import Options
from evsession.transport import HTTPTransport
from tests.unit.unitofwork.machine import Faulty, Fields, SessionMachine


class ServerMachine(SessionMachine):
    """The same programs, each in a database part of its own: the keys of one program are deleted before the next."""

    url: ClassVar[str]
    database: ClassVar[str]

    def make_store(self) -> evsession.Store:
        for key in self.stored():
            self.delete(key)
        self.wire = Faulty(HTTPTransport([self.url], Options()))
        return evsession.Store(transport=self.wire, database=self.database)

    def ask(self, method: str, path: str, body: Any = None, *, missing: bool = False) -> Any:
        # Not by evsession: what checks it must not share its faults.
        data = None if body is None else json.dumps(body).encode()
        where = f"{self.url}/databases/{self.database}/{path}"
        request = urllib.request.Request(where, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            if error.code == 404 and missing:
                return None
            raise

    def put(self, key: str, fields: Fields) -> None:
        self.ask("PUT", f"docs?id={urllib.parse.quote(key)}", {**fields, "@metadata": {"@collection": "Dogs"}})

    def delete(self, key: str) -> None:
        self.ask("DELETE", f"docs?id={urllib.parse.quote(key)}")

    def rows_and_metadata(self) -> dict[str, Fields]:
        rows = self.ask("GET", "docs?startsWith=dogs/&pageSize=1000")["Results"]
        return {row["@metadata"]["@id"]: row for row in rows}

    def stored(self) -> dict[str, Fields]:
        rows = self.rows_and_metadata()
        return {key: {name: value for name, value in row.items() if name != "@metadata"} for key, row in rows.items()}

    def version_of(self, key: str) -> str | None:
        row = self.rows_and_metadata().get(key)
        return None if row is None else row["@metadata"]["@change-vector"]


def test_random_programs(raven_url: str, database: str) -> None:
    class Here(ServerMachine):
        url = raven_url

    Here.database = database
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=25, stateful_step_count=20, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        ),
    )
