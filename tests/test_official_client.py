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
stores_and_loads ('dogs/1-A', {'dogs/jess': ('Jess 😀', 7), 'dogs/max': ('Max', 13), 'dogs/nobody': None}, [True, False],
 ['Max'])
queries ([['Max'], ['Rex'], ['Max', 'Billy'], ['Billy'], ['Rex', 'Jess 😀'], ['Jess 😀', 'Max'], 4], ['Max'], 'Olga', 0)
patches 19
patches_of_sessions ('Max', ['z', 'c', 5], {'a/b': True, 'rope': None}, {'name': 'Olga'}, 5, 0, 10, ['z', 'c', 5, 'd'])
patches_that_fail ('Patched',
 ['An error occurred while trying to apply json patch operation to document dogs/max.',
  'Cannot apply json patch because the document dogs/none does not exist',
  'An error occurred while trying to apply json patch operation to document dogs/max.'])
deletes None
concurrency ('ConcurrencyException', True)
bulk_insert_and_streams (10, ['B1990', 'B1991'], 'B1999')
indexes ['Max']
asks_for_indexes (['DogsByName', ['from d in docs.Dogs select new { d.name, d.age }'], 'LOCKED_IGNORE', 'HIGH', 'NORMAL'],
 ['DogsByName', 2003, 'MAP', False, ['Dogs']], True, True, True, [('DogsByName', [])], ['rex'], True,
 "There is no index with 'Nope' name.")
asks_for_statistics (True, True, True, 0, 2003, True, True, [True, False],
 "The name 'a..b' is not permitted. If a name contains '.' character then it must be surrounded by other "
 'allowed characters.')
deletes_by_query 3
"""


@pytest.mark.skipif(
    importlib.util.find_spec("ravendb") is None, reason="the official client is not installed: pip install ravendb"
)
def test_the_official_client(raven_url: str) -> None:
    command = [sys.executable, "-m", "tests.official", raven_url, f"official-{uuid4().hex}"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=100, check=False)
    assert (ran.stdout, ran.returncode) == (FOUND, 0), ran.stderr[-2000:]
