"""The error tree: as drawn, pickled, and without credentials."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest

from evsession import errors
from evsession.errors import ConfigurationError, InvalidDocument, SessionError, hide_credentials

CLASSES: list[type[SessionError]] = [getattr(errors, name) for name in errors.__all__]
FACTS: dict[str, Any] = {
    "status_code": 409,
    "code": "X",
    "operation": "save",
    "key": "dogs/max",
    "url": "http://a/",
    "uncertain": True,
}


def drawn() -> dict[str, str]:
    """Return the parent of each class, as the docstring of the module draws it."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").split("::\n", 1)[1].splitlines():
        found = re.match(r"    ((?:\|   |    )*(?:[|`]-- )?)(\w+)", line)
        if not found:
            if above and line:
                break
            continue
        level = len(found[1]) // 4
        above[level:] = [found[2]]
        if level:
            parents[found[2]] = above[level - 1]
    return parents


def test_the_tree_is_as_drawn() -> None:
    real = {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES if cls is not SessionError}
    assert drawn() == real


def test_all_is_complete_and_sorted() -> None:
    public = [
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, Exception) and name[0] != "_"
    ]
    assert errors.__all__ == sorted(public)


@pytest.mark.parametrize("cls", CLASSES)
def test_facts_are_attributes(cls: type[SessionError]) -> None:
    error = cls("no", **FACTS)
    assert {name: getattr(error, name) for name in FACTS} == FACTS
    assert error.message == "no"
    assert str(error) == "no (the write may have happened)"
    assert repr(error).startswith(f"{cls.__name__}('no', status_code=409, ")
    assert repr(error).endswith("uncertain=True)")
    assert (str(cls("no")), repr(cls("no"))) == ("no", f"{cls.__name__}('no')")


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    "again", [*(lambda e, p=p: pickle.loads(pickle.dumps(e, p)) for p in range(6)), copy.copy, copy.deepcopy]
)
def test_errors_pickle(cls: type[SessionError], again: Any) -> None:
    error = cls("no", **FACTS)
    error.path = error.field = error.extra = "x"  # type: ignore[attr-defined]
    twin = again(error)
    assert type(twin) is cls
    assert (vars(twin), twin.args) == (vars(error), error.args)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_uncertain_write_is_never_repeated(cls: type[SessionError]) -> None:
    assert not cls("no", uncertain=True).is_retryable()
    assert cls("no").is_retryable() == (cls.__name__ in {"OperationTimeout", "ConnectionFailed", "TransientError"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:secret@host:80/x", "http://***@host:80/x"),
        ("failed: https://secret@a and http://b:c@d.", "failed: https://***@a and http://***@d."),
        ("http://host/a@b", "http://host/a@b"),
        ("mail me@home", "mail me@home"),
    ],
)
def test_credentials_are_hidden(text: str, shown: str) -> None:
    assert hide_credentials(text) == shown
    error = SessionError(text, url=text)
    assert (error.message, error.url, str(error), error.args) == (shown, shown, shown, (shown,))
    assert "secret" not in repr(error)


def test_errors_are_also_what_python_programs_expect() -> None:
    assert issubclass(ConfigurationError, AttributeError)
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(InvalidDocument, TypeError)
    assert InvalidDocument("x").path == ""
