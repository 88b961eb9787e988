"""Bulk inserts: any number of documents in one request that is sent while they come."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

import evsession
from tests.conformance.kennel import Dog, Told, Wire, put, read


@evsession.document
@dataclass
class Macaw:
    name: str
    id: str | None = None


@pytest.fixture(autouse=True)
def _declared() -> None:
    # As for dogs: a class of another test may have taken the collection.
    evsession.document(Macaw)


async def test_thousands(store: evsession.Store, session: evsession.Session) -> None:
    async with store.bulk_insert() as insert:
        assert insert.count == 0
        for number in range(5000):
            assert await insert.store(Dog(number=number), key=f"dogs/{number}") == f"dogs/{number}"
    assert insert.count == 5000
    _, statistics = await session.query(Dog, page_size=1)
    assert statistics.total == 5000
    dogs = await session.load(["dogs/0", "dogs/4999"])
    assert [dog.number for dog in dogs] == [0, 4999]
    assert all(isinstance(dog, Dog) for dog in dogs)


async def test_none(store: evsession.Store) -> None:
    async with store.bulk_insert() as insert:
        pass
    assert insert.count == 0


async def test_what_can_be_stored(store: evsession.Store) -> None:
    parrot, dog = Macaw("Polly"), Dog(name="Max", id="Max")
    async with store.bulk_insert() as insert:
        keys = [
            await insert.store(parrot),
            await insert.store(dog),
            await insert.store({"name": "Plain"}, key="dogs/plain", collection="Dogs", metadata={"Origin": "shelter"}),
            await insert.store({"name": "Nothing"}),
            await insert.store({"name": "😀", "a.b": 1.0, "big": 2**70}, key="odd/ü %&"),
        ]
    assert keys[:3] == ["macaws/1-A", "dogs/max", "dogs/plain"]
    assert len(keys[3]) == 36
    assert (parrot.id, dog.id) == ("macaws/1-A", "dogs/max")
    read_back = [await read(store, key) for key in keys]
    assert read_back[0] == parrot
    assert [document["name"] for document in read_back[1:]] == ["Max", "Plain", "Nothing", "😀"]
    assert (read_back[2].metadata["@collection"], read_back[2].metadata["Origin"]) == ("Dogs", "shelter")
    assert read_back[4] == {"name": "😀", "a.b": 1.0, "big": 2**70}


async def test_keys_from_ranges_are_all_different(make_store: Any) -> None:
    async with make_store(conventions={"id_generation_strategy": "hilo"}) as store:
        async with store.bulk_insert() as insert:
            keys = [await insert.store(Dog()) for _ in range(300)]
        assert len(set(keys)) == 300
        assert all(re.fullmatch(r"dogs/\d+-A", key) for key in keys)
        async with store.open_session() as session:
            assert (await session.store(Dog()).save())[0] not in keys


async def test_documents_are_overwritten(store: evsession.Store) -> None:
    await put(store, {"dogs/1": {"name": "Old"}})
    async with store.bulk_insert() as insert:
        await insert.store(Dog(name="New"), key="dogs/1")
    assert (await read(store, "dogs/1")).name == "New"


async def test_an_error_of_the_program_stops_it(store: evsession.Store, session: evsession.Session) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with store.bulk_insert() as insert:
            await insert.store(Dog(), key="dogs/1")
            raise KeyError("mine")
    with pytest.raises(evsession.SessionClosed):
        await insert.store(Dog(), key="dogs/2")
    assert await session.load(["dogs/1", "dogs/2"]) == []
    async with store.bulk_insert() as insert:
        await insert.store(Dog(), key="dogs/3")
    assert await session.exists("dogs/3")


async def test_a_document_that_cannot_be_stored_is_left_out(store: evsession.Store, session: evsession.Session) -> None:
    wrong: list[tuple[Any, dict[str, Any]]] = [
        (Dog(n=float("nan")), {}),
        (Dog(n={1}), {"key": "dogs/set"}),
        (Dog({"@metadata": {}}), {}),
        (Dog(), {"key": ""}),
        (Dog(), {"key": "dogs/"}),
        (Dog(), {"key": "dogs|"}),
        (Dog(), {"collection": ""}),
        (Dog(), {"collection": 5}),
        (Dog(), {"collection": ["Cats"]}),
        (5, {}),
    ]
    async with store.bulk_insert() as insert:
        await insert.store(Dog(n=1), key="dogs/1")
        for document, arguments in wrong:
            with pytest.raises((evsession.InvalidDocument, evsession.ConfigurationError, TypeError)):
                await insert.store(document, **arguments)
        await insert.store(Dog(n=2), key="dogs/2")
    assert insert.count == 2
    documents, _ = await session.query("@all_docs")
    assert sorted(document.n for document in documents if "n" in document) == [1, 2]


async def test_what_the_server_refuses(store: evsession.Store) -> None:
    await put(store, {"cats/1": {"name": "Tom"}})
    with pytest.raises(evsession.SessionError) as caught:
        async with store.bulk_insert() as insert:
            await insert.store(Dog(), key="cats/1")
    assert caught.value.operation == "bulk_insert"
    assert "   at " not in str(caught.value)
    assert "cats/1" in caught.value.message
    assert (await read(store, "cats/1")).metadata["@collection"] == "Cats"


async def test_the_server_refuses_while_documents_come(store: evsession.Store) -> None:
    await put(store, {"cats/1": {"name": "Tom"}})
    with pytest.raises(evsession.SessionError) as caught:
        async with store.bulk_insert() as insert:
            await insert.store(Dog(), key="cats/1")
            for number in range(200_000):
                await insert.store(Dog(text="x" * 1000), key=f"dogs/{number}")
    assert not isinstance(caught.value, evsession.SessionClosed)


async def test_only_inside_its_block(store: evsession.Store) -> None:
    insert = store.bulk_insert()
    with pytest.raises(evsession.SessionClosed):
        await insert.store(Dog())
    async with insert:
        await insert.store(Dog())
    with pytest.raises(evsession.SessionClosed):
        await insert.store(Dog())


async def test_a_missing_database(store: evsession.Store) -> None:
    told = Told()
    with pytest.raises(evsession.DatabaseMissing):
        async with store.bulk_insert("no-such-database") as insert:
            await insert.store(Dog())
    async with store.open_session() as session:
        wire = Wire(session)
        assert not await session.exists("dogs/1", told)
        assert len(wire) == 1


async def test_observers_are_told(make_store: Any) -> None:
    store = make_store()
    sent, answered = Told(), Told()
    store.on("request", sent)
    store.on("response", answered)
    async with store, store.bulk_insert() as insert:
        await insert.store(Dog(), key="dogs/1")
    assert [(event.operation, event.method) for event in sent.errors] == [("bulk_insert", "GET"), ("bulk_insert", "POST")]
    assert [event.status_code for event in answered.errors] == [200, 201]
