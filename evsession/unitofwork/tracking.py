"""What is known of one entity: its key, its version, and what it looked like when it was last in step with the database."""

from __future__ import annotations

from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

import msgspec

__all__ = ["Kind", "Picture", "Staged", "Tracked"]


class Picture(Protocol):
    """What an entity looked like when it was read or written last."""

    @property
    def known(self) -> bytes:
        """Its fields, encoded as the database's side encodes them; equal bytes mean an unchanged entity.

        They may be made anew each time.
        """


S = TypeVar("S", bound=Picture)


class Kind(Enum):
    """What a commit does with an entity, in the order in which it is done."""

    DELETE = "delete"
    UPDATE = "update"
    INSERT = "insert"


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
        is_removed: Whether the next commit deletes it.
        is_flushed: Whether that deletion is part of the open transaction already.
        is_reference: Whether only its key is known, and what the program has set since.
        increments: What to add to which field on the server, instead of setting it.
        unsure: The content of a write whose outcome is unknown; ``b""`` is a deletion.
    """

    entity: Any
    key: str | None
    version: str | None
    snapshot: S | None
    facts: dict[str, Any]
    is_named: bool = False
    is_written: bool = False
    writes: int = 0
    is_removed: bool = False
    is_flushed: bool = False
    is_reference: bool = False
    increments: dict[str, Any] | None = None
    unsure: bytes | None = None

    def __repr__(self) -> str:
        state = "new" if self.snapshot is None else "reference" if self.is_reference else f"version {self.version}"
        return f"<Tracked {self.key!r} {state}{', removed' if self.is_removed else ''}>"


class Staged(msgspec.Struct, Generic[S], eq=False, gc=False):
    """What a commit does with one entity, as the entity was when the commit was called.

    Attributes:
        known: What is remembered of it; by the time it is sent, an earlier commit may have changed that.
        kind: What is done.
        content: Its fields at the time of the call; empty for a deletion.
        key: The key to send for a new one, or what stands for it on the database's side.
        increments: What is added on the server instead of being set.
        unlike: The snapshot that the content was compared with and differs from, if it was.
        before: The snapshot that this is a change of; None for a new one.
        body: What was sent: the content with the fields of the server that the entity's class does not know.
        is_begun: Whether its commit has begun; before, it waits for those that were called earlier.
        is_settled: Whether it was written or staged.
        is_given_up: Whether it is not to be written after all: what was to be done was taken back before its commit has begun.
        is_reverted: Whether the program has reverted the entity since the call: if this is not written, nothing is left of it.
    """

    known: Tracked[S]
    kind: Kind
    content: bytes
    key: Any = None
    increments: dict[str, Any] | None = None
    unlike: S | None = None
    before: S | None = None
    body: bytes = b""
    is_begun: bool = False
    is_settled: bool = False
    is_given_up: bool = False
    is_reverted: bool = False

    def revise(self, content: bytes) -> None:
        """Have another content than the entity had at the time of the call."""
        self.content, self.unlike = content, None

    def is_like(self, snapshot: S) -> bool:
        """Return whether the content is that of a snapshot."""
        return snapshot is not self.unlike and snapshot.known == self.content
