"""Stand-ins for documents of every kind of class: what they refuse, what they keep, and how they become what they stand for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import attrs
import msgspec
import pytest

import evsession
from evsession.errors import ConfigurationError, InvalidDocument, NotLoaded
from evsession.raven.codec import decode_entity, encode_entity, id_of
from evsession.raven.reference import (
    base_of,
    become_loaded,
    forget_written,
    is_reference,
    make_reference,
    written_fields,
)


@evsession.document
@dataclass
class Plain:
    name: str
    age: int = 3
    tags: list[str] = field(default_factory=list)
    id: str | None = None

    def __post_init__(self) -> None:
        assert isinstance(self.name, str), "a stand-in must not run this"

    @property
    def shout(self) -> str:
        return self.name.upper()


@evsession.document
@dataclass(slots=True)
class Slotted:
    name: str
    age: int = 3
    id: str | None = None


@evsession.document
@dataclass(frozen=True)
class Frozen:
    name: str
    age: int = 3
    id: str | None = None


@evsession.document
@attrs.define
class Attrs:
    name: str
    age: int = 3
    id: str | None = None


@evsession.document
@attrs.define(slots=False)
class Dictful:
    name: str
    age: int = 3
    id: str | None = None


@evsession.document
class Struct(msgspec.Struct):
    name: str
    age: int = 3
    id: str | None = None


@evsession.document
class Hand:
    name: str
    age: int = 3

    def __init__(self, name: str) -> None:
        raise AssertionError("a stand-in must not run this")

    def shout(self) -> str:
        return self.name.upper()


Doc = evsession.DocumentType("Doc")

TYPED: list[Any] = [Plain, Slotted, Attrs, Dictful, Struct, Hand]
ALL = [*TYPED, Doc]
ROW = {"name": "Max", "age": 12}


def fresh(cls: Any, row: dict[str, Any] | None = None) -> Any:
    return decode_entity(dict(ROW if row is None else row), cls, key="things/1")[0]


@pytest.mark.parametrize("cls", [*ALL, Frozen])
def test_it_is_one_of_its_class_and_knows_its_key_only(cls: Any) -> None:
    one, two = make_reference(cls, "things/1"), make_reference(cls, "things/2")
    assert isinstance(one, cls)
    assert is_reference(one)
    assert not is_reference(fresh(cls))
    assert base_of(type(one)) is cls
    assert base_of(cls) is cls
    assert type(one) is type(two)
    assert id_of(one) == "things/1"
    assert one.id == "things/1"
    assert repr(one) == f"<{cls.__qualname__} 'things/1', not loaded>"
    assert written_fields(one) == {}
    assert one == one
    assert one != two


@pytest.mark.parametrize("cls", [*ALL, Frozen])
@pytest.mark.parametrize("name", ["name", "age"])
def test_reading_a_field_names_type_field_and_key(cls: Any, name: str) -> None:
    one = make_reference(cls, "things/1")
    with pytest.raises(NotLoaded, match=rf"{cls.__qualname__}\.{name} of 'things/1' is not loaded.*hydrate") as caught:
        getattr(one, name)
    assert caught.value.key == "things/1"
    assert not isinstance(caught.value, AttributeError)
    with pytest.raises(NotLoaded):
        getattr(one, name, None)
    with pytest.raises(NotLoaded):
        hasattr(one, name)


@pytest.mark.parametrize("cls", ALL)
def test_what_is_set_is_kept_and_read(cls: Any) -> None:
    one = make_reference(cls, "things/1")
    one.age = 5
    assert one.age == 5
    assert written_fields(one) == {"age": 5}
    one.age = None
    assert one.age is None
    assert written_fields(one) == {"age": None}
    with pytest.raises(NotLoaded):
        _ = one.name
    assert is_reference(one)


@pytest.mark.parametrize("cls", [*ALL, Frozen])
def test_it_becomes_what_it_stands_for_and_stays_the_same_object(cls: Any) -> None:
    one = make_reference(cls, "things/1")
    loaded = fresh(cls)
    become_loaded(one, loaded)
    assert type(one) is cls
    assert not is_reference(one)
    assert (one.name, one.age, one.id) == ("Max", 12, "things/1")
    if cls is not Hand:
        assert one == loaded


@pytest.mark.parametrize("cls", ALL)
def test_what_was_set_survives_the_loading(cls: Any) -> None:
    one = make_reference(cls, "things/1")
    one.age = 5
    become_loaded(one, fresh(cls))
    assert type(one) is cls
    assert (one.name, one.age) == ("Max", 5)


@pytest.mark.parametrize("cls", ALL)
def test_what_was_set_can_be_forgotten(cls: Any) -> None:
    one = make_reference(cls, "things/1")
    one.age = 5
    forget_written(one)
    assert written_fields(one) == {}
    assert one.id == "things/1"
    with pytest.raises(NotLoaded):
        _ = one.age
    forget_written(one)
    one.name = "Jess"
    assert written_fields(one) == {"name": "Jess"}


def test_a_frozen_one_cannot_be_written_and_can_be_forgotten() -> None:
    one = make_reference(Frozen, "things/1")
    with pytest.raises(AttributeError):
        one.age = 5  # type: ignore[misc]
    assert written_fields(one) == {}
    forget_written(one)
    assert is_reference(one)


@pytest.mark.parametrize("cls", [Plain, Dictful])
def test_a_field_that_the_row_lacks_has_its_default(cls: Any) -> None:
    one = make_reference(cls, "things/1")
    become_loaded(one, fresh(cls, {"name": "Max"}))
    assert one.age == 3


def test_a_field_of_a_struct_that_was_never_set_stays_unset() -> None:
    @evsession.document
    class Gap:
        name: str
        late: int

    one = make_reference(Gap, "things/1")
    become_loaded(one, decode_entity({"name": "Max", "late": 1}, Gap, key="things/1")[0])
    assert (one.name, one.late) == ("Max", 1)


def test_a_slot_that_the_loaded_one_lacks_stays_empty() -> None:
    one, loaded = make_reference(Slotted, "things/1"), fresh(Slotted)
    del loaded.age
    become_loaded(one, loaded)
    assert one.name == "Max"
    assert not hasattr(one, "age")


@pytest.mark.parametrize("cls", [Plain, Hand])
def test_methods_and_properties_read_fields_and_so_are_refused(cls: Any) -> None:
    one = make_reference(cls, "things/1")
    shout: Callable[[], str] = (lambda: one.shout) if cls is Plain else (lambda: one.shout())
    with pytest.raises(NotLoaded, match=r"\.name of"):
        shout()
    one.name = "max"
    assert shout() == "MAX"


class TestByHand:
    def test_attributes_that_nobody_declared_are_refused_and_kept(self) -> None:
        one = make_reference(Hand, "things/1")
        with pytest.raises(NotLoaded, match=r"Hand\.breed of"):
            _ = one.breed  # type: ignore[attr-defined]
        one.breed = "Labrador"  # type: ignore[attr-defined]
        assert written_fields(one) == {"breed": "Labrador"}
        become_loaded(one, fresh(Hand, {**ROW, "breed": "Collie", "more": 1}))
        assert vars(one) == {"name": "Max", "age": 12, "breed": "Labrador", "more": 1, "id": "things/1"}

    def test_what_nobody_declared_is_forgotten_too(self) -> None:
        one = make_reference(Hand, "things/1")
        one.breed, one.age = "Labrador", 1  # type: ignore[attr-defined]
        forget_written(one)
        assert vars(one) == {"id": "things/1"}

    def test_special_names_are_merely_not_there(self) -> None:
        one = make_reference(Hand, "things/1")
        with pytest.raises(AttributeError, match="Hand has no attribute '__html__'"):
            _ = one.__html__  # type: ignore[attr-defined]
        assert copy.copy(one).id == "things/1"  # type: ignore[attr-defined]


class TestDocument:
    READS: list[Callable[[Any], Any]] = [
        lambda one: one["name"],
        lambda one: one.name,
        lambda one: one.get("name"),
        lambda one: "name" in one,
    ]
    WHOLE: list[Callable[[Any], Any]] = [
        list,
        len,
        dict,
        lambda one: one.keys(),
        lambda one: one.values(),
        lambda one: one.items(),
        lambda one: one.copy(),
        lambda one: one.pop("name"),
        lambda one: one.popitem(),
        lambda one: one.setdefault("name", 1),
        lambda one: one | {},
        lambda one: reversed(one),
    ]

    @pytest.mark.parametrize("read", READS)
    def test_a_field_is_refused_by_name_and_read_when_it_was_set(self, read: Callable[[Any], Any]) -> None:
        one = make_reference(Doc, "things/1")
        with pytest.raises(NotLoaded, match=r"Doc\.name of 'things/1'"):
            read(one)
        one["name"] = "Max"
        assert read(one) in ("Max", True)

    @pytest.mark.parametrize("read", WHOLE)
    def test_the_whole_is_refused(self, read: Callable[[Any], Any]) -> None:
        one = make_reference(Doc, "things/1")
        one.age = 5
        with pytest.raises(NotLoaded, match="the Doc of 'things/1' is not loaded"):
            read(one)
        assert written_fields(one) == {"age": 5}

    def test_it_counts_as_something_and_equals_itself_only(self) -> None:
        one, two = make_reference(Doc, "things/1"), make_reference(Doc, "things/1")
        assert one
        assert (one == one, one == two, one != two, one != one) == (True, False, True, False)
        with pytest.raises(TypeError):
            hash(one)

    def test_unmarked_documents_and_their_subclasses_may_be_referred_to(self) -> None:
        class Sub(Doc):  # type: ignore[misc, valid-type]
            pass

        assert type(make_reference(Sub, "k")) is not type(make_reference(Doc, "k"))
        assert base_of(type(make_reference(Sub, "k"))) is Sub
        assert base_of(type(make_reference(evsession.Document, "k"))) is evsession.Document

    def test_a_plain_dict_can_hold_no_key(self) -> None:
        with pytest.raises(ConfigurationError, match="a plain dict can hold no key"):
            make_reference(dict, "things/1")


def test_a_subclass_has_stand_ins_of_its_own() -> None:
    @evsession.document
    @dataclass
    class Special(Plain):
        extra: int = 0

    make_reference(Plain, "things/1")
    one = make_reference(Special, "things/1")
    assert base_of(type(one)) is Special
    with pytest.raises(NotLoaded, match=r"\.extra of"):
        _ = one.extra


@evsession.document
@dataclass(slots=True)
class SlotsOnly:
    name: str
    age: int = 3


@evsession.document
@attrs.frozen
class AttrsOnly:
    name: str
    age: int = 3


@evsession.document
class StructOnly(msgspec.Struct):
    name: str
    age: int = 3


@evsession.document
class FrozenStructOnly(msgspec.Struct, frozen=True):
    name: str
    age: int = 3


@evsession.document
class Habit:
    """A plain class with defaults in the class, as is the habit."""

    name = "nobody"
    limit: int = 3
    unit: ClassVar = "metres"

    def __init__(self, name: str) -> None:
        self.name = name

    def shout(self) -> str:
        return self.name.upper()


class TestWithoutAPlaceForTheKey:
    @pytest.mark.parametrize("cls", [SlotsOnly, AttrsOnly, StructOnly, FrozenStructOnly])
    def test_it_still_knows_it(self, cls: Any) -> None:
        one = make_reference(cls, "things/1")
        assert repr(one) == f"<{cls.__qualname__} 'things/1', not loaded>"
        for name in ("name", "age"):
            with pytest.raises(NotLoaded, match=f"{cls.__qualname__}.{name} of 'things/1' is not loaded") as caught:
                getattr(one, name)
            assert caught.value.key == "things/1"
        assert written_fields(one) == {}
        become_loaded(one, fresh(cls))
        assert type(one) is cls
        assert (one.name, one.age) == ("Max", 12)
        assert one == fresh(cls)

    @pytest.mark.parametrize("cls", [SlotsOnly, StructOnly])
    def test_what_is_set_is_kept_until_it_is_forgotten(self, cls: Any) -> None:
        one = make_reference(cls, "things/1")
        one.age = 5
        assert (one.age, written_fields(one)) == (5, {"age": 5})
        one.name = "Jo"
        forget_written(one)
        assert written_fields(one) == {}
        with pytest.raises(NotLoaded):
            _ = one.age
        one = make_reference(cls, "things/1")
        one.age = 5
        forget_written(one)
        with pytest.raises(NotLoaded, match="of 'things/1'"):
            _ = one.age
        one.age = 6
        become_loaded(one, fresh(cls))
        assert (one.name, one.age) == ("Max", 6)


def test_a_default_of_the_class_is_not_taken_for_the_value() -> None:
    one = make_reference(Habit, "things/1")
    for name in ("name", "limit"):
        with pytest.raises(NotLoaded, match=f"Habit.{name} of 'things/1'"):
            getattr(one, name)
    assert one.unit == "metres"
    one.limit = 4
    assert written_fields(one) == {"limit": 4}
    become_loaded(one, fresh(Habit, {"name": "Max", "limit": 9, "shout": "no"}))
    assert (one.name, one.limit, one.shout()) == ("Max", 4, "MAX")


@evsession.document
@dataclass
class Boss:
    name: str = ""


@evsession.document
class Chief:
    name: str = ""


@evsession.document
@dataclass
class Worker:
    boss: Boss | None = None
    chief: Chief | None = None


def test_it_cannot_be_stored_in_another_one_by_its_type() -> None:
    with pytest.raises(InvalidDocument, match="an entity that is not loaded.* cannot be stored in another one; store its key"):
        encode_entity(Worker(boss=make_reference(Boss, "things/1")))
    with pytest.raises(NotLoaded, match=r"Chief.name of 'things/1' is not loaded"):
        encode_entity(Worker(chief=make_reference(Chief, "things/1")))
