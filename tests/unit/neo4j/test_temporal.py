from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession import Date, DateTime, Duration, ProtocolError, Time
from evsession.neo4j.temporal import date_of, parse_date, parse_datetime, parse_duration, parse_time

OFFSETS = st.none() | st.integers(-18 * 3600, 18 * 3600)
NANOS = st.integers(0, 999_999_999)
INT = st.integers(-(2**62), 2**62)


def times() -> st.SearchStrategy[Time]:
    return st.builds(Time, st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), NANOS, OFFSETS)


def days() -> st.SearchStrategy[Date]:
    return st.builds(Date, st.integers(-999_999_999, 999_999_999), st.integers(1, 12), st.integers(1, 28))


@given(days())
def test_days_round_trip(day: Date) -> None:
    assert parse_date(str(day)) == day
    assert hash(parse_date(str(day))) == hash(day)


@given(times())
def test_times_round_trip(value: Time) -> None:
    assert parse_time(str(value)) == value
    assert hash(parse_time(str(value))) == hash(value)


@given(days(), times())
def test_datetimes_round_trip(day: Date, clock: Time) -> None:
    zone = None if clock.offset is None else "Europe/Stockholm"
    value = DateTime(day.year, day.month, day.day, clock.hour, clock.minute, clock.second, clock.nanosecond, clock.offset, zone)
    assert parse_datetime(str(value)) == value
    assert hash(parse_datetime(str(value))) == hash(value)


@given(INT, INT, INT, st.integers(-(10**10), 10**10))
def test_durations_round_trip(months: int, days: int, seconds: int, nanoseconds: int) -> None:
    value = Duration(months, days, seconds, nanoseconds)
    assert 0 <= value.nanoseconds < 10**9
    assert parse_duration(str(value)) == value
    assert hash(parse_duration(str(value))) == hash(value)


@given(st.dates())
def test_python_s_days(value: date) -> None:
    assert Date.from_native(value).to_native() == value == Date.from_native(value)
    assert hash(Date.from_native(value)) == hash(value)
    assert date_of(value.isoformat()) == value


@given(st.times() | st.times(timezones=st.just(timezone(timedelta(hours=-3)))))
def test_python_s_times(value: time) -> None:
    assert Time.from_native(value).to_native() == value == Time.from_native(value)
    assert hash(Time.from_native(value)) == hash(value)


@given(
    st.datetimes(min_value=datetime(2, 1, 1), timezones=st.none() | st.sampled_from([timezone.utc, ZoneInfo("Europe/Stockholm")]))
)
def test_python_s_datetimes(value: datetime) -> None:
    ours = DateTime.from_native(value)
    assert ours == value
    if value.tzinfo is None or value.astimezone(timezone.utc).astimezone(value.tzinfo).replace(tzinfo=None) == value.replace(
        tzinfo=None
    ):
        assert ours.to_native() == value
        assert hash(ours) == hash(value)


@given(st.timedeltas())
def test_python_s_durations(value: timedelta) -> None:
    assert Duration.from_native(value).to_native() == value == Duration.from_native(value)
    assert hash(Duration.from_native(value)) == hash(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:50", Time(12, 50)),
        ("12:50:35.556Z", Time(12, 50, 35, 556_000_000, 0)),
        ("01:02:03-00:00:30", Time(1, 2, 3, 0, -30)),
    ],
)
def test_spellings_of_times(text: str, value: Time) -> None:
    assert parse_time(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("P-1Y-2M3DT-0.5S", Duration(-14, 3, 0, -500_000_000)),
        ("P1Y2M3DT1H6M40.000000001S", Duration(14, 3, 4000, 1)),
        ("P1W", Duration(0, 7)),
        ("PT0S", Duration()),
    ],
)
def test_spellings_of_durations(text: str, value: Duration) -> None:
    assert parse_duration(text) == value


def test_years_that_python_lacks() -> None:
    assert date_of("0000-01-01") == Date(0, 1, 1)
    assert date_of("+999999999-12-31") == Date(999_999_999, 12, 31)
    assert str(Date(10_000, 1, 1)) == "+10000-01-01"
    assert str(Date(-1, 1, 1)) == "-0001-01-01"
    assert str(Date(800, 1, 2)) == "0800-01-02"
    with pytest.raises(ValueError, match="year"):
        Date(0, 1, 1).to_native()


