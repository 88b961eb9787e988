from __future__ import annotations

from datetime import date
from math import inf, nan
from typing import Any
from uuid import UUID

import pytest

import evsession
from evsession.cli.cells import cell
from evsession.cli.cypher import spell_counters

MAX = evsession.Node("4:x:0", frozenset({"Pet", "Dog"}), {"name": "Max", "born": date(2012, 1, 2)})
PIP = evsession.Node("4:x:1", frozenset(), {})
OWNS = evsession.Relationship("5:x:0", "OWNS", "4:x:0", "4:x:1", {"since": evsession.Duration(months=14)})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (2**70, 2**70),
        ("a", "a"),
        (1.5, 1.5),
        (nan, "NaN"),
        (inf, "Infinity"),
        (-inf, "-Infinity"),
        (b"\x00\xff", "AP8="),
        ([1, [nan]], [1, ["NaN"]]),
        ((1, 2), [1, 2]),
        ({"a": {"b": inf}}, {"a": {"b": "Infinity"}}),
        (date(2020, 2, 3), "2020-02-03"),
        (evsession.Date(12020, 2, 3), "+12020-02-03"),
        (evsession.Time(1, 2, 3, 4, 3600), "01:02:03.000000004+01:00"),
        (evsession.DateTime(2020, 2, 3, 1, 2, 3), "2020-02-03T01:02:03"),
        (evsession.Duration(months=14, days=3), "P14M3DT0S"),
        (evsession.Point(7203, 1, 2), "SRID=7203;POINT (1.0 2.0)"),
        (evsession.Vector("FLOAT32", (1.0, nan)), [1.0, "NaN"]),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (evsession.Unsupported("too new"), "too new"),
        (MAX, {"labels": ["Dog", "Pet"], "properties": {"name": "Max", "born": "2012-01-02"}}),
        (PIP, {"labels": [], "properties": {}}),
        (OWNS, {"type": "OWNS", "properties": {"since": "P14M0DT0S"}}),
        (evsession.Path((PIP,), ()), [cell(PIP)]),
        (evsession.Path((MAX, PIP), (OWNS,)), [cell(MAX), cell(OWNS), cell(PIP)]),
    ],
    ids=repr,
)
def test_values(value: Any, shown: Any) -> None:
    assert cell(value) == shown
    assert type(cell(value)) is type(shown)


def test_counters() -> None:
    assert spell_counters(evsession.Counters()) == ""
    changed = evsession.Counters(contains_updates=True, nodes_created=1, properties_set=2)
    assert spell_counters(changed) == "nodes created: 1, properties set: 2"
