"""Queries by example: what each form of a value finds, which is what it found in 2012, whatever the server's engine is."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

import pytest

import evsession
from tests.conformance.kennel import Dog, Told, names
from tests.conformance.pack import EVERYBODY

LABRADORS = ["Billy", "Russell"]
FIVE_TO_TWELVE = ["Anna", "Jess", "Max", "Russell", "Zoe"]


async def find(session: evsession.Session, params: dict[str, Any]) -> list[str]:
    documents, statistics = await session.query("Dog", params)
    assert statistics.total == len(documents)
    return names(documents)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5 TO 12", FIVE_TO_TWELVE),
        ("[5 TO 12]", FIVE_TO_TWELVE),
        ("{5 TO 12}", ["Anna", "Jess", "Zoe"]),
        ("[5 TO 12}", ["Anna", "Jess", "Russell", "Zoe"]),
        ("{5 TO 12]", ["Anna", "Jess", "Max", "Zoe"]),
        (" [ 5 TO 12 ] ", FIVE_TO_TWELVE),
        ("[10 TO *]", ["Anna", "Max", "Zoe"]),
        ("[10 TO NULL]", ["Anna", "Max", "Zoe"]),
        ("{* TO 2}", ["Bob", "Ghost"]),
        ("[NULL TO 1]", ["Bob"]),
        ("[* TO *]", EVERYBODY),
        ("*", EVERYBODY),
        ("[1.25 TO 1.75]", ["Ghost"]),
        ("[1 TO 1]", ["Bob"]),
        ("{1 TO 2}", ["Ghost"]),
        ("[12 TO 5]", []),
        ("[Ix5 TO Ix7]", ["Jess", "Russell"]),
        ("[Dx1.5 TO Dx2.0]", ["Billy", "Ghost"]),
        ("[0x0000000A TO 0x0000000B]", ["Anna", "Zoe"]),
        (1, ["Bob"]),
        (1.5, ["Ghost"]),
        (10.0, ["Anna"]),
        ("10", ["Anna"]),
        (99, []),
        ([1, 7.0, 1.5], ["Bob", "Ghost", "Jess"]),
        ((12, "Max", None, True), ["Max"]),
        ("(1 OR 7)", ["Bob", "Jess"]),
        ("([0 TO 1.5] OR 12 OR [11 TO 11])", ["Bob", "Ghost", "Max", "Zoe"]),
        ([], []),
    ],
)
async def test_numbers_are_compared_as_numbers(pack: evsession.Session, value: Any, expected: list[str]) -> None:
    assert await find(pack, {"age": value}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[9.75 TO 10.5]", ["Anna", "Billy", "Russell"]),
        ("{9.75 TO 10.5}", ["Russell"]),
        ("[-2 TO 0]", ["Bob"]),
        ("[-2 TO *]", ["Anna", "Billy", "Bob", "Jess", "Max", "Russell", "Zoe"]),
        (10, ["Russell"]),
        (-1.5, ["Bob"]),
        (28, []),
    ],
)
async def test_fractions_and_signs_count(pack: evsession.Session, value: Any, expected: list[str]) -> None:
    assert await find(pack, {"weight": value}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Labrador", LABRADORS),
        ("lABRADOR", LABRADORS),
        ("Golden Retriever", ["Max"]),
        ('"Golden Retriever"', ["Max"]),
        ('"golden retriever"', ["Max"]),
        ("Golden", []),
        ("Lab*", ["Billy", "Bob", "Russell"]),
        ("lab*", ["Billy", "Bob", "Russell"]),
        ("*dor", LABRADORS),
        ("*DOR", LABRADORS),
        ("L?b*r", LABRADORS),
        ("?abrador", LABRADORS),
        ("*bra*", ["Billy", "Bob", "Russell"]),
        ("*n R*", ["Max"]),
        ("??????", ["Anna", "Zoe"]),
        ("G*r*", ["Jess", "Max"]),
        (r"Lab\*", []),
        (r"\L\abrador", []),
        ("Lab", []),
        ("(Poodle OR Beagle)", ["Anna", "Zoe"]),
        ('("Golden Retriever" OR poodle)', ["Anna", "Max"]),
        ("(Lab* OR Poodle OR *gle)", ["Anna", "Billy", "Bob", "Russell", "Zoe"]),
        (["poodle", "BEAGLE", "Wolf"], ["Anna", "Zoe"]),
        (["Lab*"], []),
        ('[Beagle TO "Golden Retriever"}', ["Jess", "Zoe"]),
        ('["German Shepherd" TO "Golden Retriever"]', ["Jess", "Max"]),
        ("[beagle TO LABRADOR]", ["Bob", "Jess", "Max", "Zoe", *LABRADORS]),
        ("{labrador TO *]", ["Anna"]),
        (None, ["Ghost"]),
        ("[[NULL_VALUE]]", ["Ghost"]),
        ([None, "Poodle"], ["Anna", "Ghost"]),
    ],
)
async def test_texts_are_compared_without_case(pack: evsession.Session, value: Any, expected: list[str]) -> None:
    assert await find(pack, {"breed": value}) == sorted(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a b&c", ["Russell"]),
        ('"5 TO 12"', ["Anna"]),
        (r"5\ TO\ 12", ["Anna"]),
        (["5 TO 12"], ["Anna"]),
        ("x' OR 'a' = 'a", ["Bob"]),
        ("[[EMPTY_STRING]]", ["Billy"]),
        ('""', ["Billy"]),
        (r"back\slash", ["Ghost"]),
        ("$p0", []),
        ("' or true or name = '", []),
        (r"\' or true or name = \'", []),
        ("x\n' or true //", []),
        ("*' or 'a'='a", []),
        ("(a' OR 'b)", []),
        ("[a' TO 'b]", []),
    ],
)
async def test_a_value_is_a_value_whatever_it_looks_like(pack: evsession.Session, value: Any, expected: list[str]) -> None:
    assert await find(pack, {"note": value}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[2012-01-01 TO 2018-01-01]", ["Jess", "Max"]),
        ("{2012-04-14 TO *]", ["Billy", "Jess"]),
        ("2012*", ["Max"]),
        ("[2017-01-01T00:00:00Z TO 2017-01-01T00:00:00Z]", ["Jess"]),
        (datetime(2012, 4, 13, 8, 30, tzinfo=timezone.utc), ["Max"]),
        ([datetime(2022, 2, 2, tzinfo=timezone.utc)], ["Billy"]),
        (date(2012, 4, 13), []),
    ],
)
async def test_dates(pack: evsession.Session, value: Any, expected: list[str]) -> None:
    assert await find(pack, {"born": value}) == expected


async def test_booleans(pack: evsession.Session) -> None:
    assert await find(pack, {"isGood": False}) == ["Jess"]
    assert {"Billy", "Max"} <= set(await find(pack, {"isGood": True})) <= {"Billy", "Max", "Zoe"}
    assert await find(pack, {"isGood": [False, None]}) == ["Jess"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("red", ["Jess", "Max"]),
        ("RED", ["Jess", "Max"]),
        ("r*", ["Jess", "Max"]),
        (["blue", "old"], ["Max", "Russell"]),
        ("(blue OR old)", ["Max", "Russell"]),
        ("green", []),
    ],
)
async def test_a_list_holds_the_value(pack: evsession.Session, value: Any, expected: list[str]) -> None:
    assert await find(pack, {"tags": value}) == expected


async def test_several_fields_must_all_hold(pack: evsession.Session) -> None:
    assert await find(pack, {"breed": "Labrador", "age": "[0 TO 3]"}) == ["Billy"]
    assert await find(pack, {"breed": "Lab*", "age": [1, 2], "isGood": True}) == ["Billy"]
    assert await find(pack, {"breed": "(Poodle OR Beagle)", "name": "(Zoe OR Max)"}) == ["Zoe"]
    assert await find(pack, {}) == EVERYBODY


@pytest.mark.parametrize(
    "value",
    [
        "[5 TO 12",
        "{5 TO",
        "[5 12]",
        "5 TO",
        "TO 5",
        '"Max',
        "(a AND b)",
        "(a b)",
        "(a OR",
        "(NOT a)",
        '"a b"~3',
        float("nan"),
        {},
        b"x",
    ],
)
async def test_what_cannot_be_understood_is_refused_unsent(unsent: evsession.Session, value: Any) -> None:
    with pytest.raises(evsession.QueryError, match="age") as caught:
        await unsent.query("Dog", {"age": value})
    assert caught.value.field == "age"
    told = Told()
    with pytest.raises(evsession.QueryError):
        await unsent.query(Dog, {"age": value}, told)
    assert isinstance(told.calls[0][0], evsession.QueryError)
