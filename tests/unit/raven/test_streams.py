import datetime
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.errors import ProtocolError, QueryError, SessionError, TransientError
from evsession.raven.queries import index_query
from evsession.raven.specs import Specs
from evsession.raven.streams import StreamParser, stream_request
from evsession.raven.vocabulary import Database
from tests.unit.raven.flows import body_of

STATS = {
    "ResultEtag": -8,
    "IsStale": True,
    "IndexName": "Auto/Dogs/Byage",
    "TotalResults": 2,
    "IndexTimestamp": "2026-11-21T08:17:04.5455644Z",
}
ROWS = [{"name": "Max \U0001f600\u2028 \r\n", "@metadata": {"@id": "dogs/max"}}, {"Error": "a document's own", "Item": 1}]
STACK = "\n ---> Jint.Runtime.JavaScriptException: boom\n   at Raven.Server.Foo() in /_/x.cs:line 1"


def lines(*values: Any) -> Any:
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\r\n" for value in values)


BODY = lines({"Stats": STATS}, *({"Item": row} for row in ROWS))
EMPTY = lines({"Stats": {**STATS, "TotalResults": 0}})


def failing(text: Any) -> Any:
    return BODY + lines({"Error": text + STACK}, {"Url": "/", "Type": "X.Y", "Message": "m", "Error": "e"})


def parse(*pieces: Any) -> Any:
    parser = StreamParser("I")
    rows = [row for piece in pieces for row in parser.feed(piece)]
    parser.close()
    return rows


def test_whole_and_byte_by_byte() -> None:
    assert parse(BODY) == ROWS
    assert parse(*(BODY[at : at + 1] for at in range(len(BODY)))) == ROWS
    assert parse(EMPTY) == []
    assert parse(BODY, b"") == ROWS
    assert parse(BODY.replace(b"\r\n{", b"\n\r\n{").replace(b"\n\r\n", b"\n")) == ROWS


@given(st.lists(st.integers(0, len(BODY)), max_size=8).map(sorted))
def test_any_split(cuts: Any) -> None:
    edges = [0, *cuts, len(BODY)]
    assert parse(*(BODY[low:high] for low, high in itertools.pairwise(edges))) == ROWS


def test_statistics_come_first() -> None:
    parser = StreamParser()
    assert parser.feed(BODY[:5]) == []
    before: Any = parser.statistics
    assert before is None
    assert parser.feed(BODY[5:-5]) == ROWS[:1]
    statistics: Any = parser.statistics
    assert (statistics.total, statistics.stale, statistics.index) == (2, True, "Auto/Dogs/Byage")
    assert statistics.timestamp == datetime.datetime(2026, 11, 21, 8, 17, 4, 545564, datetime.timezone.utc)


def test_truncated_at_every_offset() -> None:
    boundaries = {at + 1 for at in range(len(BODY)) if BODY[at : at + 1] == b"\n"}
    for length in range(len(BODY)):
        parser = StreamParser()
        rows = parser.feed(BODY[:length])
        assert rows == ROWS[: len(rows)]
        if length in boundaries:
            parser.close()
        else:
            with pytest.raises(ProtocolError, match="the stream ended early"):
                parser.close()


def test_a_failure_half_way_is_raised_after_the_rows_before_it() -> None:
    body = failing(
        "Raven.Client.Exceptions.Documents.Patching.JavaScriptException: At 34:1 Script failed for document ID ''. boom"
    )
    for size in (len(body), 1, 7):
        parser = StreamParser("I")
        rows = []
        with pytest.raises(QueryError) as caught:
            for at in range(0, len(body), size):
                rows += parser.feed(body[at : at + size])
            parser.close()
        assert rows == ROWS
        error = caught.value
        assert error.message == "At 34:1 Script failed for document ID ''. boom"
        assert (error.status_code, error.code, error.index) == (500, "JavaScriptException", "I")
        with pytest.raises(QueryError):
            parser.feed(b"")
        with pytest.raises(QueryError):
            parser.close()


@pytest.mark.parametrize(
    ("text", "kind", "code", "message"),
    [
        ("System.TimeoutException: too slow", TransientError, "TimeoutException", "too slow"),
        ("Raven.Server.Documents.Queries.Parser.QueryParser+ParseException: 1:2 no", QueryError, "ParseException", "1:2 no"),
        ("System.OutOfMemoryException: ", QueryError, "OutOfMemoryException", "System.OutOfMemoryException"),
        ("something odd", SessionError, None, "something odd"),
        ("", SessionError, None, "Error"),
    ],
)
def test_failures_by_type(text: Any, kind: Any, code: Any, message: Any) -> None:
    parser = StreamParser()
    assert parser.feed(failing(text)) == ROWS
    with pytest.raises(kind) as caught:
        parser.close()
    assert (caught.value.code, caught.value.message, caught.value.status_code) == (code, message, 500)


@pytest.mark.parametrize("line", [b"junk", b"[]", b"5", b"{}", b'{"Stats":5}', b'{"Error":5}', b'{"Item":{}', b"\xff"])
def test_what_is_no_stream(line: Any) -> None:
    parser = StreamParser()
    assert parser.feed(BODY + line + b"\r\n" + BODY) == ROWS
    with pytest.raises(ProtocolError):
        parser.close()
    parser = StreamParser()
    with pytest.raises(ProtocolError):
        parser.feed(line + b"\r\n")


@given(st.binary())
def test_no_bytes_break_it(data: Any) -> None:
    parser = StreamParser()
    with pytest.raises(SessionError):
        parser.feed(data)
        parser.close()


def test_an_item_is_what_it_is() -> None:
    assert parse(EMPTY, lines({"Item": {"Stats": 1}})) == [{"Stats": 1}]


def test_the_request() -> None:
    query = index_query("MR", {"breed": "Lab"}, Specs.of(page_size=2))
    request = stream_request(Database("db"), query)
    assert (request.method, request.target, request.writes) == ("POST", "/databases/db/streams/queries?format=jsonl", False)
    assert ("Content-Type", "application/json") in request.headers
    assert body_of(request)["Query"] == "from index 'MR' where breed = $p0 limit $p1, $p2"
    sorted_query = index_query("MR", None, Specs.of(sort="age"))
    assert body_of(stream_request(Database("db"), sorted_query))["Query"] == sorted_query.text
