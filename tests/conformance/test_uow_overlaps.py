"""What overlaps: answers that come late, operations called while others are under way, hooks whose commit does not last."""

from __future__ import annotations

from typing import Any

import pytest
import trio.testing

import evsession
from evsession import Change
from tests.conformance.kennel import Told, put
from tests.conformance.shelf import ANNA, PETER, Log, Relay, User, edit, names_of, row


@evsession.document(collection="Plains")
class Plain:
    name: str


pytestmark = pytest.mark.usefixtures("users")


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


class TestRefreshes:
    @pytest.mark.parametrize("way", ["set", "increment", "both"])
    async def test_keep_what_is_edited_meanwhile(
        self, relayed: evsession.Session, relay: Relay, store: evsession.Store, way: str
    ) -> None:
        peter = await relayed.load(PETER)
        await edit(store, PETER, logins=5, theirs=1)
        with relay.hold(only_first=True):
            refresh = relayed.refresh(peter)
            await relay.wait_held()
            if way != "increment":
                peter.name = "Petra"
            if way != "set":
                relayed.increment(peter, "version", 2)
        await refresh
        assert (peter.logins, relayed.is_dirty(peter)) == (5, True)
        assert await relayed.commit() == [PETER]
        stored = await row(store, PETER)
        assert (stored.logins, stored.theirs) == (5, 1)
        assert stored.name == ("Peter" if way == "increment" else "Petra")
        assert stored.get("version", 0) == (0 if way == "set" else 2)

    @pytest.mark.parametrize("cls", [None, Plain])
    async def test_keep_what_is_taken_out_meanwhile(
        self, relayed: evsession.Session, relay: Relay, store: evsession.Store, cls: Any
    ) -> None:
        await put(store, {"plains/1": {"name": "a", "old": 1, "kept": 1}})
        one: Any = await relayed.load("plains/1", type=cls or evsession.Document)
        await edit(store, "plains/1", kept=2)
        with relay.hold(only_first=True):
            refresh = relayed.refresh(one)
            await relay.wait_held()
            del one.old
            one.name = "b"
        await refresh
        assert (one.name, one.kept, hasattr(one, "old")) == ("b", 2, False)
        assert await relayed.commit() == ["plains/1"]
        assert await row(store, "plains/1") == {"name": "b", "kept": 2}

    async def test_keep_what_cannot_be_stored(self, relayed: evsession.Session, relay: Relay) -> None:
        peter = await relayed.load(PETER)
        with relay.hold(only_first=True):
            refresh = relayed.refresh(peter)
            await relay.wait_held()
            peter.tags = [float("nan")]
        await refresh
        assert relayed.identity_map.get(PETER) is peter
        assert len(peter.tags) == 1

    @pytest.mark.parametrize("force", [False, True])
    @pytest.mark.parametrize("way", ["set", "increment", "patch"])
    async def test_are_not_older_than_what_was_written(
        self, relayed: evsession.Session, relay: Relay, store: evsession.Store, way: str, *, force: bool
    ) -> None:
        peter = await relayed.load(PETER)
        with relay.hold(only_first=True):
            refresh = relayed.refresh(peter, force=force)
            await relay.wait_held()
            if way == "patch":
                await relayed.patch(PETER, [{"Type": "Set", "Name": "logins", "Value": 7}])
            elif way == "increment":
                relayed.increment(peter, "logins", 7)
            else:
                peter.logins = 7
            await relayed.commit()
        await refresh
        assert (peter.logins, relayed.changes()) == (7, [])
        peter.name = "Petra"
        await relayed.commit()
        stored = await row(store, PETER)
        assert (stored.name, stored.logins) == ("Petra", 7)

    async def test_wait_for_the_commits_before_them(self, relayed: evsession.Session, relay: Relay) -> None:
        peter = await relayed.load(PETER)
        peter.name = "Petra"
        with relay.hold(only_first=True):
            commit = relayed.commit()
            await relay.wait_held()
            refresh = relayed.refresh(peter)
            peter.logins = 3
        await commit
        with pytest.raises(evsession.DirtyEntity):
            await refresh
        assert relayed.changes(peter) == {"logins": Change(0, 3)}


