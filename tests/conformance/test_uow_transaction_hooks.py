"""Hooks in transactions: before the write when something is flushed, after it when it is written."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from evsession import Change, CommitEvent
from tests.conformance.kennel import Told, Wire
from tests.conformance.shelf import ANNA, BEN, PETER, Events, Log, User, edit, names_of, row

pytestmark = pytest.mark.usefixtures("users")

BATCH = ["POST /bulk_docs"]


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


async def test_when_they_are_called(session: evsession.Session, wire: Wire) -> None:
    events = Events(session)
    peter, ben = await session.load([PETER, BEN])
    wire.take()
    session.use_transaction()
    peter.name = "Petra"
    await session.add(Log("1", id="1")).flush()
    assert events.take() == ["commit.pre", "update.pre User", "insert.pre Log"]
    await session.remove(ben).flush()
    assert events.take() == ["commit.pre", "delete.pre User"]
    peter.logins = 7
    assert not wire.take()
    await session.add(Log("2", id="2")).commit()
    assert wire.take() == BATCH
    update, *_ = (event for event in events.calls if event.name == "update.pre")
    assert update.changes[peter] == {"logins": Change(0, 7)}
    (after,) = (event for event in events.calls if event.name == "update.post")
    assert after.changes[peter] == {"name": Change("Peter", "Petra"), "logins": Change(0, 7)}
    inserted = [event.keys for event in events.calls if event.name == "insert.post"]
    assert [sorted(str(key) for key in keys) for keys in inserted] == [["logs/1", "logs/2"]]
    assert events.take() == [
        *("commit.pre", "update.pre User", "insert.pre Log"),
        *("delete.post User", "update.post User", "insert.post Log", "commit.post"),
    ]


async def test_by_commit_transaction(session: evsession.Session) -> None:
    events = Events(session)
    session.use_transaction()
    await session.add(Log("1", id="1")).flush()
    events.take()
    session.add(Log("2", id="2"))
    assert await session.commit_transaction() == ["logs/1"]
    posts = [name for name in events.take() if ".post" in name]
    assert posts == ["insert.post Log", "commit.post"]


async def test_edits_are_staged(session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
    @session.on("update.pre", type=User)
    def stamp(event: CommitEvent) -> None:
        for user in event.entities:
            user.version += 1

    @session.on("update.pre", type=User)
    def log(event: CommitEvent) -> None:
        event.session.add(Log("updated", id=event.entities[0].name))

    peter = await session.load(PETER)
    wire.take()
    session.use_transaction()
    peter.name = "one"
    saved = await session.flush()
    assert (len(saved), saved.rounds, peter.version) == (2, 2, 1)
    peter.name = "two"
    await session.flush()
    assert peter.version == 2
    assert not wire.take()
    saved = await session.commit()
    assert (len(saved), wire.take()) == (3, BATCH)
    stored = await row(store, PETER)
    assert (stored.name, stored.version) == ("two", 2)
    assert await names_of(store, Log) == ["updated", "updated"]


async def test_what_a_post_hook_adds(session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
    session.on("insert.post", lambda event: event.session.add(Log(f"inserted {event.keys[0]}")), type=User)
    async with session.transaction():
        await session.add(User("x", id="x")).flush()
        assert await names_of(store, Log) == []
    assert not session.has_transaction()
    assert await names_of(store, Log) == ["inserted users/x"]
    assert session.changes() == []


async def test_rolled_back_and_again(session: evsession.Session, store: evsession.Store) -> None:
    """Hooks are called again; what they have edited is part of the entities, and what they had queued is taken back."""
    calls = Told()
    session.on("insert.pre", calls, type=User)
    session.on("insert.pre", lambda event: event.session.add(Log("x")), type=User)
    session.use_transaction()
    await session.add(User("x", id="x")).flush()
    await session.rollback()
    assert len(calls.calls) == 1
    assert [change.key for change in session.changes()] == ["users/x"]
    assert await session.commit() == ["users/x", "logs/1"]
    assert len(calls.calls) == 2
    assert await names_of(store, Log) == ["x"]
    assert await row(store, "users/x") is not None


async def test_a_hook_that_raises_while_flushing(session: evsession.Session, store: evsession.Store) -> None:
    """What was staged before stays staged; the flush that failed stages nothing."""

    def fail(event: CommitEvent) -> None:
        event.session.add(Log("of the hook"))
        raise LookupError

    transaction = session.use_transaction()
    await session.add(Log("1")).flush()
    session.once("insert.pre", fail)
    session.add(Log("2"))
    with pytest.raises(LookupError):
        await session.flush()
    assert (transaction.is_open, transaction.staged) == (True, 1)
    assert [change.kind for change in session.changes()] == ["insert"]
    assert len(await session.commit()) == 2
    assert await names_of(store, Log) == ["1", "2"]


async def test_a_hook_that_raises_after_the_write(session: evsession.Session, store: evsession.Store) -> None:
    """The write stands, so there is nothing to roll back."""

    def fail(event: CommitEvent) -> None:
        raise LookupError

    session.once("insert.post", fail)
    with pytest.raises(LookupError):
        async with session.transaction():
            await session.add(Log("1", id="1")).flush()
    assert not session.has_transaction()
    assert await names_of(store, Log) == ["1"]
    assert session.changes() == []
    assert await session.commit() == []


async def test_a_vetoed_delete_while_flushing(session: evsession.Session, store: evsession.Store) -> None:
    @session.on("delete.pre", type=User)
    def keep(event: CommitEvent) -> None:
        event.entities[0].deleted_at = "today"
        event.prevent()

    peter = await session.load(PETER)
    session.use_transaction()
    await session.remove(peter).flush()
    assert (await session.commit()).removed == []
    assert (await row(store, PETER)).deleted_at == "today"
    assert not session.is_dirty(peter)


async def test_a_conflict_at_the_end(session: evsession.Session, store: evsession.Store) -> None:
    session.options.use_optimistic_concurrency = True
    events = Events(session, "update.post", "commit.post", "rollback.post")
    anna = await session.load(ANNA)
    await edit(store, ANNA, logins=100)
    anna.name = "Anne"
    with pytest.raises(evsession.ConcurrencyError) as caught:
        async with session.transaction():
            await session.flush()
    assert caught.value.key == ANNA
    assert events.take() == ["rollback.post"]
    assert session.is_dirty(anna)


async def test_other_operations_of_hooks(session: evsession.Session, store: evsession.Store) -> None:
    """A hook may load, query, delete at once, and patch; these are no part of the commit."""

    @session.once("insert.pre", type=Log)
    async def work(event: CommitEvent) -> None:
        here: Any = event.session
        assert await here.exists(PETER)
        users, _ = await here.query(User)
        assert len(users) == 3
        await here.delete(BEN)
        await here.patch(ANNA, [{"Type": "Inc", "Name": "logins", "Value": 1}])
        here.evict(here.identity_map.get(PETER))

    assert await session.add(Log("x")).commit() == ["logs/1"]
    assert await names_of(store, User) == ["Anna", "Peter"]
    assert (await row(store, ANNA)).logins == 6
    assert session.identity_map.get(ANNA).logins == 6
    assert PETER not in session.identity_map
