"""Two objects of one document: one that was added, and one that a read brought before the server had told the key of the first.

The added one keeps the key, and gets what the program has asked of the other, which is forgotten. Sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from evsession.errors import InvalidDocument
from evsession.raven.codec import set_stored
from evsession.raven.snapshots import Snapshot
from evsession.raven.typed import typed_fields
from evsession.raven.versions import is_later
from evsession.session.documents.mapper import Known
from evsession.unitofwork.changes import MISSING, Change, diff
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["take_over"]


def take_over(unit: UnitOfWork[Snapshot], known: Known, double: Known) -> None:
    """Let an entity that was just written have the edits, increments and the removal of the other object; forget that.

    One that is older than the write is another document, which was deleted since.
    """
    if double.snapshot is not None and not is_later(known.version, double.version):
        with suppress(InvalidDocument):  # which could not be written either
            fields = unit.mapper.fields
            edits = diff(fields(double.snapshot.known), fields(unit.mapper.content(double)))
            _edit(known.entity, fields(unit.mapper.content(known)), edits, unit.additions(double))
        unit.hand_over(double, known)
        if double.is_removed:
            unit.remove(known)
    unit.map.remove(double)


def _edit(entity: Any, now: Mapping[str, Any], edits: Mapping[str, Change], sums: Mapping[str, Any]) -> None:
    values = {name: change.new for name, change in edits.items()}
    values.update(
        (name, now.get(name, 0) + amount) for name, amount in sums.items() if isinstance(now.get(name, 0), (int, float))
    )
    if not isinstance(entity, dict):
        values = typed_fields(type(entity), {name: value for name, value in values.items() if value is not MISSING})
    for name, value in values.items():
        if value is MISSING:
            entity.pop(name, None)
        else:
            set_stored(entity, name, value)