class TestReferences:
    @pytest.mark.parametrize("way", ["set", "increment", "both", "patch"])
    @pytest.mark.parametrize("comes", ["before", "after"])
    async def test_that_are_filled_while_they_are_written(
        self, relayed: evsession.Session, relay: Relay, store: evsession.Store, way: str, comes: str
    ) -> None:
        anna: Any = relayed.get_reference(User, ANNA)

        def write() -> Any:
            if way == "patch":
                return relayed.patch(ANNA, [{"Type": "Inc", "Name": "logins", "Value": 2}])
            if way != "increment":
                anna.name = "Anne"
            if way != "set":
                relayed.increment(anna, "logins", 2)
            return relayed.commit()

        with relay.hold(only_first=True):
            if comes == "after":
                writing = write()
                await relay.wait_held()
                await relayed.load(ANNA)
            else:
                hydrate = relayed.hydrate(anna)
                await relay.wait_held()
                await write()
        await (writing if comes == "after" else hydrate)
        if way == "patch" and comes == "after":
            await relayed.refresh(anna)
        assert (anna.name, anna.logins) == ("Anne" if way in ("set", "both") else "Anna", 5 if way == "set" else 7)
        assert relayed.changes() == []
        await edit(store, ANNA, tags=["theirs"])
        assert await relayed.commit() == []
        assert (await row(store, ANNA)).tags == ["theirs"]

    async def test_whose_staged_increment_waits(self, session: evsession.Session, store: evsession.Store) -> None:
        for ends in (session.rollback, session.commit):
            anna: Any = session.get_reference(User, ANNA)
            session.use_transaction()
            session.increment(anna, "logins", 2)
            await session.flush()
            await session.hydrate(anna)
            session.increment(anna, "logins", 1)
            assert anna.logins == 8
            await ends()
            assert session.is_dirty(anna) is (ends == session.rollback)
            if ends == session.rollback:
                session.evict(anna)
        assert ((await row(store, ANNA)).logins, anna.logins) == (8, 8)

    async def test_that_are_rolled_back_after_being_filled(self, session: evsession.Session, store: evsession.Store) -> None:
        anna: Any = session.get_reference(User, ANNA)
        anna.name = "Anne"
        session.use_transaction()
        await session.flush()
        await session.hydrate(anna)
        await session.rollback()
        assert session.changes(anna) == {"name": Change("Anna", "Anne")}
        assert await session.commit() == [ANNA]
        assert (await row(store, ANNA)).name == "Anne"

    async def test_that_a_late_answer_does_not_fill(self, relayed: evsession.Session, relay: Relay) -> None:
        anna: Any = relayed.get_reference(User, ANNA)
        with relay.hold(only_first=True):
            query = relayed.query(User, {"name": "Anna"}, wait_for_non_stale=True)
            await relay.wait_held()
            relayed.increment(anna, "logins", 2)
            await relayed.commit()
        (users, _) = await query
        assert users == [anna]
        with pytest.raises(evsession.NotLoaded):
            assert anna.logins
        await relayed.hydrate(anna)
        assert (anna.logins, relayed.changes()) == (7, [])

    async def test_that_are_filled_in_a_hook_after_the_write(self, session: evsession.Session, store: evsession.Store) -> None:
        anna: Any = session.get_reference(User, ANNA)

        @session.once("update.post")
        async def fill(event: evsession.CommitEvent) -> None:
            await session.hydrate(anna)

        anna.name = "Anne"
        session.increment(anna, "logins", 2)
        assert await session.commit() == [ANNA]
        assert (anna.name, anna.logins, session.changes()) == ("Anne", 7, [])

    async def test_that_are_filled_while_they_are_removed(self, relayed: evsession.Session, relay: Relay) -> None:
        anna: Any = relayed.get_reference(User, ANNA)
        with relay.hold(only_first=True):
            commit = relayed.remove(anna).commit()
            await relay.wait_held()
            await relayed.query(User)
        assert (await commit).removed == [ANNA]
        assert ANNA not in relayed.identity_map


