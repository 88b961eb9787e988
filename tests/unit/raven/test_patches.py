import contextlib
import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.errors import ConcurrencyError, ConfigurationError, InvalidDocument, PatchError, ProtocolError, SessionError
from evsession.raven.legacy import SCRIPT
from evsession.raven.patches import Patch, PatchResult, legacy_patch, patch_flow
from evsession.raven.vocabulary import Database
from tests.unit.raven.flows import answer, body_of, run

DATABASE = Database("db")
DOCUMENT = {"age": 13, "@metadata": {"@collection": "Dogs"}}
PATCHED = {
    "Status": "Patched",
    "ModifiedDocument": DOCUMENT,
    "LastModified": "2026-11-21T08:00:00.0000000Z",
    "ChangeVector": "A:141-x",
}
VALID = [
    {"Type": "Set", "Name": "age", "Value": None},
    {"Type": "Set", "Name": "age", "Value": 3, "PrevVal": None},
    {"Type": "Unset", "Name": "a.b"},
    {"Type": "Inc", "Name": "age", "Value": -1},
    {"Type": "Add", "Name": "tags", "Value": {"x": [1]}},
    {"Type": "Insert", "Name": "tags", "Value": 1, "Position": 0},
    {"Type": "Remove", "Name": "tags", "Value": None},
    {"Type": "Remove", "Name": "tags", "Position": 3},
    {"Type": "Remove", "Name": "tags", "Position": None, "Value": 3},
    {"Type": "Modify", "Name": "owner", "Nested": [{"Type": "Unset", "Name": "id"}]},
    {"Type": "Modify", "Name": "vets", "AllPositions": True, "Nested": [{"Type": "Unset", "Name": "id"}]},
    {"Type": "Modify", "Name": "vets", "AllPositions": False, "Position": 1, "Nested": [{"Type": "Unset", "Name": "id"}]},
    {"Type": "Copy", "Name": "a", "Value": "b"},
    {"Type": "Rename", "Name": "a", "Value": "b"},
]


@pytest.mark.parametrize("command", VALID)
def test_every_command_travels_as_a_value(command: Any) -> None:
    patch = legacy_patch([command])
    assert patch.script == SCRIPT
    assert patch.values == {"ops": [command]}


UNSET = {"Type": "Unset", "Name": "x"}


