import contextlib
import datetime
import decimal
import enum
import re
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.errors import QueryError
from evsession.raven.conditions import AnyOf, Equals, Exists, OneOf, Pattern, Prefix, Range, Suffix
from evsession.raven.lucene import parse_value


class Colour(enum.Enum):
    RED = "R*"
    ONE = 1


class Kind(str, enum.Enum):
    LAB = "Lab*"


class Name(str):
    pass


@pytest.mark.parametrize(
    ("value", "condition"),
    [
        # ranges
        ("5 TO 12", Range(5.0, 12.0)),
        ("[5 TO 12]", Range(5.0, 12.0)),
        ("{5 TO 12}", Range(5.0, 12.0, False, False)),
        ("[5 TO 12}", Range(5.0, 12.0, True, False)),
        ("{5 TO 12]", Range(5.0, 12.0, False, True)),
        (" [ 5   TO\t12 ] ", Range(5.0, 12.0)),
        ("[-1.5 TO +2e3]", Range(-1.5, 2000.0)),
        ("[* TO 5]", Range(None, 5.0)),
        ("{5 TO NULL}", Range(5.0, None, False, False)),
        ("[* TO NULL]", Exists()),
        ("* TO *", Exists()),
        ("[Ix5 TO Dx1.5]", Range(5.0, 1.5)),
        ("[Lx5 TO Fx.5]", Range(5.0, 0.5)),
        ("[0x00000005 TO 0x0000000C]", Range(5.0, 12.0)),
        ("[0xFFFFFFFF TO 0xfffffffffffffffe]", Range(-1.0, -2.0)),
        ("[0x7fffffffffffffff TO *]", Range(2**63 - 1, None)),
        ("[9007199254740993 TO *]", Range(9007199254740993, None)),
        ("[9007199254740992 TO *]", Range(9007199254740992.0, None)),
        ("[123456789012345678901 TO *]", Range(123456789012345678901.0, None)),
        ("[1e999 TO *]", Range("1e999", None)),
        ("[5 TO abc]", Range("5", "abc")),
        ("a TO b", Range("a", "b")),
        ("2012-01-01 TO 2012-12-31", Range("2012-01-01", "2012-12-31")),
        ('["a b" TO "c \\"d"]', Range("a b", 'c "d')),
        ('"a b" TO "c d"', Range("a b", "c d")),
        ('["*" TO "NULL"]', Range("*", "NULL")),
        (r"[\* TO \[x]", Range("*", "[x")),
        # wildcards
        ("Lab*", Prefix("Lab")),
        ("Golden R*", Prefix("Golden R")),
        ("Lab**", Prefix("Lab")),
        ("*dor", Suffix("dor")),
        ("*", Exists()),
        ("**", Exists()),
        ("*bra*", Pattern(r"(?s)^.*bra.*\z")),
        ("L?b*r", Pattern(r"(?s)^L.b.*r\z")),
        ("?", Pattern(r"(?s)^.\z")),
        ("?*", Pattern(r"(?s)^..*\z")),
        ("*?", Pattern(r"(?s)^.*.\z")),
        ("a.b+c?", Pattern(r"(?s)^a\u002eb\u002bc.\z")),
        (r"a\*b*", Prefix("a*b")),
        (r"C:\dogs\*", Equals(r"C:\dogs*")),
        # phrases, escapes and constants
        ('"Golden Retriever"', Equals("Golden Retriever")),
        ('"Lab*"', Equals("Lab*")),
        ('"[5 TO 12]"', Equals("[5 TO 12]")),
        (r'"a \"b\" c"', Equals('a "b" c')),
        (r"\*", Equals("*")),
        (r"a\:b", Equals("a:b")),
        (r"\(a\)", Equals("(a)")),
        (r"5 TO\ 12", Equals("5 TO 12")),
        ("[[NULL_VALUE]]", Equals(None)),
        ("[[EMPTY_STRING]]", Equals("")),
        # groups
        ("(a OR b)", OneOf(("a", "b"))),
        ("( a OR b || c )", OneOf(("a", "b", "c"))),
        ('("a b" OR c)', OneOf(("a b", "c"))),
        ('("a OR b")', Equals("a OR b")),
        ("(old)", Equals("old")),
        ("(Lab*)", Prefix("Lab")),
        ("(Lab* OR *dor)", AnyOf((Prefix("Lab"), Suffix("dor")))),
        ("(a OR Lab* OR b)", AnyOf((OneOf(("a", "b")), Prefix("Lab")))),
        ("([5 TO 7] OR 12)", AnyOf((Equals("12"), Range(5.0, 7.0)))),
        (r"(a\ b OR \(c\))", OneOf(("a b", "(c)"))),
        ('(")" OR "(")', OneOf((")", "("))),
        # ordinary text
        ("Max: the dog", Equals("Max: the dog")),
        ("a-b", Equals("a-b")),
        ("O'Neil", Equals("O'Neil")),
        ("C++ (old)", Equals("C++ (old)")),
        ("(030) 123-456", Equals("(030) 123-456")),
        ("[draft] plan", Equals("[draft] plan")),
        ('"Big" Al', Equals('"Big" Al')),
        ("[draft] p*", Prefix("[draft] p")),
        ("a OR b", Equals("a OR b")),
        ("from A TO B", Equals("from A TO B")),
        ("-5", Equals("-5")),
        ("5", Equals("5")),
        ("", Equals("")),
        (" ", Equals(" ")),
        (" x ", Equals(" x ")),
        ("back\\slash", Equals("back\\slash")),
        ("end\\", Equals("end\\")),
        ('say "hi"', Equals('say "hi"')),
        ("TO", Equals("TO")),
        ("\U0001f600", Equals("\U0001f600")),
    ],
)
def test_texts(value: Any, condition: Any) -> None:
    assert parse_value("f", value) == condition


