"""Prints what evsession costs beside other clients: ``python -m tests.benchmarks [--url URL] [--rounds N] [names...]``.

Needs a RavenDB, on which it makes a database. The peers aiohttp + orjson and ravendb are optional: without them their rows say
so. Install them where it does not matter, not in the environment of the tests::

    python -m venv /tmp/bench && /tmp/bench/bin/pip install -e . aiohttp orjson ravendb
    /tmp/bench/bin/python -m tests.benchmarks
"""

from __future__ import annotations

import argparse
import os

from tests.benchmarks import dataset
from tests.benchmarks.race import Workers
from tests.benchmarks.table import TABLE, print_heading, print_imports, print_race, print_tracking

ALONE = {"tracking": print_tracking, "import": print_imports}
"""What is measured without a server and without peers."""


def main() -> None:
    """Measure what was asked for, everything by default."""
    names = [*TABLE, *ALONE]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Print what evsession costs beside others.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to measure: {', '.join(names)}; all by default")
    parser.add_argument("--url", default=os.environ.get("EVSESSION_TEST_RAVENDB", "http://127.0.0.1:8080"), help="the RavenDB")
    parser.add_argument("--database", default="bench", help="is created and filled if need be")
    parser.add_argument("--rounds", type=int, default=12, help="more of them tell more exactly")
    given = parser.parse_args()
    if unknown := set(given.names) - set(names):
        parser.error(f"nothing is called {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    wanted = [name for name in names if name in (given.names or names)]
    url = given.url.rstrip("/")
    if not ALONE.keys() >= set(wanted):
        dataset.fill(url, given.database)
    print_heading()
    for name in wanted:
        if name in ALONE:
            ALONE[name](given.rounds)
            continue
        with Workers(url, given.database) as workers:
            print_race(workers, TABLE[name](), given.rounds)


if __name__ == "__main__":
    main()
