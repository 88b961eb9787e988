import datetime
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.errors import ConfigurationError, DatabaseMissing, OperationTimeout, ProtocolError, QueryError
from evsession.raven.queries import Query, collection_query, index_query, query_body, query_flow, raw_query
from evsession.raven.results import Statistics, parse_page, parse_statistics, parse_timestamp
from evsession.raven.rql import field_name, javascript, quoted
from evsession.raven.specs import SortKey, Specs
from evsession.raven.vocabulary import Database
from tests.unit.raven.flows import answer, body_of, run

DATABASE = Database("db")
UTC = datetime.timezone.utc
ANSWER = {
    "TotalResults": 12,
    "LongTotalResults": 12,
    "SkippedResults": 2,
    "DurationInMs": 250,
    "IndexName": "Auto/Dogs/Bybreed",
    "IndexTimestamp": "2026-11-21T03:17:38.6603334Z",
    "IsStale": False,
    "Results": [{"name": "Billy", "@metadata": {"@id": "dogs/billy"}}],
    "Includes": {"dogs/max": {"name": "Max"}, "dogs/none": None},
}


def text(params: Any = None, **specs: Any) -> Any:
    return collection_query("Dogs", params, Specs.of(specs)).text


@pytest.mark.parametrize(
    ("params", "rql", "parameters"),
    [
        (None, "from 'Dogs'", {}),
        ({}, "from 'Dogs'", {}),
        ({"breed": "Labrador"}, "from 'Dogs' where breed = $p0", {"p0": "Labrador"}),
        ({"age": 5, "name": None}, "from 'Dogs' where age = $p0 and name = $p1", {"p0": 5.0, "p1": None}),
        ({"age": "[12 TO 5]"}, "from 'Dogs' where age in ($p0)", {"p0": []}),
        ({"age": "{5 TO 5}"}, "from 'Dogs' where age in ($p0)", {"p0": []}),
        ({"age": "[5 TO 5]"}, "from 'Dogs' where (age >= $p0 and age <= $p1)", {"p0": 5.0, "p1": 5.0}),
        ({"n": "[b TO A]"}, "from 'Dogs' where n in ($p0)", {"p0": []}),
        ({"n": "[2 TO a]"}, "from 'Dogs' where (n >= $p0 and n <= $p1 and n != null and n != '')", {"p0": "2", "p1": "a"}),
        (
            {"born": ["2020-01-01", "2020-01-01T10:00:00Z", "x"]},
            "from 'Dogs' where (born = $p0 or born = $p1 or born in ($p2))",
            {"p0": "2020-01-01", "p1": "2020-01-01T10:00:00Z", "p2": ["x"]},
        ),
        ({"age": "[5 TO 12}"}, "from 'Dogs' where (age >= $p0 and age < $p1)", {"p0": 5.0, "p1": 12.0}),
        ({"age": "{5 TO *]"}, "from 'Dogs' where age > $p0", {"p0": 5.0}),
        ({"age": "[* TO 5]"}, "from 'Dogs' where age <= $p0", {"p0": 5.0}),
        ({"n": "[a TO c]"}, "from 'Dogs' where (n >= $p0 and n <= $p1 and n != null and n != '')", {"p0": "a", "p1": "c"}),
        ({"n": "[* TO c]"}, "from 'Dogs' where (n <= $p0 and n != null)", {"p0": "c"}),
        ({"n": "a TO *"}, "from 'Dogs' where (n >= $p0 and n != null and n != '')", {"p0": "a"}),
        ({"id()": "[a TO c]"}, "from 'Dogs' where (id() >= $p0 and id() <= $p1)", {"p0": "a", "p1": "c"}),
        ({"n": "Lab*"}, "from 'Dogs' where startsWith(n, $p0)", {"p0": "Lab"}),
        ({"n": "*dor"}, "from 'Dogs' where endsWith(n, $p0)", {"p0": "dor"}),
        ({"n": "L?b"}, "from 'Dogs' where regex(n, $p0)", {"p0": r"(?s)^L.b\z"}),
        ({"n": "*"}, "from 'Dogs' where exists(n)", {}),
        ({"id()": "*"}, "from 'Dogs' where true", {}),
        ({"n": "(a OR b)"}, "from 'Dogs' where n in ($p0)", {"p0": ["a", "b"]}),
        ({"n": []}, "from 'Dogs' where n in ($p0)", {"p0": []}),
        (
            {"n": ["a", 1, None]},
            "from 'Dogs' where (n in ($p0) or n in ($p1) or n = $p2)",
            {"p0": ["a"], "p1": [1.0], "p2": None},
        ),
        ({"id()": ["dogs/1"]}, "from 'Dogs' where id() in ($p0)", {"p0": ["dogs/1"]}),
        ({"first name": "A", "it's": 1}, "from 'Dogs' where 'first name' = $p0 and 'it\\'s' = $p1", {"p0": "A", "p1": 1.0}),
    ],
)
def test_parameters(params: Any, rql: Any, parameters: Any) -> None:
    query = collection_query("Dogs", params)
    assert (query.text, query.parameters) == (rql, parameters)
    assert repr(query.parameters) == repr(parameters)
    assert index_query("DogsByBreed", params).text == rql.replace("from 'Dogs'", "from index 'DogsByBreed'")


