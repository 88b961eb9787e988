"""Conventions and options: checked when set, frozen by `Store.initialize`.

Knows names, defaults and ranges. Knows nothing of what the settings are used for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, ClassVar, Generic, TypeVar

from evsession.errors import ConfigurationError

__all__ = [
    "ID_STRATEGIES",
    "Conventions",
    "GraphOptions",
    "GraphSessionOptions",
    "Held",
    "Options",
    "SessionOptions",
    "check_flag",
    "check_separator",
    "check_strategy",
]

VERSION = "0.1.0"
"""The version of this package; asking the installed metadata for it would double the time that importing takes."""

ID_STRATEGIES = ("auto", "server", "guid", "hilo")
"""How a key is made for a document without one, when it is not a callable; see `Conventions`."""

S = TypeVar("S", bound="_Settings", covariant=True)
Check = Callable[[str, Any], Any]


class _Settings:
    """Named values with a check each. Unknown names, bad values and frozen settings raise `ConfigurationError`."""

    _kind: ClassVar[str]
    _fields: ClassVar[dict[str, tuple[Any, Check]]]
    _frozen: bool

    def __init__(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        object.__setattr__(self, "_frozen", False)
        for name, (default, _) in self._fields.items():
            object.__setattr__(self, name, default)
        for name, value in {**(values or {}), **more}.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        if name not in self._fields:
            raise ConfigurationError(f"unknown {self._kind} {name!r}; there are: {', '.join(self._fields)}")
        if self._frozen:
            raise ConfigurationError(
                f"{self._kind} {name!r} is frozen since the store was initialized; set it before, or on a session"
            )
        object.__setattr__(self, name, self._fields[name][1](name, value))

    def __delattr__(self, name: str) -> None:
        raise ConfigurationError(f"{self._kind} {name!r} cannot be deleted")

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields)
        return f"{type(self).__name__}({values})"

    def _freeze(self) -> None:
        object.__setattr__(self, "_frozen", True)

    def _take(self, other: _Settings) -> None:
        """Take all values of others of the same kind."""
        if other is not self:
            for name in self._fields:
                setattr(self, name, getattr(other, name))

    def _copy_as(self, cls: type[S]) -> S:
        """Return an unfrozen copy that holds what `cls` knows; one is made for every session, of values that were checked."""
        own, copy = vars(self), cls.__new__(cls)
        vars(copy).update({name: own[name] for name in cls._fields}, _frozen=False)
        return copy


class Held(Generic[S]):
    """An attribute that holds settings. Others, or a mapping of some, may be assigned, unless those that it holds are frozen."""

    def __init__(self, cls: type[S]) -> None:
        self._cls = cls

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: object, kind: type | None = None) -> S:
        if owner is None:
            raise AttributeError(f"{self._name!r} is an attribute of instances")
        settings: S = owner.__dict__[self._name]
        return settings

    def __set__(self, owner: object, value: Any) -> None:
        if value is not None and not isinstance(value, (self._cls, Mapping)):
            raise ConfigurationError(f"the {self._name} are {self._cls.__name__} or a mapping of some, not {value!r}")
        given: Any = value
        settings = given if isinstance(given, self._cls) else self._cls(given)
        # Others may hold them, too, so it is their values that change.
        owner.__dict__.setdefault(self._name, settings)._take(settings)


def check_flag(name: str, value: Any) -> bool:
    """Return the value of the setting `name` if it is True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name!r} must be True or False, not {value!r}")
    return value