class TestOrder:
    async def test_several_come_after_one_save(self, relayed: evsession.Session, relay: Relay, store: evsession.Store) -> None:
        peter, anna = await relayed.load([PETER, ANNA])
        peter.name = "Petra"
        log, told = Log("x"), Told()
        with relay.hold(only_first=True):
            save = relayed.save()
            await relay.wait_held()
            refresh, deletion = relayed.refresh(peter), relayed.delete(anna)
            relayed.add(log).delete(log, told)
            await trio.testing.wait_all_tasks_blocked()
        assert await save == [PETER]
        await refresh
        await deletion
        assert told.calls == [(None,)]
        assert relayed.changes() == []
        assert await names_of(store, User) == ["Ben", "Petra"]

    async def test_a_deletion_comes_after_the_save_before_it(self, session: evsession.Session, store: evsession.Store) -> None:
        for number in range(5):
            peter = await session.load(PETER)
            peter.logins = number + 1
            told = Told()
            session.save(told)
            await session.delete(peter)
            await session.drain()
            assert told.calls == [(None, [PETER])]
            assert await row(store, PETER) is None
            await session.add(User("Peter", id="peter")).commit()
            session.clear()

    async def test_what_is_stored_while_it_is_deleted_is_new(self, session: evsession.Session, store: evsession.Store) -> None:
        peter = await session.load(PETER)
        told = Told()
        session.delete(peter, told)
        session.store(peter)
        await session.drain()
        assert told.calls == [(None,)]
        assert [(change.key, change.kind) for change in session.changes()] == [(PETER, "insert")]
        assert await session.save() == [PETER]
        assert (await row(store, PETER)).name == "Peter"

    async def test_what_has_no_key_yet_cannot_be_deleted(self, session: evsession.Session, store: evsession.Store) -> None:
        log = Log("x")
        save = session.add(log).save()
        with pytest.raises(evsession.ConfigurationError, match="is being saved"):
            session.delete(log)
        await save
        await session.delete(log)
        assert await names_of(store, Log) == []

    async def test_a_patch_in_a_hook_after_the_write_is_taken(self, session: evsession.Session, store: evsession.Store) -> None:
        peter = await session.load(PETER)

        @session.once("update.post")
        async def count(event: evsession.CommitEvent) -> None:
            await event.session.patch(PETER, [{"Type": "Inc", "Name": "logins", "Value": 1}])

        peter.name = "Petra"
        await session.commit()
        assert (peter.logins, session.changes()) == (1, [])
        peter.version = 2
        await session.commit()
        assert (await row(store, PETER)).logins == 1

    async def test_what_is_being_saved_cannot_be_reverted(self, session: evsession.Session) -> None:
        peter = await session.load(PETER)
        peter.name = "Petra"
        commit = session.commit()
        with pytest.raises(evsession.ConfigurationError, match="is being saved"):
            session.revert(peter)
        await commit
        assert (peter.name, session.changes()) == ("Petra", [])

    async def test_an_increment_is_added_once_by_whoever_comes_next(
        self, session: evsession.Session, store: evsession.Store
    ) -> None:
        anna = await session.load(ANNA)
        session.increment(anna, "logins", 2)

        @session.once("commit.pre")
        def fail(event: evsession.CommitEvent) -> None:
            raise LookupError

        first, second = session.commit(lambda error, saved: None), session.commit(lambda error, saved: None)
        with pytest.raises(LookupError):
            await first
        assert await second == [ANNA]
        assert await session.commit() == []
        assert ((await row(store, ANNA)).logins, anna.logins) == (7, 7)

    @pytest.mark.parametrize("way", ["increment", "key of the server", "set"])
    async def test_a_commit_behind_a_lost_one(
        self, relayed: evsession.Session, relay: Relay, store: evsession.Store, way: str
    ) -> None:
        """What may be done twice is done again, everything else is for the program to find out."""
        anna = await relayed.load(ANNA)
        if way == "increment":
            relayed.increment(anna, "logins", 2)
        elif way == "set":
            anna.logins = 7
        else:
            relayed.add(Log("x"))
        relay.lose("answer")
        told = Told()
        first = relayed.commit(told)
        second = relayed.commit(told)
        if way == "set":
            assert await second == [ANNA]
        else:
            with pytest.raises(evsession.TransactionError, match="is unknown") as caught:
                await second
            assert caught.value.uncertain
        with pytest.raises(evsession.ConnectionFailed):
            await first
        if way == "increment":
            await relayed.refresh(anna)
            assert (anna.logins, relayed.changes()) == (7, [])
        assert (await row(store, ANNA)).logins == (5 if way == "key of the server" else 7)
        assert await names_of(store, Log) == (["x"] if way == "key of the server" else [])


