"""The table of what work may cost: what is compared with what, and what it may cost. Nothing here is asserted; it is printed.

Ours is the whole session: identity map, tracking, handlers of failures, a timeout. So is a budget against *bare* one against
the bare client with a timeout; the lines without a budget tell what else is good to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.benchmarks import imports, tracking
from tests.benchmarks.dataset import ITEMS
from tests.benchmarks.race import Contender, Spread, Workers, ratios, run
from tests.benchmarks.worker import Cost, Slice

__all__ = ["TABLE", "Race", "print_imports", "print_race", "print_tracking"]

MB = 1 << 20
LINE = "{:<34} {:<30} {:>7} {:>13} {:>8} {:>8}  {}"


@dataclass(frozen=True)
class Row:
    """A line of the table: one contender's CPU time as a multiple of the other's.

    Attributes:
        work: What is done.
        against: What it is compared with.
        one: Usually ours.
        other: Usually a peer.
        budget: What the ratio has to be at most, if anything was promised.
        turned: Whether the other's cost is told as a multiple of ours, and has to be at least the budget.
    """

    work: str
    against: str
    one: Contender
    other: Contender
    budget: float | None = None
    turned: bool = False


@dataclass(frozen=True)
class Race:
    """Rows that share their measurements.

    Attributes:
        rows: Its lines.
        growth: Contenders whose memory is told, too, and how many MB its peak may grow by if that was promised.
    """

    rows: tuple[Row, ...]
    growth: tuple[tuple[Contender, float | None], ...] = ()

    @property
    def contenders(self) -> list[Contender]:
        """Who takes part."""
        return list(dict.fromkeys(contender for row in self.rows for contender in (row.one, row.other)))


def _by(clients: Iterable[str], work: str, size: int, at_once: int = 1) -> Iterator[Contender]:
    return (Contender(client, Slice(work, size, at_once)) for client in clients)


def _load() -> Race:
    clients = ("evsession", "bare", "bare, no timeout", "aiohttp")
    ours, bare, untimed, aiohttp = _by(clients, "load", 300)
    ours_32, bare_32, untimed_32, aiohttp_32 = _by(clients, "load", 640, 32)
    ours_1000, bare_1000 = _by(clients[:2], "load", 1_000, 1_000)
    (official,) = _by(["ravendb"], "load", 100)
    return Race(
        (
            Row("load, one at a time", "bare", ours, bare, 1.15),
            Row("load, one at a time", "bare, no timeout", ours, untimed),
            Row("load, one at a time", "aiohttp + orjson", ours, aiohttp),
            Row("load, one at a time", "official / ours", ours, official, 4, turned=True),
            Row("load, 32 at once", "bare", ours_32, bare_32, 1.15),
            Row("load, 32 at once", "bare, no timeout", ours_32, untimed_32),
            Row("load, 32 at once", "aiohttp + orjson", ours_32, aiohttp_32),
            Row("load, 1,000 at once", "bare", ours_1000, bare_1000, 1.15),
            Row("load, 1,000 at once", "ours, one at a time", ours_1000, ours, 1.1),
        )
    )


def _query() -> Race:
    ours, typed, bare, aiohttp = _by(("evsession", "evsession typed", "bare", "aiohttp"), "query", 30)
    (official,) = _by(["ravendb"], "query", 3)
    return Race(
        (
            Row("query, 128 x 1 KB, per document", "aiohttp + orjson", ours, aiohttp, 1.4),
            Row("query, 128 x 1 KB, per document", "bare", ours, bare),
            Row("query, 128 x 1 KB, per document", "official / ours", ours, official, turned=True),
            Row("query, dataclasses", "aiohttp + orjson", typed, aiohttp),
        )
    )


def _save() -> Race:
    ours, typed, bare = _by(("evsession", "evsession typed", "bare"), "save", 4)
    (official,) = _by(["ravendb"], "save", 1)
    return Race(
        (
            Row("save, batches of 1,000 new", "bare", ours, bare, 2),
            Row("save, batches of 1,000 new", "official / ours", ours, official, 8, turned=True),
            Row("save, dataclasses", "bare", typed, bare),
            Row("save, dataclasses", "official / ours", typed, official, turned=True),
        )
    )


def _bulk() -> Race:
    ours, bare = _by(("evsession", "bare"), "bulk", 50_000)
    return Race((Row("bulk insert 50,000", "bare", ours, bare, 1.4),), ((ours, None), (bare, None)))


def _stream() -> Race:
    ours, typed, bare = _by(("evsession", "evsession typed", "bare"), "stream", ITEMS)
    rows = (Row("stream 50,000", "bare", ours, bare, 1.4), Row("stream, dataclasses", "bare", typed, bare))
    return Race(rows, ((ours, 3), (bare, None)))


TABLE: dict[str, Callable[[], Race]] = {"load": _load, "query": _query, "save": _save, "bulk": _bulk, "stream": _stream}


def print_heading() -> None:
    """Print the names of the columns."""
    print(LINE.format("CPU time of the client's process", "against", "ratio", "min - max", "us", "us", "budget"))


def print_race(workers: Workers, race: Race, rounds: int) -> None:
    """Measure and print the rows of a race."""
    cold, *costs = run(workers, race.contenders, rounds)
    for row in race.rows:
        missing = [workers.missing[side.client] for side in (row.one, row.other) if side.client in workers.missing]
        if missing:
            print(f"{row.work:<34} {row.against:<30} {missing[0]}")
            continue
        spread = ratios(costs, row.other, row.one) if row.turned else ratios(costs, row.one, row.other)
        _print_row(row.work, row.against, spread, _us(costs, row.one), _us(costs, row.other), row.budget, at_least=row.turned)
    for contender, limit in race.growth:
        grown = max(taken[contender].growth for taken in (cold, *costs)) / MB
        promised = "" if limit is None else f"<= {limit:g} MB {'ok' if grown <= limit else 'MISSED'}"
        name = f"{contender.slice.work}, growth of peak memory"
        print(f"{name:<34} {contender.client:<30} {grown:>5.1f} MB {promised:>40}".rstrip())


def print_imports(rounds: int) -> None:
    """Measure and print what importing costs."""
    spread, ours, theirs = imports.compare(rounds)
    _print_row("import evsession", "its dependencies alone", spread, ours.median * 1e6, theirs.median * 1e6, 1.3)
    stray = imports.stray_io()
    print(f"{'import evsession, I/O of its own':<34} {'; '.join(stray) or 'none'}")


def print_tracking(rounds: int) -> None:
    """Measure and print what it costs that a session knows its documents."""
    for is_first in (True, False):
        spread, ours, theirs = tracking.scan(rounds, is_first=is_first)
        work = f"find no change in {tracking.DOCUMENTS:,}{'' if is_first else ', again'}"
        _print_row(work, "encoding them with msgspec", spread, ours.median * 1e6, theirs.median * 1e6, 1.5)
    spread, ours, theirs = tracking.scan(rounds, is_first=True, changed=tracking.CHANGED)
    work = f"find {tracking.CHANGED:,} changed of {tracking.DOCUMENTS:,}"
    _print_row(work, "encoding them with msgspec", spread, ours.median * 1e6, theirs.median * 1e6, 1.5)
    tracked, alone = tracking.growth()
    more = (tracked / alone - 1) * 100
    kept = "ok" if more <= 40 else "MISSED"
    print(f"{'memory of a tracked document':<34} {'the document alone':<30} {f'+{more:.0f} %':>7} {f'<= 40 % {kept}':>40}")


def _us(costs: list[dict[Contender, Cost]], contender: Contender) -> float:
    return Spread.of(taken[contender].cpu for taken in costs).median * 1e6


def _print_row(
    work: str, against: str, spread: Spread, ours: float, theirs: float, budget: float | None, *, at_least: bool = False
) -> None:
    verdict = ""
    if budget is not None:
        kept = spread.median >= budget if at_least else spread.median <= budget
        verdict = f"{'>=' if at_least else '<='} {budget:g} {'ok' if kept else 'MISSED'}"
    between = f"{spread.low:.2f} - {spread.high:.2f}"
    print(
        LINE.format(work, against, f"{spread.median:.2f}", between, f"{ours:.1f}", f"{theirs:.1f}", verdict).rstrip(), flush=True
    )
