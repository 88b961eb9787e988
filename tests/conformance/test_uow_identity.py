"""The identity map, and leaving it: one object for each key, `refresh`, `evict`, `revert`, `clear`, and sessions without one."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from evsession import Change
from tests.conformance.kennel import Told, Wire, put
from tests.conformance.shelf import ANNA, BEN, PETER, Events, Log, User, edit, names_of, row

pytestmark = pytest.mark.usefixtures("users")

BATCH = ["POST /bulk_docs"]


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


class TestOneObject:
    async def test_for_each_key(self, session: evsession.Session, wire: Wire) -> None:
        """Scenario 5."""
        user = User("new", id="new")
        await session.add(user).commit()
        assert await session.load("users/new") is user
        one, _ = await session.query(User)
        two, _ = await session.query(User)
        assert one is not two
        assert [user is other for user, other in zip(one, two, strict=True)] == [True] * 4
        assert [found for found in one if found is user] == [user]
        session.identity_map.clear()
        again, _ = await session.query(User)
        assert not [found for found in again if any(found is known for known in one)]

    async def test_the_map(self, session: evsession.Session) -> None:
        known = session.identity_map
        assert (len(known), list(known), known.get(PETER), PETER in known) == (0, [], None, False)
        nobody = object()
        assert known.get(PETER, nobody) is nobody
        peter = await session.load(PETER)
        anna = await session.load(ANNA)
        new = User("new")
        session.add(new)
        assert [entity is one for entity, one in zip(known, (peter, anna, new), strict=True)] == [True] * 3
        assert known.get("USERS/Peter") is peter
        assert ("Users/PETER" in known, peter in known, new in known, "users/new" in known) == (True, True, True, False)
        assert User("Peter") not in known
        assert 5 not in known
        assert PETER in repr(known)
        await session.commit()
        assert known.get("users/1") is new

    async def test_rows_do_not_overwrite(self, session: evsession.Session, store: evsession.Store) -> None:
        """Scenario 7."""
        peter = await session.load(PETER)
        await edit(store, PETER, logins=50)
        found, _ = await session.query(User, {"name": "Peter"}, wait_for_non_stale=True)
        assert found[0] is peter
        assert peter.logins == 0
        peter.logins = 7
        await session.query(User)
        assert peter.logins == 7
        await session.refresh(peter, force=True)
        assert peter.logins == 50


class TestRefresh:
    async def test_takes_the_servers_values(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 7."""
        session.options.use_optimistic_concurrency = True
        peter, anna = await session.load([PETER, ANNA])
        await edit(store, PETER, logins=50, legacy=1)
        await edit(store, ANNA, tags=["new"])
        wire.take()
        await session.refresh(peter, anna)
        assert len(wire.take()) == 1
        assert (peter.logins, anna.tags) == (50, ["new"])
        assert session.changes() == []
        peter.name = "Petra"
        assert await session.commit() == [PETER]
        stored = await row(store, PETER)
        assert (stored.name, stored.logins, stored.legacy) == ("Petra", 50, 1)

    async def test_of_what_is_dirty(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 7."""
        peter, anna = await session.load([PETER, ANNA])
        await edit(store, PETER, logins=50)
        await edit(store, ANNA, logins=60)
        peter.logins = 7
        wire.take()
        told = Told()
        with pytest.raises(evsession.DirtyEntity) as caught:
            await session.refresh(anna, peter)
        assert caught.value.key == PETER
        session.refresh(peter, told)
        await session.drain()
        assert isinstance(told.calls[0][0], evsession.DirtyEntity)
        assert not wire.take()
        assert (peter.logins, anna.logins) == (7, 5)
        await session.refresh(peter, force=True)
        assert (peter.logins, session.is_dirty(peter)) == (50, False)

    async def test_of_what_is_new_or_removed(self, session: evsession.Session, wire: Wire) -> None:
        peter, new = await session.load(PETER), User("new")
        session.add(new).remove(peter)
        wire.take()
        for force in (False, True):
            with pytest.raises(evsession.DirtyEntity):
                await session.refresh(new, force=force)
        with pytest.raises(evsession.DirtyEntity):
            await session.refresh(peter)
        assert not wire.take()

    async def test_of_an_increment(self, session: evsession.Session, store: evsession.Store) -> None:
        anna = await session.load(ANNA)
        session.increment(anna, "logins", 2)
        with pytest.raises(evsession.DirtyEntity):
            await session.refresh(anna)
        await session.refresh(anna, force=True)
        assert (anna.logins, session.is_dirty(anna)) == (5, False)
        assert await session.commit() == []

    async def test_of_one_that_is_gone(self, session: evsession.Session, store: evsession.Store) -> None:
        peter, anna = await session.load([PETER, ANNA])
        await edit(store, ANNA, logins=60)
        async with store.open_session() as other:
            await other.delete(PETER)
        with pytest.raises(evsession.SessionError, match=PETER) as caught:
            await session.refresh(peter, anna)
        assert (caught.value.status_code, caught.value.key) == (404, PETER)
        assert anna.logins == 60

    async def test_of_nothing(self, session: evsession.Session, wire: Wire) -> None:
        await session.refresh()
        assert not wire.take()

    async def test_of_a_document(self, session: evsession.Session, store: evsession.Store) -> None:
        await put(store, {"dogs/1": {"name": "Max", "old": 1}})
        dog = await session.load("dogs/1")
        async with store.open_session() as other:
            theirs = await other.load("dogs/1")
            del theirs.old
            theirs.new = 2
            await other.save()
        before = dog.metadata["@change-vector"]
        await session.refresh(dog)
        assert dog == {"name": "Max", "new": 2}
        assert dog.metadata["@change-vector"] != before


class TestForgetting:
    async def test_evict(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter, anna = await session.load([PETER, ANNA])
        new = User("new", id="new")
        session.add(new).remove(anna)
        peter.name = "Petra"
        session.evict(peter, new, anna, User("stranger"))
        assert len(session.identity_map) == 0
        with pytest.raises(evsession.ConfigurationError):
            session.is_dirty(peter)
        wire.take()
        assert await session.commit() == []
        assert not wire.take()
        again = await session.load(PETER)
        assert again is not peter
        assert (again.name, peter.name) == ("Peter", "Petra")
        assert await names_of(store, User) == ["Anna", "Ben", "Peter"]

    async def test_clear(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter = await session.load(PETER)
        peter.name = "Petra"
        session.add(User("new")).remove(ANNA)
        session.clear()
        wire.take()
        assert (session.changes(), await session.commit(), len(session.identity_map)) == ([], [], 0)
        assert not wire.take()
        assert await session.load(PETER) is not peter

    async def test_an_increment_is_forgotten_too(self, session: evsession.Session, store: evsession.Store) -> None:
        anna = await session.load(ANNA)
        session.increment(anna, "logins")
        session.evict(anna)
        again = await session.load(ANNA)
        again.name = "Anne"
        await session.commit()
        assert (await row(store, ANNA)).logins == 5

    async def test_while_a_commit_is_under_way(self, session: evsession.Session, store: evsession.Store) -> None:
        """What was called is written; the answer brings nothing back that was forgotten."""
        peter, new = await session.load(PETER), User("new", id="new")
        peter.name = "Petra"
        operation = session.add(new).commit()
        session.evict(peter, new)
        assert await operation == [PETER, "users/new"]
        assert len(session.identity_map) == 0
        assert (await row(store, PETER)).name == "Petra"
        assert (await session.load(PETER)).name == "Petra"


class TestRevert:
    async def test_to_what_was_loaded_or_written(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        await edit(store, PETER, legacy={"a": 1})
        peter = await session.load(PETER)
        tags = peter.tags
        peter.name, peter.logins = "Petra", 7
        tags.append("d")
        session.revert(peter)
        assert (peter.name, peter.logins, peter.tags, peter.id) == ("Peter", 0, ["a", "b", "c"], PETER)
        assert not session.is_dirty(peter)
        peter.name = "Petra"
        await session.commit()
        peter.name = "x"
        session.revert(peter)
        assert peter.name == "Petra"
        wire.take()
        assert await session.commit() == []
        assert not wire.take()
        assert (await row(store, PETER)).legacy == {"a": 1}

    async def test_of_an_increment(self, session: evsession.Session, store: evsession.Store) -> None:
        anna = await session.load(ANNA)
        session.increment(anna, "logins", 2)
        session.revert(anna)
        assert (anna.logins, await session.commit()) == (5, [])

    async def test_of_an_id(self, session: evsession.Session) -> None:
        peter = await session.load(PETER)
        peter.id = "users/other"
        session.revert(peter)
        assert peter.id == PETER
        assert await session.commit() == []

    async def test_of_a_document(self, session: evsession.Session, store: evsession.Store) -> None:
        await put(store, {"dogs/1": {"name": "Max", "old": [1]}})
        dog = await session.load("dogs/1")
        dog["old"].append(2)
        dog.new = 1
        del dog.name
        session.revert(dog)
        assert dog == {"name": "Max", "old": [1]}
        assert not session.is_dirty(dog)

    async def test_of_what_is_new(self, session: evsession.Session) -> None:
        new = User("new")
        session.add(new)
        with pytest.raises(evsession.ConfigurationError, match="new"):
            session.revert(new)

    async def test_of_what_is_removed(self, session: evsession.Session) -> None:
        """It undoes edits; that the entity is to be deleted is no edit, and `add` takes that back."""
        peter = await session.load(PETER)
        peter.name = "Petra"
        session.remove(peter).revert(peter)
        assert peter.name == "Peter"
        assert (await session.commit()).removed == [PETER]


class TestWithoutIdentityMap:
    @pytest.fixture
    async def plain(self, store: evsession.Store) -> Any:
        async with store.open_session(with_identity_map=False) as session:
            yield session

    async def test_objects_are_new_each_time(self, plain: evsession.Session, wire: Wire) -> None:
        """Scenario 6."""
        sent = Wire(plain)
        one, two = await plain.load(PETER), await plain.load(PETER)
        assert one is not two
        assert len(sent.take()) == 2
        (first, *_), _ = await plain.query(User)
        (second, *_), _ = await plain.query(User)
        assert first is not second
        many = await plain.load([PETER, ANNA])
        assert many[0] is not one
        assert len(plain.identity_map) == 0

    async def test_edits_are_saved_when_they_are_added(self, plain: evsession.Session, store: evsession.Store) -> None:
        """Scenario 6."""
        await edit(store, PETER, legacy={"a": 1})
        sent, events = Wire(plain), Events(plain, "insert.pre", "update.pre")
        peter = await plain.load(PETER)
        peter.name = "Petra"
        sent.take()
        assert await plain.commit() == []
        assert not sent.take()
        saved = await plain.add(peter).commit()
        assert (saved.updated, saved.inserted, sent.take()) == ([PETER], [], BATCH)
        assert events.take() == ["update.pre User"]
        assert events.calls == []
        stored = await row(store, PETER)
        assert (stored.name, stored.legacy) == ("Petra", {"a": 1})
        assert len(await names_of(store, User)) == 3
        peter.name = "x"
        assert await plain.commit() == []
        assert await plain.add(peter).commit() == [PETER]
        assert (await row(store, PETER)).name == "x"

    async def test_what_the_changes_were(self, plain: evsession.Session) -> None:
        events = Events(plain, "update.pre")
        peter = await plain.load(PETER)
        peter.name = "Petra"
        plain.add(peter)
        assert plain.changes(peter) == {"name": Change("Peter", "Petra")}
        await plain.commit()
        assert events.calls[0].changes[peter] == {"name": Change("Peter", "Petra")}

    async def test_versions_are_checked(self, plain: evsession.Session, store: evsession.Store) -> None:
        plain.options.use_optimistic_concurrency = True
        peter = await plain.load(PETER)
        await edit(store, PETER, logins=50)
        with pytest.raises(evsession.ConcurrencyError) as caught:
            await plain.add(peter).commit()
        assert (caught.value.key, caught.value.actual) == (PETER, (await row(store, PETER)).metadata["@change-vector"])
        plain.clear()
        peter = await plain.load(PETER)
        for name in ("one", "two"):
            peter.name = name
            assert await plain.add(peter).commit() == [PETER]
        assert (await row(store, PETER)).name == "two"

    async def test_new_and_removed(self, plain: evsession.Session, store: evsession.Store) -> None:
        user = User("new")
        saved = await plain.add(user).commit()
        assert (saved.inserted, user.id) == (["users/1"], "users/1")
        user.name = "edited"
        assert (await plain.add(user).commit()).updated == ["users/1"]
        peter = await plain.load(PETER)
        assert (await plain.remove(peter, user, BEN).commit()).removed == [PETER, "users/1", BEN]
        assert await names_of(store, User) == ["Anna"]

    async def test_an_added_one_is_known_until_the_commit(self, plain: evsession.Session) -> None:
        log = Log("x")
        plain.add(log)
        assert log in plain.identity_map
        assert plain.is_dirty(log)
        await plain.commit()
        assert log not in plain.identity_map
        for call in (plain.is_dirty, plain.refresh, plain.changes):
            with pytest.raises(evsession.ConfigurationError, match="identity map"):
                call(log)

    async def test_hooks_and_rollback(self, plain: evsession.Session, store: evsession.Store) -> None:
        @plain.on("update.pre")
        def stamp(event: evsession.CommitEvent) -> None:
            event.entities[0].version = 1

        peter = await plain.load(PETER)
        peter.name = "Petra"
        plain.use_transaction()
        await plain.add(peter).flush()
        await plain.rollback()
        assert (await row(store, PETER)).name == "Peter"
        assert await plain.commit() == [PETER]
        stored = await row(store, PETER)
        assert (stored.name, stored.version) == ("Petra", 1)

    async def test_increments_and_references(self, plain: evsession.Session, store: evsession.Store) -> None:
        anna = await plain.load(ANNA)
        plain.add(anna)
        plain.increment(anna, "logins", 2)
        reference = plain.get_reference(User, BEN)
        reference.name = "Benno"
        await edit(store, ANNA, logins=100)
        assert sorted(await plain.commit()) == [ANNA, BEN]
        assert ((await row(store, ANNA)).logins, anna.logins) == (102, 102)
        stored = await row(store, BEN)
        assert (stored.name, stored.logins) == ("Benno", 9)

    async def test_a_reference_that_nobody_writes_to_sends_nothing(
        self, plain: evsession.Session, store: evsession.Store, wire: Wire
    ) -> None:
        missing = plain.get_reference(User, "nobody")
        assert not plain.is_dirty(missing)
        assert not plain.plan().requests
        assert await plain.commit() == []
        assert not wire.take()


async def test_edits_that_cannot_be_stored_are_edits(session: evsession.Session, store: evsession.Store) -> None:
    peter = await session.load(PETER)
    peter.tags = [float("nan")]
    await edit(store, PETER, name="Petra")
    session.options.cache = False
    assert await session.load(PETER) is peter
    await session.patch(PETER, [{"Type": "Inc", "Name": "logins", "Value": 1}])
    assert (peter.name, peter.logins) == ("Peter", 0)
    with pytest.raises(evsession.DirtyEntity):
        await session.refresh(peter)
    await session.refresh(peter, force=True)
    assert (peter.name, peter.logins) == ("Petra", 1)
