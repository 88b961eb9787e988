"""Everything evsession raises, as one tree.

::

    SessionError
    |-- ConfigurationError      an option, convention or argument that cannot be    (caller)
    |-- InvalidDocument         a document that JSON or the server cannot hold      (caller)
    |-- SessionClosed           the session is closed, or its store does not run    (caller)
    |-- KeyConflict             two documents, one key                              (caller)
    |-- NotLoaded               a field that was never fetched                      (caller)
    |-- DirtyEntity             reloading would lose unsaved edits                  (caller)
    |-- UnsupportedFeature      something that this version of the server lacks     (caller)
    |-- TransactionError        a transaction used against its state                (caller)
    |-- OperationCancelled      cancelled by the program                            (caller)
    |-- OperationTimeout        the time limit passed                               (transport)
    |-- ConnectionFailed        no answer: refused, reset, TLS                      (transport)
    |   `-- ProtocolError       an answer, but not one of this protocol             (server)
    |-- ConcurrencyError        the document is not the one that was loaded, 409    (server)
    |-- ConstraintError         a constraint of the database refused the write      (server)
    |-- QueryError              the server cannot run this query                    (server)
    |-- PatchError              no patch, or one that cannot be applied             (server)
    |-- DatabaseMissing         there is no database of this name                   (server)
    |-- AuthenticationError     unknown or insufficient credentials, 401, 403       (server)
    `-- TransientError          the same request may succeed later                  (server)

A failure that fits no branch is a plain `SessionError` with its status and code. Errors carry facts as attributes; the text is
for people and never holds a server's stack trace or a credential. All of them pickle (without their cause).
"""

from __future__ import annotations

import re
from typing import Any

__all__ = [
    "AuthenticationError",
    "ConcurrencyError",
    "ConfigurationError",
    "ConnectionFailed",
    "ConstraintError",
    "DatabaseMissing",
    "DirtyEntity",
    "InvalidDocument",
    "KeyConflict",
    "NotLoaded",
    "OperationCancelled",
    "OperationTimeout",
    "PatchError",
    "ProtocolError",
    "QueryError",
    "SessionClosed",
    "SessionError",
    "TransactionError",
    "TransientError",
    "UnsupportedFeature",
]

_CREDENTIALS = r"(?<=://)[^/\s]*@"


def hide_credentials(text: str) -> str:
    """Return the text with the user part of every URL in it replaced."""
    return re.sub(_CREDENTIALS, "***@", text)


class SessionError(Exception):
    """The root: an operation failed, or could not be started.

    Attributes:
        message: What happened, for people.
        status_code: The HTTP status, or None when there was no answer.
        code: The server's own name of the failure, such as ``"ConcurrencyException"``, or None.
        operation: The name of the method that the program called, such as ``"save"``, or None.
        key: The document concerned, where one is known.
        url: Where the request went, without credentials.
        uncertain: True when a write may or may not have happened.
        rows_before: How many good rows of a query came before it failed, where that is known; they are not given.
    """

    rows_before: int | None = None

    _is_told = False
    """Whether handlers have been told of it."""

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int | None = None,
        code: str | None = None,
        operation: str | None = None,
        key: str | None = None,
        url: str | None = None,
        uncertain: bool = False,
    ) -> None:
        self.message = hide_credentials(message)
        super().__init__(self.message)
        self.status_code = status_code
        self.code = code
        self.operation = operation
        self.key = key
        self.url = None if url is None else hide_credentials(url)
        self.uncertain = uncertain

    def is_retryable(self) -> bool:
        """Return whether the same operation may succeed later and cannot be applied twice by repeating it."""
        return False

    def __str__(self) -> str:
        return f"{self.message} (the write may have happened)" if self.uncertain else self.message

    def __repr__(self) -> str:
        facts = ("status_code", "code", "operation", "key", "url")
        known = "".join(f", {name}={getattr(self, name)!r}" for name in facts if getattr(self, name) is not None)
        return f"{type(self).__name__}({self.message!r}{known}{', uncertain=True' if self.uncertain else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.__dict__)


def _rebuild(cls: type[SessionError], message: str, facts: dict[str, Any]) -> SessionError:
    error = cls(message)
    error.__dict__.update(facts)
    return error


class ConfigurationError(SessionError, AttributeError, ValueError):
    """An option, a convention or a connection argument is unknown, out of range or already frozen."""


class InvalidDocument(SessionError, TypeError, ValueError):
    """A document that cannot be stored: the message names the path of the value, and nothing was sent.

    Attributes:
        path: The way to the value, such as ``"owner.tags[2]"``; empty for the document itself.
    """

    def __init__(self, message: str = "", *, path: str = "", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.path = path


class SessionClosed(SessionError):
    """An operation was started on a closed session, or while its store was not running."""


class KeyConflict(SessionError):
    """Two different objects claim the same key in one session."""


class NotLoaded(SessionError):
    """A field was read that the session has not fetched."""


class DirtyEntity(SessionError):
    """An entity has unsaved edits that reloading it would lose."""


class UnsupportedFeature(SessionError):
    """This version of the server lacks what the call needs; nothing was sent but the question for the version.

    Attributes:
        path: The way to the value that it cannot take, such as ``"rows[2].token"``; empty where it is no value.
    """

    path: str = ""


class TransactionError(SessionError):
    """A transaction was used against its state, has expired, or was ended by somebody else."""


class OperationCancelled(SessionError):
    """The operation was cancelled, by `Operation.cancel` or by the end of the task or store that ran it."""


class OperationTimeout(SessionError):
    """The time limit of the operation passed before its answer had come."""

    def is_retryable(self) -> bool:
        """Return True unless a write may have happened."""
        return not self.uncertain


class ConnectionFailed(SessionError):
    """There was no (whole) answer: refused, reset, closed half-way, or no valid certificate."""

    def is_retryable(self) -> bool:
        """Return True unless a write may have happened."""
        return not self.uncertain


class ProtocolError(ConnectionFailed):
    """The server answered with something else than HTTP, or than this database's protocol."""

    def is_retryable(self) -> bool:
        """Return False: the same server would answer the same."""
        return False


class ConcurrencyError(SessionError):
    """The document changed since it was loaded, or exists already; nothing was written.

    Attributes:
        expected: The change vector that the request named, or None.
        actual: The change vector on the server, or None if the document is missing.
    """

    expected: str | None = None
    actual: str | None = None


class ConstraintError(SessionError):
    """A constraint of the database refused the write."""


class QueryError(SessionError):
    """The server cannot run the query: syntax, missing index, un-indexed field.

    Attributes:
        field: The un-indexed field, where that was the reason.
        index: The index concerned, where one was named.
    """

    field: str | None = None
    index: str | None = None


class PatchError(SessionError):
    """The patch is none, or the server cannot apply it to this document; nothing was written."""


class DatabaseMissing(SessionError):
    """There is no database of this name on the server.

    Attributes:
        database: The name that was asked for.
    """

    database: str | None = None


class AuthenticationError(SessionError):
    """The server does not know this client, or does not let it do this."""


class TransientError(SessionError):
    """The server cannot answer now: loading, disabled, overloaded, moving."""

    def is_retryable(self) -> bool:
        """Return True unless a write may have happened."""
        return not self.uncertain
