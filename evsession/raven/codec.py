"""Entities to JSON and back: what is stored of an object, and which object a row stands for.

Knows documents, shapes of classes and snapshots. Knows no session: whether an entity has changed is asked by comparing
`encode_entity` with `Snapshot.known`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from evsession.errors import ConfigurationError, InvalidDocument
from evsession.raven.document import Document, make, make_known, put_key, put_metadata
from evsession.raven.merge import merge_bodies
from evsession.raven.shapes import Kind, public_attributes, shape_of
from evsession.raven.snapshots import Snapshot, keep
from evsession.raven.typed import build_object, encode_object, encode_parts, keep_object
from evsession.raven.vocabulary import METADATA
from evsession.wire.json import JSON, encode_each, encode_exact, encode_to_keep

__all__ = [
    "assign",
    "build_known",
    "decode_entity",
    "decode_known",
    "encode_entities",
    "encode_entity",
    "encode_fields",
    "id_of",
    "is_like_dict",
    "key_of",
    "merge",
    "refill",
    "set_key",
    "set_metadata",
    "set_stored",
]


def encode_entity(entity: Any) -> bytes:
    """Return what is stored of the entity: a JSON object of its fields, without its key and its metadata.

    Of plain classes all attributes are stored but the key; of declared classes the declared
    fields, in their order, and sets sorted. What could not be read back is refused here, before anything is sent: values that
    JSON lacks (NaN) or would change (a set where no type says so), and values against their type hint.

    Raises:
        InvalidDocument: with the `path` of the first culprit and the `key` of the document, if it has one.
    """
    try:
        if isinstance(entity, dict):
            if METADATA in entity:
                raise InvalidDocument("cannot be stored: @metadata is the server's; the session writes it", path=METADATA)
            return encode_exact(entity)
        return encode_object(entity)
    except InvalidDocument as error:
        raise _name_document(error, entity) from error.__cause__


def encode_entities(entities: Sequence[Any]) -> list[bytes]:
    """Return what `encode_entity` returns for each; dicts at once, which takes half of the time.

    Raises:
        InvalidDocument: with the `path` of the first culprit and the `key` of the document, if it has one.
    """
    if not all(map(is_like_dict, set(map(type, entities)))) or [1 for entity in entities if METADATA in entity]:
        return [encode_entity(entity) for entity in entities]
    return [line or encode_entity(entity) for line, entity in zip(encode_each(entities), entities, strict=True)]


def is_like_dict(cls: type) -> bool:
    """Return whether the instances of a class are encoded and compared as a dict is."""
    return issubclass(cls, dict) and cls.__eq__ is dict.__eq__


def encode_fields(cls: type, fields: dict[str, Any]) -> bytes:
    """Return some fields of an entity of this class as JSON, by the same rules as `encode_entity`.

    Raises:
        InvalidDocument: with the `path` of the first culprit.
    """
    return encode_exact(fields) if issubclass(cls, dict) else encode_parts(fields, shape_of(cls))


def decode_entity(
    row: dict[str, JSON], cls: type | None = None, *, key: str | None = None, room: bytearray | None = None
) -> tuple[Any, Snapshot]:
    """Return the entity that the row stands for, and the snapshot to compare it with later.

    Objects are made without ``__init__``; ``__post_init__`` of dataclasses and validators of attrs run, as msgspec does it. A
    field that the row lacks has the class's default. Fields that the class lacks are kept in the snapshot for `merge`.

    Args:
        row: The document without ``@metadata``. It is not kept.
        cls: What to make of it; None for `Document`.
        key: The document's key, which becomes the entity's.
        room: A buffer to work in, if there is one already.

    Raises:
        InvalidDocument: if the row does not fit the class: a field without a default is missing, or a value is of another type.
    """
    entity = build_entity(row, cls, key=key)
    room = bytearray() if room is None else room
    if isinstance(entity, dict):
        body = keep(row, room)
        return entity, Snapshot(body, body)
    known, raw = keep_object(entity, room), encode_to_keep(row, room)
    return entity, Snapshot(known, known if known == raw else raw)


def decode_known(row: dict[str, JSON], cls: type, key: str, metadata: dict[str, JSON], room: bytearray) -> tuple[Any, Snapshot]:
    """Return the same for a row that still holds its metadata; made for every row that a session learns.

    Args:
        row: The document. It is not kept, and may lose its metadata.
        cls: What to make of it.
        key: The document's key.
        metadata: What a `Document` gets for its own.
        room: A buffer to work in.

    Raises:
        InvalidDocument: if the row does not fit the class.
    """
    if issubclass(cls, Document):
        document = make_known(cls, row, key, metadata)
        body = keep(document, room)
        return document, Snapshot(body, body)
    del row[METADATA]
    return decode_entity(row, cls, key=key, room=room)


def build_known(row: dict[str, JSON], cls: type, key: str, metadata: dict[str, JSON]) -> Any:
    """Return the entity of `decode_known`, for those who will not compare it later."""
    if issubclass(cls, Document):
        return make_known(cls, row, key, metadata)
    del row[METADATA]
    return build_entity(row, cls, key=key)


def build_entity(row: dict[str, JSON], cls: type | None = None, *, key: str | None = None) -> Any:
    """Return the entity that the row stands for, as `decode_entity` does, for those who will not compare it later."""
    if cls is None or issubclass(cls, dict):
        document = make(cls or Document, row)
        set_key(document, key)
        return document
    try:
        entity = build_object(cls, row, key)
        if key is not None and getattr(entity, "id", None) != key:
            set_key(entity, key)
        return entity
    except InvalidDocument as error:
        message = f"{key or 'the document'} cannot be read as {cls.__qualname__}: {error.message}"
        raise InvalidDocument(message, path=error.path, key=key) from error


def merge(entity_bytes: bytes, snapshot: Snapshot) -> bytes:
    """Return the body to send: `encode_entity`'s bytes with the fields of the row that the class does not know."""
    return entity_bytes if snapshot.row is snapshot.kept else merge_bodies(entity_bytes, snapshot.known, snapshot.raw)


