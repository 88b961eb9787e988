"""Bookmarks, settings, logins, features and the requests that are made of them."""

from __future__ import annotations

import json
import pickle
from typing import Any
from uuid import UUID

import pytest

import evsession
from evsession import BasicAuth, BearerAuth, Bookmark, ConfigurationError, InvalidDocument, QueryError, TransactionConfig, Vector
from evsession.neo4j.bookmarks import bookmarks_of
from evsession.neo4j.features import discovery_flow, features_of
from evsession.neo4j.flows import Known, check_flow, opened_by
from evsession.neo4j.statements import TAG, GraphDatabase, Opening, Statement, begin_request, statement_request, terminate_request
from evsession.neo4j.transactions import auth_header, check_access, config_of
from tests.unit.neo4j.typed import DISCOVERY_5, answer, opened

DB = GraphDatabase("my graph", (("Authorization", "Basic eA=="),))
NOTHING = TransactionConfig()


def test_bookmarks() -> None:
    mark = Bookmark(("b", "a", "b"))
    assert mark.values == ("a", "b")
    assert pickle.loads(pickle.dumps(mark)) == mark == Bookmark(("a", "b"))
    assert bookmarks_of(None) == ()
    assert bookmarks_of("x") == ("x",)
    assert bookmarks_of([mark, "c", None, ["a"]]) == ("a", "b", "c")


@pytest.mark.parametrize("given", ["", 5, {"a": 1}, b"x", [7]])
def test_what_is_no_bookmark(given: Any) -> None:
    with pytest.raises(ConfigurationError):
        bookmarks_of(given)


def test_settings_of_transactions() -> None:
    metadata = {"a": 1}
    config = TransactionConfig(2.5, metadata)
    metadata["a"] = 2
    assert (config.timeout, config.metadata, config.is_empty) == (2.5, {"a": 1}, False)
    assert config == TransactionConfig(2.5, {"a": 1}) != TransactionConfig(2.5)
    assert config != 5
    assert NOTHING.is_empty
    with pytest.raises(TypeError):
        config.metadata["a"] = 2  # type: ignore[index]
    assert NOTHING.metadata is None
    assert repr(config) == "TransactionConfig(timeout=2.5, metadata={'a': 1})"
    assert config_of(config) is config
    assert config_of(None).is_empty
    assert config_of(None, 1, {"b": 2}) == TransactionConfig(1, {"b": 2})


@pytest.mark.parametrize("timeout", [0, -1, "1", True, float("nan"), float("inf")])
def test_a_timeout_is_a_positive_number(timeout: Any) -> None:
    with pytest.raises(ConfigurationError):
        TransactionConfig(timeout)


def test_settings_that_cannot_be() -> None:
    for metadata in ({"a": {1}}, 5):
        with pytest.raises(InvalidDocument, match="^metadata "):
            TransactionConfig(metadata=metadata)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not both"):
        config_of(NOTHING, timeout=1)
    with pytest.raises(TypeError, match="TransactionConfig"):
        config_of({"timeout": 1})


def test_modes_of_access() -> None:
    assert (check_access("read"), check_access("WRITE")) == ("READ", "WRITE")
    for mode in ("rw", None, 1):
        with pytest.raises(ConfigurationError):
            check_access(mode)


def test_logins() -> None:
    assert auth_header(None) == ()
    assert auth_header(("neo4j", "p:\u00e4")) == (("Authorization", "Basic bmVvNGo6cDrDpA=="),)
    assert auth_header(BearerAuth("abc")) == (("Authorization", "Bearer YWJj"),)
    assert repr(BasicAuth("neo4j", "secret")) == "BasicAuth('neo4j', '***')"
    assert repr(BearerAuth("secret")) == "BearerAuth('***')"


@pytest.mark.parametrize(
    "auth", [("a:b", "secret"), ("", "secret"), ("a", None), ("a", "secret", "b"), "secret", 5, ("a", "\ud800secret")]
)
def test_what_is_no_login_is_not_shown(auth: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        auth_header(auth)
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError):
        BearerAuth("")


