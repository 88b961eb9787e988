"""What is known of one entity: its key, its version, and what it looked like when it was last in step with the database."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

__all__ = ["Tracked"]

S = TypeVar("S")


class Tracked(msgspec.Struct, Generic[S], eq=False):
    """One entity and what the session knows of it.

    Attributes:
        entity: The program's own object.
        key: Its key, or None for a new entity whose key the server will make.
        version: The version that the database gave it (RavenDB: the change vector); None while it is new.
        snapshot: What was last read or written, in the caller's form; None while it is new.
        facts: What else came with it (RavenDB: the metadata).
        is_named: Whether the program gave the key itself; one that is made from the entity may still change while it is new.
        is_written: Whether this session has written it.
        writes: How many writes of it are under way; its snapshot is about to change then, so it counts as changed.
    """

    entity: Any
    key: str | None
    version: str | None
    snapshot: S | None
    facts: dict[str, Any]
    is_named: bool = False
    is_written: bool = False
    writes: int = 0

    def __repr__(self) -> str:
        state = "new" if self.snapshot is None else f"version {self.version}"
        return f"<Tracked {self.key!r} {state}>"
