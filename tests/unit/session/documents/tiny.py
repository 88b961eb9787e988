"""A RavenDB of a hundred lines for scripted transports: documents, batches with versions, and the one script of edits.

It does what 5.4 - 7.1 were seen to do, in the answers' own words; conformance tests ask the real one.
"""

from __future__ import annotations

import copy
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from evsession.testing.scripted import json_answer
from evsession.wire.message import Request, Response


class _Conflict(Exception):
    def __init__(self, message: str, key: str, expected: str, actual: str | None) -> None:
        self.answer = refusal(409, "ConcurrencyException", message, key, expected, actual)


class _Missing(Exception):
    pass


def refusal(
    status: int, kind: str, message: str, key: str | None = None, expected: str | None = None, actual: str | None = None
) -> Response:
    """The body of a refusal."""
    body: dict[str, str | None] = {
        "Type": f"Raven.Client.Exceptions.{kind}",
        "Message": message,
        "Error": f"{message}\n   at Raven.Server",
    }
    if key is not None:
        body |= {"Id": key, "ExpectedChangeVector": expected, "ActualChangeVector": actual}
    return json_answer(body, status)


class TinyRaven:
    """The server: call it with a request.

    Attributes:
        rows: The fields of each document, by its key.
        versions: Its change vector.
        batches: The commands of each batch that came, whether it was carried out or not.
        loads: How often documents were asked for.
    """

    def __init__(self, rows: dict[str, dict[str, Any]] | None = None) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, str] = {}
        self.batches: list[list[dict[str, Any]]] = []
        self.loads = 0
        self._etag = 0
        self._identity = 0
        for key, fields in (rows or {}).items():
            self.put(key, fields)

    def put(self, key: str, fields: dict[str, Any]) -> str:
        """Write a document as another client would."""
        self._etag += 1
        self.rows[key], self.versions[key] = copy.deepcopy(fields), f"A:{self._etag}-tiny"
        return self.versions[key]

    def delete(self, key: str) -> None:
        """Delete a document as another client would."""
        self.rows.pop(key, None)
        self.versions.pop(key, None)

    def __call__(self, request: Request) -> Response:
        path, query = urlsplit(request.target).path, parse_qs(urlsplit(request.target).query)
        if path.endswith("/docs"):
            self.loads += 1
            return self._load(query["id"] if request.method == "GET" else json.loads(request.body)["Ids"])
        assert path.endswith("/bulk_docs"), request
        return self._batch(json.loads(request.body)["Commands"])

    def _load(self, keys: list[str]) -> Response:
        rows = [self._row(key) for key in keys]
        if rows == [None]:
            return Response(404)
        return json_answer({"Results": rows, "Includes": {}})

    def _row(self, key: str) -> dict[str, Any] | None:
        if key not in self.rows:
            return None
        return {**self.rows[key], "@metadata": {"@id": key, "@change-vector": self.versions[key], "@collection": "Dogs"}}

    def _batch(self, commands: list[dict[str, Any]]) -> Response:
        self.batches.append(commands)
        before = dict(self.rows), dict(self.versions)
        try:
            return json_answer({"Results": [self._do(command) for command in commands]}, 201)
        except _Conflict as conflict:
            self.rows, self.versions = before
            return conflict.answer
        except _Missing as missing:
            self.rows, self.versions = before
            key, script = missing.args
            thrown = script.removeprefix("throw '").removesuffix("';")
            return refusal(500, "JavaScriptException", f"At 6:4 Script failed for document ID '{key}'. {thrown}")

    def _do(self, command: dict[str, Any]) -> dict[str, Any]:
        kind, key, expected = command["Type"], command["Id"], command["ChangeVector"]
        actual = self.versions.get(key)
        if expected is not None and expected != (actual or ""):
            raise _Conflict(f"Document {key} has change vector {actual}, but {kind} was called", key, expected, actual)
        if kind == "DELETE":
            self.delete(key)
            return {"Type": "DELETE", "Id": key, "Deleted": actual is not None}
        if kind == "PATCH":
            return self._patch(key, command)
        if key is None or key[-1] in "|/":
            self._identity += 1
            key = f"{(key or 'guid|')[:-1]}/{self._identity}"
        fields = dict(command["Document"])
        collection = fields.pop("@metadata").get("@collection")
        time = "2026-01-01T00:00:00Z"
        return {
            "Type": "PUT",
            "@id": key,
            "@change-vector": self.put(key, fields),
            "@last-modified": time,
            "@collection": collection,
        }

    def _patch(self, key: str, command: dict[str, Any]) -> dict[str, Any]:
        if key not in self.rows:
            raise _Missing(key, command["PatchIfMissing"]["Script"])
        values, row = command["Patch"]["Values"], copy.deepcopy(self.rows[key])
        row.update(values["set"])
        for name in values["unset"]:
            row.pop(name, None)
        for name, amount in values["increment"].items():
            row[name] = (row.get(name) or 0) + amount
        changed = row != self.rows[key]
        result: dict[str, Any] = {
            "Type": "PATCH",
            "Id": key,
            "PatchStatus": "Patched" if changed else "NotModified",
            "LastModified": "2026",
        }
        result["ChangeVector"] = self.put(key, row) if changed else None
        return {**result, "ModifiedDocument": {**row, "@metadata": {"@collection": "Dogs"}}}
