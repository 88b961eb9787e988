"""Each example runs as a program of its own against the real server, and prints what it should."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

import evsession

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"

QUICKSTART = """\
database {database}
stored ['dogs/max', 'dogs/billy', 'dogs/jess'] in one request
loaded Max born 2012
found ['Jess', 'Billy'] of 2
saved ['dogs/max', 'dogs/jess'] since those have changed
deleted dogs/billy; exists: False
"""

OUTPUT = {
    "callbacks": """\
asked for a database; the answer is not here yet
saved ['dogs/max']
loaded Max of age 12
saved the change ['dogs/max']
exists after delete: False
""",
    "application": """\
guests/bella 1
guests/billy 1
guests/jess 1
guests/max 1
guests/rocky 1
guests/russell 1
6 guests
""",
    "handlers": """\
seen on the wire: PUT 409
store, 409: create_database
session, 404: dogs/nobody
session, 404 again
None
store, 4xx: 404 dogs/nobody
store, error: QueryError
session, by code: ParseException
""",
    "includes_and_projections": """\
Pip includes ['Jess']
the same object: True after 1 request
['Pip', 'Jess'] include ['Jess', 'Kim'] after 1 request
dogs/jess Jess 7
dogs/pip Pip 1
2 in all
""",
    "patches": """\
13 ['old', 'friendly'] {'name': 'Ann', 'city': 'Oslo'}
14 Mäxchen
not patched: 409
False
no such document: 404 dogs/nobody
""",
    "concurrency": """\
too late: 409 dogs/max True
Dog(name='Max', age=20, id='dogs/max')
""",
    "unit_of_work": """\
new: ['dogs/max', 'dogs/jess']
planned: ['Max'] ['Jess']
written: ['dogs/max', 'dogs/jess', 'diaries/dogs-max', 'diaries/dogs-jess'] in rounds: 3
kept: Jess True 1
diary: [['age: 12 -> 13'], ['gone: False -> True']]
rolled back, still pending: {'age': Change(old=13, new=99), 'version': Change(old=1, new=2)}
reverted: 13
""",
    "bulk_and_stream": """\
inserted 5000
sum of all: 3124375.0
40 are high, of the sensors ['s0', 's1', 's2', 's3', 's4', 's5', 's6', 's7', 's8', 's9']
highest of s7: 1249.25
""",
    "quickstart": QUICKSTART,
}


GRAPH_OUTPUT = {
    "graph_callbacks": """\
asked; the answer is not here yet
created 3
found ['Jess', 'Max']
told once, in one place: Neo.ClientError.Statement.SyntaxError
and the callback knows, too: True
deleted True
""",
    "graph_transactions": """\
deadlock, once more: True
[{'id': 'a', 'amount': 120}, {'id': 'b', 'amount': 80}]
""",
    "graph_chaining": """\
both are there: ['Alice', 'Bob']
a bookmark of its own now: True True
""",
    "graph_models": """\
friends, Ann herself among them: 2
Ann FRIEND_OF 2026 John
oldest first: [('John', 39), ('Ann', 25)]
refused before anything is sent: age
on average 27.0
deleted 3
""",
    "graph_unit_of_work": """\
