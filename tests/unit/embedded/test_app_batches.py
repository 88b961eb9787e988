"""Batches, patches, bulk inserts: all or nothing, and what each command answers."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from evsession.embedded.app import bulk
from evsession.wire.message import Request
from tests.unit.embedded.server import Server

PUT = {"Type": "PUT", "Id": "a", "Document": {"@metadata": {"@collection": "Dogs"}}}


class TestBatches:
    def test_answer_each_command(self, server: Server) -> None:
        status, answer = server.batch(PUT, {"Type": "DELETE", "Id": "A"}, {"Type": "DELETE", "Id": "a"}, {"Type": "DELETE"})
        assert status == 201
        first, *rest = answer["Results"]
        assert set(first) == {"Type", "@id", "@collection", "@change-vector", "@last-modified"}
        assert rest == [
            {"Id": "A", "Type": "DELETE", "Deleted": True, "ChangeVector": None},
            {"Id": "a", "Type": "DELETE", "Deleted": False},
            {"Id": None, "Type": "DELETE", "Deleted": False},
        ]

    def test_delete_by_prefix(self, server: Server) -> None:
        server.put("dogs/1")
        server.put("DOGS/2")
        server.put("dog")
        _, answer = server.batch({"Type": "DELETE", "Id": "dogs/", "IdPrefixed": True})
        assert answer["Results"] == [{"Id": "dogs/", "Type": "DELETE", "Deleted": True}]
        assert len(server.ask("GET", "docs")[1]["Results"]) == 1

    def test_make_keys(self, server: Server) -> None:
        _, answer = server.batch(*({**PUT, "Id": key} for key in ("dogs/", "dogs|", "DOGS|", "dogs/|", None, "", "dogs-")))
        ids = [result["@id"] for result in answer["Results"]]
        assert ids[:4] == ["dogs/0000000000000000001-A", "dogs/1", "DOGS/2", "dogs//1"]
        assert [len(key) for key in ids[4:]] == [36, 36, 5]

    def test_an_identity_that_is_taken_fails_once(self, server: Server) -> None:
        server.put("dogs/1")
        status, error = server.batch({**PUT, "Id": "dogs|"})
        assert (status, error["Id"]) == (409, "dogs/1")
        assert server.batch({**PUT, "Id": "dogs|"})[1]["Results"][0]["@id"] == "dogs/2"

    @pytest.mark.parametrize(
        ("bad", "kind"),
        [
            ({"Type": "put"}, "InvalidCommandTypeException"),
            ({"Id": "x"}, "InvalidOperationException"),
            ({"Type": "Counters"}, "NotSupportedException"),
            ({"Type": "PUT", "Id": "x"}, "InvalidOperationException"),
            ({"Type": "PUT", "Id": 5, "Document": {}}, "InvalidOperationException"),
            ({**PUT, "ChangeVector": "x"}, "ConcurrencyException"),
            ({**PUT, "Id": "x" * 513}, "ArgumentException"),
            ({"Type": "PATCH", "Id": "a"}, "InvalidOperationException"),
            ({"Type": "PATCH", "Id": "a", "Patch": {}}, "InvalidDataException"),
            ({"Type": "PATCH", "Id": "a", "Patch": {"Script": "1", "Values": []}}, "FormatException"),
            ({"Type": "PATCH", "Patch": {"Script": "1"}}, "ArgumentException"),
            ({"Type": "PATCH", "Id": "a", "Patch": {"Script": "throw 'x'"}}, "JavaScriptException"),
            ({"Type": "PATCH", "Id": "a", "Patch": {"Script": "put('dogs|', {})"}}, "NotSupportedException"),
            ({"Type": "BatchPATCH", "Ids": ["a"], "Patch": {"Script": "1"}}, "InvalidOperationException"),
            ({"Type": "BatchPATCH", "Patch": {"Script": "1"}}, "InvalidOperationException"),
        ],
    )
    def test_fail_as_a_whole(self, server: Server, bad: dict[str, Any], kind: str) -> None:
        status, error = server.batch({**PUT, "Id": "before"}, PUT, bad, {**PUT, "Id": "after"})
        assert status == (409 if kind == "ConcurrencyException" else 500)
        assert error["Type"].endswith(kind)
        assert server.ask("GET", "docs")[1]["Results"] == []

    def test_take_json_only(self, server: Server) -> None:
        status, error = server.ask("POST", "bulk_docs", {"Commands": []}, {"Content-Type": "text/plain"})
        assert (status, error["Type"]) == (500, "System.InvalidOperationException")
        assert server.ask("POST", "bulk_docs", {"Commands": []}, {"content-type": "Application/JSON; charset=utf-8"})[0] == 201

    def test_with_attachments_are_refused(self, server: Server) -> None:
        status, error = server.ask("POST", "bulk_docs", b"--a", {"Content-Type": "multipart/mixed; boundary=a"})
        assert (status, error["Message"]) == (500, "The embedded server of evsession does not support attachments.")

    def test_of_the_whole_cluster_are_refused(self, server: Server) -> None:
        status, error = server.ask("POST", "bulk_docs", {"Commands": [PUT], "TransactionMode": "ClusterWide"})
        assert (status, error["Message"]) == (500, "The embedded server of evsession does not support cluster-wide transactions.")


class TestPatches:
    def patch(self, server: Server, script: str, query: str = "", key: str = "a", **more: Any) -> tuple[int, Any]:
        headers = more.pop("headers", None)
        return server.ask("PATCH", f"docs?id={key}{query}", {"Patch": {"Script": script, "Values": {"v": 2}}, **more}, headers)

    def test_change_a_document(self, server: Server) -> None:
        server.put("a", n=1)
        status, answer = self.patch(server, "this.n += args.v")
        assert status == 200
        assert (answer["Status"], answer["ModifiedDocument"], answer["Collection"]) == (
            "Patched",
            {"n": 3, "@metadata": {"@collection": "Dogs"}},
            "Dogs",
        )
        assert self.patch(server, "this.n = 3") == (
            200,
            {"Status": "NotModified", "ModifiedDocument": {"n": 3, "@metadata": {"@collection": "Dogs"}}},
        )

    def test_true_is_not_one(self, server: Server) -> None:
        server.put("a", n=1)
        assert self.patch(server, "this.n = true")[1]["Status"] == "Patched"

    def test_a_missing_document(self, server: Server) -> None:
        assert self.patch(server, "this.n = 1") == (404, None)
        status, answer = self.patch(server, "this.n = 1", PatchIfMissing={"Script": "this.made = args.how", "Values": {"how": 5}})
        assert (status, answer["Status"], answer["ModifiedDocument"]) == (201, "Created", {"made": 5})
        assert self.patch(server, "1", CreateIfMissing={"a": 1})[0] == 500

    def test_concurrency(self, server: Server) -> None:
        old, new = server.put("a"), server.put("a")
        status, error = self.patch(server, "this.n = 1", headers={"If-Match": f'"{old}"'})
        assert (status, error["Id"], error["ExpectedChangeVector"], error["ActualChangeVector"]) == (409, "a", old, new)
        skipped = "&skipPatchIfChangeVectorMismatch=true"
        assert self.patch(server, "this.n = 1", skipped, headers={"If-Match": f'"{old}"'}) == (304, None)
        assert self.patch(server, "this.n = 1", headers={"If-Match": f'"{new}"'})[0] == 200
        assert self.patch(server, "del(id(this)); this.n = 2", skipped)[0] == 409
        assert self.patch(server, "1", key="b", headers={"If-Match": '""'})[0] == 409

    def test_tests_store_nothing(self, server: Server) -> None:
        server.put("a", n=1)
        _, answer = self.patch(server, "this.n = 2; output('hello')", "&test=true")
        assert answer["ModifiedDocument"]["n"] == 2
        assert answer["OriginalDocument"]["n"] == 1
        assert answer["Debug"]["Info"] == ["hello"]
        assert answer["ChangeVector"] is None
        assert server.get("a") == {"n": 1}

    def test_debugging_tells_the_output(self, server: Server) -> None:
        server.put("a")
        _, answer = self.patch(server, "this.n = 2; output('hello')", "&debug=true")
        assert answer["Debug"]["Info"] == ["hello"]
        assert server.get("a") == {"n": 2}

    def test_touch_other_documents(self, server: Server) -> None:
        server.put("a")
        server.put("b", n=5)
        self.patch(server, "this.n = load('b').n; put('c', {by: id(this)}); del('b')")
        assert server.get("a") == {"n": 5}
        assert server.get("b") is None
        assert server.get("c") == {"by": "a"}

    @pytest.mark.parametrize("body", [{}, {"Patch": None}, {"Patch": {"Script": 5}}, {"Patch": 5}])
    def test_need_a_script(self, server: Server, body: object) -> None:
        assert server.ask("PATCH", "docs?id=a", body)[0] == 500
        assert server.ask("PATCH", "docs", body)[0] == 500

    @pytest.mark.parametrize("headers", [None, {"If-Match": '"x"'}])
    def test_are_parsed_though_they_will_not_run(self, server: Server, headers: dict[str, str] | None) -> None:
        status, error = self.patch(server, "syntax error here", headers=headers)
        assert (status, error["Type"].rpartition(".")[2]) == (500, "JavaScriptParseException")
        assert self.patch(server, "throw 'never run'", headers=headers)[0] == (404 if headers is None else 409)

    def test_in_batches(self, server: Server) -> None:
        script = {"Script": "this.n = 1"}
        status, answer = server.batch(
            PUT,
            {"Type": "PATCH", "Id": "a", "Patch": script, "ReturnDocument": True},
            {"Type": "PATCH", "Id": "a", "Patch": script},
            {"Type": "PATCH", "Id": "b", "Patch": script},
            {"Type": "PATCH", "Id": "c", "Patch": script, "CreateIfMissing": {"made": 1}},
            {"Type": "PATCH", "Id": "d", "Patch": script, "PatchIfMissing": {"Script": "this.made = 2"}},
            {"Type": "BatchPATCH", "Ids": [{"Id": "c"}, {"Id": "nope"}], "Patch": {"Script": "this.more = 1"}},
        )
        assert status == 201
        assert [result.get("PatchStatus") for result in answer["Results"]] == [
            None,
            "Patched",
            "NotModified",
            "DocumentDoesNotExist",
            "Created",
            "Created",
            None,
        ]
        assert answer["Results"][1]["ModifiedDocument"] == {"n": 1, "@metadata": {"@collection": "Dogs"}}
        assert answer["Results"][2]["LastModified"] == "0001-01-01T00:00:00.0000000"
        assert answer["Results"][6] == {"Type": "BatchPATCH"}
        assert (server.get("c"), server.get("d")) == ({"made": 1, "more": 1}, {"made": 2})


def item(key: str | None, **fields: object) -> dict[str, Any]:
    return {"Type": "PUT", "Id": key, "Document": fields}


class TestBulkInserts:
    def insert(self, server: Server, *items: object, query: str = "?id=7") -> tuple[int, Any]:
        return server.ask("POST", f"bulk_insert{query}", list(items))

    def test_store_what_comes(self, server: Server) -> None:
        number = server.ask("GET", "operations/next-operation-id")[1]["Id"]
        assert server.ask("GET", f"operations/state?id={number}") == (404, None)
        query = f"?id={number}"
        assert self.insert(server, item("a", n=1), {"Type": "HeartBeat"}, item(None), item("b/"), query=query) == (201, None)
        assert server.get("a") == {"n": 1}
        state = server.ask("GET", f"operations/state?id={number}")[1]
        assert (state["Status"], state["Result"]["Total"]) == ("Completed", 3)

    def test_in_pieces_and_batches(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bulk, "BATCH_BYTES", 100)
        conversation = server.app.open(Request("POST", "/databases/db/bulk_insert?id=1"))
        assert conversation.send(b"[" + json.dumps(item("a", text="x" * 100)).encode())
        assert server.get("a") is not None
        assert server.ask("GET", "operations/state?id=1")[1]["Status"] == "InProgress"
        assert conversation.send(b"," + json.dumps(item("b")).encode())
        assert server.get("b") is None
        assert conversation.send(b"]")
        assert conversation.finish().status == 201
        assert conversation.receive() == b""
        conversation.close()
        assert server.get("b") is not None

    def test_closed_without_an_end_store_only_whole_batches(self, server: Server) -> None:
        conversation = server.app.open(Request("POST", "/databases/db/bulk_insert?id=1"))
        conversation.send(b"[" + json.dumps(item("a")).encode())
        conversation.close()
        assert server.get("a") is None

    @pytest.mark.parametrize(
        ("bad", "cause"),
        [
            (item("dogs|"), "Document ids cannot end with '|'"),
            (item("x" * 600), "Document ID cannot exceed"),
            ({"Type": "Foo"}, "does not support 'Foo' in a bulk insert"),
            ({"Type": "PUT", "Id": "b", "Document": 5}, "Expected start of object"),
            (5, "expected an array of objects"),
        ],
    )
    def test_tell_the_cause_in_the_second_line(self, server: Server, bad: object, cause: str) -> None:
        status, error = self.insert(server, item("a"), bad)
        assert status == 500
        assert error["Message"] == "Failed to process bulk insert. Inserted 0 items in 0 batches."
        assert error["Error"].split("\n")[1].startswith(" ---> ")
        assert cause in error["Error"]
        assert server.get("a") is None
        assert server.ask("GET", "operations/state?id=7")[1]["Status"] == "Faulted"

    def test_an_array_without_an_end_is_not_stored(self, server: Server) -> None:
        answer = server.admin("POST", "/databases/db/bulk_insert?id=1", b"[" + json.dumps(item("a")).encode())
        assert answer.status == 500
        assert (b"connection", b"close") in answer.headers
        assert server.get("a") is None

    def test_want_no_more_after_a_failure(self, server: Server) -> None:
        conversation = server.app.open(Request("POST", "/databases/db/bulk_insert?id=1"))
        assert not conversation.send(b"zz")
        assert not conversation.send(b"[]")
        assert conversation.finish().status == 500
        assert b"Failed to process bulk insert" in conversation.receive()
        conversation.close()

    def test_are_killed(self, server: Server) -> None:
        conversation = server.app.open(Request("POST", "/databases/db/bulk_insert?id=1"))
        conversation.send(b"[")
        assert server.ask("POST", "operations/kill?id=1") == (204, None)
        assert not conversation.send(b"]")
        assert conversation.finish().status == 500
        assert self.insert(server, item("a"), query="?id=1") == (201, None)

    def test_that_cannot_begin(self, server: Server) -> None:
        conversation = server.app.open(Request("POST", "/databases/db/bulk_insert"))
        conversation.send(b"[]")
        assert conversation.finish().status == 500
        assert self.insert(server, query="")[1]["Message"] == "Query string id is mandatory, but wasn't specified."

    def test_may_pass_over_what_is_stored_already(self, server: Server) -> None:
        first = server.put("a", n=1)
        same = {"Type": "PUT", "Id": "a", "Document": {"n": 1, "@metadata": {"@collection": "Dogs"}}}
        assert self.insert(server, same, item("b"), query="?id=1&skipOverwriteIfUnchanged=true") == (201, None)
        assert server.admin("GET", "/databases/db/docs?id=a").header(b"etag") == f'"{first}"'
        self.insert(server, same)
        assert server.admin("GET", "/databases/db/docs?id=a").header(b"etag") != f'"{first}"'

    def test_a_full_disk_is_told(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(bulk, "put_document", full)
        assert "database or disk is full" in self.insert(server, item("a"))[1]["Error"]
