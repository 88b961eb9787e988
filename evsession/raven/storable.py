"""What may be stored, and the metadata beside it: the program's part is checked, the server's part is left out.

Knows documents and metadata; remembers nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from evsession.errors import ConfigurationError, InvalidDocument
from evsession.raven.document import Document
from evsession.raven.types import is_storable_entity
from evsession.raven.vocabulary import CHANGE_VECTOR, COLLECTION, METADATA, PROJECTION, SERVER_METADATA
from evsession.wire.json import JSON, check

__all__ = ["check_storable", "checked_metadata", "chosen_facts", "own_metadata", "take_metadata"]


def take_metadata(row: dict[str, JSON]) -> dict[str, JSON]:
    """Take the metadata out of the row."""
    metadata = row.pop(METADATA, None)
    return metadata if isinstance(metadata, dict) else {}


def checked_metadata(metadata: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Refuse metadata that cannot be stored, or that is not the program's.

    Raises:
        TypeError: it is no mapping.
        InvalidDocument: it holds what JSON cannot, or names of the server's.
    """
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata is a mapping, not {metadata!r}")
    try:
        check({METADATA: dict(metadata)})
        for name in (COLLECTION, *SERVER_METADATA):
            if name in metadata:
                raise InvalidDocument(f"cannot be stored: {METADATA}.{name} is not the program's; the collection has a keyword")
    except InvalidDocument as error:
        error.path = error.path or METADATA
        raise
    return metadata


def chosen_facts(collection: object, metadata: Mapping[str, JSON] | None) -> dict[str, JSON]:
    """Return what the program says of a document beside its fields.

    Raises:
        ConfigurationError: no collection can have the name.
        TypeError, InvalidDocument: see `checked_metadata`.
    """
    facts = {} if metadata is None else dict(checked_metadata(metadata))
    if collection is not None:
        # ``@hilo`` and the like are RavenDB's, but may be copied.
        if not isinstance(collection, str) or not collection.strip() or not collection.isprintable():
            raise ConfigurationError(f"a collection is named by a printable text, not by {collection!r}")
        facts[COLLECTION] = collection
    return facts


def check_storable(entity: object) -> None:
    """Refuse what can be no document.

    Raises:
        TypeError: it is nothing that can be stored.
    """
    if isinstance(entity, Document):
        if entity._metadata and PROJECTION in entity._metadata:
            raise TypeError("the result of a projection cannot be stored: it is not the whole document")
    elif not is_storable_entity(entity):
        kind = type(entity).__name__
        raise TypeError(
            f"a value of type {kind} cannot be stored: give a Document, a dict or an instance of a class marked with @document"
        )


def own_metadata(entity: object) -> tuple[dict[str, JSON], str | None]:
    """Return the metadata of a document that was loaded elsewhere, less what belongs to the server; and its version."""
    metadata = entity._metadata if isinstance(entity, Document) else None
    if not metadata:
        return {}, None
    return {name: value for name, value in metadata.items() if name not in SERVER_METADATA}, metadata.get(CHANGE_VECTOR)
