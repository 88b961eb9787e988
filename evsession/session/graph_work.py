"""The unit of work of nodes, for sessions on graphs. The verbs that every database has are `Working`'s."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

from evsession.errors import ConfigurationError, DirtyEntity, SessionError
from evsession.neo4j import cypher
from evsession.neo4j.nodes import NodeInfo
from evsession.neo4j.results import Result
from evsession.neo4j.things import Node
from evsession.session.callbacks import Callback, shift
from evsession.session.graph_commit import Doing, GraphBatches, Whole
from evsession.session.graph_mapper import KnownNode, NodeMapper, NodePicture, need_info
from evsession.session.graph_transaction import GraphTransaction, Phase
from evsession.session.operation import Operation, Steps
from evsession.session.transaction import Capabilities
from evsession.session.working import Working
from evsession.unitofwork.tracking import Tracked
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["GraphWork"]

E = TypeVar("E")


class GraphWork(Working[NodePicture]):
    """The unit of work of a graph session."""

    capabilities = Capabilities(interactive_transactions=True, reads_own_writes=True)

    _current: GraphTransaction | None
    _tracks: bool

    def _start_nodes(self, *, tracks: bool) -> None:
        self._tracks = tracks
        self._unit: UnitOfWork[NodePicture] = UnitOfWork(NodeMapper(), detects=tracks, fold=str)
        self._start_working()

    @abstractmethod
    def _new_work_transaction(self) -> GraphTransaction:
        """Return a transaction that begins with its first statement."""

    @abstractmethod
    def _run_here(self, cypher: cypher.Cypher) -> Generator[Any, Any, Result]:
        """Run a statement in the open transaction, or in one of its own."""

    def _backend(self) -> GraphBatches:
        return GraphBatches(self)

    def _work_transaction(self) -> GraphTransaction:
        if self._unit.journal is None or self._current is None:
            self._open_work(_is_own=True)
        assert self._current is not None
        return self._current

    def _open_work(self, *, _is_own: bool) -> None:
        self._unit.journal = {}
        self._current = self._new_work_transaction()
        self._current._is_assigned = True
        self._current._is_own = _is_own

    def use_transaction(self) -> Any:
        """Open a transaction, or return the one that is open; it ends with `commit` or `rollback`.

        The result is a `GraphTransaction`, which begins on the server with its first statement. While it is open, `flush` writes
        into it, and `run` of the session runs in it and sees that.
        """
        self._check_open()
        if self._unit.journal is None:
            self._open_work(_is_own=False)
        return self._current

    @property
    def assigned_transaction(self) -> Any:
        """The open transaction, or None."""
        return None if self._unit.journal is None else self._current

    def _commit_steps(self, *, flush: bool, only_staged: bool) -> Steps:
        whole = Whole(super()._commit_steps(flush=flush, only_staged=only_staged), self._undo_work)
        try:
            yield whole
            return whole.results
        finally:
            whole.close()

    async def _undo_work(self, error: BaseException) -> None:
        """End a transaction that was opened for the commit that fails, or that the failure has ended."""
        transaction = self._current
        if transaction is not None and (transaction._is_own or transaction._phase is not Phase.ACTIVE):
            await transaction._abandon(error)

    def _roll_back(self) -> Generator[Any, Any, None]:
        assert self._current is not None  # there is one while there is a journal
        yield Doing(self._current.close)

    def _end_work(self, phase: Phase) -> None:
        """Know what became of what the transaction has staged."""
        unit = self._unit
        if phase is not Phase.COMMITTED:
            unit.roll_back()
            return
        for undo in list((unit.journal or {}).values()):
            undo.known.is_written = True
            if undo.known.is_flushed:
                unit.forget(undo.known)
        unit.journal = None

    def _check_entity(self, entity: Any) -> None:
        if isinstance(entity, type):
            raise TypeError(f"{entity!r} is a class, not a node")
        need_info(entity)

    def _track(self, entity: Any) -> None:
        known = self._unit.map.of(entity)
        if known is not None:
            self._unit.take_back(known)
            return
        made: KnownNode = Tracked(entity, None, None, None, {})
        made.key = self._unit.mapper.address(made)
        self._unit.add(made)

    def _untrack(self, entity: Any) -> None:
        self._check_entity(entity)
        known = self._unit.map.of(entity)
        if known is None:
            known = self._adopt_unknown(entity)
        self._unit.remove(known)

    def _adopt_unknown(self, entity: Any) -> KnownNode:
        """Know an entity that this session has not loaded as one that is in the database."""
        known: KnownNode = Tracked(entity, None, None, None, {})
        known.key = self._unit.mapper.claim(known)
        known.snapshot = NodePicture(self._unit.mapper.compose(need_info(entity).properties(entity)))
        self._unit.map.add(known)
        return known

    def _known(self, entity: Any) -> KnownNode:
        known = self._unit.map.of(entity)
        if known is None:
            raise ConfigurationError(f"{entity!r} is not known to this session")
        return known

    def _find(self, key: str) -> Any:
        known = self._unit.map.get(key)
        return None if known is None else known.entity

    def load(self, type: type[E], key: Any, callback: Callback | None = None) -> Operation[E | None]:
        """Load a node by its primary key; the result is the entity, or None. A known one is given without a request.

        Args:
            type: A class marked with `node`, or a model.
            key: The primary key.
            callback: Called with the error and the entity.
        """
        return Operation(self._loader(), "load", self._load(need_info(type), key), callback, 1)

    def _load(self, info: NodeInfo, key: Any) -> Steps:
        known = self._unit.map.get(info.address(key)) if self._tracks else None
        if known is not None:
            return (None if known.is_removed else known.entity,)
        result = yield from self._run_here(cypher.find(info.labels, {info.key: key}, limit=1))
        found = self._entities(info, result)
        return (found[0] if found else None,)

    def find(
        self,
        type: type[E],
        where: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        *,
        order: Any = None,
        skip: int | None = None,
        limit: int | None = None,
    ) -> Operation[list[E]]:
        """Find nodes; the result is the list of entities, which the session then knows.

        Args:
            type: A class marked with `node`, or a model.
            where: Conditions, as `Model` has them.
            callback: Called with the error and the list.
            order: As in `Model.find_many`.
            skip: How many to leave out at the start.
            limit: How many at most.
        """
        callback, where = shift(callback, where)
        info = need_info(type)

        def steps() -> Steps:
            result = yield from self._run_here(cypher.find(info.labels, where, order=order, skip=skip, limit=limit))
            return (self._entities(info, result),)

        return Operation(self._loader(), "find", steps(), callback, 1)

    def refresh(self, *entities: Any, force: bool = False, callback: Callback | None = None) -> Operation[None]:
        """Load entities again, in one request for each class; they stay the same objects.

        Raises:
            DirtyEntity: an entity has unsaved edits, and `force` does not give them up; or it is new. Nothing was sent.
            SessionError: status 404, one is not there any more.
        """

        def steps() -> Steps:
            groups: dict[int, list[KnownNode]] = {}
            for known in [self._known(entity) for entity in entities]:
                if known.snapshot is None or (not force and self._unit.kind_of(known) is not None):
                    raise DirtyEntity(f"{known.entity!r} has unsaved changes, or is new", key=known.key)
                groups.setdefault(id(need_info(known.entity)), []).append(known)
            for group in groups.values():
                yield from self._renew(need_info(group[0].entity), group)
            return ()

        return Operation(self._loader(), "refresh", steps(), callback, 0)

    def _renew(self, info: NodeInfo, group: Sequence[KnownNode]) -> Generator[Any, Any, None]:
        keys = [self._unit.mapper.fields(known.snapshot.known)[info.key] for known in group if known.snapshot is not None]
        result = yield from self._run_here(cypher.find(info.labels, {info.key: {"in": keys}}))
        found = {info.address(node[info.key]): node for node in result.values(0)}
        for known in group:
            node = found.get(known.key or "")
            if node is None:
                raise SessionError(f"there is no {known.key} any more", status_code=404, key=known.key)
            self._take(info, known, node)

    def revert(self, *entities: Any) -> None:
        """Let entities be as they were loaded or written last; unsaved edits and increments are gone.

        Raises:
            ConfigurationError: an entity is new, or not known to this session.
        """
        for known in [self._known(entity) for entity in entities]:
            if known.snapshot is None:
                raise ConfigurationError(f"{known.entity!r} is new: there is nothing to go back to")
            need_info(known.entity).fill(known.entity, self._unit.mapper.fields(known.snapshot.known))
            known.increments = None

    def _entities(self, info: NodeInfo, result: Result) -> list[Any]:
        """Return the entities of the nodes, the known ones as they are."""
        return [self._entity(info, node) for node in result.values(0)]

    def _entity(self, info: NodeInfo, node: Node) -> Any:
        key = info.address(node.get(info.key))
        known = self._unit.map.get(key) if self._tracks else None
        if known is not None:
            return known.entity
        entity = info.make(node.properties)
        if self._tracks and node.get(info.key) is not None:
            made: KnownNode = Tracked(entity, key, None, None, {})
            self._unit.map.add(made)
            self._take(info, made, node, fill=False)
        return entity

    def _take(self, info: NodeInfo, known: KnownNode, node: Node, *, fill: bool = True) -> None:
        if fill:
            info.fill(known.entity, node.properties)
        known.snapshot = NodePicture(self._unit.mapper.compose(info.properties(known.entity)))
        known.increments = None

    @abstractmethod
    def _loader(self) -> Any:
        """Return the owner of operations that load."""
