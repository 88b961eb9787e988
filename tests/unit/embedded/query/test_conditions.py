"""Conditions: which documents they find, with terms that are kept and without."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.embedded.failures import RavenFailure
from evsession.embedded.query import functions, kept
from tests.unit.embedded.query.shelf import Shelf

DOGS: dict[str, Any] = {
    "max": {"name": "Max", "age": 12, "tags": ["red", "old"], "at": "2012-04-13T08:30:00Z", "first name": "Maximilian"},
    "jess": {"name": "Jess", "age": 7, "tags": ["red"], "at": "2012-04-13", "owner": {"name": "Olga"}},
    "billy": {"name": "billy", "age": 1.5, "tags": [], "at": "2013-01-01", "vets": [{"fee": 5}, {"fee": 20}]},
    "anna": {"name": None, "age": "7", "flag": True, "vets": [{"fee": 10}], '"; drop': "x", "a'b": 1, "$": 2},
    "ghost": {"age": None, "flag": "true", "tags": ["Red", None], "text": "the red dog", "\u00fc": "u"},
    "zoe": {"name": "", "age": -3, "big": 12345678901234567890, "text": "red"},
}


@pytest.fixture(params=["read", "kept"])
def dogs(shelf: Shelf, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ask for documents, with and without terms that are kept."""
    monkeypatch.setattr(kept, "ENOUGH", 1)
    for key, document in DOGS.items():
        shelf.put(f"dogs/{key}", document)
    shelf.put("cats/max", {"name": "Max"}, "Cats")

    def find(where: str, **parameters: Any) -> list[str]:
        if request.param == "kept":
            shelf.keys(f"from Dogs where {where}", **parameters)
            shelf.maintain()
            assert not shelf.engine.wants_maintenance
            shelf.keys(f"from Dogs where {where}", **parameters)
            assert not shelf.engine.wants_maintenance
        return sorted(shelf.keys(f"from Dogs where {where}", **parameters))

    return find


EVERYONE = sorted(DOGS)


