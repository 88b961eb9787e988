"""Every Python snippet of the README runs on the real server, and prints what the README says.

A snippet is a fenced block of ``python``; a block of ``text`` right after it is its output. One that calls ``run`` is a whole
program. The others run in an async function with `evsession`, `trio`, `Dog`, a running `store` and an open `session`. Each has a
namespace and a database of its own, filled by the snippet that the README says to start with.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from inspect import CO_COROUTINE
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
import trio
import trustme

import evsession
from evsession.cli.commands import commands

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
URL = "http://127.0.0.1:8080"
DATABASE = "Northwind"


@dataclass(frozen=True)
class Snippet:
    section: str
    line: int
    code: str
    output: str

    @property
    def is_program(self) -> bool:
        return re.search(r"^(?:store|trio)\.run\(", self.code, re.MULTILINE) is not None


def snippets() -> list[Snippet]:
    found: list[Snippet] = []
    blocks = list(BLOCK.finditer(TEXT))
    for place, block in enumerate(blocks):
        if block[1] != "python":
            continue
        follower = blocks[place + 1] if place + 1 < len(blocks) else None
        shown = follower is not None and follower[1] == "text" and not TEXT[block.end() : follower.start()].strip()
        headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", TEXT[: block.start()]), re.MULTILINE)
        line = TEXT.count("\n", 0, block.start()) + 2
        found.append(Snippet(headings[-1], line, block[2], follower[2] if follower is not None and shown else ""))
    return found


EVERY = snippets()
SNIPPETS = [snippet for snippet in EVERY if "graph" not in snippet.section.lower()]
GRAPH_SNIPPETS = [snippet for snippet in EVERY if snippet not in SNIPPETS]
SAMPLE = next(snippet for snippet in SNIPPETS if snippet.section == "How to read the snippets")


def code_of(snippet: Snippet, url: str, database: str) -> Any:
    source = snippet.code.replace(URL, url).replace(f'"{DATABASE}"', f'"{database}"')
    flags = 0 if snippet.is_program else ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    # Lines in tracebacks are those of the README.
    return compile("\n" * (snippet.line - 1) + source, str(ROOT / "README.md"), "exec", flags=flags, dont_inherit=True)


async def execute(code: Any, namespace: dict[str, Any]) -> None:
    result = FunctionType(code, namespace)()
    if code.co_flags & CO_COROUTINE:
        await result


async def run_in_session(code: Any, sample: Any, url: str, database: str) -> None:
    async with evsession.Store(url, database) as store:
        prepared = {"evsession": evsession, "store": store}
        await execute(sample, prepared)
        if code is None:
            return
        async with store.open_session() as session:
            await execute(
                code, {"evsession": evsession, "trio": trio, "Dog": prepared["Dog"], "store": store, "session": session}
            )


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: f"{snippet.line}: {snippet.section}")
def test_snippet(
    snippet: Snippet, raven_url: str, database: str, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path if snippet.is_program else certificates)
    code, sample = code_of(snippet, raven_url, database), code_of(SAMPLE, raven_url, database)
    printed = io.StringIO()
    if snippet.is_program:
        if snippet is SNIPPETS[1]:  # goes on with the documents of the first one
            with contextlib.redirect_stdout(io.StringIO()):
                exec(code_of(SNIPPETS[0], raven_url, database), {"__name__": "__main__"})
        with contextlib.redirect_stdout(printed):
            exec(code, {"__name__": "__main__"})
    else:
        with contextlib.redirect_stdout(printed):
            trio.run(run_in_session, code if snippet is not SAMPLE else None, sample, raven_url, database)
    assert printed.getvalue().replace(database, DATABASE) == snippet.output


async def run_on_graph(code: Any, url: str) -> None:
    async with evsession.GraphStore(url) as graph, graph.open_session() as session:
        namespace = {"evsession": evsession, "trio": trio, "dataclass": dataclass, "graph": graph, "session": session}
        await execute(code, namespace)


@pytest.mark.server
@pytest.mark.parametrize("snippet", GRAPH_SNIPPETS, ids=lambda snippet: f"{snippet.line}: {snippet.section}")
def test_graph_snippet(snippet: Snippet, neo4j_url: str) -> None:
    code = code_of(replace(snippet, code=snippet.code.replace("http://127.0.0.1:7474", neo4j_url)), "", "")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        trio.run(run_on_graph, code, neo4j_url)
    assert printed.getvalue() == snippet.output


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files that the README's https stores name."""
    directory = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    client = authority.issue_cert("client.example.com")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    client.private_key_and_cert_chain_pem.write_to_path(directory / "client.pem")
    client.cert_chain_pems[0].write_to_path(directory / "client.crt")
    client.private_key_pem.write_to_path(directory / "client.key")
    return directory


