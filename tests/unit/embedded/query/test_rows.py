"""Rows: their order, their pages, what is selected of them and what comes along."""

from __future__ import annotations

from typing import Any

import pytest

from evsession.embedded.failures import RavenFailure
from evsession.embedded.query import engine
from evsession.embedded.query.shapes import shape_of
from evsession.wire.json import decode
from tests.unit.embedded.query.shelf import Shelf


@pytest.fixture
def pack(shelf: Shelf) -> Shelf:
    """Documents whose values are hard to sort."""
    values: list[Any] = ["b", "B", 10, 9, 1.5, None, [], ["z", "a"], [3, 1], ""]
    for number, value in enumerate(values):
        shelf.put(f"dogs/{number}", {"v": value, "n": number})
    shelf.put("dogs/x", {"n": 99})
    return shelf


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("v", "5x98423701" + "6"),
        ("v desc", "6" + "1073248" + "9x5"),
        ("v as string", "5x984237016"),
        ("v as long", "015679x4832"),
        ("v as double desc", "2348015679x"),
        ("v, n as long", "65x98423701"),
        ("v desc, n as long", "017324895x6"),
        ("n as long desc", "x9876543210"),
        ("id()", "0123456789x"),
        ("id() desc", "x9876543210"),
        ("score()", "0123456789x"),
        ("v as alphaNumeric", "56x98432701"),
    ],
)
def test_order(pack: Shelf, order: str, expected: str) -> None:
    assert "".join(pack.keys(f"from Dogs where true order by {order}")) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [("v", "6x598423701"), ("v desc", "7013824956x"), ("v as double", "6x015798432"), ("v as double desc", "2384015796x")],
)
def test_order_without_where(pack: Shelf, order: str, expected: str) -> None:
    assert "".join(pack.keys(f"from Dogs order by {order}")) == expected


def test_random_order(pack: Shelf) -> None:
    everyone = sorted("0123456789x")
    assert sorted(pack.keys("from Dogs order by random()")) == everyone
    seeded = pack.keys("from Dogs order by random('a')")
    assert seeded == pack.keys("from Dogs order by random('a')")
    assert seeded != pack.keys("from Dogs order by random('b')")
    assert sorted(seeded) == everyone


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from Dogs order by nosuch(v)", "Invalid ORDER BY method call nosuch"),
        ("from Dogs order by $p", "Expected a field name"),
        ("from Dogs order by random($list)", "The seed of random"),
        ("from Dogs order by count()", "Method 'count' is not supported."),
        ("from Dogs limit -1", "Limit (PageSize) cannot be negative, but was -1."),
        ("from Dogs offset -1", "Offset (Start) cannot be negative, but was -1."),
        ("from Dogs limit 1.5", "Value should be a 'Long' but was 'Double'."),
        ("from Dogs limit $p", "Value should be a 'Long' but was 'String'."),
        ("from Dogs limit $true", "Value should be a 'Long' but was 'True'."),
        ("from Dogs update { }", "Expected end of query but got: update"),
        ("from Dogs select n, n", "Duplicate alias 'n' detected."),
        ("from Dogs select count()", "count may only be used in group by queries"),
        ("from Dogs select suggest(name, 'x')", "does not support the method suggest() of RQL"),
        ("from Dogs as d load d.x as c select c", "does not support rows that are loaded documents"),
        ("from Dogs select nosuch(n)", "Unknown method call in SELECT clause: 'nosuch' method"),
        ("from Dogs select id(d)", "Unknown alias d, but there are aliases specified in the query ()"),
        ("from Dogs select id($p)", "Unknown alias "),
        ("from Dogs select *, n", "Cannot select * and fields at once"),
        (
            "declare function f(d) { return {}; } from Dogs as d select f(d), d.n",
            "does not support functions beside other fields",
        ),
        ("declare function f(d) { return 5; } from Dogs as d select f(d)", "must return an object, but got: 5"),
    ],
)
def test_what_cannot_be_asked(pack: Shelf, text: str, message: str) -> None:
    with pytest.raises(RavenFailure) as caught:
        pack.page(text, {"p": "x", "list": [], "true": True})
    assert message in caught.value.message


