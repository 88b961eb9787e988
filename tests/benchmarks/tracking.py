"""What it costs that a session knows its documents: memory, and the search for changes when it commits.

Needs no server and no peer: the documents come from a script, and what is compared with is the same documents without a session.
"""

from __future__ import annotations

import gc
import time
import tracemalloc

import msgspec
import trio

import evsession
from evsession.testing.scripted import ScriptedTransport, json_answer
from tests.benchmarks.dataset import user, user_of
from tests.benchmarks.race import Spread

__all__ = ["CHANGED", "DOCUMENTS", "growth", "scan"]

DOCUMENTS = 10_000
"""Documents of about 1 KB that the session has loaded."""


CHANGED = 1_000
"""Of these so many are changed, each tenth one."""


def scan(rounds: int, *, is_first: bool, changed: int = 0) -> tuple[Spread, Spread, Spread]:
    """Return how many times the CPU time of encoding all documents once it takes to find the changes in them, and both times.

    Args:
        rounds: How often to measure.
        is_first: Whether it is the first look at the documents since they were loaded, as in most programs.
        changed: How many have changed; without any it is a whole commit that is measured.
    """
    return trio.run(_scan, rounds, is_first, changed)


async def _scan(rounds: int, is_first: bool, changed: int) -> tuple[Spread, Spread, Spread]:
    scans, encodings = [], []
    encode = msgspec.json.Encoder().encode
    async with _store() as store, store.open_session() as session:
        for number in range(rounds + 1):
            # Each finds documents that nobody has looked at since; whoever came second would find them in the processor's cache.
            for is_scan in (True, False) if number % 2 else (False, True):
                session.clear()
                documents, _ = await session.query("User")
                if not is_first:
                    await session.save()
                for place in range(changed):
                    documents[place * (DOCUMENTS // changed)]["age"] = -number - 1
                gc.collect()
                start = time.process_time()
                if is_scan:
                    if changed:  # without the write
                        staged = session._unit.freeze()
                        session._unit.release(staged)
                        count = len(staged)
                    else:
                        count = len(await session.save())
                    if count != changed:
                        raise RuntimeError(f"{count} changes were found")
                    scans.append((time.process_time() - start) / DOCUMENTS)
                else:
                    for document in documents:
                        encode(document)
                    encodings.append((time.process_time() - start) / DOCUMENTS)
    del scans[0], encodings[0]  # with which everything was warmed up
    return Spread.of(one / other for one, other in zip(scans, encodings, strict=True)), Spread.of(scans), Spread.of(encodings)


def growth() -> tuple[float, float]:
    """Return the bytes that a loaded document takes with what its session knows of it, and without."""
    return trio.run(_growth)


async def _growth() -> tuple[float, float]:
    async with _store() as store:
        async with store.open_session() as session:
            await session.query("User")  # makes what is made once
            session.clear()
            gc.collect()
            tracemalloc.start()
            documents, _ = await session.query("User")
            gc.collect()
            tracked = tracemalloc.get_traced_memory()[0]
            session.clear()
            gc.collect()
            alone = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
    return tracked / len(documents), alone / len(documents)


def _store() -> evsession.Store:
    """Return a store whose queries find all documents."""
    rows = [{**user(number), "@metadata": _metadata(number)} for number in range(DOCUMENTS)]
    answer = json_answer({"Results": rows, "TotalResults": DOCUMENTS, "IsStale": False})
    return evsession.Store(transport=ScriptedTransport(repeat=answer), database="bench")


def _metadata(number: int) -> dict[str, str]:
    return {
        "@collection": "Users",
        "@id": user_of(number),
        "@change-vector": f"A:{number}-XKNk9uUE60y92is95T3rIg",
        "@last-modified": "2026-11-21T11:12:36.7059684Z",
    }
