"""Commits that are cut off: what they leave behind, what is told of them, and how `refresh` finds out what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import trio
import trio.testing

import evsession
from evsession import (
    ConcurrencyError,
    ConnectionFailed,
    DirtyEntity,
    OperationCancelled,
    OperationTimeout,
    ProtocolError,
    Request,
    Response,
    SessionError,
)
from evsession.testing.scripted import ScriptedTransport, json_answer
from evsession.wire.transport import Trail
from tests.unit.session.conftest import Scripted, refused
from tests.unit.session.documents.tiny import TinyRaven
from tests.unit.session.test_operation import Held

Dog = evsession.DocumentType("Dog")


@evsession.document(collection="Dogs")
@dataclass
class TypedDog:
    name: str
    age: int = 0
    id: str | None = None


@pytest.fixture(autouse=True)
def _dogs_are_documents() -> None:
    evsession.document(Dog, collection="Dogs")


def written_but_lost(tiny: TinyRaven) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        assert tiny(request).status == 201
        raise ConnectionFailed("hung up")

    return answer


def lost(request: Request) -> Response:
    raise ConnectionFailed("hung up")


async def outcome_of(operation: evsession.Operation[Any]) -> object:
    """Return the result or the error."""
    try:
        return await operation
    except SessionError as error:
        return error


def pending(session: evsession.Session) -> list[tuple[str | None, str]]:
    return [(change.key, change.kind) for change in session.changes()]


class TestLostAnswer:
    async def test_the_commit_behind_it_writes_what_was_not_in_doubt(
        self, scripted: Scripted, autojump_clock: trio.testing.MockClock
    ) -> None:
        tiny = TinyRaven()

        async def lost_later(request: Request) -> Response:
            await trio.sleep(1)
            return lost(request)

        async with scripted(lost_later, repeat=tiny) as (session, _):
            session.store(Dog(n=1), key="dogs/a")
            first = session.commit(lambda *_: None)
            session.add(Dog(n=2))
            second = session.commit(lambda *_: None)
            with pytest.raises(ConnectionFailed):
                await first
            assert await second == ["dogs/a", "dogs/1"]
            assert tiny.rows == {"dogs/a": {"n": 1}, "dogs/1": {"n": 2}}

    async def test_written_it_counts_as_written_after_a_refresh(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {"n": 1}})
        async with scripted(tiny, written_but_lost(tiny), repeat=tiny) as (session, _):
            a, b = await session.load(["dogs/a", "dogs/b"])
            new = Dog(n=1)
            session.store(new, key="dogs/c")
            session.remove(b)
            a.n = 2
            before = pending(session)
            with pytest.raises(ConnectionFailed) as caught:
                await session.commit()
            assert caught.value.uncertain
            assert not caught.value.is_retryable()
            assert pending(session) == before
            a.more = 1  # a later edit
            await session.refresh(a, b, new)
            assert pending(session) == [("dogs/a", "update")]
            assert session.changes(a) == {"more": (evsession.MISSING, 1)}
            assert b not in session.identity_map
            assert new.id == "dogs/c"
            assert new.metadata["@change-vector"] == tiny.versions["dogs/c"]
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"n": 2, "more": 1}, "dogs/c": {"n": 1}}

    async def test_not_written_everything_is_pending_after_a_refresh(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {"n": 1}})
        async with scripted(tiny, lost, repeat=tiny) as (session, _):
            a, b = await session.load(["dogs/a", "dogs/b"])
            new = Dog(n=1)
            session.store(new, key="dogs/c")
            session.remove(b)
            a.n = 2
            before = pending(session)
            with pytest.raises(ConnectionFailed) as caught:
                await session.commit()
            assert caught.value.uncertain
            await session.refresh(a, b, new)
            assert pending(session) == before
            assert a.n == 2
            assert await session.commit() == ["dogs/a", "dogs/c"]
            assert tiny.rows == {"dogs/a": {"n": 2}, "dogs/c": {"n": 1}}

    async def test_deleted_by_somebody_else_it_is_still_pending(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(tiny, lost, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            a.n = 2
            with pytest.raises(ConnectionFailed):
                await session.commit()
            tiny.delete("dogs/a")
            await session.refresh(a)
            assert pending(session) == [("dogs/a", "update")]
            with pytest.raises(SessionError, match="no document"):
                await session.refresh(a, force=True)  # what the outcome was is settled

    async def test_a_write_that_somebody_has_overwritten_is_not_taken_for_ones_own(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(tiny, written_but_lost(tiny), repeat=tiny) as (session, _):
            session.options.use_optimistic_concurrency = True
            a = await session.load("dogs/a")
            a.n = 2
            with pytest.raises(ConnectionFailed):
                await session.commit()
            tiny.put("dogs/a", {"n": 3})
            await session.refresh(a)
            assert session.is_dirty(a)
            with pytest.raises(ConcurrencyError):
                await session.commit()
            assert tiny.rows == {"dogs/a": {"n": 3}}

    async def test_a_typed_one_with_fields_that_its_class_lacks(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"name": "Max", "age": 1, "more": 1}})
        async with scripted(tiny, written_but_lost(tiny), repeat=tiny) as (session, _):
            a: Any = await session.load("dogs/a", type=TypedDog)
            a.age = 2
            with pytest.raises(ConnectionFailed):
                await session.commit()
            await session.refresh(a)
            assert not session.is_dirty(a)
            a.age = 3
            await session.commit()
            assert tiny.rows == {"dogs/a": {"name": "Max", "age": 3, "more": 1}}

    @pytest.mark.parametrize("is_written", [True, False])
    async def test_an_increment_is_counted_once(self, scripted: Scripted, is_written: bool) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(tiny, written_but_lost(tiny) if is_written else lost, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            session.increment(a, "n", 5)
            with pytest.raises(ConnectionFailed) as caught:
                await session.commit()
            assert caught.value.uncertain
            await session.refresh(a)
            assert session.is_dirty(a) is not is_written
            await session.commit()
            assert tiny.rows == {"dogs/a": {"n": 6}}
            assert a.n == 6

    async def test_an_increment_that_came_later_is_still_pending(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1, "m": 1}})
        async with scripted(tiny, written_but_lost(tiny), repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            session.increment(a, "n", 5)
            with pytest.raises(ConnectionFailed):
                await session.commit()
            session.increment(a, "n", 2)
            session.increment(a, "m", 1)
            await session.refresh(a)
            assert session.changes(a) == {"n": (6, 8), "m": (1, 2)}
            tiny.put("dogs/a", {"n": 106, "m": 101})
            await session.commit()
            assert tiny.rows == {"dogs/a": {"n": 108, "m": 102}}

    async def test_a_reference_may_be_written_again(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(written_but_lost(tiny), repeat=tiny) as (session, _):
            a = session.get_reference(Dog, "a")
            a.name = "x"
            with pytest.raises(ConnectionFailed):
                await session.commit()
            await session.refresh(a)
            await session.commit()
            assert tiny.rows == {"dogs/a": {"n": 1, "name": "x"}}
            await session.hydrate(a)
            assert (a.n, a.name) == (1, "x")
            assert not session.is_dirty(a)

    async def test_one_without_a_key_cannot_be_asked_for(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with scripted(written_but_lost(tiny), repeat=tiny) as (session, transport):
            new = Dog(n=1)
            session.add(new)
            with pytest.raises(ConnectionFailed):
                await session.commit()
            with pytest.raises(SessionError, match="cannot be told, for it has no key yet") as caught:
                session.refresh(new)
            assert caught.value.uncertain
            assert len(transport.requests) == 1
            assert pending(session) == [(None, "insert")]

    @pytest.mark.parametrize("is_written", [True, False])
    async def test_an_increment_after_which_somebody_else_wrote_is_unclear(self, scripted: Scripted, is_written: bool) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 5}})
        async with scripted(tiny, written_but_lost(tiny) if is_written else lost, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            session.increment(a, "n", 2)
            with pytest.raises(ConnectionFailed):
                await session.commit()
            tiny.put("dogs/a", {"n": 107})
            for _ in range(2):
                with pytest.raises(SessionError, match="was incremented cannot be told") as caught:
                    await session.refresh(a)
                assert (caught.value.key, caught.value.uncertain) == ("dogs/a", True)
                assert (a.n, pending(session)) == (7, [("dogs/a", "update")])
            await session.refresh(a, force=True)
            assert (a.n, pending(session)) == (107, [])
            assert await session.commit() == []

    @pytest.mark.parametrize("is_increment", [True, False])
    async def test_of_a_reference_it_loads_and_writes_what_is_missing(self, scripted: Scripted, is_increment: bool) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 5}})
        async with scripted(written_but_lost(tiny), repeat=tiny) as (session, _):
            a = session.get_reference(Dog, "dogs/a")
            if is_increment:
                session.increment(a, "n", 2)
            else:
                a.n = 7
            with pytest.raises(ConnectionFailed):
                await session.commit()
            if is_increment:
                with pytest.raises(SessionError, match="was incremented cannot be told"):
                    await session.refresh(a)
            await session.refresh(a, force=True)
            assert (a.n, pending(session)) == (7, [])

    async def test_a_success_settles_it(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(tiny, lost, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            a.n = 2
            with pytest.raises(ConnectionFailed):
                await session.commit()
            await session.commit()
            a.n = 3
            with pytest.raises(DirtyEntity):
                session.refresh(a)

    async def test_in_a_transaction_it_stays_open(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(tiny, lost, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            transaction = session.use_transaction()
            a.n = 2
            await session.flush()
            with pytest.raises(ConnectionFailed):
                await session.commit()
            assert transaction.is_open
            assert transaction.staged == 1
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"n": 2}}


class TestHalfAnswers:
    @pytest.mark.parametrize(
        "answer",
        [
            Response(201, (), b'{"Results":[{"Type":"PUT","@id":"dogs/a","@cha'),
            Response(201, (), b""),
            Response(201, (), b"[]"),
            json_answer({"Results": []}, 201),
            json_answer({"Results": [{"Type": "PUT"}]}, 201),
            json_answer({"Results": [{"@id": "dogs/a"}, {"@id": "dogs/b"}]}, 201),
            json_answer({}, 201),
        ],
    )
    async def test_nonsense_is_uncertain_and_changes_nothing(self, scripted: Scripted, answer: Response) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(tiny, answer, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            a.n = 2
            with pytest.raises(ProtocolError) as caught:
                await session.commit()
            assert caught.value.uncertain
            assert session.changes(a) == {"n": (1, 2)}
            await session.refresh(a)
            assert session.is_dirty(a)
            assert await session.commit() == ["dogs/a"]

    async def test_a_refusal_in_foreign_words_is_uncertain(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(tiny, Response(502, (), b"<html>bad gateway</html>"), repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            a.n = 2
            with pytest.raises(SessionError) as caught:
                await session.commit()
            assert (caught.value.status_code, caught.value.uncertain) == (502, True)
            await session.refresh(a)
            assert session.is_dirty(a)

    async def test_an_edit_without_its_document_is_still_noted(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        bare = {"Type": "PATCH", "Id": "dogs/a", "PatchStatus": "Patched", "ChangeVector": "A:9"}
        async with scripted(tiny, json_answer({"Results": [bare]}, 201), repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            session.increment(a, "n", 1)
            assert await session.commit() == ["dogs/a"]
            assert a.n == 2
            assert a.metadata["@change-vector"] == "A:9"
            assert not session.is_dirty(a)

    async def test_an_edit_that_changed_nothing_keeps_its_version(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            session.increment(a, "n", 0)
            assert session.is_dirty(a)
            assert await session.commit() == ["dogs/a"]
            assert a.metadata["@change-vector"] == tiny.versions["dogs/a"] == "A:1-tiny"
            assert not session.is_dirty(a)


class TestRefusal:
    async def test_it_is_certain_and_everything_is_pending(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {}})
        async with scripted(tiny, refused(500), repeat=tiny) as (session, _):
            a, b = await session.load(["dogs/a", "dogs/b"])
            new = Dog()
            session.add(new)
            session.remove(b)
            a.n = 2
            before = pending(session)
            with pytest.raises(SessionError) as caught:
                await session.commit()
            assert not caught.value.uncertain
            assert pending(session) == before
            with pytest.raises(DirtyEntity):
                session.refresh(a)
            assert await session.commit() == ["dogs/a", "dogs/1"]

    async def test_a_conflict_names_the_document_and_versions(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {"n": 1}})
        async with scripted(repeat=tiny) as (session, _):
            session.options.use_optimistic_concurrency = True
            told: list[Any] = []
            session.on(409, told.append)
            a, b = await session.load(["dogs/a", "dogs/b"])
            tiny.put("dogs/b", {"n": 5})
            a.n = b.n = 2
            with pytest.raises(ConcurrencyError) as caught:
                await session.commit()
            error = caught.value
            assert (error.key, error.expected, error.actual) == ("dogs/b", "A:2-tiny", "A:3-tiny")
            assert told == [error]
            assert tiny.rows["dogs/a"] == {"n": 1}
            await session.refresh(b, force=True)
            b.n += 1
            assert await session.commit() == ["dogs/a", "dogs/b"]
            assert tiny.rows == {"dogs/a": {"n": 2}, "dogs/b": {"n": 6}}

    async def test_one_that_is_there_already_is_a_conflict_of_a_new_one(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(repeat=tiny) as (session, _):
            session.options.use_optimistic_concurrency = True
            new = Dog(n=2)
            session.store(new, key="dogs/a")
            with pytest.raises(ConcurrencyError) as caught:
                await session.commit()
            assert (caught.value.key, caught.value.expected, caught.value.actual) == ("dogs/a", "", "A:1-tiny")
            session.options.use_optimistic_concurrency = False
            assert await session.commit() == ["dogs/a"]


class Unreachable(ScriptedTransport):
    """Nobody is there: nothing is ever sent."""

    def __init__(self, *answers: Any, repeat: Any) -> None:
        super().__init__(*answers, repeat=repeat)
        self.is_down = False

    async def send(self, request: Request, trail: Trail) -> Response:
        if self.is_down:
            await trio.lowlevel.checkpoint()
            raise ConnectionFailed("nobody is there")
        return await super().send(request, trail)


async def test_what_was_never_sent_is_certain_and_a_later_refresh_reloads() -> None:
    tiny = TinyRaven({"dogs/a": {"n": 1}})
    transport = Unreachable(repeat=tiny)
    async with evsession.Store(transport=transport, database="db") as store, store.open_session() as session:
        a = await session.load("dogs/a")
        new = Dog()
        session.store(new, key="dogs/b")
        a.n = 2
        transport.is_down = True
        with pytest.raises(ConnectionFailed) as caught:
            await session.commit()
        assert not caught.value.uncertain
        transport.is_down = False
        for entity in (a, new):
            with pytest.raises(DirtyEntity):
                session.refresh(entity)
        session.revert(a)
        tiny.put("dogs/a", {"n": 7})
        await session.refresh(a)
        assert a.n == 7


class TestCancellation:
    @pytest.mark.parametrize("ticks", range(14))
    @pytest.mark.parametrize("has_hooks", [False, True])
    async def test_at_each_point_it_is_either_not_sent_or_found_out(
        self, scripted: Scripted, ticks: int, has_hooks: bool
    ) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {}})

        async def slowly(request: Request) -> Response:
            await trio.lowlevel.checkpoint()
            response = tiny(request)
            await trio.lowlevel.checkpoint()
            return response

        async with scripted(tiny, repeat=slowly) as (session, transport):
            if has_hooks:

                async def hook(event: evsession.CommitEvent) -> None:
                    await trio.lowlevel.checkpoint()
                    if event.type is Dog and event.name == "update.pre" and len(session.identity_map) < 4:
                        extra = Dog()
                        session.store(extra, key="dogs/extra")

                for name in ("commit.pre", "update.pre", "insert.post"):
                    session.on(name, hook)
            a, b = await session.load(["dogs/a", "dogs/b"])
            new = Dog(n=1)
            session.store(new, key="dogs/c")
            session.remove(b)
            a.n = 2
            before = pending(session)
            operation = session.commit()
            for _ in range(ticks):
                await trio.lowlevel.checkpoint()
            operation.cancel()
            outcome = await outcome_of(operation)
            if isinstance(outcome, OperationCancelled):
                error = outcome
                was_sent = len(transport.requests) > 1
                assert error.uncertain is (was_sent and "dogs/b" in [key for key, _ in pending(session)])
                if error.uncertain:
                    assert pending(session) == before
                    await session.refresh(a, b, new)
                if tiny.batches:
                    assert pending(session) == []
                    assert tiny.rows["dogs/a"] == {"n": 2}
                    assert "dogs/b" not in tiny.rows
                else:
                    assert pending(session) == before
                    assert len(session.identity_map) == 3
            assert session.state == "idle"
            session.off("update.pre")
            await session.commit()
            assert {key: row for key, row in tiny.rows.items() if key != "dogs/extra"} == {"dogs/a": {"n": 2}, "dogs/c": {"n": 1}}

    async def test_some_points_are_before_and_some_after_the_write(self, scripted: Scripted) -> None:
        """The test above is worth nothing unless its ticks reach both."""
        outcomes = set()
        for ticks in range(14):
            tiny = TinyRaven()
            async with scripted(repeat=tiny) as (session, _):
                session.add(Dog())
                operation = session.commit()
                for _ in range(ticks):
                    await trio.lowlevel.checkpoint()
                operation.cancel()
                try:
                    await operation
                    outcomes.add("done")
                except OperationCancelled as error:
                    outcomes.add("uncertain" if error.uncertain else "not sent")
        assert {"done", "not sent"} <= outcomes

    async def test_a_task_that_is_cancelled_while_it_commits(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(tiny, Held(json_answer({})), repeat=tiny) as (session, transport):
            a = await session.load("dogs/a")
            a.n = 2
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:

                    @nursery.start_soon
                    async def cancel() -> None:
                        await trio.testing.wait_all_tasks_blocked()
                        scope.cancel()

                    await session.commit()
            assert scope.cancelled_caught
            assert len(transport.requests) == 2
            assert session.state == "idle"
            assert pending(session) == [("dogs/a", "update")]
            await session.refresh(a)
            assert await session.commit() == ["dogs/a"]

    async def test_one_that_waits_for_its_turn_leaves_the_queue(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        held = Held(json_answer({"Results": [{"Type": "PUT", "@id": "dogs/a", "@change-vector": "A:5"}]}, 201))
        async with scripted(tiny, held, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            a.n = 2
            first = session.commit()
            await held.asked.wait()
            a.n = 3
            second = session.commit()
            a.n = 4
            third = session.commit()
            await trio.testing.wait_all_tasks_blocked()
            second.cancel()
            with pytest.raises(OperationCancelled) as caught:
                await second
            assert not caught.value.uncertain
            held.release.set()
            assert await first == ["dogs/a"]
            assert await third == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"n": 4}}
            assert pending(session) == []

    async def test_too_slow_an_answer_is_uncertain(self, scripted: Scripted, autojump_clock: Any) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})

        async def late(request: Request) -> Response:
            tiny(request)
            await trio.sleep(100)
            raise AssertionError

        async with scripted(tiny, late, repeat=tiny) as (session, _):
            session.options.timeout = 5
            a = await session.load("dogs/a")
            a.n = 2
            with pytest.raises(OperationTimeout) as caught:
                await session.commit()
            assert caught.value.uncertain
            await session.refresh(a)
            assert pending(session) == []


class TestTwoAtOnce:
    async def test_they_take_turns_in_call_order(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 0}})
        async with scripted(repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            operations = []
            for n in range(1, 6):
                a.n = n
                operations.append(session.commit() if n % 2 else session.save())
            assert [await operation for operation in reversed(operations)] == [["dogs/a"]] * 5
            assert [batch[0]["Document"]["n"] for batch in tiny.batches] == [1, 2, 3, 4, 5]
            assert pending(session) == []

    async def test_from_two_tasks_the_same_work_is_written_once(self, scripted: Scripted) -> None:
        tiny = TinyRaven()
        async with scripted(repeat=tiny) as (session, _):
            session.add(Dog(n=1))
            results: list[Any] = []

            async def commit() -> None:
                results.append(await session.commit())

            async with trio.open_nursery() as nursery:
                nursery.start_soon(commit)
                nursery.start_soon(commit)
            assert sorted(results) == [[], ["dogs/1"]]
            assert len(tiny.batches) == 1

    async def test_when_the_first_fails_the_second_sends_all(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(tiny, refused(500), repeat=tiny) as (session, _):
            a, new = await session.load("dogs/a"), Dog(n=0)
            session.add(new)
            a.n = 2
            first = session.commit()
            new.n = 1
            second = session.commit()
            with pytest.raises(SessionError):
                await first
            assert await second == ["dogs/a", "dogs/1"]
            assert tiny.rows == {"dogs/a": {"n": 2}, "dogs/1": {"n": 1}}

    async def test_an_increment_of_the_second_counts_from_the_first(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})
        async with scripted(repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            tiny.put("dogs/a", {"n": 100})
            session.increment(a, "n", 1)
            first = session.commit()
            session.increment(a, "n", 2)
            second = session.commit()
            await first
            await second
            assert tiny.rows == {"dogs/a": {"n": 103}}
            assert a.n == 103
            assert pending(session) == []

    async def test_evicted_while_it_is_written_it_is_written_and_forgotten(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}, "dogs/b": {}})

        def evict(request: Request) -> Response:
            session.evict(a, b, new)
            return tiny(request)

        async with scripted(tiny, evict, repeat=tiny) as (session, _):
            a, b = await session.load(["dogs/a", "dogs/b"])
            new = Dog()
            session.add(new)
            session.remove(b)
            a.n = 2
            assert await session.commit() == ["dogs/a", "dogs/1"]
            assert len(session.identity_map) == 0
            again = await session.load("dogs/a")
            assert again is not a
            assert again.n == 2

    async def test_added_again_while_it_is_deleted_it_is_new(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/a": {"n": 1}})

        def add(request: Request) -> Response:
            session.add(a)
            return tiny(request)

        async with scripted(tiny, add, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            session.remove(a)
            assert (await session.commit()).removed == ["dogs/a"]
            assert pending(session) == [("dogs/a", "insert")]
            session.options.use_optimistic_concurrency = True
            assert (await session.commit()).inserted == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"n": 1}}


class TestTheStoreEnds:
    async def test_a_commit_under_way_is_cut_off_and_uncertain(self) -> None:
        tiny = TinyRaven()
        held = Held(json_answer({}))
        store = evsession.Store(transport=ScriptedTransport(held, repeat=tiny), database="db")
        told: list[Any] = []
        boom = ValueError("boom")
        with pytest.raises(ValueError, match="boom") as caught:
            async with store:
                session = store.open_session()
                new = Dog()
                session.store(new, key="dogs/a")
                session.commit(lambda error, saved: told.append((error, saved)))
                waiting = session.commit(lambda error, saved: told.append((error, saved)))
                await held.asked.wait()
                raise boom
        assert caught.value is boom
        # The tasks of both are cut off in any order.
        assert {(type(error), error.uncertain, saved) for error, saved in told} == {
            (OperationCancelled, True, None),
            (OperationCancelled, False, None),
        }
        assert len(told) == 2
        assert waiting.is_done
        assert pending(session) == [("dogs/a", "insert")]
        assert (session.in_commit, session.state) == (False, "idle")

    async def test_a_commit_that_was_only_called_is_told(self) -> None:
        store = evsession.Store(transport=ScriptedTransport(), database="db")
        told: list[Any] = []
        with pytest.raises(ZeroDivisionError):
            async with store:
                session = store.open_session()
                session.add(Dog())
                session.commit(lambda error, saved: told.append((type(error), error.uncertain, saved)))
                _ = 1 // 0
        assert told == [(OperationCancelled, False, None)]
        assert pending(session) == [(None, "insert")]

    async def test_a_store_that_ends_well_waits_for_it(self) -> None:
        tiny = TinyRaven()
        async with evsession.Store(transport=ScriptedTransport(repeat=tiny), database="db") as store:
            store.open_session().add(Dog(n=1)).commit()
        assert tiny.rows == {"dogs/1": {"n": 1}}
