"""Nodes as entities of the unit of work: their properties, keys and snapshots. Does no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from evsession.errors import ConfigurationError, InvalidDocument
from evsession.neo4j.addresses import fold_address
from evsession.neo4j.decoding import TypedValue
from evsession.neo4j.encoding import Encoder, check_property
from evsession.neo4j.nodes import NodeInfo, info_of
from evsession.standins import base_of
from evsession.unitofwork.tracking import Staged, Tracked
from evsession.wire.json import decode_as, encode

__all__ = ["Item", "KnownNode", "NodeMapper", "NodePicture", "need_info"]


class NodePicture(msgspec.Struct, frozen=True):
    """What a node looked like.

    Attributes:
        known: Its properties, typed as they are sent.
        is_doubtful: Whether nobody knows that it was created; it is remembered for the sake of its deletion.
    """

    known: bytes
    is_doubtful: bool = False


KnownNode: TypeAlias = Tracked[NodePicture]
Item: TypeAlias = Staged[NodePicture]


def need_info(thing: Any) -> NodeInfo:
    """Return what the class of an entity says of its nodes.

    Raises:
        TypeError: it is no class of nodes, or only inherits from one: fields of its own would be lost.
    """
    cls = thing if isinstance(thing, type) else type(thing)
    info = info_of(cls)
    if info is None:
        raise TypeError(f"{cls.__name__} is no class of nodes: mark it with evsession.node, or use graph.model()")
    if info.cls is not cls and info.cls is not base_of(cls):
        raise TypeError(
            f"{cls.__name__} is no class of nodes, but inherits from one, {info.cls.__name__}: mark it with evsession.node,"
            " too, above any decorator that makes another class of it"
        )
    return info


class NodeMapper:
    """The graph's side of the unit of work."""

    def content(self, known: KnownNode) -> bytes:
        """Return the properties as they are now, typed."""
        info = need_info(known.entity)
        if known.is_reference:
            properties = {info.key: getattr(known.entity, info.key), **info.written(known.entity)}
            info.check(properties)
        else:
            properties = info.properties(known.entity)
        if known.snapshot is not None and fold_address(self.address(known) or "") != fold_address(known.key or ""):
            raise ConfigurationError(f"the key of {known.key!r} cannot change; add a new node and remove this one", key=known.key)
        try:
            for name, value in properties.items():
                check_property(name, value)
            return self.compose(properties)
        except InvalidDocument as error:
            error.key = known.key
            raise

    def contents(self, entities: Sequence[KnownNode]) -> list[bytes]:
        """Return what `content` returns for each."""
        return [self.content(known) for known in entities]

    def changed(self, known: KnownNode) -> bytes | None:
        """Return the properties if they differ from the snapshot."""
        content = self.content(known)
        return None if known.snapshot is not None and content == known.snapshot.known else content

    def scan(self, entities: Sequence[KnownNode]) -> Iterator[tuple[KnownNode, bytes | None]]:
        """Yield what has changed, or counts as changed; see `Mapper`."""
        for known in entities:
            content = self.changed(known)
            if content is not None or known.writes or known.increments:
                yield known, content

    def claim(self, known: KnownNode) -> str:
        """Return the key that a new node has."""
        address = self.address(known)
        if address is None:
            raise ConfigurationError(f"{known.entity!r} has no {need_info(known.entity).key}, which is its key")
        return address

    def claims(self, entities: Sequence[KnownNode]) -> list[str]:
        """Return what `claim` returns for each."""
        return [self.claim(known) for known in entities]

    def key_of(self, claim: str) -> str | None:
        """Return the key that a claim is."""
        return claim

    def fields(self, content: bytes) -> dict[str, Any]:
        """Return the properties as values."""
        shape: Any = dict[str, TypedValue]
        return {name: value.value for name, value in decode_as(content, shape, lax=True).items()}

    def compose(self, fields: Mapping[str, Any]) -> bytes:
        """Return the properties, typed and in order, so that equal ones give equal bytes."""
        return encode(Encoder().parameters(dict(sorted(fields.items())), "properties"))

    def picture(self, content: bytes, before: NodePicture | None) -> NodePicture:
        """Return the snapshot of a node with this content."""
        return NodePicture(content)

    def type_of(self, known: KnownNode) -> tuple[type, str | None]:
        """Return the class and its first label."""
        return base_of(type(known.entity)), need_info(known.entity).labels[0]

    def address(self, known: KnownNode) -> str | None:
        """Return label and primary key, such as ``"User/1"``."""
        info = need_info(known.entity)
        key = getattr(known.entity, info.key, None)
        return None if key is None else info.address(key)

    def check_field(self, known: KnownNode, field: str, value: Any) -> None:
        """Refuse a value that no property can have; what a model says of its own is asked when it is written."""
        check_property(field, value)

    def stored_name(self, known: KnownNode, field: str) -> str:
        """Return the field, which is the property."""
        return need_info(known.entity).check_field(field)
