"""What RavenDB's refusals mean: a response that is no success becomes one error of the tree.

Knows the shapes of bodies and the names of .NET exception types; knows no operation and raises nothing itself.

RavenDB answers nearly every mistake of a client with status 500 and tells the kind by the ``Type`` in the body: the type decides,
then the status. ``Error`` holds a stack trace and is never shown. Shapes seen on 5.4, 6.2 and 7.1: ``{Url, Type, Message, Error,
...}``; ``{"Type": "Error", "Message"}`` from ``/topology``; an empty body (404, and whatever Kestrel refuses itself);
``{"Error": "Index X does not exist"}`` or the same without braces from streams; and the HTML of a proxy.
"""

from __future__ import annotations

import re
from typing import Any

from evsession.errors import (
    AuthenticationError,
    ConcurrencyError,
    DatabaseMissing,
    PatchError,
    ProtocolError,
    QueryError,
    SessionError,
    TransientError,
)
from evsession.wire.json import decode
from evsession.wire.message import Response

__all__ = ["error_from", "patch_error", "query_error", "refusal"]

SHOWN = 200
"""Characters of a body of unknown form that a message shows."""

_BY_TYPE: dict[str, type[SessionError]] = {
    "ConcurrencyException": ConcurrencyError,
    "ClusterTransactionConcurrencyException": ConcurrencyError,
    "DatabaseDoesNotExistException": DatabaseMissing,
    "AuthenticationException": AuthenticationError,
    "AuthorizationException": AuthenticationError,
    "InsufficientTransportLayerProtectionException": AuthenticationError,
    "UnauthorizedAccessException": AuthenticationError,
    "DatabaseConcurrentLoadTimeoutException": TransientError,
    "DatabaseDisabledException": TransientError,
    "DatabaseIdleException": TransientError,
    "DatabaseLoadTimeoutException": TransientError,
    "DatabaseNotRelevantException": TransientError,
    "NoLeaderException": TransientError,
    "NodeIsPassiveException": TransientError,
    "RavenTimeoutException": TransientError,
    "TimeoutException": TransientError,
    "IndexDoesNotExistException": QueryError,
    "InvalidQueryException": QueryError,
    "ParseException": QueryError,
}