class TestPages:
    @pytest.mark.parametrize(
        ("text", "options", "expected", "total", "capped"),
        [
            ("from Dogs", {}, "0123456789x", 11, None),
            ("from Dogs limit 2", {}, "01", 11, 2),
            ("from Dogs limit 3, 2", {}, "34", 11, 2),
            ("from Dogs limit 2 offset 9", {}, "9x", 11, 2),
            ("from Dogs limit 100", {}, "0123456789x", 11, 11),
            ("from Dogs limit 20, 5", {}, "", 11, -9),
            ("from Dogs where n > 50 limit 20, 5", {}, "", 1, 0),
            ("from Dogs limit null offset 9", {}, "9x", 11, 2),
            ("from Dogs offset 9", {}, "9x", 11, 2),
            ("from Dogs limit $p", {}, "0123456789x", 11, 11),
            ("from Dogs", {"start": 9, "page_size": 1}, "9", 11, None),
            ("from Dogs limit 2, 5", {"start": 1, "page_size": 2}, "23", 11, 5),
            ("from Dogs", {"page_size": 0}, "", 11, None),
            ("from Dogs where startsWith(id(), 'dogs/') limit 3", {}, "012", -1, 3),
            ("from @all_docs where n = 3", {}, "3", 1, None),
            ("from dogs where n = 3", {}, "3", 1, None),
            ("from Nowhere where n = 3", {}, "", 0, None),
        ],
    )
    def test_of_a_query(
        self, pack: Shelf, text: str, options: dict[str, int], expected: str, total: int, capped: int | None
    ) -> None:
        if "null" in text:
            text = text.replace("null", "$p")
        page = pack.page(text, {"p": None}, **options)
        assert "".join(decode(row)["@metadata"]["@id"][5:] for row in page.rows) == expected
        assert (page.total, page.capped, page.skipped) == (total, capped, 0)

    @pytest.mark.parametrize("options", [{"start": -1}, {"page_size": -1}])
    def test_that_cannot_be(self, pack: Shelf, options: dict[str, Any]) -> None:
        with pytest.raises(RavenFailure, match="cannot be negative, but was -1"):
            pack.page("from Dogs", **options)

    def test_of_what_is_distinct(self, shelf: Shelf) -> None:
        for number, value in enumerate("abacab"):
            shelf.put(f"dogs/{number}", {"v": value, "n": number})
        for limit, expected, skipped in (("", "abc", 3), ("limit 2", "ab", 0), ("limit 1, 5", "bc", 3), ("limit 3, 5", "c", 2)):
            page = shelf.page(f"from Dogs select distinct v {limit}")
            assert "".join(decode(row)["v"] for row in page.rows) == expected
            assert (page.total, page.skipped) == (6, skipped)
        assert len(shelf.page("from Dogs select distinct *").rows) == 6


