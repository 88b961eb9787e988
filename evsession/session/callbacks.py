"""Node's calling convention: the callback comes last, and gets as many results as it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import FunctionType, MethodType
from typing import Any, NamedTuple, TypeAlias

__all__ = ["Callback", "Shape", "fit", "positions", "shape_of", "shift"]

Callback: TypeAlias = Callable[..., object]
"""A plain or async function of an error (or None) and the results."""

_VARARGS = 0x04


class Shape(NamedTuple):
    """How many results a callback takes after the error: at least, and at most (None is any number)."""

    least: int
    most: int | None


def split(entities: tuple[Any, ...], callback: Callback | None, is_entity: Callable[[Any], bool]) -> tuple[Any, ...]:
    """Return the callback, which may be the last of the entities, and then the entities."""
    if callback is None and entities and callable(entities[-1]) and not is_entity(entities[-1]):
        return entities[-1], *entities[:-1]
    return callback, *entities


def shape_of(callback: Callback) -> Shape:
    """Return how many results the callback takes.

    Raises:
        TypeError: it is no callable, or takes no error.
    """
    if not callable(callback):
        raise TypeError(f"the callback must be callable, not {callback!r}")
    least, most = positions(callback)
    if most == 0:
        raise TypeError(f"the callback {callback!r} must take at least one argument, the error")
    return Shape(max(least - 1, 0), None if most is None else most - 1)


def positions(callback: Callback) -> tuple[int, int | None]:
    """Return how many positional arguments a function needs, and takes at most (None is any number).

    A plain function or method is read directly, 20 times faster than by its signature.
    """
    bound = isinstance(callback, MethodType)
    function = callback.__func__ if isinstance(callback, MethodType) else callback
    if isinstance(function, FunctionType) and not hasattr(function, "__wrapped__"):
        code = function.__code__
        most = code.co_argcount - bound
        return most - len(function.__defaults__ or ()), None if code.co_flags & _VARARGS else most
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (ValueError, TypeError):  # some builtins have no signature
        return 1, None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    least = sum(p.default is p.empty for p in positional)
    return least, None if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)


def fit(results: Sequence[Any], width: int, shape: Shape) -> Sequence[Any]:
    """Return what a callback of this shape gets of the results.

    It gets what an awaiter would (the first `width`), as far as it takes them; more only if it cannot do with less, and None
    for what there is not.
    """
    count = max(shape.least, width if shape.most is None else min(shape.most, width))
    return [*results[:count], *[None] * (count - len(results))]


def shift(callback: Callback | None, *middle: Any) -> tuple[Any, ...]:
    """Return the callback and the middle arguments, where the callback may stand in the place of any of them.

    A class is never taken for a callback, since types are arguments here.

    Raises:
        TypeError: something follows the callback.
    """
    for index, value in enumerate(middle):
        if callable(value) and not isinstance(value, type):
            if callback is not None or any(later is not None for later in middle[index + 1 :]):
                raise TypeError("the callback must be the last argument")
            return (value, *middle[:index], *[None] * (len(middle) - index))
    return (callback, *middle)
