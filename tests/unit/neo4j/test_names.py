from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession import ConfigurationError
from evsession.neo4j.names import check_database, quote


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("Dog", "Dog"),
        ("_a1", "_a1"),
        ("a b", "`a b`"),
        ("`", "````"),
        ("1a", "`1a`"),
        ("\n", "`\n`"),
        ("ü", "`ü`"),
        ("a\\b", "`a\\b`"),
    ],
)
def test_names_are_quoted_where_they_must_be(name: str, quoted: str) -> None:
    assert quote(name) == quoted


@pytest.mark.parametrize(
    "name", ["", None, 1, b"a", "a\0b", "\\u0060", "x\\U0060", "\ud800", "a " * 20_000], ids=lambda n: repr(n)[:20]
)
def test_what_can_be_no_name_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="a label"):
        quote(name, "a label")


@given(st.text(min_size=1).filter(lambda t: "\0" not in t and "\\u" not in t.lower() and t.isprintable()))
def test_no_name_ends_its_quotes(name: str) -> None:
    quoted = quote(name)
    if quoted != name:
        assert quoted[0] == quoted[-1] == "`"
        assert "`" not in quoted[1:-1].replace("``", "")
        assert quoted[1:-1].replace("``", "`") == name


@pytest.mark.parametrize("name", ["", None, "a\nb", "..", 7])
def test_databases_have_names(name: Any) -> None:
    with pytest.raises(ConfigurationError):
        check_database(name)


def test_a_database_may_have_any_name_that_is_printable() -> None:
    assert check_database("my graph") == "my graph"
