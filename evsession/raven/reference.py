"""Stand-ins for entities of which only the key is known: what was not fetched cannot be read, what is set is kept.

Knows classes of entities. A stand-in is an instance of a subclass that is made for it, so ``isinstance`` holds; when the document
has come, the object gets its own class back and is that entity from then on.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

import msgspec

from evsession.errors import ConfigurationError
from evsession.raven.codec import assign, set_key, set_stored
from evsession.raven.document import Document, make
from evsession.raven.shapes import Kind, shape_of
from evsession.raven.typed import typed_fields
from evsession.standins import UNSET, base_of, defaults_of, forget, is_reference, keep_key, make_class, peek, refuse, show

__all__ = ["base_of", "become_loaded", "forget_written", "is_reference", "make_reference", "write_fields", "written_fields"]

T = TypeVar("T")

_REFERENCE = "__evsession_reference__"
"""The attribute of an entity's class that holds the class of its stand-ins."""


def make_reference(cls: type[T], key: str) -> T:
    """Return an object of the class that knows its key only.

    Raises:
        ConfigurationError: instances of the class can be no stand-ins: plain dicts.
    """
    if issubclass(cls, dict) and not issubclass(cls, Document):
        raise ConfigurationError("a plain dict can hold no key, so it cannot refer to a document; use a Document")
    own: Any = cls.__dict__.get(_REFERENCE) or _make_class(cls)
    entity: Any
    if issubclass(cls, dict):
        entity = make(own, {})
    elif issubclass(cls, msgspec.Struct):
        entity = own(**dict.fromkeys(cls.__struct_fields__, UNSET))
    else:
        entity = object.__new__(own)
    set_key(entity, key)
    if not issubclass(cls, dict) and shape_of(cls).kind is not Kind.PLAIN:
        keep_key(entity, shape_of(cls).names, key)
    made: T = entity
    return made


def written_fields(entity: Any) -> dict[str, Any]:
    """Return the fields of a stand-in that the program has set, by their names in JSON."""
    if isinstance(entity, dict):
        return dict(dict.items(entity))
    shape = shape_of(base_of(type(entity)))
    known = {stored: peek(entity, name) for name, stored in shape.names.items()}
    fields = {stored: value for stored, value in known.items() if value is not UNSET}
    if shape.kind is Kind.PLAIN:
        fields.update((name, value) for name, value in vars(entity).items() if name != "id")
    return fields


def become_loaded(entity: Any, fresh: Any) -> None:
    """Turn a stand-in into the entity; fields that the program has set stay as they are.

    Args:
        entity: The stand-in.
        fresh: The entity as it was read, of the same class; its values are taken.
    """
    base: type = base_of(type(entity))
    if isinstance(entity, dict):
        own = written_fields(entity)
        assign(entity, "__class__", base)
        entity.clear()
        entity.update({**fresh, **own})
        return
    shape = shape_of(base)
    unset = [name for name in shape.names if peek(entity, name) is UNSET]
    assign(entity, "__class__", base)
    if shape.kind is Kind.PLAIN:
        own = dict(vars(entity))
        vars(entity).clear()
        vars(entity).update({**vars(fresh), **own})
        return
    for name in unset:
        if hasattr(fresh, name):
            assign(entity, name, getattr(fresh, name))
        else:
            object.__delattr__(entity, name)


def forget_written(entity: Any) -> None:
    """Forget what the program has set in a stand-in."""
    if isinstance(entity, dict):
        dict.clear(entity)
        return
    base = base_of(type(entity))
    forget(entity, shape_of(base).names)
    if shape_of(base).kind is Kind.PLAIN:
        for name in [name for name in vars(entity) if name != "id"]:
            del vars(entity)[name]


def write_fields(entity: Any, fields: dict[str, Any]) -> None:
    """Set fields of a stand-in from JSON, by their names there."""
    if isinstance(entity, dict):
        dict.update(entity, fields)
        return
    for name, value in typed_fields(base_of(type(entity)), fields).items():
        set_stored(entity, name, value)


def _make_class(cls: Any) -> type:
    if issubclass(cls, dict):
        made = make_class(cls, (), first=(_UnloadedDocument,))
    else:
        is_open = shape_of(cls).kind is Kind.PLAIN
        names = [*shape_of(cls).names, *(defaults_of(cls, "id") if is_open else ())]
        made = make_class(cls, names, is_open=is_open)
    setattr(cls, _REFERENCE, made)
    return made


class _UnloadedDocument(dict[str, Any]):
    """What a `Document` refuses while it is not loaded."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        return dict.__getitem__(self, name) if dict.__contains__(self, name) else refuse(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field that was set."""
        return self[name]

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or refuse(self, str(name))

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    __hash__ = None  # as every dict

    def __repr__(self) -> str:
        return show(self)


def _refuse_whole(self: Any, *_: object) -> NoReturn:
    refuse(self, None)


for _name in ("__iter__", "__len__", "__or__", "__reversed__", "copy", "items", "keys", "pop", "popitem", "setdefault", "values"):
    setattr(_UnloadedDocument, _name, _refuse_whole)
del _name
