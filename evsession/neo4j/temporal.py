"""Dates, times and durations to the nanosecond. Knows Neo4j's spelling of them (ISO 8601) and Python's own types.

Python's types end at microseconds and at the year 9999, Neo4j's do not; so times come as these classes, which equal Python's
where those can say the same.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import force_setattr

from evsession.errors import ProtocolError

__all__ = ["Date", "DateTime", "Duration", "Time", "date_of", "parse_date", "parse_datetime", "parse_duration", "parse_time"]

BILLION = 1_000_000_000
MAX_YEAR = 999_999_999
MAX_OFFSET = 18 * 3600
MIN_INT, MAX_INT = -(2**63), 2**63 - 1

_DATE = r"([+-]?\d{4,9})-(\d\d)-(\d\d)"
_TIME = r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
_OFFSET = r"(Z|[+-]\d\d:\d\d(?::\d\d)?)?"
DATE = re.compile(_DATE)
TIME = re.compile(_TIME + _OFFSET)
DATETIME = re.compile(rf"{_DATE}T{_TIME}{_OFFSET}(?:\[([^\]]+)\])?")
DURATION = re.compile(
    r"P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)W)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:[.,](\d{1,9}))?S)?)?"
)


# Each class takes `__ne__` from object, which asks `__eq__`; a Struct's own would compare field by field with its own kind only.


class Date(msgspec.Struct, frozen=True, eq=False):
    """A day whose year Python's `date` does not have: before 1 or after 9999. Other days come as `datetime.date`.

    Attributes:
        year: From -999,999,999 to 999,999,999; 0 is 1 BC.
        month: From 1.
        day: From 1.
    """

    year: int
    month: int
    day: int

    def __post_init__(self) -> None:
        _check_day(type(self).__name__, self.year, self.month, self.day)

    def to_native(self) -> date:
        """Return Python's date.

        Raises:
            ValueError: the year is not from 1 to 9999.
        """
        return date(self.year, self.month, self.day)

    @classmethod
    def from_native(cls, value: date) -> Date:
        """Return the same day."""
        return cls(value.year, value.month, value.day)

    def __str__(self) -> str:
        return f"{_spell_year(self.year)}-{self.month:02}-{self.day:02}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Date) or (isinstance(other, date) and not isinstance(other, datetime)):
            return (self.year, self.month, self.day) == (other.year, other.month, other.day)
        return NotImplemented

    __ne__ = object.__ne__

    def __hash__(self) -> int:
        return hash(self.to_native()) if 1 <= self.year <= 9999 else hash((self.year, self.month, self.day))


class Time(msgspec.Struct, frozen=True, eq=False):
    """A time of day to the nanosecond, with an offset from UTC or without (Neo4j's ``LOCAL TIME``).

    Attributes:
        hour: From 0 to 23.
        minute: From 0 to 59.
        second: From 0 to 59.
        nanosecond: From 0 to 999,999,999.
        offset: Seconds east of UTC, or None.
    """

    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    offset: int | None = None

    def __post_init__(self) -> None:
        _check_time(type(self).__name__, self.hour, self.minute, self.second, self.nanosecond, self.offset)

    def to_native(self) -> time:
        """Return Python's time; what is below a microsecond is cut off."""
        zone = None if self.offset is None else _zone(self.offset)
        return time(self.hour, self.minute, self.second, self.nanosecond // 1000, zone)

    @classmethod
    def from_native(cls, value: time) -> Time:
        """Return the same time of day.

        Raises:
            ValueError: its offset depends on the day, or is no whole number of seconds.
        """
        if value.tzinfo is not None and value.utcoffset() is None:
            raise ValueError("the offset of a time in such a zone depends on the day; use a datetime, or a fixed offset")
        return cls(value.hour, value.minute, value.second, value.microsecond * 1000, _seconds(value.utcoffset()))

    def __str__(self) -> str:
        return _spell_time(self.hour, self.minute, self.second, self.nanosecond) + _spell_offset(self.offset)

    def _facts(self) -> tuple[Any, ...]:
        return (self.hour, self.minute, self.second, self.nanosecond, self.offset)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, time):
            try:
                other = Time.from_native(other)
            except ValueError:
                return False
        return self._facts() == other._facts() if isinstance(other, Time) else NotImplemented

    __ne__ = object.__ne__

    def __hash__(self) -> int:
        return hash(self._facts()) if self.nanosecond % 1000 else hash(self.to_native())


class DateTime(msgspec.Struct, frozen=True, eq=False):
    """A point in time to the nanosecond: local, with an offset from UTC, or in a time zone. Sort by ``ORDER BY`` or `to_native`.

    Attributes:
        year: From -999,999,999 to 999,999,999; 0 is 1 BC.
        month: From 1.
        day: From 1.
        hour: From 0 to 23.
        minute: From 0 to 59.
        second: From 0 to 59.
        nanosecond: From 0 to 999,999,999.
        offset: Seconds east of UTC, or None for a local time.
        zone: The name of the time zone such as ``"Europe/Stockholm"``, or None. It needs the offset, too, which tells the two
            times apart that a clock shows twice when summer time ends.
    """

    year: int
    month: int
    day: int
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    offset: int | None = None
    zone: str | None = None

    def __post_init__(self) -> None:
        _check_day(type(self).__name__, self.year, self.month, self.day)
        _check_time(type(self).__name__, self.hour, self.minute, self.second, self.nanosecond, self.offset)
        if self.zone is not None and (self.offset is None or not self.zone or re.search(r"[\[\]\s]", self.zone)):
            raise ValueError(f"a time zone is a name such as 'Europe/Stockholm' and comes with its offset, not {self.zone!r}")

    def to_native(self) -> datetime:
        """Return Python's datetime; what is below a microsecond is cut off.

        Raises:
            ValueError: the year is not from 1 to 9999, or this machine does not know the time zone (ZoneInfoNotFoundError is a
                KeyError; it is the cause).
        """
        zone = None if self.offset is None else _zone(self.offset)
        micro = self.nanosecond // 1000
        native = datetime(self.year, self.month, self.day, self.hour, self.minute, self.second, micro, zone)
        if self.zone is None:
            return native
        try:
            return native.astimezone(ZoneInfo(self.zone))
        except (KeyError, OSError) as error:
            raise ValueError(f"this machine does not know the time zone {self.zone!r}") from error

    @classmethod
    def from_native(cls, value: datetime) -> DateTime:
        """Return the same time; a `ZoneInfo` becomes its name, any other zone its offset at that time.

        Raises:
            ValueError: the offset is no whole number of seconds.
        """
        zone = value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else None
        micro, offset = value.microsecond * 1000, _seconds(value.utcoffset())
        return cls(value.year, value.month, value.day, value.hour, value.minute, value.second, micro, offset, zone)

    def __str__(self) -> str:
        day = f"{_spell_year(self.year)}-{self.month:02}-{self.day:02}"
        clock = _spell_time(self.hour, self.minute, self.second, self.nanosecond) + _spell_offset(self.offset)
        return f"{day}T{clock}" + (f"[{self.zone}]" if self.zone is not None else "")

    def _facts(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__struct_fields__)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, datetime):
            try:
                other = DateTime.from_native(other)
            except ValueError:
                return False
        return self._facts() == other._facts() if isinstance(other, DateTime) else NotImplemented

    __ne__ = object.__ne__

    def __hash__(self) -> int:
        if self.nanosecond % 1000 == 0:
            try:
                return hash(self.to_native())
            except (ValueError, OverflowError):
                pass
        return hash(self._facts())


