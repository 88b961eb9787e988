"""What a server tells of its indexes and databases, and the switches that they have: official clients ask for all of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.backends import Backend

pytestmark = pytest.mark.since("7.1")

MAP = "from d in docs.Dogs select new { d.name, d.age }"
SUMS = "from r in results group r by r.name into g select new { name = g.Key, age = g.Sum(x => x.age) }"
FORM = {"Analyzer": None, "Spatial": None, "Vector": None, "Suggestions": None, "TermVector": None, "Storage": None}
AUTO = {**FORM, "Indexing": "Default", "Storage": "No", "Suggestions": False, "TermVector": "No"}
TRIES = 2000
NO_INDEX = "Raven.Client.Exceptions.Documents.Indexes.IndexDoesNotExistException"


class Indexes:
    """Three dogs and three static indexes in a fresh database."""

    def __init__(self, backend: Backend, database: str) -> None:
        self._backend = backend
        self._path = f"/databases/{database}"
        for number, name in enumerate(("Max", "Jess", "max")):
            dog = {"name": name, "age": number, "owner": {"Name": "Olga"}, "@metadata": {"@collection": "Dogs"}}
            self.ask("PUT", f"docs?id=dogs/{number}", dog)
        self.ask("PUT", "docs?id=other", {"name": "other"})
        self.define("ByName")
        self.define("Sums", Reduce=SUMS)
        self.define("Words", Maps=["map('Dogs', d => ({ name: d.name }))"], Fields={"name": {"Indexing": "Search"}})
        for name in ("ByName", "Sums", "Words"):
            self.query(f"from index '{name}'")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request that is to be carried out."""
        return self._backend.ask(method, f"{self._path}/{path}", body)

    def answer(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send a request."""
        return self._backend.answer(method, f"{self._path}/{path}", body)

    def define(self, name: str, **definition: Any) -> int:
        """Define an index, and return the status."""
        return self.answer("PUT", "admin/indexes", {"Indexes": [{"Name": name, "Maps": [MAP], **definition}]})[0]

    def query(self, text: str) -> Any:
        """Ask a query, when the index is ready."""
        return self.ask("POST", "queries", {"Query": text, "WaitForNonStaleResults": True})

    def get(self, name: str) -> Any:
        """Return the definition of an index."""
        (found,) = self.ask("GET", f"indexes?name={quote(name)}")["Results"]
        return found

    def statistics(self, name: str) -> Any:
        """Return the statistics of an index."""
        (found,) = self.ask("GET", f"indexes/stats?name={quote(name)}")["Results"]
        return found

    def names(self, query: str = "") -> Any:
        """Return the names of all indexes, or a page of them."""
        return self.ask("GET", f"indexes?namesOnly=true{query}")["Results"]


@pytest.fixture
def indexes(backend: Backend, database: str) -> Indexes:
    """The dogs and their indexes."""
    return Indexes(backend, database)


def test_definitions(indexes: Indexes) -> None:
    found = indexes.get("byname")
    assert {name: found[name] for name in ("Name", "Type", "LockMode", "Priority", "State", "SourceType", "Maps", "Reduce")} == {
        "Name": "ByName",
        "Type": "Map",
        "LockMode": "Unlock",
        "Priority": "Normal",
        "State": "Normal",
        "SourceType": "Documents",
        "Maps": [MAP],
        "Reduce": None,
    }
    assert (found["Fields"], found["Configuration"], found["AdditionalSources"]) == ({}, {}, {})
    assert (indexes.get("Sums")["Type"], indexes.get("Sums")["Reduce"]) == ("MapReduce", SUMS)
    words = indexes.get("Words")
    assert (words["Type"], words["Fields"]) == ("JavaScriptMap", {"name": {**FORM, "Indexing": "Search"}})
    assert [one["Name"] for one in indexes.ask("GET", "indexes")["Results"]] == ["ByName", "Sums", "Words"]
    assert indexes.answer("GET", "indexes?name=nope") == (404, None)


def test_automatic_indexes(indexes: Indexes) -> None:
    asked = {
        "from Dogs where name = 'x'": "Auto/Dogs/Byname",
        "from Dogs where Age = 1 and owner.Name = 'x'": "Auto/Dogs/ByAgeAndnameAndowner.Name",
        "from @all_docs where name = 'x'": "Auto/AllDocs/Byname",
        "from 'Two Words' where 'odd name' = 1": "Auto/Two Words/By'odd name'",
        "from Cats where exact(name = 'x')": "Auto/Cats/ByExact(name)",
        "from Birds order by random('seed')": "Auto/Birds/ById()",
        "from Birds order by score()": "Auto/Birds/ById()",
        "from Dogs group by name, Age select name, Age, sum(age), count()": "Auto/Dogs/ByCountAndageReducedByAgeAndname",
    }
    for text, name in asked.items():
        assert indexes.query(text)["IndexName"] == name
    assert indexes.names() == sorted([*set(asked.values()), "ByName", "Sums", "Words"])
    assert indexes.names("&start=1&pageSize=2") == indexes.names()[1:3]
    found = indexes.get("Auto/Dogs/ByAgeAndnameAndowner.Name")
    assert (found["Type"], found["Maps"]) == ("AutoMap", ["Dogs:[<Name:Age>;<Name:name>;<Name:owner.Name>]"])
    assert found["Fields"] == {"Age": AUTO, "name": AUTO, "owner.Name": AUTO}
    found = indexes.get("Auto/Cats/ByExact(name)")
    assert (found["Maps"], found["Fields"]["exact(name)"]["Indexing"]) == (["Cats:[<Name:name>]"], "Exact")
    assert indexes.get("Auto/AllDocs/Byname")["Maps"] == ["@all_docs:[<Name:name>]"]
    assert indexes.get("Auto/Two Words/By'odd name'")["Maps"] == ["Two Words:[<Name:odd name>]"]
    found = indexes.get("Auto/Dogs/ByCountAndageReducedByAgeAndname")
    assert (found["Type"], found["Reduce"]) == ("AutoMapReduce", "Dogs:[<Name:Age>;<Name:name>]")
    assert found["Maps"] == ["Dogs:[<Name:Count#Operation:Count>;<Name:age#Operation:Sum>]"]
    assert indexes.answer("GET", "indexes?name=auto/dogs/byname") == (404, None)
    assert indexes.answer("DELETE", "indexes?name=auto/dogs/byname") == (404, None)
    assert indexes.answer("DELETE", "indexes?name=Auto/Dogs/Byname") == (204, None)
    assert "Auto/Dogs/Byname" not in indexes.names()


def test_automatic_indexes_are_asked_by_name(indexes: Indexes) -> None:
    indexes.query("from Dogs group by name select name, sum(age)")
    indexes.query("from Dogs group by array(tags) select key(), count()")
    indexes.query("from Dogs where name = 'x'")
    rows = indexes.query("from index 'Auto/Dogs/ByageReducedByname' where age > 0")["Results"]
    assert sorted((row["name"], row["age"]) for row in rows) == [("Jess", 1), ("max", 2)]
    assert sorted(rows[0]) == ["@metadata", "age", "name"]
    rows = indexes.query("from index 'Auto/Dogs/ByCountReducedByArray(tags)' select Count")["Results"]
    assert [row["Count"] for row in rows] == [3]
    status, answer = indexes.answer("POST", "queries", {"Query": "from index 'Auto/Dogs/ByageReducedByname' where nope = 1"})
    assert (status, "is not indexed in 'Auto/Dogs/ByageReducedByname'" in answer["Message"]) == (500, True)
    assert indexes.answer("POST", "queries", {"Query": "from index 'auto/dogs/byname'"})[0] == 404


def test_statistics(indexes: Indexes) -> None:
    indexes.query("from Dogs where name = 'x'")
    for name, kind in {"ByName": "Map", "Sums": "MapReduce", "Words": "JavaScriptMap", "Auto/Dogs/Byname": "AutoMap"}.items():
        found = indexes.statistics(name)
        assert (found["Name"], found["Type"], found["EntriesCount"]) == (name, kind, 3)
        assert (found["State"], found["Status"], found["IsStale"], found["ErrorsCount"]) == ("Normal", "Running", False, 0)
        assert found["Collections"]["Dogs"]["LastProcessedDocumentEtag"] == 3
        assert all(found[name] for name in ("LastIndexingTime", "LastQueryingTime", "CreatedTimestamp"))
        assert (found["MapAttempts"], found["ReduceAttempts"]) == (3, 3 if "Reduce" in kind else None)
    assert {one["Name"] for one in indexes.ask("GET", "indexes/stats")["Results"]} == set(indexes.names())
    assert {one["Name"] for one in indexes.ask("GET", "indexes/status")["Indexes"]} == set(indexes.names())
    assert indexes.ask("GET", "indexes/errors?name=Sums")["Results"] == [{"Name": "Sums", "Errors": []}]
    assert indexes.ask("GET", "indexes/staleness?name=Sums") == {"IsStale": False, "StalenessReasons": []}
    assert indexes.answer("GET", "indexes/stats?name=nope") == (404, None)


def test_statistics_of_the_database(indexes: Indexes) -> None:
    indexes.ask("POST", "identity/next?name=dogs|")
    for path, extra in {
        "stats": "SizeOnDisk",
        "stats/detailed": "CountOfIdentities",
        "stats/essential": "CountOfTombstones",
    }.items():
        found = indexes.ask("GET", path)
        assert (found["CountOfDocuments"], found["CountOfIndexes"]) == (4, 3)
        assert {one["Name"] for one in found["Indexes"]} == {"ByName", "Sums", "Words"}
        assert extra in found
    found = indexes.ask("GET", "stats")
    assert found["SizeOnDisk"]["SizeInBytes"] > 0
    assert all(found[name] for name in ("LastIndexingTime", "Pager", "DatabaseId"))
    assert found["LastDocEtag"] == 4
    collections = indexes.ask("GET", "collections/stats/detailed")["Collections"]
    assert {name: one["CountOfDocuments"] for name, one in collections.items()} == {"Dogs": 3, "@empty": 1}
    assert collections["Dogs"]["Name"] == "Dogs"
    assert collections["Dogs"]["DocumentsSize"]["SizeInBytes"] > 0


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("name=ByName&field=name", ["jess", "max"]),
        ("name=byname&field=age&pageSize=2", ["0", "1"]),
        ("name=ByName&field=age&fromValue=0", ["1", "2"]),
        ("name=ByName&field=nope&pageSize=&fromValue=", []),
        ("name=ByName&field=name&fromValue=j", []),
        ("name=ByName&field=name&fromValue=z", []),
        ("name=ByName&field=id()&fromValue=dogs/1", ["dogs/2"]),
        ("name=Words&field=name", ["jess", "max"]),
        ("name=Sums&field=name", ["jess", "max"]),
        ("name=Auto/Dogs/ByExact(name)&field=exact(name)", ["Jess", "Max", "max"]),
    ],
)
def test_terms(indexes: Indexes, query: str, terms: list[str]) -> None:
    indexes.query("from Dogs where exact(name = 'x')")
    assert indexes.ask("GET", f"indexes/terms?{query}")["Terms"] == terms


def test_terms_of_odd_values(indexes: Indexes) -> None:
    for number, value in enumerate((None, "", "Ünï", 1.50, True, ["b", "a"], 2**40)):
        indexes.ask("PUT", f"docs?id=cats/{number}", {"v": value, "@metadata": {"@collection": "Cats"}})
    indexes.query("from Cats where v = 'x'")
    found = indexes.ask("GET", "indexes/terms?name=Auto/Cats/Byv&field=v")
    assert found["Terms"] == ["\x03", "1.5", "1099511627776", "NULL_VALUE", "a", "b", "true", "ünï"]
    assert found["IndexName"] == "Auto/Cats/Byv"


def test_what_has_changed(indexes: Indexes) -> None:
    same: dict[str, Any] = {
        "Name": "ByName",
        "Maps": [MAP],
        "Fields": {},
        "Configuration": {},
        "Priority": None,
        "SourceType": "Documents",
    }
    for definition, has_changed in (
        (same, False),
        ({**same, "Maps": ["from d in docs.Dogs select new { d.name }"]}, True),
        ({**same, "Name": "Other"}, True),
        ({**same, "Priority": "High"}, True),
        ({**same, "Fields": {"name": {"Storage": "Yes"}}}, True),
        ({"Name": "ByName", "Maps": [MAP]}, True),
    ):
        assert indexes.ask("POST", "indexes/has-changed", definition) == {"Changed": has_changed}
    assert indexes.answer("POST", "indexes/has-changed", {})[0] == 400


def test_locks(indexes: Indexes) -> None:
    def lock(mode: str) -> None:
        indexes.ask("POST", "indexes/set-lock", {"IndexNames": ["ByName"], "Mode": mode})
        assert indexes.get("ByName")["LockMode"] == mode

    lock("LockedIgnore")
    assert indexes.define("ByName", Maps=["from d in docs.Dogs select new { d.age }"]) == 201
    assert indexes.answer("DELETE", "indexes?name=ByName") == (204, None)
    assert indexes.get("ByName")["Maps"] == [MAP]
    lock("LockedError")
    assert indexes.define("ByName") == 201
    assert indexes.define("ByName", Maps=["from d in docs.Dogs select new { d.age }"]) == 500
    status, answer = indexes.answer("DELETE", "indexes?name=ByName")
    assert (status, answer["Type"].rpartition(".")[2]) == (500, "IndexDeletionException")
    indexes.ask("POST", "indexes/set-lock", {"IndexNames": ["ByName"], "Mode": "Unlock"})
    assert indexes.answer("DELETE", "indexes?name=ByName") == (204, None)


def test_priorities(indexes: Indexes) -> None:
    indexes.query("from Dogs where name = 'x'")
    indexes.ask("POST", "indexes/set-priority", {"IndexNames": ["ByName", "Auto/Dogs/Byname"], "Priority": "High"})
    assert indexes.get("ByName")["Priority"] == "High"
    assert indexes.answer("POST", "indexes/set-priority", {}) == (204, None)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("set-lock", {"IndexNames": ["nope"], "Mode": "Unlock"}, NO_INDEX),
        ("set-lock", {"IndexNames": ["ByName"], "Mode": "bad"}, "System.FormatException"),
        ("set-lock", {"IndexNames": [], "Mode": "Unlock"}, "System.ArgumentNullException"),
        ("set-lock", {"IndexNames": ["Auto/Dogs/Byname"], "Mode": "Unlock"}, "System.InvalidOperationException"),
        ("set-priority", {"IndexNames": ["nope"], "Priority": "Low"}, NO_INDEX),
        ("set-priority", {"IndexNames": ["ByName"], "Priority": "bad"}, "System.FormatException"),
    ],
)
def test_what_cannot_be_set(indexes: Indexes, path: str, body: object, kind: str) -> None:
    status, answer = indexes.answer("POST", f"indexes/{path}", body)
    assert (status, answer["Type"]) == (500, kind)


def test_switches(indexes: Indexes) -> None:
    for switch in ("admin/indexes/stop", "admin/indexes/start", "admin/indexes/disable", "admin/indexes/enable"):
        assert indexes.answer("POST", f"{switch}?name=Words") == (204, None)
    assert indexes.answer("POST", "admin/indexes/stop") == (204, None)
    assert indexes.answer("POST", "admin/indexes/start") == (204, None)
    assert indexes.answer("DELETE", "indexes/errors") == (204, None)
    assert indexes.answer("DELETE", "indexes/errors?name=Words&name=Sums") == (204, None)
    assert indexes.answer("RESET", "indexes?name=Words") == (204, None)


def test_a_disabled_index_says_so(indexes: Indexes) -> None:
    indexes.ask("POST", "admin/indexes/disable?name=Words")
    for _ in range(TRIES):  # the index is told of it later
        if indexes.get("Words")["State"] == "Disabled":
            break
    assert (indexes.statistics("Words")["State"], indexes.statistics("Words")["Status"]) == ("Disabled", "Disabled")
    indexes.ask("POST", "admin/indexes/enable?name=Words")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", f"admin/indexes/{switch}") for switch in ("stop", "start", "disable", "enable")),
        *(("GET", f"indexes/{what}") for what in ("errors", "staleness", "terms")),
        ("DELETE", "indexes/errors"),
        ("RESET", "indexes"),
    ],
)
def test_an_index_that_is_not_there(indexes: Indexes, method: str, path: str) -> None:
    status, answer = indexes.answer(method, f"{path}?name=nope&field=name")
    assert (status, answer["Type"], answer["Message"]) == (500, NO_INDEX, "There is no index with 'nope' name.")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "admin/indexes/disable"),
        ("POST", "admin/indexes/enable"),
        ("GET", "indexes/staleness"),
        ("GET", "indexes/terms?name=ByName"),
        ("RESET", "indexes"),
        ("DELETE", "indexes"),
    ],
)
def test_what_must_be_named(indexes: Indexes, method: str, path: str) -> None:
    status, answer = indexes.answer(method, path)
    assert (status, answer["Type"]) == (500, "System.ArgumentException")


def test_explanations(indexes: Indexes) -> None:
    indexes.query("from Dogs where name = 'x'")
    found = indexes.ask("POST", "queries?debug=explain", {"Query": "from Dogs where name = 'y'"})
    assert found["IndexName"] == "Auto/Dogs/Byname"
    assert found["Results"] == []
    for text, wish, kind in (
        ("from index 'ByName'", "explain", "System.InvalidOperationException"),
        ("from Dogs", "odd", "System.NotSupportedException"),
    ):
        status, answer = indexes.answer("POST", f"queries?debug={wish}", {"Query": text})
        assert (status, answer["Type"]) == (500, kind)
