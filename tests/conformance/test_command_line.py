"""The command line on servers that have a URL: each command, and that documents come through a file as they were."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import Result

from tests.backends import Backend
from tests.conformance.kennel import FAMILY
from tests.unit.cli.running import PYTHON, evsession_cli, printed

Cli: TypeAlias = Callable[..., Result]
EXPIRES = "2035-01-01T00:00:00.0000000Z"


@pytest.fixture
def cli(raven_url: str, database: str) -> Cli:
    """Run a command on the fresh database."""
    return partial(evsession_cli, EVSESSION_URL=raven_url, EVSESSION_DATABASE=database)


@pytest.fixture
def dogs(cli: Cli) -> None:
    """Max, his puppy, his mother and his grandchild are in the database."""
    lines = [json.dumps({**fields, "@metadata": {"@id": key, "@collection": "Dogs"}}) for key, fields in FAMILY.items()]
    assert cli("save", input="\n".join(lines)).stdout.split() == list(FAMILY)


def names(documents: list[Any]) -> list[str]:
    return [document["name"] for document in documents]


def keys(documents: list[Any]) -> list[str]:
    return [document["@metadata"]["@id"] for document in documents]


@pytest.mark.usefixtures("dogs")
class TestLoad:
    def test_documents_in_the_order_asked(self, cli: Cli) -> None:
        ran = cli("load", "dogs/jess", "DOGS/MAX", "dogs/jess")
        jess, max, again = printed(ran)
        assert (jess["name"], max["name"], again) == ("Jess", "Max", jess)
        assert list(jess)[-1] == "@metadata"
        assert jess["@metadata"]["@collection"] == "Dogs"
        assert {"@id", "@change-vector", "@last-modified"} <= jess["@metadata"].keys()
        assert ran.stderr == ""

    def test_a_missing_one(self, cli: Cli) -> None:
        ran = cli("load", "dogs/nobody", "dogs/max", "dogs/none")
        assert ran.exit_code == 1
        assert names([json.loads(ran.stdout)]) == ["Max"]
        assert ran.stderr == "there is no document 'dogs/nobody'\nthere is no document 'dogs/none'\n"

    def test_pretty(self, cli: Cli) -> None:
        ran = cli("load", "dogs/max", "--pretty")
        assert ran.stdout.startswith('{\n  "name": "Max",\n')
        assert json.loads(ran.stdout)["age"] == 12


@pytest.mark.usefixtures("dogs")
class TestQuery:
    @pytest.mark.parametrize(
        ("conditions", "found"),
        [
            ([], ["Billy", "Jess", "Max", "Mum"]),
            (["age=12"], ["Max"]),
            (["age=5 TO 12"], ["Jess", "Max"]),
            (["name=m*"], ["Max", "Mum"]),
            (['name="Max"'], ["Max"]),
            (['breed=["Labrador"]', "age={2 TO 17]"], ["Mum"]),
            (["puppy=dogs/billy"], ["Jess"]),
            (["age=99"], []),
        ],
    )
    def test_values(self, cli: Cli, conditions: list[str], found: list[str]) -> None:
        ran = cli("query", "Dog", *conditions, "--wait", "20", "--sort", "name")
        assert names(printed(ran)) == found
        assert ran.stderr == f"{len(found)} of {len(found)} document{'' if len(found) == 1 else 's'}\n"

    def test_order_and_pages(self, cli: Cli) -> None:
        ran = cli("query", "Dogs", "--sort", "breed", "--sort", "-age", "--start", "1", "--page-size", "2", "--wait", "20")
        assert names(printed(ran)) == ["Max", "Mum"]
        assert ran.stderr == "2 of 4 documents\n"

    def test_what_is_no_query(self, cli: Cli) -> None:
        ran = cli("query", "Dog", "age=[5 TO")
        assert (ran.exit_code, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
        assert ran.stderr.startswith("Error: age: ")
        ran = cli("query", "")
        assert (ran.exit_code, ran.stderr) == (1, "Error: the name of a type or collection is empty\n")
        ran = cli("query", "Dog", "age")
        assert (ran.exit_code, "'age' is not NAME=VALUE" in ran.stderr) == (2, True)


class TestSave:
    def test_what_was_printed(self, cli: Cli, dogs: None) -> None:
        before = printed(cli("query", "Dog", "--sort", "name", "--wait", "20"))
        for pretty in ([], ["--pretty"]):
            loaded = cli("load", *keys(before), *pretty)
            saved = cli("save", input=loaded.stdout)
            assert (saved.stdout.split(), saved.stderr) == (keys(before), "")
        after = printed(cli("load", *keys(before)))
        assert [{**one, "@metadata": 0} for one in after] == [{**one, "@metadata": 0} for one in before]
        assert [one["@metadata"]["@change-vector"] for one in after] != [one["@metadata"]["@change-vector"] for one in before]

    def test_key_and_collection_of_the_call(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "dog.json").write_text('{\n "name": "Tom",\n "@metadata": {"@id": "dogs/tom", "@collection": "Dogs"}}\n')
        ran = cli("save", tmp_path / "dog.json", "--key", "cats/tom", "--collection", "Cats")
        assert ran.stdout == "cats/tom\n"
        [tom] = printed(cli("load", "cats/tom"))
        assert (tom["name"], tom["@metadata"]["@collection"]) == ("Tom", "Cats")

    def test_keys_that_are_made(self, cli: Cli) -> None:
        assert cli("save", "--collection", "Dogs", input='[{"n": 1}, {"n": 2}]').stdout == "dogs/1\ndogs/2\n"
        assert len(cli("save", input="{}").stdout) == 37

    def test_the_metadata_of_the_program_goes_along(self, cli: Cli) -> None:
        own = {"Owner": "me", "@expires": EXPIRES, "@refresh": EXPIRES, "@archive-at": EXPIRES}
        servers = {"@id": "dogs/max", "@collection": "Dogs", "@flags": "HasRevisions", "@attachments": [{"Name": "a"}], "@odd": 1}
        cli("save", input=json.dumps({"@metadata": {**own, **servers}}))
        [max] = printed(cli("load", "dogs/max"))
        assert {name: max["@metadata"].get(name) for name in own} == own
        assert {"@attachments", "@odd"} & max["@metadata"].keys() == set()

    def test_is_all_or_nothing(self, cli: Cli) -> None:
        metadata = [{"@metadata": {"@id": key}} for key in ("a", "A")]
        for second in (json.dumps(metadata[1]), "[1]", '{"@metadata": 1}'):
            ran = cli("save", input=f"{json.dumps(metadata[0])}\n{second}\n")
            assert (ran.exit_code, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
        assert "standard input, document 2: @metadata is a JSON object" in ran.stderr
        assert cli("load", "a").exit_code == 1

    def test_what_is_no_json(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "bad").write_text('{"a": 1}\n{"a": }\n')
        ran = cli("save", tmp_path / "bad")
        assert (ran.exit_code, ran.stderr.startswith(f"Error: {tmp_path / 'bad'}: line 2: this is not JSON")) == (1, True)

    def test_nothing(self, cli: Cli) -> None:
        ran = cli("save", input="")
        assert (ran.exit_code, ran.output) == (0, "")

    @pytest.mark.parametrize("documents", ["[]", "[{}, {}]"])
    def test_a_key_is_for_one_document(self, cli: Cli, documents: str) -> None:
        ran = cli("save", "--key", "dogs/max", input=documents)
        assert (ran.exit_code, "--key is for one document" in ran.stderr) == (2, True)


@pytest.mark.usefixtures("dogs")
class TestDelete:
    def test_several(self, cli: Cli) -> None:
        ran = cli("delete", "dogs/max", "dogs/jess", "dogs/nobody")
        assert (ran.exit_code, ran.output) == (0, "")
        assert names([json.loads(cli("load", "dogs/max", "dogs/jess", "dogs/mum").stdout)]) == ["Mum"]

    def test_an_etag(self, cli: Cli) -> None:
        [max] = printed(cli("load", "dogs/max"))
        ran = cli("delete", "dogs/max", "--etag", "A:1-wrong")
        assert (ran.exit_code, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
        assert "(409, " in ran.stderr
        assert cli("delete", "dogs/max", "--etag", max["@metadata"]["@change-vector"]).exit_code == 0
        assert cli("load", "dogs/max").exit_code == 1

    def test_an_etag_is_for_one_document(self, cli: Cli) -> None:
        ran = cli("delete", "dogs/max", "dogs/jess", "--etag", "x")
        assert (ran.exit_code, "--etag is for one document" in ran.stderr) == (2, True)


@pytest.mark.usefixtures("dogs")
class TestPatch:
    def test_a_list(self, cli: Cli) -> None:
        commands = [{"Type": "Inc", "Name": "age", "Value": 1}, {"Type": "Unset", "Name": "puppy"}]
        ran = cli("patch", "dogs/max", json.dumps(commands))
        assert (ran.exit_code, ran.output) == (0, "")
        [max] = printed(cli("load", "dogs/max"))
        assert (max["age"], "puppy" in max) == (13, False)

    def test_a_script(self, cli: Cli) -> None:
        script = "this.age += args.years; this.note = args.note"
        assert cli("patch", "dogs/max", "--script", script, "--arg", "years=2", "--arg", "note=a=b").exit_code == 0
        [max] = printed(cli("load", "dogs/max"))
        assert (max["age"], max["note"]) == (14, "a=b")

    def test_an_etag(self, cli: Cli) -> None:
        ran = cli("patch", "dogs/max", '[{"Type": "Unset", "Name": "age"}]', "--etag", "A:1-wrong")
        assert (ran.exit_code, "(409, " in ran.stderr) == (1, True)

    def test_a_missing_document(self, cli: Cli) -> None:
        ran = cli("patch", "dogs/nobody", '[{"Type": "Unset", "Name": "age"}]')
        assert (ran.exit_code, "(404" in ran.stderr) == (1, True)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([], "PATCHES or --script"),
            (["[]", "--script", "x"], "PATCHES or --script"),
            (["[]", "--arg", "a=1"], "--arg is for --script"),
            (["--script", "x", "--arg", "a"], "'a' is not NAME=VALUE"),
            (["[{]"], "PATCHES"),
        ],
    )
    def test_calls_that_cannot_be(self, cli: Cli, arguments: list[str], said: str) -> None:
        ran = cli("patch", "dogs/max", *arguments)
        assert (ran.exit_code, said in ran.stderr) == (2, True)

    def test_what_is_no_patch(self, cli: Cli) -> None:
        ran = cli("patch", "dogs/max", '[{"Type": "Nonsense", "Name": "age"}]')
        assert (ran.exit_code, ran.stderr.startswith("Error: patches[0]")) == (1, True)


VARIETY: list[dict[str, Any]] = [
    {"name": "Max", "@metadata": {"@id": "dogs/max", "@collection": "Dogs", "Owner": {"of": ["them"]}, "@expires": EXPIRES}},
    {"text": 'ü 😀 \u2028 "\\\n\x00', "@metadata": {"@id": "odd/ü %&😀", "@collection": "Odd things"}},
    {"numbers": [0, -1, 2**53, 1.5, 1e100, 0.1], "none": None, "yes": True, "@metadata": {"@id": "x"}},
    {"id": "own", "Id": "own", "@odd": {"@metadata": 1}, "": {"": []}, "@metadata": {"@id": "dogs/deep", "@collection": "Dogs"}},
    {"@metadata": {"@id": "empty", "@collection": "Dogs"}},
    *({"n": n, "@metadata": {"@id": f"many/{n}", "@collection": "Many"}} for n in range(500)),
]
SERVERS = {"@change-vector", "@last-modified"}


def comparable(path: Path) -> dict[str, Any]:
    """Return the documents of a file by their keys, without what the server says of each version."""
    documents = [json.loads(line) for line in path.read_bytes().splitlines()]
    facts = [{name: fact for name, fact in one["@metadata"].items() if name not in SERVERS} for one in documents]
    return {fact["@id"]: {**one, "@metadata": fact} for one, fact in zip(documents, facts, strict=True)}


class TestFiles:
    @pytest.fixture
    def variety(self, cli: Cli, tmp_path: Path) -> Path:
        """A file of all kinds of documents, which are in the database."""
        path = tmp_path / "variety.jsonl"
        lines = [json.dumps(one, ensure_ascii=False) for one in VARIETY]
        # Documents without keys, which get some from a range of numbers.
        lines += [json.dumps({"n": n, "@metadata": {"@collection": "Pups"}}) for n in range(3)]
        path.write_text("\n".join(lines), encoding="utf-8")
        assert cli("import", path).stderr == f"importing\n{len(lines)} documents imported\n"
        return path

    def test_a_round_trip(self, cli: Cli, backend: Backend, variety: Path, tmp_path: Path) -> None:
        first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
        ran = cli("export", first)
        exported = comparable(first)
        assert (ran.stdout, ran.stderr) == ("", f"exporting\n{len(exported)} documents exported\n")
        assert {key: exported[key] for key in keys(VARIETY)} == {one["@metadata"]["@id"]: one for one in VARIETY}
        assert exported.keys() - keys(VARIETY) == {"Raven/Hilo/Pups", "pups/1-A", "pups/2-A", "pups/3-A"}
        with backend.fresh_database() as other:
            assert cli("import", first, "--database", other).exit_code == 0
            assert cli("export", second, "--database", other).exit_code == 0
            assert comparable(second) == exported
            [counter] = printed(cli("load", "Raven/Hilo/Pups", "--database", other))
            assert counter["Max"] >= 3
            cli("import", "-", "--collection", "Pups", "--database", other, input='{"new": true}')
            assert len(printed(cli("load", "pups/1-A", "pups/2-A", "pups/3-A", "--database", other))) == 3
            assert printed(cli("load", "pups/1-A", "--database", other))[0]["n"] == 0

    def test_one_type(self, cli: Cli, variety: Path, tmp_path: Path) -> None:
        ran = cli("export", tmp_path / "out", "Pup")
        assert set(comparable(tmp_path / "out")) == {"Raven/Hilo/Pups", "pups/1-A", "pups/2-A", "pups/3-A"}
        assert ran.stderr == "exporting\n4 documents exported\n"
        assert len(printed(cli("export", "-", "Odd things"))) == 1
        assert keys(printed(cli("export", "-", "@empty"))) == ["x"]
        assert len(printed(cli("export", "-", "Many"))) == 500  # whose plural is another word
        assert len(printed(cli("query", "Many", "--page-size", "3", "--wait", "20"))) == 3

    def test_an_export_makes_no_index(self, cli: Cli, backend: Backend, database: str, variety: Path) -> None:
        cli("export", "-", "Dog")
        assert backend.ask("GET", f"/databases/{database}/indexes?namesOnly=true")["Results"] == []

    def test_another_collection(self, cli: Cli, tmp_path: Path) -> None:
        line = '{"@metadata": {"@id": "dogs/tom", "@collection": "Dogs"}}'
        assert cli("import", "-", "--collection", "Cats", input=line).exit_code == 0
        [tom] = printed(cli("load", "dogs/tom"))
        assert tom["@metadata"]["@collection"] == "Cats"

    def test_what_exists_is_overwritten(self, cli: Cli, dogs: None) -> None:
        cli("import", "-", input='{"name": "Maxi", "@metadata": {"@id": "dogs/max", "@collection": "Dogs"}}')
        [max] = printed(cli("load", "dogs/max"))
        assert (max["name"], "age" in max) == ("Maxi", False)

    def test_what_was_printed_pretty(self, cli: Cli, dogs: None) -> None:
        shown = cli("load", *FAMILY, "--pretty").stdout
        assert cli("import", "-", input=shown).stderr == "4 documents imported\n"


class TestErrors:
    def test_a_missing_database(self, cli: Cli, tmp_path: Path) -> None:
        for command in (["load", "k"], ["query", "Dog"], ["delete", "k"], ["export", tmp_path / "out"], ["ping"]):
            ran = cli(*command, "--database", "no-such-database")
            assert (ran.exit_code, ran.stdout) == (1, "")
            assert "no-such-database" in ran.stderr.splitlines()[-1]
            assert "DatabaseDoesNotExistException" in ran.stderr
        assert list(tmp_path.iterdir()) == []

    def test_nobody_there(self, cli: Cli) -> None:
        for command in (["load", "k"], ["save"], ["ping"]):
            ran = cli(*command, "--url", "http://127.0.0.1:1", input="{}")
            assert (ran.exit_code, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
            assert ran.stderr.startswith("Error: cannot connect to http://127.0.0.1:1")


def test_cypher_says_that_this_is_no_neo4j(raven_url: str) -> None:
    ran = evsession_cli("cypher", "RETURN 1", "--url", raven_url)
    assert (ran.exit_code, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert ran.stderr.startswith("Error: the server is a RavenDB, and no Neo4j")


def test_a_mark_of_the_byte_order_is_no_part_of_a_document(cli: Cli, tmp_path: Path) -> None:
    lines = '{"n": 1, "@metadata": {"@id": "dogs/1"}}\n{"n": 2, "@metadata": {"@id": "dogs/2"}}\n'.encode("utf-8-sig")
    assert cli("save", input=lines).stdout == "dogs/1\ndogs/2\n"
    file = tmp_path / "marked.jsonl"
    file.write_bytes(lines.replace(b"dogs/", b"cats/"))
    assert cli("import", file).stderr.endswith("2 documents imported\n")
    assert [document["n"] for document in printed(cli("load", "dogs/1", "cats/1", "cats/2"))] == [1, 1, 2]


def test_ping(cli: Cli, backend: Backend) -> None:
    ran = cli("ping")
    assert ran.stdout.startswith("RavenDB " if backend.name == "ravendb" else "the embedded server of evsession ")
    assert (ran.exit_code, ran.stderr) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send signals to itself")
def test_ctrl_c_while_a_pipe_is_read(raven_url: str, database: str) -> None:
    command = [*PYTHON, "-X", "dev", "-m", "evsession", "import", "-", "--url", raven_url, "--database", database]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        # More than a pipe holds, so that the end of the writing tells that it is read.
        process.stdin.write(b'{"text": "%s"}\n' % (b"x" * 1000) * 1000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        (said,) = process.stderr.read().splitlines()
        assert said.endswith(b" documents had been given before; they may have been written, or not")
