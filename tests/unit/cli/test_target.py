"""Where commands go: the options of the connection, and the files of the embedded server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trustme

import evsession
from evsession.embedded.storage import Storage
from evsession.testing.scripted import ScriptedTransport, json_answer
from tests.unit.cli.running import evsession_cli, on_file, printed

URL = "http://127.0.0.1:1"


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The arguments of each store that a command makes; a document is missing on all of them."""
    made: list[Any] = []

    def make(urls: Any, database: Any, **more: Any) -> evsession.Store:
        made.append((urls, database, more))
        missing = json_answer({"Results": [None], "Includes": {}})
        return real(database=database, transport=ScriptedTransport(repeat=missing), options=more["options"])

    real = evsession.Store
    monkeypatch.setattr(evsession, "Store", make)
    return made


def test_options(stores: list[Any], tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    files = {"ca_file": str(tmp_path / "ca.pem"), "certificate": str(tmp_path / "ca.pem")}
    options = ["--url", "https://a", "--url", "https://b", "--database", "x", "--timeout", "2.5"]
    ran = evsession_cli("load", "k", *options, "--ca-file", files["ca_file"], "--certificate", files["certificate"])
    assert (ran.exit_code, ran.stdout, ran.stderr) == (1, "", "there is no document 'k'\n")
    assert stores == [(("https://a", "https://b"), "x", {**files, "options": {"timeout": 2.5}})]


def test_the_environment(stores: list[Any]) -> None:
    evsession_cli("load", "k", EVSESSION_URL="http://a http://b", EVSESSION_DATABASE="x")
    evsession_cli("load", "k", "--url", "http://c", "--database", "y", EVSESSION_URL="http://a", EVSESSION_DATABASE="x")
    assert [arguments[:2] for arguments in stores] == [(("http://a", "http://b"), "x"), (("http://c",), "y")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["load", "k"], ["--url", "EVSESSION_URL", "--data"]),
        (["cypher", "RETURN 1"], ["--url", "EVSESSION_URL"]),
        (["load", "k", "--url", URL], ["--database", "EVSESSION_DATABASE"]),
        (["load", "k", "--url", URL, "--timeout", "0"], ["--timeout"]),
        (["load", "k", "--url", URL, "--ca-file", "nowhere.pem"], ["--ca-file", "nowhere.pem"]),
        (["load"], ["KEY"]),
    ],
)
def test_calls_that_cannot_be(arguments: list[str], said: list[str]) -> None:
    ran = evsession_cli(*arguments)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert all(word in ran.stderr for word in said)


@pytest.fixture
def kennel(tmp_path: Path) -> Path:
    """A file with a document."""
    path = tmp_path / "kennel.db"
    assert on_file(path, "save", "--key", "dogs/max", input="{}").stdout == "dogs/max\n"
    return path


class TestFile:
    def test_is_in_place_of_a_server(self, kennel: Path) -> None:
        for more in (["--url", URL], ["--ca-file", str(kennel)], ["--certificate", str(kennel)]):
            ran = on_file(kennel, "load", "dogs/max", *more)
            assert (ran.exit_code, "--data is in place of" in ran.stderr) == (2, True)

    def test_named_in_the_call_wins_over_the_environment(self, kennel: Path) -> None:
        [document] = printed(evsession_cli("load", "dogs/max", "--data", kennel, EVSESSION_URL=URL))
        assert document["@metadata"]["@id"] == "dogs/max"

    def test_has_databases_too(self, kennel: Path) -> None:
        other = ["--database", "other", "--timeout", "60"]
        assert on_file(kennel, "load", "dogs/max", *other).stderr == "there is no document 'dogs/max'\n"

    def test_is_made_by_those_who_write_only(self, tmp_path: Path) -> None:
        for command in (["load", "k"], ["query", "Dog"], ["delete", "k"], ["patch", "k", "[]"], ["export", "-"], ["ping"]):
            ran = on_file(tmp_path / "missing.db", *command)
            assert (ran.exit_code, "missing.db" in ran.stderr) == (2, True)
        assert list(tmp_path.iterdir()) == []
        assert on_file(tmp_path / "made.db", "import", "-", input="{}\n").exit_code == 0

    def test_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("not ours" * 1000)
        ran = on_file(tmp_path / "text", "load", "k")
        assert (ran.exit_code, ran.stderr.count("\n"), ran.stderr.startswith("Error: ")) == (1, 1, True)

    def test_that_two_have(self, kennel: Path) -> None:
        with closing(Storage(kennel)):
            ran = on_file(kennel, "load", "dogs/max")
        assert (ran.exit_code, "is open already" in ran.stderr) == (1, True)

    def test_answers_a_ping(self, kennel: Path) -> None:
        ran = on_file(kennel, "ping")
        assert ran.stdout.startswith(f"the embedded server of evsession {evsession.__version__} (as RavenDB 7.")
        assert (ran.exit_code, ran.stderr) == (0, "")
