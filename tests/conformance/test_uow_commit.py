"""The unit of work: what `add`, `remove` and `commit` make of entities; plain commits, and the hard cases of queues."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from evsession import MISSING, Change
from tests.conformance.kennel import Dog, Told, Wire, put
from tests.conformance.shelf import ANNA, BEN, PETER, Book, Events, Log, User, edit, names_of, row

BATCH = ["POST /bulk_docs"]


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


class TestNewOnes:
    async def test_two_types_in_one_batch(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 1."""
        events = Events(session, "insert.pre", "insert.post")
        user = User("Peter")
        session.store(user, key=PETER)
        book = Book("t", author_id=user.id)
        assert session.add(book) is session
        assert not wire.take()
        saved = await session.commit()
        assert wire.take() == BATCH
        assert saved == [PETER, "books/1"]
        assert (saved.inserted, saved.updated, saved.removed, saved.rounds) == ([PETER, "books/1"], [], [], 1)
        assert (user.id, book.id) == (PETER, "books/1")
        assert events.take() == ["insert.pre User", "insert.pre Book", "insert.post User", "insert.post Book"]
        assert (await row(store, "books/1")).author_id == PETER

    async def test_one_event_for_a_type(self, session: evsession.Session) -> None:
        """Scenario 2."""
        events = Events(session, "insert.post")
        users = [User(name) for name in ("1st", "2nd", "3rd")]
        session.add(*users)
        fourth = User("4th")
        session.add(Book("x"), fourth)
        await session.commit()
        told = [(event.type, event.entities, event.keys) for event in events.calls]
        assert told == [
            (User, [*users, fourth], ["users/1", "users/2", "users/3", "users/4"]),
            (Book, events.calls[1].entities, ["books/1"]),
        ]

    async def test_twice_is_once(self, session: evsession.Session) -> None:
        user = User("Peter")
        session.add(user, user).add(user)
        assert await session.commit() == ["users/1"]
        assert await session.add(user).commit() == []

    async def test_nothing_is_added_if_one_cannot_be(self, session: evsession.Session, wire: Wire) -> None:
        for wrong in (5, "users/1", None, object(), [User("x")]):
            with pytest.raises(TypeError):
                session.add(User("good"), wrong)
        assert await session.commit() == []
        assert not wire.take()

    async def test_an_edit_after_add_is_saved(self, session: evsession.Session, store: evsession.Store) -> None:
        user = User("Peter")
        session.add(user)
        user.name = "Petra"
        await session.commit()
        assert (await row(store, "users/1")).name == "Petra"

    async def test_those_that_refer_to_each_other(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """A cycle, a document that refers to itself, and a chain added by its last link are no matter: references are keys."""
        one, two, self_made = Dog(friend="dogs/two"), Dog(friend="dogs/one"), Dog(friend="dogs/self")
        session.store(one, key="dogs/one").store(two, key="dogs/two").store(self_made, key="dogs/self")
        for number in reversed(range(10)):
            session.store(Dog(friend=f"dogs/chain{number + 1}"), key=f"dogs/chain{number}")
        assert len(await session.commit()) == 13
        assert wire.take() == BATCH
        assert (await row(store, "dogs/two")).friend == "dogs/one"
        assert (await row(store, "dogs/chain0")).friend == "dogs/chain1"


@pytest.mark.usefixtures("users")
class TestChanged:
    async def test_a_changed_field(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 3."""
        events = Events(session, "commit.pre", "update.pre", "update.post")
        user = User("foo")
        await session.add(user).commit()
        assert events.take() == ["commit.pre"]
        wire.take()
        user.name = "bar"
        saved = await session.commit()
        assert wire.take() == BATCH
        assert (saved, saved.updated, saved.inserted) == (["users/1"], ["users/1"], [])
        (pre,) = (event for event in events.calls if event.name == "update.pre")
        assert (pre.type, pre.entities, pre.keys, pre.round) == (User, [user], ["users/1"], 1)
        assert pre.changes[0] == pre.changes[user] == pre.changes["users/1"] == {"name": Change("foo", "bar")}
        assert events.take() == ["commit.pre", "update.pre User", "update.post User"]
        saved = await session.commit()
        assert (saved, saved.rounds) == ([], 0)
        assert not wire.take()
        assert events.take() == ["commit.pre"]
        assert (await row(store, "users/1")).name == "bar"

    async def test_all_in_one_request(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 4."""
        users, _ = await session.query(User)
        for user in users:
            user.logins += 1
        wire.take()
        assert sorted(await session.commit()) == [ANNA, BEN, PETER]
        assert wire.take() == BATCH
        assert [(await row(store, key)).logins for key in (PETER, ANNA, BEN)] == [1, 6, 10]

    async def test_a_reference_that_is_cut(self, session: evsession.Session, store: evsession.Store) -> None:
        """Scenario 9."""
        user = await session.load(PETER)
        user.image_id = "images/1"
        await session.commit()
        assert (await row(store, PETER)).image_id == "images/1"
        user.image_id = None
        assert await session.commit() == [PETER]
        stored = await row(store, PETER)
        assert "image_id" in stored
        assert stored.image_id is None
        async with store.open_session() as fresh:
            assert (await fresh.load(PETER)).image_id is None

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (["a", "b", "c"], ["000", "b", "c"]),
            (["a", "b", "c"], ["a", "c"]),
            (["a", "b", "c"], []),
            ([["a", "b"], ["c"]], [["a"], ["c"]]),
            ([{"foo": {"a": True}}], [{"foo": {}}]),
            ([{"foo": {"a": True}}], [{"foo": {"a": 1}}]),
            ([1], [1.0]),
            ([1], [True]),
            ([0], [False]),
            ([None], []),
            (["a", "b"], ["b", "a"]),
            ([""], [None]),
        ],
        ids=repr,
    )
    async def test_values_that_differ(
        self, session: evsession.Session, store: evsession.Store, wire: Wire, before: Any, after: Any
    ) -> None:
        """Scenario 15."""
        user = User("Tagged", tags=before)
        session.store(user, key="users/tagged")
        await session.commit()
        user.tags = after
        assert session.is_dirty(user)
        assert session.changes(user) == {"tags": Change(before, after)}
        assert await session.commit() == ["users/tagged"]
        assert (await row(store, "users/tagged")).tags == after
        wire.take()
        assert await session.commit() == []
        assert not wire.take()

    async def test_edits_in_place(self, session: evsession.Session, store: evsession.Store) -> None:
        """Scenario 15."""
        user = await session.load(PETER)
        user.tags[0] = "000"
        assert session.changes(user) == {"tags": Change(["a", "b", "c"], ["000", "b", "c"])}
        user.tags.remove("b")
        assert await session.commit() == [PETER]
        assert (await row(store, PETER)).tags == ["000", "c"]

    async def test_values_that_do_not_differ(self, session: evsession.Session, wire: Wire) -> None:
        """Scenario 15."""
        user = User("Same", tags=["a", {"x": [1]}], photo=b"\x00\x01")
        session.store(user, key="users/same")
        await session.commit()
        wire.take()
        user.tags = ["a", {"x": [1]}]
        user.photo = b"\xff\x01"
        assert session.is_dirty(user)
        user.photo = b"\x00\x01"
        user.name = "Other"
        user.name = "Same"
        assert not session.is_dirty(user)
        assert session.changes(user) == {}
        assert await session.commit() == []
        assert not wire.take()

    async def test_deep_inside(self, session: evsession.Session, store: evsession.Store) -> None:
        """Scenario 16."""
        await put(store, {"books/1": {"title": "t", "info": {"author": {"country": {"name": "?"}}, "any": {"x": {"y": 1}}}}})
        book = await session.load("books/1")
        assert isinstance(book, Book)
        book.info["author"]["country"]["name"] = "Germany"
        book.info["any"]["x"]["y"] = 2
        old = {"author": {"country": {"name": "?"}}, "any": {"x": {"y": 1}}}
        new = {"author": {"country": {"name": "Germany"}}, "any": {"x": {"y": 2}}}
        assert session.changes(book) == {"info": Change(old, new)}
        await session.commit()
        assert (await row(store, "books/1")).info == new


