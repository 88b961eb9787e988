import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsession.errors import (
    AuthenticationError,
    ConcurrencyError,
    DatabaseMissing,
    PatchError,
    QueryError,
    SessionError,
    TransientError,
)
from evsession.raven.errors import error_from, patch_error, query_error
from evsession.wire.message import Response

JS = "Raven.Client.Exceptions.Documents.Patching.JavaScriptException"
STACK = "\r\n   at Raven.Server.Foo() in /_/71028/src/Foo.cs:line 12\r\n   at Raven.Server.Bar()"


def refused(status: Any, name: Any, message: Any, **extras: Any) -> Any:
    error = f"{name}: {message}{STACK}"
    body = {"Url": "/databases/x/docs", "Type": name, "Message": message, "Error": error, **extras}
    return Response(status, (), json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (409, "Raven.Client.Exceptions.ConcurrencyException", ConcurrencyError),
        (409, "Raven.Client.Exceptions.Something", ConcurrencyError),
        (500, "Raven.Client.Exceptions.Database.DatabaseDoesNotExistException", DatabaseMissing),
        (503, "Raven.Client.Exceptions.Database.DatabaseDisabledException", TransientError),
        (503, "Raven.Client.Exceptions.Database.DatabaseLoadTimeoutException", TransientError),
        (408, "Raven.Client.Exceptions.RavenTimeoutException", TransientError),
        (500, "System.TimeoutException", TransientError),
        (403, "Raven.Client.Exceptions.Security.AuthorizationException", AuthenticationError),
        (500, "System.UnauthorizedAccessException", AuthenticationError),
        (401, "System.Other", AuthenticationError),
        (429, "System.Other", TransientError),
        (500, "Raven.Server.Documents.Queries.Parser.QueryParser+ParseException", QueryError),
        (500, "Raven.Client.Exceptions.InvalidQueryException", QueryError),
        (500, JS, SessionError),
        (500, "Raven.Client.Exceptions.Documents.Patching.JavaScriptParseException", SessionError),
        (402, "Raven.Client.Exceptions.Commercial.LicenseLimitException", SessionError),
        (400, "Raven.Client.Exceptions.Routing.RouteNotFoundException", SessionError),
        (500, "System.ArgumentException", SessionError),
    ],
)
def test_the_type_decides_then_the_status(status: Any, name: Any, kind: Any) -> None:
    error = error_from(refused(status, name, "no"), key="dogs/max")
    assert type(error) is kind
    assert error.message == "no"
    assert error.status_code == status
    assert error.code == name.rsplit(".", 1)[-1].rsplit("+", 1)[-1]
    assert not error.uncertain
    assert type(pickle.loads(pickle.dumps(error))) is kind


def test_a_stack_trace_is_never_shown() -> None:
    response = refused(500, "System.Exception", f"first{STACK}")
    assert error_from(response).message == "first"
    assert "/_/" not in repr(error_from(Response(500, (), json.dumps({"Type": "A.B", "Error": f"A.B: x{STACK}"}).encode())))


def test_conflicts_carry_key_and_change_vectors() -> None:
    error = error_from(
        refused(409, "Raven.ConcurrencyException", "m", Id="cc/1", ExpectedChangeVector="A:1", ActualChangeVector="A:2"),
        key="other",
    )
    assert isinstance(error, ConcurrencyError)
    assert (error.key, error.expected, error.actual) == ("cc/1", "A:1", "A:2")
    missing = error_from(
        refused(409, "Raven.ConcurrencyException", "m", Id="x", ExpectedChangeVector="", ActualChangeVector=None)
    )
    assert isinstance(missing, ConcurrencyError)
    assert (missing.expected, missing.actual) == ("", None)


def test_conflicts_of_cluster_transactions() -> None:
    violations = [{"Type": "CompareExchange", "Id": "usernames/bob", "Expected": 1, "Actual": 100}]
    error = error_from(refused(409, "R.ClusterTransactionConcurrencyException", "m", ConcurrencyViolations=violations))
    assert isinstance(error, ConcurrencyError)
    assert (error.key, error.expected, error.actual) == ("usernames/bob", "1", "100")
    odd = error_from(refused(409, "R.ClusterTransactionConcurrencyException", "m", ConcurrencyViolations=["?"]), key="k")
    assert odd.key == "k"


