"""``/multi_get``: several requests in one, answered one after the other as if each had come by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import unquote

from evsession.embedded.app.answers import Streamed, raw_answer
from evsession.embedded.app.call import Call, parse_object
from evsession.embedded.failures import RavenFailure, invalid_argument
from evsession.wire.json import JSON, encode
from evsession.wire.message import Request, Response

__all__ = ["multi_get"]

Dispatch: TypeAlias = "Callable[[Request], Response | Streamed]"

_METHODS = ("GET", "POST", "HEAD")


def multi_get(call: Call, dispatch: Dispatch) -> Response:
    """Answer with the answers to all requests in the body; one that nobody handles gets an empty object (seen on 7.1)."""
    body = parse_object(call.request.body)
    if "Requests" not in body:
        raise invalid_argument("Request should have a property name 'Requests' which is mandatory.")
    requests = body["Requests"]
    if not isinstance(requests, list) or not all(isinstance(request, dict) for request in requests):
        raise RavenFailure(500, "System.FormatException", "'Requests' must be a list of objects")
    return raw_answer(b'{"Results":[%b]}' % b",".join([_one(request, dispatch) for request in requests]))


def _is_nobodys(url: str) -> bool:
    """Return whether the path is one that is not to be asked like this: with a query in it, or of several requests in one."""
    return "?" in url or unquote(url).rstrip("/").lower().endswith("/multi_get")


def _one(asked: dict[str, JSON], dispatch: Dispatch) -> bytes:
    method, url, query, headers = (asked.get(name) for name in ("Method", "Url", "Query", "Headers"))
    if isinstance(query, str) and query and query[0] != "?":
        raise invalid_argument("The leading '?' must be included for a non-empty query. (Parameter 'value')")
    if not isinstance(url, str) or method not in (None, *_METHODS) or _is_nobodys(url):
        return b"{}"
    content = asked.get("Content")
    pairs = headers.items() if isinstance(headers, dict) else ()
    answer = dispatch(
        Request(
            method or "GET",
            url + (query if isinstance(query, str) else ""),
            b"" if content is None else content.encode() if isinstance(content, str) else encode(content),
            tuple((str(name).lower(), str(value)) for name, value in pairs),
        )
    )
    if isinstance(answer, Streamed):
        answer.release()
        return b"{}"
    if answer.status == 400:
        return b"{}"
    etag = answer.header(b"etag")
    return b'{"Result":%b,"StatusCode":%d,"Headers":%b}' % (
        answer.body or b"null",
        answer.status,
        encode({} if etag is None else {"ETag": etag}),
    )
