"""The statements of models: pure functions to text and parameters. Names are quoted, values are parameters, always."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from evsession.errors import ConfigurationError
from evsession.neo4j.encoding import Encoder
from evsession.neo4j.names import quote

__all__ = [
    "Cypher",
    "Pattern",
    "create",
    "delete",
    "find",
    "find_by_keys",
    "labels_of",
    "merge",
    "relate",
    "related",
    "spell_labels",
    "unrelate",
    "update",
]


class Cypher(NamedTuple):
    """A statement and its parameters."""

    text: str
    params: dict[str, Any]


class Pattern(NamedTuple):
    """A relationship between two kinds of nodes, as an alias of a model names it.

    Attributes:
        source: The labels where it is seen from, quoted.
        type: Its type, quoted.
        direction: ``"out"``, ``"in"`` or ``"none"``.
        target: The labels at the other end, quoted.
    """

    source: str
    type: str
    direction: str
    target: str

    def arrow(self) -> str:
        """Return the relationship ``r`` between ``s`` and ``t``."""
        left, right = {"out": ("-", "->"), "in": ("<-", "-"), "none": ("-", "-")}[self.direction]
        return f"{left}[r:{self.type}]{right}"


_COMPARISONS = {
    "eq": "{0} = {1}",
    "ne": "{0} <> {1}",
    "gt": "{0} > {1}",
    "gte": "{0} >= {1}",
    "lt": "{0} < {1}",
    "lte": "{0} <= {1}",
    "in": "{0} IN {1}",
    "not_in": "NOT {0} IN {1}",
    "has": "{1} IN {0}",
    "contains": "{0} CONTAINS {1}",
    "starts_with": "{0} STARTS WITH {1}",
    "ends_with": "{0} ENDS WITH {1}",
}
_EMPTINESS = {True: "{0} IS NULL", False: "{0} IS NOT NULL"}


def labels_of(labels: object, what: str = "a model") -> tuple[str, ...]:
    """Return labels as given, one or several.

    Raises:
        ConfigurationError: there is none, or one can be no name.
    """
    several = [labels] if isinstance(labels, str) else labels
    if not isinstance(several, (list, tuple)) or not several:
        raise ConfigurationError(f"{what} has one label or several, not {labels!r}")
    for label in several:
        quote(label, "a label")
    return tuple(several)


class _Conditions:
    """Conditions on the properties of nodes, and the parameters in them."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._parts: list[str] = []

    def bind(self, value: Any) -> str:
        """Return the parameter that stands for the value."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"${name}"

    def add(self, variable: str, where: object) -> None:
        """Let every property be as the mapping says: a value, None for missing, or operators and a value each."""
        if where is None:
            return
        if not isinstance(where, Mapping):
            raise ConfigurationError(f"where is a mapping of properties to values or operators, not {where!r}")
        for name, wanted in where.items():
            place = f"{variable}.{quote(name, 'a property')}"
            if isinstance(wanted, Mapping) and not wanted:
                raise ConfigurationError(f"the condition on {name!r} has no operator, so it would hold for everything")
            for operator, value in wanted.items() if isinstance(wanted, Mapping) else [("eq", wanted)]:
                self._parts.append(self._compare(place, name, operator, value))

    def _compare(self, place: str, name: str, operator: object, value: Any) -> str:
        if operator == "is_null":
            if not isinstance(value, bool):
                raise ConfigurationError(f"is_null of {name!r} is True or False, not {value!r}")
            return _EMPTINESS[value].format(place)
        if operator not in _COMPARISONS:
            raise ConfigurationError(
                f"no operator {operator!r} (of {name!r}); there are: {', '.join([*_COMPARISONS, 'is_null'])}"
            )
        if value is None and operator in ("eq", "ne"):
            return _EMPTINESS[operator == "eq"].format(place)
        if operator in ("in", "not_in") and not isinstance(value, (list, tuple)):
            raise ConfigurationError(f"{operator} of {name!r} takes a list, not {value!r}")
        Encoder().parameters({name: value}, "conditions")  # so that an error has the property's name, not the parameter's
        return _COMPARISONS[str(operator)].format(place, self.bind(value))

    def text(self) -> str:
        """Return the clause, which may be empty."""
        return f" WHERE {' AND '.join(self._parts)}" if self._parts else ""


def spell_labels(labels: Sequence[str]) -> str:
    """Return the labels as they stand in a pattern."""
    return "".join(f":{quote(label, 'a label')}" for label in labels)


def create(labels: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Cypher:
    """Create a node for each row, in this order."""
    return Cypher(f"UNWIND $rows AS row CREATE (n{spell_labels(labels)}) SET n = row RETURN n", {"rows": list(rows)})


def merge(labels: Sequence[str], key: str, rows: Sequence[Mapping[str, Any]]) -> Cypher:
    """Create a node for each row, or change the one with its key."""
    name = quote(key, "a property")
    text = f"UNWIND $rows AS row MERGE (n{spell_labels(labels)} {{{name}: row.{name}}}) SET n += row RETURN n"
    return Cypher(text, {"rows": list(rows)})


def find(labels: Sequence[str], where: object, *, order: object = None, skip: object = None, limit: object = None) -> Cypher:
    """Find nodes."""
    conditions = _Conditions()
    conditions.add("n", where)
    text = f"MATCH (n{spell_labels(labels)}){conditions.text()} RETURN n{_order(order)}"
    for word, number in (("SKIP", skip), ("LIMIT", limit)):
        if number is not None:
            text += f" {word} {conditions.bind(_check_count(word.lower(), number))}"
    return Cypher(text, conditions.params)


def find_by_keys(groups: Sequence[tuple[Sequence[str], str, Sequence[Any]]]) -> Cypher:
    """Find nodes of several kinds, given labels, primary key and its values of each; rows are the kind's place and a node."""
    parts = [
        f"UNWIND $keys{place} AS key MATCH (n{spell_labels(labels)} {{{quote(name)}: key}}) RETURN {place} AS place, n"
        for place, (labels, name, _) in enumerate(groups)
    ]
    return Cypher(" UNION ALL ".join(parts), {f"keys{place}": list(keys) for place, (_, _, keys) in enumerate(groups)})


