"""Cutting an array into items: whole, byte by byte, truncated, and what is none."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.embedded.app.items import ItemSplitter

ARRAY = b' [ {"a":"x]}\\"{[","b":[1,{"c":[]}]} , {"e":"\\\\"},{} \n ] trailing ]['
ITEMS = [b'{"a":"x]}\\"{[","b":[1,{"c":[]}]}', b'{"e":"\\\\"}', b"{}"]


def split(*pieces: bytes) -> tuple[list[bytes], bool]:
    splitter = ItemSplitter()
    items = [item for piece in pieces for item in splitter.feed(piece)]
    return items, splitter.is_done


def test_whole() -> None:
    assert split(ARRAY) == (ITEMS, True)


def test_byte_by_byte() -> None:
    assert split(*(ARRAY[i : i + 1] for i in range(len(ARRAY)))) == (ITEMS, True)


@pytest.mark.parametrize("at", range(len(ARRAY)))
def test_in_two_pieces(at: int) -> None:
    assert split(ARRAY[:at], ARRAY[at:]) == (ITEMS, True)


@pytest.mark.parametrize("at", range(ARRAY.index(b"trailing") - 1))
def test_truncated_is_not_done(at: int) -> None:
    items, is_done = split(ARRAY[:at])
    assert items == ITEMS[: len(items)]
    assert not is_done


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"[1]",
        b'["a"]',
        b"[[1]]",
        b"zz",
        b"[{}}",
        b"[{},x]",
        b"]",
        b'"',
        b"[}",
    ],
)
def test_what_is_no_array_of_objects(text: bytes) -> None:
    with pytest.raises(ValueError, match="expected an array of objects"):
        split(text)


def test_holds_only_what_is_not_whole() -> None:
    splitter = ItemSplitter()
    assert splitter.feed(b'[{"a":1},{"b"') == [b'{"a":1}']
    assert len(splitter) == len(b'{"b"')


VALUES = st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=5), st.lists(st.integers(0, 400), max_size=4))
def test_any_array_in_any_pieces(objects: list[dict[str, object]], cuts: list[int]) -> None:
    text = json.dumps(objects).encode()
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    items, is_done = split(*(text[a:b] for a, b in itertools.pairwise(places)))
    assert [json.loads(item) for item in items] == objects
    assert is_done
