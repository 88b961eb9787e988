"""Streams and bulk inserts on a scripted exchange: pieces, ends, failures, time limits, and what is left open."""

from __future__ import annotations

import contextlib
import gc
from dataclasses import dataclass
from typing import Any

import pytest
import trio

import evsession
from evsession import ConnectionFailed, InvalidDocument, OperationTimeout, QueryError, SessionClosed, SessionError
from evsession.session.documents.bulk import CHUNK
from evsession.testing.scripted import ScriptedExchange, ScriptedTransport, json_answer
from evsession.wire.json import encode
from tests.unit.session.conftest import Scripted, refused, row
from tests.unit.session.test_operation import Held

Dog = evsession.DocumentType("Dog")


def streamed(*rows: dict[str, Any]) -> evsession.Response:
    """The answer to a streamed query."""
    stats = encode({"Stats": {"ResultEtag": 1, "IsStale": False, "IndexName": "I", "TotalResults": len(rows)}})
    return evsession.Response(200, (), b"\n".join([stats, *(encode({"Item": item}) for item in rows), b""]))


ROWS = [row(f"dogs/{number}", number=number) for number in range(10)]


async def test_a_stream_gives_documents_that_nobody_remembers(scripted: Scripted) -> None:
    async with scripted(streamed(*ROWS)) as (session, transport):
        stream = session.stream("Dog", {"number": "0 TO 9"}, sort="number")
        assert transport.requests == []
        documents = [document async for document in stream]
        assert [document.number for document in documents] == list(range(10))
        assert [document.id for document in documents] == [f"dogs/{number}" for number in range(10)]
        assert stream.count == 10
        assert len(session._workspace) == 0
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()


async def test_a_stream_of_a_class_and_of_projections(scripted: Scripted) -> None:
    projected = {"number": 1, "@metadata": {"@projection": True, "@id": "dogs/1"}}
    async with scripted(streamed(*ROWS), streamed(projected)) as (session, _):
        dogs = [dog async for dog in session.stream(Dog)]
        assert {type(dog) for dog in dogs} == {Dog}
        rows = [row async for row in session.stream("Dog", projections="number")]
        assert rows == [{"number": 1}]


async def test_many_documents_of_one_piece_are_given_one_by_one(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedExchange, "piece", 65_536)
    async with scripted(streamed(*ROWS)) as (session, _):
        assert [document.number async for document in session.stream("Dog")] == list(range(10))


async def test_a_stream_that_is_cancelled_while_it_waits_is_over(scripted: Scripted) -> None:
    held = Held(streamed())
    async with scripted(held) as (session, _):
        stream = session.stream("Dog")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.__anext__)
            await held.asked.wait()
            nursery.cancel_scope.cancel()
        with pytest.raises(SessionClosed, match="cut off"):
            await stream.__anext__()


async def test_a_stream_of_a_collection_without_a_class(scripted: Scripted) -> None:
    rows = [{"n": 1, "@metadata": {"@id": "undeclared/1", "@collection": "Undeclared"}}, {"n": 2, "@metadata": {"@id": "x"}}]
    async with scripted(streamed(*rows)) as (session, _):
        documents = [document async for document in session.stream("from Undeclared")]
        assert [(type(document), document.id, document.n) for document in documents] == [
            (evsession.Document, "undeclared/1", 1),
            (evsession.Document, "x", 2),
        ]
        assert documents[0].metadata["@collection"] == "Undeclared"


async def test_a_stream_of_typed_documents(scripted: Scripted) -> None:
    @evsession.document(collection="Hounds")
    @dataclass
    class Hound:
        number: int
        id: str = ""

    rows = [{"number": 1, "@metadata": {"@id": "hounds/1", "@collection": "Hounds"}}]
    async with scripted(streamed(*rows)) as (session, _):
        assert [hound async for hound in session.stream(Hound)] == [Hound(1, "hounds/1")]


