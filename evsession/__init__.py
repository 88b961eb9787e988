"""Sessions on RavenDB for programs that run on trio: callbacks or await, change tracking, and events per HTTP status.

Everything public is here; modules below are internal.
"""

from evsession.config import VERSION as _VERSION
from evsession.config import Conventions, Options, SessionOptions
from evsession.errors import (
    AuthenticationError,
    ConcurrencyError,
    ConfigurationError,
    ConnectionFailed,
    ConstraintError,
    DatabaseMissing,
    InvalidDocument,
    KeyConflict,
    NotLoaded,
    OperationCancelled,
    OperationTimeout,
    PatchError,
    ProtocolError,
    QueryError,
    SessionClosed,
    SessionError,
    TransactionError,
    TransientError,
)
from evsession.raven.document import Document, DocumentType
from evsession.raven.patches import Patch
from evsession.raven.results import Statistics
from evsession.raven.types import document
from evsession.session.bulk import BulkInsert
from evsession.session.operation import Operation
from evsession.session.queryable import Queryable
from evsession.session.session import Session
from evsession.session.store import Store
from evsession.session.stream import Stream
from evsession.wire.message import Request, Response
from evsession.wire.transport import Exchange, Trail, Transport, WireEvent

__version__ = _VERSION

__all__ = [
    "AuthenticationError",
    "BulkInsert",
    "ConcurrencyError",
    "ConfigurationError",
    "ConnectionFailed",
    "ConstraintError",
    "Conventions",
    "DatabaseMissing",
    "Document",
    "DocumentType",
    "Exchange",
    "InvalidDocument",
    "KeyConflict",
    "NotLoaded",
    "Operation",
    "OperationCancelled",
    "OperationTimeout",
    "Options",
    "Patch",
    "PatchError",
    "ProtocolError",
    "QueryError",
    "Queryable",
    "Request",
    "Response",
    "Session",
    "SessionClosed",
    "SessionError",
    "SessionOptions",
    "Statistics",
    "Store",
    "Stream",
    "Trail",
    "TransactionError",
    "TransientError",
    "Transport",
    "WireEvent",
    "document",
]

# Tracebacks and reprs name what users import, not where it is written.
for _name in __all__:
    globals()[_name].__module__ = "evsession"
del _name
