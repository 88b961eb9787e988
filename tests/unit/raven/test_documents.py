"""Loads, batches and bulk inserts as flows: what they ask, and what they make of every kind of answer."""

from __future__ import annotations

from typing import Any

import pytest

from evsession.errors import ConcurrencyError, ConfigurationError, ProtocolError, SessionError
from evsession.raven.batches import Delete, Put, Written, batch_flow, is_taken_identity
from evsession.raven.bulk import bulk_item, bulk_request, kill_request, operation_id_flow
from evsession.raven.documents import Loaded, exists_flow, load_flow, load_many_flow
from evsession.raven.includes import include_paths, referred_keys
from evsession.raven.vocabulary import Database
from evsession.wire.json import JSON, decode, encode
from evsession.wire.message import Request, Response
from evsession.wire.url import path, target
from tests.unit.raven.flows import run

DB = Database("db")


def test_load_quotes_everything() -> None:
    requests, loaded = run(load_flow(DB, "a b&c#d%e+f=é/?", ["x y"]), Response(404))
    assert requests[0].target == "/databases/db/docs?id=a%20b%26c%23d%25e%2Bf%3D%C3%A9%2F%3F&include=x%20y"
    assert loaded == Loaded([None])


def test_load_gives_rows_and_includes() -> None:
    _, loaded = run(load_flow(DB, "a"), Response(200, (), b'{"Results":[{"n":1}],"Includes":{"b":{"n":2}}}'))
    assert loaded == Loaded([{"n": 1}], {"b": {"n": 2}})


def test_load_many_without_keys_asks_nothing() -> None:
    with pytest.raises(StopIteration) as stop:
        next(load_many_flow(DB, [], ["x"]))
    assert stop.value.value == Loaded([])


def test_load_many_asks_once() -> None:
    requests, loaded = run(
        load_many_flow(DB, ["a", "b"], ["x"]), Response(200, (), b'{"Results":[null,{"n":1}],"Includes":null}')
    )
    assert requests == [
        Request("POST", "/databases/db/docs?include=x", b'{"Ids":["a","b"]}', (("Content-Type", "application/json"),))
    ]
    assert loaded == Loaded([None, {"n": 1}], {})


