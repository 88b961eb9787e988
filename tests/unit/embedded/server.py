"""The embedded server as unit tests use it: asked in this process, with JSON both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from evsession.embedded.app import App
from evsession.wire.message import Request, Response

__all__ = ["Server"]


class Server:
    """An app with a database ``db``."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.admin("PUT", "/admin/databases", {"DatabaseName": "db"})

    def admin(self, method: str, target: str, body: object = None, headers: Mapping[str, str] | None = None) -> Response:
        """Ask for something that is in no database."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return self.app.answer(Request(method, target, data, tuple((headers or {}).items())))

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Return the status and the JSON of the answer, None for an empty one."""
        answer = self.admin(method, f"/databases/db/{path}", body, headers)
        return answer.status, json.loads(answer.body) if answer.body else None

    def put(self, key: str, collection: str = "Dogs", **fields: object) -> str:
        """Store a document and return its change vector."""
        status, answer = self.ask("PUT", f"docs?id={key}", {**fields, "@metadata": {"@collection": collection}})
        assert status == 201, answer
        return str(answer["ChangeVector"])

    def get(self, key: str) -> Any:
        """Return the document without metadata, or None."""
        status, answer = self.ask("GET", f"docs?id={key}")
        assert status in (200, 404)
        if answer is None:
            return None
        (document,) = answer["Results"]
        del document["@metadata"]
        return document

    def batch(self, *commands: dict[str, Any]) -> tuple[int, Any]:
        """Carry out commands."""
        return self.ask("POST", "bulk_docs", {"Commands": list(commands)})
