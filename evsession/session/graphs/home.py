"""What a transaction on a graph needs of its session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from evsession.config import GraphSessionOptions
from evsession.neo4j.answers import Answer
from evsession.neo4j.flows import Known
from evsession.neo4j.statements import GraphDatabase, Opening
from evsession.neo4j.transactions import TransactionConfig
from evsession.session.gate import Gate
from evsession.session.graphs.mapper import NodePicture
from evsession.session.runtime import Runtime
from evsession.unitofwork.unit import UnitOfWork
from evsession.wire.transport import Transport, WireEvent

if TYPE_CHECKING:
    from evsession.session.graphs.transaction import GraphTransaction

__all__ = ["TransactionHome"]


class TransactionHome(Protocol):
    """The session of a transaction."""

    _database: GraphDatabase
    _server: Known
    _gate: Gate
    _unit: UnitOfWork[NodePicture]

    @property
    def options(self) -> GraphSessionOptions:
        """The session's settings."""

    def _running(self) -> tuple[Runtime, Transport]:
        """Return what runs, or raise SessionClosed."""

    def _store_running(self) -> tuple[Runtime, Transport]:
        """Return what runs, whether the session is open or not, or raise SessionClosed."""

    def _observe(self, event: WireEvent) -> None:
        """Tell those that watch."""

    def _opening(self, config: TransactionConfig, access: str) -> Opening:
        """Return how a transaction begins now."""

    def _next_tag(self) -> str:
        """Return a mark for a statement."""

    def _saw(self, answer: Answer) -> None:
        """Take the bookmark of what was committed."""

    def _check_turn(self, name: str) -> None:
        """Raise TransactionError where what waits for its turn is waiting for oneself."""

    def _stay_open(self) -> None:
        """Know that a transaction is not asked to end any more."""

    def _ended(self, transaction: GraphTransaction) -> None:
        """Know that it holds nothing any more and another one may begin."""
