"""Statements that run wherever the caller says: in a session or transaction that is there, or in a session of their own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol, TypeVar

from evsession.errors import SessionError
from evsession.neo4j.cypher import Cypher
from evsession.neo4j.results import Result
from evsession.neo4j.statements import Statement
from evsession.neo4j.transactions import TransactionConfig
from evsession.session.callbacks import Callback, shift
from evsession.session.graphs.instance import Instance, writing
from evsession.session.graphs.mapper import NodePicture
from evsession.session.graphs.session import GraphSession
from evsession.session.graphs.settling import settle
from evsession.session.graphs.transaction import GraphTransaction
from evsession.session.operation import Notice, Operation, Owner, Pause, Steps
from evsession.unitofwork.unit import UnitOfWork
from evsession.wire.message import Request, Response

__all__ = ["Answering", "Place", "QueryRunner", "Runnable", "SessionSource", "operate"]

T = TypeVar("T")

Answering = Generator["Request | Pause | Notice", "Response | None", T]
"""Steps that give one thing."""

Runnable = GraphSession | GraphTransaction


class SessionSource(Protocol):
    """A store."""

    def open_session(self, access_mode: str = "write") -> GraphSession:
        """Return a new session."""


class Place:
    """Where the statements of one operation run."""

    _session: GraphSession
    _unit: UnitOfWork[NodePicture]

    def __init__(self, store: SessionSource, existing: Runnable | None, access: str, *, transact: bool) -> None:
        """Take the place that is given, or open a session; with `transact` a session gets a transaction for this operation.

        Raises:
            TypeError: it is neither a session nor a transaction.
        """
        self._is_temporary = existing is None
        self._transaction: GraphTransaction | None = None
        self._own: GraphTransaction | None = None
        if isinstance(existing, GraphTransaction):
            self._transaction, self._unit = existing, existing._session._unit
            return
        if existing is not None and not isinstance(existing, GraphSession):
            raise TypeError(f"session is a GraphSession, a GraphTransaction or None, not {existing!r}")
        self._session = store.open_session(access) if existing is None else existing
        self._unit = self._session._unit
        self._transaction = self._session._here()
        if self._transaction is not None:
            return
        if transact:
            self._own = self._transaction = self._session._new_transaction(access.upper(), TransactionConfig())

    @property
    def owner(self) -> Owner:
        """Whose handlers, options and transport count."""
        return self._session._alone() if self._transaction is None else self._transaction

    def steps(self, work: Callable[[Place], Steps]) -> Steps:
        """Do the work; commit or roll back what was begun for it, and close what was opened."""
        if self._transaction is not None and self._own is None:
            return (yield from work(self))
        session = self._session
        try:
            if self._own is None:
                return (yield from work(self))
            session._check_free("relate_to", "What is undone by itself cannot begin")
            session._check_turn("relate_to")
            turns, pause = session._queue(), session._ending()
            turn = turns.take()
            try:
                if pause is not None:
                    yield pause
                if not turns.is_next(turn):
                    yield turn
                return (yield from self._transact(self._own, work))
            finally:
                turn.release()
        finally:
            if self._is_temporary:
                session._is_open = False

    def _transact(self, transaction: GraphTransaction, work: Callable[[Place], Steps]) -> Steps:
        try:
            results = yield from work(self)
        except SessionError:
            yield from transaction._close()
            raise
        yield from transaction._commit()
        return results

    def run(self, cypher: Cypher) -> Answering[Result]:
        """Run a statement."""
        statement = Statement.of(*cypher)
        (result,) = yield from self._run(lambda: statement)
        answer: Result = result
        return answer

    def write(self, instance: Instance, data: dict[str, Any], decide: Callable[[], Statement | None]) -> Answering[Result | None]:
        """Run the statement that writes an instance, if anything is left to be written when its turn comes.

        Args:
            instance: What is written.
            data: What it will be then; nothing if its node is deleted.
            decide: Returns the statement, or None; asked when what was called before has ended.
        """
        known = instance._known
        try:
            with writing(instance, data) as turn:
                if turn is not None and self._is_temporary:  # a session of its own takes no turns with those of others
                    yield turn
                (result,) = yield from self._run(decide)
        except BaseException:
            if known is not None:
                self._unit.settle_unwritten(known)
            raise
        answer: Result | None = result
        return answer

    def _run(self, decide: Callable[[], Statement | None]) -> Steps:
        run = self._session._run_alone if self._transaction is None else self._transaction._run_later
        return run(decide)

    def settle(self, instance: Instance, properties: Mapping[str, Any] | None, sent: Mapping[str, Any] | None = None) -> None:
        """Let an instance be what a statement has made of its node; None if it was deleted. See `settle`."""
        settle(instance, properties, self._unit, self._transaction, sent)


def operate(
    store: SessionSource,
    name: str,
    existing: Runnable | None,
    work: Callable[[Place], Steps],
    callback: Callback | None,
    width: int,
    *,
    access: str = "write",
    transact: bool = False,
) -> Operation[Any]:
    """Return the operation whose statements run in the existing session or transaction, or in a session of their own."""
    place = Place(store, existing, access, transact=transact)
    return Operation(place.owner, name, place.steps(work), callback, width)


class QueryRunner:
    """Runs statements where the caller says; `GraphStore.query_runner` is one."""

    def __init__(self, store: SessionSource) -> None:
        self._store = store

    def run(
        self, statement: str, params: Any = None, session: Runnable | Callback | None = None, callback: Callback | None = None
    ) -> Operation[Result]:
        """Run a statement; the result is a `Result`.

        Args:
            statement: One statement of Cypher.
            params: Its parameters, as for `GraphSession.run`.
            session: A session, a transaction, or None for a session of its own.
            callback: Called with the error and the result.
        """
        given: Any = session
        if not isinstance(given, (GraphSession, GraphTransaction)):
            callback, params, given = shift(callback, params, given)

        def steps(place: Place) -> Steps:
            return ((yield from place.run(Cypher(statement, params))),)

        return operate(self._store, "run", given, steps, callback, 1)
