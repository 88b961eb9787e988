"""What statements of models make of instances: the state that the instance and the session that knows it have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from evsession.errors import KeyConflict
from evsession.session.graphs.instance import Instance
from evsession.session.graphs.mapper import KnownNode, NodePicture, need_info
from evsession.session.graphs.transaction import GraphTransaction
from evsession.standins import base_of
from evsession.unitofwork.tracking import Kind
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["settle"]


def settle(
    instance: Instance,
    properties: Mapping[str, Any] | None,
    unit: UnitOfWork[NodePicture],
    transaction: GraphTransaction | None,
    sent: Mapping[str, Any] | None = None,
) -> None:
    """Let an instance be what a statement has made of its node; if that is rolled back, the node counts as it was before.

    Args:
        instance: What was written or deleted.
        properties: Those of the node; None if it was deleted.
        unit: The unit of work of the session where that was.
        transaction: The transaction in which it was; None if it lasts already.
        sent: What was written; where the instance differs from it by now, it was edited since, and stays so.
    """
    known = instance._known
    is_here = known is not None and unit.map.of(instance) is known
    if transaction is not None and not (is_here and unit.journal is not None):
        transaction._regrets.append(_keep(instance))
    if known is None:
        if properties is None:
            instance._held = None
        else:
            instance._become(properties, sent)
    elif properties is None:
        _settle_deleted(known, unit, transaction, is_here=is_here)
    else:
        _settle_written(instance, known, properties, unit, sent, is_here=is_here)


def _settle_written(
    instance: Instance,
    known: KnownNode,
    properties: Mapping[str, Any],
    unit: UnitOfWork[NodePicture],
    sent: Mapping[str, Any] | None,
    *,
    is_here: bool,
) -> None:
    if known.is_reference:
        object.__setattr__(instance, "__class__", base_of(type(instance)))
        known.is_reference = False
    instance._become(properties, sent)
    picture = NodePicture(unit.mapper.compose(properties))
    known.unsure = None
    if known.is_flushed:
        known.is_flushed = known.is_removed = False  # deleted before, and created again
    unit.drop_increments(known, properties)  # what was set is what it is now; what is not known here is still to be added to
    if not is_here:
        known.snapshot = picture
        return
    unit.note_written(known, picture)
    info = need_info(instance)
    with suppress(KeyConflict):
        unit.map.rekey(known, info.address(properties.get(info.key)))


def _settle_deleted(
    known: KnownNode, unit: UnitOfWork[NodePicture], transaction: GraphTransaction | None, *, is_here: bool
) -> None:
    if is_here and unit.journal is not None and transaction is not None:
        was_removed = known.is_removed
        transaction._regrets.append(lambda: setattr(known, "is_removed", was_removed))
        unit.note_written(known, known.snapshot)
        known.is_removed = True
    elif is_here:
        unit.forget(known)
    if is_here:
        unit.give_up(known, *Kind)  # commits that were called later must neither bring it back nor miss it
    known.is_flushed = True


def _keep(instance: Instance) -> Callable[[], None]:
    """Return what lets an instance count as it does now; its properties stay what they will be."""
    held, known = instance._held, instance._known
    before = None if known is None else (known.snapshot, known.is_flushed)

    def restore() -> None:
        if known is not None and before is not None:
            known.snapshot, known.is_flushed = before
        elif instance._known is None:
            instance._held = held
        elif held is None:  # a session has met it since
            instance._known.snapshot = None

    return restore
