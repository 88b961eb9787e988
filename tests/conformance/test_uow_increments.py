"""Increments: what is added on the server, so that nobody's is lost."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from evsession import Change
from tests.conformance.farm import KINDS, Cow, declare
from tests.conformance.kennel import Dog, Wire, put
from tests.conformance.shelf import ANNA, BEN, PETER, Log, User, edit, row

pytestmark = pytest.mark.usefixtures("users")

BATCH = ["POST /bulk_docs"]


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


async def test_of_others_are_kept(session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
    """Scenario 18."""
    user = User("x", logins=1, id="x")
    await session.add(user).commit()
    session.increment(user, "logins", 2)
    assert user.logins == 3
    assert session.is_dirty(user)
    assert session.changes(user) == {"logins": Change(1, 3)}
    await edit(store, "users/x", logins=11)
    wire.take()
    saved = await session.commit()
    assert (saved.updated, wire.take()) == (["users/x"], BATCH)
    assert (user.logins, (await row(store, "users/x")).logins) == (13, 13)
    assert not session.is_dirty(user)
    assert await session.commit() == []
    user.logins = 1
    await session.commit()
    assert (await row(store, "users/x")).logins == 1


async def test_together_with_an_edit(session: evsession.Session, store: evsession.Store, wire: Wire) -> None:
    """Scenario 18: one command carries both, and other fields of the server stay."""
    anna = await session.load(ANNA)
    await edit(store, ANNA, logins=100, legacy=1, version=7)
    session.increment(anna, "logins", 2)
    anna.name, anna.tags = "Anne", ["new"]
    plan = session.plan()
    assert len(plan.requests) == 1
    wire.take()
    assert await session.commit() == [ANNA]
    assert wire.take() == BATCH
    stored = await row(store, ANNA)
    assert (stored.logins, stored.name, stored.tags, stored.legacy) == (102, "Anne", ["new"], 1)
    assert anna.logins == 102
    assert await session.commit() == []
    anna.name = "Anna"
    await session.commit()
    assert (await row(store, ANNA)).legacy == 1


async def test_of_two_sessions_at_once(session: evsession.Session, store: evsession.Store) -> None:
    async with store.open_session() as other:
        for each in (session, other):
            each.increment(await each.load(ANNA), "logins", 1)
        operations = [session.commit(), other.commit()]
        for operation in operations:
            assert await operation == [ANNA]
    assert (await row(store, ANNA)).logins == 7


async def test_several_are_one(session: evsession.Session, store: evsession.Store) -> None:
    anna = await session.load(ANNA)
    session.increment(anna, "logins", 2)
    session.increment(anna, "logins", -5)
    session.increment(anna, "logins")
    session.increment(anna, "version", 4)
    await edit(store, ANNA, logins=100)
    await session.commit()
    stored = await row(store, ANNA)
    assert (stored.logins, stored.version) == (98, 4)
    assert (anna.logins, anna.version) == (98, 4)


async def test_that_come_to_nothing(session: evsession.Session, store: evsession.Store) -> None:
    anna = await session.load(ANNA)
    session.increment(anna, "logins", 2)
    session.increment(anna, "logins", -2)
    await edit(store, ANNA, logins=100, name="Anne")
    await session.commit()
    assert (await row(store, ANNA)).logins == 100
    assert (anna.logins, anna.name) == (100, "Anne")
    assert await session.commit() == []


async def test_fractions(session: evsession.Session, store: evsession.Store) -> None:
    await put(store, {"dogs/1": {"weight": 1.5}})
    dog = await session.load("dogs/1")
    session.increment(dog, "weight", 0.25)
    await session.commit()
    assert (await row(store, "dogs/1")).weight == dog.weight == 1.75


async def test_of_a_field_that_is_not_there(session: evsession.Session, store: evsession.Store) -> None:
    await put(store, {"dogs/1": {"none": None}})
    dog = await session.load("dogs/1")
    session.increment(dog, "age", 2)
    session.increment(dog, "none", 3)
    assert dog == {"none": 3, "age": 2}
    await session.commit()
    assert await row(store, "dogs/1") == {"none": 3, "age": 2}
    peter = await session.load(PETER)
    session.increment(peter, "version", 2)
    await session.commit()
    assert (await row(store, PETER)).version == 2


async def test_of_a_new_entity(session: evsession.Session, store: evsession.Store) -> None:
    user = User("x", logins=1, id="x")
    session.add(user)
    session.increment(user, "logins", 2)
    assert (await session.commit()).inserted == ["users/x"]
    assert (await row(store, "users/x")).logins == 3
    assert await session.commit() == []


async def test_a_value_that_is_set_afterwards_counts(session: evsession.Session, store: evsession.Store) -> None:
    anna = await session.load(ANNA)
    await edit(store, ANNA, logins=100)
    session.increment(anna, "logins", 2)
    anna.logins = 50
    await session.commit()
    assert (await row(store, ANNA)).logins == anna.logins == 50
    assert await session.commit() == []


async def test_in_flight(session: evsession.Session, store: evsession.Store) -> None:
    """One that is made while another is under way is sent by the next commit, and counts from the server's value."""
    anna = await session.load(ANNA)
    await edit(store, ANNA, logins=100)
    session.increment(anna, "logins", 1)
    first = session.commit()
    session.increment(anna, "logins", 10)
    await first
    assert (await row(store, ANNA)).logins == 101
    assert anna.logins == 111
    await edit(store, ANNA, logins=201)
    assert await session.commit() == [ANNA]
    assert (await row(store, ANNA)).logins == anna.logins == 211
    assert await session.commit() == []


