"""The unit of work of nodes, for sessions on graphs. The verbs that every database has are `Working`'s."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any, TypeVar, overload

from evsession.config import GraphSessionOptions
from evsession.neo4j import cypher
from evsession.neo4j.addresses import fold_address
from evsession.neo4j.models import check_names, names_in
from evsession.neo4j.nodes import NodeInfo, info_of
from evsession.neo4j.results import Result
from evsession.neo4j.statements import GraphDatabase, Statement
from evsession.session.callbacks import Callback, shift, split
from evsession.session.calls import Call
from evsession.session.graphs.commit import GraphBatches, Whole
from evsession.session.graphs.mapper import KnownNode, NodeMapper, NodePicture, need_info
from evsession.session.graphs.nodes import KnownNodes
from evsession.session.graphs.openings import GraphOpenings
from evsession.session.graphs.phase import Phase
from evsession.session.graphs.reading import NodeReader
from evsession.session.graphs.transaction import GraphTransaction
from evsession.session.operation import Operation, Steps
from evsession.session.plan import Plan
from evsession.session.transaction import Capabilities
from evsession.unitofwork.hooks import calling
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["GraphWork"]

E = TypeVar("E")

ENDS = ("commit.post", "rollback.post")
"""The hooks that are called when the transaction has ended."""


class GraphWork(GraphOpenings):
    """The unit of work of a graph session."""

    capabilities = Capabilities(interactive_transactions=True, reads_own_writes=True)

    _database: GraphDatabase
    _mark: str

    options: GraphSessionOptions

    def _start_nodes(self, *, tracks: bool) -> None:
        self._unit: UnitOfWork[NodePicture] = UnitOfWork(NodeMapper(), detects=tracks, fold=fold_address)
        self._nodes = KnownNodes(self._unit, tracks=tracks)
        self._reader = NodeReader(self._unit, self._nodes, self._run_here)
        self._start_working()

    @abstractmethod
    def _run_alone(self, decide: Callable[[], Statement | None]) -> Steps:
        """Run the statement that is decided on when its turn comes, if there is one, in a transaction of its own."""

    @abstractmethod
    def _alone(self) -> Any:
        """Return the owner of operations that run statements in transactions of their own."""

    def _here(self) -> GraphTransaction | None:
        """Return the transaction in which statements of the session run: one of the unit of work, or of the hook that asks."""
        transaction = self._latest()
        if transaction is not None and transaction._is_assigned and transaction.is_open and not transaction._is_own:
            return transaction
        call = calling(self._unit)
        return self._work_transaction() if call is not None and call.event not in ENDS else None

    def _loading(self) -> GraphTransaction | None:
        """Return the transaction in which the session loads: any that is open."""
        transaction = self._latest()
        is_open = transaction is not None and transaction.is_open and not transaction._is_own
        return transaction if is_open else self._here()

    def _loader(self) -> Any:
        """Return the owner of operations that load."""
        return self._loading() or self._alone()

    def _run_here(self, cypher: cypher.Cypher) -> Generator[Any, Any, Result]:
        """Run a statement in the open transaction, or in one of its own."""
        transaction = self._loading()
        statement = Statement.of(*cypher)
        run = self._run_alone if transaction is None else transaction._run_later
        (result,) = yield from run(lambda: statement)
        answer: Result = result
        return answer

    def _backend(self) -> GraphBatches:
        return GraphBatches(self)

    def _commit_steps(self, *, flush: bool, only_staged: bool) -> Steps:
        transaction = self._coming or self._current
        is_over = transaction is None or transaction._is_own or (flush and self._is_ending)
        transaction = None if is_over else transaction
        is_ending = transaction is not None and not transaction.is_open
        whole = self._whole(flush=flush, only_staged=only_staged)
        try:
            with self._counting(ends=not flush or transaction is None or is_ending):
                if transaction is not None and not (is_ending and only_staged):
                    with transaction._flushing() as turn:  # what is asked of it from now on waits until the whole is done
                        yield turn
                        if not is_ending or transaction.is_open:  # else it has ended as it was asked to before
                            if flush and transaction._phase is not Phase.TERMINATED:
                                transaction._check("run", transaction._phase)  # it has ended meanwhile, or never begun
                            yield whole
                            return whole.results
                yield whole
                return whole.results
        finally:
            whole.close()

    def _whole(self, *, flush: bool = False, only_staged: bool = False) -> Whole:
        """Freeze what is to be written, and return the pause that writes it when its turn comes."""
        return Whole(super()._commit_steps(flush=flush, only_staged=only_staged), self._undo_work)

    def _whole_of(self, transaction: GraphTransaction) -> Whole:
        """Do as `_whole` does, for the end of a transaction: its turn comes before that of what waits for the end."""
        self._place = self._place_before(transaction)
        try:
            return self._whole()
        finally:
            self._place = None

    async def _undo_work(self, error: BaseException) -> None:
        """End a transaction that was opened for the commit that fails, has half of it, or was ended by the failure."""
        transaction = self._current
        if transaction is not None and (transaction._is_own or transaction._is_half or transaction._phase is not Phase.ACTIVE):
            await transaction._abandon(error)

    def _roll_back(self) -> Generator[Any, Any, None]:
        assert self._current is not None  # there is one while there is a journal
        yield Call(partial(self._current._do, "close"))

    def _end_work(self, transaction: GraphTransaction) -> None:
        """Know what became of what the transaction has staged."""
        unit, staged = self._unit, [undo.known for undo in (self._unit.journal or {}).values()]
        if transaction._phase is not Phase.COMMITTED:
            is_lost = transaction._phase is Phase.UNKNOWN
            self._lost += is_lost
            self._nodes.roll_back(is_lost=is_lost)
            return
        for known in staged:
            known.is_written, known.unsure = True, None
            if known.is_flushed:
                unit.forget(known)
            elif known.snapshot is not None:  # or it was added again since it was deleted
                self._nodes.let_go(known)
        unit.end()

    def _check_entity(self, entity: Any) -> None:
        if isinstance(entity, type):
            raise TypeError(f"{entity!r} is a class, not a node")
        need_info(entity)

    def _track(self, entity: Any) -> None:
        self._nodes.track(entity)

    def _untrack(self, entity: Any) -> None:
        self._nodes.untrack(entity)

    def _known(self, entity: Any) -> KnownNode:
        return self._nodes.of(entity)

    @staticmethod
    def _is_entity(thing: Any) -> bool:
        return info_of(type(thing)) is not None

    def _reading(self, name: str, build: Callable[[], Steps], callback: Callback | None) -> Operation[None]:
        return Operation(self._loader(), name, build(), callback, 0)

    def _renew(self, known: list[KnownNode], *, force: bool) -> Steps:
        return self._reader.renew(known, force=force)

    def _find(self, key: str) -> Any:
        known = self._unit.map.get(key)
        if known is None:  # it may be the text of a key that is none
            known = next((one for one in self._unit.map if one.key == key and not one.is_removed), None)
        return None if known is None else known.entity

    def get_reference(self, type: type[E], key: Any) -> E:
        """Return the entity with this primary key if it is known, or else an object that stands for it and holds only the key.

        Sends nothing, and does not ask whether the node exists. Reading another property raises `NotLoaded`; one that is set is
        written by the next commit, alone. A commit that would write to a missing node fails with status 404 and writes nothing.
        `hydrate`, `load`, `find` or `refresh` make the object that node.

        Args:
            type: A class marked with `node`, or a model.
            key: The primary key.

        Raises:
            ConfigurationError: the key can be none.
            InvalidDocument: no node of the model can have it, or it cannot be sent.
            KeyConflict: the session knows the node as an entity of another class.
        """
        self._check_open()
        entity: E = self._nodes.refer(need_info(type), key)
        return entity

    @overload
    def load(self, type: type[E], key: list[Any] | tuple[Any, ...], callback: Callback | None = None) -> Operation[list[E]]: ...
    @overload
    def load(self, type: type[E], key: Any, callback: Callback | None = None) -> Operation[E | None]: ...
    def load(self, type: type[E], key: Any, callback: Callback | None = None) -> Operation[Any]:
        """Load a node by its primary key; the result is the entity, or None. A known one is given without a request.

        Args:
            type: A class marked with `node`, or a model.
            key: The primary key; or a list of them: then the result is the list of those that there are, in the order asked,
                loaded in one request.
            callback: Called with the error and the entity.

        Raises:
            ConfigurationError: a key can be none.
            KeyConflict: of several keys, one is that of two nodes (of a single one the first node is given); or the session knows
                a node as an entity of another class.
        """
        info, cache = need_info(type), self.options.cache
        if isinstance(key, (list, tuple)):
            return Operation(self._loader(), "load", self._reader.load_many(info, key, cache=cache), callback, 1)
        return Operation(self._loader(), "load", self._reader.load(info, key, cache=cache), callback, 1)

    def find(
        self,
        type: type[E],
        where: Mapping[str, Any] | Callback | None = None,
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

        Raises:
            KeyConflict: two of the nodes have the same primary key, so they cannot be told apart; or the session knows one as an
                entity of another class.
            ConfigurationError: a condition or the order is none, or on a property that a model or class does not have.
        """
        callback, where = shift(callback, where)
        steps = self._find_steps(need_info(type), where, order, skip, limit)
        return Operation(self._loader(), "find", steps, callback, 1)

    def _find_steps(self, info: NodeInfo, where: Any, order: Any, skip: int | None, limit: int | None) -> Steps:
        checked = check_names(where, info.names, "where")
        check_names(names_in(order), info.names, "order")
        built = cypher.find(info.labels, checked, order=order, skip=skip, limit=limit)
        return (yield from self._reader.find(info, built))

    def refresh(self, *entities: Any, force: bool = False, callback: Callback | None = None) -> Operation[None]:
        """Load entities again, in one request; they stay the same objects.

        What is edited while it is under way stays so, and what is committed by a call meanwhile stays as it is. After a commit
        whose outcome is unknown, this finds out: an entity that the server has as it was sent counts as written, any other as
        not written. Of an increment on a node that somebody else has changed since, nobody can tell.

        Args:
            *entities: Entities of this session; the callback may be the last of them.
            force: Whether unsaved edits are given up; otherwise an entity that has some is refused.
            callback: Called with the error.

        Raises:
            DirtyEntity: an entity has unsaved edits, or is new. Nothing was sent.
            ConfigurationError: an entity is not known to this session.
            SessionError: status 404, a node is not there any more; its `key` names the first. Or `uncertain`: what became of an
                increment cannot be told; what is pending stays so.
        """
        callback, *given = split(entities, callback, self._is_entity)
        return self._reading("refresh", lambda: self._refresh(given, force=force), callback)

    def _refresh(self, entities: list[Any], *, force: bool) -> Steps:
        known = [self._nodes.of(entity) for entity in entities]
        for one in known:
            if one.unsure is None and (one.snapshot is None or (not force and self._unit.has_edits(one))):
                self._refuse_edits(one)
        return (yield from self._renew(known, force=force))

    def revert(self, *entities: Any) -> None:
        """Let entities be as they were loaded or written last; unsaved edits and increments are gone.

        Raises:
            ConfigurationError: an entity is new, or not known to this session.
        """
        for known in [self._nodes.of(entity) for entity in entities]:
            self._nodes.revert(known)

    def plan(self) -> Plan:
        """Return what `commit` would send now, without sending it and without calling hooks.

        Statements and parameters are exact; the id of a transaction that has not begun is shown as ``new``.

        Raises:
            InvalidDocument: an entity cannot be stored.
            KeyConflict: two entities have one key.
        """
        staged = self._unit.freeze()
        try:
            batch = self._unit.due(staged)
            return Plan(batch, list(GraphBatches(self).requests(batch)))
        finally:
            self._unit.release(staged)
