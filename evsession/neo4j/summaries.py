"""What the server says beside the rows: counters, notifications, plans and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

__all__ = ["Counters", "Notification", "QueryPlan", "Summary"]


class Counters(msgspec.Struct, frozen=True, rename="camel"):
    """What a statement changed.

    Attributes:
        contains_updates: Whether it changed anything in the graph or the schema.
        nodes_created: Nodes.
        nodes_deleted: Nodes.
        relationships_created: Relationships.
        relationships_deleted: Relationships.
        properties_set: Properties, removed ones counted, too.
        labels_added: Labels on nodes.
        labels_removed: Labels on nodes.
        indexes_added: Indexes.
        indexes_removed: Indexes.
        constraints_added: Constraints.
        constraints_removed: Constraints.
        contains_system_updates: Whether it changed anything in the system database.
        system_updates: How much.
    """

    contains_updates: bool = False
    nodes_created: int = 0
    nodes_deleted: int = 0
    relationships_created: int = 0
    relationships_deleted: int = 0
    properties_set: int = 0
    labels_added: int = 0
    labels_removed: int = 0
    indexes_added: int = 0
    indexes_removed: int = 0
    constraints_added: int = 0
    constraints_removed: int = 0
    contains_system_updates: bool = False
    system_updates: int = 0


class Notification(msgspec.Struct, frozen=True):
    """A remark of the server on a statement.

    Attributes:
        code: Such as ``"Neo.ClientNotification.Statement.UnknownLabelWarning"``.
        title: A headline.
        description: The remark.
        severity: ``"WARNING"`` or ``"INFORMATION"``.
        category: Such as ``"UNRECOGNIZED"`` or ``"PERFORMANCE"``.
        position: ``offset``, ``line`` and ``column`` in the statement, or None.
    """

    code: str = ""
    title: str = ""
    description: str = ""
    severity: str = ""
    category: str = ""
    position: dict[str, int] | None = None


@dataclass(frozen=True)
class QueryPlan:
    """One step of the plan of an ``EXPLAIN`` or ``PROFILE``.

    Attributes:
        operator_type: The name of the step.
        arguments: What the server says of it.
        identifiers: The variables that it gives.
        children: The steps that it takes its rows from.
        figures: Of a ``PROFILE`` what was measured, by the server's names: ``dbHits``, ``records``, ``time`` and others.
    """

    operator_type: str
    arguments: Mapping[str, Any]
    identifiers: tuple[str, ...]
    children: tuple[QueryPlan, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """What became of a statement.

    Attributes:
        query: The statement as it was given.
        parameters: Its parameters as they were given.
        database: The database that was asked.
        counters: What it changed.
        notifications: The server's remarks.
        plan: The plan, of an ``EXPLAIN`` or ``PROFILE``, else None.
        query_type: ``"r"``, ``"rw"``, ``"w"`` or ``"s"``; None before 2026.07.
        result_available_after: Milliseconds until the first row; None before 2026.07.
        result_consumed_after: Milliseconds until the last row; None before 2026.07.
    """

    query: str
    parameters: Mapping[str, Any]
    database: str
    counters: Counters = field(default_factory=Counters)
    notifications: tuple[Notification, ...] = ()
    plan: QueryPlan | None = None
    query_type: str | None = None
    result_available_after: int | None = None
    result_consumed_after: int | None = None
