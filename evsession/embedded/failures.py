"""Why a request is refused, as RavenDB would say it: a status, a .NET type, a message. Knows no storage."""

from __future__ import annotations

from evsession.wire.json import JSON

__all__ = [
    "RavenFailure",
    "collection_mismatch",
    "conflict",
    "delete_conflict",
    "invalid_argument",
    "put_conflict",
    "unsupported",
]

CONCURRENCY = "Raven.Client.Exceptions.ConcurrencyException"
_ABORTED = "Optimistic concurrency violation, transaction will be aborted."


class RavenFailure(Exception):
    """The request cannot be answered; the answer says why, in RavenDB's words where it has any.

    Attributes:
        status: The HTTP status.
        type: The full name of RavenDB's exception, or empty for an answer without a body.
        message: What people read.
        extras: Further members of the answer.
    """

    def __init__(self, status: int, type: str, message: str, **extras: JSON) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.message = message
        self.extras = extras


def invalid_argument(message: str) -> RavenFailure:
    """Return the failure of a request with a part that cannot be; RavenDB says 500 to these (seen on 5.4 - 7.1)."""
    return RavenFailure(500, "System.ArgumentException", message)


def unsupported(what: str) -> RavenFailure:
    """Return the failure of a request that RavenDB could answer and this server cannot."""
    return RavenFailure(500, "System.NotSupportedException", f"The embedded server of evsession does not support {what}.")


def conflict(message: str, *, key: str | None, expected: str | None, actual: str | None) -> RavenFailure:
    """Return the failure of an optimistic concurrency check, in the shape of RavenDB's 409."""
    return RavenFailure(409, CONCURRENCY, message, Id=key, ExpectedChangeVector=expected, ActualChangeVector=actual)


def put_conflict(key: str, expected: str, actual: str | None) -> RavenFailure:
    """Return the 409 of a PUT whose change vector is not the document's."""
    if actual is None:
        message = f"Document {key} does not exist, but Put was called with change vector: {expected}. {_ABORTED}"
    else:
        called = f"change vector {expected}" if expected else "expecting new document"
        message = f"Document {key} has change vector {actual}, but Put was called with {called}. {_ABORTED}"
    return conflict(message, key=key, expected=expected, actual=actual)


def delete_conflict(key: str, expected: str, actual: str | None) -> RavenFailure:
    """Return the 409 of a DELETE whose change vector is not the document's.

    RavenDB names a missing document only while it remembers the deletion (seen on 7.1); here it is always named.
    """
    if actual is None:
        message = f"Document {key} does not exist, but delete was called with change vector '{expected}'. {_ABORTED}"
    else:
        message = f"Document {key} has change vector {actual}, but Delete was called with change vector '{expected}'. {_ABORTED}"
    return conflict(message, key=key, expected=expected, actual=actual)


def collection_mismatch(key: str, old: str, new: str) -> RavenFailure:
    """Return the failure of a write that would move a document into another collection."""
    return RavenFailure(
        500,
        "Raven.Client.Exceptions.Documents.DocumentCollectionMismatchException",
        f"Changing '{key}' from '{old}' to '{new}' via update is not supported. Delete it and recreate the document '{key}'.",
    )