def refill(entity: Any, row: dict[str, JSON], cls: type | None = None, *, key: str | None = None) -> Snapshot:
    """Overwrite the entity in place with a newer row and return the new snapshot; frozen objects, too.

    Raises:
        InvalidDocument: if the row does not fit the class; the entity is as before then.
    """
    fresh, snapshot = decode_entity(row, cls or type(entity), key=key_of(entity) if key is None else key)
    if isinstance(entity, dict):
        entity.clear()
        entity.update(fresh)
        return snapshot
    shape = shape_of(type(entity))
    if shape.kind is Kind.PLAIN:
        for name in public_attributes(entity):
            del vars(entity)[name]
        vars(entity).update(public_attributes(fresh))
    else:
        for name in shape.names:
            assign(entity, name, getattr(fresh, name))
    return snapshot


def assign(entity: Any, name: str, value: Any) -> None:
    """Set an attribute, of a frozen object, too."""
    if isinstance(entity, msgspec.Struct):
        msgspec.structs.force_setattr(entity, name, value)
    else:
        object.__setattr__(entity, name, value)


def set_stored(entity: Any, field: str, value: JSON) -> None:
    """Set a field by its name in JSON."""
    if isinstance(entity, dict):
        entity[field] = value
        return
    names = {stored: name for name, stored in shape_of(type(entity)).names.items()}
    assign(entity, names.get(field, field), value)


def key_of(entity: Any) -> str | None:
    """Return the entity's key or id: the declared field, or else the attribute, ``id``; None for none, and for plain dicts.

    Raises:
        ConfigurationError: if it is not text.
    """
    return entity.id if isinstance(entity, Document) else id_of(entity)


def id_of(entity: Any) -> str | None:
    """Return the id that the entity was given, as it was given; for a `Document` that is in the database, its key.

    Raises:
        ConfigurationError: if it is not text.
    """
    if isinstance(entity, Document):
        given: str | None = entity._key or entity._id
        return given
    key = entity.id if not isinstance(entity, dict) and _holds_key(entity) else None
    if key is None or key == "":
        return None
    if not isinstance(key, str):
        raise ConfigurationError(f"{type(entity).__qualname__}.id holds the document's key, which is text, not {key!r}")
    return key


def _holds_key(entity: Any) -> bool:
    if shape_of(type(entity)).key is not None:
        return hasattr(entity, "id")
    return "id" in getattr(entity, "__dict__", ())


def set_key(entity: Any, key: str | None) -> None:
    """Say which key the entity has; objects that can hold none (plain dicts, slots without ``id``) stay as they are."""
    if isinstance(entity, Document):
        put_key(entity, key)
    elif not isinstance(entity, dict) and shape_of(type(entity)).key is not None:
        assign(entity, "id", key)
    elif hasattr(entity, "__dict__"):
        vars(entity)["id"] = key


def set_metadata(entity: Any, metadata: dict[str, JSON] | None) -> None:
    """Give a `Document` what the server said about it; other entities hold no metadata."""
    if isinstance(entity, Document):
        put_metadata(entity, metadata)


def _name_document(error: InvalidDocument, entity: Any) -> InvalidDocument:
    """Return the error with the document's key and type in its text."""
    key = key_of(entity)
    named = type(entity).__qualname__ if key is None else f"{type(entity).__qualname__} {key!r}"
    return InvalidDocument(f"{named}: {error.message}", path=error.path, key=key)
