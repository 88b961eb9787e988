"""What a statement gives to a program: records in order, their keys, and the summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any, NoReturn, overload

from evsession.errors import QueryError
from evsession.neo4j.answers import Answer, summary_of
from evsession.neo4j.decoding import values_of
from evsession.neo4j.summaries import Summary

__all__ = ["Record", "Result", "index_of"]


class Record(Sequence[Any]):
    """One row: ``record["name"]``, ``record[0]``, and iteration over the values in the order of ``RETURN``."""

    __slots__ = ("_index", "_values")

    def __init__(self, values: Sequence[Any], index: Mapping[str, int]) -> None:
        self._values = values
        self._index = index

    @overload
    def __getitem__(self, key: str | int) -> Any: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Any]: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            try:
                return self._values[self._index[key]]
            except KeyError:
                raise KeyError(f"the query returns no {key!r}; it returns: {', '.join(self._index)}") from None
        return self._values[key]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Record):
            return list(self._values) == list(other._values) and list(self._index) == list(other._index)
        return list(self._values) == list(other) if isinstance(other, (list, tuple)) else NotImplemented

    def __hash__(self) -> NoReturn:
        raise TypeError("a Record has no hash, for its values may be lists")

    def __repr__(self) -> str:
        return f"<Record {' '.join(f'{name}={value!r}' for name, value in self.items())}>"

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of this name, or the default where the query returns none."""
        place = self._index.get(key)
        return default if place is None else self._values[place]

    def keys(self) -> list[str]:
        """Return the names in the order of ``RETURN``."""
        return list(self._index)

    def values(self) -> list[Any]:
        """Return the values in the order of ``RETURN``."""
        return list(self._values)

    def items(self) -> list[tuple[str, Any]]:
        """Return names and values in the order of ``RETURN``."""
        return list(zip(self._index, self._values, strict=True))

    def data(self) -> dict[str, Any]:
        """Return the row as a dict."""
        return dict(zip(self._index, self._values, strict=True))


class Result(Sequence[Record]):
    """All that one statement gave. It is complete, so it may be read again, also when its transaction and session are gone.

    Iterating and indexing give `Record` objects in the server's order.
    """

    def __init__(self, answer: Answer, query: str, parameters: Mapping[str, Any], database: str) -> None:
        fields = [] if answer.data is None else answer.data.fields
        self._index = index_of(fields)
        self._rows = [] if answer.data is None else values_of(answer.data.values)
        if answer.data is not None:
            answer.data.values = []
        self._about = (answer, query, parameters, database)

    @cached_property
    def summary(self) -> Summary:
        """What became of the statement: counters, notifications, plan and times."""
        return summary_of(*self._about)

    @property
    def keys(self) -> list[str]:
        """The names that the statement returns, in order."""
        return list(self._index)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Record]:
        return map(Record, self._rows, repeat(self._index))

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return list(map(Record, self._rows[place], repeat(self._index)))
        return Record(self._rows[place], self._index)

    @property
    def records(self) -> list[Record]:
        """All records as a list."""
        return list(self)

    def first(self) -> Record | None:
        """Return the first record, or None where there is none."""
        return self[0] if self._rows else None

    def single(self) -> Record:
        """Return the only record.

        Raises:
            QueryError: there is none, or more than one.
        """
        if len(self._rows) != 1:
            raise QueryError(f"exactly one record was expected, but there are {len(self._rows)}")
        return self[0]

    def value(self, key: str | int = 0) -> Any:
        """Return one value of the only record: the first, or that of this name or place.

        Raises:
            QueryError: there is no record, or more than one. A name that the statement does not return is a KeyError.
        """
        return self.single()[key]

    def values(self, key: str | int | None = None) -> list[Any]:
        """Return the value of this name or place of each record, or without a key all values as a list for each."""
        if key is None:
            return [list(row) for row in self._rows]
        if isinstance(key, str) and key not in self._index:
            raise KeyError(f"the query returns no {key!r}; it returns: {', '.join(self._index)}")
        place = self._index[key] if isinstance(key, str) else key
        return [row[place] for row in self._rows]

    def data(self) -> list[dict[str, Any]]:
        """Return each record as a dict."""
        return [dict(zip(self._index, row, strict=True)) for row in self._rows]

    def __repr__(self) -> str:
        return f"<Result {list(self._index)} {len(self._rows)} records>"


def index_of(fields: Sequence[str]) -> dict[str, int]:
    """Return the place of each name."""
    return {name: place for place, name in enumerate(fields)}
