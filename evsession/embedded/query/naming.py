"""Names of automatic indexes. Queries here need none, but RavenDB names one in every answer, and clients may ask it by name.

RavenDB makes an index of the fields of a query, widens it when a query asks for more, and prefers the wider one; so do the
names here, as long as the server runs.
"""

from __future__ import annotations

from collections.abc import Iterable

from evsession.embedded.query.values import named
from evsession.embedded.rql import tree

__all__ = ["AutoNames", "fields_of", "index_fields", "needs_no_index"]

ALL_DOCUMENTS = "@all_docs"


class AutoNames:
    """The automatic indexes that a database would have.

    Attributes:
        changes: Counts them.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._fields: dict[str, list[frozenset[str]]] = {}
        self._sources: dict[str, str] = {}

    def name(self, collection: str, fields: Iterable[str], group: Iterable[str] = ()) -> str:
        """Return the name of the index that answers a query on these fields."""
        shown = "AllDocs" if collection == ALL_DOCUMENTS else collection
        reduced = "And".join(sorted(group))
        tail = f"ReducedBy{reduced}" if reduced else ""
        wanted = frozenset(fields)
        known = self._fields.setdefault(f"{shown}/{tail}".lower(), [])
        fitting = next((one for one in reversed(known) if wanted <= one), None)
        if fitting is None:
            wanted = wanted or frozenset(["id()"])
            plain = [one for one in known if not any("(" in field for field in one)]
            widened = not any("(" in field for field in wanted) and plain
            fitting = wanted | plain[-1] if widened else wanted
            known.append(fitting)
            self.changes += 1
        name = f"Auto/{shown}/By{'And'.join(sorted(fitting))}{tail}"
        if not reduced:
            self._sources[name.lower()] = collection
        return name

    def source(self, name: str) -> str | None:
        """Return the collection that an index of this name is on, or None."""
        return self._sources.get(name.lower())

    def all(self) -> list[str]:
        """Return the names of the indexes, in lower case."""
        return sorted(self._sources)


def fields_of(expression: tree.Expression | None, alias: str | None) -> set[str]:
    """Return the fields that a condition needs an index for, as the index names them; ``id()`` needs none."""
    match expression:
        case tree.And(parts) | tree.Or(parts):
            return set().union(*(fields_of(part, alias) for part in parts))
        case tree.Not(part):
            return fields_of(part, alias)
        case tree.Compare(_, field, _) | tree.Between(field, _, _) | tree.Member(field, _, _):
            return fields_of(field, alias)
        case tree.Method(name, arguments) if name in ("exact", "search") and arguments:
            return {f"{name.capitalize()}({field})" for field in fields_of(arguments[0], alias)}
        case tree.Method(_, arguments) if arguments:
            return fields_of(arguments[0], alias)
        case tree.Field():
            shown = named(expression)
            return {shown[len(alias) + 1 :] if alias and shown.startswith(f"{alias}.") else shown}
    return set()


def needs_no_index(expression: tree.Expression | None) -> bool:
    """Return whether RavenDB answers the condition from the documents themselves: all of them, or some by key."""
    if isinstance(expression, tree.Compare) and isinstance(expression.left, tree.Field):
        return False  # first, for it is what most queries ask
    match expression:
        case None | tree.All():
            return True
        case tree.Compare("=", field, _) | tree.Member(field, _, False):
            return isinstance(field, tree.Method) and field.name == "id"
        case tree.Method("startswith", (tree.Method("id", _, _), *_), _):
            return True
    return False


def index_fields(query: tree.Query) -> set[str]:
    """Return the fields that an automatic index for the query would have."""
    fields = fields_of(query.where, query.alias)
    for key in query.order:
        fields |= fields_of(key.operand, query.alias)
    return fields
