"""New values for entities that are known: what a reload, an answer that came by the way, or the last snapshot makes of them.

Knows the codec and the unit of work. Which entities are concerned is the workspace's to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, TypeAlias

from evsession.errors import ConfigurationError, InvalidDocument
from evsession.raven.codec import assign, decode_entity, refill, set_key, set_metadata, set_stored
from evsession.raven.document import Document
from evsession.raven.reference import base_of, become_loaded, forget_written, write_fields, written_fields
from evsession.raven.shapes import shape_of
from evsession.raven.snapshots import Snapshot
from evsession.raven.storable import take_metadata
from evsession.raven.versions import is_later
from evsession.raven.vocabulary import CHANGE_VECTOR, METADATA
from evsession.session.documents.mapper import Known
from evsession.unitofwork.changes import MISSING, diff, is_same
from evsession.unitofwork.counting import added, completed
from evsession.unitofwork.unit import UnitOfWork
from evsession.wire.json import JSON, decode

__all__ = ["Renewal", "Row", "is_behind"]

Row: TypeAlias = dict[str, JSON]


class Renewal:
    """Gives entities of one session new values."""

    def __init__(self, unit: UnitOfWork[Snapshot]) -> None:
        self._unit = unit

    def renew(self, known: Known, row: Row, metadata: Mapping[str, JSON], version: str | None) -> None:
        """Let an entity without edits take the values of a newer row; one with edits keeps them and its old version.

        What only stands for a document goes on doing so.

        Args:
            known: The entity.
            row: What the server has.
            metadata: What the server says of it.
            version: The entity's version when the server was asked; if it is another one by now, the row may be the older one.
        """
        is_old = known.version != version and not is_later(metadata.get(CHANGE_VECTOR), known.version)
        is_busy = self._unit.is_being_written(known) or self._unit.is_pending(known)
        if is_old or is_busy or known.is_reference or known.unsure is not None:
            return
        known.snapshot = refill(known.entity, row, key=known.key)
        _take_facts(known, metadata)

    def load_reference(self, known: Known, row: Row, metadata: dict[str, JSON]) -> None:
        """Let what stood for a document be it; what the program has set stays set, as an edit of what was read."""
        cls = base_of(type(known.entity))
        fresh, snapshot = decode_entity(row, None if cls is Document else cls, key=known.key)
        row = dict(row)
        own = written_fields(known.entity)
        become_loaded(known.entity, fresh)
        undo = (self._unit.journal or {}).get(id(known))
        staged = {} if undo is None else undo.increments or {}
        for field, amount in chain(self._unit.additions(known).items(), staged.items()):
            value = row.get(field, 0)
            if field not in own and isinstance(value, (int, float)):
                row[field] = value + amount
                set_stored(known.entity, field, row[field])
        known.is_reference, known.facts, known.version = False, metadata, metadata.get(CHANGE_VECTOR)
        set_metadata(known.entity, metadata)
        self._unit.complete(known, snapshot)
        if undo is None:
            known.snapshot = snapshot
        else:  # what the transaction has staged stays staged
            fields = self._unit.mapper.fields
            own_fields = {} if known.snapshot is None else fields(known.snapshot.known)
            undo.snapshot = snapshot
            content = self._unit.mapper.compose(completed(fields(snapshot.known), own_fields, staged))
            known.snapshot = self._unit.mapper.picture(content, snapshot)

    def revert(self, known: Known) -> None:
        """Let the entity be as it was loaded or written last."""
        if known.snapshot is None:
            raise ConfigurationError(f"{known.entity!r} is new: there is nothing that it could go back to")
        known.increments = None
        if not known.is_removed and id(known) not in (self._unit.journal or {}):
            known.unsure = None  # whether that was written does not matter any more
        if known.is_reference:
            forget_written(known.entity)
            write_fields(known.entity, decode(known.snapshot.known))
        else:
            known.snapshot = refill(known.entity, decode(known.snapshot.raw), key=known.key)
        set_key(known.entity, known.key)

    def refresh(self, known: Known, row: Row, *, force: bool) -> bool:
        """Let the entity be as the server has it, and return whether what became of its last write is known.

        After a write whose outcome was unknown, the row tells it: if it is what was sent, the write is taken note of, and
        later edits stay edits; otherwise it did not happen, and what is pending stays so. Of an increment only the version
        tells that: when somebody else has written since, nobody knows, and without `force` everything stays as it is.
        """
        metadata = take_metadata(row)
        if not known.is_reference and self._is_overtaken(known, metadata, force=force):
            return True
        if known.unsure is not None and not self._unit.is_being_written(known):
            if self._take_note_of_heir(known, row, metadata):
                return True
            is_noted = not known.is_reference and self._take_note(known, row, metadata)
            is_unclear = not is_noted and self._is_unclear(known, metadata)
            if is_unclear and not force:
                return False
            known.unsure = None
            if is_unclear:
                self._unit.unstage(known)
                known.increments = None
            stays = known.is_removed or known.snapshot is None or (not force and self._unit.is_pending(known))
            if (is_noted and not force) or (stays and not known.is_reference):
                return True
        if known.is_reference:
            self.load_reference(known, row, metadata)
        elif not force and self._unit.has_edits(known):
            self._take_rest(known, row, metadata)
        else:
            self._unit.unstage(known)
            known.increments = None
            known.snapshot = refill(known.entity, row, key=known.key)
            _take_facts(known, metadata)
        return True

    def _is_overtaken(self, known: Known, metadata: Mapping[str, JSON], *, force: bool) -> bool:
        """Return whether the entity is newer than the answer, or what was made of it since is to be written or staged."""
        is_new = known.snapshot is None and known.unsure is None  # what is new is not asked for; its write was found not to be
        if is_new or self._unit.is_being_written(known):
            return True
        is_taken = known.writes > 0 or (not force and id(known) in (self._unit.journal or {}))
        return known.unsure is None and (is_taken or is_later(known.version, metadata.get(CHANGE_VECTOR)))

    def _is_unclear(self, known: Known, metadata: Mapping[str, JSON]) -> bool:
        """Return whether somebody else has changed what the session may have incremented."""
        undo = (self._unit.journal or {}).get(id(known))
        adds = known.increments or (undo is not None and undo.increments)
        return bool(adds) and not known.is_removed and metadata.get(CHANGE_VECTOR) != known.version

    def _take_rest(self, known: Known, row: Row, metadata: Mapping[str, JSON]) -> None:
        """Take over what was not edited since the server was asked; an entity that cannot be stored stays as it is.

        One of which the same field was edited by somebody else keeps its version, so that its next save, if versions are checked,
        is refused.
        """
        mapper, entity = self._unit.mapper, known.entity
        assert known.snapshot is not None  # what is new is not asked for
        before = mapper.fields(known.snapshot.known)
        try:
            now = mapper.fields(mapper.content(known))
        except InvalidDocument:
            return
        sums = {name: by for name, by in (known.increments or {}).items() if is_same(now.get(name), added(before.get(name), by))}
        edited = [name for name in diff(before, now) if name not in sums]
        kept = {name: _value_of(entity, name) for name in _attributes(type(entity), edited)}
        known.snapshot = refill(entity, row, key=known.key)
        there = mapper.fields(known.snapshot.known)
        for name, value in kept.items():
            _put_value(entity, name, value)
        for name, amount in sums.items():
            set_stored(entity, name, there[name] if (total := added(there.get(name), amount)) is MISSING else total)
        if not any(name in edited for name in diff(before, there)):
            _take_facts(known, metadata)

    def _take_note(self, known: Known, row: Row, metadata: Mapping[str, JSON]) -> bool:
        """If the row is what was sent last, take note that it was written."""
        if not known.unsure:
            return False
        cls = base_of(type(known.entity))
        try:
            snapshot = decode_entity(dict(row), None if issubclass(cls, dict) else cls, key=known.key)[1]
        except InvalidDocument:  # another document than was sent
            return False
        if not is_same(decode(snapshot.known), decode(known.unsure)):
            return False
        known.unsure = None
        known.snapshot, known.is_written = snapshot, True
        (self._unit.journal or {}).pop(id(known), None)  # what was staged has been written, and shall not be again
        self._unit.forget_former(known)
        self._unit.recount(known)
        set_key(known.entity, known.key)
        _take_facts(known, metadata)
        return True

    def _take_note_of_heir(self, known: Known, row: Row, metadata: Mapping[str, JSON]) -> bool:
        """If the row is what was to take the entity's place in the write that deletes it, take note that both were written."""
        heir = None if known.unsure != b"" or known.key is None else self._unit.map.get(known.key)
        return heir is not None and heir is not known and self._take_note(heir, row, metadata)


def is_behind(known: Known, row: Row) -> bool:
    """Return whether the row is older than what the session has written to the document of which it has only a reference."""
    metadata = row.get(METADATA)
    return known.is_reference and isinstance(metadata, dict) and is_later(known.version, metadata.get(CHANGE_VECTOR))


def _take_facts(known: Known, metadata: Mapping[str, JSON]) -> None:
    known.facts = {**known.facts, **metadata}
    known.version = known.facts.get(CHANGE_VECTOR)
    set_metadata(known.entity, known.facts)


def _attributes(cls: type, fields: Iterable[str]) -> list[str]:
    """Return the attributes of the class for fields by their names in JSON."""
    names = {} if issubclass(cls, dict) else {stored: name for name, stored in shape_of(cls).names.items()}
    return [names.get(field, field) for field in fields]


def _value_of(entity: Any, name: str) -> Any:
    return entity.get(name, MISSING) if isinstance(entity, dict) else getattr(entity, name, MISSING)


def _put_value(entity: Any, name: str, value: Any) -> None:
    if isinstance(entity, dict):
        entity.pop(name, None)
        entity.update({} if value is MISSING else {name: value})
    elif value is not MISSING:
        assign(entity, name, value)
    else:
        vars(entity).pop(name, None)