def test_a_missing_database_is_named() -> None:
    error = error_from(refused(500, "Raven.DatabaseDoesNotExistException", "Database 'nosuch' does not exist."))
    assert isinstance(error, DatabaseMissing)
    assert error.database == "nosuch"
    body = b'{"Type":"Error","Message":"Database nosuch wasn\'t found"}'
    error = error_from(Response(503, ((b"database-missing", b"nosuch"),), body))
    assert isinstance(error, DatabaseMissing)
    assert (error.database, error.code) == ("nosuch", None)
    unnamed = error_from(refused(500, "Raven.DatabaseDoesNotExistException", "?"))
    assert isinstance(unnamed, DatabaseMissing)
    assert unnamed.database is None


@pytest.mark.parametrize(
    "message",
    [
        "The field 'it's' is not indexed in 'Stat', cannot query/sort on fields that are not indexed in query: from index 'Stat'",
        "The field 'it's' is not indexed for index 'Stat', cannot query/sort on fields that are not indexed",
    ],
)
def test_an_unindexed_field_is_named_on_every_version(message: Any) -> None:
    error = error_from(refused(500, "System.ArgumentException", message))
    assert isinstance(error, QueryError)
    assert (error.field, error.index) == ("it's", "Stat")


def test_an_index_in_the_message_is_named() -> None:
    error = query_error(
        refused(500, "System.InvalidOperationException", "Index 'Boom' is marked as errored. Index Boom is invalid")
    )
    assert isinstance(error, QueryError)
    assert error.index == "Boom"


@pytest.mark.parametrize("body", [b"", b'"Error":"Index Nope does not exist"', b'{"Error":"Index Nope does not exist"}\r\n'])
def test_a_missing_index_is_a_query_error(body: Any) -> None:
    error = query_error(Response(404, (), body), index="Nope")
    assert isinstance(error, QueryError)
    assert (error.message, error.status_code, error.index, error.field) == ("there is no index 'Nope'", 404, "Nope", None)
    assert query_error(Response(404, (), b"")).message == "the index of this query does not exist"


def test_query_errors_leave_other_kinds_alone() -> None:
    assert type(query_error(refused(500, "R.DatabaseDoesNotExistException", "Database 'x' does not exist."))) is DatabaseMissing
    assert type(query_error(refused(503, "R.DatabaseDisabledException", "x"))) is TransientError
    assert type(query_error(Response(404, ((b"database-missing", b"x"),)))) is DatabaseMissing
    assert type(query_error(Response(502))) is TransientError
    script = query_error(refused(500, JS, "boom"), index="I")
    assert isinstance(script, QueryError)
    assert (script.code, script.index) == ("JavaScriptException", "I")
    named = query_error(refused(404, "R.IndexDoesNotExistException", "Index 'X' was not found"), index="Y")
    assert isinstance(named, QueryError)
    assert (named.index, named.message) == ("X", "Index 'X' was not found")


def test_patch_errors_are_the_fallback_of_patches() -> None:
    assert type(patch_error(refused(500, "System.InvalidCastException", "Unable to cast"), key="k")) is PatchError
    missing = patch_error(Response(404), key="k")
    assert (type(missing), missing.message, missing.key) == (SessionError, "there is no document 'k'", "k")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("At 6:4 Script failed for document ID 'n/1'. line1\nline2", "At 6:4 Script failed for document ID 'n/1'. line1\nline2"),
        (
            "Script failed for document ID 'n/1'. a\nb At 0:4 Script failed for document ID 'n/1'. a\nb",
            "Script failed for document ID 'n/1'. a\nb",
        ),
        (
            'At 0:4 Script failed for document ID \'n/1\'. {"message":"y is not defined","stack":"   at call (:4:1)"}',
            "At 0:4 Script failed for document ID 'n/1'. y is not defined",
        ),
        ('x {"message":"kept"}', 'x {"message":"kept"}'),
        ('x {"message":broken', 'x {"message":broken'),
    ],
)
def test_messages_of_scripts(message: Any, shown: Any) -> None:
    assert error_from(refused(500, JS, message)).message == shown