def test_what_python_has_too_is_equal_and_of_one_hash() -> None:
    zone = timezone(timedelta(hours=1))
    pairs: list[tuple[Any, Any]] = [
        (Date(2026, 1, 2), date(2026, 1, 2)),
        (Time(1, 2, 3, 4000, 3600), time(1, 2, 3, 4, tzinfo=zone)),
        (DateTime(2026, 1, 2, 3, 4, 5, 6000, 3600), datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=zone)),
        (Duration(0, 1, 2, 3000), timedelta(1, 2, 3)),
    ]
    for ours, theirs in pairs:
        assert ours == theirs
        assert hash(ours) == hash(theirs)


def test_what_python_lacks_has_a_hash_of_its_own() -> None:
    values: list[Any] = [
        Date(0, 1, 1),
        Time(1, nanosecond=1),
        DateTime(2026, 1, 1, nanosecond=1),
        DateTime(0, 1, 1),
        Duration(1),
        Duration(nanoseconds=1),
    ]
    for value in values:
        assert hash(value) == hash(copy.copy(value))


def test_what_this_type_cannot_be_equals_none() -> None:
    stockholm = ZoneInfo("Europe/Stockholm")
    assert Time(1) != time(1, tzinfo=stockholm)
    assert DateTime(2026, 1, 1) != datetime(2026, 1, 1, tzinfo=Odd())


def test_both_times_of_a_clock_that_is_put_back() -> None:
    early, late = (DateTime(2025, 10, 26, 2, 30, 0, 0, offset, "Europe/Stockholm") for offset in (7200, 3600))
    assert (early.to_native().fold, late.to_native().fold) == (0, 1)
    assert early != late
    assert DateTime.from_native(late.to_native()) == late


def test_a_zone_that_this_machine_does_not_know() -> None:
    value = DateTime(2025, 1, 1, offset=0, zone="Moon/Tycho")
    with pytest.raises(ValueError, match="Moon/Tycho"):
        value.to_native()
    assert hash(value) == hash(parse_datetime(str(value)))
    assert hash(DateTime(-5, 1, 1)) == hash(DateTime(-5, 1, 1))


class Odd(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(microseconds=1)

    def dst(self, when: datetime | None) -> None:
        return None

    def tzname(self, when: datetime | None) -> None:
        return None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Date(10**9, 1, 1),
        lambda: Date(2026, 2, 29),
        lambda: Date(2026, 13, 1),
        lambda: Time(24),
        lambda: Time(1, nanosecond=10**9),
        lambda: Time(1, offset=18 * 3600 + 1),
        lambda: DateTime(2026, 1, 1, zone="Europe/Stockholm"),
        lambda: DateTime(2026, 1, 1, offset=0, zone="a]b"),
        lambda: Duration(2**63),
        lambda: Duration(1).to_native(),
        lambda: Time.from_native(time(1, tzinfo=ZoneInfo("Europe/Stockholm"))),
        lambda: Time.from_native(time(1, tzinfo=Odd())),
        lambda: DateTime.from_native(datetime(2026, 1, 1, tzinfo=Odd())),
    ],
)
def test_what_there_is_not_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()


@pytest.mark.parametrize("parse", [parse_date, parse_time, parse_datetime, parse_duration])
def test_what_is_none_is_refused(parse: Any) -> None:
    with pytest.raises(ProtocolError):
        parse("nonsense")


@pytest.mark.parametrize("part", [1.5, 1.0, float("nan"), True, "1", None, Decimal(1)])
@pytest.mark.parametrize(
    "make",
    [
        lambda part: Duration(seconds=part),
        lambda part: Duration(nanoseconds=part),
        lambda part: Date(part, 1, 1),
        lambda part: Time(1, part),
        lambda part: DateTime(2026, 1, part),
    ],
)
def test_parts_are_whole_numbers(make: Callable[[Any], object], part: object) -> None:
    with pytest.raises(TypeError, match=r"the parts of a (Duration|Date|Time|DateTime) are whole numbers"):
        make(part)


@pytest.mark.parametrize("value", [Date(0, 1, 1), Time(1), DateTime(2026, 1, 1), Duration(1)])
def test_they_compare_with_nothing_else_and_pickle(value: Any) -> None:
    assert value != 1
    assert value != "x"
    assert value == copy.copy(value)
    assert (value != copy.copy(value)) is False
    assert pickle.loads(pickle.dumps(value)) == value


def test_what_python_cannot_say_is_not_equal() -> None:
    assert Time(1, offset=0) != time(1, tzinfo=Odd())
    assert DateTime(2026, 1, 1, offset=0) != datetime(2026, 1, 1, tzinfo=Odd())
    assert Date(2026, 1, 1) != datetime(2026, 1, 1)
