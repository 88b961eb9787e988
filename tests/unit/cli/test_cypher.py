"""The command on graphs, on a scripted server; tests/graph_conformance has it on a real one."""

from __future__ import annotations

import os
import signal
import warnings
from base64 import b64encode
from getpass import GetPassWarning
from typing import Any

import pytest

import evsession
from evsession.testing.scripted import Answer, ScriptedTransport
from tests.unit.cli.running import evsession_cli, printed
from tests.unit.neo4j.typed import DISCOVERY_5, answer, body, refused, rows
from tests.unit.session.graphs.scripted import hang

URL = "http://127.0.0.1:7474"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Say what a store of graphs is answered; returns what carries its requests."""
    real = evsession.GraphStore

    def answering(*answers: Answer, repeat: Answer | None = None) -> ScriptedTransport:
        transport = ScriptedTransport(DISCOVERY_5, *answers, repeat=repeat)

        def make(urls: Any, database: str, *, auth: Any, ca_file: Any, certificate: Any, options: Any) -> evsession.GraphStore:
            assert (urls, ca_file, certificate) == ((URL,), None, None)
            return real(database=database, auth=auth, transport=transport, options=options)

        monkeypatch.setattr(evsession, "GraphStore", make)
        return transport

    return answering


def login_of(transport: ScriptedTransport) -> str | None:
    return dict(transport.requests[-1].headers).get("Authorization")


def test_records_and_parameters(script: Any) -> None:
    transport = script(rows(1, 2))
    ran = evsession_cli("cypher", "RETURN $a", "a=5 TO 6", "b=[1]", "--url", URL)
    assert printed(ran) == [{"n": 1}, {"n": 2}]
    assert ran.stderr == ""
    assert transport.requests[-1].target == "/db/neo4j/query/v2"
    [sent] = transport.bodies()
    assert sent["parameters"].keys() >= {"a", "b"}
    assert login_of(transport) is None


def test_what_was_changed(script: Any) -> None:
    transport = script(answer(body([], [], counters={"containsUpdates": True, "nodesCreated": 2})))
    ran = evsession_cli("cypher", "CREATE ()", "--url", URL, "--database", "other", "--pretty", "--timeout", "5")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "", "nodes created: 2\n")
    assert transport.requests[-1].target == "/db/other/query/v2"


def test_an_error_after_good_rows(script: Any) -> None:
    fault = {"code": "Neo.ClientError.Statement.ArithmeticError", "message": "/ by zero"}
    script(answer(body(["n"], [[1]], errors=[fault])))
    ran = evsession_cli("cypher", "RETURN 1/0", "--url", URL)
    assert (ran.exit_code, ran.stdout) == (1, '{"n":1}\n')
    assert ran.stderr == "Error: / by zero (1 rows came before) (202, Neo.ClientError.Statement.ArithmeticError)\n"


def test_a_refusal_is_one_line(script: Any) -> None:
    script(refused("Neo.ClientError.Statement.SyntaxError", 'Invalid input\n"RETURN"\n   ^'))
    ran = evsession_cli("cypher", "RETURN", "--url", URL)
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr == 'Error: Invalid input "RETURN" ^ (400, Neo.ClientError.Statement.SyntaxError)\n'


def test_an_argument_that_is_no_parameter() -> None:
    ran = evsession_cli("cypher", "RETURN 1", "a=1", "b", "--url", URL)
    assert (ran.exit_code, "'b' is not NAME=VALUE" in ran.stderr) == (2, True)


class TestLogin:
    def test_by_the_environment(self, script: Any) -> None:
        transport = script(rows(1))
        ran = evsession_cli("cypher", "RETURN 1", "--url", URL, "--user", "ann", EVSESSION_PASSWORD="s3cret")
        assert ran.exit_code == 0
        assert login_of(transport) == "Basic " + b64encode(b"ann:s3cret").decode()
        assert "s3cret" not in ran.output

    def test_by_asking(self, script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        transport = script(rows(1))
        asked: list[str] = []

        def ask(prompt: str) -> str:
            asked.append(prompt)
            return "s3cret"

        monkeypatch.setattr("evsession.cli.cypher.getpass", ask)
        assert evsession_cli("cypher", "RETURN 1", "--url", URL, "--user", "ann").exit_code == 0
        assert asked == ["Password of ann: "]
        assert login_of(transport) == "Basic " + b64encode(b"ann:s3cret").decode()

    @pytest.mark.parametrize("way", ["warns", "ends"])
    def test_with_nobody_to_ask(self, script: Any, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
        transport = script()

        def ask(prompt: str) -> str:
            if way == "warns":
                warnings.warn("may be echoed", GetPassWarning, stacklevel=1)
            raise EOFError

        monkeypatch.setattr("evsession.cli.cypher.getpass", ask)
        ran = evsession_cli("cypher", "RETURN 1", "--url", URL, "--user", "ann")
        assert (ran.exit_code, "EVSESSION_PASSWORD" in ran.stderr) == (2, True)
        assert transport.requests == []


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send signals to itself")
def test_ctrl_c_terminates_the_statement(script: Any) -> None:
    async def interrupt(request: evsession.Request) -> evsession.Response:
        signal.raise_signal(signal.SIGINT)
        return await hang()(request)  # type: ignore[operator, misc, no-any-return]

    transport = script(interrupt, repeat=answer(body(["transactionId"], [])))
    before = signal.getsignal(signal.SIGINT)
    ran = evsession_cli("cypher", "RETURN 1", "--url", URL)
    assert (ran.exit_code, ran.stdout, ran.stderr) == (130, "", "")
    assert "TERMINATE" in str(transport.bodies()[1:])
    assert signal.getsignal(signal.SIGINT) is before
