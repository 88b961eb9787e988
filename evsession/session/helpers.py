"""Running work in a session or transaction that is passed in, or in one that is opened for it.

Knows sessions and transactions of any database. What was passed in is never ended here; what was opened here always is, by the
outermost call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Protocol, TypeAlias, TypeVar, overload

import trio

from evsession.errors import ConfigurationError, TransactionError
from evsession.session.callbacks import Callback, shift
from evsession.session.calls import call_steps
from evsession.session.conversation import Conversation
from evsession.session.endpoint import Endpoint
from evsession.session.operation import Operation, Owner
from evsession.session.transaction import end_after
from evsession.session.works import Work as Marked
from evsession.session.works import refuse_generator

__all__ = ["SessionHelpers", "get_runnable", "get_session", "get_transaction"]

T = TypeVar("T")

Work = Callable[[Any], Any]
"""A function of a session or transaction, plain or async."""


class _Transaction(Protocol):
    session: Any


Existing: TypeAlias = "Conversation | _Transaction | None"
"""A session or a transaction; None asks for a new session."""


@overload
def get_session(
    existing: Existing, work: Callable[[Any], Awaitable[T]], store: Any = None, callback: Callback | None = None
) -> Operation[T]: ...
@overload
def get_session(
    existing: Existing, work: Callable[[Any], T], store: Any = None, callback: Callback | None = None
) -> Operation[T]: ...
def get_session(existing: Existing, work: Work, store: Any = None, callback: Callback | None = None) -> Operation[Any]:
    """Run `work` in the session that is given, or in a new one; the value of `work` is the result.

    A new session is closed in any case; before that, what `work` has left pending in it is committed, or dropped if `work`
    raised. A transaction that it has left open in it is rolled back, and what was flushed into that is dropped. A given session
    (or transaction) is used as it is, and neither committed nor closed.

    Args:
        existing: A session, a transaction, or None.
        work: A function of the session, plain or async.
        store: Where to open a session; needed when `existing` is None.
        callback: Called with the error and the value.

    Raises:
        TypeError: `work` cannot be called or is a generator, or `existing` is neither a session nor a transaction.
        TransactionError: the transaction that is given has ended.
        ConfigurationError: there is neither a session nor a store.
    """
    callback, store = shift(callback, store)
    owner = _check(existing, work, store)
    return _operation(owner, "get_session", lambda _: _in_session(existing, work, store), callback)


@overload
def get_transaction(
    existing: Existing, work: Callable[[Any], Awaitable[T]], store: Any = None, callback: Callback | None = None
) -> Operation[T]: ...
@overload
def get_transaction(
    existing: Existing, work: Callable[[Any], T], store: Any = None, callback: Callback | None = None
) -> Operation[T]: ...
def get_transaction(existing: Existing, work: Work, store: Any = None, callback: Callback | None = None) -> Operation[Any]:
    """Run `work` in the transaction that is given, or in a new one; the value of `work` is the result.

    A new transaction is committed when `work` returns, and rolled back when it raises. It is one of the given session, which
    stays open, or of a new session, which is closed. A transaction that is given, or is open in the given session, is shared:
    the outermost call ends it. One that another call works in at the same time is not: this call waits for its end. A plain
    function has ended when what it has called has ended, too, callbacks included.

    Args:
        existing: A transaction, a session, or None.
        work: A function of the transaction, plain or async.
        store: Where to open a session; needed when `existing` is None.
        callback: Called with the error and the value.

    Raises:
        TypeError: `work` cannot be called or is a generator, or `existing` is neither a session nor a transaction.
        TransactionError: the transaction that is given has ended.
        ConfigurationError: there is neither a session nor a store.
    """
    callback, store = shift(callback, store)
    owner = _check(existing, work, store)
    return _operation(owner, "get_transaction", lambda marked: _in_transaction(existing, work, store, marked), callback)


@overload
def get_runnable(
    existing: Existing, work: Callable[[Any], Awaitable[T]], store: Any = None, callback: Callback | None = None
) -> Operation[T]: ...
@overload
def get_runnable(
    existing: Existing, work: Callable[[Any], T], store: Any = None, callback: Callback | None = None
) -> Operation[T]: ...
def get_runnable(existing: Existing, work: Work, store: Any = None, callback: Callback | None = None) -> Operation[Any]:
    """Run `work` in the session or transaction that is given, or in a new session; see `get_session`."""
    callback, store = shift(callback, store)
    owner = _check(existing, work, store)
    return _operation(owner, "get_runnable", lambda _: _in_session(existing, work, store), callback)


class SessionHelpers:
    """`get_session`, `get_transaction` and `get_runnable` as methods of a store; `work` alone is for a new session."""

    @overload
    def get_session(
        self, existing: Existing, work: Callable[[Any], Awaitable[T]], callback: Callback | None = None
    ) -> Operation[T]: ...
    @overload
    def get_session(self, existing: Existing, work: Callable[[Any], T], callback: Callback | None = None) -> Operation[T]: ...
    @overload
    def get_session(self, existing: Callable[[Any], Awaitable[T]], work: Callback | None = None) -> Operation[T]: ...
    @overload
    def get_session(self, existing: Callable[[Any], T], work: Callback | None = None) -> Operation[T]: ...
    def get_session(self, existing: Any, work: Callback | None = None, callback: Callback | None = None) -> Operation[Any]:
        """Run `work` in the session that is given, or in a new one of this store; see `evsession.get_session`."""
        given, chosen, callback = _moved(existing, work, callback)
        return get_session(given, chosen, self, callback)

    @overload
    def get_transaction(
        self, existing: Existing, work: Callable[[Any], Awaitable[T]], callback: Callback | None = None
    ) -> Operation[T]: ...
    @overload
    def get_transaction(self, existing: Existing, work: Callable[[Any], T], callback: Callback | None = None) -> Operation[T]: ...
    @overload
    def get_transaction(self, existing: Callable[[Any], Awaitable[T]], work: Callback | None = None) -> Operation[T]: ...
    @overload
    def get_transaction(self, existing: Callable[[Any], T], work: Callback | None = None) -> Operation[T]: ...
    def get_transaction(self, existing: Any, work: Callback | None = None, callback: Callback | None = None) -> Operation[Any]:
        """Run `work` in the transaction that is given, or in a new one; see `evsession.get_transaction`."""
        given, chosen, callback = _moved(existing, work, callback)
        return get_transaction(given, chosen, self, callback)

    @overload
    def get_runnable(
        self, existing: Existing, work: Callable[[Any], Awaitable[T]], callback: Callback | None = None
    ) -> Operation[T]: ...
    @overload
    def get_runnable(self, existing: Existing, work: Callable[[Any], T], callback: Callback | None = None) -> Operation[T]: ...
    @overload
    def get_runnable(self, existing: Callable[[Any], Awaitable[T]], work: Callback | None = None) -> Operation[T]: ...
    @overload
    def get_runnable(self, existing: Callable[[Any], T], work: Callback | None = None) -> Operation[T]: ...
    def get_runnable(self, existing: Any, work: Callback | None = None, callback: Callback | None = None) -> Operation[Any]:
        """Run `work` in the session or transaction that is given, or in a new session; see `evsession.get_runnable`."""
        given, chosen, callback = _moved(existing, work, callback)
        return get_runnable(given, chosen, self, callback)


def _moved(existing: Any, work: Any, callback: Callback | None) -> tuple[Any, Any, Callback | None]:
    """Return the arguments where they belong if the session was left out, which no function is."""
    if not callable(existing) or isinstance(existing, Conversation):
        return existing, work, callback
    if callback is not None and work is not None:
        raise TypeError(f"{existing!r} is neither a session nor a transaction")
    return None, existing, callback or work


def _check(existing: Any, work: Any, store: Any) -> Owner:
    """Return what the operation belongs to."""
    if not callable(work):
        raise TypeError(f"work is a function of a session or transaction, not {work!r}")
    refuse_generator(work)
    if isinstance(existing, Conversation):
        return existing
    if existing is not None:
        if not isinstance(getattr(existing, "session", None), Conversation):
            raise TypeError(f"{existing!r} is neither a session nor a transaction")
        session: Conversation = existing.session
        return session
    if store is None:
        raise ConfigurationError("without a session there must be a store to open one in")
    if not isinstance(store, Endpoint):
        raise TypeError(f"a session is opened in a store, not in {store!r}")
    return store


def _operation(owner: Owner, name: str, run: Callable[[Marked], Awaitable[Any]], callback: Callback | None) -> Operation[Any]:
    # Each operation of the work has its own time limit; the work as a whole has none.
    marked = Marked(owner, name)
    return Operation(owner, name, call_steps(lambda: marked.run(lambda: run(marked))), callback, 1, timed=False)


async def _in_session(existing: Any, work: Work, store: Any) -> Any:
    if existing is not None:
        return await _value(work, _check_open(existing))

    async def finish(session: Any) -> Any:
        value = await _value(work, session)
        if session._is_open:  # the work may have closed it
            await session.drain()  # callbacks of the work may add to it
            await _finish(session)
        return value

    return await _in_new_session(store, finish)


async def _in_new_session(store: Any, work: Work) -> Any:
    session = store.open_session()
    try:
        value = await work(session)
    except BaseException as error:
        await end_after(session.aclose, error)  # noqa: ASYNC102 - it shields
        raise
    with trio.CancelScope(shield=True):
        await session.aclose()
    return value


async def _finish(session: Any) -> None:
    """Write what is pending; a transaction that the work has left open is rolled back, with what was flushed into it."""
    unit = session._unit
    if unit.journal is not None:
        staged = [undo.known for undo in unit.journal.values()]
        await session.rollback()
        for known in staged:
            unit.forget(known)
    await session.commit()


async def _in_transaction(existing: Any, work: Work, store: Any, marked: Marked) -> Any:
    if existing is None:
        return await _in_new_session(store, lambda session: _transact(session, work, marked, is_alone=True))
    if not isinstance(existing, Conversation):
        return await _value(work, _check_open(existing))
    session: Any = existing
    session._check_turn("get_transaction")
    # What another call has begun meanwhile is not shared: it would end with that call.
    while (holder := session._transacting) is not None and holder.is_active and not holder.is_around():
        await holder.wait()
    await session._free()
    if session.assigned_transaction is not None:
        return await _value(work, session.assigned_transaction)
    return await _transact(session, work, marked, is_alone=False)


async def _transact(session: Any, work: Work, marked: Marked, *, is_alone: bool) -> Any:
    """Work in a new transaction, and end it."""
    session._transacting = marked
    transaction = await session._begin()
    try:
        value = work(transaction)
        is_async = isawaitable(value)
        if is_async:
            value = await value
        if is_alone or not is_async:  # what it has called, and the callbacks of that, are part of a plain function's work
            await marked.settle()
        if transaction.is_open:
            await transaction.commit()
    except BaseException as error:
        if transaction.is_open:
            await end_after(transaction.rollback, error)  # noqa: ASYNC102 - it shields
        raise
    return value


def _check_open(runnable: Any) -> Any:
    """Return what was given, unless it is a transaction that has ended."""
    if not isinstance(runnable, Conversation) and not runnable.is_open:
        raise TransactionError("the transaction that was given has ended: nothing can be done in it")
    return runnable


async def _value(work: Work, runnable: Any) -> Any:
    value = work(runnable)
    return await value if isawaitable(value) else value
