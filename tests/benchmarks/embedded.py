"""Prints what the embedded server costs: ``python -m tests.benchmarks.embedded [--url URL] [--rounds N]``.

Loads are measured beside the same loads from a real RavenDB, client and server together (its CPU is read from ``/proc``, so the
server must run on this Linux). Saves are measured beside the same rows written with bare `sqlite3`, into the same tables with the
same durability. Streams are measured by the most memory that a process of their own ever has.

It is CPU time that counts. Each round measures all, one right after the other; what is told is medians, that of the ratios of the
rounds, too.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import evsession
from evsession.embedded.storage.schema import Tables, create_statements
from evsession.wire.json import encode
from tests.benchmarks import dataset
from tests.benchmarks.dataset import BATCH, USERS, item, user_keys, user_of

LOADS = 1_000
LOADS_PER_SESSION = 20
BATCHES = 10
STREAMED = (10_000, 100_000)
REAL = "RavenDB over loopback"


def main() -> None:
    """Measure loads and saves."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.embedded", description=__doc__.partition("\n")[0])
    parser.add_argument("--url", default=os.environ.get("EVSESSION_TEST_RAVENDB"), help="the RavenDB; without one it is left out")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        _saves(Path(place), given.rounds)
        _loads(Path(place), given.url, given.rounds)
        _streams(Path(place))


def _saves(place: Path, rounds: int) -> None:
    taken = [{name: measure(place / f"{name}-{number}.db") for name, measure in _SAVES.items()} for number in range(rounds)]
    print(f"\nsaves of {BATCH:,} new documents of 300 bytes\n{'':24}{'documents/s':>14}{'x bare':>10}")
    _print(taken, "bare sqlite3", lambda seconds: BATCH * BATCHES / seconds)


def _print(taken: list[dict[str, float]], base: str, shown: Callable[[float], float]) -> None:
    """Print a line for each of what was measured, beside what it is compared with."""
    for name in taken[0]:
        seconds = statistics.median(costs[name] for costs in taken)
        ratio = statistics.median(costs[name] / costs[base] for costs in taken) if base in taken[0] else float("nan")
        print(f"{name:24}{shown(seconds):>14,.0f}{ratio:>10.2f}")


def _commands(batch: int) -> list[dict[str, object]]:
    numbers = range(batch * BATCH, (batch + 1) * BATCH)
    return [
        {"Type": "PUT", "Id": f"items/{number}", "Document": {**item(number), "@metadata": {"@collection": "Items"}}}
        for number in numbers
    ]


def _save_bare(path: Path) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    tables = Tables.of(1)
    for statement in create_statements(tables):
        connection.execute(statement)
    metadata, vector, modified = '{"@collection":"Items"}', "A:1-t09jB506iEunWcANKrlXcw", "2026-11-21T11:34:50.0359495Z"
    rows = [
        (number, f"items/{number}", f"items/{number}", "Items", encode(item(number)).decode(), metadata, vector, modified)
        for number in range(1, BATCHES * BATCH + 1)
    ]
    begun = time.process_time()
    for batch in range(BATCHES):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            f"INSERT INTO {tables.documents} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows[batch * BATCH : (batch + 1) * BATCH]
        )
        connection.execute("COMMIT")
    seconds = time.process_time() - begun
    connection.close()
    return seconds


def _save_in_server(path: Path) -> float:
    from evsession.embedded.app import App

    app = App(path)
    app.answer(evsession.Request("PUT", "/admin/databases", b'{"DatabaseName":"db"}'))
    bodies = [encode({"Commands": _commands(batch)}) for batch in range(BATCHES)]
    begun = time.process_time()
    for body in bodies:
        assert app.answer(evsession.Request("POST", "/databases/db/bulk_docs", body)).status == 201
    seconds = time.process_time() - begun
    app.close()
    return seconds


def _save_in_session(path: Path) -> float:
    store = evsession.Store.embedded(path)

    async def save() -> float:
        documents = [[item(number) for number in range(batch * BATCH, (batch + 1) * BATCH)] for batch in range(BATCHES)]
        begun = time.process_time()
        for batch, chunk in enumerate(documents):
            async with store.open_session() as session:
                for number, document in enumerate(chunk):
                    session.store(document, key=f"items/{batch * BATCH + number}", collection="Items")
                await session.save()
        return time.process_time() - begun

    return store.run(save)


_SAVES = {"bare sqlite3": _save_bare, "server": _save_in_server, "session": _save_in_session}


def _loads(place: Path, url: str | None, rounds: int) -> None:
    path = place / "loads.db"
    if url:
        dataset.fill(url.rstrip("/"), "bench")
    taken = []
    for _ in range(rounds):
        costs = {"in process": _load(evsession.Store.embedded(path), lambda: 0.0)}
        if url:
            server_cpu = partial(_cpu_of, _listener(urlsplit(url).port or 80))
            costs[REAL] = _load(evsession.Store(url, "bench"), server_cpu)
        taken.append(costs)
    print(f"\nloads of one document of 1 KB, CPU of client and server\n{'':24}{'us/load':>14}{'x real':>10}")
    _print(taken, REAL, lambda seconds: seconds / LOADS * 1e6)


def _streams(place: Path) -> None:
    """Print what two streams take, one ten times as long as the other, on a file."""
    print(f"\na stream of a query's documents of 300 bytes, on a file\n{'':24}{'MiB at most':>14}")
    for count in STREAMED:
        path = place / f"streamed-{count}.db"
        _fill_items(path, count)
        ran = subprocess.run([sys.executable, "-c", _STREAM, str(path)], check=True, capture_output=True, text=True)
        print(f"{count:<24,}{int(ran.stdout) / 1024:>14.1f}")


_STREAM = """
import resource, sys
import evsession

store = evsession.Store.embedded(sys.argv[1])

async def read():
    async with store.open_session() as session:
        async for _ in session.stream("from Items"):
            pass

store.run(read)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _fill_items(path: Path, count: int) -> None:
    from evsession.embedded.app import App

    app = App(path)
    app.answer(evsession.Request("PUT", "/admin/databases", b'{"DatabaseName":"default"}'))
    for batch in range(count // BATCH):
        body = encode({"Commands": _commands(batch)})
        assert app.answer(evsession.Request("POST", "/databases/default/bulk_docs", body)).status == 201
    app.close()


def _load(store: evsession.Store, server_cpu: Callable[[], float]) -> float:
    async def load() -> float:
        async with store.open_session() as session:
            if not await session.exists(user_of(0)):
                await _fill(session)
        keys = user_keys(LOADS)
        begun = time.process_time() + server_cpu()
        for start in range(0, LOADS, LOADS_PER_SESSION):
            async with store.open_session() as session:
                for key in keys[start : start + LOADS_PER_SESSION]:
                    await session.load(key)
        return time.process_time() + server_cpu() - begun

    return store.run(load)


async def _fill(session: evsession.Session) -> None:
    for number in range(USERS):
        session.store(dataset.user(number), key=user_of(number), collection="Users")
    await session.save()


def _listener(port: int) -> int:
    """Return the id of the process that listens on the port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    lines += [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    sockets = {f"socket:[{line[9]}]" for line in lines if line[3] == "0A" and int(line[1].rpartition(":")[2], 16) == port}
    for opened in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(opened.readlink()) in sockets:
                return int(opened.parts[2])
        except OSError:
            continue
    raise SystemExit(f"no process that may be looked at listens on port {port}")


def _cpu_of(pid: int) -> float:
    """Return the seconds of CPU that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
