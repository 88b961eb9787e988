"""Programs' own functions as operations: called, awaited if need be, and their value as the result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from evsession.session.operation import Steps

__all__ = ["Call", "call_steps"]


class Call:
    """An asynchronous function that the steps wait for."""

    __slots__ = ("_function", "value")

    def __init__(self, function: Callable[[], Awaitable[Any]]) -> None:
        self._function = function
        self.value: Any = None

    async def wait(self) -> None:
        """Call the function."""
        self.value = await self._function()


def call_steps(function: Callable[[], Awaitable[Any]]) -> Steps:
    """Return the steps of an operation that is an asynchronous function; its value is the one result."""
    call = Call(function)
    yield call
    return (call.value,)
