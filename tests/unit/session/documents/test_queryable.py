"""node-ravendb's ways of asking a list of documents."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from evsession import Document, Queryable
from evsession.raven.codec import set_key


def dog(key: str, **fields: Any) -> Document:
    document = Document(fields)
    set_key(document, key)
    return document


MAX, JESS, BILLY = (
    dog("dogs/max", name="Max", age=12),
    dog("dogs/jess", name="Jess", age=7),
    dog("dogs/billy", name="Billy", age=2),
)
DOGS = Queryable([MAX, JESS, BILLY])
NONE: Queryable[Document] = Queryable()


class Mute(msgspec.Struct):
    name: str


def is_old(document: Document) -> bool:
    return bool(document.age > 5)


def is_unknown(document: Document) -> bool:
    return bool(document.age > 50)


def test_all_any_exists_count() -> None:
    assert (DOGS.all(is_old), DOGS.all(lambda one: one.age), NONE.all(is_old)) == (False, True, True)
    assert (DOGS.any(), NONE.any(), DOGS.any(is_old), DOGS.any(is_unknown)) == (True, False, True, False)
    assert (DOGS.exists(is_old), DOGS.exists(is_unknown)) == (True, False)
    assert (DOGS.count(), DOGS.count(is_old), NONE.count()) == (3, 2, 0)
    assert (DOGS.is_empty(), NONE.is_empty()) == (False, True)


def test_slices_can_be_asked_too() -> None:
    assert DOGS[0] is MAX
    assert DOGS[1:].first() is JESS
    assert DOGS[-1:].select("name") == [BILLY.name]


def test_keys_of_those_that_do_not_hold_theirs() -> None:
    mute = [Mute("a"), Mute("b")]
    found = Queryable(mute, {id(mute[0]): "mutes/a", id(mute[1]): "mutes/b"})
    assert found.load("Mutes/B") is mute[1]
    assert found[1:].load("mutes/b") is mute[1]
    assert found.where(lambda one: one.name == "a").load("mutes/a") is mute[0]
    assert (found.load("mutes/c"), Queryable(mute).load("mutes/a")) == (None, None)


def test_first_last_single() -> None:
    assert (DOGS.first(), DOGS.first(lambda one: one.age < 10), DOGS.first(is_unknown), NONE.first()) == (MAX, JESS, None, None)
    assert (DOGS.last(), DOGS.last(is_old), DOGS.last(is_unknown), NONE.last()) == (BILLY, JESS, None, None)
    assert DOGS.single(lambda one: one.name == "Max") is MAX
    assert (DOGS.single(is_unknown), NONE.single()) == (None, None)
    with pytest.raises(ValueError, match="more than one: 2"):
        DOGS.single(is_old)
    with pytest.raises(ValueError, match="more than one: 3"):
        DOGS.single()


def test_element_at_and_random() -> None:
    assert [DOGS.element_at(index) for index in (0, 2, 3, -1, -4)] == [MAX, BILLY, None, BILLY, None]
    assert DOGS.random() in DOGS
    assert DOGS.random(lambda one: one.age == 7) is JESS
    assert (DOGS.random(is_unknown), NONE.random()) == (None, None)


def test_load_by_key_in_any_case() -> None:
    assert DOGS.load("DOGS/Max") is MAX
    assert DOGS.load("dogs/gone") is None
    assert DOGS.load(None) is None
    projected = Document({"__document_id": "dogs/max", "age": 12})
    assert Queryable([Document(), projected]).load("dogs/max") is projected


def test_select_and_where_give_queryables() -> None:
    assert DOGS.select("name") == ["Max", "Jess", "Billy"]
    assert DOGS.select("breed") == [None, None, None]
    assert DOGS.select(lambda one: one.age + 1).first() == 13
    assert Queryable([3, 4j]).select("imag") == [0, 4]
    assert DOGS.where(is_old).where(lambda one: one.age < 10).first() is JESS
