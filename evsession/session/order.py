"""Steps that wait for the writers that were called before. Writers that are called later do not wait for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evsession.session.gate import Turn, Turns
from evsession.session.operation import Steps

__all__ = ["after_writers", "fixed_after_writers"]


class _After:
    """The pause until writers have ended."""

    __slots__ = ("_writers",)

    def __init__(self, writers: list[Turn]) -> None:
        self._writers = writers

    async def wait(self) -> None:
        """Wait for each."""
        for writer in self._writers:
            await writer.wait_left()


def after_writers(turns: Turns, build: Callable[[], Steps]) -> Steps:
    """Wait for the writers, then do the steps; what they look at is looked at then."""
    writers = turns.all()
    if writers:
        yield _After(writers)
    return (yield from build())


def fixed_after_writers(turns: Turns, steps: Steps) -> Steps:
    """Begin the steps at once, which fixes their first request or says what is wrong, and send it after the writers."""
    writers = turns.all()
    if not writers:
        return (yield from steps)
    step: Any = next(steps, None)
    if step is None:
        return ()
    try:
        yield _After(writers)
        while True:
            try:
                step = steps.send((yield step))
            except StopIteration as stop:
                return tuple(stop.value)
    finally:
        steps.close()
