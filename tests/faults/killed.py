"""A program that kills a server a hundred times, in the middle of saves, and looks for what was acknowledged.

Saves are batches and bulk inserts of two documents, in one of two databases of the file. Run as ``python -m tests.faults.killed
FILE ROUNDS SEED``; prints how many saves were acknowledged, and how many were sent. It forks, so that a server is there in
milliseconds, and so has neither threads nor trio itself.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trio

from evsession.embedded.serve import serve

PUT = {"ChangeVector": None, "Type": "PUT"}
DATABASES = ("kennel", "cattery")


@contextmanager
def serving(path: str) -> Iterator[tuple[int, http.client.HTTPConnection]]:
    """Give a server's process and a connection to it; in the end the process is killed, if it has not been, and has ended."""
    process, port = start(path)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        yield process, connection
    finally:
        connection.close()
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def start(path: str) -> tuple[int, int]:
    """Fork a server; return its process and its port."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(reader)
            trio.run(lambda: serve(path, port=0, tell=lambda url: os.write(writer, url.encode() + b"\n")))
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as told:
        return process, int(told.readline().rpartition(":")[2])


def ask(connection: http.client.HTTPConnection, method: str, target: str, body: object = None) -> Any:
    """Return the decoded answer."""
    connection.request(method, target, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    return json.loads(data) if data else None


def database_of(number: int) -> str:
    """Return the path of the database that the save goes to."""
    return f"/databases/{DATABASES[number % 2]}"


def is_bulk(number: int) -> bool:
    """Return whether the save is a bulk insert."""
    return number % 3 == 0


def save(connection: http.client.HTTPConnection, number: int) -> None:
    """Send two documents; do not wait for the answer."""
    document = {"n": number, "@metadata": {"@collection": "Dogs"}}
    commands = [{**PUT, "Id": f"dogs/{number}-{part}", "Document": document} for part in "ab"]
    target, body = ("bulk_insert?id=1", commands) if is_bulk(number) else ("bulk_docs", {"Commands": commands})
    data = json.dumps(body)
    connection.request("POST", f"{database_of(number)}/{target}", data, {"Content-Type": "application/json"})


def found(connection: http.client.HTTPConnection, numbers: list[int]) -> dict[int, int]:
    """Return how many of the two documents of each save are there."""
    states: dict[int, int] = {}
    for remainder in (0, 1):
        asked = [number for number in numbers if number % 2 == remainder]
        keys = [f"dogs/{number}-{part}" for number in asked for part in "ab"]
        rows = ask(connection, "POST", f"{database_of(remainder)}/docs", {"Ids": keys})["Results"] if keys else []
        kept = [row["n"] for row in rows if row is not None]
        states |= {number: kept.count(number) for number in asked}
    return states


def check(connection: http.client.HTTPConnection, numbers: list[int], acknowledged: set[int]) -> None:
    """See that everything acknowledged is there, and that no batch is there by half."""
    states = found(connection, numbers)
    lost = [number for number, state in states.items() if number in acknowledged and state != 2]
    torn = [number for number, state in states.items() if state == 1 and not is_bulk(number)]
    assert not lost, f"acknowledged, and lost: {lost}"
    assert not torn, f"half of a batch: {torn}"


def main(path: str, rounds: int, seed: int) -> None:
    """Kill, look, go on."""
    chance = random.Random(seed)
    acknowledged: set[int] = set()
    last: list[int] = []
    number = 0
    for _ in range(rounds):
        with serving(path) as (process, connection):
            for name in () if number else DATABASES:
                ask(connection, "PUT", f"/admin/databases?name={name}", {"DatabaseName": name})
            check(connection, last, acknowledged)
            last = []
            for is_last in [False] * chance.randrange(4) + [True]:
                number += 1
                last.append(number)
                save(connection, number)
                if is_last:
                    time.sleep(chance.random() * 0.004)
                    os.kill(process, signal.SIGKILL)
                try:
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException):
                    break
                assert answer.status == 201, answer.status
                acknowledged.add(number)
    with serving(path) as (_, connection):
        check(connection, list(range(1, number + 1)), acknowledged)
    print(len(acknowledged), number)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
