"""One transaction on a graph: what may be done with it when, and that nothing of it stays behind on the server."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar

import trio

from evsession.errors import AuthenticationError, ProtocolError, SessionClosed, SessionError, TransactionError
from evsession.neo4j.answers import Answer
from evsession.neo4j.flows import Opened, begin_flow, check_flow, commit_flow, rollback_flow, run_flow
from evsession.neo4j.results import Result
from evsession.neo4j.statements import Opening, Statement
from evsession.neo4j.transactions import TransactionConfig
from evsession.session.callbacks import Callback, shift
from evsession.session.events import Events
from evsession.session.gate import Turn, Turns
from evsession.session.graphs.guard import Guard
from evsession.session.graphs.home import TransactionHome
from evsession.session.graphs.keep_alive import KeepingAlive
from evsession.session.graphs.parts import CUT_OFF, PARTS, LastTurn, Part, Releasing, do_part, let_go
from evsession.session.graphs.phase import Phase, refusal
from evsession.session.graphs.release import RELEASE_TIME, release
from evsession.session.operation import Notice, Operation, Pause, Steps
from evsession.session.runtime import Runtime
from evsession.unitofwork.hooks import calling
from evsession.wire.flow import Flow
from evsession.wire.message import Request, Response
from evsession.wire.transport import Trail, Transport

__all__ = ["GraphTransaction"]

T = TypeVar("T")


class GraphTransaction:
    """A transaction that is begun, used and ended by the program; `GraphSession.begin_transaction` gives it.

    ``async with transaction:`` commits when the block ends, and rolls back when it ends by an exception. Its operations take
    turns in call order. Any failure of a statement ends it on the server; then `commit` raises, and `rollback` and `close` send
    nothing. What is cancelled before it has begun leaves it as it is. After a commit that was cancelled, or whose answer was
    lost, nobody knows what became of it, unless it only reads: whatever is asked of it then, but `close`, raises a
    `TransactionError` that is `uncertain`. An idle one expires on the server after a minute (its next operation raises
    `TransactionError`), unless ``options.keep_alive`` is set.

    Attributes:
        session: Its session.
        options: The session's options.
    """

    def __init__(self, session: TransactionHome, access: str, config: TransactionConfig, events: Events) -> None:
        self.options = session.options
        self.session: Any = session
        self._session = session
        self._is_assigned = self._is_own = self._is_coming = self._is_half = self._is_committed = self._is_undone = False
        self._has_refused = False
        self._events = events
        self._gate = session._gate
        self._access = access
        self._writes = access == "WRITE"
        self._config = config
        self._turns = Turns()
        self._flushes: list[Turn] = []
        self._after: GraphTransaction | None = None
        self._place: Turn | None = None
        self._asked = self._phase = Phase.ACTIVE
        self._opened: Opened | None = None
        self._beginning: trio.Event | None = None
        self._is_committing = False
        self._tag = ""
        self._cause: BaseException | None = None
        self._left = trio.Event()
        self._regrets: list[Callable[[], None]] = []

    @property
    def is_open(self) -> bool:
        """Whether it is still to be ended: neither committed nor rolled back, nor asked to be.

        One in which something has failed is open until it is ended, as in the Java driver; a `commit` raises, and has ended it.
        """
        return self._asked in (Phase.ACTIVE, Phase.TERMINATED)

    @property
    def expires(self) -> datetime | None:
        """When the server gives it up unless it is used before, in UTC by the server's clock; None before it has begun."""
        opened = self._opened
        return None if opened is None or opened.answer.transaction is None else opened.answer.transaction.expires

    def run(self, query: str, params: Any = None, callback: Callback | None = None) -> Operation[Result]:
        """Run a statement in the transaction; as `GraphSession.run`, but settings belong to the transaction.

        Raises:
            TransactionError: the transaction has ended, or something in it has failed (which is the cause).
        """
        callback, params = shift(callback, params)
        return Operation(self, "run", self._run(query, params), callback, 1)

    def commit(self, callback: Callback | None = None) -> Operation[None]:
        """Make everything that was done in it last; if `use_transaction` opened it, what is pending in the session, too.

        Called again while it is under way, it has the same outcome. If no answer comes back, it is asked whether the transaction
        is still there: then it is rolled back, else the error is `uncertain`. A commit that fails has ended it, too.

        Raises:
            TransactionError: it has ended already, or something in it has failed (which is the cause).
        """
        return Operation(self, "commit", self._commit(), callback, 0)

    def rollback(self, callback: Callback | None = None) -> Operation[None]:
        """Undo everything that was done in the transaction.

        Raises:
            TransactionError: it was committed or rolled back already.
        """
        return Operation(self, "rollback", self._roll_back("rollback"), callback, 0)

    def close(self, callback: Callback | None = None) -> Operation[None]:
        """Roll back unless the transaction has ended, in whatever way."""
        # Nothing is left to do of one that has ended, so its session may have ended, too.
        owner = self if self.is_open else Part(self, self._session._store_running)
        return Operation(owner, "close", self._close(), callback, 0)

    async def _do(self, name: str, *arguments: Any) -> Any:
        """Do a part of another operation; see `do_part`."""
        steps = self._run(*arguments) if name == "run" else self._commit() if name == "commit" else self._close()
        return await do_part(self, name, steps)

    async def __aenter__(self) -> GraphTransaction:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            await self._abandon(error)  # noqa: ASYNC102 - what must be shielded there is
        elif self.is_open:
            try:
                await self.commit()  # noqa: ASYNC102 - what must be shielded there is
            finally:
                await self._abandon(None)  # noqa: ASYNC102 - what must be shielded there is

    def __repr__(self) -> str:
        return f"<GraphTransaction {self._access} {self._phase.name.lower()}>"

    # The steps of the operations look at what was asked for when they are called, and at what became of it when it is their turn.
    # Then, too, it is decided what is run: nothing, if operations that were called before have left nothing to be done.

    def _run(self, query: str, params: Any) -> Steps:
        statement = Statement.of(query, params)
        return (yield from self._run_later(lambda: statement))

    def _run_later(self, decide: Callable[[], Statement | None]) -> Steps:
        self._check("run", self._meant())
        turn = self._line_up("run")
        try:
            if not self._turns.is_next(turn):
                yield turn
                self._check("run", self._phase)
            statement = decide()
            if statement is None:
                return (None,)
            yield from check_flow(self._session._server, statement, self._config)
            answer = yield from self._guarded(self._run_or_begin(statement))
            self._check("run", self._phase)  # it may have been ended by a reset, or by the end of its session
            return (Result(answer, statement.text, statement.parameters, self._session._database.name),)
        finally:
            turn.release()

    def _run_or_begin(self, statement: Statement) -> Flow[Answer]:
        self._tag = self._session._next_tag()
        opened = self._opened
        if opened is None:
            begun = yield from begin_flow(self._session._database, self._begin_now(), statement, self._tag)
            self._begun(begun)
            return begun.answer
        answer = yield from run_flow(self._session._database, opened, statement, self._tag)
        self._opened = Opened(opened.id, opened.affinity, answer)
        return answer

    def _begin(self) -> Steps:
        """Begin without a statement, in a request of its own, so that what hinders it is known at once."""
        yield from check_flow(self._session._server, None, self._config)
        yield from self._guarded(self._begin_flow())
        self._check("run", self._phase)
        return (self,)

    def _begin_flow(self) -> Flow[None]:
        self._begun((yield from begin_flow(self._session._database, self._begin_now(), None, "")))

    def _begin_now(self) -> Opening:
        return self._session._opening(self._config, self._access)

    def _begun(self, opened: Opened) -> None:
        self._opened = opened
        if self.options.keep_alive:
            runtime, transport = self._session._running()
            runtime.attend(KeepingAlive(self, transport).run)

    def _commit(self) -> Steps:
        is_second = self._phase is Phase.ACTIVE and self._meant() is Phase.COMMITTED
        if not is_second:
            self._check("commit", self._meant())
        turn = self._line_up("commit")
        asked, self._asked = self._asked, Phase.COMMITTED
        try:
            if not self._turns.is_next(turn):
                yield turn if is_second else LastTurn(self, turn)
                if self._phase is Phase.COMMITTED or (is_second and self._phase is not Phase.ACTIVE):
                    return self._shared()
                self._check("commit", self._phase)
            if self._opened is not None:
                self._is_committing = True
                try:
                    answer = yield from self._guarded(commit_flow(self._session._database, self._opened), commits=True)
                finally:
                    self._is_committing = False
                    self._end_failed()
                self._session._saw(answer)
            self._move(Phase.COMMITTED)
            return ()
        finally:
            self._take_back(asked)
            turn.release()

    def _take_back(self, asked: Phase) -> None:
        """Know that only what was asked before is asked, if an end was given up before it began."""
        if self._phase is Phase.ACTIVE:
            self._asked = asked
            left, self._left = self._left, trio.Event()
            left.set()
            self._session._stay_open()

    def _shared(self) -> tuple[Any, ...]:
        """Return or raise the outcome of the commit that was under way when another one was asked for."""
        if isinstance(self._cause, SessionError) and not self._has_refused:
            raise self._cause
        if self._phase is not Phase.COMMITTED:
            self._check("commit", self._phase)
        return ()

    def _roll_back(self, verb: str) -> Steps:
        if self._asked is not Phase.TERMINATED:
            self._check(verb, self._meant())
        turn = self._line_up("rollback")
        asked, self._asked = self._asked, Phase.ROLLED_BACK
        try:
            if not self._turns.is_next(turn):
                yield LastTurn(self, turn)
                if self._phase in (Phase.COMMITTED, Phase.UNKNOWN):  # by a commit of the session that was called before
                    if verb == "rollback":
                        self._check(verb, self._phase)
                    return ()
            if self._phase is Phase.ACTIVE and self._opened is not None:
                try:
                    yield from self._guarded(rollback_flow(self._session._database, self._opened))
                finally:
                    self._end_failed()
            self._is_undone = self._phase is not Phase.ROLLED_BACK  # now, and not by what was called before
            self._move(Phase.ROLLED_BACK)
            return ()
        finally:
            self._take_back(asked)
            turn.release()

    def _close(self) -> Steps:
        if self.is_open:
            yield from self._roll_back("close")
        return ()

    def _line_up(self, verb: str) -> Turn:
        """Take a turn: before the first flush that has one, if this is a part of the flush, or of what the flush waits for.

        Raises:
            TransactionError: this is part of what the transaction waits for before it begins.
        """
        if self._is_coming or self._flushes:
            self._session._check_turn(verb)
        return self._turns.take(self._flushes[0] if self._is_part() else None)

    def _is_part(self) -> bool:
        """Return whether this is done for a commit or flush that has its turn, or for what that waits for."""
        return bool(self._flushes) and (PARTS.get() is self or calling(self._session._unit) is not None)

    def _meant(self) -> Phase:
        """Return where it is for what is called now: an end that was asked for is later than what is a part of a flush."""
        return self._phase if self._is_part() else self._asked

    @contextmanager
    def _flushing(self) -> Iterator[Turn]:
        """Let what is called from now on wait until a flush has ended."""
        turn = self._turns.take()
        self._flushes.append(turn)
        try:
            yield turn
        finally:
            self._flushes.remove(turn)
            turn.release()

    def _check(self, verb: str, phase: Phase) -> None:
        if phase is Phase.ACTIVE:
            return
        if verb == "commit":
            self._has_refused = True
            self._end_failed()
        raise refusal(verb, phase, is_asked=self._phase is Phase.ACTIVE) from self._cause

    def _guarded(self, flow: Flow[T], *, commits: bool = False) -> Generator[Request | Pause | Notice, Response | None, T]:
        """Know that a refusal has ended the transaction, and end it where the server may not have done so."""
        try:
            return (yield from flow)
        except SessionError as error:
            opened, is_answered = self._opened, self._phase is Phase.ACTIVE
            if is_answered and isinstance(error, CUT_OFF):
                raise  # it was not begun, or the guard would have ended the transaction
            self._fail(error)
            # Who is refused before the transaction is looked at, or by somebody in between, leaves it open.
            if is_answered and opened is not None and (error.code is None or isinstance(error, AuthenticationError)):
                release = Releasing(self, opened)
                yield release
                error.uncertain = error.uncertain and not release.has_undone
            lasts = commits and self._writes
            error.uncertain = error.uncertain and lasts
            # The operation will say so of nonsense, too: it alone knows what was sent.
            if lasts and (error.uncertain or isinstance(error, ProtocolError)):
                self._lose(error)
            raise

    def _fail(self, cause: BaseException) -> None:
        """Know that the transaction is lost."""
        if self._phase is Phase.ACTIVE:
            self._cause = cause
            self._move(Phase.TERMINATED)

    def _lose(self, cause: BaseException) -> None:
        """Know that nobody can tell whether it was committed."""
        self._cause = cause
        if self._phase is not Phase.UNKNOWN:
            self._move(Phase.UNKNOWN)

    def _end_failed(self) -> None:
        """Know that one that is lost is over: it was asked to be committed, so nothing is left to be done with it."""
        if self._phase is Phase.TERMINATED:
            self._move(Phase.ROLLED_BACK)

    def _move(self, phase: Phase) -> None:
        self._asked = self._phase = phase
        self._left.set()
        regrets, self._regrets = self._regrets, []
        for regret in reversed(regrets if phase is not Phase.COMMITTED else ()):
            regret()
        if phase is not Phase.TERMINATED:
            self._session._ended(self)

    def _running(self) -> tuple[Runtime, Transport]:
        runtime, transport = self._session._running()
        return runtime, Guard(self, transport)

    async def _abandon(self, cause: BaseException | None) -> None:
        """Roll back whatever is there, also in a task that is cancelled; a failure of it is nobody's concern."""
        opened, phase = self._opened, self._phase
        if self._is_committing:
            await self._hurry("rollback")
        elif phase is Phase.ACTIVE:
            self._cause = cause
            self._move(Phase.ROLLED_BACK)
            await let_go(self, opened, "rollback")
        elif phase is Phase.TERMINATED:
            self._move(Phase.ROLLED_BACK)

    async def _release(self, opened: Opened, trail: Trail) -> bool:
        with suppress(SessionClosed):
            transport = self._session._store_running()[1]
            trail.observe = trail.observe or self._session._observe
            return await release(transport, self._session._database, opened, self._tag, trail)
        return False

    async def _hurry(self, name: str) -> None:
        """End it while its commit is on the way: the answer of that tells what becomes of it."""
        assert self._opened is not None  # or there was nothing to send
        with trio.move_on_after(RELEASE_TIME, shield=True):
            await self._release(self._opened, Trail(name))
            await self._left.wait()

    async def _break(self, cause: BaseException) -> None:
        """End it because what was to be done in it is half done; it stays to be closed."""
        opened, was_active = self._opened, self._phase is Phase.ACTIVE
        self._fail(cause)
        if was_active and opened is not None:
            await self._release(opened, Trail("rollback"))

    async def _reset(self) -> None:
        """End it whatever runs in it; it stays to be closed."""
        if self._is_committing:
            await self._hurry("reset")
            return
        opened = self._opened
        self._fail(TransactionError("the session was reset"))
        await let_go(self, opened, "reset")
