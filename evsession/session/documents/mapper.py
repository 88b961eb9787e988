"""RavenDB's side of the unit of work: how a document's content, key and snapshot are made.

Knows the codec, the keys and the conventions. Remembers nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from evsession.config import Conventions
from evsession.errors import ConfigurationError, InvalidDocument
from evsession.raven.codec import (
    encode_entities,
    encode_entity,
    encode_fields,
    id_of,
    is_like_dict,
    merge,
)
from evsession.raven.document import Document
from evsession.raven.glance import changed_lines, is_as_it_was, may_be_in_other_order
from evsession.raven.keys import KeySource, chosen_key, is_server_made, key_from_id, new_key, separator_of
from evsession.raven.reference import base_of, written_fields
from evsession.raven.shapes import Kind, shape_of
from evsession.raven.snapshots import Snapshot
from evsession.raven.types import info_of
from evsession.raven.vocabulary import COLLECTION, ID
from evsession.unitofwork.changes import is_same
from evsession.unitofwork.tracking import Tracked
from evsession.wire.json import JSON, decode, encode

__all__ = ["DocumentMapper", "Known"]

Known: TypeAlias = Tracked[Snapshot]

LOOKED_AT_ONCE = 256
"""Entities that are compared before those that have changed are encoded; so many stay in the processor's cache."""


