"""Steps that wait for the writers that were called before. Writers that are called later do not wait for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from evsession.session.gate import Turn, Turns
from evsession.session.operation import Steps
from evsession.unitofwork.identity_map import fold

__all__ = ["SingleWrites", "after", "after_writers", "fixed_after_writers"]


class _After:
    """The pause until writers have ended."""

    __slots__ = ("_writers",)

    def __init__(self, writers: list[Turn]) -> None:
        self._writers = writers

    async def wait(self) -> None:
        """Wait for each."""
        for writer in self._writers:
            await writer.wait_left()


class SingleWrites:
    """The deletions and patches of a session that are under way. A commit that is called later must not overtake them.

    If it did, the session would believe in a document that the server has deleted since. They run beside each other.
    """

    def __init__(self) -> None:
        self._turns = Turns()
        self._keys: dict[Turn, set[str]] = {}

    @contextmanager
    def of(self, keys: Iterable[str]) -> Iterator[None]:
        """Let a write of these documents be under way."""
        turn = self._turns.take()
        self._keys[turn] = set(map(fold, keys))
        try:
            yield
        finally:
            del self._keys[turn]
            turn.release()

    def all(self) -> dict[Turn, set[str]]:
        """Return those that are under way now, with the folded keys of their documents."""
        return dict(self._keys)


def after(writes: dict[Turn, set[str]], keys: Iterable[str]) -> Iterator[_After]:
    """Wait for those of the writes that concern one of the documents."""
    folded = set(map(fold, keys)) if writes else set()
    concerned = [turn for turn, those in writes.items() if those & folded]
    if concerned:
        yield _After(concerned)


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
