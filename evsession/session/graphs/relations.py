"""Relationships between nodes of models, by alias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from evsession.errors import ConfigurationError, SessionError
from evsession.neo4j import cypher
from evsession.neo4j.cypher import Pattern
from evsession.neo4j.models import Alias, check_names, check_properties
from evsession.neo4j.names import quote
from evsession.neo4j.results import Result
from evsession.neo4j.things import Node, Relationship
from evsession.session.callbacks import Callback, shift
from evsession.session.graphs.bound import sourced
from evsession.session.graphs.instance import Instance, without_none
from evsession.session.graphs.runnables import Place, Runnable, SessionSource, operate
from evsession.session.operation import Operation, Steps

__all__ = ["Related", "conditions_of"]

R = TypeVar("R", bound="Related")


class Related(Instance):
    """What every model does with its relationships. Those of an instance begin there; of a class, wherever is said."""

    _store: ClassVar[SessionSource]

    @sourced
    @classmethod
    def relate_to(
        cls,
        alias: str,
        where: Mapping[str, Any],
        properties: Mapping[str, Any] | Callback | None = None,
        callback: Callback | None = None,
        *,
        merge: bool = False,
        expected: int | None = None,
        session: Runnable | None = None,
    ) -> Operation[int]:
        """Create a relationship from every source to every target; the result is their number.

        Args:
            alias: Which of the model's relationships.
            where: ``{"source": ..., "target": ...}``, each conditions or an instance; None is all nodes of that model, which has
                to be said. Of an instance, ``user.relate_to(...)``, the source is itself, and is not given.
            properties: Of the relationships.
            callback: Called with the error and the number.
            merge: Whether ends that have such a relationship already keep it.
            expected: How many there must be. With another number everything is undone, if no transaction was given; one that was
                given is left to its owner.
            session: Where it runs.

        Raises:
            SessionError: status 404, there are not as many as expected.
            ConfigurationError: no such alias, an end is not named, or a condition on what an end does not have.
        """
        given: Any = properties
        callback, given = shift(callback, given)

        def steps(place: Place) -> Steps:
            known = cls._schema.alias(alias)
            checked = check_properties(given or {}, known.properties)
            ends = cls._both_ends(known, where)
            result = yield from place.run(cypher.relate(cls._pattern(known), ends, without_none(checked), merges=merge))
            count: int = result.value()
            if expected is not None and count != expected:
                raise SessionError(f"{count} relationships {known.name} were made, not {expected}", status_code=404)
            return (count,)

        return operate(cls._store, "relate_to", session, steps, callback, 1, transact=expected is not None)

    @sourced
    @classmethod
    def find_relationships(
        cls: type[R],
        alias: str,
        where: Mapping[str, Any] | Callback | None = None,
        callback: Callback | None = None,
        *,
        limit: int | None = None,
        session: Runnable | None = None,
    ) -> Operation[list[tuple[R, Relationship, Any]]]:
        """Find relationships; the result is a list of (source, relationship, target).

        Args:
            alias: Which of the model's relationships.
            where: ``{"source": ..., "target": ..., "relationship": ...}``, each optional. Of an instance the source is itself.
            callback: Called with the error and the list.
            limit: How many at most.
            session: Where it runs.
        """
        given: Any = where
        callback, given = shift(callback, given)

        def steps(place: Place) -> Steps:
            known = cls._schema.alias(alias)
            result = yield from place.run(cypher.related(cls._pattern(known), cls._ends(known, given or {}), limit))
            target = cls._target(known)
            return ([(cls._of(source), found, target._of(end)) for source, found, end in result.values()],)

        return operate(cls._store, "find_relationships", session, steps, callback, 1, access="read")

    @sourced
    @classmethod
    def delete_relationships(
        cls, alias: str, where: Mapping[str, Any], callback: Callback | None = None, *, session: Runnable | None = None
    ) -> Operation[int]:
        """Delete relationships; the result is their number.

        Args:
            alias: Which of the model's relationships.
            where: As in `relate_to`, and conditions on the relationships themselves: ``{"source": ..., "target": ...,
                "relationship": ...}``. Both ends are named; None is all nodes of that model.
            callback: Called with the error and the number.
            session: Where it runs.

        Raises:
            ConfigurationError: as in `relate_to`.
        """

        def steps(place: Place) -> Steps:
            known = cls._schema.alias(alias)
            result = yield from place.run(cypher.unrelate(cls._pattern(known), cls._both_ends(known, where)))
            return (result.summary.counters.relationships_deleted,)

        return operate(cls._store, "delete_relationships", session, steps, callback, 1)

    @classmethod
    def _target(cls, alias: Alias) -> type[Related]:
        target = cls if alias.model == "self" else alias.model
        if not isinstance(target, type) or not issubclass(target, Related):
            raise ConfigurationError(f"the model of the relationship {alias.name!r} is a model or 'self', not {target!r}")
        return target

    @classmethod
    def _pattern(cls, alias: Alias) -> Pattern:
        ends = [cypher.spell_labels(model._schema.labels) for model in (cls, cls._target(alias))]
        return Pattern(ends[0], quote(alias.name), alias.direction, ends[1])

    @classmethod
    def _both_ends(cls, alias: Alias, where: Any) -> Any:
        """Return what `_ends` does, for what changes the graph: an end that was forgotten would be every node of its model."""
        missing = [end for end in ("source", "target") if isinstance(where, Mapping) and end not in where]
        if missing:
            lacks = " and no ".join(missing)
            raise ConfigurationError(f"where of a relationship names both ends, None for all nodes; there is no {lacks}")
        return cls._ends(alias, where)

    @classmethod
    def _ends(cls, alias: Alias, where: Any) -> Any:
        """Return the conditions on both ends and the relationship, checked."""
        if not isinstance(where, Mapping):
            return where
        properties = {
            "source": cls._schema.properties,
            "target": cls._target(alias)._schema.properties,
            "relationship": alias.properties,
        }
        return {end: check_names(conditions_of(one), properties.get(end), end) for end, one in where.items()}

    @classmethod
    def _of(cls: type[R], node: Node) -> R:
        made = cls.__new__(cls)
        made._become(node.properties)
        return made

    @classmethod
    def _instances(cls: type[R], result: Result) -> list[R]:
        return [cls._of(node) for node in result.values(0)]


def conditions_of(where: Any) -> Any:
    """Return conditions, those of an instance by its primary key."""
    if not isinstance(where, Related):
        return where
    key = where._schema.primary_key
    value = (where._saved() or where.data).get(key)
    if value is None:
        raise ConfigurationError(f"{where!r} has no {key}, so it cannot be found in the database")
    return {key: value}
