"""What the unit of work asks of a database's side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from evsession.unitofwork.tracking import Picture, Tracked

__all__ = ["Mapper"]

S = TypeVar("S", bound=Picture)


class Mapper(Protocol[S]):
    """The database's side: what its entities are made of."""

    def content(self, known: Tracked[S]) -> bytes:
        """Return the entity's fields as they are now, encoded.

        Raises:
            InvalidDocument: it cannot be stored; the error names the field.
        """

    def contents(self, entities: Sequence[Tracked[S]]) -> list[bytes]:
        """Return what `content` returns for each. One call for all, since many at once may cost less."""

    def changed(self, known: Tracked[S]) -> bytes | None:
        """Return the entity's fields, encoded, if they differ from the snapshot, else None. Raises as `content` does."""

    def scan(self, entities: Sequence[Tracked[S]]) -> Iterator[tuple[Tracked[S], bytes | None]]:
        """Yield the entities that a commit may have to write.

        Those that differ from their snapshot come with what `changed` returns; those that do not, but have increments, or a write
        under way, with None. One call for all, since most entities of most commits have not changed. Raises as `content` does.
        """

    def claim(self, known: Tracked[S]) -> Any:
        """Return the key that a new entity shall have, or what stands for one that is made later."""

    def claims(self, entities: Sequence[Tracked[S]]) -> list[Any]:
        """Return what `claim` returns for each."""

    def key_of(self, claim: Any) -> str | None:
        """Return the key that a claim names; None if it is made later."""

    def fields(self, content: bytes) -> dict[str, Any]:
        """Return the fields of an encoded entity by name."""

    def compose(self, fields: Mapping[str, Any]) -> bytes:
        """Return the encoded entity that has these fields."""

    def picture(self, content: bytes, before: S | None) -> S:
        """Return the snapshot of an entity with this content, whose last snapshot was `before`."""

    def type_of(self, known: Tracked[S]) -> tuple[type, str | None]:
        """Return the entity's class, and the name of its type or collection."""

    def address(self, known: Tracked[S]) -> str | None:
        """Return the key that the entity has, or will have as far as that is known."""

    def check_field(self, known: Tracked[S], field: str, value: Any) -> None:
        """Refuse a value that a field of the entity cannot have.

        Raises:
            InvalidDocument: with the `path` of the field.
        """

    def stored_name(self, known: Tracked[S], field: str) -> str:
        """Return the name under which the entity's field is stored.

        Raises:
            ConfigurationError: the entity has no such field.
        """
