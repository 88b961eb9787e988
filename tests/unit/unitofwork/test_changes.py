"""What counts as a difference, and how programs look changes up."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.unitofwork.changes import MISSING, Change, Changes, diff, is_same

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2, allow_nan=False) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (0.0, -0.0),
        (float("nan"), 0.0),
        (1, True),
        (0, False),
        (None, False),
        ("1", 1),
        ([1], [1.0]),
        ([1], [1, 1]),
        ([[1], [2]], [[1, 2]]),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": None}),
        ({}, []),
        ({"a": {"b": [1, {"c": 0}]}}, {"a": {"b": [1, {"c": False}]}}),
    ],
)
def test_values_that_a_database_tells_apart_differ(one: Any, other: Any) -> None:
    assert not is_same(one, other)
    assert not is_same(other, one)


def test_values_that_nest_deeper_than_functions_may() -> None:
    one: Any = 1
    other: Any = 2
    for _ in range(2_000):
        one, other = [{"a": one}], [{"a": other}]
    assert is_same(one, one)
    assert not is_same(one, other)


@given(VALUES)
def test_a_copy_is_the_same(value: Any) -> None:
    assert is_same(value, copy.deepcopy(value))


def test_the_order_of_names_is_no_difference() -> None:
    assert is_same({"a": 1, "b": 2}, {"b": 2, "a": 1})


def test_a_field_is_set_changed_or_taken_out() -> None:
    assert diff({"same": [1], "gone": None, "deep": {"a": [1]}}, {"same": [1], "deep": {"a": [2]}, "new": None}) == {
        "deep": ({"a": [1]}, {"a": [2]}),
        "new": (MISSING, None),
        "gone": (None, MISSING),
    }


@given(ROWS, ROWS)
def test_the_differences_lead_from_one_to_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    result = dict(old)
    for name, change in diff(old, new).items():
        assert is_same(old.get(name, MISSING), change.old)
        assert not is_same(change.old, change.new)
        if change.new is MISSING:
            del result[name]
        else:
            result[name] = change.new
    assert is_same(result, new)


def test_missing_is_one_thing_and_says_its_name() -> None:
    assert repr(MISSING) == "MISSING"
    assert not MISSING
    assert pickle.loads(pickle.dumps(MISSING)) is MISSING
    assert copy.deepcopy(MISSING) is MISSING


def test_changes_are_looked_up_by_place_key_and_entity() -> None:
    class Equal:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = object.__hash__

    one, two = Equal(), Equal()
    first, second = {"a": Change(1, 2)}, {"b": Change(3, MISSING)}
    changes = Changes([one, two], ["things/1", None], [first, second])
    assert changes[0] == first
    assert changes[-1] == second
    assert changes[0:2] == [first, second]
    assert changes["things/1"] == first
    assert changes[two] == second
    assert list(changes) == [first, second]
    assert len(changes) == 2
    assert repr(changes) == "Changes([('things/1', {'a': Change(old=1, new=2)}), (None, {'b': Change(old=3, new=MISSING)})])"
    for unknown in ("things/2", Equal(), None):
        with pytest.raises(KeyError):
            changes[unknown]


def test_changes_are_there_to_be_read() -> None:
    changes: Any = Changes([object()], ["things/1"], [{"a": Change(1, 2)}])
    for one in (changes[0], changes["things/1"], changes[:1][0], next(iter(changes))):
        with pytest.raises(TypeError, match="does not support item assignment"):
            one["a"] = Change(1, 3)
    assert list(changes) == [{"a": (1, 2)}]
