"""Models: classes whose instances are nodes, with the statements that everybody writes. The statements are in `neo4j.cypher`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar, overload

from evsession.errors import ConfigurationError, InvalidDocument, ProtocolError, SessionError
from evsession.neo4j import cypher
from evsession.neo4j.models import Schema
from evsession.neo4j.nodes import MARK
from evsession.neo4j.statements import Statement
from evsession.neo4j.summaries import Summary
from evsession.session.callbacks import Callback, shift
from evsession.session.graphs.bound import of_class
from evsession.session.graphs.instance import InstanceInfo, without_none
from evsession.session.graphs.relations import Related, conditions_of
from evsession.session.graphs.runnables import Answering, Place, Runnable, SessionSource, operate
from evsession.session.graphs.saving import Saving
from evsession.session.operation import Operation, Steps
from evsession.standins import base_of

__all__ = ["Model", "make_model"]

M = TypeVar("M", bound="Model")


class DeleteMany(Protocol):
    """`Model.delete` of a class."""

    def __call__(
        self,
        where: Mapping[str, Any] | Model | None,
        callback: Callback | None = None,
        *,
        detach: bool = False,
        session: Runnable | None = None,
    ) -> Operation[int]:
        """Delete nodes."""


class DeleteOne(Protocol):
    """`Model.delete` of an instance."""

    def __call__(
        self, callback: Callback | None = None, *, detach: bool = False, session: Runnable | None = None
    ) -> Operation[int]:
        """Delete the node."""


class _Delete:
    """What deletes by conditions in a class, and its own node in an instance, where conditions are never meant."""

    @overload
    def __get__(self, instance: None, cls: type[Model]) -> DeleteMany: ...
    @overload
    def __get__(self, instance: Model, cls: type[Model]) -> DeleteOne: ...
    def __get__(self, instance: Model | None, cls: type[Model]) -> Any:
        return cls._delete_many if instance is None else instance._delete_one


class Model(Related):
    """A node, and as a class all nodes of a label; `GraphStore.model` makes subclasses of it.

    Properties are attributes: ``user = Users(id="1", name="John"); user.age = 7``. Every operation takes ``session=``: a
    `GraphSession`, a `GraphTransaction`, or None for a session of its own. It is never closed, committed or rolled back here.

    ``where`` is a mapping of properties to values, all of which must hold. A value may be a mapping of operators: ``eq``, ``ne``,
    ``gt``, ``gte``, ``lt``, ``lte``, ``in``, ``not_in``, ``has`` (the property is a list that holds it), ``contains``,
    ``starts_with``, ``ends_with``, ``is_null``; None is a property that is missing.
    """

    def __init_subclass__(cls) -> None:
        if base_of(cls) is cls:  # else it stands in for a model
            setattr(cls, MARK, InstanceInfo(cls, cls._schema.labels, cls._schema.primary_key))

    @classmethod
    def create_one(
        cls: type[M],
        data: Mapping[str, Any] | M | Callback | None = None,
        callback: Callback | None = None,
        *,
        merge: bool = False,
        session: Runnable | None = None,
    ) -> Operation[M]:
        """Create a node; the result is the instance.

        Args:
            data: Its properties, or an instance.
            callback: Called with the error and the instance.
            merge: Whether a node with this primary key is changed instead, if there is one.
            session: Where it runs.

        Raises:
            InvalidDocument: a property is missing, unknown or of another type. Nothing was sent.
            ConstraintError: the database has such a node already.
        """
        given: Any = data
        callback, given = shift(callback, given)

        def steps(place: Place) -> Steps:
            return ((yield from cls._create(place, [{} if given is None else given], merge=merge))[0],)

        return operate(cls._store, "create_one", session, steps, callback, 1)

    @classmethod
    def create_many(
        cls: type[M],
        rows: Iterable[Mapping[str, Any] | M],
        callback: Callback | None = None,
        *,
        merge: bool = False,
        session: Runnable | None = None,
    ) -> Operation[list[M]]:
        """Create nodes by one statement, all or none; the result is the list of instances in this order. As `create_one`."""
        given = list(rows)

        def steps(place: Place) -> Steps:
            return ((yield from cls._create(place, given, merge=merge)) if given else [],)

        return operate(cls._store, "create_many", session, steps, callback, 1)

    @classmethod
    def _create(cls: type[M], place: Place, rows: list[Any], *, merge: bool) -> Answering[list[M]]:
        made = [cls._made(row, index if len(rows) > 1 else None) for index, row in enumerate(rows)]
        sent = [one._frozen() for one in made]
        data = [without_none(one) for one in sent]
        labels = cls._schema.labels
        built = cypher.merge(labels, cls._schema.primary_key, data) if merge else cypher.create(labels, data)
        result = yield from place.run(built)
        if len(result) != len(made):
            raise ProtocolError(f"the answer has {len(result)} nodes in place of the {len(made)} that were to be made")
        for one, node, was in zip(made, result.values(0), sent, strict=True):
            place.settle(one, node.properties, was)
        return made

    @classmethod
    def _made(cls: type[M], row: Any, index: int | None) -> M:
        """Return the instance that a row is or describes, checked; errors name the row by its index."""
        try:
            made = row if isinstance(row, cls) else cls(**_properties(row))
            made.validate()
        except InvalidDocument as error:
            if index is None:
                raise
            named = InvalidDocument(f"[{index}] {error.message}")
            named.path = f"[{index}]" + (f".{error.path}" if error.path else "")
            raise named from error
        return made

    @classmethod
    def find_one(
        cls: type[M],
        where: Mapping[str, Any] | Callback | None = None,
        callback: Callback | None = None,
        *,
        order: Any = None,
        must_exist: bool = False,
        session: Runnable | None = None,
    ) -> Operation[M | None]:
        """Find a node; the result is the instance, or None where there is none.

        The session does not remember it: its identity map has no such instance, each call makes another one, and edits are
        written by its `save`, not by a `commit`. `GraphSession.load` and `GraphSession.find` give those that the session
        remembers, and `GraphSession.add` lets one that remembers none with this key remember this.

        Args:
            where: Conditions.
            callback: Called with the error and the instance.
            order: As in `find_many`; the first one counts.
            must_exist: Whether it is an error that there is none.
            session: Where it runs.

        Raises:
            SessionError: status 404, there is none, and there must be one.
            ConfigurationError: a condition is none, or on a property that the model does not have. Nothing was sent.
        """
        given: Any = where
        callback, given = shift(callback, given)

        def steps(place: Place) -> Steps:
            checked = cls._schema.check_where(given, order)
            result = yield from place.run(cypher.find(cls._schema.labels, checked, order=order, limit=1))
            found = cls._instances(result)
            if must_exist and not found:
                raise cls._missing(given)
            return (found[0] if found else None,)

        return operate(cls._store, "find_one", session, steps, callback, 1, access="read")

    @classmethod
    def find_many(
        cls: type[M],
        where: Mapping[str, Any] | Callback | None = None,
        callback: Callback | None = None,
        *,
        order: Any = None,
        skip: int | None = None,
        limit: int | None = None,
        must_exist: bool = False,
        session: Runnable | None = None,
    ) -> Operation[list[M]]:
        """Find nodes; the result is the list of instances, which no session remembers; see `find_one`.

        Args:
            where: Conditions; without any all nodes of the label are found.
            callback: Called with the error and the list.
            order: A property, ``"-age"`` for descending, or a list of these or of pairs such as ``("age", "DESC")``.
            skip: How many to leave out at the start.
            limit: How many at most.
            must_exist: Whether it is an error that there is none.
            session: Where it runs.

        Raises:
            SessionError: status 404, there is none, and there must be one.
            ConfigurationError: a condition is none, or on a property that the model does not have. Nothing was sent.
        """
        given: Any = where
        callback, given = shift(callback, given)

        def steps(place: Place) -> Steps:
            checked = cls._schema.check_where(given, order)
            result = yield from place.run(cypher.find(cls._schema.labels, checked, order=order, skip=skip, limit=limit))
            found = cls._instances(result)
            if must_exist and not found:
                raise cls._missing(given)
            return (found,)

        return operate(cls._store, "find_many", session, steps, callback, 1, access="read")

    find_all = find_many

    @of_class
    @classmethod
    def update(
        cls: type[M],
        data: Mapping[str, Any],
        where: Mapping[str, Any] | Callback | None = None,
        callback: Callback | None = None,
        *,
        session: Runnable | None = None,
    ) -> Operation[tuple[list[M], Summary | None]]:
        """Change properties of all nodes that the conditions hold for; the results are the list of instances and the summary.

        It is of the class: an instance, whose attributes are set and saved, refuses it with a `TypeError`.

        Args:
            data: Properties and their new values; None removes one. With none nothing is sent, and the summary is None.
            where: Conditions; None is all nodes of the label.
            callback: Called with the error, the instances and the summary.
            session: Where it runs.

        Raises:
            InvalidDocument: a property is unknown or of another type.
            ConfigurationError: as in `find_many`.
        """
        given: Any = where
        callback, given = shift(callback, given)

        def steps(place: Place) -> Steps:
            checked = cls._schema.check_where(given)
            changes = cls._schema.check(data, removes=False)
            for name in cls._schema.required & changes.keys():
                if changes[name] is None:
                    raise InvalidDocument(f"{name}: it cannot be removed")
            if not changes:
                return ([], None)
            result = yield from place.run(cypher.update(cls._schema.labels, checked, changes))
            return (cls._instances(result), result.summary)

        return operate(cls._store, "update", session, steps, callback, 2)

    @classmethod
    def _delete_many(
        cls,
        where: Mapping[str, Any] | Model | None,
        callback: Callback | None = None,
        *,
        detach: bool = False,
        session: Runnable | None = None,
    ) -> Operation[int]:
        """Delete all nodes that the conditions hold for; the result is their number.

        Of an instance, ``user.delete()`` deletes its own node, and takes no conditions; deleting what is not there is no error.

        Args:
            where: Conditions, or an instance; None is all nodes of the label.
            callback: Called with the error and the number.
            detach: Whether their relationships are deleted, too; else those that have any are refused.
            session: Where it runs.

        Raises:
            ConstraintError: a node has relationships. Nothing was deleted.
            ConfigurationError: as in `find_many`, or an instance has no primary key.
        """

        def steps(place: Place) -> Steps:
            checked = cls._schema.check_where(conditions_of(where))
            built = cypher.delete(cls._schema.labels, checked, detach=detach)
            if isinstance(where, Model):
                statement = Statement.of(*built)
                result = yield from place.write(where, {}, lambda: statement)
                place.settle(where, None)
            else:
                result = yield from place.run(built)
            assert result is not None  # it was decided on
            return (result.summary.counters.nodes_deleted,)

        return operate(cls._store, "delete", session, steps, callback, 1)

    def _delete_one(
        self, callback: Callback | None = None, *, detach: bool = False, session: Runnable | None = None
    ) -> Operation[int]:
        return self._delete_many(self, callback, detach=detach, session=session)

    delete = _Delete()

    def save(self: M, callback: Callback | None = None, *, session: Runnable | None = None) -> Operation[M]:
        """Write a new node, or what changed in one that exists; the result is the instance.

        What is written is what there was at the call; later edits stay edits. What was called before on the same session, or
        without one, comes first, so saving a new instance twice creates one node.

        Raises:
            SessionError: status 404, the node is gone.
            InvalidDocument: a property is missing, unknown or of another type.
        """

        def steps(place: Place) -> Steps:
            saving = Saving(self, place._unit)
            saving.check()
            if saving.is_done:
                return (self,)
            result = yield from place.write(self, saving.data, saving.decide)
            if result is not None:
                if len(result) == 0:
                    raise self._missing(conditions_of(self))
                place.settle(self, result[0][0].properties, saving.data)
            return (self,)

        return operate(self._store, "save", session, steps, callback, 1)

    @classmethod
    def _missing(cls, where: object) -> SessionError:
        return SessionError(f"there is no {':'.join(cls._schema.labels)} with {where!r}", status_code=404)


def make_model(store: SessionSource, schema: Schema) -> type[Model]:
    """Return a class of its own for the schema.

    Raises:
        ConfigurationError: a property has the name of something that every model has.
    """
    for name in schema.properties or ():
        if hasattr(Model, name):
            raise ConfigurationError(f"a property cannot have the name {name!r}: every model has a method or attribute of it")
    members = {"_schema": schema, "_store": store, "__module__": Model.__module__}
    return type("".join(schema.labels), (Model,), members)


def _properties(row: object) -> dict[str, Any]:
    if not isinstance(row, Mapping) or not all(isinstance(name, str) for name in row):
        raise InvalidDocument(f"a node is made of a mapping of properties, or of an instance of its model, not of {row!r}")
    return dict(row)
