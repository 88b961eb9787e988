"""RQL: what can be read becomes a tree, what cannot says where and why."""

from __future__ import annotations

from contextlib import suppress
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Lark

from evsession.embedded.failures import RavenFailure
from evsession.embedded.rql import parse, tree
from evsession.embedded.rql.parser import MAX_LENGTH, MAX_NESTING, invalid_query

A, ONE = tree.Field("a"), tree.Value(1)


@pytest.mark.parametrize(
    ("text", "source", "is_index", "alias"),
    [
        ("from Dogs", "Dogs", False, None),
        ("FROM @all_docs", "@all_docs", False, None),
        ("from 'Odd \\'name\\' \\\\'", "Odd 'name' \\", False, None),
        ("from 'it''s'", "it's", False, None),
        ('from "a\\tb"', "a\tb", False, None),
        ("from Dogs as d", "Dogs", False, "d"),
        ("from Dogs d", "Dogs", False, "d"),
        ("from index 'Dogs/ByName'", "Dogs/ByName", True, None),
        ("from INDEX Orders as o", "Orders", True, "o"),
        ("from Dogs // a comment\n /* and one */", "Dogs", False, None),
    ],
)
def test_sources(text: str, source: str, is_index: bool, alias: str | None) -> None:
    query = parse(text)
    assert (query.source, query.is_index, query.alias, query.text) == (source, is_index, alias, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1", tree.Compare("=", A, ONE)),
        ("a == 1", tree.Compare("=", A, ONE)),
        ("a <> 1", tree.Compare("!=", A, ONE)),
        ("a >= -1.50", tree.Compare(">=", A, tree.Value(-1.5))),
        ("a = 1_000", tree.Compare("=", A, tree.Value(1000))),
        ("a = 1" + "0" * 5000, tree.Compare("=", A, tree.Value(float("inf")))),
        ("a = null", tree.Compare("=", A, tree.Value(None))),
        ("a = true", tree.Compare("=", A, tree.Value(True))),
        ("a = false", tree.Compare("=", A, tree.Value(False))),
        ("a = $p0", tree.Compare("=", A, tree.Parameter("p0"))),
        ("'a b' = 'c'", tree.Compare("=", tree.Field("a b", True), tree.Field("c", True))),
        ("vets[].name = 1", tree.Compare("=", tree.Field("vets[].name"), ONE)),
        ("order = 1", tree.Compare("=", tree.Field("order"), ONE)),
        ("island = 1", tree.Compare("=", tree.Field("island"), ONE)),
        ("a between 1 and 1", tree.Between(A, ONE, ONE)),
        ("a in (1, $x)", tree.Member(A, (ONE, tree.Parameter("x")), False)),
        ("a in ()", tree.Member(A, (), False)),
        ("a ALL IN (1)", tree.Member(A, (ONE,), True)),
        ("id() = 1", tree.Compare("=", tree.Method("id", (), "id"), ONE)),
        ("startsWith(a, 'x')", tree.Method("startswith", (A, tree.Field("x", True)), "startsWith")),
        ("search(a, 'x', AND)", tree.Method("search", (A, tree.Field("x", True), tree.Operator("and")), "search")),
        ("search(a, 'x', or)", tree.Method("search", (A, tree.Field("x", True), tree.Operator("or")), "search")),
        ("true", tree.All()),
        ("a = 1 and a = 1", tree.And((tree.Compare("=", A, ONE), tree.Compare("=", A, ONE)))),
        ("true or true and true", tree.Or((tree.All(), tree.And((tree.All(), tree.All()))))),
        ("true and not a = 1", tree.And((tree.All(), tree.Not(tree.Compare("=", A, ONE))))),
        ("true or not true", tree.Or((tree.All(), tree.Not(tree.All())))),
        ("((true))", tree.All()),
        ("exact(a = 1)", tree.Method("exact", (tree.Compare("=", A, ONE),), "exact")),
    ],
)
def test_conditions(text: str, expected: tree.Expression) -> None:
    assert parse(f"from Dogs where {text}").where == expected


def test_every_clause() -> None:
    query = parse(
        "from Dogs as d where d.a = 1 order by d.b as long desc, c as alphaNumeric, id() asc, e descending"
        " select distinct d.a as x, id() as 'the key', 'text', 5, null, $p, * include a, 'it\\'s' limit 3, $n"
    )
    assert [(key.kind, key.descending) for key in query.order] == [
        ("long", True),
        ("alphanumeric", False),
        (None, False),
        (None, True),
    ]
    assert query.distinct
    assert [item.alias for item in query.items] == ["x", "the key", None, None, None, None, None]
    assert query.items[-1].operand is None
    assert query.includes == ("a", "it's")
    assert (query.skip, query.take) == (tree.Value(3), tree.Parameter("n"))


