from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.cli.lines import Incoming, decoded, document_line, incoming, line, parse_documents, split_lines
from tests.unit.cli.jsons import fields, texts

SERVERS_OWN = {"@change-vector": "A:1-x", "@last-modified": "2026-01-01T00:00:00.0000000Z", "@flags": "HasRevisions"}
programs_own = st.dictionaries(texts.filter(lambda name: not name.startswith("@") and name != "Last-Modified"), texts, max_size=2)


@given(
    st.lists(st.tuples(fields, programs_own, st.text("ab/", min_size=1), st.none() | st.just("Dogs")), max_size=4),
    st.booleans(),
)
def test_what_is_printed_can_be_read(documents: list[tuple[Any, Any, str, str | None]], pretty: bool) -> None:
    printed = b""
    for own, more, key, collection in documents:
        home = {} if collection is None else {"@collection": collection}
        printed += document_line(own, {**more, **home, "@id": key, **SERVERS_OWN}, pretty=pretty)
    expected = [Incoming(own, key, collection, more or None) for own, more, key, collection in documents]
    assert [incoming(value) for value in parse_documents(printed)] == expected
    pieces = list(split_lines(printed.splitlines(keepends=True)))
    assert [incoming(decoded(text)) for _, text in pieces] == expected


def test_metadata_comes_last() -> None:
    assert document_line({"@a": 1, "b": "ü"}, {"@id": "x"}) == '{"@a":1,"b":"ü","@metadata":{"@id":"x"}}\n'.encode()
    assert line({"a": 1}, pretty=True) == b'{\n  "a": 1\n}\n'


class TestParsing:
    @pytest.mark.parametrize(
        ("text", "documents"),
        [
            ("", []),
            (" \n\n", []),
            ("[]", []),
            ("{}", [{}]),
            ('{"a": 1}', [{"a": 1}]),
            ('[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
            ('[\n{"a": 1},\n{"a": 2}\n]\n', [{"a": 1}, {"a": 2}]),
            ('{"a": 1}\r\n\r\n{"a": 2}', [{"a": 1}, {"a": 2}]),
            ('{"a":\n1}\n', [{"a": 1}]),
            ('{\n"a": 1\n}\n{"a": 2}\n{\n}\n', [{"a": 1}, {"a": 2}, {}]),
        ],
    )
    def test_all_forms(self, text: str, documents: list[Any]) -> None:
        assert parse_documents(text.encode()) == documents
        assert parse_documents(text.encode("utf-8-sig")) == documents

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("nonsense", r"^this is not JSON: "),
            ('{"a": 1}\n{"a": }\n', r"^line 2: this is not JSON"),
            ('{"a": }\n{"a": 1}\n', r"^line 1: this is not JSON"),
            ('[\n{"a": 1},\n{"a": }\n]', r"^this is not JSON: .*byte 18"),
            ('{\n"a": 1\n}\n{\n"a": \n}\n', r"^line 4: this is not JSON"),
            ('{"a": 1}\n{\n"a": 1', r"^line 2: this is not JSON"),
            ("[" * 5000, r"^this is not JSON"),
        ],
    )
    def test_what_is_none(self, text: str, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            parse_documents(text.encode())

    def test_bytes_that_are_no_text(self) -> None:
        with pytest.raises(ValueError, match="not JSON"):
            parse_documents(b'{"a": "\xff"}')

    def test_lines_are_numbered_from_one(self) -> None:
        text = b'\n{"a": 1}\n  \n{\n  "a": 2\n}\n[]\n{\n'
        found = [(1 + 1, b'{"a": 1}\n'), (4, b'{\n  "a": 2\n}\n'), (7, b"[]\n"), (8, b"{\n")]
        assert list(split_lines(text.splitlines(keepends=True))) == found

    def test_a_mark_of_the_byte_order_is_no_part_of_the_first_line(self) -> None:
        assert list(split_lines([b"\xef\xbb\xbf{\n", b"}\n"])) == [(1, b"{\n}\n")]
        assert list(split_lines([b"\xef\xbb\xbf\n", b"{}"])) == [(2, b"{}")]
        (_, (_, second)) = split_lines([b"{}\n", b"\xef\xbb\xbf{}\n"])
        with pytest.raises(ValueError, match="not JSON"):
            decoded(second)


class TestIncoming:
    def test_the_metadata_of_the_server_is_left_out(self) -> None:
        programs = {"Owner": "me", "@expires": "2030", "@refresh": "2031", "@archive-at": "2032", "Raven-Clr-Type": "Dog"}
        servers = {**SERVERS_OWN, "@nested": 1, "@attachments": [], "Last-Modified": "2026"}
        value = {"a": 1, "@metadata": {**programs, **servers, "@id": "dogs/1", "@collection": "Dogs"}}
        assert incoming(value) == Incoming({"a": 1}, "dogs/1", "Dogs", programs)

    @pytest.mark.parametrize("metadata", [{}, {"@metadata": None}, {"@metadata": {}}, {"@metadata": {"@collection": "@empty"}}])
    def test_without_anything(self, metadata: dict[str, Any]) -> None:
        assert incoming({"a": 1, **metadata}) == Incoming({"a": 1}, None, None, None)

    def test_what_the_call_says_counts_more(self) -> None:
        value = {"@metadata": {"@id": "dogs/1", "@collection": "Dogs", "Owner": "me"}}
        assert incoming(value, key="cats/1", collection="Cats") == Incoming({}, "cats/1", "Cats", {"Owner": "me"})

    def test_counters_stay_what_they_are(self) -> None:
        value = {"Max": 32, "@metadata": {"@id": "Raven/Hilo/dogs", "@collection": "@hilo"}}
        made = incoming(value, collection="Cats")
        assert (made, made.is_hilo) == (Incoming({"Max": 32}, "Raven/Hilo/dogs", "@hilo"), True)
        assert not Incoming({}).is_hilo

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[]", "a document is a JSON object, not a list"),
            ("5", "a document is a JSON object, not a number"),
            ("5.5", "not a number"),
            ("null", "not null"),
            ("true", "not true or false"),
            ('"a"', "not a text"),
            ('{"@metadata": [1]}', "@metadata is a JSON object, not a list"),
            ('{"@metadata": {"@id": 5}}', "@metadata.@id is a text, not a number"),
            ('{"@metadata": {"@id": "a", "@projection": true}}', "a projection, not a whole document"),
            ('{"@metadata": {"@collection": {}}}', "@metadata.@collection is a text, not an object"),
        ],
    )
    def test_what_is_no_document(self, text: str, said: str) -> None:
        with pytest.raises(ValueError, match=re.escape(said)):
            incoming(json.loads(text))