def _seconds_or_none(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        raise ConfigurationError(f"{name!r} must be a positive number of seconds or None, not {value!r}")
    return float(value)


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ConfigurationError(f"{name!r} must be a number of seconds, not {value!r}")
    return float(value)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ConfigurationError(f"{name!r} must be a positive whole number, not {value!r}")
    return value


def check_separator(name: str, value: Any) -> str:
    """Return the value of the setting `name` if it can stand between a collection and an id."""
    if not isinstance(value, str) or not value or "|" in value or not value.isprintable():
        raise ConfigurationError(f"{name!r} must be a printable text without '|', not {value!r}")
    return value


def check_strategy(name: str, value: Any) -> Any:
    """Return the value of the setting `name` if it says how keys are made."""
    if not callable(value) and value not in ID_STRATEGIES:
        raise ConfigurationError(f"{name!r} must be one of {', '.join(ID_STRATEGIES)} or a function, not {value!r}")
    if iscoroutinefunction(value):
        raise ConfigurationError(f"{name!r} must be a plain function: {value!r} is async, but keys are made without waiting")
    return value


class Conventions(_Settings):
    """How keys are made.

    Attributes:
        id_separator: Between the collection and the rest of a key that is made from an id; ``"/"``. Keys that the server
            makes always have ``"/"``, as in 2012.
        id_generation_strategy: For documents without an id: ``"auto"`` (``dogs/1``, a RavenDB identity; the default),
            ``"server"`` (``dogs/0000000000000000001-A``), ``"guid"``, ``"hilo"`` (``dogs/1-A``, from ranges of numbers fetched
            ahead), or a function of the document that returns the whole key.
    """

    id_separator: str
    id_generation_strategy: str | Callable[[Any], str]

    _kind = "convention"
    _fields = {"id_separator": ("/", check_separator), "id_generation_strategy": ("auto", check_strategy)}


class SessionOptions(_Settings):
    """What a session may set for itself.

    Attributes:
        cache: Whether `load` answers from the identity map (True). When False each load asks the server; a known document
            that has no unsaved edits then takes the server's values and stays the same object.
        use_optimistic_concurrency: Whether save and delete check the change vector that a document was loaded with (False).
        timeout: Seconds that an operation may take from its start; None, the default, is no limit. For streams and bulk inserts
            it limits each wait for the server, not the whole.
    """

    cache: bool
    use_optimistic_concurrency: bool
    timeout: float | None

    _kind = "option"
    _fields = {
        "cache": (True, check_flag),
        "use_optimistic_concurrency": (False, check_flag),
        "timeout": (None, _seconds_or_none),
    }


class Options(SessionOptions):
    """What a store may set: the defaults of its sessions, and the limits of its connections.

    Attributes:
        max_connections: Connections to a node that may be open at once (64); further requests wait for one in call order.
            A stream holds one until it has ended, so with 1 nothing else can be asked while it is read.
        connect_timeout: Seconds for opening a connection before the next node is tried (10); None is no limit.
        keepalive_expiry: Seconds after which an idle connection is closed (60); None keeps it for as long as the server does.
        max_header_size: Bytes that the head of an answer may have (65,536).
        max_body_size: Bytes that the body of an answer may have once decompressed (268,435,456); streams are not limited.
    """

    max_connections: int
    connect_timeout: float | None
    keepalive_expiry: float | None
    max_header_size: int
    max_body_size: int

    _fields = {
        **SessionOptions._fields,
        "max_connections": (64, _count),
        "connect_timeout": (10.0, _seconds_or_none),
        "keepalive_expiry": (60.0, _seconds_or_none),
        "max_header_size": (65_536, _count),
        "max_body_size": (268_435_456, _count),
    }


def _unversioned(name: str, value: Any) -> bool:
    if value is not False:
        raise ConfigurationError(f"{name!r} is for documents: nodes have no versions to be compared")
    return False


class GraphSessionOptions(SessionOptions):
    """What a graph session may set for itself, beside `SessionOptions`, whose `use_optimistic_concurrency` stays False.

    Attributes:
        retry_time: Seconds after the first failure for which a managed transaction is tried again (30); 0 never tries again.
        retry_delay: Seconds before the second try (1), doubled for each further one, give or take a fifth.
        keep_alive: Whether a transaction that is open and idle is kept from expiring (False); the server gives it 60 seconds.
    """

    retry_time: float
    retry_delay: float
    keep_alive: bool

    _fields = {
        **SessionOptions._fields,
        "use_optimistic_concurrency": (False, _unversioned),
        "retry_time": (30.0, _seconds),
        "retry_delay": (1.0, _seconds),
        "keep_alive": (False, check_flag),
    }


class GraphOptions(Options, GraphSessionOptions):
    """What a graph store may set: the defaults of its sessions as in `GraphSessionOptions`, and `Options` of its connections."""

    _fields = {**Options._fields, **GraphSessionOptions._fields}
