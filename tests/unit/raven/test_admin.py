from typing import Any

import pytest

from evsession.errors import (
    AuthenticationError,
    ConcurrencyError,
    ConfigurationError,
    DatabaseMissing,
    InvalidDocument,
    ProtocolError,
    SessionError,
)
from evsession.raven.admin import (
    create_database_flow,
    delete_database_flow,
    delete_index_flow,
    put_index_flow,
    server_version_flow,
)
from evsession.raven.vocabulary import Database
from evsession.wire.message import Response
from tests.unit.raven.flows import answer, body_of, run

DATABASE = Database("North-wind")
MAP = "from d in docs.Dogs select new { d.breed }"


def test_create_database() -> None:
    [request], result = run(create_database_flow(DATABASE), answer(201, {}))
    assert result is None
    assert (request.method, request.target) == ("PUT", "/admin/databases?name=North-wind&replicationFactor=1")
    assert request.writes
    assert body_of(request) == {"DatabaseName": "North-wind"}
    exists = {
        "Type": "Raven.Client.Exceptions.ConcurrencyException",
        "Message": "Database 'North-wind' already exists!",
        "Id": None,
    }
    with pytest.raises(ConcurrencyError, match="already exists") as caught:
        run(create_database_flow(DATABASE), answer(409, exists))
    assert (caught.value.status_code, caught.value.key) == (409, None)


@pytest.mark.parametrize("response", [answer(200, {"RaftCommandIndex": 143, "PendingDeletes": []}), answer(204)])
def test_delete_database(response: Response) -> None:
    [request], result = run(delete_database_flow(DATABASE), response)
    assert result is None
    assert (request.method, request.target, request.writes) == ("DELETE", "/admin/databases", True)
    assert body_of(request) == {"DatabaseNames": ["North-wind"], "HardDelete": True, "TimeToWaitForConfirmation": "00:00:15"}


@pytest.mark.parametrize("body", [b"<html>Who are you?</html>", b"", b"[]"])
@pytest.mark.parametrize(
    "flow",
    [
        lambda: create_database_flow(DATABASE),
        lambda: delete_database_flow(DATABASE),
        lambda: put_index_flow(DATABASE, "I", MAP),
        lambda: delete_index_flow(DATABASE, "I"),
    ],
)
def test_what_ravendb_does_not_say_is_no_success(flow: Any, body: bytes) -> None:
    with pytest.raises(ProtocolError):
        run(flow(), answer(200, body))


def test_failing_to_delete_a_database() -> None:
    with pytest.raises(SessionError) as caught:
        run(delete_database_flow(DATABASE), answer(504))
    assert caught.value.uncertain


@pytest.mark.parametrize("maps", [MAP, [MAP], (MAP,)])
def test_put_index(maps: Any) -> None:
    [request], result = run(put_index_flow(DATABASE, "Dogs/ByBreed", maps), answer(201, {}))
    assert result is None
    assert (request.method, request.target, request.writes) == ("PUT", "/databases/North-wind/admin/indexes", True)
    assert body_of(request) == {"Indexes": [{"Name": "Dogs/ByBreed", "Maps": [MAP]}]}


def test_put_index_with_everything() -> None:
    fields = {"breed": {"Indexing": "Search"}}
    [request], _ = run(put_index_flow(DATABASE, "I", [MAP, MAP], "from r in results", fields), answer(201, {}))
    assert body_of(request)["Indexes"] == [{"Name": "I", "Maps": [MAP, MAP], "Reduce": "from r in results", "Fields": fields}]


def test_an_index_that_does_not_compile() -> None:
    refused = {
        "Type": "Raven.Client.Exceptions.Documents.Compilation.IndexCompilationException",
        "Message": "Did you forget 'new'?",
    }
    with pytest.raises(SessionError, match="Did you forget 'new'") as caught:
        run(put_index_flow(DATABASE, "I", MAP), answer(500, refused))
    assert (type(caught.value), caught.value.code) == (SessionError, "IndexCompilationException")


@pytest.mark.parametrize(
    ("name", "maps", "reduce", "fields"),
    [
        ("", MAP, None, None),
        ("It's", MAP, None, None),
        (5, MAP, None, None),
        ("I", [], None, None),
        ("I", None, None, None),
        ("I", {"a": 1}, None, None),
        ("I", " ", None, None),
        ("I", [MAP, 5], None, None),
        ("I", MAP, "", None),
        ("I", MAP, 5, None),
        ("I", MAP, None, ["breed"]),
        ("I", MAP, None, {"breed": "Search"}),
        ("I", MAP, None, {5: {}}),
    ],
)
def test_what_is_no_index(name: Any, maps: Any, reduce: Any, fields: Any) -> None:
    with pytest.raises(ConfigurationError):
        next(put_index_flow(DATABASE, name, maps, reduce, fields))


def test_options_of_fields_have_a_form_in_json() -> None:
    with pytest.raises(InvalidDocument):
        next(put_index_flow(DATABASE, "I", MAP, None, {"breed": {"Boost": float("nan")}}))


def test_delete_index() -> None:
    [request], result = run(delete_index_flow(DATABASE, "Auto/Dogs/By'first name'&x"), answer(204))
    assert result is None
    assert (request.method, request.writes) == ("DELETE", True)
    assert request.target == "/databases/North-wind/indexes?name=Auto%2FDogs%2FBy%27first%20name%27%26x"
    with pytest.raises(SessionError, match="there is no index 'I'") as caught:
        run(delete_index_flow(DATABASE, "I"), answer(404))
    assert caught.value.status_code == 404
    missing = {"Type": "R.DatabaseDoesNotExistException", "Message": "Database 'North-wind' does not exist."}
    with pytest.raises(DatabaseMissing) as missed:
        run(delete_index_flow(DATABASE, "I"), answer(500, missing))
    assert missed.value.database == "North-wind"
    with pytest.raises(ConfigurationError):
        next(delete_index_flow(DATABASE, ""))


@pytest.mark.parametrize(
    ("commit", "version"), [("082d079", "7.1.5"), ("evsession-0.1.0", "7.1.5+evsession-0.1.0"), (None, "7.1.5"), (5, "7.1.5")]
)
def test_the_version_of_the_server(commit: Any, version: str) -> None:
    said = {"BuildVersion": 71028, "ProductVersion": "7.1", "CommitHash": commit, "FullVersion": "7.1.5"}
    [request], result = run(server_version_flow(), answer(200, said))
    assert (request.method, request.target, request.writes) == ("GET", "/build/version", False)
    assert result == version


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [
        (200, {"ProductVersion": "7.1"}, ProtocolError),
        (200, [], ProtocolError),
        (200, b"<html>", ProtocolError),
        (404, {"errors": [{"code": "Neo.ClientError.Request.Invalid", "message": "Not Found"}]}, ProtocolError),
        (403, {"Message": "no"}, AuthenticationError),
        (500, {"Type": "Odd", "Message": "no"}, SessionError),
    ],
)
def test_what_says_no_version(status: int, said: Any, error: type[SessionError]) -> None:
    with pytest.raises(error) as caught:
        run(server_version_flow(), answer(status, said))
    assert type(caught.value) is error
