"""The keys of nodes in an identity map: label and primary key, which may be of any kind that a property can be."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from evsession.errors import InvalidDocument
from evsession.neo4j.encoding import Encoder
from evsession.wire.json import encode

__all__ = ["Address", "address_of", "fold_address"]


class Address(str):
    """The address of a node whose primary key is no text; to Neo4j 5 and "5" are two keys, which read the same.

    Attributes:
        folded: What no address of another node is.
    """

    __slots__ = ("folded",)

    folded: str


def address_of(labels: Sequence[str], key: Any) -> str:
    """Return the address of the node with this primary key, such as ``"User/1"``."""
    head = ":".join(labels) + "/"
    if type(key) is str:
        return head + key
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, float) and key.is_integer():
        key = int(key)  # which Neo4j finds by it
    made = Address(f"{head}{key}")
    made.folded = str(made) if isinstance(key, str) else f"{head}\0{_spell(key)}"
    return made


def _spell(key: Any) -> str:
    try:
        return encode(Encoder().parameters({"key": key})).decode()
    except InvalidDocument:  # which will be refused as a property
        return repr(key)


def fold_address(address: str) -> str:
    """Return what no address of another node is."""
    return address.folded if isinstance(address, Address) else address
