"""The quick look: what it calls unchanged is unchanged, and what it tells of the rest is what `encode_entity` tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession import Document, InvalidDocument
from evsession.raven.codec import encode_entities, encode_entity
from evsession.raven.glance import changed_lines, is_as_it_was
from evsession.raven.snapshots import Snapshot, packed
from evsession.raven.vocabulary import METADATA
from evsession.unitofwork.changes import is_same
from evsession.wire.json import Raw, decode

NAN = float("nan")


class Text(str):
    __slots__ = ()


class Named(dict[str, Any]):
    """A dict that compares in a way of its own."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # as every dict


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("null") | st.builds(Text)
ENCODED = st.dates() | st.datetimes() | st.uuids() | st.decimals() | st.binary(max_size=2)
ODD = st.sets(st.integers(), max_size=2) | st.tuples(st.integers()) | st.dictionaries(st.integers(), st.none(), max_size=1)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES | ENCODED | ODD | st.just(NAN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c", METADATA]), VALUES, max_size=3).map(Document), max_size=5)


def told(document: Document) -> bytes | None:
    """Return what is stored of the document, None if it cannot be."""
    try:
        return encode_entity(document)
    except InvalidDocument:
        return None


@given(DOCUMENTS, st.data())
def test_nothing_that_has_changed_is_overlooked(documents: list[Document], data: st.DataObject) -> None:
    now = [told(document) for document in documents]
    then = [data.draw(st.sampled_from([b"{}", b'{"a":null}', *([] if line is None else [line] * 3)])) for line in now]
    snapshots = [Snapshot(before, before) for before in then]
    for snapshot in snapshots:
        if data.draw(st.booleans()):
            packed(snapshot)
    found = changed_lines(documents, snapshots)
    assert list(found) == sorted(found)
    for place, (line, before, snapshot) in enumerate(zip(now, then, snapshots, strict=True)):
        assert place in found or line == before
        if found.get(place) is not None:
            assert line is not None
            assert found[place] == line
            assert not is_same(decode(line), decode(before))
        assert snapshot.known == before


@pytest.mark.parametrize(
    ("now", "then", "line"),
    [
        ({"a": 2, "b": None}, b'{"a":1,"b":null}', b'{"a":2,"b":null}'),
        ({"a": -0.0}, b'{"a":0.0}', b'{"a":-0.0}'),
        ({"a": True}, b'{"a":1}', b'{"a":true}'),
        ({"a": None, "b": NAN}, b'{"a":null,"b":null}', None),
        ({"a": [None], "b": 1}, b'{"a":[null],"b":2}', None),
        ({1: 2}, b'{"1":2}', None),
        ({"a": 1 << 64}, b'{"a":18446744073709551616}', None),
        ({"a": 1}, b'{"a":18446744073709551616}', None),
        ({"a": b""}, b'{"a":""}', None),
        ({"a": datetime(2026, 1, 1, tzinfo=timezone.utc)}, b'{"a":"2026-01-01T00:00:00Z"}', None),
        ({"b": 1, "a": 2}, b'{"a":2,"b":1}', None),
        ({"a": 2, "b": 1}, b'{"a":1,"b":2}', None),
        ({"a": 1, METADATA: {}}, b'{"a":1}', None),
        ({"a": Text("x")}, b'{"a":"y"}', None),
        ({"a": object()}, b'{"a":1}', None),
    ],
)
def test_what_is_told_at_a_glance_and_what_is_not(now: Any, then: bytes, line: bytes | None) -> None:
    around = Document(a=1)
    known = [Snapshot(one, one) for one in (b'{"a":1}', then, b'{"a":1}')]
    assert changed_lines([around, Document(now), around], known) == {1: line}


@pytest.mark.parametrize("now", [{"a": 1, "b": [2]}, {"a": 1, "b": (2,)}, {"a": 1, "b": {2}}])
def test_what_makes_the_same_json_as_before_is_unchanged(now: Any) -> None:
    assert changed_lines([Document(now)], [Snapshot(b'{"a":1,"b":[2]}', b"{}")]) == {}


@given(DOCUMENTS)
def test_many_at_once_are_what_each_is_alone(documents: list[Document]) -> None:
    alone = [told(document) for document in documents]
    if None not in alone:
        assert encode_entities(documents) == alone
        return
    with pytest.raises(InvalidDocument):
        encode_entities(documents)


def test_what_is_json_already_is_no_value() -> None:
    with pytest.raises(InvalidDocument):
        encode_entities([Document(a=Raw(b"1\n")), Document(b=2)])


def test_dicts_with_a_mind_of_their_own_are_encoded_alone() -> None:
    assert encode_entities([Named(a=1), {"b": 2}]) == [b'{"a":1}', b'{"b":2}']
    with pytest.raises(InvalidDocument, match="set"):
        encode_entities([{"b": 2}, Named(a={1})])


def test_fields_and_methods_of_documents_may_have_the_names_of_those_of_dicts() -> None:
    class Order(Document):
        items: Any = 5

        def values(self) -> Any:
            raise AssertionError

        get = keys = values  # type: ignore[assignment]  # as programs may

    orders = [Order({"items": None, "get": 1}), Order({"items": [None], "get": 2})]
    known = [b'{"items":null,"get":1}', b'{"items":[null],"get":2}']
    assert encode_entities(orders) == known
    assert changed_lines(orders, [Snapshot(line, line) for line in known]) == {}


@dataclass
class Point:
    x: float | None
    y: float | None = None


@pytest.mark.parametrize(
    ("point", "known", "same"),
    [
        (Point(1.0), b'{"x":1.0,"y":null}', True),
        (Point(None), b'{"x":null,"y":null}', True),
        (Point(NAN), b'{"x":null,"y":null}', False),
        (Point(2.0, 1.0), b'{"x":1.0,"y":1.0}', False),
        (Point({1: object()}), b"{}", False),  # type: ignore[arg-type]  # which is what is to be found
    ],
)
def test_objects(point: Point, known: bytes, same: bool) -> None:
    assert is_as_it_was(point, None, known, bytearray(b"anything")) is same


@dataclass
class First:
    id: str | None
    x: Any = 1


@dataclass
class Middle:
    y: int
    id: str | None
    x: Any = 1


@dataclass
class Last:
    x: Any = 1
    id: str | None = "p/1"


@dataclass
class Keyless:
    x: Any = 1


@pytest.mark.parametrize(
    ("entity", "known", "same"),
    [
        (First("p/1"), b'{"x":1}', True),
        (First("p/2"), b'{"x":1}', False),
        (First("p/1", 2), b'{"x":1}', False),
        (First("p/1", 11), b'{"x":1}', False),
        (First("p/1", [None]), b'{"x":[null]}', False),
        (First("p/1", None), b'{"x":null}', True),
        (Last(), b'{"x":1}', True),
        (Last(id="p/2"), b'{"x":1}', False),
        (Last(id=None), b'{"x":1}', False),
        (Last(2), b'{"x":1}', False),
        (Last(11), b'{"x":1}', False),
        (Middle(2, "p/1"), b'{"y":2,"x":1}', False),
        (Keyless(), b'{"x":1}', True),
        (Keyless(2), b'{"x":1}', False),
        (Keyless(11), b'{"x":1}', False),
    ],
)
def test_objects_among_whose_fields_the_key_is(entity: Any, known: bytes, same: bool) -> None:
    assert is_as_it_was(entity, "p/1", known, bytearray(b"anything")) is same


def test_objects_whose_key_is_not_told_yet() -> None:
    assert is_as_it_was(Last(), None, b'{"x":1}', bytearray()) is False
    assert is_as_it_was(Last(id=None), None, b'{"x":1}', bytearray()) is True


def test_objects_with_sets() -> None:
    room = bytearray()
    assert is_as_it_was(Last({"y"}), "p/1", b'{"x":["y"]}', room) is True
    assert is_as_it_was(Last({"z"}), "p/1", b'{"x":["y"]}', room) is False
    assert is_as_it_was(Last({"y", "z"}), "p/1", b'{"x":["y"]}', room) is False


def test_an_object_that_cannot_be_encoded_is_not_taken_for_the_one_before() -> None:
    room = bytearray()
    known = b'{"x":1}'
    assert is_as_it_was(Keyless(), "p/1", known, room)
    assert not is_as_it_was(Keyless(object()), "p/1", known, room)
    assert not is_as_it_was(object(), "p/1", known, room)
