"""Documents one by one, by id, by prefix, and as a stream; what a bad request gets."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from evsession.embedded.app import App, documents
from evsession.embedded.app.call import MAX_DEPTH
from evsession.embedded.failures import RavenFailure
from evsession.wire.message import Request
from tests.unit.embedded.server import Server


def results(answer: tuple[int, Any]) -> list[str]:
    """Return the ids in the answer."""
    status, body = answer
    assert status == 200, body
    return [document["@metadata"]["@id"] if document else "-" for document in body["Results"]]


@pytest.fixture
def dogs(server: Server) -> Server:
    for key in ("dogs/1", "dogs/2", "Dogs/3", "cats/1"):
        server.put(key, friend="cats/1")
    return server


class TestLoads:
    def test_a_missing_document_is_404_without_a_body(self, server: Server) -> None:
        assert server.ask("GET", "docs?id=nope") == (404, None)
        assert server.ask("GET", "docs?id=") == (404, None)
        assert server.ask("POST", "docs", {"Ids": ["nope"]}) == (404, None)

    def test_several_come_in_the_order_asked(self, dogs: Server) -> None:
        assert results(dogs.ask("GET", "docs?id=dogs/2&id=nope&id=DOGS/2&id=dogs/1")) == ["dogs/2", "-", "dogs/2", "dogs/1"]
        assert results(dogs.ask("POST", "docs", {"Ids": [None, "", "dogs/3"]})) == ["-", "-", "Dogs/3"]

    def test_of_no_ids_gives_all_the_newest_first(self, dogs: Server) -> None:
        everything = ["cats/1", "Dogs/3", "dogs/2", "dogs/1"]
        assert results(dogs.ask("POST", "docs", {"Ids": []})) == everything
        assert results(dogs.ask("GET", "docs")) == everything
        assert results(dogs.ask("GET", "docs?start=1&pageSize=2")) == everything[1:3]

    def test_ids_must_be_a_list(self, server: Server) -> None:
        status, error = server.ask("POST", "docs", {})
        assert (status, error["Type"]) == (500, "System.ArgumentException")

    def test_includes_are_not_repeated(self, dogs: Server) -> None:
        _, body = dogs.ask("GET", "docs?id=dogs/1&include=friend&include=nope")
        assert list(body["Includes"]) == ["cats/1"]
        _, body = dogs.ask("GET", "docs?id=dogs/1&id=cats/1&include=friend")
        assert body["Includes"] == {}

    def test_includes_pass_over_what_can_be_no_id(self, server: Server) -> None:
        server.put("a", friend="x" * 600)
        assert server.ask("GET", "docs?id=a&include=friend")[1]["Includes"] == {}

    def test_metadata_alone(self, dogs: Server) -> None:
        _, body = dogs.ask("GET", "docs?id=dogs/1&metadataOnly=true")
        assert list(body["Results"][0]) == ["@metadata"]

    @pytest.mark.parametrize("path", ["docs?id=dogs/1", "docs?id=dogs/1&id=dogs/2", "docs?startsWith=dogs/", "docs"])
    def test_an_etag_is_known_again(self, dogs: Server, path: str) -> None:
        etag = dogs.admin("GET", f"/databases/db/{path}").header(b"etag") or ""
        assert dogs.ask("GET", path, headers={"If-None-Match": etag}) == (304, None)
        assert dogs.ask("GET", path, headers={"if-none-match": etag.strip('"')}) == (304, None)
        dogs.put("dogs/1")
        assert dogs.ask("GET", path, headers={"If-None-Match": etag})[0] == 200

    def test_headers_have_no_case_and_no_place(self, dogs: Server) -> None:
        etag = dogs.admin("HEAD", "/databases/db/docs?id=dogs/1").header(b"etag") or ""
        assert dogs.ask("GET", "docs?id=dogs/1", headers={"X": "1", "IF-NONE-MATCH": etag}) == (304, None)

    def test_by_head(self, dogs: Server) -> None:
        answer = dogs.admin("HEAD", "/databases/db/docs?id=dogs/1")
        assert (answer.status, answer.body) == (200, b"")
        assert dogs.ask("HEAD", "docs?id=dogs/1", headers={"If-None-Match": answer.header(b"etag") or ""}) == (304, None)
        assert dogs.ask("HEAD", "docs?id=nope") == (404, None)
        assert dogs.ask("HEAD", "docs") == (500, None)


class TestPrefixes:
    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ("startsWith=DOGS/", ["dogs/1", "dogs/2", "Dogs/3"]),
            ("startsWith=", ["cats/1", "dogs/1", "dogs/2", "Dogs/3"]),
            ("startsWith=dogs/&matches=1|3", ["dogs/1", "Dogs/3"]),
            ("startsWith=dogs&exclude=*2", ["dogs/1", "Dogs/3"]),
            ("startsWith=dogs&matches=/?&exclude=/1", ["dogs/2", "Dogs/3"]),
            ("startsWith=dogs/&startAfter=dogs/1", ["dogs/2", "Dogs/3"]),
            ("startsWith=dogs/&startAfter=zzz", []),
            ("startsWith=dogs/&start=1&pageSize=1", ["dogs/2"]),
            ("startsWith=dogs/&start=-1&pageSize=-1", []),
        ],
    )
    def test_select(self, dogs: Server, query: str, ids: list[str]) -> None:
        assert results(dogs.ask("GET", f"docs?{query}")) == ids

    @pytest.mark.parametrize("text", ["x", "1.5", "", "2147483648", "99999999999999999999999"])
    def test_a_bad_number_is_told(self, server: Server, text: str) -> None:
        status, error = server.ask("GET", f"docs?startsWith=d&start={text}")
        assert status == 500
        assert error["Message"] == f"Could not parse header 'start' header as int, value was: {text}"


class TestStreams:
    def test_as_an_object(self, dogs: Server) -> None:
        assert results(dogs.ask("GET", "streams/docs?startsWith=dogs/&excludes=2")) == ["dogs/1", "Dogs/3"]
        assert results(dogs.ask("GET", "streams/docs?startsWith=&pageSize=1")) == ["cats/1"]

    def test_as_lines(self, dogs: Server) -> None:
        answer = dogs.admin("GET", "/databases/db/streams/docs?format=jsonl")
        assert [json.loads(line)["@metadata"]["@id"] for line in answer.body.split(b"\r\n")[:-1]] == [
            "cats/1",
            "Dogs/3",
            "dogs/2",
            "dogs/1",
        ]

    def test_refuse_what_is_bad_before_they_begin(self, dogs: Server) -> None:
        assert dogs.ask("GET", "streams/docs?pageSize=x")[0] == 500
        dogs.put("dogs/4")  # nothing is held

    def test_in_pieces(self, server: Server) -> None:
        for number in range(300):
            server.put(f"dogs/{number:03}", text="x" * 1000)
        conversation = server.app.open(Request("GET", "/databases/db/streams/docs?startsWith=dogs/"))
        assert conversation.finish().status == 200
        first = conversation.receive()
        assert 64_000 < len(first) < 80_000
        server.put("dogs/000", text="changed")  # nobody waits, and the stream sees what was
        rest = b"".join(iter(conversation.receive, b""))
        conversation.close()
        conversation.close()
        assert len(json.loads(first + rest)["Results"]) == 300
        assert b"changed" not in first + rest

    def test_rows_that_fail_leave_nothing_behind(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(row: object) -> bytes:
            raise RavenFailure(500, "T", "broken")

        server.put("a")
        monkeypatch.setattr(documents, "document_json", broken)
        answer = server.admin("GET", "/databases/db/streams/docs?format=jsonl")
        assert b"T: broken" in answer.body or json.loads(answer.body)["Message"] == "broken"
        monkeypatch.undo()
        assert results(server.ask("GET", "streams/docs")) == ["a"]

    @pytest.mark.parametrize("path", ["streams/docs?format=jsonl", "streams/queries?format=jsonl&query=from+Dogs+where+n>=0"])
    def test_take_no_more_memory_for_more_documents(self, tmp_path: Path, path: str) -> None:
        app = App(tmp_path / "data.db")
        server = Server(app)
        peaks = []
        for first, last in ((0, 500), (500, 5_000)):
            dogs = {f"dogs/{n}": {"n": n, "text": "x" * 1000, "@metadata": {"@collection": "Dogs"}} for n in range(first, last)}
            server.batch(*({"Type": "PUT", "Id": key, "Document": dog} for key, dog in dogs.items()))
            server.ask("POST", "queries", {"Query": "from Dogs where n >= 0 limit 1"})  # keeps the field
            conversation = app.open(Request("GET", f"/databases/db/{path}"))
            conversation.finish()
            tracemalloc.start()
            try:
                length = sum(map(len, iter(conversation.receive, b"")))
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
                conversation.close()
            assert length > 1000 * last
        app.close()
        assert peaks[1] < peaks[0] * 1.5

    def test_left_early(self, server: Server) -> None:
        for number in range(300):
            server.put(f"dogs/{number:03}", text="x" * 1000)
        conversation = server.app.open(Request("GET", "/databases/db/streams/docs"))
        conversation.finish()
        conversation.receive()
        conversation.close()
        assert conversation.receive() == b""
        server.put("a")
        server.app.close()


class TestPuts:
    def test_numbers_come_back_as_they_were_written(self, server: Server) -> None:
        text = b'{"a":1.00,"b":1e5,"c":123456789012345678901234567890,"d":-0.0,"f":0.1234567890123456789012,"k":[{"x":2.50}]}'
        server.ask("PUT", "docs?id=n", text)
        assert server.admin("GET", "/databases/db/docs?id=n").body.startswith(b'{"Results":[' + text[:-1])

    def test_the_last_of_equal_names_counts(self, server: Server) -> None:
        server.ask("PUT", "docs?id=n", b'{"a":1,"a":{"b":1,"b":2}}')
        assert server.get("n") == {"a": {"b": 2}}

    def test_metadata_of_the_server_are_dropped(self, server: Server) -> None:
        metadata = {"@collection": "Dogs", "@id": "x", "@change-vector": "y", "@last-modified": "z", "@flags": "f", "Custom": 1}
        server.ask("PUT", "docs?id=a", {"@metadata": metadata})
        _, body = server.ask("GET", "docs?id=a")
        assert set(body["Results"][0]["@metadata"]) == {"@collection", "Custom", "@change-vector", "@id", "@last-modified"}
        assert body["Results"][0]["@metadata"]["@id"] == "a"

    @pytest.mark.parametrize("metadata", [{}, {"@collection": 5}, {"@collection": None}])
    def test_without_a_collection(self, server: Server, metadata: object) -> None:
        server.ask("PUT", "docs?id=a", {"a": 1, "@metadata": metadata})
        assert server.ask("GET", "collections/stats")[1]["Collections"] == {"@empty": 1}

    def test_a_collection_keeps_its_first_spelling_and_its_documents(self, server: Server) -> None:
        server.put("a", "Dogs")
        server.put("b", "dogs")
        assert server.ask("GET", "collections/stats")[1]["Collections"] == {"Dogs": 2}
        status, error = server.ask("PUT", "docs?id=a", {"@metadata": {"@collection": "Cats"}})
        assert status == 500
        assert error["Type"].endswith("DocumentCollectionMismatchException")
        assert error["Message"].startswith("Changing 'a' from 'Dogs' to 'Cats' via update is not supported.")

    def test_concurrency(self, server: Server) -> None:
        first = server.put("a")
        second = server.put("a")
        status, error = server.ask("PUT", "docs?id=A", {"@metadata": {"@collection": "Dogs"}}, {"If-Match": f'"{first}"'})
        assert status == 409
        assert {name: error[name] for name in ("Type", "Id", "ExpectedChangeVector", "ActualChangeVector")} == {
            "Type": "Raven.Client.Exceptions.ConcurrencyException",
            "Id": "A",
            "ExpectedChangeVector": first,
            "ActualChangeVector": second,
        }
        assert error["Message"] == (
            f"Document A has change vector {second}, but Put was called with change vector {first}. "
            "Optimistic concurrency violation, transaction will be aborted."
        )
        assert "expecting new document" in server.ask("PUT", "docs?id=a", {}, {"If-Match": '""'})[1]["Message"]
        assert "does not exist, but Put" in server.ask("PUT", "docs?id=b", {}, {"If-Match": '"x"'})[1]["Message"]
        assert server.ask("DELETE", "docs?id=a", headers={"If-Match": f'"{first}"'})[1]["ActualChangeVector"] == second
        assert server.ask("DELETE", "docs?id=b", headers={"If-Match": '"x"'})[0] == 409
        assert server.ask("DELETE", "docs?id=a", headers={"If-Match": f'"{second}"'}) == (204, None)
        assert server.ask("DELETE", "docs?id=a") == (204, None)


DEEP = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)

BAD_BODIES = {
    "nothing": b"",
    "no JSON": b"zzz",
    "truncated": b'{"a":',
    "an array": b"[1]",
    "a number": b"5",
    "null": b"null",
    "broken UTF-8": b'{"a":"\xff"}',
    "half a surrogate pair": b'{"a":"\\ud83d"}',
    "a control character": b'{"a":"\x01"}',
    "NaN": b'{"a":NaN}',
    "a leading zero": b'{"a":01}',
    "trailing characters": b'{"a":1}x',
    "a comma too much": b'{"a":1,}',
    "10,000 levels": b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "100,000 levels": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a level too much": b'{"a":' + DEEP + b"}",
    "unclosed levels": b'{"a":' + b"[" * 10_000,
    "metadata null": b'{"@metadata":null}',
    "metadata of a list": b'{"@metadata":[]}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
@pytest.mark.parametrize(
    ("method", "path", "before", "after"),
    [
        ("PUT", "docs?id=a", b"", b""),
        ("POST", "bulk_docs", b'{"Commands":[{"Type":"PUT","Id":"b","Document":{}},{"Type":"PUT","Id":"a","Document":', b"}]}"),
        ("POST", "bulk_insert?id=1", b'[{"Type":"PUT","Id":"b","Document":{}},{"Type":"PUT","Id":"a","Document":', b"}]"),
    ],
)
def test_bad_bodies_are_told_and_leave_nothing(
    server: Server, method: str, path: str, before: bytes, after: bytes, body: bytes
) -> None:
    status, error = server.ask(method, path, before + body + after)
    assert status == 500
    assert error["Type"]
    assert "Traceback" not in error["Error"]
    assert server.ask("GET", "docs")[1]["Results"] == []
    server.put("a")  # nothing is locked


@pytest.mark.parametrize("path", ["queries", "streams/queries", "docs", "multi_get"])
@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_bad_questions_are_told(server: Server, path: str, body: bytes) -> None:
    assert server.ask("POST", path, body)[0] == 500


def test_as_deep_as_it_may_be(server: Server) -> None:
    body = b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    assert server.ask("PUT", "docs?id=a", body)[0] == 201
    assert server.ask("POST", "bulk_docs", b'{"Commands":[{"Type":"PUT","Id":"b","Document":' + body + b"}]}")[0] == 201
    assert server.ask("POST", "bulk_insert?id=1", b'[{"Type":"PUT","Id":"c","Document":' + body + b"}]") == (201, None)


def test_brackets_in_strings_are_no_levels(server: Server) -> None:
    assert server.ask("PUT", "docs?id=a", {"a": '[{"' * 1000, "b": "\\" * 5, "c": "[" * 1000})[0] == 201
    assert server.ask("PUT", "docs?id=a", b'"%b"' % (b"[" * 1000))[1]["Message"] == "Expected start of object, but got a str"
