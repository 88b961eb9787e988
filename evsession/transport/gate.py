"""The one way by which foreign errors cross into ours. Knows both vocabularies, and nothing of connections."""

from __future__ import annotations

import socket
import ssl
from types import TracebackType

import h11
import trio

from evsession.errors import ConfigurationError, ConnectionFailed, ProtocolError, SessionClosed, SessionError, hide_credentials
from evsession.wire.message import Request
from evsession.wire.transport import Trail

__all__ = ["FOREIGN", "Gate", "translate"]

FOREIGN: dict[type[BaseException], type[SessionError]] = {
    OSError: ConnectionFailed,
    socket.gaierror: ConnectionFailed,
    ssl.SSLError: ConnectionFailed,
    ssl.SSLCertVerificationError: ConnectionFailed,
    trio.BrokenResourceError: ConnectionFailed,
    trio.ClosedResourceError: SessionClosed,
    trio.TooSlowError: ConnectionFailed,
    h11.RemoteProtocolError: ProtocolError,
    h11.LocalProtocolError: ConfigurationError,
    UnicodeError: ConfigurationError,
}
"""Which of our errors stands for which foreign one; subclasses go with their nearest base."""

_ASKS_FOR_CERTIFICATE = ("CERTIFICATE_REQUIRED", "ALERT_HANDSHAKE_FAILURE", "ALERT_BAD_CERTIFICATE")


def translate(error: BaseException, doing: str) -> SessionError | None:
    """Return our error for a foreign one, None if it is ours already or belongs to nobody here (such as Cancelled)."""
    for cls in type(error).__mro__:
        if cls in FOREIGN:
            return FOREIGN[cls](f"{doing}: {_reason(error)}")
    return None


def _reason(error: BaseException) -> str:
    """Say it for people. trio and ssl keep what happened in the cause."""
    cause = error.__cause__
    if isinstance(error, (trio.BrokenResourceError, OSError)) and not getattr(error, "strerror", None) and cause is not None:
        several = getattr(cause, "exceptions", None)
        return "; ".join(dict.fromkeys(map(_reason, several))) if several else _reason(cause)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate was refused: {getattr(error, 'verify_message', error)}"
    if isinstance(error, ssl.SSLEOFError):
        return "the server closed the connection without a word of TLS"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {_alert(error)}"
    if isinstance(error, trio.TooSlowError):
        return "no connection within connect_timeout"
    return str(getattr(error, "strerror", None) or str(error) or "the connection broke")


def _alert(error: ssl.SSLError) -> str:
    # One that Python made itself has no reason, not even None.
    reason = str(getattr(error, "reason", None) or error.strerror or error)
    asks = any(alert in reason for alert in _ASKS_FOR_CERTIFICATE)
    return f"{reason} (does the server ask for a client certificate?)" if asks else reason


class Gate:
    """``with gate:`` any failure cleans up; foreign errors leave as ours, from their cause; ours learn the facts of the request.

    May be entered any number of times, one after another. A class to inherit from and not a generator: it is on the way of
    every request, and a callback to its user would be a reference cycle that keeps a forgotten connection open.
    """

    __slots__ = ("_request", "_trail")

    def __init__(self, request: Request, trail: Trail) -> None:
        self._request = request
        self._trail = trail

    def _clean_up(self) -> None:
        """Undo what is half done; runs on every exception, Cancelled included."""

    def _doing(self) -> str:
        return f"{self._request.method} {self._trail.url} failed"

    def __enter__(self) -> None:
        return None

    def __exit__(self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if error is None:
            return
        self._clean_up()
        request, trail = self._request, self._trail
        failure = error if isinstance(error, SessionError) else translate(error, self._doing())
        if failure is None:
            return
        failure.operation = trail.operation or None
        failure.key = request.key
        failure.url = None if trail.url is None else hide_credentials(trail.url)
        failure.uncertain = request.writes and trail.sent
        if failure is not error:
            raise failure from error
