"""What a model knows: labels, properties with their types, the primary key, relationships by alias. Knows no session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evsession.errors import ConfigurationError, InvalidDocument
from evsession.neo4j.cypher import labels_of
from evsession.neo4j.encoding import check_property
from evsession.neo4j.names import quote
from evsession.neo4j.temporal import Date, DateTime, Duration, Time
from evsession.neo4j.things import Point, Vector
from evsession.wire.json import from_builtins

__all__ = ["Alias", "Schema", "check_names", "check_properties", "names_in"]

_DIRECTIONS = ("out", "in", "none")

_WORDS = {
    "string": str,
    "str": str,
    "integer": int,
    "int": int,
    "float": float,
    "number": float,
    "boolean": bool,
    "bool": bool,
    "bytes": bytes,
    "list": list,
    "array": list,
    "any": Any,
}

_AS_THEY_ARE = (Date, DateTime, Duration, Time, Point, Vector)


@dataclass(frozen=True)
class Alias:
    """A relationship of a model: ``{"model": Orders, "name": "ORDERED", "direction": "out", "properties": {...}}``.

    Attributes:
        model: The model at the other end, or ``"self"``.
        name: The type of the relationship.
        direction: ``"out"``, ``"in"`` or ``"none"``, seen from this model.
        properties: Names and types of its properties; None takes any.
    """

    model: Any
    name: str
    direction: str = "out"
    properties: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, alias: str, given: object) -> Alias:
        """Return the relationship that a mapping describes.

        Raises:
            ConfigurationError: it describes none.
        """
        known = {"model", "name", "direction", "properties"}
        if not isinstance(given, Mapping) or not {"model", "name"} <= given.keys() <= known:
            raise ConfigurationError(f"the relationship {alias!r} is a mapping of model, name, direction and properties")
        made = cls(**given)
        quote(made.name, "the type of a relationship")
        if made.direction not in _DIRECTIONS:
            raise ConfigurationError(f"the direction of {alias!r} is one of {', '.join(_DIRECTIONS)}, not {made.direction!r}")
        if made.properties is not None:
            object.__setattr__(made, "properties", _types(made.properties))
        return made


@dataclass(frozen=True)
class Schema:
    """A model.

    Attributes:
        labels: Of its nodes; a node has all of them.
        properties: Names and types; None takes any.
        primary_key: The property that tells nodes of the model apart.
        relationships: By alias.
        required: Properties that a new node must have; the primary key is one of them.
    """

    labels: tuple[str, ...]
    properties: Mapping[str, Any] | None
    primary_key: str
    relationships: dict[str, Alias] = field(default_factory=dict)
    required: frozenset[str] = frozenset()

    @classmethod
    def of(cls, labels: object, properties: object, primary_key: object, relationships: object) -> Schema:
        """Return the model that these describe.

        Raises:
            ConfigurationError: they describe none.
        """
        key = primary_key
        quote(key, "a primary key")
        assert isinstance(key, str)
        types = None if properties is None else _types(properties)
        if types is not None and key not in types:
            raise ConfigurationError(f"the primary key {key!r} is none of the properties: {', '.join(types)}")
        if not isinstance(relationships, Mapping):
            raise ConfigurationError(f"relationships are a mapping of aliases, not {relationships!r}")
        aliases = {name: Alias.of(name, given) for name, given in relationships.items()}
        given = properties if isinstance(properties, Mapping) else {}
        required = {name for name, one in given.items() if isinstance(one, Mapping) and one.get("required")}
        return cls(labels_of(labels), types, key, aliases, frozenset({key, *required}))

    def alias(self, name: object) -> Alias:
        """Return the relationship of this alias.

        Raises:
            ConfigurationError: there is none.
        """
        if not isinstance(name, str) or name not in self.relationships:
            known = ", ".join(self.relationships) or "none"
            raise ConfigurationError(f"the model has no relationship {name!r}; it has: {known}")
        return self.relationships[name]

    def check_new(self, data: object) -> dict[str, Any]:
        """Return the properties of a new node.

        Raises:
            InvalidDocument: one is missing, unknown or of another type; its `path` says which.
        """
        checked = self.check(data)
        self.check_complete(checked)
        return checked

    def check_complete(self, data: Mapping[str, Any]) -> None:
        """Raise InvalidDocument if a property is missing that a node must have."""
        for name in sorted(self.required):
            if data.get(name) is None:
                _refuse(name, "it is missing")

    def check_where(self, where: Any, order: object = None) -> Any:
        """Return conditions, which are on properties that there are, as is an order.

        Raises:
            ConfigurationError: one is not.
        """
        check_names(names_in(order), self.properties, "order")
        return check_names(where, self.properties, "where")

    def check(self, data: object, *, removes: bool = True) -> dict[str, Any]:
        """Return properties of a node; raises as `check_new`, but takes some for all.

        Args:
            data: The properties.
            removes: Whether one that the model does not know may be None, which removes it.
        """
        checked = check_properties(data, self.properties)
        for name in () if removes or self.properties is None else checked.keys() - self.properties.keys():
            _refuse(name, f"there is no such property; there are: {', '.join(self.properties or ())}")
        return checked


def names_in(order: Any) -> dict[str, None]:
    """Return the properties that an order names; whether it is an order at all is found out elsewhere."""
    several = [order] if isinstance(order, str) else order if isinstance(order, (list, tuple)) else []
    names = [
        one.removeprefix("-") if isinstance(one, str) else one[0]
        for one in several
        if isinstance(one, (str, list, tuple)) and one
    ]
    return {name: None for name in names if isinstance(name, str)}


def check_names(where: Any, types: Iterable[str] | None, what: str) -> Any:
    """Return conditions; those on a property that nothing has would hold for everything that lacks it.

    Raises:
        ConfigurationError: there is no such property.
    """
    if types is not None and isinstance(where, Mapping):
        for name in where:
            if name not in types:
                raise ConfigurationError(f"{what}: there is no property {name!r}; there are: {', '.join(types)}")
    return where


def check_properties(data: object, types: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the properties if all are known and of their types.

    Raises:
        InvalidDocument: one is not; its `path` says which.
    """
    if not isinstance(data, Mapping):
        raise InvalidDocument(f"properties are a mapping of names to values, not {data!r}")
    for name, value in data.items():
        quote(name, "a property")
        check_property(name, value)
        if types is None or value is None:
            continue
        if name not in types:
            _refuse(name, f"there is no such property; there are: {', '.join(types)}")
        _check_type(name, value, types[name])
    return dict(data)