class Duration(msgspec.Struct, frozen=True, eq=False):
    """A span of months, days and seconds, which Neo4j never converts into each other. Each may be negative.

    Attributes:
        months: Whole months; 12 for a year.
        days: Whole days.
        seconds: Whole seconds.
        nanoseconds: From 0 to 999,999,999, once what was given is normalised: half a second less is -1 and 500,000,000.
    """

    months: int = 0
    days: int = 0
    seconds: int = 0
    nanoseconds: int = 0

    def __post_init__(self) -> None:
        _check_whole("Duration", self._facts())
        more, nanoseconds = divmod(self.nanoseconds, BILLION)
        force_setattr(self, "seconds", self.seconds + more)
        force_setattr(self, "nanoseconds", nanoseconds)
        for part in (self.months, self.days, self.seconds):
            if not MIN_INT <= part <= MAX_INT:
                raise ValueError(f"a part of a duration has 64 bits: {part}")

    def to_native(self) -> timedelta:
        """Return Python's timedelta; what is below a microsecond is cut off.

        Raises:
            ValueError: it has months, whose length is not fixed.
        """
        if self.months:
            raise ValueError(f"{self} has months, which have no fixed length")
        return timedelta(days=self.days, seconds=self.seconds, microseconds=self.nanoseconds // 1000)

    @classmethod
    def from_native(cls, value: timedelta) -> Duration:
        """Return the same span."""
        return cls(0, value.days, value.seconds, value.microseconds * 1000)

    def __str__(self) -> str:
        total = self.seconds * BILLION + self.nanoseconds
        whole, part = divmod(abs(total), BILLION)
        clock = f"{'-' if total < 0 else ''}{whole}" + (f".{part:09}" if part else "")
        return f"P{self.months}M{self.days}DT{clock}S"

    def _facts(self) -> tuple[int, ...]:
        return (self.months, self.days, self.seconds, self.nanoseconds)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, timedelta):
            other = Duration.from_native(other)
        return self._facts() == other._facts() if isinstance(other, Duration) else NotImplemented

    __ne__ = object.__ne__

    def __hash__(self) -> int:
        native = not self.months and not self.nanoseconds % 1000 and 0 <= self.seconds < 86_400 and abs(self.days) < BILLION
        return hash(self.to_native()) if native else hash(self._facts())