async def test_a_document_that_fits_no_class_fails_the_stream_after_those_before_it(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    @evsession.document(collection="Mutts")
    @dataclass
    class Mutt:
        number: int

    monkeypatch.setattr(ScriptedExchange, "piece", 65_536)
    rows = [{"number": value, "@metadata": {"@id": f"mutts/{value}", "@collection": "Mutts"}} for value in (1, 2, "three", 4)]
    async with scripted(streamed(*rows)) as (session, _):
        seen = []
        with pytest.raises(InvalidDocument, match="mutts/three") as caught:
            async for mutt in session.stream(Mutt):
                seen.append(mutt.number)
        assert seen == [1, 2]
        assert caught.value.operation == "stream"


async def test_a_stream_with_a_callback(scripted: Scripted) -> None:
    seen: list[Any] = []

    async def slowly(document: Any) -> None:
        await trio.lowlevel.checkpoint()
        seen.append(document.number)

    async with scripted(streamed(*ROWS), streamed(*ROWS), streamed(*ROWS)) as (session, _):
        session.stream("Dog", on_document=lambda document: seen.append(document.number))
        await session.drain()
        assert seen == list(range(10))
        seen.clear()
        told: list[Any] = []
        assert await session.stream("Dog", lambda error, count: told.append((error, count)), on_document=slowly) == 10
        assert seen == list(range(10))
        assert told == [(None, 10)]
        assert await session.stream("from Dogs", None, None, lambda error, count: None) == 10
        with pytest.raises(TypeError, match="on_document"):
            session.stream("Dog", on_document=7)


async def test_a_callback_of_a_stream_that_raises_fails_the_operation(scripted: Scripted) -> None:
    async with scripted(streamed(*ROWS)) as (session, _):
        with pytest.raises(ZeroDivisionError):
            await session.stream("Dog", on_document=lambda document: 1 / 0)


async def test_rql_says_everything_itself(scripted: Scripted) -> None:
    async with scripted(streamed()) as (session, transport):
        assert [document async for document in session.stream("from Dogs where number > $n", {"n": 5.0})] == []
        assert transport.bodies()[0]["QueryParameters"] == {"n": 5.0}
        with pytest.raises(TypeError, match="RQL"):
            session.stream("from Dogs", None, {"sort": "number"})


async def test_a_refused_stream_is_told_and_raised(scripted: Scripted) -> None:
    told: list[Any] = []
    message = refused(500, "Raven.Server.Documents.Queries.Parser.QueryParser+ParseException", "1:1 Expected FROM")
    async with scripted(message, message) as (session, _):
        session.on(500, told.append)
        with pytest.raises(QueryError, match="Expected FROM") as caught:
            await session.stream("from Dogs wher").__anext__()
        assert told == [caught.value]
        assert (caught.value.operation, caught.value.url) == (
            "stream",
            "http://scripted/databases/db/streams/queries?format=jsonl",
        )
        told.clear()
        with pytest.raises(QueryError):
            await session.stream("from Dogs wher", on_document=print)
        assert len(told) == 1


async def test_a_stream_that_breaks_off_was_good_until_then(scripted: Scripted) -> None:
    broken = evsession.Response(200, (), streamed(*ROWS).body[:-30])
    async with scripted(broken) as (session, _):
        numbers = []
        with pytest.raises(SessionError):
            async for document in session.stream("Dog"):
                numbers.append(document.number)
        assert numbers == list(range(9))


async def test_a_stream_ends_its_exchange_whatever_happens(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[ScriptedExchange] = []
    original = ScriptedTransport.open

    async def remember(self: ScriptedTransport, *args: Any, **more: Any) -> ScriptedExchange:
        opened.append(await original(self, *args, **more))
        return opened[-1]

    monkeypatch.setattr(ScriptedTransport, "open", remember)
    async with scripted(*[streamed(*ROWS)] * 4, refused(500)) as (session, _):
        async for _document in session.stream("Dog"):
            break
        gc.collect()
        assert opened[0].is_closed
        dropped = session.stream("Dog")
        await dropped.__anext__()
        dropped.close()
        with pytest.raises(StopAsyncIteration):
            await dropped.__anext__()
        assert opened[1].is_closed
        with trio.CancelScope() as scope:
            async for _document in session.stream("Dog"):
                scope.cancel()
                await trio.lowlevel.checkpoint()
        gc.collect()
        assert opened[2].is_closed
        held = session.stream("Dog")
        await held.__anext__()
        with pytest.raises(SessionError):
            await session.stream("from x").__anext__()
        assert opened[4].is_closed
    assert opened[3].is_closed
    for _ in range(2):  # never an end that looks like the end of the documents
        with pytest.raises(SessionClosed, match="gave 1 until then"):
            await held.__anext__()


async def test_a_stream_that_has_ended_before_its_session_has_ended_well(scripted: Scripted) -> None:
    async with scripted(streamed(*ROWS)) as (session, _):
        stream = session.stream("Dog")
        assert len([document async for document in stream]) == len(ROWS)
    with pytest.raises(StopAsyncIteration):
        await stream.__anext__()


async def test_who_waits_for_a_stream_is_told_that_its_session_ends(scripted: Scripted) -> None:
    seen: list[str] = []
    async with scripted(Held(streamed(*ROWS))) as (session, _):
        stream = session.stream("Dog")

        async def read() -> None:
            with pytest.raises(SessionClosed, match="gave 0 until then"):
                await stream.__anext__()
            seen.append("told")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError, match="one task at a time"):
                await stream.__anext__()
            await session.aclose()
        assert seen == ["told"]


async def test_a_stream_that_is_cancelled_gives_no_more(scripted: Scripted) -> None:
    told: list[Any] = []
    async with scripted(streamed(*ROWS)) as (session, _):

        def on_document(document: Any) -> None:
            told.append(document)
            if len(told) == 3:
                operation.cancel()

        operation = session.stream("Dog", on_document=on_document)
        with pytest.raises(evsession.OperationCancelled):
            await operation
    assert len(told) == 3


async def test_the_time_limit_is_for_each_wait(scripted: Scripted, autojump_clock: trio.testing.MockClock) -> None:
    async with scripted(streamed(*ROWS), Held(streamed()), options={"timeout": 2}) as (session, _):
        count = 0
        async for _document in session.stream("Dog"):
            await trio.sleep(1)
            count += 1
        assert count == 10
        with pytest.raises(OperationTimeout, match="more than 2"):
            await session.stream("Dog").__anext__()


async def test_a_stream_needs_an_open_session(scripted: Scripted) -> None:
    async with scripted() as (session, _):
        await session.aclose()
        with pytest.raises(SessionClosed):
            session.stream("Dog")


NUMBER = json_answer({"Id": 7, "NodeTag": "A"})
DONE = json_answer(None, 201)
RANGE = json_answer({"Prefix": "Dogs/", "Low": 1, "High": 2, "LastSize": 2, "ServerTag": "A", "LastRangeAt": "x"}, 201)


def store_on(transport: ScriptedTransport, **arguments: Any) -> evsession.Store:
    return evsession.Store(transport=transport, database="db", **arguments)


async def test_a_bulk_insert_is_one_array(scripted: Scripted) -> None:
    transport = ScriptedTransport(NUMBER, DONE)
    async with store_on(transport) as store:
        async with store.bulk_insert() as insert:
            dog = Dog(name="Max")
            assert await insert.store(dog, key="dogs/max") == "dogs/max"
            assert await insert.store({"n": 1}, key="x/1", collection="Xs", metadata={"Mine": 1}) == "x/1"
            guid = await insert.store({"n": 2})
        assert dog.id == "dogs/max"
        assert len(guid) == 36
        assert insert.count == 3
    assert transport.requests[1].writes
    assert transport.bodies() == [
        [
            {"Type": "PUT", "Id": "dogs/max", "Document": {"name": "Max", "@metadata": {"@collection": "Dogs"}}},
            {"Type": "PUT", "Id": "x/1", "Document": {"n": 1, "@metadata": {"Mine": 1, "@collection": "Xs"}}},
            {"Type": "PUT", "Id": guid, "Document": {"n": 2, "@metadata": {}}},
        ]
    ]


async def test_a_stream_closes_as_contextlib_wants_it(scripted: Scripted) -> None:
    async with scripted(streamed(*ROWS)) as (session, _):
        async with contextlib.aclosing(session.stream("Dog")) as stream:
            async for document in stream:
                assert document.number == 0
                break
        assert stream.count == 1
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()


async def test_a_bulk_insert_is_for_one_block() -> None:
    transport = ScriptedTransport(NUMBER, DONE)
    async with store_on(transport) as store:
        insert = store.bulk_insert()
        async with insert:
            await insert.store({"n": 1}, key="x/1")
        with pytest.raises(SessionClosed, match="one 'async with' block"):
            async with insert:
                pass
    assert transport.bodies() == [[{"Type": "PUT", "Id": "x/1", "Document": {"n": 1, "@metadata": {}}}]]


async def test_an_empty_bulk_insert_is_an_empty_array() -> None:
    transport = ScriptedTransport(NUMBER, DONE)
    async with store_on(transport) as store, store.bulk_insert():
        pass
    assert transport.bodies() == [[]]


async def test_a_bulk_insert_numbers_its_documents_itself() -> None:
    transport = ScriptedTransport(NUMBER, RANGE, DONE, json_answer(None))
    async with store_on(transport) as store:
        async with store.bulk_insert() as insert:
            assert [await insert.store(Dog()), await insert.store(Dog())] == ["dogs/1-A", "dogs/2-A"]


@pytest.mark.parametrize(("strategy", "key"), [("server", "dogs/1-A"), ("guid", None), (lambda document: "made/1", "made/1")])
async def test_other_strategies_in_a_bulk_insert(strategy: Any, key: str | None) -> None:
    transport = ScriptedTransport(NUMBER, *([RANGE] if strategy == "server" else []), DONE, json_answer(None))
    async with store_on(transport, conventions={"id_generation_strategy": strategy}) as store:
        async with store.bulk_insert() as insert:
            dog = Dog()
            made = await insert.store(dog)
    assert made == dog.id
    assert made == key or (key is None and len(made) == 36)


async def test_chunks_are_sent_while_documents_come() -> None:
    transport = ScriptedTransport(NUMBER, DONE)
    sent: list[int] = []
    original = ScriptedExchange.send

    async def send(self: ScriptedExchange, data: bytes) -> bool:
        sent.append(len(data))
        return await original(self, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptedExchange, "send", send)
        async with store_on(transport) as store, store.bulk_insert() as insert:
            for number in range(300):
                await insert.store({"text": "x" * 1000}, key=f"x/{number}")
    assert len(sent) == 3
    assert all(size >= CHUNK for size in sent[:-1])
    assert len(transport.bodies()[0]) == 300


async def test_what_cannot_be_stored_is_refused_and_the_insert_goes_on() -> None:
    transport = ScriptedTransport(NUMBER, DONE)
    async with store_on(transport) as store, store.bulk_insert() as insert:
        with pytest.raises(InvalidDocument, match="n"):
            await insert.store({"n": float("nan")}, key="x/1")
        with pytest.raises(TypeError):
            await insert.store(5, key="x/1")
        with pytest.raises(evsession.ConfigurationError):
            await insert.store({}, key="x/")
        with pytest.raises(InvalidDocument, match="@metadata.x"):
            await insert.store({}, key="x/1", metadata={"x": float("nan")})
        await insert.store({"n": 1}, key="x/1")
    assert [item["Id"] for item in transport.bodies()[0]] == ["x/1"]


async def test_a_refused_bulk_insert_is_told_raised_and_uncertain() -> None:
    told: list[Any] = []
    store = store_on(
        ScriptedTransport(NUMBER, refused(500, "System.InvalidOperationException", "Failed to process bulk insert."))
    )
    store.on(500, told.append)
    async with store:
        with pytest.raises(SessionError) as caught:
            async with store.bulk_insert() as insert:
                await insert.store({}, key="x/1")
        assert told == [caught.value]
        assert (caught.value.uncertain, caught.value.operation) == (True, "bulk_insert")


async def test_a_bulk_insert_that_the_server_ends_early_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    transport = ScriptedTransport(NUMBER, refused(500, message="enough"))

    async def refuse(self: ScriptedExchange, data: bytes) -> bool:
        await trio.lowlevel.checkpoint()
        return False

    monkeypatch.setattr(ScriptedExchange, "send", refuse)
    store = store_on(transport)
    store.on("error", told.append)
    async with store:
        with pytest.raises(SessionError, match="enough"):
            async with store.bulk_insert() as insert:
                try:
                    await insert.store({"text": "x" * 130_000}, key="x/1")
                finally:
                    with pytest.raises(SessionClosed):
                        await insert.store({}, key="x/2")
        assert len(told) == 1
        assert len(transport.requests) == 2


async def test_an_early_end_that_is_noticed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(self: ScriptedExchange, data: bytes) -> bool:
        await trio.lowlevel.checkpoint()
        return False

    monkeypatch.setattr(ScriptedExchange, "send", refuse)
    async with store_on(ScriptedTransport(NUMBER, DONE)) as store, store.bulk_insert() as insert:
        await insert.store({}, key="x/1")


async def test_an_early_end_that_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def enough(self: ScriptedExchange, data: bytes) -> bool:
        await trio.lowlevel.checkpoint()
        return False

    monkeypatch.setattr(ScriptedExchange, "send", enough)
    async with store_on(ScriptedTransport(NUMBER, DONE)) as store, store.bulk_insert() as insert:
        await insert.store({"text": "x" * 130_000}, key="x/1")
        with pytest.raises(SessionClosed):
            await insert.store({}, key="x/2")


async def test_a_chunk_that_was_the_last_document() -> None:
    transport = ScriptedTransport(NUMBER, DONE)
    async with store_on(transport) as store, store.bulk_insert() as insert:
        await insert.store({"text": "x" * 130_000}, key="x/1")
    assert [item["Id"] for item in transport.bodies()[0]] == ["x/1"]


@pytest.mark.parametrize("is_sent", [True, False])
async def test_a_key_that_cannot_be_made_ends_an_insert_of_which_the_server_may_keep_what_it_has(is_sent: bool) -> None:
    async with store_on(ScriptedTransport(NUMBER)) as store:  # nothing answers the request for a range of numbers
        with pytest.raises(ConnectionFailed) as caught:
            async with store.bulk_insert() as insert:
                await insert.store({"text": "x" * (CHUNK if is_sent else 1)}, key="x/1")
                await insert.store(Dog())
        assert caught.value.uncertain == is_sent


async def test_leaving_by_an_exception_stops_the_insert() -> None:
    transport = ScriptedTransport(NUMBER, json_answer(None, 204), NUMBER)
    async with store_on(transport) as store:
        for _ in range(2):  # the second time the server does not even answer
            with pytest.raises(ZeroDivisionError):
                async with store.bulk_insert() as insert:
                    await insert.store({}, key="x/1")
                    raise ZeroDivisionError
    assert [request.target for request in transport.requests][1] == "/databases/db/operations/kill?id=7"


async def test_a_bulk_insert_that_cannot_begin() -> None:
    told: list[Any] = []
    store = store_on(ScriptedTransport())
    store.on("error", told.append)
    async with store:
        with pytest.raises(ConnectionFailed):
            async with store.bulk_insert():
                raise AssertionError("it began")  # pragma: no cover
        assert len(told) == 1
        with pytest.raises(SessionClosed):
            await store.bulk_insert().store({})


async def test_a_bulk_insert_into_another_database() -> None:
    transport = ScriptedTransport(NUMBER, DONE)
    async with store_on(transport) as store, store.bulk_insert("other"):
        pass
    assert transport.requests[0].target.startswith("/databases/other/")