class TestProjections:
    @pytest.mark.parametrize(
        ("select", "expected"),
        [
            ("n", {"n": 1}),
            ("n as x, id() as key, id()", {"x": 1, "key": "dogs/1", "id()": "dogs/1"}),
            ("o.p, list.q, list[].q, zz", {"o.p": {"deep": 1.50}, "list.q": [1, 2], "list[].q": [1, 2, "s"], "zz": None}),
            ("n.x", {"n.x": None}),
            ("lists.q", {"lists.q": [[1], []]}),
            ("lists[].q", {"lists[].q": [[1], [None]]}),
            (
                "'text', 'text' as t, 5, 1.5 as f, null as nil, $p, true",
                {"text": "text", "t": "text", "5": 5, "f": 1.5, "nil": None, "p": 7, "True": True},
            ),
            ("@metadata as m", {"m": {"@collection": "Dogs"}}),
            ("*", None),
        ],
    )
    def test_of_fields(self, shelf: Shelf, select: str, expected: dict[str, Any] | None) -> None:
        written = '{"n":1,"o":{"p":{"deep":1.50}},"list":[{"q":1},{"q":2},"s"],"lists":[[{"q":1}],[{}]]}'
        shelf.put("dogs/1", written)
        assert shelf.rows(f"from Dogs select {select}", p=7) == [decode(written.encode()) if expected is None else expected]

    def test_numbers_are_copied_as_they_were_written(self, shelf: Shelf) -> None:
        shelf.put("dogs/1", '{"a":1.50,"b":[1e5],"c":123456789012345678901234567890}')
        assert (
            shelf.page("from Dogs select a, b, c").rows[0].startswith(b'{"a":1.50,"b":[1e5],"c":123456789012345678901234567890,')
        )

    def test_metadata(self, shelf: Shelf) -> None:
        shelf.put("dogs/1", {"n": 1})
        (row,) = shelf.page("from Dogs select n").rows
        metadata = decode(row)["@metadata"]
        assert (metadata["@projection"], metadata["@id"], metadata["@index-score"]) == (True, "dogs/1", 0)
        (row,) = shelf.page("from Dogs where n = 1 select n").rows
        assert "@index-score" not in decode(row)["@metadata"]
        (row,) = shelf.page("from Dogs", metadata_only=True).rows
        assert list(decode(row)) == ["@metadata"]

    def test_what_is_missing(self, shelf: Shelf) -> None:
        shelf.put("dogs/1", {"n": None})
        assert shelf.rows("from Dogs select n, zz") == [{"n": None, "zz": None}]
        assert shelf.rows("from Dogs as d select d.n, d.zz") == [{"n": None}]
        assert shelf.rows("from Dogs where n = null select id() as key, zz") == [{"key": "dogs/1"}]
        assert shelf.rows("from Dogs as d select d.zz") == [{}]

    @pytest.mark.parametrize(
        ("program", "expected"),
        [
            ('{ n: d.n, "a\\u0062": d["o"]["p q"], k: id(d), }', {"n": 1, "ab": "x", "k": "dogs/1"}),
            (
                "{ o: { n: d.n, five: 5, t: 'a\\'b', no: null }, list: [d.n, true] }",
                {"o": {"n": 1, "five": 5, "t": "a'b", "no": None}, "list": [1, True]},
            ),
            ('{ e: d.zz.y, s: "\\ud83d\\ude00" }', {"e": None, "s": "\U0001f600"}),
            ("{}", {}),
            ("{ n: d.n + 1 }", {"n": 2}),
            ("{ s: d.s.length, x: '\\x41' }", {"s": 3, "x": "A"}),
            ("{ d: d.n, p: $p }", {"d": 1, "p": 7}),
            ('{ s: "\\ud83d".length }', {"s": 1}),
            ("{ other: load(d.friend).n }", {"other": 2}),
            ("{ other: load('nobody') }", {"other": None}),
        ],
    )
    def test_programs(self, shelf: Shelf, program: str, expected: dict[str, Any]) -> None:
        shelf.put("dogs/1", {"n": 1, "s": "abc", "o": {"p q": "x"}, "friend": "DOGS/2"})
        shelf.put("dogs/2", {"n": 2}, "Others")
        assert shelf.rows(f"from Dogs as d select {program}", p=7) == [expected]

    def test_programs_without_an_alias_or_of_another(self, shelf: Shelf) -> None:
        shelf.put("dogs/1", {"n": 1})
        assert shelf.rows("from Dogs as d select d") == [{"n": 1}]
        with pytest.raises(RavenFailure):
            shelf.rows("from Dogs as d select { n: e.n }")

    def test_escapes_that_only_the_engine_knows(self) -> None:
        assert shape_of('{ s: "\\ud83d" }', "d") is None
        assert shape_of('{ s: "\\x41" }', "d") is None

    def test_functions(self, shelf: Shelf) -> None:
        shelf.put("dogs/1", {"n": 1})
        text = "declare function f(d, p, x) { return {sum: d.n + p, x: x, '@metadata': 5}; } from Dogs as d select f(d, $p, 'x')"
        assert shelf.rows(text, p=7) == [{"sum": 8, "x": "x"}]
        text = "declare function g(d) { return d.n * 2; } from Dogs as d select { twice: g(d) }"
        assert shelf.rows(text) == [{"twice": 2}]


