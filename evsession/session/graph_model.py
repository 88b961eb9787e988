"""Models: classes whose instances are nodes, with the statements that everybody writes. The statements are in `neo4j.cypher`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from evsession.errors import ConfigurationError, InvalidDocument, SessionError
from evsession.neo4j import cypher
from evsession.neo4j.cypher import Pattern
from evsession.neo4j.models import Alias, Schema, check_properties
from evsession.neo4j.names import quote
from evsession.neo4j.nodes import MARK
from evsession.neo4j.results import Result
from evsession.neo4j.summaries import Summary
from evsession.neo4j.things import Node, Relationship
from evsession.session.callbacks import Callback
from evsession.session.graph_instance import Instance, InstanceInfo, without_none
from evsession.session.graph_runnables import Answering, Place, Runnable, SessionSource, operate
from evsession.session.operation import Operation, Steps

__all__ = ["Model", "make_model"]

M = TypeVar("M", bound="Model")


class Model(Instance):
    """A node, and as a class all nodes of a label; `GraphStore.model` makes subclasses of it.

    Properties are attributes: ``user = Users(id="1", name="John"); user.age = 7``. Every operation takes ``session=``: a
    `GraphSession`, a `GraphTransaction`, or None for a session of its own. It is never closed, committed or rolled back here.

    ``where`` is a mapping of properties to values, all of which must hold. A value may be a mapping of operators: ``eq``, ``ne``,
    ``gt``, ``gte``, ``lt``, ``lte``, ``in``, ``not_in``, ``has`` (the property is a list that holds it), ``contains``,
    ``starts_with``, ``ends_with``, ``is_null``; None is a property that is missing.
    """

    _store: ClassVar[SessionSource]

    @classmethod
    def create_one(
        cls: type[M],
        data: Mapping[str, Any] | M | None = None,
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

        def steps(place: Place) -> Steps:
            return ((yield from cls._create(place, [data if data is not None else {}], merge=merge))[0],)

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
        made = [row if isinstance(row, cls) else cls(**_properties(row)) for row in rows]
        data = [without_none(cls._schema.check_new(one.data)) for one in made]
        labels = cls._schema.labels
        built = cypher.merge(labels, cls._schema.primary_key, data) if merge else cypher.create(labels, data)
        result = yield from place.run(built)
        for one, node in zip(made, result.values(0), strict=True):
            one._take(node)
        return made

    @classmethod
    def find_one(
        cls: type[M],
        where: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        *,
        order: Any = None,
        must_exist: bool = False,
        session: Runnable | None = None,
    ) -> Operation[M | None]:
        """Find a node; the result is the instance, or None where there is none.

        Args:
            where: Conditions.
            callback: Called with the error and the instance.
            order: As in `find_many`; the first one counts.
            must_exist: Whether it is an error that there is none.
            session: Where it runs.

        Raises:
            SessionError: status 404, there is none, and there must be one.
        """

        def steps(place: Place) -> Steps:
            result = yield from place.run(cypher.find(cls._schema.labels, where, order=order, limit=1))
            found = cls._instances(result)
            if must_exist and not found:
                raise cls._missing(where)
            return (found[0] if found else None,)

        return operate(cls._store, "find_one", session, steps, callback, 1, access="read")

    @classmethod
    def find_many(
        cls: type[M],
        where: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        *,
        order: Any = None,
        skip: int | None = None,
        limit: int | None = None,
        must_exist: bool = False,
        session: Runnable | None = None,
    ) -> Operation[list[M]]:
        """Find nodes; the result is the list of instances.

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
        """

        def steps(place: Place) -> Steps:
            result = yield from place.run(cypher.find(cls._schema.labels, where, order=order, skip=skip, limit=limit))
            found = cls._instances(result)
            if must_exist and not found:
                raise cls._missing(where)
            return (found,)

        return operate(cls._store, "find_many", session, steps, callback, 1, access="read")

    find_all = find_many

    @classmethod
    def update(
        cls: type[M],
        data: Mapping[str, Any],
        where: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        *,
        session: Runnable | None = None,
    ) -> Operation[tuple[list[M], Summary | None]]:
        """Change properties of all nodes that the conditions hold for; the results are the list of instances and the summary.

        Args:
            data: Properties and their new values; None removes one. With none nothing is sent, and the summary is None.
            where: Conditions; None is all nodes of the label.
            callback: Called with the error, the instances and the summary.
            session: Where it runs.

        Raises:
            InvalidDocument: a property is unknown or of another type.
        """

        def steps(place: Place) -> Steps:
            changes = cls._schema.check(data)
            for name in cls._schema.required & changes.keys():
                if changes[name] is None:
                    raise InvalidDocument(f"{name}: it cannot be removed")
            if not changes:
                return ([], None)
            result = yield from place.run(cypher.update(cls._schema.labels, where, changes))
            return (cls._instances(result), result.summary)

        return operate(cls._store, "update", session, steps, callback, 2)

    @classmethod
    def delete(
        cls,
        where: Mapping[str, Any] | Model | None,
        callback: Callback | None = None,
        *,
        detach: bool = False,
        session: Runnable | None = None,
    ) -> Operation[int]:
        """Delete all nodes that the conditions hold for; the result is their number.

        Args:
            where: Conditions, or an instance; None is all nodes of the label.
            callback: Called with the error and the number.
            detach: Whether their relationships are deleted, too; else those that have any are refused.
            session: Where it runs.

        Raises:
            ConstraintError: a node has relationships. Nothing was deleted.
        """

        def steps(place: Place) -> Steps:
            built = cypher.delete(cls._schema.labels, _conditions(where), detach=detach)
            result = yield from place.run(built)
            return (result.summary.counters.nodes_deleted,)

        return operate(cls._store, "delete", session, steps, callback, 1)

    @classmethod
    def relate_to(
        cls,
        alias: str,
        where: Mapping[str, Any],
        properties: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        *,
        merge: bool = False,
        expected: int | None = None,
        session: Runnable | None = None,
    ) -> Operation[int]:
        """Create a relationship from every source to every target; the result is their number.

        Args:
            alias: Which of the model's relationships.
            where: ``{"source": ..., "target": ...}``, each conditions or an instance.
            properties: Of the relationships.
            callback: Called with the error and the number.
            merge: Whether ends that have such a relationship already keep it.
            expected: How many there must be. With another number everything is undone, if no transaction was given; one that was
                given is left to its owner.
            session: Where it runs.

        Raises:
            SessionError: status 404, there are not as many as expected.
            ConfigurationError: no such alias.
        """

        def steps(place: Place) -> Steps:
            known = cls._schema.alias(alias)
            checked = check_properties(properties or {}, known.properties)
            ends = _ends(where)
            result = yield from place.run(cypher.relate(cls._pattern(known), ends, without_none(checked), merges=merge))
            count: int = result.value()
            if expected is not None and count != expected:
                raise SessionError(f"{count} relationships {known.name} were made, not {expected}", status_code=404)
            return (count,)

        return operate(cls._store, "relate_to", session, steps, callback, 1, transact=expected is not None)

    @classmethod
    def find_relationships(
        cls: type[M],
        alias: str,
        where: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        *,
        limit: int | None = None,
        session: Runnable | None = None,
    ) -> Operation[list[tuple[M, Relationship, Any]]]:
        """Find relationships; the result is a list of (source, relationship, target).

        Args:
            alias: Which of the model's relationships.
            where: ``{"source": ..., "target": ..., "relationship": ...}``, each optional.
            callback: Called with the error and the list.
            limit: How many at most.
            session: Where it runs.
        """

        def steps(place: Place) -> Steps:
            known = cls._schema.alias(alias)
            result = yield from place.run(cypher.related(cls._pattern(known), _ends(where or {}), limit))
            target = cls._target(known)
            return ([(cls._of(source), found, target._of(end)) for source, found, end in result.values()],)

        return operate(cls._store, "find_relationships", session, steps, callback, 1, access="read")

    @classmethod
    def delete_relationships(
        cls, alias: str, where: Mapping[str, Any], callback: Callback | None = None, *, session: Runnable | None = None
    ) -> Operation[int]:
        """Delete relationships; the result is their number. Arguments as in `find_relationships`."""

        def steps(place: Place) -> Steps:
            known = cls._schema.alias(alias)
            result = yield from place.run(cypher.unrelate(cls._pattern(known), _ends(where)))
            return (result.summary.counters.relationships_deleted,)

        return operate(cls._store, "delete_relationships", session, steps, callback, 1)

    def save(self: M, callback: Callback | None = None, *, session: Runnable | None = None) -> Operation[M]:
        """Write a new node, or what changed in one that exists; the result is the instance.

        Raises:
            SessionError: status 404, the node is gone.
            InvalidDocument: a property is missing, unknown or of another type.
        """

        def steps(place: Place) -> Steps:
            if self._saved is None:
                yield from self._create(place, [self], merge=False)
                return (self,)
            changes = self._schema.check(self.changed)
            self._schema.check_new(self.data)
            if changes:
                key = self._schema.primary_key
                where = {key: self._saved[key]}
                result = yield from place.run(cypher.update(self._schema.labels, where, changes))
                if len(result) == 0:
                    raise self._missing(where)
                self._take(result[0][0])
            return (self,)

        return operate(self._store, "save", session, steps, callback, 1)

    @classmethod
    def _of(cls: type[M], node: Node) -> M:
        made = cls.__new__(cls)
        made._take(node)
        return made

    @classmethod
    def _instances(cls: type[M], result: Result) -> list[M]:
        return [cls._of(node) for node in result.values(0)]

    @classmethod
    def _missing(cls, where: object) -> SessionError:
        return SessionError(f"there is no {':'.join(cls._schema.labels)} with {where!r}", status_code=404)

    @classmethod
    def _target(cls, alias: Alias) -> type[Model]:
        target = cls if alias.model == "self" else alias.model
        if not isinstance(target, type) or not issubclass(target, Model):
            raise ConfigurationError(f"the model of the relationship {alias.name!r} is a model or 'self', not {target!r}")
        return target

    @classmethod
    def _pattern(cls, alias: Alias) -> Pattern:
        ends = [cypher.spell_labels(model._schema.labels) for model in (cls, cls._target(alias))]
        return Pattern(ends[0], quote(alias.name), alias.direction, ends[1])


def make_model(store: SessionSource, schema: Schema) -> type[Model]:
    """Return a class of its own for the schema.

    Raises:
        ConfigurationError: a property has the name of something that every model has.
    """
    for name in schema.properties or ():
        if hasattr(Model, name):
            raise ConfigurationError(f"a property cannot have the name {name!r}: every model has a method or attribute of it")
    members = {"_schema": schema, "_store": store, "__module__": Model.__module__}
    made = type("".join(schema.labels), (Model,), members)
    setattr(made, MARK, InstanceInfo(made, schema.labels, schema.primary_key))
    return made


def _properties(row: object) -> dict[str, Any]:
    if not isinstance(row, Mapping) or not all(isinstance(name, str) for name in row):
        raise InvalidDocument(f"a node is made of a mapping of properties, or of an instance of its model, not of {row!r}")
    return dict(row)


def _conditions(where: Any) -> Any:
    if not isinstance(where, Model):
        return where
    key = where._schema.primary_key
    value = (where._saved or where.data).get(key)
    if value is None:
        raise ConfigurationError(f"{where!r} has no {key}, so it cannot be found in the database")
    return {key: value}


def _ends(where: Any) -> Any:
    return {end: _conditions(one) for end, one in where.items()} if isinstance(where, Mapping) else where
