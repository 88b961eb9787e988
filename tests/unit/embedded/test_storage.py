"""The file: whose it is, who has it open, what survives, and what happens when it cannot be written."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evsession.embedded.failures import RavenFailure
from evsession.embedded.storage import Storage, fold_key, last_etag
from evsession.embedded.storage.connect import prepare
from evsession.embedded.storage.documents import document_json, prefixed_rows, row_by_key, rows_by_key
from evsession.embedded.storage.keys import check_database_name
from evsession.errors import ConfigurationError


@pytest.fixture(params=["memory", "file"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    opened = Storage(None if request.param == "memory" else tmp_path / "data.db")
    opened.create_database("db")
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.db"


def put(storage: Storage, key: str, body: str = '{"a":1}', name: str = "db", collection: str = "Dogs") -> str:
    database = storage.database(name)
    assert database is not None
    with storage.write(database) as transaction:
        return transaction.put(key, body, "{}", collection).change_vector


def keys(storage: Storage, name: str = "db") -> list[str]:
    database = storage.database(name)
    assert database is not None
    with storage.read() as connection:
        return [row[0] for row in prefixed_rows(connection, database.tables, "")]


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "folded"),
        [
            ("Dogs/Max", "dogs/max"),
            ("É", "é"),
            ("ΣΣ", "\u03c3\u03c3"),
            ("İ", "İ"),
            ("ẞ", "ß"),
            ("K", "k"),
            (" x ", " x "),
            ("ǅ", "ǆ"),
        ],
    )
    def test_are_folded_character_by_character(self, key: str, folded: str) -> None:
        assert fold_key(key) == folded

    def test_may_have_512_bytes(self, storage: Storage) -> None:
        put(storage, "é" * 256)
        with pytest.raises(RavenFailure, match="cannot exceed 512 bytes, but the ID was 514 bytes"):
            put(storage, "é" * 257)

    def test_of_collections_may_have_as_many(self, storage: Storage) -> None:
        put(storage, "a", collection="é" * 256)
        with pytest.raises(RavenFailure, match="cannot exceed 512 bytes"):
            put(storage, "b", collection="é" * 257)
        assert keys(storage) == ["a"]

    def test_by_prefix_come_in_order(self, storage: Storage) -> None:
        for key in ("b", "A/2", "a/1", "a", "a/\U0010ffff", "a0", "\ud7ff", "\ue000"):
            put(storage, key)
        database = storage.database("db")
        assert database is not None
        with storage.read() as connection:
            assert [row[0] for row in prefixed_rows(connection, database.tables, "a/")] == ["a/1", "A/2", "a/\U0010ffff"]
            assert [row[0] for row in prefixed_rows(connection, database.tables, "a/\U0010ffff")] == ["a/\U0010ffff"]
            assert [row[0] for row in prefixed_rows(connection, database.tables, "\ud7ff")] == ["\ud7ff"]
            assert [row[0] for row in prefixed_rows(connection, database.tables, "\U0010ffff")] == []
            assert [row[0] for row in prefixed_rows(connection, database.tables, "a", "a/1")] == ["A/2", "a/\U0010ffff", "a0"]
            assert [row[0] for row in prefixed_rows(connection, database.tables, "a", "b")] == []

    @pytest.mark.parametrize("name", ["", "a b", "..", "a/b", ".a", "a..b", "con", "LPT9", "x" * 129, "²", "\U0001d400"])
    def test_of_databases(self, name: str) -> None:
        assert check_database_name(" Northwind-2.x_é ") == "Northwind-2.x_é"
        with pytest.raises(RavenFailure):
            check_database_name(name)


class TestTransactions:
    def test_are_undone_as_a_whole(self, storage: Storage) -> None:
        put(storage, "a")
        database = storage.database("db")
        assert database is not None
        with pytest.raises(ZeroDivisionError), storage.write(database) as transaction:
            transaction.put("b", "{}", "{}", "Cats")
            transaction.delete("a")
            transaction.next_identity("dogs|")
            raise ZeroDivisionError
        assert keys(storage) == ["a"]
        with storage.write(database) as transaction:
            transaction.put("b", "{}", "{}", "Cats")  # the collection is new once more
            assert transaction.next_identity("dogs") == 2  # but what was given is given

    def test_never_tell_a_change_vector_twice(self, storage: Storage) -> None:
        database = storage.database("db")
        assert database is not None
        told = []
        with pytest.raises(ZeroDivisionError), storage.write(database) as transaction:
            told.append(transaction.put("a", "{}", "{}", "Dogs").change_vector)
            raise ZeroDivisionError
        assert put(storage, "a") not in told

    def test_readers_see_the_last_commit(self, path: Path) -> None:
        storage = Storage(path)
        storage.create_database("db")
        put(storage, "a")
        database = storage.database("db")
        assert database is not None
        with storage.read() as connection:
            assert row_by_key(connection, database.tables, "b") is None
            put(storage, "b")
            assert row_by_key(connection, database.tables, "b") is None
            assert (last_etag(connection, database), database.last_etag) == (1, 2)
        assert keys(storage) == ["a", "b"]
        storage.close()

    def test_documents_come_back_with_what_the_server_adds(self, storage: Storage) -> None:
        vector = put(storage, "Dogs/1", "{}")
        database = storage.database("db")
        assert database is not None
        with storage.read() as connection:
            row = row_by_key(connection, database.tables, "dogs/1")
            assert row is not None
            assert rows_by_key(connection, database.tables, ["dogs/1", "nope"]) == {"dogs/1": row}
        assert document_json(row) == (
            b'{"@metadata":{"@change-vector":"%b","@id":"Dogs/1","@last-modified":"%b"}}' % (vector.encode(), row[4].encode())
        )

    def test_from_many_threads(self, storage: Storage) -> None:
        def work(name: str) -> None:
            for number in range(20):
                put(storage, f"{name}/{number}")
                keys(storage)

        threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keys(storage)) == 80


class TestDatabases:
    def test_are_kept_apart(self, storage: Storage) -> None:
        other = storage.create_database("Other")
        assert other is not None
        assert storage.create_database("OTHER") is None
        put(storage, "a")
        put(storage, "b", name="other")
        assert keys(storage) == ["a"]
        assert keys(storage, "other") == ["b"]

    def test_are_gone_with_all_that_is_in_them(self, storage: Storage) -> None:
        put(storage, "a")
        removed: list[object] = []
        database = storage.database("db")
        assert database is not None
        assert storage.delete_database("DB", also=lambda connection, tables: removed.append(tables)) is not None
        assert storage.delete_database("db") is None
        with storage.read() as connection:
            assert last_etag(connection, database) == 0
        assert len(removed) == 1
        storage.create_database("db")
        assert keys(storage) == []
        assert put(storage, "a").startswith("A:1-")

    def test_are_switched(self, storage: Storage) -> None:
        database = storage.switch_database("db", disabled=True)
        assert database is not None
        assert database.disabled
        assert storage.switch_database("nope", disabled=True) is None
        assert repr(database) == "<Database 'db', 0 writes>"


class TestFiles:
    def test_are_read_again(self, path: Path) -> None:
        storage = Storage(path)
        storage.create_database("db", '{"a":1}')
        vector = put(storage, "a")
        database = storage.database("db")
        assert database is not None
        with storage.write(database) as transaction:
            assert transaction.next_identity("dogs|") == 1
            assert transaction.seed_identity("dogs|", 40, force=False) == 40
            assert transaction.seed_identity("dogs|", 30, force=False) == 40
            assert transaction.seed_identity("dogs|", 30, force=True) == 30
        storage.switch_database("db", disabled=True)
        storage.close()
        storage.close()
        again = Storage(path)
        known = again.database("db")
        assert known is not None
        assert (known.name, known.disabled, known.record, known.last_etag) == ("db", True, '{"a":1}', 1)
        assert known.change_vector(1) == vector
        assert put(again, "b").split("-")[0] == "A:2"
        with again.write(known) as transaction:
            assert transaction.next_identity("dogs") == 31
        assert repr(again) == f"<Storage {path}, 1 databases>"
        again.close()
        assert repr(again).endswith(", closed>")

    def test_are_open_once(self, path: Path) -> None:
        storage = Storage(path)
        with pytest.raises(ConfigurationError, match="is open already, in this process or another"):
            Storage(path)
        program = f"from evsession.embedded.storage import Storage; Storage({str(path)!r})"
        other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert "is open already, in this process or another" in other.stderr
        storage.close()
        Storage(path).close()

    def test_are_open_once_under_any_name(self, path: Path) -> None:
        storage = Storage(path)
        link = path.with_name("link.db")
        link.symlink_to(path)
        with pytest.raises(ConfigurationError, match="is open already"):
            Storage(link)
        storage.close()

    def test_of_other_programs_are_left_alone(self, path: Path) -> None:
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE theirs (a)")
        connection.commit()
        connection.close()
        before = path.read_bytes()
        with pytest.raises(ConfigurationError, match="is a database of another program"):
            Storage(path)
        assert path.read_bytes() == before

    def test_that_are_no_databases(self, path: Path) -> None:
        path.write_bytes(b"no database at all\n" * 100)
        with pytest.raises(ConfigurationError, match="file is not a database"):
            Storage(path)
        assert path.read_bytes() == b"no database at all\n" * 100

    def test_of_a_newer_version(self, path: Path) -> None:
        Storage(path).close()
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 2")
        connection.close()
        with pytest.raises(ConfigurationError, match="has format 2, this evsession reads format 1: use the"):
            Storage(path)

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ("", "cannot be the path of a file"),
            ("a\0b", "cannot be the path of a file"),
            (".", "is a directory"),
            ("nowhere/data.db", "is no directory"),
        ],
    )
    def test_that_cannot_be(self, tmp_path: Path, wrong: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigurationError, match=message):
            Storage(wrong)

    def test_where_no_file_can_be_made(self, path: Path) -> None:
        path.with_name(path.name + "-lock").mkdir()
        with pytest.raises(ConfigurationError, match="cannot be used by the embedded server: unable to open database file"):
            Storage(path)

    def test_whose_lock_is_something_else(self, path: Path) -> None:
        path.with_name(path.name + "-lock").write_bytes(b"no database at all\n" * 100)
        with pytest.raises(ConfigurationError, match="cannot be used by the embedded server: file is not a database"):
            Storage(path)

    def test_where_nothing_can_be_written(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Storage(path).close()
        connect = sqlite3.connect

        def read_only(name: Any, **options: Any) -> sqlite3.Connection:
            opened: sqlite3.Connection = connect(
                name if str(name).endswith("-lock") else f"file:{name}?mode=ro", uri=True, **options
            )
            return opened

        monkeypatch.setattr(sqlite3, "connect", read_only)
        with pytest.raises(ConfigurationError, match=r"attempt to write a readonly database"):
            Storage(path)
        monkeypatch.undo()
        Storage(path).close()  # nothing was left locked

    def test_where_sqlite_cannot_write_ahead(self, path: Path) -> None:
        class Poor(sqlite3.Connection):
            def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
                return super().execute("SELECT 'delete'" if "journal_mode" in sql else sql, *rest)

        connection = sqlite3.connect(path, factory=Poor, isolation_level=None)
        with pytest.raises(ConfigurationError, match="where SQLite cannot write ahead"):
            prepare(connection, str(path))
        connection.close()

    def test_want_a_modern_sqlite(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 30, 0))
        with pytest.raises(ConfigurationError, match=r"needs SQLite 3\.38\.0"):
            Storage()

    def test_are_closed_for_good(self, storage: Storage) -> None:
        database = storage.database("db")
        assert database is not None
        storage.close()
        with pytest.raises(ConfigurationError, match="is closed"), storage.read():
            pytest.fail("a closed storage was read")
        with pytest.raises(ConfigurationError, match="is closed"), storage.write(database):
            pytest.fail("a closed storage was written")

    def test_readers_end_after_it_was_closed(self, path: Path) -> None:
        storage = Storage(path)
        storage.create_database("db")
        with storage.read() as connection:
            storage.close()
            assert connection.execute("SELECT count(*) FROM databases").fetchone() == (1,)
        Storage(path).close()

    def test_a_reader_that_cannot_begin_is_dropped(self, path: Path) -> None:
        storage = Storage(path)
        with storage.read() as connection:
            pass
        connection.close()
        with pytest.raises(sqlite3.ProgrammingError), storage.read():
            pytest.fail("a closed connection was lent")
        connection = storage.begin_read()
        connection.close()
        with pytest.raises(sqlite3.ProgrammingError):
            storage.end_read(connection)
        storage.close()


class TestFullDisks:
    def test_fail_and_lose_nothing(self, path: Path) -> None:
        storage = Storage(path)
        storage.create_database("db")
        put(storage, "a")
        pages = storage._writer.execute("PRAGMA page_count").fetchone()[0]
        storage._writer.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            put(storage, "b", f'"{"x" * 100_000}"')
        assert keys(storage) == ["a"]
        storage._writer.execute("PRAGMA max_page_count = 1000000")
        put(storage, "b", f'"{"x" * 100_000}"')
        assert keys(storage) == ["a", "b"]
        storage.close()

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no process's files")
    def test_by_the_system_fail_and_lose_nothing(self, path: Path) -> None:
        program = (
            "import resource, sqlite3\n"
            "from evsession.embedded.storage import Storage\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))\n"
            f"storage = Storage({str(path)!r})\n"
            "database = storage.create_database('db')\n"
            "def put(number):\n"
            "    with storage.write(database) as transaction:\n"
            "        transaction.put(f'{number:03}', '\"' + 'x' * 20_000 + '\"', '{}', 'Dogs')\n"
            "stored = 0\n"
            "try:\n"
            "    while stored < 100:\n"
            "        put(stored)\n"
            "        stored += 1\n"
            "except sqlite3.Error as error:\n"
            "    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
            "    put(999)\n"
            "print(stored)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        stored = int(done.stdout)
        assert 0 < stored < 100
        storage = Storage(path)
        assert keys(storage) == [*(f"{number:03}" for number in range(stored)), "999"]
        storage.close()

    def test_identities_of_a_failed_write_are_given_up(self, path: Path) -> None:
        storage = Storage(path)
        database = storage.create_database("db")
        assert database is not None
        with pytest.raises(ZeroDivisionError), storage.write(database) as transaction:
            transaction.next_identity("dogs|")
            storage._writer.execute("PRAGMA query_only = ON")
            raise ZeroDivisionError
        storage._writer.execute("PRAGMA query_only = OFF")
        with storage.write(database) as transaction:
            assert transaction.next_identity("dogs|") == 1
        storage.close()


def test_a_killed_process_loses_nothing(path: Path) -> None:
    program = (
        "import os, signal\n"
        "from evsession.embedded.storage import Storage\n"
        f"storage = Storage({str(path)!r})\n"
        "database = storage.create_database('db')\n"
        "with storage.write(database) as transaction:\n"
        "    transaction.put('a', '{}', '{}', 'Dogs')\n"
        "begun = storage.write(database)\n"
        "begun.__enter__().put('b', '{}', '{}', 'Dogs')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False, env={**os.environ})
    storage = Storage(path)
    assert keys(storage) == ["a"]
    storage.close()
