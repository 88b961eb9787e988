"""One operation under way: the same object serves a callback, an awaiter, both or neither.

Knows how to drive a flow through a transport, and in which order the end of it is told. Knows no document.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Generator
from contextvars import ContextVar, copy_context
from math import inf
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import trio

from evsession.config import SessionOptions
from evsession.errors import OperationCancelled, OperationTimeout, ProtocolError, SessionError
from evsession.session.callbacks import Callback, Shape, fit, shape_of
from evsession.session.events import Events, Handler
from evsession.session.gate import Gate, Pass
from evsession.session.runtime import Runtime
from evsession.wire.message import Request, Response
from evsession.wire.transport import Trail, Transport, WireEvent

__all__ = ["Notice", "Operation", "Owner", "Pause", "Steps", "pass_uncertainty_on"]

T = TypeVar("T")


class Pause(Protocol):
    """Something that the steps wait for besides answers, such as their turn."""

    async def wait(self) -> None:
        """Return when the steps may go on."""


class Notice:
    """Something that handlers shall be told although nothing failed, such as a document that is not there."""

    __slots__ = ("error",)

    def __init__(self, error: SessionError) -> None:
        self.error = error


Steps: TypeAlias = Generator[Request | Pause | Notice, Response | None, tuple[Any, ...]]
"""What a session's method does: a flow that may also pause and tell. It returns all results that a callback can get."""

LOGGER = logging.getLogger("evsession")


class State(enum.Enum):
    """Where an operation is: CREATED -> RUNNING -> DONE, or CREATED -> DONE if its store ended before."""

    CREATED = enum.auto()
    RUNNING = enum.auto()
    DONE = enum.auto()


class _Cut:
    """What an operation that waits for others knows of those that were cut off with it."""

    __slots__ = ("is_uncertain",)

    def __init__(self) -> None:
        self.is_uncertain = False


AROUND: ContextVar[_Cut | None] = ContextVar("evsession operation", default=None)
"""Of the operation that waits for what is called here."""


def pass_uncertainty_on() -> None:
    """Let the operation that waits for what is cut off here say that a write may have happened."""
    around = AROUND.get()
    if around is not None:
        around.is_uncertain = True


class Owner(Protocol):
    """The session or store that an operation belongs to."""

    _events: Events
    _gate: Gate

    @property
    def options(self) -> SessionOptions:
        """Its settings; the time limit counts here."""

    def _running(self) -> tuple[Runtime, Transport]:
        """Return what runs, or raise SessionClosed."""