class TestSchemasThatDiffer:
    """Scenario 17."""

    async def test_a_field_that_the_row_lacks_is_no_change(
        self, session: evsession.Session, store: evsession.Store, wire: Wire
    ) -> None:
        await put(store, {PETER: {"name": "Peter"}})
        user = await session.load(PETER)
        assert (user.logins, user.tags) == (0, [])
        assert not session.is_dirty(user)
        wire.take()
        assert await session.commit() == []
        assert not wire.take()

    async def test_a_field_that_the_class_lacks_is_kept(self, session: evsession.Session, store: evsession.Store) -> None:
        await put(store, {PETER: {"name": "Peter", "legacy": {"a": [1, None]}}})
        user = await session.load(PETER)
        assert not session.is_dirty(user)
        user.logins = 1
        assert session.changes(user) == {"logins": Change(0, 1)}
        await session.commit()
        user.logins = 2
        await session.commit()
        stored = await row(store, PETER)
        assert (stored.legacy, stored.logins) == ({"a": [1, None]}, 2)

    async def test_a_value_that_becomes_none(self, session: evsession.Session, store: evsession.Store) -> None:
        await put(store, {PETER: {"name": "Peter", "image_id": "images/1"}})
        user = await session.load(PETER)
        user.image_id = None
        await session.commit()
        stored = await row(store, PETER)
        assert "image_id" in stored
        assert stored.image_id is None

    async def test_missing_and_none_differ_in_a_document(self, session: evsession.Session, store: evsession.Store) -> None:
        await put(store, {"dogs/1": {"name": "Max", "gone": 1}})
        dog = await session.load("dogs/1")
        dog["new"] = None
        del dog["gone"]
        assert session.changes(dog) == {"new": Change(MISSING, None), "gone": Change(1, MISSING)}
        await session.commit()
        assert await row(store, "dogs/1") == {"name": "Max", "new": None}
        del dog["new"]
        assert await session.commit() == ["dogs/1"]
        assert await row(store, "dogs/1") == {"name": "Max"}


