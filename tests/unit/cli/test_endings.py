"""How commands end: one line and a status, whatever went wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import trio

import evsession
from evsession.cli.commands import commands
from evsession.cli.endings import Commands, told
from evsession.testing import ScriptedServer, read_request, stall
from tests.unit.cli.running import PYTHON, on_file

NEEDS_SIGNALS = pytest.mark.skipif(os.name == "nt", reason="Windows cannot send signals to itself")
PROGRAM = [*PYTHON, "-X", "dev", "-m", "evsession"]
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (evsession.SessionError("no"), "no"),
        (evsession.QueryError("no\n  way", status_code=500, code="ParseException"), "no way (500, ParseException)"),
        (evsession.ConcurrencyError("no", status_code=409), "no (409)"),
        (evsession.ConnectionFailed("lost", uncertain=True), "lost; the write may or may not have happened"),
    ],
)
def test_an_error_is_one_line(error: evsession.SessionError, line: str) -> None:
    assert told(error) == line


def fail(error: BaseException) -> Any:
    """Run a command that raises this."""

    @click.group(cls=Commands)
    def group() -> None: ...

    @group.command()
    def failing() -> None:
        raise error

    return click.testing.CliRunner().invoke(group, ["failing"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (evsession.DatabaseMissing("no database 'x'", status_code=404), 1, "Error: no database 'x' (404)\n"),
        (FileNotFoundError(2, "No such file or directory", "dogs.jsonl"), 1, "Error: dogs.jsonl: No such file or directory\n"),
        (OSError("disk full"), 1, "Error: disk full\n"),
        (OSError(28, "No space left on device"), 1, "Error: No space left on device\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_is_said(error: BaseException, status: int, said: str) -> None:
    ran = fail(error)
    assert (ran.exit_code, ran.stdout, ran.stderr) == (status, "", said)


def test_a_fault_of_the_program_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError())


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A file with more documents than a pipe holds."""
    lines = '{"text": "%s", "@metadata": {"@collection": "Dogs"}}\n' % ("x" * 1000) * 1000
    assert on_file(tmp_path / "many.db", "import", "-", input=lines).exit_code == 0
    return tmp_path / "many.db"


class TestPipe:
    @pytest.mark.parametrize("command", [["export", "-"], ["query", "Dog"]])
    def test_that_nobody_reads_to_its_end(self, many: Path, command: list[str]) -> None:
        arguments = [*PROGRAM, *command, "--data", str(many)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline().startswith(b"{")
            process.stdout.close()
            assert process.stderr.read() in (b"", b"exporting\n")
            assert process.wait(20) == 141

    def test_that_is_closed(self, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "w") as closed:
            monkeypatch.setattr(sys, "stdout", closed)
            with pytest.raises(SystemExit) as caught:
                commands(["query", "Dog", "--page-size", "1", "--data", str(many)])
        assert caught.value.code == 141

    @pytest.mark.parametrize(
        ("stream", "command"),
        [("stdin", ["save"]), ("stdin", ["import", "-"]), ("stdout", ["load", "k"]), ("stdout", ["export", "-"])],
    )
    def test_that_was_never_open(
        self,
        stream: str,
        command: list[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        file = str(tmp_path / "one.db")
        assert on_file(tmp_path / "one.db", "save", "--key", "k", input="{}").exit_code == 0
        monkeypatch.setattr(sys, stream, None)
        with pytest.raises(SystemExit) as caught:
            commands([*command, "--data", file])
        assert caught.value.code == 1
        assert capsys.readouterr().err == f"Error: the standard {stream[3:]}put is closed\n"


@NEEDS_SIGNALS
class TestCtrlC:
    @pytest.mark.parametrize("command", [["load", "k"], ["delete", "k"], ["export", "FILE"], ["save", "--key", "k"], ["ping"]])
    async def test_ends_a_command_that_waits(self, command: list[str], tmp_path: Path) -> None:
        async with ScriptedServer([read_request(), stall()]) as server:
            arguments = [str(tmp_path / "out") if part == "FILE" else part for part in command]
            opened = await trio.lowlevel.open_process(
                [*PROGRAM, *arguments, "--url", server.url, "--database", "x"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=ROOT,
            )
            async with opened.stdin, opened.stdout, opened.stderr:  # type: ignore[union-attr]
                assert opened.stdin is not None
                await opened.stdin.send_all(b"{}")
                await opened.stdin.aclose()
                await server.wait_requests(1)
                opened.send_signal(signal.SIGINT)
                with trio.fail_after(20):
                    assert await opened.wait() == 130
                for stream in (opened.stdout, opened.stderr):
                    assert stream is not None
                    assert await stream.receive_some() == b""
        assert os.listdir(tmp_path) == []