class Operation(Generic[T]):
    """An operation that has been called: await it, give it a callback, do both, or neither. It starts by itself.

    The request is fixed when the method is called. Awaited at once by the task that called it, it runs in that task, so that
    cancelling the task cancels it; otherwise it runs in the store's nursery, and cancelling a task that awaits it only stops the
    waiting.
    Awaiting again gives the same answer. Bad input is told as the caller listens: a callback gets it as its error; without a
    callback the call raises. Nothing has been sent then.

    A failure that nobody hears (no callback, no awaiter, no handler) is logged once as a warning of the logger ``evsession``.
    """

    __slots__ = (
        "__weakref__",
        "_answered",
        "_callback",
        "_cancelled",
        "_context",
        "_cut",
        "_done",
        "_error",
        "_heard",
        "_owner",
        "_pass",
        "_request",
        "_results",
        "_runtime",
        "_scope",
        "_shape",
        "_state",
        "_step",
        "_steps",
        "_task",
        "_timeout",
        "_trail",
        "_transport",
        "_width",
        "name",
    )

    def __init__(
        self, owner: Owner, name: str, steps: Steps, callback: Callback | None, width: int, *, timed: bool = True
    ) -> None:
        self._state, self._heard = State.DONE, True  # until it is known that there is something to run
        self._shape: Shape | None = None if callback is None else shape_of(callback)
        self._runtime, self._transport = owner._running()
        self.name = name
        self._owner = owner
        self._callback = callback
        self._width = width
        self._steps = steps
        self._state = State.CREATED
        self._heard = callback is not None
        self._cancelled = False
        self._cut: _Cut | None = None
        self._results: tuple[Any, ...] | None = None
        self._error: BaseException | None = None
        self._done: trio.Event | None = None
        self._scope: trio.CancelScope | None = None
        self._request: Request | None = None
        self._trail: Trail | None = None
        self._answered = False
        self._step: Request | Pause | Notice | None = None
        self._prime()
        self._context = copy_context()
        self._task = trio.lowlevel.current_task()
        self._timeout = owner.options.timeout if timed else None
        self._runtime.submit(self)
        self._pass = Pass(owner._gate)

    def _prime(self) -> None:
        """Run the steps up to the first request, which fixes it."""
        try:
            self._step = next(self._steps)
        except StopIteration as stop:
            self._results = stop.value
        except (SessionError, TypeError, ValueError) as error:
            if isinstance(error, SessionError):
                error.operation = self.name
            if self._callback is None:
                self._state = State.DONE  # the caller has it; nothing is left to run
                if isinstance(error, SessionError):
                    for handler in self._pick(error):
                        self._call(handler, error)
                raise
            self._error = error

    def __await__(self) -> Generator[Any, Any, T]:
        return self._outcome().__await__()

    async def _outcome(self) -> T:
        self._heard = True
        if self._state is State.CREATED and trio.lowlevel.current_task() is self._task:
            await self._run()
        elif self._state is State.DONE:
            await trio.lowlevel.checkpoint()
        else:  # others may wait for it, too, so a task that did not call it must not take it down with itself
            if self._state is State.CREATED:
                self._runtime.start_now(self)
            if self._done is None:
                self._done = trio.Event()
            await self._done.wait()
        if self._error is not None:
            raise self._error
        assert self._results is not None
        answer: T = _awaited(self._results, self._width)
        return answer

    def cancel(self) -> None:
        """Cancel the operation, unless it has ended already.

        Its callback and awaiters get an `OperationCancelled`, which says whether a write may have happened.
        """
        if self._state is not State.DONE:
            self._cancelled = self._heard = True  # who cancels knows
            if self._scope is not None:
                self._scope.cancel()

    @property
    def is_done(self) -> bool:
        """Whether the operation has ended and its callback has been called."""
        return self._state is State.DONE

    def __repr__(self) -> str:
        outcome = f" {self._error!r}" if self._state is State.DONE and self._error is not None else ""
        return f"<Operation {self.name} {self._state.name.lower()}{outcome}>"

    def start(self, nursery: trio.Nursery) -> None:
        """Run in the nursery, in the context of the call, unless somebody awaits it already."""
        if self._state is State.CREATED:
            self._context.run(nursery.start_soon, self._run_detached)

    async def _run_detached(self) -> None:
        if self._state is State.CREATED:
            await self._run()

    def stop_counting(self) -> None:
        """Count as ended in the session, but not in the store: for an operation that waits until everything else has ended."""
        session_pass, self._pass = self._pass, self._owner._gate.pass_outside()
        session_pass.give_back()

    def abandon(self) -> None:
        """End an operation whose store ended before it was started."""
        if self._state is State.CREATED:
            self._settle(None, OperationCancelled("cancelled: the store ended before it was started"))

    async def _run(self) -> None:
        """Run to the end in this task, and tell the end."""
        self._state = State.RUNNING
        if self._cancelled:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return self._settle(None, self._interruption(cancelled=True))
        deadline = inf if self._timeout is None else trio.current_time() + self._timeout
        scope = self._scope = trio.CancelScope(deadline=deadline)
        results: tuple[Any, ...] | None = None
        error: BaseException | None = None
        try:
            with scope:
                results = await self._drive()
        except Exception as raised:
            error = raised
        except BaseException:
            interruption = self._interruption(cancelled=True)
            self._settle(None, interruption)
            around = self._context.get(AROUND)
            if around is not None and interruption.uncertain:
                around.is_uncertain = True
            raise
        if results is None and error is None:
            error = self._interruption(cancelled=self._cancelled)
        if isinstance(error, SessionError) and not isinstance(error, OperationCancelled):
            self._complete(error)
            await self._announce(error)
        return self._settle(results, error)

    async def _drive(self) -> tuple[Any, ...]:
        """Carry requests to the transport and answers to the flow until it returns."""
        step = self._step
        if step is None:
            await trio.lowlevel.checkpoint()
            if self._error is not None:
                raise self._error
            assert self._results is not None
            return self._results
        observe = self._observe if self._owner._events.observes else None
        while True:
            answer: Response | None = None
            if isinstance(step, Request):
                self._request, self._answered = step, False
                self._trail = trail = Trail(self.name, observe)
                answer = await self._transport.send(step, trail)
                self._answered = True
            elif isinstance(step, Notice):
                await self._tell(step.error, self._owner._events.pick(str(step.error.status_code)))
            else:
                await self._pause(step)
            try:
                step = self._steps.send(answer)
            except StopIteration as stop:
                results: tuple[Any, ...] = stop.value
                return results

    async def _pause(self, step: Pause) -> None:
        self._cut = self._cut or _Cut()
        token = AROUND.set(self._cut)
        try:
            await step.wait()
        finally:
            AROUND.reset(token)

    def _observe(self, event: WireEvent) -> None:
        for handler in self._owner._events.pick(event.name):
            self._call(handler, event)

    def _settle(self, results: tuple[Any, ...] | None, error: BaseException | None) -> None:
        """Tell the end to the steps, the callback and the awaiters, then stop counting as under way."""
        self._results, self._error = results, error
        if error is not None:
            self._complete(error)
        self._end_steps(error)
        if isinstance(error, SessionError):
            # Its frames hold this operation: a failure that nobody hears of must be noticed when the last hold on it is gone.
            error.__traceback__ = None
        self._state = State.DONE
        callback, self._callback = self._callback, None
        if callback is not None and self._shape is not None:
            self._call(callback, error, *fit(results or (), self._width, self._shape))
        if self._done is not None:
            self._done.set()
        self._trail = self._step = self._request = self._scope = None
        self._pass.give_back()
        if error is not None and not self._heard:
            self._runtime.unheard.add(self)

    def _end_steps(self, error: BaseException | None) -> None:
        """Let the steps put things in order; those that were cut off see the error with all that is known of the outcome."""
        if isinstance(error, SessionError):
            try:
                self._steps.throw(error)
            except (SessionError, StopIteration):
                return
        self._steps.close()

    def _call(self, function: Callable[..., object], *args: object) -> bool:
        return self._runtime.call(self._owner._gate, self._owner._events, function, *args)

    async def _announce(self, error: SessionError) -> None:
        """Tell the handlers, unless they have been told of this failure by an operation that this one was waiting for."""
        handlers = self._pick(error)
        self._heard = self._heard or error._is_told
        await self._tell(error, handlers)

    def _pick(self, error: SessionError) -> list[Handler]:
        """Return the handlers that are to be told, and note that they are."""
        handlers = [] if error._is_told else self._owner._events.pick_for(error)
        error._is_told = error._is_told or bool(handlers)
        return handlers

    async def _tell(self, error: BaseException, handlers: list[Handler]) -> None:
        """Call the handlers; return when the asynchronous ones have begun, too."""
        begun = [self._call(handler, error) for handler in handlers]
        if any(begun):
            # Tasks begin in any order within a turn of trio's loop, so only after two turns all have.
            await trio.lowlevel.cancel_shielded_checkpoint()
            await trio.lowlevel.cancel_shielded_checkpoint()

    def _complete(self, error: BaseException) -> None:
        """Add to the error what only the operation knows."""
        if not isinstance(error, SessionError):
            return
        error.operation = error.operation or self.name
        if self._cut is not None and isinstance(error, (OperationCancelled, OperationTimeout)):
            error.uncertain = error.uncertain or self._cut.is_uncertain
        request, trail = self._request, self._trail
        if request is None or trail is None:
            return
        error.url = error.url or trail.url
        error.key = error.key or request.key
        # An answer that never came whole, or was nonsense, leaves open whether a write happened.
        if request.writes and trail.sent and (not self._answered or isinstance(error, ProtocolError)):
            error.uncertain = True

    def _interruption(self, *, cancelled: bool) -> SessionError:
        if cancelled:
            return OperationCancelled(f"{self.name} was cancelled")
        return OperationTimeout(f"{self.name} took longer than {self._timeout} s")

    def __del__(self) -> None:
        # A program may still await an operation that has failed, so silence is only certain when nobody holds it any more.
        if self._state is State.DONE and not self._heard:
            self.log_unheard()

    def log_unheard(self) -> None:
        """Log the failure if nobody has heard of it."""
        if not self._heard and self._error is not None:
            self._heard = True
            LOGGER.warning("%s failed and nobody listens: %r", self.name, self._error)


def _awaited(results: tuple[Any, ...], width: int) -> Any:
    """Return what an awaiter gets: nothing, the one result, or a tuple."""
    if width == 1:
        return results[0]
    return results[:width] if width else None