def _check_type(name: str, value: Any, wanted: Any) -> None:
    if wanted is Any:
        return
    if isinstance(wanted, type) and issubclass(wanted, _AS_THEY_ARE):
        if not isinstance(value, wanted):
            _refuse(name, f"Expected `{wanted.__name__}`, got `{type(value).__name__}`")
        return
    try:
        from_builtins(value, wanted)
    except InvalidDocument as error:
        _refuse(name, error.message)
    except TypeError as error:
        raise ConfigurationError(f"the property {name!r} can have no values of the type {wanted!r}: {error}") from error


def _refuse(name: str, reason: str) -> None:
    raise InvalidDocument(f"{name}: {reason}", path=name)


def _types(properties: object) -> dict[str, Any]:
    """Return names and types from a mapping of names to types (``int``, ``"integer"``, ``{"type": ...}``), or from names only."""
    if isinstance(properties, Mapping):
        return {_name(name): _type(name, given) for name, given in properties.items()}
    if isinstance(properties, Iterable) and not isinstance(properties, (str, bytes)):
        return {_name(name): Any for name in properties}
    raise ConfigurationError(f"properties are a mapping of names to types, or a list of names, not {properties!r}")


def _name(name: object) -> str:
    quote(name, "a property")
    return str(name)


def _type(name: str, given: Any) -> Any:
    if isinstance(given, Mapping):
        unknown = given.keys() - {"type", "required"}
        if unknown:
            raise ConfigurationError(f"the property {name!r} takes type and required, not {', '.join(sorted(map(str, unknown)))}")
        return _type(name, given.get("type"))
    if given is None:
        return Any
    if isinstance(given, str):
        if given not in _WORDS:
            raise ConfigurationError(f"the property {name!r} has no type {given!r}; there are: {', '.join(_WORDS)}")
        return _WORDS[given]
    return given
