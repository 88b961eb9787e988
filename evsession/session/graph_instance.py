"""One node of a model as an object: its properties, and what has changed since it was read or written. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from evsession.errors import InvalidDocument
from evsession.neo4j.models import Schema
from evsession.neo4j.nodes import NodeInfo
from evsession.session.graph_mapper import KnownNode, NodeMapper

__all__ = ["Instance", "InstanceInfo", "without_none"]

_STATE = ("_held", "_known")

_MAPPER = NodeMapper()


class Instance:
    """A node of a model."""

    _schema: ClassVar[Schema]

    _held: dict[str, Any] | None = None
    """The properties as the database had them, until a session knows the node."""

    _known: KnownNode | None = None
    """What the session knows of the node that knows it; one state for the session and for the node itself."""

    def __init__(self, **properties: Any) -> None:
        """Make a node that is not in the database yet.

        Raises:
            InvalidDocument: a property is unknown or of another type.
        """
        self.__dict__.update(self._schema.check(properties))

    if TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        # Asked for what is not there: a property that the node lacks.
        if name in (self._schema.properties or ()):
            return None
        raise AttributeError(f"{type(self).__name__} has no property {name!r}")

    @property
    def data(self) -> dict[str, Any]:
        """The properties as a dict; those that the node lacks are not in it."""
        return {name: value for name, value in self.__dict__.items() if name not in _STATE}

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the model."""
        return self._schema.labels

    @property
    def exists(self) -> bool:
        """Whether it has come from the database or was written to it, be it by a model or by the unit of work.

        What a transaction has written counts until it is rolled back.
        """
        return self._saved() is not None

    def _saved(self) -> dict[str, Any] | None:
        """Return the properties as the database has them, as far as is known; None if there is no such node."""
        known = self._known
        if known is None:
            return self._held
        return None if known.snapshot is None or known.is_flushed else _MAPPER.fields(known.snapshot.known)

    @property
    def changed(self) -> dict[str, Any]:
        """What differs from the database as it was when this was read or written; None for what was removed."""
        saved, data = self._saved() or {}, self.data
        removed = {name: None for name in saved if name not in data}
        changed = {name: value for name, value in data.items() if name not in saved or not _is_same(saved[name], value)}
        return {**{name: value for name, value in changed.items() if value is not None or name in saved}, **removed}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.data.items())})"

    def __eq__(self, other: object) -> bool:
        return self.data == other.data if isinstance(other, Instance) and type(other) is type(self) else NotImplemented

    def __hash__(self) -> NoReturn:
        raise TypeError("a node of a model has no hash, for its properties change")

    def validate(self) -> None:
        """Check the properties as `save` does.

        Raises:
            InvalidDocument: one is missing, unknown or of another type.
        """
        self._schema.check_new(self.data)

    def _become(self, properties: Mapping[str, Any]) -> None:
        """Be what the database has."""
        known = self._known
        self.__dict__.clear()
        self.__dict__.update(properties)
        if known is None:
            self.__dict__["_held"] = dict(properties)
        else:
            self.__dict__["_known"] = known


class InstanceInfo(NodeInfo):
    """What the unit of work knows of a model: that its properties are checked, and that it knows them itself."""

    cls: type[Instance]

    def properties(self, entity: Instance) -> dict[str, Any]:
        """Return the properties, checked; those that have come from the database may stay whatever they are."""
        data = entity.data
        try:
            entity._schema.check(data)
        except InvalidDocument:
            entity._schema.check(entity.changed)
        return without_none(data)

    def make(self, properties: Mapping[str, Any]) -> Instance:
        """Return an instance that was read."""
        made: Any = object.__new__(self.cls)
        self.fill(made, properties)
        instance: Instance = made
        return instance

    def fill(self, entity: Instance, properties: Mapping[str, Any]) -> None:
        """Let it be what was read."""
        entity._become(properties)

    restore = fill

    @property
    def names(self) -> list[str] | None:
        """The properties that the model declares; None takes any."""
        declared = self.cls._schema.properties
        return None if declared is None else list(declared)

    def attach(self, entity: Instance, known: KnownNode) -> None:
        """Let it share what the session knows of it."""
        vars(entity).pop("_held", None)
        vars(entity)["_known"] = known

    def stored(self, entity: Instance) -> dict[str, Any] | None:
        """Return the properties that it has in the database, if it is there."""
        return entity._saved()

    def check(self, properties: Mapping[str, Any]) -> None:
        """Refuse what the model does not have."""
        self.cls._schema.check(properties)


def _is_same(saved: Any, value: Any) -> bool:
    """Return whether a value is what the database has, also one of Python's own times, or a tuple."""
    if saved == value:
        return True
    try:
        return bool(_MAPPER.fields(_MAPPER.compose({"value": value}))["value"] == saved)
    except InvalidDocument:
        return False


def without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is set: to Neo4j a property that is null is none."""
    return {name: value for name, value in data.items() if value is not None}
