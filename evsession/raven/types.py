"""Which class stands for which collection: the `document` decorator and the registry behind it.

Knows classes, names and options. Knows neither keys nor JSON.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import Any, TypeVar, overload

import inflection
import msgspec

from evsession.config import check_separator, check_strategy
from evsession.errors import ConfigurationError
from evsession.raven.shapes import MARK, Kind, key_field_of, kind_of, shape_of

__all__ = [
    "TypeInfo",
    "adopt",
    "collection_of",
    "derive_key",
    "document",
    "info_of",
    "is_storable_entity",
    "type_of_collection",
]

C = TypeVar("C", bound=type)


class TypeInfo(msgspec.Struct, frozen=True):
    """What was said about a class when it was declared.

    Attributes:
        cls: The class that this is about.
        name: The type's name, which queries accept.
        collection: Where its documents go.
        key_field: The declared field that holds the key, or None.
        id_separator: Instead of the session's convention, or None.
        id_generation_strategy: Instead of the session's convention, or None.
        key: A function of the entity that returns the id to make the key from, or None.
    """

    cls: type
    name: str
    collection: str
    key_field: str | None = None
    id_separator: str | None = None
    id_generation_strategy: str | Callable[[Any], str] | None = None
    key: Callable[[Any], str | None] | None = None


class _Registry:
    """Classes by name; the one declared last, of those that still exist, counts. Holds none of them alive."""

    def __init__(self) -> None:
        self._classes: dict[str, list[weakref.ref[type]]] = {}

    def add(self, name: str, cls: type) -> None:
        others = [known for known in self._classes.get(name, ()) if known() not in (None, cls)]
        self._classes[name] = [*others, weakref.ref(cls)]

    def get(self, name: str) -> type | None:
        classes = self._classes.get(name)
        if classes is None:  # asked for every row that is read
            return None
        for known in reversed(classes):
            cls = known()
            if cls is not None:
                return cls
        return None


# The one exception to "no mutable globals": declaring a class is a statement about the program, not about one store, as it is
# for copyreg or functools.singledispatch. A registry per store would have to be told of every class that an import declares.
_BY_COLLECTION = _Registry()
_BY_NAME = _Registry()


@overload
def document(cls: C, /) -> C: ...
@overload
def document(
    *,
    collection: str | None = None,
    id_separator: str | None = None,
    id_generation_strategy: str | Callable[[Any], str] | None = None,
    key: Callable[[Any], str | None] | None = None,
) -> Callable[[C], C]: ...
@overload
def document(
    cls: C,
    /,
    *,
    collection: str | None = None,
    id_separator: str | None = None,
    id_generation_strategy: str | Callable[[Any], str] | None = None,
    key: Callable[[Any], str | None] | None = None,
) -> C: ...
def document(
    cls: C | None = None,
    /,
    *,
    collection: str | None = None,
    id_separator: str | None = None,
    id_generation_strategy: str | Callable[[Any], str] | None = None,
    key: Callable[[Any], str | None] | None = None,
) -> C | Callable[[C], C]:
    """Make a class storable and loadable as itself: a dataclass, an attrs class, a Struct, a plain class, a `Document` subclass.

    Write it above ``@dataclass`` or ``@attrs.define``. A declared field ``id`` holds the key (text) and is not part of the stored
    document; without one, objects that take attributes have their key as ``id`` once it is known. A `Decimal` is stored as
    text, which keeps every digit but is compared and sorted as text by queries. Subclasses store into the same collection,
    unless they are marked themselves. Instances of plain classes are made without ``__init__``.

    Args:
        cls: The class, when the decorator is written without arguments.
        collection: Where the documents go; the plural of the class's name when left out.
        id_separator: Between the collection and an id, instead of the session's convention.
        id_generation_strategy: How keys are made for objects without an id, instead of the session's convention.
        key: A function of the object that returns the id to make the key from; None leaves it to the strategy.

    Raises:
        ConfigurationError: if an option, or the type of a field, cannot be. A hint that names a class of further below is looked
            at when the class is first used.
    """

    def declare(cls: C) -> C:
        if not isinstance(cls, type):
            raise ConfigurationError(f"a class can be a document, not {cls!r}")
        info = TypeInfo(
            cls=cls,
            name=cls.__name__,
            collection=pluralize(cls.__name__) if collection is None else _check_collection(collection),
            key_field=key_field_of(cls),
            id_separator=None if id_separator is None else check_separator("id_separator", id_separator),
            id_generation_strategy=(
                None if id_generation_strategy is None else check_strategy("id_generation_strategy", id_generation_strategy)
            ),
            key=_check_key_function(key),
        )
        _look_through_early(cls)
        _register(info)
        return cls

    return declare if cls is None else declare(cls)


def _check_collection(collection: Any) -> Any:
    if not isinstance(collection, str) or not collection.strip() or collection[0] == "@" or not collection.isprintable():
        raise ConfigurationError(f"'collection' must be a printable text that does not start with '@', not {collection!r}")
    return collection


def _check_key_function(key: Any) -> Any:
    if key is not None and (not callable(key) or iscoroutinefunction(key)):
        raise ConfigurationError(f"'key' must be a plain function of the document, not {key!r}")
    return key


def _look_through_early(cls: type) -> None:
    """Refuse a class that cannot be decoded where it is declared, unless a hint still waits for its class."""
    if kind_of(cls) is Kind.DICT:
        return
    try:
        shape_of(cls)
    except ConfigurationError as error:
        if not isinstance(error.__cause__, NameError):
            raise


def _register(info: TypeInfo) -> None:
    setattr(info.cls, MARK, info)
    _BY_COLLECTION.add(info.collection.lower(), info.cls)
    _BY_NAME.add(info.name, info.cls)


@lru_cache(maxsize=1024)
def pluralize(name: str) -> str:
    """Return the plural by Rails' rules, which are RavenDB's; some 40 regular expressions, so each name is asked for once."""
    return inflection.pluralize(name)


def adopt(cls: type) -> None:
    """Let a subclass that has the name of its document type take the type's place, as in ``class Dog(DocumentType("Dog"))``."""
    info: TypeInfo | None = getattr(cls, MARK, None)
    if info is not None and info.name == cls.__name__:
        _register(msgspec.structs.replace(info, cls=cls))


