"""The served process: how it starts, how it ends, and what is left when it is killed."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner

import evsession
from evsession.cli import main
from evsession.cli.commands import commands
from evsession.embedded.serve import serve
from evsession.embedded.storage import Storage

ROOT = Path(__file__).parents[2]
NEEDS_SIGNALS = pytest.mark.skipif(os.name == "nt", reason="Windows cannot send signals to itself")


@contextmanager
def serving(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``evsession serve`` as a program; give its process and its URL."""
    command = [sys.executable, "-X", "dev", "-m", "evsession", "serve", "--port", "0", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            yield process, line.split()[-1]
        finally:
            process.kill()


@NEEDS_SIGNALS
class TestTheEnd:
    def test_by_sigterm_keeps_what_was_acknowledged(self, tmp_path: Path) -> None:
        path = tmp_path / "dogs.db"
        acknowledged: list[str] = []
        asked: list[bool] = []

        async def save_on(store: evsession.Store, process: subprocess.Popen[str], number: int) -> None:
            with pytest.raises(evsession.SessionError):
                for n in range(10_000):
                    async with store.open_session() as session:
                        session.store({"n": n}, key=f"dogs/{number}-{n}", collection="Dogs")
                        acknowledged.extend(await session.save())
                    if len(acknowledged) >= 50 and not asked:
                        asked.append(True)
                        process.send_signal(signal.SIGTERM)

        async def run(process: subprocess.Popen[str], url: str) -> None:
            async with evsession.Store(url, "kennel") as store:
                await store.create_database("kennel")
                async with trio.open_nursery() as nursery:
                    for number in range(4):
                        nursery.start_soon(save_on, store, process, number)

        with serving("--data", path) as (process, url):
            trio.run(run, process, url)
            assert process.wait(20) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""
        again = evsession.Store.embedded(path, "kennel").initialize()
        loaded: Any = again.run(lambda: again.open_session().load(acknowledged))
        assert len(acknowledged) >= 50
        assert len(loaded) == len(acknowledged)
        assert not path.with_name("dogs.db-wal").exists()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_in_this_process(self, number: signal.Signals) -> None:
        async def ask(url: str) -> None:
            async with evsession.Store(url, "x") as store:
                await store.create_database("x")
                assert await store.open_session().load("dogs/max") is None
            signal.raise_signal(number)

        async with trio.open_nursery() as nursery:
            await serve(None, port=0, tell=lambda url: nursery.start_soon(ask, url))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_hundred_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faults.killed", str(tmp_path / "dogs.db"), "100", "7"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    acknowledged, sent = map(int, ran.stdout.split())
    assert 0 < acknowledged < sent


class TestListening:
    async def test_a_port_that_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            with pytest.raises(evsession.ConfigurationError, match="cannot listen on 127.0.0.1 port"):
                await serve(None, port=taken.getsockname()[1])

    async def test_a_file_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("not ours" * 1000)
        with pytest.raises(evsession.ConfigurationError, match="file"):
            await serve(tmp_path / "file", port=0)

    async def test_a_file_that_another_process_has(self, tmp_path: Path) -> None:
        path = tmp_path / "dogs.db"
        with serving("--data", path) as (process, _):
            with pytest.raises(evsession.ConfigurationError, match="is open already, in this process or another"):
                await serve(path, port=0)
            process.kill()
            process.wait()
        Storage(path).close()  # nothing is left of the lock of one that was killed

    @NEEDS_SIGNALS
    @pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
    async def test_on_another_address(self) -> None:
        told: list[str] = []

        def tell(url: str) -> None:
            told.append(url)
            signal.raise_signal(signal.SIGTERM)

        await serve(None, host="::1", port=0, tell=tell)
        assert told[0].startswith("http://[::1]:")


class TestCommandLine:
    def test_says_where_it_serves(self, tmp_path: Path) -> None:
        with serving() as (_, url):
            assert url.startswith("http://127.0.0.1:")

    def test_help_and_version(self) -> None:
        runner = CliRunner()
        assert "--data" in runner.invoke(commands, ["serve", "-h"]).output
        assert evsession.__version__ in runner.invoke(commands, ["--version"]).output

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["serve", "--port", "70000"], "70000"),
            (["serve", "--data", "."], "directory"),
            (["serve", "--data", "nowhere/dogs.db", "--port", "0"], "nowhere"),
            (["nonsense"], "nonsense"),
        ],
    )
    def test_what_cannot_be(self, arguments: list[str], said: str) -> None:
        ran = CliRunner().invoke(commands, arguments)
        assert ran.exit_code in (1, 2)
        assert said in ran.output
        assert "Traceback" not in ran.output

    @NEEDS_SIGNALS
    def test_serves_until_it_is_told_to_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def stop_at_once(*arguments: Any, tell: Any, **more: Any) -> None:
            def tell_and_stop(url: str) -> None:
                tell(url)
                signal.raise_signal(signal.SIGTERM)

            await serve(*arguments, **more, tell=tell_and_stop)

        monkeypatch.setattr("evsession.embedded.serve.serve", stop_at_once)
        ran = CliRunner().invoke(commands, ["serve", "--port", "0"])
        assert (ran.exit_code, ran.output.startswith("serving memory on http://127.0.0.1:")) == (0, True)

    def test_without_the_extras(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "evsession.embedded.serve", None)
        ran = CliRunner().invoke(commands, ["serve"])
        assert (ran.exit_code, "pip install 'evsession[embedded]'" in ran.output) == (1, True)
        monkeypatch.setitem(sys.modules, "evsession.cli.commands", None)
        with pytest.raises(SystemExit, match=r"pip install 'evsession\[cli\]'"):
            main()

    def test_as_a_console_script(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", ["evsession", "--version"])
        for start in (main, lambda: runpy.run_module("evsession", run_name="__main__")):
            with pytest.raises(SystemExit) as caught:
                start()
            assert caught.value.code == 0
        runpy.run_module("evsession", run_name="something else")
