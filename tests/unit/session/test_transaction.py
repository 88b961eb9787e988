"""Transactions of a document session: what is staged, sent and given back; functions and blocks that end one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import attrs
import pytest
import trio
import trio.testing

import evsession
from evsession import ConcurrencyError, ConnectionFailed, SessionClosed, SessionError, TransactionError
from evsession.session.transaction import end_after
from tests.unit.session.conftest import Scripted, refused
from tests.unit.session.documents.tiny import TinyRaven

Dog = evsession.DocumentType("Dog")


@pytest.fixture(autouse=True)
def _dogs_are_documents() -> None:
    evsession.document(Dog, collection="Dogs")


async def test_what_documents_can_and_cannot_do(scripted: Scripted) -> None:
    async with scripted() as (session, _):
        assert session.capabilities == evsession.Capabilities(interactive_transactions=False, reads_own_writes=False)


async def test_a_block_that_has_rolled_back_writes_nothing(scripted: Scripted) -> None:
    tiny = TinyRaven()
    async with scripted(repeat=tiny) as (session, _):
        async with session.transaction():
            session.add(Dog(name="new"))
            await session.rollback()
        assert (tiny.batches, len(session.changes())) == ([], 1)


async def test_flush_stages_and_commit_sends_one_batch(scripted: Scripted) -> None:
    tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {}})
    async with scripted(repeat=tiny) as (session, transport):
        a, b = await session.load(["dogs/a", "dogs/b"])
        assert (session.assigned_transaction, session.has_transaction()) == (None, False)
        transaction = session.use_transaction()
        assert session.use_transaction() is transaction is session.assigned_transaction
        assert session.has_transaction()
        assert (transaction.is_open, transaction.staged, transaction.session) == (True, 0, session)
        a.n = 2
        session.remove(b)
        assert await session.flush() == ["dogs/a"]
        assert (transaction.staged, session.changes()) == (2, [])
        assert repr(transaction) == "<Transaction open, 2 staged>"
        a.n = 3
        new = Dog(name="new")
        session.add(new)
        assert session.is_dirty(a)
        assert await session.flush() == ["dogs/a"]
        assert len(transport.requests) == 1
        assert tiny.rows == {"dogs/a": {"n": 1}, "dogs/b": {}}
        saved = await session.commit()
        assert saved == ["dogs/a", "dogs/1"]
        assert saved.removed == ["dogs/b"]
        assert len(tiny.batches) == 1
        assert tiny.rows == {"dogs/a": {"n": 3}, "dogs/1": {"name": "new"}}
        assert new.id == "dogs/1"
        assert (transaction.is_open, transaction.staged) == (False, 0)
        assert not session.has_transaction()
        assert repr(transaction) == "<Transaction ended, 0 staged>"
        for end in (transaction.commit, transaction.rollback):
            with pytest.raises(TransactionError, match="has ended"):
                end()


async def test_without_a_transaction_a_flush_is_a_commit(scripted: Scripted) -> None:
    tiny = TinyRaven()
    async with scripted(repeat=tiny) as (session, _):
        session.add(Dog())
        assert await session.flush() == ["dogs/1"]
        assert len(tiny.batches) == 1


async def test_a_rollback_gives_back_what_was_pending(scripted: Scripted) -> None:
    tiny = TinyRaven({"dogs/b": {"n": 1}})
    async with scripted(repeat=tiny) as (session, transport):
        b, a = await session.load("dogs/b"), Dog(n=1)
        transaction = session.use_transaction()
        session.store(a, key="dogs/a")
        b.n = 2
        before = session.changes()
        await session.flush()
        await transaction.rollback()
        assert not session.has_transaction()
        assert session.changes() == before
        assert b.n == 2
        assert len(transport.requests) == 1
        assert await session.commit() == ["dogs/b", "dogs/a"]
        await session.rollback()
        assert not session.is_dirty(b)


async def test_commit_transaction_sends_only_what_was_flushed(scripted: Scripted) -> None:
    tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {"n": 1}})
    async with scripted(repeat=tiny) as (session, _):
        a, b = await session.load(["dogs/a", "dogs/b"])
        a.n = b.n = 2
        assert await session.commit_transaction() == []
        session.use_transaction()
        session.increment(a, "n")
        await session.flush()
        a.n, b.n = 10, 20
        assert await session.commit_transaction() == ["dogs/a", "dogs/b"]
        assert tiny.rows == {"dogs/a": {"n": 3}, "dogs/b": {"n": 2}}
        assert not session.has_transaction()
        assert [change.entity for change in session.changes()] == [a, b]


async def test_an_insert_that_was_flushed_and_taken_back_was_never_there(scripted: Scripted) -> None:
    tiny = TinyRaven()
    async with scripted(repeat=tiny) as (session, transport):
        new = Dog()
        session.use_transaction()
        session.add(new)
        await session.flush()
        session.remove(new)
        assert (await session.commit()).removed == []
        assert await session.commit() == []
        assert transport.requests == []
        assert new not in session.identity_map


async def test_a_failed_commit_leaves_the_transaction_open(scripted: Scripted) -> None:
    tiny = TinyRaven({"dogs/a": {"n": 1}})
    async with scripted(tiny, refused(500), repeat=tiny) as (session, _):
        a = await session.load("dogs/a")
        transaction = session.use_transaction()
        a.n = 2
        await session.flush()
        with pytest.raises(SessionError):
            await session.commit()
        assert transaction.is_open
        assert transaction.staged == 1
        assert await transaction.commit() == ["dogs/a"]
        assert tiny.rows == {"dogs/a": {"n": 2}}


async def test_a_reference_that_is_loaded_in_a_transaction_keeps_what_was_staged(scripted: Scripted) -> None:
    tiny = TinyRaven({"dogs/a": {"n": 1, "m": 1, "k": 1}})
    async with scripted(repeat=tiny) as (session, _):
        dog = session.get_reference(Dog, "a")
        session.use_transaction()
        dog.n = 2
        await session.flush()
        dog.m = 3
        await session.hydrate(dog)
        assert (dog.n, dog.m, dog.k) == (2, 3, 1)
        assert session.changes(dog) == {"m": (1, 3)}
        await session.commit_transaction()
        assert tiny.rows == {"dogs/a": {"n": 2, "m": 1, "k": 1}}
        assert session.is_dirty(dog)


async def test_in_a_transaction_a_revert_goes_back_to_what_was_staged(scripted: Scripted) -> None:
    tiny = TinyRaven({"dogs/a": {"n": 1}})
    async with scripted(repeat=tiny) as (session, _):
        dog = await session.load("dogs/a")
        session.use_transaction()
        dog.n = 2
        await session.flush()
        dog.n = 3
        session.revert(dog)
        assert dog.n == 2
        await session.commit()
        assert tiny.rows == {"dogs/a": {"n": 2}}


async def test_in_a_transaction_a_revert_of_a_reference_goes_back_to_what_was_staged(scripted: Scripted) -> None:
    tiny = TinyRaven({"dogs/a": {"n": 1}})
    async with scripted(repeat=tiny) as (session, _):
        dog = session.get_reference(Dog, "a")
        session.use_transaction()
        dog.n = 2
        await session.flush()
        dog.n = dog.m = 3
        session.revert(dog)
        assert dog.n == 2
        assert not session.is_dirty(dog)
        await session.commit()
        assert tiny.rows == {"dogs/a": {"n": 2}}


@pytest.mark.parametrize("kind", [dataclass, attrs.define])
async def test_typed_values_of_a_reference_go_back_to_what_was_staged(scripted: Scripted, kind: Any) -> None:
    @evsession.document(collection="Dogs")
    @kind
    class Typed:
        name: str
        born: date | None = None
        id: str | None = None

    tiny = TinyRaven({"dogs/a": {"name": "Max", "born": None}})
    async with scripted(repeat=tiny) as (session, _):
        dog = session.get_reference(Typed, "dogs/a")
        session.use_transaction()
        dog.born = date(2020, 1, 2)
        await session.flush()
        dog.born, dog.name = date(1999, 1, 1), "x"
        session.revert(dog)
        assert dog.born == date(2020, 1, 2)
        with pytest.raises(evsession.NotLoaded):
            _ = dog.name
        await session.commit()
        assert tiny.rows == {"dogs/a": {"name": "Max", "born": "2020-01-02"}}


async def test_a_forced_refresh_gives_up_what_was_staged(scripted: Scripted) -> None:
    tiny = TinyRaven({"dogs/a": {"n": 1}})
    async with scripted(repeat=tiny) as (session, _):
        dog = await session.load("dogs/a")
        session.use_transaction()
        dog.n = 2
        await session.flush()
        await session.refresh(dog, force=True)
        assert dog.n == 1
        assert await session.commit() == []
        assert tiny.batches == []


class TestTheObject:
    async def test_it_can_do_what_its_session_can(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(repeat=tiny) as (session, _):
            transaction = session.use_transaction()
            assert (await transaction.load("dogs/a")).n == 1
            transaction.add(Dog())
            assert transaction.has_transaction()
            with pytest.raises(AttributeError, match="Transaction has no attribute '_unit'"):
                _ = transaction._unit
            with pytest.raises(AttributeError):
                _ = transaction.nonsense

    async def test_half_made_it_does_not_look_for_its_session_for_ever(self) -> None:
        half = object.__new__(evsession.Transaction)
        with pytest.raises(AttributeError, match="'session'"):
            _ = half.session

    async def test_callbacks(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with scripted(repeat=tiny) as (session, _):
            told: list[Any] = []
            session.use_transaction().commit(lambda error, saved: told.append((error, list(saved))))
            await session.drain()
            session.use_transaction().rollback(lambda error: told.append(error))
            await session.drain()
            assert told == [(None, []), None]

    async def test_a_closed_session_has_none(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(repeat=tiny) as (session, _):
            transaction = session.use_transaction()
            (await session.load("dogs/a")).n = 2
            await session.flush()
            with pytest.warns(ResourceWarning, match="was closed with a transaction open"):
                await session.aclose()
            assert not transaction.is_open
            with pytest.raises(SessionClosed):
                session.use_transaction()
        assert tiny.batches == []


class TestTheBlock:
    async def test_a_clean_end_commits(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with scripted(repeat=tiny) as (session, _):
            async with session.transaction() as transaction:
                assert session.assigned_transaction is transaction
                transaction.add(Dog(n=1))
                await transaction.flush()
                assert tiny.batches == []
            assert tiny.rows == {"dogs/1": {"n": 1}}
            assert not session.has_transaction()

    async def test_an_exception_rolls_back_and_passes(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with scripted(repeat=tiny) as (session, _):
            dog = Dog()
            boom = ValueError("boom")
            with pytest.raises(ValueError, match="boom") as caught:
                async with session.transaction():
                    session.add(dog)
                    await session.flush()
                    raise boom
            assert caught.value is boom
            assert not session.has_transaction()
            assert session.is_dirty(dog)
            assert tiny.batches == []

    async def test_it_does_not_nest_and_the_outer_one_stays_open(self, scripted: Scripted) -> None:
        async with scripted(repeat=TinyRaven()) as (session, _):
            async with session.transaction() as outer:
                with pytest.raises(TransactionError, match="do not nest"):
                    async with session.transaction():
                        raise AssertionError
                with pytest.raises(TransactionError, match="do not nest"):
                    await session.transaction(lambda _: None)
                assert outer.is_open
            assert not outer.is_open

    @pytest.mark.parametrize("verb", ["commit", "rollback"])
    async def test_the_block_may_end_it_itself(self, scripted: Scripted, verb: str) -> None:
        tiny = TinyRaven()
        async with scripted(repeat=tiny) as (session, _):
            async with session.transaction() as transaction:
                session.add(Dog())
                await getattr(transaction, verb)()
                other = session.use_transaction()
            assert other.is_open, "one that the block has opened itself is not its to end"
            assert len(tiny.batches) == (verb == "commit")

    async def test_a_refused_commit_rolls_back(self, scripted: Scripted) -> None:
        async with scripted(refused(500), repeat=TinyRaven()) as (session, _):
            dog = Dog()
            with pytest.raises(SessionError):
                async with session.transaction():
                    session.add(dog)
            assert not session.has_transaction()
            assert session.is_dirty(dog)

    async def test_a_hook_that_raises_after_the_end_leaves_nothing_to_roll_back(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with scripted(repeat=tiny) as (session, _):
            told: list[Any] = []
            session.on("commit.post", lambda event: 1 // 0)
            session.on("rollback.post", told.append)
            with pytest.raises(ZeroDivisionError):
                async with session.transaction():
                    session.add(Dog())
            assert told == []
            assert not session.has_transaction()
            assert len(tiny.rows) == 1
            assert session.changes() == []

    async def test_cancelled_it_rolls_back(self, scripted: Scripted) -> None:
        async with scripted(repeat=TinyRaven()) as (session, _):
            dog = Dog()
            with trio.CancelScope() as scope:
                async with session.transaction():
                    session.add(dog)
                    await session.flush()
                    scope.cancel()
                    await trio.lowlevel.checkpoint()
            assert scope.cancelled_caught
            assert not session.has_transaction()
            assert session.is_dirty(dog)

    async def test_a_failing_rollback_does_not_hide_the_error(self, scripted: Scripted) -> None:
        async with scripted(repeat=TinyRaven()) as (session, _):
            session.on("rollback.post", lambda event: 1 / 0)
            boom = ValueError("boom")
            with pytest.raises(ValueError, match="boom") as caught:
                async with session.transaction():
                    raise boom
            assert isinstance(caught.value.__context__, ZeroDivisionError)


class TestTheFunction:
    async def test_its_value_is_the_result(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with scripted(repeat=tiny) as (session, _):

            async def work(inside: evsession.Session) -> str:
                assert inside is session
                assert session.has_transaction()
                inside.add(Dog(n=1))
                await inside.flush()
                inside.add(Dog(n=2))
                return "value"

            assert await session.transaction(work) == "value"
            assert len(tiny.batches) == 1
            assert len(tiny.rows) == 2
            assert await session.transaction(lambda inside: len([inside.add(Dog())])) == 1
            assert len(tiny.rows) == 3

    async def test_with_a_callback(self, scripted: Scripted) -> None:
        async with scripted(repeat=TinyRaven()) as (session, _):
            told: list[Any] = []
            session.transaction(lambda _: 5, lambda error, value: told.append((error, value)))
            await session.drain()
            boom = ValueError("boom")

            def fail(_: Any) -> None:
                raise boom

            session.transaction(fail, lambda error, value: told.append((error, value)))
            await session.drain()
            assert told == [(None, 5), (boom, None)]

    async def test_it_raises_what_the_work_raises(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with scripted(repeat=tiny) as (session, _):
            boom = ValueError("boom")

            async def work(inside: evsession.Session) -> None:
                inside.add(Dog())
                await inside.flush()
                raise boom

            with pytest.raises(ValueError, match="boom") as caught:
                await session.transaction(work)
            assert caught.value is boom
            assert tiny.batches == []
            assert not session.has_transaction()

    async def test_what_is_no_function_is_refused(self, scripted: Scripted) -> None:
        async with scripted() as (session, _):
            with pytest.raises(TypeError, match="is a function of the session, not 5"):
                session.transaction(5)  # type: ignore[call-overload]

    async def test_a_conflict_is_tried_again(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(repeat=tiny) as (session, _):
            session.options.use_optimistic_concurrency = True
            seen: list[int] = []

            async def count(inside: evsession.Session) -> int:
                dog = await inside.load("dogs/a")
                seen.append(dog.n)
                if len(seen) < 3:
                    tiny.put("dogs/a", {"n": dog.n + 10})
                dog.n += 1
                value: int = dog.n
                return value

            with pytest.raises(ConcurrencyError):
                await session.transaction(count, retries=1)
            assert seen == [1, 11]
            assert not session.has_transaction()
            session.clear()
            assert await session.transaction(count, retries=5) == 22
            assert seen == [1, 11, 21]
            assert tiny.rows == {"dogs/a": {"n": 22}}

    async def test_negative_retries_are_refused(self, scripted: Scripted) -> None:
        async with scripted() as (session, _):
            with pytest.raises((TypeError, ValueError), match="retries"):
                await session.transaction(lambda _: None, retries=-1)
            assert not session.has_transaction()

    async def test_another_failure_is_not(self, scripted: Scripted) -> None:
        async with scripted(refused(500), repeat=TinyRaven()) as (session, _):
            calls: list[Any] = []

            def work(inside: evsession.Session) -> None:
                calls.append(inside)
                inside.add(Dog())

            with pytest.raises(SessionError):
                await session.transaction(work, retries=3)
            assert len(calls) == 1


async def test_ending_because_of_an_error_keeps_it() -> None:
    error, cause = ValueError("first"), KeyError("before")
    error.__context__ = cause

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise ConnectionFailed("second")

    await end_after(fail, error)
    assert isinstance(error.__context__, ConnectionFailed)
    assert error.__context__.__context__ is cause


@pytest.mark.parametrize("clears", [True, False])
async def test_what_a_hook_has_kept_out_is_pending_after_a_rollback(clears: bool, scripted: Scripted) -> None:
    async with scripted(repeat=TinyRaven()) as (session, _):
        session.on("insert.pre", lambda event: event.prevent(*event.entities))
        dog = Dog(name="new")
        session.use_transaction()
        await session.add(dog).flush()
        assert session.changes() == []
        if clears:
            session.clear()
        await session.rollback()
        assert [change.entity for change in session.changes()] == ([] if clears else [dog])


async def test_what_was_staged_is_not_written_again_with_the_work_of_hooks(scripted: Scripted) -> None:
    tiny = TinyRaven({"dogs/a": {"n": 1}})
    async with scripted(repeat=tiny) as (session, _):
        a = await session.load("dogs/a")
        session.use_transaction()
        a.n = 2
        await session.flush()
        session.once("update.post", lambda event: session.store(Dog(name="new"), key="dogs/b"))
        assert await session.commit() == ["dogs/a", "dogs/b"]
        assert [[command["Id"] for command in batch] for batch in tiny.batches] == [["dogs/a"], ["dogs/b"]]


async def test_a_helper_does_not_share_the_transaction_of_another_call(
    scripted: Scripted, autojump_clock: trio.testing.MockClock
) -> None:
    async with scripted() as (session, _):
        told: list[str] = []

        async def work(session: evsession.Session) -> None:
            await trio.sleep(5)
            told.append("first")

        first = session.transaction(work, lambda *_: None)
        await trio.sleep(1)
        await evsession.get_transaction(session, lambda transaction: told.append("second"))
        assert (told, first.is_done) == (["first", "second"], True)
