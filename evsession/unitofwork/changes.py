"""What differs between an entity as it was and as it is, field by field. Knows decoded values only."""

# Annotations are not postponed here: public classes say that they live in the package, where inspect would look for the names.
from collections.abc import Iterator, Mapping, Sequence
from math import copysign
from types import MappingProxyType
from typing import Any, NamedTuple, overload

import msgspec

__all__ = ["MISSING", "Change", "Changes", "EntityChanges", "diff", "is_same"]


class _Missing:
    """Stands for a value that is not there."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""In place of a value: the field was not there, or is not there any more."""


class Change(NamedTuple):
    """One field of one entity.

    Attributes:
        old: The value that was loaded or written last; `MISSING` if there was none.
        new: The value that will be written; `MISSING` if the field was taken out.
    """

    old: Any
    new: Any


def is_same(one: Any, other: Any) -> bool:
    """Return whether two decoded values are the same to a database: ``1``, ``1.0`` and ``True`` are three values.

    So are ``0.0`` and ``-0.0``; not a number is the same as itself.
    """
    pairs = [(one, other)]  # a stack of its own: values may nest deeper than functions may call each other
    while pairs:
        one, other = pairs.pop()
        if one.__class__ is not other.__class__:
            return False
        if isinstance(one, dict):
            if one.keys() != other.keys():
                return False
            pairs += [(value, other[name]) for name, value in one.items()]
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif isinstance(one, float):
            if copysign(1, one) != copysign(1, other) if one == other else one == one or other == other:
                return False
        elif one != other:
            return False
    return True


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Change]:
    """Return the fields that differ, with the whole value of each: an edit deep inside is a change of its field."""
    changes = {
        name: Change(old.get(name, MISSING), value)
        for name, value in new.items()
        if name not in old or not is_same(old[name], value)
    }
    changes.update((name, Change(value, MISSING)) for name, value in old.items() if name not in new)
    return changes


class EntityChanges(msgspec.Struct, frozen=True):
    """What a commit would do with one entity.

    Attributes:
        entity: The entity.
        key: Its key; None for a new one whose key is not known yet.
        kind: ``"insert"``, ``"update"`` or ``"delete"``.
        fields: The fields that would be written, with old and new values; empty for a deletion.
    """

    entity: Any
    key: str | None
    kind: str
    fields: dict[str, Change]


class Changes(Sequence[Mapping[str, Change]]):
    """The changed fields of several entities: by place, by key or by the entity itself.

    ``changes[0]``, ``changes["dogs/max"]`` and ``changes[max]`` are each a mapping of field and `Change`, to be read only. They
    are those at the beginning of the round's event, and nothing is written from them: a hook edits ``event.entities``, and what
    it edits is not among the changes of its own event.
    """

    def __init__(self, entities: Sequence[Any], keys: Sequence[str | None], fields: Sequence[Mapping[str, Change]]) -> None:
        self._entities = entities
        self._keys = keys
        self._fields: list[Mapping[str, Change]] = [MappingProxyType(dict(one)) for one in fields]

    @overload
    def __getitem__(self, which: int) -> Mapping[str, Change]: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[Mapping[str, Change]]: ...  # type: ignore[overload-overlap]  # no entity is one
    @overload
    def __getitem__(self, which: object) -> Mapping[str, Change]: ...
    def __getitem__(self, which: object) -> Any:
        if isinstance(which, (int, slice)):
            return self._fields[which]
        for entity, key, fields in zip(self._entities, self._keys, self._fields, strict=True):
            if which is entity or (isinstance(which, str) and which == key):
                return fields
        raise KeyError(which)

    def __len__(self) -> int:
        return len(self._fields)

    def __iter__(self) -> Iterator[Mapping[str, Change]]:
        return iter(self._fields)

    def __repr__(self) -> str:
        return f"Changes({[(key, dict(fields)) for key, fields in zip(self._keys, self._fields, strict=True)]!r})"
