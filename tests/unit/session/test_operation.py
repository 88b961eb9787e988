"""One operation for callback, await, both and neither: order, arity, cancellation, time limits, and what nobody hears."""

from __future__ import annotations

import gc
import logging
import sys
from typing import Any

import pytest
import trio
import trio.testing

import evsession
from evsession import OperationCancelled, OperationTimeout, SessionClosed, SessionError
from evsession.session.gate import Gate, Pass
from evsession.testing.scripted import json_answer
from tests.unit.session.conftest import Scripted, loaded, refused, row, saved

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

EXISTS = json_answer(None, 200)


class Held:
    """An answer that comes when the test says so."""

    def __init__(self, response: evsession.Response) -> None:
        self.response = response
        self.asked = trio.Event()
        self.release = trio.Event()

    async def __call__(self, _: evsession.Request) -> evsession.Response:
        self.asked.set()
        await self.release.wait()
        return self.response


class Wrapped:
    """A callable without a plain function behind it."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def __call__(self, *args: Any) -> None:
        self.seen.append(args)


def tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


async def test_await_gives_the_result(scripted: Scripted) -> None:
    async with scripted(EXISTS) as (session, _):
        assert await session.exists("dogs/max") is True


async def test_callback_gets_error_and_result_once_and_later(scripted: Scripted) -> None:
    calls: list[Any] = []
    async with scripted(EXISTS) as (session, _):
        session.exists("dogs/max", lambda error, found: calls.append((error, found)))
        assert calls == []  # never before the method has returned
        await session.drain()
        assert calls == [(None, True)]


async def test_callback_of_a_cached_document_is_not_called_before_the_method_returned(scripted: Scripted) -> None:
    calls: list[Any] = []
    async with scripted(loaded(row("dogs/max", age=1))) as (session, transport):
        document = await session.load("dogs/max")
        session.load("dogs/max", lambda error, found: calls.append(found))
        assert calls == []
        await session.drain()
        assert calls == [document]
        assert len(transport.requests) == 1


async def test_callback_and_await_together(scripted: Scripted) -> None:
    calls: list[Any] = []
    async with scripted(EXISTS) as (session, transport):
        assert await session.exists("dogs/max", lambda error, found: calls.append(found))
        assert calls == [True]
        assert len(transport.requests) == 1


async def test_neither_starts_by_itself(scripted: Scripted) -> None:
    async with scripted(EXISTS) as (session, transport):
        operation = session.exists("dogs/max")
        await session.drain()
        assert len(transport.requests) == 1
        assert operation.is_done
        assert await operation is True


async def test_awaiting_again_gives_the_same(scripted: Scripted) -> None:
    async with scripted(EXISTS, refused(500)) as (session, transport):
        operation = session.exists("dogs/max")
        assert [await operation, await operation] == [True, True]
        failing = session.load("dogs/max")
        errors = []
        for _ in range(2):
            with pytest.raises(SessionError) as caught:
                await failing
            errors.append(caught.value)
        assert errors[0] is errors[1]
        assert len(transport.requests) == 2


@pytest.mark.parametrize("how", ["call", "await", "callback"])
async def test_handlers_are_told_of_bad_input_once(scripted: Scripted, how: str) -> None:
    told: list[Any] = []
    async with scripted() as (session, _):
        session.on("error", lambda error: told.append(("handler", error.operation, error.key)))
        session.store(evsession.Document(a=float("nan"), id="dogs/max"))
        if how == "callback":
            session.save(lambda error, keys: told.append(("callback", keys)))
        else:
            with pytest.raises(evsession.InvalidDocument):
                session.save() if how == "call" else await session.save()
        await session.drain()
    assert told == [("handler", "save", "dogs/max"), ("callback", None)][: 2 if how == "callback" else 1]


async def test_two_tasks_await_one_operation(scripted: Scripted) -> None:
    held = Held(EXISTS)
    results: list[bool] = []
    async with scripted(held) as (session, _):
        operation = session.exists("dogs/max")

        async def waiter() -> None:
            results.append(await operation)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiter)
            nursery.start_soon(waiter)
            await held.asked.wait()
            held.release.set()
    assert results == [True, True]


async def test_awaited_before_its_task_begins_it_runs_once(scripted: Scripted) -> None:
    async with scripted(EXISTS) as (session, transport), trio.open_nursery() as nursery:
        operation = session.exists("dogs/max")
        operation.start(nursery)
        assert await operation is True
        assert len(transport.requests) == 1


async def test_awaited_at_once_it_needs_no_task(scripted: Scripted) -> None:
    seen: list[int] = []

    def count(_: evsession.Request) -> evsession.Response:
        seen.append(tasks())
        return EXISTS

    async with scripted(count, count) as (session, _):
        before = tasks()
        await session.exists("dogs/max")
        assert seen == [before]
        session.exists("dogs/max")
        await session.drain()
        assert seen == [before, before + 1]
        assert tasks() == before


async def test_the_request_is_fixed_at_the_call(scripted: Scripted) -> None:
    async with scripted(saved("dogs/max")) as (session, transport):
        document = evsession.Document(age=12)
        session.store(document, key="dogs/max", collection="Dogs")
        operation = session.save()
        document.age = 99
        await operation
        assert transport.bodies()[0]["Commands"][0]["Document"]["age"] == 12


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda seen: lambda error: seen.append((error,)), (None,)),
        (lambda seen: lambda error, document: seen.append((error, document)), (None, {"age": 1})),
        (lambda seen: lambda error, document, includes: seen.append((error, document, includes)), (None, {"age": 1}, [])),
        (lambda seen: lambda *args: seen.append(args), (None, {"age": 1})),
        (lambda seen: Wrapped(seen), (None, {"age": 1})),
        (lambda seen: lambda error, document, key="kept": seen.append((error, document, key)), (None, {"age": 1}, "kept")),
        (lambda seen: lambda error, a, b, c: seen.append((error, a, b, c)), (None, {"age": 1}, [], None)),
    ],
)
async def test_a_callback_gets_what_it_takes(scripted: Scripted, make: Any, expected: tuple[Any, ...]) -> None:
    seen: list[Any] = []
    async with scripted(loaded(row("dogs/max", age=1))) as (session, _):
        session.load("dogs/max", make(seen))
    assert seen == [expected]


async def test_bound_methods_partials_and_builtins_are_callbacks(scripted: Scripted) -> None:
    from functools import partial

    class Listener:
        seen: list[Any]

        def __init__(self) -> None:
            self.seen = []

        def told(self, error: Any, found: Any) -> None:
            self.seen.append((error, found))

        def __call__(self, error: Any, found: Any) -> None:
            self.seen.append((error, found))

    listener = Listener()
    extra: list[Any] = []
    async with scripted(repeat=EXISTS) as (session, _):
        session.exists("a", listener.told)
        session.exists("a", listener)
        session.exists("a", partial(Listener.told, listener))
        session.exists("a", lambda *args: extra.append(args))
        await session.drain()
    assert listener.seen == [(None, True)] * 3
    assert extra == [(None, True)]


async def test_on_failure_the_results_are_none(scripted: Scripted) -> None:
    seen: list[Any] = []
    async with scripted(repeat=refused(500)) as (session, _):
        session.load("dogs/max", lambda error, document, includes: seen.append((error.status_code, document, includes)))
        session.load("dogs/max", "puppy", lambda *args: seen.append(args[1:]))
    assert sorted(seen, key=len) == [(None, None), (500, None, None)]


@pytest.mark.parametrize("callback", [7, "text", lambda: None])
async def test_what_can_be_no_callback_is_refused_at_once(scripted: Scripted, callback: Any) -> None:
    async with scripted() as (session, transport):
        with pytest.raises(TypeError, match="callback"):
            session.exists("dogs/max", callback)
        assert transport.requests == []


async def test_a_callback_in_the_middle_must_be_the_last(scripted: Scripted) -> None:
    async with scripted() as (session, _):
        with pytest.raises(TypeError, match="last"):
            session.load("dogs/max", print, print)


async def test_an_async_callback_is_awaited_before_the_session_ends(scripted: Scripted) -> None:
    seen: list[Any] = []

    async def told(error: Any, found: bool) -> None:
        await trio.lowlevel.checkpoint()
        seen.append(found)

    async with scripted(EXISTS) as (session, _):
        session.exists("dogs/max", told)
    assert seen == [True]


async def test_an_async_callback_may_drain_its_own_session(scripted: Scripted) -> None:
    seen: list[str] = []

    async with scripted(repeat=EXISTS) as (session, _):

        async def told(error: Any, found: bool) -> None:
            session.exists("b", lambda error, found: seen.append("inner"))
            await session.drain()
            seen.append("outer")

        session.exists("a", told)
    assert seen == ["inner", "outer"]


async def test_a_session_stays_open_for_callbacks_that_have_waited_for_the_others(scripted: Scripted) -> None:
    seen: list[str] = []

    async with scripted(repeat=EXISTS) as (session, _):

        async def told(error: Any, found: bool) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.drain)
                nursery.start_soon(session.drain)
            await trio.testing.wait_all_tasks_blocked()
            await session.exists("after")
            seen.append("done")

        session.exists("a", told)
        session.exists("b", told)
        await session.drain()
        assert seen == ["done", "done"]


async def test_callbacks_of_two_sessions_may_wait_for_each_other_s_session(scripted: Scripted) -> None:
    seen: list[str] = []

    async with scripted(repeat=EXISTS) as (session, _), scripted(repeat=EXISTS) as (other, _):

        def waiting_for(awaited: Any) -> Any:
            async def told(error: Any, found: bool) -> None:
                await awaited.drain()
                seen.append("done")

            return told

        session.exists("a", waiting_for(other))
        other.exists("b", waiting_for(session))
    assert seen == ["done", "done"]


async def test_a_callback_may_end_before_the_close_that_it_called(scripted: Scripted) -> None:
    seen: list[str] = []
    held, ended = Held(EXISTS), trio.Event()

    async with scripted(EXISTS, held) as (session, _):

        async def told(error: Any, found: bool) -> None:
            session.exists("b", lambda error, found: seen.append("b"))
            session.close(lambda error: seen.append("closed"))
            await trio.testing.wait_all_tasks_blocked()
            seen.append("told")
            ended.set()

        await session.exists("a", told)
        await ended.wait()
        await trio.testing.wait_all_tasks_blocked()
        held.release.set()
    assert seen == ["told", "b", "closed"]


async def test_callbacks_may_start_operations_before_the_store_ends(scripted: Scripted) -> None:
    seen: list[int] = []

    async with scripted(repeat=EXISTS) as (session, _):

        def again(error: Any, found: bool) -> None:
            seen.append(len(seen))
            if len(seen) < 5:
                session.exists("dogs/max", again)

        session.exists("dogs/max", again)
    assert seen == [0, 1, 2, 3, 4]


async def test_an_exception_of_a_callback_leaves_the_store_as_itself() -> None:
    boom = ZeroDivisionError("in the callback")

    def raises(error: Any, found: Any) -> None:
        raise boom

    from evsession.testing.scripted import ScriptedTransport

    store = evsession.Store(transport=ScriptedTransport(repeat=EXISTS), database="db")
    with pytest.raises(ZeroDivisionError) as caught:
        async with store:
            store.open_session().exists("dogs/max", raises)
            await trio.sleep_forever()
    assert caught.value is boom


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_exception_of_a_callback_is_told_to_the_exception_handlers(scripted: Scripted, is_async: bool) -> None:
    told: list[Any] = []

    def raises(error: Any, found: Any) -> None:
        raise ZeroDivisionError

    async def raises_later(error: Any, found: Any) -> None:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError

    async with scripted(EXISTS, prepare=lambda store: store.on("exception", told.append)) as (session, _):
        session.exists("dogs/max", raises_later if is_async else raises)
        await session.drain()
        assert [type(error) for error in told] == [ZeroDivisionError]


async def test_an_exception_handler_that_raises_ends_the_store(scripted: Scripted) -> None:
    def worse(error: Any) -> None:
        raise KeyError("worse")

    with pytest.raises(KeyError):
        async with scripted(EXISTS, prepare=lambda store: store.on("exception", worse)) as (session, _):
            session.exists("dogs/max", lambda error, found: 1 / 0)


async def test_several_exceptions_of_callbacks_leave_as_a_group(scripted: Scripted) -> None:
    async def raises(error: Any, found: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ZeroDivisionError

    with pytest.raises(BaseExceptionGroup) as caught:
        async with scripted(repeat=EXISTS) as (session, _):
            session.exists("a", raises)
            await trio.testing.wait_all_tasks_blocked()
            session.exists("b", lambda error, found: next(iter(())))
            await trio.sleep_forever()
    assert sorted(type(error).__name__ for error in caught.value.exceptions) == ["StopIteration", "ZeroDivisionError"]


async def test_cancelling_the_awaiting_task_cancels_the_operation(scripted: Scripted) -> None:
    told: list[Any] = []
    held = Held(EXISTS)
    async with scripted(held) as (session, _):
        scope = trio.CancelScope()

        async def cancel() -> None:
            await held.asked.wait()
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel)
            operation = session.exists("dogs/max", lambda error, found: told.append((error, found)))
            with scope:
                await operation
        assert scope.cancelled_caught
        assert [(type(error), found) for error, found in told] == [(OperationCancelled, None)]
        with pytest.raises(OperationCancelled):
            await operation


async def test_one_awaiter_that_is_cancelled_takes_nothing_from_the_others(scripted: Scripted) -> None:
    for _ in range(10):  # whichever of the tasks trio runs first
        held = Held(EXISTS)
        results: list[bool] = []
        async with scripted(held) as (session, _):
            operation = session.exists("dogs/max")

            async def patient(operation: Any = operation, results: list[bool] = results) -> None:
                results.append(await operation)

            async def hasty(operation: Any = operation) -> None:
                with trio.move_on_after(0):
                    await operation

            async with trio.open_nursery() as nursery:
                nursery.start_soon(patient)
                nursery.start_soon(hasty)
                await held.asked.wait()
                held.release.set()
        assert results == [True]


async def test_cancelling_a_late_awaiter_leaves_the_operation_alone(scripted: Scripted) -> None:
    held = Held(EXISTS)
    async with scripted(held) as (session, _):
        operation = session.exists("dogs/max")
        await held.asked.wait()
        with trio.move_on_after(0):
            await operation
        held.release.set()
        assert await operation is True


@pytest.mark.parametrize("when", ["before", "while", "after"])
async def test_cancel(scripted: Scripted, caplog: pytest.LogCaptureFixture, when: str) -> None:
    told: list[Any] = []
    held = Held(EXISTS)
    async with scripted(held) as (session, transport):
        operation = session.exists("dogs/max", lambda error, found: told.append(error))
        if when == "before":
            operation.cancel()
        else:
            await held.asked.wait()
        if when == "after":
            held.release.set()
            await session.drain()
        operation.cancel()
        await session.drain()
        assert caplog.records == []  # who cancels knows
        assert len(told) == 1
        assert isinstance(told[0], OperationCancelled) is (when != "after")
        assert len(transport.requests) == (0 if when == "before" else 1)


async def test_a_cancelled_write_says_that_it_may_have_happened(scripted: Scripted) -> None:
    held = Held(saved("dogs/max"))
    async with scripted(held) as (session, _):
        session.store({"age": 1}, key="dogs/max")
        operation = session.save()
        await held.asked.wait()
        operation.cancel()
        with pytest.raises(OperationCancelled, match="may have happened") as caught:
            await operation
        assert caught.value.uncertain
        assert not caught.value.is_retryable()
        assert caught.value.operation == "save"
        assert caught.value.url == "http://scripted/databases/db/bulk_docs"


async def test_a_timeout(scripted: Scripted, autojump_clock: trio.testing.MockClock) -> None:
    told: list[Any] = []
    async with scripted(repeat=Held(EXISTS), options={"timeout": 3}) as (session, _):
        session.on("error", told.append)
        started = trio.current_time()
        with pytest.raises(OperationTimeout, match="longer than 3") as caught:
            await session.exists("dogs/max")
        assert trio.current_time() - started == 3
        assert told == [caught.value]
        assert caught.value.is_retryable()
        assert caught.value.key == "dogs/max"


async def test_the_time_limit_is_that_of_the_call(scripted: Scripted, autojump_clock: trio.testing.MockClock) -> None:
    async with scripted(repeat=Held(EXISTS), options={"timeout": 3}) as (session, _):
        operation = session.exists("dogs/max")
        session.options.timeout = None
        with pytest.raises(OperationTimeout):
            await operation


async def test_a_call_from_another_thread_is_refused(scripted: Scripted) -> None:
    async with scripted(saved("dogs/1")) as (session, _):
        session.store({"n": 1}, key="dogs/1")
        for call in (session.save, lambda: session.exists("dogs/max")):
            with pytest.raises(SessionClosed, match="another thread") as held:
                await trio.to_thread.run_sync(call)
            await session.drain()
            del held  # only now: even while the exception was held, the session worked
        assert await session.save() == ["dogs/1"]


async def test_a_write_that_timed_out_is_uncertain(scripted: Scripted, autojump_clock: trio.testing.MockClock) -> None:
    async with scripted(repeat=Held(EXISTS), options={"timeout": 3}) as (session, _):
        session.store({"age": 1}, key="dogs/max")
        with pytest.raises(OperationTimeout) as caught:
            await session.save()
        assert caught.value.uncertain


async def test_without_a_timeout_there_is_no_deadline(scripted: Scripted) -> None:
    deadlines: list[float] = []

    def look(_: evsession.Request) -> evsession.Response:
        deadlines.append(trio.current_effective_deadline())
        return EXISTS

    async with scripted(look) as (session, _):
        await session.exists("dogs/max")
    assert deadlines == [float("inf")]


async def test_an_unheard_failure_is_logged_once(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="evsession"):
        async with scripted(refused(500, message="the reason")) as (session, _):
            session.load("dogs/max")
            await session.drain()
            assert ["load failed" in record.message for record in caplog.records] == [True]  # at once, not when memory is swept
        gc.collect()
    assert len(caplog.records) == 1


async def test_an_unheard_failure_that_is_held_is_logged_when_the_store_ends(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    async with scripted(refused(500), refused(500)) as (session, _):
        held = session.load("dogs/max")
        heard = session.load("dogs/jess")
        await session.drain()
        assert caplog.records == []  # it may still be awaited
        with pytest.raises(SessionError):
            await heard
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "failed and nobody listens" in caplog.text
    assert held.is_done
    del held
    gc.collect()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("listen", ["callback", "handler", "await"])
async def test_a_failure_that_is_heard_is_not_logged(scripted: Scripted, caplog: pytest.LogCaptureFixture, listen: str) -> None:
    async with scripted(refused(500)) as (session, _):
        if listen == "handler":
            session.on(500, lambda error: None)
        operation = session.load("dogs/max", (lambda error: None) if listen == "callback" else None)
        if listen == "await":
            with pytest.raises(SessionError):
                await operation
        await session.drain()
        del operation
        gc.collect()
    assert caplog.records == []


async def test_bad_input_is_told_as_the_caller_listens(scripted: Scripted) -> None:
    told: list[Any] = []
    async with scripted() as (session, transport):
        with pytest.raises(evsession.ConfigurationError) as caught:
            session.exists("")
        assert caught.value.operation == "exists"
        session.exists("", lambda error, found: told.append(error))
        assert told == []
        await session.drain()
        assert [type(error) for error in told] == [evsession.ConfigurationError]
        assert transport.requests == []


async def test_an_operation_outside_of_a_run_raises_at_once() -> None:
    from evsession.testing.scripted import ScriptedTransport

    store = evsession.Store(transport=ScriptedTransport(), database="db").initialize()
    session = store.open_session()
    with pytest.raises(SessionClosed, match="not running"):
        session.exists("dogs/max")
    async with store:
        pass
    with pytest.raises(SessionClosed, match="not running"):
        session.load("dogs/max", print)


async def test_an_operation_on_a_closed_session_raises_at_once(scripted: Scripted) -> None:
    async with scripted() as (session, _):
        await session.aclose()
        await session.aclose()
        with pytest.raises(SessionClosed, match="closed"):
            session.exists("dogs/max")
        with pytest.raises(SessionClosed):
            session.store({})
        with pytest.raises(SessionClosed):
            async with session:
                pass  # pragma: no cover
        assert "closed" in repr(session)


async def test_when_the_program_fails_operations_are_cancelled_and_told() -> None:
    from evsession.testing.scripted import ScriptedTransport

    told: list[Any] = []
    held = Held(EXISTS)
    store = evsession.Store(transport=ScriptedTransport(repeat=held), database="db")
    with pytest.raises(ZeroDivisionError):
        async with store:
            session = store.open_session()
            session.exists("a", lambda error, found: told.append(error))
            await held.asked.wait()
            session.exists("b", lambda error, found: told.append(error))  # never started
            raise ZeroDivisionError
    assert [type(error) for error in told] == [OperationCancelled, OperationCancelled]


async def test_what_a_callback_starts_while_the_store_ends_is_abandoned_and_told() -> None:
    from evsession.testing.scripted import ScriptedTransport

    told: list[Any] = []

    async def never(error: Any, found: Any) -> None:
        told.append(error)  # there is no nursery any more that this could run in

    held = Held(EXISTS)
    store = evsession.Store(transport=ScriptedTransport(repeat=held), database="db")
    with pytest.raises(ZeroDivisionError):
        async with store:
            session = store.open_session()

            def again(error: Any, found: Any) -> None:
                session.exists("b", lambda error, found: told.append(error))
                session.exists("c", never)

            session.exists("a", again)
            await held.asked.wait()
            raise ZeroDivisionError
    assert [type(error) for error in told] == [OperationCancelled]
    assert store._gate.count == 0


async def test_an_operation_that_is_awaited_while_the_store_ends_is_told_once() -> None:
    from evsession.testing.scripted import ScriptedTransport

    told: list[Any] = []
    held = Held(EXISTS)
    store = evsession.Store(transport=ScriptedTransport(repeat=held), database="db")
    with pytest.raises(ZeroDivisionError):
        async with store:
            session = store.open_session()

            async def again(error: Any, found: Any) -> None:
                await session.exists("b", lambda error, found: told.append(error))

            session.exists("a", again)
            await held.asked.wait()
            raise ZeroDivisionError
    assert [type(error) for error in told] == [OperationCancelled]


async def test_writers_take_turns_in_call_order(scripted: Scripted) -> None:
    order: list[int] = []
    async with scripted(*[saved(f"dogs/{number}") for number in range(8)]) as (session, transport):
        for number in range(8):
            session.store({"n": number}, key=f"dogs/{number}")
            session.save(lambda error, keys, number=number: order.append(number))
        await session.drain()
        assert order == list(range(8))
        sent = [[command["Id"] for command in body["Commands"]] for body in transport.bodies()]
        assert sent == [[f"dogs/{number}"] for number in range(8)]


async def test_a_cancelled_writer_lets_the_next_one_go_on(scripted: Scripted) -> None:
    first, second = Held(saved("dogs/1")), Held(saved("dogs/1", "dogs/2"))
    async with scripted(first, second) as (session, transport):
        session.store({"n": 1}, key="dogs/1")
        one = session.save()
        session.store({"n": 2}, key="dogs/2")
        two = session.save()
        three = session.save()
        await first.asked.wait()
        three.cancel()
        one.cancel()
        second.release.set()
        assert await two == ["dogs/1", "dogs/2"]
        with pytest.raises(OperationCancelled):
            await three
        assert len(transport.requests) == 2


def test_run_returns_the_result_of_a_plain_and_of_an_async_main() -> None:
    from evsession.testing.scripted import ScriptedTransport

    calls: list[Any] = []
    store = evsession.Store(transport=ScriptedTransport(repeat=EXISTS), database="db")

    def plain(number: int) -> int:
        store.open_session().exists("dogs/max", lambda error, found: calls.append(found))
        return number

    async def waiting(number: int) -> int:
        await store.open_session().exists("dogs/max")
        return number

    assert store.run(plain, 3) == 3
    assert calls == [True]  # run returned when the callback was done
    store = evsession.Store(transport=ScriptedTransport(repeat=EXISTS), database="db")
    assert store.run(waiting, 4) == 4


def test_run_lets_ctrl_c_through() -> None:
    from evsession.testing.scripted import ScriptedTransport

    store = evsession.Store(transport=ScriptedTransport(repeat=EXISTS), database="db")

    def main() -> None:
        store.open_session().exists("dogs/max", interrupt)

    def interrupt(error: Any, found: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.run(main)


async def test_a_store_runs_once_at_a_time(scripted: Scripted) -> None:
    from evsession.testing.scripted import ScriptedTransport

    store = evsession.Store(transport=ScriptedTransport(), database="db")
    async with store:
        with pytest.raises(evsession.ConfigurationError, match="running already"):
            async with store:
                pass  # pragma: no cover


async def test_repr_of_an_operation_shows_its_state(scripted: Scripted) -> None:
    async with scripted(refused(500)) as (session, _):
        operation = session.load("dogs/max", lambda error: None)
        assert repr(operation) == "<Operation load created>"
        await session.drain()
        assert "load done SessionError" in repr(operation)


def test_a_builtin_without_a_signature_gets_what_an_awaiter_would() -> None:
    from evsession.session.callbacks import Shape, shape_of

    assert shape_of(max) == Shape(0, None)


def test_what_has_waited_counts_as_one_of_the_others_again() -> None:
    store = Gate()
    session = Gate(store)
    one = Pass(session)
    for waits in (1, 2):
        one.begin_waiting()
        assert (session.waiting, store.waiting, one._waits) == (1, 1, waits)
    for waits in (1, 0):
        one.end_waiting()
        assert (session.waiting, store.waiting, one._waits) == (waits, waits, waits)
    one.give_back()
    assert (session.count, store.count) == (0, 0)
