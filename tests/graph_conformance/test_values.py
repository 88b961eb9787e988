"""Values there and back, as parameters and as properties."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

import evsession
from evsession import Date, DateTime, Duration, Point, Time, Vector

STOCKHOLM = "Europe/Stockholm"

STORABLE: list[Any] = [
    True,
    False,
    0,
    2**63 - 1,
    -(2**63),
    2**53 + 1,
    -(2**53) - 1,
    0.5,
    -0.0,
    1e300,
    5e-324,
    math.inf,
    -math.inf,
    "",
    "a",
    "\u0000",
    "\U0001f600 \u00e9 \ud7ff",
    '"],["',
    b"",
    b"\x00\xff",
    [],
    [1, 2, 3],
    ["a", "b"],
    date(2026, 1, 2),
    date(1, 1, 1),
    date(9999, 12, 31),
    Date(999_999_999, 12, 31),
    Date(-999_999_999, 1, 1),
    Date(0, 2, 29),
    Time(12, 50, 35, 556_000_001),
    Time(12, 50),
    Time(23, 59, 59, 999_999_999, 3600),
    Time(1, 2, 3, 4, -(5 * 3600 + 30 * 60 + 15)),
    Time(1, 2, 3, 0, 0),
    DateTime(2026, 1, 2, 3, 4, 5, 123_456_789),
    DateTime(2026, 1, 2, 3, 4, 5, 1, 0),
    DateTime(2026, 1, 2, 3, 4, 5, 0, 5400),
    DateTime(2025, 10, 26, 2, 30, 0, 0, 7200, STOCKHOLM),
    DateTime(2025, 10, 26, 2, 30, 0, 0, 3600, STOCKHOLM),
    DateTime(-44, 3, 15, 12),
    Duration(14, -3, 4000, 1),
    Duration(-14, 3, -1, 500_000_000),
    Duration(),
    Point(7203, 1.5, -2.5),
    Point(9157, 1.0, 2.0, 3.0),
    Point(4326, 18.07, 59.33),
    Point(4979, 18.07, 59.33, 28.0),
]

NESTED: list[Any] = [
    None,
    {},
    {"a": None, "b": [1, "x", {"c": [[], {}]}]},
    [None, 1, "two", 3.0, True],
]

NATIVE: list[tuple[Any, Any]] = [
    (datetime(2026, 1, 2, 3, 4, 5, 678), DateTime(2026, 1, 2, 3, 4, 5, 678_000)),
    (datetime(2026, 1, 2, tzinfo=timezone.utc), DateTime(2026, 1, 2, offset=0)),
    (datetime(2025, 10, 26, 2, 30, fold=1, tzinfo=ZoneInfo(STOCKHOLM)), DateTime(2025, 10, 26, 2, 30, 0, 0, 3600, STOCKHOLM)),
    (time(1, 2, 3, 4), Time(1, 2, 3, 4000)),
    (time(1, tzinfo=timezone(timedelta(hours=2))), Time(1, offset=7200)),
    (timedelta(days=-1, microseconds=1), Duration(0, -1, 0, 1000)),
]


@pytest.mark.parametrize("value", [*STORABLE, *NESTED], ids=lambda value: repr(value)[:40])
async def test_parameters_come_back_equal(graph_session: evsession.GraphSession, value: Any) -> None:
    got = (await graph_session.run("RETURN $p AS p", {"p": value})).value("p")
    assert got == value
    assert type(got) is type(value)
    assert str(got) == str(value)  # -0.0 is not 0.0


@pytest.mark.parametrize("value", STORABLE, ids=lambda value: repr(value)[:40])
async def test_properties_come_back_equal(graph_session: evsession.GraphSession, label: str, value: Any) -> None:
    result = await graph_session.run(f"CREATE (n:{label} {{p: $p}}) RETURN n", {"p": value})
    node = result.value()
    assert node["p"] == value
    assert node.labels == {label}
    assert (await graph_session.run(f"MATCH (n:{label}) WHERE n.p = $p RETURN count(n)", {"p": value})).value() == 1


@pytest.mark.parametrize(("given", "expected"), NATIVE, ids=repr)
async def test_python_s_times_become_ours_and_equal_them(
    graph_session: evsession.GraphSession, given: Any, expected: Any
) -> None:
    got = (await graph_session.run("RETURN $p", {"p": given})).value()
    assert got == expected == given
    assert got.to_native() == given


async def test_nan_comes_back(graph_session: evsession.GraphSession) -> None:
    assert math.isnan((await graph_session.run("RETURN $p", {"p": math.nan})).value())


async def test_a_megabyte_of_bytes_comes_back(graph_session: evsession.GraphSession) -> None:
    data = bytes(range(256)) * 4096
    assert (await graph_session.run("RETURN $p", {"p": data})).value() == data


async def test_names_of_parameters_may_be_numbers(graph_session: evsession.GraphSession) -> None:
    assert (await graph_session.run("RETURN $0 + $1", {"0": 1, "1": 2})).value() == 3


async def test_nodes_relationships_and_paths(graph_session: evsession.GraphSession, label: str) -> None:
    statement = (
        f"CREATE p = (a:{label}:Second {{n: 1}})-[r:KNOWS {{since: 2}}]->(b:{label})<-[:LIKES]-(:{label}) RETURN a, r, b, p"
    )
    a, r, b, p = (await graph_session.run(statement)).single()
    assert (a.labels, dict(a), r.type, dict(r)) == ({label, "Second"}, {"n": 1}, "KNOWS", {"since": 2})
    assert (r.start_node_element_id, r.end_node_element_id) == (a.element_id, b.element_id)
    assert (p.start_node, p.nodes[1], len(p)) == (a, b, 2)
    back = p.relationships[1]
    assert (back.type, back.start_node_element_id, back.end_node_element_id) == ("LIKES", p.end_node.element_id, b.element_id)


@pytest.mark.parametrize("value", [{"a": {1, 2}}, {"a": [{"b": object()}]}, {"a": 2**63}, {"a": -(2**63) - 1}, {1: 2}])
async def test_what_cannot_be_sent_is_refused_before(graph_session: evsession.GraphSession, value: Any) -> None:
    sent: list[Any] = []
    graph_session.add_listener("request", sent.append)
    with pytest.raises(evsession.InvalidDocument):
        graph_session.run("RETURN $p", {"p": value})
    assert not sent


async def test_vectors_and_uuids_where_the_server_has_them(
    graph: evsession.GraphStore, graph_session: evsession.GraphSession
) -> None:
    values = [Vector("FLOAT32", (1.0, 2.5)), Vector("INT8", (1, -2)), UUID(int=7)]
    version = await graph.server_version()
    for value in values:
        if version.startswith("5."):
            with pytest.raises(evsession.UnsupportedFeature, match=version):
                await graph_session.run("RETURN $p", {"p": value})
        else:
            assert (await graph_session.run("RETURN $p", {"p": value})).value() == value
