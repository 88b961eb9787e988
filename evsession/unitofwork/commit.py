"""One commit from its call to its end: hooks, rounds, vetoes, the write, and the way back when it fails.

Knows the order of things. Sends nothing and waits for nothing: its steps yield hooks to call, and what the database's side
yields.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from evsession.errors import KeyConflict, TransactionError
from evsession.unitofwork.changes import Changes, diff
from evsession.unitofwork.hooks import Calling, CommitEvent, HookCall, Listeners
from evsession.unitofwork.tracking import Kind, Picture, Staged, Tracked
from evsession.unitofwork.unit import ORDER, Content, UnitOfWork

__all__ = ["MAX_ROUNDS", "Backend", "Commit", "Saved"]

S = TypeVar("S", bound=Picture)

MAX_ROUNDS = 100
"""Rounds of one commit; a hook that makes more work each time would never end."""


class Saved(list[str]):
    """What a commit has written: the keys of what was updated and inserted, in that order.

    Attributes:
        inserted: The keys of what was new.
        updated: The keys of what had changed.
        removed: The keys of what was deleted; they are not part of the list itself.
        rounds: How often work was found: more than once when hooks made some.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        super().__init__(keys)
        self.inserted: list[str] = []
        self.updated: list[str] = []
        self.removed: list[str] = []
        self.rounds = 0

    def _take(self, items: Iterable[Staged[Any]], address: Callable[[Tracked[Any]], str | None]) -> None:
        """Add what became of some entities; one without a key is only staged, and the server will make it."""
        for item in items:
            key = item.known.key or address(item.known)
            if key is None:
                continue
            if item.kind is Kind.DELETE:
                self.removed.append(key)
                continue
            self.append(key)
            (self.inserted if item.kind is Kind.INSERT else self.updated).append(key)


class Backend(Protocol[S]):
    """How a batch gets into the database."""

    def write(self, batch: Sequence[Staged[S]], *, ends: bool) -> Generator[Any, Any, Sequence[Staged[S]]]:
        """Write the batch all or nothing, and let entities and snapshots take note of it.

        Args:
            batch: What is to be written.
            ends: Whether the open transaction ends with this; otherwise the batch may be kept for its end.

        Returns:
            What is written now; an earlier batch of the same transaction may be part of it.
        """

    def lasts(self, *, ends: bool) -> bool:
        """Return whether what was just written stands, whatever comes; otherwise a rollback may still undo it."""

    def end(self) -> Generator[Any, Any, None]:
        """End the open transaction, if there is one, so that what was written lasts."""


