"""``group by``: documents become rows of keys, counts and sums. Knows how RavenDB groups; the rows are asked like documents.

All documents are read for each query. Groups come in the order in which their first documents were written; on RavenDB in no
order that anybody could know. Sums are of all numbers: RavenDB leaves out fractions if the first is whole, else whole numbers. It
also writes times in rows in a form of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from evsession.embedded.query.conditions import FieldNames
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
        for method in _methods(query):
            self(method)

    def _key(self, operand: tree.Operand) -> str:
        field: tree.Expression = operand
        if isinstance(operand, tree.Method) and operand.name == "array" and len(operand.arguments) == 1:
            (field,) = operand.arguments
        if not isinstance(field, tree.Field):
            raise self._values.fail("Group by takes fields")
        return self._path(field)

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
        if (meant := self._aliases.get(operand.path)) is not None and meant != operand:
            return self(meant)
        path = self._path(operand)
        if path in self.keys or path in self.sums or path == COUNT:
            return path
        raise self._values.fail(f"Field '{path}' is neither an aggregation operation nor part of the group by key")

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

    def __call__(self, operand: tree.Expression) -> str:
        """Return the name of the field of a group's row."""
        return self._grouping(operand)


def _methods(query: tree.Query) -> Iterator[tree.Method]:
    yield from _aggregations(query)
    for item in query.items:
        if isinstance(item.operand, tree.Method):
            yield item.operand
    for key in query.order:
        if isinstance(key.operand, tree.Method) and key.operand.name in ("count", "sum", "key"):
            yield key.operand


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
            case tree.Compare(_, tree.Method() as field, _) | tree.Between(tree.Method() as field, _, _):
                yield field
            case tree.Member(tree.Method() as field, _, _):
                yield field
