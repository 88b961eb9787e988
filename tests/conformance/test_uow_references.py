"""References: entities of which only the key is known, of every kind of class."""

from __future__ import annotations

import copy
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest

import evsession
from tests.conformance.farm import KINDS, Cow, declare
from tests.conformance.kennel import Dog, Told, Wire
from tests.conformance.shelf import ANNA, BEN, PETER, Book, Events, Log, User, edit, names_of, row

pytestmark = pytest.mark.usefixtures("users")

BATCH = ["POST /bulk_docs"]


@evsession.document
@dataclass(slots=True)
class Calf:
    name: str
    age: int = 0
    id: str | None = None


@evsession.document
class Foal:
    """A plain class without annotations."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.age = 0


ALL: list[Any] = [*KINDS, Calf]


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


@pytest.fixture(autouse=True)
def _declared() -> None:
    declare()


@pytest.fixture(params=ALL, ids=lambda cls: cls.__name__)
async def kind(request: pytest.FixtureRequest, store: evsession.Store) -> Any:
    """A class with the fields name and age; farm/1 to farm/3 are of its collection."""
    async with store.open_session() as other:
        for number in (1, 2, 3):
            entity = request.param(name=f"Name {number}")
            other.store(entity, key=f"farm/{number}")
        await other.save()
    await edit(store, "farm/1", age=3, legacy={"a": 1})
    return request.param


class TestOfEveryKind:
    async def test_holds_its_key_and_nothing_else(self, kind: Any, session: evsession.Session, wire: Wire) -> None:
        reference = session.get_reference(kind, "farm/1")
        assert isinstance(reference, kind)
        assert reference.id == "farm/1"
        assert session.get_reference(kind, "FARM/1") is reference
        for field in ("name", "age"):
            with pytest.raises(evsession.NotLoaded, match=field) as caught:
                getattr(reference, field)
            assert caught.value.key == "farm/1"
            assert kind.__name__ in str(caught.value)
        with pytest.raises(evsession.NotLoaded):
            getattr(reference, "name", None)
        with pytest.raises(evsession.NotLoaded):
            hasattr(reference, "name")
        assert "farm/1" in repr(reference)
        assert "not loaded" in repr(reference)
        assert bool(reference)
        assert reference == reference
        assert reference != session.get_reference(kind, "farm/2")
        assert reference in session.identity_map
        assert not session.is_dirty(reference)
        assert session.changes() == []
        assert await session.commit() == []
        assert not wire.take()

    async def test_a_written_field_is_sent_alone(
        self, kind: Any, session: evsession.Session, store: evsession.Store, wire: Wire
    ) -> None:
        """Scenario 12."""
        reference = session.get_reference(kind, "farm/1")
        if kind is Cow:
            with pytest.raises(FrozenInstanceError):
                reference.name = "New"
            return
        reference.name = "New"
        assert reference.name == "New"
        with pytest.raises(evsession.NotLoaded):
            reference.age  # noqa: B018
        assert session.is_dirty(reference)
        assert session.changes(reference) == {"name": evsession.Change(evsession.MISSING, "New")}
        await edit(store, "farm/1", age=50)
        saved = await session.commit()
        assert (saved, saved.updated) == (["farm/1"], ["farm/1"])
        assert wire.take() == BATCH
        stored = await row(store, "farm/1")
        assert (stored["name"], stored["age"], stored["legacy"]) == ("New", 50, {"a": 1})
        assert reference.name == "New"
        with pytest.raises(evsession.NotLoaded):
            reference.age  # noqa: B018
        assert not session.is_dirty(reference)
        wire.take()
        assert await session.commit() == []
        assert not wire.take()

    async def test_hydrate(self, kind: Any, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 13."""
        one, two, three = (session.get_reference(kind, f"farm/{number}") for number in (1, 2, 3))
        frozen = kind is Cow
        if not frozen:
            one.name = "Mine"
        await session.hydrate(one, two, three)
        assert len(wire.take()) == 1
        assert type(one) is kind
        assert (one.age, one.id, two.name, three.name) == (3, "farm/1", "Name 2", "Name 3")
        assert one.name == ("Name 1" if frozen else "Mine")
        assert [session.is_dirty(entity) for entity in (one, two, three)] == [not frozen, False, False]
        await session.hydrate(one, two, three)
        assert not wire.take()
        assert session.get_reference(kind, "farm/1") is one
        if not frozen:
            assert session.changes(one) == {"name": evsession.Change("Name 1", "Mine")}
            one.age = 4
            assert await session.commit() == ["farm/1"]
            stored = await row(store, "farm/1")
            assert (stored["name"], stored["age"], stored["legacy"]) == ("Mine", 4, {"a": 1})
        assert await session.commit() == []

    async def test_loading_it_makes_it_the_document(self, kind: Any, session: evsession.Session, wire: Wire) -> None:
        """Scenario 14."""
        reference = session.get_reference(kind, "farm/1")
        assert await session.load("farm/1") is reference
        assert len(wire.take()) == 1
        assert (type(reference) is kind, reference.name, reference.age) == (True, "Name 1", 3)
        assert not session.is_dirty(reference)
        assert await session.load("farm/1") is reference
        assert not wire.take()

    async def test_increment(self, kind: Any, session: evsession.Session, store: evsession.Store) -> None:
        reference = session.get_reference(kind, "farm/1")
        session.increment(reference, "age", 2)
        assert session.is_dirty(reference)
        await edit(store, "farm/1", age=50)
        assert await session.commit() == ["farm/1"]
        stored = await row(store, "farm/1")
        assert (stored["name"], stored["age"], stored["legacy"]) == ("Name 1", 52, {"a": 1})
        assert await session.commit() == []

    async def test_remove(self, kind: Any, session: evsession.Session, store: evsession.Store) -> None:
        reference = session.get_reference(kind, "farm/1")
        assert (await session.remove(reference).commit()).removed == ["farm/1"]
        assert await row(store, "farm/1") is None
        assert reference not in session.identity_map

    async def test_revert(self, kind: Any, session: evsession.Session, wire: Wire) -> None:
        reference = session.get_reference(kind, "farm/1")
        if kind is not Cow:
            reference.name = "New"
        session.increment(reference, "age", 2)
        session.revert(reference)
        with pytest.raises(evsession.NotLoaded):
            reference.name  # noqa: B018
        assert await session.commit() == []
        assert not wire.take()
        await session.hydrate(reference)
        assert (reference.name, reference.age) == ("Name 1", 3)

    async def test_refresh(self, kind: Any, session: evsession.Session) -> None:
        reference = session.get_reference(kind, "farm/1")
        await session.refresh(reference)
        assert (type(reference) is kind, reference.name, reference.age) == (True, "Name 1", 3)

    async def test_in_a_transaction(self, kind: Any, session: evsession.Session, store: evsession.Store) -> None:
        if kind is Cow:
            return
        reference = session.get_reference(kind, "farm/1")
        session.use_transaction()
        reference.name = "New"
        await session.flush()
        await session.rollback()
        assert session.is_dirty(reference)
        session.use_transaction()
        await session.flush()
        reference.age = 9
        await session.hydrate(reference)
        assert (reference.name, reference.age) == ("New", 9)
        assert await session.commit() == ["farm/1"]
        stored = await row(store, "farm/1")
        assert (stored["name"], stored["age"], stored["legacy"]) == ("New", 9, {"a": 1})

    async def test_one_that_is_missing(self, kind: Any, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 12: what writes to a missing document writes nothing at all."""
        reference = session.get_reference(kind, "farm/nobody")
        session.increment(reference, "age")
        session.add(Log("x", id="x"))
        for _ in range(2):
            with pytest.raises(evsession.SessionError) as caught:
                await session.commit()
            assert (caught.value.status_code, caught.value.key) == (404, "farm/nobody")
            assert not caught.value.uncertain
            assert await names_of(store, Log) == []
            assert session.is_dirty(reference)
        session.evict(reference)
        assert await session.commit() == ["logs/x"]


class TestHydrate:
    async def test_missing_ones(self, session: evsession.Session) -> None:
        """Scenario 13: those that exist are loaded."""
        peter, nobody = session.get_reference(User, PETER), session.get_reference(User, "users/nobody")
        told = Told()
        with pytest.raises(evsession.SessionError, match="users/nobody") as caught:
            await session.hydrate(peter, nobody, told)
        assert (caught.value.status_code, caught.value.key) == (404, "users/nobody")
        assert told.errors == [caught.value]
        assert peter.name == "Peter"
        with pytest.raises(evsession.NotLoaded):
            nobody.name  # noqa: B018

    async def test_what_is_no_reference(self, session: evsession.Session, wire: Wire) -> None:
        """Scenario 13."""
        stranger: Any
        for stranger in (User("x"), Dog(), {}, 5):
            with pytest.raises(evsession.ConfigurationError, match="not known"):
                session.hydrate(stranger)
        peter = await session.load(PETER)
        peter.name = "Petra"
        new = User("new")
        session.add(new)
        wire.take()
        await session.hydrate(peter, new)
        await session.hydrate()
        assert not wire.take()
        assert (peter.name, session.is_dirty(peter)) == ("Petra", True)

    async def test_the_same_one_twice(self, session: evsession.Session, wire: Wire) -> None:
        reference = session.get_reference(User, PETER)
        await session.hydrate(reference, reference)
        assert (reference.name, len(wire.take())) == ("Peter", 1)

    async def test_a_field_that_is_written_while_it_is_under_way(self, session: evsession.Session) -> None:
        reference = session.get_reference(User, PETER)
        operation = session.hydrate(reference)
        reference.name = "Mine"
        await operation
        assert (reference.name, reference.tags) == ("Mine", ["a", "b", "c"])
        assert session.changes(reference) == {"name": evsession.Change("Peter", "Mine")}

    async def test_after_an_increment(self, session: evsession.Session, store: evsession.Store) -> None:
        reference = session.get_reference(User, ANNA)
        session.increment(reference, "logins", 2)
        await session.hydrate(reference)
        assert await session.commit() == [ANNA]
        assert (await row(store, ANNA)).logins == 7
        assert reference.logins == 7
        assert await session.commit() == []

    async def test_of_one_that_is_removed(self, session: evsession.Session) -> None:
        reference = session.get_reference(User, PETER)
        session.remove(reference)
        await session.hydrate(reference)
        assert reference.name == "Peter"
        assert (await session.commit()).removed == [PETER]


class TestGetReference:
    async def test_of_what_is_known(self, session: evsession.Session, wire: Wire) -> None:
        peter, new = await session.load(PETER), User("new", id="new")
        session.add(new)
        wire.take()
        assert session.get_reference(User, PETER) is peter
        assert session.get_reference(User, "users/new") is new
        assert session.get_reference(User, "peter") is peter
        assert not wire.take()

    async def test_by_id_and_by_name_of_the_type(self, session: evsession.Session) -> None:
        assert session.get_reference(User, "anna").id == ANNA
        by_name = session.get_reference("User", "ben")
        assert isinstance(by_name, User)
        assert (by_name.id, session.get_reference(User, BEN) is by_name) == (BEN, True)
        dog = session.get_reference(Dog, "max")
        assert isinstance(dog, Dog)
        assert dog.id == "dogs/max"
        unknown = session.get_reference("Spaceship", "one")
        assert isinstance(unknown, evsession.Document)
        assert unknown.id == "spaceships/one"
        with pytest.raises(evsession.NotLoaded):
            unknown.name  # noqa: B018

    async def test_of_what_can_be_none(self, session: evsession.Session) -> None:
        wrong: Any
        for wrong in (dict, 5, None, int):
            with pytest.raises((TypeError, evsession.ConfigurationError)):
                session.get_reference(wrong, "x/1")
        for wrong in ("", "users/", "users|", None, 5, "a\nb"):
            with pytest.raises((TypeError, evsession.ConfigurationError)):
                session.get_reference(User, wrong)
        assert len(session.identity_map) == 0

    async def test_as_the_field_of_another(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """Scenario 10: references between documents are keys, and nothing is sent for what they refer to."""
        anna = session.get_reference(User, ANNA)
        book = Book("t", author_id=PETER, id="t")
        await session.add(book).commit()
        wire.take()
        book.author_id = anna.id
        assert session.changes(book) == {"author_id": evsession.Change(PETER, ANNA)}
        assert [change.entity for change in session.changes()] == [book]
        book.author_id = PETER
        assert not session.is_dirty(book)
        book.author_id = anna.id
        assert await session.commit() == ["books/t"]
        assert wire.take() == BATCH
        assert (await row(store, "books/t")).author_id == ANNA
        with pytest.raises(evsession.NotLoaded, match=r"User.name.*users/anna"):
            anna.name  # noqa: B018

    async def test_by_what_it_is_found(self, session: evsession.Session) -> None:
        """Scenario 11."""
        reference = session.get_reference(User, PETER)
        await session.add(Book("one", reference.id), Book("two", ANNA)).commit()
        books, _ = await session.query(Book, {"author_id": reference.id}, wait_for_non_stale=True)
        assert [book.title for book in books] == ["one"]
        assert session.get_reference(User, str(books[0].author_id)) is reference

    async def test_a_query_makes_it_the_document(self, session: evsession.Session) -> None:
        """Scenario 14."""
        reference = session.get_reference(User, ANNA)
        reference.tags = ["mine"]
        found, _ = await session.query(User, {"name": "Anna"}, wait_for_non_stale=True)
        assert found[0] is reference
        assert type(reference) is User
        assert (reference.name, reference.logins, reference.tags) == ("Anna", 5, ["mine"])
        assert session.changes(reference) == {"tags": evsession.Change([], ["mine"])}

    async def test_an_include_makes_it_the_document(self, session: evsession.Session) -> None:
        await session.add(Book("t", PETER, id="t")).commit()
        session.clear()
        reference = session.get_reference(User, PETER)
        _, includes = await session.load("books/t", "author_id")
        assert includes[0] is reference
        assert reference.name == "Peter"

    async def test_an_include_that_is_a_reference_is_fetched(self, session: evsession.Session, wire: Wire) -> None:
        await session.add(Book("t", PETER, id="t")).commit()
        reference = session.get_reference(User, PETER)
        wire.take()
        _, includes = await session.load("books/t", "author_id")
        assert includes[0] is reference
        assert reference.name == "Peter"
        assert len(wire.take()) == 1

    async def test_several_loaded_at_once(self, session: evsession.Session, wire: Wire) -> None:
        reference, anna = session.get_reference(User, PETER), await session.load(ANNA)
        wire.take()
        found = await session.load([PETER, ANNA, BEN])
        assert len(wire.take()) == 1
        assert [found[0] is reference, found[1] is anna, found[0].name, found[2].name] == [True, True, "Peter", "Ben"]

    async def test_loading_a_missing_one(self, session: evsession.Session) -> None:
        reference = session.get_reference(User, "users/nobody")
        assert await session.load("users/nobody") is None
        with pytest.raises(evsession.NotLoaded):
            reference.name  # noqa: B018


class TestWrites:
    async def test_together_with_other_entities(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        ben = await session.load(BEN)
        peter, anna = session.get_reference(User, PETER), session.get_reference(User, ANNA)
        peter.name, peter.tags = "Petra", [{"deep": [1]}]
        anna.image_id = None
        ben.name = "Benno"
        wire.take()
        saved = await session.add(Log("x")).commit()
        assert wire.take() == BATCH
        assert (sorted(saved.updated), saved.inserted) == ([ANNA, BEN, PETER], ["logs/1"])
        stored = await row(store, PETER)
        assert (stored.name, stored.tags, stored.logins) == ("Petra", [{"deep": [1]}], 0)
        stored = await row(store, ANNA)
        assert ("image_id" in stored, stored.image_id, stored.logins) == (True, None, 5)

    async def test_the_same_value_again(self, session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
        """What was written is known from then on; a value that is set once more is no change."""
        peter = session.get_reference(User, PETER)
        peter.name = "Petra"
        await session.commit()
        peter.name = "Petra"
        wire.take()
        assert await session.commit() == []
        peter.name, peter.logins = "Petra", 3
        await edit(store, PETER, name="Somebody")
        assert await session.commit() == [PETER]
        stored = await row(store, PETER)
        assert (stored.name, stored.logins) == ("Somebody", 3)

    async def test_that_change_nothing_on_the_server(self, session: evsession.Session, store: evsession.Store) -> None:
        peter = session.get_reference(User, PETER)
        peter.name = "Peter"
        assert await session.commit() == [PETER]
        assert not session.is_dirty(peter)

    async def test_of_a_document(self, session: evsession.Session, store: evsession.Store) -> None:
        dog = session.get_reference(Dog, "max")
        dog.age = 13
        dog["first name"] = "Max"
        with pytest.raises(evsession.NotLoaded):
            dog["breed"]
        for read in (len, list, dict, lambda one: "breed" in one, lambda one: one.get("breed"), lambda one: {**one}):
            with pytest.raises(evsession.NotLoaded):
                read(dog)
        assert dog.get("age") == 13
        assert "age" in dog
        with pytest.raises(evsession.SessionError) as caught:
            await session.commit()
        assert caught.value.status_code == 404
        async with store.open_session() as other:
            await other.store(Dog(breed="Beagle", id="max")).save()
        assert await session.commit() == ["dogs/max"]
        assert await row(store, "dogs/max") == {"breed": "Beagle", "age": 13, "first name": "Max"}
        del dog["age"]
        assert await session.commit() == ["dogs/max"]
        assert await row(store, "dogs/max") == {"breed": "Beagle", "first name": "Max"}

    async def test_that_cannot_be_stored(self, session: evsession.Session, wire: Wire) -> None:
        peter = session.get_reference(User, PETER)
        peter.tags = [float("nan")]
        with pytest.raises(evsession.InvalidDocument) as caught:
            await session.commit()
        assert (caught.value.key, caught.value.path) == (PETER, "tags[0]")
        assert not wire.take()

    async def test_hooks_see_what_was_written(self, session: evsession.Session, store: evsession.Store) -> None:
        events = Events(session, "update.pre", "update.post")

        @session.on("update.pre")
        def stamp(event: evsession.CommitEvent) -> None:
            event.entities[0].updated_at = "today"

        peter = session.get_reference(User, PETER)
        peter.name = "Petra"
        await session.commit()
        assert events.calls[0].changes[peter] == {"name": evsession.Change(evsession.MISSING, "Petra")}
        stored = await row(store, PETER)
        assert (stored.name, stored.updated_at, stored.logins) == ("Petra", "today", 0)

    async def test_are_not_checked_by_version(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        peter = session.get_reference(User, PETER)
        peter.name = "Petra"
        await edit(store, PETER, logins=50)
        assert await session.commit() == [PETER]
        peter.name = "Paula"
        await edit(store, PETER, logins=60)
        assert await session.commit() == [PETER]
        stored = await row(store, PETER)
        assert (stored.name, stored.logins) == ("Paula", 60)
        await session.hydrate(peter)
        await edit(store, PETER, logins=70)
        peter.name = "Petra"
        with pytest.raises(evsession.ConcurrencyError):
            await session.commit()

    async def test_an_edit_in_flight_stays_one(self, session: evsession.Session, store: evsession.Store) -> None:
        peter = session.get_reference(User, PETER)
        peter.name = "one"
        operation = session.commit()
        peter.name, peter.logins = "two", 7
        await operation
        assert (await row(store, PETER)).name == "one"
        assert session.is_dirty(peter)
        await session.commit()
        stored = await row(store, PETER)
        assert (stored.name, stored.logins) == ("two", 7)


async def test_of_a_plain_class_without_annotations(session: evsession.Session, store: evsession.Store) -> None:
    foal = Foal("New")
    await session.store(foal, key="foals/1").commit()
    session.clear()
    reference = session.get_reference(Foal, "foals/1")
    with pytest.raises(evsession.NotLoaded, match="name"):
        reference.name  # noqa: B018
    reference.age = 3
    assert await session.commit() == ["foals/1"]
    stored = await row(store, "foals/1")
    assert (stored["name"], stored["age"]) == ("New", 3)
    await session.hydrate(reference)
    assert (type(reference), reference.name, reference.age) == (Foal, "New", 3)


async def test_copies_of_a_reference_do_not_pretend(session: evsession.Session) -> None:
    reference = session.get_reference(User, PETER)
    try:
        twin = copy.copy(reference)
    except evsession.NotLoaded:
        return
    assert twin not in session.identity_map
    with pytest.raises(evsession.NotLoaded):
        twin.name  # noqa: B018


@evsession.document(collection="Owners")
@dataclass
class Owner:
    name: str = ""
    friend: Any = None
    id: str | None = None


@pytest.mark.parametrize("cls", [User, Calf, Owner, Dog])
async def test_one_that_is_not_loaded_is_no_value_of_a_field(cls: Any, session: evsession.Session, wire: Wire) -> None:
    """It would be stored in part; what refers is its key."""
    evsession.document(Owner, collection="Owners")
    reference = session.get_reference(cls, "x/1")
    for holder in (Owner(friend=reference), Dog(friend=reference)):
        session.add(holder)
        with pytest.raises(evsession.InvalidDocument, match="an entity that is not loaded cannot be stored") as caught:
            session.commit()
        assert caught.value.path == "friend"
        session.evict(holder)
    assert not wire.take()
    await session.add(Owner(friend=reference.id), Dog(friend=reference.id)).commit()
