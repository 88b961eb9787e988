"""Conditions on one field, as values. Know neither the notation they came from nor the query they go to."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

__all__ = ["AnyOf", "Condition", "Equals", "Exists", "OneOf", "Pattern", "Prefix", "Range", "Scalar", "Suffix"]

Scalar: TypeAlias = "str | float | int | bool | None"


class Equals(msgspec.Struct, frozen=True):
    """The field is this value."""

    value: Scalar


class OneOf(msgspec.Struct, frozen=True):
    """The field is one of these values, which are of one kind: texts, floats, or integers too large for floats."""

    values: tuple[Scalar, ...]


class Range(msgspec.Struct, frozen=True):
    """The field lies between the ends; None is an open end, but not both are."""

    low: str | float | int | None
    high: str | float | int | None
    with_low: bool = True
    with_high: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether no value can lie between the ends; texts are compared without case."""
        low, high = self.low, self.high
        if isinstance(low, str) and isinstance(high, str):
            is_reversed, is_point = low.lower() > high.lower(), low.lower() == high.lower()
        elif isinstance(low, (int, float)) and isinstance(high, (int, float)):
            is_reversed, is_point = low > high, low == high
        else:  # an open end, or a number against a text
            return False
        return is_reversed or (is_point and not (self.with_low and self.with_high))


class Prefix(msgspec.Struct, frozen=True):
    """The field begins with this text, which is not empty."""

    text: str


class Suffix(msgspec.Struct, frozen=True):
    """The field ends with this text, which is not empty."""

    text: str


class Pattern(msgspec.Struct, frozen=True):
    """The whole field matches this regular expression of .NET."""

    expression: str


class Exists(msgspec.Struct, frozen=True):
    """The document has the field; null counts."""


class AnyOf(msgspec.Struct, frozen=True):
    """At least one of the conditions holds."""

    conditions: tuple[Condition, ...]


Condition: TypeAlias = "Equals | OneOf | Range | Prefix | Suffix | Pattern | Exists | AnyOf"
