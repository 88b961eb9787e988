"""Entities to JSON and back, snapshots, merging and refilling."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import typing
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, IntEnum
from functools import partial
from typing import Annotated, Any, NamedTuple, TypedDict

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.errors import ConfigurationError, InvalidDocument
from evsession.raven.codec import decode_entity, encode_entity, key_of, merge, refill, set_key, set_metadata
from evsession.raven.document import Document, DocumentType
from evsession.raven.merge import merge_bodies
from evsession.raven.types import document
from evsession.wire.json import decode, encode

Dog = DocumentType("Dog")
NAMES = st.text(max_size=8)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
ROWS = st.dictionaries(NAMES.filter(lambda name: name != "@metadata"), JSONS, max_size=6)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1


@document
@dataclass
class Owner:
    name: str
    born: dt.date | None = None


@document
class Collar:
    """A plain class with hints, a method and more attributes than hints."""

    colour: Colour
    size: int = 3

    def __init__(self, colour: Colour) -> None:
        raise AssertionError("never called")

    @property
    def wide(self) -> bool:
        return self.size > 5


def collar(**attributes: Any) -> Collar:
    made = object.__new__(Collar)
    vars(made).update(attributes)
    return made


@document
@dataclass
class Hound:
    name: str
    id: str | None = None
    age: int = 0
    weight: float | None = None
    tags: set[str] = field(default_factory=set)
    marks: dict[int, str] = field(default_factory=dict)
    owners: list[Owner] = field(default_factory=list)
    main: Owner | None = None
    when: dt.datetime | None = None
    time: dt.time | None = None
    span: dt.timedelta | None = None
    price: Decimal | None = None
    chip: uuid.UUID | None = None
    colour: Colour | None = None
    size: Size = Size.SMALL
    photo: bytes = b""
    pair: tuple[int, str] | None = None
    frozen: frozenset[tuple[int, int]] = frozenset()
    collar: Collar | None = None
    either: int | str | list[int] = 0
    limited: Annotated[int, msgspec.Meta(ge=0)] = 0
    extra: dict[str, Any] = field(default_factory=dict)


def _without_sets() -> Any:
    kept = [one for one in dataclasses.fields(Hound) if one.name not in SETS]
    hints = typing.get_type_hints(Hound, include_extras=True)
    return document(dataclasses.make_dataclass("Lurcher", [(one.name, hints[one.name], one) for one in kept]))


SETS = {"tags", "frozen"}
Lurcher = _without_sets()
NAN = float("nan")


@document
@dataclass
class Scale:
    weight: float = 0
    before: list[float] = field(default_factory=list)
    lent: list[Weighed] = field(default_factory=list)
    limits: dict[str, float | None] = field(default_factory=dict)
    note: str | None = None


@dataclass
class Weighed:
    weight: Annotated[float, msgspec.Meta(description="in kg")] | None = None


OWNERS = st.builds(Owner, name=st.text(), born=st.none() | st.dates())
HOUNDS = st.builds(
    Hound,
    name=st.text(),
    age=st.integers(),
    weight=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    tags=st.sets(st.text()),
    marks=st.dictionaries(st.integers(-(2**63), 2**63), st.text()),
    owners=st.lists(OWNERS, max_size=3),
    main=st.none() | OWNERS,
    when=st.none() | st.datetimes(timezones=st.none() | st.just(dt.timezone.utc)),
    time=st.none() | st.times(),
    span=st.none() | st.timedeltas(),
    price=st.none() | st.decimals(allow_nan=False, allow_infinity=False),
    chip=st.none() | st.uuids(),
    colour=st.none() | st.sampled_from(Colour),
    photo=st.binary(),
    pair=st.none() | st.tuples(st.integers(), st.text()),
    frozen=st.frozensets(st.tuples(st.integers(), st.integers())),
    either=st.integers() | st.text() | st.lists(st.integers()),
    extra=st.dictionaries(NAMES, JSONS, max_size=3),
)


@document
@attrs.define
class Cat:
    name: str
    _lives: int = 9
    id: str = ""


@document
@attrs.frozen(slots=False)
class Tiger:
    name: str
    cubs: list[Tiger] = attrs.field(factory=list)


@document
class Fox(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    id: str | None = None
    full_name: str
    tags: list[str] = []


@document
@dataclass(frozen=True, slots=True)
class Stone:
    weight: int


class Nested(dict[str, Any]):
    pass


class Text(str):
    __slots__ = ()


class Pair(NamedTuple):
    a: int
    b: Any


class Row(TypedDict, total=False):
    a: int
    b: Any


@document
@dataclass
class Late:
    a: int = 1
    b: int = field(init=False)


@document
@dataclass
class Outer:
    collar: Collar
    tiger: Tiger | None = None
    pair: Pair | None = None
    row: Row = field(default_factory=Row)


@document
class Bag:
    """A plain class without hints."""


def thrown(call: Callable[[], object]) -> InvalidDocument:
    with pytest.raises(InvalidDocument) as caught:
        call()
    return caught.value


@given(ROWS)
def test_documents_come_back_equal(row: dict[str, Any]) -> None:
    body = encode_entity(Dog(row))
    entity, snapshot = decode_entity(decode(body), Dog, key="dogs/1")
    assert (type(entity), entity, entity.id) == (Dog, row, "dogs/1")
    assert snapshot.kept is snapshot.row
    assert encode_entity(entity) == snapshot.known == body
    assert merge(body, snapshot) is body


@given(HOUNDS)
def test_typed_entities_come_back_equal(hound: Hound) -> None:
    body = encode_entity(hound)
    entity, snapshot = decode_entity(decode(body), Hound, key="hounds/1")
    assert entity.id == "hounds/1"
    entity.id = None
    assert entity == hound
    assert encode_entity(entity) == snapshot.known
    assert json.loads(body).keys() == {name for name in Hound.__dataclass_fields__ if name != "id"}


@given(HOUNDS, st.booleans())
def test_entities_without_sets_are_encoded_alike(hound: Hound, has_collar: bool) -> None:
    if has_collar:
        hound.collar = collar(colour=Colour.BLUE, size=4, more=[1])
    values = {name: value for name, value in vars(hound).items() if name not in SETS}
    shorter = {name: value for name, value in decode(encode_entity(hound)).items() if name not in SETS}
    lurcher = Lurcher(**values)
    assert encode_entity(lurcher) == encode(shorter)
    again, snapshot = decode_entity(shorter, Lurcher, key="lurchers/1")
    assert encode_entity(again) == snapshot.known == encode(shorter)


@given(HOUNDS, ROWS)
def test_unknown_fields_survive_an_edit(hound: Hound, more: dict[str, Any]) -> None:
    row = {**more, **decode(encode_entity(hound))}
    entity, snapshot = decode_entity(row, Hound, key="hounds/1")
    assert encode_entity(entity) == snapshot.known
    entity.age += 1
    assert decode(merge(encode_entity(entity), snapshot)) == {**row, "age": hound.age + 1}


def test_rows_of_no_type_are_documents() -> None:
    entity, _ = decode_entity({"a": 1})
    assert (type(entity), entity, entity.id) == (Document, {"a": 1}, None)


def test_the_key_is_no_field() -> None:
    assert encode_entity(Hound("x", id="hounds/1")) == encode_entity(Hound("x"))
    entity, snapshot = decode_entity({"name": "x", "id": "a field"}, Hound, key="hounds/1")
    assert entity.id == "hounds/1"
    assert decode(merge(encode_entity(entity), snapshot))["id"] == "a field"
    assert decode_entity({"name": "x"}, Hound)[0].id == ""


def test_each_kind_of_class() -> None:
    cat = Cat("Tom", lives=3, id="cats/1")
    assert encode_entity(cat) == b'{"name":"Tom","_lives":3}'
    assert decode_entity({"name": "Tom", "_lives": 3}, Cat, key="cats/1")[0] == cat
    tiger = Tiger("A", [Tiger("B")])
    assert decode_entity(decode(encode_entity(tiger)), Tiger, key="tigers/1")[0] == tiger
    fox = Fox(full_name="F", id="foxes/1")
    assert encode_entity(fox) == b'{"fullName":"F","tags":[]}'
    assert decode_entity({"fullName": "F"}, Fox, key="foxes/1")[0] == fox
    assert decode_entity({"weight": 1}, Stone, key="stones/1")[0] == Stone(1)


def test_plain_classes() -> None:
    entity, snapshot = decode_entity({"colour": "red", "wide": 1, "more": [1], "_x": 2, "id": 3}, Collar, key="collars/1")
    assert vars(entity) == {"colour": Colour.RED, "more": [1], "_x": 2, "id": "collars/1"}
    assert encode_entity(entity) == snapshot.known == b'{"colour":"red","size":3,"more":[1],"_x":2}'
    entity.colour = Colour.BLUE
    del entity.more
    entity._x = 3  # a leading underscore is the class's business; its state is stored all the same
    merged = decode(merge(encode_entity(entity), snapshot))
    assert merged == {"colour": "blue", "wide": 1, "_x": 3, "id": 3, "size": 3}
    entity._lock = object()
    assert thrown(lambda: encode_entity(entity)).path == "_lock"
    bag, _ = decode_entity({"a": {"b": 1}}, Bag, key="bags/1")
    assert vars(bag) == {"a": {"b": 1}, "id": "bags/1"}


def test_objects_inside_of_objects() -> None:
    hound = Hound("x", collar=collar(colour=Colour.RED, more=1))
    body = encode_entity(hound)
    assert decode(body)["collar"] == {"colour": "red", "size": 3, "more": 1}
    entity, _ = decode_entity(decode(body), Hound, key="hounds/1")
    assert type(entity.collar) is Collar
    assert vars(entity.collar) == {"colour": Colour.RED, "size": 3, "more": 1}


def test_documents_inside_of_objects() -> None:
    @document
    @dataclass
    class Basket:
        dog: Document
        plain: msgspec.Raw | None = None

    @document
    @dataclass
    class Box:
        inner: Nested

    entity, _ = decode_entity({"dog": {"name": "Max"}}, Basket, key="baskets/1")
    assert entity.dog.name == "Max"
    assert encode_entity(Basket(Document(a=1))).startswith(b'{"dog":{"a":1}')
    assert thrown(lambda: encode_entity(Basket(Document(a={1})))).path == "dog.a"
    assert type(decode_entity({"inner": {}}, Box, key="k")[0].inner) is Nested
    assert thrown(lambda: decode_entity({"inner": 1}, Box, key="k")).path == "inner"


def test_defaults_fill_what_a_row_lacks() -> None:
    entity, snapshot = decode_entity({"name": "x"}, Hound, key="hounds/1")
    assert entity == Hound("x", id="hounds/1")
    assert encode_entity(entity) == snapshot.known


@pytest.mark.parametrize(
    ("cls", "row", "path"),
    [
        (Hound, {}, "name"),
        (Hound, {"name": 1}, "name"),
        (Hound, {"name": "x", "age": "2"}, "age"),
        (Hound, {"name": "x", "age": 2.5}, "age"),
        (Hound, {"name": "x", "owners": [{"name": "a"}, {}]}, "owners[1].name"),
        (Hound, {"name": "x", "limited": -1}, "limited"),
        (Hound, {"name": "x", "collar": 1}, "collar"),
        (Hound, {"name": "x", "collar": {}}, "collar.colour"),
        (Collar, {}, "colour"),
        (Collar, {"colour": "green"}, "colour"),
        (Fox, {"full_name": "x"}, "fullName"),
    ],
)
def test_rows_that_do_not_fit(cls: Any, row: Any, path: str) -> None:
    error = thrown(lambda: decode_entity(row, cls, key="things/1"))
    assert (error.key, error.path) == ("things/1", path)
    assert str(error).startswith(f"things/1 cannot be read as {cls.__name__}: ")
    assert "the document cannot be read" in str(thrown(lambda: decode_entity(row, cls)))


LOOP: dict[str, Any] = {}
LOOP["a"] = LOOP


def hound(**fields: Any) -> Hound:
    return Hound(**{"name": "x", **fields})


@pytest.mark.parametrize(
    ("entity", "path"),
    [
        (Document(a=[1, {"b": float("nan")}]), "a[1].b"),
        (Document(a={"b": {1, 2}}), "a.b"),
        (Document(a={1: 2}), "a"),
        (Document(a="\ud800"), "a"),
        (Document(a=object()), "a"),
        (Document({"@metadata": {}}), "@metadata"),
        ({"@metadata": {}}, "@metadata"),
        (Document(a=collar(colour=Colour.RED)), "a"),
        (hound(weight=float("inf")), "weight"),
        (Lurcher("x", weight=NAN), "weight"),
        (Scale(NAN), "weight"),
        (Scale(before=[1, NAN]), "before[1]"),
        (Scale(lent=[Weighed(), Weighed(NAN)]), "lent[1].weight"),
        (Scale(limits={"a": None, "b": NAN}), "limits.b"),
        (hound(age="2"), "age"),
        (hound(name=None), "name"),
        (hound(extra={"a": [{1}]}), "extra.a[0]"),
        (hound(extra={"a": float("nan")}), "extra.a"),
        (hound(collar=collar(colour=Colour.RED, more={1})), "collar.more"),
        (hound(collar=collar(colour=3)), "collar.colour"),
        (hound(collar=5), "collar"),
        (hound(limited=-1), "limited"),
        (collar(colour=Colour.RED, more={1: 2}), "more"),
        (collar(colour=Colour.RED, more=float("nan")), "more"),
    ],
)
def test_what_cannot_be_stored(entity: Any, path: str) -> None:
    error = thrown(lambda: encode_entity(entity))
    assert (error.path, error.key) == (path, None)
    assert f"{type(entity).__name__}: cannot be stored: {path}" in str(error)
    if not isinstance(entity, dict) or isinstance(entity, Document):
        set_key(entity, "things/1")
        error = thrown(lambda: encode_entity(entity))
        assert error.key == "things/1"
        assert "'things/1': cannot be stored" in str(error)


@pytest.mark.parametrize("entity", [Document(LOOP), hound(extra=LOOP), Tiger("x", [Tiger("y")])])
def test_cycles_are_refused(entity: Any) -> None:
    if isinstance(entity, Tiger):
        entity.cubs.append(entity)
    assert "contains itself" in str(thrown(lambda: encode_entity(entity)))


def test_values_that_json_spells_otherwise_are_fine_in_documents() -> None:
    made = dt.date(2012, 4, 13)
    assert encode_entity(Document(day=made, pair=(1, 2), owner=Owner("A"))) == (
        b'{"day":"2012-04-13","pair":[1,2],"owner":{"name":"A","born":null}}'
    )


def test_open_values_inside_of_types() -> None:
    @document
    @dataclass
    class Drawer:
        many: list[Any] = field(default_factory=list)
        some: dict[str, list[Any] | int | None] = field(default_factory=dict)
        pair: tuple[int, Any] | None = None
        nested: list[Hound] = field(default_factory=list)
        marked: Annotated[list[Any], msgspec.Meta(description="d")] = field(default_factory=list)
        anything: Annotated[Any, msgspec.Meta(description="d")] = None
        mixed: list[Any] | Owner | None = None
        either: dict[str, Any] | int = 0

    fine = Drawer([1], {"a": [2], "b": 3, "c": None}, (1, [2]), [hound(extra={"a": 1})], [1], {"x": 1}, [1], {"a": 1})
    assert decode_entity(decode(encode_entity(fine)), Drawer)[0].nested[0].extra == {"a": 1}
    assert encode_entity(Drawer(mixed=Owner("x")))
    for drawer, path in [
        (Drawer([1, {2}]), "many[1]"),
        (Drawer(some={"a": [{1}]}), "some.a[0]"),
        (Drawer(pair=(1, {2})), "pair[1]"),
        (Drawer(nested=[hound(), hound(extra={"a": {1}})]), "nested[1].extra.a"),
        (Drawer(marked=[{1}]), "marked[0]"),
        (Drawer(anything={1}), "anything"),
        (Drawer(anything=[{1}]), "anything[0]"),
        (Drawer(mixed=[{1}]), "mixed[0]"),
        (Drawer(either={"a": {1}}), "either.a"),
    ]:
        assert thrown(partial(encode_entity, drawer)).path == path
    assert thrown(lambda: encode_entity(Drawer(many=5))).path == "many"  # type: ignore[arg-type]


def test_tuples_with_names_and_dicts_with_types() -> None:
    outer = Outer(collar(colour=Colour.RED), Tiger("x"), Pair(1, [2]), {"a": 1, "b": {"c": 1}})
    entity, _ = decode_entity(decode(encode_entity(outer)), Outer)
    assert (entity.tiger, entity.pair, entity.row) == (outer.tiger, outer.pair, outer.row)
    assert encode_entity(Outer(outer.collar))
    assert thrown(lambda: encode_entity(Outer(outer.collar, pair=Pair(1, {2})))).path == "pair.b"
    assert thrown(lambda: encode_entity(Outer(outer.collar, row={"b": {2}}))).path == "row.b"
    assert thrown(lambda: encode_entity(Outer(5))).path == "collar"  # type: ignore[arg-type]
    unset = object.__new__(Outer)
    assert encode_entity(unset) == b'{"tiger":null,"pair":null}'


def test_subclasses_of_text_are_text() -> None:
    assert encode_entity(hound(name=Text("x"))) == encode_entity(hound())


def test_nothing_is_no_nan() -> None:
    assert encode_entity(Lurcher("x")) == encode_entity(Lurcher("x", weight=None))
    scale = Scale(lent=[Weighed()], limits={"a": None})
    assert decode_entity(decode(encode_entity(scale)), Scale)[0] == scale


def test_fields_that_were_never_set_are_left_out() -> None:
    stone = object.__new__(Stone)
    assert encode_entity(stone) == b"{}"


def test_equal_sets_give_equal_bytes() -> None:
    tags = {str(number) for number in range(100)}
    other = {str(99 - number) for number in range(100)}
    assert encode_entity(hound(tags=tags)) == encode_entity(hound(tags=other))


def test_dicts_keep_their_order() -> None:
    assert list(decode(encode_entity(hound(marks={2: "b", 1: "a"})))["marks"]) == ["2", "1"]


# ---- merging is below, since it needs no classes


def merged(new: Any, known: Any, raw: Any) -> Any:
    return decode(merge_bodies(encode(new), encode(known), encode(raw)))


@given(ROWS, ROWS)
def test_unchanged_entities_merge_to_the_row(known: dict[str, Any], raw: dict[str, Any]) -> None:
    whole = {**raw, **known}
    assert merged(known, known, whole) == whole


@pytest.mark.parametrize(
    ("known", "raw"), [("text", {"b": 2}), ({"b": 2}, "text"), ("text", [{"b": 2}]), ([{"b": 2}], "text"), ([1], {"b": 2})]
)
@pytest.mark.parametrize("new", [{"a": 1}, [{"a": 1}], "new"])
def test_what_is_of_another_kind_now_is_sent_as_it_is(new: Any, known: Any, raw: Any) -> None:
    assert merged({"field": new}, {"field": known}, {"field": raw}) == {"field": new}


def keep(value: Any, wanted: Any) -> Any:
    """Return what a class that knows only the names in `wanted` would see."""
    if isinstance(value, dict):
        return {name: keep(item, wanted) for name, item in value.items() if name in wanted}
    return [keep(item, wanted) for item in value] if isinstance(value, list) else value


def unknown(value: Any, wanted: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """Return the fields that such a class does not see, by path; those of lists by index."""
    found = {}
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in steps:
        if isinstance(value, dict) and step not in wanted:
            found[(*path, step)] = item
        else:
            found.update(unknown(item, wanted, (*path, step)))
    return found


LETTERS = st.recursive(
    st.integers(0, 3), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abxy"), inner, max_size=4)
)


@given(st.dictionaries(st.sampled_from("abxy"), LETTERS), st.data())
def test_merging_loses_no_unknown_field_and_resurrects_no_removed_one(raw: dict[str, Any], data: st.DataObject) -> None:
    known = keep(raw, "ab")
    new = dict(known)
    edited = data.draw(st.sampled_from("ab"))
    if data.draw(st.booleans()):
        new.pop(edited, None)
    else:
        new[edited] = 99
    result = merged(new, known, raw)
    assert keep(result, "ab") == new
    assert (edited in result) == (edited in new)
    rest = {path: item for path, item in unknown(raw, "ab").items() if path[0] != edited}
    assert rest.items() <= unknown(result, "ab").items()


def bump(value: Any) -> Any:
    """Edit every scalar and leave the structure alone."""
    if isinstance(value, dict):
        return {name: bump(item) for name, item in value.items()}
    return [bump(item) for item in value] if isinstance(value, list) else value + 100


@given(st.dictionaries(st.sampled_from("abxy"), LETTERS))
def test_editing_everything_keeps_every_unknown_field(raw: dict[str, Any]) -> None:
    known = keep(raw, "ab")
    result = merged(bump(known), known, raw)
    assert keep(result, "ab") == bump(known)
    assert unknown(result, "ab") == unknown(raw, "ab")


A, B, C = ({"n": name} for name in "ABC")
RAW_A, RAW_B = {"n": "A", "u": 1}, {"n": "B", "u": 2}


@pytest.mark.parametrize(
    ("new", "result"),
    [
        ([A, B], [RAW_A, RAW_B]),
        ([B, A], [RAW_B, RAW_A]),
        ([B], [RAW_B]),
        ([C, A, B], [C, RAW_A, RAW_B]),
        ([A, C], [RAW_A, {"n": "C", "u": 2}]),
        ([C, A], [C, RAW_A]),
        ([A, A, B], [RAW_A, A, RAW_B]),
        ([A, A], [RAW_A, {"n": "A", "u": 2}]),
        ([], []),
    ],
)
def test_elements_of_lists(new: Any, result: Any) -> None:
    assert merged({"l": new}, {"l": [A, B]}, {"l": [RAW_A, RAW_B]}) == {"l": result}


def test_lists_inside_of_lists() -> None:
    assert merged([[A, C]], [[A, B]], [[RAW_A, RAW_B]]) == [[RAW_A, {"n": "C", "u": 2}]]


def test_sets_do_not_lend_each_other_values() -> None:
    assert merged(["a", "c"], ["a", "b"], ["b", "a"]) == ["a", "c"]
    assert merged(["a", "c"], ["a", "b"], ["b", "a", "b"]) == ["a", "c"]
    assert merged(["a", "b"], ["a", "b"], ["b", "a", "b"]) == ["b", "a", "b"]


@pytest.mark.parametrize(("old", "new"), [(1, True), (1, 1.0), (0, False), (None, 0), ({}, []), ([], {}), ({"a": 1}, 5)])
def test_equal_in_python_is_not_equal_in_json(old: Any, new: Any) -> None:
    result = merged({"a": new}, {"a": old}, {"a": old, "u": 1})
    assert encode(result) == encode({"a": new, "u": 1})


def test_unchanged_values_are_sent_as_the_server_had_them() -> None:
    row = {"name": "x", "when": "2012-04-13T00:00:00.1234567Z", "main": {"name": "A", "chip": 5}}
    entity, snapshot = decode_entity(row, Hound, key="hounds/1")
    entity.main.name = "B"
    body = decode(merge(encode_entity(entity), snapshot))
    assert (body["when"], body["main"]) == (row["when"], {"name": "B", "chip": 5})


def test_refilling() -> None:
    dog, _ = decode_entity({"name": "Max", "age": 1}, Dog, key="dogs/1")
    snapshot = refill(dog, {"name": "Tom"})
    assert (dog, dog.id) == ({"name": "Tom"}, "dogs/1")
    assert snapshot.known == snapshot.raw == b'{"name":"Tom"}'
    plain = {"a": 1}
    refill(plain, {"b": 2})
    assert plain == {"b": 2}
    beast = hound(age=5, id="hounds/1")
    snapshot = refill(beast, {"name": "new", "u": 1}, Hound)
    assert (beast, encode_entity(beast)) == (hound(name="new", id="hounds/1"), snapshot.known)
    fox = Fox(full_name="F", id="foxes/1")
    refill(fox, {"fullName": "G"})
    assert fox == Fox(full_name="G", id="foxes/1")
    stone = Stone(1)
    refill(stone, {"weight": 2}, key="stones/1")
    assert stone == Stone(2)
    ring = collar(colour=Colour.RED, more=1, id="collars/1", _x=1)
    refill(ring, {"colour": "blue"})
    assert vars(ring) == {"colour": Colour.BLUE, "id": "collars/1"}


def test_a_failed_refill_changes_nothing() -> None:
    beast = hound(age=5)
    assert thrown(lambda: refill(beast, {"age": 1})).path == "name"
    assert beast.age == 5


def test_init_false_fields_without_value_are_left_alone() -> None:
    late = Late()
    assert encode_entity(late) == b'{"a":1}'
    refill(late, {"a": 2, "b": 3})
    assert late.b == 3


def test_keys_of_entities() -> None:
    assert key_of({"id": "x"}) is None
    assert key_of(Document(id="x")) == "x"
    assert key_of(hound()) is None
    assert key_of(Cat("x")) is None
    assert key_of(Stone(1)) is None
    assert key_of(Bag()) is None
    with_key: list[Any] = [Document(), hound(), Cat("x"), Fox(full_name="x"), Tiger("x"), Bag()]
    for entity in with_key:
        set_key(entity, "k/1")
        assert key_of(entity) == entity.id == "k/1"
    without: list[Any] = [{}, Stone(1)]
    for entity in without:
        set_key(entity, "k/1")
        assert key_of(entity) is None
    with pytest.raises(ConfigurationError, match="holds the document's key"):
        key_of(hound(id=5))


def test_a_key_attribute_that_is_no_field_is_not_stored() -> None:
    for entity in (Bag(), Tiger("x")):
        before = encode_entity(entity)
        set_key(entity, "k/1")
        assert encode_entity(entity) == before


def test_metadata_is_for_documents() -> None:
    dog = Document()
    set_metadata(dog, {"@collection": "Dogs"})
    assert dog.metadata == {"@collection": "Dogs"}
    set_metadata(hound(), {"@collection": "Dogs"})
    set_metadata({}, {})
