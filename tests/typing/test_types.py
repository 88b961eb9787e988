"""What a type checker makes of the public face: each expression has the type that stands beside it. mypy runs once for all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PRELUDE = """\
from dataclasses import dataclass

import attrs

import evsession

@evsession.document
@dataclass
class Dog:
    name: str
    age: int = 0
    id: str | None = None

@evsession.document(collection="Felines")
@attrs.define
class Cat:
    name: str

@evsession.document
class Wolf(evsession.Document):
    def howl(self) -> str:
        return "hu"

Fox = evsession.DocumentType("Fox")

def conflict(error: evsession.SessionError) -> int:
    return 1

async def missing(error: evsession.SessionError) -> None: ...

def done(error: Exception | None, result: object) -> None: ...

def plain_main(count: int) -> str:
    return ""

async def async_main(count: int) -> str:
    return ""

async def in_session(given: evsession.Session) -> int:
    return 1

def plainly(given: evsession.Session) -> str:
    return ""

async def in_transaction(given: evsession.GraphTransaction) -> list[str]:
    return []

def with_done(tx: evsession.GraphTransaction, done: object) -> None: ...

@evsession.node("User")
@dataclass
class User:
    id: str

async def check(
    graph: evsession.GraphStore, chain: evsession.GraphSession, tx: evsession.GraphTransaction, result: evsession.Result,
    store: evsession.Store, session: evsession.Session, operation: evsession.Operation[int],
    dogs: evsession.Queryable[Dog], error: evsession.SessionError, statistics: evsession.Statistics, event: evsession.CommitEvent,
) -> None:
"""

CASES = {
    # load
    'session.load("dogs/max")': "Operation[Any]",
    'await session.load("dogs/max")': "Any",
    'await session.load("dogs/max", "puppy")': "tuple[Any, Queryable[Any]]",
    'await session.load("dogs/max", ["puppy", "mother"])': "tuple[Any, Queryable[Any]]",
    'await session.load(["dogs/max", "dogs/jess"])': "Queryable[Any]",
    'await session.load(("dogs/max", "dogs/jess"))': "Queryable[Any]",
    'await session.load(["dogs/max"], "puppy")': "tuple[Queryable[Any], Queryable[Any]]",
    'await session.load("dogs/max", type=Dog)': "Dog | None",
    'await session.load("dogs/max", type=Fox)': "Document | None",
    'await session.load("dogs/max", "puppy", type=Dog)': "tuple[Dog | None, Queryable[Any]]",
    'await session.load(["dogs/max"], type=Dog)': "Queryable[Dog]",
    'await session.load(["dogs/max"], ["puppy"], type=Dog)': "tuple[Queryable[Dog], Queryable[Any]]",
    'session.load("dogs/max", done)': "Operation[Any]",
    'session.load("dogs/max", "puppy", done)': "Operation[tuple[Any, Queryable[Any]]]",
    'session.load("dogs/max", callback=done)': "Operation[Any]",
    'session.load(["dogs/max"], done)': "Operation[Queryable[Any]]",
    'session.load("dogs/max", done, type=Dog)': "Operation[Dog | None]",
    'session.load("dogs/max", callback=done, type=Dog)': "Operation[Dog | None]",
    'session.load(["dogs/max"], done, type=Dog)': "Operation[Queryable[Dog]]",
    # queries
    'await session.query(Dog, {"name": "Max"})': "tuple[Queryable[Dog], Statistics]",
    "await session.query(Wolf)": "tuple[Queryable[Wolf], Statistics]",
    "await session.query(Fox)": "tuple[Queryable[Document], Statistics]",
    'await session.query("Dog", {"name": "Max"})': "tuple[Queryable[Any], Statistics]",
    'session.query(Dog, {"name": "Max"}, done)': "Operation[tuple[Queryable[Dog], Statistics]]",
    'session.query("Dog", {"name": "Max"}, {"sort": "age"}, done)': "Operation[tuple[Queryable[Any], Statistics]]",
    'await session.index("DogsByBreed", {"breed": "Labrador"})': "tuple[Queryable[Any], Statistics]",
    'await session.raw("from Dogs where age > $age", {"age": 5.0})': "tuple[Queryable[Any], Statistics]",
    # streams
    "session.stream(Dog)": "Stream[Dog]",
    'session.stream("Dog", {"breed": "Labrador"})': "Stream[Any]",
    "[dog async for dog in session.stream(Dog)]": "list[Dog]",
    "session.stream(Dog, on_document=print)": "Operation[int]",
    "session.stream(Dog, callback=done)": "Operation[int]",
    # writing
    'session.store(Dog("Max"))': "Session",
    "await session.save()": "Saved",
    "session.save(done)": "Operation[Saved]",
    'session.delete("dogs/max")': "Operation[None]",
    'session.delete("dogs/max", done)': "Operation[None]",
    'session.patch("dogs/max", evsession.Patch("this.age++"))': "Operation[None]",
    'await session.exists("dogs/max")': "bool",
    "operation": "Operation[int]",
    "await operation": "int",
    "operation.is_done": "bool",
    # stores and sessions
    "store.initialize()": "Store",
    "await store.__aenter__()": "Store",
    "store.open_session()": "Session",
    "await session.__aenter__()": "Session",
    'store.create_database("Northwind")': "Operation[None]",
    'store.put_index("DogsByBreed", "from d in docs.Dogs select new { d.breed }", done)': "Operation[None]",
    "store.bulk_insert()": "BulkInsert",
    'await store.bulk_insert().store(Dog("Max"))': "str",
    "store.options.max_connections": "int",
    "session.options.timeout": "float | None",
    "session.conventions.id_separator": "str",
    "store.run(plain_main, 3)": "str",
    "store.run(async_main, 3)": "str",
    # handlers: as a decorator, `on` leaves the function what it is
    "store.on(409)(conflict)": "def (error: SessionError) -> int",
    "store.on(409, conflict)": "def (error: SessionError) -> int",
    'session.once("error")(missing)': "def (error: SessionError) -> typing.Coroutine[Any, Any, None]",
    'session.add_listener("4xx", conflict)': "def (error: SessionError) -> int",
    # documents
    'Dog("Max")': "Dog",
    'Cat("Tom")': "Cat",
    'Wolf(name="Grey")': "Wolf",
    'Wolf(name="Grey").howl()': "str",
    'Fox(name="Red")': "Document",
    'Fox(name="Red").name': "Any",
    'Fox(name="Red").id': "str | None",
    'Fox(name="Red").metadata': "typing.Mapping[str, Any]",
    "evsession.document(Cat)": "def (name: str) -> Cat",
    # hooks: changes are read only
    "event.changes[0]": "typing.Mapping[str, tuple[Any, Any, fallback=Change]]",
    'event.changes["dogs/max"]["age"].old': "Any",
    "[fields for fields in event.changes]": "list[typing.Mapping[str, tuple[Any, Any, fallback=Change]]]",
    # work
    "session.transaction(in_session)": "Operation[int]",
    "await session.transaction(in_session, retries=3)": "int",
    "await session.transaction(plainly, done)": "str",
    "await session.transaction(lambda given: given.options)": "SessionOptions",
    "await store.get_session(None, in_session)": "int",
    "await store.get_session(session, plainly, done)": "str",
    "await store.get_session(in_session)": "int",
    "store.get_transaction(in_session, done)": "Operation[int]",
    "await evsession.get_session(None, in_session, store)": "int",
    "await evsession.get_transaction(tx, in_transaction)": "list[str]",
    "await evsession.get_runnable(chain, plainly, store, done)": "str",
    "await chain.write_transaction(in_transaction, timeout=3)": "list[str]",
    "await chain.read_transaction(with_done)": "Any",
    # graphs
    "graph.open_session()": "GraphSession",
    'await chain.run("RETURN 1")': "Result",
    "await chain.begin_transaction()": "GraphTransaction",
    "chain.last_bookmark()": "Bookmark | None",
    'await tx.run("RETURN 1", {}, done)': "Result",
    'await chain.load(User, "1")': "User | None",
    'await chain.load(User, ["1", "2"])': "list[User]",
    "result[0]": "Record",
    "result.single()": "Record",
    "result.summary": "Summary",
    # what comes back
    "dogs[0]": "Dog",
    "dogs.first()": "Dog | None",
    "dogs.single(lambda dog: dog.age > 3)": "Dog | None",
    'dogs.load("dogs/max")': "Dog | None",
    "dogs.where(lambda dog: dog.age > 3)": "Queryable[Dog]",
    'dogs.select("name")': "Queryable[Any]",
    "dogs.select(lambda dog: dog.name)": "Queryable[str]",
    "dogs.any()": "bool",
    "dogs.count()": "int",
    "statistics.total": "int | None",
    "statistics.timestamp": "datetime.datetime | None",
    "error.status_code": "int | None",
    "error.code": "str | None",
    "error.uncertain": "bool",
    "error.is_retryable()": "bool",
}

REFUSED = [
    "session.load(5)",
    "session.save(3)",
    "session.exists(None)",
    'session.load("dogs/max", tpye=Dog)',
    "store.on(None, conflict)",
    'event.changes[0]["age"] = evsession.Change(1, 2)',
    'evsession.Store("http://127.0.0.1:8080", "Northwind", None)',
]


def check(lines: list[str], directory: Path) -> dict[int, str]:
    """Return what mypy says of each line, by the line's place in the list."""
    source = directory / "snippets.py"
    source.write_text(PRELUDE + "".join(f"    {line}\n" for line in lines))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", str(source)]
    said = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300).stdout
    first = PRELUDE.count("\n") + 1
    answers: dict[int, str] = {}
    for number, text in re.findall(r"^\S*snippets\.py:(\d+): (.*)$", said, re.MULTILINE):
        answers.setdefault(int(number) - first, text)
    return answers


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    lines = [f"reveal_type({expression})" for expression in CASES]
    return check([*lines, *REFUSED], tmp_path_factory.mktemp("typing"))


@pytest.mark.parametrize("expression", CASES)
def test_revealed_type(expression: str, answers: dict[int, str]) -> None:
    answer = answers[list(CASES).index(expression)]
    assert re.sub(r"\b(?:evsession|snippets)(?:\.\w+)*\.(?=\w)", "", answer) == f'note: Revealed type is "{CASES[expression]}"'


@pytest.mark.parametrize("line", REFUSED)
def test_refused(line: str, answers: dict[int, str]) -> None:
    assert answers[len(CASES) + REFUSED.index(line)].startswith("error: ")


def test_nothing_else_is_said(answers: dict[int, str]) -> None:
    assert set(answers) == set(range(len(CASES) + len(REFUSED)))
