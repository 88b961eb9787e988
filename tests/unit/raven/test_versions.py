"""Which of two change vectors is the later one."""

from __future__ import annotations

import pytest

from evsession.raven.versions import is_later

ONE, TWO = "XKNk9uUE60y92is95T3rIg", "h5IUzNnQYkygIl6nHsLHNQ"


@pytest.mark.parametrize(
    ("version", "than"),
    [
        (f"A:10-{ONE}", f"A:9-{ONE}"),
        (f"A:9-{ONE}, B:1-{TWO}", f"A:9-{ONE}"),
        (f"B:2-{TWO}, A:9-{ONE}", f"A:9-{ONE}, B:1-{TWO}"),
        (f"A:10-{ONE}, B:2-{TWO}", f"A:9-{ONE}, B:1-{TWO}"),
    ],
)
def test_the_later_one(version: str, than: str) -> None:
    assert is_later(version, than)
    assert not is_later(than, version)
    assert not is_later(version, version)


@pytest.mark.parametrize(
    ("version", "than"),
    [
        (f"A:10-{ONE}", f"B:9-{TWO}"),
        (f"A:10-{ONE}, B:1-{TWO}", f"A:9-{ONE}, B:2-{TWO}"),
        (None, f"A:9-{ONE}"),
        (f"A:9-{ONE}", None),
        ("", f"A:9-{ONE}"),
        (f"A:x-{ONE}", f"A:9-{ONE}"),
        (f"A:10-{ONE}", "A:9"),
        (f"A:10-{ONE}, nonsense", f"A:9-{ONE}"),
    ],
)
def test_those_without_an_order(version: str | None, than: str | None) -> None:
    assert not is_later(version, than)
    assert not is_later(than, version)