_BY_STATUS: dict[int, type[SessionError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    408: TransientError,
    409: ConcurrencyError,
    410: TransientError,
    425: TransientError,
    429: TransientError,
    502: TransientError,
    503: TransientError,
    504: TransientError,
}

_UNKNOWN_OUTCOME = frozenset({"OperationCanceledException", "RavenTimeoutException", "TaskCanceledException", "TimeoutException"})

# Texts, compiled on first use: most programs never see such an answer, and compiling these costs every import 1 ms.
_UNINDEXED = r"(?s)The field '(.*)' is not indexed (?:in|for index) '([^']*)'"
_NO_DATABASE = r"Database '?(.+?)'? (?:does not exist|wasn't found)"
_CONFLICT = (
    r"(?s)Document (.+?) (?:has change vector .*?|does not exist), but \w+ was called "
    r"with (?:change vector '?(.+?)'?\. Optimistic|expecting)"
)
_INDEX = r"Index '?([^']+?)'? (?:does not exist|was not found|is marked as errored)"
_TRACE = r"(?s)\r?\n[ \t]+at \S.*"
_CAUSE = r"[^\n]*(?:\r?\n[ \t]*---> ([\w.+`]+): ([^\r\n]*))+"
_SAID_TWICE = r"(?s)(?P<text>.+) At \d+:\d+ (?P=text)"
_LEGACY = r"(?s)document ID '(.*?)'\. legacy-patch(-conflict)?: (.*)"


def error_from(
    response: Response,
    *,
    key: str | None = None,
    writes: bool = False,
    fallback: type[SessionError] = SessionError,
) -> SessionError:
    """Return what the response means, to be raised by the caller.

    `uncertain` is decided here for writes. A refusal in RavenDB's own words is certain: what it refuses it has rolled back, also
    with 503, which it says before it begins. Not certain is a 408, after which the write is usually stored (waiting for indexes
    or replicas timed out), a refusal that names a timeout or a cancellation, and a 5xx in foreign words (a proxy that lost its
    server, a connection handler that died), since the server behind it may have committed.

    Args:
        response: The answer; anything but a success.
        key: The document concerned, unless the answer names one itself.
        writes: Whether the request may have changed data.
        fallback: The class of a 500 in RavenDB's words whose type is in no table.
    """
    body = refusal(response.body)
    code, text = _name_and_text(body)
    legacy = re.search(_LEGACY, text) if code == "JavaScriptException" else None
    if legacy is not None:
        return _legacy_patch(legacy, response.status, key)
    error = _classify(response, code, text, fallback)(
        text or _sensible_text(response, key),
        status_code=response.status,
        code=code,
        key=key,
        uncertain=writes and _may_have_happened(response.status, code, foreign=code is None),
    )
    _add_facts(error, response, body)
    return error


def query_error(response: Response, *, index: str | None = None, writes: bool = False) -> SessionError:
    """Return what the failure of a query means: 404 is a missing index, a 500 of no other known kind is the query's fault.

    A missing index answers 404 with an empty body, on streams with the index's name (seen on 5.4, 6.2 and 7.1); the message names
    the index either way. A script in a query is part of the query, so its failure is a `QueryError`, too.
    """
    error = error_from(response, writes=writes, fallback=QueryError)
    missing = response.status == 404 and not isinstance(error, DatabaseMissing)
    if not (missing or isinstance(error, (PatchError, QueryError))):
        return error
    message = error.message
    if missing and error.code is None:
        message = f"there is no index {index!r}" if index is not None else "the index of this query does not exist"
    result = QueryError(message, status_code=error.status_code, code=error.code, uncertain=error.uncertain)
    result.index = getattr(error, "index", None) or index
    result.field = getattr(error, "field", None)
    return result


def patch_error(response: Response, *, key: str) -> SessionError:
    """Return what the failure of a patch means: a 500 of no other known kind is the script's fault.

    Not every failing script is a ``JavaScriptException``: ``this.missing.name = 1`` is an ``InvalidCastException`` (seen on 5.4,
    6.2 and 7.1), and moving a document to another collection a ``DocumentCollectionMismatchException``.
    """
    return error_from(response, key=key, writes=True, fallback=PatchError)


def refusal(body: bytes) -> dict[str, Any]:
    """Return the body as an object, or an empty one if it is none.

    A stream on a missing index answers ``"Error":"..."`` without braces on some builds; braces are added before giving up.
    """
    for text in (body, b"{" + body + b"}"):
        try:
            value = decode(text)
        except ProtocolError:
            continue
        if isinstance(value, dict):
            return value
    return {}


def short_name(name: str) -> str:
    """Return the last part of a .NET type name: ``QueryParser+ParseException`` gives ``ParseException``."""
    return re.split(r"[.+]", name)[-1]


def first_line(text: str) -> str:
    """Return the first line without what precedes a stack trace's own line breaks."""
    return text.strip().split("\n", 1)[0].rstrip()


def _name_and_text(body: dict[str, Any]) -> tuple[str | None, str]:
    name, message, detail = (body.get(field) for field in ("Type", "Message", "Error"))
    code = short_name(name) if isinstance(name, str) and name and name != "Error" else None
    if not isinstance(message, str) or not message.strip():
        return code, first_line(detail) if isinstance(detail, str) else ""
    text = re.sub(_TRACE, "", message).strip()
    if text.startswith("Failed to process bulk insert") and isinstance(detail, str):
        cause = re.match(_CAUSE, detail)  # the innermost one of the first lines, before the trace
        return (short_name(cause[1]), f"{text} {cause[2]}") if cause else (code, text)
    twice = re.fullmatch(_SAID_TWICE, text)  # 5.4 repeats the message of a failed script
    return code, _without_script_stack(twice["text"] if twice else text)


def _without_script_stack(text: str) -> str:
    """Return the message of JavaScript's own errors in place of ``{"message": ..., "stack": ...}``."""
    head, brace, tail = text.partition('{"message":')
    thrown = refusal((brace + tail).encode()) if brace else {}
    return head + thrown["message"] if isinstance(thrown.get("message"), str) and "stack" in thrown else text


def _classify(response: Response, code: str | None, text: str, fallback: type[SessionError]) -> type[SessionError]:
    if response.header(b"database-missing") is not None:
        return DatabaseMissing
    if code is not None and code in _BY_TYPE:
        return _BY_TYPE[code]
    if code == "ArgumentException" and re.match(_UNINDEXED, text):
        return QueryError
    if code is not None and response.status == 500:
        return fallback
    return _BY_STATUS.get(response.status, SessionError)


def _may_have_happened(status: int, code: str | None, *, foreign: bool) -> bool:
    return status == 408 or status < 400 or code in _UNKNOWN_OUTCOME or (foreign and status >= 500)


def _sensible_text(response: Response, key: str | None) -> str:
    shown = " ".join(response.body.decode("utf-8", "replace").split())[:SHOWN]
    if shown:
        return f"the server answered {response.status}: {shown}"
    if response.status == 404:
        return "there is nothing of this name on the server" if key is None else f"there is no document {key!r}"
    from http import HTTPStatus  # 0.6 ms of the import, for an answer without a word

    try:
        return f"the server answered {response.status} {HTTPStatus(response.status).phrase}"
    except ValueError:
        return f"the server answered {response.status}"


def _add_facts(error: SessionError, response: Response, body: dict[str, Any]) -> None:
    if isinstance(error, ConcurrencyError):
        violations = body.get("ConcurrencyViolations")
        first = violations[0] if isinstance(violations, list) and violations and isinstance(violations[0], dict) else {}
        told = re.match(_CONFLICT, error.message)
        key, expected = told.groups() if told else (None, None)
        error.key = _text(body.get("Id")) or _text(first.get("Id")) or key or error.key
        sent = _text(body.get("ExpectedChangeVector", first.get("Expected")))
        error.expected = expected if sent is None else sent  # "" is a version, too: there must be none
        error.actual = _text(body.get("ActualChangeVector", first.get("Actual")))
    elif isinstance(error, DatabaseMissing):
        named = re.search(_NO_DATABASE, error.message)
        error.database = response.header(b"database-missing") or (named[1] if named else None)
    elif isinstance(error, QueryError):
        if unindexed := re.match(_UNINDEXED, error.message):
            error.field, error.index = unindexed[1], unindexed[2]
        elif index := re.match(_INDEX, error.message):
            error.index = index[1]


def _legacy_patch(found: re.Match[str], status: int, key: str | None) -> SessionError:
    """Translate what the script of `legacy_patch` throws; the transaction was rolled back."""
    document, conflict, text = found.groups()
    if conflict:
        message = f"the field {text!r} is not what PrevVal says"
        return ConcurrencyError(message, status_code=409, code="ConcurrencyException", key=key or document)
    return PatchError(text, status_code=status, code="JavaScriptException", key=key or document)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