def test_a_list_of_one_missing_key_is_answered_like_a_single_load() -> None:
    assert run(load_many_flow(DB, ["a"]), Response(404))[1] == Loaded([None])
    with pytest.raises(SessionError):
        run(load_many_flow(DB, ["a", "b"]), Response(404))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"Results":null}',
        b'{"Results":[]}',
        b'{"Results":[1,2]}',
        b'{"Results":[5]}',
        b'{"Results":[{}],"Includes":5}',
        b"<html>",
        b'{"Results":[{}',
        b"\xff",
    ],
)
def test_an_answer_that_is_none(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        run(load_flow(DB, "a"), Response(200, (), body))


def test_a_refused_load() -> None:
    with pytest.raises(SessionError) as caught:
        run(load_flow(DB, "a"), Response(500, (), b'{"Type":"System.Exception","Message":"no"}'))
    assert (caught.value.key, caught.value.status_code) == ("a", 500)
    with pytest.raises(SessionError) as caught:
        run(load_flow(DB, "a"), Response(404, (), b"<html>no such page</html>"))
    assert caught.value.status_code == 404


@pytest.mark.parametrize(("status", "found"), [(200, True), (404, False)])
def test_exists(status: int, found: bool) -> None:
    requests, answer = run(exists_flow(DB, "a"), Response(status))
    assert (requests[0].method, answer) == ("HEAD", found)


@pytest.mark.parametrize(
    ("body", "metadata", "document"),
    [
        (b"{}", b'{"@collection":"Dogs"}', {"@metadata": {"@collection": "Dogs"}}),
        (b'{"n":1}', b"{}", {"n": 1, "@metadata": {}}),
    ],
)
def test_a_document_gets_its_metadata_as_a_member(body: bytes, metadata: bytes, document: JSON) -> None:
    requests, _ = run(batch_flow(DB, [Put("dogs/1", None, body, metadata)]), Response(201, (), b'{"Results":[{"@id":"dogs/1"}]}'))
    assert decode(requests[0].body)["Commands"] == [{"Type": "PUT", "Id": "dogs/1", "ChangeVector": None, "Document": document}]


def test_a_batch_in_its_wire_form() -> None:
    puts: list[Put | Delete] = [Put("dogs|", None, b'{"n":1}', b"{}"), Delete("dogs/b", "A:1"), Put('d"', "A:2", b"{}", b"{}")]
    body = (
        b'{"Results":[{"Type":"PUT","@id":"dogs/1","@change-vector":"A:2","@collection":"Dogs","@last-modified":"t"},'
        b'{"Id":"dogs/b","Type":"DELETE","Deleted":true},{"Type":"PUT","@id":"d"}]}'
    )
    requests, written = run(batch_flow(DB, puts), Response(201, (), body))
    assert requests[0].writes
    assert decode(requests[0].body) == {
        "Commands": [
            {"Type": "PUT", "Id": "dogs|", "ChangeVector": None, "Document": {"n": 1, "@metadata": {}}},
            {"Type": "DELETE", "Id": "dogs/b", "ChangeVector": "A:1"},
            {"Type": "PUT", "Id": 'd"', "ChangeVector": "A:2", "Document": {"@metadata": {}}},
        ]
    }
    assert written == [
        Written(put_key="dogs/1", change_vector="A:2", last_modified="t", collection="Dogs"),
        Written(other_key="dogs/b"),
        Written(put_key="d"),
    ]
    assert [one.key for one in written] == ["dogs/1", "dogs/b", "d"]


@pytest.mark.parametrize("body", [b"{}", b'{"Results":[]}', b"[]", b"nonsense", b"", b'{"Results":[{}]}', b'{"Results":[7]}'])
def test_a_batch_that_is_answered_by_nonsense(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        run(batch_flow(DB, [Delete("a")]), Response(201, (), body))


@pytest.mark.parametrize(
    ("message", "key", "expected"),
    [
        ("Document a b has change vector A:9-x, but Put was called with change vector A:1-x. Optimistic ...", "a b", "A:1-x"),
        ("Document a has change vector A:9-x, but Put was called with expecting new document. Optimistic ...", "a", None),
        (
            "Document a does not exist, but delete was called with change vector 'A:1-x, B:2-y'. Optimistic ...",
            "a",
            "A:1-x, B:2-y",
        ),
        ("something else", None, None),
    ],
)
def test_a_conflict_names_the_document_that_only_its_message_names(message: str, key: Any, expected: Any) -> None:
    body = encode({"Type": "Raven.Client.Exceptions.ConcurrencyException", "Message": message, "Id": None})
    with pytest.raises(ConcurrencyError) as caught:
        run(batch_flow(DB, [Delete("a"), Delete("b")]), Response(409, (), body))
    assert (caught.value.key, caught.value.expected) == (key, expected)


def test_a_refused_batch_names_the_document() -> None:
    with pytest.raises(SessionError) as caught:
        run(batch_flow(DB, [Delete("a")]), Response(500, (), b'{"Type":"System.Exception","Message":"no"}'))
    assert (caught.value.key, caught.value.uncertain) == ("a", False)


@pytest.mark.parametrize(
    ("keys", "culprit", "taken"),
    [
        (["dogs|"], "dogs/1", True),
        (["dogs|", "dogs/1"], "dogs/1", False),
        (["dogs|", "dogs/1"], "DOGS/1", False),
        (["dogs|", None], "dogs/7", True),
        (["dogs/1"], "dogs/1", False),
        (["dogs/1"], "dogs/7", False),
        (["dogs|"], None, False),
    ],
)
def test_a_taken_identity(keys: list[str | None], culprit: str | None, taken: bool) -> None:
    commands: list[Put | Delete] = [Put(key, None, b"{}", b"{}") for key in keys]
    assert is_taken_identity(ConcurrencyError("", key=culprit), [*commands, Delete("x|")]) is taken


def test_bulk_requests() -> None:
    assert run(operation_id_flow(DB), Response(200, (), b'{"Id":7,"NodeTag":"A"}'))[1] == 7
    assert bulk_request(DB, 7).target == "/databases/db/bulk_insert?id=7&skipOverwriteIfUnchanged=false"
    assert kill_request(DB, 7).target == "/databases/db/operations/kill?id=7"
    assert decode(bulk_item('a"', b'{"n":1}', b"{}")) == {"Type": "PUT", "Id": 'a"', "Document": {"n": 1, "@metadata": {}}}
    assert decode(bulk_item("a", b"{}", b'{"x":1}')) == {"Type": "PUT", "Id": "a", "Document": {"@metadata": {"x": 1}}}


@pytest.mark.parametrize("response", [Response(200, (), b"{}"), Response(200, (), b"[]"), Response(500), Response(200, (), b"x")])
def test_no_operation_id(response: Response) -> None:
    with pytest.raises(SessionError):
        run(operation_id_flow(DB), response)


@pytest.mark.parametrize(
    ("row", "where", "keys"),
    [
        ({"puppy": "dogs/a"}, "puppy", ["dogs/a"]),
        ({"owner": {"id": "people/1"}}, "owner.id", ["people/1"]),
        ({"pups": ["a", "b", None, 3]}, "pups", ["a", "b"]),
        ({"pups": ["a", "b"]}, "pups[]", ["a", "b"]),
        ({"vets": [{"id": "v/1"}, {"id": "v/2"}, {}]}, "vets[].id", ["v/1", "v/2"]),
        ({"vets": [{"id": "v/1"}]}, "vets.id", ["v/1"]),
        ({"num": 7, "text": "8"}, "num(people/)", ["people/7"]),
        ({"num": 7}, "num", []),
        ({"Puppy": "a"}, "puppy", []),
        ({"puppy": {"deep": 1}}, "puppy", []),
        (None, "puppy", []),
        ("text", "puppy", []),
    ],
)
def test_keys_that_a_row_refers_to(row: Any, where: str, keys: list[str]) -> None:
    assert list(referred_keys(row, where)) == keys


@pytest.mark.parametrize(("given", "paths"), [(None, ()), ("a", ("a",)), (["a", "b.c"], ("a", "b.c")), ((), ())])
def test_include_paths(given: Any, paths: tuple[str, ...]) -> None:
    assert include_paths(given) == paths


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a?b", "a b", "a#b", "..\\x", "a%b", None, 7, "a\nb"])
def test_what_can_be_no_database(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="database"):
        Database(name)


def test_paths_are_quoted() -> None:
    assert Database("ünï-1.x_y").path("docs") == "/databases/%C3%BCn%C3%AF-1.x_y/docs"
    assert path("a/b", "c d") == "/a%2Fb/c%20d"
    assert target("/a") == "/a"
    assert target("/a", [("q", "1+1=2&x")]) == "/a?q=1%2B1%3D2%26x"


def test_the_first_header_counts() -> None:
    response = Response(200, ((b"etag", b'"A:1"'), (b"etag", b"other")))
    assert response.header(b"etag") == '"A:1"'
    assert response.header(b"missing") is None
