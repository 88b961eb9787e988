"""A program of the official client, package ravendb: ``python -m tests.official URL DATABASE``. Prints what it finds.

A program of its own, since the client keeps threads and sockets, of which a test run that counts every warning would hear.
"""

# mypy: ignore-errors

from __future__ import annotations

import sys
from typing import Any

from ravendb import AbstractIndexCreationTask, DocumentStore, PatchRequest
from ravendb.documents.operations.misc import DeleteByQueryOperation
from ravendb.documents.operations.patch import PatchOperation
from ravendb.serverwide.database_record import DatabaseRecord
from ravendb.serverwide.operations.common import CreateDatabaseOperation, DeleteDatabaseOperation


class Dog:
    def __init__(self, name: str = "", age: int = 0, owner: str = "people/1", Id: str | None = None) -> None:  # noqa: N803
        self.name = name
        self.age = age
        self.owner = owner
        self.Id = Id


class Person:
    def __init__(self, name: str = "") -> None:
        self.name = name


class DogsByName(AbstractIndexCreationTask):
    def __init__(self) -> None:
        super().__init__()
        self.map = "from d in docs.Dogs select new { d.name, d.age }"


def names(dogs: Any) -> list[str]:
    return [dog.name for dog in dogs]


def stores_and_loads(store: DocumentStore) -> Any:
    with store.open_session() as session:
        session.store(Person("Olga"), "people/1")
        for key, dog in (("max", Dog("Max", 12)), ("jess", Dog("Jess 😀", 7)), ("billy", Dog("Billy", 2))):
            session.store(dog, f"dogs/{key}")
        rex = Dog("Rex", 3)
        session.store(rex)
        session.save_changes()
        made = session.advanced.get_document_id(rex)
    with store.open_session() as session:
        max = session.load("dogs/max", Dog)
        max.age += 1
        session.save_changes()
    with store.open_session() as session:
        many = session.load(["dogs/max", "dogs/jess", "dogs/nobody"], Dog)
        exists = [session.advanced.exists(f"dogs/{key}") for key in ("max", "nobody")]
        prefixed = names(session.advanced.load_starting_with("dogs/m", Dog))
        return made, {key: dog and (dog.name, dog.age) for key, dog in sorted(many.items())}, exists, prefixed


def queries(store: DocumentStore) -> Any:
    with store.open_session() as session:
        dogs = lambda: session.query(object_type=Dog)  # noqa: E731
        found = [
            names(dogs().where_equals("name", "Max")),
            names(dogs().where_greater_than("age", 2).order_by("age").skip(1).take(1)),
            names(dogs().where_in("name", ["Max", "Billy"]).order_by_descending("name")),
            names(dogs().where_starts_with("name", "B")),
            names(dogs().where_between("age", 3, 7).order_by("age")),
            names(session.advanced.raw_query("from Dogs where age > $age order by age as long", Dog).add_parameter("age", 5)),
            dogs().where_equals("owner", "people/1").count(),
        ]
        included = names(dogs().include("owner").where_equals("name", "Max"))
        before = session.advanced.number_of_requests
        owner = session.load("people/1", Person).name
        return found, included, owner, session.advanced.number_of_requests - before


def patches(store: DocumentStore) -> Any:
    store.operations.send(PatchOperation("dogs/max", None, PatchRequest.for_script("this.age += 1")))
    with store.open_session() as session:
        session.advanced.increment("dogs/max", "age", 5)
        session.save_changes()
    with store.open_session() as session:
        return session.load("dogs/max", Dog).age


def deletes(store: DocumentStore) -> Any:
    with store.open_session() as session:
        session.delete("dogs/billy")
        session.save_changes()
    with store.open_session() as session:
        return session.load("dogs/billy", Dog)


def concurrency(store: DocumentStore) -> Any:
    with store.open_session() as session, store.open_session() as other:
        session.advanced.use_optimistic_concurrency = True
        mine, theirs = session.load("dogs/max", Dog), other.load("dogs/max", Dog)
        mine.age, theirs.age = 1, 2
        other.save_changes()
        try:
            session.save_changes()
        except Exception as error:
            return type(error).__name__, "Optimistic concurrency violation" in str(error)
        return None


def bulk_insert_and_streams(store: DocumentStore) -> Any:
    with store.bulk_insert() as insert:
        for number in range(2000):
            insert.store_as(Dog(f"B{number}", 100 + number), f"bulk/{number}")
    with store.open_session() as session:
        old = lambda: session.query(object_type=Dog).where_greater_than("age", 2089)  # noqa: E731
        old().wait_for_non_stale_results().count()  # a stream does not wait for the index
        rows = list(session.advanced.stream(old()))
        return len(rows), sorted(row.document.name for row in rows)[:2], session.load("bulk/1999", Dog).name


def indexes(store: DocumentStore) -> Any:
    DogsByName().execute(store)
    with store.open_session() as session:
        found = session.query_index_type(DogsByName, Dog).where_equals("name", "Max").wait_for_non_stale_results()
        return names(found)


def deletes_by_query(store: DocumentStore) -> Any:
    store.operations.send_async(DeleteByQueryOperation("from Dogs where startsWith(id(), 'bulk/')")).wait_for_completion()
    with store.open_session() as session:
        return session.query(object_type=Dog).wait_for_non_stale_results().count()


STEPS = [stores_and_loads, queries, patches, deletes, concurrency, bulk_insert_and_streams, indexes, deletes_by_query]


def main(url: str, database: str) -> None:
    with DocumentStore(urls=[url], database=database) as store:
        store.initialize()
        store.maintenance.server.send(CreateDatabaseOperation(DatabaseRecord(database)))
        for step in STEPS:
            print(step.__name__, step(store))
        store.maintenance.server.send(DeleteDatabaseOperation(database, True))


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    main(sys.argv[1], sys.argv[2])
