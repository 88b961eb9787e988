"""What a hook is told and may do, and how the unit of work knows that one runs."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest

from evsession.errors import ConfigurationError, TransactionError
from evsession.unitofwork.hooks import Calling, CommitEvent, HookCall, calling
from tests.unit.unitofwork.shelf import Thing, finish


def test_an_event_says_what_it_is_about() -> None:
    things = [Thing("a"), Thing("b")]
    event = CommitEvent("insert.pre", "session", things, ["a", None], type=Thing, round=3)
    assert (event.name, event.session, event.type, event.entities, event.keys, event.round) == (
        "insert.pre",
        "session",
        Thing,
        things,
        ["a", None],
        3,
    )
    assert list(event.changes) == []
    assert repr(event) == "<CommitEvent insert.pre Thing ['a', None]>"
    assert repr(CommitEvent("commit.post", None)) == "<CommitEvent commit.post []>"
    things.append(Thing("c"))
    assert len(event.entities) == 2


def test_a_veto_is_for_those_named_or_for_all() -> None:
    one, two = Thing("a"), Thing("b")
    event = CommitEvent("delete.pre", None, [one, two], ["a", "b"], type=Thing)
    event.prevent(two)
    assert [event.is_prevented(one), event.is_prevented(two)] == [False, True]
    event.prevent()
    assert event.is_prevented(one)


def test_a_veto_of_a_stranger_or_too_late_is_refused() -> None:
    one = Thing("a")
    event = CommitEvent("insert.pre", None, [one], ["a"])
    with pytest.raises(ConfigurationError, match="not among the entities of this insert.pre"):
        event.prevent(one, Thing("a"))
    assert not event.is_prevented(one)
    with pytest.raises(ConfigurationError, match="cannot be prevented"):
        CommitEvent("insert.post", None, [one], ["a"]).prevent(one)
    with pytest.raises(TransactionError, match="has prevented the commit"):
        CommitEvent("commit.pre", None, [one], ["a"]).prevent()


def call(unit: object, *hooks: Any, notes: list[Any] | None = None) -> HookCall:
    told: list[Any] = [] if notes is None else notes
    return HookCall(hooks, CommitEvent("commit.pre", None), Calling(unit, lambda *note: told.append(note)))


def test_hooks_are_called_in_order_and_awaited() -> None:
    seen: list[str] = []

    async def later(event: CommitEvent) -> None:
        seen.append(f"async {event.name}")

    finish(call("unit", lambda event: seen.append("plain"), later, lambda event: seen.append("last")).wait())
    assert seen == ["plain", "async commit.pre", "last"]


def test_only_while_a_hook_runs_and_only_for_its_unit_is_one_running() -> None:
    unit, other = object(), object()
    seen: list[Any] = []
    inside: list[contextvars.Context] = []

    def hook(event: CommitEvent) -> None:
        here = calling(unit)
        assert here is not None
        here.queue("entity", print)
        seen.extend([here.unit is unit, calling(other)])
        inside.append(contextvars.copy_context())  # as a task that the hook starts would have

    notes: list[Any] = []
    assert calling(unit) is None
    finish(call(unit, hook, notes=notes).wait())
    assert seen == [True, None]
    assert [note[:2] for note in notes] == [("entity", print)]
    assert "hook" in notes[0][2]
    assert "(commit.pre)" in notes[0][2]
    assert calling(unit) is None
    assert inside[0].run(calling, unit) is None, "who outlives the hook is none"


def test_after_a_hook_that_raises_none_runs() -> None:
    seen: list[object] = []

    def fail(event: CommitEvent) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        finish(call("unit", fail, seen.append).wait())
    assert seen == []
    assert calling("unit") is None
