"""The steps of a graph session's reads of entities: load, find, reload. Joins statements with what the session knows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from evsession.errors import SessionError
from evsession.neo4j import cypher
from evsession.neo4j.addresses import fold_address
from evsession.neo4j.cypher import Cypher
from evsession.neo4j.nodes import NodeInfo
from evsession.neo4j.results import Result
from evsession.session.graphs.mapper import KnownNode, NodePicture, need_info
from evsession.session.graphs.nodes import KnownNodes
from evsession.session.operation import Steps
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["NodeReader"]


class NodeReader:
    """Reads of the nodes of one session.

    Args:
        unit: Its unit of work.
        nodes: What it knows.
        run: Runs a statement where the session runs them now.
    """

    def __init__(
        self, unit: UnitOfWork[NodePicture], nodes: KnownNodes, run: Callable[[Cypher], Generator[Any, Any, Result]]
    ) -> None:
        self._unit = unit
        self._nodes = nodes
        self._run = run

    def load(self, info: NodeInfo, key: Any, *, cache: bool) -> Steps:
        """Load one node by its primary key; a known one needs no request."""
        known = self._nodes.under(info, info.check_key(key))
        if known is not None and cache and not known.is_reference:
            return (None if known.is_removed else known.entity,)
        result = yield from self._run(cypher.find(info.labels, {info.key: key}, limit=1))
        found = self._nodes.admit(info, result.values(0), renews=not cache)
        return (found[0] if found else None,)

    def load_many(self, info: NodeInfo, keys: Sequence[Any], *, cache: bool) -> Steps:
        """Load nodes by their primary keys in one request; those that are not there are left out."""
        addresses = {_place(info, info.check_key(key)): key for key in keys}
        known = {address: self._nodes.under(info, key) for address, key in addresses.items()} if cache else {}
        here = {address: one for address, one in known.items() if one is not None and not one.is_reference}
        wanted = [key for address, key in addresses.items() if address not in here]
        entities = {address: None if one.is_removed else one.entity for address, one in here.items()}
        if wanted:
            result = yield from self._run(cypher.find_by_keys([(info.labels, info.key, wanted)]))
            nodes = result.values("n")
            found = self._nodes.admit(info, nodes, renews=not cache)
            entities.update(zip((_place(info, node[info.key]) for node in nodes), found, strict=True))
        listed = (entities.get(_place(info, key)) for key in keys)
        return ([entity for entity in listed if entity is not None],)

    def find(self, info: NodeInfo, built: Cypher) -> Steps:
        """Find nodes."""
        result = yield from self._run(built)
        return (self._nodes.admit(info, result.values(0)),)

    def renew(self, known: Sequence[KnownNode], *, force: bool = False) -> Steps:
        """Load entities again in one request, and let them be as the server has them."""
        groups: dict[int, tuple[NodeInfo, list[KnownNode]]] = {}
        for one in sorted(known, key=lambda one: not one.is_removed):  # what left its key to another one comes before that
            info = need_info(one.entity)
            groups.setdefault(id(info), (info, []))[1].append(one)
        if not groups:
            return ()
        asked = list(groups.values())
        wanted = [(info.labels, info.key, [self._primary_key(info, one) for one in group]) for info, group in asked]
        result = yield from self._run(cypher.find_by_keys(wanted))
        found = {(place, _place(asked[place][0], node[asked[place][0].key])): node for place, node in result.values()}
        missing, unclear = [], []
        for place, (info, group) in enumerate(asked):
            for one in group:
                node = found.get((place, fold_address(one.key or "")))
                if node is None:
                    missing += [] if self._nodes.settle_missing(one) else [one.key or ""]
                elif not self._nodes.refresh(info, one, node, force=force):
                    unclear.append(one)
        if missing:
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise SessionError(f"there is no {shown}", status_code=404, key=missing[0])
        if unclear:
            raise SessionError(
                f"whether {unclear[0].entity!r} was incremented cannot be told, for somebody else has changed it since;"
                " refresh with force=True takes what the server has, commit increments again",
                key=unclear[0].key,
                uncertain=True,
            )
        return ()

    def _primary_key(self, info: NodeInfo, known: KnownNode) -> Any:
        """Return the primary key as the database knows it."""
        return (
            getattr(known.entity, info.key)
            if known.snapshot is None
            else self._unit.mapper.fields(known.snapshot.known)[info.key]
        )


def _place(info: NodeInfo, key: Any) -> str:
    """Return what no other node of these has."""
    return fold_address(info.address(key))
