"""Terms: what a value is compared as."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.embedded.query.terms import Term, decode_body, stored, terms_of, text_of, ticks_of, values_at, words

NOON = 634_699_152_000_000_000


@pytest.mark.parametrize(
    ("written", "terms"),
    [
        ("1", [Term("1", 1, 1.0)]),
        ("1.50", [Term("1.5", 1, 1.5)]),
        ("-1.5", [Term("-1.5", -1, -1.5)]),
        ("10.0", [Term("10", 10, 10.0)]),
        ("100", [Term("100", 100, 100.0)]),
        ("1E5", [Term("1e5", 100_000, 1e5)]),
        ("-0.0", [Term("-0", 0, -0.0)]),
        ("1e300", [Term("1e300", 2**63 - 1, 1e300)]),
        ("-1e300", [Term("-1e300", -(2**63), -1e300)]),
        ("12345678901234567890", [Term("12345678901234567890", 2**63 - 1, 12345678901234567890.0)]),
        ("1" + "0" * 400, [Term("1" + "0" * 400, 2**63 - 1, sys.float_info.max)]),
        ("-1" + "0" * 400, [Term("-1" + "0" * 400, -(2**63), -sys.float_info.max)]),
        ('"Max"', [Term("max")]),
        ('""', [Term("")]),
        ("true", [Term("true")]),
        ("false", [Term("false")]),
        ("null", [Term(None)]),
        ('{"x": 1}', [Term("json_value")]),
        ("[]", []),
        ('["b", ["A", "b"], null]', [Term("b"), Term("a"), Term(None)]),
        ('"2012-04-13T12:00:00.0000000Z"', [Term("2012-04-13T12:00:00.0000000Z", NOON, float(NOON))]),
        ('"2012-04-13T14:00:00+02:00"', [Term("2012-04-13T12:00:00.0000000Z", NOON, float(NOON))]),
        ('"2012-04-13T10:30:00.5-01:30"', [Term("2012-04-13T12:00:00.5000000Z", NOON + 5_000_000, float(NOON + 5_000_000))]),
        ('"2012-04-13T12:00:00"', [Term("2012-04-13T12:00:00.0000000", NOON, float(NOON))]),
        ('"0001-01-01"', [Term("0001-01-01", 0, 0.0)]),
        ('"08:30:00"', [Term("08:30:00", 306_000_000_000, 306_000_000_000.0)]),
        ('"1.00:00:00"', [Term("1.00:00:00", 864_000_000_000, 864_000_000_000.0)]),
    ],
)
def test_of_a_value(written: str, terms: list[Term]) -> None:
    assert terms_of(decode_body(f'{{"v": {written}}}'), "v", "fold") == terms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "2012-04",
        "2012-04-31",
        "2012-04-13 12:00",
        "2012-04-13T25:00:00",
        "2012-04-13T12:60:00",
        "12345678",
        "08:30",
        "\u0661\u0662:00:00",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert ticks_of(text) is None


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", [1]),
        ("o.p", [{"q": 2}]),
        ("o.p.q", [2]),
        ("o.x", []),
        ("a.x", []),
        ("list.n", [1, 2]),
        ("list[].n", [1, 2, "s", None]),
        ("list[]", [[{"n": 1}, {"n": 2}, "s", None]]),
        ("a[]", []),
        ("list.Count", [4]),
        ("text.Length", [5]),
        ("text.x", []),
        ("nested.n", [3]),
        ("x.y", []),
        ("'x.y'", [5]),
        ("'a'", [1]),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    document = {
        "a": 1,
        "o": {"p": {"q": 2}},
        "list": [{"n": 1}, {"n": 2}, "s", None],
        "text": "abcde",
        "nested": [[{"n": 3}]],
        "x.y": 5,
    }
    assert values_at(document, path) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Max Power", ["max", "power"]),
        ("the cat and a dog", ["cat", "dog"]),
        ("x-ray dogs/1 wi-fi a_b ab_1 3,5 1-2-x 5-a-6", ["x", "ray", "dogs/1", "wi", "fi", "b", "ab_1", "3,5", "1-2-x", "5-a-6"]),
        ("a1-b c-d2 x-1-y-2-z 1-y-2-z-3", ["a1-b", "c-d2", "x-1-y-2-z", "1-y-2-z-3"]),
        ("O'Reilly's AT&T me@x.org www.x.org U.S.A.", ["o'reilly", "at&t", "me@x.org", "www.x.org", "usa"]),
        ("... --", []),
        ("Äpfel", ["äpfel"]),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_analyzers() -> None:
    document = {"v": ["Big Dog", "", "2012-04-13"]}
    ticks = ticks_of("2012-04-13") or 0
    day = Term("2012-04-13", ticks, float(ticks))
    assert terms_of(document, "v", "exact") == [Term("Big Dog"), Term(""), day]
    assert terms_of(document, "v", "words") == [Term("big"), Term("dog"), Term(""), day]


def test_texts_keep_their_order_when_they_are_stored() -> None:
    texts = ["", "\0", "\0\0", "\0a", "\1", "\1\1", "\2", "a", "a\0"]
    assert sorted(texts, key=stored) == texts
    assert len({stored(text) for text in texts}) == len(texts)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_fraction_in_a_query_has_the_text_of_one_in_a_document(value: float) -> None:
    (term,) = terms_of(decode_body(json.dumps({"v": value})), "v", "fold")
    assert term.text == text_of(value)
    assert term.fraction == value


@given(st.text())
def test_any_text_has_words_without_spaces(text: str) -> None:
    assert all(word and " " not in word for word in words(text))
