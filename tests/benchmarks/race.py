"""Paired measurements: the same work by several clients, slice by slice, in a new order each round.

CPU time on a shared machine drifts by half within minutes. Costs that were taken within one round are compared with each other
only, and what is told is the median of such ratios.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

from tests.benchmarks.worker import Cost, Slice

__all__ = ["Contender", "Missing", "Spread", "Workers", "ratios", "run"]


@dataclass(frozen=True)
class Contender:
    """A client and what it has to do."""

    client: str
    slice: Slice


class Missing(Exception):
    """The client is not installed."""


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of some numbers."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of at least one number."""
        known = list(values)
        return cls(statistics.median(known), min(known), max(known))


class Worker:
    """The process of one client."""

    def __init__(self, name: str, url: str, database: str) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.worker", name, url, database]
        self._name = name
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        missing = self._answer()["missing"]
        if missing:
            self.close()
            raise Missing(missing)

    def measure(self, piece: Slice) -> Cost:
        """Have the slice done."""
        assert self._process.stdin is not None
        print(json.dumps(asdict(piece)), file=self._process.stdin, flush=True)
        answer = self._answer()
        return Cost(answer["cpu"], answer["growth"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self._name!r} has ended; it says above why")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class Workers:
    """The processes of all clients, started when they are first needed."""

    def __init__(self, url: str, database: str) -> None:
        self._where = url, database
        self._workers: dict[str, Worker] = {}
        self.missing: dict[str, str] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for worker in self._workers.values():
            worker.close()

    def get(self, client: str) -> Worker | None:
        """Return the client's process, or None if the client is not installed."""
        if client not in self._workers and client not in self.missing:
            try:
                self._workers[client] = Worker(client, *self._where)
            except Missing as error:
                self.missing[client] = str(error)
        return self._workers.get(client)


def run(workers: Workers, contenders: Collection[Contender], rounds: int) -> list[dict[Contender, Cost]]:
    """Return the costs, round by round, after those of one in which everything is warmed up."""
    taken = []
    for _ in range(rounds + 1):
        order = [contender for contender in contenders if workers.get(contender.client) is not None]
        random.shuffle(order)
        costs = {}
        for contender in order:
            worker = workers.get(contender.client)
            assert worker is not None
            costs[contender] = worker.measure(contender.slice)
        taken.append(costs)
    return taken


def ratios(rounds: Iterable[dict[Contender, Cost]], one: Contender, other: Contender) -> Spread:
    """Return how many times the other's CPU time the one takes per document, round by round."""
    return Spread.of(costs[one].cpu / costs[other].cpu for costs in rounds)
