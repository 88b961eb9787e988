"""The public face: names, docstrings, where things say they live, and what an import may do."""

from __future__ import annotations

import configparser
import importlib.metadata
import inspect
import pickle
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

import evsession

PACKAGE = Path(evsession.__file__).parent
PUBLIC = [getattr(evsession, name) for name in evsession.__all__]
NAMES = [name for name in evsession.__all__ if callable(getattr(evsession, name))]
CLASSES = [thing for thing in PUBLIC if isinstance(thing, type)]
ERRORS = [cls for cls in CLASSES if issubclass(cls, evsession.SessionError)]


def own_members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public members of a class that were written in this package, inherited ones too."""
    for name in dir(cls):
        if name.startswith("_"):
            continue
        owner = next(base for base in cls.__mro__ if name in base.__dict__)
        if owner.__module__.split(".")[0] == "evsession":
            yield name, owner.__dict__[name]


def functions_of(cls: type) -> Iterator[tuple[str, Any]]:
    for name, member in own_members(cls):
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if inspect.isfunction(function):
            yield name, function


def mentioned(annotation: Any) -> Iterator[type]:
    """Yield every class of this package in an annotation."""
    origin = typing.get_origin(annotation)
    if origin is None:  # asked first: on Python 3.10 list[int] passes for a type
        if isinstance(annotation, type) and annotation.__module__.split(".")[0] == "evsession":
            yield annotation
        return
    for argument in (origin, *typing.get_args(annotation)):
        for part in argument if isinstance(argument, list) else [argument]:
            yield from mentioned(part)


def test_all_is_sorted_and_free_of_doubles() -> None:
    def place(name: str) -> tuple[bool, bool, str]:
        return not name.isupper(), name[0].islower(), name

    assert list(evsession.__all__) == sorted(set(evsession.__all__), key=place)


def test_every_public_name_of_the_package_is_in_all() -> None:
    modules = (type(evsession),)
    bound = {name for name, value in vars(evsession).items() if not name.startswith("_") and not isinstance(value, modules)}
    assert bound == set(evsession.__all__)


def test_every_error_is_public() -> None:
    known = {cls for cls in vars(sys.modules["evsession.errors"]).values() if isinstance(cls, type)}
    assert {cls for cls in known if issubclass(cls, evsession.SessionError)} == set(ERRORS)


def test_every_class_in_a_public_signature_is_public() -> None:
    hidden = {
        f"{cls.__name__}.{name} -> {found.__name__}"
        for cls in CLASSES
        for name, function in functions_of(cls)
        for annotation in typing.get_type_hints(function).values()
        for found in mentioned(annotation)
        if found not in PUBLIC
    }
    assert hidden == set()


def test_every_error_that_docstrings_name_is_public() -> None:
    text = "\n".join(function.__doc__ for cls in CLASSES for _, function in functions_of(cls) if function.__doc__)
    raised = set(re.findall(r"^\s+(\w+): ", text.replace("Raises:\n", "\n"), re.MULTILINE))
    named = {name for name in raised if name[0].isupper()} - {"TypeError", "ValueError"}
    assert named <= set(evsession.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_public_names_live_in_the_package(name: str) -> None:
    assert getattr(evsession, name).__module__ == "evsession"
    assert getattr(evsession, name).__name__ == name


@pytest.mark.parametrize("name", NAMES)
def test_public_names_have_a_signature(name: str) -> None:
    inspect.signature(getattr(evsession, name))


@pytest.mark.parametrize(
    "value",
    [
        evsession.Patch("this.n = args.n", {"n": 1}),
        evsession.Request("PUT", "/docs", b"{}", (("a", "b"),), writes=True, key="dogs/max"),
        evsession.Response(200, ((b"etag", b"1"),), b"{}"),
        evsession.Statistics(total=3, index="Auto/Dogs/Bybreed"),
        evsession.WireEvent("request", "load", "GET", "http://localhost:8080/docs"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_pickled_by_their_public_name(value: object) -> None:
    pickled = pickle.dumps(value)
    assert pickle.loads(pickled) == value
    assert b"evsession." not in pickled


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_errors_are_pickled_by_their_public_name(error: type[evsession.SessionError]) -> None:
    assert b"evsession.errors" not in pickle.dumps(error("no")).replace(b"evsession.errors\x94\x8c\x08_rebuild", b"")
    assert type(pickle.loads(pickle.dumps(error("no")))) is error


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_a_docstring(name: str) -> None:
    assert_sentence(getattr(evsession, name).__doc__)


@pytest.mark.parametrize(
    "function",
    [pytest.param(function, id=f"{cls.__name__}.{name}") for cls in CLASSES for name, function in functions_of(cls)],
)
def test_every_public_method_has_a_docstring(function: Any) -> None:
    assert_sentence(function.__doc__)


def assert_sentence(text: str | None) -> None:
    assert text
    first = text.strip().split("\n\n")[0]
    assert first[0].isupper() or first[0] == "`"
    assert first[-1] in ".:"


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
    setup = configparser.ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg")
    assert "py.typed" in setup["options.package_data"]["evsession"].split()


def test_every_directory_with_modules_is_a_package() -> None:
    # Setuptools would leave out one without __init__.py.
    assert {path.parent for path in PACKAGE.rglob("*.py")} == {path.parent for path in PACKAGE.rglob("__init__.py")}


def test_version_is_that_of_the_distribution() -> None:
    assert evsession.__version__ == importlib.metadata.version("evsession")


def test_the_changelog_knows_the_version() -> None:
    assert f"\n## {evsession.__version__} - " in (PACKAGE.parent / "CHANGELOG.md").read_text()


AUDIT = """
import sys
seen = []

