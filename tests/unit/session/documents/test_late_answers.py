"""Answers that come when the session has gone on: refreshing what was staged, written or lost meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import trio

import evsession
from evsession import ConcurrencyError, ConnectionFailed, Request, Response, SessionError
from evsession.testing.scripted import json_answer
from tests.unit.session.conftest import Scripted
from tests.unit.session.documents.test_uncertain import TypedDog, lost, outcome_of, pending, written_but_lost
from tests.unit.session.documents.tiny import TinyRaven

Dog = evsession.DocumentType("Dog")


@pytest.fixture(autouse=True)
def _dogs_are_documents() -> None:
    evsession.document(Dog, collection="Dogs")


class Late:
    """The server has done its work, and the answer, or its loss, comes when the test says so."""

    def __init__(self, tiny: TinyRaven, *, is_lost: bool = False) -> None:
        self.tiny = tiny
        self.is_lost = is_lost
        self.asked = trio.Event()
        self.release = trio.Event()

    async def __call__(self, request: Request) -> Response:
        response = self.tiny(request)
        self.asked.set()
        await self.release.wait()
        if self.is_lost:
            raise ConnectionFailed("hung up")
        return response


@pytest.fixture
def tiny() -> TinyRaven:
    return TinyRaven({"dogs/a": {"n": 1, "m": 1}})


class TestWhatATransactionHasStaged:
    @pytest.mark.parametrize("end", ["commit", "commit_transaction", "rollback"])
    @pytest.mark.parametrize("what", ["increment", "edit", "new", "remove"])
    async def test_is_not_written_again_when_it_was(self, scripted: Scripted, tiny: TinyRaven, what: str, end: str) -> None:
        async with scripted(tiny, written_but_lost(tiny), repeat=tiny) as (session, _):
            session.options.use_optimistic_concurrency = True
            a = await session.load("dogs/a")
            session.use_transaction()
            if what == "increment":
                session.increment(a, "n", 5)
            elif what == "edit":
                a.n = 6
            elif what == "remove":
                session.remove(a)
            else:
                session.remove(a)
                a = Dog(n=6, m=1)
                session.store(a, key="dogs/a")
            await session.flush()
            with pytest.raises(ConnectionFailed):
                await session.commit()
            await session.refresh(a)
            await getattr(session, end)()
            assert not pending(session)
            assert await session.commit() == []
            assert tiny.rows == ({} if what == "remove" else {"dogs/a": {"n": 6, "m": 1}})
            assert len(tiny.batches) == 1

    @pytest.mark.parametrize("force", [False, True])
    async def test_is_unclear_when_somebody_else_wrote_after_an_increment(
        self, scripted: Scripted, tiny: TinyRaven, force: bool
    ) -> None:
        async with scripted(tiny, lost, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            session.use_transaction()
            session.increment(a, "n", 5)
            await session.flush()
            with pytest.raises(ConnectionFailed):
                await session.commit()
            tiny.put("dogs/a", {"n": 100, "m": 1})
            error = await outcome_of(session.refresh(a, force=force))
            assert isinstance(error, SessionError) is not force
            await session.commit()
            assert tiny.rows["dogs/a"]["n"] == a.n == (100 if force else 105)

    async def test_is_clear_when_somebody_else_wrote_after_an_edit(self, scripted: Scripted, tiny: TinyRaven) -> None:
        async with scripted(tiny, lost, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            session.use_transaction()
            a.n = 6
            await session.flush()
            with pytest.raises(ConnectionFailed):
                await session.commit()
            tiny.put("dogs/a", {"n": 100, "m": 1})
            await session.refresh(a)
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows["dogs/a"]["n"] == a.n == 6

    async def test_does_not_matter_of_what_is_to_be_deleted(self, scripted: Scripted, tiny: TinyRaven) -> None:
        async with scripted(tiny, lost, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            session.increment(a, "n", 5)
            with pytest.raises(ConnectionFailed):
                await session.commit()
            tiny.put("dogs/a", {"n": 100, "m": 1})
            session.remove(a)
            await session.refresh(a)
            assert pending(session) == [("dogs/a", "delete")]
            assert (await session.commit()).removed == ["dogs/a"]
            assert tiny.rows == {}

    async def test_meanwhile_is_kept(self, scripted: Scripted, tiny: TinyRaven) -> None:
        answer = Late(tiny)
        async with scripted(tiny, answer, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            refresh = session.refresh(a)
            await answer.asked.wait()
            session.use_transaction()
            a.n = 2
            await session.flush()
            answer.release.set()
            await refresh
            assert a.n == 2
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"n": 2, "m": 1}}


class TestARefresh:
    async def test_does_not_hide_that_somebody_else_has_edited_the_same(self, scripted: Scripted, tiny: TinyRaven) -> None:
        answer = Late(tiny)
        async with scripted(tiny, answer, repeat=tiny) as (session, _):
            session.options.use_optimistic_concurrency = True
            a = await session.load("dogs/a")
            tiny.put("dogs/a", {"n": 2, "m": 2})
            refresh = session.refresh(a)
            await answer.asked.wait()
            a.n = 3
            answer.release.set()
            await refresh
            assert (a, session.changes(a)) == ({"n": 3, "m": 2}, {"n": (2, 3)})
            with pytest.raises(ConcurrencyError):
                await session.commit()
            assert tiny.rows == {"dogs/a": {"n": 2, "m": 2}}

    async def test_leaves_what_was_taken_out_meanwhile(self, scripted: Scripted, tiny: TinyRaven) -> None:
        class Kennel:
            n: int

        answer = Late(tiny)
        async with scripted(tiny, answer, repeat=tiny) as (session, _):
            a: Any = await session.load("dogs/a", type=evsession.document(collection="Dogs")(Kennel))
            refresh = session.refresh(a)
            await answer.asked.wait()
            del a.m
            answer.release.set()
            await refresh
            assert not hasattr(a, "m")
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"n": 1}}

    async def test_leaves_what_was_edited_of_an_object_meanwhile(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/b": {"name": "Max", "age": 1}})
        answer = Late(tiny)
        async with scripted(tiny, answer, repeat=tiny) as (session, _):
            b: Any = await session.load("dogs/b", type=TypedDog)
            tiny.put("dogs/b", {"name": "Max", "age": 2})
            refresh = session.refresh(b)
            await answer.asked.wait()
            b.name = "Rex"
            answer.release.set()
            await refresh
            assert (b.name, b.age, session.changes(b)) == ("Rex", 2, {"name": ("Max", "Rex")})
            assert await session.commit() == ["dogs/b"]
            assert tiny.rows == {"dogs/b": {"name": "Rex", "age": 2}}

    async def test_leaves_what_was_made_unstorable_meanwhile(self, scripted: Scripted, tiny: TinyRaven) -> None:
        answer = Late(tiny)
        async with scripted(tiny, answer, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            tiny.put("dogs/a", {"n": 2, "m": 2})
            refresh = session.refresh(a)
            await answer.asked.wait()
            a.n = {1}
            answer.release.set()
            await refresh
            assert a == {"n": {1}, "m": 1}
            a.n = 1
            await session.refresh(a)
            assert (a, pending(session)) == ({"n": 2, "m": 2}, [])

    async def test_adds_to_no_text(self, scripted: Scripted, tiny: TinyRaven) -> None:
        answer = Late(tiny)
        async with scripted(tiny, answer, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            tiny.put("dogs/a", {"n": "three"})
            refresh = session.refresh(a)
            await answer.asked.wait()
            session.increment(a, "n", 2)
            answer.release.set()
            await refresh
            assert (a.n, session.is_dirty(a)) == ("three", True)
            session.revert(a)

    async def test_adds_what_was_incremented_meanwhile(self, scripted: Scripted, tiny: TinyRaven) -> None:
        tiny.put("dogs/a", {"n": 1, "m": 1, "none": None})
        answer = Late(tiny)
        async with scripted(tiny, answer, repeat=tiny) as (session, _):
            session.options.use_optimistic_concurrency = True
            a = await session.load("dogs/a")
            tiny.put("dogs/a", {"n": 3, "m": 2, "none": None})
            refresh = session.refresh(a)
            await answer.asked.wait()
            session.increment(a, "n", 2)
            session.increment(a, "none", 1)
            session.increment(a, "new", 4)
            answer.release.set()
            await refresh
            assert a == {"n": 5, "m": 2, "none": 1, "new": 4}
            assert session.changes(a) == {"n": (3, 5), "none": (None, 1), "new": (evsession.MISSING, 4)}
            await session.commit()
            assert tiny.rows == {"dogs/a": {"n": 5, "m": 2, "none": 1, "new": 4}}

    async def test_leaves_the_increments_of_a_commit_that_waits_increments(self, scripted: Scripted, tiny: TinyRaven) -> None:
        question, batch = Late(tiny), Late(tiny)
        async with scripted(question, batch, repeat=tiny) as (session, _):
            a = session.get_reference(Dog, "a")
            refresh = session.refresh(a)
            await question.asked.wait()
            session.store(Dog(), key="dogs/b")
            first = session.commit()
            await batch.asked.wait()
            session.increment(a, "n", 2)
            second = session.commit()
            question.release.set()
            await refresh
            assert (a, first.is_done) == ({"n": 3, "m": 1}, False)
            tiny.put("dogs/a", {"n": 11, "m": 1})
            batch.release.set()
            assert await second == ["dogs/a"]
            assert tiny.rows["dogs/a"] == a == {"n": 13, "m": 1}
            assert pending(session) == []

    async def test_leaves_what_a_commit_that_waits_will_write(self, scripted: Scripted, tiny: TinyRaven) -> None:
        tiny.put("dogs/b", {})
        question, batch = Late(tiny), Late(tiny)
        async with scripted(tiny, question, batch, repeat=tiny) as (session, _):
            session.options.use_optimistic_concurrency = True
            a, b = await session.load(["dogs/a", "dogs/b"])
            tiny.put("dogs/a", {"n": 1, "m": 2})
            refresh = session.refresh(a)
            await question.asked.wait()
            b.x = 1
            first = session.commit()
            await batch.asked.wait()
            a.n = 2
            second = session.commit()
            question.release.set()
            await refresh
            batch.release.set()
            await first
            with pytest.raises(ConcurrencyError):
                await second
            assert tiny.rows["dogs/a"] == {"n": 1, "m": 2}


class TestARead:
    @pytest.mark.parametrize("knows_other", [False, True])
    @pytest.mark.parametrize("is_overtaken", [False, True])
    async def test_without_the_cache_is_as_new_as_any_answer(
        self, scripted: Scripted, tiny: TinyRaven, knows_other: bool, is_overtaken: bool
    ) -> None:
        first, second = Late(tiny), Late(tiny)
        tiny.put("dogs/b", {})
        async with scripted(*[tiny] * knows_other, first, second, repeat=tiny) as (session, _):
            if knows_other:
                await session.load("dogs/b")
            session.options.cache = False
            one = session.load("dogs/a")
            await first.asked.wait()
            tiny.put("dogs/a", {"n": 2})
            another = session.load("dogs/a")
            await second.asked.wait()
            order = [(first, one), (second, another)]
            for held, operation in reversed(order) if is_overtaken else order:
                held.release.set()
                a = await operation
            assert (a, a.metadata["@change-vector"]) == ({"n": 2}, tiny.versions["dogs/a"])


@pytest.mark.parametrize("what", ["nothing", "edit", "add", "edit and add", "break and add", "remove", "increment", "commit"])
@pytest.mark.parametrize("is_new", [True, False])
async def test_without_a_map_what_is_asked_during_a_write_is_done_later(
    scripted: Scripted, tiny: TinyRaven, what: str, *, is_new: bool
) -> None:
    answer = Late(tiny)
    reads: list[Any] = [] if is_new else [tiny]
    stores: list[evsession.Store] = []
    async with scripted(*reads, answer, repeat=tiny, prepare=stores.append):
        async with stores[0].open_session(with_identity_map=False) as session:
            dog = Dog(n=1, m=1, id="dogs/b") if is_new else await session.load("dogs/a")
            key = "dogs/b" if is_new else "dogs/a"
            commit = session.add(dog).commit()
            await answer.asked.wait()
            if what == "edit":
                dog.n = 2
            if what in ("add", "edit and add", "break and add"):
                dog.n = {"add": 1, "edit and add": 2, "break and add": {1}}[what]
                session.add(dog)
            if what == "remove":
                session.remove(dog)
            if what == "increment" and not is_new:
                session.increment(dog, "n", 4)
            second = session.add(dog).commit() if what == "commit" else None
            answer.release.set()
            await commit
            if second is not None:
                assert await second == [key]
            if what == "break and add":
                with pytest.raises(evsession.InvalidDocument):
                    await session.commit()
                dog.n = 2
            saved = await session.commit()
            wanted = {"edit and add": 2, "break and add": 2, "remove": None, "increment": 1 if is_new else 5}.get(what, 1)
            assert (saved or saved.removed) == ([key] if wanted != 1 else [])
            assert tiny.rows.get(key) == (None if wanted is None else {"n": wanted, "m": 1})
            assert len(session.identity_map) == 0


@pytest.mark.parametrize("when", ["during", "after"])
@pytest.mark.parametrize("is_there", [True, False])
async def test_what_may_have_been_inserted_is_deleted(scripted: Scripted, tiny: TinyRaven, when: str, *, is_there: bool) -> None:
    answer = Late(tiny, is_lost=True)
    async with scripted(answer, repeat=tiny) as (session, _):
        dog = Dog(n=1, id="dogs/b")
        commit = session.add(dog).commit()
        await answer.asked.wait()
        if when == "during":
            session.remove(dog)
        answer.release.set()
        with pytest.raises(ConnectionFailed):
            await commit
        if when == "after":
            session.remove(dog)
        if not is_there:
            del tiny.rows["dogs/b"]
        session.add(dog)  # it takes that back, and is new again
        assert [change.kind for change in session.changes()] == ["insert"]
        session.remove(dog)
        assert (await session.commit()).removed == ["dogs/b"]
        assert "dogs/b" not in tiny.rows
        assert (dog in session.identity_map, session.changes()) == (False, [])


async def test_a_new_one_that_is_deleted_takes_the_document_with_it_that_has_its_key(scripted: Scripted, tiny: TinyRaven) -> None:
    async with scripted(repeat=tiny) as (session, _):
        a, new = await session.load("dogs/a"), Dog()
        session.add(new)
        new.id = "a"
        await session.delete(new)
        assert tiny.rows == {}
        assert len(session.identity_map) == 0
        assert (a, await session.load("dogs/a")) == ({"n": 1, "m": 1}, None)


class TestADocumentThatIsReadBeforeItsKeyIsTold:
    @pytest.mark.parametrize("waits", [False, True])
    @pytest.mark.parametrize("cls", [Dog, TypedDog])
    @pytest.mark.parametrize("what", ["edit", "increment", "both", "remove", "nothing", "add", "take out"])
    async def test_is_the_one_that_was_added(self, scripted: Scripted, tiny: TinyRaven, what: str, cls: Any, waits: bool) -> None:
        answer = Late(tiny)
        async with scripted(answer, repeat=tiny) as (session, _):
            evsession.document(cls, collection="Dogs")
            new = cls(name="Max", age=1)
            session.add(new)
            session.commit()
            await answer.asked.wait()
            double: Any = await session.load("dogs/1")
            if what in ("edit", "both"):
                double.name = "Billy"
            if what in ("increment", "both"):
                session.increment(new, "age", 1)
                session.increment(double, "age", 2)
            if what == "remove":
                session.remove(double)
            if what == "add" and cls is Dog:
                double.more = [1]
            if what == "take out" and cls is Dog:
                del double.name
            if waits:
                session.commit()
            answer.release.set()
            await session.drain()
            await session.commit()
            expected: dict[str, Any] = {
                "name": "Billy" if what in ("edit", "both") else "Max",
                "age": 4 if what in ("increment", "both") else 1,
            }
            if what == "add" and cls is Dog:
                expected["more"] = [1]
            if what == "take out" and cls is Dog:
                del expected["name"]
            assert tiny.rows.get("dogs/1") == (None if what == "remove" else expected)
            assert list(session.identity_map) == ([] if what == "remove" else [new])
            assert what == "remove" or (new.age, new.id) == (expected["age"], "dogs/1")
            assert pending(session) == []
            count = len(tiny.batches)
            await session.commit()
            assert len(tiny.batches) == count

    async def test_and_is_removed_may_be_asked_for_when_that_was_lost(self, scripted: Scripted, tiny: TinyRaven) -> None:
        answer = Late(tiny)
        async with scripted(answer, tiny, written_but_lost(tiny), repeat=tiny) as (session, _):
            new = Dog(name="Max")
            session.add(new)
            session.commit()
            await answer.asked.wait()
            session.remove(await session.load("dogs/1"))
            commit = session.commit()
            answer.release.set()
            with pytest.raises(ConnectionFailed):
                await commit
            await session.refresh(new)
            assert (pending(session), len(session.identity_map), "dogs/1" in tiny.rows) == ([], 0, False)

    async def test_counts_from_what_others_have_made_of_it(self, scripted: Scripted, tiny: TinyRaven) -> None:
        answer = Late(tiny)
        async with scripted(answer, repeat=tiny) as (session, _):
            new = Dog(name="Max", age=1)
            session.add(new)
            session.commit()
            await answer.asked.wait()
            double: Any = await session.load("dogs/1")
            session.increment(double, "age", 2)
            session.commit()
            tiny.put("dogs/1", {"name": "Max", "age": 101})
            answer.release.set()
            await session.drain()
            assert tiny.rows["dogs/1"] == new == {"name": "Max", "age": 103}
            assert pending(session) == []

    async def test_an_older_one_is_another_document(self, scripted: Scripted) -> None:
        tiny = TinyRaven({"dogs/1": {"n": 1}})
        async with scripted(repeat=tiny) as (session, _):
            older = await session.load("dogs/1")
            older.n = 2
            tiny.delete("dogs/1")
            session.evict()
            new = Dog(n=3)
            session.add(new)
            session.revert(older)
            assert await session.commit() == ["dogs/1"]
            assert (tiny.rows, list(session.identity_map)) == ({"dogs/1": {"n": 3}}, [new])


async def test_what_is_replaced_after_the_veto_of_its_removal_is_removed(scripted: Scripted, tiny: TinyRaven) -> None:
    tiny.put("dogs/b", {})
    batch = Late(tiny)
    async with scripted(tiny, batch, repeat=tiny) as (session, _):
        a, b = await session.load(["dogs/a", "dogs/b"])
        session.once("delete.pre", lambda event: event.prevent())
        session.remove(a)
        b.n = 1
        commit = session.commit()
        await batch.asked.wait()
        new = Dog(n=3)
        session.remove(a).store(new, key="dogs/a")
        batch.release.set()
        await commit
        assert pending(session) == [("dogs/a", "delete"), ("dogs/a", "insert")]
        await session.commit()
        assert tiny.rows == {"dogs/a": {"n": 3}, "dogs/b": {"n": 1}}
        assert list(session.identity_map) == [b, new]


async def test_one_that_is_being_saved_gets_no_other_key(scripted: Scripted, tiny: TinyRaven) -> None:
    answer = Late(tiny)
    async with scripted(answer, repeat=tiny) as (session, _):
        dog = Dog(n=1)
        session.store(dog, key="dogs/b")
        commit = session.commit()
        await answer.asked.wait()
        with pytest.raises(evsession.ConfigurationError, match="with the key 'dogs/b', not 'dogs/c'"):
            session.store(dog, key="dogs/c")
        answer.release.set()
        assert await commit == ["dogs/b"]
        assert (dog.id, pending(session)) == ("dogs/b", [])


async def test_what_is_read_before_a_commit_deletes_it_does_not_come_back(scripted: Scripted, tiny: TinyRaven) -> None:
    tiny.put("dogs/b", {"n": 2})
    answer = Late(tiny)
    async with scripted(tiny, answer, repeat=tiny) as (session, _):
        a = await session.load("dogs/a")
        session.remove(a)
        session.options.cache = False
        reading = session.load(["dogs/a", "dogs/b"])
        await answer.asked.wait()
        assert (await session.commit()).removed == ["dogs/a"]
        answer.release.set()
        old, b = await reading
        assert old == {"n": 1, "m": 1}
        assert list(session.identity_map) == [b]


@pytest.mark.parametrize("cls", [Dog, TypedDog])
async def test_a_reference_that_is_added_again_while_it_is_deleted_is_written_as_far_as_it_is_known(
    scripted: Scripted, tiny: TinyRaven, cls: Any
) -> None:
    evsession.document(cls, collection="Dogs")
    answer = Late(tiny)
    async with scripted(answer, repeat=tiny) as (session, _):
        a = session.get_reference(cls, "dogs/a")
        a.age = 7
        session.remove(a)
        commit = session.commit()
        await answer.asked.wait()
        session.add(a)
        answer.release.set()
        assert (await commit).removed == ["dogs/a"]
        assert await session.commit() == ["dogs/a"]
        assert tiny.rows == {"dogs/a": {"age": 7}}
        assert pending(session) == []


async def test_what_is_added_again_is_not_forgotten_with_what_it_was(scripted: Scripted, tiny: TinyRaven) -> None:
    answer = Late(tiny)
    async with scripted(answer, repeat=tiny) as (session, _):
        dog = Dog(n=1)
        session.store(dog, key="dogs/b")
        delete = session.delete("dogs/b")
        await answer.asked.wait()
        session.remove(dog)
        session.store(dog, key="dogs/b")
        answer.release.set()
        await delete
        assert pending(session) == [("dogs/b", "insert")]
        assert await session.commit() == ["dogs/b"]


async def test_what_is_evicted_before_it_has_a_key_does_not_come_back(scripted: Scripted, tiny: TinyRaven) -> None:
    hilo = json_answer({"Low": 1, "High": 1, "ServerTag": "A", "LastSize": 1, "LastRangeAt": ""}, 201)
    asked, release = trio.Event(), trio.Event()

    async def late(_: Request) -> Response:
        asked.set()
        await release.wait()
        return hilo

    async with scripted(late, repeat=tiny) as (session, _):
        session.conventions.id_generation_strategy = "hilo"
        dog = Dog(n=1)
        session.add(dog)
        commit = session.commit()
        await asked.wait()
        session.evict(dog)
        release.set()
        assert await commit == ["dogs/1-A"]
        again = await session.load("dogs/1-A")
        assert again is not dog
        again.n = 2
        assert await session.commit() == ["dogs/1-A"]


class TestAWriteThatWasLost:
    async def test_and_given_up_leaves_what_the_server_has(self, scripted: Scripted, tiny: TinyRaven) -> None:
        async with scripted(tiny, lost, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            a.n = 2
            with pytest.raises(ConnectionFailed):
                await session.commit()
            session.revert(a)
            tiny.put("dogs/a", {"n": 1, "m": 7})
            await session.refresh(a)
            assert (a.m, a.metadata["@change-vector"]) == (7, tiny.versions["dogs/a"])

    async def test_and_reverted_is_not_undone_when_it_was_written(self, scripted: Scripted, tiny: TinyRaven) -> None:
        async with scripted(tiny, written_but_lost(tiny), repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            a.n = 2
            with pytest.raises(ConnectionFailed):
                await session.commit()
            session.revert(a)
            await session.refresh(a)
            assert (a.n, pending(session)) == (2, [])

    @pytest.mark.parametrize("is_written", [True, False])
    async def test_is_given_up_by_force(self, scripted: Scripted, tiny: TinyRaven, is_written: bool) -> None:
        async with scripted(tiny, written_but_lost(tiny) if is_written else lost, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            a.n = 2
            with pytest.raises(ConnectionFailed):
                await session.commit()
            a.m = 2
            await session.refresh(a, force=True)
            assert (a.n, a.m, pending(session)) == (2 if is_written else 1, 1, [])

    async def test_is_known_by_its_fields_in_any_order(self, scripted: Scripted, tiny: TinyRaven) -> None:
        async with scripted(tiny, written_but_lost(tiny), repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            session.increment(a, "more", 5)
            a.new = 1  # which is set before anything is added
            with pytest.raises(ConnectionFailed):
                await session.commit()
            await session.refresh(a)
            assert (pending(session), list(tiny.rows["dogs/a"])) == ([], ["n", "m", "new", "more"])

    async def test_of_a_reference_that_holds_all_of_it_is_no_loading(self, scripted: Scripted, tiny: TinyRaven) -> None:
        tiny.put("dogs/a", {"n": 1})
        async with scripted(written_but_lost(tiny), repeat=tiny) as (session, _):
            a = session.get_reference(Dog, "a")
            a.n = 2
            with pytest.raises(ConnectionFailed):
                await session.commit()
            await session.refresh(a)
            assert dict(a) == {"n": 2}
            assert pending(session) == []

    async def test_does_not_hide_what_others_have_made_of_an_edit_that_was_taken_back(
        self, scripted: Scripted, tiny: TinyRaven
    ) -> None:
        async with scripted(tiny, lost, repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            a.n = 2
            with pytest.raises(ConnectionFailed):
                await session.commit()
            a.n = 1
            tiny.put("dogs/a", {"n": 9, "m": 9})
            await session.refresh(a)
            assert (a, pending(session)) == ({"n": 9, "m": 9}, [])

    async def test_gives_a_new_one_its_key(self, scripted: Scripted, tiny: TinyRaven) -> None:
        @evsession.document(collection="Dogs", key=lambda dog: dog.name)
        @dataclass
        class Called:
            name: str
            id: str | None = None

        async with scripted(written_but_lost(tiny), repeat=tiny) as (session, _):
            new = Called("Max")
            session.add(new)
            with pytest.raises(ConnectionFailed):
                await session.commit()
            await session.refresh(new)
            assert (new.id, pending(session)) == ("dogs/max", [])

    async def test_was_none_where_another_document_is(self, scripted: Scripted, tiny: TinyRaven) -> None:
        async with scripted(lost, repeat=tiny) as (session, _):
            new = TypedDog("Max")
            session.store(new, key="dogs/a")
            with pytest.raises(ConnectionFailed):
                await session.commit()
            await session.refresh(new)  # dogs/a has no name
            assert pending(session) == [("dogs/a", "insert")]

    @pytest.mark.parametrize("is_written", [True, False])
    @pytest.mark.parametrize("asked", ["old", "new", "old new", "new old", "old, new", "new, old"])
    async def test_of_a_replacement_is_told_by_what_takes_the_place(
        self, scripted: Scripted, tiny: TinyRaven, asked: str, is_written: bool
    ) -> None:
        async with scripted(tiny, written_but_lost(tiny) if is_written else lost, repeat=tiny) as (session, _):
            entities = {"old": await session.load("dogs/a"), "new": Dog(n=2)}
            session.remove(entities["old"])
            session.store(entities["new"], key="dogs/a")
            with pytest.raises(ConnectionFailed):
                await session.commit()
            for some in asked.split(", "):
                known = [entities[name] for name in some.split() if entities[name] in session.identity_map]
                await session.refresh(*known)
            assert pending(session) == ([] if is_written else [("dogs/a", "delete"), ("dogs/a", "insert")])
            await session.commit()
            assert tiny.rows == {"dogs/a": {"n": 2}}
            assert list(session.identity_map) == [entities["new"]]

    async def test_of_a_replacement_leaves_no_doubt_of_either(self, scripted: Scripted, tiny: TinyRaven) -> None:
        async with scripted(tiny, written_but_lost(tiny), repeat=tiny) as (session, _):
            old, new = await session.load("dogs/a"), Dog(n=2)
            session.remove(old)
            session.store(new, key="dogs/a")
            with pytest.raises(ConnectionFailed):
                await session.commit()
            await session.refresh(old)
            new.n = 3
            with pytest.raises(evsession.DirtyEntity):
                session.refresh(new)
            assert await session.commit() == ["dogs/a"]
            assert tiny.rows == {"dogs/a": {"n": 3}}

    @pytest.mark.parametrize("there", [True, False])
    async def test_may_be_asked_for_twice_at_once(self, scripted: Scripted, tiny: TinyRaven, there: bool) -> None:
        first, second = Late(tiny), Late(tiny)
        async with scripted(lost, first, second, repeat=tiny) as (session, _):
            new = Dog(n=2)
            session.store(new, key="dogs/a" if there else "dogs/b")
            with pytest.raises(ConnectionFailed):
                await session.commit()
            questions = [session.refresh(new) for _ in range(2)]
            for held, question in zip((first, second), questions, strict=True):
                held.release.set()
                await question
            assert pending(session) == [("dogs/a" if there else "dogs/b", "insert")]

    async def test_of_three_under_one_key_is_told_by_the_last(self, scripted: Scripted, tiny: TinyRaven) -> None:
        batch = Late(tiny, is_lost=True)
        async with scripted(tiny, batch, written_but_lost(tiny), repeat=tiny) as (session, _):
            old, new, last = await session.load("dogs/a"), Dog(n=2), Dog(n=3)
            session.remove(old)
            session.store(new, key="dogs/a")
            commit = session.commit()
            await batch.asked.wait()
            session.remove(new)
            session.store(last, key="dogs/a")
            batch.release.set()
            assert isinstance(await outcome_of(commit), ConnectionFailed)
            with pytest.raises(ConnectionFailed):
                await session.commit()
            await session.refresh(last)
            assert (pending(session), list(session.identity_map)) == ([], [last])
            await session.commit()
            assert tiny.rows == {"dogs/a": {"n": 3}}

    @pytest.mark.parametrize("what", ["edit", "remove"])
    async def test_is_asked_for_again_if_it_came_after_the_question(self, scripted: Scripted, tiny: TinyRaven, what: str) -> None:
        answer = Late(tiny)
        async with scripted(tiny, lost, answer, written_but_lost(tiny), repeat=tiny) as (session, _):
            a = await session.load("dogs/a")
            change(session, a, what)
            with pytest.raises(ConnectionFailed):
                await session.commit()
            refresh = session.refresh(a)
            await answer.asked.wait()
            with pytest.raises(ConnectionFailed):
                await session.commit()
            answer.release.set()
            await refresh
            assert (pending(session), len(tiny.batches)) == ([], 1)

    @pytest.mark.parametrize("first", ["refresh", "commit"])
    @pytest.mark.parametrize("what", ["edit", "remove", "new"])
    async def test_stays_uncertain_while_it_is_on_its_way_again(
        self, scripted: Scripted, tiny: TinyRaven, what: str, first: str
    ) -> None:
        question, batch = Late(tiny), Late(tiny, is_lost=True)
        async with scripted(tiny, lost, question, batch, repeat=tiny) as (session, _):
            a: Any = await session.load("dogs/a")
            if what == "new":
                a = Dog(n=2)
                session.store(a, key="dogs/b")
            change(session, a, what)
            with pytest.raises(ConnectionFailed):
                await session.commit()
            refresh = session.refresh(a)
            await question.asked.wait()
            commit = session.commit()
            await batch.asked.wait()
            order: list[tuple[Late, evsession.Operation[Any]]] = [(question, refresh), (batch, commit)]
            for held, operation in order if first == "refresh" else reversed(order):
                held.release.set()
                await outcome_of(operation)
            if a in session.identity_map:  # or it is known to be gone
                await session.refresh(a)
            assert (pending(session), len(tiny.batches)) == ([], 1)


def change(session: evsession.Session, entity: Any, what: str) -> None:
    """Edit or remove an entity that is not new."""
    if what == "remove":
        session.remove(entity)
    elif what == "edit":
        entity.n = 2
