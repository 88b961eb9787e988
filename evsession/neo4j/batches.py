"""The statements of a commit: one for each kind of change and each kind of node, however many nodes there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from evsession.neo4j.cypher import Cypher, spell_labels
from evsession.neo4j.names import quote

__all__ = ["Row", "delete_rows", "insert_rows", "update_rows"]


class Row(NamedTuple):
    """A change of one node.

    Attributes:
        key: Its primary key.
        changes: Properties and their new values; None removes one.
        increments: Properties and what is added to them.
    """

    key: Any
    changes: Mapping[str, Any]
    increments: Mapping[str, Any]


def insert_rows(labels: Sequence[str], rows: Sequence[Any]) -> Cypher:
    """Create a node for each row, a mapping of its properties or one that is encoded already."""
    return Cypher(f"UNWIND $rows AS row CREATE (n{spell_labels(labels)}) SET n = row RETURN count(n)", {"rows": rows})


def update_rows(labels: Sequence[str], key: str, rows: Sequence[Row]) -> Cypher:
    """Change nodes, and tell for each that there is its place in the list and its increments' results."""
    names = sorted({name for row in rows for name in row.increments})
    sums = "".join(
        f", n.{quote(name)} = CASE WHEN row.more.{quote(name)} IS NULL THEN n.{quote(name)} "
        f"ELSE coalesce(n.{quote(name)}, 0) + row.more.{quote(name)} END"
        for name in names
    )
    text = (
        f"UNWIND $rows AS row MATCH (n{spell_labels(labels)} {{{quote(key)}: row.key}}) SET n += row.set{sums} "
        f"RETURN row.place AS place, [{', '.join(f'n.{quote(name)}' for name in names)}] AS made"
    )
    changed = [{"place": place, "key": row.key, "set": row.changes, "more": row.increments} for place, row in enumerate(rows)]
    return Cypher(text, {"rows": changed})


def delete_rows(labels: Sequence[str], key: str, keys: Sequence[Any]) -> Cypher:
    """Delete nodes; one that has relationships is refused, and with it everything."""
    text = f"UNWIND $keys AS key MATCH (n{spell_labels(labels)} {{{quote(key)}: key}}) DELETE n"
    return Cypher(text, {"keys": list(keys)})
