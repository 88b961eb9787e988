"""Every route with what no client should send: an answer with a status each time, and nothing that only a bug explains."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evsession.embedded.app import App
from evsession.embedded.app.admin import SERVER_ROUTES
from evsession.embedded.app.app import _DATABASE_ROUTES
from evsession.wire.message import Request

ROUTES = [
    *((method, f"/databases/db/{path}") for method, path in [*_DATABASE_ROUTES, ("POST", "multi_get")]),
    *((method, f"/{path}") for method, path in SERVER_ROUTES),
]

MEMBERS = (
    *("Commands", "Type", "Id", "Ids", "IdPrefixed", "Document", "ChangeVector", "Patch", "PatchIfMissing", "CreateIfMissing"),
    *("Script", "Values", "ReturnDocument", "TransactionMode", "Query", "QueryParameters", "Start", "PageSize", "p"),
    *("Requests", "Url", "Method", "Content", "Headers", "Indexes", "Name", "Maps", "Reduce", "Fields", "Configuration"),
    *("DatabaseName", "DatabaseNames", "Topology", "Disabled", "@metadata", "@collection", "@id", "@change-vector", "Max", ""),
)
TEXTS = (
    *("", "a", "A", "dogs/1", "dogs/", "dogs|", "x" * 600, "\0", "😀", "'", '"', "../..", "\\", "%", "db", "nope", "true", "-1"),
    *("PUT", "DELETE", "PATCH", "BatchPATCH", "POST", "GET", "ClusterWide", "A:1-x", "5", str(2**63 - 1), str(-(2**63)), "1e999"),
    *("from", "from Dogs", "from @all_docs where a = $p", "from Dogs where a in ($p)", "from Dogs where a > $p and a < $p"),
    *("from Dogs order by a, b as long", "from Dogs group by a select a, count(), sum(b)", "from Dogs select a.b, id() as k"),
    *("from index 'a'", "from Dogs where search(a, $p) or startsWith(id(), $p) limit $p", "from Dogs update { this.a = 1; }"),
    *("put('b', this); del('a'); this.b = load('a')", "throw 'x'", "this.a = args.p", "map('Dogs', d => ({ a: d.a }))"),
    *("from d in docs.Dogs select new { d.a }", "/databases/db/docs", "/databases/db/multi_get?", "/databases/db/queries"),
    *("?query=from Dogs", "?id=a", "2012-01-01T00:00:00"),
)
NUMBERS = (0, 1, -1, 1.5, 2**31, 2**63 - 1, 2**63, -(2**63), 10**40, 1e308, True, False, None)
PARAMETERS = (
    *("id", "startsWith", "startAfter", "matches", "exclude", "start", "pageSize", "include", "metadataOnly", "format", "query"),
    *(
        "name",
        "value",
        "force",
        "tag",
        "lastBatchSize",
        "lastRangeAt",
        "lastMax",
        "end",
        "last",
        "identityPartsSeparator",
        "test",
    ),
    *(
        "debug",
        "skipPatchIfChangeVectorMismatch",
        "operationId",
        "namesOnly",
        "skipOverwriteIfUnchanged",
        "waitForIndexesTimeout",
    ),
)

values = st.recursive(
    st.sampled_from([*TEXTS, *NUMBERS]) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(MEMBERS), values, max_size=6)
commands = st.fixed_dictionaries(
    {"Type": st.sampled_from(["PUT", "DELETE", "PATCH", "BatchPATCH"]), "Id": st.sampled_from(TEXTS) | values},
    optional={
        "Document": objects,
        "Patch": st.fixed_dictionaries({"Script": st.sampled_from(TEXTS)}, optional={"Values": values}),
        "Ids": st.lists(st.fixed_dictionaries({"Id": values}), max_size=2),
        "ChangeVector": values,
        "PatchIfMissing": values,
        "IdPrefixed": values,
    },
)
bodies = st.one_of(
    values,
    objects,
    st.fixed_dictionaries({"Commands": st.lists(commands, max_size=3)}),
    st.lists(commands, max_size=3),
    st.fixed_dictionaries(
        {"Query": st.sampled_from(TEXTS) | objects}, optional={"QueryParameters": objects, "Start": values, "PageSize": values}
    ),
    st.fixed_dictionaries({"Patch": objects}, optional={"PatchIfMissing": objects}),
    st.fixed_dictionaries({"Ids": st.lists(values, max_size=3)}),
    st.fixed_dictionaries({"Requests": st.lists(objects, max_size=3)}),
    st.fixed_dictionaries({"Indexes": st.lists(objects, max_size=2)}),
)
queries = st.lists(st.tuples(st.sampled_from(PARAMETERS), st.sampled_from(TEXTS)), max_size=5)
damages = st.one_of(
    st.none(),
    st.tuples(st.floats(0, 1), st.binary(max_size=3)),  # some bytes are replaced, and what follows is kept or not
    st.sampled_from([b"[" * 10_000, b'{"a":' * 10_000, b"\xff\xfe", b"\xed\xa0\x80", b"\\ud83d"]).map(lambda data: (0.5, data)),
)


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    opened = App()
    yield opened
    opened.close()


def encoded(body: object, damage: tuple[float, bytes] | None) -> bytes:
    data = json.dumps(body, ensure_ascii=False).encode()
    if damage is None:
        return data
    at = int(damage[0] * len(data))
    return data[:at] + damage[1] + data[at + len(damage[1]) :]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=bodies, damage=damages, query=queries, match=st.sampled_from([None, "", '""', '"x"']))
def test_is_answered(
    app: App,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    body: object,
    damage: tuple[float, bytes] | None,
    query: list[tuple[str, str]],
    match: str | None,
) -> None:
    caplog.clear()
    app.answer(Request("PUT", "/admin/databases", b'{"DatabaseName":"db"}'))
    app.answer(Request("PUT", "/databases/db/docs?id=a", b'{"a":["a",5],"@metadata":{"@collection":"Dogs"}}'))
    target = path + "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query)
    headers = () if match is None else (("if-match", match), ("if-none-match", match))
    with caplog.at_level(logging.ERROR, "evsession.embedded"):
        answer = app.answer(Request(method, target, encoded(body, damage), headers))
    assert caplog.text == ""  # what the server cannot explain goes to its log
    assert 200 <= answer.status <= 503
    assert b"Traceback" not in answer.body
    if answer.status >= 400 and answer.body:
        told = json.loads(answer.body)
        assert told["Type"]
        assert told["Message"]
    for mend in (
        Request("PUT", "/admin/databases", b'{"DatabaseName":"db"}'),
        Request("POST", "/admin/databases/enable?name=db"),
    ):
        app.answer(mend)
    assert app.answer(Request("PUT", "/databases/db/docs?id=nothing-is-locked", b"{}")).status == 201
