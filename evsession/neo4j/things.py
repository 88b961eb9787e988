"""What only a graph holds: nodes, relationships and paths; and points and vectors. Values, as the server sent them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from evsession.errors import ProtocolError

__all__ = ["Node", "Path", "Point", "Relationship", "Unsupported", "Vector", "parse_point", "parse_vector"]

_POINT = re.compile(r"SRID=(\d+);\s*POINT(?: Z)? ?\(([^()]*)\)")

VECTOR_TYPES = {"INT8": int, "INT16": int, "INT32": int, "INT64": int, "FLOAT32": float, "FLOAT64": float}


class _Entity(Mapping[str, Any]):
    """What nodes and relationships have in common: an id, and properties that read like a mapping."""

    __slots__ = ("element_id", "properties")

    def __init__(self, element_id: str, properties: dict[str, Any]) -> None:
        self.element_id = element_id
        self.properties = properties

    def __getitem__(self, name: str) -> Any:
        return self.properties[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.properties)

    def __len__(self) -> int:
        return len(self.properties)

    def __bool__(self) -> bool:
        return True  # also without properties

    def __eq__(self, other: object) -> bool:
        return self.element_id == other.element_id if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.element_id)


class Node(_Entity):
    """A node as it was when it was read; ``node["name"]`` is a property. Two are equal if they are the same node of the database.

    Attributes:
        element_id: The server's id of it, good within a transaction.
        labels: Its labels.
        properties: Its properties as a dict.
    """

    __slots__ = ("labels",)

    def __init__(self, element_id: str, labels: frozenset[str], properties: dict[str, Any]) -> None:
        super().__init__(element_id, properties)
        self.labels = labels

    def __repr__(self) -> str:
        return f"<Node {self.element_id!r} {sorted(self.labels)} {self.properties!r}>"


class Relationship(_Entity):
    """A relationship as it was when it was read; ``relationship["since"]`` is a property.

    Attributes:
        element_id: The server's id of it, good within a transaction.
        type: Its type.
        start_node_element_id: The id of the node that it starts at.
        end_node_element_id: The id of the node that it ends at.
        properties: Its properties as a dict.
    """

    __slots__ = ("end_node_element_id", "start_node_element_id", "type")

    def __init__(
        self,
        element_id: str,
        type: str,
        start_node_element_id: str,
        end_node_element_id: str,
        properties: dict[str, Any],
    ) -> None:
        super().__init__(element_id, properties)
        self.type = type
        self.start_node_element_id = start_node_element_id
        self.end_node_element_id = end_node_element_id

    def __repr__(self) -> str:
        return f"<Relationship {self.element_id!r} {self.type} {self.properties!r}>"


class Path(msgspec.Struct, frozen=True):
    """A walk through the graph: its length is the number of relationships, iterating gives these.

    Attributes:
        nodes: All nodes in the order of the walk, one more than relationships.
        relationships: Each leads from one node to the next, or is walked against its direction.
    """

    nodes: tuple[Node, ...]
    relationships: tuple[Relationship, ...]

    @property
    def start_node(self) -> Node:
        """The first node."""
        return self.nodes[0]

    @property
    def end_node(self) -> Node:
        """The last node."""
        return self.nodes[-1]

    def __len__(self) -> int:
        return len(self.relationships)

    def __bool__(self) -> bool:
        return True  # also of one node only

    def __iter__(self) -> Iterator[Relationship]:
        return iter(self.relationships)


class Point(msgspec.Struct, frozen=True):
    """A place.

    Attributes:
        srid: 7203 cartesian, 9157 cartesian-3d, 4326 wgs-84 (x is the longitude), 4979 wgs-84-3d.
        x: The first coordinate.
        y: The second coordinate.
        z: The third one where there are three, else None.
    """

    srid: int
    x: float
    y: float
    z: float | None = None

    def __post_init__(self) -> None:
        for part in (self.x, self.y, 0.0 if self.z is None else self.z):
            given: object = part
            if isinstance(given, bool) or not isinstance(given, (int, float)):
                raise TypeError(f"a coordinate of a point is a number, not {given!r}")
        if (self.srid in (9157, 4979) and self.z is None) or (self.srid in (7203, 4326) and self.z is not None):
            raise ValueError(f"a point of SRID {self.srid} has {2 if self.z is not None else 3} coordinates")

    def __str__(self) -> str:
        if self.z is None:
            return f"SRID={self.srid};POINT ({float(self.x)!r} {float(self.y)!r})"
        return f"SRID={self.srid};POINT Z ({float(self.x)!r} {float(self.y)!r} {float(self.z)!r})"


class Vector(msgspec.Struct, frozen=True):
    """A list of numbers of one size (2025.11 and later).

    Attributes:
        type: ``"FLOAT64"``, ``"FLOAT32"``, ``"INT64"``, ``"INT32"``, ``"INT16"`` or ``"INT8"``.
        values: The numbers.
    """

    type: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.type not in VECTOR_TYPES:
            raise ValueError(f"a vector is of {', '.join(VECTOR_TYPES)}, not {self.type!r}")

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[float]:
        return iter(self.values)


class Unsupported(msgspec.Struct, frozen=True):
    """A value of a type that the server could not send by HTTP.

    Attributes:
        message: What the server says of it.
    """

    message: str


def parse_point(text: str) -> Point:
    """Return the place that Neo4j spelled.

    Raises:
        ProtocolError: it is none.
    """
    found = _POINT.fullmatch(text)
    parts = found[2].split() if found else []
    if found is None or len(parts) not in (2, 3):
        raise ProtocolError(f"the answer has a value that is no point: {text[:60]!r}")
    try:
        return Point(int(found[1]), *map(float, parts))
    except ValueError as error:
        raise ProtocolError(f"the answer has a value that is no point: {text[:60]!r}") from error


def parse_vector(type: str, coordinates: list[str]) -> Vector:
    """Return the vector that Neo4j spelled; raises as `parse_point`."""
    try:
        return Vector(type, tuple(map(VECTOR_TYPES[type], coordinates)))
    except (KeyError, ValueError) as error:
        raise ProtocolError(f"the answer has a value that is no vector: {type!r}") from error
