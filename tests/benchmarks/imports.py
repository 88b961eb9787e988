"""What importing evsession costs beyond its dependencies, and whether it does anything but import. Always in new interpreters."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from tempfile import TemporaryDirectory

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
    with TemporaryDirectory() as compiled:
        for number in range(rounds + 1):  # the first one compiles
            pair = {OURS: 0.0, DEPENDENCIES: 0.0}
            for what in random.sample(list(pair), 2):
                pair[what] = float(_run(_TIMED, what, compiled))
            if number:
                ours.append(pair[OURS])
                theirs.append(pair[DEPENDENCIES])
    return Spread.of(one / other for one, other in zip(ours, theirs, strict=True)), Spread.of(ours), Spread.of(theirs)


def stray_io() -> list[str]:
    """Return what `import evsession` asks of the system besides modules, and its dependencies alone do not; none is right."""
    with TemporaryDirectory() as compiled:
        _run(_TIMED, OURS, compiled)
        known = set(json.loads(_run(_AUDITED, DEPENDENCIES, compiled)))
        return [event for event in json.loads(_run(_AUDITED, OURS, compiled)) if event not in known]


def _run(program: str, what: str, compiled: str) -> str:
    # Bytecode is written, wherever that is forbidden: installed packages have it, a checkout need not.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-X", f"pycache_prefix={compiled}", "-c", program.format(what)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
