"""What a session remembers, joined to what a row means: rows become entities here, and programs name entities and keys.

Knows the unit of work and the codec. Does no I/O, and never waits: every change of what is remembered is one synchronous step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from evsession.config import Conventions
from evsession.errors import ConfigurationError
from evsession.raven.codec import build_known, decode_known, id_of, set_key, set_metadata
from evsession.raven.document import Document, make_known
from evsession.raven.keys import check_new_key, key_from_id
from evsession.raven.reference import is_reference, make_reference
from evsession.raven.snapshots import Doubtful, Snapshot
from evsession.raven.storable import chosen_facts, own_metadata, take_metadata
from evsession.raven.types import collection_of, info_of, is_storable_entity, type_of_collection
from evsession.raven.vocabulary import CHANGE_VECTOR, COLLECTION, ID, METADATA, PROJECTION
from evsession.session.documents.deletions import Deletions
from evsession.session.documents.doubles import take_over
from evsession.session.documents.mapper import DocumentMapper, Known
from evsession.session.documents.renewal import Renewal, Row, is_behind
from evsession.unitofwork.acquaintances import Acquaintances
from evsession.unitofwork.identity_map import fold
from evsession.unitofwork.tracking import Tracked
from evsession.unitofwork.unit import UnitOfWork
from evsession.wire.json import JSON

__all__ = ["Moment", "Workspace"]

NOTHING = Snapshot(b"{}", b"{}")
"""What is known of a document of which only the key is known."""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """When something was asked.

    Attributes:
        deletions: How many documents the session had deleted.
        versions: The versions of the entities that were known and shall be renewed, by their place in memory; None if the
            answer is to renew nothing.
    """

    deletions: int
    versions: dict[int, str | None] | None


class Workspace:
    """The entities of one session.

    Args:
        conventions: The session's.
        tracks: Whether entities that are read are remembered and compared; if not, only what is added is written.

    Attributes:
        unit: What is to be written.
        renewal: What gives entities new values from the server.
        tracks: As given.
        deletions: What was deleted.
        lost: How many batches there were of which nobody knows what became.
    """

    def __init__(self, conventions: Conventions, *, tracks: bool = True) -> None:
        self.tracks = tracks
        self._mapper = DocumentMapper(conventions)
        self.unit: UnitOfWork[Snapshot] = UnitOfWork(self._mapper, detects=tracks)
        self.renewal = Renewal(self.unit)
        self._map = self.unit.map
        self._met: Acquaintances[Snapshot] | None = None if tracks else Acquaintances()
        self.deletions = Deletions()
        self.lost = 0

    def find(self, key: str) -> Any | None:
        """Return the entity with this key, or None."""
        known = self._map.get(key)
        return None if known is None else self._presentable(known)

    def loaded(self, key: str) -> Any | None:
        """Return the entity with this key if it is more than a reference, or None."""
        known = self._map.get(key)
        return None if known is None or known.is_reference else self._presentable(known)

    def _presentable(self, known: Known) -> Any:
        """Return the entity; a plain dict that was stored becomes a `Document` when it is asked for by its key."""
        if type(known.entity) is dict:
            document = Document(known.entity)
            self._map.replace(known, document)
            set_key(document, known.key)
            if known.snapshot is not None:
                set_metadata(document, known.facts)
        return known.entity

    def of(self, entity: Any) -> Known | None:
        """Return what is known of this object."""
        return self._map.of(entity)

    def now(self, *, renews: bool = False) -> Moment:
        """Return the moment of a request, since its answer may be older than what has happened when it comes.

        Args:
            renews: Whether known entities shall take the answer's values.
        """
        versions = {id(known): known.version for known in self._map} if renews else None
        return Moment(self.deletions.count, versions)

    def admit(self, rows: Iterable[Row], cls: type | None, asked: Moment) -> list[Any]:
        """Return the entities that the rows stand for: those that are known, or new ones that are known from now on.

        A known entity keeps its values, whether they were edited or are only old, unless the request was to renew it and it has
        no edits. A row without an identity (a projection, a reduction), or of a document that was deleted since the request,
        becomes an entity that is not remembered.
        """
        entities: list[Any] = []
        room = bytearray()
        types: dict[str, type] = {}  # asked for each collection once, not for each of the many rows
        find, met = self._map.find, self._met
        may_be_gone = self.deletions.count != asked.deletions
        for row in rows:
            metadata: Any = row.get(METADATA)
            key = metadata.get(ID) if metadata.__class__ is dict else None
            if key is None or PROJECTION in metadata:
                entities.append(self._untracked(row))
                continue
            folded = key.lower() if key.isascii() else fold(key)
            known = find(folded)
            if known is not None:
                entities.append(self._meet_again(known, row, asked))
                continue
            if may_be_gone and self.deletions.has_been_since(folded, asked.deletions):
                entities += self.materialize([row], cls)
                continue
            collection = metadata.get(COLLECTION, "")
            found = types.get(collection)
            if found is None:
                found = types[collection] = cls or type_of_collection(collection) or Document
            entity, snapshot = decode_known(row, found, key, metadata, room)
            learnt = Tracked(entity, key, metadata.get(CHANGE_VECTOR), snapshot, metadata)
            if met is None:
                self._map.learn(key if key == folded else folded, learnt)  # the same text is not kept twice
            else:
                met.meet(learnt)
            entities.append(entity)
        return entities

    def _meet_again(self, known: Known, row: Row, asked: Moment) -> Any:
        if known.is_reference:
            if not is_behind(known, row):
                self.renewal.load_reference(known, row, take_metadata(row))
        elif asked.versions is not None:
            # What was saved or met since the request may be newer than the answer.
            self.renewal.renew(known, row, take_metadata(row), asked.versions.get(id(known)))
        return self._presentable(known)

    def _untracked(self, row: Row) -> Document:
        metadata = take_metadata(row)
        document = Document(row)
        set_metadata(document, metadata)
        return document

    def materialize(self, rows: Iterable[Row], cls: type | None = None) -> Iterator[Any]:
        """Yield the rows as entities that nobody remembers, for streams."""
        types: dict[str, type] = {}
        for row in rows:
            metadata: Any = row.get(METADATA)
            key = metadata.get(ID) if metadata.__class__ is dict else None
            if key is None or PROJECTION in metadata:
                yield self._untracked(row)
                continue
            collection = metadata.get(COLLECTION, "")
            if collection not in types:
                types[collection] = cls or type_of_collection(collection) or Document
            found = types[collection]
            # The kind of nearly every row is made without a further call and question.
            yield make_known(Document, row, key, metadata) if found is Document else build_known(row, found, key, metadata)

    def store(
        self,
        entity: Any,
        key: str | None = None,
        collection: str | None = None,
        metadata: Mapping[str, JSON] | None = None,
    ) -> None:
        """Remember an entity until the next commit, and know it by its key if its id or the program says one.

        Raises:
            KeyConflict: another object of this session has the key.
        """
        known = self._map.of(entity)
        if known is not None:
            self._check_again(known, key, collection, metadata)
            if self._met is not None:
                self._met.note_again(known)
            self.unit.take_back(known)
            if isinstance(known.snapshot, Doubtful):
                known.snapshot = None
            self.deletions.note_stored(known)
            return
        met = None if self._met is None else self._met.take(entity)
        if met is not None:
            self.unit.add(met)
            return
        if is_reference(entity):
            raise ConfigurationError(f"{entity!r} refers to a document of another session; get a reference from this one")
        facts, version = own_metadata(entity)
        if collection is not None or metadata is not None:
            facts.update(chosen_facts(collection, metadata))
        if key is None:
            self.unit.add(Tracked(entity, self._key_of_id(entity, collection), version, None, facts))
            return
        self.unit.add(Tracked(entity, check_new_key(key), version, None, facts, is_named=True))
        set_key(entity, key)

    def _check_again(self, known: Known, key: str | None, collection: str | None, metadata: Mapping[str, JSON] | None) -> None:
        """Let a new entity that is stored again have what is said of it now; one that is in the database has all that already.

        Raises:
            KeyConflict: another object of this session has the key.
            ConfigurationError: the entity is in the database, with another key, collection or metadata.
        """
        facts = chosen_facts(collection, metadata)
        if known.snapshot is None and not known.writes:
            if key is not None:
                self._map.rekey(known, check_new_key(key))
                known.is_named = True
                set_key(known.entity, key)
            known.facts.update(facts)
            return
        named = {} if key is None else {"key": (known.key, key)}
        said = {name: (known.facts.get(name), value) for name, value in facts.items()}
        for name, (now, chosen) in {**named, **said}.items():
            if now != chosen:
                raise ConfigurationError(
                    f"{known.entity!r} is known to this session with the {name} {now!r}, not {chosen!r}; store a copy to have"
                    " both, or patch the document",
                    key=known.key,
                )

    def _key_of_id(self, entity: Any, collection: str | None) -> str | None:
        """Return the key that the entity's id means, by which reads may know it already.

        An id may change until the save, so one that can be none is the save's to refuse.
        """
        try:
            given = id_of(entity)
            return None if given is None else self._mapper.key_meant(given, entity, collection)
        except ConfigurationError:
            return None

    def remove(self, target: Any) -> None:
        """Queue a deletion: of an entity that is known, or of what has the key that is named.

        Raises:
            ConfigurationError: it has no key and was never added.
            KeyConflict: another object of this session has the key.
        """
        known = self._map.of(target)
        if known is None and isinstance(target, str):
            known = self._map.get(check_new_key(target))
        if known is None and self._met is not None and (met := self._met.take(target)) is not None:
            self._map.add(met)
            known = met
        if known is None:
            known = self._stand_in(target)
        elif not known.writes:
            self.doubt(known)
        self.unit.remove(known)

    def doubt(self, known: Known) -> None:
        """Remember a new document that is to be deleted, if a lost write may have brought it into the database."""
        if known.snapshot is None and known.unsure and known.key is not None:
            known.snapshot = Doubtful(known.unsure, known.unsure)

    def _stand_in(self, target: Any) -> Known:
        """Return what is known of a document that this session has not met: its key."""
        key, version = self.address(target)
        if key is None:
            raise ConfigurationError(f"{target!r} has no key and was not added to this session, so it cannot be removed")
        entity = make_reference(Document, check_new_key(key)) if isinstance(target, str) else target
        known = Tracked(entity, key, version, NOTHING, own_metadata(entity)[0], is_named=True, is_reference=is_reference(entity))
        self._map.add(known)
        return known

    def refer(self, cls: Any, key: str) -> Any:
        """Return the entity with this key, or one that only holds the key; it is remembered like any other.

        Raises:
            TypeError: the type is none.
            ConfigurationError: no document can have the key, or there can be no reference of this type.
        """
        collection, named = collection_of(cls)
        info = None if named is None else info_of(named)
        separator = (info and info.id_separator) or self._mapper.separator
        full = key_from_id(key, collection, separator)
        known = self._map.get(full)
        if known is not None:
            return self._presentable(known)
        entity: Any = make_reference(named or Document, full)
        facts = {COLLECTION: collection}
        self._map.add(Tracked(entity, full, None, NOTHING, facts, is_named=True, is_reference=True))
        return entity

    def known(self, entity: Any) -> Known:
        """Return what is known of this object.

        Raises:
            ConfigurationError: nothing; it was not loaded here, nor added.
        """
        known = self._map.of(entity)
        if known is None:
            why = (
                "it was neither loaded nor added here" if self._met is None else "it has no identity map, and this was not added"
            )
            raise ConfigurationError(f"{entity!r} is not known to this session: {why}")
        return known

    def settle_missing(self, known: Known) -> bool:
        """Take note that the server has no document of an entity; return whether that is as it should be.

        It is for one that is new or was forgotten since the server was asked, and where it tells the outcome of a write.
        """
        if known.unsure is not None and self.unit.is_being_written(known):
            return True  # that write will tell
        unsure, known.unsure = known.unsure, None
        if unsure == b"":
            self.deletions.note(known.key or "")
            self.unit.forget(known)
        return unsure is not None or known.snapshot is None or self._map.of(known.entity) is not known

    def address(self, target: Any) -> tuple[str | None, str | None]:
        """Return key and version of what a program names: a key, a document, or ``{"key": ..., "etag": ...}``."""
        if isinstance(target, str):
            return target, None
        known = self._map.of(target)
        if known is not None:
            return self._mapper.address(known), known.version
        if type(target) is dict and "key" in target:
            if unknown := set(target) - {"key", "etag"}:
                raise ConfigurationError(f"what to delete is named by 'key' and 'etag', not by {sorted(unknown)}")
            return target["key"], target.get("etag")
        if not is_storable_entity(target):
            raise TypeError(f"a {type(target).__name__} cannot be deleted: give a key, a document or a list of these")
        version = target.metadata.get(CHANGE_VECTOR) if isinstance(target, Document) else None
        return self._mapper.chosen_key(target, None), version

    def name(self, known: Known, key: str) -> None:
        """Give a new entity a key that was made here; it keeps it if the save fails, so that saving again sends the same."""
        self._map.rekey(known, key)
        known.is_named = True

    def let_go(self, known: Known) -> None:
        """Forget an entity that was written, if this session remembers none and nothing more is to be done with it."""
        if self._met is not None and self._met.may_go(known, self._mapper):
            self._map.remove(known)
            self._met.meet(known)

    def settle_key(self, known: Known, key: str) -> None:
        """Take note of the key that the server has made."""
        double = self._map.get(key)
        if double is not None and double is not known:
            take_over(self.unit, known, double)
        self._map.rekey(known, key)

    def forget(self, key: str, known: Known | None) -> None:
        """Forget a document that is gone, and what was known of it when its deletion was called; stored again, it is new."""
        self.deletions.note(key)
        if known is not None and self.deletions.is_stored_again(known):
            (self.unit.journal or {}).pop(id(known), None)
            known.snapshot = known.version = None
            return
        if known is None:
            # What a read brought while the deletion was under way is gone; what the program stored or wrote is its own.
            known = self._map.get(key)
            if known is None or known.snapshot is None or known.is_written:
                return
        self.unit.forget(known)
        # Stored again it is a new document, with the metadata that is the program's own.
        set_metadata(known.entity, own_metadata(known.entity)[0])

    def discard(self, entity: Any) -> bool:
        """Take back a `store` that was not saved; return whether there was one."""
        known = self._map.of(entity)
        if known is None or known.snapshot is not None:
            return False
        if known.writes:
            raise ConfigurationError(f"{entity!r} is being saved and has no key yet; delete it when that has ended")
        self._map.remove(known)
        return True

    def known_as(self, key: str) -> Known | None:
        """Return what is known under this key."""
        return self._map.get(key)

    def __len__(self) -> int:
        return len(self._map)