class TestIncludes:
    def test_come_once_and_not_twice(self, shelf: Shelf) -> None:
        shelf.put("dogs/1", {"friend": "DOGS/2", "owner": {"id": "people/1"}, "pups": ["dogs/3", "dogs/9"]})
        shelf.put("dogs/2", {"owner": {"id": "people/1"}})
        shelf.put("dogs/3", {}, "Pups")
        shelf.put("people/1", {"name": "Olga"}, "People")
        page = shelf.page("from Dogs include friend, owner.id, pups")
        assert sorted(page.includes) == ["dogs/3", "people/1"]
        assert decode(page.includes["people/1"])["name"] == "Olga"
        assert page.included_paths == ["friend", "owner.id", "pups"]
        assert sorted(shelf.page("from Dogs where id() = 'dogs/1' include friend").includes) == ["dogs/2"]
        assert shelf.page("from Dogs select friend as f include friend").includes == {}
        assert shelf.page("from Dogs").included_paths is None
        assert shelf.page("from Dogs group by friend select friend include friend").includes != {}


class TestStreams:
    def test_rows(self, pack: Shelf) -> None:
        with pack.storage.read() as connection:
            page, rows = pack.engine.stream(connection, "from Dogs where n > $p limit 2", {"p": 5})
            assert (page.total, page.rows) == (5, [])
            assert [decode(row)["n"] for row in rows] == [6, 7]
            with pytest.raises(RavenFailure, match="Includes are not supported by this type of query"):
                pack.engine.stream(connection, "from Dogs include v", {})

    def test_keys_and_scripts(self, pack: Shelf) -> None:
        text = "from Dogs where n > 7 update { this.n = 0; }"
        with pack.storage.read() as connection:
            assert list(pack.engine.keys(connection, text, {})) == ["dogs/8", "dogs/9", "dogs/x"]
        assert pack.engine.update_script(text) == " this.n = 0; "
        assert pack.engine.update_script("from Dogs") is None


