"""The turns of writers, by themselves."""

from __future__ import annotations

import trio
import trio.testing

from evsession.session.gate import Turns


async def test_who_waits_for_a_writer_to_leave_goes_on_when_it_has(autojump_clock: trio.testing.MockClock) -> None:
    turns = Turns()
    first, second = turns.take(), turns.take()
    left: list[str] = []

    async def wait(name: str) -> None:
        await first.wait_left()
        left.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, "one")
        nursery.start_soon(wait, "two")
        await trio.testing.wait_all_tasks_blocked()
        assert not left
        first.release()
    assert sorted(left) == ["one", "two"]
    assert turns.first() is second


async def test_who_waits_for_a_writer_that_has_left_does_not_wait() -> None:
    turns = Turns()
    turn = turns.take()
    turn.release()
    with trio.fail_after(1):
        await turn.wait_left()
    assert turns.first() is None