new: 1000 in requests: 2
changed: ['ExampleDog/0', 'ExampleDog/1'] removed: ['ExampleDog/2'] 6
seen in the transaction: Moritz
pending again: True
as it was: Max True
left: 0
""",
}


def run(command: list[str | Path], *, url: str, database: str, cwd: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "EVSESSION_URL": url,
        "EVSESSION_DATABASE": database,
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": str(ROOT),
        **more,
    }
    return subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, encoding="utf-8", check=False, timeout=120
    )


@pytest.fixture
def unmade(raven_url: str) -> Iterator[str]:
    """The name of a database that is not there; whoever makes it need not delete it."""
    name = f"test-{uuid4().hex}"
    yield name
    store = evsession.Store(raven_url)
    store.run(lambda: store.delete_database(name))


def test_every_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == OUTPUT.keys() | GRAPH_OUTPUT.keys()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.*")), ids=lambda path: path.name)
def test_examples_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 90


@pytest.mark.parametrize("where", [{}, {"EVSESSION_DATA": "dogs.db"}], ids=["memory", "file"])
def test_quickstart_on_the_embedded_server(where: dict[str, str], tmp_path: Path) -> None:
    for _ in range(2):
        command: list[str | Path] = [sys.executable, "-X", "dev", "-W", "error", EXAMPLES / "quickstart.py"]
        ran = run(command, url="", database="Kennel", cwd=tmp_path, **where)
        assert (ran.stderr, ran.stdout) == ("", QUICKSTART.format(database="Kennel"))
    assert (tmp_path / "dogs.db").exists() is bool(where)


@pytest.mark.parametrize("name", OUTPUT)
def test_example(name: str, raven_url: str, unmade: str) -> None:
    ran = run([sys.executable, "-X", "dev", "-W", "error", EXAMPLES / f"{name}.py"], url=raven_url, database=unmade)
    assert (ran.stderr, ran.stdout) == ("", OUTPUT[name].format(database=unmade) if name == "quickstart" else OUTPUT[name])


@pytest.mark.server
@pytest.mark.parametrize("name", GRAPH_OUTPUT)
def test_graph_example(name: str, neo4j_url: str) -> None:
    command: list[str | Path] = [sys.executable, "-X", "dev", "-W", "error", EXAMPLES / f"{name}.py"]
    ran = run(command, url="", database="", EVSESSION_GRAPH_URL=neo4j_url)
    assert (ran.stderr, ran.stdout) == ("", GRAPH_OUTPUT[name])


@pytest.mark.parametrize("name", [name for name in OUTPUT if name != "application"])
def test_example_can_run_again(name: str, raven_url: str, database: str) -> None:
    for _ in range(2):
        ran = run([sys.executable, EXAMPLES / f"{name}.py"], url=raven_url, database=database)
        assert (ran.stderr, ran.stdout) == ("", OUTPUT[name].format(database=database) if name == "quickstart" else OUTPUT[name])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in a directory with a space in its name, without a virtual environment."""
    copy = tmp_path / "a checkout"
    copy.mkdir()
    shutil.copytree(EXAMPLES, copy / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A python3 whose environments have a pip that only notes that it was called; nothing is downloaded."""
    environment = tmp_path / "environment-python"
    _program(
        environment, f'case "$*" in *"pip install"*) echo called >>"{tmp_path}/pip";; *) exec "{sys.executable}" "$@";; esac'
    )
    return _program(tmp_path / "python", f'mkdir -p "$3/bin" && cp "{environment}" "$3/bin/python"')


def _program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_quickstart_script_installs_once_and_runs_from_anywhere(
    checkout: Path, python: Path, tmp_path: Path, raven_url: str, unmade: str
) -> None:
    for _ in range(2):
        command: list[str | Path] = ["sh", checkout / "examples" / "quickstart.sh"]
        ran = run(command, url=raven_url, database=unmade, cwd=tmp_path, PYTHON=str(python))
        assert (ran.returncode, ran.stdout) == (0, QUICKSTART.format(database=unmade)), ran.stderr
    assert (tmp_path / "pip").read_text() == "called\n"


# Debian's python3 without python3-venv makes half an environment, then fails.
HALF = 'mkdir -p "$3/bin" && ln -s /bin/true "$3/bin/python"; exit 1'


def _debian(tmp_path: Path, *, user: int, apt: str) -> str:
    """Return a PATH on which this user runs, and apt-get does this."""
    tools = tmp_path / "tools"
    tools.mkdir()
    _program(tools / "id", f"echo {user}")
    _program(tools / "apt-get", f'echo "$*" >>"{tmp_path}/apt"; {apt}')
    return f"{tools}:{os.environ['PATH']}"


def test_quickstart_script_says_what_debian_lacks(checkout: Path, tmp_path: Path) -> None:
    python = _program(tmp_path / "python", HALF)
    path = _debian(tmp_path, user=1000, apt="exit 0")
    for _ in range(2):
        ran = run(
            ["sh", checkout / "examples" / "quickstart.sh"],
            url="http://127.0.0.1:1",
            database="none",
            PYTHON=str(python),
            PATH=path,
        )
        assert ran.returncode == 1
        assert "apt-get install python3-venv" in ran.stderr
    assert not (checkout / ".venv").exists()
    assert not (tmp_path / "apt").exists()


@pytest.mark.parametrize("apt", ["exit 1", "exit 0"])
def test_quickstart_script_as_root_installs_what_debian_lacks(checkout: Path, tmp_path: Path, apt: str) -> None:
    # A bare container: root, python3, and nothing else.
    python = _program(tmp_path / "python", f'[ -e "{tmp_path}/apt" ] && [ "{apt}" = "exit 0" ] || {{ {HALF}; }}')
    path = _debian(tmp_path, user=0, apt=apt)
    ran = run(
        ["sh", checkout / "examples" / "quickstart.sh"], url="http://127.0.0.1:1", database="none", PYTHON=str(python), PATH=path
    )
    assert "installing python3-venv" in ran.stderr
    calls = (tmp_path / "apt").read_text().splitlines()
    assert calls == ["update -qq", "install -qq -y python3-venv"][: len(calls)]
    assert len(calls) == (2 if apt == "exit 0" else 1)
    assert ("cannot make a virtual environment" in ran.stderr) is (apt == "exit 1")


def test_quickstart_script_says_that_there_is_no_python(checkout: Path) -> None:
    ran = run(["sh", checkout / "examples" / "quickstart.sh"], url="http://127.0.0.1:1", database="none", PYTHON="no-such-python")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "there is no no-such-python; on Debian: apt-get install python3 python3-venv\n"


def test_quickstart_script_says_that_no_server_answers(checkout: Path, python: Path) -> None:
    ran = run(["sh", checkout / "examples" / "quickstart.sh"], url="http://127.0.0.1:1", database="none", PYTHON=str(python))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "No RavenDB answers at http://127.0.0.1:1; start one, or set EVSESSION_URL to where one is." in ran.stderr
    assert "Traceback" not in ran.stderr
