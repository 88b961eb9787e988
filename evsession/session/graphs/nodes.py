"""The nodes that a session knows: what loading, referring and reloading make of them. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from evsession.errors import ConfigurationError, InvalidDocument, KeyConflict
from evsession.neo4j.addresses import fold_address
from evsession.neo4j.nodes import NodeInfo
from evsession.neo4j.things import Node
from evsession.session.graphs.mapper import KnownNode, NodePicture, need_info
from evsession.standins import base_of, is_reference
from evsession.unitofwork.acquaintances import Acquaintances
from evsession.unitofwork.changes import diff
from evsession.unitofwork.tracking import Tracked
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["KnownNodes"]


class KnownNodes:
    """The nodes of one session.

    Args:
        unit: Its unit of work.
        tracks: Whether nodes are remembered that are loaded.
    """

    def __init__(self, unit: UnitOfWork[NodePicture], *, tracks: bool) -> None:
        self.tracks = tracks
        self._unit = unit
        self._met: Acquaintances[NodePicture] | None = None if tracks else Acquaintances()

    def of(self, entity: Any) -> KnownNode:
        """Return what is known of the entity.

        Raises:
            ConfigurationError: nothing; it was neither loaded nor added here.
        """
        known = self._unit.map.of(entity)
        if known is None:
            raise ConfigurationError(f"{entity!r} is not known to this session")
        return known

    def under(self, info: NodeInfo, key: Any) -> KnownNode | None:
        """Return what is known under a primary key; of a session that remembers nothing, only what stands for the node.

        Raises:
            KeyConflict: it is an entity of another class.
        """
        if not self.tracks:
            known = self._unit.map.get(info.address(key))
            if known is None or not known.is_reference:
                return None
        return self._at(info, key)

    def _at(self, info: NodeInfo, key: Any) -> KnownNode | None:
        address = info.address(key)
        known = self._unit.map.get(address)
        if known is not None and not isinstance(known.entity, info.cls):
            what = base_of(type(known.entity)).__name__
            raise KeyConflict(f"{address!r} is the key of a {what} in this session, not of a {info.cls.__name__}", key=address)
        return known

    def track(self, entity: Any) -> None:
        """Remember an entity until the next commit; take back the removal of one that is known."""
        known = self._unit.map.of(entity)
        if known is not None:
            if self._met is not None:
                self._met.note_again(known)
            was_flushed = known.is_flushed
            self._unit.take_back(known)
            if was_flushed or (known.snapshot is not None and known.snapshot.is_doubtful):  # it has to be created, or may have
                known.snapshot = None
            return
        self._refuse_stranger(entity)
        made = self._known(entity)
        self._unit.add(made)
        need_info(entity).attach(entity, made)

    def untrack(self, entity: Any) -> None:
        """Queue the deletion of an entity; one that is not known here counts as one that is in the database."""
        known = self._unit.map.of(entity)
        if known is None:
            known = self._known(entity)
            known.is_reference = is_reference(entity)
            if known.snapshot is None:
                known.key = self._unit.mapper.claim(known)
                known.snapshot = NodePicture(self._unit.mapper.content(known))
            self._unit.map.add(known)
            need_info(entity).attach(entity, known)
        elif known.snapshot is None and known.unsure:  # it may have been created, so it is to be deleted
            known.snapshot = NodePicture(known.unsure, is_doubtful=True)
        self._unit.remove(known)

    def _known(self, entity: Any) -> KnownNode:
        """Return what can be known of an entity that this session meets now."""
        info: NodeInfo = need_info(entity)
        met = None if self._met is None else self._met.take(entity)
        if met is not None:
            return met
        stored, made = info.stored(entity), Tracked[NodePicture](entity, None, None, None, {})
        if stored is None:
            made.key = self._unit.mapper.address(made)
        elif stored.get(info.key) is None:
            raise ConfigurationError(f"the node of {entity!r} has no {info.key}, by which it would be found")
        else:
            made.key, made.snapshot = info.address(stored[info.key]), NodePicture(self._unit.mapper.compose(stored))
        return made

    def refer(self, info: NodeInfo, key: Any) -> Any:
        """Return the entity with this primary key, or one that only holds the key; it is remembered like any other."""
        info.check({info.key: info.check_key(key)})
        address, known = info.address(key), self._at(info, key)
        if known is not None:
            return known.entity
        entity = info.refer(key)
        snapshot = NodePicture(self._unit.mapper.compose({info.key: key}))
        known = Tracked(entity, address, None, snapshot, {}, is_reference=True)
        self._unit.map.add(known)
        info.attach(entity, known)
        return entity

    def admit(self, info: NodeInfo, nodes: Iterable[Node], *, renews: bool = False) -> list[Any]:
        """Return the entities of nodes that were read: the known ones as they are, unless `renews` and they have no edits.

        Raises:
            KeyConflict: two of the nodes have one key, or one has that of an entity of another class. Nothing is remembered.
        """
        nodes, seen = list(nodes), dict[str, str]()
        for node in nodes:
            key = node.get(info.key)
            if key is None:
                continue
            address = info.address(key)
            self.under(info, key)
            if seen.setdefault(fold_address(address), node.element_id) != node.element_id:
                raise KeyConflict(f"two nodes have the key {address!r}; a constraint would keep keys unique", key=address)
        return [self._admit(info, node, renews=renews) for node in nodes]

    def _admit(self, info: NodeInfo, node: Node, *, renews: bool) -> Any:
        key = node.get(info.key)
        known = None if key is None else self.under(info, key)
        if known is None:
            entity = info.make(node.properties)
            if key is not None:
                known = Tracked(entity, info.address(key), None, self._picture(info, entity), {})
                if self.tracks:
                    self._unit.map.add(known)
                    info.attach(entity, known)
                else:
                    self._meet(info, known)
            return entity
        if known.is_reference:
            self._load_reference(info, known, node)
        elif renews and known.unsure is None and not known.writes and not self._unit.is_pending(known):
            self._take(info, known, node)
        return known.entity

    def let_go(self, known: KnownNode) -> None:
        """Forget an entity that was written, if this session remembers none, and nothing more is to be done with it."""
        if self._met is not None and self._met.may_go(known, self._unit.mapper):
            self._unit.map.remove(known)
            self._meet(need_info(known.entity), known)

    def _meet(self, info: NodeInfo, known: KnownNode) -> None:
        """Keep in mind what was read or written, for the time when it is added; what knows it itself needs nobody for that."""
        if self._met is not None and info.stored(known.entity) is None:
            self._met.meet(known)

    def refresh(self, info: NodeInfo, known: KnownNode, node: Node, *, force: bool) -> bool:
        """Let the entity be as the server has it, and return whether what became of its last write is known.

        After a commit whose outcome was unknown the node tells it: if it is what was sent, the write is taken note of, and later
        edits stay edits; otherwise it did not happen. Of an increment nobody knows if the node is neither what was sent nor what
        it was before: then everything stays as it is, without `force`.
        """
        if known.unsure is not None:
            fresh, heir = self._picture(info, info.make(node.properties)), self._heir(known)
            if heir is not None and heir.unsure == fresh.known:
                return self.refresh(info, heir, node, force=force)  # that one forgets this one
            if not known.is_reference:
                if fresh.known == known.unsure:
                    known.unsure, known.snapshot, known.is_written = None, fresh, True
                    self._unit.forget_former(known)
                    self._unit.recount(known)
                    return True
                if not known.increments or (known.snapshot is not None and fresh.known == known.snapshot.known):
                    known.unsure = None
                    self._forget_doubtful(known)
                    return True
            if known.increments and not force:
                return False
            known.unsure = None
        if known.is_reference:
            self._load_reference(info, known, node)
        elif force or not (known.writes or self._unit.has_edits(known)):
            # What a transaction has staged stays staged: the node was read in it, and is pending again after a rollback.
            self._take(info, known, node)
        elif not known.writes and not known.is_removed:
            self._take_rest(info, known, node)
        return True

    def _heir(self, known: KnownNode) -> KnownNode | None:
        """Return what was to be created in place of one that was to be deleted, both by a write that may have happened."""
        return self._unit.map.get(known.key) if known.unsure == b"" and known.key is not None else None

    def roll_back(self, *, is_lost: bool) -> None:
        """Let what the open transaction has staged be pending again; if it is lost, nobody knows whether it was written.

        What was to be created and is to be deleted since stays known, so that its deletion is pending, if it may have been
        created after all, or still is by a commit that waits.
        """
        waiting: list[KnownNode] = []
        for undo in (self._unit.journal or {}).values():
            known = undo.known
            if is_lost:
                known.unsure = b"" if known.is_flushed or known.snapshot is None else known.snapshot.known
            if known.is_removed and undo.snapshot is None and (known.unsure or self._unit.waiting_for(known) is not None):
                undo.snapshot = NodePicture(known.unsure or b"", is_doubtful=True)
                waiting += [] if known.unsure else [known]
        self._unit.roll_back()
        for known in waiting:
            known.snapshot = None

    def settle_missing(self, known: KnownNode) -> bool:
        """Take note that the server has no node of an entity; return whether that tells the outcome of a commit."""
        unsure, known.unsure = known.unsure, None
        if unsure == b"" and known.is_removed:
            self._unit.map.remove(known)
        elif unsure == b"":  # added again since
            known.snapshot = None
        self._forget_doubtful(known)
        return unsure is not None

    def _forget_doubtful(self, known: KnownNode) -> None:
        """Take note that a node was not created which was to be deleted if it was."""
        if known.snapshot is not None and known.snapshot.is_doubtful:
            known.snapshot = None
            self._unit.map.remove(known)

    def revert(self, known: KnownNode) -> None:
        """Let the entity be as it was loaded or written last."""
        if known.snapshot is None:
            raise ConfigurationError(f"{known.entity!r} is new: there is nothing to go back to")
        info, properties = need_info(known.entity), self._unit.mapper.fields(known.snapshot.known)
        self._unit.revert_increments(known)
        if known.is_reference:
            info.forget_written(known.entity)
            info.set(known.entity, properties)
        else:
            info.restore(known.entity, properties)

    def _load_reference(self, info: NodeInfo, known: KnownNode, node: Node) -> None:
        """Let what stood for a node be it; what the program has set stays set, as an edit of what was read."""
        fresh, own = info.make(node.properties), info.written(known.entity)
        snapshot = self._picture(info, fresh)
        info.become_loaded(known.entity, fresh)
        for name, amount in self._unit.additions(known).items():
            value = node.get(name, 0)
            if name not in own and isinstance(value, (int, float)):
                info.set(known.entity, {name: value + amount})
        known.is_reference = False
        self._unit.complete(known, snapshot)
        undo = (self._unit.journal or {}).get(id(known))
        if undo is None:
            known.snapshot = snapshot
            return
        # What the transaction has staged stays staged, whether the node was read before that or after. What staged fields were
        # before nobody knows, so after a rollback they count as edits.
        fields = self._unit.mapper.fields
        staged = {} if known.snapshot is None else fields(known.snapshot.known)
        undo.snapshot = NodePicture(
            self._unit.mapper.compose(
                {name: value for name, value in fields(snapshot.known).items() if name == info.key or name not in staged}
            )
        )
        made = {name: value for name, value in {**fields(snapshot.known), **staged}.items() if value is not None}
        known.snapshot = NodePicture(self._unit.mapper.compose(made))

    def _take(self, info: NodeInfo, known: KnownNode, node: Node) -> None:
        info.fill(known.entity, node.properties)
        known.snapshot = self._picture(info, known.entity)
        known.increments = None

    def _take_rest(self, info: NodeInfo, known: KnownNode, node: Node) -> None:
        """Take over what was not edited since the server was asked; an entity that cannot be stored stays as it is."""
        mapper, increments, entity = self._unit.mapper, known.increments or {}, known.entity
        before = {} if known.snapshot is None else mapper.fields(known.snapshot.known)
        try:
            edited = diff(before, mapper.fields(mapper.content(known)))
        except InvalidDocument:
            return
        kept = {name: getattr(entity, name, None) for name in edited}
        self._take(info, known, node)
        known.increments = increments or None
        for name, value in kept.items():
            # What was only added to goes on from what is there now.
            fresh: Any = getattr(entity, name, None) or 0
            more = increments.get(name, 0)
            is_sum = name in increments and edited[name].new == (before.get(name) or 0) + more and isinstance(fresh, (int, float))
            info.set(entity, {name: fresh + more if is_sum else value})

    def _picture(self, info: NodeInfo, entity: Any) -> NodePicture:
        return NodePicture(self._unit.mapper.compose(info.properties(entity)))

    @staticmethod
    def _refuse_stranger(entity: Any) -> None:
        if is_reference(entity):
            raise ConfigurationError(
                f"{entity!r} refers to a node of another session, or to one that was deleted; get a reference here"
            )
