"""Every verb of the unit of work as programs of callbacks use it: plain functions, nothing async; and each awaited as well."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from tests.conformance.kennel import Told
from tests.conformance.shelf import ANNA, BEN, PETER, Book, Log, User, edit, names_of, row

pytestmark = pytest.mark.usefixtures("users")


@pytest.fixture
def database(emptied_database: str) -> str:
    return emptied_database


def test_a_whole_program(make_store: Any) -> None:
    """Load, edit, add, remove, commit, and again: each step in the callback of the one before."""
    store, told = make_store(), Told()

    @store.on("update.pre", type=User)
    def stamp(event: evsession.CommitEvent) -> None:
        for user in event.entities:
            user.version += 1

    def main() -> None:
        session = store.open_session()

        def loaded(error: Any, users: Any) -> None:
            peter, anna, ben = users
            peter.name = "Petra"
            session.increment(anna, "logins", 2)
            session.add(Book("t", author_id=peter.id)).remove(ben)
            session.commit(lambda error, saved: committed(error, saved, peter))

        def committed(error: Any, saved: Any, peter: Any) -> None:
            told("committed", error, saved, saved.inserted, saved.updated, saved.removed)
            peter.name = "Paula"
            session.save(lambda error, saved: told("saved", error, saved))

        session.load([PETER, ANNA, BEN], loaded)

    store.run(main)
    assert told.calls == [
        ("committed", None, [PETER, ANNA, "books/1"], ["books/1"], [PETER, ANNA], [BEN]),
        ("saved", None, [PETER]),
    ]
    stored = store.run(row, store, PETER)
    assert (stored.name, stored.version) == ("Paula", 2)
    assert store.run(row, store, ANNA).logins == 7


def test_a_transaction(make_store: Any) -> None:
    store, told = make_store(), Told()

    def main() -> None:
        session = store.open_session()
        session.use_transaction()
        session.add(Log("1", id="1"))

        def flushed(error: Any, saved: Any) -> None:
            told("flushed", error, saved, session.has_transaction())
            session.rollback(rolled_back)

        def rolled_back(error: Any) -> None:
            told("rolled back", error, session.has_transaction(), [change.kind for change in session.changes()])
            session.use_transaction()
            session.flush(flushed_again)

        def flushed_again(error: Any, saved: Any) -> None:
            session.add(Log("2", id="2"))
            session.commit_transaction(ended)

        def ended(error: Any, saved: Any) -> None:
            told("ended", error, saved, session.has_transaction())
            session.transaction(lambda given: given.add(Log("3", id="3")) and "value", done)

        def done(error: Any, value: Any) -> None:
            told("done", error, value)

        session.flush(flushed)

    store.run(main)
    assert told.calls == [
        ("flushed", None, ["logs/1"], True),
        ("rolled back", None, False, ["insert"]),
        ("ended", None, ["logs/1"], False),
        ("done", None, "value"),
    ]
    assert store.run(names_of, store, Log) == ["1", "2", "3"]


def test_references(make_store: Any) -> None:
    store, told = make_store(), Told()

    def main() -> None:
        session = store.open_session()
        peter, anna = session.get_reference(User, PETER), session.get_reference(User, ANNA)

        def hydrated(error: Any) -> None:
            told("hydrated", error, peter.name, anna.name)
            peter.name = "Petra"
            session.refresh(peter, refused)

        def refused(error: Any) -> None:
            told("refused", type(error), error.key)
            session.refresh(peter, anna, force=True, callback=refreshed)

        def refreshed(error: Any) -> None:
            told("refreshed", error, peter.name)

        session.hydrate(peter, anna, hydrated)

    store.run(main)
    assert told.calls == [
        ("hydrated", None, "Peter", "Anna"),
        ("refused", evsession.DirtyEntity, PETER),
        ("refreshed", None, "Peter"),
    ]


def test_a_conflict(make_store: Any) -> None:
    store, order = make_store(options={"use_optimistic_concurrency": True}), Told()
    store.on(409, lambda error: order("handler", error.key))

    def main() -> None:
        mine, theirs = store.open_session(), store.open_session()

        def loaded(error: Any, peter: Any) -> None:
            peter.name = "mine"
            theirs.load(PETER, lambda error, other: change(peter, other))

        def change(peter: Any, other: Any) -> None:
            other.name = "theirs"
            theirs.commit(lambda error, saved: mine.commit(lambda error, saved: refused(error, saved, peter)))

        def refused(error: Any, saved: Any, peter: Any) -> None:
            order("callback", error.key, saved, mine.is_dirty(peter))
            mine.refresh(peter, force=True, callback=lambda error: again(peter))

        def again(peter: Any) -> None:
            peter.logins += 1
            mine.commit(lambda error, saved: order("again", error, saved))

        mine.load(PETER, loaded)

    store.run(main)
    assert order.calls == [("handler", PETER), ("callback", PETER, None, True), ("again", None, [PETER])]
    stored = store.run(row, store, PETER)
    assert (stored.name, stored.logins) == ("theirs", 1)


def test_hooks_and_callbacks_in_order(make_store: Any) -> None:
    store, order = make_store(), Told()
    for name in ("commit.pre", "insert.pre", "insert.post", "commit.post"):
        store.on(name, lambda event: order(event.name))

    def main() -> None:
        session = store.open_session()
        session.add(Log("x")).commit(lambda error, saved: order("callback", saved))
        order("called")

    store.run(main)
    assert order.calls == [
        ("called",),
        *(("commit.pre",), ("insert.pre",), ("insert.post",), ("commit.post",)),
        ("callback", ["logs/1"]),
    ]


def test_nothing_listens(make_store: Any) -> None:
    """Neither callback nor await: the program ends when it is done."""
    store = make_store()

    def main() -> None:
        session = store.open_session()
        session.add(Log("1")).commit()
        session.add(Log("2")).save()
        session.use_transaction()
        session.add(Log("3")).flush()
        session.commit()

    store.run(main)
    assert store.run(names_of, store, Log) == ["1", "2", "3"]


def test_an_exception_in_a_hook(make_store: Any) -> None:
    """The callback gets it; the program goes on."""
    store, told = make_store(), Told()

    def fail(event: evsession.CommitEvent) -> None:
        raise LookupError("own")

    def main() -> None:
        session = store.open_session()
        session.once("insert.pre", fail)

        def failed(error: Any, saved: Any) -> None:
            told(type(error), saved)
            session.commit(lambda error, saved: told(error, saved))

        session.add(Log("x")).commit(failed)

    store.run(main)
    assert told.calls == [(LookupError, None), (None, ["logs/1"])]


VERBS: dict[str, Any] = {
    "commit": (lambda session, user, *more: session.commit(*more), [PETER]),
    "save": (lambda session, user, *more: session.save(*more), [PETER]),
    "flush": (lambda session, user, *more: session.flush(*more), [PETER]),
    "commit_transaction": (lambda session, user, *more: session.commit_transaction(*more), []),
    "rollback": (lambda session, user, *more: session.rollback(*more), None),
    "transaction": (lambda session, user, *more: session.transaction(lambda given: "value", *more), "value"),
    "hydrate": (lambda session, user, *more: session.hydrate(session.get_reference(User, ANNA), *more), None),
    "refresh": (lambda session, user, *more: session.refresh(user, *more, force=True), None),
}


@pytest.mark.parametrize("verb", VERBS)
class TestEachVerb:
    async def test_awaited_and_with_a_callback(self, verb: str, session: evsession.Session) -> None:
        call, expected = VERBS[verb]
        peter = await session.load(PETER)
        peter.name = "one"
        assert await call(session, peter) == expected
        peter.name = "two"
        told = Told()
        operation = call(session, peter, told)
        assert told.calls == []
        assert await operation == expected
        assert await operation == expected
        await session.drain()
        assert told.calls == [(None,) if expected is None else (None, expected)]
        assert operation.name == verb
        assert operation.is_done

    async def test_with_an_async_callback(self, verb: str, session: evsession.Session) -> None:
        call, expected = VERBS[verb]
        peter = await session.load(PETER)
        peter.name = "one"
        calls: list[Any] = []

        async def callback(error: Any, *results: Any) -> None:
            await session.load(BEN)
            calls.append((error, *results))

        call(session, peter, callback)
        await session.drain()
        assert calls == [(None,) if expected is None else (None, expected)]

    async def test_that_takes_the_error_alone(self, verb: str, session: evsession.Session) -> None:
        call, _ = VERBS[verb]
        peter = await session.load(PETER)
        errors: list[Any] = []
        call(session, peter, lambda error: errors.append(error))
        await session.drain()
        assert errors == [None]

    async def test_that_is_no_callback(self, verb: str, session: evsession.Session) -> None:
        if verb in ("hydrate", "refresh"):  # what is no callback there is an entity that nobody knows
            return
        call, _ = VERBS[verb]
        peter = await session.load(PETER)
        peter.name = "one"
        for wrong in (5, "callback", lambda: None):
            with pytest.raises(TypeError):
                call(session, peter, wrong)
        assert session.is_dirty(peter)
        assert await session.commit() == [PETER]

    async def test_of_a_store_that_has_ended(self, verb: str, make_store: Any) -> None:
        call, _ = VERBS[verb]
        async with make_store() as store:
            session = store.open_session()
            peter = await session.load(PETER)
        told = Told()
        with pytest.raises(evsession.SessionClosed):
            call(session, peter, told)
        assert told.calls == []


@pytest.mark.parametrize("verb", ["commit", "save", "flush", "transaction"])
async def test_a_failure_reaches_the_callback_once(verb: str, session: evsession.Session, store: evsession.Store) -> None:
    session.options.use_optimistic_concurrency = True
    peter = await session.load(PETER)
    await edit(store, PETER, logins=50)
    peter.name = "one"
    told = Told()
    VERBS[verb][0](session, peter, told)
    await session.drain()
    assert [(type(error), *rest) for error, *rest in told.calls] == [(evsession.ConcurrencyError, None)]
    assert session.is_dirty(peter)


async def test_a_failure_that_nobody_hears_is_logged(
    session: evsession.Session, store: evsession.Store, caplog: pytest.LogCaptureFixture
) -> None:
    session.options.use_optimistic_concurrency = True
    peter = await session.load(PETER)
    await edit(store, PETER, logins=50)
    peter.name = "one"
    session.commit()
    await session.drain()
    assert [(record.name, record.levelname) for record in caplog.records] == [("evsession", "WARNING")]
    assert "commit" in caplog.text