class TestReplacements:
    """One document removed, and another one added under its key."""

    async def test_whose_outcome_was_unknown(self, relayed: evsession.Session, relay: Relay, store: evsession.Store) -> None:
        peter = await relayed.load(PETER)
        other = User("Other", id="peter")
        relay.lose("answer")
        with pytest.raises(evsession.ConnectionFailed):
            await relayed.remove(peter).add(other).commit()
        await relayed.refresh(other)
        assert relayed.changes() == []
        assert await relayed.commit() == []
        assert (await row(store, PETER)).name == "Other"

    async def test_in_a_hook_that_prevents_the_update(self, session: evsession.Session, store: evsession.Store) -> None:
        peter = await session.load(PETER)

        @session.once("update.pre")
        def replace(event: evsession.CommitEvent) -> None:
            event.prevent()
            session.remove(peter).add(User("Other", id="peter"))

        peter.name = "Petra"
        saved = await session.commit()
        assert (saved.inserted, saved.updated, saved.removed) == ([PETER], [], [PETER])
        assert session.changes() == []
        assert (await row(store, PETER)).name == "Other"

    async def test_of_which_the_removal_is_prevented(self, session: evsession.Session, store: evsession.Store) -> None:
        peter = await session.load(PETER)
        session.once("delete.pre", lambda event: event.prevent())
        session.remove(peter).add(User("Other", id="peter"))
        with pytest.raises(evsession.KeyConflict, match="cannot stay"):
            await session.commit()
        assert (await row(store, PETER)).name == "Peter"
        await session.commit()
        assert (await row(store, PETER)).name == "Other"


class TestHooksOfWhatDoesNotLast:
    @pytest.mark.parametrize("way", ["rollback", "conflict", "exception"])
    async def test_are_called_again_and_count_once(self, session: evsession.Session, store: evsession.Store, way: str) -> None:
        session.options.use_optimistic_concurrency = True
        peter, anna = await session.load([PETER, ANNA])

        @session.on("update.pre", type=User)
        def audit(event: evsession.CommitEvent) -> None:
            if peter in event.entities:
                session.increment(anna, "logins", 1)
                session.add(Log("seen", id="seen"))

        peter.name = "Petra"
        if way == "rollback":
            session.use_transaction()
            await session.flush()
            await session.rollback()
        elif way == "conflict":
            await edit(store, PETER, version=9)
            with pytest.raises(evsession.ConcurrencyError):
                await session.commit()
            await session.refresh(peter, force=True)
            peter.name = "Petra"
        else:
            session.once("insert.pre", lambda event: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await session.commit()
        assert [change.key for change in session.changes()] == [PETER]
        assert anna.logins == 5
        await session.commit()
        assert ((await row(store, ANNA)).logins, anna.logins) == (6, 6)
        assert await names_of(store, Log) == ["seen"]

    async def test_vetoes_end_with_it(self, session: evsession.Session, store: evsession.Store) -> None:
        peter, anna = await session.load([PETER, ANNA])
        for name in ("insert.pre", "delete.pre"):
            session.once(name, lambda event: event.prevent())
        log = Log("x", id="x")
        session.add(log).remove(peter).use_transaction()
        anna.name = "Anne"
        await session.flush()
        assert log not in session.identity_map
        await session.rollback()
        assert {(change.key, change.kind) for change in session.changes()} == {
            (PETER, "delete"),
            (ANNA, "update"),
            ("logs/x", "insert"),
        }
        assert (await session.commit()).removed == [PETER]
        assert await names_of(store, Log) == ["x"]

    async def test_of_an_increment_after_the_write(self, session: evsession.Session, store: evsession.Store) -> None:
        peter, anna = await session.load([PETER, ANNA])

        @session.once("update.post")
        def fail(event: evsession.CommitEvent) -> None:
            session.increment(anna, "logins", 1)
            session.increment(session.get_reference(User, "users/ben"), "logins", 1)
            raise LookupError

        peter.name = "Petra"
        with pytest.raises(LookupError):
            await session.commit()
        assert (anna.logins, session.changes()) == (5, [])