@pytest.mark.parametrize(
    ("specs", "rql"),
    [
        ({"sort": "age"}, "from 'Dogs' where true order by age as double, age"),
        ({"sort": "-age"}, "from 'Dogs' where true order by age as double desc, age desc"),
        ({"sort": ["breed", "-age as long"]}, "from 'Dogs' where true order by breed as double, breed, age as long desc"),
        ({"sort": ("age", "LONG")}, "from 'Dogs' where true order by age as long"),
        ({"sort": [("-age", "alphanumeric")]}, "from 'Dogs' where true order by age as alphaNumeric desc"),
        ({"sort": ("breed", "age")}, "from 'Dogs' where true order by breed as double, breed, age as double, age"),
        ({"sort": "-id()"}, "from 'Dogs' where true order by id() desc"),
        ({"sort": SortKey("order", "string")}, "from 'Dogs' where true order by 'order' as string"),
        (
            {"sort": SortKey("-a as long", None, True)},
            "from 'Dogs' where true order by '-a as long' as double desc, '-a as long' desc",
        ),
        ({"sort": []}, "from 'Dogs'"),
        ({"page_size": 5}, "from 'Dogs' order by id() limit $p0, $p1"),
        ({"start": 5}, "from 'Dogs' order by id() limit $p0, $p1"),
        ({"sort": "age", "page_size": 0}, "from 'Dogs' where true order by age as double, age limit $p0, $p1"),
        ({"projections": "age"}, "from 'Dogs' select id() as __document_id, age"),
        (
            {"projections": ["age", "owner.name", "vets[].id", "age", "id()", "__document_id"]},
            "from 'Dogs' select id() as __document_id, age, owner.name, vets[].id, id()",
        ),
        ({"projections": ["__document_id"]}, "from 'Dogs' select id() as __document_id"),
        (
            {"projections": ["order", "a.first name", "id()"]},
            "from 'Dogs' as __row select { __document_id: id(__row), "
            r'"order": __row["order"], "a\u002efirst\u0020name": __row["a"]["first\u0020name"], "id\u0028\u0029": id(__row) }',
        ),
        ({"include": "puppy"}, "from 'Dogs' include 'puppy'"),
        ({"include": ["owner.id", "vets[].id", "it's"]}, "from 'Dogs' include 'owner.id', 'vets[].id', 'it\\'s'"),
        (
            {"include": "p", "page_size": 1, "sort": "a", "projections": ["b"]},
            "from 'Dogs' where true order by a as double, a select id() as __document_id, b include 'p' limit $p0, $p1",
        ),
    ],
)
def test_specifications(specs: Any, rql: Any) -> None:
    assert text(**specs) == rql


