"""What is no document: databases, routes, numbers, indexes, queries' frames, statistics, and failures of all kinds."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from evsession.embedded.app import App
from evsession.embedded.app import documents as documents_module
from evsession.embedded.app.operations import KEPT, Operations
from evsession.embedded.app.streaming import as_lines, as_object
from evsession.embedded.failures import RavenFailure
from evsession.wire.message import Request
from tests.unit.embedded.server import Server


def body(answer: Any) -> Any:
    return json.loads(answer.body)


class TestServers:
    def test_say_what_they_are(self, server: Server) -> None:
        version = body(server.admin("GET", "/build/version"))
        assert version["ProductVersion"] == "7.1"
        assert version["CommitHash"].startswith("evsession")
        assert server.admin("GET", "/setup/alive").status == 204
        assert repr(server.app).startswith("<App on <Storage")

    def test_say_where_a_database_is(self, server: Server) -> None:
        (node,) = body(server.admin("GET", "/topology?name=DB", headers={"Host": "localhost:8080"}))["Nodes"]
        assert node == {"Url": "http://localhost:8080", "ClusterTag": "A", "ServerRole": "Member", "Database": "db"}
        assert body(server.admin("GET", "/cluster/topology"))["Topology"]["AllNodes"] == {"A": "http://127.0.0.1"}
        missing = server.admin("GET", "/topology?name=nope")
        assert (missing.status, missing.header(b"database-missing")) == (503, "nope")
        assert server.admin("GET", "/topology").status == 500

    @pytest.mark.parametrize("target", ["/", "/nope", "/databases/db/nope", "/databases/db", "/databases/nope/nope"])
    def test_have_no_other_routes(self, server: Server, target: str) -> None:
        answer = server.admin("GET", target)
        assert answer.status == 400
        assert body(answer)["Type"] == "Raven.Client.Exceptions.Routing.RouteNotFoundException"
        assert "embedded server of evsession" in body(answer)["Message"]

    def test_targets_have_an_end(self, server: Server) -> None:
        assert server.ask("GET", f"docs?id=a&include={'x' * 16_000}") == (404, None)
        assert server.ask("GET", f"docs?id=a&include={'x' * 17_000}") == (414, None)

    def test_routes_have_no_case(self, server: Server) -> None:
        assert server.admin("GET", "/DATABASES/Db/Collections/STATS").status == 200


class TestDatabases:
    def test_are_created_once(self, server: Server) -> None:
        again = server.admin("PUT", "/admin/databases?name=DB", {"DatabaseName": "DB"})
        assert again.status == 409
        assert body(again)["Message"] == "Database 'DB' already exists!"

    def test_are_listed(self, server: Server) -> None:
        server.admin("PUT", "/admin/databases", {"DatabaseName": "other"})
        assert body(server.admin("GET", "/databases?namesOnly=true")) == {"Databases": ["db", "other"]}
        assert [known["Name"] for known in body(server.admin("GET", "/databases"))["Databases"]] == ["db", "other"]
        assert [known["Name"] for known in body(server.admin("GET", "/databases?name=OTHER"))["Databases"]] == ["other"]
        assert body(server.admin("GET", "/databases?name=nope")) == {"Databases": []}

    def test_keep_their_record(self, server: Server) -> None:
        server.admin("PUT", "/admin/databases", {"DatabaseName": "other", "Settings": {"a": "b"}})
        record = body(server.admin("GET", "/admin/databases?name=other"))
        assert (record["DatabaseName"], record["Settings"], record["Disabled"]) == ("other", {"a": "b"}, False)
        assert server.admin("GET", "/admin/databases?name=nope").status == 404

    def test_are_deleted(self, server: Server) -> None:
        server.put("a")
        gone = {"DatabaseNames": ["db", "nope"], "HardDelete": True}
        assert body(server.admin("DELETE", "/admin/databases", gone))["RaftCommandIndex"] == 1
        assert body(server.admin("DELETE", "/admin/databases", gone))["RaftCommandIndex"] == -1
        status, error = server.ask("GET", "docs?id=a")
        assert (status, error["Message"]) == (500, "Database 'db' does not exist.")
        server.admin("PUT", "/admin/databases", {"DatabaseName": "db"})
        assert server.get("a") is None
        assert server.admin("DELETE", "/admin/databases?name=db").status == 200
        assert server.admin("DELETE", "/admin/databases", {"DatabaseNames": 5}).status == 500

    def test_are_switched_off_and_on(self, server: Server) -> None:
        off = body(server.admin("POST", "/admin/databases/disable", {"DatabaseNames": ["db", "nope"]}))
        assert [status["Success"] for status in off["Status"]] == [True, False]
        status, error = server.ask("GET", "docs?id=a")
        assert (status, error["Type"]) == (503, "Raven.Client.Exceptions.Database.DatabaseDisabledException")
        server.admin("POST", "/admin/databases/enable", {"DatabaseNames": ["db"]})
        assert server.ask("GET", "docs?id=a") == (404, None)


class TestNumbers:
    def test_identities(self, server: Server) -> None:
        assert server.ask("POST", "identity/next?name=cats|") == (200, {"NewIdentityValue": 1})
        assert server.ask("POST", "identity/next?name=CATS") == (200, {"NewIdentityValue": 2})
        assert server.ask("POST", "identity/seed?name=cats&value=9") == (200, {"NewSeedValue": 9})
        assert server.ask("POST", "identity/seed?name=cats&value=3") == (200, {"NewSeedValue": 9})
        assert server.ask("POST", "identity/seed?name=cats&value=3&force=true") == (200, {"NewSeedValue": 3})
        assert server.ask("GET", "debug/identities") == (200, {"cats|": 3})
        assert server.ask("POST", "identity/next")[0] == 500
        assert server.ask("POST", "identity/seed?name=cats")[0] == 500

    def test_identities_go_around_after_the_largest_number(self, server: Server) -> None:
        assert server.ask("POST", f"identity/seed?name=cats&value={2**63 - 1}") == (200, {"NewSeedValue": 2**63 - 1})
        assert server.ask("POST", "identity/next?name=cats") == (200, {"NewIdentityValue": -(2**63)})
        assert server.ask("POST", "identity/next?name=cats") == (200, {"NewIdentityValue": 1 - 2**63})
        assert server.ask("GET", "debug/identities") == (200, {"cats|": 1 - 2**63})

    def test_ranges_go_around_after_the_largest_number(self, server: Server) -> None:
        assert self.range(server, f"tag=Dogs&lastMax={2**63 - 1}") == (-(2**63), 31 - 2**63)
        assert self.range(server, "tag=Dogs") == (1, 32)

    def range(self, server: Server, query: str) -> tuple[int, int]:
        status, answer = server.ask("GET", f"hilo/next?{query}")
        assert status == 201, answer
        assert answer["LastSize"] == answer["High"] - answer["Low"] + 1
        return answer["Low"], answer["High"]

    def test_ranges_grow_with_haste_and_shrink_with_patience(self, server: Server) -> None:
        assert self.range(server, "tag=Dogs") == (1, 32)
        at = server.ask("GET", "hilo/next?tag=Dogs")[1]["LastRangeAt"]
        assert self.range(server, f"tag=Dogs&lastBatchSize=32&lastRangeAt={at}") == (65, 128)
        assert self.range(server, "tag=Dogs&lastBatchSize=128&lastRangeAt=2020-01-01T00:00:00.0000000Z") == (129, 192)
        assert self.range(server, "tag=Dogs&lastBatchSize=5000000&lastRangeAt=nonsense&lastMax=1000") == (1001, 1032)
        assert server.get("Raven/Hilo/Dogs") == {"Max": 1032}

    def test_ranges_are_kept_in_between(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        from datetime import timedelta

        from evsession.embedded.app import numbers

        at = server.ask("GET", "hilo/next?tag=Dogs")[1]["LastRangeAt"]
        monkeypatch.setattr(numbers, "QUICK", timedelta(days=-1))  # any time is later, and none is twice as late
        monkeypatch.setattr(numbers, "PATIENT", timedelta(days=1))
        assert self.range(server, f"tag=Dogs&lastBatchSize=50&lastRangeAt={at}") == (33, 82)

    def test_ranges_are_taken_back_from_the_end(self, server: Server) -> None:
        self.range(server, "tag=Dogs")
        self.range(server, "tag=Dogs")
        assert server.ask("PUT", "hilo/return?tag=Dogs&end=32&last=5") == (200, None)
        assert server.get("Raven/Hilo/Dogs") == {"Max": 64}
        assert server.ask("PUT", "hilo/return?tag=Dogs&end=64&last=40") == (200, None)
        assert server.get("Raven/Hilo/Dogs") == {"Max": 40}
        assert server.ask("PUT", "hilo/return?tag=Cats&end=64&last=40") == (200, None)
        assert server.ask("PUT", "hilo/return?tag=Dogs&end=64")[0] == 500

    def test_what_somebody_wrote_there_is_no_number(self, server: Server) -> None:
        server.put("Raven/Hilo/Dogs", "@hilo", Max="many")
        assert self.range(server, "tag=Dogs") == (1, 32)

    @pytest.mark.parametrize("query", ["", "tag=", "tag=a&identityPartsSeparator=ab", "tag=a&lastBatchSize=x"])
    def test_ranges_want_a_tag(self, server: Server, query: str) -> None:
        assert server.ask("GET", f"hilo/next?{query}")[0] == 500


MAP = "from d in docs.Dogs select new { d.name }"


class TestIndexes:
    def define(
        self, server: Server, name: object = "ByName", maps: object = (MAP,), path: str = "admin/indexes"
    ) -> tuple[int, Any]:
        return server.ask("PUT", path, {"Indexes": [{"Name": name, "Maps": list(maps) if isinstance(maps, tuple) else maps}]})

    def test_are_kept(self, server: Server) -> None:
        assert self.define(server)[0] == 201
        assert self.define(server)[0] == 201
        assert server.ask("GET", "indexes?namesOnly=true") == (200, {"Results": ["ByName"]})
        (index,) = server.ask("GET", "indexes?name=BYNAME")[1]["Results"]
        assert (index["Maps"], index["LockMode"], index["Type"]) == ([MAP], "Unlock", "Map")
        assert server.ask("GET", "stats")[1]["CountOfIndexes"] == 1

    def test_are_described(self, server: Server) -> None:
        self.define(server, "A")
        self.define(server, "B")
        assert [index["Name"] for index in server.ask("GET", "indexes?start=1&pageSize=5")[1]["Results"]] == ["B"]
        assert server.ask("GET", "indexes?name=nope") == (404, None)
        assert server.ask("GET", "indexes/stats?name=A")[1]["Results"][0]["IsStale"] is False
        assert server.ask("GET", "indexes/errors?name=A")[1] == {"Results": [{"Name": "A", "Errors": []}]}
        assert server.ask("GET", "indexes/staleness?name=A")[1] == {"IsStale": False, "StalenessReasons": []}
        assert server.ask("GET", "indexes/staleness?name=nope")[0] == 500
        assert len(server.ask("GET", "indexes/status")[1]["Indexes"]) == 2
        assert server.ask("POST", "admin/indexes/stop") == (204, None)

    def test_are_deleted(self, server: Server) -> None:
        self.define(server)
        assert server.ask("DELETE", "indexes?name=BYNAME") == (204, None)
        assert server.ask("DELETE", "indexes?name=ByName") == (404, None)
        assert server.ask("DELETE", "indexes")[0] == 500

    @pytest.mark.parametrize(
        ("name", "maps"),
        [*((name, (MAP,)) for name in (None, 5, "", "Auto/x")), ("A", ()), ("A", None), ("A", "x"), ("A", (5,))],
    )
    def test_want_a_name_and_maps(self, server: Server, name: object, maps: object) -> None:
        assert self.define(server, name, maps)[0] == 500
        assert server.ask("GET", "indexes") == (200, {"Results": []})

    def test_that_cannot_be_run_are_refused_all_together(self, server: Server) -> None:
        good, bad = {"Name": "Good", "Maps": [MAP]}, {"Name": "Bad", "Maps": ["from d in docs.Dogs group d by d.name"]}
        status, error = server.ask("PUT", "admin/indexes", {"Indexes": [good, bad]})
        assert status == 500
        assert "Bad" in error["Message"]
        assert server.ask("GET", "indexes") == (200, {"Results": []})

    @pytest.mark.parametrize("asked", [{}, {"Indexes": 5}, {"Indexes": [5]}])
    def test_come_in_a_list(self, server: Server, asked: object) -> None:
        assert server.ask("PUT", "admin/indexes", asked)[0] == 500
        assert server.ask("PUT", "indexes", asked)[0] == 500

    def test_by_everybody_are_javascript(self, server: Server) -> None:
        status, error = self.define(server, path="indexes")
        assert (status, error["Type"]) == (500, "System.UnauthorizedAccessException")
        assert self.define(server, maps=("map('Dogs', d => ({ name: d.name }))",), path="indexes")[0] == 201


class TestQueries:
    @pytest.fixture(autouse=True)
    def _dogs(self, server: Server) -> None:
        for number in range(5):
            server.put(f"dogs/{number}", age=number, friend="cats/1")
        server.put("cats/1", "Cats")

    def ages(self, answer: tuple[int, Any]) -> list[int]:
        status, found = answer
        assert status == 200, found
        return [row["age"] for row in found["Results"]]

    def test_by_post_and_by_get(self, server: Server) -> None:
        question = {"Query": "from Dogs where age > $p", "QueryParameters": {"p": 2.0}}
        assert self.ages(server.ask("POST", "queries", question)) == [3, 4]
        assert self.ages(server.ask("GET", "queries?query=from+Dogs+where+age>$p&parameters={%22p%22:2.0}")) == [3, 4]
        assert self.ages(server.ask("GET", "queries?query=from+Dogs&start=1&pageSize=2")) == [1, 2]
        assert self.ages(server.ask("POST", "queries", {"Query": "from Dogs", "Start": 1, "PageSize": 2})) == [1, 2]
        assert self.ages(server.ask("POST", "queries", {"Query": "from Dogs", "PageSize": None})) == []

    def test_their_frame(self, server: Server) -> None:
        _, found = server.ask("POST", "queries", {"Query": "from Dogs include friend limit 2"})
        assert (found["TotalResults"], found["CappedMaxResults"], found["IsStale"], found["NodeTag"]) == (5, 2, False, "A")
        assert (found["IndexName"], found["IncludedPaths"], list(found["Includes"])) == (
            "collection/Dogs",
            ["friend"],
            ["cats/1"],
        )

    def test_their_etag_is_known_again(self, server: Server) -> None:
        etag = server.admin("POST", "/databases/db/queries", {"Query": "from Dogs"}).header(b"etag") or ""
        assert server.ask("POST", "queries", {"Query": "from Dogs"}, {"If-None-Match": etag}) == (304, None)

    @pytest.mark.parametrize(
        "question",
        [
            {},
            {"Query": 5},
            {"Query": ""},
            {"Query": "from Dogs", "QueryParameters": 5},
            {"Query": "from Dogs", "Start": -1},
            {"Query": "from Dogs", "PageSize": "x"},
            {"Query": "from Dogs", "PageSize": True},
            {"Query": "from Dogs wher"},
            {"Query": "from Dogs where"},
        ],
    )
    def test_bad_ones(self, server: Server, question: object) -> None:
        if question == {"Query": "from Dogs wher"}:
            assert server.ask("POST", "queries", question)[0] == 200  # an alias
            return
        assert server.ask("POST", "queries", question)[0] == 500
        assert server.ask("POST", "streams/queries", question)[0] == 500
        server.put("dogs/9")  # nothing is held

    def test_without_a_query(self, server: Server) -> None:
        assert server.ask("GET", "queries")[0] == 500

    def test_streams(self, server: Server) -> None:
        _, found = server.ask("POST", "streams/queries", {"Query": "from Dogs"})
        assert (found["TotalResults"], found["IndexTimestamp"][-1]) == (5, "Z")
        assert self.ages((200, found)) == [0, 1, 2, 3, 4]
        text = server.admin("GET", "/databases/db/streams/queries?query=from+Dogs+where+age>3&format=jsonl").body
        head, row, end = text.split(b"\r\n")
        assert (json.loads(head)["Stats"]["TotalResults"], json.loads(row)["Item"]["age"], end) == (1, 4, b"")
        assert server.ask("GET", "streams/queries?query=from+Dogs&format=csv")[0] == 500

    def test_delete_what_they_find(self, server: Server) -> None:
        _, answer = server.ask("DELETE", "queries", {"Query": "from Dogs where age < 3"})
        state = server.ask("GET", f"operations/state?id={answer['OperationId']}")[1]
        assert (state["Status"], state["Result"]["Total"]) == ("Completed", 3)
        assert self.ages(server.ask("POST", "queries", {"Query": "from Dogs"})) == [3, 4]

    def test_patch_what_they_find(self, server: Server) -> None:
        update = {"Query": {"Query": "from Dogs where age < 3 update { this.age += args.by }", "QueryParameters": {"by": 10}}}
        server.ask("PATCH", "queries", update)
        assert self.ages(server.ask("POST", "queries", {"Query": "from Dogs order by age as long"})) == [3, 4, 10, 11, 12]

    def test_failures_on_the_way_are_the_operations(self, server: Server) -> None:
        _, answer = server.ask("PATCH", "queries", {"Query": {"Query": "from Dogs update { this.age = 5; throw 'no' }"}})
        state = server.ask("GET", f"operations/state?id={answer['OperationId']}")[1]
        assert state["Status"] == "Faulted"
        assert self.ages(server.ask("POST", "queries", {"Query": "from Dogs"})) == [0, 1, 2, 3, 4]

    def test_patches_need_an_update(self, server: Server) -> None:
        assert server.ask("PATCH", "queries", {})[0] == 400
        assert server.ask("PATCH", "queries", {"Query": {"Query": "from Dogs"}})[0] == 500

    def test_a_disk_that_refuses_indexes_costs_nothing_but_time(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        from evsession.embedded.query import QueryEngine

        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(QueryEngine, "wants_maintenance", True)
        monkeypatch.setattr(QueryEngine, "maintain", full)
        assert len(self.ages(server.ask("POST", "queries", {"Query": "from Dogs"}))) == 5
        assert "no index could be built" in caplog.text


class TestSeveralInOne:
    def multi(self, server: Server, *requests: object) -> list[Any]:
        status, answer = server.ask("POST", "multi_get", {"Requests": list(requests)})
        assert status == 200
        results: list[Any] = answer["Results"]
        return results

    def test_are_answered_each(self, server: Server) -> None:
        vector = server.put("a")
        url = "/databases/db/docs"
        one, missing, several, bad, same = self.multi(
            server,
            {"Url": url, "Query": "?id=a"},
            {"Url": url, "Query": "?id=b", "Method": "GET"},
            {"Url": url, "Method": "POST", "Content": {"Ids": ["a", "b"]}},
            {"Url": url, "Method": "POST", "Content": "zz"},
            {"Url": url, "Query": "?id=a", "Headers": {"If-None-Match": f'"{vector}"'}},
        )
        assert (one["StatusCode"], one["Headers"], len(one["Result"]["Results"])) == (200, {"ETag": f'"{vector}"'}, 1)
        assert missing == {"Result": None, "StatusCode": 404, "Headers": {}}
        assert several["Result"]["Results"][1] is None
        assert (bad["StatusCode"], bad["Result"]["Type"]) == (500, "System.IO.InvalidDataException")
        assert same["StatusCode"] == 304

    @pytest.mark.parametrize(
        "request_",
        [
            {},
            {"Url": "/databases/db/nope"},
            {"Url": "/databases/db/docs", "Method": "PUT"},
            {"Url": "/databases/db/multi_get", "Method": "POST", "Content": {"Requests": []}},
            {"Url": "/databases/db/multi%5fget/", "Method": "POST", "Content": {"Requests": []}},
            {"Url": "/databases/db/multi_get?", "Method": "POST", "Content": {"Requests": []}},
            {"Url": "/databases/db/docs?id=a"},
            {"Url": "/databases/db/streams/docs"},
        ],
    )
    def test_what_nobody_handles_is_empty(self, server: Server, request_: object) -> None:
        assert self.multi(server, request_) == [{}]
        server.put("a")

    @pytest.mark.parametrize(
        "asked", [{}, {"Requests": 5}, {"Requests": [5]}, {"Requests": [{"Url": "/databases/db/docs", "Query": "id=a"}]}]
    )
    def test_come_in_a_list(self, server: Server, asked: object) -> None:
        assert server.ask("POST", "multi_get", asked)[0] == 500


class TestStatistics:
    def test_of_a_database(self, server: Server) -> None:
        assert server.ask("GET", "stats")[1]["DatabaseChangeVector"] == ""
        vector = server.put("a")
        _, facts = server.ask("GET", "stats")
        assert (facts["CountOfDocuments"], facts["LastDocEtag"], facts["DatabaseChangeVector"]) == (1, 1, vector)
        assert server.ask("GET", "healthcheck") == (204, None)
        assert server.ask("GET", "configuration/client") == (200, {"Etag": -2, "Configuration": None})

    def test_of_collections(self, server: Server) -> None:
        server.put("a")
        server.put("b", "Cats")
        server.ask("DELETE", "docs?id=b")
        assert server.ask("GET", "collections/stats")[1]["Collections"] == {"Cats": 0, "Dogs": 1}


class TestOperations:
    def test_are_forgotten_some_day(self) -> None:
        operations = Operations()
        for number in range(KEPT + 1):
            operations.begin(number)
        assert operations.state(0) is None
        assert operations.state(1) is not None
        assert operations.next_number() == 1

    def test_that_are_unknown(self, server: Server) -> None:
        assert server.ask("GET", "operations/state?id=5") == (404, None)
        assert server.ask("GET", "operations/state")[0] == 500
        assert server.ask("POST", "operations/kill?id=5")[0] == 500


class TestFailures:
    def test_of_an_index_that_is_missing_have_no_body(self, server: Server) -> None:
        assert server.ask("POST", "queries", {"Query": "from index 'Nope'"}) == (404, None)

    def test_of_the_disk_are_told(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(documents_module, "put_document", full)
        status, error = server.ask("PUT", "docs?id=a", {})
        assert (status, error["Type"]) == (500, "System.IO.IOException")
        assert error["Message"] == "The embedded server's file: database or disk is full"
        monkeypatch.undo()
        assert server.ask("PUT", "docs?id=a", {})[0] == 201

    def test_that_are_ours_are_logged_and_hide_nothing_but_details(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(documents_module, "put_document", broken)
        with caplog.at_level(logging.ERROR, "evsession.embedded"):
            status, error = server.ask("PUT", "docs?id=a", {})
        assert status == 500
        assert "secret" not in json.dumps(error)
        assert "ZeroDivisionError" in error["Message"]
        assert "secret" in caplog.text

    def test_after_the_end(self, tmp_path: Path) -> None:
        app = App(tmp_path / "data.db")
        server = Server(app)
        app.close()
        app.close()
        assert server.ask("GET", "docs?id=a")[0] == 503
        assert server.ask("PUT", "docs?id=a", {})[0] == 503

    @pytest.mark.parametrize(
        "error", [RavenFailure(500, "T", "message"), sqlite3.OperationalError("full"), ZeroDivisionError("secret")]
    )
    def test_in_the_middle_of_a_stream(self, error: Exception) -> None:
        def rows() -> Any:
            yield b"1"
            raise error

        lines = b"".join(as_lines(rows(), head=b"{}")).split(b"\r\n")
        assert (lines[:2], list(json.loads(lines[2])), lines[3]) == ([b"{}", b"1"], ["Error"], b"")
        whole = json.loads(b"".join(as_object(rows(), head=b'{"a":1}')))
        assert (whole["Results"], whole["a"]) == ([1], 1)
        assert ("in the embedded server of evsession" if error.args[0] == "secret" else error.args[0]) in whole["Error"]

    def test_in_the_middle_of_an_answer_in_one_piece(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object, **__: object) -> Any:
            yield b"1"
            raise ZeroDivisionError

        monkeypatch.setattr(documents_module, "as_object", broken)
        server.put("a")
        assert server.ask("GET", "streams/docs")[0] == 500


def test_conversations_answer_any_request(server: Server) -> None:
    conversation = server.app.open(Request("PUT", "/databases/db/docs?id=a"))
    assert conversation.send(b'{"a"')
    assert conversation.send(b":1}")
    head = conversation.finish()
    assert (head.status, head.body) == (201, b"")
    assert json.loads(conversation.receive())["Id"] == "a"
    assert conversation.receive() == b""
    conversation.close()
    assert server.get("a") == {"a": 1}
    whole = server.app.open(Request("PUT", "/databases/db/docs?id=b", b'{"b":1}'))
    assert whole.finish().status == 201
    whole.close()
