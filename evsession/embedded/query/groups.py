"""``group by``: documents become rows of keys, counts and sums. Knows how RavenDB groups; the rows are asked like documents.

All documents are read for each query. Groups come in the order in which their first documents were written; on RavenDB in no
order that anybody could know. Sums are of all numbers: RavenDB leaves out fractions if the first is whole, else whole numbers. It
also writes times in rows in a form of its own.

A condition may ask for keys, and for what is selected: ``where count() > 1`` needs a ``select`` with ``count()`` (seen on 7.1).
Of several fields ``key()`` is an object, which can only be selected. Grouping by all metadata at once is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from evsession.embedded.failures import unsupported
from evsession.embedded.query.conditions import FieldNames
from evsession.embedded.query.sources import METADATA
from evsession.embedded.query.terms import decode_body, values_at
from evsession.embedded.query.values import Values
from evsession.embedded.rql import tree
from evsession.wire.json import JSON, encode

__all__ = ["COUNT", "GroupNames", "Grouping", "sum_up"]

COUNT = "Count"


class Grouping:
    """The groups that a query asks for.

    Args:
        values: The query's.

    Raises:
        RavenFailure: it cannot be grouped like this.
    """

    def __init__(self, values: Values) -> None:
        self._values = values
        query = values.query
        self.keys = [self._key(operand) for operand in query.group]
        self.sums: dict[str, None] = {}
        self.counts = False
        self._aliases = {item.alias: item.operand for item in query.items if item.alias and item.operand is not None}
        for item in query.items:
            if isinstance(item.operand, tree.Method):
                self(item.operand)
        self._selected = {*self.keys, *self.sums, *([COUNT] if self.counts else [])}
        for method in _aggregations(query):
            if method.name == "key":
                raise values.method_missing(method)
            self._see_selected(self(method))
        for key in query.order:
            if isinstance(key.operand, tree.Method) and key.operand.name in ("count", "sum"):
                self(key.operand)

    def _key(self, operand: tree.Operand) -> str:
        field: tree.Expression = operand
        if isinstance(operand, tree.Method) and operand.name == "array" and len(operand.arguments) == 1:
            (field,) = operand.arguments
        if not isinstance(field, tree.Field):
            raise self._values.fail("Group by takes fields")
        path = self._path(field)
        if not field.is_quoted:
            self._values.own_path(field.path)
        if path == METADATA:
            raise unsupported("group by @metadata; it groups by what is in them")
        return path

    def _path(self, field: tree.Field) -> str:
        alias = self._values.query.alias
        return field.path.removeprefix(f"{alias}.") if alias else field.path

    def __call__(self, operand: tree.Expression) -> str:
        """Return the name of the field that a call or name stands for in the rows.

        Raises:
            RavenFailure: it is neither a key nor an aggregation.
        """
        if isinstance(operand, tree.Method):
            return self._aggregation(operand)
        assert isinstance(operand, tree.Field)
        meant = self._aliases.get(operand.path, operand)
        if meant != operand and not self.is_whole_key(meant):
            return self(meant)
        return self._see_selected(self._path(operand))

    def is_whole_key(self, operand: tree.Expression) -> bool:
        """Return whether it is ``key()`` of several fields."""
        return isinstance(operand, tree.Method) and operand.name == "key" and len(self.keys) > 1

    def _see_selected(self, name: str) -> str:
        if name in self._selected:
            return name
        raise self._values.fail(f"Field '{name}' is neither an aggregation operation nor part of the group by key")

    def _aggregation(self, method: tree.Method) -> str:
        if method.name == "count":
            self.counts = True
            return COUNT
        if method.name == "key":
            return self.keys[0]
        if method.name == "sum" and len(method.arguments) == 1 and isinstance(method.arguments[0], tree.Field):
            path = self._path(method.arguments[0])
            self.sums[path] = None
            return path
        raise self._values.fail(f"Unknown aggregation method in SELECT clause of the group by query: '{method.written}'")

    @property
    def index_fields(self) -> list[str]:
        """What an automatic index on this would aggregate."""
        return [*self.sums, *([COUNT] if self.counts or not self.sums else [])]

    @property
    def index_keys(self) -> list[str]:
        """What it would group by."""
        arrays = [isinstance(operand, tree.Method) for operand in self._values.query.group]
        return [f"Array({key})" if is_array else key for key, is_array in zip(self.keys, arrays, strict=True)]

    def rows(self, bodies: Iterable[str], *, with_counts: bool = True) -> str:
        """Return the rows as a JSON array, with or without how many documents are in each."""
        groups: dict[bytes, dict[str, JSON]] = {}
        for body in bodies:
            document = decode_body(body)
            for key in product(*(_key_values(document, path) for path in self.keys)):
                row = groups.setdefault(encode(key), {**dict(zip(self.keys, key, strict=True)), COUNT: 0})
                row[COUNT] += 1
                for path in self.sums:
                    row[path] = row.get(path, 0) + sum_up(values_at(document, path))
        if not with_counts:
            for row in groups.values():
                del row[COUNT]
        return encode(list(groups.values())).decode()


def _key_values(document: JSON, path: str) -> list[JSON]:
    found = values_at(document, path)
    if path.endswith("[]"):
        items = [item for value in found for item in value]
        return items if found else [None]
    return found or [None]


def sum_up(values: Iterable[JSON]) -> int | float:
    """Return the sum of what is a number."""
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    return sum(numbers)


class GroupNames(FieldNames):
    """Names of fields in a query of groups."""

    def __init__(self, values: Values, grouping: Grouping) -> None:
        super().__init__(values)
        self._grouping = grouping

    def parts_of(self, operand: tree.Expression) -> list[str]:
        """Return the fields that are one value in the answer, or nothing if it is a single field."""
        return self._grouping.keys if self._grouping.is_whole_key(operand) else []

    def __call__(self, operand: tree.Expression) -> str:
        """Return the name of the field of a group's row."""
        return self._grouping(operand)


def _aggregations(query: tree.Query) -> Iterator[tree.Method]:
    """Yield the aggregations of a query's condition."""
    pending = [query.where] if query.where is not None else []
    while pending:
        node = pending.pop()
        match node:
            case tree.And(parts) | tree.Or(parts):
                pending += parts
            case tree.Not(part):
                pending.append(part)
            case tree.Method("boost" | "exact", arguments):
                pending += arguments
            case tree.Compare(_, tree.Method() as field, _) | tree.Between(tree.Method() as field, _, _):
                yield field
            case tree.Member(tree.Method() as field, _, _):
                yield field