def date_of(text: str) -> date | Date:
    """Return Python's date for a year that it has, else a `Date`."""
    if len(text) == 10:
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass  # the year 0000
    return parse_date(text)


def parse_date(text: str) -> Date:
    """Return the day that Neo4j spelled.

    Raises:
        ProtocolError: it is none.
    """
    year, month, day = _match(DATE, text)
    return Date(int(year), int(month), int(day))


def parse_time(text: str) -> Time:
    """Return the time that Neo4j spelled; raises as `parse_date`."""
    hour, minute, second, fraction, offset = _match(TIME, text)
    return Time(int(hour), int(minute), int(second or 0), _nanos(fraction), _parse_offset(offset))


def parse_datetime(text: str) -> DateTime:
    """Return the point in time that Neo4j spelled; raises as `parse_date`."""
    year, month, day, hour, minute, second, fraction, offset, zone = _match(DATETIME, text)
    clock = (int(hour), int(minute), int(second or 0), _nanos(fraction))
    return DateTime(int(year), int(month), int(day), *clock, _parse_offset(offset), zone)


def parse_duration(text: str) -> Duration:
    """Return the span that Neo4j spelled; raises as `parse_date`."""
    *whole, sign, seconds, fraction = _match(DURATION, text)
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in whole)
    nanos = (int(seconds or 0) * BILLION + _nanos(fraction)) * (-1 if sign else 1)
    return Duration(years * 12 + months, weeks * 7 + days, hours * 3600 + minutes * 60, nanos)


def _match(pattern: re.Pattern[str], text: str) -> tuple[Any, ...]:
    found = pattern.fullmatch(text)
    if found is None:
        raise ProtocolError(f"the answer has a value that is no date, time or duration: {text[:60]!r}")
    return found.groups()


def _nanos(fraction: str | None) -> int:
    return int(fraction.ljust(9, "0")) if fraction else 0


def _parse_offset(text: str | None) -> int | None:
    if text is None:
        return None
    if text == "Z":
        return 0
    hours, minutes, *seconds = text[1:].split(":")
    total = int(hours) * 3600 + int(minutes) * 60 + (int(seconds[0]) if seconds else 0)
    return -total if text[0] == "-" else total


def _spell_offset(offset: int | None) -> str:
    if offset is None:
        return ""
    minutes, seconds = divmod(abs(offset), 60)
    return f"{'-' if offset < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}" + (f":{seconds:02}" if seconds else "")


def _spell_time(hour: int, minute: int, second: int, nanosecond: int) -> str:
    return f"{hour:02}:{minute:02}:{second:02}" + (f".{nanosecond:09}" if nanosecond else "")


def _spell_year(year: int) -> str:
    return f"{year:04}" if 0 <= year <= 9999 else f"{year:+05}"


def _zone(offset: int) -> timezone:
    return timezone(timedelta(seconds=offset)) if offset else timezone.utc


def _seconds(offset: timedelta | None) -> int | None:
    if offset is None:
        return None
    if offset.microseconds:
        raise ValueError(f"an offset of {offset} has parts of a second")
    return offset.days * 86_400 + offset.seconds


def _check_whole(what: str, parts: tuple[object, ...]) -> None:
    for part in parts:
        if type(part) is not int:
            raise TypeError(f"the parts of a {what} are whole numbers (int), not {part!r}")


def _check_day(what: str, year: int, month: int, day: int) -> None:
    _check_whole(what, (year, month, day))
    if not -MAX_YEAR <= year <= MAX_YEAR:
        raise ValueError(f"a year is from {-MAX_YEAR} to {MAX_YEAR}, not {year}")
    # The calendar repeats every 400 years; Python's knows none below 1.
    if not 1 <= month <= 12 or not 1 <= day <= monthrange(2000 + year % 400, month)[1]:
        raise ValueError(f"there is no day {year}-{month}-{day}")


def _check_time(what: str, hour: int, minute: int, second: int, nanosecond: int, offset: int | None) -> None:
    _check_whole(what, (hour, minute, second, nanosecond, 0 if offset is None else offset))
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60 and 0 <= nanosecond < BILLION):
        raise ValueError(f"there is no time {hour}:{minute}:{second} and {nanosecond} ns")
    if offset is not None and not -MAX_OFFSET <= offset <= MAX_OFFSET:
        raise ValueError(f"an offset is at most 18 hours in seconds, not {offset}")
