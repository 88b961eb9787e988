"""The statements of models, and what models know."""

from __future__ import annotations

from typing import Any

import pytest

from evsession import ConfigurationError, Date, InvalidDocument, Point
from evsession.neo4j import cypher
from evsession.neo4j.cypher import Pattern
from evsession.neo4j.models import Schema, check_properties

FRIENDS = Pattern(":Dog", "KNOWS", "out", ":`Big Dog`")


def test_statements() -> None:
    labels = ("Dog", "big one")
    assert cypher.create(labels, [{"a": 1}]) == (
        "UNWIND $rows AS row CREATE (n:Dog:`big one`) SET n = row RETURN n",
        {"rows": [{"a": 1}]},
    )
    assert cypher.merge(("Dog",), "the id", []).text == (
        "UNWIND $rows AS row MERGE (n:Dog {`the id`: row.`the id`}) SET n += row RETURN n"
    )
    assert cypher.find(("Dog",), None).text == "MATCH (n:Dog) RETURN n"
    assert cypher.find(("Dog",), {"a": 1, "b b": {"gt": 2}}, order=["-a", ("b", "asc")], skip=1, limit=2) == (
        "MATCH (n:Dog) WHERE n.a = $p0 AND n.`b b` > $p1 RETURN n ORDER BY n.a DESC, n.b ASC SKIP $p2 LIMIT $p3",
        {"p0": 1, "p1": 2, "p2": 1, "p3": 2},
    )
    assert cypher.find(("Dog",), {}, order=[]).text == "MATCH (n:Dog) RETURN n"
    assert cypher.update(("Dog",), {"a": None}, {"b": 1}) == (
        "MATCH (n:Dog) WHERE n.a IS NULL SET n += $p0 RETURN n",
        {"p0": {"b": 1}},
    )
    assert cypher.delete(("Dog",), {"a": {"ne": None}}, detach=True).text == "MATCH (n:Dog) WHERE n.a IS NOT NULL DETACH DELETE n"
    assert cypher.delete(("Dog",), None, detach=False).text == "MATCH (n:Dog) DELETE n"
    assert cypher.find(("Dog",), {"a": {"is_null": False}}).text == "MATCH (n:Dog) WHERE n.a IS NOT NULL RETURN n"


def test_statements_on_relationships() -> None:
    assert cypher.relate(FRIENDS, {"source": {"a": 1}}, {"since": 2}, merges=False) == (
        "MATCH (s:Dog), (t:`Big Dog`) WHERE s.a = $p0 CREATE (s)-[r:KNOWS]->(t) SET r += $p1 RETURN count(r) AS count",
        {"p0": 1, "p1": {"since": 2}},
    )
    assert "MERGE (s)<-[r:KNOWS]-(t)" in cypher.relate(FRIENDS._replace(direction="in"), {}, {}, merges=True).text
    # One that is made has a direction, whatever one that is looked for has.
    assert "CREATE (s)-[r:KNOWS]->(t)" in cypher.relate(FRIENDS._replace(direction="none"), {}, {}, merges=False).text
    assert cypher.related(FRIENDS._replace(direction="none"), {"relationship": {"x": 1}}, 5) == (
        "MATCH (s:Dog)-[r:KNOWS]-(t:`Big Dog`) WHERE r.x = $p0 RETURN s, r, t LIMIT $p1",
        {"p0": 1, "p1": 5},
    )
    assert cypher.unrelate(FRIENDS, {}).text == "MATCH (s:Dog)-[r:KNOWS]->(t:`Big Dog`) DELETE r"
    assert "LIMIT" not in cypher.related(FRIENDS, {}).text


