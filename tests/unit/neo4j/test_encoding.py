from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession import Date, DateTime, Duration, InvalidDocument, Node, Path, Point, Time, Vector
from evsession.neo4j.decoding import TypedValue
from evsession.neo4j.encoding import PLAIN, UUIDS, VECTORS, Encoder
from evsession.wire.json import decode_as, encode


class Color(enum.Enum):
    RED = "red"


class Text(str):
    __slots__ = ()


class Number(enum.IntEnum):
    ONE = 1


def there_and_back(value: Any) -> Any:
    typed = Encoder().parameters({"p": value})["p"]
    wanted: Any = TypedValue
    return decode_as(encode(typed), wanted, lax=True).value


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.dates()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


@given(VALUES)
def test_values_round_trip(value: Any) -> None:
    got = there_and_back(value)
    assert got == value
    assert repr(got) == repr(value)


@pytest.mark.parametrize(
    ("value", "back"),
    [
        ((1, 2), [1, 2]),
        (Color.RED, "red"),
        (Number.ONE, 1),
        (Text("a"), "a"),
        (bytearray(b"a"), b"a"),
        (memoryview(b"a"), b"a"),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (UUID(int=7), UUID(int=7)),
        (Vector("INT8", (1,)), Vector("INT8", (1,))),
        (Vector("FLOAT32", (1.5,)), Vector("FLOAT32", (1.5,))),
        (Point(7203, 1.0, 2.0), Point(7203, 1.0, 2.0)),
        (time(1), Time(1)),
        (time(1, tzinfo=timezone.utc), Time(1, offset=0)),
        (datetime(2026, 1, 1), DateTime(2026, 1, 1)),
        (datetime(2026, 1, 1, tzinfo=timezone.utc), DateTime(2026, 1, 1, offset=0)),
        (datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Stockholm")), DateTime(2026, 1, 1, offset=3600, zone="Europe/Stockholm")),
        (timedelta(1), Duration(0, 1)),
        (Duration(1), Duration(1)),
        (Date(0, 1, 1), Date(0, 1, 1)),
        (Date(2026, 1, 1), date(2026, 1, 1)),
    ],
    ids=repr,
)
def test_what_comes_back_as_its_plain_kind(value: Any, back: Any) -> None:
    assert there_and_back(value) == back


def test_nan() -> None:
    assert math.isnan(there_and_back(math.nan))


def test_the_type_comes_first() -> None:
    assert encode(Encoder().parameters({"a": [1]})) == (b'{"a":{"$type":"List","_value":[{"$type":"Integer","_value":"1"}]}}')


@pytest.mark.parametrize(
    ("value", "level"), [(1, PLAIN), (Vector("INT8", ()), VECTORS), ([UUID(int=1), Vector("INT8", ())], UUIDS)]
)
def test_the_media_type_follows_the_values(value: Any, level: int) -> None:
    encoder = Encoder()
    encoder.parameters({"a": value})
    assert encoder.level == level


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ({"a": {"b": [1, {2}]}}, "a.b[1]", "type set"),
        ({"a": 2**63}, "a", "64 bits"),
        ({"a": -(2**63) - 1}, "a", "64 bits"),
        ({"a": 10**5000}, "a", "many more digits"),
        ({"a": "\ud800"}, "a", "surrogate"),
        ({"a": {"\ud800": 1}}, "a", "surrogate"),
        ({"a": {1: 2}}, "a", "names are strings"),
        ({1: 2}, "", "names are strings"),
        ({"\ud800": 2}, "", "surrogate"),
        ({"a": Node("4:x:0", frozenset(), {})}, "a", "element_id"),
        ({"a": Path((), ())}, "a", "Path"),
        ({"a": object()}, "a", "type object"),
        ({"a": Point(7203, 1.0, float("inf"))}, "a", "no place that Neo4j takes"),
        ({"a": time(1, tzinfo=ZoneInfo("Europe/Stockholm"))}, "a", "depends on the day"),
        ({"a": Duration(months=2**60)}, "a", "longer than"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_sent_is_refused_with_its_path(value: Any, path: str, reason: str) -> None:
    with pytest.raises(InvalidDocument, match=reason) as caught:
        Encoder().parameters(value)
    assert caught.value.path == path


def test_a_list_that_contains_itself() -> None:
    with pytest.raises(InvalidDocument, match="contains itself"):
        Encoder().parameters({"a": CYCLE})


@pytest.mark.parametrize("value", [[1], "a", 5])
def test_parameters_are_a_mapping(value: Any) -> None:
    assert not isinstance(value, Mapping)
    with pytest.raises(InvalidDocument, match="mapping"):
        Encoder().parameters(value)
