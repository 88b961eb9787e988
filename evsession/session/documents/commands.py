"""What a commit sends for each entity, and what the answer means for it.

Knows RavenDB's commands and the workspace. Sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from evsession.errors import InvalidDocument
from evsession.raven.batches import MUST_BE_NEW, Command, Delete, Put, Written
from evsession.raven.codec import decode_entity, merge, refill, set_key, set_stored
from evsession.raven.document import Document, put_known, put_metadata
from evsession.raven.edits import Edit, edit_command
from evsession.raven.keys import is_server_made
from evsession.raven.snapshots import Snapshot
from evsession.raven.vocabulary import CHANGE_VECTOR, COLLECTION, ID, LAST_MODIFIED, METADATA, SERVER_METADATA
from evsession.session.documents.mapper import Known
from evsession.session.documents.workspace import Workspace
from evsession.unitofwork.changes import MISSING, diff, is_same
from evsession.unitofwork.counting import added
from evsession.unitofwork.tracking import Kind, Staged
from evsession.wire.json import JSON, decode, encode

__all__ = ["Commands", "Item"]

Item: TypeAlias = Staged[Snapshot]


class Commands:
    """Commands for the entities of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._find = workspace.unit.map.of
        self._collections: dict[str | None, bytes] = {}

    def build(self, batch: Sequence[Item], keys: Sequence[str | None], *, checks: bool) -> list[Command]:
        """Return the commands that do to the entities what was staged."""
        commands: list[Command] = []
        encoded = self._collections
        for item, key in zip(batch, keys, strict=True):
            known = item.known
            if item.before is not None or item.kind is not Kind.INSERT:
                commands.append(self._change(item, checks=checks))
                continue
            # A key that the server makes is new by itself; a document of another session brings its version along.
            version = None if not checks or is_server_made(key) else known.version or MUST_BE_NEW
            metadata = encoded.get(known.facts.get(COLLECTION)) if len(known.facts) == 1 else None
            item.body = item.content
            commands.append(Put(key, version, item.body, metadata or self._metadata(known)))
        return commands

    def _change(self, item: Item, *, checks: bool) -> Command:
        known = item.known
        if item.kind is Kind.DELETE:
            return Delete(known.key or "", known.version if checks else None)
        if known.is_reference or item.increments:
            return self._edit(item, checks=checks)
        assert item.before is not None
        item.body = merge(item.content, item.before)
        return Put(known.key, known.version if checks else None, item.body, self._metadata(known))

    def _edit(self, item: Item, *, checks: bool) -> Edit:
        known = item.known
        before: Mapping[str, JSON] = {} if item.before is None else decode(item.before.known)
        now: Mapping[str, JSON] = decode(item.content)
        changes = diff(before, now)
        # A field that was also set to something else is set; the later word counts.
        item.increments = {
            field: amount
            for field, amount in (item.increments or {}).items()
            if (is_same(now[field], added(before.get(field), amount)) if field in now else field not in before)
        }
        sets = {field: change.new for field, change in changes.items() if change.new is not MISSING}
        for field in item.increments:
            sets.pop(field, None)
        unsets = [field for field, change in changes.items() if change.new is MISSING and field not in item.increments]
        version = known.version if checks and (sets or unsets) and not known.is_reference else None
        return edit_command(known.key or "", version, sets=sets, unsets=unsets, increments=item.increments)

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

    def apply(self, batch: Sequence[Item], written: Sequence[Written]) -> None:
        """Take note of a batch that was written: keys, versions, and what is in the database now.

        An edit that was made after the call stays an edit, since the snapshot is what was sent.
        """
        for item, result in zip(batch, written, strict=True):
            item.known.unsure = None
            if item.kind is Kind.DELETE:
                self._apply_deletion(item.known)
            elif result.edit_status is not None:
                self._apply_edit(item, result)
            else:
                self._apply_put(item, result)
            item.increments = None

    def _apply_put(self, item: Item, result: Written) -> None:
        known, key, version = item.known, result.put_key or result.key, result.change_vector
        entity, facts = known.entity, known.facts
        known.snapshot = Snapshot(item.content, item.body)
        known.is_written = True
        known.version = version
        facts[ID], facts[CHANGE_VECTOR], facts[LAST_MODIFIED] = key, version, result.last_modified
        if result.collection is not None:
            facts[COLLECTION] = result.collection
        if self._find(entity) is not known:  # evicted meanwhile
            known.key = key
            return
        if known.key != key:
            self._workspace.settle_key(known, key)
        # A plain dict goes on being tracked until it is asked for by its key.
        if isinstance(entity, Document):
            put_known(entity, key, facts)
        else:
            set_key(entity, key)
        if not self._workspace.tracks:
            self._workspace.let_go(known)

    def _apply_edit(self, item: Item, result: Written) -> None:
        known = item.known
        row = {name: value for name, value in (result.document or {}).items() if name != METADATA}
        if item.increments:
            self._workspace.unit.settle_increments(item, row, set_stored)
        known.snapshot = Snapshot(item.content, item.content if known.is_reference else encode(row))
        known.is_written = True
        is_known = known.is_reference or result.document is None or self._knows(item, row)
        if is_known and result.edit_vector is not None:  # which is not told of what an edit has left as it was (seen on 7.1)
            known.version = result.edit_vector
            known.facts[CHANGE_VECTOR], known.facts[LAST_MODIFIED] = result.edit_vector, result.edit_modified
            if isinstance(known.entity, Document) and not known.is_reference:
                put_metadata(known.entity, known.facts)
        self._workspace.let_go(known)

    def _knows(self, item: Item, row: dict[str, JSON]) -> bool:
        """Return whether the session knows all of the document as it is now.

        An increment asks for no version, so somebody else may have changed other fields before. An entity without further edits
        takes these over. One with edits keeps its version, so that its next save, if versions are checked, is refused.
        """
        known = item.known
        with suppress(InvalidDocument):
            now = decode_entity(dict(row), type(known.entity), key=known.key)[1].known
            if is_same(decode(now), decode(item.content)):
                return True
            if self._workspace.unit.waiting_for(known) is None and self._workspace.unit.mapper.changed(known) is None:
                known.snapshot = refill(known.entity, row, key=known.key)
                return True
        return False

    def _apply_deletion(self, known: Known) -> None:
        self._workspace.deletions.note(known.key or "")
        known.version = None
        known.facts = {name: value for name, value in known.facts.items() if name not in SERVER_METADATA}
        if isinstance(known.entity, Document):
            put_metadata(known.entity, dict(known.facts))
        if known.is_removed:
            self._workspace.unit.map.remove(known)
        else:  # it was added again meanwhile, so it is new
            known.snapshot = None
        known.is_removed = known.is_flushed = False
