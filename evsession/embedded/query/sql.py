"""Pieces of SQL with the values that belong to their question marks. A piece's text is constant or made of numbers, always."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

__all__ = ["FALSE", "TRUE", "Piece", "SqlValue", "joined", "negated"]

SqlValue: TypeAlias = "str | int | float | None"


class Piece(NamedTuple):
    """A piece of SQL.

    Attributes:
        text: The SQL.
        values: One value for each of its question marks.
    """

    text: str
    values: tuple[SqlValue, ...] = ()


TRUE = Piece("1")
FALSE = Piece("0")


def joined(pieces: Sequence[Piece], word: str) -> Piece:
    """Return the pieces with the word between them, as one: a balanced tree, for SQLite limits how deep one is."""
    if len(pieces) == 1:
        return pieces[0]
    half = len(pieces) // 2
    left, right = joined(pieces[:half], word), joined(pieces[half:], word)
    return Piece(f"({left.text} {word} {right.text})", left.values + right.values)


def negated(piece: Piece) -> Piece:
    """Return its opposite."""
    return Piece(f"NOT ({piece.text})", piece.values)
