"""The graph session: every method that programs call, and nothing of how it is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, overload

from evsession.config import GraphSessionOptions, Held
from evsession.errors import SessionError, TransactionError
from evsession.neo4j.flows import Known, check_flow, statement_flow
from evsession.neo4j.results import Record, Result
from evsession.neo4j.statements import GraphDatabase, Statement
from evsession.neo4j.transactions import TransactionConfig, config_of
from evsession.session.callbacks import Callback, shift
from evsession.session.calls import call_steps
from evsession.session.conversation import Running
from evsession.session.events import Events
from evsession.session.gate import Gate
from evsession.session.graphs.alone import Alone, One, Resetting
from evsession.session.graphs.chain import Chain
from evsession.session.graphs.managed import Managed
from evsession.session.graphs.phase import Phase
from evsession.session.graphs.stream import GraphStream
from evsession.session.graphs.transaction import GraphTransaction
from evsession.session.operation import Operation, Steps
from evsession.session.rows import consume
from evsession.session.works import Work
from evsession.wire.transport import WireEvent

__all__ = ["GraphSession"]

T = TypeVar("T")

Settings = tuple[Any, "float | None", "Mapping[str, Any] | None"]
"""A config, a timeout and metadata, as `config_of` takes them."""


class GraphSession(Chain):
    """A chain of transactions on one database, each of which sees what those before it wrote.

    Open one with `GraphStore.open_session`, best in ``async with``: leaving waits for the session's operations, rolls back a
    transaction that is still open, and closes. Its operations run one after another in the order of the calls; for work side by
    side open several sessions. At most one transaction is open at a time.

    Each method that asks the server returns an `Operation`. Its callback is always the last argument, also when optional ones
    before it are left out.

    Attributes:
        options: The session's own copy of `GraphSessionOptions`; free to change.
    """

    options = Held(GraphSessionOptions)

    def __init__(
        self,
        *,
        database: GraphDatabase,
        access: str,
        bookmarks: tuple[str, ...],
        impersonated_user: str | None,
        known: Known,
        options: GraphSessionOptions,
        events: Events,
        gate: Gate,
        running: Running,
        with_identity_map: bool = True,
    ) -> None:
        super().__init__(options=options, events=events, gate=gate, running=running)
        self._database = database
        self._server = known
        self._tag = ""
        self._single = Alone(self)
        self._start_chain(access, bookmarks, impersonated_user)
        self._start_nodes(tracks=with_identity_map)

    def run(
        self,
        query: str,
        params: Any = None,
        config: TransactionConfig | Callback | None = None,
        callback: Callback | None = None,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation[Result]:
        """Run a statement in a transaction of its own; the result is a `Result` with all records.

        A failure that comes after good rows still fails the operation; its `rows_before` says how many there were. If the
        operation is cancelled, the statement is terminated on the server.

        Args:
            query: One statement of Cypher.
            params: Its parameters: None, bool, int (64 bits), float, str, bytes, list, tuple, dict, Python's date, time, datetime
                and timedelta, `Date`, `Time`, `DateTime`, `Duration`, `Point`; `Vector` and UUID where the server knows them.
            config: `TransactionConfig`.
            callback: Called with the error and the result.
            timeout: In place of a config.
            metadata: In place of a config.

        Raises:
            QueryError: the statement is empty, or the server cannot run it.
            InvalidDocument: a parameter cannot be sent; its `path` says which. Nothing was sent.
            TransactionError: a transaction of this session is open; run it there, or in another session.
            UnsupportedFeature: the server lacks metadata, or the type of a parameter.
        """
        callback, params, given = shift(callback, params, config)
        if isinstance(params, TransactionConfig) and given is None:
            params, given = None, params
        here = self._here()
        steps = self._run(here, query, params, (given, timeout, metadata))
        return Operation(self._alone() if here is None else here, "run", steps, callback, 1)

    def _run(self, here: GraphTransaction | None, query: str, params: Any, settings: Settings) -> Steps:
        config, statement = config_of(*settings), Statement.of(query, params)
        if here is None:
            return (yield from self._run_later(lambda: statement, config))
        if not config.is_empty:
            raise TransactionError("the settings of a statement are those of the transaction that is open in this session")
        return (yield from here._run_later(lambda: statement))

    def _run_later(self, decide: Callable[[], Statement | None], config: TransactionConfig) -> Steps:
        self._check_free("run", "Queries cannot be run directly")
        self._check_turn("run")
        turns, pause = self._queue(), self._ending()
        turn = turns.take()
        try:
            if pause is not None:
                yield pause
            if not turns.is_next(turn):
                yield turn
            statement = decide()
            if statement is None:
                return (None,)
            features = yield from check_flow(self._server, statement, config)
            if config.timeout is not None and features is not None and not features.has_timeouts:
                one = One(self._new_transaction(self._access, config), statement)
                yield one
                return (one.result,)
            self._tag = self._next_tag()
            answer = yield from statement_flow(self._database, statement, self._opening(config, self._access), self._tag)
            self._saw(answer)
            return (Result(answer, statement.text, statement.parameters, self._database.name),)
        finally:
            turn.release()

    @overload
    def stream(
        self,
        query: str,
        params: Any = None,
        config: Any = None,
        callback: Callback | None = None,
        *,
        on_record: Any,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation[int]: ...
    @overload
    def stream(
        self,
        query: str,
        params: Mapping[str, Any] | None = None,
        config: TransactionConfig | None = None,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> GraphStream: ...
    def stream(
        self,
        query: str,
        params: Any = None,
        config: Any = None,
        callback: Callback | None = None,
        *,
        on_record: Callable[[Record], object] | None = None,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        """Read a result of any size in constant memory: ``async for record in session.stream("MATCH (n) RETURN n")``.

        The statement runs in a transaction of its own when the first record is asked for. With `on_record` it is an `Operation`
        instead, which calls ``on_record(record)`` for each and ends with the callback, whose result is their number. Arguments
        and errors are those of `run`, but a timeout needs Neo4j 2026.04.

        Args:
            query: One statement of Cypher.
            params: Its parameters.
            config: `TransactionConfig`.
            callback: Called with the error and the number of records; only with `on_record`.
            on_record: A function of one record, plain or async; an async one holds the stream until it is done.
            timeout: In place of a config.
            metadata: In place of a config.
        """
        callback, params, config = shift(callback, params, config)
        if callback is not None and on_record is None:
            raise TypeError("a stream with a callback needs on_record, a function of one record")

        def build() -> GraphStream:
            self._check_free("stream", "You cannot begin a stream")
            return GraphStream(self, Statement.of(query, params), config_of(config, timeout, metadata))

        if on_record is not None:
            return consume(self, build, "on_record", on_record, callback)
        stream = build()
        self._streams.add(stream)
        return stream

    def begin_transaction(
        self,
        config: TransactionConfig | Callback | None = None,
        callback: Callback | None = None,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation[GraphTransaction]:
        """Begin a transaction; the result is a `GraphTransaction`.

        Raises:
            TransactionError: one is open already, which is not harmed; or a bookmark is none.
        """
        given: Any = config
        callback, given = shift(callback, given)
        self._check_open()
        transaction = self._new_transaction(self._access, TransactionConfig())
        steps = self._beginning(transaction, (given, timeout, metadata))
        return Operation(transaction, "begin_transaction", steps, callback, 1)

    def _beginning(self, transaction: GraphTransaction, settings: Settings) -> Steps:
        transaction._config = config_of(*settings)
        self._refuse_in_hook("begin_transaction", None)
        self._check_free("begin_transaction", "You cannot begin a transaction")
        self._check_turn("begin_transaction")
        # What is called in it before it has begun waits for that: by a statement it would begin once more.
        first, turn, pause = transaction._turns.take(), self._turns.take(), self._ending()
        self._coming, self._is_ending, transaction._is_coming = transaction, False, True
        has_begun = False
        try:
            if pause is not None:
                yield pause
            if not self._turns.is_next(turn):
                yield turn
            self._check_open()
            # Only now: a commit that was called before must not write into it.
            self._become_current(transaction)
            yield from transaction._begin()
            has_begun = True
            return (transaction,)
        finally:
            if not has_begun:
                transaction._move(Phase.ROLLED_BACK)
            turn.release()
            first.release()

    @overload
    def read_transaction(
        self,
        work: Callable[[GraphTransaction], Awaitable[T]],
        config: TransactionConfig | Callback | None = None,
        callback: Callback | None = None,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation[T]: ...
    @overload
    def read_transaction(
        self,
        work: Callable[..., Any],
        config: TransactionConfig | Callback | None = None,
        callback: Callback | None = None,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation[Any]: ...
    def read_transaction(
        self,
        work: Callable[..., Any],
        config: TransactionConfig | Callback | None = None,
        callback: Callback | None = None,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation[Any]:
        """Do work that only reads in a transaction, also again if its commit is lost; else it is as `write_transaction`."""
        callback, config = shift(callback, config)
        steps = self._managing("read_transaction", "READ", work, (config, timeout, metadata))
        return Operation(self, "read_transaction", steps, callback, 1)

    @overload
    def write_transaction(
        self,
        work: Callable[[GraphTransaction], Awaitable[T]],
        config: TransactionConfig | Callback | None = None,
        callback: Callback | None = None,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation[T]: ...
    @overload
    def write_transaction(
        self,
        work: Callable[..., Any],
        config: TransactionConfig | Callback | None = None,
        callback: Callback | None = None,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation[Any]: ...
    def write_transaction(
        self,
        work: Callable[..., Any],
        config: TransactionConfig | Callback | None = None,
        callback: Callback | None = None,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Operation[Any]:
        """Do work in a transaction, commit it, and give what it gave.

        If the work raises, the transaction is rolled back and the exception is the operation's. A failure that may pass
        (`SessionError.is_retryable`: a deadlock, a connection that broke) is tried again with all of the work, for
        ``options.retry_time`` seconds, so the work should change nothing but the graph. A commit whose outcome is unknown is
        `uncertain` and never tried again. The transaction begins with the first statement of the work, in one request.

        Args:
            work: ``async def work(tx)``; or in callback style ``def work(tx, done)``, which calls ``done(error, result)`` at its
                end.
            config: `TransactionConfig` of each try.
            callback: Called with the error and the value of the work.
            timeout: In place of a config.
            metadata: In place of a config.

        Raises:
            TransactionError: a transaction is open in this session.
        """
        callback, config = shift(callback, config)
        steps = self._managing("write_transaction", "WRITE", work, (config, timeout, metadata))
        return Operation(self, "write_transaction", steps, callback, 1)

    def _managing(self, name: str, access: str, work: Callable[..., Any], settings: Settings) -> Steps:
        config = config_of(*settings)

        def begin() -> GraphTransaction:
            self._managed = self._new_transaction(access, config, self._events.without_failures())
            return self._managed

        def tell(error: SessionError, attempt: int, delay: float) -> None:
            self._observe(WireEvent("retry", name, "POST", error.url or "", attempt, duration=delay, error=error))

        managed = Managed(begin, work, self.options, tell, Work(self, name, keeps_turn=True))
        self._refuse_in_hook(name, None)
        self._check_free(name, "You cannot begin a transaction")
        self._check_turn(name)
        turn, pause = self._turns.take(), self._ending()
        try:
            if pause is not None:
                yield pause
            if not self._turns.is_next(turn):
                yield turn
            yield managed
            return (managed.value,)
        finally:
            turn.release()

    def reset(self, callback: Callback | None = None) -> Operation[None]:
        """End what the session does on the server: a statement that runs is terminated, an open transaction is rolled back.

        The operations concerned fail, a transaction is to be closed by the program. Does not wait for its turn. A commit that
        is on its way already may still succeed: its answer counts.
        """
        return Operation(self, "reset", call_steps(Resetting(self).wait), callback, 0)

    async def _end(self) -> None:
        """Wait for what is in flight, roll back an open transaction, then close."""
        try:
            if self._is_open:
                await self._gate.wait()
        finally:
            self._is_open = False  # nothing begins while this rolls back
            try:
                if self._current is not None:
                    await self._current._abandon(None)  # noqa: ASYNC102 - what must be shielded there is
            finally:
                self._let_go()

    def _run_alone(self, decide: Callable[[], Statement | None]) -> Steps:
        return self._run_later(decide, TransactionConfig())

    def _alone(self) -> Alone:
        """Return the owner of operations that run statements in transactions of their own."""
        return self._single

    def __repr__(self) -> str:
        state = "open" if self._is_open else "closed"
        return f"<GraphSession {self._database.name!r} {self._access} {state}, {self._gate.count} in flight>"