def audit(event, args):
    if event.startswith("socket.") and event != "socket.__new__" or event in ("subprocess.Popen", "os.system"):
        seen.append((event, args))
    if event == "open" and isinstance(args[0], str) and not args[0].endswith((".py", ".pyc", ".so")):
        seen.append((event, args[0]))

import trio, h11, msgspec, inflection, pyee.base
sys.addaudithook(audit)
import evsession
for event in seen:
    print(event)
"""


def test_import_opens_no_socket_and_reads_nothing_but_modules() -> None:
    command = [sys.executable, "-B", "-c", AUDIT]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == ""


def test_import_brings_neither_test_tools_nor_another_event_loop() -> None:
    code = "import evsession, sys; print(*{name.partition('.')[0] for name in sys.modules} & {'asyncio', 'attrs', 'pytest'})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert set(said.split()) <= {"attrs"}  # trio's own dependency


@pytest.mark.parametrize(
    "url", ["http://ann:s3cret@127.0.0.1:8080", "http://s3cret@host", "https://ann:s3cret/@host:443", "ftp://ann:s3cret@host"]
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(evsession.ConfigurationError) as caught:
        evsession.Store(url, "Northwind")
    assert "s3cret" not in repr(caught.value) + str(caught.value)


def test_no_repr_shows_a_credential(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    identity = authority.issue_cert("client")
    identity.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    store = evsession.Store(
        "https://127.0.0.1:443", "Northwind", certificate=str(tmp_path / "client.pem"), ca_file=str(tmp_path / "ca.pem")
    )
    session = store.initialize().open_session()
    shown = " ".join(map(repr, (store, session, store.options, store.conventions)))
    assert "127.0.0.1" in shown
    assert "PRIVATE KEY" not in shown
    for line in (tmp_path / "client.pem").read_text().splitlines():
        assert line.startswith("-----") or line not in shown


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_no_error_shows_a_credential(error: type[evsession.SessionError]) -> None:
    raised = error("cannot reach http://ann:s3cret@host:8080/databases", url="http://ann:s3cret@host:8080")
    again = pickle.loads(pickle.dumps(raised))
    for shown in (repr(raised), str(raised), repr(again), repr(vars(raised)), repr(raised.args)):
        assert "s3cret" not in shown


LAZY = """
import sys
import evsession

assert not [name for name in sys.modules if "neo4j" in name or "graph" in name]
assert {"GraphStore", "Record", "Store"} <= set(dir(evsession))
try:
    evsession.Graph
except AttributeError as error:
    assert "no attribute 'Graph'" in str(error)
else:
    raise AssertionError
assert evsession.GraphStore.__module__ == evsession.Record.__module__ == "evsession"
assert sys.modules["evsession.neo4j.results"].Record is evsession.Record
"""


def test_the_half_for_graphs_is_imported_when_it_is_asked_for() -> None:
    subprocess.run([sys.executable, "-c", LAZY], check=True, cwd=PACKAGE.parent)
