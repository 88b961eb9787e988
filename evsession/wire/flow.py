"""The shape of every operation: a generator that yields requests and is sent responses."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from evsession.wire.message import Request, Response

__all__ = ["Flow"]

T = TypeVar("T")

Flow: TypeAlias = Generator[Request, Response, T]
"""Yields a `Request`, receives its `Response`, returns the result. Neither clock nor socket: test it with next() and send()."""
