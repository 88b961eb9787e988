"""A program of the official client, package ravendb: ``python -m tests.official URL DATABASE``. Prints what it finds.

A program of its own, since the client keeps threads and sockets, of which a test run that counts every warning would hear.
"""

# mypy: ignore-errors

from __future__ import annotations

import sys
from pprint import pformat
from typing import Any

from ravendb import (
    AbstractIndexCreationTask,
    DeleteIndexErrorsOperation,
    DisableIndexOperation,
    DocumentStore,
    GetCollectionStatisticsOperation,
    GetDatabaseNamesOperation,
    GetDatabaseRecordOperation,
    GetDetailedCollectionStatisticsOperation,
    GetDetailedStatisticsOperation,
    GetIndexErrorsOperation,
    GetIndexesOperation,
    GetIndexesStatisticsOperation,
    GetIndexNamesOperation,
    GetIndexOperation,
    GetIndexStatisticsOperation,
    GetStatisticsOperation,
    GetTermsOperation,
    IndexHasChangedOperation,
    JsonPatchDocument,
    JsonPatchOperation,
    PatchRequest,
    SetIndexesLockOperation,
    SetIndexesPriorityOperation,
    StartIndexOperation,
    StopIndexOperation,
    ToggleDatabasesStateOperation,
)
from ravendb.documents.indexes.definitions import IndexLockMode, IndexPriority
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


class Pup:
    def __init__(self, name: str = "", tags: Any = None, toys: Any = None, age: int = 0, owner: Any = None) -> None:
        self.name = name
        self.tags = tags
        self.toys = toys
        self.age = age
        self.owner = owner


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


def patches_of_sessions(store: DocumentStore) -> Any:
    with store.open_session() as session:
        session.store(Pup("Rex", ["a", "b"], {"ball": 1}, 3), "pups/rex")
        session.save_changes()
    with store.open_session() as session:
        patch = session.advanced
        patch.patch("pups/rex", "name", "Rexi")
        patch.patch("pups/rex", "tags[0]", "z")
        patch.patch("pups/rex", "toys.rope", None)
        patch.patch_array("pups/rex", "tags", lambda tags: tags.add("c", 5).remove_at(1))
        patch.patch_object("pups/rex", "toys", lambda toys: toys.put("a/b", True).remove("ball"))
        session.save_changes()
        patch.patch("pups/rex", "owner", {"name": "Olga"})
        patch.increment("pups/rex", "age", 2)
        session.save_changes()
        loaded = session.load("pups/rex", Pup)
        patch.patch("pups/rex", "name", "Max")
        session.save_changes()
        found = loaded.name, loaded.tags, loaded.toys, loaded.owner, loaded.age
    with store.open_session() as session:
        patch = session.advanced
        patch.add_or_patch("pups/made", Pup("Made", []), "age", 5)
        patch.add_or_increment("pups/rex", Pup("Other"), "age", 5)
        patch.add_or_patch_array("pups/rex", Pup("Other"), "tags", lambda tags: tags.add("d"))
        session.save_changes()
        made, changed = session.load("pups/made", Pup), session.load("pups/rex", Pup)
        session.delete("pups/made")
        session.delete("pups/rex")
        session.save_changes()
    return *found, made.age, changed.age, changed.tags


def patches_that_fail(store: DocumentStore) -> Any:
    steps = JsonPatchDocument().test("/age", 19).copy("/age", "/old").move("/old", "/was").replace("/was", 1).remove("/was")
    done = store.operations.send(JsonPatchOperation("dogs/max", steps)).status.value
    with store.open_session() as session:
        session.advanced.patch("dogs/max", "nowhere.name", 1)
        return done, [
            told(session.save_changes),
            told(lambda: store.operations.send(JsonPatchOperation("dogs/none", JsonPatchDocument().add("/x", 1)))),
            told(lambda: store.operations.send(JsonPatchOperation("dogs/max", JsonPatchDocument().test("/age", 1)))),
        ]


def told(work: Any) -> str:
    try:
        work()
    except Exception as error:
        return str(error).splitlines()[0].partition(": ")[2]
    return "nothing"


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


def asks_for_indexes(store: DocumentStore) -> Any:
    send = store.maintenance.send
    for operation in (
        SetIndexesLockOperation(IndexLockMode.LOCKED_IGNORE, "DogsByName"),
        SetIndexesPriorityOperation(IndexPriority.HIGH, "DogsByName"),
        StopIndexOperation("DogsByName"),
        StartIndexOperation("DogsByName"),
        DeleteIndexErrorsOperation(["DogsByName"]),
    ):
        send(operation)
    found = send(GetIndexOperation("DogsByName"))
    state = send(GetIndexStatisticsOperation("DogsByName"))
    definition = DogsByName().create_index_definition()
    definition.lock_mode, definition.priority = IndexLockMode.LOCKED_IGNORE, IndexPriority.HIGH
    return (
        [found.name, list(found.maps), found.lock_mode.name, found.priority.name, found.state.name],
        [state.name, state.entries_count, state.type.name, state.stale, sorted(state.collections)],
        "DogsByName" in send(GetIndexNamesOperation(0, 100)),
        "DogsByName" in [index.name for index in send(GetIndexesOperation(0, 100))],
        "DogsByName" in [index["Name"] for index in send(GetIndexesStatisticsOperation())],
        [(index.name, index.errors) for index in send(GetIndexErrorsOperation("DogsByName"))],
        send(GetTermsOperation("DogsByName", "name", "max", 2)),
        send(IndexHasChangedOperation(definition)),
        told(lambda: send(DisableIndexOperation("Nope"))),
    )


def asks_for_statistics(store: DocumentStore) -> Any:
    send = store.maintenance.send
    database = send(GetStatisticsOperation())
    detailed = send(GetDetailedStatisticsOperation())
    collections = send(GetDetailedCollectionStatisticsOperation()).collections
    server = store.maintenance.server
    switched = [server.send(ToggleDatabasesStateOperation(store.database, is_off)).disabled for is_off in (True, False)]
    return (
        database.count_of_documents == sum(send(GetCollectionStatisticsOperation()).collections.values()),
        "DogsByName" in [index.name for index in database.indexes],
        database.size_on_disk.size_in_bytes > 0,
        detailed.count_of_identities,
        collections["Dogs"].count_of_documents,
        store.database in server.send(GetDatabaseNamesOperation(0, 1000)),
        server.send(GetDatabaseRecordOperation(store.database)).database_name == store.database,
        switched,
        told(lambda: server.send(CreateDatabaseOperation(DatabaseRecord("a..b")))),
    )


def deletes_by_query(store: DocumentStore) -> Any:
    store.operations.send_async(DeleteByQueryOperation("from Dogs where startsWith(id(), 'bulk/')")).wait_for_completion()
    with store.open_session() as session:
        return session.query(object_type=Dog).wait_for_non_stale_results().count()


STEPS = [
    stores_and_loads,
    queries,
    patches,
    patches_of_sessions,
    patches_that_fail,
    deletes,
    concurrency,
    bulk_insert_and_streams,
    indexes,
    asks_for_indexes,
    asks_for_statistics,
    deletes_by_query,
]


def main(url: str, database: str) -> None:
    with DocumentStore(urls=[url], database=database) as store:
        store.initialize()
        store.maintenance.server.send(CreateDatabaseOperation(DatabaseRecord(database)))
        for step in STEPS:
            print(step.__name__, pformat(step(store), width=110, compact=True))
        store.maintenance.server.send(DeleteDatabaseOperation(database, True))


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    main(sys.argv[1], sys.argv[2])
