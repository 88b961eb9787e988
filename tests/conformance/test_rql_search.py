"""``search`` in RQL: words, phrases in quotes, stars."""

from __future__ import annotations

from typing import Any

import pytest

from tests.backends import Backend
from tests.conformance.asked import Asked

pytestmark = pytest.mark.since("7.1")

TEXTS: dict[str, Any] = {
    "fox": "the quick brown fox",
    "turned": "brown quick fox",
    "quick": "Quick",
    "between": "quick red brown",
    "longer": "quickly browned reds",
    "joined": "a brown-quick thing",
    "quoted": 'say "quick brown" now',
    "stop": "quick the brown",
    "list": ["quick", "brown"],
    "deep": [["red"], [5, "brown", None, "2020-01-01", "fox"]],
    "again": "quick brown quick red",
    "empty": "",
    "null": None,
    "number": 7,
}
BROWN = {"again", "between", "deep", "fox", "joined", "list", "quoted", "stop", "turned"}
QUICK = {"again", "between", "fox", "joined", "list", "quick", "quoted", "stop", "turned"}
RED = {"again", "between", "deep"}
PHRASE = {"again", "fox", "list", "quoted", "stop"}
TURNED = {"again", "joined", "turned"}


@pytest.fixture(scope="session")
def asked(shared_backend: Backend) -> Any:
    """The database."""
    with shared_backend.fresh_database() as name:
        yield Asked(shared_backend, name, {"Texts": {key: {"text": text, "o": {"t": text}} for key, text in TEXTS.items()}})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"quick brown"', PHRASE),
        ('"QUICK, brown"', PHRASE),
        ('" quick  brown "', PHRASE),
        ('"quick the brown"', PHRASE),
        ('"quick-brown"', PHRASE),
        ('"brown quick"', TURNED),
        ('"quick fox"', {"turned"}),
        ('"quick brown fox"', {"fox"}),
        ('"quick quick"', set()),
        ('"brown quick red"', {"again"}),
        ('"red 5"', {"deep"}),
        ('"5 brown"', {"deep"}),
        ('"brown fox"', {"fox"}),
        ('"quick"', QUICK),
        ('"the quick"', QUICK),
        ('"7"', {"number"}),
        ('"2020-01-01"', {"deep"}),
        ('"the"', set()),
        ('""', set()),
        ('" "', set()),
        ('"*"', set()),
        ("quick-brown", PHRASE),
        ("brown_quick", TURNED),
        ('"quick brown', PHRASE),
        ('quick brown"', QUICK | BROWN),
        ('"quick brown" "brown quick"', PHRASE | TURNED),
        ('"quick brown"red', PHRASE | RED),
        ('red"quick brown"', PHRASE | RED),
        ('"quick brown"~2', PHRASE),
        ('"quick \\"brown"', PHRASE),
        ('\\"quick brown\\"', QUICK | BROWN),
        ('\\\\"quick brown"', PHRASE),
        ('\\"quick brown"', QUICK | BROWN),
        ('"quick* brown"', PHRASE),
        ('"quick ** brown"', PHRASE),
        ('"*quick brown*"', PHRASE),
        ('"?uick brown"', set()),
        ('"red*"', RED | {"longer"}),
        ('"red b*"', RED | {"longer"}),
        ('"*brown*"', BROWN),
        ('"*row*"', set()),
        ("*row*", BROWN | {"longer"}),
        ("*ed", RED | {"longer"}),
        ("red*", RED | {"longer"}),
        ('"red"*', set(TEXTS)),
        ("“quick brown”", QUICK | BROWN),
    ],
)
def test_what_is_searched(asked: Asked, text: str, found: set[str]) -> None:
    assert set(asked.keys("from Texts where search(text, $t)", t=text)) == found
    assert set(asked.keys("from Texts where exists(o) and search(o.t, $t)", t=text)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"quick brown" red', {"again"}),
        ('"quick brown" "brown fox"', {"fox"}),
        ('"quick" "brown"', (QUICK & BROWN)),
        ("brown-quick red", {"again"}),
        ('"red b*"', RED | {"longer"}),
        ('"the" fox', {"deep", "fox", "turned"}),
        ('"" fox', {"deep", "fox", "turned"}),
    ],
)
def test_all_of_it(asked: Asked, text: str, found: set[str]) -> None:
    assert set(asked.keys("from Texts where search(text, $t, and)", t=text)) == found


def test_phrases_within_conditions(asked: Asked) -> None:
    phrase = "search(text, '\"quick brown\"')"
    assert set(asked.keys(f"from Texts where true and not {phrase}")) == set(TEXTS) - PHRASE
    assert set(asked.keys(f"from Texts where {phrase} and search(text, 'fox')")) == {"fox"}
    assert set(asked.keys(f"from Texts where exact({phrase})")) == PHRASE


def test_fields_of_an_index(backend: Backend, database: str) -> None:
    texts = {"1": "the quick brown fox", "2": "quick brown", "3": "Quick-Brown", "4": "quick"}
    asked = Asked(backend, database, {"Texts": {key: {"cut": text, "whole": text} for key, text in texts.items()}})
    maps = ["from t in docs.Texts select new { t.cut, t.whole, strict = t.whole }"]
    fields = {"cut": {"Indexing": "Search"}, "strict": {"Indexing": "Exact"}}
    index = {"Name": "Cut", "Maps": maps, "Fields": fields}
    backend.ask("PUT", f"{asked.path}/admin/indexes", {"Indexes": [index]})

    def found(field: str, text: str) -> set[str]:
        return set(asked.keys(f"from index 'Cut' where search({field}, $t)", t=text))

    assert found("cut", '"quick brown"') == {"1", "2", "3"}
    assert found("whole", '"QUICK brown"') == {"2"}
    assert found("whole", "quick-brown") == {"3"}
    assert found("whole", '"quick b*"') == {"2"}
    assert found("whole", "qui*") == {"2", "3", "4"}
    assert found("strict", '"quick brown"') == {"2"}
    assert found("strict", '"QUICK brown"') == set()


def test_phrases_in_an_index_of_several_maps(backend: Backend, database: str) -> None:
    asked = Asked(backend, database, {"Dogs": {"d": {"text": "quick brown"}}, "Cats": {"c": {"name": "quick brown"}}})
    maps = ["map('Dogs', d => ({ text: d.text }))", "map('Cats', c => ({ name: c.name }))"]
    fields = {"text": {"Indexing": "Search"}, "name": {"Indexing": "Search"}}
    backend.ask("PUT", f"{asked.path}/admin/indexes", {"Indexes": [{"Name": "Both", "Maps": maps, "Fields": fields}]})
    assert asked.keys("from index 'Both' where search(name, '\"quick brown\"')") == ["c"]
    assert asked.keys("from index 'Both' where true and not search(name, '\"quick brown\"')") == ["d"]
