"""Patches as lists of commands, with 2012's meaning of every command."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from tests.conformance.kennel import MAX, Told, put, read

DOG: dict[str, Any] = {
    "name": "Max",
    "age": 12,
    "none": None,
    "tags": ["a", "b", "a"],
    "owner": {"name": "Olga", "phones": [1, 2]},
    "walks": [{"km": 1}, {"km": 2}, {"km": 3}],
    "first name": "Maximilian",
    "trips": [{"by": {"sea": 2, "air": 1}, "to": "Rome"}, {"to": "Oslo"}],
    "a.b": 1,
}

COMMANDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"Type": "Set", "Name": "age", "Value": 13}, {"age": 13}),
    ({"Type": "Set", "Name": "new", "Value": {"deep": [1, None, "😀"]}}, {"new": {"deep": [1, None, "😀"]}}),
    ({"Type": "Set", "Name": "age", "Value": None}, {"age": None}),
    ({"Type": "Set", "Name": "a.b", "Value": 2}, {"a.b": 2}),
    ({"Type": "Set", "Name": "x'; delete this.name; '", "Value": 1}, {"x'; delete this.name; '": 1}),
    ({"Type": "Unset", "Name": "age"}, {"age": ...}),
    ({"Type": "Unset", "Name": "nothing"}, {}),
    ({"Type": "Inc", "Name": "age", "Value": 1}, {"age": 13}),
    ({"Type": "Inc", "Name": "age", "Value": -20}, {"age": -8}),
    ({"Type": "Inc", "Name": "new", "Value": 5}, {"new": 5}),
    ({"Type": "Inc", "Name": "none", "Value": 5}, {"none": 5}),
    ({"Type": "Inc", "Name": "constructor", "Value": 5}, {"constructor": 5}),
    ({"Type": "Add", "Name": "toString", "Value": 5}, {"toString": [5]}),
    ({"Type": "Copy", "Name": "valueOf", "Value": "age"}, {}),
    ({"Type": "Add", "Name": "tags", "Value": "c"}, {"tags": ["a", "b", "a", "c"]}),
    ({"Type": "Add", "Name": "new", "Value": {"x": 1}}, {"new": [{"x": 1}]}),
    ({"Type": "Insert", "Name": "tags", "Position": 0, "Value": "z"}, {"tags": ["z", "a", "b", "a"]}),
    ({"Type": "Insert", "Name": "tags", "Position": 2, "Value": [1]}, {"tags": ["a", "b", [1], "a"]}),
    ({"Type": "Insert", "Name": "tags", "Position": 3, "Value": "z"}, {"tags": ["a", "b", "a", "z"]}),
    ({"Type": "Remove", "Name": "tags", "Position": 1}, {"tags": ["a", "a"]}),
    ({"Type": "Remove", "Name": "tags", "Value": "a"}, {"tags": ["b"]}),
    ({"Type": "Remove", "Name": "tags", "Value": "z"}, {}),
    ({"Type": "Remove", "Name": "walks", "Value": {"km": 2}}, {"walks": [{"km": 1}, {"km": 3}]}),
    ({"Type": "Remove", "Name": "trips", "Value": {"to": "Rome", "by": {"air": 1, "sea": 2}}}, {"trips": [{"to": "Oslo"}]}),
    ({"Type": "Rename", "Name": "name", "Value": "called"}, {"name": ..., "called": "Max"}),
    ({"Type": "Rename", "Name": "nothing", "Value": "something"}, {}),
    ({"Type": "Copy", "Name": "owner", "Value": "seller"}, {"seller": DOG["owner"]}),
    ({"Type": "Copy", "Name": "nothing", "Value": "something"}, {}),
    (
        {"Type": "Modify", "Name": "owner", "Nested": [{"Type": "Set", "Name": "name", "Value": "Otto"}]},
        {"owner": {"name": "Otto", "phones": [1, 2]}},
    ),
    (
        {
            "Type": "Modify",
            "Name": "owner",
            "Nested": [{"Type": "Remove", "Name": "phones", "Position": 0}, {"Type": "Inc", "Name": "age", "Value": 1}],
        },
        {"owner": {"name": "Olga", "phones": [2], "age": 1}},
    ),
    (
        {"Type": "Modify", "Name": "walks", "Position": 1, "Nested": [{"Type": "Inc", "Name": "km", "Value": 10}]},
        {"walks": [{"km": 1}, {"km": 12}, {"km": 3}]},
    ),
    (
        {"Type": "Modify", "Name": "walks", "AllPositions": True, "Nested": [{"Type": "Inc", "Name": "km", "Value": 10}]},
        {"walks": [{"km": 11}, {"km": 12}, {"km": 13}]},
    ),
    (
        {
            "Type": "Modify",
            "Name": "owner",
            "Nested": [
                {"Type": "Copy", "Name": "constructor", "Value": "a"},
                {"Type": "Rename", "Name": "toString", "Value": "b"},
                {"Type": "Inc", "Name": "valueOf", "Value": 2},
                {"Type": "Add", "Name": "hasOwnProperty", "Value": 3},
                {"Type": "Inc", "Name": "valueOf", "Value": 2},
            ],
        },
        {"owner": {**DOG["owner"], "valueOf": 4, "hasOwnProperty": [3]}},
    ),
    ({"Type": "Set", "Name": "age", "Value": 13, "PrevVal": 12}, {"age": 13}),
    ({"Type": "Set", "Name": "owner", "Value": 1, "PrevVal": {"phones": [1, 2], "name": "Olga"}}, {"owner": 1}),
    ({"Type": "Unset", "Name": "none", "PrevVal": None}, {"none": ...}),
    ({"Type": "Add", "Name": "tags", "Value": "c", "PrevVal": ["a", "b", "a"]}, {"tags": ["a", "b", "a", "c"]}),
]
"""Each command with what it changes; `...` is a field that is gone."""


async def test_commands(store: evsession.Store, session: evsession.Session) -> None:
    keys = [f"dogs/{number}" for number in range(len(COMMANDS))]
    await put(store, dict.fromkeys(keys, DOG))
    told = Told()
    for key, (command, _) in zip(keys, COMMANDS, strict=True):
        await session.patch(key, [command], told)
    assert told.calls == [(None,)] * len(COMMANDS)
    for dog, (command, expected) in zip(await session.load(keys), COMMANDS, strict=True):
        assert dog == {name: value for name, value in {**DOG, **expected}.items() if value is not ...}, command


@pytest.mark.usefixtures("family")
class TestLists:
    async def test_run_in_order_all_or_none(self, store: evsession.Store, session: evsession.Session) -> None:
        birthday = {"Type": "Inc", "Name": "age", "Value": 1}
        rename = {"Type": "Rename", "Name": "age", "Value": "years"}
        again = {"Type": "Inc", "Name": "years", "Value": 1}
        await session.patch(MAX, [birthday, rename, again])
        assert (await read(store, MAX)).years == 14
        with pytest.raises(evsession.ConcurrencyError):
            await session.patch(MAX, [again, {"Type": "Set", "Name": "name", "Value": "x", "PrevVal": "y"}])
        with pytest.raises(evsession.PatchError):
            await session.patch(MAX, [again, {"Type": "Add", "Name": "name", "Value": 1}])
        dog = await read(store, MAX)
        assert (dog.years, dog.name) == (14, "Max")

    @pytest.mark.parametrize(
        "command",
        [
            {"Type": "Set", "Name": "age", "Value": 1, "PrevVal": 11},
            {"Type": "Set", "Name": "age", "Value": 1, "PrevVal": "12"},
            {"Type": "Set", "Name": "nothing", "Value": 1, "PrevVal": None},
            {"Type": "Unset", "Name": "name", "PrevVal": "Max "},
            {"Type": "Unset", "Name": "owner", "PrevVal": {"name": "Olga", "phones": [2, 1]}},
            {"Type": "Unset", "Name": "owner", "PrevVal": {"name": "Olga", "phones": {"0": 1, "1": 2}}},
            {"Type": "Unset", "Name": "owner", "PrevVal": {"name": "Olga"}},
            {"Type": "Unset", "Name": "owner", "PrevVal": {"name": "Olga", "phones": [1, 2], "age": None}},
            {"Type": "Unset", "Name": "owner", "PrevVal": {"name": None, "phones": [1, 2]}},
        ],
    )
    async def test_another_previous_value_is_a_conflict(
        self, store: evsession.Store, session: evsession.Session, command: dict[str, Any]
    ) -> None:
        told, handled = Told(), Told()
        session.on(409, handled)
        with pytest.raises(evsession.ConcurrencyError) as caught:
            await session.patch(MAX, [command], told)
        assert (caught.value.status_code, caught.value.key) == (409, MAX)
        assert command["Name"] in caught.value.message
        assert handled.calls == told.calls == [(caught.value,)]
        assert (await read(store, MAX)).age == 12

    @pytest.mark.parametrize(
        "command",
        [
            {"Type": "Add", "Name": "age", "Value": 1},
            {"Type": "Remove", "Name": "age", "Value": 1},
            {"Type": "Inc", "Name": "name", "Value": 1},
            {"Type": "Insert", "Name": "tags", "Position": 9, "Value": 1},
            {"Type": "Remove", "Name": "tags", "Position": 9},
            {"Type": "Modify", "Name": "nothing", "Nested": [{"Type": "Unset", "Name": "a"}]},
            {"Type": "Modify", "Name": "name", "Nested": [{"Type": "Unset", "Name": "name"}]},
        ],
    )
    async def test_what_does_not_fit_the_document(self, session: evsession.Session, command: dict[str, Any]) -> None:
        with pytest.raises(evsession.PatchError, match=command["Name"]) as caught:
            await session.patch(MAX, [command])
        assert caught.value.key == MAX
        assert "legacy" not in str(caught.value)


@pytest.mark.parametrize(
    "patches",
    [
        [],
        {},
        None,
        "Set",
        [5],
        [{}],
        [{"Type": "Set", "Name": "a"}],
        [{"Type": "set", "Name": "a", "Value": 1}],
        [{"Type": "Set", "Value": 1}],
        [{"Type": "Set", "Name": "", "Value": 1}],
        [{"Type": "Inc", "Name": "a", "Value": 1.5}],
        [{"Type": "Inc", "Name": "a", "Value": True}],
        [{"Type": "Insert", "Name": "a", "Value": 1}],
        [{"Type": "Insert", "Name": "a", "Value": 1, "Position": -1}],
        [{"Type": "Remove", "Name": "a"}],
        [{"Type": "Remove", "Name": "a", "Value": 1, "Position": 1}],
        [{"Type": "Modify", "Name": "a"}],
        [{"Type": "Modify", "Name": "a", "Nested": [{"Type": "Nonsense", "Name": "b"}]}],
        [{"Type": "Rename", "Name": "a", "Value": 5}],
        [{"Type": "Set", "Name": "a", "Value": 1, "value": 2}],
        [{"Type": "Set", "Name": "a", "Value": float("nan")}],
    ],
)
async def test_what_can_be_no_patch_is_refused_unsent(unsent: evsession.Session, patches: Any) -> None:
    with pytest.raises(evsession.SessionError):
        await unsent.patch(MAX, patches)


@pytest.mark.parametrize(
    "command",
    [
        {"Type": "Inc", "Name": "n", "Value": 1},
        {"Type": "Copy", "Name": "n", "Value": "m"},
        {"Type": "Rename", "Name": "n", "Value": "m"},
        {"Type": "Add", "Name": "list", "Value": 1},
        {"Type": "Remove", "Name": "list", "Value": 1},
    ],
)
async def test_integers_beyond_what_a_script_can_hold_are_never_changed(
    session: evsession.Session, store: evsession.Store, command: dict[str, Any]
) -> None:
    fields = {"n": 2**60 + 1, "list": [2**60 + 1, 1]}
    session.store(dict(fields), key="dogs/big", collection="Dogs")
    await session.save()
    with pytest.raises(evsession.PatchError, match=r"beyond 2\^53"):
        await session.patch("dogs/big", [command])
    async with store.open_session() as other:
        assert await other.load("dogs/big") == fields
