"""Hooks: when they are called, what they are told, and what they can do to a commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import trio

import evsession
from evsession import Change, CommitEvent
from tests.conformance.kennel import Dog, Wire
from tests.conformance.shelf import ANNA, BEN, HOOKS, PETER, Book, Events, Log, User, names_of, row

pytestmark = pytest.mark.usefixtures("users")

BATCH = ["POST /bulk_docs"]


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


class TestCalls:
    async def test_all_in_order(self, session: evsession.Session, wire: Wire) -> None:
        events = Events(session)
        anna = await session.load(ANNA)
        anna.name = "Anne"
        session.add(Log("new"), User("new", id="new")).remove(BEN)
        wire.take()
        await session.commit()
        assert wire.take() == BATCH
        whole, delete_pre, update_pre = events.calls[:3]
        assert (whole.session, whole.type, set(whole.keys)) == (session, None, {ANNA, BEN, "users/new", None})
        assert (delete_pre.keys, delete_pre.round) == ([BEN], 1)
        assert (update_pre.keys, update_pre.changes[anna]) == ([ANNA], {"name": Change("Anna", "Anne")})
        end = events.calls[-1]
        assert end.keys == [BEN, ANNA, "logs/1", "users/new"]
        told = events.take()
        assert [name.partition(" ")[0] for name in told] == [
            *("commit.pre", "delete.pre", "update.pre", "insert.pre", "insert.pre"),
            *("delete.post", "update.post", "insert.post", "insert.post", "commit.post"),
        ]
        assert told[3:5] == ["insert.pre Log", "insert.pre User"]
        assert events.calls == []

    async def test_what_post_hooks_see(self, session: evsession.Session, store: evsession.Store) -> None:
        seen: list[Any] = []

        async def inserted(event: CommitEvent) -> None:
            (user,) = event.entities
            seen.append((event.keys, user.id, session.is_dirty(user), (await row(store, user.id)).name))

        session.on("insert.post", inserted)
        session.on("delete.post", lambda event: seen.append((event.keys, event.entities[0] in session.identity_map)))
        session.add(User("new"))
        session.remove(await session.load(PETER))
        await session.commit()
        assert seen == [([PETER], False), (["users/1"], "users/1", False, "new")]

    async def test_sync_and_async_in_order_of_registration(self, make_store: Any) -> None:
        order: list[str] = []

        def hook(name: str, *, waits: bool) -> Any:
            async def slow(event: CommitEvent) -> None:
                order.append(f"{name} begins")
                await trio.lowlevel.checkpoint()
                await event.session.load(PETER)
                order.append(f"{name} ends")

            return slow if waits else lambda event: order.append(name)

        store = make_store()
        store.on("insert.pre", hook("store", waits=True))
        store.add_listener("insert.pre", hook("store too", waits=False))
        async with store, store.open_session() as session:
            session.on("insert.pre", hook("session", waits=True))
            session.on("insert.pre", hook("session too", waits=False))
            await session.add(Log("x")).commit()
        assert order == ["store begins", "store ends", "store too", "session begins", "session ends", "session too"]

    async def test_of_a_store_for_all_sessions_of_a_session_for_it_alone(self, make_store: Any) -> None:
        store = make_store()
        common = Events(store, "insert.pre")
        async with store, store.open_session() as one, store.open_session() as two:
            own = Events(one, "insert.pre")
            await one.add(Log("one")).commit()
            await two.add(Log("two")).commit()
            assert [event.session for event in common.calls] == [one, two]
            assert [event.session for event in own.calls] == [one]
            with pytest.raises(evsession.ConfigurationError):
                store.on("insert.pre", own.note)

    async def test_what_has_changed_is_there_to_be_read(self, session: evsession.Session) -> None:
        refused: list[Any] = []

        @session.on("update.pre")
        def edit(event: CommitEvent) -> None:
            changes: Any = event.changes[0]
            try:
                changes["name"] = Change("Anna", "Annie")
            except TypeError as error:
                refused.append(error)
            event.entities[0].logins = 8
            refused.append(dict(event.changes[0]))

        anna = await session.load(ANNA)
        anna.name = "Anne"
        await session.commit()
        assert (type(refused[0]), refused[1]) == (TypeError, {"name": Change("Anna", "Anne")})
        session.clear()
        anna = await session.load(ANNA)
        assert (anna.name, anna.logins) == ("Anne", 8)

    async def test_as_decorators(self, session: evsession.Session) -> None:
        seen = []

        @session.on("insert.pre", type=Log)
        def logged(event: CommitEvent) -> None:
            seen.append(event.name)

        @session.once("insert.post")
        async def logged_later(event: CommitEvent) -> None:
            seen.append(event.name)

        assert callable(logged)
        await session.add(Log("1")).commit()
        await session.add(Log("2")).commit()
        assert seen == ["insert.pre", "insert.post", "insert.pre"]

    async def test_once_is_once_in_each_session(self, make_store: Any) -> None:
        store, calls = make_store(), []
        store.once("insert.pre", lambda event: calls.append(event.session))
        async with store, store.open_session() as one, store.open_session() as two:
            for session in (one, one, two):
                await session.add(Log("x")).commit()
            assert calls == [one, two]

    async def test_once_waits_for_its_type(self, session: evsession.Session) -> None:
        calls: list[Any] = []
        session.once("insert.pre", lambda event: calls.append(event.type), type=Log)
        await session.add(User("x")).commit()
        await session.add(Log("x"), User("y")).commit()
        await session.add(Log("y")).commit()
        assert calls == [Log]

    async def test_off(self, session: evsession.Session) -> None:
        one, two, three = Events(session, "insert.pre"), Events(session, "insert.pre"), Events(session, "insert.pre")
        session.off("insert.pre", two.note)
        await session.add(Log("x")).commit()
        assert (len(one.calls), len(two.calls), len(three.calls)) == (1, 0, 1)
        session.off("insert.pre")
        await session.add(Log("x")).commit()
        assert (len(one.calls), len(two.calls), len(three.calls)) == (1, 0, 1)

    async def test_one_function_for_several(self, session: evsession.Session) -> None:
        calls: list[Any] = []

        def hook(event: CommitEvent) -> None:
            calls.append((event.name, event.type))

        session.on("insert.pre", hook, type=Log)
        session.on("insert.pre", hook, type=User)
        session.on("insert.post", hook, type=User)
        await session.add(Log("x"), User("x")).commit()
        assert calls == [("insert.pre", Log), ("insert.pre", User), ("insert.post", User)]

    async def test_commit_hooks_without_work(self, session: evsession.Session, wire: Wire) -> None:
        events = Events(session)
        assert await session.commit() == []
        assert events.take() == ["commit.pre", "commit.post"]
        await session.rollback()
        assert events.take() == []
        assert not wire.take()

    async def test_rollback(self, session: evsession.Session) -> None:
        events, user = Events(session), User("x", id="x")
        session.use_transaction()
        await session.add(user).flush()
        assert events.take() == ["commit.pre", "insert.pre User"]
        await session.rollback()
        (event,) = events.calls
        assert (event.name, event.session, event.type) == ("rollback.post", session, None)
        await session.rollback()
        assert events.take() == ["rollback.post"]

    async def test_only_hooks_have_types(self, session: evsession.Session) -> None:
        for event, entity_type in (
            (409, User),
            ("error", User),
            ("insert.pre", 5),
            ("commit.pre", User),
            ("rollback.post", "User"),
        ):
            wrong: Any = entity_type
            with pytest.raises(evsession.ConfigurationError, match="type="):
                session.on(event, print, type=wrong)
        nothing: Any = 5
        with pytest.raises(TypeError):
            session.on("insert.pre", nothing)


TYPED = [f"{kind}.{time}" for kind in ("delete", "update", "insert") for time in ("pre", "post")]


@evsession.document(collection="Users")
@dataclass
class Admin(User):
    """A user, too."""


class TestTypes:
    @pytest.mark.parametrize("wanted", [User, "User", "Users"], ids=str)
    async def test_of_a_class(self, session: evsession.Session, wanted: Any) -> None:
        evsession.document(User)
        events = Events(session, *TYPED, type=wanted)
        peter = await session.load(PETER)
        peter.name = "Petra"
        session.add(User("x"), Log("x"), Dog(name="x")).remove(await session.load(BEN))
        await session.commit()
        assert events.take() == [f"{name} User" for name in ("delete.pre", "update.pre", "insert.pre", "delete.post")] + [
            "update.post User",
            "insert.post User",
        ]

    @pytest.mark.parametrize("wanted", [Dog, "Dog", "Dogs"], ids=str)
    async def test_of_a_document_type(self, session: evsession.Session, wanted: Any) -> None:
        events = Events(session, "insert.pre", "update.pre", type=wanted)
        dog = Dog(name="Max")
        await session.add(dog, User("x"), evsession.Document(name="nobody")).commit()
        dog.name = "Moritz"
        await session.commit()
        assert [(event.name, event.entities) for event in events.calls] == [("insert.pre", [dog]), ("update.pre", [dog])]

    async def test_of_a_collection_without_a_class(self, session: evsession.Session) -> None:
        events = Events(session, "insert.pre", type="Cars")
        car: dict[str, Any] = {"wheels": 4}
        session.store(car, key="cars/1", collection="Cars").store({"wheels": 2}, key="bikes/1", collection="Bikes")
        await session.commit()
        ((entity,),) = (event.entities for event in events.calls)
        assert entity is car

    async def test_subclasses(self, session: evsession.Session) -> None:
        base, own = Events(session, "insert.pre", type=User), Events(session, "insert.pre", type=Admin)
        admin, user = Admin("a"), User("u")
        await session.add(admin, user).commit()
        assert sorted(entity.name for event in base.calls for entity in event.entities) == ["a", "u"]
        assert [event.entities for event in own.calls] == [[admin]]

    @pytest.mark.parametrize("wanted", ["Ledger", "Entry", "Ledgers"])
    async def test_of_a_class_that_inherits_from_a_document_type(self, session: evsession.Session, wanted: str) -> None:
        class Entry(evsession.DocumentType("Ledger")):  # type: ignore[misc]
            """A line of a ledger."""

        events = Events(session, "insert.pre", type=wanted)
        entry = Entry(text="x")
        await session.add(entry, Log("x")).commit()
        assert [(event.type, event.entities) for event in events.calls] == [(Entry, [entry])]

    async def test_of_a_reference(self, session: evsession.Session) -> None:
        events = Events(session, "update.pre", type=User)
        reference = session.get_reference(User, PETER)
        reference.name = "Petra"
        await session.commit()
        assert [(event.type, event.entities, event.keys) for event in events.calls] == [(User, [reference], [PETER])]


class TestEdits:
    async def test_timestamps_and_versions(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 22."""
        calls = []

        @session.on("update.pre", type=User)
        async def stamp(event: CommitEvent) -> None:
            calls.append(event)
            for user in event.entities:
                user.updated_at = f"later than {user.updated_at}"
                user.version += 1

        user = User("Peter")
        await session.add(user).commit()
        assert await session.commit() == []
        assert calls == []
        for version in (1, 2):
            user.logins += 1
            wire.take()
            assert await session.commit() == ["users/1"]
            assert wire.take() == BATCH
            assert user.version == version
            assert not session.is_dirty(user)
            stored = await row(store, "users/1")
            assert (stored.version, stored.logins, stored.updated_at) == (version, version, user.updated_at)
        assert calls[1].changes[user] == {"logins": Change(1, 2)}
        assert await session.commit() == []
        assert len(calls) == 2

    async def test_of_what_is_inserted(self, session: evsession.Session, store: evsession.Store) -> None:
        @session.on("insert.pre", type=User)
        def stamp(event: CommitEvent) -> None:
            for user in event.entities:
                user.version = 1

        one, two = User("1"), User("2")
        await session.add(one, two).commit()
        assert [(await row(store, key)).version for key in ("users/1", "users/2")] == [1, 1]
        assert not session.is_dirty(one)

    async def test_keys_that_hooks_choose(self, session: evsession.Session, store: evsession.Store) -> None:
        seen = []

        @session.on("insert.pre", type=User)
        def name(event: CommitEvent) -> None:
            seen.append(list(event.keys))
            for user in event.entities:
                user.id = f"named-{user.name.lower()}"

        user = User("Zoe")
        assert await session.add(user).commit() == ["users/named-zoe"]
        assert (seen, user.id) == ([[None]], "users/named-zoe")
        assert (await row(store, "users/named-zoe")).name == "Zoe"

    async def test_of_others_join_the_commit(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        anna = await session.load(ANNA)
        events = Events(session, "update.pre", "update.post")
        session.on("insert.pre", lambda event: setattr(anna, "logins", anna.logins + 1), type=Book)
        session.add(Book("t"))
        wire.take()
        saved = await session.commit()
        assert (saved, saved.rounds, wire.take()) == ([ANNA, "books/1"], 2, BATCH)
        assert events.take() == ["update.pre User", "update.post User"]
        assert (await row(store, ANNA)).logins == 6
        assert not session.is_dirty(anna)

    async def test_in_commit_pre(self, session: evsession.Session, store: evsession.Store) -> None:
        anna = await session.load(ANNA)
        events = Events(session, "update.pre", "insert.pre")

        @session.once("commit.pre")
        def prepare(event: CommitEvent) -> None:
            assert event.entities == []
            anna.name = "Anne"
            event.session.add(Log("x"))

        saved = await session.commit()
        assert (saved, saved.rounds) == ([ANNA, "logs/1"], 1)
        assert events.take() == ["update.pre User", "insert.pre Log"]
        assert (await row(store, ANNA)).name == "Anne"

    async def test_that_take_the_change_back(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter = await session.load(PETER)
        events = Events(session, "update.post")
        session.on("update.pre", lambda event: session.revert(*event.entities))
        peter.name = "Petra"
        wire.take()
        assert await session.commit() == []
        assert not wire.take()
        assert (peter.name, events.take()) == ("Peter", [])

    async def test_in_post_hooks_wait(self, session: evsession.Session, store: evsession.Store) -> None:
        user = User("Peter")

        @session.once("insert.post")
        def edit(event: CommitEvent) -> None:
            user.logins = 7

        assert (await session.add(user).commit()).rounds == 1
        assert (await row(store, "users/1")).logins == 0
        assert session.changes(user) == {"logins": Change(0, 7)}
        assert await session.commit() == ["users/1"]
        assert (await row(store, "users/1")).logins == 7

    async def test_the_programs_edits_meanwhile_stay_out(self, session: evsession.Session, store: evsession.Store) -> None:
        peter = await session.load(PETER)
        session.on("update.pre", lambda event: setattr(event.entities[0], "version", 1))
        peter.name = "Petra"
        operation = session.commit()
        peter.logins = 99
        await operation
        stored = await row(store, PETER)
        assert (stored.name, stored.version, stored.logins) == ("Petra", 1, 0)
        assert session.changes(peter) == {"logins": Change(0, 99)}
        await session.commit()
        assert (await row(store, PETER)).logins == 99

    async def test_increments(self, session: evsession.Session, store: evsession.Store) -> None:
        anna = await session.load(ANNA)
        session.on("insert.pre", lambda event: session.increment(anna, "logins", 2), type=Log)
        await session.add(Log("x")).commit()
        assert ((await row(store, ANNA)).logins, anna.logins) == (7, 7)
        assert not session.is_dirty(anna)

    async def test_that_cannot_be_stored(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter = await session.load(PETER)
        session.once("update.pre", lambda event: setattr(event.entities[0], "tags", [float("inf")]))
        peter.name = "Petra"
        wire.take()
        with pytest.raises(evsession.InvalidDocument) as caught:
            await session.commit()
        assert (caught.value.key, caught.value.path) == (PETER, "tags[0]")
        assert not wire.take()
        peter.tags = []
        assert await session.commit() == [PETER]


class TestEvictions:
    async def test_take_entities_out_of_the_commit(self, session: evsession.Session, store: evsession.Store) -> None:
        peter, anna = await session.load([PETER, ANNA])
        log = Log("x")
        session.once("commit.pre", lambda event: session.evict(peter))
        session.once("insert.pre", lambda event: session.evict(log))
        peter.name = anna.name = "Petra"
        assert await session.add(log, Log("y", id="y")).commit() == [ANNA, "logs/y"]
        assert await names_of(store, User) == ["Ben", "Peter", "Petra"]
        assert await names_of(store, Log) == ["y"]
        assert peter not in session.identity_map


class TestAddsAndRemoves:
    async def test_an_audit_log(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 25, written in the same batch."""

        @session.on("insert.pre", type=User)
        def log(event: CommitEvent) -> None:
            event.session.add(*(Log(f"insert {user.name}") for user in event.entities))

        saved = await session.add(User("1"), User("2"), User("3")).commit()
        assert wire.take() == BATCH
        assert (len(saved.inserted), saved.rounds, session.rounds) == (6, 2, 2)
        assert await names_of(store, Log) == ["insert 1", "insert 2", "insert 3"]

    async def test_an_audit_log_of_keys(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 25: a hook after the write knows the keys, and its work is a further batch of the same commit."""
        events = Events(session, "commit.pre", "commit.post", "insert.post")

        @session.on("insert.post", type=User)
        async def log(event: CommitEvent) -> None:
            event.session.add(*(Log(f"{event.round}: {key}") for key in event.keys))

        saved = await session.add(User("1"), User("2"), User("3")).commit()
        assert wire.take() == BATCH * 2
        assert (saved.inserted, saved.rounds) == (["users/1", "users/2", "users/3", "logs/1", "logs/2", "logs/3"], 2)
        assert await names_of(store, Log) == ["1: users/1", "1: users/2", "1: users/3"]
        assert [event.round for event in events.calls if event.type is Log] == [2]
        assert events.take() == ["commit.pre", "insert.post User", "insert.post Log", "commit.post"]
        assert await session.commit() == []

    async def test_a_chain(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        session.on("insert.pre", lambda event: event.session.add(Book("b")), type=User)
        session.on("insert.pre", lambda event: event.session.add(Log("l")), type=Book)
        saved = await session.add(User("u")).commit()
        assert (saved, saved.rounds) == (["users/1", "books/1", "logs/1"], 3)
        assert wire.take() == BATCH

    async def test_the_same_type_again_is_a_further_event(self, session: evsession.Session) -> None:
        rounds = []

        @session.on("insert.pre", type=Log)
        def again(event: CommitEvent) -> None:
            rounds.append((event.round, [log.text for log in event.entities]))
            if len(rounds) < 3:
                event.session.add(Log(str(len(rounds))))

        await session.add(Log("0")).commit()
        assert rounds == [(1, ["0"]), (2, ["1"]), (3, ["2"])]

    async def test_removes(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        events = Events(session, "delete.pre", "delete.post")
        anna = await session.load(ANNA)
        session.on("insert.pre", lambda event: event.session.remove(anna, BEN))
        session.add(Log("x"))
        wire.take()
        saved = await session.commit()
        assert (saved.removed, saved.rounds, wire.take()) == ([ANNA, BEN], 2, BATCH)
        assert events.take()[0] == "delete.pre User"
        assert await names_of(store, User) == ["Peter"]

    async def test_removes_after_the_write(self, session: evsession.Session, store: evsession.Store) -> None:
        session.on("insert.post", lambda event: event.session.remove(*event.entities), type=Log)
        log = Log("x")
        saved = await session.add(log).commit()
        assert (saved.inserted, saved.removed, saved.rounds) == (["logs/1"], ["logs/1"], 2)
        assert await row(store, "logs/1") is None
        assert log not in session.identity_map

    async def test_remove_what_was_to_be_inserted(self, session: evsession.Session, store: evsession.Store) -> None:
        events = Events(session, "insert.post")
        session.on("insert.pre", lambda event: event.session.remove(event.entities[0]), type=User)
        one, two = User("one"), User("two")
        saved = await session.add(one, two).commit()
        assert len(saved.inserted) == 1
        assert await names_of(store, User) == ["Anna", "Ben", "Peter", "two"]
        assert [event.entities for event in events.calls] == [[two]]
        assert one not in session.identity_map
        assert await session.commit() == []

    async def test_remove_what_was_to_be_updated(self, session: evsession.Session, store: evsession.Store) -> None:
        peter = await session.load(PETER)
        events = Events(session, "update.post", "delete.pre", "delete.post")
        session.on("update.pre", lambda event: event.session.remove(peter))
        peter.name = "Petra"
        saved = await session.commit()
        assert (saved.updated, saved.removed) == ([], [PETER])
        assert events.take() == ["delete.pre User", "delete.post User"]
        assert await row(store, PETER) is None

    async def test_add_what_was_to_be_deleted(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter = await session.load(PETER)
        events = Events(session, "delete.post")
        session.on("delete.pre", lambda event: event.session.add(*event.entities))
        session.remove(peter)
        wire.take()
        saved = await session.commit()
        assert (saved, saved.removed, wire.take()) == ([], [], [])
        assert events.take() == []
        assert session.identity_map.get(PETER) is peter
        assert not session.is_dirty(peter)

    async def test_a_key_of_another(self, session: evsession.Session, wire: Wire) -> None:
        peter = await session.load(PETER)
        session.once("update.pre", lambda event: event.session.store(User("x"), key=PETER))
        peter.name = "Petra"
        wire.take()
        with pytest.raises(evsession.KeyConflict):
            await session.commit()
        assert not wire.take()
        assert await session.commit() == [PETER]

    async def test_loads_in_hooks(self, session: evsession.Session, store: evsession.Store) -> None:
        @session.on("insert.pre", type=Book)
        async def count(event: CommitEvent) -> None:
            for book in event.entities:
                author = await event.session.load(book.author_id)
                author.logins += 1

        saved = await session.add(Book("a", ANNA), Book("b", PETER)).commit()
        assert set(saved.updated) == {ANNA, PETER}
        assert [(await row(store, key)).logins for key in (ANNA, PETER)] == [6, 1]


class TestVetoes:
    async def test_an_insert(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        events = Events(session, "insert.post")

        @session.once("insert.pre", type=User)
        def refuse(event: CommitEvent) -> None:
            event.prevent(event.entities[0])
            assert event.is_prevented(event.entities[0])
            assert not event.is_prevented(event.entities[1])

        bad, good = User("bad"), User("good")
        saved = await session.add(bad, good).commit()
        assert saved == ["users/1"]
        assert (good.id, bad.id, bad in session.identity_map) == ("users/1", None, False)
        assert [event.entities for event in events.calls] == [[good]]
        wire.take()
        assert await session.commit() == []
        assert not wire.take()
        assert await session.add(bad).commit() == ["users/2"]
        assert await names_of(store, User) == ["Anna", "Ben", "Peter", "bad", "good"]

    async def test_an_update(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter, anna = await session.load([PETER, ANNA])
        events = Events(session, "update.post")
        session.once("update.pre", lambda event: event.prevent(peter))
        peter.name, anna.name = "Petra", "Anne"
        assert await session.commit() == [ANNA]
        assert [event.entities for event in events.calls] == [[anna]]
        assert session.is_dirty(peter)
        assert (await row(store, PETER)).name == "Peter"
        assert await session.commit() == [PETER]
        assert (await row(store, PETER)).name == "Petra"

    async def test_a_delete(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter, anna = await session.load([PETER, ANNA])
        events = Events(session, "delete.post", "update.pre")
        session.once("delete.pre", lambda event: event.prevent(peter))
        saved = await session.remove(peter, anna).commit()
        assert (saved, saved.removed) == ([], [ANNA])
        assert [(event.name, event.entities) for event in events.calls] == [("delete.post", [anna])]
        assert session.identity_map.get(PETER) is peter
        assert not session.is_dirty(peter)
        wire.take()
        assert await session.commit() == []
        assert not wire.take()
        assert (await row(store, PETER)).name == "Peter"

    async def test_all_of_an_event(self, session: evsession.Session, wire: Wire) -> None:
        peter, anna = await session.load([PETER, ANNA])
        for name in ("insert.pre", "update.pre", "delete.pre"):
            session.once(name, lambda event: event.prevent())
        peter.name = "Petra"
        session.remove(anna).add(User("new"))
        wire.take()
        saved = await session.commit()
        assert (saved, saved.removed, wire.take()) == ([], [], [])
        assert [(change.entity, change.kind) for change in session.changes()] == [(peter, "update")]

    async def test_a_soft_delete(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 24."""
        events = Events(session, "delete.post", "update.pre", "update.post")

        @session.on("delete.pre", type=User)
        def keep(event: CommitEvent) -> None:
            for user in event.entities:
                user.deleted_at = "today"
            event.prevent()

        log = Log("x")
        await session.add(log).commit()
        peter = await session.load(PETER)
        session.remove(peter, log)
        wire.take()
        saved = await session.commit()
        assert wire.take() == BATCH
        assert (saved, saved.updated, saved.removed) == ([PETER], [PETER], ["logs/1"])
        assert session.identity_map.get(PETER) is peter
        assert not session.is_dirty(peter)
        assert events.take() == ["update.pre User", "delete.post Log", "update.post User"]
        assert (await row(store, PETER)).deleted_at == "today"
        assert await row(store, "logs/1") is None
        peter.deleted_at = None
        assert await session.commit() == [PETER]
        assert (await row(store, PETER)).deleted_at is None

    async def test_a_soft_delete_of_what_is_dirty(self, session: evsession.Session, store: evsession.Store) -> None:
        @session.on("delete.pre")
        def keep(event: CommitEvent) -> None:
            event.entities[0].deleted_at = "today"
            event.prevent()

        peter = await session.load(PETER)
        peter.name = "Petra"
        assert await session.remove(peter).commit() == [PETER]
        stored = await row(store, PETER)
        assert (stored.name, stored.deleted_at) == ("Petra", "today")

    async def test_a_soft_delete_by_a_hook_of_the_whole_commit(self, session: evsession.Session, store: evsession.Store) -> None:
        peter, anna = await session.load([PETER, ANNA])

        @session.once("commit.pre")
        def keep(event: CommitEvent) -> None:
            peter.deleted_at = "today"
            event.prevent(peter)

        saved = await session.remove(peter, anna).commit()
        assert (saved, saved.removed) == ([PETER], [ANNA])
        assert (await row(store, PETER)).deleted_at == "today"

    async def test_the_whole_commit(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter = await session.load(PETER)
        peter.name = "Petra"
        session.add(Log("x")).remove(ANNA)
        events = Events(session, "insert.pre", "update.pre", "delete.pre", "commit.post")
        session.once("commit.pre", lambda event: event.prevent())
        session.use_transaction()
        wire.take()
        with pytest.raises(evsession.TransactionError, match="prevented"):
            await session.commit()
        assert not wire.take()
        assert events.take() == []
        assert session.has_transaction()
        saved = await session.commit()
        assert (saved, saved.removed) == ([PETER, "logs/1"], [ANNA])

    async def test_what_cannot_be_vetoed(self, session: evsession.Session) -> None:
        errors: list[Exception] = []

        def too_late(event: CommitEvent) -> None:
            try:
                event.prevent()
            except evsession.ConfigurationError as error:
                errors.append(error)

        def stranger(event: CommitEvent) -> None:
            try:
                event.prevent(event.entities[0], User("stranger"))
            except evsession.ConfigurationError as error:
                errors.append(error)
            assert not event.is_prevented(event.entities[0])

        for name in HOOKS:
            if name.endswith(".post"):
                session.on(name, too_late)
        session.on("insert.pre", stranger)
        assert await session.add(Log("x")).commit() == ["logs/1"]
        assert [str(error).split(" ")[0] for error in errors[1:]] == ["insert.post", "commit.post"]
        assert "stranger" in str(errors[0])

    async def test_hooks_after_a_veto_are_still_called(self, session: evsession.Session) -> None:
        seen = []
        session.on("insert.pre", lambda event: event.prevent())
        session.on("insert.pre", lambda event: seen.append(event.is_prevented(event.entities[0])))
        assert await session.add(Log("x")).commit() == []
        assert seen == [True]


class TestVetoedDeletions:
    async def test_leave_the_edits_from_before_the_call(self, session: evsession.Session, store: evsession.Store) -> None:
        peter = await session.load(PETER)
        session.on("delete.pre", lambda event: event.prevent())
        peter.name = "Petra"
        session.increment(peter, "logins", 2)
        saved = await session.remove(peter).commit()
        assert (saved.updated, saved.removed) == ([PETER], [])
        stored = await row(store, PETER)
        assert (stored.name, stored.logins) == ("Petra", 2)
        assert not session.is_dirty(peter)
        assert await session.commit() == []

    async def test_of_what_was_not_edited_write_nothing(
        self, session: evsession.Session, store: evsession.Store, wire: Wire
    ) -> None:
        peter = await session.load(PETER)
        session.on("delete.pre", lambda event: event.prevent())
        wire.take()
        assert await session.remove(peter).commit() == []
        assert not wire.take()


class TestAfterTheCommit:
    async def test_what_is_added_and_removed_waits_for_the_next(self, session: evsession.Session, store: evsession.Store) -> None:
        peter, anna = await session.load([PETER, ANNA])

        @session.once("commit.post")
        def hook(event: CommitEvent) -> None:
            session.add(Log("after", id="after")).remove(anna)

        peter.name = "Petra"
        assert (await session.commit(), session.rounds) == ([PETER], 1)
        assert [(change.key, change.kind) for change in session.changes()] == [(ANNA, "delete"), ("logs/after", "insert")]
        saved = await session.commit()
        assert (saved, saved.removed) == (["logs/after"], [ANNA])

    async def test_nothing_stays_of_one_that_raises(self, session: evsession.Session) -> None:
        @session.once("commit.post")
        def hook(event: CommitEvent) -> None:
            session.add(Log("after"))
            raise LookupError("mine")

        with pytest.raises(LookupError):
            await session.add(Log("x")).commit()
        assert session.changes() == []