class Commit(Generic[S]):
    """One commit or flush.

    Args:
        unit: What is committed.
        session: The session, for events.
        listeners: Its hooks.
        backend: What writes.

    Attributes:
        rounds: How often work was found so far.
    """

    def __init__(self, unit: UnitOfWork[S], session: Any, listeners: Listeners, backend: Backend[S]) -> None:
        self.rounds = 0
        self._unit = unit
        self._session = session
        self._listeners = listeners
        self._backend = backend
        self._queued: dict[int, Tracked[S]] = {}
        self._undo: list[Callable[[], None]] = []
        self._blame = ""
        self._vetoed: dict[int, tuple[Tracked[S], Kind]] = {}
        self._spared: dict[int, Tracked[S]] = {}  # whose deletion was vetoed
        self._kept: set[int] = set()  # these, and what hooks have added again; what was edited before is an update then
        self._held: list[Sequence[Staged[S]]] = []
        self._waiting: set[int] = set()

    def run(self, frozen: Sequence[Staged[S]], *, ends: bool) -> Generator[Any, Any, Saved]:
        """Write what was frozen, and what hooks make of it; the result is what was written."""
        saved = Saved()
        batch = self._unit.due(frozen)
        try:
            if self._listeners.has_hooks:
                yield from self._run_with_hooks(batch, saved, ends=ends)
            else:
                self.rounds = 1 if batch else 0
                yield from self._write(batch, saved, ends=ends)
                if ends:
                    yield from self._backend.end()
            saved.rounds = self.rounds
            return saved
        finally:
            for held in self._held:
                self._unit.release(held)
            for undo in reversed(self._undo):
                undo()
            # Only `rounds` is asked for later: a session must not keep entities alive for the sake of its last commit, nor be
            # part of a cycle, or it would not be gone with all its entities when the program lets go of it.
            self._session = None
            for kept in (self._undo, self._held, self._queued, self._vetoed, self._spared, self._kept):
                kept.clear()

    def _write(self, batch: Sequence[Staged[S]], saved: Saved, *, ends: bool) -> Generator[Any, Any, Sequence[Staged[S]]]:
        written = yield from self._backend.write(batch, ends=ends)
        saved._take(written if ends or written else batch, self._unit.mapper.address)
        return written

    def _run_with_hooks(self, batch: Sequence[Staged[S]], saved: Saved, *, ends: bool) -> Generator[Any, Any, None]:
        batch = yield from self._prepared(batch, begins=True)
        everything: list[Staged[S]] = []
        while True:
            written = yield from self._write(batch, saved, ends=ends)
            everything += written
            self._queued.clear()
            self._settle_vetoes()
            # What hooks have done stands as long as the write does.
            if not self._backend.lasts(ends=ends):
                self._unit.regrets += self._undo
            self._undo.clear()
            for event, entity_type, name in self._events(written, "post"):
                yield from self._call(event, entity_type, name)
            if not self._queued:
                break
            batch = yield from self._prepared(self._unit.due(self._freeze(self._queued.values())), begins=False)
        if ends:
            yield from self._backend.end()
            self._unit.regrets.clear()  # also if nothing was written, so that no transaction has ended
            yield from self._call(self._whole("commit.post", everything, saved), None, None)
            self._undo.clear()  # what it has added or removed waits for the next commit

    def _freeze(self, entities: Iterable[Tracked[S]]) -> list[Staged[S]]:
        here = [known for known in entities if self._unit.map.of(known.entity) is known]
        held = self._unit.freeze(here)
        self._hold(held)
        return held

    def _hold(self, held: Sequence[Staged[S]]) -> None:
        """Keep what hooks have made work of until the end; it belongs to this commit, which has begun."""
        for item in held:
            item.is_begun = True
        self._held.append(held)

    def _prepared(self, batch: Sequence[Staged[S]], *, begins: bool) -> Generator[Any, Any, list[Staged[S]]]:
        """Call the hooks that come before the write, until none of them has made new work; return what is to be written."""
        items = {id(item.known): item for item in batch}
        before = self._unit.contents()
        self._waiting = {id(known) for known in self._unit.map if known.increments}
        told: set[tuple[int, Kind]] = set()
        if begins:
            event = self._whole("commit.pre", batch)
            yield from self._call(event, None, None)
            self._veto(event, items)
        while True:
            self._look(items, before)
            fresh = [item for item in items.values() if (id(item.known), item.kind) not in told]
            if not fresh:
                break
            self._begin_round(fresh)
            told.update((id(item.known), item.kind) for item in fresh)
            for event, entity_type, name in self._events(fresh, "pre"):
                yield from self._call(event, entity_type, name)
                self._veto(event, items)
        self._reclaim(items.values())
        return sorted(items.values(), key=lambda item: ORDER[item.kind])

    def _begin_round(self, fresh: Sequence[Staged[S]]) -> None:
        if self.rounds == MAX_ROUNDS:
            what = self._unit.mapper.type_of(fresh[0].known)[0].__qualname__
            who = f"the hook {self._blame}" if self._blame else "a hook"
            raise TransactionError(
                f"{who} keeps making new work of type {what}: the commit was given up after {MAX_ROUNDS} rounds"
            )
        self.rounds += 1

    def _look(self, items: dict[int, Staged[S]], before: dict[int, Content[S]]) -> None:
        """Find what hooks have edited, added, removed and evicted since `before`, which is brought up to date."""
        contents = self._unit.contents()
        for place, held in list(items.items()):
            if place in before and self._unit.map.of(held.known.entity) is not held.known:
                del items[place], before[place]
        for known in list(self._unit.map):
            place = id(known)
            item = items.get(place)
            if place in self._vetoed:
                if place in self._spared or not (known.is_removed and place in self._queued):
                    continue
                del self._vetoed[place]  # what was vetoed is the update of what shall now be deleted
            if known.is_removed and place not in self._spared:
                if place in self._queued and (item is None or item.kind is not Kind.DELETE):
                    items.pop(place, None)
                    self._kept.discard(place)
                    if item is not None:  # it may be kept after all; then it is an update with all of this
                        self._unit.give_back_increments(item)
                    if known.snapshot is not None:
                        self._add(items, Staged(known, Kind.DELETE, b"", before=known.snapshot))
                continue
            if item is not None and item.kind is Kind.DELETE:
                if place not in self._queued:
                    continue  # added again by the program since the call
                self._keep(items.pop(place))
                item = None
            self._look_at(known, contents[place], item, items, before)

    def _look_at(
        self,
        known: Tracked[S],
        now: Content[S],
        item: Staged[S] | None,
        items: dict[int, Staged[S]],
        before: dict[int, Content[S]],
    ) -> None:
        place, unit = id(known), self._unit
        if known.snapshot is None and item is None:
            if place in self._queued:
                for fresh in self._freeze([known]):
                    items[place] = fresh
                    before[place] = fresh.content
            return
        was = before.get(place, known.snapshot)
        is_as_before = now is was or _fields(now) == _fields(was)
        # One that a commit which was cut off has left meanwhile is no work of hooks, and in the value already.
        counts = bool(known.increments) and place not in self._waiting and (known.is_reference or not is_as_before)
        # Edits from before the call belong to it if the entity was to be deleted and that was vetoed; those of others are frozen.
        is_kept = place in self._kept
        is_edited = is_kept and item is None and (known.snapshot is None or _fields(now) != known.snapshot.known)
        if is_as_before and not counts and not is_edited:
            return
        now, was = _fields(now), _fields(was)
        if now is None:
            now = unit.mapper.content(known)  # which says what is wrong with it
        before[place] = now
        if item is None:
            assert known.snapshot is not None
            content = now if was is None or is_kept else self._merged(known.snapshot.known, was, now)
            if content != known.snapshot.known or counts or not unit.detects:
                self._add(items, Staged(known, Kind.UPDATE, content, before=known.snapshot))
            return
        item.revise(now if was is None else self._merged(item.content, was, now))
        if counts:
            unit.take_increments(item)
        if item.before is not None and not item.increments and unit.detects and item.is_like(item.before):
            del items[place]

    def _add(self, items: dict[int, Staged[S]], item: Staged[S]) -> None:
        held = [item]
        self._unit.hold(held)
        self._hold(held)
        items[id(item.known)] = item

    def _merged(self, frozen: bytes, before: bytes, after: bytes) -> bytes:
        """Return what was frozen with what hooks have edited; the program's edits since the call stay out of it."""
        if frozen == before:
            return after
        fields = self._unit.mapper.fields(frozen)
        now = self._unit.mapper.fields(after)
        for name in diff(self._unit.mapper.fields(before), now):
            if name in now:
                fields[name] = now[name]
            else:
                fields.pop(name, None)
        return self._unit.mapper.compose(fields)

    def _reclaim(self, items: Iterable[Staged[S]]) -> None:
        """Let new entities have the keys that hooks have given them."""
        new = [item for item in items if item.kind is Kind.INSERT]
        for item in new:
            item.key = self._unit.mapper.claim(item.known)
        self._unit.claim_keys(new)

    def _veto(self, event: CommitEvent, items: dict[int, Staged[S]]) -> None:
        for place, item in list(items.items()):
            if event.is_prevented(item.known.entity):
                self._refuse_veto(item)
                del items[place]
                if item.kind is Kind.DELETE:
                    self._spared[place] = item.known
                    self._keep(item)
                else:
                    self._vetoed[place] = item.known, item.kind
                    self._waiting.add(place)
                    self._unit.give_back_increments(item)  # it may still be removed and kept; then they are work again

    def _keep(self, item: Staged[S]) -> None:
        """Let what was to be deleted stay; what was to be done with it before is work again."""
        self._kept.add(id(item.known))
        self._unit.give_back_increments(item)
        self._waiting.discard(id(item.known))

    def _refuse_veto(self, item: Staged[S]) -> None:
        """Refuse to keep an entity whose key has been given to another one, since it was to be deleted."""
        known = item.known
        if item.kind is Kind.DELETE and self._is_replaced(known):
            raise KeyConflict(f"{known.key!r} cannot stay: another object was added under its key", key=known.key)

    def _is_replaced(self, known: Tracked[S]) -> bool:
        return known.key is not None and self._unit.map.get(known.key) is not known

    def _settle_vetoes(self) -> None:
        """Let vetoes last now that the batch is written; a failed commit leaves the queue as it was."""
        for known, kind in self._vetoed.values():
            if kind is Kind.INSERT:
                self._unit.take_out(known)
                self._undo.append(partial(self._unit.put_back, known))
        for known in self._spared.values():
            if not self._is_replaced(known):
                known.is_removed = False
                self._undo.append(partial(setattr, known, "is_removed", True))
        self._vetoed.clear()
        self._spared.clear()
        self._kept.clear()

    def _events(self, items: Iterable[Staged[S]], when: str) -> Iterator[tuple[CommitEvent, type, str | None]]:
        """Yield one event for each kind and type, of those that somebody listens to."""
        groups: dict[tuple[Kind, type, str | None], list[Staged[S]]] = {}
        for item in sorted(items, key=lambda item: ORDER[item.kind]):
            groups.setdefault((item.kind, *self._unit.mapper.type_of(item.known)), []).append(item)
        for (kind, entity_type, name), group in groups.items():
            event = f"{kind.value}.{when}"
            if self._listeners.hooks(event, entity_type, name):
                yield self._event(event, group, entity_type), entity_type, name

    def _event(self, name: str, items: Sequence[Staged[S]], entity_type: type | None) -> CommitEvent:
        entities = [item.known.entity for item in items]
        keys = [item.known.key or self._unit.mapper.address(item.known) for item in items]
        changes = None
        if items and items[0].kind is Kind.UPDATE and entity_type is not None:
            changes = Changes(entities, keys, [self._changes(item) for item in items])
        return CommitEvent(name, self._session, entities, keys, type=entity_type, changes=changes, round=self.rounds)

    def _changes(self, item: Staged[S]) -> Any:
        fields = self._unit.mapper.fields
        return diff({} if item.before is None else fields(item.before.known), fields(item.content))

    def _whole(self, name: str, items: Iterable[Staged[S]], saved: Saved | None = None) -> CommitEvent:
        event = self._event(name, list(items), None)
        if saved is not None:
            event.keys = [*saved.removed, *saved]
        return event

    def _call(self, event: CommitEvent, entity_type: type | None, name: str | None) -> Generator[Any, Any, None]:
        hooks = self._listeners.hooks(event.name, entity_type, name)
        if hooks:
            yield HookCall(hooks, event, Calling(self._unit, self._note))

    def _note(self, known: Tracked[S] | None, undo: Callable[[], None], hook: str) -> None:
        self._undo.append(undo)
        if known is not None:
            self._queued[id(known)] = known
            self._blame = hook


def _fields(content: Content[S]) -> bytes | None:
    return content if content is None or isinstance(content, bytes) else content.known
