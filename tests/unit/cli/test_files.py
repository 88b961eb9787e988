"""Files of any size: what happens to them when something goes wrong."""

from __future__ import annotations

import os
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import evsession
from evsession.cli.files import writing_whole
from evsession.testing.scripted import ScriptedTransport, json_answer
from tests.unit.cli.running import evsession_cli, on_file, printed


class TestWritingWhole:
    def test_the_file_is_as_it_was_until_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "dogs.jsonl"
        path.write_bytes(b"old")
        with writing_whole(str(path)) as write:
            write(b"new")
            assert path.read_bytes() == b"old"
        assert path.read_bytes() == b"new"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_and_for_ever_if_it_fails(self, tmp_path: Path, error: type[BaseException]) -> None:
        path = tmp_path / "dogs.jsonl"
        path.write_bytes(b"old")
        with pytest.raises(error), writing_whole(str(path)) as write:
            write(b"new")
            raise error
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_what_somebody_else_writes_is_left_alone(self, tmp_path: Path) -> None:
        other = tmp_path / f"dogs.jsonl.{os.getpid()}.part"
        other.write_bytes(b"theirs")
        with pytest.raises(FileExistsError) as caught, writing_whole(str(tmp_path / "dogs.jsonl")):
            pass
        assert caught.value.filename == str(tmp_path / "dogs.jsonl")
        assert other.read_bytes() == b"theirs"

    @pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")
    def test_a_link_stays_one(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "dogs.jsonl")
        with writing_whole(str(tmp_path / "link")) as write:
            write(b"new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "dogs.jsonl").read_bytes() == b"new"

    def test_a_device_stays_one(self) -> None:
        with writing_whole(os.devnull) as write:
            write(b"new")
        assert not os.path.isfile(os.devnull)


class TestImport:
    @pytest.mark.parametrize(
        ("bad", "said"),
        [
            ('{"a": }', "this is not JSON"),
            ("[1]", "a document is a JSON object, not a list"),
            ('{"@metadata": {"@id": 5}}', "@metadata.@id is a text"),
            ('{"@metadata": {"@id": "dogs/"}}', "ends in '/'"),
        ],
    )
    def test_a_bad_line(self, tmp_path: Path, bad: str, said: str) -> None:
        (tmp_path / "dogs.jsonl").write_text('{}\n\n{"a": 1}\n' + bad + "\n{}\n")
        ran = on_file(tmp_path / "dogs.db", "import", tmp_path / "dogs.jsonl")
        *_, before, error = ran.stderr.splitlines()
        assert before == "2 documents had been given before; they may have been written, or not"
        assert error.startswith(f"Error: {tmp_path / 'dogs.jsonl'}, line 4: ")
        assert (ran.exit_code, said in error, ran.stdout) == (1, True, "")

    def test_a_bad_first_line(self, tmp_path: Path) -> None:
        ran = on_file(tmp_path / "dogs.db", "import", "-", input="nonsense")
        assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1)
        assert ran.stderr.startswith("Error: standard input, line 1: this is not JSON")

    def test_a_server_that_refuses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = evsession.Store
        refusal = json_answer({"Type": "Raven.Client.Exceptions.RavenException", "Message": "disk full"}, 500)
        transport = ScriptedTransport(json_answer({"Id": 1}), refusal)
        monkeypatch.setattr(evsession, "Store", lambda *_, **__: real(database="x", transport=transport))
        metadata = '"@metadata": {"@id": "a"}'
        ran = evsession_cli("import", "-", "--url", "http://x", "--database", "x", input=f"{{{metadata}}}\n{{{metadata}}}\n")
        assert ran.exit_code == 1
        assert ran.stderr.startswith("2 documents had been given before")
        assert "disk full (500, RavenException)" in ran.stderr

    def test_ctrl_c(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def read(text: bytes) -> Any:
            if b"third" in text:
                raise KeyboardInterrupt
            return {}

        monkeypatch.setattr("evsession.cli.files.decoded", read)
        ran = on_file(tmp_path / "dogs.db", "import", "-", input='{}\n{}\n{"third": 1}\n')
        assert (ran.exit_code, ran.stdout) == (130, "")
        assert ran.stderr == "2 documents had been given before; they may have been written, or not\n"

    def test_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        assert on_file(tmp_path / "dogs.db", "import", tmp_path / "empty").stderr == "importing\n0 documents imported\n"

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        ran = on_file(tmp_path / "dogs.db", "import", tmp_path / "missing")
        assert (ran.exit_code, "missing" in ran.stderr) == (2, True)


class TestCounters:
    def count(self, path: Path, number: Any) -> str:
        line = f'{{"Max": {number}, "@metadata": {{"@id": "Raven/Hilo/Dogs", "@collection": "@hilo"}}}}'
        return on_file(path, "import", "-", input=line).stderr

    def test_never_go_back(self, tmp_path: Path) -> None:
        path = tmp_path / "dogs.db"
        for number, then in ((64, 64), (32, 64), (96, 96), ('"x"', "x"), (32, 32)):
            assert self.count(path, number) == "1 document imported\n"
            [counter] = printed(on_file(path, "load", "raven/hilo/dogs"))
            assert counter["Max"] == then


class TestExport:
    def test_nothing(self, tmp_path: Path) -> None:
        on_file(tmp_path / "dogs.db", "save", input="{}")
        ran = on_file(tmp_path / "dogs.db", "export", tmp_path / "out", "Dog")
        assert (ran.exit_code, ran.stderr) == (0, "0 documents exported\n")
        assert (tmp_path / "out").read_bytes() == b""

    def test_a_place_that_is_not_there(self, tmp_path: Path) -> None:
        on_file(tmp_path / "dogs.db", "save", input="{}")
        ran = on_file(tmp_path / "dogs.db", "export", tmp_path / "missing" / "out")
        assert (ran.exit_code, ran.stderr) == (1, f"Error: {tmp_path / 'missing' / 'out'}: No such file or directory\n")

    def test_a_failure_half_way_leaves_no_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = evsession.Store
        good = b'{"Stats": {}}\r\n{"Item": {"@metadata": {"@id": "a"}}}\r\n'
        broken = evsession.Response(200, (), good + b'{"Error": "System.IO.IOException: disk on fire"}\r\n')
        counted = json_answer({"Results": [], "TotalResults": 2, "Includes": {}})
        transport = ScriptedTransport(broken, counted)
        monkeypatch.setattr(evsession, "Store", lambda *_, **__: real(database="x", transport=transport))
        ran = evsession_cli("export", tmp_path / "out", "--url", "http://x", "--database", "x")
        assert (ran.exit_code, ran.stdout) == (1, "")
        assert ran.stderr == "exporting\nError: disk on fire (500, IOException)\n"
        assert list(tmp_path.iterdir()) == []


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dogs.jsonl").write_text("{}\n" * 100)
    shown = Terminal()
    real = evsession.cli.output.click.progressbar  # type: ignore[attr-defined]

    def on_terminal(*arguments: Any, file: Any, **more: Any) -> Any:
        assert file is sys.stderr
        return real(*arguments, file=shown, **more)

    monkeypatch.setattr("click.progressbar", on_terminal)
    on_file(tmp_path / "dogs.db", "import", tmp_path / "dogs.jsonl")
    assert "100%" in shown.getvalue()
    assert shown.getvalue().endswith("\n")
    on_file(tmp_path / "dogs.db", "export", tmp_path / "out")
    assert shown.getvalue().count("100%") >= 2
