"""Documents and batches: thousands of random steps, the same at both servers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.differential.programs import WRONG, Program
from tests.differential.twins import Twins

STEPS = int(os.environ.get("EVSESSION_TEST_STEPS", "600"))
"""Steps of each program; more by hand."""

FIRST = int(os.environ.get("EVSESSION_TEST_SEED", "0"))
"""The first seed; others by hand."""


@pytest.fixture
def twins(real_raven_url: str) -> Iterator[Twins]:
    """Both servers, empty."""
    pair = Twins(real_raven_url, f"twin-{uuid4().hex}")
    yield pair
    pair.close()


_COUNTED_SINCE_7 = frozenset(
    f"CountOf{what}"
    for what in (
        *("RevisionDocuments", "DocumentsConflicts", "Attachments", "CounterEntries"),
        *("TimeSeriesSegments", "TimeSeriesDeletedRanges"),
    )
)


def without_tombstones(answer: Any) -> Any:
    """Leave out what RavenDB says of deleted documents for as long as it remembers them, and what only 7 counts."""
    if isinstance(answer, dict) and answer.get("Type") == "DELETE":
        return {name: value for name, value in answer.items() if name not in ("Deleted", "ChangeVector")}
    if isinstance(answer, dict) and "does not exist, but delete was called" in str(answer.get("Message")):
        return {name: value for name, value in answer.items() if name not in ("Id", "ExpectedChangeVector")}
    if isinstance(answer, dict):
        left_out = {"CountOfTombstones", *_COUNTED_SINCE_7}
        return {name: without_tombstones(value) for name, value in answer.items() if name not in left_out}
    return [without_tombstones(item) for item in answer] if isinstance(answer, (list, tuple)) else answer


@pytest.mark.parametrize("seed", range(FIRST, FIRST + 8))
def test_random_programs(twins: Twins, seed: int) -> None:
    program = Program(seed)
    done: list[str] = []
    for method, path, body, headers in program.steps(STEPS):
        asked = json.loads(json.dumps(body).replace("{database}", twins.database))
        real, ours = twins.ask(method, path, asked, headers)
        done.append(f"{method} {path} {json.dumps(body, ensure_ascii=False)} {headers} -> {ours[0]}")
        assert without_tombstones(ours) == without_tombstones(real), "\n".join(["", *done[-8:]])
        program.saw(real[2])


@pytest.mark.parametrize("step", WRONG, ids=lambda step: f"{step[0]} {step[1][:40]} {json.dumps(step[2])[:60]}")
def test_bad_requests(twins: Twins, step: tuple[str, str, Any, dict[str, str]]) -> None:
    real, ours = twins.ask(*step)
    assert ours == real
