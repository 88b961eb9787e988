"""Snapshots: whatever was read is JSON again when it is asked for, in whichever form it is kept."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from evsession.raven.snapshots import Snapshot, keep, packed
from evsession.wire.json import decode, encode

HUGE = 1 << 64

ROWS = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(ROWS)
def test_what_is_kept_comes_back_to_the_byte(row: dict[str, Any]) -> None:
    read = decode(encode(row))
    kept = keep(read, bytearray(b"anything"))
    snapshot = Snapshot(kept, kept)
    assert snapshot.known == snapshot.raw == encode(row)


@given(ROWS)
def test_what_was_sent_is_the_same_after_it_was_compared(row: dict[str, Any]) -> None:
    sent = encode(row)
    snapshot = Snapshot(sent, sent)
    kept = packed(snapshot)
    assert snapshot.known == snapshot.raw == sent
    assert kept is None or (kept is snapshot.kept is snapshot.row and kept == keep(row, bytearray()))


def test_a_number_that_msgpack_lacks_is_kept_as_json() -> None:
    kept = keep({"n": HUGE}, bytearray())
    assert kept == b'{"n":18446744073709551616}'
    snapshot = Snapshot(kept, kept)
    assert packed(snapshot) is None
    assert snapshot.known is kept


def test_a_row_of_which_the_entity_holds_a_part_stays_by_itself() -> None:
    snapshot = Snapshot(b'{"a":1}', b'{"a":1,"more":2}')
    assert packed(snapshot) == packed(snapshot) == keep({"a": 1}, bytearray())
    assert (snapshot.known, snapshot.raw) == (b'{"a":1}', b'{"a":1,"more":2}')