def test_paging_travels_as_parameters() -> None:
    assert collection_query("Dogs", {"a": 1}, Specs.of(start=5)).parameters == {"p0": 1.0, "p1": 5, "p2": 2**31 - 1}
    assert collection_query("Dogs", None, Specs.of(page_size=3)).parameters == {"p0": 0, "p1": 3}


def test_only_indexes_have_a_text_without_order() -> None:
    specs = Specs.of(page_size=3)
    assert collection_query("Dogs", None, specs).unordered is None
    assert index_query("I", None, Specs.of(specs)).unordered == "from index 'I' limit $p0, $p1"
    assert index_query("I", None, Specs.of(sort="a", page_size=3)).unordered is None


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("age", "age"),
        ("_a.b2[].c", "_a.b2[].c"),
        ("id()", "id()"),
        ("owner.order", "owner.order"),
        ("order", "'order'"),
        ("Order.x", "'Order.x'"),
        ("select[]", "'select[]'"),
        ("", "''"),
        ("1x", "'1x'"),
        ("$p0", "'$p0'"),
        ("a b", "'a b'"),
        ("a-b", "'a-b'"),
        ("é", "'é'"),
        ("it's", r"'it\'s'"),
        ("back\\", r"'back\\'"),
        ("\\' or true or '", r"'\\\' or true or \''"),
        ("id() = 1 or id()", "'id() = 1 or id()'"),
        ("@metadata.@collection", "'@metadata.@collection'"),
        ("age\u2028", "'age\u2028'"),
    ],
)
def test_field_names_are_quoted_only_if_they_have_to_be(name: Any, written: Any) -> None:
    assert field_name(name) == written


ANY_TEXT = st.text()
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
QUOTED = r"'(?:[^'\\]|\\.)*'"
PLAIN = r"[A-Za-z_][A-Za-z0-9_.\[\]]*|id\(\)"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT


def unquoted(literal: Any) -> Any:
    return re.sub(r"\\(.)", r"\1", literal[1:-1], flags=re.DOTALL)


@given(NAME)
def test_no_field_name_breaks_out(name: Any) -> None:
    written = field_name(name)
    assert re.fullmatch(PLAIN, written) or (re.fullmatch(QUOTED, written, re.DOTALL) and unquoted(written) == name)
    assert unquoted(quoted(name)) == name


@given(NAME)
def test_no_projection_breaks_out(name: Any) -> None:
    literal = javascript(name)
    assert re.fullmatch(r'"(?:[A-Za-z0-9]|\\u[0-9a-f]{4})*"', literal)
    units = re.findall(r"\\u([0-9a-f]{4})|(.)", literal[1:-1])
    assert (
        b"".join(int(code, 16).to_bytes(2, "big") if code else f"\0{c}".encode() for code, c in units).decode("utf-16-be") == name
    )


@given(NAME, NAME)
def test_no_source_breaks_out(collection: Any, path: Any) -> None:
    if collection and path:
        query = collection_query(collection, None, Specs.of(include=path))
        assert re.fullmatch(rf"from ({QUOTED}) include ({QUOTED})", query.text, re.DOTALL)


@given(SCALARS | st.lists(SCALARS, max_size=4))
def test_no_value_enters_the_text(value: Any) -> None:
    try:
        query = collection_query("Dogs", {"f": value})
    except QueryError:
        return
    skeleton = re.sub(r"\$p\d+", "$", query.text)
    assert re.fullmatch(r"from 'Dogs' where [f(),$ <>=!'a-zA-Z]*", skeleton)
    words = set(re.findall(r"[A-Za-z]+", skeleton.removeprefix("from 'Dogs' where ")))
    assert words <= {"f", "startsWith", "endsWith", "regex", "exists", "in", "or", "and", "null"}
    assert len(query.parameters) == query.text.count("$")
    query_body(query)


