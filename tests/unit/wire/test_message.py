"""Requests and responses: what their reprs leave out."""

from __future__ import annotations

from evsession.wire.message import Request, Response


def test_bodies_are_in_no_repr() -> None:
    request = Request("PUT", "/docs", b"s3cret", (("Content-Type", "application/json"),), writes=True, key="dogs/max")
    assert repr(request) == (
        "Request(method='PUT', target='/docs', headers=(('Content-Type', 'application/json'),), writes=True, key='dogs/max')"
    )
    assert repr(Response(200, ((b"etag", b"1"),), b"s3cret")) == "Response(status=200, headers=((b'etag', b'1'),))"