@pytest.mark.parametrize(
    ("where", "p", "expected"),
    [
        ("name = $p", "MAX", ["max"]),
        ("exact(name = $p)", "MAX", []),
        ("exact(name = $p)", "Max", ["max"]),
        ("exact(name in ($p))", ["Max", "BILLY"], ["max"]),
        ("exact(true and name = $p)", "Max", ["max"]),
        ("boost(name = $p, 5)", "max", ["max"]),
        ("boost(name = 'x', 2) or not (name != $p) or age != 7", "max", ["anna", "billy", "ghost", "max", "zoe"]),
        ("boost(name = $p, 2) or name != 'jess'", "max", ["anna", "billy", "ghost", "max", "zoe"]),
        ("true and not (boost(name = $p, 2)) or age != 7", "max", ["anna", "billy", "ghost", "jess", "max", "zoe"]),
        ("exact(name != $p) or age = 12345", "Max", ["anna", "billy", "jess", "zoe"]),
        ("name = $p", None, ["anna"]),
        ("name != $p", "max", ["anna", "billy", "ghost", "jess", "zoe"]),
        ("name != $p", None, ["billy", "ghost", "jess", "max", "zoe"]),
        ("name != $p or name = 'x'", "max", ["anna", "billy", "jess", "zoe"]),
        ("name = $p", "", ["zoe"]),
        ("age = $p", 7, ["jess"]),
        ("age = $p", 1, ["billy"]),
        ("age = $p", 1.0, []),
        ("age = $p", "7", ["anna", "jess"]),
        ("age in ($p)", [7.0], ["anna", "jess"]),
        ("age in ($p)", [1.5, 12.0], ["billy", "max"]),
        ("age in ($p)", [None], ["ghost"]),
        ("age in ($p)", [], []),
        ("age in ($p)", [{}], []),
        ("age in (7, 12)", 0, ["anna", "jess", "max"]),
        ("age > $p", 7, ["max"]),
        ("age >= $p", 1.5, ["billy", "jess", "max"]),
        ("age < $p", 1.5, ["zoe"]),
        ("age between -3 and 1", 0, ["billy", "zoe"]),
        ("age between $p and $seven", None, ["billy", "jess", "zoe"]),
        ("age between $seven and $p", None, ["ghost", "jess", "max"]),
        ("age between null and null", None, ["anna", "billy", "ghost", "jess", "max", "zoe"]),
        ("age > 1.4 and age < 7.5", 0, ["billy", "jess"]),
        ("age < 7.5 and age > 1.4", 0, ["billy", "jess"]),
        ("age <= 12 and name = 'max' and age > 3", 0, ["max"]),
        ("name >= $p", "jess", ["jess", "max"]),
        ("name < $p", "jess", ["billy", "zoe"]),
        ("name between 'a' and 'k'", 0, ["billy", "jess"]),
        ("tags = $p", "RED", ["ghost", "jess", "max"]),
        ("tags all in ($p)", ["red", "old"], ["max"]),
        ("tags[] = $p", "old", ["max"]),
        ("exists(tags)", 0, ["ghost", "jess", "max"]),
        ("true and not exists(tags)", 0, ["anna", "billy", "zoe"]),
        ("exists(name)", 0, ["anna", "billy", "jess", "max", "zoe"]),
        ("at = $p", "2012-04-13T10:30:00+02:00", ["max"]),
        ("at > $p", "2012-04-13T00:00:00", ["billy", "max"]),
        ("at in ($p)", ["2012-04-13"], ["jess"]),
        ("at < $p", "2012-04-13T08:30:00Z", ["jess"]),
        ("flag = $p", True, ["anna", "ghost"]),
        ("flag = true", 0, ["anna", "ghost"]),
        ("flag = $p", {}, []),
        ("owner.name = $p", "olga", ["jess"]),
        ("vets[].fee > $p", 10, ["billy"]),
        ("vets.fee between 8 and 12", 0, ["anna"]),
        ("big = $p", 12345678901234567890, ["zoe"]),
        ("startsWith(name, $p)", "MA", ["max"]),
        ("startsWith(name, $p)", "", ["zoe"]),
        ("startsWith(name, $p)", "\ud7ff", []),
        ("startsWith(name, $p)", "\U0010ffff", []),
        ("startsWith(name, $p)", "a\U0010ffff", []),
        ("endsWith(name, $p)", "Y", ["billy"]),
        ("endsWith(name, $p)", "", ["zoe"]),
        ("true and not startsWith(name, $p)", "m", ["billy", "jess", "zoe"]),
        ("true and not endsWith(name, $p)", "y", ["jess", "max", "zoe"]),
        ("regex(name, $p)", "^(max|JESS)\\z", ["jess", "max"]),
        ("regex(name, $p)", "ss\\Z", ["jess"]),
        ("regex(name, $p)", "\\d", []),
        ("regex(name, $p)", "(?<twice>s)\\k<twice>", ["jess"]),
        ("regex(name, $p)", "(?<twice>l)\\k'twice'", ["billy"]),
        ("regex(name, $p)", "(s)\\k<1>|\\\\k<1>", ["jess"]),
        ("search(text, $p)", "red cat", ["ghost", "zoe"]),
        ("search(text, 'red dog', and)", 0, ["ghost"]),
        ("search(text, 'red dog', or)", 0, ["ghost", "zoe"]),
        ("search(text, $p)", "do*", ["ghost"]),
        ("search(text, $p)", "*og", ["ghost"]),
        ("search(text, $p)", "*o*", ["ghost"]),
        ("search(text, $p)", "*", ["ghost", "zoe"]),
        ("search(text, $p)", "the", []),
        ("search(name, $p)", " ", ["zoe"]),
        ("search(text, $p)", "dog-cat", []),
        ("id() = $p", "DOGS/max", ["max"]),
        ("id() = $p", 5, []),
        ("id() != $p", "dogs/max", ["anna", "billy", "ghost", "jess", "zoe"]),
        ("id() in ($p)", ["dogs/MAX", "cats/max", None], ["max"]),
        ("id() >= $p", "dogs/m", ["max", "zoe"]),
        ("id() between 'dogs/a' and 'DOGS/c'", 0, ["anna", "billy"]),
        ("id() between null and null", 0, EVERYONE),
        ("startsWith(id(), $p)", "DOGS/m", ["max"]),
        ("true and not startsWith(id(), $p)", "dogs/", []),
        ("endsWith(id(), $p)", "X", ["max"]),
        ("regex(id(), $p)", "a", ["anna", "max"]),
        ("search(id(), $p)", "dogs/max", ["max"]),
        ("exists(id())", 0, EVERYONE),
        ("id() != 'dogs/max' or name = 'max'", 0, EVERYONE),
        ("'first name' = $p", "maximilian", ["max"]),
        ("'\"; drop' = $p", "x", ["anna"]),
        ("'a\\'b' = $p", 1, ["anna"]),
        ("'$' = $p", 2, ["anna"]),
        ("ü = $p", "u", ["ghost"]),
        ("Name = $p", "max", []),
        ("name = $p or age = 7", "max", ["jess", "max"]),
        ("name = $p and age = 12 and true", "max", ["max"]),
        ("true", 0, EVERYONE),
    ],
)
def test_finds(dogs: Any, where: str, p: Any, expected: list[str]) -> None:
    assert dogs(where, p=p, seven=7) == expected


