"""Fewer requests and smaller answers: includes bring the documents that a document refers to, projections only some fields."""

from __future__ import annotations

import contextlib
import os

import trio

import evsession

DATABASE = os.environ.get("EVSESSION_DATABASE", "Examples")

Dog = evsession.DocumentType("Dog")
Vet = evsession.DocumentType("Vet")


async def fill(store: evsession.Store) -> None:
    with contextlib.suppress(evsession.ConcurrencyError):  # 409: there is one of this name already
        await store.create_database(DATABASE)
    async with store.open_session() as session:
        session.store(Vet(id="Kim", name="Kim"))
        session.store(Dog(id="Jess", name="Jess", breed="Shepherd", age=7, vets=[{"id": "vets/kim", "since": 2019}]))
        session.store(Dog(id="Pip", name="Pip", breed="Shepherd", age=1, mother="dogs/jess", vets=[]))
        await session.save()


def count_requests(session: evsession.Session) -> list[str]:
    requests: list[str] = []
    session.on("request", lambda event: requests.append(event.method))
    return requests


async def main() -> None:
    url = os.environ.get("EVSESSION_URL", "http://127.0.0.1:8080")
    async with evsession.Store(url, database=DATABASE) as store:
        await fill(store)

        async with store.open_session() as session:
            requests = count_requests(session)
            pip, includes = await session.load("dogs/pip", "mother")
            print(pip.name, "includes", includes.select("name"))
            jess = await session.load(pip.mother)  # the session knows her already
            print("the same object:", jess is includes.load("dogs/jess"), "after", len(requests), "request")

        async with store.open_session() as session:
            requests = count_requests(session)
            dogs, includes = await session.load(["dogs/pip", "dogs/jess"], ["mother", "vets.id"])
            print([dog.name for dog in dogs], "include", includes.select("name"), "after", len(requests), "request")

        async with store.open_session() as session:
            rows, statistics = await session.query(
                Dog, {"breed": "Shepherd"}, projections=["name", "age"], sort="-age", wait_for_non_stale=True
            )
            for row in rows:
                print(row["__document_id"], row.name, row.age)
            print(statistics.total, "in all")


if __name__ == "__main__":
    trio.run(main)
