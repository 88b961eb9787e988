"""The documents of the shared database, chosen so that each kind of value has neighbours that a wrong comparison would find."""

from __future__ import annotations

from typing import Any

_DOGS: list[dict[str, Any]] = [
    {"name": "Max", "breed": "Golden Retriever", "age": 12, "weight": 30.5, "tags": ["red", "old"]},
    {"name": "Jess", "breed": "German Shepherd", "age": 7, "weight": 28.25, "tags": ["red"], "note": None},
    {"name": "Billy", "breed": "Labrador", "age": 2, "weight": 10.5, "tags": [], "note": ""},
    {"name": "Russell", "breed": "labrador", "age": 5, "weight": 10, "tags": ["blue"], "note": "a b&c"},
    {"name": "Anna", "breed": "Poodle", "age": 10, "weight": 9.75, "note": "5 TO 12"},
    {"name": "Bob", "breed": "Labradoodle", "age": 1, "weight": -1.5, "note": "x' OR 'a' = 'a"},
    {"name": "Zoe", "breed": "Beagle", "age": 11, "weight": 100, "note": "true"},
    {"name": "Ghost", "breed": None, "age": 1.5, "note": r"back\slash"},
]

_MORE: dict[str, dict[str, Any]] = {
    "Max": {
        "isGood": True,
        "born": "2012-04-13T08:30:00.0000000Z",
        "owner": {"name": "Olga", "id": "people/1", "address": {"city": "Kyiv"}},
        "first name": "Maximilian",
        "order": 1,
        "it's": "quoted",
        "vets": [{"name": "Vera", "fee": 20}, {"name": "Viktor", "fee": 35}],
        "friend": "dogs/jess",
    },
    "Jess": {
        "isGood": False,
        "born": "2017-01-01T00:00:00.0000000Z",
        "owner": {"name": "Otto", "id": "people/2"},
        "first name": "Jessica",
        "order": 2,
        "vets": [{"name": "Vera", "fee": 15}],
        "friend": "dogs/nobody",
    },
    "Billy": {"isGood": True, "born": "2022-02-02T00:00:00.0000000Z", "first name": "William", "order": 10},
    "Zoe": {"isGood": "true", "from": "Zurich"},
}

PACK: dict[str, dict[str, Any]] = {
    **{f"dogs/{dog['name'].lower()}": {**dog, **_MORE.get(dog["name"], {})} for dog in _DOGS},
    **{f"cats/{name.lower()}": {"name": name, "age": age} for name, age in (("Tom", 4), ("Felix", 9))},
    **{f"ranks/{number}": {"rank": rank} for number, rank in enumerate([10, "b", 1.5, 2, "a"])},
    "ranks/5": {},
    **{f"moments/{number}": {"at": at} for number, at in enumerate(["2012-04-13", "noon", 12, None, "2012-04-13T08:30:00Z"])},
    "people/1": {"name": "Olga"},
    "people/2": {"name": "Otto"},
}
"""Eight dogs, two cats, six ranks, five moments, two people."""

EVERYBODY = sorted(dog["name"] for dog in _DOGS)
