"""Prints what a query of the embedded server costs beside the same SQL by hand: ``python -m tests.benchmarks.equality``.

100,000 documents in a file, of which the query finds 20. By hand is the statement that a program of its own would run: an index
on an expression over the JSON, and the columns of the documents fetched. Ours is the whole query: text, parameters, conditions as
RavenDB compares, rows as RavenDB's JSON, statistics. CPU time; each round measures both, one right after the other, and what is
told is medians, that of the ratios of the rounds, too. Nothing here is asserted.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from evsession.embedded.query import QueryEngine, prepare
from evsession.embedded.storage import Database, Storage

DOCUMENTS = 100_000
SAME = 20
ROUNDS, CALLS = 9, 300
QUERY = "from Dogs where breed = $p0"
BY_HAND = (
    "SELECT id, CAST(body AS BLOB), CAST(metadata AS BLOB), change_vector, modified FROM documents_1"
    " WHERE collection = ? AND json_extract(body, '$.breed') = ?"
)


def fill(storage: Storage, database: Database) -> float:
    """Write the documents, and return the seconds that it took."""
    bodies = [
        json.dumps(
            {"name": f"Dog {number}", "breed": f"Breed {number % (DOCUMENTS // SAME)}", "age": number % 20, "text": "x" * 60}
        )
        for number in range(DOCUMENTS)
    ]
    begun = time.process_time()
    with storage.write(database) as transaction:
        prepare(transaction.connection)
        for number, body in enumerate(bodies):
            transaction.put(f"dogs/{number}", body, '{"@collection":"Dogs"}', "Dogs")
    return time.process_time() - begun


def cost(work: Callable[[], object]) -> float:
    """Return the microseconds of one call."""
    begun = time.process_time()
    for _ in range(CALLS):
        work()
    return (time.process_time() - begun) / CALLS * 1e6


def beside(ours: Callable[[], object], by_hand: Callable[[], object]) -> tuple[float, float, float]:
    """Return what both cost, and how many times the one costs what the other does."""
    ours(), by_hand()
    rounds = [(cost(ours), cost(by_hand)) for _ in range(ROUNDS)]
    first, second = zip(*rounds, strict=True)
    return statistics.median(first), statistics.median(second), statistics.median(one / other for one, other in rounds)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        storage = Storage(Path(directory) / "documents.db")
        database = storage.create_database("bench")
        assert database is not None
        without = fill(storage, database)
        engine = QueryEngine(database)
        begun = time.process_time()
        with storage.read() as connection:
            prepare(connection)
            assert len(engine.run(connection, QUERY, {"p0": "breed 77"}).rows) == SAME
        scanned = time.process_time() - begun
        begun = time.process_time()
        with storage.write(database) as transaction:
            engine.maintain(transaction.connection)
        built = time.process_time() - begun
        with storage.write(database) as transaction:
            transaction.connection.execute("CREATE INDEX by_hand ON documents_1 (collection, json_extract(body, '$.breed'))")
        with storage.read() as connection:
            prepare(connection)
            ours, hand, ratio = beside(
                lambda: engine.run(connection, QUERY, {"p0": "breed 77"}),
                lambda: connection.execute(BY_HAND, ("Dogs", "Breed 77")).fetchall(),
            )
        with storage.write(database) as transaction:
            transaction.connection.execute("DROP INDEX by_hand")
        written = fill(storage, database)
        storage.close()
    print(f"equality, {SAME} of {DOCUMENTS:,}: {ours:.0f} us ours, {hand:.0f} us by hand, ratio {ratio:.2f}")
    print(f"the first time, by reading all documents: {scanned:.2f} s; keeping the field for the next times: {built:.2f} s")
    print(f"writing them: {DOCUMENTS / without:,.0f}/s; again, with the field kept: {DOCUMENTS / written:,.0f}/s")


if __name__ == "__main__":
    main()
