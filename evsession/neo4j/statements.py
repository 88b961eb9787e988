"""Requests of the Query API. Knows paths, media types and bodies; a name or a value never becomes part of a text.

Every statement carries one parameter that it does not ask for, the tag: superfluous parameters are ignored, keep the plan cache
as it is, and are shown by ``SHOW TRANSACTIONS``, so that a statement that runs can be found and terminated (seen on 5.26 and
2026.07).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from evsession.errors import ConfigurationError, QueryError, UnsupportedFeature
from evsession.neo4j.encoding import PLAIN, UUIDS, VECTORS, Encoder, path_to
from evsession.neo4j.features import Features
from evsession.neo4j.names import check_database
from evsession.neo4j.transactions import TransactionConfig
from evsession.wire.json import encode
from evsession.wire.message import Request
from evsession.wire.url import path

__all__ = [
    "ACCEPT",
    "ACCEPT_LINES",
    "TAG",
    "GraphDatabase",
    "Opening",
    "Statement",
    "begin_request",
    "commit_request",
    "keep_alive_request",
    "needs_features",
    "rollback_request",
    "run_request",
    "statement_request",
    "terminate_request",
]

TAG = "__evsession"
"""The name of the parameter that marks a statement."""

ACCEPT = "application/vnd.neo4j.query.v1.2, application/vnd.neo4j.query.v1.1;q=0.9, application/vnd.neo4j.query;q=0.8"
ACCEPT_LINES = (
    "application/vnd.neo4j.query.v1.2+jsonl, application/vnd.neo4j.query.v1.1+jsonl;q=0.9, "
    "application/vnd.neo4j.query.v1.0+jsonl;q=0.8"
)

_CONTENT = {
    PLAIN: "application/vnd.neo4j.query",
    VECTORS: "application/vnd.neo4j.query.v1.1",
    UUIDS: "application/vnd.neo4j.query.v1.2",
}
_NEEDS = {VECTORS: "vectors need Neo4j 2025.11", UUIDS: "UUIDs need Neo4j 2026.07 (send str(uuid) before)"}

Headers = tuple[tuple[str, str], ...]

_TERMINATE = (
    f"SHOW TRANSACTIONS YIELD transactionId AS id, parameters WHERE parameters.`{TAG}` = $tag "
    "TERMINATE TRANSACTIONS id YIELD message RETURN message"
)


@dataclass(frozen=True)
class GraphDatabase:
    """A database by name, with the quoted path of its Query API and the headers that log in."""

    name: str
    login: Headers = field(default=(), repr=False)
    base: str = field(init=False, repr=False)
    headers: Mapping[int, Headers] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "base", path("db", check_database(self.name), "query", "v2"))
        made = {level: (("Content-Type", kind), ("Accept", ACCEPT), *self.login) for level, kind in _CONTENT.items()}
        object.__setattr__(self, "headers", made)

    def path(self, *segments: str) -> str:
        """Return the quoted path of an endpoint."""
        return self.base + path(*segments)


class Statement(msgspec.Struct, frozen=True):
    """A statement and its parameters, checked and encoded at the call.

    Attributes:
        text: The statement.
        parameters: As given, for the summary.
        typed: As sent.
        level: What they ask of the media type.
    """

    text: str
    parameters: Mapping[str, Any]
    typed: dict[str, Any]
    level: int

    @classmethod
    def of(cls, text: object, parameters: Any = None) -> Statement:
        """Check and encode.

        Raises:
            QueryError: the statement is empty.
            InvalidDocument: a parameter cannot be sent; its `path` says which.
        """
        if not isinstance(text, str):
            raise ConfigurationError(f"a statement is a text, not {type(text).__name__}")
        if not text.strip():
            raise QueryError("the statement is empty")
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise QueryError(f"the statement has half a surrogate pair at {error.start}") from None
        encoder = Encoder()
        typed = encoder.parameters(parameters if parameters is not None else {})
        if TAG in typed:
            raise ConfigurationError(f"the parameter {TAG!r} is taken: statements are marked with it")
        return cls(text, dict(parameters or {}), typed, encoder.level)

    def body(self, tag: str) -> dict[str, Any]:
        """Return the body of a request; the order counts, ``statement`` comes first."""
        parameters = {**self.typed, TAG: {"$type": "String", "_value": tag}}
        return {"statement": self.text, "parameters": parameters, "includeCounters": True}


class Opening(msgspec.Struct, frozen=True):
    """How a transaction begins: mode of access, what it must see, settings."""

    access: str
    bookmarks: tuple[str, ...]
    config: TransactionConfig
    impersonated_user: str | None = None

    def body(self) -> dict[str, Any]:
        """Return the fields; only what differs from the server's defaults, for it refuses what it does not know."""
        body: dict[str, Any] = {}
        if self.access == "READ":
            body["accessMode"] = "READ"
        if self.bookmarks:
            body["bookmarks"] = list(self.bookmarks)
        if self.impersonated_user is not None:
            body["impersonatedUser"] = self.impersonated_user
        if self.config.timeout is not None:
            body["maxExecutionTime"] = math.ceil(self.config.timeout)
        if self.config.metadata:
            body["txMetadata"] = Encoder().parameters(self.config.metadata)
        return body


