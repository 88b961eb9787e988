"""Streams: results of any size, one document at a time, in constant memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
import trio

import evsession
from tests.conformance.kennel import MAX, Dog, Told, Wire, names, put
from tests.conformance.pack import EVERYBODY

MANY = 20_000


@pytest.mark.parametrize(
    ("source", "params", "specs", "expected"),
    [
        (Dog, None, None, EVERYBODY),
        ("Dog", None, None, EVERYBODY),
        ("Dogs", {}, {}, EVERYBODY),
        (Dog, {"breed": "Labrador"}, None, ["Billy", "Russell"]),
        (Dog, {"age": "[5 TO 12}", "name": "(Jess OR Max OR Zoe)"}, None, ["Jess", "Zoe"]),
        (Dog, None, {"sort": "-age", "page_size": 2}, ["Max", "Zoe"]),
        (Dog, {"age": "*"}, {"sort": "age", "start": 6}, ["Max", "Zoe"]),
        ("from Dogs where age > $age", {"age": 10.5}, None, ["Max", "Zoe"]),
        ("from index 'Cats' ", None, None, None),
        ("  FROM Cats order by age as long", None, None, ["Felix", "Tom"]),
        ("declare function f(d) { return {name: d.name + '!'}; } from Cats as c select f(c)", None, None, ["Felix!", "Tom!"]),
        ("Unicorn", None, None, []),
    ],
)
async def test_sources(pack: evsession.Session, source: Any, params: Any, specs: Any, expected: list[str] | None) -> None:
    stream = pack.stream(source, params, specs)
    if expected is None:
        with pytest.raises(evsession.QueryError):
            await stream.__anext__()
        return
    assert names([document async for document in stream]) == expected
    assert stream.count == len(expected)


async def test_order_is_kept(pack: evsession.Session) -> None:
    found = [dog.name async for dog in pack.stream(Dog, sort="age")]
    assert found == ["Bob", "Ghost", "Billy", "Russell", "Jess", "Anna", "Zoe", "Max"]


async def test_documents_are_whole_and_not_remembered(pack: evsession.Session) -> None:
    wire = Wire(pack)
    known = await pack.load(MAX)
    known.age = 99
    (streamed,) = [dog async for dog in pack.stream(Dog, {"name": "Max"})]
    assert (type(streamed), streamed.id, streamed.age) == (Dog, MAX, 12)
    assert streamed is not known
    assert streamed.metadata["@change-vector"]
    known.age = 12
    streamed.age = 5
    assert await pack.save() == []
    assert wire.take() == ["GET /docs", "POST /queries"]


async def test_projections(pack: evsession.Session) -> None:
    rows = [row async for row in pack.stream(Dog, {"name": "Max"}, projections=["age", "first name"])]
    assert rows == [{"__document_id": MAX, "age": 12, "first name": "Maximilian"}]


async def test_with_on_document_and_callback(pack: evsession.Session) -> None:
    told, seen = Told(), Told()
    assert await pack.stream(Dog, {"breed": "Labrador"}, told, on_document=seen) == 2
    assert names([call[0] for call in seen.calls]) == ["Billy", "Russell"]
    assert told.calls == [(None, 2)]


async def test_on_document_cannot_wait_for_its_own_stream(pack: evsession.Session) -> None:
    for wait in (pack.drain, pack.aclose, pack.close):
        with pytest.raises(evsession.TransactionError, match=r"in the work of stream\(\)"):
            await pack.stream(Dog, on_document=lambda dog, wait=wait: wait())
    assert await pack.stream(Dog, on_document=lambda dog: pack.exists(MAX)) == len(EVERYBODY)


async def test_an_async_on_document_holds_the_stream(pack: evsession.Session) -> None:
    busy, seen = trio.CapacityLimiter(1), []

    async def look(dog: Any) -> None:
        async with busy:
            assert busy.borrowed_tokens == 1
            await trio.lowlevel.checkpoint()
            seen.append(dog.name)

    assert await pack.stream("Dog", sort="age", on_document=look) == 8
    assert seen[0] == "Bob"


async def test_a_callback_alone(pack: evsession.Session) -> None:
    told = Told()
    pack.stream("Cat", told)
    await pack.drain()
    assert told.calls == [(None, 2)]


@pytest.mark.parametrize("rql", ["from Dogs wher name = 1", "from index 'NoSuchIndex'", "from Dogs where lucene("])
async def test_what_the_server_refuses(pack: evsession.Session, rql: str) -> None:
    handled, told = Told(), Told()
    pack.on("error", handled)
    with pytest.raises(evsession.QueryError) as caught:
        async for _ in pack.stream(rql):
            pytest.fail("there is nothing to give")
    assert caught.value.operation == "stream"
    assert "   at " not in str(caught.value)
    assert handled.calls == [(caught.value,)]
    with pytest.raises(evsession.QueryError):
        await pack.stream(rql, callback=told)
    assert len(told.calls) == 1
    assert isinstance(told.calls[0][0], evsession.QueryError)
    assert names((await pack.query("Cat"))[0]) == ["Felix", "Tom"]


async def test_what_can_be_no_stream_is_refused(unsent: evsession.Session) -> None:
    for call in (
        lambda: unsent.stream(Dog, {"age": "[5 TO"}),
        lambda: unsent.stream(Dog, {}, {"pageSize": 5}),
        lambda: unsent.stream(Dog, on_document=5),
        lambda: unsent.stream("from Dogs", sort="age"),
        lambda: unsent.stream(""),
    ):
        with pytest.raises((evsession.SessionError, TypeError)):
            call()


class TestMany:
    async def test_in_constant_memory_and_left_early(self, store: evsession.Store, session: evsession.Session) -> None:
        async with store.bulk_insert() as insert:
            for number in range(MANY):
                await insert.store(Dog(number=number, text="x" * 200), key=f"dogs/{number}")

        seen = 0
        async for _ in session.stream(Dog, page_size=100):  # warm up
            pass
        tracemalloc.start()
        try:
            async for dog in session.stream(Dog):
                seen += dog.number
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert seen == MANY * (MANY - 1) // 2
        # The whole result takes more than 20 MB as documents.
        assert peak < 4_000_000

        async for _ in session.stream(Dog):
            break
        for _ in range(3):
            early = session.stream(Dog)
            assert isinstance(await early.__anext__(), Dog)
            early.close()
            with pytest.raises(StopAsyncIteration):
                await early.__anext__()
        with trio.CancelScope() as scope:
            async for _ in session.stream(Dog):
                scope.cancel()
                await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert (await session.load("dogs/5")).number == 5

    async def test_several_at_once(self, store: evsession.Store, session: evsession.Session) -> None:
        await put(store, {f"dogs/{number}": {"n": number} for number in range(50)})
        one, two = session.stream(Dog, sort="n"), session.stream(Dog, sort="-n")
        pairs = [((await one.__anext__()).n, (await two.__anext__()).n) for _ in range(50)]
        assert pairs == [(number, 49 - number) for number in range(50)]


async def test_a_closed_session(store: evsession.Store) -> None:
    await put(store, {"dogs/1": {}, "dogs/2": {}})
    async with store.open_session() as session:
        stream = session.stream(Dog)
        await stream.__anext__()
    with pytest.raises((evsession.SessionError, StopAsyncIteration)):
        await stream.__anext__()
        await stream.__anext__()
    with pytest.raises(evsession.SessionClosed):
        session.stream(Dog)
