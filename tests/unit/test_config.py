"""Conventions and options: names, checks, freezing."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from evsession import Store
from evsession.config import ID_STRATEGIES, Conventions, Options, SessionOptions, check_separator, check_strategy
from evsession.errors import ConfigurationError

SETTINGS = (Conventions, SessionOptions, Options)


def test_defaults() -> None:
    assert (Conventions().id_separator, Conventions().id_generation_strategy) == ("/", "auto")
    options = Options()
    assert (options.cache, options.use_optimistic_concurrency, options.timeout, options.max_connections) == (
        True,
        False,
        None,
        64,
    )


def test_no_limit() -> None:
    assert Options(timeout=None, connect_timeout=None).connect_timeout is None


def test_values_are_set_from_a_mapping_keywords_or_attributes() -> None:
    options = Options({"timeout": 3}, cache=False)
    options.max_connections = 5
    assert (options.timeout, options.cache, options.max_connections) == (3.0, False, 5)
    assert isinstance(options.timeout, float)


@pytest.mark.parametrize("strategy", [*ID_STRATEGIES, lambda document: "x"])
def test_strategies(strategy: Any) -> None:
    assert Conventions(id_generation_strategy=strategy).id_generation_strategy is strategy
    assert check_strategy("x", strategy) is strategy


async def make_later(_: object) -> str:
    return "a key"


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("id_separator", ""),
        ("id_separator", "a|"),
        ("id_separator", "\n"),
        ("id_separator", None),
        ("id_generation_strategy", "random"),
        ("id_generation_strategy", None),
        ("id_generation_strategy", make_later),
    ],
)
def test_bad_conventions(name: str, bad: Any) -> None:
    conventions = Conventions()
    with pytest.raises(ConfigurationError, match=name):
        setattr(conventions, name, bad)
    assert getattr(conventions, name) == getattr(Conventions(), name)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("cache", 1),
        ("use_optimistic_concurrency", None),
        ("timeout", 0),
        ("timeout", -1),
        ("timeout", "5"),
        ("timeout", True),
        ("timeout", float("inf")),
        ("timeout", float("nan")),
        ("connect_timeout", []),
        ("max_connections", 0),
        ("max_connections", 1.5),
        ("max_connections", True),
        ("max_header_size", None),
        ("max_body_size", "1"),
    ],
)
def test_bad_options(name: str, bad: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Options({name: bad})


@pytest.mark.parametrize("cls", SETTINGS)
def test_unknown_names_are_never_ignored(cls: Any) -> None:
    for attempt in (lambda: cls(tiemout=1), lambda: cls({"tiemout": 1}), lambda: setattr(cls(), "tiemout", 1)):
        with pytest.raises(ConfigurationError, match=r"unknown .*'tiemout'; there are: "):
            attempt()


@pytest.mark.parametrize("cls", SETTINGS)
def test_frozen_settings_do_not_change(cls: Any) -> None:
    settings = cls()
    settings._freeze()
    for name in cls._fields:
        with pytest.raises(ConfigurationError, match="frozen"):
            setattr(settings, name, getattr(settings, name))


def test_settings_are_not_deleted() -> None:
    with pytest.raises(ConfigurationError, match="cannot be deleted"):
        del Options().cache


def test_settings_are_those_of_instances() -> None:
    with pytest.raises(AttributeError, match="'options' is an attribute of instances"):
        _ = Store.options


def test_a_session_copies_what_it_knows() -> None:
    options = Options(timeout=3, max_connections=5)
    options._freeze()
    own = options._copy_as(SessionOptions)
    own.timeout = 4
    assert (type(own), own.timeout, options.timeout) == (SessionOptions, 4.0, 3.0)


def test_repr_shows_all() -> None:
    assert repr(SessionOptions()) == "SessionOptions(cache=True, use_optimistic_concurrency=False, timeout=None)"


def test_checks_by_themselves() -> None:
    assert check_separator("s", "::") == "::"
    with pytest.raises(ConfigurationError, match="'s'"):
        check_separator("s", 5)


@pytest.mark.parametrize("cls", SETTINGS)
def test_docstrings_describe_every_setting(cls: Any) -> None:
    described = set(re.findall(r"^    (\w+):", inspect.getdoc(cls) or "", re.MULTILINE))
    described |= {name for base in cls.__mro__[1:] for name in getattr(base, "_fields", ())}
    assert described == set(cls._fields)