@pytest.mark.usefixtures("users")
class TestRemoved:
    async def test_entities_and_keys(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter = await session.load(PETER)
        wire.take()
        assert session.remove(peter, ANNA) is session
        assert session.is_dirty(peter)
        assert not wire.take()
        peter.name = "edited"
        saved = await session.commit()
        assert wire.take() == BATCH
        assert (saved, saved.removed) == ([], [PETER, ANNA])
        assert await names_of(store, User) == ["Ben"]
        assert PETER not in session.identity_map
        assert await session.load(PETER) is None

    async def test_twice_is_once(self, session: evsession.Session, wire: Wire) -> None:
        peter = await session.load(PETER)
        session.remove(peter, peter).remove(PETER)
        assert (await session.commit()).removed == [PETER]
        wire.take()
        assert await session.commit() == []
        assert not wire.take()

    async def test_one_that_is_not_there(self, session: evsession.Session) -> None:
        session.remove("users/nobody")
        assert (await session.commit()).removed == ["users/nobody"]

    async def test_no_update_of_one_that_is_removed(self, session: evsession.Session) -> None:
        events = Events(session)
        peter = await session.load(PETER)
        peter.name = "edited"
        session.remove(peter)
        await session.commit()
        assert events.take() == ["commit.pre", "delete.pre User", "delete.post User", "commit.post"]

    async def test_a_new_one_only_leaves_the_queue(self, session: evsession.Session, wire: Wire) -> None:
        user = User("new")
        session.add(user).remove(user)
        assert session.changes() == []
        assert await session.commit() == []
        assert not wire.take()

    async def test_what_was_never_added_and_has_no_key(self, session: evsession.Session, wire: Wire) -> None:
        with pytest.raises(evsession.ConfigurationError):
            session.remove(User("new"))
        for wrong in (5, None, object()):
            with pytest.raises(TypeError):
                session.remove(wrong)
        assert await session.commit() == []
        assert not wire.take()

    async def test_added_again_before_the_commit(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter = await session.load(PETER)
        wire.take()
        session.remove(peter).add(peter)
        assert not session.is_dirty(peter)
        assert await session.commit() == []
        assert not wire.take()
        session.remove(peter).add(peter).remove(peter).add(peter)
        peter.name = "Petra"
        assert await session.commit() == [PETER]
        assert (await row(store, PETER)).name == "Petra"

    async def test_add_remove_add_of_a_new_one(self, session: evsession.Session) -> None:
        user = User("new")
        session.add(user).remove(user).add(user)
        saved = await session.commit()
        assert (saved.inserted, saved.removed) == (["users/1"], [])

    async def test_added_again_after_the_commit(self, session: evsession.Session, store: evsession.Store) -> None:
        """Scenario 8: it is unknown when it is gone, and new when it is added."""
        session.options.use_optimistic_concurrency = True
        peter = await session.load(PETER)
        session.remove(peter)
        await session.commit()
        with pytest.raises(evsession.ConfigurationError):
            session.is_dirty(peter)
        assert (await session.add(peter).commit()).inserted == [PETER]
        assert (await row(store, PETER)).name == "Peter"

    async def test_another_one_in_its_place(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter = await session.load(PETER)
        other = User("Other")
        session.remove(peter).store(other, key=PETER)
        with pytest.raises(evsession.KeyConflict):
            session.add(peter)
        wire.take()
        saved = await session.commit()
        assert wire.take() == BATCH
        assert (saved.inserted, saved.removed) == ([PETER], [PETER])
        assert (await row(store, PETER)).name == "Other"
        assert await session.load(PETER) is other
        other.name = "Edited"
        assert await session.commit() == [PETER]

    async def test_order_of_the_batch(self, session: evsession.Session) -> None:
        peter, anna = await session.load([PETER, ANNA])
        session.add(Log("new"))
        session.remove(BEN)
        anna.logins = peter.logins = 7
        saved = await session.commit()
        assert (saved, saved.removed) == ([PETER, ANNA, "logs/1"], [BEN])


@pytest.mark.usefixtures("users")
class TestStates:
    async def test_from_new_to_gone(self, session: evsession.Session, store: evsession.Store) -> None:
        """Scenario 8."""

        def kinds() -> list[tuple[Any, str | None, str]]:
            return [(change.entity, change.key, change.kind) for change in session.changes()]

        user = User("new", id="new")
        session.add(user)
        assert kinds() == [(user, "users/new", "insert")]
        await session.commit()
        assert kinds() == []
        assert user in session.identity_map
        user.name = "edited"
        assert kinds() == [(user, "users/new", "update")]
        session.remove(user)
        assert kinds() == [(user, "users/new", "delete")]
        session.add(user)
        await session.delete([user, PETER])
        assert user not in session.identity_map
        assert kinds() == []
        await session.add(user).commit()
        assert await names_of(store, User) == ["Anna", "Ben", "edited"]

    async def test_of_the_session(self, session: evsession.Session, store: evsession.Store) -> None:
        seen = []
        session.on("insert.pre", lambda event: seen.append((session.state, session.in_commit, session.rounds)))
        assert (session.state, session.in_commit, session.rounds) == ("idle", False, 0)
        await session.add(Log("x")).commit()
        assert seen == [("committing", True, 1)]
        assert (session.state, session.in_commit, session.rounds) == ("idle", False, 1)
        await session.commit()
        assert session.rounds == 0
        session.use_transaction()
        assert session.state == "transaction"
        other = store.open_session()
        await other.aclose()
        assert other.state == "closed"
        for verb in (other.add, other.remove):
            with pytest.raises(evsession.SessionClosed):
                verb(User("x", id="x"))
        for call in (other.commit, other.flush, other.rollback, other.commit_transaction, other.use_transaction):
            with pytest.raises(evsession.SessionClosed):
                call()


@pytest.mark.usefixtures("users")
class TestKeys:
    async def test_two_with_one_key(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        one, two = User("one", id="same"), User("two", id="Same")
        with pytest.raises(evsession.KeyConflict) as caught:
            session.add(one, two)
            await session.commit()
        assert (caught.value.key or "").lower() == "users/same"
        assert not wire.take()
        if two in session.identity_map:
            session.remove(two)
        assert await session.commit() == ["users/same"]
        assert await names_of(store, User) == ["Anna", "Ben", "Peter", "one"]

    async def test_the_key_of_one_that_is_loaded(self, session: evsession.Session, wire: Wire) -> None:
        peter = await session.load(PETER)
        other = User("Other", id=PETER)
        wire.take()
        with pytest.raises(evsession.KeyConflict):
            session.add(other)
            await session.commit()
        assert not wire.take()
        session.evict(other)
        assert await session.load(PETER) is peter

    async def test_a_key_that_was_edited(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter, anna = await session.load([PETER, ANNA])
        peter.id, anna.name = "users/petra", "Anne"
        wire.take()
        with pytest.raises(evsession.ConfigurationError, match="users/petra") as caught:
            await session.commit()
        assert caught.value.key == PETER
        assert not wire.take()
        peter.id = PETER
        assert await session.commit() == [ANNA]
        assert (await row(store, ANNA)).name == "Anne"

    async def test_an_id_that_is_edited_before_the_commit(self, session: evsession.Session) -> None:
        user = User("new", id="one")
        session.add(user)
        user.id = "two"
        assert await session.commit() == ["users/two"]
        assert user.id == "users/two"


@pytest.mark.usefixtures("users")
class TestEntitiesOfOthers:
    async def test_are_unknown(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        async with store.open_session() as other:
            peter = await other.load(PETER)
        for call in (session.is_dirty, session.changes, session.revert, session.refresh, session.hydrate):
            with pytest.raises(evsession.ConfigurationError, match="not known"):
                call(peter)
        with pytest.raises(evsession.ConfigurationError, match="not known"):
            session.increment(peter, "logins")
        session.evict(peter)
        assert not wire.take()

    async def test_can_be_written(self, session: evsession.Session, store: evsession.Store) -> None:
        async with store.open_session() as other:
            peter = await other.load(PETER)
        peter.name = "Petra"
        assert await session.add(peter).commit() == [PETER]
        assert (await row(store, PETER)).name == "Petra"

    async def test_can_be_removed(self, session: evsession.Session, store: evsession.Store) -> None:
        async with store.open_session() as other:
            peter = await other.load(PETER)
        await session.remove(peter).commit()
        assert await row(store, PETER) is None

    async def test_in_two_sessions_at_once(self, session: evsession.Session, store: evsession.Store) -> None:
        user = User("both", id="both")
        async with store.open_session() as other:
            await session.add(user).commit()
            await other.add(user).commit()
            user.name = "edited"
            assert await session.commit() == ["users/both"]
            assert await other.commit() == ["users/both"]
            assert await session.commit() == []

    async def test_a_reference_is_no_entity_of_another(self, session: evsession.Session, store: evsession.Store) -> None:
        async with store.open_session() as other:
            reference = other.get_reference(User, PETER)
            reference.name = "x"
            with pytest.raises(evsession.ConfigurationError):
                session.add(reference)
        assert await session.commit() == []


@pytest.mark.usefixtures("users")
class TestUnstorable:
    async def test_names_the_entity_and_the_field(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        peter, anna = await session.load([PETER, ANNA])
        session.remove(BEN).add(Log("new"))
        anna.name = "Anne"
        peter.tags = ["a", {"b": float("nan")}]
        told = Told()
        wire.take()
        for _ in range(2):
            with pytest.raises(evsession.InvalidDocument) as caught:
                await session.commit()
            assert (caught.value.key, caught.value.path) == (PETER, "tags[1].b")
        session.commit(told)
        await session.drain()
        assert isinstance(told.calls[0][0], evsession.InvalidDocument)
        with pytest.raises(evsession.InvalidDocument):
            session.plan()
        assert not wire.take()
        peter.tags = ["a"]
        saved = await session.commit()
        assert (saved.updated, saved.inserted, saved.removed) == ([PETER, ANNA], ["logs/1"], [BEN])

    async def test_a_value_of_a_wrong_type(self, session: evsession.Session, wire: Wire) -> None:
        peter = await session.load(PETER)
        peter.tags = [object()]
        wire.take()
        with pytest.raises(evsession.InvalidDocument) as caught:
            await session.commit()
        assert (caught.value.key, caught.value.path) == (PETER, "tags[0]")
        assert not wire.take()
        session.remove(peter)
        assert (await session.commit()).removed == [PETER]


async def test_a_change_that_somebody_else_made_too(session: evsession.Session, store: evsession.Store, users: None) -> None:
    peter = await session.load(PETER)
    await edit(store, PETER, logins=99)
    peter.logins = 1
    assert await session.commit() == [PETER]
    assert (await row(store, PETER)).logins == 1