@pytest.mark.parametrize(
    ("where", "kind", "message"),
    [
        ("name = $q", "InvalidQueryException", "Value of parameter 'q' was not provided"),
        ("name = other", "InvalidQueryException", "Expected value, but got: <Field>: other"),
        ("name = id(other, 'x', 5)", "InvalidQueryException", "Expected value, but got: <Field>: id(other, 'x', Value"),
        ("name = $list", "InvalidQueryException", "Parameter value '[1,2]' of type Sparrow.Json.BlittableJsonReaderArray"),
        ("name in ($kinds)", "InvalidQueryException", 'Expected query parameter to be Long but was String: "x"'),
        ("name in (1, 'x')", "InvalidQueryException", "got values of the following types: Value,Value"),
        ("name in (1, $one)", "InvalidQueryException", "Incompatible types"),
        ("name between 1 and 'x'", "InvalidQueryException", "Incompatible types"),
        ("name all in ($empty)", "IndexOutOfRangeException", "Index was outside the bounds of the array."),
        ("name > null", "NotSupportedException", "Unhandled operation: GreaterThan"),
        ("name > null and name < 5", "NotSupportedException", "Unhandled operation: GreaterThan"),
        ("name", "InvalidQueryException", "Expected operator after 'name' field, but found nothing."),
        ("5", "InvalidQueryException", "Expected operator after"),
        ("5 = 5", "InvalidQueryException", "Expected a field name"),
        ("startsWith(name)", "InvalidQueryException", "Method startsWith() expects second argument to be provided"),
        ("startsWith(name, 5)", "InvalidQueryException", "of type String while it got Long"),
        ("startsWith(name, 5.5)", "InvalidQueryException", "of type String while it got Double"),
        ("startsWith(name, null)", "InvalidQueryException", "of type String while it got Null"),
        ("startsWith(name, true)", "InvalidQueryException", "of type String while it got True"),
        ("startsWith(name, $object)", "InvalidQueryException", "of type String while it got Object"),
        ("exists()", "InvalidQueryException", "Method exists() expects a field name as its first argument"),
        ("exact(name)", "InvalidQueryException", "Unable to understand query"),
        ("boost(name = 1)", "InvalidQueryException", "requires two arguments, but was called with 1"),
        ("nosuch(name)", "NotSupportedException", "Method 'nosuch' is not supported."),
        ("nosuch(name) = 1", "NotSupportedException", "Method 'nosuch' is not supported."),
        ("lucene(name, 'x')", "InvalidQueryException", "Method 'Lucene' is not supported."),
        ("spatial.within(name, 'x')", "NotSupportedException", "The embedded server of evsession does not support"),
        ("regex(name, '(')", "RegexParseException", "Invalid pattern '('"),
        (r"regex(name, '\\k<none>')", "RegexParseException", "unknown group"),
        (f"regex(name, '{'a' * 10_001}')", "RegexParseException", "longer than"),
    ],
)
def test_what_cannot_be_asked(shelf: Shelf, where: str, kind: str, message: str) -> None:
    parameters = {"list": [1, 2], "kinds": [1, "x"], "one": 1, "empty": [], "object": {}}
    with pytest.raises(RavenFailure) as caught:
        shelf.page(f"from Dogs where {where}", parameters)
    assert caught.value.status == 500
    assert caught.value.type.rpartition(".")[2] == kind
    assert message in caught.value.message


def test_an_alias(shelf: Shelf) -> None:
    shelf.put("dogs/1", {"name": "Max", "d": 5})
    assert shelf.keys("from Dogs as d where d.name = 'max' and name = 'max' and 'd.x' = null or d = 5") == ["1"]
    with pytest.raises(RavenFailure, match=r"Unknown alias x, but there are aliases specified in the query \(d\)"):
        shelf.page("from Dogs as d where x.name = 'max'")


def test_a_pattern_that_takes_too_long_matches_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "PATTERN_TIMEOUT", 0.001)
    shelf.put("dogs/1", {"name": "a" * 200})
    assert shelf.keys("from Dogs where regex(name, '(a|aa|aaa)+$x')") == []


@pytest.mark.parametrize("count", [1, 40])
def test_depth_is_limited_by_a_clear_failure(shelf: Shelf, count: int) -> None:
    condition = "true"
    for _ in range(count):
        condition = f"(a = 1 or (b = 2 and not ({condition} or c = 3)))"
    if count == 1:
        assert shelf.keys(f"from Dogs where {condition}") == []
        return
    with pytest.raises(RavenFailure, match="nested so deeply"):
        shelf.page(f"from Dogs where {condition}")


def test_many_conditions(shelf: Shelf) -> None:
    shelf.put("dogs/1", {"n": 2999})
    assert shelf.keys("from Dogs where " + " or ".join(f"n = {number}" for number in range(3000))) == ["1"]


def test_documents_that_are_nested_deeply_are_not_searched(shelf: Shelf) -> None:
    shelf.put("dogs/1", '{"n": ' + "[" * 900 + "1" + "]" * 900 + "}")
    shelf.put("dogs/2", '{"n": ' + "[" * 20000 + "1" + "]" * 20000 + "}")
    shelf.put("dogs/3", {"n": 1})
    shelf.put("dogs/4", '{"n": ' + "1" * 5000 + "}")
    assert shelf.page("from Dogs where n = 1").total >= 1
    assert shelf.page("from Dogs where true order by n").total == 4


@given(name=st.text(max_size=8), value=st.text(max_size=8))
def test_names_and_values_are_no_sql(name: str, value: str) -> None:
    shelf = Shelf()
    shelf.put("dogs/1", {name: value})
    written = name.replace("\\", "\\\\").replace("'", "\\'")
    found = shelf.keys(f"from Dogs where exact('{written}' = $p)", p=value)
    plain = bool(name) and not any(character in name for character in ".[]")
    assert found == (["1"] if plain else found)
    shelf.storage.close()
