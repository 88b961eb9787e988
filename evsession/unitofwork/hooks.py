"""Hooks: functions of the program that take part in a commit. Knows events and the order of calls; knows no session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from inspect import isawaitable
from typing import Any, Protocol, TypeAlias

from evsession.errors import ConfigurationError, TransactionError
from evsession.unitofwork.changes import Changes

__all__ = ["HOOKS", "Calling", "CommitEvent", "Hook", "HookCall", "Listeners", "calling", "calling_now"]

Hook: TypeAlias = Callable[["CommitEvent"], Awaitable[object] | object]

HOOKS = frozenset(
    {
        "commit.pre",
        "insert.pre",
        "insert.post",
        "update.pre",
        "update.post",
        "delete.pre",
        "delete.post",
        "commit.post",
        "rollback.post",
    }
)
"""The events that hooks are for."""


class Listeners(Protocol):
    """The hooks of a session."""

    @property
    def has_hooks(self) -> bool:
        """Whether there is any; without one a commit does not look for work of theirs."""

    def hooks(self, event: str, entity_type: type | None, name: str | None) -> Sequence[Hook]:
        """Return the hooks of the event that want entities of this class, or of the type of this name, in order."""


class CommitEvent:
    """What a hook is told: one event for all entities of one type that are to be written, or have been.

    Hooks may be plain or async; they are awaited one after the other. What they ask of the session is answered at once, on graphs
    in the transaction of the commit; what would wait for the commit raises. A ``.pre`` hook may edit entities (the edits are
    saved), add and remove others (they join the commit as a further round), and veto some with `prevent` (evicting them does
    not). An exception that it raises ends the commit, nothing is written, and what hooks had queued is taken back. After a
    ``.post`` hook's exception the write stands. Edits made by a ``.post`` hook wait for the next commit; what it adds or removes
    is written in a further round, but for ``commit.post``, when all is over: then it waits for the next commit, too.

    On graphs the ``.post`` hooks of entities run in the transaction of the commit, before its end. So an exception in one rolls
    all of it back, and everything is pending as before; after a `flush` into a transaction of the program it is for the program
    to roll that back.

    Attributes:
        name: The event, such as ``"insert.pre"``.
        session: The session.
        type: The class of the entities; None for ``commit`` and ``rollback``.
        entities: The entities; for ``commit`` those of all types.
        keys: Their keys; None for a new one whose key is not known yet.
        changes: For updates, the changed fields of each entity, to be read only; see `Changes`.
        round: The round of the commit, from 1.
    """

    __slots__ = ("_prevented", "changes", "entities", "keys", "name", "round", "session", "type")

    def __init__(
        self,
        name: str,
        session: Any,
        entities: Sequence[Any] = (),
        keys: Sequence[str | None] = (),
        *,
        type: type | None = None,
        changes: Changes | None = None,
        round: int = 0,
    ) -> None:
        self.name = name
        self.session = session
        self.type = type
        self.entities = list(entities)
        self.keys = list(keys)
        self.changes = changes if changes is not None else Changes((), (), ())
        self.round = round
        self._prevented: dict[int, Any] = {}

    def prevent(self, *entities: Any) -> None:
        """Veto these entities of the event, or all of them.

        A vetoed insert leaves the session, a vetoed update stays unsaved, and a vetoed delete stays; if it was edited, it is
        updated instead, which is a soft delete, and may be vetoed in its turn. Adding again what is to be deleted does the same.
        Vetoing all of a ``commit.pre`` refuses the commit with a `TransactionError`.

        Raises:
            ConfigurationError: it is too late for a veto, or the entity is none of this event's.
        """
        if not self.name.endswith(".pre"):
            raise ConfigurationError(f"{self.name} tells what has happened, and cannot be prevented")
        for entity in entities:
            if not any(entity is one for one in self.entities):
                raise ConfigurationError(f"{entity!r} is not among the entities of this {self.name}")
        if not entities and self.name == "commit.pre":
            raise TransactionError("a commit.pre hook has prevented the commit")
        self._prevented.update((id(entity), entity) for entity in entities or self.entities)

    def is_prevented(self, entity: Any) -> bool:
        """Return whether a hook has vetoed the entity."""
        return id(entity) in self._prevented

    def __repr__(self) -> str:
        kind = "" if self.type is None else f" {self.type.__qualname__}"
        return f"<CommitEvent {self.name}{kind} {self.keys!r}>"


class Calling:
    """The call of hooks: while it is active, what is done in its context is done by a hook.

    Attributes:
        unit: The unit of work whose commit calls.
        is_active: Whether a hook still runs; a task or callback that it started may outlive it.
        note: Takes note of what a hook has queued: the entity (None for what needs no further round), how that is taken back, and
            which hook it was.
        hook: The hook that runs, for people.
        event: The event that it is called for.
    """

    __slots__ = ("event", "hook", "is_active", "note", "unit")

    def __init__(self, unit: Any, note: Callable[[Any, Callable[[], None], str], None]) -> None:
        self.unit = unit
        self.note = note
        self.is_active = False
        self.hook = self.event = ""

    def queue(self, known: Any, undo: Callable[[], None]) -> None:
        """Take note that the hook has added or removed the entity."""
        self.note(known, undo, self.hook)

    def regret(self, undo: Callable[[], None]) -> None:
        """Take note of what is to be taken back, should the commit fail."""
        self.note(None, undo, self.hook)


CALLING: ContextVar[Calling | None] = ContextVar("evsession hook", default=None)


def calling(unit: object) -> Calling | None:
    """Return the call of a hook in whose context this is, if it is one of this unit of work's commits."""
    call = CALLING.get()
    return call if call is not None and call.is_active and call.unit is unit else None


def calling_now(call: Calling) -> bool:
    """Return whether this is in the context of a hook that is called by it."""
    return call.is_active and CALLING.get() is call


class HookCall:
    """Hooks that are to be called, one after the other; a commit's steps yield it to whoever can wait."""

    __slots__ = ("_calling", "_event", "_hooks")

    def __init__(self, hooks: Sequence[Hook], event: CommitEvent, call: Calling) -> None:
        self._hooks = hooks
        self._event = event
        self._calling = call

    async def wait(self) -> None:
        """Call the hooks and wait for each."""
        call = self._calling
        token = CALLING.set(call)
        call.is_active = True
        call.event = self._event.name
        try:
            for hook in self._hooks:
                call.hook = f"{hook!r} ({self._event.name})"
                answer = hook(self._event)
                if isawaitable(answer):
                    await answer
        finally:
            call.is_active = False
            CALLING.reset(token)
