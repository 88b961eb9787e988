"""Foreign errors become ours, from their cause; nothing foreign gets through."""

from __future__ import annotations

import inspect
import socket
import ssl

import h11
import pytest
import trio

from evsession.errors import ConfigurationError, ConnectionFailed, ProtocolError, SessionClosed, SessionError
from evsession.transport.gate import Gate, translate
from evsession.wire.message import Request
from evsession.wire.transport import Trail

NOT_OURS = {
    trio.Cancelled,
    trio.TrioInternalError,
    trio.RunFinishedError,
    trio.WouldBlock,
    trio.BusyResourceError,
    trio.EndOfChannel,
    trio.NeedHandshakeError,
}
"""About tasks and channels, not about connections: bugs if they appear, and better seen as what they are."""


def foreign_classes() -> list[type[BaseException]]:
    found = {
        ConnectionResetError,
        BrokenPipeError,
        TimeoutError,
        socket.gaierror,
        socket.herror,
        UnicodeEncodeError,
        UnicodeError,
    }
    for module in (ssl, trio, h11):
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, Exception) and not issubclass(cls, (Warning, AttributeError)):
                found.add(cls)
    return sorted(found - NOT_OURS - {h11.ProtocolError}, key=lambda cls: cls.__name__)


def make(cls: type[BaseException]) -> BaseException:
    if cls is UnicodeEncodeError:
        return UnicodeEncodeError("ascii", "\u20ac", 0, 1, "no")
    return cls("something") if issubclass(cls, (h11.ProtocolError, UnicodeError)) else cls()


@pytest.mark.parametrize("cls", foreign_classes())
def test_no_foreign_class_gets_through(cls: type[BaseException]) -> None:
    error = make(cls)
    with pytest.raises(SessionError, match="GET http://a/b failed: .") as caught, Gate(Request("GET", "/b"), trail()):
        raise error
    assert caught.value.__cause__ is error


def trail(*, sent: bool = False) -> Trail:
    made = Trail("load")
    made.url = "http://a/b"
    made.sent = sent
    return made


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (ConnectionResetError(104, "reset"), ConnectionFailed),
        (trio.TooSlowError(), ConnectionFailed),
        (trio.ClosedResourceError(), SessionClosed),
        (h11.RemoteProtocolError("x"), ProtocolError),
        (h11.LocalProtocolError("x"), ConfigurationError),
    ],
)
def test_kinds(error: Exception, ours: type[SessionError]) -> None:
    assert type(translate(error, "trying")) is ours


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), trio.WouldBlock(), AssertionError()])
def test_what_is_not_foreign_passes_unchanged(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, Gate(Request("GET", "/b"), trail()):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("sent", [False, True])
def test_our_errors_learn_the_facts(writes: bool, sent: bool) -> None:
    ours = ProtocolError("odd")
    with pytest.raises(ProtocolError) as caught, Gate(Request("PUT", "/b", writes=writes, key="dogs/1"), trail(sent=sent)):
        raise ours
    assert caught.value is ours
    assert (ours.operation, ours.key, ours.url, ours.uncertain) == ("load", "dogs/1", "http://a/b", writes and sent)


def test_a_request_that_went_nowhere_has_no_url() -> None:
    with pytest.raises(ConnectionFailed) as caught, Gate(Request("GET", "/b"), Trail()):
        raise OSError
    assert (caught.value.url, caught.value.operation) == (None, None)


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


class Several(Exception):
    """Like trio's groups of failures, one for each address of a host."""

    exceptions = (ConnectionRefusedError(111, "Connection refused"), OSError(101, "Network is unreachable"))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(113, "No route to host"), "No route to host"),
        (caused(OSError("all attempts failed"), Several()), "Connection refused; Network is unreachable"),
        (caused(OSError("all attempts failed"), ConnectionRefusedError(111, "Connection refused")), "Connection refused"),
        (caused(trio.BrokenResourceError(), ssl.SSLEOFError()), "closed the connection without a word of TLS"),
        (caused(trio.BrokenResourceError(), ssl.SSLError(1, "odd")), "TLS failed: odd"),
        (trio.BrokenResourceError(), "the connection broke"),
        (trio.TooSlowError(), "no connection within connect_timeout"),
    ],
)
def test_reasons(error: BaseException, says: str) -> None:
    assert str(translate(error, "trying")) == f"trying: {says}" or says in str(translate(error, "trying"))