@pytest.mark.parametrize(
    ("version", "lines", "metadata", "level"),
    [
        ("5.26.31", False, False, 0),
        ("2025.11.0", False, False, 1),
        ("2025.12.1", True, False, 1),
        ("2026.07.1", True, True, 2),
        ("x", False, False, 0),
    ],
)
def test_features(version: str, lines: bool, metadata: bool, level: int) -> None:
    features = features_of(version)
    assert (features.has_lines, features.has_metadata, features.has_timeouts, features.level) == (
        lines,
        metadata,
        metadata,
        level,
    )


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (answer({}, 200), "which Neo4j"),
        (answer([], 200), "which Neo4j"),
        (answer("", 503), "503"),
        (evsession.Response(302, ((b"raven-server-version", b"7.1.5"),), b""), "is a RavenDB, and no Neo4j"),
    ],
)
def test_what_is_no_neo4j(response: evsession.Response, error: str) -> None:
    flow = discovery_flow()
    assert next(flow).target == "/"
    with pytest.raises(evsession.SessionError, match=error):
        flow.send(response)


def test_the_version_is_asked_once_and_only_where_it_counts() -> None:
    known = Known()
    with pytest.raises(StopIteration):
        next(check_flow(known, Statement.of("RETURN 1"), NOTHING))
    flow = check_flow(known, Statement.of("RETURN $v", {"v": Vector("INT8", ())}), NOTHING)
    next(flow)
    with pytest.raises(evsession.UnsupportedFeature, match=r"2025\.11; the server is 5\.26\.31"):
        flow.send(DISCOVERY_5)
    with pytest.raises(evsession.UnsupportedFeature, match="metadata"):
        next(check_flow(known, None, TransactionConfig(metadata={"a": 1})))
    with pytest.raises(StopIteration) as stop:
        next(check_flow(known, None, TransactionConfig(5)))
    assert stop.value.value.version == "5.26.31"


def test_a_statement() -> None:
    statement = Statement.of("RETURN $a", {"a": 1})
    request = statement_request(DB, statement, Opening("READ", ("FB:1",), TransactionConfig(1.2, {"m": 1}), "ann"), "tag-1")
    assert (request.method, request.target, request.writes) == ("POST", "/db/my%20graph/query/v2", False)
    assert dict(request.headers)["Content-Type"] == "application/vnd.neo4j.query"
    body = json.loads(request.body)
    assert next(iter(body)) == "statement"
    assert body == {
        "statement": "RETURN $a",
        "parameters": {"a": {"$type": "Integer", "_value": "1"}, TAG: {"$type": "String", "_value": "tag-1"}},
        "includeCounters": True,
        "accessMode": "READ",
        "bookmarks": ["FB:1"],
        "impersonatedUser": "ann",
        "maxExecutionTime": 2,
        "txMetadata": {"m": {"$type": "Integer", "_value": "1"}},
    }


def test_only_what_differs_from_the_defaults_is_sent() -> None:
    assert json.loads(begin_request(DB, Opening("WRITE", (), NOTHING), None, "").body) == {}


@pytest.mark.parametrize(
    ("text", "error"), [("", QueryError), ("  \n", QueryError), (None, ConfigurationError), ("\ud800", QueryError)]
)
def test_what_is_no_statement(text: Any, error: type[evsession.SessionError]) -> None:
    with pytest.raises(error):
        Statement.of(text)


def test_the_mark_of_a_statement_is_taken() -> None:
    with pytest.raises(ConfigurationError, match=TAG):
        Statement.of("RETURN 1", {TAG: 1})


def test_credentials_are_in_no_repr() -> None:
    request = terminate_request(DB, "tag-1")
    assert ("Authorization", "Basic eA==") in request.headers
    for thing in (request, DB):
        assert "eA==" not in repr(thing)
    assert "'Authorization', '***'" in repr(request)


def test_who_is_not_waited_for_any_more() -> None:
    begun = opened_by(opened("t9"))
    assert begun is not None
    assert begun.id == "t9"
    assert opened_by(answer({})) is None
    assert opened_by(answer("", 500)) is None


@pytest.mark.parametrize("value", [UUID(int=1), [evsession.Vector("INT8", (1,))]])
def test_metadata_are_plain(value: Any) -> None:
    with pytest.raises(evsession.InvalidDocument, match="metadata"):
        TransactionConfig(metadata={"a": value})
