"""Sessions on RavenDB and Neo4j for programs that run on trio: callbacks or await, change tracking, and events per HTTP status.

Everything public is here; modules below are internal.
"""

import importlib as _importlib
import typing as _typing

from evsession.config import VERSION as _VERSION
from evsession.config import Conventions, GraphOptions, GraphSessionOptions, Options, SessionOptions
from evsession.errors import (
    AuthenticationError,
    ConcurrencyError,
    ConfigurationError,
    ConnectionFailed,
    ConstraintError,
    DatabaseMissing,
    DirtyEntity,
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
    UnsupportedFeature,
)
from evsession.raven.document import Document, DocumentType
from evsession.raven.patches import Patch
from evsession.raven.results import Statistics
from evsession.raven.types import document
from evsession.session.documents.bulk import BulkInsert
from evsession.session.documents.queryable import Queryable
from evsession.session.documents.session import Session
from evsession.session.documents.store import Store
from evsession.session.documents.stream import Stream
from evsession.session.helpers import get_runnable, get_session, get_transaction
from evsession.session.known_entities import KnownEntities
from evsession.session.operation import Operation
from evsession.session.plan import Plan
from evsession.session.transaction import Capabilities, Transaction, TransactionBlock
from evsession.unitofwork.changes import MISSING, Change, Changes, EntityChanges
from evsession.unitofwork.commit import Saved
from evsession.unitofwork.hooks import CommitEvent
from evsession.wire.message import Request, Response
from evsession.wire.transport import Exchange, Trail, Transport, WireEvent

if _typing.TYPE_CHECKING:
    from evsession.neo4j.bookmarks import Bookmark
    from evsession.neo4j.nodes import node
    from evsession.neo4j.results import Record, Result
    from evsession.neo4j.summaries import Counters, Notification, QueryPlan, Summary
    from evsession.neo4j.temporal import Date, DateTime, Duration, Time
    from evsession.neo4j.things import Node, Path, Point, Relationship, Unsupported, Vector
    from evsession.neo4j.transactions import BasicAuth, BearerAuth, TransactionConfig
    from evsession.session.graphs.model import Model
    from evsession.session.graphs.runnables import QueryRunner
    from evsession.session.graphs.session import GraphSession
    from evsession.session.graphs.store import GraphStore
    from evsession.session.graphs.stream import GraphStream
    from evsession.session.graphs.transaction import GraphTransaction
else:
    # The half for graphs is imported when something of it is first asked for: programs on RavenDB need not wait for it.
    _GRAPHS = {
        "neo4j.bookmarks": ("Bookmark",),
        "neo4j.nodes": ("node",),
        "neo4j.results": ("Record", "Result"),
        "neo4j.summaries": ("Counters", "Notification", "QueryPlan", "Summary"),
        "neo4j.temporal": ("Date", "DateTime", "Duration", "Time"),
        "neo4j.things": ("Node", "Path", "Point", "Relationship", "Unsupported", "Vector"),
        "neo4j.transactions": ("BasicAuth", "BearerAuth", "TransactionConfig"),
        "session.graphs.model": ("Model",),
        "session.graphs.runnables": ("QueryRunner",),
        "session.graphs.session": ("GraphSession",),
        "session.graphs.store": ("GraphStore",),
        "session.graphs.stream": ("GraphStream",),
        "session.graphs.transaction": ("GraphTransaction",),
    }

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        for _module, _names in _GRAPHS.items():
            found = vars(_importlib.import_module(f"evsession.{_module}"))
            for one in _names:
                globals()[one] = _take_home(found[one])
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__version__ = _VERSION

__all__ = [
    "MISSING",
    "AuthenticationError",
    "BasicAuth",
    "BearerAuth",
    "Bookmark",
    "BulkInsert",
    "Capabilities",
    "Change",
    "Changes",
    "CommitEvent",
    "ConcurrencyError",
    "ConfigurationError",
    "ConnectionFailed",
    "ConstraintError",
    "Conventions",
    "Counters",
    "DatabaseMissing",
    "Date",
    "DateTime",
    "DirtyEntity",
    "Document",
    "DocumentType",
    "Duration",
    "EntityChanges",
    "Exchange",
    "GraphOptions",
    "GraphSession",
    "GraphSessionOptions",
    "GraphStore",
    "GraphStream",
    "GraphTransaction",
    "InvalidDocument",
    "KeyConflict",
    "KnownEntities",
    "Model",
    "Node",
    "NotLoaded",
    "Notification",
    "Operation",
    "OperationCancelled",
    "OperationTimeout",
    "Options",
    "Patch",
    "PatchError",
    "Path",
    "Plan",
    "Point",
    "ProtocolError",
    "QueryError",
    "QueryPlan",
    "QueryRunner",
    "Queryable",
    "Record",
    "Relationship",
    "Request",
    "Response",
    "Result",
    "Saved",
    "Session",
    "SessionClosed",
    "SessionError",
    "SessionOptions",
    "Statistics",
    "Store",
    "Stream",
    "Summary",
    "Time",
    "Trail",
    "Transaction",
    "TransactionBlock",
    "TransactionConfig",
    "TransactionError",
    "TransientError",
    "Transport",
    "Unsupported",
    "UnsupportedFeature",
    "Vector",
    "WireEvent",
    "document",
    "get_runnable",
    "get_session",
    "get_transaction",
    "node",
]


def _take_home(thing: _typing.Any) -> _typing.Any:
    """Let a thing say that it lives here: tracebacks and reprs name what users import, not where it is written."""
    if callable(thing):
        thing.__module__ = "evsession"
    return thing


for _name in __all__:
    _take_home(globals().get(_name))
del _name
