from __future__ import annotations

import dataclasses
import pickle
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import Any, ClassVar, Optional

import attrs
import pytest

import evsession
from evsession import Date, DateTime, Duration, Time
from evsession.neo4j.addresses import fold_address
from evsession.neo4j.batches import Row, delete_rows, insert_rows, update_rows
from evsession.neo4j.nodes import info_of


class Size(Enum):
    SMALL = "small"


@evsession.node
@dataclasses.dataclass
class Dog:
    id: str
    born: datetime | None = None
    day: date | None = None
    at: time | None = None
    slept: timedelta | None = None
    size: Size | None = None
    legs: tuple[int, ...] = ()
    seen: bool = dataclasses.field(default=False, init=False)


@evsession.node(["Cat", "Pet"], key="name")
@attrs.define(frozen=True)
class Cat:
    name: str
    age: int = 0


class Text(str):
    """A text of a class of its own."""

    __slots__ = ()


@evsession.node("Hen")
class Hen:
    def __init__(self, id: str) -> None:
        self.id = id
        self._secret = 1


def info(cls: type) -> Any:
    found = info_of(cls)
    assert found is not None
    return found


def test_what_classes_say_of_their_nodes() -> None:
    assert (info(Dog).labels, info(Dog).key, info(Dog).address("1")) == (("Dog",), "id", "Dog/1")
    assert (info(Cat).labels, info(Cat).key, info(Cat).address("Tom")) == (("Cat", "Pet"), "name", "Cat:Pet/Tom")
    assert info_of(int) is None


def test_addresses_tell_kinds_of_keys_apart() -> None:
    address = info(Dog).address
    keys = ["5", 5, 5.5, True, "True", b"5", Date(2020, 1, 2), "2020-01-02", object]
    assert len({fold_address(address(key)) for key in keys}) == len(keys)
    assert [address(key) for key in keys[:4]] == ["Dog/5", "Dog/5", "Dog/5.5", "Dog/True"]
    for one, other in ((5, 5.0), (Size.SMALL, "small"), (date(2020, 1, 2), Date(2020, 1, 2)), (Text("5"), "5")):
        assert fold_address(address(one)) == fold_address(address(other))
    copied = pickle.loads(pickle.dumps(address(5)))
    assert (copied, fold_address(copied)) == ("Dog/5", fold_address(address(5)))


def test_properties() -> None:
    assert info(Dog).properties(Dog("1", size=Size.SMALL)) == {"id": "1", "size": Size.SMALL, "legs": ()}
    assert info(Cat).properties(Cat("Tom")) == {"name": "Tom", "age": 0}
    assert info(Hen).properties(Hen("h")) == {"id": "h"}


def test_entities_are_made_as_their_class_says() -> None:
    times = {"born": DateTime(2020, 1, 1), "day": Date(2020, 1, 1), "at": Time(1), "slept": Duration(0, 1)}
    made = info(Dog).make({"id": "1", **times, "size": "small", "legs": [1, 2], "unknown": 5})
    assert made == Dog("1", datetime(2020, 1, 1), date(2020, 1, 1), time(1), timedelta(1), Size.SMALL, (1, 2))
    assert info(Cat).make({"name": "Tom"}) == Cat("Tom")
    hen = info(Hen).make({"id": "h", "eggs": DateTime(2020, 1, 1)})
    assert vars(hen) == {"id": "h", "eggs": DateTime(2020, 1, 1)}
    with pytest.raises(evsession.InvalidDocument, match="makes no Dog"):
        info(Dog).make({})


def test_filling() -> None:
    dog = Dog("1", size=Size.SMALL, legs=(1,))
    info(Dog).fill(dog, {"id": "1", "legs": [2]})
    assert (dog.size, dog.legs) == (None, (2,))
    cat = Cat("Tom", 3)
    info(Cat).fill(cat, {"name": "Tom", "age": 4})
    assert cat.age == 4