def needs_features(statement: Statement | None, config: TransactionConfig) -> bool:
    """Return whether the version of the server decides what is sent."""
    return not config.is_empty or (statement is not None and statement.level != PLAIN)


def check_features(features: Features, statement: Statement | None, config: TransactionConfig) -> None:
    """Refuse what the server lacks.

    Raises:
        UnsupportedFeature: naming it, where it is, and the version that has it.
    """
    if config.metadata and not features.has_metadata:
        raise UnsupportedFeature(f"metadata of transactions needs Neo4j 2026.04; the server is {features.version}")
    if statement is not None and statement.level > features.level:
        where = path_to(statement.level, statement.typed)
        error = UnsupportedFeature(f"{where}: {_NEEDS[statement.level]}; the server is {features.version}")
        error.path = where
        raise error


def statement_request(
    database: GraphDatabase, statement: Statement, opening: Opening, tag: str, *, as_lines: bool = False
) -> Request:
    """Run a statement in a transaction of its own."""
    headers = database.headers[statement.level]
    if as_lines:
        headers = tuple((name, ACCEPT_LINES if name == "Accept" else value) for name, value in headers)
    body = encode({**statement.body(tag), **opening.body()})
    return Request("POST", database.base, body, headers, writes=opening.access == "WRITE")


def begin_request(database: GraphDatabase, opening: Opening, statement: Statement | None, tag: str) -> Request:
    """Begin a transaction, with its first statement if there is one."""
    first = {} if statement is None else statement.body(tag)
    level = PLAIN if statement is None else statement.level
    return Request("POST", database.path("tx"), encode({**first, **opening.body()}), database.headers[level], writes=True)


def run_request(database: GraphDatabase, transaction: str, affinity: Headers, statement: Statement, tag: str) -> Request:
    """Run a statement in a transaction."""
    headers = database.headers[statement.level] + affinity
    return Request("POST", database.path("tx", transaction), encode(statement.body(tag)), headers, writes=True)


def commit_request(database: GraphDatabase, transaction: str, affinity: Headers) -> Request:
    """Commit. The body is never missing: without one the server fails (500 on 5.26 and 2026.07)."""
    return Request("POST", database.path("tx", transaction, "commit"), b"{}", database.headers[PLAIN] + affinity, writes=True)


def keep_alive_request(database: GraphDatabase, transaction: str, affinity: Headers) -> Request:
    """Put off the time at which an idle transaction expires."""
    return Request("POST", database.path("tx", transaction), b"{}", database.headers[PLAIN] + affinity)


def rollback_request(database: GraphDatabase, transaction: str, affinity: Headers) -> Request:
    """Roll back."""
    return Request("DELETE", database.path("tx", transaction), headers=database.headers[PLAIN][1:] + affinity)


def terminate_request(database: GraphDatabase, tag: str) -> Request:
    """Terminate the statement that is marked so, if it runs."""
    statement = Statement.of(_TERMINATE, {"tag": tag})
    body = {"statement": statement.text, "parameters": statement.typed}
    return Request("POST", database.base, encode(body), database.headers[PLAIN])
