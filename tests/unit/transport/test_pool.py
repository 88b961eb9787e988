"""Who gets which connection."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from evsession.errors import SessionClosed
from evsession.transport.pool import Pool


class Wire:
    def __init__(self) -> None:
        self.idle_since = 0.0
        self.closed = False

    def close(self) -> None:
        self.closed = True


def opened(pool: Pool[Wire], count: int) -> list[Wire]:
    wires = [Wire() for _ in range(count)]
    for wire in wires:
        assert pool.acquire_nowait() is None
        pool.adopt(wire)
    return wires


async def test_the_youngest_idle_connection_comes_first() -> None:
    pool: Pool[Wire] = Pool(3, None)
    first, second = opened(pool, 2)
    pool.release(first)
    pool.release(second)
    assert pool.acquire_nowait() is second
    assert pool.acquire_nowait() is first
    assert pool.acquire_nowait() is None
    with pytest.raises(trio.WouldBlock):
        pool.acquire_nowait()


async def test_the_repr_counts_everything() -> None:
    pool: Pool[Wire] = Pool(3, None)
    busy, idle = opened(pool, 2)
    pool.release(idle)
    assert repr(pool) == "<Pool 2 of 3 slots taken: 1 busy, 1 idle, 0 connecting; 0 waiting>"
    pool.acquire_nowait()
    pool.acquire_nowait()
    assert repr(pool) == "<Pool 3 of 3 slots taken: 2 busy, 0 idle, 1 connecting; 0 waiting>"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.wait)
        await trio.testing.wait_all_tasks_blocked()
        assert repr(pool).endswith("1 waiting>")
        pool.release(busy)
    pool.close()
    assert repr(pool).startswith("<Pool closed, ")


async def test_a_slot_and_a_connection_go_straight_to_the_next_in_line() -> None:
    pool: Pool[Wire] = Pool(1, None)
    (wire,) = opened(pool, 1)
    got: list[tuple[int, Wire | None]] = []

    async def wait(number: int) -> None:
        got.append((number, await pool.wait()))

    async with trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(wait, number)
            await trio.testing.wait_all_tasks_blocked()
        pool.release(wire)
        with pytest.raises(trio.WouldBlock):
            pool.acquire_nowait()
        await trio.testing.wait_all_tasks_blocked()
        assert got == [(0, wire)]
        pool.free(wire)
    assert got == [(0, wire), (1, None)]


async def test_a_waiter_cancelled_in_the_moment_it_is_served_keeps_what_it_got() -> None:
    pool: Pool[Wire] = Pool(1, None)
    (wire,) = opened(pool, 1)
    got: list[Wire | None] = []

    async def wait() -> None:
        got.append(await pool.wait())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        pool.release(wire)
        nursery.cancel_scope.cancel()
    assert got == [wire]
    assert "1 busy, 0 idle, 0 connecting; 0 waiting" in repr(pool)


async def test_a_cancelled_waiter_leaves_the_line() -> None:
    pool: Pool[Wire] = Pool(1, None)
    (wire,) = opened(pool, 1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await pool.wait()
    assert scope.cancelled_caught
    pool.release(wire)
    assert "0 busy, 1 idle, 0 connecting; 0 waiting" in repr(pool)


async def test_expiry(mock_clock: trio.testing.MockClock) -> None:
    pool: Pool[Wire] = Pool(3, 10)
    old, young, third = opened(pool, 3)
    pool.release(old)
    mock_clock.jump(6)
    pool.release(young)
    assert pool.is_fresh(old)
    mock_clock.jump(4)
    assert not pool.is_fresh(old)
    assert pool.is_fresh(young)
    pool.release(third)
    assert [wire.closed for wire in (old, young, third)] == [True, False, False]
    assert "2 of 3 slots taken: 0 busy, 2 idle" in repr(pool)


async def test_replacing_a_dead_connection() -> None:
    pool: Pool[Wire] = Pool(2, None)
    first, second = opened(pool, 2)
    pool.release(first)
    assert pool.replace(second, by_new=False) is first
    assert "1 of 2 slots taken: 1 busy, 0 idle" in repr(pool)
    assert pool.replace(first, by_new=False) is None
    assert "1 of 2 slots taken: 0 busy, 0 idle, 1 connecting" in repr(pool)


async def test_replacing_by_a_new_one_leaves_the_idle_ones() -> None:
    pool: Pool[Wire] = Pool(2, None)
    first, second = opened(pool, 2)
    pool.release(first)
    assert pool.replace(second, by_new=True) is None
    assert "2 of 2 slots taken: 0 busy, 1 idle, 1 connecting" in repr(pool)


async def test_dropping_some_idle_connections() -> None:
    pool: Pool[Wire] = Pool(3, None)
    wires = opened(pool, 3)
    for wire in wires:
        pool.release(wire)
    pool.drop_idle(lambda wire: wire is wires[1])
    assert [wire.closed for wire in wires] == [False, True, False]
    assert "2 of 3 slots taken: 0 busy, 2 idle" in repr(pool)


async def test_closing() -> None:
    pool: Pool[Wire] = Pool(2, None)
    busy, idle = opened(pool, 2)
    failures: list[SessionClosed] = []

    async def wait() -> None:
        with pytest.raises(SessionClosed) as caught:
            await pool.wait()
        failures.append(caught.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        pool.close()
    assert len(failures) == 2
    pool.release(idle)
    pool.release(busy)
    assert busy.closed
    assert idle.closed
    assert "closed, 0 of 2 slots taken: 0 busy, 0 idle" in repr(pool)
    with pytest.raises(SessionClosed):
        pool.acquire_nowait()
    with pytest.raises(SessionClosed):
        pool.adopt(Wire())


async def test_a_slot_freed_in_another_thread_reaches_who_waits() -> None:
    pool: Pool[Wire] = Pool(1, None)
    (wire,) = opened(pool, 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.wait)
        await trio.testing.wait_all_tasks_blocked()
        await trio.to_thread.run_sync(pool.free, wire)
    assert "1 of 1 slots taken: 0 busy, 0 idle, 1 connecting; 0 waiting" in repr(pool)