@pytest.mark.parametrize("name", ["nul\0", "two\nlines", "\x1b", "half \ud800", 1, None, b"x"])
def test_names_that_no_query_can_hold(name: Any) -> None:
    for use in (
        lambda: collection_query("Dogs", {name: 1}),
        lambda: collection_query(name),
        lambda: index_query(name),
        lambda: raw_query("from Dogs", {name: 1}),
        lambda: Specs.of(sort=[name]),
        lambda: Specs.of(projections=[name]),
        lambda: Specs.of(include=[name]),
    ):
        with pytest.raises(ConfigurationError):
            use()


def test_a_source_needs_a_name() -> None:
    with pytest.raises(ConfigurationError, match="a collection has a name, not ''"):
        collection_query("")
    with pytest.raises(ConfigurationError, match="an index has a name, not ''"):
        index_query("")


@pytest.mark.parametrize("params", [[("a", 1)], "a=1", 5, {"a"}])
def test_parameters_are_a_mapping(params: Any) -> None:
    with pytest.raises(ConfigurationError, match="parameters are a mapping of names to values"):
        collection_query("Dogs", params)


def test_items_cannot_be_projected_beside_odd_names() -> None:
    with pytest.raises(ConfigurationError, match=r"'vets\[\]\.id' cannot be projected"):
        text(projections=["vets[].id", "first name"])


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ({"pageSize": 5}, "there is no specification 'pageSize' (did you mean page_size?); known are include, page_size,"),
        ({"waitForNonStale": 5}, "(did you mean wait_for_non_stale?)"),
        ({"limit": 5}, "there is no specification 'limit'; known are"),
        ({5: 5}, "there is no specification 5; known are"),
        ({"start": -1}, "start is a whole number from 0 to 2147483647, not -1"),
        ({"start": True}, "start is a whole number"),
        ({"page_size": "5"}, "page_size is a whole number"),
        ({"page_size": 1.0}, "page_size is a whole number"),
        ({"page_size": 2**31}, "page_size is a whole number"),
        ({"projections": 5}, "projections is a name or a list of names, not 5"),
        ({"projections": [""]}, "a name in projections is empty"),
        ({"include": {"a": 1}}, "include is a name or a list of names"),
        ({"sort": 5}, "a field to sort by is a string, not 5"),
        ({"sort": "-"}, "a field to sort by has no name"),
        ({"sort": "age as number"}, "'age' cannot be sorted as 'number'; known are long, double, string, alphaNumeric"),
        ({"sort": [("age", 5)]}, "'age' cannot be sorted as 5"),
        ({"sort": SortKey("age", "long, x")}, "'age' cannot be sorted as 'long, x'"),
        ({"sort": SortKey("")}, "a field to sort by has no name"),
        ({"sort": SortKey("nul\0")}, "cannot be a field to sort by"),
        ({"wait_for_non_stale": 0}, "wait_for_non_stale is True or a number of seconds up to a day, not 0"),
        ({"wait_for_non_stale": -1}, "wait_for_non_stale is"),
        ({"wait_for_non_stale": "15"}, "wait_for_non_stale is"),
        ({"wait_for_non_stale": float("nan")}, "wait_for_non_stale is"),
        ({"wait_for_non_stale": 1e9}, "wait_for_non_stale is"),
    ],
)
def test_wrong_specifications_are_named(specs: Any, message: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Specs.of(specs)
    assert message in caught.value.message


def test_specifications_from_several_places() -> None:
    assert Specs.of() == Specs.of(None) == Specs.of({}) == Specs()
    specs = Specs.of({"sort": "a", "start": None}, page_size=5, include=None)
    assert specs == Specs(sort=(SortKey("a"),), page_size=5)
    assert Specs.of(specs) is specs
    assert Specs.of(sort=specs.sort) == Specs.of(sort=["a"])
    with pytest.raises(ConfigurationError, match="page_size was given twice"):
        Specs.of({"page_size": 5}, page_size=5)
    with pytest.raises(ConfigurationError, match="were given already, so start cannot be added"):
        Specs.of(specs, start=1)
    with pytest.raises(ConfigurationError, match="specifications are a mapping, not 5"):
        Specs.of(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wait", "span"),
    [
        (True, "0.00:00:15.0000000"),
        (2.5, "0.00:00:02.5000000"),
        (3661, "0.01:01:01.0000000"),
        (86_400, "1.00:00:00.0000000"),
        (59.99999999, "0.00:01:00.0000000"),
    ],
)
def test_waiting_for_the_index(wait: Any, span: Any) -> None:
    query = collection_query("Dogs", None, Specs.of(wait_for_non_stale=wait))
    [request], page = run(query_flow(DATABASE, query), answer(200, ANSWER))
    assert body_of(request) == {
        "Query": "from 'Dogs'",
        "QueryParameters": {},
        "WaitForNonStaleResults": True,
        "WaitForNonStaleResultsTimeout": span,
    }
    assert not page.statistics.stale
    with pytest.raises(OperationTimeout, match="'Auto/Dogs/Bybreed' was still stale after") as caught:
        run(query_flow(DATABASE, query), answer(200, {**ANSWER, "IsStale": True}))
    assert caught.value.is_retryable()


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("age desc", SortKey("age", None, True)),
        ("age ASC", SortKey("age")),
        ("+age", SortKey("age")),
        ("age as long desc", SortKey("age", "long", True)),
        (("age desc", "long"), SortKey("age", "long", True)),
        ("first name", SortKey("first name")),
    ],
)
def test_directions_in_rqls_words(sort: Any, key: SortKey) -> None:
    assert Specs.of(sort=sort).sort == (key,)