async def test_two_commits_in_flight(session: evsession.Session, store: evsession.Store) -> None:
    anna = await session.load(ANNA)
    await edit(store, ANNA, logins=100)
    session.increment(anna, "logins", 1)
    first = session.commit()
    session.increment(anna, "logins", 10)
    second = session.commit()
    anna.name = "Anne"
    third = session.commit()
    for operation in (first, second, third):
        assert await operation == [ANNA]
    stored = await row(store, ANNA)
    assert (stored.logins, stored.name, anna.logins) == (111, "Anne", 111)
    assert await session.commit() == []


async def test_an_edit_of_the_field_in_flight_is_kept(session: evsession.Session, store: evsession.Store) -> None:
    anna = await session.load(ANNA)
    session.increment(anna, "logins", 1)
    operation = session.commit()
    anna.logins = 50
    await operation
    assert anna.logins == 50
    assert await session.commit() == [ANNA]
    assert (await row(store, ANNA)).logins == 50


async def test_a_commit_that_fails_keeps_them(session: evsession.Session, store: evsession.Store) -> None:
    session.options.use_optimistic_concurrency = True
    anna, ben = await session.load([ANNA, BEN])
    session.increment(anna, "logins", 2)
    ben.name = "Benno"
    await edit(store, BEN, logins=50)
    for _ in range(2):
        with pytest.raises(evsession.ConcurrencyError):
            await session.commit()
    assert (anna.logins, session.changes(anna)) == (7, {"logins": Change(5, 7)})
    session.evict(ben)
    await edit(store, ANNA, logins=100)
    assert await session.commit() == [ANNA]
    assert ((await row(store, ANNA)).logins, anna.logins) == (102, 102)


