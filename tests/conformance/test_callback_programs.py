"""Whole programs of callbacks, as the design and the document of 2012 show them: plain functions, nothing async.

`run` returns when every callback has been called.
"""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from tests.conformance.kennel import BILLY, JESS, MAX, MUM, Dog, Told, read

pytestmark = pytest.mark.usefixtures("family")


def test_the_program_of_the_design(make_store: Any) -> None:
    store = make_store()
    conflicts, printed = Told(), Told()

    @store.on(409)
    def conflict(error: evsession.SessionError) -> None:
        conflicts(error.status_code, error.message)

    def main() -> None:
        session = store.open_session()

        def loaded(error: Any, max: Any) -> None:
            if error is None:
                max.age = 13
                session.save(lambda error, keys: printed(keys))

        session.load(MAX, loaded)

    store.run(main)
    assert printed.calls == [([MAX],)]
    assert not conflicts.calls
    assert store.run(read, store, MAX).age == 13


def test_nothing_has_happened_yet_when_a_method_returns(make_store: Any) -> None:
    store, order = make_store(), Told()

    def main() -> str:
        max: list[Any] = []
        session = store.open_session()

        def loaded(error: Any, result: Any) -> None:
            max.append(result)
            order("loaded", result.name)

        session.load(MAX, loaded)
        order("called", list(max))
        return "result"

    assert store.run(main) == "result"
    assert order.calls == [("called", []), ("loaded", "Max")]


def test_errors_have_status_and_message(make_store: Any) -> None:
    store, told = make_store(), Told()

    def main() -> None:
        def deleted(error: Any) -> None:
            told(f"HTTP {error.status_code}: {error.message}")

        store.open_session().delete(MAX, "A:1-nothing", deleted)

    store.run(main)
    ((text,),) = told.calls
    assert text.startswith("HTTP 409: Document dogs/max has change vector ")
    assert "\n" not in text


def test_handlers_and_the_callback_are_both_told(make_store: Any) -> None:
    store, order = make_store(), Told()
    store.on("error", lambda error: order("store"))

    def main() -> None:
        session = store.open_session()
        session.on("409", lambda error: order("session", error.status_code))
        session.delete(MAX, "A:1-nothing", lambda error: order("callback", error.status_code))

    store.run(main)
    assert order.calls == [("session", 409), ("callback", 409)]


def test_store_then_save(make_store: Any) -> None:
    store, told = make_store(), Told()

    def main() -> None:
        session = store.open_session()
        max = Dog(name="Max", breed="Golden Retriever", age=12)
        session.store(max)
        session.store([Dog(name="Jess", breed="German Shepherd", age=7), Dog(name="Billy", breed="Labrador", age=2)])
        max.age = 13

        def saved(error: Any, keys: Any) -> None:
            told(error, keys, max.id)
            max.age = 14
            session.save(told)

        session.save(saved)

    store.run(main)
    assert told.calls == [(None, ["dogs/1", "dogs/2", "dogs/3"], "dogs/1"), (None, ["dogs/1"])]
    assert store.run(read, store, "dogs/1").age == 14


def test_saving_without_a_callback(make_store: Any) -> None:
    store = make_store()

    def main() -> None:
        session = store.open_session()

        def loaded(error: Any, max: Any) -> None:
            max.age = 99
            session.save()

        session.load(MAX, loaded)

    store.run(main)
    assert store.run(read, store, MAX).age == 99


def test_a_conflict_while_saving(make_store: Any) -> None:
    store, told = make_store(options={"use_optimistic_concurrency": True}), Told()

    def main() -> None:
        mine, theirs = store.open_session(), store.open_session()

        def loaded_by_them(error: Any, max: Any, ours: Any) -> None:
            max.age = 20
            theirs.save(lambda error, keys: save_ours(ours))

        def save_ours(max: Any) -> None:
            max.age = 13
            mine.save(told)

        mine.load(MAX, lambda error, ours: theirs.load(MAX, lambda error, max: loaded_by_them(error, max, ours)))

    store.run(main)
    ((error, keys),) = told.calls
    assert (error.status_code, error.key, keys) == (409, MAX, None)
    assert store.run(read, store, MAX).age == 20


def test_includes_and_the_cache(make_store: Any) -> None:
    store, told, sent = make_store(), Told(), Told()
    store.on("request", sent)

    def main() -> None:
        session = store.open_session()

        def loaded(error: Any, max: Any, includes: Any) -> None:
            told(includes.load(max.puppy).name, includes.load(max.mother).name)
            session.load(max.puppy, lambda error, puppy: told(puppy.name))

        session.load(MAX, ["puppy", "mother"], loaded)

    store.run(main)
    assert told.calls == [("Jess", "Mum"), ("Jess",)]
    assert len(sent.calls) == 1


def test_batches_queries_and_their_queryables(make_store: Any) -> None:
    store, told = make_store(), Told()

    def main() -> None:
        session = store.open_session()

        def loaded(error: Any, documents: Any, includes: Any) -> None:
            told("load", [includes.load(documents.load(key).puppy).name for key in (MAX, JESS)])

        def found(error: Any, documents: Any, statistics: Any) -> None:
            told("query", documents.select("name"), statistics.total, documents.any(lambda dog: dog.age > 10))

        def projected(error: Any, rows: Any) -> None:
            told("projections", [dict(row) for row in rows])

        session.load([MAX, JESS], "puppy", loaded)
        session.query("Dog", {"breed": "Labrador"}, {"sort": "-age"}, found)
        session.query(Dog, {"age": "5 TO 12"}, {"projections": ["name"], "sort": "age", "page_size": 1}, projected)

    store.run(main)
    assert sorted(told.calls, key=lambda call: str(call[0])) == [
        ("load", ["Jess", "Billy"]),
        ("projections", [{"__document_id": JESS, "name": "Jess"}]),
        ("query", ["Mum", "Billy"], 2, True),
    ]


def test_delete_exists_and_patch(make_store: Any) -> None:
    store, told = make_store(), Told()

    def main() -> None:
        session = store.open_session()
        birthday = {"Type": "Inc", "Name": "age", "Value": 1}

        def patched(error: Any) -> None:
            told("patched", error)
            session.load(MAX, lambda error, max: session.delete([max, JESS, {"key": BILLY}], deleted))

        def deleted(error: Any) -> None:
            told("deleted", error)
            session.exists(MAX, lambda error, exists: told("max", exists))
            session.delete(MUM)

        session.patch(MAX, [birthday], patched)

    store.run(main)
    assert told.calls == [("patched", None), ("deleted", None), ("max", False)]
    assert store.run(read, store, MUM) is None


def test_an_exception_in_a_callback_leaves_run(make_store: Any) -> None:
    store = make_store()

    def main() -> None:
        store.open_session().load(MAX, lambda error, max: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        store.run(main)
    assert store.run(read, store, MAX).name == "Max"


def test_a_main_whose_body_would_not_run_is_refused(make_store: Any) -> None:
    def main() -> Any:
        yield

    with pytest.raises(TypeError, match="generator"):
        make_store().run(main)


def test_an_async_main_with_arguments(make_store: Any) -> None:
    store = make_store()

    async def main(key: str, field: str) -> Any:
        async with store.open_session() as session:
            return (await session.load(key))[field]

    assert store.run(main, MAX, "age") == 12