def test_what_a_node_lacks_is_none_where_the_field_may_be_none() -> None:
    @evsession.node
    @dataclasses.dataclass
    class Opt:
        id: str
        name: str | None = "dflt"
        count: Optional[int] = 5  # noqa: UP045 - the older spelling, too
        anything: Any = 7
        legs: int = 4

    @evsession.node
    class Plain:
        kinds: ClassVar[str | None] = "all"
        name: str | None = "dflt"
        legs: int = 4
        _secret: str | None = "own"

        def __init__(self, id: str) -> None:
            self.id = id

    whole = info(Opt).make({"id": "1"})
    assert whole == Opt("1", None, None, None, 4)
    for lacks in ({"id": "1"}, {"id": "1", "count": 3, "legs": 2}):
        entity = Opt("1", "x", 1, 2, 3)
        info(Opt).fill(entity, lacks)
        assert entity == info(Opt).make(lacks)
    hen = info(Hen).make({"id": "1"})
    assert not hasattr(hen, "name")  # which is declared nowhere
    plain = info(Plain).make({"id": "1"})
    assert (plain.name, plain.legs, plain.kinds, vars(plain)) == (None, 4, "all", {"id": "1", "name": None})
    plain.name, plain.legs, plain.more = "x", 3, 1
    info(Plain).fill(plain, {"id": "1"})
    assert (plain.name, plain.legs, plain.more) == (None, 4, None)
    info(Opt).restore(whole, {"id": "1"})
    assert whole == Opt("1", None, None, None, None)  # type: ignore[arg-type]  # what it had when it was written


def test_a_node_that_lacks_what_its_class_needs_leaves_the_entity_as_it_is() -> None:
    @evsession.node
    @dataclasses.dataclass
    class Strict:
        id: str
        age: int

    entity = Strict("1", 3)
    with pytest.raises(evsession.InvalidDocument, match="makes no Strict"):
        info(Strict).fill(entity, {"id": "1"})
    assert entity == Strict("1", 3)


def test_classes_whose_types_cannot_be_known() -> None:
    @evsession.node
    @dataclasses.dataclass
    class Odd:
        id: str
        other: Nowhere | None = 7  # type: ignore[name-defined]  # noqa: F821
        always: Nowhere = 7  # type: ignore[name-defined]  # noqa: F821
        born: datetime | None = None

    assert info(Odd).make({"id": "1", "other": 5}).other == 5
    made = info(Odd).make({"id": "1", "born": DateTime(2020, 1, 1)})
    assert (made.other, made.always, made.born) == (None, 7, datetime(2020, 1, 1))


def test_what_is_no_class_of_nodes() -> None:
    with pytest.raises(evsession.ConfigurationError, match="no field 'key'"):
        evsession.node("Dog", key="key")(Dog)
    with pytest.raises(evsession.ConfigurationError):
        evsession.node("")(Dog)
    with pytest.raises(evsession.ConfigurationError):
        evsession.node("Dog", key="")(Dog)


def test_statements_for_many() -> None:
    assert insert_rows(("A", "b c"), [{"x": 1}]) == (
        "UNWIND $rows AS row CREATE (n:A:`b c`) SET n = row RETURN count(n)",
        {"rows": [{"x": 1}]},
    )
    assert delete_rows(("A",), "the id", ["1"]) == ("UNWIND $keys AS key MATCH (n:A {`the id`: key}) DELETE n", {"keys": ["1"]})
    plain = update_rows(("A",), "id", [Row("1", {"x": None}, {})])
    assert plain.text == "UNWIND $rows AS row MATCH (n:A {id: row.key}) SET n += row.set RETURN row.place AS place, [] AS made"
    assert plain.params == {"rows": [{"place": 0, "key": "1", "set": {"x": None}, "more": {}}]}
    more = update_rows(("A",), "id", [Row("1", {}, {"n": 1}), Row("2", {}, {"m m": 2})])
    assert "n.`m m` = CASE WHEN row.more.`m m` IS NULL THEN n.`m m` ELSE coalesce(n.`m m`, 0) + row.more.`m m` END" in more.text
    assert more.text.endswith("[n.`m m`, n.n] AS made")
