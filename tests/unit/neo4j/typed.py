"""Answers of the Query API, built by hand."""

from __future__ import annotations

import json
from typing import Any

import evsession


def typed(kind: str, value: Any) -> dict[str, Any]:
    """A value as the server spells it."""
    return {"$type": kind, "_value": value}


def integer(value: int) -> dict[str, Any]:
    return typed("Integer", str(value))


def body(fields: list[str], rows: list[list[Any]], **more: Any) -> dict[str, Any]:
    """The object of an answer; rows hold typed values, or plain integers."""
    values = [[integer(value) if isinstance(value, int) else value for value in row] for row in rows]
    return {"data": {"fields": fields, "values": values}, **more}


def answer(what: Any, status: int = 202, *headers: tuple[bytes, bytes]) -> evsession.Response:
    """A response with this body."""
    return evsession.Response(status, headers, json.dumps(what).encode())


def rows(*values: int, bookmark: str | None = "FB:1", **more: Any) -> evsession.Response:
    """The answer to a statement that returns one column ``n``."""
    marks = {"bookmarks": [bookmark]} if bookmark else {}
    return answer(body(["n"], [[value] for value in values], **marks, **more))


def opened(id: str = "t1", *values: int, expires: str = "2030-01-01T00:00:00Z") -> evsession.Response:
    """The answer to a request in a transaction that is open afterwards."""
    return rows(*values, bookmark=None, transaction={"id": id, "expires": expires})


def committed(bookmark: str = "FB:2") -> evsession.Response:
    return answer({"bookmarks": [bookmark]})


def refused(code: str, message: str = "no", status: int = 400) -> evsession.Response:
    """A refusal in Neo4j's words."""
    return answer({"errors": [{"code": code, "message": message}]}, status)


GONE = refused("Neo.ClientError.Request.Invalid", 'Transaction with Id: "t1" was not found. It may have timed out.', 404)
ROLLED_BACK = evsession.Response(200)
DISCOVERY_5 = answer({"neo4j_version": "5.26.31"}, 200)
DISCOVERY_2026 = answer({"neo4j_version": "2026.07.1"}, 200)
