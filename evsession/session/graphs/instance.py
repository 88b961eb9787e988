"""One node of a model as an object: its properties, and what has changed since it was read or written. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from evsession.errors import InvalidDocument
from evsession.neo4j.models import Schema
from evsession.neo4j.nodes import NodeInfo
from evsession.session.gate import Turn, Turns
from evsession.session.graphs.mapper import KnownNode, NodeMapper

__all__ = ["Instance", "InstanceInfo", "Writing", "is_same", "without_none", "writing"]

_STATE = ("_held", "_known", "_writing")

_MAPPER = NodeMapper()

_PLAIN = (str, int, bool)


class Instance:
    """A node of a model."""

    _schema: ClassVar[Schema]

    _held: dict[str, Any] | None = None
    """The properties as the database had them, until a session knows the node."""

    _known: KnownNode | None = None
    """What the session knows of the node that knows it; one state for the session and for the node itself."""

    _writing: Writing | None = None
    """The writes of it by models that are under way."""

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
        changed = {name: value for name, value in data.items() if name not in saved or not is_same(saved[name], value)}
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

    def _frozen(self) -> dict[str, Any]:
        """Return the properties as they are now, whatever becomes of lists among them."""
        return _copied(self.data)

    def _become(self, properties: Mapping[str, Any], sent: Mapping[str, Any] | None = None) -> None:
        """Be what the database has; but for what was edited since it was sent."""
        data = self.data
        edited = [name for name in {**data, **sent} if not is_same(sent.get(name), data.get(name))] if sent is not None else []
        state = {name: self.__dict__[name] for name in _STATE if name in self.__dict__}
        self.__dict__.clear()
        self.__dict__.update(properties)
        for name in edited:
            self.__dict__.pop(name, None)
        self.__dict__.update({name: data[name] for name in edited if name in data})
        self.__dict__.update(state)
        if self._known is None:
            self.__dict__["_held"] = _copied(properties)


def _copied(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties, with lists of their own: an edit of one in its place is to be noticed."""
    return {name: list(value) if type(value) is list else value for name, value in properties.items()}


class Writing:
    """Writes of one instance by its model that are under way.

    Attributes:
        sent: What each will have made of it, in call order.
        turns: Where those wait that have a session for themselves.
    """

    __slots__ = ("sent", "turns")

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.turns = Turns()


@contextmanager
def writing(instance: Instance, data: dict[str, Any]) -> Iterator[Turn | None]:
    """Let a write of the instance be under way, and give its turn among those, if it has to wait for that."""
    known, under_way = instance._known, instance._writing
    if under_way is None:
        under_way = vars(instance)["_writing"] = Writing()
    under_way.sent.append(data)
    turn = under_way.turns.take()
    if known is not None:
        known.writes += 1
    try:
        yield None if under_way.turns.is_next(turn) else turn
    finally:
        if known is not None:
            known.writes -= 1
        turn.release()
        under_way.sent = [one for one in under_way.sent if one is not data]
        if not under_way.sent:
            vars(instance).pop("_writing", None)


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


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values are one to the database, also one of Python's own times, or a tuple."""
    if one is other or (type(one) is type(other) and type(one) in _PLAIN):
        return bool(one == other)
    try:
        return _MAPPER.compose({"value": one}) == _MAPPER.compose({"value": other})
    except InvalidDocument:
        return False


def without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is set: to Neo4j a property that is null is none."""
    return {name: value for name, value in data.items() if value is not None}
