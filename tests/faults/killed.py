"""A program that kills a server a hundred times, in the middle of saves, and looks for what was acknowledged.

Run as ``python -m tests.faults.killed FILE ROUNDS SEED``; prints how many saves were acknowledged. It forks, so that a server is
there in milliseconds, and so has neither threads nor trio itself.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import sys
import time
from typing import Any

import trio

from evsession.embedded.serve import serve

PUT = {"ChangeVector": None, "Type": "PUT"}
DATABASE = "/databases/kennel"


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


def save(connection: http.client.HTTPConnection, number: int) -> None:
    """Send one batch of two documents; do not wait for the answer."""
    document = {"n": number, "@metadata": {"@collection": "Dogs"}}
    commands = [{**PUT, "Id": f"dogs/{number}-{part}", "Document": document} for part in "ab"]
    body = json.dumps({"Commands": commands})
    connection.request("POST", f"{DATABASE}/bulk_docs", body, {"Content-Type": "application/json"})


def found(connection: http.client.HTTPConnection, numbers: list[int]) -> dict[int, int]:
    """Return how many of the two documents of each batch are there."""
    keys = [f"dogs/{number}-{part}" for number in numbers for part in "ab"]
    rows = ask(connection, "POST", f"{DATABASE}/docs", {"Ids": keys})["Results"] if keys else []
    kept = [row["n"] for row in rows if row is not None]
    return {number: kept.count(number) for number in numbers}


def main(path: str, rounds: int, seed: int) -> None:
    """Kill, look, go on."""
    chance = random.Random(seed)
    acknowledged: list[int] = []
    last: list[int] = []
    number = 0
    for _ in range(rounds):
        process, port = start(path)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        if not number:
            ask(connection, "PUT", "/admin/databases?name=kennel", {"DatabaseName": "kennel"})
        states = found(connection, last)
        lost = [one for one, state in states.items() if one in acknowledged and state != 2]
        torn = [one for one, state in states.items() if state == 1]
        assert not lost, f"acknowledged, and lost: {lost}"
        assert not torn, f"half of a batch: {torn}"
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
            acknowledged.append(number)
        os.waitpid(process, 0)
        connection.close()
    process, port = start(path)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    states = found(connection, list(range(1, number + 1)))
    assert all(states[one] == 2 for one in acknowledged), "acknowledged, and lost in the end"
    assert all(state != 1 for state in states.values()), "half of a batch in the end"
    os.kill(process, signal.SIGTERM)
    os.waitpid(process, 0)
    print(len(acknowledged), number)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
