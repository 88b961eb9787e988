"""``order by``: what rows are sorted by, as SQL. Knows how RavenDB 7.1 orders what has no value, or several.

Ascending, what has no value of the asked kind comes first, descending last; of several values the smallest counts. Rows that
are equal keep the order in which they were written, turned around by a single descending text. Without a ``where`` and with a
single key the missing come before the nulls, and descending the largest of several values counts. An empty list is beyond all
other texts as a single key, and before them as one of several.

Different here: sorting without ``where`` loses nothing (7.1 leaves out rows without a number, and those whose lists are empty),
texts that look like times are sorted as texts, and ``as alphaNumeric`` sorts rows without a value, too, where 7.1 breaks down.
"""

from __future__ import annotations

from evsession.embedded.failures import RavenFailure
from evsession.embedded.query.conditions import FieldNames, is_id
from evsession.embedded.query.naming import needs_no_index
from evsession.embedded.query.sources import Source
from evsession.embedded.query.sql import Piece
from evsession.embedded.query.values import Values
from evsession.embedded.rql import tree

__all__ = ["order_by"]

_WRITTEN = "d.etag"
_AS_WRITTEN = Piece(f"{_WRITTEN} ASC")
_BY_KEY = Piece("d.key")


def order_by(source: Source, values: Values, names: FieldNames) -> Piece:
    """Return what stands after ``ORDER BY``.

    Raises:
        RavenFailure: it cannot be sorted like this.
    """
    keys = values.query.order
    if not keys:
        is_prefix = isinstance(values.query.where, tree.Method) and needs_no_index(values.query.where) and source.has_ids
        return _BY_KEY if is_prefix else _AS_WRITTEN  # documents by the beginning of their keys come in the order of keys
    alone = len(keys) == 1
    pieces: list[Piece] = []
    backwards = False
    for key in keys:
        column = _column(source, values, names, key, alone=alone)
        pieces += [Piece(f"{piece.text} {'DESC' if key.descending else 'ASC'}", piece.values) for piece in column]
        is_text = isinstance(key.operand, tree.Field) and key.kind in (None, "string")
        backwards = alone and key.descending and is_text and values.query.where is not None
    texts = [piece.text for piece in pieces] + [f"{_WRITTEN} {'DESC' if backwards else 'ASC'}"]
    return Piece(", ".join(texts), tuple(value for piece in pieces for value in piece.values))


def _column(source: Source, values: Values, names: FieldNames, key: tree.SortKey, *, alone: bool) -> list[Piece]:
    operand = key.operand
    if is_id(operand):
        if key.kind in ("long", "double"):
            allowed = "this field can only be sorted as a string or alphanumeric value"
            raise values.fail(f"Invalid ORDER BY 'id()' call, {allowed}, but got {key.kind.capitalize()}")
        if not source.has_ids:
            source.field("id()", "fold")
        return [_BY_KEY]
    if isinstance(operand, tree.Method):
        if operand.name == "score":
            return []
        if operand.name == "random":
            return [_random(values, operand)]
        if operand.name not in ("count", "sum"):
            raise values.fail(f"Invalid ORDER BY method call {operand.written}")
    plan = source.field(names(operand), "fold")
    simple = alone and values.query.where is None
    kind, last = key.kind or "string", int(simple and key.descending)
    where = f"{plan.body.text}, {plan.path.text}"
    column = Piece(f"ev_key({where}, ?, ?)", (*plan.body.values, *plan.path.values, kind, last))
    if simple:
        return [Piece(f"ev_has({where})", (*plan.body.values, *plan.path.values)), column]
    if kind != "string":
        return [column]
    empty = Piece(f"{'' if alone else '-'}ev_empty({where})", (*plan.body.values, *plan.path.values))
    return [empty, column]


def _random(values: Values, method: tree.Method) -> Piece:
    if not method.arguments:
        return Piece("random()")
    seed = values.get(method.arguments[0])
    if isinstance(seed, (dict, list)):
        raise RavenFailure(500, "System.NotSupportedException", "The seed of random() is a text or a number.")
    return Piece("ev_shuffle(?, d.etag)", (str(seed),))