@pytest.mark.parametrize("text", ["At 6:4 {}", "{0} At 0:4 {0}"])
def test_legacy_patches_speak_in_their_own_words(text: Any) -> None:
    said = text.format("Script failed for document ID 'n/1'. legacy-patch-conflict: my 'age'")
    error = error_from(refused(500, JS, said))
    assert isinstance(error, ConcurrencyError)
    assert (error.status_code, error.code, error.key) == (409, "ConcurrencyException", "n/1")
    assert error.message == """the field "my 'age'" is not what PrevVal says"""
    said = text.format("Script failed for document ID 'n/1'. legacy-patch: age is not a number")
    error = error_from(refused(500, JS, said), key="N/1", writes=True)
    assert isinstance(error, PatchError)
    assert (error.status_code, error.message, error.key, error.uncertain) == (500, "age is not a number", "N/1", False)
    assert type(error_from(refused(500, "System.Exception", said))) is SessionError


def test_the_cause_of_a_failed_bulk_insert_is_dug_out() -> None:
    message = "Failed to process bulk insert. Inserted 0 items in 0 batches."
    trace = (
        f"System.InvalidOperationException: {message}\n ---> System.AggregateException: One or more errors occurred. (x)\n"
        " ---> System.IO.EndOfStreamException: Attempted to read past the end of the stream.\n   at Raven.Server() in /_/x.cs\n"
        " ---> System.Later: no"
    )
    body = {"Type": "System.InvalidOperationException", "Message": message, "Error": trace}
    error = error_from(Response(500, (), json.dumps(body).encode()), writes=True)
    assert error.message == f"{message} Attempted to read past the end of the stream."
    assert error.code == "EndOfStreamException"
    plain = error_from(Response(500, (), json.dumps({**body, "Error": "?"}).encode()))
    assert (plain.message, plain.code) == (message, "InvalidOperationException")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, b"", "there is nothing of this name on the server"),
        (414, b"", "the server answered 414 "),
        (599, b"", "the server answered 599"),
        (502, b"<html>\n<h1>Bad   Gateway</h1></html>", "the server answered 502: <html> <h1>Bad Gateway</h1></html>"),
        (502, b"x" * 999, "the server answered 502: " + "x" * 200),
        (500, b"[1]", "the server answered 500: [1]"),
        (500, b'{"Type":1,"Message":2,"Error":3}', 'the server answered 500: {"Type":1,"Message":2,"Error":3}'),
        (500, b"\xff\xfe", "the server answered 500: \ufffd\ufffd"),
    ],
)
def test_bodies_of_other_forms(status: Any, body: Any, message: Any) -> None:
    assert error_from(Response(status, (), body)).message.startswith(message)


@pytest.mark.parametrize(
    ("response", "uncertain"),
    [
        (refused(500, "System.ArgumentException", "no"), False),
        (refused(409, "R.ConcurrencyException", "no"), False),
        (refused(503, "R.DatabaseDisabledException", "no"), False),
        (refused(408, "R.RavenTimeoutException", "no"), True),
        (refused(500, "System.TimeoutException", "no"), True),
        (refused(500, "System.OperationCanceledException", "no"), True),
        (Response(408), True),
        (Response(500), True),
        (Response(500, (), b"<html>"), True),
        (Response(502, (), b'{"error":"bad gateway"}'), True),
        (Response(503), True),
        (Response(504), True),
        (Response(404), False),
        (Response(400), False),
        (Response(414), False),
        (Response(429, (), b"slow down"), False),
    ],
)
def test_only_a_refusal_in_the_servers_own_words_is_certain(response: Any, uncertain: Any) -> None:
    error = error_from(response, writes=True)
    assert error.uncertain is uncertain
    assert not error_from(response).uncertain
    assert not (error.uncertain and error.is_retryable())


@given(st.integers(100, 599), st.binary())
def test_no_body_breaks_it(status: Any, body: Any) -> None:
    for error in (
        error_from(Response(status, (), body)),
        query_error(Response(status, (), body)),
        patch_error(Response(status), key=""),
    ):
        assert isinstance(error, SessionError)
        assert error.message
        assert error.status_code == status


PLAIN = st.none() | st.booleans() | st.integers() | st.text()
JSON_VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
NAMES = st.sampled_from(["Type", "Message", "Error", "Id", "ConcurrencyViolations", "ExpectedChangeVector", "ActualChangeVector"])


@settings(deadline=None)
@given(st.sampled_from([404, 409, 500, 503]), st.dictionaries(NAMES, JSON_VALUES))
def test_no_object_breaks_it(status: Any, body: Any) -> None:
    assert error_from(Response(status, (), json.dumps(body).encode())).message