class DocumentMapper:
    """The mapper of one document session.

    Args:
        conventions: The session's.
    """

    def __init__(self, conventions: Conventions) -> None:
        self._conventions = conventions

    @property
    def separator(self) -> str:
        """What stands between the collection and the rest of a key."""
        return self._conventions.id_separator

    def content(self, known: Known) -> bytes:
        """Return the document's fields as JSON; see `encode_entity`."""
        if known.snapshot is not None:
            _refuse_new_key(known)
        try:
            if known.is_reference:
                return encode_fields(base_of(type(known.entity)), written_fields(known.entity))
            return encode_entity(known.entity)
        except InvalidDocument as error:
            error.key = error.key or known.key
            raise

    def contents(self, entities: Sequence[Known]) -> list[bytes]:
        """Return what `content` returns for each, many at once."""
        # A stand-in has more to it than its fields, and of an object that is in the database the key must not have changed.
        odd = [
            known
            for known in entities
            if known.is_reference or (known.snapshot is not None and not isinstance(known.entity, dict))
        ]
        if not odd:
            with suppress(InvalidDocument):  # which `content` raises with the key
                return encode_entities([known.entity for known in entities])
        return [self.content(known) for known in entities]

    def changed(self, known: Known) -> bytes | None:
        """Return the document's fields as JSON if they differ from the snapshot."""
        return next((content for _, content in self.scan([known])), None)

    def scan(self, entities: Sequence[Known]) -> Iterator[tuple[Known, bytes | None]]:
        """Yield what has changed, or counts as changed; see `Mapper`."""
        for start in range(0, len(entities), LOOKED_AT_ONCE):
            some = entities[start : start + LOOKED_AT_ONCE]
            lines = self._look(some)
            busy = [place for place, known in enumerate(some) if known.writes or known.increments]
            for place in sorted({*lines, *busy}) if busy else lines:
                known = some[place]
                content = lines.get(place)
                if content is None and place in lines and _differs(now := self.content(known), _known(known)):
                    content = now
                if content is not None or known.writes or known.increments:
                    yield known, content

    def _look(self, entities: Sequence[Known]) -> dict[int, bytes | None]:
        """Return the places of those that may have changed, in order; see `changed_lines`."""
        objects = [known.entity for known in entities]
        kinds = {cls: is_like_dict(cls) for cls in set(map(type, objects))}
        if all(kinds.values()):
            # `scan` is for entities that have a snapshot.
            return changed_lines(objects, [known.snapshot for known in entities])  # type: ignore[misc]
        alike = [place for place, entity in enumerate(objects) if kinds[type(entity)]]
        found = self._look([entities[place] for place in alike]) if alike else {}
        lines = {alike[place]: line for place, line in found.items()}
        room = bytearray()
        for place, known in enumerate(entities):
            # A stand-in has more to it than its fields.
            if not kinds[type(known.entity)] and (
                known.is_reference or not is_as_it_was(known.entity, known.key, _known(known), room)
            ):
                lines[place] = None
        return dict(sorted(lines.items())) if alike else lines

    def claim(self, known: Known) -> str | KeySource | None:
        """Return the key to send a new document with, or where it is fetched before."""
        info = info_of(known.entity)
        if info is not None:
            known.facts.setdefault(COLLECTION, info.collection)
        if known.is_named:
            return known.key
        return new_key(known.entity, info, self._conventions, collection=known.facts.get(COLLECTION), known=known.key)

    def claims(self, entities: Sequence[Known]) -> list[str | KeySource | None]:
        """Return what `claim` returns for each, without asking again for a whole key that is a document's id."""
        claims: list[str | KeySource | None] = []
        kinds: dict[type, tuple[str | None, str]] = {}
        for known in entities:
            entity, key = known.entity, known.key
            if key is not None and isinstance(entity, Document) and (entity._key or entity._id) == key:
                cls = type(entity)
                if cls not in kinds:
                    info = info_of(entity)
                    kinds[cls] = None if info is None else info.collection, separator_of(entity, self._conventions)
                collection, separator = kinds[cls]
                if collection is not None and separator in key:
                    known.facts.setdefault(COLLECTION, collection)
                    claims.append(key)
                    continue
            claims.append(self.claim(known))
        return claims

    def key_of(self, claim: str | KeySource | None) -> str | None:
        """Return the key that a claim names whole."""
        return claim if isinstance(claim, str) and not is_server_made(claim) else None

    def fields(self, content: bytes) -> dict[str, JSON]:
        """Return the fields by name."""
        fields: dict[str, JSON] = decode(content)
        return fields

    def compose(self, fields: Mapping[str, JSON]) -> bytes:
        """Return the fields as JSON."""
        return encode(fields)

    def picture(self, content: bytes, before: Snapshot | None) -> Snapshot:
        """Return the snapshot of a document that has this content now."""
        return Snapshot(content, content if before is None else merge(content, before))

    def type_of(self, known: Known) -> tuple[type, str | None]:
        """Return the class and the collection."""
        cls = base_of(type(known.entity))
        info = info_of(cls)
        collection: str | None = known.facts.get(COLLECTION, None if info is None else info.collection)
        return cls, collection

    def address(self, known: Known) -> str | None:
        """Return the key that the document has, or that its id means."""
        return known.key or self.chosen_key(known.entity, known.facts.get(COLLECTION))

    def check_field(self, known: Known, field: str, value: Any) -> None:
        """Refuse a value that a field of the document cannot have."""
        encode_fields(base_of(type(known.entity)), {field: value})

    def stored_name(self, known: Known, field: str) -> str:
        """Return the field's name in JSON."""
        cls = base_of(type(known.entity))
        if issubclass(cls, dict):
            return field
        shape = shape_of(cls)
        if field not in shape.names and shape.kind is not Kind.PLAIN:
            raise ConfigurationError(f"{cls.__qualname__} has no field {field!r}; there are: {', '.join(shape.names)}")
        return shape.names.get(field, field)

    def key_meant(self, id: str, entity: Any, collection: str | None) -> str:
        """Return the key that an id of the entity means."""
        info = info_of(entity)
        if info is None:
            return key_from_id(id, collection, self._conventions.id_separator)
        return key_from_id(id, collection or info.collection, info.id_separator or self._conventions.id_separator)

    def chosen_key(self, entity: Any, collection: str | None) -> str | None:
        """Return the key that the entity's own id means, or what its type's `key` function returns."""
        return chosen_key(entity, info_of(entity), self._conventions, collection=collection)


def _known(known: Known) -> bytes:
    """Return what is known of an entity that has been read or written."""
    assert known.snapshot is not None
    return known.snapshot.known


def _differs(content: bytes, before: bytes) -> bool:
    """Return whether two documents differ in more than the order of their fields, which means nothing."""
    if not may_be_in_other_order(content, before):
        return content != before
    return not is_same(decode(content), decode(before))


def _refuse_new_key(known: Known) -> None:
    """Refuse an id that was edited: RavenDB cannot rename a document."""
    if not isinstance(known.entity, dict) and (ID in known.facts or known.is_reference):
        given = id_of(known.entity)
        if given != known.key and hasattr(known.entity, "id"):
            raise ConfigurationError(
                f"the key of {known.key!r} cannot change to {given!r}; store a copy under that key and delete this document",
                key=known.key,
            )
