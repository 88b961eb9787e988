"""Classes of objects that stand in for entities of which only the key is known.

Knows classes and attributes. Which fields a class has, and which of them is the key, is the database's side to know. A stand-in
is an instance of a subclass that is made for it, so ``isinstance`` holds; reading what was not fetched raises `NotLoaded`, what
is set is kept.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable
from inspect import get_annotations, getattr_static
from typing import Any, NoReturn

import msgspec

from evsession.errors import NotLoaded

__all__ = [
    "UNSET",
    "NotLoadedField",
    "base_of",
    "defaults_of",
    "forget",
    "is_class_var",
    "is_default",
    "is_reference",
    "keep_key",
    "make_class",
    "peek",
    "refuse",
    "show",
]

_BASE = "__evsession_base__"
_KEY = "__evsession_key__"
_NAMES = "__evsession_names__"
_ADDRESS = "__evsession_address__"

_NOTHING = object()

UNSET: Any = msgspec.UNSET
"""What a stand-in holds for a field that was not set."""


class NotLoadedField:
    """What a field holds until it is set: the key, and what makes encoders refuse the whole, which would be stored in part."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key


def is_reference(entity: object) -> bool:
    """Return whether the object only stands in for an entity."""
    return _BASE in type(entity).__dict__


def base_of(cls: type) -> type:
    """Return the class that the entity of a stand-in has; any other class is its own."""
    base: type = getattr(cls, _BASE, cls)
    return base


def is_default(cls: type, name: str) -> bool:
    """Return whether what a class has under this name is the value of a field, and no method or property."""
    held = getattr_static(cls, name, _NOTHING)
    return held is not _NOTHING and not callable(held) and not hasattr(type(held), "__get__")


def defaults_of(cls: type, key: str) -> list[str]:
    """Return the public names, but for the key, under which a plain class holds values of fields.

    A stand-in has to refuse these itself: Python finds them in the class before it asks `__getattr__`.
    """
    held = dict.fromkeys(name for base in cls.__mro__[:-1] for name in vars(base) if name[:1] != "_" and name != key)
    return [name for name in held if is_default(cls, name) and not is_class_var(_hint(cls, name))]


def is_class_var(hint: Any) -> bool:
    """Return whether the hint says of an attribute that it is the class's; it may be a text that is not resolved."""
    if isinstance(hint, str):
        return re.match(r"(\w+\.)?ClassVar\b", hint) is not None
    return typing.get_origin(hint) is typing.ClassVar or hint is typing.ClassVar


def _hint(cls: type, name: str) -> Any:
    return next((hints[name] for base in cls.__mro__ if name in (hints := get_annotations(base))), None)


def make_class(
    cls: Any,
    names: Iterable[str],
    *,
    key: str = "id",
    is_open: bool = False,
    first: tuple[type, ...] = (),
    address: Callable[[Any], str] = str,
) -> type:
    """Return a class for stand-ins.

    Args:
        cls: The class of the entities.
        names: Its fields, without the key.
        key: The attribute that holds the key.
        is_open: Whether its entities may have further fields.
        first: Classes that come before it, which then do all of the refusing.
        address: Returns what errors have as their `key`, from what the attribute holds.
    """
    shared: dict[str, Any] = {"__slots__": (), "__module__": cls.__module__, "__qualname__": cls.__qualname__}
    names = list(names)
    shared |= {_BASE: cls, _KEY: key, _NAMES: names, _ADDRESS: staticmethod(address)}
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
    held = _look(entity, name)
    return UNSET if type(held) is NotLoadedField else held


def _look(entity: Any, name: str) -> Any:
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


def keep_key(entity: Any, names: Iterable[str], key: str) -> None:
    """Let a stand-in keep its key in the fields that are unset; its class may have no other place for it."""
    held = NotLoadedField(key)
    for name in names:
        _fill(entity, name, held)


def _fill(entity: Any, name: str, value: Any) -> None:
    if isinstance(entity, msgspec.Struct):
        msgspec.structs.force_setattr(entity, name, value)
    elif hasattr(entity, "__dict__"):
        vars(entity)[name] = value
    else:
        getattr(base_of(type(entity)), name).__set__(entity, value)


def forget(entity: Any, names: Iterable[str]) -> None:
    """Let these fields of a stand-in be unset again."""
    base, kept = base_of(type(entity)), _kept_key(entity)
    for name in names:
        if kept is not None:
            _fill(entity, name, NotLoadedField(kept))
        elif name in getattr(entity, "__dict__", ()):
            del vars(entity)[name]
        elif isinstance(entity, msgspec.Struct):
            _fill(entity, name, UNSET)
        elif peek(entity, name) is not UNSET:
            getattr(base, name).__delete__(entity)


def _kept_key(entity: Any) -> str | None:
    held = [_look(entity, name) for name in getattr(type(entity), _NAMES)]
    return next((value.key for value in held if type(value) is NotLoadedField), None)


def _key_of(entity: Any) -> Any:
    kept = _kept_key(entity)
    return kept if kept is not None else getattr(entity, getattr(type(entity), _KEY), None)


def refuse(entity: Any, field: str | None) -> NoReturn:
    """Refuse to give a field, or whatever needs all of them."""
    key, cls = _key_of(entity), base_of(type(entity)).__qualname__
    what = f"{cls}.{field}" if field is not None else f"the {cls}"
    raise NotLoaded(
        f"{what} of {key!r} is not loaded; await session.hydrate(...) first", key=getattr(type(entity), _ADDRESS, str)(key)
    )


def show(entity: Any) -> str:
    """Return the repr of a stand-in."""
    return f"<{base_of(type(entity)).__qualname__} {_key_of(entity)!r}, not loaded>"


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