def nested(levels: Any) -> Any:
    return [UNSET] if levels == 0 else [{"Type": "Modify", "Name": "x", "Nested": nested(levels - 1)}]


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        ({"Type": "Unset", "Name": "x"}, "patches: a list of at least one patch is needed, not {'Type'"),
        ([], "patches: a list of at least one patch is needed, not []"),
        ("Unset", "patches: a list of at least one patch"),
        ([UNSET, 5], "patches[1]: a patch is a dict, not 5"),
        ([{**UNSET, "PrevValue": 1}], "patches[0]: there is no field 'PrevValue'; known are AllPositions, Name, Nested,"),
        ([{"Type": "Unset", "Name": "x", 5: 1}], "patches[0]: there is no field 5"),
        ([{"Name": "x"}], "patches[0]: Type is one of Set, Unset, Inc, Add, Insert, Remove, Modify, Copy, Rename, not None"),
        ([{"Type": "set", "Name": "x"}], "patches[0]: Type is one of"),
        ([{"Type": ["Set"], "Name": "x"}], "patches[0]: Type is one of"),
        ([{"Type": "Unset"}], "patches[0]: Name is the name of a property, not None"),
        ([{"Type": "Unset", "Name": ""}], "patches[0]: Name is the name of a property, not ''"),
        ([{"Type": "Set", "Name": "x"}], "patches[0]: Set needs a Value"),
        ([{"Type": "Add", "Name": "x"}], "patches[0]: Add needs a Value"),
        ([{"Type": "Inc", "Name": "x"}], "patches[0]: Value of Inc is a whole number up to 2**53, not None"),
        ([{"Type": "Inc", "Name": "x", "Value": 1.5}], "patches[0]: Value of Inc is a whole number"),
        ([{"Type": "Inc", "Name": "x", "Value": True}], "patches[0]: Value of Inc is a whole number"),
        ([{"Type": "Inc", "Name": "x", "Value": 2**53 + 1}], "patches[0]: Value of Inc is a whole number"),
        ([{"Type": "Insert", "Name": "x", "Position": 0}], "patches[0]: Insert needs a Value"),
        ([{"Type": "Insert", "Name": "x", "Value": 0}], "patches[0]: Position is a whole number from 0, not None"),
        ([{"Type": "Insert", "Name": "x", "Value": 0, "Position": -1}], "patches[0]: Position is a whole number from 0, not -1"),
        ([{"Type": "Remove", "Name": "x"}], "patches[0]: Remove needs either Position or Value"),
        ([{"Type": "Remove", "Name": "x", "Value": 0, "Position": 0}], "patches[0]: Remove needs either Position or Value"),
        ([{"Type": "Remove", "Name": "x", "Position": "0"}], "patches[0]: Position is a whole number"),
        ([{"Type": "Modify", "Name": "x"}], "patches[0].Nested: a list of at least one patch is needed, not None"),
        ([UNSET, {"Type": "Modify", "Name": "x", "Nested": [UNSET, {"Type": "?"}]}], "patches[1].Nested[1]: Type is one of"),
        (
            [{"Type": "Modify", "Name": "x", "AllPositions": 1, "Nested": [UNSET]}],
            "patches[0]: AllPositions is True or False, not 1",
        ),
        (
            [{"Type": "Modify", "Name": "x", "AllPositions": True, "Position": 0, "Nested": [UNSET]}],
            "patches[0]: Modify takes Position or AllPositions, not both",
        ),
        ([{"Type": "Copy", "Name": "x", "Value": 5}], "patches[0]: Value of Copy is the new name of the property, not 5"),
        ([{"Type": "Rename", "Name": "x", "Value": ""}], "patches[0]: Value of Rename is the new name of the property, not ''"),
        (nested(51), "nested deeper than 50 levels"),
    ],
)
def test_a_wrong_command_is_named(commands: Any, message: Any) -> None:
    with pytest.raises(PatchError) as caught:
        legacy_patch(commands)
    assert message in caught.value.message
    assert caught.value.status_code is None


def test_values_have_a_form_in_json() -> None:
    with pytest.raises(InvalidDocument) as caught:
        legacy_patch([UNSET, {"Type": "Set", "Name": "x", "Value": [float("nan")]}])
    assert caught.value.path == "ops[1].Value[0]"
    assert legacy_patch([{"Type": "Set", "Name": "x", "Value": datetime.date(2012, 5, 1)}]).values == {
        "ops": [{"Type": "Set", "Name": "x", "Value": "2012-05-01"}]
    }
    assert legacy_patch(nested(50)).values == {"ops": nested(50)}


def test_later_edits_do_not_leak_in() -> None:
    values = {"tags": ["a"]}
    patch = Patch("this.tags = args.tags", values)
    values["tags"].append("b")
    assert patch.values == {"tags": ["a"]}
    assert patch == Patch("this.tags = args.tags", {"tags": ["a"]})
    assert Patch("this.x = 1").values == {}
    assert Patch("this.x = 1").to_json() == {"Script": "this.x = 1", "Values": {}}


@pytest.mark.parametrize(("script", "values"), [("", None), (" \n", None), (5, None), (None, {}), ("x", []), ("x", "y")])
def test_a_patch_is_a_text_and_a_mapping(script: Any, values: Any) -> None:
    with pytest.raises(ConfigurationError):
        Patch(script, values)


