"""The JSON codec: what it keeps, and what it refuses."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.errors import InvalidDocument, ProtocolError
from evsession.wire.json import (
    MAX_DEPTH,
    Raw,
    check,
    decode,
    decode_object,
    encode,
    encode_each,
    encode_exact,
    from_builtins,
    is_storable,
    to_builtins,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Real(float):
    pass


class Size(IntEnum):
    SMALL = 1


class Colour(Enum):
    RED = "red"


class Odd(Enum):
    A = (1j,)


@dataclass
class Point:
    x: Any
    y: Any = None


@attrs.define
class Pair:
    a: Any


class Record(msgspec.Struct):
    a: Any


def exactly(value: Any) -> Any:
    """Return the value in a form in which 1, 1.0, True and the order of names differ."""
    return json.dumps(value)


def loop() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["a"] = [value]
    return value


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": [value]}
    return value


@given(VALUES)
def test_json_values_come_back(value: Any) -> None:
    assert exactly(decode(encode(value))) == exactly(value)
    assert exactly(json.loads(encode(value))) == exactly(value)
    assert encode_exact({"a": value}) == encode({"a": value})
    check(value)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64 + 1, -(10**40), 1e308, 5e-324, -0.0])
def test_numbers_keep_every_digit(number: Any) -> None:
    assert repr(decode(encode({"n": number}))["n"]) == repr(number)


def test_text_is_sent_raw() -> None:
    assert encode("🐶é") == '"🐶é"'.encode()
    assert decode(b'"\\ud83d\\udc36"') == "🐶"
    assert decode(memoryview(b"[1]")) == [1]


@pytest.mark.parametrize("data", [b"", b"{", b"nonsense", b'"\xff"', b"[" * 100_000])
def test_what_is_no_json(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="not JSON"):
        decode(data)


def test_raw_is_copied() -> None:
    assert encode({"a": Raw(b'{"b": 1}')}) == b'{"a":{"b": 1}}'


ODD = {
    "text": (Text("x"), '"x"'),
    "whole": (Whole(3), "3"),
    "real": (Real(1.5), "1.5"),
    "size": (Size.SMALL, "1"),
    "colour": (Colour.RED, '"red"'),
    "tuple": ((1, (2,)), "[1,[2]]"),
    "ordered": (OrderedDict(a=1), '{"a":1}'),
    "date": (dt.date(2012, 4, 13), '"2012-04-13"'),
    "time": (dt.time(1, 2), '"01:02:00"'),
    "span": (dt.timedelta(1), '"P1D"'),
    "decimal": (Decimal("1.10"), '"1.10"'),
    "uuid": (uuid.UUID(int=0), '"00000000-0000-0000-0000-000000000000"'),
    "bytes": (b"x", '"eA=="'),
    "name": ({Text("n"): 1}, '{"n":1}'),
    "dataclass": (Point(1, [Point(2)]), '{"x":1,"y":[{"x":2,"y":null}]}'),
    "attrs": (Pair((1,)), '{"a":[1]}'),
    "struct": (Record("é"), '{"a":"é"}'),
}


@pytest.mark.parametrize("name", ODD)
def test_values_with_a_form_of_their_own(name: str) -> None:
    value, text = ODD[name]
    assert encode_exact({"a": value}).decode() == f'{{"a":{text}}}'
    assert encode_exact({"a": [value]}).decode() == f'{{"a":[{text}]}}'


def test_of_many_at_once_odd_ones_are_left_out() -> None:
    values: list[dict[str, Any]] = [{"a": 1}, {"a": {1}}, {"a": None, "b": [None]}, {"a": None}]
    assert encode_each(values) == [b'{"a":1}', None, None, b'{"a":null}']
    assert encode_each([{"a": 1}, {"a": Text("b")}]) == [None, None]  # as nobody wants to know which of them is so rare
    assert encode_each([{"a": 1}, {"a": Raw(b"1\n")}]) == [None, None]
    assert encode_each([{"a": None}, {"a": Raw(b"\nnull")}, {"b": float("nan")}]) == [None, None, None]
    assert encode_each([{"a": None}, {"a": 1, "b": float("nan")}]) == [b'{"a":null}', None]
    assert encode_each([{"a": None}, {"b": float("nan")}]) == [b'{"a":null}', None]
    assert encode_each([{"a": object()}]) == [None]
    assert encode_each([{"a": dt.date(2012, 4, 13), "b": [Decimal("1.50")]}]) == [b'{"a":"2012-04-13","b":["1.50"]}']
    assert encode_each([{"a": {dt.date(2012, 4, 13): 1}}]) == [None]
    assert encode_each([]) == []


BAD = {
    "nan": (float("nan"), "nan has no form"),
    "infinity": (float("inf"), "inf has no form"),
    "real": (Real("-inf"), "-inf has no form"),
    "set": ({1}, "type set"),
    "frozenset": (frozenset(), "type frozenset"),
    "object": (object(), "type object"),
    "surrogate": ("ab\udc36", "half a surrogate pair at 2"),
    "surrogate in a name": ({"ab\udc36": 1}, "half a surrogate pair at 2"),
    "complex": (1j, "type complex"),
    "function": (len, "type builtin_function_or_method"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (lambda bad: {"a": bad}, "a"),
        (lambda bad: {"a": {"b": [1, {"c": bad}]}, "z": 1}, "a.b[1].c"),
        (lambda bad: {"": [[], ["x", (1.5, bad)]]}, "[1][1][1]"),
    ],
)
def test_what_json_lacks_is_refused_with_its_path(name: str, wrap: Any, path: str) -> None:
    bad, reason = BAD[name]
    for refuse in (check, encode_exact):
        with pytest.raises(InvalidDocument, match=reason) as caught:
            refuse(wrap(bad))
        assert caught.value.path == path
        assert str(caught.value).startswith(f"cannot be stored: {path}: ")
    with pytest.raises(InvalidDocument, match=reason) as caught:
        check(bad)
    assert (caught.value.path, str(caught.value)[:18]) == ("", "cannot be stored: ")


@pytest.mark.parametrize("name", [1, None, True, 1.5, (1, 2), b"x"])
def test_names_are_strings(name: Any) -> None:
    with pytest.raises(InvalidDocument, match="names are strings") as caught:
        encode_exact({"a": {name: 1}})
    assert caught.value.path == "a"


@pytest.mark.parametrize("bad", [Point(float("nan")), Pair([float("inf")]), Record(Point("\ud800"))])
def test_objects_are_looked_into(bad: Any) -> None:
    with pytest.raises(InvalidDocument) as caught:
        encode_exact({"a": bad})
    assert caught.value.path.startswith("a.")


def test_objects_of_what_cannot_be_stored() -> None:
    with pytest.raises(InvalidDocument, match="object cannot be stored") as caught:
        encode_exact({"a": Point(object())})
    assert caught.value.path == "a"


@pytest.mark.parametrize("value", [loop(), {"a": [loop()]}, {"a": deep(5000)}])
def test_cycles_end(value: Any) -> None:
    with pytest.raises(InvalidDocument, match="contains itself") as caught:
        encode_exact(value)
    assert caught.value.path.endswith("...")
    assert len(caught.value.path) < 100


def test_lists_that_contain_themselves() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InvalidDocument, match="contains itself"):
        encode_exact({"a": value})
    with pytest.raises(InvalidDocument, match="contains itself"):
        to_builtins(value)


def test_ordinary_nesting_is_fine() -> None:
    value = deep(MAX_DEPTH // 2)
    check(value)
    assert decode(encode_exact(value)) == value


def test_names_of_a_subclass_of_str_are_names() -> None:
    check({Text("a"): {Text("b"): 1}})


def test_what_is_encoded_but_not_decoded_is_looked_at() -> None:
    with pytest.raises(InvalidDocument, match="a value of type Raw"):
        encode_exact({"a": Raw(b"nonsense")})


def test_what_only_the_encoder_refuses() -> None:
    with pytest.raises(InvalidDocument, match="cannot be stored: complex"):
        encode({"a": Odd.A})


def test_to_builtins() -> None:
    assert to_builtins(Point({1: Record(2)}, {"b", "a"}), in_order=True) == {"x": {"1": {"a": 2}}, "y": ["a", "b"]}
    assert list(to_builtins({"b": 1, "a": Text("x")})) == ["b", "a"]
    assert to_builtins([object()], hook=lambda value: "seen") == ["seen"]
    with pytest.raises(InvalidDocument, match="object cannot be stored"):
        to_builtins(object())


def test_from_builtins() -> None:
    assert from_builtins({"x": 1}, Point) == Point(1)
    assert from_builtins({"1": "2012-04-13"}, dict[int, dt.date]) == {1: dt.date(2012, 4, 13)}
    assert from_builtins(1, complex, lambda cls, value: cls(value)) == 1 + 0j


def refuse(cls: type, value: Any) -> Any:
    failure = InvalidDocument("b.c: no good" if value else "nothing")
    failure.path = "b.c" if value else ""
    raise failure


@pytest.mark.parametrize(
    ("value", "cls", "path", "text"),
    [
        ({}, Point, "x", "x: Object missing required field `x`"),
        ([{}], list[Point], "[0].x", "[0].x: Object missing required field `x`"),
        ([1, "2"], list[int], "[1]", "[1]: Expected `int`, got `str`"),
        ("x", int, "", "Expected `int`, got `str`"),
        ({"a": 1}, dict[str, complex], "[...].b.c", "[...].b.c: no good"),
        (0, complex, "", "nothing"),
    ],
)
def test_what_does_not_fit_is_named(value: Any, cls: Any, path: str, text: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        from_builtins(value, cls, refuse)
    assert (caught.value.path, str(caught.value)) == (path, text)


def test_storable_classes() -> None:
    assert all(is_storable(cls) for cls in (Point, Pair, Record))
    assert not any(is_storable(cls) for cls in (int, dict, object))


def test_answers_that_must_be_objects() -> None:
    assert decode_object(b'{"a":1}') == {"a": 1}
    for body in (b"[]", b"1", b"null"):
        with pytest.raises(ProtocolError, match="not a JSON object"):
            decode_object(body)
