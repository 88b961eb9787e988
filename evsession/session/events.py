"""Who listens to what. Keeps handlers and picks those for a failure; calling them is the runtime's.

Knows pyee (the only import of it): its base emitter keeps the handlers and their order. Its `emit` is not used:
`TrioEventEmitter` cannot run synchronous handlers on pyee 13 and would be fire-and-forget, and an unheard ``"error"`` would
raise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, overload

from pyee.base import EventEmitter

from evsession.errors import ConfigurationError, SessionError
from evsession.session.callbacks import positions
from evsession.unitofwork.hooks import HOOKS

__all__ = ["Events", "Handler", "Listening"]

Handler: TypeAlias = Callable[..., object]
"""A plain or async function of one argument: an error, or the value of the event."""

H = TypeVar("H", bound=Handler)

OBSERVATIONS = frozenset({"request", "response", "retry", "failover"})
"""The events of the wire; see `WireEvent`."""

TYPED_HOOKS = frozenset(name for name in HOOKS if name.startswith(("insert", "update", "delete")))
"""Hooks that are called for entities of one type each."""

NAMES = OBSERVATIONS | HOOKS | {"error", "exception"}
"""All events but those of servers: statuses, their classes, and codes."""


class _Once:
    """A handler that is forgotten when it is picked."""

    __slots__ = ("handler",)

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    def __call__(self, *args: object) -> object:
        return self.handler(*args)


class _Hook:
    """A hook for entities of one type, or of all; one for once forgets itself when it is called."""

    __slots__ = ("forget", "handler", "type")

    def __init__(self, handler: Handler, entity_type: type | str | None, forget: Callable[[_Hook], None] | None) -> None:
        self.handler = handler
        self.type = entity_type
        self.forget = forget

    def __call__(self, event: object) -> object:
        if self.forget is not None:
            self.forget(self)
        return self.handler(event)

    def __repr__(self) -> str:
        return getattr(self.handler, "__qualname__", None) or repr(self.handler)

    def wants(self, entity_type: type | None, name: str | None) -> bool:
        """Return whether the hook is for entities of this class, or of the type of this name, or of one that inherits from it."""
        if self.type is None or entity_type is None:
            return True
        if isinstance(self.type, str):
            return self.type == name or any(base.__name__ == self.type for base in entity_type.__mro__)
        return issubclass(entity_type, self.type)


def event_name(event: object) -> str:
    """Return the one spelling of an event: ``409`` and ``"409"`` are the same.

    Raises:
        ConfigurationError: for what can be no event.
    """
    if isinstance(event, bool) or not isinstance(event, (int, str)) or event == "":
        raise ConfigurationError(f"{event!r} is not an event: give a status, a class such as '4xx', a code or a name")
    if isinstance(event, int) or event.isdecimal():
        if not 100 <= int(event) <= 599:
            raise ConfigurationError(f"{event!r} is not an HTTP status (100 to 599)")
        return str(int(event))
    is_class = len(event) == 3 and event[1:].lower() == "xx"
    may_be = event[0] in "12345" if is_class else event[0].isalpha()
    if not may_be or any(letter.isspace() for letter in event):
        raise ConfigurationError(f"{event!r} is not an event: give a status, a class such as '4xx', a code or a name")
    # Codes of servers are capitalized; so a name that is not, and is none of ours, is a slip that would never be told.
    if event[0].islower() and event not in NAMES:
        raise ConfigurationError(
            f"{event!r} is not an event; there are {', '.join(sorted(NAMES))}, statuses and the codes of servers"
        )
    if event.startswith("Raven."):  # errors have the name of the exception alone
        return event.rpartition(".")[2]
    return event.lower() if is_class else event


class Events:
    """The handlers of one store or session."""

    __slots__ = ("_emitter", "has_hooks", "observes")

    def __init__(self) -> None:
        self._emitter = EventEmitter()
        self.has_hooks = False
        """Whether there is any hook: asked for every commit."""
        self.observes = False
        """Whether anybody watches the wire: asked for every request, so it is kept, not looked up."""

    def _changed(self) -> None:
        names = self._emitter.event_names()
        self.observes = not OBSERVATIONS.isdisjoint(names)
        self.has_hooks = not HOOKS.isdisjoint(names)

    def copy(self) -> Events:
        """Return the same handlers in a new set; a handler for once is for once in each."""
        twin = Events()
        for event in self._emitter.event_names():
            for handler in self._emitter.listeners(event):
                if isinstance(handler, _Hook):
                    twin.add_hook(event, handler.handler, handler.type, once=handler.forget is not None)
                else:
                    twin._emitter.add_listener(event, _Once(handler.handler) if isinstance(handler, _Once) else handler)
        twin._changed()
        return twin

    def add_hook(self, event: str, hook: Handler, entity_type: type | str | None, *, once: bool = False) -> None:
        """Add a hook beside those that are there."""
        _check_handler(event, hook)

        def forget(known: _Hook) -> None:
            self._emitter.remove_listener(event, known)
            self._changed()

        self._emitter.add_listener(event, _Hook(hook, entity_type, forget if once else None))
        self._changed()

    def hooks(self, event: str, entity_type: type | None, name: str | None) -> list[Handler]:
        """Return the hooks of the event that want entities of this type, in order."""
        return [hook for hook in self._emitter.listeners(event) if isinstance(hook, _Hook) and hook.wants(entity_type, name)]

    def without_failures(self) -> Events:
        """Return those that watch and those of exceptions in a new set, for what is part of another operation."""
        twin = Events()
        for event in OBSERVATIONS | {"exception"}:
            for handler in self._emitter.listeners(event):
                twin._emitter.add_listener(event, handler)
        twin._changed()
        return twin

    def replace(self, event: int | str, handler: Handler) -> None:
        """Let the handler be the only one of the event."""
        name = event_name(event)
        _check_handler(name, handler)
        self.remove(name)
        self._emitter.add_listener(name, handler)
        self._changed()

    def add(self, event: int | str, handler: Handler, *, once: bool = False) -> None:
        """Add a handler beside those that are there."""
        name = event_name(event)
        _check_handler(name, handler)
        self._emitter.add_listener(name, _Once(handler) if once else handler)
        self._changed()

    def remove(self, event: int | str, handler: Handler | None = None) -> None:
        """Remove the handler, or all of them; nothing happens when it is not there."""
        name = event_name(event)
        for known in self._emitter.listeners(name):
            if handler is None or handler in (known, getattr(known, "handler", None)):
                self._emitter.remove_listener(name, known)
        self._changed()

    def has(self, event: str) -> bool:
        """Return whether anybody listens to the event, by its one spelling."""
        return event in self._emitter.event_names()

    def pick(self, event: str) -> list[Handler]:
        """Return the handlers to call now, in order, and forget those that were for once."""
        handlers: list[Handler] = self._emitter.listeners(event)
        for handler in handlers:
            if isinstance(handler, _Once):
                self._emitter.remove_listener(event, handler)
                self._changed()
        return handlers

    def pick_for(self, error: BaseException) -> list[Handler]:
        """Return the handlers of the most specific event that somebody listens to: code, status, class, ``"error"``."""
        for event in failure_events(error):
            if self.has(event):
                return self.pick(event)
        return []


def failure_events(error: BaseException) -> list[str]:
    """Return the events that a failure may fire, the most specific first."""
    events = ["error"]
    if isinstance(error, SessionError):
        if error.status_code is not None:
            events[:0] = [str(error.status_code), f"{error.status_code // 100}xx"]
        if error.code is not None:
            events.insert(0, error.code)
    return events


def _check_handler(event: str, handler: object) -> None:
    if not callable(handler):
        raise TypeError(f"the handler of {event!r} must be callable, not {handler!r}")
    least, most = positions(handler)
    if least > 1 or most == 0:
        raise TypeError(f"the handler {handler!r} of {event!r} must take one argument, what it is told")


class Listening:
    """`on`, `once`, `off` and `add_listener`, for stores and sessions alike.

    Failure events are an HTTP status (``409`` or ``"409"``), a class of them (``"4xx"``), a server code
    (``"ConcurrencyException"``) and ``"error"``; the most specific one that has a handler fires, alone. ``"request"``,
    ``"response"``, ``"retry"`` and ``"failover"`` observe the wire and get a `WireEvent`; ``"exception"`` gets what a callback or
    handler raised. Synchronous handlers have run, and asynchronous ones have been started, before the callback is called.
    """

    _events: Events

    def _check_listening(self) -> None:
        """Raise if handlers cannot be changed now."""

    @overload
    def on(self, event: int | str, *, type: type | str | None = None) -> Callable[[H], H]: ...
    @overload
    def on(self, event: int | str, handler: H, *, type: type | str | None = None) -> H: ...
    def on(self, event: int | str, handler: Any = None, *, type: Any = None) -> Any:
        """Let this handler be the one of the event, in place of those before; without a handler, a decorator.

        Hooks (``"insert.pre"`` and so on) never take each other's place: those of the store come first, then the session's, in
        the order in which they were added.

        Args:
            event: A status, a class of them, a code, or the name of an event or hook.
            handler: What to call.
            type: For hooks only: the class of the entities, or the name of their type or collection. Entities of classes
                that inherit from it are meant, too.

        Raises:
            TypeError: the handler is not callable.
            ConfigurationError: there can be no such event, it has no types, or the store is initialized already.
        """
        return self._register(event, handler, type, self._events.replace)

    @overload
    def add_listener(self, event: int | str, *, type: type | str | None = None) -> Callable[[H], H]: ...
    @overload
    def add_listener(self, event: int | str, handler: H, *, type: type | str | None = None) -> H: ...
    def add_listener(self, event: int | str, handler: Any = None, *, type: Any = None) -> Any:
        """Add a handler beside those before; without a handler, a decorator. Takes and raises what `on` does."""
        return self._register(event, handler, type, self._events.add)

    @overload
    def once(self, event: int | str, *, type: type | str | None = None) -> Callable[[H], H]: ...
    @overload
    def once(self, event: int | str, handler: H, *, type: type | str | None = None) -> H: ...
    def once(self, event: int | str, handler: Any = None, *, type: Any = None) -> Any:
        """Add a handler that is told one time; one of a store, one time in each session. Takes and raises what `on` does."""
        return self._register(event, handler, type, lambda name, given: self._events.add(name, given, once=True), once=True)

    def off(self, event: int | str, handler: Handler | None = None) -> None:
        """Remove the handler, or all handlers of the event; nothing happens when there is none."""
        self._check_listening()
        self._events.remove(event, handler)

    def _register(
        self,
        event: int | str,
        handler: Any,
        entity_type: Any,
        add: Callable[[int | str, Any], None],
        *,
        once: bool = False,
    ) -> Any:
        self._check_listening()
        name = event_name(event)
        is_hook = name in HOOKS
        if entity_type is not None and name not in TYPED_HOOKS:
            raise ConfigurationError(f"type= is for {', '.join(sorted(TYPED_HOOKS))}; {name!r} has none")
        if entity_type is not None and not (isinstance(entity_type, (type, str)) and entity_type):
            raise ConfigurationError(
                f"type= is the class of entities, or the name of their type or collection, not {entity_type!r}"
            )

        def register(given: H) -> H:
            if is_hook:
                self._events.add_hook(name, given, entity_type, once=once)
            else:
                add(event, given)
            return given

        return register if handler is None else register(handler)
