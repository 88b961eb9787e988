"""The decorator and the registry behind it."""

from __future__ import annotations

import gc
from abc import ABC
from dataclasses import InitVar, dataclass
from enum import Enum
from typing import Any, ClassVar, NewType

import attrs
import msgspec
import pytest

from evsession.errors import ConfigurationError
from evsession.raven.codec import encode_entity
from evsession.raven.document import Document, DocumentType
from evsession.raven.types import TypeInfo, collection_of, document, info_of, is_storable_entity, type_of_collection


def info(thing: Any) -> TypeInfo:
    found = info_of(thing)
    assert found is not None
    return found


@document
@dataclass
class Parrot:
    name: str
    id: str | None = None


@document(collection="Fishes", id_separator="-", id_generation_strategy="hilo", key=lambda fish: fish.name)
@attrs.define
class Fish:
    name: str


Key = NewType("Key", str)


@document
class Snail(msgspec.Struct):
    id: Key
    slow: bool = True


@document
class Ant:
    id: str
    count: ClassVar[int] = 0


@document
class Typed(Document):
    pass


def test_with_and_without_arguments() -> None:
    assert info(Parrot) == TypeInfo(Parrot, "Parrot", "Parrots", "id")
    assert info(Fish("Wanda")).collection == "Fishes"
    assert (info(Fish).id_separator, info(Fish).id_generation_strategy, info(Fish).key_field) == ("-", "hilo", None)
    assert info(Snail).key_field == "id"
    assert info(Ant).key_field == "id"
    assert (info(Typed).collection, info(Typed).key_field) == ("Typeds", None)


def test_what_was_never_declared() -> None:
    assert info_of(Document) is None
    assert info_of({}) is None
    assert info_of(int) is None


def test_subclasses_inherit() -> None:
    @dataclass
    class Macaw(Parrot):
        blue: bool = True

    assert info(Macaw) == TypeInfo(Macaw, "Parrot", "Parrots", "id")
    assert info(Macaw) is info(Macaw("x"))
    assert type_of_collection("Parrots") is Parrot


def test_a_declared_subclass_has_its_own_collection() -> None:
    @document
    @dataclass
    class Cockatoo(Parrot):
        white: bool = True

    assert info(Cockatoo).collection == "Cockatoos"


def test_a_key_is_made_without_waiting() -> None:
    async def make(_: object) -> str:
        return "a key"

    for wrong in (make, "name"):
        with pytest.raises(ConfigurationError, match="plain function"):
            DocumentType("Parrot", key=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="plain function"):
        DocumentType("Parrot", id_generation_strategy=make)  # type: ignore[arg-type]


def test_the_class_declared_last_that_is_alive_counts() -> None:
    def declare() -> type:
        @document
        @dataclass
        class Hedgehog:
            name: str

        return Hedgehog

    first = declare()
    second = declare()
    assert type_of_collection("Hedgehogs") is second
    assert type_of_collection("hedgehogs") is second
    assert collection_of("Hedgehog") == ("Hedgehogs", second)
    del second
    gc.collect()
    assert type_of_collection("Hedgehogs") is first
    del first
    gc.collect()
    assert type_of_collection("Hedgehogs") is None
    assert collection_of("Hedgehog") == ("Hedgehogs", None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Parrot", ("Parrots", Parrot)),
        ("Parrots", ("Parrots", Parrot)),
        ("Fish", ("Fishes", Fish)),
        ("fishes", ("fishes", Fish)),
        (Fish, ("Fishes", Fish)),
        ("Unknown", ("Unknowns", None)),
        ("Unknowns", ("Unknowns", None)),
        ("@all_docs", ("@all_docs", None)),
        ("@empty", ("@empty", None)),
    ],
)
def test_collection_of(given: Any, expected: Any) -> None:
    assert collection_of(given) == expected


@pytest.mark.parametrize("bad", [5, None, int, Document, b"Dog"])
def test_no_collection(bad: Any) -> None:
    with pytest.raises(TypeError):
        collection_of(bad)


def test_an_empty_name() -> None:
    with pytest.raises(ConfigurationError):
        collection_of(" ")


def test_storable() -> None:
    assert is_storable_entity({})
    assert is_storable_entity(Document())
    assert is_storable_entity(Parrot("x"))
    for thing in (Parrot, 5, None, "text", [], object()):
        assert not is_storable_entity(thing)


class Hidden:
    pass


@attrs.define
class Private:
    _x: int = 0


@dataclass(frozen=True)
class Point:
    x: int


def declared(**hints: Any) -> type:
    return dataclass(type("Made", (), {"__annotations__": hints}))


@pytest.mark.parametrize(
    ("cls", "reason"),
    [
        (declared(a=complex), "Made.a is of the type complex"),
        (declared(a=list[Hidden]), "Made.a is of the type Hidden"),
        (declared(id=int), "Made.id holds the document's key"),
        (declared(id=Hidden), "Made.id holds the document's key"),
        (declared(a=set[Point]), "set of objects"),
        (declared(a=frozenset[tuple[Point, int]]), "set of objects"),
        (declared(a=Point | Parrot), "unions"),
        (declared(a=dict[str, Private]), "Private._x would not be stored"),
        (declared(a=dict[tuple[int, int], str]), "keys"),
        (Enum("Colour", "RED"), "Colour cannot be a document"),
        (type("Listed", (list,), {}), "Listed cannot be a document: list"),
        (type("Slotted", (), {"__slots__": ("a",)}), "Slotted cannot be a document"),
        (type("Failure", (Exception,), {}), "Failure cannot be a document"),
        (type("Row", (msgspec.Struct,), {}, array_like=True), "array_like"),
        (declared(a=InitVar[int]), "Made cannot be a document: a is an InitVar"),
        (type("Computed", (), {"id": property(lambda self: "x")}), "Computed.id is a property"),
        (5, "a class can be a document"),
    ],
)
def test_what_cannot_be_decoded_is_refused_at_once(cls: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        document(cls)


def test_bases_without_state_are_fine() -> None:
    @document
    class Base(ABC):
        name: str

    @document
    class Derived(Base):
        age: int

    assert info(Derived).collection == "Deriveds"


@document
@dataclass
class Early:
    late: Late | None = None


@document
@dataclass
class Late:
    name: str


@document
@dataclass
class Lost:
    other: Nowhere  # type: ignore[name-defined]  # noqa: F821


def test_hints_may_name_what_comes_later() -> None:
    assert encode_entity(Early(Late("x"))) == b'{"late":{"name":"x"}}'
    with pytest.raises(ConfigurationError, match="Nowhere"):
        encode_entity(Lost(1))


def test_the_wrong_order_of_decorators_is_told() -> None:
    @dataclass(slots=True)
    @document
    class Slotted:
        a: int = 1

    @dataclass
    @document
    class Bare:
        a: int = 1

    with pytest.raises(ConfigurationError, match="above the other decorators"):
        info_of(Slotted())
    for thing in (Slotted(), Bare()):
        with pytest.raises(ConfigurationError, match="above the other decorators"):
            encode_entity(thing)


def test_a_type_and_a_class_of_one_name() -> None:
    made = DocumentType("Gecko")
    assert collection_of("Gecko") == ("Geckos", made)
