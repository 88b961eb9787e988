"""Which texts are keys, and what a new document asks for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.config import Conventions
from evsession.errors import ConfigurationError
from evsession.raven.document import Document, DocumentType
from evsession.raven.keys import KeySource, check_key, check_new_key, is_server_made, key_from_id, new_key, separator_of
from evsession.raven.types import info_of

GOOD = [
    "dogs/max",
    "a|b",
    "trail ",
    " lead",
    "emo/🐶",
    "per%20cent",
    "..",
    "a\\b",
    "a\"'b",
    "x" * 512,
    "é" * 256,
    "\u2028x",
    "a?b#c&d",
]
BAD = ["", " ", "\xa0", "a\x00b", "a\nb", "a\x7fb", "a\x85b", "x" * 513, "é" * 257, "\ud800x", None, 5, b"x"]


@pytest.mark.parametrize("key", GOOD)
def test_keys_that_the_server_keeps(key: str) -> None:
    assert check_key(key) == key
    assert check_new_key(key) == key


@pytest.mark.parametrize("key", BAD)
def test_what_is_no_key(key: Any) -> None:
    with pytest.raises(ConfigurationError):
        check_key(key)
    with pytest.raises(ConfigurationError):
        check_new_key(key)


@pytest.mark.parametrize("key", ["dogs/", "dogs|", "/", "a|b/"])
def test_new_keys_are_whole(key: str) -> None:
    assert check_key(key) == key
    with pytest.raises(ConfigurationError, match="the server would make the rest") as caught:
        check_new_key(key)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("id", "separator", "key"),
    [
        ("Max", "/", "dogs/max"),
        ("Max", "-", "dogs-max"),
        ("Max", "--", "dogs--max"),
        ("dogs/Max", "/", "dogs/Max"),
        ("DOGS/Max", "/", "DOGS/Max"),
        ("cats/Tom", "/", "cats/Tom"),
        ("Dogs-Max", "-", "Dogs-Max"),
        ("dogs/1", "-", "dogs/1"),
        ("cats/1", "-", "dogs-cats/1"),
        ("a b", "/", "dogs/a b"),
    ],
)
def test_keys_from_ids(id: str, separator: str, key: str) -> None:
    assert key_from_id(id, "Dogs", separator) == key


def test_without_a_collection_the_id_is_the_key() -> None:
    assert key_from_id("Max", None, "/") == "Max"


@pytest.mark.parametrize("id", ["", "dogs/", "x|", "é" * 255])
def test_ids_that_make_no_key(id: str) -> None:
    with pytest.raises(ConfigurationError):
        key_from_id(id, "Dogs", "/")


@given(st.text(min_size=1, max_size=100), st.sampled_from(["/", "-", "_", "::"]))
def test_a_key_made_from_an_id_makes_itself(id: str, separator: str) -> None:
    try:
        key = key_from_id(id, "Dogs", separator)
    except ConfigurationError:
        return
    assert key_from_id(key, "Dogs", separator) == key
    assert not is_server_made(key)


def ask(document: Any, **conventions: Any) -> Any:
    return new_key(document, info_of(document), Conventions(**conventions))


Dog = DocumentType("Dog")


@pytest.mark.parametrize(
    ("strategy", "key"),
    [("auto", "dogs|"), ("server", "dogs/"), ("guid", None), ("hilo", KeySource.HILO), (lambda dog: "x/y", "x/y")],
)
def test_strategies(strategy: Any, key: Any) -> None:
    assert ask(Dog(), id_generation_strategy=strategy) == key
    assert ask(DocumentType("Dog", id_generation_strategy=strategy)()) == key
    assert ask(Dog(id="Max"), id_generation_strategy=strategy) == "dogs/max"


def test_the_types_options_go_first() -> None:
    own = DocumentType("Dog", id_separator="-", id_generation_strategy="server")
    assert ask(own(id="Max"), id_separator="::") == "dogs-max"
    assert ask(own(), id_separator="::", id_generation_strategy="guid") == "dogs/"
    assert ask(Dog(id="Max"), id_separator="::") == "dogs::max"
    assert ask(Dog(), id_separator="::") == "dogs|"


def test_the_key_function() -> None:
    named = DocumentType("Dog", key=lambda dog: dog.get("name"))
    assert ask(named(name="Max")) == "dogs/max"
    assert ask(named(name="Max", id="Other")) == "dogs/other"
    assert ask(named()) == "dogs|"
    for bad in (5, ""):
        with pytest.raises(ConfigurationError):
            ask(named(name=bad))


def test_a_callable_strategy_returns_a_whole_key() -> None:
    for bad in (None, "dogs/", 5):
        with pytest.raises(ConfigurationError):
            ask(Dog(), id_generation_strategy=lambda dog, bad=bad: bad)


def test_without_a_collection_the_server_makes_a_guid() -> None:
    for document in (Document(a=1), {"a": 1}):
        assert ask(document) is None
        assert ask(document, id_generation_strategy="hilo") is None
        assert new_key(document, None, Conventions(), collection="Big Dogs") == "big dogs|"
    assert ask(Document(id="whole")) == "whole"
    assert ask(Document(), id_generation_strategy=lambda document: "k") == "k"


def test_a_collection_beside_the_types() -> None:
    assert new_key(Dog(id="Max"), info_of(Dog), Conventions(), collection="Cats") == "cats/max"


@pytest.mark.parametrize(("key", "made"), [(None, True), ("dogs|", True), ("dogs/", True), ("dogs/max", False)])
def test_server_made(key: str | None, made: bool) -> None:
    assert is_server_made(key) is made


def test_the_separator_of_a_type() -> None:
    own = DocumentType("Dog", id_separator="-")
    assert separator_of(own(), Conventions()) == "-"
    assert separator_of(Dog(), Conventions(id_separator="::")) == "::"
    assert separator_of({}, Conventions()) == "/"