@pytest.mark.parametrize("wrong", [{"Results": [5]}, {"Results": [None]}, {"Includes": [5]}])
def test_an_answer_of_other_things_than_rows(wrong: Any) -> None:
    with pytest.raises(ProtocolError, match="something else than rows"):
        run(query_flow(DATABASE, collection_query("Dogs")), answer(200, {**ANSWER, **wrong}))


@pytest.mark.parametrize("wait", [None, False])
def test_a_stale_answer_is_good_when_nobody_waited(wait: Any) -> None:
    query = collection_query("Dogs", None, Specs.of(wait_for_non_stale=wait))
    [request], page = run(query_flow(DATABASE, query), answer(200, {**ANSWER, "IsStale": True}))
    assert page.statistics.stale
    assert "WaitForNonStaleResults" not in body_of(request)


def test_the_request_and_the_page() -> None:
    query = index_query("DogsByBreed", {"breed": "Max \U0001f600"})
    [request], page = run(query_flow(DATABASE, query), answer(200, ANSWER))
    assert (request.method, request.target, request.writes) == ("POST", "/databases/db/queries", False)
    assert ("Content-Type", "application/json") in request.headers
    assert "\U0001f600".encode() in request.body
    assert page.rows == ANSWER["Results"]
    assert page.includes == {"dogs/max": {"name": "Max"}}
    assert page.statistics == Statistics(
        12, False, "Auto/Dogs/Bybreed", datetime.datetime(2026, 11, 21, 3, 17, 38, 660333, UTC), 0.25, 2
    )


UNINDEXED = answer(
    500,
    {
        "Type": "System.ArgumentException",
        "Message": "The field 'id()' is not indexed in 'MR', cannot query/sort on fields that are",
    },
)


