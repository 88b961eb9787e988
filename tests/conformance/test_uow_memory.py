"""What sessions keep alive: the identity map holds entities until they are evicted, deleted or cleared; and nothing else does."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import attrs
import msgspec
import pytest
import trio
import trio.testing

import evsession
from tests.conformance.shelf import PETER, Log, Relay, User, edit

pytestmark = pytest.mark.usefixtures("users")


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


@pytest.fixture(scope="module", autouse=True)
def _collects_quickly() -> Iterator[None]:
    # What was there before these tests need not be looked through a hundred times.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class Weak:
    """What ``weakref_slot=True`` is for; Python 3.10 does not know that yet."""

    __slots__ = ("__weakref__",)


@evsession.document(collection="Mortals")
@dataclass(slots=True)
class SlotMortal(Weak):
    name: str
    id: str | None = None


@evsession.document(collection="Mortals")
@dataclass
class DataMortal:
    name: str
    id: str | None = None


@evsession.document(collection="Mortals")
@attrs.define
class AttrsMortal:
    name: str
    id: str | None = None


@evsession.document(collection="Mortals")
class StructMortal(msgspec.Struct, weakref=True):
    name: str
    id: str | None = None


@evsession.document(collection="Mortals")
class PlainMortal:
    def __init__(self, name: str) -> None:
        self.name = name


class DocumentMortal(evsession.DocumentType("Mortal")):  # type: ignore[misc]
    """A document."""


MORTALS: list[Any] = [SlotMortal, DataMortal, AttrsMortal, StructMortal, PlainMortal, DocumentMortal]


async def is_freed(reference: weakref.ref[Any]) -> bool:
    if reference() is not None:
        await trio.testing.wait_all_tasks_blocked()  # a store forgets an operation at the next turn of the loop
        gc.collect()
    return reference() is None


async def saved(session: evsession.Session, cls: Any) -> weakref.ref[Any]:
    """Save an entity, and keep nothing of it but a weak reference."""
    entity = cls(name="x")
    session.store(entity, key="mortals/1")
    await session.commit()
    entity.name = "y"
    await session.commit()
    return weakref.ref(entity)


@pytest.mark.parametrize("cls", MORTALS, ids=lambda cls: cls.__name__)
class TestEntities:
    async def test_live_as_long_as_they_are_known(self, cls: Any, session: evsession.Session) -> None:
        reference = await saved(session, cls)
        gc.collect()
        assert reference() is not None
        assert session.identity_map.get("mortals/1") is reference()
        session.evict(reference())
        assert await is_freed(reference)

    async def test_die_with_clear(self, cls: Any, session: evsession.Session) -> None:
        reference = await saved(session, cls)
        session.clear()
        assert await is_freed(reference)

    async def test_die_when_they_are_removed(self, cls: Any, session: evsession.Session) -> None:
        reference = await saved(session, cls)
        session.remove(reference())
        await session.commit()
        assert await is_freed(reference)

    async def test_die_when_they_are_deleted(self, cls: Any, session: evsession.Session) -> None:
        reference = await saved(session, cls)
        await session.delete("mortals/1")
        assert await is_freed(reference)

    async def test_that_were_added_and_taken_back(self, cls: Any, session: evsession.Session) -> None:
        entity = cls(name="x")
        reference = weakref.ref(entity)
        session.add(entity).remove(entity)
        del entity
        assert await is_freed(reference)

    async def test_die_with_the_session(self, cls: Any, store: evsession.Store) -> None:
        session = store.open_session()
        reference = await saved(session, cls)
        await session.aclose()
        del session
        assert await is_freed(reference)

    async def test_that_were_loaded(self, cls: Any, session: evsession.Session, store: evsession.Store) -> None:
        async with store.open_session() as other:
            await saved(other, cls)
        reference = weakref.ref(await session.load("mortals/1", type=cls))
        assert type(reference()) is cls
        assert session.identity_map.get("mortals/1") is reference()
        session.evict(reference())
        assert await is_freed(reference)

    async def test_without_an_identity_map(self, cls: Any, store: evsession.Store) -> None:
        async with store.open_session() as other:
            await saved(other, cls)
        async with store.open_session(with_identity_map=False) as session:
            entity = await session.load("mortals/1", type=cls)
            reference = weakref.ref(entity)
            del entity
            assert await is_freed(reference)
            entity = await session.load("mortals/1", type=cls)
            entity.name = "z"
            assert await session.add(entity).commit() == ["mortals/1"]
            reference = weakref.ref(entity)
            del entity
            assert await is_freed(reference)

    async def test_references(self, cls: Any, session: evsession.Session, store: evsession.Store) -> None:
        async with store.open_session() as other:
            await saved(other, cls)
        entity = session.get_reference(cls, "mortals/1")
        entity.name = "z"
        await session.commit()
        await session.hydrate(entity)
        reference = weakref.ref(entity)
        del entity
        gc.collect()
        assert reference() is not None
        session.evict(reference())
        assert await is_freed(reference)


class TestAfterwards:
    """No commit, plan, event or operation of the past holds what it was about."""

    async def evicted(self, session: evsession.Session, work: Callable[[Any], Any]) -> bool:
        peter: Any = await session.load(PETER)
        peter.name = "Petra"
        reference = weakref.ref(peter)
        await work(peter)
        session.evict(peter)
        del peter
        return await is_freed(reference)

    async def test_a_commit_with_hooks(self, session: evsession.Session) -> None:
        for name in ("commit.pre", "update.pre", "update.post", "commit.post"):
            session.on(name, lambda event: event.session.add(Log("x")) if event.name.startswith("update") else None)

        async def work(peter: Any) -> None:
            await session.commit()

        assert await self.evicted(session, work)

    async def test_a_vetoed_commit(self, session: evsession.Session) -> None:
        session.on("update.pre", lambda event: event.prevent())
        session.on("update.pre", lambda event: event.session.remove(*event.entities))

        async def work(peter: Any) -> None:
            await session.commit()

        assert await self.evicted(session, work)

    async def test_a_failed_commit(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        session.on("update.pre", lambda event: event.session.add(Log("x")))

        async def work(peter: Any) -> None:
            await edit(store, PETER, logins=50)
            with pytest.raises(evsession.ConcurrencyError):
                await session.commit()

        assert await self.evicted(session, work)

    async def test_a_hook_that_raises(self, session: evsession.Session) -> None:
        def fail(event: evsession.CommitEvent) -> None:
            event.session.remove(*event.entities)
            raise LookupError

        session.on("update.pre", fail)

        async def work(peter: Any) -> None:
            with pytest.raises(LookupError):
                await session.commit()

        assert await self.evicted(session, work)

    async def test_a_transaction(self, session: evsession.Session) -> None:
        async def work(peter: Any) -> None:
            session.use_transaction()
            await session.flush()
            await session.rollback()
            async with session.transaction():
                peter.name = "Paula"
                await session.flush()

        assert await self.evicted(session, work)

    async def test_a_flush_that_is_open(self, session: evsession.Session) -> None:
        async def work(peter: Any) -> None:
            session.use_transaction()
            await session.flush()

        assert await self.evicted(session, work)

    async def test_a_plan_and_changes(self, session: evsession.Session) -> None:
        async def work(peter: Any) -> None:
            session.plan()
            session.changes()
            session.changes(peter)

        assert await self.evicted(session, work)

    async def test_a_cancelled_commit(self, relayed: evsession.Session, relay: Relay) -> None:
        async def work(peter: Any) -> None:
            with relay.hold():
                operation = relayed.commit()
                await relay.wait_held()
                operation.cancel()
                await relayed.drain()

        assert await self.evicted(relayed, work)


class TestSessions:
    async def test_are_freed_when_they_are_closed(self, store: evsession.Store) -> None:
        session = store.open_session()
        events: list[Any] = []
        session.on("update.pre", lambda event: events.append(event.keys))
        peter: Any = await session.load(PETER)
        peter.name = "Petra"
        session.increment(session.get_reference(User, "b"), "logins")
        session.remove("users/b").use_transaction()
        await session.flush()
        await session.commit()
        reference = weakref.ref(session)
        await session.aclose()
        del session
        assert await is_freed(reference)
        assert events == [[PETER]]

    async def test_are_freed_when_they_are_forgotten(self, store: evsession.Store) -> None:
        session = store.open_session()
        peter: Any = await session.load(PETER)
        peter.name = "Petra"
        await session.add(Log("x")).commit()
        peter.name = "unsaved"
        reference = weakref.ref(session)
        del session
        assert await is_freed(reference)
        assert peter.name == "unsaved"

    async def test_of_helpers(self, store: evsession.Store) -> None:
        references: list[weakref.ref[Any]] = []

        async def work(runnable: Any) -> None:
            user = await runnable.load(PETER)
            user.logins += 1
            references.extend([weakref.ref(getattr(runnable, "session", runnable)), weakref.ref(user)])

        for name in ("get_session", "get_transaction", "get_runnable"):
            await getattr(store, name)(None, work)
        assert len(references) == 6
        assert [await is_freed(reference) for reference in references] == [True] * 6

    async def test_entities_do_not_hold_their_session(self, store: evsession.Store) -> None:
        session = store.open_session()
        loaded = await session.load(PETER)
        proxy = session.get_reference(User, "users/other")
        await session.aclose()
        reference = weakref.ref(session)
        del session
        assert await is_freed(reference)
        assert (loaded.name, proxy.id) == ("Peter", "users/other")


async def test_classes_are_freed(session: evsession.Session) -> None:
    def use() -> weakref.ref[Any]:
        @evsession.document(collection="Passing")
        @dataclass
        class Passing:
            name: str
            id: str | None = None

        proxy = session.get_reference(Passing, "passing/1")
        proxy.name = "x"
        session.add(Passing("y"))
        assert len(session.plan()) == 2
        session.clear()
        return weakref.ref(Passing)

    assert await is_freed(use())
