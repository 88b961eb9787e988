"""Classes of objects that stand in for entities of which only the key is known.

Knows classes and attributes. Which fields a class has, and which of them is the key, is the database's side to know. A stand-in
is an instance of a subclass that is made for it, so ``isinstance`` holds; reading what was not fetched raises `NotLoaded`, what
is set is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import msgspec

from evsession.errors import NotLoaded

__all__ = ["UNSET", "base_of", "forget", "is_reference", "make_class", "peek", "refuse", "show"]

_BASE = "__evsession_base__"
_KEY = "__evsession_key__"

UNSET: Any = msgspec.UNSET
"""What a stand-in holds for a field that was not set."""


def is_reference(entity: object) -> bool:
    """Return whether the object only stands in for an entity."""
    return _BASE in type(entity).__dict__


def base_of(cls: type) -> type:
    """Return the class that the entity of a stand-in has; any other class is its own."""
    base: type = getattr(cls, _BASE, cls)
    return base


def make_class(cls: Any, names: Iterable[str], *, key: str = "id", is_open: bool = False, first: tuple[type, ...] = ()) -> type:
    """Return a class for stand-ins.

    Args:
        cls: The class of the entities.
        names: Its fields, without the key.
        key: The attribute that holds the key.
        is_open: Whether its entities may have further fields.
        first: Classes that come before it, which then do all of the refusing.
    """
    shared: dict[str, Any] = {"__slots__": (), "__module__": cls.__module__, "__qualname__": cls.__qualname__}
    shared |= {_BASE: cls, _KEY: key}
    if not first:
        shared |= {name: _unloaded(name) for name in names}
        shared |= {"__eq__": object.__eq__, "__hash__": object.__hash__, "__repr__": show}
        shared |= {"__post_init__": lambda self: None}
    if is_open:
        shared["__getattr__"] = _refuse_attribute
    if issubclass(cls, msgspec.Struct):
        del shared["__slots__"]
    made: type = type(cls)(f"{cls.__name__}Reference", (*first, cls), shared)
    return made


def peek(entity: Any, name: str) -> Any:
    """Return the value that the object holds for a field, past what the stand-in's class says of it."""
    held = getattr(entity, "__dict__", {})
    if name in held:
        return held[name]
    slot: Any = getattr(base_of(type(entity)), name, None)
    if not hasattr(slot, "__set__"):
        return UNSET
    try:
        return slot.__get__(entity)
    except AttributeError:
        return UNSET


def forget(entity: Any, names: Iterable[str]) -> None:
    """Let these fields of a stand-in be unset again."""
    base = base_of(type(entity))
    for name in names:
        if name in getattr(entity, "__dict__", ()):
            del vars(entity)[name]
        elif isinstance(entity, msgspec.Struct):
            getattr(base, name).__set__(entity, UNSET)
        elif peek(entity, name) is not UNSET:
            getattr(base, name).__delete__(entity)


def refuse(entity: Any, field: str | None) -> NoReturn:
    """Refuse to give a field, or whatever needs all of them."""
    key, cls = getattr(entity, getattr(type(entity), _KEY)), base_of(type(entity)).__qualname__
    what = f"{cls}.{field}" if field is not None else f"the {cls}"
    raise NotLoaded(f"{what} of {key!r} is not loaded; await session.hydrate(...) first", key=str(key))


def show(entity: Any) -> str:
    """Return the repr of a stand-in."""
    return f"<{base_of(type(entity)).__qualname__} {getattr(entity, getattr(type(entity), _KEY))!r}, not loaded>"


def _refuse_attribute(entity: Any, name: str) -> Any:
    if name[:2] == "__":
        raise AttributeError(f"{type(entity).__qualname__} has no attribute {name!r}")
    refuse(entity, name)


def _unloaded(name: str) -> property:
    """Return a property that lets a field be set, and read when it was."""

    def read(entity: Any) -> Any:
        value = peek(entity, name)
        return refuse(entity, name) if value is UNSET else value

    def write(entity: Any, value: Any) -> None:
        slot: Any = getattr(base_of(type(entity)), name, None)
        if hasattr(slot, "__set__"):
            slot.__set__(entity, value)
        else:
            vars(entity)[name] = value

    return property(read, write)
