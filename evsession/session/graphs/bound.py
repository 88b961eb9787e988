"""Methods of models that mean something else on an instance: what is of a class would be about every node of its label there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import wraps
from types import MethodType
from typing import Any, NoReturn, TypeVar, cast

__all__ = ["of_class", "sourced"]

F = TypeVar("F", bound=Callable[..., Any])


class _Bound(ABC):
    """A class method, and what it is on an instance."""

    def __init__(self, method: Any) -> None:
        self.__func__ = method.__func__

    def __get__(self, instance: object, cls: type) -> Any:
        method = MethodType(self.__func__, cls)
        return method if instance is None else self.of(instance, method)

    @abstractmethod
    def of(self, instance: object, method: MethodType) -> Any:
        """Return the method of an instance."""


class _Sourced(_Bound):
    def of(self, instance: object, method: MethodType) -> Any:
        @wraps(method)
        def from_here(alias: str, where: Any = None, *more: Any, **keywords: Any) -> Any:
            if callable(where):
                where, more = None, (where, *more)
            if isinstance(where, Mapping) and "source" in where:
                raise TypeError(f"the source of {alias!r} of an instance is itself; ask the class for those of others")
            return method(alias, {**(where or {}), "source": instance}, *more, **keywords)

        return from_here


class _OfClass(_Bound):
    def of(self, instance: object, method: MethodType) -> Any:
        @wraps(method)
        def refuse(*_: Any, **__: Any) -> NoReturn:
            raise TypeError(
                f"{method.__name__}() is of the class, and about all of its nodes; set attributes of an instance, and save() it"
            )

        return refuse


def sourced(method: F) -> F:
    """Let a class method about relationships be, on an instance, about those that begin there."""
    return cast("F", _Sourced(method))


def of_class(method: F) -> F:
    """Let instances refuse a class method."""
    return cast("F", _OfClass(method))
