"""The unit of work: what is new, changed and removed, frozen when a commit is called, and given back when it fails.

Knows entities, their pictures and the identity map. How an entity is encoded, keyed and written is the mapping's, one for each
database. Does no I/O, and never waits: every change of what is remembered is one synchronous step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from evsession.errors import InvalidDocument, KeyConflict
from evsession.unitofwork.changes import Change, diff
from evsession.unitofwork.counting import Counting
from evsession.unitofwork.hooks import calling
from evsession.unitofwork.identity_map import IdentityMap, fold
from evsession.unitofwork.mapper import Mapper
from evsession.unitofwork.tracking import Kind, Picture, Staged, Tracked

__all__ = ["Content", "UnitOfWork"]

S = TypeVar("S", bound=Picture)

Content: TypeAlias = bytes | S | None
"""What an entity is like: its fields, or the snapshot from which it does not differ; None if it cannot be stored."""

ORDER = {kind: place for place, kind in enumerate(Kind)}


class Undo(msgspec.Struct, Generic[S], eq=False):
    """What an entity was before a transaction staged it.

    Attributes:
        known: The entity.
        snapshot: Its snapshot outside of the transaction.
        increments: Its increments, of all flushes of the transaction.
    """

    known: Tracked[S]
    snapshot: S | None
    increments: dict[str, Any] | None = None


class UnitOfWork(Counting[S]):
    """The entities of one session and what is to be done with them.

    Args:
        mapper: The database's side.
        detects: Whether changes of known entities are looked for.
        fold: Returns what two keys of the same entity have in common; RavenDB's rule unless told otherwise.

    Attributes:
        map: The entities that are known.
        journal: What the open transaction has staged, by place in memory; None when no transaction is open.
        regrets: What takes back what hooks have queued and vetoed for it, should it be rolled back.
        detects: Whether changes of known entities are looked for.
    """

    def __init__(self, mapper: Mapper[S], *, detects: bool = True, fold: Callable[[str], str] = fold) -> None:
        super().__init__(mapper)
        self.map: IdentityMap[S] = IdentityMap(fold)
        self.detects = detects
        self.journal: dict[int, Undo[S]] | None = None
        self.regrets: list[Callable[[], None]] = []

    def add(self, known: Tracked[S]) -> None:
        """Queue a new entity.

        Raises:
            KeyConflict: its key belongs to another object; nothing is changed then.
        """
        self.map.add(known)
        if calling(self) is not None:  # seldom, and a function that may take it back costs more than all the rest of this
            self._note(known, partial(self.take_out, known))

    def take_back(self, known: Tracked[S]) -> None:
        """Take an entity out of the queue of removals.

        Raises:
            KeyConflict: another object has been added under its key.
        """
        if known.is_removed:
            rival = None if known.key is None else self.map.get(known.key)
            if rival is not None and rival is not known:
                raise KeyConflict(f"{known.key!r} is the key of another object in this session", key=known.key)
            was_flushed, known.is_removed, known.is_flushed = known.is_flushed, False, False
            self._note(known, lambda: self._put_removed(known, flushed=was_flushed))

    def remove(self, known: Tracked[S]) -> None:
        """Queue a deletion; a new entity only leaves the queue."""
        if known.snapshot is None and not known.writes:
            self.map.remove(known)
            self._note(known, lambda: self.map.add(known))
        elif not known.is_removed:
            known.is_removed = True
            self._note(known, lambda: self._put_back(known))

    def _put_back(self, known: Tracked[S]) -> None:
        """Undo a removal, unless its key has gone to another object; commits that wait do not delete it either."""
        with suppress(KeyConflict):
            self.take_back(known)
            self.give_up(known, Kind.DELETE)

    @staticmethod
    def _put_removed(known: Tracked[S], *, flushed: bool) -> None:
        known.is_removed, known.is_flushed = True, flushed

    def _note(self, known: Tracked[S], undo: Callable[[], None]) -> None:
        call = calling(self)
        if call is not None:
            call.queue(known, undo)

    def put_back(self, known: Tracked[S]) -> None:
        """Know an entity again, unless another one has its key by now."""
        with suppress(KeyConflict):
            self.map.add(known)

    def forget(self, known: Tracked[S]) -> None:
        """Forget an entity, and what was to be done with it."""
        self.map.remove(known)
        if self.journal:
            self.journal.pop(id(known), None)

    def take_out(self, known: Tracked[S]) -> None:
        """Forget an entity that is not to be written after all, not even by commits that were called meanwhile and wait."""
        self.map.remove(known)
        self.give_up(known, *Kind)

    def forget_former(self, known: Tracked[S]) -> None:
        """Forget what was deleted in the very write that is known to have brought another entity under its key."""
        for former in () if known.key is None else self.map.former(known.key):
            if former.unsure == b"":
                self.forget(former)

    def clear(self) -> None:
        """Forget every entity. An open transaction stays open, without anything staged."""
        self.map.clear()
        self.regrets.clear()
        if self.journal:
            self.journal.clear()

    def freeze(self, only: Iterable[Tracked[S]] | None = None) -> list[Staged[S]]:
        """Return what is to be written as it is now: deletions, changed, new ones, each group in the order it was met.

        Every list that was returned is given to `release` in the end.

        Args:
            only: The entities to look at; all when left out.

        Raises:
            InvalidDocument: an entity cannot be stored; nothing is changed.
            KeyConflict: two new entities claim one key, or one claims that of another; nothing is changed.
        """
        mapper = self.mapper
        every = list(self.map if only is None else only)
        kept = [known for known in every if known.snapshot is not None and not known.is_removed]
        others = [known for known in every if known.snapshot is None or known.is_removed] if len(kept) < len(every) else []
        removed = [Staged(known, Kind.DELETE, b"") for known in others if known.is_removed and not known.is_flushed]
        added = [known for known in others if not known.is_removed]
        contents = mapper.contents(added)
        claims = mapper.claims(added)
        new = [Staged(known, Kind.INSERT, content, claim) for known, content, claim in zip(added, contents, claims, strict=True)]
        anyway = [] if self.detects else [known for known in kept if not known.is_reference]
        looked_at = kept if self.detects else [known for known in kept if known.is_reference]
        found = chain(mapper.scan(looked_at), zip(anyway, mapper.contents(anyway), strict=True))
        changed = [
            Staged(known, Kind.UPDATE, _known(known))
            if content is None
            else Staged(known, Kind.UPDATE, content, unlike=known.snapshot)
            for known, content in found
        ]
        self.claim_keys(new)
        staged = [*removed, *changed, *new]
        self.hold(staged)
        return staged

    def hold(self, staged: Sequence[Staged[S]]) -> None:
        """Note that a commit of these has begun."""
        for item in staged:
            item.known.writes += 1
            if item.known.increments:
                self.take_increments(item)
        self._frozen.append(staged)

    def claim_keys(self, new: Sequence[Staged[S]]) -> None:
        """Give new entities the keys that they claim.

        Raises:
            KeyConflict: one of them has another owner; nothing is changed.
        """
        claimed: dict[str, Tracked[S]] = {}
        named = []
        for item in new:
            if item.key == item.known.key:
                continue  # the map knows no second owner of a key
            key = self.mapper.key_of(item.key)
            if key is None:
                continue  # who makes keys makes no second
            rival = self.map.get(key)
            if rival is None or rival.is_removed:
                rival = claimed.setdefault(self.map.fold(key), item.known)
            if rival is not item.known:
                raise KeyConflict(f"{key!r} is the key of two objects in this session", key=key)
            named.append((item.known, key))
        for known, key in named:
            self.map.rekey(known, key)

    def release(self, staged: Sequence[Staged[S]]) -> None:
        """Note that a commit has ended, however it did; increments that were not written are pending again.

        A commit that was called after it and waits has the sum in what it writes, so it does the adding then. Those that were
        called before, which wait, too, if this one was cut off before its turn, have not.
        """
        place = next((place for place, one in enumerate(self._frozen) if one is staged), len(self._frozen))
        later = self._frozen[place + 1 :]
        self._frozen = [*self._frozen[:place], *later]
        for item in staged:
            known = item.known
            known.writes -= 1
            if item.increments:
                self.leave_increments(item, later)
            self.settle_unwritten(known)

    def settle_unwritten(self, known: Tracked[S]) -> None:
        """Forget what was removed while it was inserted, if that has failed."""
        if known.is_removed and known.snapshot is None and not known.writes:
            self.map.remove(known)

    def due(self, staged: Sequence[Staged[S]]) -> list[Staged[S]]:
        """Return what still differs from the database as far as that is known; an earlier commit may have written the same."""
        batch = []
        for item in staged:
            known = item.known
            item.is_begun = True
            if item.is_given_up:
                continue
            before = item.before = known.snapshot
            if item.kind is Kind.DELETE:
                if before is not None and self.map.of(known.entity) is known:
                    batch.append(item)
            elif before is None:
                item.kind = Kind.INSERT
                batch.append(item)
            elif item.increments or not self.detects or not item.is_like(before):
                item.kind = Kind.UPDATE
                batch.append(item)
        return batch

    def stage(self, batch: Sequence[Staged[S]]) -> None:
        """Make a batch part of the open transaction: as if it had been written, until the transaction ends."""
        assert self.journal is not None
        for item in batch:
            known = item.known
            item.is_settled = True
            undo = self.journal.setdefault(id(known), Undo(known, known.snapshot))
            for field, amount in (item.increments or {}).items():
                undo.increments = undo.increments or {}
                undo.increments[field] = undo.increments.get(field, 0) + amount
            item.increments = None
            if item.kind is Kind.DELETE:
                known.is_flushed = True
            else:
                known.snapshot = self.mapper.picture(item.content, known.snapshot)

    def note_written(self, known: Tracked[S], snapshot: S | None) -> None:
        """Take note that the program has written an entity by itself; a transaction that is open has staged it then."""
        if self.journal is not None:
            self.journal.setdefault(id(known), Undo(known, known.snapshot))
        known.snapshot = snapshot

    def joined(self, batch: Sequence[Staged[S]]) -> list[Staged[S]]:
        """Return the batch together with what the open transaction has staged, one item for each entity, in order of kinds."""
        items = {id(item.known): item for item in batch}
        joined = []
        for place, undo in (self.journal or {}).items():
            item = self._joined_with(undo, items.pop(place, None))
            if item is not None:
                joined.append(item)
        return sorted([*joined, *items.values()], key=lambda item: ORDER[item.kind])

    def _joined_with(self, undo: Undo[S], item: Staged[S] | None) -> Staged[S] | None:
        known = undo.known
        if known.is_flushed or (item is not None and item.kind is Kind.DELETE):
            return None if undo.snapshot is None else Staged(known, Kind.DELETE, b"", before=undo.snapshot)
        assert known.snapshot is not None
        increments = dict(undo.increments or {})
        for field, amount in (item.increments or {} if item is not None else {}).items():
            increments[field] = increments.get(field, 0) + amount
        content = known.snapshot.known if item is None else item.content
        if undo.snapshot is None:
            return Staged(known, Kind.INSERT, content, self.mapper.claim(known))
        if content == undo.snapshot.known and not increments:
            return None
        return Staged(known, Kind.UPDATE, content, increments=increments or None, before=undo.snapshot)

    def settle(self, written: Sequence[Staged[S]]) -> None:
        """Note that all that the open transaction has staged is in the database now; nothing is staged any more.

        What was staged and then undone in the transaction was not written: it is as it was before.
        """
        if self.journal is None:
            return
        self.regrets.clear()
        done = {id(item.known) for item in written}
        for place, undo in self.journal.items():
            known = undo.known
            if place not in done:
                known.snapshot = undo.snapshot
                if undo.snapshot is None:
                    known.is_removed = known.is_flushed = False
                    self.map.remove(known)
        self.journal = {}

    def end(self) -> None:
        """Let the open transaction be over; all that it has staged lasts."""
        self.journal = None
        self.regrets.clear()

    def roll_back(self) -> None:
        """Forget what the open transaction has staged: it is pending again, and a retry sends the same.

        What hooks have queued and vetoed is taken back, since they will be called again.
        """
        for undo in (self.journal or {}).values():
            known = undo.known
            known.snapshot, known.is_flushed = undo.snapshot, False
            if undo.increments:
                self.leave_increments(undo, self._frozen)
            if known.is_removed and known.snapshot is None:
                self.map.remove(known)
        self.journal = None
        regrets, self.regrets = self.regrets, []
        for regret in reversed(regrets):
            regret()

    def changes(self, known: Tracked[S]) -> dict[str, Change]:
        """Return the fields that would be written, with old and new values; all of a new entity's."""
        if known.is_removed:
            return {}
        old = {} if known.snapshot is None else self.mapper.fields(known.snapshot.known)
        return diff(old, self.mapper.fields(self.mapper.content(known)))

    def contents(self) -> dict[int, Content[S]]:
        """Return all entities as they are now, by their places in memory."""
        stored = [known for known in self.map if known.snapshot is not None]
        contents: dict[int, Content[S]] = {id(known): known.snapshot for known in stored}
        try:
            contents.update((id(known), content) for known, content in self.mapper.scan(stored) if content is not None)
        except InvalidDocument:  # which of them it is matters only if it is to be written
            contents.update((id(known), self._content(known)) for known in stored)
        contents.update((id(known), self._content(known)) for known in self.map if known.snapshot is None)
        return contents

    def _content(self, known: Tracked[S]) -> Content[S]:
        with suppress(InvalidDocument):
            return self.mapper.content(known) if known.snapshot is None else self.mapper.changed(known) or known.snapshot
        return None

    def kinds(self, entities: Sequence[Tracked[S]]) -> Iterator[tuple[Tracked[S], Kind]]:
        """Yield those entities with which a commit would do something now, and what that is.

        Raises:
            InvalidDocument: one of them cannot be stored.
        """
        stored = [known for known in entities if known.snapshot is not None and not known.is_removed]
        changed = {id(known) for known, content in self.mapper.scan(stored) if content is not None or known.increments}
        for known in entities:
            if known.is_removed:
                if not known.is_flushed:
                    yield known, Kind.DELETE
            elif known.snapshot is None:
                yield known, Kind.INSERT
            elif id(known) in changed or not (self.detects or known.is_reference):
                yield known, Kind.UPDATE

    def kind_of(self, known: Tracked[S]) -> Kind | None:
        """Return what a commit would do with the entity now."""
        return next((kind for _, kind in self.kinds([known])), None)

    def is_pending(self, known: Tracked[S]) -> bool:
        """Return whether the entity has anything that a commit would write, staged or not, or could not write."""
        return id(known) in (self.journal or {}) or self.has_edits(known)

    def has_edits(self, known: Tracked[S]) -> bool:
        """Return whether the entity has anything that a flush would write or stage, or could not."""
        try:
            return self.kind_of(known) is not None
        except InvalidDocument:
            return True

    def unstage(self, known: Tracked[S]) -> None:
        """Give up what the open transaction has staged of the entity."""
        undo = (self.journal or {}).pop(id(known), None)
        if undo is not None:
            known.snapshot, known.is_flushed = undo.snapshot, False


def _known(known: Tracked[S]) -> bytes:
    assert known.snapshot is not None
    return known.snapshot.known
