"""Operations: what a client asks about later, by number. They end before they are answered here, so their states are results."""

from __future__ import annotations

import itertools
import threading

from evsession.wire.json import JSON

__all__ = ["Operations", "bulk_result"]

KEPT = 10_000
"""Results that are remembered; RavenDB forgets them after two days, and all with the process."""


class Operations:
    """Results of a database's operations by number. May be used by several threads."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._states: dict[int, dict[str, JSON]] = {}
        self._killed: set[int] = set()
        self._lock = threading.Lock()

    def next_number(self) -> int:
        """Return a number that nobody else gets."""
        return next(self._numbers)

    def state(self, number: int) -> dict[str, JSON] | None:
        """Return what is known of the operation."""
        return self._states.get(number)

    def begin(self, number: int) -> None:
        """Say that the operation runs."""
        self._keep(number, {"Progress": None, "Result": None, "Status": "InProgress"})

    def complete(self, number: int, result: dict[str, JSON]) -> None:
        """Say how the operation ended."""
        self._keep(number, {"Progress": None, "Result": result, "Status": "Completed"})

    def fail(self, number: int, kind: str, message: str) -> None:
        """Say that the operation failed."""
        result = {"Type": kind, "Message": message, "Error": f"{kind}: {message}", "StatusCode": 500}
        self._keep(number, {"Progress": None, "Result": result, "Status": "Faulted"})

    def kill(self, number: int) -> bool:
        """Stop the operation at its next step; return whether it is known."""
        with self._lock:
            self._killed.add(number)
        return number in self._states

    def is_killed(self, number: int) -> bool:
        """Return whether the operation is to stop."""
        return number in self._killed

    def _keep(self, number: int, state: dict[str, JSON]) -> None:
        with self._lock:
            self._states[number] = state
            self._killed.discard(number)
            while len(self._states) > KEPT:
                del self._states[next(iter(self._states))]


def bulk_result(total: int) -> dict[str, JSON]:
    """Return the result of an operation on `total` documents."""
    return {"Total": total, "Message": f"Processed {total} items.", "Details": [], "Query": None, "DocumentsProcessed": total}
