"""Static indexes, and the terms that are kept on demand."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from evsession.embedded.failures import RavenFailure
from evsession.embedded.query import QueryEngine, drop, kept, prepare
from evsession.embedded.query.definitions import Constant, FieldOf, Index, Key, Map, Reduction, read_index
from evsession.wire.json import decode
from tests.unit.embedded.query.shelf import Shelf

MAP = "from d in docs.Dogs select new { d.breed, Years = d.age, d.owner.name, one = 1, Id = Id(d) }"
SUMS = "from r in results group r by r.breed into g select new { breed = g.Key, n = g.Sum(x => x.n), rows = g.Count() }"


@pytest.fixture
def dogs(shelf: Shelf) -> Shelf:
    """Dogs and a cat."""
    shelf.put("dogs/1", {"breed": "Labrador", "age": 5, "owner": {"name": "Olga"}, "n": 1})
    shelf.put("dogs/2", {"breed": "Golden Retriever", "age": 7.5, "n": 2.5})
    shelf.put("dogs/3", {"breed": "labrador", "age": None, "n": "x"})
    shelf.put("cats/1", {"race": "Labrador", "age": 3}, "Cats")
    return shelf


class TestDefinitions:
    @pytest.mark.parametrize(
        ("text", "collection", "fields"),
        [
            (
                MAP,
                "Dogs",
                {
                    "breed": FieldOf("breed"),
                    "Years": FieldOf("age"),
                    "name": FieldOf("owner.name"),
                    "one": Constant(1),
                    "Id": Key(),
                },
            ),
            (
                'docs.Dogs.Select(d => new { Key = d.Id, t = "x\\"y", n = null, f = -1.5, })',
                "Dogs",
                {"Key": Key(), "t": Constant('x"y'), "n": Constant(None), "f": Constant(-1.5)},
            ),
            ('from d in docs[@"Odd name"] select new { d.a }', "Odd name", {"a": FieldOf("a")}),
            ('from d in docs["Odd"] select new { d.a }', "Odd", {"a": FieldOf("a")}),
            ("from d in docs select new { d.a }", None, {"a": FieldOf("a")}),
            (
                "map('Dogs', d => ({ a: d.b, 'c d': d['e f'].g, k: id(d), x: 'y', n: 1 }))",
                "Dogs",
                {"a": FieldOf("b"), "c d": FieldOf("e f.g"), "k": Key(), "x": Constant("y"), "n": Constant(1)},
            ),
            ('map("Dogs", (d) => { return { a: d.b, }; });', "Dogs", {"a": FieldOf("b")}),
            ("map('Dogs', function (d) { return { a: d.b } })", "Dogs", {"a": FieldOf("b")}),
        ],
    )
    def test_maps(self, text: str, collection: str | None, fields: dict[str, Any]) -> None:
        assert read_index({"Name": "X", "Maps": [text]}) == Index("X", (Map(collection, fields),), None, {})

    def test_reductions(self) -> None:
        maps = ["from d in docs.Dogs select new { d.breed, d.age, n = 1, rows = 1 }"]
        index = read_index(
            {
                "Name": "X",
                "Maps": maps,
                "Reduce": SUMS.replace("r by r.breed", "r by new { r.breed, r.age }").replace(
                    "g.Key,", "g.Key.breed, g.Key.age,"
                ),
            }
        )
        assert index.reduction == Reduction(("breed", "age"), {"breed": 0, "age": 1, "n": "n", "rows": ""})
        assert index.fields == {"breed", "age", "n", "rows"}

    @pytest.mark.parametrize(
        ("definition", "message"),
        [
            ({"Maps": ["from d in docs.Dogs select new { d.a, "]}, "does not run this map"),
            ({"Maps": ["map('Dogs', d => {{"]}, "(line 1, column 19)"),
            ({"Maps": ["from d in docs.Dogs where d.a select new { d.a }"]}, "it runs maps that select fields"),
            ({"Maps": ["from d in docs.Dogs select new { d.a.ToUpper() }"]}, "it runs maps that select fields"),
            ({"Maps": ["from d in docs.Dogs select new { x = e.a }"]}, "does not run 'e.a' in a map"),
            ({"Maps": ["from d in docs.Dogs select new { x = d }"]}, "does not run 'd' in a map"),
            ({"Maps": ["from d in docs.Dogs select new { 5 }"]}, "a field without a name"),
            ({"Maps": ["map('Dogs', d => ({ a: e.a }))"]}, "does not run 'e' in a map"),
            ({"Maps": [SUMS]}, "a reduction as a map"),
            ({"Maps": [MAP, MAP]}, "several maps of one collection"),
            ({"Maps": [MAP, "from d in docs select new { d.a }"]}, "several maps of one collection"),
            ({"Reduce": 5}, "The 'Reduce' of an index is a text"),
            ({"Reduce": MAP}, "a map as a reduction"),
            ({"Reduce": "groupBy(x => x.breed)"}, "it runs sums and counts by keys, in C#"),
            ({"Reduce": SUMS.replace("group r by r", "group r by q")}, "'q.breed' here; fields of 'r' can be"),
            ({"Reduce": SUMS.replace("r by r.breed", "q by r.breed")}, "does not run this reduction"),
            ({"Reduce": SUMS.replace("g.Sum", "g.Max")}, "'g.Max' in a reduction; it runs Sum and Count"),
            ({"Reduce": SUMS.replace("g.Sum", "h.Sum")}, "'h.Sum' here; fields of 'g' can be"),
            ({"Reduce": SUMS.replace("x.n", "y.n")}, "'y.n' here"),
            ({"Reduce": SUMS.replace("g.Key", "g.First")}, "'g.First' in a reduction"),
            ({"Reduce": SUMS}, "a reduction by 'n', which no map has"),
            ({"Reduce": SUMS.replace("x.n", "x.one")}, "must return identical types"),
            ({"Maps": [MAP, "from c in docs.Cats select new { c.breed }"]}, "must return identical types"),
            ({"Maps": ["from d in docs.Dogs select new { a = d.b, a = d.c }"]}, "'a' is twice"),
            ({"Fields": 5}, "('5') to Raven.Client.Documents.Indexes.IndexFieldOptions"),
            ({"Fields": {"a": 5}}, "('5') to Raven.Client.Documents.Indexes.IndexFieldOptions"),
            ({"Fields": {"a": {"Indexing": "Odd"}}}, "('Odd') to Raven.Client.Documents.Indexes.FieldIndexing"),
            ({"Fields": {"a": {"Indexing": "search"}}}, "Indexes.FieldIndexing"),
            ({"Fields": {"a": {"Storage": "Odd"}}}, "Indexes.FieldStorage"),
            ({"Fields": {"a": {"Indexing": "No"}}}, "the field 'a', which is neither indexed nor stored"),
            ({"Fields": {"a": {"Analyzer": "X"}}}, "the analyzer or spatial options of the field 'a'"),
        ],
    )
    def test_what_is_refused(self, definition: dict[str, Any], message: str) -> None:
        with pytest.raises(RavenFailure) as caught:
            read_index({"Name": "X", "Maps": [MAP], **definition})
        assert caught.value.status == 500
        assert message in caught.value.message


class TestQueries:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("from index 'Dogs/All'", ["1", "2", "3"]),
            ("from index 'dogs/all' where breed = 'LABRADOR'", ["1", "3"]),
            ("from index 'Dogs/All' where Years > 5.5", ["2"]),
            ("from index 'Dogs/All' where name = 'olga'", ["1"]),
            ("from index 'Dogs/All' where one = 1 and Id = 'dogs/2'", ["2"]),
            ("from index 'Dogs/All' where id() = 'dogs/2'", ["2"]),
            ("from index 'Dogs/All' where true order by Years as double desc", ["2", "1", "3"]),
            ("from index 'Dogs/All' as d where d.breed = 'labrador' order by breed, id() desc", ["3", "1"]),
            ("from index 'Both' where breed = 'labrador'", ["1", "3", "1"]),
            ("from index 'Both' where name = 'olga'", ["1"]),
            ("from index 'Both' where true order by breed desc, id()", ["1", "1", "3", "2"]),
            ("from index 'Everything' where age < 4", ["1"]),
        ],
    )
    def test_find(self, dogs: Shelf, text: str, expected: list[str]) -> None:
        dogs.define("Dogs/All", MAP)
        both = "from d in docs.Dogs select new { d.breed, d.owner.name }", "map('cats', c => ({ breed: c.race }))"
        dogs.define("Both", *both)
        dogs.define("Everything", "from d in docs select new { d.age }")
        assert dogs.keys(text) == expected
        assert dogs.page(text).index_name.lower() == text.split("'")[1].lower()

    def test_analyzers(self, dogs: Shelf) -> None:
        fields = {"breed": {"Indexing": "Search"}, "age": {"Indexing": "No", "Storage": "Yes"}, "owner": {}}
        dogs.define("Words", "from d in docs.Dogs select new { d.breed, d.age }", Fields=fields)
        fields = {"__all_fields": {"Indexing": "Exact"}, "age": {"Indexing": "Default"}}
        dogs.define("Exact", "from d in docs.Dogs select new { d.breed, d.age }", Fields=fields)
        assert dogs.keys("from index 'Words' where breed = 'retriever'") == ["2"]
        assert dogs.keys("from index 'Words' where breed = 'retriever GOLDEN'") == ["2"]
        assert dogs.keys("from index 'Words' where breed = 'the'") == []
        assert dogs.keys("from index 'Words' where search(breed, 'golden')") == ["2"]
        assert dogs.keys("from index 'Exact' where breed = 'labrador'") == ["3"]
        assert dogs.keys("from index 'Exact' where exact(breed = 'Labrador')") == ["1"]
        assert dogs.keys("from index 'Words' where age = 5 or age = null or exists(age)") == []
        assert dogs.keys("from index 'Words' where age != 5 order by age") == ["1", "2", "3"]

    def test_sums(self, dogs: Shelf) -> None:
        dogs.define("Breeds", "from d in docs.Dogs select new { d.breed, d.n, rows = 1 }", Reduce=SUMS)
        dogs.define("All", "from d in docs select new { d.breed, n = 1, rows = 1 }", Reduce=SUMS)
        dogs.define(
            "Keys", "from d in docs.Dogs select new { key = Id(d), n = 1, rows = 1 }", Reduce=SUMS.replace("breed", "key")
        )
        assert [row["key"] for row in dogs.rows("from index 'Keys'")] == ["dogs/1", "dogs/2", "dogs/3"]
        expected = [
            {"breed": "Labrador", "n": 1, "rows": 1},
            {"breed": "Golden Retriever", "n": 2.5, "rows": 1},
            {"breed": "labrador", "n": 0, "rows": 1},
        ]
        assert dogs.rows("from index 'Breeds'") == expected
        assert dogs.rows("from index 'Breeds' where n > 2.0 select breed") == [{"breed": "Golden Retriever"}]
        assert dogs.rows("from index 'Breeds' where true order by n as double desc limit 1") == [expected[1]]
        assert [row["n"] for row in dogs.rows("from index 'All'")] == [1, 1, 1, 1]
        assert decode(dogs.page("from index 'Breeds'").rows[0])["@metadata"] == {"@change-vector": None}
        for text in ("where id() = 'x'", "order by id()", "where k = 1", "order by one"):
            with pytest.raises(
                RavenFailure, match="is not indexed in 'Breeds', cannot query/sort on fields that are not indexed"
            ):
                dogs.rows(f"from index 'Breeds' {text}")

    def test_what_cannot_be_asked(self, dogs: Shelf) -> None:
        dogs.define("Dogs/All", MAP)
        for text, field in (("where Breed = 1", "Breed"), ("order by age", "age"), ("where exists('first name')", "first name")):
            with pytest.raises(RavenFailure) as caught:
                dogs.page(f"from index 'Dogs/All' {text}")
            assert caught.value.type == "System.ArgumentException"
            assert caught.value.message.startswith(f"The field '{field}' is not indexed in 'Dogs/All', cannot query/sort")
        with pytest.raises(RavenFailure, match="Can't use 'group by' when querying on an Index"):
            dogs.page("from index 'Dogs/All' group by breed")
        with pytest.raises(RavenFailure) as caught:
            dogs.page("from index 'None'")
        assert (caught.value.status, caught.value.type) == (404, "")

    def test_a_definition_that_changes(self, dogs: Shelf) -> None:
        dogs.define("I", "from d in docs.Dogs select new { d.breed }")
        assert dogs.keys("from index 'I' where breed = 'labrador'") == ["1", "3"]
        dogs.define("I", "from d in docs.Dogs select new { breed = d.age }")
        assert dogs.keys("from index 'I' where breed = 5") == ["1"]
        dogs.engine.forget()
        assert dogs.keys("from index 'I' where breed = 5") == ["1"]


def wants(shelf: Shelf) -> bool:
    return shelf.engine.wants_maintenance


class TestKeptTerms:
    def find(self, shelf: Shelf) -> list[str]:
        return shelf.keys("from Dogs where tags = 'red' and age > 3")

    def test_follow_the_documents(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kept, "ENOUGH", 2)
        shelf.put("dogs/1", {"age": 5, "tags": ["red", "blue"]})
        assert self.find(shelf) == ["1"]
        assert not wants(shelf)
        shelf.put("dogs/2", {"age": 1, "tags": ["red"]})
        assert self.find(shelf) == ["1"]
        assert wants(shelf)
        shelf.maintain()
        assert self.find(shelf) == ["1"]
        assert not wants(shelf)
        shelf.put("dogs/2", {"age": 9, "tags": ["red"]})
        shelf.put("dogs/3", {"age": 9, "tags": "RED"})
        shelf.put("cats/1", {"age": 9, "tags": "red"}, "Cats")
        assert self.find(shelf) == ["1", "2", "3"]
        shelf.put("dogs/1", {"age": 5})
        shelf.delete("dogs/3")
        assert self.find(shelf) == ["2"]
        with shelf.storage.read() as connection:
            documents = [row[0] for row in connection.execute("SELECT DISTINCT document FROM terms_1 ORDER BY document")]
            assert documents == [row[0] for row in connection.execute("SELECT etag FROM documents_1 WHERE collection = 'Dogs'")]

    def test_of_all_documents(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kept, "ENOUGH", 1)
        shelf.put("dogs/1", {"n": 1})
        assert shelf.keys("from @all_docs where n = 1") == ["1"]
        shelf.maintain()
        shelf.put("cats/2", {"n": 1}, "Cats")
        assert shelf.keys("from @all_docs where n = 1") == ["1", "2"]
        assert shelf.keys("from Dogs where n = 1") == ["1"]
        shelf.maintain()
        shelf.maintain()
        assert shelf.keys("from Dogs where n = 1") == ["1"]

    def test_are_shared_with_static_indexes(self, dogs: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kept, "ENOUGH", 1)
        dogs.define("I", MAP)
        assert dogs.keys("from index 'I' where breed = 'labrador'") == ["1", "3"]
        dogs.maintain()
        assert dogs.keys("from index 'I' where breed = 'labrador'") == ["1", "3"]
        assert dogs.keys("from Dogs where breed = 'labrador'") == ["1", "3"]
        assert not dogs.engine.wants_maintenance

    def test_are_wished_for_twice_and_built_once(self, dogs: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kept, "ENOUGH", 1)
        other = QueryEngine(dogs.database)
        with dogs.storage.read() as connection:
            other.run(connection, "from Dogs where age = 5", {})
        assert dogs.keys("from Dogs where age = 5") == ["1"]
        dogs.maintain()
        with dogs.storage.write(dogs.database) as transaction:
            other.maintain(transaction.connection)
        assert dogs.keys("from Dogs where age = 5") == ["1"]

    def test_are_bounded(self, dogs: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kept, "ENOUGH", 1)
        monkeypatch.setattr(kept, "MAX_FIELDS", 1)
        dogs.keys("from Dogs where breed = 'x' and age = 1")
        dogs.maintain()
        dogs.keys("from Dogs where breed = 'x' and age = 1")
        assert not dogs.engine.wants_maintenance

    def test_an_equality_does_not_scan(self, dogs: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kept, "ENOUGH", 1)
        dogs.keys("from Dogs where breed = 'labrador'")
        dogs.maintain()
        asked: list[str] = []
        with dogs.storage.read() as connection:
            connection.set_trace_callback(asked.append)
            dogs.engine.run(connection, "from Dogs where breed = 'labrador' and age = 5", {})
            connection.set_trace_callback(None)
            (statement,) = [text for text in asked if "ORDER BY" in text]
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert plan[0] == "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)"
        assert any("terms_1_text (field=? AND t=?)" in step for step in plan)

    def test_go_with_the_database(self, dogs: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kept, "ENOUGH", 1)
        dogs.keys("from Dogs where breed = 'x'")
        dogs.maintain()
        with dogs.storage.write(dogs.database) as transaction:
            drop(transaction.connection, dogs.database.tables)
            drop(transaction.connection, dogs.database.tables)
            found = transaction.connection.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE 'terms%'").fetchone()
        assert found == (0,)

    def test_other_failures_of_the_file_are_not_hidden(self, dogs: Shelf) -> None:
        connection = sqlite3.connect(":memory:")
        prepare(connection)
        with pytest.raises(sqlite3.OperationalError, match="no such table: documents_1"):
            dogs.engine.run(connection, "from Dogs where id() = 'x'", {})
        connection.execute("CREATE TABLE fields_1 (odd)")
        with pytest.raises(sqlite3.OperationalError, match="no such column: collection"):
            dogs.engine.run(connection, "from Dogs", {})
        connection.close()
        with pytest.raises(sqlite3.ProgrammingError):
            dogs.engine.run(connection, "from Dogs", {})
