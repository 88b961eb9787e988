"""Values of a query: parameters found, kinds told apart as RavenDB tells them, and its complaints. Knows no SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evsession.embedded.failures import RavenFailure, unsupported
from evsession.embedded.rql import tree
from evsession.wire.json import JSON, encode

__all__ = ["KNOWN_ELSEWHERE", "MAX_COUNT", "Values", "are_mixed", "kind_of", "misunderstood", "named"]

MAX_COUNT = 2**63 - 1
_INVALID = "Raven.Client.Exceptions.InvalidQueryException"


def kind_of(value: JSON) -> str:
    """Return the kind of a value in RavenDB's words."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, int):
        return "Long"
    if isinstance(value, float):
        return "Double"
    if isinstance(value, str):
        return "String"
    return "Array" if isinstance(value, list) else "Object"


def misunderstood(message: str, query: tree.Query, parameters: Mapping[str, JSON]) -> RavenFailure:
    """Return the failure of a query that can be read but not be run, with its text and parameters as RavenDB adds them."""
    return RavenFailure(500, _INVALID, f"{message}\nQuery: {query.text}\nParameters: {encode(dict(parameters)).decode()}")


def named(operand: tree.Expression) -> str:
    """Return a field or call as an error or a name shows it."""
    if isinstance(operand, tree.Field):
        return f"'{operand.path}'" if operand.is_quoted else operand.path
    if isinstance(operand, tree.Method):
        return f"{operand.written}({', '.join(named(argument) for argument in operand.arguments)})"
    return str(operand)


def are_mixed(operands: tuple[tree.Operand, ...]) -> bool:
    """Return whether some are parameters and some are not, which RavenDB refuses for one field."""
    return len({isinstance(operand, tree.Parameter) for operand in operands}) > 1


@dataclass(slots=True)
class Values:
    """The parameters of one query."""

    query: tree.Query
    parameters: Mapping[str, JSON]

    def fail(self, message: str) -> RavenFailure:
        """Return the failure with this message."""
        return misunderstood(message, self.query, self.parameters)

    def get(self, operand: tree.Expression) -> JSON:
        """Return the value of a literal or parameter.

        Raises:
            RavenFailure: it is neither, or the parameter was not given.
        """
        if isinstance(operand, tree.Parameter):
            if operand.name not in self.parameters:
                raise self.fail(f"Value of parameter '{operand.name}' was not provided")
            return self.parameters[operand.name]
        if isinstance(operand, tree.Value):
            return operand.value
        if isinstance(operand, tree.All):
            return True
        if isinstance(operand, tree.Field) and operand.is_quoted:
            return operand.path
        raise self.fail(f"Expected value, but got: <Field>: {named(operand)}")

    def scalar(self, operand: tree.Expression) -> JSON:
        """Return the value, which is no list.

        Raises:
            RavenFailure: it is one.
        """
        value = self.get(operand)
        if isinstance(value, list):
            shown = encode(value).decode()
            raise self.fail(f"Parameter value '{shown}' of type Sparrow.Json.BlittableJsonReaderArray is not supported")
        return value

    def text(self, operand: tree.Expression, method: str) -> str:
        """Return the value of an argument that is a text.

        Raises:
            RavenFailure: it is none.
        """
        value = self.scalar(operand)
        if not isinstance(value, str):
            raise self.fail(f"Method {method}() expects to get an argument of type String while it got {kind_of(value)}")
        return value

    def own_path(self, path: str) -> str:
        """Return the path of a field without the name that the query gives its documents.

        Raises:
            RavenFailure: it is in something else.
        """
        alias = self.query.alias
        first, dot, rest = path.partition(".")
        if alias is None or not dot:
            return path
        if first != alias:
            raise self.unknown_alias(first)
        return rest

    def unknown_alias(self, name: str) -> RavenFailure:
        """Return the failure of a path that begins with a name that the query gives nothing."""
        return self.fail(f"Unknown alias {name}, but there are aliases specified in the query ({self.query.alias})")

    def incompatible(self, field: tree.Operand, operands: tuple[tree.Operand, ...]) -> RavenFailure:
        """Return the failure of a comparison of one field with values of several kinds, or with parameters and values at once."""
        path = field.path.replace("[]", ".[]") if isinstance(field, tree.Field) else ""
        shown = f"<Field>: {path}" if path else named(field)
        types = ",".join("Value" for _ in operands)
        if all(isinstance(operand, tree.Parameter) for operand in operands):
            said = f"parameters in WHERE clause on '{shown}' field. It got parameters of the following types:   {types}"
        else:
            said = f"variables in WHERE clause on '{shown}' field. It got values of the following types: {types}"
        return self.fail(f"Incompatible types of {said}")

    def several(self, field: tree.Operand, operands: tuple[tree.Operand, ...]) -> list[JSON]:
        """Return the values of a list; lists in it are their items.

        Raises:
            RavenFailure: they are of several kinds; null goes with any.
        """
        found: list[JSON] = []
        kinds: set[str] = set()
        for operand in operands:
            values = list(_items(self.get(operand)))
            first = next((kind_of(value) for value in values if value is not None), None)
            for value in values:
                if value is not None and kind_of(value) != first:
                    raise self.fail(f"Expected query parameter to be {first} but was {kind_of(value)}: {encode(value).decode()}")
            kinds.update([first] if first else [])
            found += values
        if len(kinds) > 1 or are_mixed(operands):
            raise self.incompatible(field, operands)
        return found

    def count(self, operand: tree.Operand | None, what: str) -> int | None:
        """Return a number of rows, or None if none was given.

        Raises:
            RavenFailure: it is no whole number from 0.
        """
        if operand is None:
            return None
        value = self.get(operand)
        if value is None:
            return MAX_COUNT
        if isinstance(value, bool) or not isinstance(value, int):
            message = f"Value should be a 'Long' but was '{kind_of(value)}'."
            raise RavenFailure(500, "System.InvalidOperationException", message)
        if value < 0:
            raise self.fail(f"{what} cannot be negative, but was {value}.")
        return min(value, MAX_COUNT)

    def method_missing(self, method: tree.Method) -> RavenFailure:
        """Return the failure of a method that is not known here, if RavenDB knows it, in words of this server."""
        if method.name in KNOWN_ELSEWHERE:
            return unsupported(f"the method {method.written}() of RQL")
        if method.name in ("lucene", "fuzzy", "proximity"):  # nor does RavenDB, on Corax
            return self.fail(f"Method '{method.name.capitalize()}' is not supported.")
        return RavenFailure(500, "System.NotSupportedException", f"Method '{method.written}' is not supported.")


def _items(value: JSON) -> Iterator[JSON]:
    if isinstance(value, list):
        for item in value:
            yield from _items(item)
    else:
        yield value


KNOWN_ELSEWHERE = frozenset(
    {
        "cmpxchg",
        "counter",
        "explanations",
        "facet",
        "highlight",
        "intersect",
        "morelikethis",
        "spatial.contains",
        "spatial.disjoint",
        "spatial.intersects",
        "spatial.within",
        "suggest",
        "timeseries",
        "timings",
        "vector.search",
    }
)
"""Methods of RavenDB that this server has not."""
