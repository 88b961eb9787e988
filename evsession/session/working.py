"""The unit of work as programs call it: what sessions of every database have in common.

Knows the unit of work and operations. How entities become known and how batches are written is the session's.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Generator
from functools import partial
from itertools import count
from math import isfinite
from typing import Any, ClassVar, Generic, NoReturn, TypeVar, overload

from evsession.errors import ConfigurationError, DirtyEntity, NotLoaded
from evsession.session.callbacks import Callback, split
from evsession.session.calls import Call
from evsession.session.gate import Turn, Turns
from evsession.session.known_entities import KnownEntities
from evsession.session.operation import Operation, Steps
from evsession.session.transacting import Transacting
from evsession.session.transaction import Capabilities
from evsession.unitofwork.changes import Change, EntityChanges
from evsession.unitofwork.commit import Backend, Commit, Saved
from evsession.unitofwork.hooks import Calling, CommitEvent, HookCall, calling
from evsession.unitofwork.tracking import Picture, Tracked
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["Working"]

S = TypeVar("S", bound=Picture)
W = TypeVar("W", bound="Working[Any]")

_NUMBERS = count(1)


class Working(Transacting, Generic[S]):
    """The verbs of the unit of work.

    Entities are compared with what was loaded, field by field, when a commit is called; nothing has to be said of an edit.
    ``commit``, ``flush`` and ``rollback`` take turns in call order, and each writes what there was when it was called.
    """

    capabilities: ClassVar[Capabilities]
    """What the database can do."""

    _unit: UnitOfWork[S]

    def _start_working(self) -> None:
        self._turns = Turns()
        self._place: Turn | None = None  # before which a commit that is called now takes its turn
        self._number = next(_NUMBERS)
        self._commit: Commit[S] | None = None
        self._is_committing = False

    def _queue(self) -> Turns:
        """Return where operations line up; those of a hook are part of the commit whose turn it is."""
        return self._turns if calling(self._unit) is None else Turns()

    @abstractmethod
    def _backend(self) -> Backend[S]:
        """Return what writes the batches of one commit."""

    def _roll_back(self) -> Generator[Any, Any, None]:
        """End the transaction on the server, and give back what it has staged."""
        self._unit.roll_back()
        yield from ()

    @abstractmethod
    def _track(self, entity: Any) -> None:
        """Remember an entity until the next commit."""

    @abstractmethod
    def _untrack(self, entity: Any) -> None:
        """Queue the deletion of an entity."""

    @abstractmethod
    def _known(self, entity: Any) -> Tracked[S]:
        """Return what is known of the entity, or raise ConfigurationError."""

    @abstractmethod
    def _find(self, key: str) -> Any:
        """Return the known entity with this key, or None."""

    @property
    def id(self) -> int:
        """A number of this session that no other one of this process has."""
        return self._number

    @property
    def with_identity_map(self) -> bool:
        """Whether the session remembers what it loads, and notices edits."""
        return self._unit.detects

    def add(self: W, *entities: Any) -> W:
        """Have the next commit write these: new ones are inserted, known ones updated if they have changed.

        Sends nothing. Adding twice is adding once; adding what was removed takes the removal back.

        Raises:
            TypeError: something cannot be stored.
            KeyConflict: another object of this session has the key; those before it are added.
        """
        self._check_open()
        for entity in entities:
            self._check_entity(entity)
        for entity in entities:
            self._track(entity)
        return self

    def _check_entity(self, entity: Any) -> None:
        """Raise TypeError for what can be no entity."""

    def remove(self: W, *entities: Any) -> W:
        """Have the next commit delete these: entities or references; of documents keys, too.

        Sends nothing. One that was added and never saved only leaves the queue. Deleting what is not there is no error.

        Raises:
            TypeError: something is no entity.
            ConfigurationError: it has no key and was not added; those before it are removed.
            KeyConflict: another object of this session has its key; likewise.
        """
        self._check_open()
        for entity in entities:
            self._check_target(entity)
        for entity in entities:
            self._untrack(entity)
        return self

    def _check_target(self, target: Any) -> None:
        """Raise TypeError for what cannot be removed."""
        self._check_entity(target)

    def commit(self, callback: Callback | None = None) -> Operation[Saved]:
        """Write everything that is new, changed or removed in one atomic batch, and end the transaction if one is open.

        The result is `Saved`, a list of the keys of what was written: changed entities first, then new ones, each in the order
        the session met them. Deletions come before both. With nothing to do it is empty and nothing is sent. What is written is
        what there was at the call; later edits wait for the next commit, but any edit of a known entity while a ``.pre`` hook
        runs counts as the hook's. When it fails nothing is written, everything is pending as before, and committing again sends
        the same; only what was written before a ``.post`` hook has made more work stands. After an `uncertain` failure `refresh`
        finds out what happened; after a cancellation the server may still be at work for a moment.

        Hooks may edit, add, remove and veto; see `CommitEvent`. In a hook, `commit` without a callback raises, since it would
        wait for itself; with a callback it runs after the commit that called the hook.

        Raises:
            InvalidDocument: an entity holds what cannot be stored; its `key` and `path` say where.
            KeyConflict: two entities have one key.
            ConcurrencyError: with ``options.use_optimistic_concurrency``, an entity changed since it was loaded; `key` names it,
                `expected` and `actual` are the versions.
            TransactionError: called in a hook; or hooks keep making new work, or prevent the commit.
        """
        return self._committing("commit", callback)

    def save(self, callback: Callback | None = None) -> Operation[Saved]:
        """The same as `commit`, by 2012's word."""
        return self._committing("save", callback)

    def flush(self, callback: Callback | None = None) -> Operation[Saved]:
        """Write as `commit` does, but leave an open transaction open. Without one it is a `commit`.

        What that means is told by `capabilities`: a database with interactive transactions has the writes and shows them to this
        transaction; for RavenDB they are kept in the session as they are now, and sent by `commit`.
        """
        return self._committing("flush", callback, flush=True)

    def commit_transaction(self, callback: Callback | None = None) -> Operation[Saved]:
        """Write what `flush` has staged and end the transaction; what was not flushed stays pending.

        Without a transaction nothing happens.
        """
        return self._committing("commit_transaction", callback, only_staged=True)

    def _committing(
        self, name: str, callback: Callback | None, *, flush: bool = False, only_staged: bool = False
    ) -> Operation[Saved]:
        self._refuse_in_hook(name, callback)
        return self._operate(self, name, self._commit_steps(flush=flush, only_staged=only_staged), callback, 1)

    def _commit_steps(self, *, flush: bool, only_staged: bool) -> Steps:
        self._check_turn("commit_transaction" if only_staged else "flush" if flush else "commit")
        unit = self._unit
        frozen = [] if only_staged else unit.freeze()
        backend = self._backend()
        turn = self._turns.take(self._place)
        try:
            yield turn
            if only_staged and unit.journal is None:
                return (Saved(),)
            commit = self._commit = Commit(unit, self, self._events, backend)
            self._is_committing = True
            transaction = self.assigned_transaction
            saved = yield from commit.run(frozen, ends=not flush or unit.journal is None)
            if transaction is not None:
                transaction._is_committed = unit.journal is None
            return (saved,)
        finally:
            self._is_committing = False
            unit.release(frozen)
            turn.release()

    def rollback(self, callback: Callback | None = None) -> Operation[None]:
        """End the transaction without writing; without one nothing happens.

        What is new, changed and removed is as before the transaction flushed it, so committing again sends the same. Values of
        entities stay; `revert` undoes edits.
        """
        self._refuse_in_hook("rollback", callback)
        return self._operate(self, "rollback", self._rollback_steps(), callback, 0)

    def _rollback_steps(self) -> Steps:
        self._check_turn("rollback")
        turn = self._turns.take()
        try:
            yield turn
            if self._unit.journal is None:
                return ()
            yield from self._roll_back()
            yield Call(self._tell_rolled_back)
            return ()
        finally:
            turn.release()

    async def _tell_rolled_back(self) -> None:
        """Call the hooks of a rollback."""
        hooks = self._events.hooks("rollback.post", None, None)
        if hooks:
            await HookCall(hooks, CommitEvent("rollback.post", self), Calling(self._unit, lambda *_: None)).wait()

    def hydrate(self, *entities: Any, callback: Callback | None = None) -> Operation[None]:
        """Load what references stand for, in one request for all; fields that were set stay set.

        Entities that are loaded stay as they are.

        Args:
            *entities: Entities of this session; the callback may be the last of them.
            callback: Called with the error.

        Raises:
            ConfigurationError: an entity is not known to this session.
            SessionError: status 404, there is nothing under its key; its `key` names the first. Those that exist are loaded.
        """
        callback, *given = split(entities, callback, self._is_entity)
        return self._reading("hydrate", lambda: self._hydrate(given), callback)

    def _hydrate(self, entities: list[Any]) -> Steps:
        known = [self._known(entity) for entity in entities]
        return (yield from self._renew([one for one in known if one.is_reference], force=False))

    @staticmethod
    @abstractmethod
    def _is_entity(thing: Any) -> bool:
        """Return whether it can be an entity, even if it can also be called."""

    @abstractmethod
    def _reading(self, name: str, build: Callable[[], Steps], callback: Callback | None) -> Operation[None]:
        """Return the operation that does the steps when reading has its turn."""

    @abstractmethod
    def _renew(self, known: list[Tracked[S]], *, force: bool) -> Steps:
        """Load entities again, in one request; edits are given up by force only."""

    @staticmethod
    def _refuse_edits(known: Tracked[S]) -> NoReturn:
        """Refuse to load again what would lose something by it."""
        what = "is new" if known.snapshot is None else "has unsaved changes; give them up with force=True, or commit first"
        raise DirtyEntity(f"{known.entity!r} {what}", key=known.key)

    def evict(self, *entities: Any) -> None:
        """Forget these entities: their edits are not saved, and loading one again gives a new object.

        What a flush has staged of them is not saved either, unless the database has it already (see `capabilities`).
        """
        for entity in entities:
            known = self._unit.map.of(entity)
            if known is not None:
                self._unit.forget(known)

    def clear(self) -> None:
        """Forget every entity, and everything that was to be written."""
        self._unit.clear()

    @property
    def identity_map(self) -> KnownEntities[S]:
        """The entities that the session knows."""
        return KnownEntities(self._unit, self._find)

    @overload
    def changes(self, entity: None = None) -> list[EntityChanges]: ...
    @overload
    def changes(self, entity: Any) -> dict[str, Change]: ...
    def changes(self, entity: Any = None) -> Any:
        """Return what a commit would write: of one entity a dict of field and `Change`, else a list of `EntityChanges`.

        Raises:
            ConfigurationError: the entity is not known to this session.
            InvalidDocument: an entity cannot be stored.
        """
        if entity is not None:
            return self._unit.changes(self._known(entity))
        changes = []
        for known, kind in self._unit.kinds(list(self._unit.map)):
            key = known.key or self._unit.mapper.address(known)
            changes.append(EntityChanges(known.entity, key, kind.value, self._unit.changes(known)))
        return changes

    def is_dirty(self, entity: Any) -> bool:
        """Return whether a commit would write or delete the entity.

        Raises:
            ConfigurationError: the entity is not known to this session.
        """
        return self._unit.kind_of(self._known(entity)) is not None

    def increment(self, entity: Any, field: str, n: float = 1) -> None:
        """Add to a field, here at once, and on the server with the next commit: increments of others are not lost.

        After the commit the field has the server's value. Of a reference only the server's field is changed.

        Args:
            entity: An entity of this session.
            field: The field's name.
            n: What to add; negative numbers subtract.

        Raises:
            ConfigurationError: the entity is not known to this session, is to be deleted, or has no such field.
            TypeError: the field holds no number, or `n` is none.
            InvalidDocument: the field cannot hold the sum, such as a fraction where whole numbers are declared.
        """
        self._check_open()
        known = self._known(entity)
        given: Any = field
        if not isinstance(given, str) or not given:
            raise TypeError(f"a field is named by a text, not by {field!r}")
        given = n
        if isinstance(given, bool) or not isinstance(given, (int, float)) or not isfinite(given):
            raise TypeError(f"a field can be incremented by a number, not by {n!r}")
        if known.is_removed:
            raise ConfigurationError(f"{known.key!r} is to be deleted; it cannot be incremented", key=known.key)
        stored = self._unit.mapper.stored_name(known, field)
        try:
            value = _value_of(entity, field)
        except NotLoaded:
            if not known.is_reference:
                raise
            self._unit.mapper.check_field(known, field, n)
            self._increment(known, None, stored, n)
            return
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise TypeError(f"{field!r} of {known.key!r} holds {value!r}, which is no number to add to")
        total = n if value is None else value + n
        self._unit.mapper.check_field(known, field, total)
        _set_value(entity, field, total)
        self._increment(known, field, stored, n)

    def _increment(self, known: Tracked[S], field: str | None, stored: str, n: float) -> None:
        """Have the next commit add to a field of what is not new; if a hook asks and the commit fails, all is taken back."""
        is_counted = known.snapshot is not None
        if is_counted:
            self._unit.increment(known, stored, n)
        call = calling(self._unit)
        if call is not None:
            decrement = self._unit.decrementing(known, stored, n, is_counted=is_counted)
            call.regret(partial(self._decrement, known, field, n, decrement))

    @staticmethod
    def _decrement(known: Tracked[S], field: str | None, n: float, decrement: Callable[[], None]) -> None:
        decrement()
        value = None if field is None else _value_of(known.entity, field)
        if field is not None and isinstance(value, (int, float)):
            _set_value(known.entity, field, value - n)

    @property
    def rounds(self) -> int:
        """The rounds of the commit that is under way, or of the last one: more than 1 when hooks made work."""
        return 0 if self._commit is None else self._commit.rounds

    @property
    def in_commit(self) -> bool:
        """Whether a commit or flush is under way."""
        return self._is_committing

    @property
    def state(self) -> str:
        """``"closed"``, ``"committing"``, ``"transaction"`` (one is open) or ``"idle"``."""
        if not self._is_open:
            return "closed"
        if self._is_committing:
            return "committing"
        return "transaction" if self.has_transaction() else "idle"

    def _let_go(self) -> None:
        super()._let_go()
        lost = f"{self!r} was closed with a transaction open; what it had staged is not written" if self._unit.journal else None
        self._unit.roll_back()
        if lost is not None:
            warnings.warn(lost, ResourceWarning, stacklevel=2)


def _value_of(entity: Any, field: str) -> Any:
    return entity.get(field) if isinstance(entity, dict) else getattr(entity, field, None)


def _set_value(entity: Any, field: str, value: Any) -> None:
    if isinstance(entity, dict):
        entity[field] = value
    else:
        setattr(entity, field, value)