def info_of(thing: Any) -> TypeInfo | None:
    """Return what was declared about the class, or the object's class; a subclass inherits all but `cls` and `key_field`.

    Raises:
        ConfigurationError: if ``@evsession.document`` stood below a decorator that makes a new class, such as
            ``@dataclass(slots=True)``: then only a class that nobody has any more is known.
    """
    cls = thing if isinstance(thing, type) else type(thing)
    info: TypeInfo | None = getattr(cls, MARK, None)
    if info is None or info.cls is cls:
        return info
    if MARK in cls.__dict__:
        raise ConfigurationError(f"write @evsession.document above the other decorators of {cls.__qualname__}")
    own = msgspec.structs.replace(info, cls=cls, key_field=key_field_of(cls))
    setattr(cls, MARK, own)
    return own


def type_of_collection(collection: str) -> type | None:
    """Return the class declared last for the collection, or None; RavenDB compares names of collections without case."""
    return _BY_COLLECTION.get(collection.lower())


def collection_of(type_or_name: str | type) -> tuple[str, type | None]:
    """Return the collection that a query means, and the class of its documents if one is declared.

    A class means its collection; a name that of the declared type, or the collection itself, or else the plural of the name
    (``"Dog"`` and ``"Dogs"`` both mean ``Dogs``). Names that start with ``@`` (``"@all_docs"``) are taken as they are.

    Raises:
        TypeError: if it is neither a name nor a declared class.
    """
    if isinstance(type_or_name, type):
        info = info_of(type_or_name)
        if info is None:
            raise TypeError(f"{type_or_name.__qualname__} has no collection; mark it with @evsession.document")
        return info.collection, type_or_name
    if not isinstance(type_or_name, str):
        raise TypeError(f"a type is meant by its name or its class, not by {type_or_name!r}")
    name = type_or_name
    if not name.strip():
        raise ConfigurationError("the name of a type or collection is empty")
    cls = _BY_NAME.get(name)
    if cls is not None:
        return collection_of(cls)
    if type_of_collection(name) is None and name[0] != "@":
        name = pluralize(name)
    return name, type_of_collection(name)


def derive_key(id: str, collection: str | None, separator: str) -> str:
    """Return the key that an id means: ``"Max"`` of the collection ``Dogs`` is ``dogs/max``, as in 2012.

    An id that holds the separator, or begins as the keys of its collection do, is a whole key and taken as it is; so is every id
    of a document without a collection.
    """
    if collection is None or separator in id or id.lower().startswith(collection.lower() + "/"):
        return id
    return f"{collection.lower()}{separator}{id.lower()}"


def is_storable_entity(thing: Any) -> bool:
    """Return whether the object can be stored: a dict (then also every `Document`), or an instance of a declared class."""
    return isinstance(thing, dict) or (not isinstance(thing, type) and info_of(thing) is not None)
