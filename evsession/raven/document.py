"""Documents without a declared shape: a dict whose items read and write as attributes, too.

Knows what a document is to its user. Knows neither sessions nor JSON; the key and the metadata are put in from outside with
`set_key` and `set_metadata`.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from evsession.errors import ConfigurationError
from evsession.raven.types import adopt, derive_key, document, info_of
from evsession.raven.vocabulary import METADATA
from evsession.wire.json import JSON

__all__ = ["Document", "DocumentType", "make", "make_known", "put_key", "put_metadata"]

D = TypeVar("D", bound="Document")
M = TypeVar("M", bound=dict[str, JSON])

_NOTHING: Mapping[str, JSON] = MappingProxyType({})
_STATE = frozenset({"_id", "_key", "_metadata"})


class Document(dict[str, JSON]):
    """A document: a dict, and ``max.age`` is ``max["age"]``.

    Items and state cannot collide: ``max.id`` is the document's key, ``max["id"]`` a field of that name, and a field that is
    called like a method of dict (``items``), or starts with an underscore, is reached as an item only. The keyword ``id`` sets
    the key as the attribute does; a mapping in front may hold any field.

    Documents compare as dicts: key and metadata do not count. Pickling keeps both. A copy (`copy`, the copy module) is a new
    document with the same fields: it has no key and no metadata, so that storing it makes a second document.
    """

    # Slots that were never set read as None, see __getattr__: a row that is read sets only those it needs.
    __slots__ = ("__weakref__", "_id", "_key", "_metadata")

    def __init__(
        self, fields: Mapping[str, JSON] | Iterable[tuple[str, JSON]] = (), /, *, id: str | None = None, **more: JSON
    ) -> None:
        super().__init__(fields, **more)
        _set_id(self, None)
        _set_key(self, None)
        _set_metadata(self, None)
        if id is not None:
            self.id = id

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        adopt(cls)

    @property
    def id(self) -> str | None:
        """The key; for a new document that which its id means, or None without one.

        Setting ``"Max"`` on a new document of the collection ``Dogs`` makes it ``dogs/max``. A session whose conventions have
        another separator uses that one when it saves.

        Raises:
            ConfigurationError: when set on a document that has its key already, or to something that is not text.
        """
        key: str | None = self._key
        given: str | None = self._id
        if key is not None or given is None:
            return key
        info = info_of(self)
        return given if info is None else derive_key(given, info.collection, info.id_separator or "/")

    @id.setter
    def id(self, value: str | None) -> None:
        _check_id(value)
        if self._key is None:
            _set_id(self, value)
        elif value != self._key:
            raise ConfigurationError(
                f"the key of {self._key!r} cannot change to {value!r}; store a copy under that key and delete this document",
                key=self._key,
            )

    @property
    def metadata(self) -> Mapping[str, JSON]:
        """What the server said about the document, read-only; empty for a new one."""
        known = self._metadata
        return _NOTHING if known is None else MappingProxyType(known)

    def __getattr__(self, name: str) -> JSON:
        if name[:1] == "_":
            if name in _STATE:
                return None
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; read a field of this name as an item")
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{self!r} has no field {name!r}", name=name, obj=self) from None

    def __setattr__(self, name: str, value: JSON) -> None:
        if self._is_field(name):
            self[name] = value
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if not self._is_field(name):
            object.__delattr__(self, name)
        elif name in self:
            del self[name]
        else:
            raise AttributeError(f"{self!r} has no field {name!r}", name=name, obj=self)

    def _is_field(self, name: str) -> bool:
        """Return whether the attribute is an item; False if it is a property that can be set.

        Raises:
            AttributeError: if it is neither.
        """
        if name[:1] == "_":
            raise AttributeError(f"attributes that start with '_' are no fields; write doc[{name!r}] for such a field")
        cls = type(self)
        owner = next((base for base in cls.__mro__ if name in base.__dict__), None) if hasattr(cls, name) else None
        if owner is None:
            return True
        known = owner.__dict__[name]
        if isinstance(known, property) and known.fset is not None:
            return False
        raise AttributeError(f"{name!r} is an attribute of the class {type(self).__name__}; write doc[{name!r}] for the field")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self if name.isidentifier())]

    def __repr__(self) -> str:
        key = "" if self.id is None else f", id={self.id!r}"
        return f"{type(self).__name__}({super().__repr__()}{key})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), dict(self), self._id, self._key, self._metadata)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return self.__reduce__()

    def copy(self: D) -> D:
        """Return a new document with the same fields, without key and metadata."""
        return make(type(self), self)

    __copy__ = copy

    def __deepcopy__(self: D, memo: dict[int, Any]) -> D:
        twin = make(type(self), {})
        memo[id(self)] = twin
        dict.update(twin, copy.deepcopy(dict(self), memo))
        return twin


# What object.__setattr__ does, in a third of the time: these are called for every row that is read.
_set_id = vars(Document)["_id"].__set__
_set_key = vars(Document)["_key"].__set__
_set_metadata = vars(Document)["_metadata"].__set__
_new, _update, _pop = dict.__new__, dict.update, dict.pop


def _check_id(value: Any) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigurationError(f"the id of a document is text that is not empty, or None, not {value!r}")


def make(cls: type[M], row: Mapping[str, JSON]) -> M:
    """Return a document (or another dict) with the fields of the row, without calling `__init__`; one is made for every row."""
    made = _new(cls)
    _update(made, row)
    return made


def make_known(cls: type[D], row: Mapping[str, JSON], key: str, metadata: dict[str, JSON]) -> D:
    """Return a document that is in the database; what `make`, `put_key` and `put_metadata` do, for the many rows of a query.

    The row may still hold its metadata. It is left as it was: a dict that lost no item yet is copied in one piece, at half of
    what it costs to insert its items one by one.
    """
    made = _new(cls)
    _update(made, row)
    _pop(made, METADATA, None)
    _set_key(made, key)
    _set_metadata(made, metadata)
    return made


def put_key(document: Document, key: str | None) -> None:
    """Say which key the document has in the database; None makes it a new one."""
    _set_key(document, key)
    if key is None:
        _set_id(document, None)


def put_known(document: Document, key: str, metadata: dict[str, JSON]) -> None:
    """Say which key the document has in the database, and what the server knows about it; the mapping is kept, not copied."""
    _set_key(document, key)
    _set_metadata(document, metadata)


def put_metadata(document: Document, metadata: dict[str, JSON] | None) -> None:
    """Say what the server knows about the document; the mapping is kept, not copied."""
    _set_metadata(document, metadata)


def _restore(cls: type[D], fields: dict[str, JSON], id: str | None, key: str | None, metadata: dict[str, JSON] | None) -> D:
    made = make(cls, fields)
    if id is not None:
        _set_id(made, id)
    if key is not None:
        put_key(made, key)
    if metadata is not None:
        put_metadata(made, metadata)
    return made


def _is_identifier(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier()


def DocumentType(  # noqa: N802 - it makes a class and is called like one, as in 2012
    name: str,
    *,
    collection: str | None = None,
    id_separator: str | None = None,
    id_generation_strategy: str | Callable[[Any], str] | None = None,
    key: Callable[[Any], str | None] | None = None,
) -> type[Document]:
    """Return a subclass of `Document` whose documents belong to one collection.

    ``Dog = DocumentType("Dog")`` is enough; ``class Dog(DocumentType("Dog"))`` adds methods, and the subclass of the same name
    takes over: loaded documents of the collection come back as it. Other subclasses store into the collection of their base.

    Args:
        name: The type's name, and the name of the class; queries accept it.
        collection: Where the documents go; the plural of the name when left out (``Dogs``, ``People``, ``Categories``).
        id_separator: Between the collection and an id, instead of the session's convention.
        id_generation_strategy: How keys are made for documents without an id, instead of the session's convention.
        key: A function of the document that returns the id to make the key from; None leaves it to the strategy.

    Raises:
        ConfigurationError: if a name or an option cannot be.
    """
    if not _is_identifier(name):
        raise ConfigurationError(f"the name of a document type is that of a class, such as 'Dog', not {name!r}")
    module = sys._getframe(1).f_globals.get("__name__", __name__)
    made = type(name, (Document,), {"__slots__": (), "__module__": module, "__doc__": f"Documents of the type {name}."})
    return document(
        made, collection=collection, id_separator=id_separator, id_generation_strategy=id_generation_strategy, key=key
    )