@pytest.mark.parametrize(
    ("text", "skip", "take"),
    [("limit 5", None, 5), ("limit 5 offset 2", 2, 5), ("limit 2, 5", 2, 5), ("offset 2", 2, None)],
)
def test_limits(text: str, skip: int | None, take: int | None) -> None:
    query = parse(f"from Dogs {text}")
    assert query.skip == (None if skip is None else tree.Value(skip))
    assert query.take == (None if take is None else tree.Value(take))


def test_groups() -> None:
    query = parse("from Dogs group by a, array(b) where count() > 1 select a, sum(c) as c")
    assert query.group == (A, tree.Method("array", (tree.Field("b"),), "array"))


def test_programs_are_taken_as_they_are() -> None:
    query = parse("declare function f(d, e) { return {x: '}', y: \"{\", z: `}`}; } // }\nfrom Dogs as d select f(d, 1)")
    assert query.declarations == (tree.Declaration("f", "function f(d, e) { return {x: '}', y: \"{\", z: `}`}; }"),)
    assert (
        parse('from Dogs as d where a = 1 select { "a\\u0041": d["x"], b: {} } limit 1').program
        == '{ "a\\u0041": d["x"], b: {} }'
    )
    assert parse("from Dogs update { this.a = {}; }").update == " this.a = {}; "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from Dogs wher name = 1", "1:16 Expected end of query but got: name"),
        ("from Dogs where", "1:16 Expected "),
        ("from Dogs\nwhere (a = 1", "2:13 Expected ')' but got to the end of the query"),
        ("from Dogs where a = 'x", "1:21 Expected "),
        ("from Dogs where a", None),
        ("from Dogs where a = 1)", "1:22 Expected end of query but got: )"),
        ("from Dogs; ", "1:10 Expected end of query but got: ;"),
        ("from", "1:5 Expected INDEX, a name, a text but got to the end of the query"),
        ("from Dogs select {", "1:18 Expected '}' for '{' but got to the end of the query"),
        ("from Dogs where " + "(" * (MAX_NESTING + 1), f"Expected at most {MAX_NESTING} nested parentheses"),
        ("from Dogs " + " " * MAX_LENGTH, f"Expected a query of at most {MAX_LENGTH} characters"),
        ("from Dogs where a b", "Expected operator after 'a' field, but found 'b'. Valid operators are: 'in', 'between', ="),
        ("from Dogs where not a = 1", "Expected operator after 'not' field, but found 'a'."),
        ("from Dogs where 'a b'", None),
        ("from Dogs include counters('x')", "does not support includes of anything but documents"),
        ("from Dogs filter a > 1", "does not support filter in queries"),
        ("from Dogs where b = 1 filter a > 1 filter_limit 5 order by c select c", "does not support filter in queries"),
        ("from Dogs order by c filter a > 1", "does not support filter in queries"),
        ("", "Index query does not contain 'Query' field."),
        (" \n", "Index query does not contain 'Query' field."),
    ],
)
def test_what_cannot_be_read_says_where(text: str, message: str | None) -> None:
    if message is None:
        assert isinstance(parse(text).where, tree.Field)
        return
    with pytest.raises(RavenFailure) as caught:
        parse(text)
    assert caught.value.status == 500
    assert message in caught.value.message


def test_long_queries_are_not_remembered() -> None:
    text = "from Dogs where " + " or ".join(f"a = {number}" for number in range(2000))
    assert parse(text) == parse(text)
    assert parse(text) is not parse(text)
    assert parse("from Dogs") is parse("from Dogs")


def test_a_failure_shows_the_query() -> None:
    assert invalid_query("No", "from Dogs").message == "No\nQuery: from Dogs"


@given(st.text(alphabet="from Dogswhere=<>'\"$(){}.,[]andort 1\n/*-é\0", max_size=60))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    with suppress(RavenFailure):
        assert parse(f"from Dogs where {text}").source == "Dogs"


@given(st.text(max_size=20))
def test_any_string_comes_back(text: str) -> None:
    written = text.replace("\\", "\\\\").replace("'", "\\'")
    where = parse(f"from Dogs where a = '{written}'").where
    assert where == tree.Compare("=", A, tree.Field(text, True))


def test_the_grammar_is_small_for_the_first_query_waits_until_it_is_built() -> None:
    grammar = resources.files("evsession.embedded.rql").joinpath("rql.lark").read_text(encoding="utf-8")
    assert len(Lark(grammar, parser="lalr", lexer="contextual").rules) < 200  # 1,510 rules took a second
