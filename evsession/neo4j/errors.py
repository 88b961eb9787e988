"""What the server's refusals mean: from code and status to the classes of `evsession.errors`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from evsession.errors import (
    AuthenticationError,
    ConstraintError,
    DatabaseMissing,
    ProtocolError,
    QueryError,
    SessionError,
    TransactionError,
    TransientError,
)
from evsession.wire.json import decode_as
from evsession.wire.message import Response

__all__ = ["ServerFault", "error_from", "fault_error"]


class ServerFault(msgspec.Struct):
    """One entry of ``errors`` in an answer."""

    code: str = ""
    message: str = ""


class _Refusal(msgspec.Struct):
    errors: list[ServerFault] = []


_BY_CODE: dict[str, type[SessionError]] = {
    "Neo.ClientError.Database.DatabaseNotFound": DatabaseMissing,
    "Neo.ClientError.Schema.ConstraintValidationFailed": ConstraintError,
    "Neo.ClientError.Schema.ConstraintCreationFailed": ConstraintError,
    "Neo.DatabaseError.Schema.ConstraintCreationFailed": ConstraintError,
    # Cluster members that do not lead any more, or a login that is to be renewed: the same request may do elsewhere or later.
    "Neo.ClientError.Cluster.NotALeader": TransientError,
    "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase": TransientError,
    "Neo.ClientError.Security.AuthorizationExpired": TransientError,
    # Called transient, but somebody ended this one on purpose.
    "Neo.TransientError.Transaction.Terminated": TransactionError,
    "Neo.TransientError.Transaction.LockClientStopped": TransactionError,
}

_BY_CLASS: dict[str, type[SessionError]] = {
    "Neo.TransientError": TransientError,
    "Neo.ClientError.Security": AuthenticationError,
    "Neo.ClientError.Statement": QueryError,
    "Neo.ClientError.Schema": QueryError,
    "Neo.ClientError.Procedure": QueryError,
    "Neo.ClientError.Request": QueryError,
    "Neo.ClientError.Transaction": TransactionError,
    "Neo.DatabaseError.Transaction": TransactionError,
}

_BY_STATUS: dict[int, type[SessionError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    408: TransientError,
    429: TransientError,
    502: TransientError,
    503: TransientError,
    504: TransientError,
}

_BEFORE_COMMIT = ("Neo.DatabaseError.Schema.", "Neo.DatabaseError.Statement.")
"""How codes of failures of the database begin that can only be met before a commit."""

_GONE = r'Transaction with Id: "?[^"]*"? was not found'
_MISSING = r"Graph not found: (\S+)|Database does not exist\. Database name: '([^']*)'"

SHOWN = 200
"""Characters of a foreign answer that a message shows."""


def error_from(response: Response, *, database: str | None = None, writes: bool = False) -> SessionError:
    """Return what an answer means that is no success, to be raised by the caller.

    `uncertain` is decided here for requests that commit: what Neo4j refuses in its own words is rolled back, except for a failure
    of the database itself (``Neo.DatabaseError``, 500), which may come after the commit; so may whatever in foreign words is no
    refusal, such as a 5xx or a 204. The database's failures at a statement or a change of the schema are none of these: Neo4j's
    list of codes (Status.java) has what fails in a commit, such as ``TransactionCommitFailed``, under ``Transaction``, and under
    ``Schema`` and ``Statement`` what fails while it is carried out. Seen on 5.26: a constraint over duplicates is a 500 of
    ``Schema.ConstraintCreationFailed``, and is not there afterwards.
    """
    try:
        faults = decode_as(response.body, _Refusal).errors
    except ProtocolError:
        faults = []
    if faults:
        return fault_error(faults, response.status, database=database, writes=writes)
    status = response.status
    text = " ".join(response.body.decode("utf-8", "replace").split())[:SHOWN]
    message = f"the server answered {status}" + (f": {text}" if text else "")
    if status == 404:
        message += " (no Query API there? Neo4j 5.26 or later is needed)"
    if status in (200, 202):
        return ProtocolError(f"the answer is none of Neo4j's: {text}", status_code=status)
    return _BY_STATUS.get(status, SessionError)(message, status_code=status, uncertain=writes and not 400 <= status < 500)


def fault_error(
    faults: Sequence[ServerFault], status: int, *, rows: int | None = None, database: str | None = None, writes: bool = False
) -> SessionError:
    """Return what the errors in an answer mean; the last one counts.

    Args:
        faults: At least one.
        status: Of the answer; 202 also comes with errors, which were met after it was sent.
        rows: How many good rows came before.
        database: The one that was asked.
        writes: Whether the request commits.
    """
    code, message = faults[-1].code, faults[-1].message.strip()
    if rows:
        message += f" ({rows} rows came before)"
    if status == 404 and re.match(_GONE, message):
        gone = f"the transaction has expired, or somebody ended it: {message}"
        return TransactionError(gone, status_code=status, code=code)
    error = _class_of(code, status)(message or f"the server answered {status}", status_code=status, code=code or None)
    error.rows_before = rows
    error.uncertain = writes and code.startswith("Neo.DatabaseError") and not code.startswith(_BEFORE_COMMIT)
    if isinstance(error, DatabaseMissing):
        named = re.search(_MISSING, message)
        error.database = (named[1] or named[2]) if named else database
    return error


def _class_of(code: str, status: int) -> type[SessionError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    family = code.split(".")
    for length in (3, 2):
        known = _BY_CLASS.get(".".join(family[:length]))
        if known is not None:
            return known
    return _BY_STATUS.get(status, SessionError)
