"""What a session remembers, joined to what a row means: rows become entities here, and entities become commands.

Knows the identity map and the codec. Does no I/O, and never waits: every change of what is remembered is one synchronous step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from evsession.config import Conventions
from evsession.errors import ConfigurationError, InvalidDocument, KeyConflict
from evsession.raven.batches import MUST_BE_NEW, Put, Written, with_metadata
from evsession.raven.codec import (
    Snapshot,
    build_entity,
    decode_entity,
    encode_entity,
    id_of,
    merge,
    refill,
    set_key,
    set_metadata,
)
from evsession.raven.document import Document, make_known, put_key, put_metadata
from evsession.raven.keys import KeySource, check_new_key, chosen_key, is_server_made, new_key
from evsession.raven.storable import checked_metadata, own_metadata, take_metadata
from evsession.raven.types import info_of, is_storable_entity, type_of_collection
from evsession.raven.vocabulary import CHANGE_VECTOR, COLLECTION, ID, LAST_MODIFIED, METADATA, PROJECTION, SERVER_METADATA
from evsession.unitofwork.identity_map import IdentityMap, fold
from evsession.unitofwork.tracking import Tracked
from evsession.wire.json import JSON, encode

__all__ = ["Moment", "Staged", "Workspace"]

Row: TypeAlias = dict[str, JSON]
Known: TypeAlias = Tracked[Snapshot]


class Moment(msgspec.Struct, frozen=True, gc=False):
    """When something was asked.

    Attributes:
        deletions: How many documents the session had deleted.
        versions: The versions of the entities that shall be renewed, by their place in memory.
    """

    deletions: int
    versions: dict[int, str | None]


class Staged(msgspec.Struct, eq=False, gc=False):
    """One document as it was when save was called.

    Attributes:
        known: What is remembered of it; by the time it is sent, an earlier save may have changed that.
        content: Its fields at the time of the call.
        key: The key to send, for a new one.
        body: What was sent: the content with the fields of the server that the entity's class does not know.
    """

    known: Known
    content: bytes
    key: str | KeySource | None = None
    body: bytes = b""

    @property
    def is_due(self) -> bool:
        """Whether it still differs from the database as far as that is known; an earlier save may have sent the same."""
        return self.known.snapshot is None or self.known.snapshot.known != self.content


class Workspace:
    """The entities of one session."""

    def __init__(self) -> None:
        self._map: IdentityMap[Snapshot] = IdentityMap()
        self._collections: dict[str, bytes] = {}
        self._deletions = 0
        self._deleted: dict[str, int] = {}
        """Which documents this session has deleted, and the how many-th deletion that was; see `Moment`."""

    def find(self, key: str) -> Any | None:
        """Return the entity with this key, or None."""
        known = self._map.get(key)
        return None if known is None else self._presentable(known)

    def _presentable(self, known: Known) -> Any:
        """Return the entity; a plain dict that was stored becomes a `Document` when it is asked for by its key."""
        if type(known.entity) is dict:
            document = Document(known.entity)
            self._map.replace(known, document)
            set_key(document, known.key)
        return known.entity

    def of(self, entity: Any) -> Known | None:
        """Return what is known of this object."""
        return self._map.of(entity)

    def now(self, *, renews: bool = False) -> Moment:
        """Return the moment of a request, since its answer may be older than what has happened when it comes.

        Args:
            renews: Whether known entities shall take the answer's values.
        """
        versions = {id(known): known.version for known in self._map} if renews else {}
        return Moment(self._deletions, versions)

    def admit(self, row: Row, cls: type | None, asked: Moment) -> Any:
        """Return the entity that the row stands for: the one that is known, or a new one that is known from now on.

        A known entity keeps its values, whether they were edited or are only old, unless the request was to renew it and it has
        no edits. A row without an identity (a projection, a reduction), or of a document that was deleted since the request,
        becomes an entity that is not remembered.
        """
        metadata = take_metadata(row)
        key = metadata.get(ID)
        if key is None or PROJECTION in metadata:
            return self._untracked(row, metadata)
        folded = key.lower() if key.isascii() else fold(key)
        known = self._map.find(folded)
        if known is not None:
            if asked.versions:
                self._renew_since(known, row, metadata, asked)
            return self._presentable(known)
        if self._deleted and self._deleted.get(folded, -1) >= asked.deletions:
            return self.materialize({**row, METADATA: metadata}, cls)
        cls = cls or type_of_collection(metadata.get(COLLECTION, ""))
        if cls is None:
            body = encode(row)
            entity, snapshot = make_known(row, key, metadata), Snapshot(body, body)
        else:
            entity, snapshot = decode_entity(row, cls, key=key)
            set_metadata(entity, metadata)
        self._map.learn(folded, Tracked(entity, key, metadata.get(CHANGE_VECTOR), snapshot, metadata))
        return entity

    def _untracked(self, row: Row, metadata: dict[str, JSON]) -> Document:
        document = Document(row)
        set_metadata(document, metadata)
        return document

    def materialize(self, row: Row, cls: type | None = None) -> Any:
        """Return the row as an entity that nobody remembers, for streams."""
        metadata = take_metadata(row)
        if ID not in metadata or PROJECTION in metadata:
            return self._untracked(row, metadata)
        cls = cls or type_of_collection(metadata.get(COLLECTION, ""))
        if cls is None:
            return make_known(row, metadata[ID], metadata)
        entity = build_entity(row, cls, key=metadata[ID])
        set_metadata(entity, metadata)
        return entity

    def _renew_since(self, known: Known, row: Row, metadata: Mapping[str, JSON], asked: Moment) -> None:
        """Renew the entity unless it was saved since the request; the answer is older than the entity then."""
        if id(known) in asked.versions:
            self.renew(known, row, metadata, asked.versions[id(known)])

    def renew(self, known: Known, row: Row, metadata: Mapping[str, JSON], version: str | None) -> None:
        """Let an entity without edits take the values of a newer row; one with edits keeps them and its old version.

        Args:
            known: The entity.
            row: What the server has.
            metadata: What the server says of it.
            version: The entity's version when the server was asked; if it is another one by now, the row is the older of the two.
        """
        if known.version != version or known.writes or known.snapshot is None or self._has_edits(known):
            return
        known.snapshot = refill(known.entity, row)
        known.facts = {**known.facts, **metadata}
        known.version = known.facts.get(CHANGE_VECTOR)
        set_metadata(known.entity, known.facts)

    @staticmethod
    def _has_edits(known: Known) -> bool:
        return known.snapshot is None or encode_entity(known.entity) != known.snapshot.known

    def store(
        self,
        entity: Any,
        key: str | None,
        collection: str | None,
        metadata: Mapping[str, JSON] | None,
        conventions: Conventions,
    ) -> None:
        """Remember a new entity until the next save, and know it by its key if its id or the program says one.

        Raises:
            KeyConflict: another object of this session has the key.
        """
        if self._map.of(entity) is not None:
            return
        facts, version = own_metadata(entity)
        if metadata is not None:
            facts.update(checked_metadata(metadata))
        if collection is not None:
            facts[COLLECTION] = collection
        if key is not None:
            check_new_key(key)
        known = key if key is not None else self._key_of_id(entity, conventions, collection)
        self._map.add(Tracked(entity, known, version, None, facts, is_named=key is not None))
        if key is not None:
            set_key(entity, key)

    def _key_of_id(self, entity: Any, conventions: Conventions, collection: str | None) -> str | None:
        """Return the key that the entity's id means, by which reads may know it already.

        An id may change until the save, so one that is taken or can be none is the save's to refuse.
        """
        try:
            key = None if id_of(entity) is None else self._chosen_key(entity, conventions, collection)
        except ConfigurationError:
            return None
        return None if key is None or self._map.get(key) is not None else key

    def freeze(self, conventions: Conventions) -> list[Staged]:
        """Return every new and every changed entity as it is now: changed ones first, each group in the order it was met.

        Raises:
            InvalidDocument: an entity cannot be stored; nothing is changed.
            KeyConflict: two new entities claim one key, or one claims that of another; nothing is changed.
        """
        changed, new = [], []
        for known in self._map:
            if known.snapshot is None:
                new.append(self._stage_new(known, conventions))
            else:
                content = self._content(known)
                self._refuse_new_key(known)
                if content != known.snapshot.known or known.writes:
                    changed.append(Staged(known, content))
        self._refuse_conflicts(new)
        for item in new:
            if isinstance(item.key, str) and not is_server_made(item.key):
                self._map.rekey(item.known, item.key)
        staged = [*changed, *new]
        for item in staged:
            item.known.writes += 1
        return staged

    def name(self, known: Known, key: str) -> None:
        """Give a new entity a key that was made here; it keeps it if the save fails, so that saving again sends the same."""
        self._map.rekey(known, key)
        known.is_named = True

    def release(self, staged: Sequence[Staged]) -> None:
        """Note that a save has ended, however it did."""
        for item in staged:
            item.known.writes -= 1

    def _stage_new(self, known: Known, conventions: Conventions) -> Staged:
        content = self._content(known)
        info = info_of(known.entity)
        if info is not None:
            known.facts.setdefault(COLLECTION, info.collection)
        key: str | KeySource | None = known.key
        if not known.is_named:
            key = new_key(known.entity, info, conventions, collection=known.facts.get(COLLECTION))
        return Staged(known, content, key)

    @staticmethod
    def _refuse_new_key(known: Known) -> None:
        """Refuse an id that was edited: RavenDB cannot rename a document."""
        if not isinstance(known.entity, dict):
            given = id_of(known.entity)
            if given != known.key and hasattr(known.entity, "id"):
                raise ConfigurationError(
                    f"the key of {known.key!r} cannot change to {given!r}; store a copy under that key and delete this document",
                    key=known.key,
                )

    def _content(self, known: Known) -> bytes:
        try:
            return encode_entity(known.entity)
        except InvalidDocument as error:
            error.key = error.key or known.key
            raise

    def _refuse_conflicts(self, new: list[Staged]) -> None:
        claimed: dict[str, Known] = {}
        for item in new:
            if item.key == item.known.key or not isinstance(item.key, str) or is_server_made(item.key):
                continue  # the map knows no second owner of a key, and the server makes no second
            rival = self._map.get(item.key) or claimed.setdefault(fold(item.key), item.known)
            if rival is not item.known:
                raise KeyConflict(f"{item.key!r} is the key of two objects in this session", key=item.key)

    def command(self, item: Staged, key: str | None, *, checks: bool) -> Put:
        """Return the command that writes the entity as it was staged."""
        known = item.known
        item.body = item.content if known.snapshot is None else merge(item.content, known.snapshot)
        if known.snapshot is not None:
            key, version = known.key, known.version
        else:
            # A key that the server makes is new by itself; a document of another session brings its version along.
            version = None if is_server_made(key) else known.version or MUST_BE_NEW
        return Put(key, version if checks else None, with_metadata(item.body, self._metadata(known)))

    def _metadata(self, known: Known) -> bytes:
        """Return the metadata to send as JSON. For most documents it is the collection alone, encoded once."""
        facts = known.facts
        if len(facts) > 1:
            facts = {name: value for name, value in facts.items() if name not in SERVER_METADATA}
        if len(facts) != 1 or COLLECTION not in facts:
            return encode(facts)
        collection = facts[COLLECTION]
        encoded = self._collections.get(collection)
        if encoded is None:
            encoded = self._collections[collection] = encode(facts)
        return encoded

    def apply(self, batch: Sequence[Staged], written: Sequence[Written]) -> list[str]:
        """Take note of a batch that was written: keys, versions, and what is in the database now.

        An edit that was made after the call stays an edit, since the snapshot is what was sent.
        """
        for item, result in zip(batch, written, strict=True):
            known, key = item.known, result.key
            known.snapshot = Snapshot(item.content, item.body)
            known.is_written = True
            known.version = result.change_vector
            facts = known.facts
            facts[ID], facts[CHANGE_VECTOR], facts[LAST_MODIFIED] = key, result.change_vector, result.last_modified
            if result.collection is not None:
                facts[COLLECTION] = result.collection
            if self._map.of(known.entity) is known:
                if known.key != key:
                    self._settle_key(known, key)
                entity = known.entity  # a plain dict goes on being tracked until it is asked for by its key
                if isinstance(entity, Document):
                    put_key(entity, key)
                    put_metadata(entity, facts)
                else:
                    set_key(entity, key)
        return [result.key for result in written]

    def _settle_key(self, known: Known, key: str) -> None:
        """Take note of the key that the server has made."""
        stale = self._map.get(key)
        if stale is not None and stale is not known:  # it was deleted meanwhile, or its key would not be free
            self._map.remove(stale)
        self._map.rekey(known, key)

    def address(self, target: Any, conventions: Conventions) -> tuple[str | None, str | None]:
        """Return key and version of what a program names: a key, a document, or ``{"key": ..., "etag": ...}``."""
        if isinstance(target, str):
            return target, None
        known = self._map.of(target)
        if known is not None:
            key = known.key or self._chosen_key(known.entity, conventions, known.facts.get(COLLECTION))
            return key, known.version
        if type(target) is dict and "key" in target:
            if unknown := set(target) - {"key", "etag"}:
                raise ConfigurationError(f"what to delete is named by 'key' and 'etag', not by {sorted(unknown)}")
            return target["key"], target.get("etag")
        if not is_storable_entity(target):
            raise TypeError(f"a {type(target).__name__} cannot be deleted: give a key, a document or a list of these")
        version = target.metadata.get(CHANGE_VECTOR) if isinstance(target, Document) else None
        return self._chosen_key(target, conventions, None), version

    @staticmethod
    def _chosen_key(entity: Any, conventions: Conventions, collection: str | None) -> str | None:
        return chosen_key(entity, info_of(entity), conventions, collection=collection)

    def forget(self, key: str, known: Known | None) -> None:
        """Forget a document that is gone, and what was known of it when its deletion was called."""
        self._deleted.pop(fold(key), None)
        self._deleted[fold(key)] = self._deletions
        self._deletions += 1
        if known is None:
            # What a read brought while the deletion was under way is gone; what the program stored or wrote is its own.
            known = self._map.get(key)
            if known is None or known.snapshot is None or known.is_written:
                return
        self._map.remove(known)

    def discard(self, entity: Any) -> bool:
        """Take back a `store` that was not saved; return whether there was one."""
        known = self._map.of(entity)
        if known is None or known.snapshot is not None:
            return False
        self._map.remove(known)
        return True

    def known_as(self, key: str) -> Known | None:
        """Return what is known under this key."""
        return self._map.get(key)

    def __len__(self) -> int:
        return len(self._map)
