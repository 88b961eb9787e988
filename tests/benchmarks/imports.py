"""What importing evsession costs beyond its dependencies, and whether it does anything but import. Always in new interpreters."""

from __future__ import annotations

import json
import random
import subprocess
import sys

from tests.benchmarks.race import Spread

__all__ = ["compare", "stray_io"]

OURS = "evsession"
DEPENDENCIES = "trio, h11, pyee, msgspec, inflection"

_TIMED = """
import time
start = time.process_time()
import {}
print(time.process_time() - start)
"""

_AUDITED = """
import json, sys
CODE = (".py", ".pyc", ".so", ".pyd")
QUIET = ("import", "compile", "exec", "marshal.", "object.", "code.", "sys._getframe", "builtins.id", "cpython.", "os.listdir")
seen = []

def audit(event, arguments):
    if not event.startswith(QUIET) and not (event == "open" and str(arguments[0]).endswith(CODE)):
        seen.append(" ".join([event, *(known for known in arguments[:1] if isinstance(known, str))]))

sys.addaudithook(audit)
import {}
print(json.dumps(seen))
"""


def compare(rounds: int) -> tuple[Spread, Spread, Spread]:
    """Return the ratio of CPU times, and both of them in seconds."""
    ours, theirs = [], []
    for number in range(rounds + 1):  # the first one may compile
        pair = {OURS: 0.0, DEPENDENCIES: 0.0}
        for what in random.sample(list(pair), 2):
            pair[what] = float(_run(_TIMED, what))
        if number:
            ours.append(pair[OURS])
            theirs.append(pair[DEPENDENCIES])
    return Spread.of(one / other for one, other in zip(ours, theirs, strict=True)), Spread.of(ours), Spread.of(theirs)


def stray_io() -> list[str]:
    """Return what `import evsession` asks of the system besides modules, and its dependencies alone do not; none is right."""
    known = set(json.loads(_run(_AUDITED, DEPENDENCIES)))
    return [event for event in json.loads(_run(_AUDITED, OURS)) if event not in known]


def _run(program: str, what: str) -> str:
    return subprocess.run([sys.executable, "-c", program.format(what)], check=True, capture_output=True, text=True).stdout
