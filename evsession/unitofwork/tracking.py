"""What is known of one entity: its key, its version, and what it looked like when it was last in step with the database."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

__all__ = ["Tracked"]

S = TypeVar("S")


class Tracked(Generic[S]):
    """One entity and what the session knows of it.

    Attributes:
        entity: The program's own object.
        key: Its key, or None for a new entity whose key the server will make.
        version: The version that the database gave it (RavenDB: the change vector); None while it is new.
        snapshot: What was last read or written, in the caller's form; None while it is new.
        facts: What else came with it (RavenDB: the metadata).
    """

    __slots__ = ("entity", "facts", "key", "snapshot", "version")

    def __init__(self, entity: Any, key: str | None, version: str | None, snapshot: S | None, facts: dict[str, Any]) -> None:
        self.entity = entity
        self.key = key
        self.version = version
        self.snapshot = snapshot
        self.facts = facts

    def __repr__(self) -> str:
        state = "new" if self.snapshot is None else f"version {self.version}"
        return f"<Tracked {self.key!r} {state}>"