def test_the_request_and_the_result() -> None:
    flow = patch_flow(DATABASE, "dogs/max é+\r\n", Patch("this.age += args.v", {"v": 1}))
    [request], result = run(flow, answer(200, PATCHED))
    assert (request.method, request.writes, request.key) == ("PATCH", True, "dogs/max é+\r\n")
    assert request.target == "/databases/db/docs?id=dogs%2Fmax%20%C3%A9%2B%0D%0A"
    assert request.headers == (("Content-Type", "application/json"),)
    assert body_of(request) == {"Patch": {"Script": "this.age += args.v", "Values": {"v": 1}}}
    assert result == PatchResult("dogs/max é+\r\n", "Patched", DOCUMENT, "A:141-x", "2026-11-21T08:00:00.0000000Z")
    assert result.facts == {"@id": result.key, "@change-vector": "A:141-x", "@last-modified": "2026-11-21T08:00:00.0000000Z"}


def test_a_patch_that_changes_nothing() -> None:
    _, result = run(patch_flow(DATABASE, "k", Patch("x")), answer(200, {"Status": "NotModified", "ModifiedDocument": None}))
    assert result == PatchResult("k", "NotModified", None)
    assert result.facts == {"@id": "k"}


@pytest.mark.parametrize("vector", ["A:1-x", "RAFT:18-x, A:404-y", ""])
def test_the_change_vector_is_quoted(vector: Any) -> None:
    [request], _ = run(patch_flow(DATABASE, "k", Patch("x"), vector), answer(200, PATCHED))
    assert dict(request.headers)["If-Match"] == f'"{vector}"'


@pytest.mark.parametrize("vector", ["A:1\r\nX: y", "A:1\n", 'A"1', "é", "\0", 5])
def test_what_is_no_change_vector(vector: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no change vector"):
        next(patch_flow(DATABASE, "k", Patch("x"), vector))


def test_failures() -> None:
    with pytest.raises(SessionError) as caught:
        run(patch_flow(DATABASE, "k", Patch("x")), answer(404))
    assert (caught.value.status_code, caught.value.key, caught.value.uncertain) == (404, "k", False)
    conflict = {
        "Type": "Raven.ConcurrencyException",
        "Message": "m",
        "Id": "k",
        "ExpectedChangeVector": "A",
        "ActualChangeVector": "B",
    }
    with pytest.raises(ConcurrencyError) as conflicted:
        run(patch_flow(DATABASE, "k", Patch("x"), "A"), answer(409, conflict))
    assert (conflicted.value.expected, conflicted.value.actual) == ("A", "B")
    with pytest.raises(PatchError):
        run(patch_flow(DATABASE, "k", Patch("x")), answer(500, {"Type": "System.InvalidCastException", "Message": "m"}))
    with pytest.raises(SessionError) as caught:
        run(patch_flow(DATABASE, "k", Patch("x")), answer(502, b"<html>"))
    assert caught.value.uncertain


@pytest.mark.parametrize("body", [[], {}, {"Status": 5}])
def test_an_answer_without_a_status(body: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        run(patch_flow(DATABASE, "k", Patch("x")), answer(200, body))
    assert caught.value.uncertain


@given(
    st.dictionaries(
        st.sampled_from(["Type", "Name", "Value", "Position", "Nested", "AllPositions", "PrevVal"]), st.integers() | st.text()
    )
)
def test_no_value_enters_the_script(command: Any) -> None:
    with contextlib.suppress(PatchError):
        assert legacy_patch([command]).script is SCRIPT


@pytest.mark.parametrize(
    "command",
    [
        {"Type": "Set", "Name": "n", "Value": 2**60 + 1},
        {"Type": "Add", "Name": "n", "Value": -(2**60)},
        {"Type": "Set", "Name": "n", "Value": [1, 2**60]},
        {"Type": "Remove", "Name": "n", "Value": 2**60},
        {"Type": "Unset", "Name": "n", "PrevVal": 2**60},
    ],
)
def test_integers_that_a_script_would_change_are_refused(command: Any) -> None:
    with pytest.raises(PatchError, match=r"patches\[0\]\.(Value|PrevVal): .* beyond 2\*\*53"):
        legacy_patch([command])
