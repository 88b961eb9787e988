"""Names of automatic indexes. Queries here need none, but RavenDB names one in every answer, and clients may ask it by name.

RavenDB makes an index of the fields of a query, widens it when a query asks for more, and prefers the wider one; so do the
names here, as long as the server runs.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from evsession.embedded.query.values import named
from evsession.embedded.rql import tree
from evsession.embedded.storage.transaction import timestamp

__all__ = ["ALL_DOCUMENTS", "ID", "AutoIndex", "AutoNames", "fields_of", "index_fields", "needs_no_index"]

ALL_DOCUMENTS = "@all_docs"
ID = "id()"
"""The field of an index whose query asks for none."""

ANALYZED = ("Search", "Exact")
"""Forms that a field may have beside its own."""


class AutoIndex(msgspec.Struct, frozen=True):
    """An automatic index.

    Attributes:
        name: Its name, as RavenDB makes it of the rest.
        collection: What it is on, as the first query wrote it.
        fields: Its fields, ``Search(name)`` and ``Exact(name)`` among them; of one that groups, what is summed up or counted.
        keys: What it groups by, ``Array(name)`` among them; nothing for one of documents.
        created: When it was first asked for.
    """

    name: str
    collection: str
    fields: frozenset[str]
    keys: tuple[str, ...]
    created: str


class AutoNames:
    """The automatic indexes that a database would have.

    Attributes:
        changes: Counts them.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._known: dict[str, AutoIndex] = {}

    def name(self, collection: str, fields: Iterable[str], group: Iterable[str] = ()) -> str:
        """Return the name of the index that answers a query on these fields."""
        keys, wanted = tuple(sorted(group)), _without_plain(frozenset(fields))
        alike = [one for one in self._known.values() if one.keys == keys and one.collection.lower() == collection.lower()]
        fitting = next((one for one in reversed(alike) if wanted <= one.fields), None)
        return (fitting or self._new(collection, wanted or frozenset([ID]), keys, alike)).name

    def _new(self, collection: str, wanted: frozenset[str], keys: tuple[str, ...], alike: list[AutoIndex]) -> AutoIndex:
        plain = [one.fields for one in alike if not any("(" in field for field in one.fields)]
        if plain and not any("(" in field for field in wanted):
            wanted |= plain[-1]
        shown = "AllDocs" if collection == ALL_DOCUMENTS else collection
        tail = f"ReducedBy{'And'.join(keys)}" if keys else ""
        fields = "Id()" if wanted == {ID} else _joined(wanted)
        name = f"Auto/{shown}/By{fields}{tail}"
        made = self._known[name] = AutoIndex(name, collection, wanted, keys, timestamp())
        self.changes += 1
        return made

    def find(self, name: str) -> AutoIndex | None:
        """Return the index of this name, or None; case counts, since it does in the names of fields."""
        return self._known.get(name)

    def all(self) -> list[AutoIndex]:
        """Return the indexes, by name."""
        return sorted(self._known.values(), key=lambda one: one.name)

    def forget(self, name: str) -> bool:
        """Forget the index, until a query asks for it again; return whether it was there."""
        self.changes += 1
        return self._known.pop(name, None) is not None


def _without_plain(fields: frozenset[str]) -> frozenset[str]:
    """Return the fields without those that are analyzed, too: an index that searches a field has it as it is as well."""
    return frozenset(field for field in fields if not any(f"{kind}({field})" in fields for kind in ANALYZED))


def _joined(fields: frozenset[str]) -> str:
    """Return the fields as a name has them, all forms of one together."""
    analyzed = [field for field in fields if field.startswith(tuple(f"{kind}(" for kind in ANALYZED))]
    bare = {field: field.partition("(")[2][:-1] for field in analyzed}
    shown = {name: [f"{kind}({name})" for kind in ANALYZED if f"{kind}({name})" in fields] for name in bare.values()}
    return "And".join(sorted([*("And".join(forms) for forms in shown.values()), *fields.difference(analyzed)]))


def fields_of(expression: tree.Expression | None, alias: str | None) -> set[str]:
    """Return the fields that a condition needs an index for, as the index names them; ``id()`` needs none."""
    match expression:
        case tree.And(parts) | tree.Or(parts):
            return set().union(*(fields_of(part, alias) for part in parts))
        case tree.Not(part):
            return fields_of(part, alias)
        case tree.Compare(_, field, _) | tree.Between(field, _, _) | tree.Member(field, _, _):
            return fields_of(field, alias)
        case tree.Method("exact", (tree.Method("search") as search,)):
            return fields_of(search, alias)
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
        if not (isinstance(key.operand, tree.Method) and key.operand.name in ("random", "score")):
            fields |= fields_of(key.operand, query.alias)
    return fields
