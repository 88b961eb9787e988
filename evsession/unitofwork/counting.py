"""What is to be added to fields instead of setting them, and what commits that were called have frozen of it.

Knows staged items and the mapper. Sums are pending in the entity, then in what a commit has frozen, then in the database.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeGuard, TypeVar

from evsession.unitofwork.changes import MISSING, diff, is_same
from evsession.unitofwork.mapper import Mapper
from evsession.unitofwork.tracking import Kind, Picture, Staged, Tracked

__all__ = ["Counting", "added", "completed"]

S = TypeVar("S", bound=Picture)


class Counted(Protocol[S]):
    """What was to add something to fields of an entity."""

    known: Tracked[S]
    increments: dict[str, Any] | None


class Counting(Generic[S]):
    """Increments of the entities of one session.

    Attributes:
        mapper: The database's side.
    """

    def __init__(self, mapper: Mapper[S]) -> None:
        self.mapper = mapper
        self._frozen: list[Sequence[Staged[S]]] = []

    def increment(self, known: Tracked[S], field: str, amount: Any) -> None:
        """Have the next commit add to a field on the server."""
        known.increments = {**(known.increments or {}), field: (known.increments or {}).get(field, 0) + amount}

    @staticmethod
    def _decrement(holder: Tracked[S] | Staged[S], field: str, amount: Any) -> None:
        """Take back an addition, if it was not made part of an assignment; then nothing may be left to add."""
        sums = {**(holder.increments or {})}
        left = sums.pop(field, amount) - amount
        holder.increments = {**sums, **({field: left} if left else {})} or None

    def decrementing(self, known: Tracked[S], field: str, amount: Any, *, is_counted: bool) -> Callable[[], None]:
        """Return what takes back an addition to a field, also from commits that are called from now on and wait by then.

        Args:
            known: The entity.
            field: The field.
            amount: What was added.
            is_counted: Whether that is sent as an increment; the content of a new entity has the sum.
        """
        before = list(self._frozen)

        def undo() -> None:
            frozen = [one for one in self._frozen if not any(one is other for other in before)]
            for item in self._waiting_items(known, frozen):
                fields = self.mapper.fields(item.content)
                if _is_number(fields.get(field)):
                    item.revise(self.mapper.compose({**fields, field: fields[field] - amount}))
            if is_counted:
                # Those of the commit that fails are its own until it has ended.
                holders = (item for item in self._items_of(known) if not item.is_settled and field in (item.increments or {}))
                self._decrement(next(holders, known), field, amount)

        return undo

    @staticmethod
    def take_increments(item: Staged[S]) -> None:
        """Let the item have what is pending to be added to fields of its entity."""
        pending, item.known.increments = item.known.increments or {}, None
        Counting._add_increments(item, pending)

    @staticmethod
    def _add_increments(item: Staged[S], increments: Mapping[str, Any]) -> None:
        sums = {**(item.increments or {})}
        for field, amount in increments.items():
            sums[field] = sums.get(field, 0) + amount
        item.increments = sums

    def waiting_for(self, known: Tracked[S]) -> Staged[S] | None:
        """Return what the next commit that was called, and has not begun, will write of the entity."""
        return next(self._waiting_items(known, self._frozen), None)

    @staticmethod
    def _waiting_items(known: Tracked[S], frozen: Iterable[Sequence[Staged[S]]]) -> Iterator[Staged[S]]:
        items = (item for one in frozen for item in one if item.known is known and item.kind is not Kind.DELETE)
        return (item for item in items if not (item.is_begun or item.is_given_up))

    def leave_increments(self, item: Counted[S], later: Iterable[Sequence[Staged[S]]]) -> None:
        """Leave what the item was to add to fields to the first of these commits that will write its entity, or else pending."""
        heirs = self._waiting_items(item.known, later)
        if isinstance(item, Staged) and item.is_reverted:  # what was frozen after that has nothing of it
            heirs = (heir for heir in heirs if heir.is_reverted)
        heir = next(heirs, None)
        if heir is None:
            self.give_back_increments(item)
        else:
            self._add_increments(heir, item.increments or {})
            item.increments = None

    def give_back_increments(self, item: Counted[S]) -> None:
        """Let what the item was to add to fields be pending again, unless the program has reverted that."""
        increments, item.increments = item.increments, None
        if isinstance(item, Staged) and item.is_reverted:
            return
        for field, amount in (increments or {}).items():
            self.increment(item.known, field, amount)

    def drop_increments(self, known: Tracked[S], names: Container[str]) -> None:
        """Add nothing to fields that were set; where a commit that waits has another value, it assigns that."""
        holders: list[Tracked[S] | Staged[S]] = [known, *self._waiting_items(known, self._frozen)]
        for holder in holders:
            holder.increments = {name: amount for name, amount in (holder.increments or {}).items() if name not in names} or None

    def revert_increments(self, known: Tracked[S]) -> None:
        """Give up what is to be added to fields; of what commits have frozen, if they do not write it."""
        known.increments = None
        for item in self._items_of(known):
            item.is_reverted = True

    def is_being_written(self, known: Tracked[S]) -> bool:
        """Return whether a commit that has begun is about to change what is known of the entity."""
        return known.writes > 0 and any(item.is_begun and not item.is_settled for item in self._items_of(known))

    def _items_of(self, known: Tracked[S]) -> Iterator[Staged[S]]:
        return (item for frozen in self._frozen for item in frozen if item.known is known)

    def additions(self, known: Tracked[S]) -> dict[str, Any]:
        """Return what is to be added to which field by commits that have been called or will be."""
        sums = dict(known.increments or {})
        for item in self._items_of(known):
            for field, amount in ({} if item.is_settled else item.increments or {}).items():
                sums[field] = sums.get(field, 0) + amount
        return sums

    def give_up(self, known: Tracked[S], *kinds: Kind) -> None:
        """Let commits that wait not do these things with an entity."""
        for item in self._items_of(known):
            if item.kind in kinds and not item.is_begun:
                item.is_given_up = True
                self.give_back_increments(item)

    def complete(self, known: Tracked[S], snapshot: S) -> None:
        """Let what commits have frozen of a reference be whole, now that it is known what it stands for."""
        fields = self.mapper.fields(snapshot.known)
        for item in self._items_of(known):
            if item.kind is Kind.UPDATE and not item.is_settled:
                item.revise(self.mapper.compose(completed(fields, self.mapper.fields(item.content), item.increments)))

    def under_way(self, known: Tracked[S]) -> list[bytes]:
        """Return what commits that have begun will have written of the entity; a deletion leaves nothing of it."""
        if not known.writes:
            return []
        return [item.content or self.mapper.compose({}) for item in self._items_of(known)]

    def hand_over(self, double: Tracked[S], known: Tracked[S]) -> None:
        """Let an entity have what is pending, and what commits that wait have frozen, of another object of it."""
        for field, amount in (double.increments or {}).items():
            self.increment(known, field, amount)
        before = {} if double.snapshot is None else self.mapper.fields(double.snapshot.known)
        for frozen in self._frozen:
            items = {id(item.known): item for item in frozen if not item.is_begun}
            given, item = items.get(id(double)), items.get(id(known))
            if given is None or item is None or item.kind is Kind.DELETE:
                continue
            if given.kind is Kind.DELETE:
                item.kind = Kind.DELETE
                item.revise(b"")
                continue
            fields, sums = self.mapper.fields(item.content), given.increments or {}
            for name, change in diff(before, self.mapper.fields(given.content)).items():
                fields[name] = fields.get(name, 0) + sums[name] if name in sums else change.new
            item.revise(self.mapper.compose({name: value for name, value in fields.items() if value is not MISSING}))
            self._add_increments(item, sums)
            given.increments = None
            given.revise(self.mapper.compose(before))

    def settle_increments(self, item: Staged[S], fields: Mapping[str, Any], set_field: Callable[[Any, str, Any], None]) -> None:
        """Take over what the server made of increments: into the entity, the content that was sent, and what waits behind it.

        Args:
            item: What was written.
            fields: The entity's fields on the server.
            set_field: Sets a field of an entity.
        """
        content = self.mapper.fields(item.content)
        for field in item.increments or {}:
            sent, made = content.get(field), fields.get(field)
            if not (_is_number(made) and _is_number(sent)):  # a field of a reference is not known here
                continue
            content[field] = made
            if is_same(sent, made):
                continue
            more = made - sent
            now = self.mapper.fields(self.mapper.content(item.known)).get(field)
            if _is_number(now):
                set_field(item.known.entity, field, now + more)
            self._shift_waiting(item, field, more)
        item.revise(self.mapper.compose(content))
        item.increments = None

    def recount(self, known: Tracked[S]) -> None:
        """Let only those increments be pending that came after what the snapshot says."""
        if known.snapshot is None or not known.increments:
            return
        before, now = self.mapper.fields(known.snapshot.known), self.mapper.fields(self.mapper.content(known))
        known.increments = {
            field: now[field] - before[field]
            for field in known.increments
            if _is_number(now.get(field)) and _is_number(before.get(field)) and now[field] != before[field]
        } or None

    def _shift_waiting(self, item: Staged[S], field: str, more: Any) -> None:
        """Let those commits of the same entity that were called meanwhile count from the server's value, too."""
        for waiting in (other for frozen in self._frozen for other in frozen):
            if waiting.known is item.known and waiting is not item:
                later = self.mapper.fields(waiting.content)
                if _is_number(later.get(field)):
                    later[field] += more
                    waiting.revise(self.mapper.compose(later))


def completed(fields: Mapping[str, Any], own: Mapping[str, Any], increments: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the fields with what is to be added to them, and what is set."""
    known = {name: fields.get(name, 0) for name in increments or {}}
    sums = {name: value + (increments or {})[name] for name, value in known.items() if _is_number(value)}
    return {**fields, **sums, **own}


def added(value: Any, amount: Any) -> Any:
    """Return the sum that a field has after an increment; where there is nothing it is 0 before, and `MISSING` for no number."""
    return amount if value is None else value + amount if isinstance(value, (int, float)) else MISSING


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
