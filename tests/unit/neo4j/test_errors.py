from __future__ import annotations

import pytest

import evsession
from evsession.neo4j.errors import error_from
from tests.unit.neo4j.typed import GONE, answer, refused

CODES = [
    ("Neo.ClientError.Database.DatabaseNotFound", 404, evsession.DatabaseMissing, False),
    ("Neo.ClientError.Schema.ConstraintValidationFailed", 400, evsession.ConstraintError, False),
    ("Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists", 400, evsession.QueryError, False),
    ("Neo.ClientError.Statement.SyntaxError", 400, evsession.QueryError, False),
    ("Neo.ClientError.Request.Invalid", 400, evsession.QueryError, False),
    ("Neo.ClientError.Security.Unauthorized", 401, evsession.AuthenticationError, False),
    ("Neo.ClientError.Security.AuthenticationRateLimit", 429, evsession.AuthenticationError, False),
    ("Neo.ClientError.Security.AuthorizationExpired", 401, evsession.TransientError, True),
    ("Neo.ClientError.Transaction.InvalidBookmark", 400, evsession.TransactionError, False),
    ("Neo.ClientError.Transaction.Terminated", 202, evsession.TransactionError, False),
    ("Neo.ClientError.Cluster.NotALeader", 400, evsession.TransientError, True),
    ("Neo.TransientError.Completely.MadeUp", 400, evsession.TransientError, True),
    ("Neo.TransientError.Transaction.DeadlockDetected", 400, evsession.TransientError, True),
    ("Neo.TransientError.Transaction.Terminated", 400, evsession.TransactionError, False),
    ("Neo.TransientError.Transaction.LockClientStopped", 400, evsession.TransactionError, False),
    ("Neo.DatabaseError.General.UnknownError", 500, evsession.SessionError, False),
    ("N/A", 400, evsession.SessionError, False),
    ("", 503, evsession.TransientError, True),
]


@pytest.mark.parametrize(("code", "status", "cls", "retryable"), CODES)
def test_codes(code: str, status: int, cls: type[evsession.SessionError], retryable: bool) -> None:
    error = error_from(refused(code, "why", status), database="db")
    assert (type(error), error.code, error.status_code, error.message) == (cls, code or None, status, "why")
    assert error.is_retryable() is retryable


def test_the_last_error_counts() -> None:
    faults = [{"code": "a"}, {"code": "Neo.ClientError.Statement.SyntaxError"}]
    error = error_from(answer({"errors": faults}, 400))
    assert (type(error), error.message) == (evsession.QueryError, "the server answered 400")


@pytest.mark.parametrize("text", ["Graph not found: nope", "Database does not exist. Database name: 'nope'.", "something else"])
def test_a_missing_database_is_named(text: str) -> None:
    error = error_from(refused("Neo.ClientError.Database.DatabaseNotFound", text, 404), database="asked")
    assert isinstance(error, evsession.DatabaseMissing)
    assert error.database == ("asked" if "else" in text else "nope")


def test_a_transaction_that_is_gone_is_no_missing_database() -> None:
    error = error_from(GONE)
    assert isinstance(error, evsession.TransactionError)
    assert (error.status_code, error.is_retryable()) == (404, False)
    assert "has expired" in error.message


@pytest.mark.parametrize(
    ("status", "body", "cls", "uncertain"),
    [
        (502, b"<html>Bad gateway</html>", evsession.TransientError, True),
        (500, b"", evsession.SessionError, True),
        (204, b"", evsession.SessionError, True),
        (201, b"<html>welcome</html>", evsession.SessionError, True),
        (302, b"", evsession.SessionError, True),
        (404, b"<html>", evsession.SessionError, False),
        (405, b"", evsession.SessionError, False),
        (401, b"", evsession.AuthenticationError, False),
        (200, b"<html>welcome</html>", evsession.ProtocolError, False),
        (400, b'{"errors": 5}', evsession.SessionError, False),
        (400, b'{"errors": []}', evsession.SessionError, False),
    ],
)
def test_foreign_words(status: int, body: bytes, cls: type[evsession.SessionError], uncertain: bool) -> None:
    error = error_from(evsession.Response(status, (), body), writes=True)
    assert (type(error), error.status_code, error.code, error.uncertain) == (cls, status, None, uncertain)
    assert "Query API" in error.message or status != 404


@pytest.mark.parametrize(
    ("code", "uncertain"),
    [
        ("Neo.DatabaseError.Transaction.TransactionCommitFailed", True),
        ("Neo.DatabaseError.Transaction.TransactionLogError", True),
        ("Neo.DatabaseError.General.UnknownError", True),
        ("Neo.DatabaseError.Database.Unknown", True),
        ("Neo.DatabaseError.Completely.MadeUp", True),
        ("Neo.DatabaseError", True),
        ("Neo.DatabaseError.Schema.ConstraintCreationFailed", False),
        ("Neo.DatabaseError.Schema.TokenLimitReached", False),
        ("Neo.DatabaseError.Statement.ExecutionFailed", False),
    ],
)
def test_a_failing_database_leaves_a_commit_open_unless_it_was_met_before(code: str, uncertain: bool) -> None:
    response = refused(code, "disk", 500)
    assert error_from(response, writes=True).uncertain is uncertain
    assert not error_from(response).uncertain