class TestOptimisticConcurrency:
    async def test_alone_they_never_conflict(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        anna = await session.load(ANNA)
        session.increment(anna, "logins", 2)
        await edit(store, ANNA, logins=100)
        assert await session.commit() == [ANNA]
        assert (await row(store, ANNA)).logins == 102

    async def test_with_an_edit_they_do(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        anna = await session.load(ANNA)
        session.increment(anna, "logins", 2)
        anna.name = "Anne"
        await edit(store, ANNA, logins=100)
        with pytest.raises(evsession.ConcurrencyError) as caught:
            await session.commit()
        assert caught.value.key == ANNA
        assert (await row(store, ANNA)).logins == 100

    async def test_the_version_moves_on(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        anna = await session.load(ANNA)
        session.increment(anna, "logins", 2)
        await session.commit()
        anna.name = "Anne"
        assert await session.commit() == [ANNA]


@pytest.mark.parametrize("wrong", ["1", None, True, float("nan"), float("inf"), [1]], ids=repr)
async def test_by_what_is_no_number(session: evsession.Session, wrong: Any) -> None:
    anna = await session.load(ANNA)
    with pytest.raises(TypeError):
        session.increment(anna, "logins", wrong)
    assert (anna.logins, session.is_dirty(anna)) == (5, False)


async def test_what_cannot_be_incremented(session: evsession.Session) -> None:
    anna, ben = await session.load([ANNA, BEN])
    for field in ("name", "tags"):
        with pytest.raises(TypeError, match=field):
            session.increment(anna, field)
    await session.add(dog := Dog(good=True, id="d")).commit()
    with pytest.raises(TypeError, match="good"):
        session.increment(dog, "good")
    session.remove(ben)
    with pytest.raises(evsession.ConfigurationError):
        session.increment(ben, "logins")
    assert [change.entity for change in session.changes()] == [ben]


@pytest.mark.parametrize("is_reference", [True, False])
async def test_of_a_field_that_the_class_lacks(is_reference: bool, session: evsession.Session) -> None:
    anna = session.get_reference(User, ANNA) if is_reference else await session.load(ANNA)
    with pytest.raises(evsession.ConfigurationError, match="User has no field 'logns'; there are: name, "):
        session.increment(anna, "logns")
    for wrong in ("", None, 3):
        with pytest.raises(TypeError, match="a field is named by a text"):
            session.increment(anna, wrong)  # type: ignore[arg-type]
    assert not session.is_dirty(anna)


async def test_of_one_that_is_gone_on_the_server(session: evsession.Session, store: evsession.Store) -> None:
    anna = await session.load(ANNA)
    session.increment(anna, "logins")
    async with store.open_session() as other:
        await other.delete(ANNA)
    session.add(Log("x", id="x"))
    with pytest.raises(evsession.SessionError) as caught:
        await session.commit()
    assert (caught.value.status_code, caught.value.key) == (404, ANNA)
    assert await row(store, "logs/x") is None
    assert session.is_dirty(anna)


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.__name__)
async def test_of_every_kind(session: evsession.Session, store: evsession.Store, cls: Any) -> None:
    declare()
    entity = cls(name="x")
    await session.store(entity, key="farm/1").commit()
    if cls is Cow:
        with pytest.raises(AttributeError):
            session.increment(entity, "age", 2)
        assert await session.commit() == []
        return
    session.increment(entity, "age", 2)
    await edit(store, "farm/1", age=100, legacy=1)
    assert await session.commit() == ["farm/1"]
    stored = await row(store, "farm/1")
    assert (stored["age"], stored["legacy"], entity.age) == (102, 1, 102)
    assert await session.commit() == []


async def test_show_what_others_have_changed(session: evsession.Session, store: evsession.Store) -> None:
    session.options.use_optimistic_concurrency = True
    anna = await session.load(ANNA)
    await edit(store, ANNA, name="Theirs", legacy=1)
    session.increment(anna, "logins", 2)
    assert await session.commit() == [ANNA]
    assert (anna.name, anna.logins) == ("Theirs", 7)
    assert not session.is_dirty(anna)
    anna.version = 3
    assert await session.commit() == [ANNA]
    stored = await row(store, ANNA)
    assert (stored.name, stored.logins, stored.version, stored.legacy) == ("Theirs", 7, 3, 1)


async def test_do_not_hide_what_others_have_changed(session: evsession.Session, store: evsession.Store) -> None:
    session.options.use_optimistic_concurrency = True
    anna = await session.load(ANNA)
    await edit(store, ANNA, name="Theirs")
    session.increment(anna, "logins", 2)
    operation = session.commit()
    anna.version = 3
    await operation
    assert (anna.name, anna.logins) == ("Anna", 7)
    with pytest.raises(evsession.ConcurrencyError):
        await session.commit()
    stored = await row(store, ANNA)
    assert (stored.name, stored.logins, "version" in stored) == ("Theirs", 7, False)


async def test_of_an_entity_that_cannot_be_stored_any_more(session: evsession.Session, store: evsession.Store) -> None:
    anna = await session.load(ANNA)
    await edit(store, ANNA, name="Theirs")
    session.increment(anna, "logins", 2)
    operation = session.commit()
    anna.tags = [float("nan")]
    await operation
    assert (anna.name, anna.logins) == ("Anna", 7)
    session.revert(anna)
    assert not session.is_dirty(anna)


@pytest.mark.parametrize("value", ["text", True, [1], {"a": 1}])
async def test_of_what_is_no_number_any_more(session: evsession.Session, store: evsession.Store, value: Any) -> None:
    await put(store, {"dogs/max": {"age": 1}})
    max = await session.load("dogs/max")
    await edit(store, "dogs/max", age=value)
    session.increment(max, "age", 2)
    log = Log("x", id="x")
    with pytest.raises(evsession.PatchError, match="'age' of 'dogs/max' holds no number") as caught:
        await session.add(log).commit()
    assert (caught.value.key, caught.value.uncertain) == ("dogs/max", False)
    assert (await row(store, "dogs/max"))["age"] == value
    assert await row(store, "logs/x") is None
    assert session.changes(max) == {"age": Change(1, 3)}


@pytest.mark.parametrize("is_loaded", [True, False])
async def test_that_the_field_cannot_hold(session: evsession.Session, *, is_loaded: bool) -> None:
    anna = await session.load(ANNA) if is_loaded else session.get_reference(User, ANNA)
    with pytest.raises(evsession.InvalidDocument) as caught:
        session.increment(anna, "logins", 0.5)
    assert caught.value.path == "logins"
    assert session.changes() == []
    await session.aclose()
    with pytest.raises(evsession.SessionClosed):
        session.increment(anna, "logins")
