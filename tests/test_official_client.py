"""The official client finds the same on the embedded server as on the real one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

ROOT = Path(__file__).parents[1]

FOUND = """\
stores_and_loads ('dogs/1-A', {'dogs/jess': ('Jess 😀', 7), 'dogs/max': ('Max', 13), 'dogs/nobody': None}, [True, False], ['Max'])
queries ([['Max'], ['Rex'], ['Max', 'Billy'], ['Billy'], ['Rex', 'Jess 😀'], ['Jess 😀', 'Max'], 4], ['Max'], 'Olga', 0)
patches 19
deletes None
concurrency ('ConcurrencyException', True)
bulk_insert_and_streams (10, ['B1990', 'B1991'], 'B1999')
indexes ['Max']
deletes_by_query 3
"""


@pytest.mark.skipif(
    importlib.util.find_spec("ravendb") is None, reason="the official client is not installed: pip install ravendb"
)
def test_the_official_client(raven_url: str) -> None:
    command = [sys.executable, "-m", "tests.official", raven_url, f"official-{uuid4().hex}"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=100, check=False)
    assert (ran.stdout, ran.returncode) == (FOUND, 0), ran.stderr[-2000:]