COMMANDS = TEXT[TEXT.index("## Command line") : TEXT.index("## Time limits")]
SHELL, GRAPH_SHELL = [block[2] for block in BLOCK.finditer(COMMANDS) if block[1] == "sh"]


def run_in_shell(code: str, url: str, database: str, directory: Path) -> str:
    """Run the commands one after the other until one fails, and return what they print."""
    code = re.sub(r"http://[\d.:]+", url, re.sub(r"(?m)^pip .*$", "", code)).replace(DATABASE, database)
    code = 'evsession() { "$PYTHON" -m evsession "$@"; }\n' + code
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(["sh", "-euc", code], cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_commands(raven_url: str, database: str, tmp_path: Path) -> None:
    printed = run_in_shell(SHELL, raven_url, database, tmp_path)
    assert " answered in " in printed.splitlines()[0]
    assert printed.count('"Max"') == 2
    assert (tmp_path / "dogs.jsonl").read_text().count('"age":15,') == 2


@pytest.mark.server
@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_graph_commands(neo4j_url: str, tmp_path: Path) -> None:
    assert run_in_shell(GRAPH_SHELL, neo4j_url, "", tmp_path) == ""


def test_every_command_is_told() -> None:
    assert [name for name in commands.commands if f"| `{name}" not in COMMANDS] == []


def test_the_first_snippets_are_the_two_programs() -> None:
    assert [snippet.is_program for snippet in SNIPPETS[:3]] == [True, True, False]
    assert "async" not in SNIPPETS[0].code


def test_every_output_belongs_to_a_snippet() -> None:
    assert sum(block[1] == "text" for block in BLOCK.finditer(TEXT)) == sum(bool(snippet.output) for snippet in EVERY)


def test_names_of_the_package_exist() -> None:
    named = set(re.findall(r"\bevsession\.([A-Za-z_]\w*)", TEXT))
    assert named <= {*evsession.__all__, "testing"}


def test_every_error_is_told() -> None:
    errors = [name for name in evsession.__all__ if issubclass(_class(name), evsession.SessionError)]
    assert [name for name in errors if f"`{name}`" not in TEXT] == []


def _class(name: str) -> type:
    thing = getattr(evsession, name)
    return thing if isinstance(thing, type) else object


def test_every_setting_is_told_with_its_default() -> None:
    table = TEXT[TEXT.index("| setting |") : TEXT.index("## Operations")]
    told = dict(re.findall(r"^\| `(\w+\.\w+)` \| `(\S+)` \|", table, re.MULTILINE))
    options, conventions = evsession.Options(), evsession.Conventions()
    settings = {f"options.{name}": getattr(options, name) for name in options._fields}
    settings |= {f"conventions.{name}": getattr(conventions, name) for name in conventions._fields}
    assert {name: ast.literal_eval(value) for name, value in told.items()} == settings


@pytest.mark.parametrize(
    "cls",
    [evsession.Session, evsession.Store, evsession.Queryable, evsession.GraphSession, evsession.GraphStore, evsession.Model],
    ids=lambda cls: cls.__name__,
)
def test_every_public_method_is_told(cls: type) -> None:
    own = {name for base in cls.__mro__ if base.__module__.startswith("evsession") for name in vars(base)}
    public = sorted(name for name in own if not name.startswith("_"))
    assert [name for name in public if not re.search(rf"\b{name}\b", TEXT)] == []


def test_links_and_commands_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert link.startswith("https://") or (ROOT / link).exists(), link
    for script in re.findall(r"\bsh (\S+\.sh)", TEXT):
        assert (ROOT / script).exists(), script
    anchors = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


def test_what_does_not_exist_is_not_promised() -> None:
    promised = {
        "embedded": "evsession.embedded",
        "serve": "evsession.cli",
    }
    for word, module in promised.items():
        assert importlib.util.find_spec(module) or not re.search(rf"\b{word}\b", TEXT, re.IGNORECASE), word


def test_the_changelog_names_what_exists() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([A-Z]\w+(?:\.\w+)?)\(\)`", text):
        owner, _, method = name.partition(".")
        assert owner in evsession.__all__, name
        assert not method or hasattr(getattr(evsession, owner), method), name
    assert [name for name in evsession.__all__ if f"`{name}" not in text] == []
