"""The chain of transactions that a graph session is: which one is open, and what the next one must see. Sends nothing."""

from __future__ import annotations

from uuid import uuid4

from evsession.errors import TransactionError
from evsession.neo4j.answers import Answer
from evsession.neo4j.bookmarks import Bookmark
from evsession.neo4j.flows import Known
from evsession.neo4j.statements import Opening
from evsession.neo4j.transactions import TransactionConfig
from evsession.session.events import Events
from evsession.session.graphs.alone import Ending
from evsession.session.graphs.transaction import GraphTransaction
from evsession.session.graphs.work import GraphWork
from evsession.session.graphs.work_transaction import WorkTransaction
from evsession.wire.transport import WireEvent

__all__ = ["Chain"]


class Chain(GraphWork):
    """What a graph session knows of its transactions."""

    _server: Known

    def _start_chain(self, access: str, bookmarks: tuple[str, ...], impersonated_user: str | None) -> None:
        self._access = access
        self._bookmarks = bookmarks
        self._impersonated_user = impersonated_user
        self._current: GraphTransaction | None = None
        self._coming: GraphTransaction | None = None
        self._managed: GraphTransaction | None = None
        self._mark = uuid4().hex
        self._count = 0
        self._enders, self._is_ending = 0, False

    def last_bookmark(self) -> Bookmark | None:
        """Return what this session has seen: of its last commit or successful `run`, before those what it was opened with.

        Failures, rollbacks and streams that were not read to the end leave it as it was. It is up to date when the operations
        that were called before are done.
        """
        return Bookmark(self._bookmarks) if self._bookmarks else None

    def _observe(self, event: WireEvent) -> None:
        """Tell those that watch."""
        for handler in self._events.pick(event.name):
            self._store_running()[0].call(self._gate, self._events, handler, event)

    def _new_work_transaction(self) -> GraphTransaction:
        return WorkTransaction(self, self._access, TransactionConfig(), self._events)

    def _new_transaction(self, access: str, config: TransactionConfig, events: Events | None = None) -> GraphTransaction:
        return GraphTransaction(self, access, config, self._events if events is None else events)

    def _check_free(self, name: str, what: str) -> None:
        current = self._current
        is_taken = current is not None and current.is_open and not current._is_own
        if is_taken or self._coming is not None or self._managed is not None:
            raise TransactionError(
                f"{what} on a session with an open transaction; use that one, end it, or take another session",
                operation=name,
            )

    def _ending(self) -> Ending | None:
        """Return the pause until a transaction is over that was asked to end."""
        return None if self._current is None else Ending(self._current)

    def _opening(self, config: TransactionConfig, access: str) -> Opening:
        return Opening(access, self._bookmarks, config, self._impersonated_user)

    def _next_tag(self) -> str:
        self._count += 1
        return f"{self._mark}-{self._count}"

    def _saw(self, answer: Answer) -> None:
        if answer.bookmarks:
            self._bookmarks = tuple(answer.bookmarks)

    def _ended(self, transaction: GraphTransaction) -> None:
        if transaction is self._current:
            self._current = None
            self._end_work(transaction)
        elif transaction is self._coming:
            after, transaction._after = transaction._after, None
            self._coming = after if after is not None and after._is_coming and after.is_open else None
            self._is_ending = self._enders > 0
        elif transaction is self._managed:
            self._managed = None
