from __future__ import annotations

import json
from typing import Any

import pytest

import evsession
from evsession import Duration, Node, ProtocolError, QueryError, Record, Result, SessionError, Time, Unsupported, Vector
from evsession.neo4j.answers import Answer, parse_answer
from evsession.neo4j.results import index_of
from tests.unit.neo4j.typed import answer, body, integer, refused, rows, typed

NODE = {"_element_id": "4:x:0", "_labels": ["Dog"], "_properties": {"age": integer(3)}}
RELATIONSHIP = {
    "_element_id": "5:x:0",
    "_start_node_element_id": "4:x:0",
    "_end_node_element_id": "4:x:1",
    "_type": "KNOWS",
    "_properties": {"since": integer(1)},
}


def parse(response: evsession.Response) -> Answer:
    return parse_answer(response, database="neo4j", writes=True)


def result_of(response: evsession.Response) -> Result:
    return Result(parse(response), "RETURN 1", {"a": 1}, "neo4j")


def test_every_kind_of_value() -> None:
    values = [
        typed("Null", None),
        typed("Boolean", True),
        typed("Float", "NaN"),
        typed("String", "5"),
        typed("Time", "01:00:00Z"),
        typed("LocalTime", "01:00"),
        typed("Duration", "P1M"),
        typed("Unsupported", "Type X is not supported."),
        typed("Vector", {"coordinatesType": "INT8", "coordinates": ["1"]}),
        typed("Node", NODE),
        typed("Relationship", RELATIONSHIP),
        typed("Path", [typed("Node", NODE), typed("Relationship", RELATIONSHIP), typed("Node", NODE)]),
    ]
    row = result_of(answer(body([f"f{i}" for i in range(len(values))], [values]))).single()
    assert row[:2] == [None, True]
    assert str(row[2]) == "nan"
    assert row[3:9] == [
        "5",
        Time(1, offset=0),
        Time(1),
        Duration(1),
        Unsupported("Type X is not supported."),
        Vector("INT8", (1,)),
    ]
    node, relationship, path = row[9:]
    assert node == Node("4:x:0", frozenset(), {})
    assert (dict(node), node.labels, dict(relationship), relationship.type) == ({"age": 3}, {"Dog"}, {"since": 1}, "KNOWS")
    assert (len(path), path.nodes, path.relationships) == (1, (node, node), (relationship,))


def test_results() -> None:
    result = result_of(answer(body(["a", "b"], [[1, 2], [3, 4]])))
    assert (result.keys, len(result), result.values(), result.data()) == (
        ["a", "b"],
        2,
        [[1, 2], [3, 4]],
        [{"a": 1, "b": 2}, {"a": 3, "b": 4}],
    )
    assert (result.values("b"), result.values(0), list(result)) == ([2, 4], [1, 3], result.records)
    assert (result[1]["a"], [record["b"] for record in result[:1]], result.first()) == (3, [2], result[0])
    assert repr(result) == "<Result ['a', 'b'] 2 records>"
    assert result.summary is result.summary
    for ask in (result.single, result.value):
        with pytest.raises(QueryError, match="there are 2"):
            ask()
    with pytest.raises(KeyError, match="a, b"):
        result.values("c")
    with pytest.raises(IndexError):
        result[2]


def test_a_result_without_rows() -> None:
    result = result_of(answer({}))
    assert (result.keys, len(result), result.first(), list(result)) == ([], 0, None, [])
    with pytest.raises(QueryError, match="there are 0"):
        result.single()


def test_one_value() -> None:
    result = result_of(answer(body(["a", "b"], [[1, 2]])))
    assert (result.value(), result.value("b"), result.value(1)) == (1, 2, 2)


def test_records() -> None:
    record = Record([1, [2]], index_of(["a", "b"]))
    assert (record["a"], record[1], record[-1], len(record), list(record)) == (1, [2], [2], 2, [1, [2]])
    assert (record.keys(), record.values(), record.items()) == (["a", "b"], [1, [2]], [("a", 1), ("b", [2])])
    assert (record.data(), record.get("a"), record.get("c", 7)) == ({"a": 1, "b": [2]}, 1, 7)
    assert (record == [1, [2]], record == Record([1, [2]], index_of(["a", "c"])), record == 5) == (True, False, False)
    assert record == Record((1, [2]), index_of(["a", "b"]))
    assert repr(record) == "<Record a=1 b=[2]>"
    with pytest.raises(KeyError, match="it returns: a, b"):
        record["c"]
    with pytest.raises(TypeError):
        hash(record)


def test_the_summary() -> None:
    plan = {
        "operatorType": "ProduceResults",
        "arguments": {"Id": integer(0)},
        "identifiers": ["n"],
        "children": [{"operatorType": "AllNodesScan"}],
        "dbHits": 3,
    }
    summary = result_of(
        answer(
            {
                **body(["n"], []),
                "counters": {"containsUpdates": True, "nodesCreated": 2, "somethingNew": 1},
                "notifications": [{"code": "c", "title": "t", "position": {"offset": 1, "line": 1, "column": 2}}],
                "profiledQueryPlan": plan,
                "queryType": "rw",
                "resultAvailableAfter": 5,
                "resultConsumedAfter": 6,
            }
        )
    ).summary
    assert (summary.query, summary.parameters, summary.database) == ("RETURN 1", {"a": 1}, "neo4j")
    assert (summary.counters.contains_updates, summary.counters.nodes_created, summary.counters.nodes_deleted) == (True, 2, 0)
    assert (summary.notifications[0].code, summary.notifications[0].position) == ("c", {"offset": 1, "line": 1, "column": 2})
    assert (summary.query_type, summary.result_available_after, summary.result_consumed_after) == ("rw", 5, 6)
    assert summary.plan is not None
    assert (summary.plan.arguments, summary.plan.figures, summary.plan.identifiers) == ({"Id": 0}, {"dbHits": 3}, ("n",))
    assert (summary.plan.children[0].operator_type, summary.plan.children[0].figures) == ("AllNodesScan", {})


def test_a_late_error_tells_how_many_rows_came() -> None:
    late = body(["n"], [[1], [2]], errors=[{"code": "Neo.ClientError.Statement.ArithmeticError", "message": "/ by zero"}])
    with pytest.raises(QueryError, match=r"/ by zero \(2 rows came before\)") as caught:
        parse(answer(late))
    assert (caught.value.rows_before, caught.value.status_code) == (2, 202)
    with pytest.raises(QueryError) as caught:
        parse(answer({"errors": [{"code": "Neo.ClientError.Statement.ArithmeticError"}]}))
    assert caught.value.rows_before is None


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b'{"data": 5}', json.dumps(body(["n"], [[typed("New", 1)]])).encode()])
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(evsession.Response(202, (), data))
    assert caught.value.status_code == 202


def test_no_part_of_an_answer_passes_for_the_whole() -> None:
    whole = rows(1, 2).body
    for end in range(len(whole)):
        with pytest.raises(SessionError):
            parse(evsession.Response(202, (), whole[:end]))


def test_a_refusal() -> None:
    with pytest.raises(QueryError):
        parse(refused("Neo.ClientError.Statement.SyntaxError"))


def test_values_are_pickled() -> None:
    import pickle

    result: Any = result_of(rows(1))
    assert pickle.loads(pickle.dumps(list(result))) == [[1]]
