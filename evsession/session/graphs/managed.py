"""Transactions that the library begins, ends and tries again. Knows when to, and nothing of how."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from typing import Any

import trio

from evsession.config import GraphSessionOptions
from evsession.errors import SessionError
from evsession.session.callbacks import positions
from evsession.session.graphs.transaction import GraphTransaction
from evsession.session.works import Work, refuse_generator

__all__ = ["Managed", "call_work"]

FACTOR, JITTER = 2.0, 0.2
"""What each delay before a further try is multiplied with, and how much of it is left to chance."""


class Managed:
    """The pause of an operation while a function of the program works in a transaction, once or several times.

    Attributes:
        value: What the function gave in the try that was committed.
    """

    def __init__(
        self,
        begin: Callable[[], GraphTransaction],
        work: Callable[..., Any],
        options: GraphSessionOptions,
        tell: Callable[[SessionError, int, float], None],
        mark: Work,
    ) -> None:
        self.value: Any = None
        self._begin = begin
        self._work = work
        self._takes_done = takes_done(work)
        self._options = options
        self._tell = tell
        self._mark = mark

    async def wait(self) -> None:
        """Work until it is committed, or fails for good, or the time for trying again is over.

        The last failure carries those before it as its context.
        """
        delay, attempt, until = self._options.retry_delay, 1, None
        earlier: BaseException | None = None
        while True:
            try:
                self.value = await self._attempt()
            except Exception as error:
                _chain(error, earlier)
                if not isinstance(error, SessionError) or not _is_retryable(error):
                    raise
                now = trio.current_time()
                until = now + self._options.retry_time if until is None else until
                if now >= until:
                    raise
                earlier = error
            else:
                return
            attempt += 1
            pause = delay * random.uniform(1 - JITTER, 1 + JITTER)
            self._tell(earlier, attempt, pause)
            await trio.sleep(pause)
            delay *= FACTOR

    async def _attempt(self) -> Any:
        transaction = self._begin()
        try:
            value = await self._mark.run(lambda: call_work(self._work, transaction, takes_done=self._takes_done))
            if transaction.is_open:
                await transaction.commit()
        except BaseException as error:
            await transaction._abandon(error)  # noqa: ASYNC102 - what must be shielded there is
            raise
        await transaction._abandon(None)
        return value


def _is_retryable(error: SessionError) -> bool:
    """Return whether the failure may pass; that a transaction cannot go on says less than why it cannot."""
    cause = error.__cause__
    if error.uncertain:
        return False
    return error.is_retryable() or (isinstance(cause, SessionError) and cause.is_retryable())


def _chain(error: BaseException, earlier: BaseException | None) -> None:
    """Put the earlier failure at the end of the chain of contexts."""
    seen = {id(error)}
    while error.__context__ is not None and id(error.__context__) not in seen:
        error = error.__context__
        seen.add(id(error))
    if earlier is not None and id(earlier) not in seen and error.__context__ is None:
        error.__context__ = earlier


def takes_done(work: Callable[..., Any]) -> bool:
    """Return whether the function tells its end by a callback: it has a second argument.

    Raises:
        TypeError: it cannot be called, takes no argument at all, or is a generator.
    """
    given: Any = work
    least, most = positions(work) if callable(given) else (0, 0)
    if most == 0:
        raise TypeError(f"the work of a transaction is a function of it, not {work!r}")
    refuse_generator(work)
    return least > 1 and not inspect.iscoroutinefunction(work)


async def call_work(work: Callable[..., Any], subject: Any, *, takes_done: bool) -> Any:
    """Call ``work(subject)``, plain or async, or ``work(subject, done)``, and return what it gives."""
    if not takes_done:
        result = work(subject)
        return await result if inspect.isawaitable(result) else result
    done = _Done()
    work(subject, done)
    await done.event.wait()
    if done.error is not None:
        raise done.error
    return done.result


class _Done:
    """What a callback-style function calls at its end, ``done(error, result)``; only the first call counts."""

    def __init__(self) -> None:
        self.event = trio.Event()
        self.error: BaseException | None = None
        self.result: Any = None

    def __call__(self, error: BaseException | None = None, result: Any = None) -> None:
        if self.event.is_set():
            return
        if error is not None and not isinstance(error, BaseException):
            raise TypeError(f"done takes an exception or None, and then the result; {error!r} is neither")
        self.error, self.result = error, result
        self.event.set()