class TestStatistics:
    def test_names_of_indexes(self, pack: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        def name(text: str) -> str:
            return pack.page(text).index_name

        assert name("from Dogs") == "collection/Dogs"
        assert name("from Dogs where id() in ('x')") == "collection/Dogs"
        assert name("from @all_docs") == "collection/@all_docs"
        assert name("from Dogs where true order by id()") == "Auto/Dogs/ById()"
        assert name("from Dogs where v = 1") == "Auto/Dogs/Byv"
        assert name("from Dogs as d where d.v = 1 and not (n = 1 or 'a b' in (1))") == "Auto/Dogs/By'a b'AndnAndv"
        assert name("from Dogs where n between 1 and 2") == "Auto/Dogs/By'a b'AndnAndv"
        assert name("from Dogs where search(v, 'x') order by n") == "Auto/Dogs/BySearch(v)Andn"
        assert name("from Dogs where exact(v = 'x')") == "Auto/Dogs/ByExact(v)"
        assert name("from Dogs where exact(search(v, 'x'))") == "Auto/Dogs/BySearch(v)Andn"
        assert name("from @all_docs where v = 1") == "Auto/AllDocs/Byv"
        assert name("from Dogs group by v select v, count()") == "Auto/Dogs/ByCountReducedByv"
        assert pack.keys("from index 'Auto/AllDocs/Byv' where n = 1") == ["1"]
        assert pack.keys("from index 'Auto/Dogs/ById()' where n = 1") == ["1"]
        assert "Auto/AllDocs/Byv" in [index.name for index in pack.engine.auto_indexes()]
        with pytest.raises(RavenFailure, match="does not exist"):
            pack.keys("from index 'auto/alldocs/byv'")
        monkeypatch.setattr(engine, "MAX_NAMES", 0)
        assert name("from Dogs where n = 7") == name("from Dogs where n = 7")

    def test_the_etag_changes_with_the_database(self, pack: Shelf) -> None:
        before = pack.page("from Dogs")
        assert pack.page("from Dogs").result_etag == before.result_etag
        assert pack.page("from @all_docs").result_etag != before.result_etag
        pack.delete("dogs/x")
        assert pack.page("from Dogs").result_etag != before.result_etag
        assert before.timestamp.startswith("0001-01-01")
        assert pack.page("from Dogs where n = 1").timestamp.endswith("Z")


class TestGroups:
    @pytest.fixture(autouse=True)
    def _dogs(self, shelf: Shelf) -> None:
        for number in range(6):
            dog = {"b": "xy"[number % 2], "n": number, "t": ["p", "q"][: number % 3], "w": [{"k": 1}, {"k": number % 2}]}
            shelf.put(f"dogs/{number}", dog)
        shelf.put("dogs/6", {"b": "x", "n": "text"})

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("from Dogs group by b select b, count()", [{"b": "x", "Count": 4}, {"b": "y", "Count": 3}]),
            ("from Dogs group by b select key() as k, sum(n) as s", [{"k": "x", "s": 6}, {"k": "y", "s": 9}]),
            ("from Dogs group by b select b, sum(n)", [{"b": "x", "n": 6}, {"b": "y", "n": 9}]),
            ("from Dogs group by b where b = 'X' select count() as c", [{"c": 4}]),
            ("from Dogs group by b where count() > 3 select b, count()", [{"b": "x", "Count": 4}]),
            ("from Dogs group by b where sum(n) between 7 and 9 select b, sum(n)", [{"b": "y", "n": 9}]),
            ("from Dogs group by b where count() in (3) or not count() < 9 select count()", [{"Count": 3}]),
            ("from Dogs group by b order by count() as long select b", [{"b": "y"}, {"b": "x"}]),
            ("from Dogs group by b order by c as long select b, count() as c", [{"b": "y", "c": 3}, {"b": "x", "c": 4}]),
            ("from Dogs group by b order by b desc select b limit 1", [{"b": "y"}]),
            (
                "from Dogs group by t[] select t[], count() as c",
                [{"t[]": "p", "c": 4}, {"t[]": "q", "c": 2}, {"t[]": None, "c": 1}],
            ),
            (
                "from Dogs group by array(t) select t, count() as c",
                [{"t": [], "c": 2}, {"t": ["p"], "c": 2}, {"t": ["p", "q"], "c": 2}, {"t": None, "c": 1}],
            ),
            ("from Dogs as d group by d.b select d.b as z", [{"z": "x"}, {"z": "y"}]),
            ("from Dogs group by b", [{"b": "x", "Count": 4}, {"b": "y", "Count": 3}]),
            (
                "from Dogs group by w[].k select w[].k as k, count() as c",
                [{"k": 1, "c": 9}, {"k": 0, "c": 3}, {"k": None, "c": 1}],
            ),
            ("from @all_docs group by b select b, count() as c", [{"b": "x", "c": 4}, {"b": "y", "c": 3}]),
        ],
    )
    def test_rows(self, shelf: Shelf, text: str, expected: list[Any]) -> None:
        assert shelf.rows(text) == expected

    def test_have_no_keys(self, shelf: Shelf) -> None:
        page = shelf.page("from Dogs group by b select b")
        assert decode(page.rows[0])["@metadata"] == {"@projection": True, "@change-vector": None}
        assert decode(shelf.page("from Dogs group by b").rows[0])["@metadata"] == {"@change-vector": None}
        assert page.total == 2

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "from Dogs group by b where n > 3 select b",
                "Field 'n' is neither an aggregation operation nor part of the group by key",
            ),
            ("from Dogs group by @metadata select count()", "does not support group by @metadata"),
            ("from Dogs group by b select avg(n)", "Unknown aggregation method in SELECT clause of the group by query: 'avg'"),
            ("from Dogs group by b select sum('x', n)", "Unknown aggregation method"),
            ("from Dogs group by nosuch(b) select b", "Group by takes fields"),
            ("from Dogs group by array('b', c) select b", "Group by takes fields"),
            ("from Dogs group by $p select b", "Group by takes fields"),
        ],
    )
    def test_what_cannot_be_grouped(self, shelf: Shelf, text: str, message: str) -> None:
        with pytest.raises(RavenFailure) as caught:
            shelf.page(text, {"p": 1})
        assert message in caught.value.message
