"""The steps of the session's reads: load, exists, query. Joins RavenDB's flows with what the session remembers."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from evsession.errors import ConfigurationError, SessionError, TransientError
from evsession.raven.codec import encode_entity, key_of
from evsession.raven.documents import Loaded, exists_flow, load_flow, load_many_flow
from evsession.raven.includes import referred_keys
from evsession.raven.keys import check_new_key
from evsession.raven.queries import Query, query_flow
from evsession.raven.vocabulary import Database
from evsession.session.documents.mapper import Known
from evsession.session.documents.queryable import Queryable
from evsession.session.documents.renewal import is_behind
from evsession.session.documents.workspace import Moment, Workspace
from evsession.session.operation import Notice, Steps
from evsession.unitofwork.identity_map import fold
from evsession.wire.flow import Flow
from evsession.wire.json import JSON, decode

__all__ = ["Reader"]

RENEWALS = 3
"""How often a reference is asked for while writes of the session overtake the answers."""


class Reader:
    """Reads of one session.

    Args:
        database: What to read from.
        workspace: What is known already, and learns what comes.
    """

    def __init__(self, database: Database, workspace: Workspace) -> None:
        self._database = database
        self._workspace = workspace

    def load(self, key: str, paths: Sequence[str], cls: type | None, *, cache: bool) -> Steps:
        """Load one document; results are the document (or None) and what it includes."""
        check_new_key(key)
        if cache:
            known = self._workspace.loaded(key)
            included = None if known is None else self._known_includes([known], paths)
            if included is not None:
                return known, included
        asked = self._workspace.now(renews=not cache)
        loaded = yield from load_flow(self._database, key, paths)
        entities = self._admit(loaded, cls, asked)
        if entities[0] is None:
            yield _missing(key)
        return entities[0], self._includes(entities, loaded, paths)

    def load_many(self, keys: Iterable[str], paths: Sequence[str], cls: type | None, *, cache: bool) -> Steps:
        """Load documents; results are those found, in the order asked, and what they include."""
        asked = [check_new_key(key) for key in keys]
        distinct = {fold(key): key for key in reversed(asked)}
        known = {name: self._workspace.loaded(key) for name, key in distinct.items()} if cache else {}
        unknown = [distinct[name] for name in dict.fromkeys(map(fold, asked)) if known.get(name) is None]
        found = [entity for entity in known.values() if entity is not None]
        included = self._known_includes(found, paths)
        if unknown or included is None:
            wanted = unknown if included is not None else list(dict.fromkeys(distinct[fold(key)] for key in asked))
            asked_at = self._workspace.now(renews=not cache)
            loaded = yield from load_many_flow(self._database, wanted, paths)
            entities = self._admit(loaded, cls, asked_at)
            known.update(zip(map(fold, wanted), entities, strict=True))
            for key, entity in zip(wanted, entities, strict=True):
                if entity is None:
                    yield _missing(key)
            included = self._includes([*found, *entities], loaded, paths)
        documents = [known[fold(key)] for key in asked]
        return self._listed([document for document in documents if document is not None]), included

    def renew(self, known: Sequence[Known], *, force: bool = False) -> Steps:
        """Load entities, which have keys, again in one request, and let them be as the server has them."""
        for _ in range(RENEWALS):
            # An answer that a write of this session has overtaken cannot tell what a reference stands for, or what became of it.
            known = yield from self._renew(known, force=force)
            if not known:
                return ()
        key = known[0].key
        raise TransientError(f"each answer about {key!r} was older than what this session has written to it", key=key)

    def _renew(self, known: Sequence[Known], *, force: bool) -> Flow[list[Known]]:
        """Ask once; return what must be asked for again."""
        if not known:
            return []
        lost = self._workspace.lost
        keys = {fold(one.key or ""): one.key or "" for one in known}
        loaded = yield from load_many_flow(self._database, list(keys.values()), ())
        rows = dict(zip(keys, loaded.rows, strict=True))
        missing, unclear, behind = [], [], []
        # What is to be deleted may share its key with what takes its place.
        for one in {id(one): one for one in known}.values():
            row = copy.deepcopy(rows[fold(one.key or "")]) if len(keys) < len(known) else rows[fold(one.key or "")]
            if one.unsure is not None and self._workspace.lost != lost:
                behind.append(one)  # the answer may be older than the write that was lost meanwhile
            elif row is not None:
                if is_behind(one, row):
                    behind.append(one)
                elif not self._workspace.renewal.refresh(one, row, force=force):
                    unclear.append(one)
            elif not self._workspace.settle_missing(one):
                missing.append(one.key)
        if missing:
            shown = ", ".join(map(repr, missing[:5])) + (", ..." if len(missing) > 5 else "")
            raise SessionError(f"there is no document {shown}", status_code=404, key=missing[0])
        if unclear:
            first = unclear[0]
            raise SessionError(
                f"whether {first.entity!r} was incremented cannot be told, for somebody else has changed it since;"
                " refresh with force=True takes what the server has, commit increments again",
                key=first.key,
                uncertain=True,
            )
        return behind

    def query(self, query: Query, cls: type | None) -> Steps:
        """Run a query; results are the documents and the statistics."""
        asked = self._workspace.now()
        page = yield from query_flow(self._database, query)
        self._workspace.admit(page.includes.values(), None, asked)
        return self._listed(self._workspace.admit(page.rows, cls, asked)), page.statistics

    def exists(self, key: str) -> Steps:
        """Ask for a document's existence."""
        check_new_key(key)
        found = yield from exists_flow(self._database, key)
        return (found,)

    def _admit(self, loaded: Loaded, cls: type | None, asked: Moment) -> list[Any]:
        entities = iter(self._workspace.admit([row for row in loaded.rows if row is not None], cls, asked))
        self._workspace.admit(loaded.includes.values(), None, asked)
        return [None if row is None else next(entities) for row in loaded.rows]

    def _listed(self, entities: list[Any]) -> Queryable[Any]:
        """Return the list that programs get; it finds entities by their keys, also those that do not hold theirs."""
        mute = [one for one in entities if not isinstance(one, dict) and key_of(one) is None]
        known = [(id(one), found.key) for one in mute if (found := self._workspace.of(one)) is not None]
        return Queryable(entities, {place: key for place, key in known if key is not None} if known else None)

    def _includes(self, entities: Iterable[Any], loaded: Loaded, paths: Sequence[str]) -> Queryable[Any]:
        """Return the included documents; RavenDB leaves out of ``Includes`` those that are results themselves."""
        if not paths and not loaded.includes:
            return Queryable()
        keys = [*self._references(entities, paths), *loaded.includes]
        included = {fold(key): self._workspace.loaded(key) for key in keys}
        return self._listed([entity for entity in included.values() if entity is not None])

    def _known_includes(self, entities: Iterable[Any], paths: Sequence[str]) -> Queryable[Any] | None:
        """Return what the entities include if all of that is known, else None."""
        included = {fold(key): self._workspace.loaded(key) for key in self._references(entities, paths)}
        return None if None in included.values() else self._listed(list(included.values()))

    @staticmethod
    def _references(entities: Iterable[Any], paths: Sequence[str]) -> Iterator[str]:
        for entity in entities if paths else ():
            row: JSON = entity if isinstance(entity, dict) else None if entity is None else decode(encode_entity(entity))
            for path in paths:
                yield from referred_keys(row, path)


def _missing(key: str) -> Notice:
    """Return what the handlers of 404 are told of a document that is not there."""
    return Notice(SessionError(f"there is no document {key!r}", status_code=404, operation="load", key=key))


def check_type(cls: object) -> type | None:
    """Return the class that loaded documents shall have, or None for that of their collection.

    Raises:
        ConfigurationError: it is no class.
    """
    if cls is not None and not isinstance(cls, type):
        raise ConfigurationError(f"type must be a class, not {cls!r}")
    return cls
