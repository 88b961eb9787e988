"""The unit of work of documents: references, reloading, and the dry run, for sessions on RavenDB.

Knows documents, their reader and their writer. The verbs that every database has are `Working`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, overload

from evsession.config import SessionOptions
from evsession.errors import ConfigurationError, SessionError
from evsession.raven.document import Document
from evsession.raven.snapshots import Snapshot
from evsession.raven.storable import check_storable
from evsession.raven.types import is_storable_entity
from evsession.session.callbacks import Callback, split
from evsession.session.documents.mapper import Known
from evsession.session.documents.order import after_writers
from evsession.session.documents.reading import Reader
from evsession.session.documents.workspace import Workspace
from evsession.session.documents.writing import Batches, Writer
from evsession.session.operation import Operation, Steps
from evsession.session.plan import Plan
from evsession.session.transaction import Capabilities
from evsession.session.working import Working
from evsession.unitofwork.hooks import calling

__all__ = ["DocumentWork"]

E = TypeVar("E")


class DocumentWork(Working[Snapshot]):
    """The unit of work of a document session."""

    capabilities = Capabilities(interactive_transactions=False, reads_own_writes=False)

    options: SessionOptions
    _workspace: Workspace
    _reader: Reader
    _writer: Writer

    def _track(self, entity: Any) -> None:
        self._workspace.store(entity)

    def _untrack(self, entity: Any) -> None:
        self._workspace.remove(entity)

    def _check_entity(self, entity: Any) -> None:
        check_storable(entity)

    def _check_target(self, target: Any) -> None:
        if not isinstance(target, str):
            check_storable(target)

    def _known(self, entity: Any) -> Known:
        return self._workspace.known(entity)

    def _find(self, key: str) -> Any:
        return self._workspace.find(key)

    _is_entity = staticmethod(is_storable_entity)

    def _reading(self, name: str, build: Callable[[], Steps], callback: Callback | None) -> Operation[None]:
        return Operation(self, name, after_writers(self._queue(), build), callback, 0)

    def _renew(self, known: list[Known], *, force: bool) -> Steps:
        return self._reader.renew(known, force=force)

    def _backend(self) -> Batches:
        return self._writer.backend(checks=self.options.use_optimistic_concurrency)

    @overload
    def get_reference(self, type: type[E], key: str) -> E: ...
    @overload
    def get_reference(self, type: str, key: str) -> Any: ...
    def get_reference(self, type: Any, key: str) -> Any:
        """Return the entity with this key if it is known, or else an object that stands for it and holds only the key.

        Sends nothing, and does not ask whether the document exists. Reading another field than ``id`` raises `NotLoaded`; a
        field that is set is written by the next commit, alone: the rest of the document stays as it is on the server. A commit
        that would write to a missing document fails with status 404 and writes nothing. `hydrate`, or any load or query that
        brings the document, makes the object that document.

        Args:
            type: A document class, or the name of a type or collection.
            key: The key, or an id from which the type's key is made.

        Raises:
            TypeError: the type is none.
            ConfigurationError: no document can have the key, or an object of this class cannot stand for one.
        """
        self._check_open()
        return self._workspace.refer(type, key)

    def metadata_for(self, entity: Any) -> Mapping[str, Any]:
        """Return what the server said about an entity's document, read-only; empty for a new one.

        A `Document` has it as ``metadata``; objects of other classes have no place for it. Its ``"@change-vector"`` is the etag
        that `delete` and `patch` take.

        Raises:
            ConfigurationError: the entity is not known to this session.
        """
        if isinstance(entity, Document):
            return entity.metadata
        known = self._workspace.known(entity)
        return MappingProxyType({} if known.snapshot is None else known.facts)

    def refresh(self, *entities: Any, force: bool = False, callback: Callback | None = None) -> Operation[None]:
        """Load these entities again, in one request; they stay the same objects.

        After a commit whose outcome is unknown, this finds out: an entity that the server has as it was sent counts as written,
        any other as not written. Of an increment on a document that somebody else has changed since, nobody can tell.

        What is edited while it is under way stays edited, and what is staged or committed then is left alone. If somebody else
        has edited the same field, the next save, with ``options.use_optimistic_concurrency``, is refused.

        Args:
            *entities: Entities of this session; the callback may be the last of them.
            force: Whether unsaved edits are given up; otherwise an entity that has some is refused.
            callback: Called with the error.

        Raises:
            DirtyEntity: an entity has unsaved edits, or is new. Nothing was sent.
            ConfigurationError: an entity is not known to this session.
            SessionError: status 404, a document is not there any more; its `key` names the first. Or `uncertain`: what became
                of an increment cannot be told, or of a new document whose key the server makes; what is pending stays so.
        """
        callback, *given = split(entities, callback, self._is_entity)
        return self._reading("refresh", lambda: self._refresh(given, force=force), callback)

    def _refresh(self, entities: list[Any], *, force: bool) -> Steps:
        known = [self._workspace.known(entity) for entity in entities]
        for one in known:
            if one.unsure is None and (one.snapshot is None or (not force and self._unit.is_pending(one))):
                self._refuse_edits(one)
            if one.key is None:
                raise SessionError(f"whether {one.entity!r} was written cannot be told, for it has no key yet", uncertain=True)
        return (yield from self._renew(known, force=force))

    def revert(self, *entities: Any) -> None:
        """Let entities be as they were loaded or written last; unsaved edits and increments are gone.

        After a commit whose outcome is unknown that is as they were before it; `refresh` shows what the server has.

        Raises:
            ConfigurationError: an entity is new, is being saved, or is not known to this session.
        """
        for known in [self._workspace.known(entity) for entity in entities]:
            if known.writes and calling(self._unit) is None:
                raise ConfigurationError(f"{known.entity!r} is being saved; revert it when that has ended", key=known.key)
            self._workspace.renewal.revert(known)

    def plan(self) -> Plan:
        """Return what `commit` would send now, without sending it and without calling hooks.

        Raises:
            InvalidDocument: an entity cannot be stored.
            KeyConflict: two entities have one key.
        """
        staged = self._unit.freeze()
        try:
            batch = self._unit.joined(self._unit.due(staged))
            checks = self.options.use_optimistic_concurrency
            return Plan(batch, [self._writer.request(batch, checks=checks)] if batch else [])
        finally:
            self._unit.release(staged)
