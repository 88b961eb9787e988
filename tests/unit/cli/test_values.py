from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from evsession.cli.values import assigned, parse_value
from tests.unit.cli.jsons import texts, values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5.5", -5.5),
        ('"5"', "5"),
        ("5 TO 10", "5 TO 10"),
        ("Lab*", "Lab*"),
        ("true", True),
        ("True", "True"),
        ("null", None),
        ("", ""),
        ('["a", 1]', ["a", 1]),
        ("[5 TO 10]", "[5 TO 10]"),
        ('{"a": 1}', {"a": 1}),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("[" * 5000, "[" * 5000),
        ("\udce4", "\udce4"),  # an argument that is no UTF-8
    ],
)
def test_examples(text: str, value: Any) -> None:
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@given(values)
def test_json_is_what_it_says(value: Any) -> None:
    assert parse_value(json.dumps(value)) == value


@given(texts)
def test_a_text_in_quotes_is_a_text_whatever_it_looks_like(text: str) -> None:
    assert parse_value(json.dumps(text)) == text


@given(texts)
def test_nothing_is_refused(text: str) -> None:
    value = parse_value(text)
    assert value == text or json.loads(text) == value


def test_names_and_values() -> None:
    assert assigned(["age=5", "a=b=c", "none=", "x.y=[1]"]) == {"age": 5, "a": "b=c", "none": "", "x.y": [1]}
    assert assigned([]) == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a=1", "age"], "'age' is not NAME=VALUE"),
        (["=5"], "'=5' is not NAME=VALUE"),
        ([""], "'' is not NAME=VALUE"),
        (["a=1", "a=2"], "'a' is given twice"),
    ],
)
def test_what_is_no_assignment(arguments: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        assigned(arguments)