def test_an_index_without_ids_is_asked_again_without_order() -> None:
    query = index_query("MR", {"breed": "Lab"}, Specs.of(page_size=2))
    [first, second], page = run(query_flow(DATABASE, query), UNINDEXED, answer(200, ANSWER))
    assert body_of(first)["Query"] == "from index 'MR' where breed = $p0 order by id() limit $p1, $p2"
    assert body_of(second)["Query"] == "from index 'MR' where breed = $p0 limit $p1, $p2"
    assert body_of(first)["QueryParameters"] == body_of(second)["QueryParameters"]
    assert page.rows


def test_other_failures_are_not_asked_again() -> None:
    other = answer(500, {"Type": "System.ArgumentException", "Message": "The field 'x' is not indexed in 'MR', cannot"})
    missing = answer(500, {"Type": "R.DatabaseDoesNotExistException", "Message": "Database 'db' does not exist."})
    query = index_query("MR", {"x": "Lab"}, Specs.of(page_size=2))
    with pytest.raises(QueryError) as caught:
        run(query_flow(DATABASE, query), other)
    assert (caught.value.field, caught.value.index) == ("x", "MR")
    with pytest.raises(DatabaseMissing):
        run(query_flow(DATABASE, query), missing)
    with pytest.raises(QueryError, match="there is no index 'MR'"):
        run(query_flow(DATABASE, query), answer(404))
    with pytest.raises(QueryError) as caught:
        run(query_flow(DATABASE, index_query("MR", {"id()": "x"})), UNINDEXED)
    assert caught.value.field == "id()"


def test_raw_queries_are_sent_as_they_are() -> None:
    given: Any = {"n": 5, "deep": {"list": [1]}, "when": datetime.date(2012, 5, 1)}
    query = raw_query("from Dogs where age = $n", given, wait=5.0)
    given["deep"]["list"].append(2)
    assert query == Query("from Dogs where age = $n", {"n": 5, "deep": {"list": [1]}, "when": "2012-05-01"}, 5.0)
    assert raw_query("from Dogs").parameters == {}


@pytest.mark.parametrize("rql", ["", " \n", None, 5, b"from Dogs"])
def test_raw_needs_a_text(rql: Any) -> None:
    with pytest.raises(ConfigurationError, match="a query is a text of RQL"):
        raw_query(rql)


@pytest.mark.parametrize("value", [float("nan"), object(), {1: 2}])
def test_raw_parameters_have_a_form_in_json(value: Any) -> None:
    with pytest.raises(QueryError, match="the parameters cannot be sent: x"):
        raw_query("from Dogs", {"x": value})


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ("2026-11-21T03:17:38.6603334Z", datetime.datetime(2026, 11, 21, 3, 17, 38, 660333, UTC)),
        ("2026-11-21T03:17:38.6603334", datetime.datetime(2026, 11, 21, 3, 17, 38, 660333, UTC)),
        ("2026-11-21T03:17:38Z", datetime.datetime(2026, 11, 21, 3, 17, 38, 0, UTC)),
        ("2026-11-21T03:17:38.5+01:00", datetime.datetime(2026, 11, 21, 2, 17, 38, 500000, UTC)),
        ("0001-01-01T00:00:00.0000000", None),
        ("0001-01-01T00:00:00.0000000Z", None),
        ("2026-13-21T03:17:38Z", None),
        ("yesterday", None),
        (None, None),
        (5, None),
    ],
)
def test_timestamps(given: Any, moment: Any) -> None:
    parsed: Any = parse_timestamp(given)
    assert parsed == moment
    assert parsed is None or parsed.tzinfo is UTC


def test_statistics_of_little() -> None:
    assert parse_statistics({}) == Statistics()
    assert parse_statistics({"TotalResults": -1}).total is None
    assert parse_statistics({"TotalResults": 0, "DurationInMs": None, "SkippedResults": None}) == Statistics(total=0)


@pytest.mark.parametrize("body", [[], None, {}, {"Results": 5}])
def test_an_answer_without_results(body: Any) -> None:
    with pytest.raises(ProtocolError):
        parse_page(body)
