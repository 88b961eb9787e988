from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession import ProtocolError, QueryError
from evsession.neo4j.streams import LineParser, ObjectParser
from tests.unit.neo4j.typed import body, integer, typed

FAULT = {"code": "Neo.ClientError.Statement.ArithmeticError", "message": "/ by zero"}
TEXTS = ['],["', '"],[', "]]", '\\"],[{', "[[", '}],[{"']
ROWS: list[list[Any]] = [[i, typed("String", TEXTS[i % len(TEXTS)]), typed("List", [integer(1), integer(2)])] for i in range(9)]
WANTED = [[i, TEXTS[i % len(TEXTS)], [1, 2]] for i in range(9)]


def lines(rows: list[list[Any]], *end: Any) -> bytes:
    values = [[integer(value) if isinstance(value, int) else value for value in row] for row in rows]
    events = [("Header", {"fields": ["a", "b", "c"]}), *[("Record", row) for row in values], *end]
    return b"\n ".join(json.dumps({"$event": name, "_body": content}).encode() for name, content in events) + b"\n"


WHOLE = {
    LineParser: lines(ROWS, ("Summary", {"bookmarks": ["FB:1"]})),
    ObjectParser: json.dumps(body(["a", "b", "c"], ROWS, bookmarks=["FB:1"]), separators=(",", ":")).encode(),
}
FAILED = {
    LineParser: lines(ROWS, ("Error", [FAULT])),
    ObjectParser: json.dumps(body(["a", "b", "c"], ROWS, errors=[FAULT]), separators=(",", ":")).encode(),
}
PARSERS = pytest.mark.parametrize("make", [LineParser, ObjectParser])


def read(parser: Any, pieces: list[bytes]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for piece in pieces:
        rows += parser.feed(piece)
    rows += parser.close()
    return rows


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@PARSERS
@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_rows_in_pieces_of_any_size(make: Any, size: int) -> None:
    parser = make("neo4j")
    assert read(parser, cut(WHOLE[make], size)) == WANTED
    assert (parser.fields, parser.count, parser.finish().bookmarks) == (["a", "b", "c"], 9, ["FB:1"])


@PARSERS
@given(data=st.data())
def test_rows_cut_anywhere(make: Any, data: st.DataObject) -> None:
    whole = WHOLE[make]
    places = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=6)))
    pieces = [whole[i:j] for i, j in zip([0, *places], [*places, len(whole)], strict=True)]
    assert read(make("neo4j"), pieces) == WANTED


@PARSERS
@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_a_failure_comes_after_the_good_rows(make: Any, size: int) -> None:
    parser = make("neo4j")
    rows: list[list[Any]] = []
    with pytest.raises(QueryError, match="9 rows came before") as caught:
        for piece in cut(FAILED[make], size):
            rows += parser.feed(piece)
        rows += parser.close()
        parser.finish()
    assert rows == WANTED
    assert caught.value.rows_before == 9


@PARSERS
def test_no_part_passes_for_the_whole(make: Any) -> None:
    whole = WHOLE[make].rstrip()
    for end in range(len(whole)):
        parser = make("neo4j")
        with pytest.raises(ProtocolError):
            read(parser, [whole[:end]])


def test_lines_without_an_end() -> None:
    parser = LineParser("neo4j")
    assert parser.feed(b"") == []
    parser = LineParser("neo4j")
    assert len(read(parser, [WHOLE[LineParser].rstrip()])) == 9
    assert parser.answer is not None


def test_lines_fed_after_a_failure() -> None:
    parser = LineParser("neo4j")
    assert len(parser.feed(FAILED[LineParser])) == 9
    with pytest.raises(QueryError):
        parser.feed(b"x")


@pytest.mark.parametrize("junk", [b"<html>\n", b'{"$event": "New"}\n', b"[]\n"])
def test_lines_that_are_none(junk: bytes) -> None:
    with pytest.raises(ProtocolError):
        LineParser("neo4j").feed(junk)


def test_an_object_without_rows() -> None:
    for data in (b'{"data":{"fields":[],"values":[]},"bookmarks":["FB:1"]}', b'{"bookmarks":["FB:1"]}'):
        parser = ObjectParser("neo4j")
        assert read(parser, cut(data, 5)) == []
        assert (parser.fields, parser.finish().bookmarks) == ([], ["FB:1"])


def test_an_object_with_rows_that_are_none() -> None:
    parser = ObjectParser("neo4j")
    with pytest.raises(ProtocolError):
        parser.feed(b'{"data":{"fields":["a"],"values":[[5],[6],[7')
