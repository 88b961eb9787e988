"""The command on graphs, on a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import pytest
import trio
from click.testing import Result

import evsession
from tests.graph_conformance.tools import LONG, is_running, wait_running
from tests.unit.cli.running import evsession_cli, printed

Cli: TypeAlias = Callable[..., Result]


@pytest.fixture
def cypher(neo4j_url: str) -> Cli:
    """Run a statement."""
    return partial(evsession_cli, "cypher", EVSESSION_URL=neo4j_url)


def test_what_is_written_is_told_and_read_again(cypher: Cli, label: str) -> None:
    ran = cypher(f"CREATE (:{label} {{name: $name}})-[:OWNS {{since: $since}}]->(:{label})", "name=Max", "since=[1, 2.5]")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert ran.stderr == "nodes created: 2, relationships created: 1, properties set: 2, labels added: 2\n"
    ran = cypher(f"MATCH p = (n:{label})-[r]->() RETURN n, r, p, [n.name] AS names")
    node, relationship = {"labels": [label], "properties": {"name": "Max"}}, {"type": "OWNS", "properties": {"since": [1.0, 2.5]}}
    path = [node, relationship, {"labels": [label], "properties": {}}]
    assert printed(ran) == [{"n": node, "r": relationship, "p": path, "names": ["Max"]}]
    assert ran.stderr == ""


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("null", None),
        ("9223372036854775807", 9223372036854775807),
        ("1.5", 1.5),
        ("0.0 / 0", "NaN"),
        ("-1 / 0.0", "-Infinity"),
        ("date('2020-02-03')", "2020-02-03"),
        ("time('01:02:03.000000004+01:00')", "01:02:03.000000004+01:00"),
        ("localdatetime('2020-02-03T01:02:03')", "2020-02-03T01:02:03"),
        ("datetime('2020-07-03T01:02:03[Europe/Stockholm]')", "2020-07-03T01:02:03+02:00[Europe/Stockholm]"),
        ("duration('P1Y2M3DT4S')", "P14M3DT4S"),
        ("point({x: 1, y: 2})", "SRID=7203;POINT (1.0 2.0)"),
        ("{a: [date('2020-02-03'), {b: true}]}", {"a": ["2020-02-03", {"b": True}]}),
        ("$value", "ü"),
    ],
)
def test_values(cypher: Cli, expression: str, shown: Any) -> None:
    assert printed(cypher(f"RETURN {expression} AS it", "value=ü")) == [{"it": shown}]


def test_pretty(cypher: Cli) -> None:
    assert cypher("RETURN 1 AS n", "--pretty").stdout == '{\n  "n": 1\n}\n'


def test_many_records(cypher: Cli) -> None:
    ran = cypher("UNWIND range(1, 20000) AS n RETURN n")
    assert [record["n"] for record in printed(ran)] == list(range(1, 20001))


@pytest.mark.parametrize(
    ("statement", "more", "code"),
    [
        ("RETURN", [], "(400, Neo.ClientError.Statement.SyntaxError)"),
        ("RETURN $missing", [], "(400, Neo.ClientError.Statement.ParameterMissing)"),
        ("RETURN 1", ["--database", "no-such"], "(404, Neo.ClientError.Database.DatabaseNotFound)"),
    ],
)
def test_refusals(cypher: Cli, statement: str, more: list[str], code: str) -> None:
    ran = cypher(statement, *more)
    assert (ran.exit_code, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert ran.stderr.startswith("Error: ")
    assert ran.stderr.endswith(code + "\n")


def test_a_failure_after_good_records(cypher: Cli) -> None:
    ran = cypher("UNWIND range(10000, 0, -1) AS n RETURN 10000 / n AS n")
    assert (ran.exit_code, len([json.loads(line) for line in ran.stdout.splitlines()])) == (1, 10_000)
    assert ran.stderr.count("\n") == 1


def test_a_login_that_is_not_asked_for(cypher: Cli) -> None:
    assert printed(cypher("RETURN 1 AS n", "--user", "neo4j", EVSESSION_PASSWORD="any")) == [{"n": 1}]


def test_ping(neo4j_url: str) -> None:
    ran = evsession_cli("ping", "--url", neo4j_url, EVSESSION_DATABASE="neo4j")
    assert (ran.exit_code, ran.stdout.startswith("Neo4j "), ran.stderr) == (0, True, "")


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send signals to itself")
async def test_ctrl_c_terminates_the_statement(graph_session: evsession.GraphSession, neo4j_url: str, label: str) -> None:
    program = [sys.executable, "-X", "dev", "-m", "evsession", "cypher", f"/*{label}*/ {LONG}", "--url", neo4j_url]
    process = await trio.lowlevel.open_process(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    async with process.stdout, process.stderr:
        await wait_running(graph_session, label)
        process.send_signal(signal.SIGINT)
        with trio.fail_after(20):
            assert await process.wait() == 130
        assert await process.stdout.receive_some() == b""
        assert await process.stderr.receive_some() == b""
    with trio.fail_after(5):
        while await is_running(graph_session, label):  # noqa: ASYNC110 - the server tells nobody
            await trio.sleep(0.02)
