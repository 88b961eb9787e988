"""The process that one client runs in: reads what to do from its standard input, measures it, and writes what it cost.

A process of its own, since trio, asyncio and blocking clients do not share one, and so that nothing else's CPU time or memory is
counted.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from tests.benchmarks import dataset
from tests.benchmarks.client import Client, client_class

__all__ = ["Cost", "Slice", "main"]

KB = 1_024


@dataclass(frozen=True)
class Slice:
    """Some work to measure in one piece.

    Attributes:
        work: The name of the client's method.
        size: How often: documents to load, queries, batches to save, documents to insert or to stream.
        at_once: How many of them at the same time.
    """

    work: str
    size: int
    at_once: int = 1


@dataclass(frozen=True)
class Cost:
    """What a slice cost.

    Attributes:
        cpu: Seconds of CPU time (user and system) of this process, per document.
        growth: Bytes by which the peak of its memory exceeded what it had before.
    """

    cpu: float
    growth: int


async def measure(client: Client, piece: Slice) -> Cost:
    """Do the work. What it needs is made before the clock starts."""
    step, expected = prepare(client, piece)
    gc.collect()
    before = forget_peak()
    start = time.process_time()
    count = await step()
    cpu = time.process_time() - start
    if count != expected:
        raise RuntimeError(f"{piece}: {count} documents instead of {expected}")
    return Cost(cpu / count, memory("VmHWM") - before)


def prepare(client: Client, piece: Slice) -> tuple[Any, int]:
    """Return what does the work, and how many documents it must have dealt with."""
    size = piece.size
    if piece.work == "load":
        keys = dataset.user_keys(size)
        return lambda: client.load(keys, piece.at_once), size
    if piece.work == "query":
        teams = [f"t{number % (dataset.USERS // dataset.TEAM)}" for number in range(size)]
        return lambda: client.query(teams), size * dataset.TEAM
    if piece.work == "save":
        batches = [
            [(key, client.make(dataset.user(number), key)) for number, key in enumerate(dataset.saved_keys(batch))]
            for batch in range(size)
        ]
        return lambda: client.save(batches), size * dataset.BATCH
    if piece.work == "bulk":
        # The same thousand documents under ever new keys, so that memory holds hardly anything but what the client adds.
        made = [client.make(dataset.item(number), "bulks/") for number in range(1_000)]
        documents = [(key, made[number % 1_000]) for number, key in enumerate(dataset.bulk_keys(size))]
        return lambda: client.bulk(documents), size
    return lambda: client.stream(size), size


def forget_peak() -> int:
    """Return the memory in use, and let its peak be counted from here; where that cannot be done, growth is told too high."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(name: str) -> int:
    """Return what the kernel says of this process's memory, in bytes; 0 where there is no /proc."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.partition(f"{name}:")[2].split()[0]) * KB


async def serve(client: Client, answers: TextIO) -> None:
    async with client:
        for line in sys.stdin:
            print(json.dumps(asdict(await measure(client, Slice(**json.loads(line))))), file=answers, flush=True)


def main(name: str, url: str, database: str) -> None:
    """Serve until the standard input ends. The first line of the answer says whether the client is there."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a client prints shall not be taken for an answer
    try:
        client = client_class(name)(url, database)
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": f"{error.name} is not installed"}), file=answers, flush=True)
        return
    print(json.dumps({"missing": None}), file=answers, flush=True)
    client.run(lambda: serve(client, answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
