"""A real RavenDB and the embedded server that are asked the same, and what of their answers must be equal."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from evsession.embedded.app import App
from evsession.wire.message import Request

Answer = tuple[int, Any, str | None]
"""Status, body and ETag, with names for what the servers make up."""

_MADE_UP = re.compile(
    r"(?P<cv>A:\d+-[A-Za-z0-9+/]{22}(?:, RAFT:[^\"\s]+)?)"
    r"|(?P<hash>Hash-[A-Za-z0-9+/]+=*)"
    r"|(?P<guid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    r"|(?P<number>\d{19}-A)"
    r"|(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z)"
)

_TOKEN = re.compile(r"<(?:cv|hash|guid|number):\d+>")

# Said differently, or only by one of them; or of what only one of them has.
_IGNORED = frozenset(
    {"Error", "Url", "DurationInMs", "Debug", "ResultEtag", "RaftCommandIndex", "Etag", "@metadata.DateTime", "$type"}
)

# What RavenDB's message is made of is no promise; these are, since clients read them.
_WORD_FOR_WORD = ("ConcurrencyException", "DocumentCollectionMismatchException", "DatabaseDoesNotExistException")


class Side:
    """One of the two, and the names of what it made up."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, str] = {}

    def named(self, text: str) -> str:
        """Replace what the server made up by names in the order in which they appeared."""
        return _MADE_UP.sub(self._name, text)

    def _name(self, match: re.Match[str]) -> str:
        kind, value = match.lastgroup or "", match[0]
        if kind == "time":
            return "<time>"
        if value not in self._names:
            name = f"<{kind}:{len(self._names)}>"
            self._names[value] = name
            self._values[name] = value
        return self._names[value]

    def meant(self, text: str) -> str:
        """Replace names by what this server made up."""
        return _TOKEN.sub(lambda match: self._values[match[0]], text)


class Twins:
    """Both servers with an empty database each."""

    def __init__(self, url: str, database: str) -> None:
        self.database = database
        self._real, self._ours = Side(), Side()
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=60)
        self.app = App()
        for ask in (self._ask_real, self._ask_ours):
            ask("PUT", f"/admin/databases?name={database}", json.dumps({"DatabaseName": database}).encode(), {})

    def close(self) -> None:
        """Remove the real database."""
        body = json.dumps({"DatabaseNames": [self.database], "HardDelete": True}).encode()
        self._ask_real("DELETE", "/admin/databases", body, {})
        self._connection.close()
        self.app.close()

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> tuple[Answer, Answer]:
        """Ask both and return both answers, which ought to be equal."""
        target = f"/databases/{self.database}/{path}"
        text = "" if body is None else body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        answers = []
        for side, ask in ((self._real, self._ask_real), (self._ours, self._ask_ours)):
            sent = {name: side.meant(value) for name, value in (headers or {}).items()}
            status, etag, data = ask(method, side.meant(target), side.meant(text).encode(), sent)
            if "startsWith" in path:
                etag = None  # that of the database, which at RavenDB deleting what is deleted moves on
            answers.append((status, shape(status, side.named(data.decode())), side.named(etag) if etag else None))
        return answers[0], answers[1]

    def _ask_real(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None, bytes]:
        kind = {"Content-Type": "application/json"} if body else {}
        self._connection.request(method, target, body or None, {**kind, **headers})
        with self._connection.getresponse() as answer:
            return answer.status, answer.headers["ETag"], answer.read()

    def _ask_ours(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None, bytes]:
        answer = self.app.answer(Request(method, target, body, tuple(headers.items())))
        return answer.status, answer.header(b"etag"), answer.body


def shape(status: int, text: str) -> Any:
    """Return the body without what need not be equal."""
    try:
        value = json.loads(text)
    except ValueError:
        lines = text.split("\r\n")
        return [shape(status, line) for line in lines[:-1]] if len(lines) > 1 else text
    if status >= 400 and isinstance(value, dict) and not str(value.get("Type")).endswith(_WORD_FOR_WORD):
        return {"Type": value.get("Type")}
    return _without(value)


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without(item) for name, item in value.items() if name not in _IGNORED}
    return [_without(item) for item in value] if isinstance(value, list) else value
