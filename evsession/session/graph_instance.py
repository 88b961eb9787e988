"""One node of a model as an object: its properties, and what has changed since it was read or written. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from evsession.neo4j.models import Schema
from evsession.neo4j.nodes import NodeInfo
from evsession.neo4j.things import Node

__all__ = ["Instance", "InstanceInfo", "without_none"]


class Instance:
    """A node of a model."""

    _schema: ClassVar[Schema]
    _saved: dict[str, Any] | None = None

    def __init__(self, **properties: Any) -> None:
        """Make a node that is not in the database yet.

        Raises:
            InvalidDocument: a property is unknown or of another type.
        """
        self.__dict__.update(self._schema.check(properties))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    @property
    def data(self) -> dict[str, Any]:
        """The properties as a dict."""
        return {name: value for name, value in self.__dict__.items() if name != "_saved"}

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the model."""
        return self._schema.labels

    @property
    def exists(self) -> bool:
        """Whether it has come from the database or was written to it."""
        return self._saved is not None

    @property
    def changed(self) -> dict[str, Any]:
        """What differs from the database as it was when this was read or written; None for what was removed."""
        saved, data = self._saved or {}, self.data
        removed = {name: None for name in saved if name not in data}
        return {**{name: value for name, value in data.items() if name not in saved or saved[name] != value}, **removed}

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

    def _take(self, node: Node) -> None:
        """Be what the database has."""
        self._become(node.properties)

    def _become(self, properties: Mapping[str, Any]) -> None:
        self.__dict__.clear()
        self.__dict__.update(properties)
        self._saved = dict(properties)


class InstanceInfo(NodeInfo):
    """What the unit of work knows of a model: that its properties are checked, and that it knows them itself."""

    cls: type[Instance]

    def properties(self, entity: Instance) -> dict[str, Any]:
        """Return the properties, checked."""
        return without_none(entity._schema.check(entity.data))

    def make(self, properties: Mapping[str, Any]) -> Instance:
        """Return an instance that was read."""
        made: Any = object.__new__(self.cls)
        self.fill(made, properties)
        instance: Instance = made
        return instance

    def fill(self, entity: Instance, properties: Mapping[str, Any]) -> None:
        """Let it be what was read."""
        entity._become(properties)

    def refer(self, key: Any) -> Instance:
        """Return a stand-in; saved by itself it changes the node."""
        made: Instance = super().refer(key)
        vars(made)["_saved"] = {self.key: key}
        return made

    def check(self, properties: Mapping[str, Any]) -> None:
        """Refuse what the model does not have."""
        self.cls._schema.check(properties)


def without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is set: to Neo4j a property that is null is none."""
    return {name: value for name, value in data.items() if value is not None}
