"""The identity map against a plain model, by random programs; and the letters that RavenDB takes for the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from evsession.errors import KeyConflict
from evsession.unitofwork.identity_map import IdentityMap, fold
from evsession.unitofwork.tracking import Tracked


class Picture:
    known = b"{}"


class Entity:
    """An object with nothing but an identity."""


def tracked(key: str | None, entity: object = None) -> Tracked[Any]:
    return Tracked(entity or Entity(), key, None, None, {})


KEYS = st.sampled_from(["dogs/max", "DOGS/MAX", "dogs/jess", "Dogs/Jess", "straße", "STRASSE", "strasse", "İx", "i̇x"])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("dogs/max", "DOGS/Max", True),
        ("straße", "STRAẞE", True),
        ("straße", "strasse", False),
        ("İx", "i̇x", False),
        ("ΑΣ", "ας", False),
        ("éa", "ÉA", True),
        (" a", "a", False),
    ],
)
def test_letters_are_compared_one_by_one_without_case(one: str, other: str, same: bool) -> None:
    assert (fold(one) == fold(other)) is same


def test_a_new_entity_without_a_key_is_known_by_its_identity_only() -> None:
    known = IdentityMap[Any]()
    one, two = tracked(None), tracked(None)
    known.add(one)
    known.add(two)
    assert list(known) == [one, two]
    assert known.of(one.entity) is one
    assert known.of(Entity()) is None
    known.remove(one)
    known.remove(one)
    assert list(known) == [two]


def test_what_is_learnt_is_found_under_its_folded_key() -> None:
    known = IdentityMap[Any]()
    row = tracked("Straße/1")
    assert known.find(fold("Straße/1")) is None
    known.learn(fold("Straße/1"), row)
    assert known.find(fold("STRAẞE/1")) is row
    assert known.get("straße/1") is row
    assert known.of(row.entity) is row
    assert known.find("Straße/1") is None


def test_a_conflict_changes_nothing() -> None:
    known = IdentityMap[Any]()
    first, second = tracked("a"), tracked("b")
    known.add(first)
    known.add(second)
    with pytest.raises(KeyConflict):
        known.add(tracked("A"))
    with pytest.raises(KeyConflict):
        known.rekey(second, "A")
    assert (known.get("a"), known.get("b"), second.key, len(known)) == (first, second, "b", 2)


def test_replace_keeps_key_and_facts() -> None:
    known = IdentityMap[Any]()
    one = tracked("a")
    before, after = one.entity, Entity()
    known.add(one)
    known.replace(one, after)
    assert known.of(before) is None
    assert known.of(after) is known.get("a") is one
    known.clear()
    assert len(known) == 0
    assert known.get("a") is None


def test_repr_tells_new_from_known() -> None:
    assert repr(tracked("a")) == "<Tracked 'a' new>"
    assert repr(Tracked(Entity(), "a", "A:1", Picture(), {})) == "<Tracked 'a' version A:1>"


class MapMachine(RuleBasedStateMachine):
    """Random programs of add, rekey, replace and remove; the model is a list of (entity, key)."""

    items = Bundle("items")

    def __init__(self) -> None:
        super().__init__()
        self.map: IdentityMap[Any] = IdentityMap()
        self.model: dict[int, Tracked[Any]] = {}

    def owner(self, key: str) -> Tracked[Any] | None:
        return next((item for item in self.model.values() if item.key is not None and fold(item.key) == fold(key)), None)

    @rule(target=items, key=st.none() | KEYS)
    def add(self, key: str | None) -> Tracked[Any]:
        item = tracked(key)
        if key is not None and self.owner(key) is not None:
            with pytest.raises(KeyConflict):
                self.map.add(item)
        else:
            self.map.add(item)
            self.model[id(item)] = item
        return item

    @rule(item=items, key=st.none() | KEYS)
    def rekey(self, item: Tracked[Any], key: str | None) -> None:
        if id(item) not in self.model:
            return
        rival = None if key is None else self.owner(key)
        if rival is not None and rival is not item:
            before = item.key
            with pytest.raises(KeyConflict):
                self.map.rekey(item, key)
            assert item.key == before
        else:
            self.map.rekey(item, key)
            assert item.key == key

    @rule(item=items)
    def remove(self, item: Tracked[Any]) -> None:
        self.map.remove(item)
        self.model.pop(id(item), None)

    @rule(item=items)
    def replace(self, item: Tracked[Any]) -> None:
        if id(item) in self.model:
            self.map.replace(item, Entity())

    @invariant()
    def agrees(self) -> None:
        assert {id(item) for item in self.map} == set(self.model)
        assert len(self.map) == len(self.model)
        for item in self.model.values():
            assert self.map.of(item.entity) is item
        keys: list[Any] = ["dogs/max", "dogs/jess", "straße", "strasse", "İx", "i̇x"]
        for key in keys:
            assert self.map.get(key) is self.owner(key)


TestMap = MapMachine.TestCase
TestMap.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_key_goes_back_to_the_last_that_has_left_it() -> None:
    known: IdentityMap[Any] = IdentityMap()
    first, second, third = (tracked("dogs/max") for _ in range(3))
    for one in (first, second, third):
        known.add(one)
        one.is_removed = True
    assert known.former("DOGS/max") == (first, second)
    known.remove(first)
    known.remove(third)
    assert (known.get("dogs/max"), known.former("dogs/max"), list(known)) == (second, (), [second])


def test_a_key_is_taken_from_an_entity_and_given_again() -> None:
    known: IdentityMap[Any] = IdentityMap()
    one, other = tracked("dogs/max"), tracked(None)
    known.add(one)
    known.add(other)
    known.rekey(one, None)
    assert (one.key, known.get("dogs/max"), list(known)) == (None, None, [one, other])
    known.rekey(other, "dogs/max")
    assert known.get("dogs/max") is other


def test_what_is_not_known_has_its_key_for_itself() -> None:
    known: IdentityMap[Any] = IdentityMap()
    one = tracked(None)
    known.add(one)
    known.remove(one)
    known.rekey(one, "dogs/max")
    assert (one.key, known.get("dogs/max"), len(known)) == ("dogs/max", None, 0)


def test_an_object_that_is_known_anew_stays_when_the_old_is_forgotten() -> None:
    known: IdentityMap[Any] = IdentityMap()
    old = tracked("dogs/max")
    new = tracked("dogs/max", old.entity)
    known.add(old)
    known.remove(old)
    known.add(new)
    known.remove(old)
    assert (known.of(new.entity), known.get("dogs/max")) == (new, new)
