"""The shape of every operation: a generator that yields requests and is sent responses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TypeAlias, TypeVar

from evsession.wire.message import Request, Response

__all__ = ["Flow", "run_flow"]

T = TypeVar("T")

Flow: TypeAlias = Generator[Request, Response, T]
"""Yields a `Request`, receives its `Response`, returns the result. Neither clock nor socket: test it with next() and send()."""


async def run_flow(flow: Flow[T], send: Callable[[Request], Awaitable[Response]]) -> T:
    """Carry the flow's requests to `send` until it returns."""
    try:
        request = next(flow)
        while True:
            request = flow.send(await send(request))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        flow.close()
