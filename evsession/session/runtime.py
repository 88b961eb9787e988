"""The running part of a store: its nursery, the start of operations that nobody awaits, and what becomes of raised exceptions.

Knows trio and callables; knows neither sessions nor requests.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NoReturn, Protocol

import trio

from evsession.errors import SessionClosed, SessionError
from evsession.session.events import Events
from evsession.session.gate import INSIDE, Gate, Pass

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

__all__ = ["Runtime", "Startable", "unwrap"]


class Startable(Protocol):
    """Something that waits to be started in the nursery unless somebody takes it over before."""

    def start(self, nursery: trio.Nursery) -> None:
        """Start in the nursery, unless it runs already."""

    def abandon(self) -> None:
        """End without having run, since nothing runs any more."""


class Runtime:
    """What runs while a store is open.

    An operation is started by one task for all, woken at most once per turn of trio's loop: an operation that is awaited at once
    never gets a task of its own, and starting one costs no system call (`TrioToken.run_sync_soon` costs one).
    """

    _nursery: trio.Nursery
    _token: trio.lowlevel.TrioToken

    def __init__(self) -> None:
        self._waiting: deque[Startable] = deque()
        self._starter: trio.lowlevel.Task | None = None
        self._crashes: list[BaseException] = []
        self.is_ended = False
        self.unheard: weakref.WeakSet[Any] = weakref.WeakSet()
        """Operations that failed and that nobody has heard of yet, but somebody still holds."""

    def check_thread(self) -> None:
        """Raise SessionClosed in another thread, or another run of trio, than that of the store."""
        if not trio.lowlevel.in_trio_run() or trio.lowlevel.current_trio_token() is not self._token:
            raise SessionClosed("this store runs in another thread; use trio.from_thread.run_sync to call into it")

    def start_now(self, startable: Startable) -> None:
        """Start it without waiting for its turn."""
        startable.start(self._nursery)

    def attend(self, function: Callable[[], Awaitable[object]]) -> None:
        """Run it beside everything else; it is not waited for, and ends with the store at the latest."""
        self._nursery.start_soon(function)

    def submit(self, startable: Startable) -> None:
        """Have it started at the next turn of the loop."""
        self._waiting.append(startable)
        starter, self._starter = self._starter, None
        if starter is not None:
            trio.lowlevel.reschedule(starter)

    async def _start_all(self) -> None:
        while True:
            # No local may hold an operation while this sleeps: with it would live its session and all that was loaded.
            while self._waiting:
                self._waiting.popleft().start(self._nursery)
            self._starter = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._starter_cancelled)

    def _starter_cancelled(self, _: Any) -> trio.lowlevel.Abort:
        self._starter = None
        return trio.lowlevel.Abort.SUCCEEDED

    def call(self, gate: Gate, events: Events, function: Callable[..., object], *args: object) -> bool:
        """Call a handler or callback; a coroutine that it returns runs in the nursery and counts as under way.

        What it raises goes to the ``"exception"`` handlers, else it ends the store. Returns whether there is a coroutine to run.
        """
        try:
            result = function(*args)
        except Exception as error:
            self.crash(error, gate, events)
            return False
        if not inspect.iscoroutine(result):
            return False
        self._spawn(result, Pass(gate), gate, events)
        return True

    def _spawn(self, coroutine: Coroutine[Any, Any, object], ticket: Pass, gate: Gate, events: Events) -> None:
        try:
            self._nursery.start_soon(self._finish, coroutine, ticket, gate, events)
        except RuntimeError:  # the nursery has ended: this is the callback of an operation that was abandoned
            coroutine.close()
            ticket.give_back()

    async def _finish(self, coroutine: Coroutine[Any, Any, object], ticket: Pass, gate: Gate, events: Events) -> None:
        INSIDE.set(ticket)
        try:
            await coroutine
        except Exception as error:
            self.crash(error, gate, events)
        finally:
            ticket.give_back()

    def crash(self, error: Exception, gate: Gate, events: Events) -> None:
        """Tell the ``"exception"`` handlers; without one, stop everything and let the error out of the store."""
        handlers = events.pick("exception")
        if not handlers:
            self._crashes.append(error)
            self._nursery.cancel_scope.cancel()
        for handler in handlers:
            # A handler of exceptions that raises is not told of it itself.
            self.call(gate, Events(), handler, error)

    def _end(self) -> None:
        """Tell those that were never started. What their callbacks start in turn is refused, or this would never end."""
        self.is_ended = True
        while self._waiting:
            self._waiting.popleft().abandon()
        for operation in list(self.unheard):
            operation.log_unheard()

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Runtime]:
        """Run until the body ends. A single failure leaves as itself, never wrapped in a group."""
        runtime = cls()
        body: BaseException | None = None
        try:
            async with trio.open_nursery() as nursery:
                runtime._nursery = nursery
                runtime._token = trio.lowlevel.current_trio_token()
                nursery.start_soon(runtime._start_all)
                try:
                    yield runtime
                except BaseException as error:
                    body = error
                    raise
                nursery.cancel_scope.cancel()
        except BaseException as error:  # noqa: ASYNC103 - raise_as_it_was always raises
            raise_as_it_was(unwrap(error, body, runtime._crashes))
        finally:
            runtime._end()
        if runtime._crashes:
            raise_as_it_was(unwrap(None, None, runtime._crashes))


def unwrap(error: BaseException | None, body: BaseException | None, crashes: list[BaseException]) -> BaseException:
    """Return what to raise: the one real failure as it was raised, else a group of them.

    A cancellation that only followed from a failure is dropped, as trio does when an exception replaces it. An operation's error
    that the program did not catch, beside a callback or handler that raised because of it, is that one's context.

    Args:
        error: What came out of the nursery, in its groups.
        body: What the program raised in the body; a group that it raised stays one.
        crashes: What callbacks and handlers raised.
    """
    own = _leaves(body)
    others = [leaf for leaf in _leaves(error) if not any(leaf is known for known in (*own, *crashes))]
    failures = [failure for failure in (*crashes, *others) if not isinstance(failure, trio.Cancelled)]
    if body is not None and not all(isinstance(leaf, trio.Cancelled) for leaf in own) and not any(body is one for one in crashes):
        if isinstance(body, SessionError) and len(failures) == 1:
            failures[0].__context__ = failures[0].__context__ or body
        else:
            failures.insert(0, body)
    if not failures:
        return body or _leaves(error)[0]
    return failures[0] if len(failures) == 1 else BaseExceptionGroup("several failures", failures)


def raise_as_it_was(error: BaseException) -> NoReturn:
    """Raise without adding to the chain of causes, which is the program's to read."""
    cause, context, suppresses = error.__cause__, error.__context__, error.__suppress_context__
    try:
        raise error
    finally:
        error.__cause__, error.__context__, error.__suppress_context__ = cause, context, suppresses


def _leaves(error: BaseException | None) -> list[BaseException]:
    if error is None:
        return []
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
