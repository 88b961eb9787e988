"""A save of an instance by its model: what there was at the call, and what of it is left to be done when its turn comes."""

from __future__ import annotations

from evsession.neo4j import cypher
from evsession.neo4j.statements import Statement
from evsession.session.graphs.instance import Instance, is_same, without_none
from evsession.session.graphs.mapper import NodePicture
from evsession.session.graphs.relations import conditions_of
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["Saving"]


class Saving:
    """What is to be written of an instance.

    Whether its node is created or changed, and in what, is decided when what was called before has ended. Only what the program
    has edited is written: what differs from the node as it was known at the call, or from what a write will make of it that was
    under way then.

    Args:
        instance: What is saved.
        unit: The unit of work of the session where that is.

    Attributes:
        data: The properties at the call.
        is_done: Whether nothing is to be done, whatever becomes of what was called before.
    """

    def __init__(self, instance: Instance, unit: UnitOfWork[NodePicture]) -> None:
        self.data = instance._frozen()
        self._instance = instance
        saved, writing, known = instance._saved(), instance._writing, instance._known
        bases = [saved or {}]
        if writing is not None:
            bases += writing.sent
        if known is not None:
            bases += [unit.mapper.fields(content) for content in unit.under_way(known)]
        names = dict.fromkeys(name for one in (self.data, *bases) for name in one)
        self._edited = [name for name in names if not all(is_same(base.get(name), self.data.get(name)) for base in bases)]
        self.is_done = saved is not None and not self._edited and len(bases) == 1

    def check(self) -> None:
        """Raise InvalidDocument if a property is missing, unknown or of another type."""
        schema = self._instance._schema
        schema.check({name: self.data.get(name) for name in self._edited})
        schema.check_complete(self.data)
        self.decide()

    def decide(self) -> Statement | None:
        """Return what is left to be done now."""
        labels, saved = self._instance._schema.labels, self._instance._saved()
        if saved is None:
            return Statement.of(*cypher.create(labels, [without_none(self.data)]))
        edits = {name: self.data.get(name) for name in self._edited}
        changes = {name: value for name, value in edits.items() if not is_same(saved.get(name), value)}
        return Statement.of(*cypher.update(labels, conditions_of(self._instance), changes)) if changes else None
