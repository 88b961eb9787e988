from __future__ import annotations

from typing import Any

import pytest

import evsession
from evsession.cli.ping import spell_server
from evsession.testing.scripted import Answer, ScriptedTransport, json_answer
from tests.unit.cli.running import evsession_cli

URL = "http://127.0.0.1:7474"
RAVEN = json_answer({"FullVersion": "6.2.4", "CommitHash": "63d1300"})
NOTHING_SUCH = json_answer({"errors": []}, 404)
NO_DATABASE = json_answer({"Type": "Raven.Client.Exceptions.Database.DatabaseDoesNotExistException", "Message": "no 'x'"}, 500)
NEO4J = json_answer({"neo4j_version": "5.26.31"})


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Answer]]:
    """What stores of either kind are answered."""
    known: dict[str, list[Answer]] = {"Store": [], "GraphStore": []}

    def factory(name: str) -> Any:
        real = getattr(evsession, name)
        return lambda urls, database, **more: real(database=database, transport=ScriptedTransport(*known[name]))

    for name in known:
        monkeypatch.setattr(evsession, name, factory(name))
    return known


def test_a_raven(answers: dict[str, list[Answer]]) -> None:
    answers["Store"] = [RAVEN]
    ran = evsession_cli("ping", "--url", URL)
    assert ran.stdout.startswith("RavenDB 6.2.4 answered in ")
    assert ran.stdout.endswith(" ms\n")
    assert (ran.exit_code, ran.stderr) == (0, "")


def test_a_database_must_be_there(answers: dict[str, list[Answer]]) -> None:
    answers["Store"] = [RAVEN, NO_DATABASE, NO_DATABASE]  # HEAD has no body, so it is asked again
    ran = evsession_cli("ping", "--url", URL, "--database", "x")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr == "Error: no 'x' (500, DatabaseDoesNotExistException)\n"


def test_a_neo4j(answers: dict[str, list[Answer]]) -> None:
    answers.update(Store=[NOTHING_SUCH], GraphStore=[NEO4J])
    assert evsession_cli("ping", "--url", URL, EVSESSION_DATABASE="neo4j").stdout.startswith("Neo4j 5.26.31 answered in ")


@pytest.mark.parametrize("other", [NOTHING_SUCH, evsession.ConnectionFailed("refused"), json_answer({})])
def test_neither(answers: dict[str, list[Answer]], other: Answer) -> None:
    answers.update(Store=[NOTHING_SUCH], GraphStore=[other])
    ran = evsession_cli("ping", "--url", URL)
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr == "Error: the server does not say which RavenDB it is; is it one? (404)\n"


def test_nobody_is_asked_twice_who_is_no_server(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = evsession.Store(transport=ScriptedTransport())
    monkeypatch.setattr(evsession.Store, "embedded", lambda *_, **__: lost)
    (tmp_path / "file").touch()
    ran = evsession_cli("ping", "--data", tmp_path / "file")
    assert (ran.exit_code, "no answer to GET /build/version" in ran.stderr) == (1, True)


def test_names() -> None:
    assert spell_server("7.1.5") == "RavenDB 7.1.5"
    assert spell_server("7.1.0+evsession-0.1.0") == "the embedded server of evsession 0.1.0 (as RavenDB 7.1.0)"