def update(labels: Sequence[str], where: object, data: Mapping[str, Any]) -> Cypher:
    """Change properties; None removes one."""
    conditions = _Conditions()
    conditions.add("n", where)
    Encoder().parameters(data, "properties")
    changes = conditions.bind(dict(data))
    return Cypher(f"MATCH (n{spell_labels(labels)}){conditions.text()} SET n += {changes} RETURN n", conditions.params)


def delete(labels: Sequence[str], where: object, *, detach: bool) -> Cypher:
    """Delete nodes, with their relationships or only those that have none."""
    conditions = _Conditions()
    conditions.add("n", where)
    verb = "DETACH DELETE" if detach else "DELETE"
    return Cypher(f"MATCH (n{spell_labels(labels)}){conditions.text()} {verb} n", conditions.params)


def relate(pattern: Pattern, where: object, properties: Mapping[str, Any], *, merges: bool) -> Cypher:
    """Create a relationship between every source and every target, or only where there is none of this type."""
    conditions = _ends(where)
    arrow = pattern.arrow() if pattern.direction != "none" else pattern._replace(direction="out").arrow()
    Encoder().parameters(properties, "properties")
    settings = conditions.bind(dict(properties))
    verb = "MERGE" if merges else "CREATE"
    text = f"MATCH (s{pattern.source}), (t{pattern.target}){conditions.text()} {verb} (s){arrow}(t) SET r += {settings}"
    return Cypher(f"{text} RETURN count(r) AS count", conditions.params)


def related(pattern: Pattern, where: object, limit: object = None) -> Cypher:
    """Find relationships with both their ends."""
    conditions = _ends(where)
    text = f"MATCH (s{pattern.source}){pattern.arrow()}(t{pattern.target}){conditions.text()} RETURN s, r, t"
    if limit is not None:
        text += f" LIMIT {conditions.bind(_check_count('limit', limit))}"
    return Cypher(text, conditions.params)


def unrelate(pattern: Pattern, where: object) -> Cypher:
    """Delete relationships."""
    conditions = _ends(where)
    text = f"MATCH (s{pattern.source}){pattern.arrow()}(t{pattern.target}){conditions.text()} DELETE r"
    return Cypher(text, conditions.params)


def _ends(where: object) -> _Conditions:
    """Return conditions on ``source``, ``target`` and ``relationship``."""
    names = {"source": "s", "target": "t", "relationship": "r"}
    if not isinstance(where, Mapping) or not where.keys() <= names.keys():
        raise ConfigurationError(f"where of a relationship is a mapping of {', '.join(names)}, not {where!r}")
    conditions = _Conditions()
    for end, variable in names.items():
        conditions.add(variable, where.get(end))
    return conditions


def _order(order: object) -> str:
    if order is None:
        return ""
    several = [order] if isinstance(order, str) else order
    if not isinstance(several, (list, tuple)):
        raise ConfigurationError(f"order is 'name', '-name', or a list of these or of pairs, not {order!r}")
    terms = [_order_term(one) for one in several]
    return f" ORDER BY {', '.join(terms)}" if terms else ""


def _order_term(one: object) -> str:
    if isinstance(one, str):
        return f"n.{quote(one.removeprefix('-'), 'a property')}{' DESC' if one.startswith('-') else ''}"
    if isinstance(one, (list, tuple)) and len(one) == 2 and str(one[1]).upper() in ("ASC", "DESC"):
        return f"n.{quote(one[0], 'a property')} {str(one[1]).upper()}"
    raise ConfigurationError(f"order is 'name', '-name', or a list of these or of pairs with 'ASC' or 'DESC', not {one!r}")


def _check_count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"{name} is a whole number from 0, not {value!r}")
    return value