@pytest.mark.parametrize(
    "make",
    [
        lambda: cypher.find(("D",), 5),
        lambda: cypher.find(("D",), {"": 1}),
        lambda: cypher.find(("D",), {"a": {"like": 1}}),
        lambda: cypher.find(("D",), {"a": {5: 1}}),
        lambda: cypher.find(("D",), {"a": {"in": "xy"}}),
        lambda: cypher.find(("D",), {"a": {"is_null": 1}}),
        lambda: cypher.find(("D",), {"a": {"is_null": None}}),
        lambda: cypher.find(("D",), None, order=5),
        lambda: cypher.find(("D",), None, order=[5]),
        lambda: cypher.find(("D",), None, order=[("a", "up")]),
        lambda: cypher.find(("D",), None, limit=-1),
        lambda: cypher.find(("D",), None, skip=True),
        lambda: cypher.find(("D",), None, limit="1"),
        lambda: cypher.relate(FRIENDS, {"from": {}}, {}, merges=False),
        lambda: cypher.relate(FRIENDS, 5, {}, merges=False),
        lambda: cypher.labels_of([]),
        lambda: cypher.labels_of(5),
        lambda: cypher.labels_of(["a", 5]),
    ],
)
def test_what_cannot_be_asked(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_a_schema() -> None:
    schema = Schema.of(
        "Dog",
        {"id": str, "age": {"type": "int", "required": True}, "born": Date, "place": Point, "any": None, "tags": list[str]},
        "id",
        {"friends": {"model": "self", "name": "KNOWS"}},
    )
    assert schema.labels == ("Dog",)
    assert schema.required == {"id", "age"}
    assert schema.alias("friends").direction == "out"
    data = {"id": "1", "age": 3, "born": Date(0, 1, 1), "any": {1}, "tags": ["x"], "place": None}
    assert schema.check_new(data) == data
    with pytest.raises(ConfigurationError, match="friends"):
        schema.alias("enemies")
    with pytest.raises(ConfigurationError, match="friends"):
        schema.alias(5)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"id": "1"}, "age"),
        ({"age": 1}, "id"),
        ({"id": "1", "age": None}, "age"),
        ({"id": 1, "age": 1}, "id"),
        ({"id": "1", "age": "1"}, "age"),
        ({"id": "1", "age": 1, "colour": "red"}, "colour"),
        ({"id": "1", "age": 1, "born": "2026"}, "born"),
        ({"id": "1", "age": 1, "tags": ["x", 1]}, "tags[1]"),
    ],
)
def test_what_does_not_fit_a_schema(data: dict[str, Any], path: str) -> None:
    schema = Schema.of("Dog", {"id": str, "age": {"type": int, "required": True}, "born": Date, "tags": list[str]}, "id", {})
    with pytest.raises(InvalidDocument) as caught:
        schema.check_new(data)
    assert caught.value.path == path


def test_a_schema_without_properties_takes_any() -> None:
    assert Schema.of(["A", "B"], None, "id", {}).check_new({"id": "1", "x": {1}}) == {"id": "1", "x": {1}}
    assert Schema.of("A", ["id", "x"], "id", {}).check({"x": object}) == {"x": object}


@pytest.mark.parametrize(
    "arguments",
    [
        ("A", None, "", {}),
        ("A", {"x": int}, "id", {}),
        ("A", {"id": "text"}, "id", {}),
        ("A", {"id": {"kind": 1}}, "id", {}),
        ("A", 5, "id", {}),
        ("A", "id", "id", {}),
        ("A", {5: str}, "id", {}),
        ("A", None, "id", 5),
        ("A", None, "id", {"r": 5}),
        ("A", None, "id", {"r": {"model": "self"}}),
        ("A", None, "id", {"r": {"model": "self", "name": ""}}),
        ("A", None, "id", {"r": {"model": "self", "name": "R", "direction": "up"}}),
        ("A", None, "id", {"r": {"model": "self", "name": "R", "properties": 5}}),
        ([], None, "id", {}),
    ],
)
def test_what_is_no_schema(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError):
        Schema.of(*arguments)


def test_properties_are_a_mapping() -> None:
    with pytest.raises(InvalidDocument):
        check_properties(5, None)
    with pytest.raises(ConfigurationError):
        check_properties({"": 1}, None)
    with pytest.raises(ConfigurationError, match="can have no values"):
        check_properties({"a": 1}, {"a": 7})
    alias = Schema.of("A", None, "id", {"r": {"model": "self", "name": "R", "properties": {"x": int}}}).alias("r")
    assert alias.properties == {"x": int}