@pytest.mark.parametrize(
    ("value", "condition"),
    [
        (None, Equals(None)),
        (True, Equals(True)),
        (7, Equals(7.0)),
        (-(2**53), Equals(float(-(2**53)))),
        (2**53 + 1, Equals(2**53 + 1)),
        (1.5, Equals(1.5)),
        (Colour.RED, Equals("R*")),
        (Colour.ONE, Equals(1.0)),
        (Kind.LAB, Equals("Lab*")),
        (Name("Lab*"), Prefix("Lab")),
        (datetime.datetime(2012, 5, 1, 12, 30), Equals("2012-05-01T12:30:00")),
        (datetime.date(2012, 5, 1), Equals("2012-05-01")),
        (datetime.timedelta(seconds=1), Equals("PT1S")),
        (decimal.Decimal("1.50"), Equals("1.50")),
        (uuid.UUID(int=1), Equals("00000000-0000-0000-0000-000000000001")),
        ([], OneOf(())),
        (["a", "Lab*"], OneOf(("a", "Lab*"))),
        ((1, 2.5), OneOf((1.0, 2.5))),
        ([1, "a", None, True, 2**60, None], AnyOf((OneOf((1.0,)), OneOf(("a",)), Equals(None), Equals(True), OneOf((2**60,))))),
        ([True, False], AnyOf((Equals(True), Equals(False)))),
        ([None], Equals(None)),
        ([Colour.RED], OneOf(("R*",))),
    ],
)
def test_other_values(value: Any, condition: Any) -> None:
    parsed = parse_value("f", value)
    assert parsed == condition
    assert repr(parsed) == repr(condition)  # 1, 1.0 and True are equal, but mean different things to the server


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("[5 TO 12", "[ is never closed"),
        ("{", "{ is never closed"),
        ("[", "[ is never closed"),
        ("[5]", "[...] is a range, which is written [low TO high]"),
        ("[]", "[...] is a range"),
        ("[5 TO ]", "[...] is a range"),
        ("[5 TO 6 TO 7]", "[...] is a range"),
        ('{"a": 1}', "{...} is a range"),
        ("[5 TO 12] x", "there is something after ]"),
        ("[5 TO 12]]", "] stands inside the range"),
        ("5 TO 12]", "] stands inside the range"),
        ("5 TO", "a range has two ends"),
        ("TO 12", "a range has two ends"),
        ('"Max', "the quote is never closed"),
        ('"', "the quote is never closed"),
        ('"a b"~3', "proximity and boost are not supported"),
        ('"a" OR "b"', "alternatives stand in parentheses"),
        ("(a OR b", "( is never closed"),
        ("(", "( is never closed"),
        ("(a OR b) OR c", "there is something after )"),
        ("()", "a group is written (a OR b)"),
        ("(a OR )", "a group is written (a OR b)"),
        ("(a OR (b OR c))", "a group is written (a OR b)"),
        ('(a OR "b)', "a group is written (a OR b)"),
        ("(a b)", "there is no OR before b"),
        ("(OR a)", "OR stands between two members"),
        ("(a OR OR b)", "OR stands between two members"),
        ("(a AND b)", "AND is not supported"),
        ("(NOT a)", "NOT is not supported"),
        ("(a OR [5])", "[...] is a range"),
        ("half \ud800", "half a surrogate pair"),
        (float("nan"), "it has no form in JSON"),
        (float("inf"), "it has no form in JSON"),
        ({"a": 1}, "a value of type dict cannot be compared"),
        ([["a"]], "a value of type list cannot be compared"),
        (object, "a value of type type cannot be compared"),
        (b"x", "a value of type bytes cannot be compared"),
    ],
)
def test_what_begins_as_a_form_and_is_none_is_refused(value: Any, reason: Any) -> None:
    with pytest.raises(QueryError) as caught:
        parse_value("the field", value)
    assert caught.value.message.startswith("the field: ")
    assert reason in caught.value.message
    assert ("in double quotes" in caught.value.message) is isinstance(value, str)
    assert caught.value.field == "the field"
    assert caught.value.status_code is None


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(QueryError) as caught:
        parse_value("f", "[" + "x" * 10_000)
    assert len(caught.value.message) < 300


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_a_quoted_text_is_that_text(text: Any) -> None:
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    assert parse_value("f", f'"{escaped}"') == Equals(text)


@given(TEXTS)
def test_an_escaped_text_is_that_text(text: Any) -> None:
    escaped = re.sub(r'([-+&|!(){}\[\]^"~*?:\\/ ])', r"\\\1", text)
    if text.strip() == text:
        assert parse_value("f", escaped) == Equals(text)


@given(st.text("abTOR N[]{}()\"'*?\\~5.-x "))
def test_any_text_is_understood_or_refused(text: Any) -> None:
    with contextlib.suppress(QueryError):
        parse_value("f", text)


@given(st.text("ab*?.\\+\n"), st.text("ab.+\n"))
def test_patterns_mean_what_wildcards_mean(pattern: Any, text: Any) -> None:
    condition = parse_value("f", pattern.replace("\\", "\\\\"))
    if isinstance(condition, Pattern):
        glob = "".join({"*": ".*", "?": "."}.get(c) or re.escape(c) for c in pattern)
        ours = condition.expression.removeprefix("(?s)^").removesuffix(r"\z")
        assert bool(re.fullmatch(ours, text, re.DOTALL)) == bool(re.fullmatch(glob, text, re.DOTALL))
