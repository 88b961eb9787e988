"""The flows of a graph session: what is sent for each of its verbs, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass

from evsession.errors import SessionError
from evsession.neo4j.answers import Answer, parse_answer
from evsession.neo4j.errors import error_from
from evsession.neo4j.features import Features, discovery_flow
from evsession.neo4j.statements import (
    GraphDatabase,
    Headers,
    Opening,
    Statement,
    begin_request,
    check_features,
    commit_request,
    needs_features,
    rollback_request,
    run_request,
    statement_request,
)
from evsession.neo4j.transactions import TransactionConfig
from evsession.wire.flow import Flow
from evsession.wire.message import Response

__all__ = [
    "Known",
    "Opened",
    "begin_flow",
    "check_flow",
    "commit_flow",
    "learn_flow",
    "opened_by",
    "rollback_flow",
    "run_flow",
    "statement_flow",
]

AFFINITY = "neo4j-cluster-affinity"


@dataclass
class Known:
    """What a store has learnt of its server, once for all sessions."""

    features: Features | None = None


@dataclass(frozen=True)
class Opened:
    """A transaction as the server knows it.

    Attributes:
        id: Its name in paths.
        affinity: The header that leads to the member of a cluster that has it; a single server sends none.
        answer: Of the request that began it.
    """

    id: str
    affinity: Headers
    answer: Answer


def learn_flow(known: Known) -> Flow[Features]:
    """Ask for the version, unless it is known."""
    if known.features is None:
        known.features = yield from discovery_flow()
    return known.features


def check_flow(known: Known, statement: Statement | None, config: TransactionConfig) -> Flow[Features | None]:
    """Refuse what the server lacks; it is only asked where that may be."""
    if not needs_features(statement, config):
        return None
    features = yield from learn_flow(known)
    check_features(features, statement, config)
    return features


def statement_flow(database: GraphDatabase, statement: Statement, opening: Opening, tag: str) -> Flow[Answer]:
    """Run a statement in a transaction of its own."""
    response = yield statement_request(database, statement, opening, tag)
    return parse_answer(response, database=database.name, writes=opening.access == "WRITE")


def begin_flow(database: GraphDatabase, opening: Opening, statement: Statement | None, tag: str) -> Flow[Opened]:
    """Begin a transaction, with its first statement if there is one; when that fails there is no transaction."""
    response = yield begin_request(database, opening, statement, tag)
    opened = _opened(response, parse_answer(response, database=database.name, writes=False))
    if opened is None:
        raise error_from(response)
    return opened


def opened_by(response: Response) -> Opened | None:
    """Return the transaction that an answer names which nobody waits for any more, if it names one."""
    try:
        return _opened(response, parse_answer(response, database="", writes=False))
    except SessionError:
        return None


def _opened(response: Response, answer: Answer) -> Opened | None:
    if answer.transaction is None:
        return None
    value = response.header(AFFINITY.encode())
    return Opened(answer.transaction.id, ((AFFINITY, value),) if value is not None else (), answer)


def run_flow(database: GraphDatabase, opened: Opened, statement: Statement, tag: str) -> Flow[Answer]:
    """Run a statement in a transaction."""
    response = yield run_request(database, opened.id, opened.affinity, statement, tag)
    return parse_answer(response, database=database.name, writes=False)


def commit_flow(database: GraphDatabase, opened: Opened) -> Flow[Answer]:
    """Commit."""
    response = yield commit_request(database, opened.id, opened.affinity)
    return parse_answer(response, database=database.name, writes=True)


def rollback_flow(database: GraphDatabase, opened: Opened) -> Flow[None]:
    """Roll back. A transaction that the server does not know has been rolled back already: 404."""
    response = yield rollback_request(database, opened.id, opened.affinity)
    if response.status not in (200, 404):
        raise error_from(response, database=database.name)
