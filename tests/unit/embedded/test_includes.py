"""Which ids stand at the path of an include."""

from __future__ import annotations

import pytest

from evsession.embedded.includes import included_ids

DOCUMENT = {
    "puppy": "dogs/1",
    "owner": {"id": "people/1"},
    "pups": ["dogs/2", None, 5, {"id": "dogs/3"}],
    "vets": [{"id": "people/2"}, {"ids": ["people/3", "people/4"]}],
    "number": 7,
    "yes": True,
    "nested": [["dogs/9"]],
}


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("puppy", ["dogs/1"]),
        ("Puppy", []),
        ("owner.id", ["people/1"]),
        ("owner.id.more", []),
        ("pups", ["dogs/2"]),
        ("pups[]", ["dogs/2"]),
        ("pups[].id", ["dogs/2", "dogs/3"]),
        ("pups.id", ["dogs/3"]),
        ("vets.id", ["people/2"]),
        ("vets[].ids", ["people/3", "people/4"]),
        ("number", []),
        ("number(people/)", ["people/7"]),
        ("yes(people/)", []),
        ("pups(x/)", ["x/dogs/2", "x/5"]),
        ("nested", []),
        ("nope", []),
        ("", []),
    ],
)
def test_paths(path: str, ids: list[str]) -> None:
    assert list(included_ids(DOCUMENT, path)) == ids
