"""Classes of every kind that can be documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import attrs
import msgspec

import evsession


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Chip:
    number: int
    made: date | None = None


@evsession.document
@dataclass
class Pony:
    name: str
    id: str | None = None
    age: int = 0
    born: datetime | None = None
    day: date | None = None
    at: time | None = None
    slept: timedelta | None = None
    price: Decimal | None = None
    token: UUID | None = None
    size: Size = Size.SMALL
    photo: bytes = b""
    tags: set[str] = field(default_factory=set)
    chip: Chip | None = None
    chips: list[Chip] = field(default_factory=list)
    places: dict[str, tuple[float, float]] = field(default_factory=dict)
    friend: str | None = None


@evsession.document
@attrs.define
class Goat:
    name: str
    age: int = 0
    id: str | None = None


@evsession.document
class Sheep(msgspec.Struct):
    name: str
    age: int = 0
    id: str | None = None


@evsession.document
class Hen:
    name: str
    age: int = 0

    def __init__(self, name: str) -> None:
        self.name = name
        self._secret = 1


class Duck(evsession.DocumentType("Duck")):  # type: ignore[misc]
    """A document type with a method."""

    def quack(self) -> str:
        return f"{self.name}!"


@evsession.document(collection="Farmyard", key=lambda cow: cow.name)
@dataclass(frozen=True)
class Cow:
    name: str
    age: int = 0
    id: str | None = None


KINDS: list[Any] = [Pony, Goat, Sheep, Hen, Duck, Cow]


def declare() -> None:
    """Let these be the classes of their collections, whatever other tests have declared since."""
    for cls in KINDS[:-1]:
        evsession.document(cls)


def make(cls: Any, name: str) -> Any:
    """Return an instance."""
    return cls(name=name)
