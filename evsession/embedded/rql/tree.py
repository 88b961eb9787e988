"""A query as a tree of values, which knows neither how it was written nor how it is answered."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

__all__ = [
    "All",
    "And",
    "Between",
    "Compare",
    "Declaration",
    "Expression",
    "Field",
    "Item",
    "Load",
    "Member",
    "Method",
    "Not",
    "Operand",
    "Operator",
    "Or",
    "Parameter",
    "Query",
    "SortKey",
    "Value",
]


class Node(msgspec.Struct, frozen=True, tag=True):
    """Anything in the tree."""


class Field(Node, frozen=True):
    """A field by its path, ``owner.name`` or ``vets[].name``.

    Attributes:
        path: The path as written, without quotes and escapes.
        is_quoted: Whether it was written as a string; ``where 'first name' = 1`` means a field, ``select 'x'`` a text.
    """

    path: str
    is_quoted: bool = False


class Value(Node, frozen=True):
    """A literal."""

    value: str | float | int | bool | None


class Parameter(Node, frozen=True):
    """A parameter by name, without the dollar sign."""

    name: str


class Method(Node, frozen=True):
    """A call: ``id()``, ``startsWith(name, 'M')``; the name in lower case, and as it was written."""

    name: str
    arguments: tuple[Expression, ...]
    written: str


class Operator(Node, frozen=True):
    """``and`` or ``or`` as an argument: ``search(name, 'a b', and)``."""

    name: str


class Compare(Node, frozen=True):
    """A comparison; the operator is one of ``= != < <= > >=``."""

    operator: str
    left: Operand
    right: Operand


class Between(Node, frozen=True):
    """The field lies between the ends, or on one."""

    field: Operand
    low: Operand
    high: Operand


class Member(Node, frozen=True):
    """The field is one of the values, or (`every`) holds all of them."""

    field: Operand
    values: tuple[Operand, ...]
    every: bool


class And(Node, frozen=True):
    """All of these."""

    parts: tuple[Expression, ...]


class Or(Node, frozen=True):
    """One of these."""

    parts: tuple[Expression, ...]


class Not(Node, frozen=True):
    """Not this."""

    part: Expression


class All(Node, frozen=True):
    """``true``: everything."""


class SortKey(Node, frozen=True):
    """One key to sort by; `kind` is ``string``, ``long``, ``double`` or ``alphanumeric``, or None if not said."""

    operand: Operand
    kind: str | None
    descending: bool


class Item(Node, frozen=True):
    """One thing to select; an operand of None is ``*``."""

    operand: Operand | None
    alias: str | None


class Load(Node, frozen=True):
    """A document to load for each row, or several if it is to be a list, and what it is called; empty if that is not said."""

    operand: Operand
    alias: str
    is_list: bool


class Declaration(Node, frozen=True):
    """A function of JavaScript, as it was written."""

    name: str
    source: str


Operand: TypeAlias = "Field | Value | Parameter | Method"
Expression: TypeAlias = "Operand | Operator | Compare | Between | Member | And | Or | Not | All"


class Query(Node, frozen=True):
    """A whole query.

    Attributes:
        text: As it was written.
        source: The name of the collection or index.
        is_index: Whether it is an index.
        alias: What documents are called in it, or None.
        where: The condition, or None for none.
        order: Keys to sort by.
        group: What to group by.
        loads: Documents to load for what is selected.
        items: What to select; empty for whole documents.
        program: The program of ``select { ... }`` with its braces, or None.
        declarations: Functions that the program may call.
        distinct: Whether equal rows are one.
        includes: Paths of references to send along.
        skip: How many rows to leave out, or None.
        take: How many rows to give at most, or None.
        update: The program of ``update { ... }`` without its braces, or None.
    """

    text: str
    source: str
    is_index: bool = False
    alias: str | None = None
    where: Expression | None = None
    order: tuple[SortKey, ...] = ()
    group: tuple[Operand, ...] = ()
    loads: tuple[Load, ...] = ()
    items: tuple[Item, ...] = ()
    program: str | None = None
    declarations: tuple[Declaration, ...] = ()
    distinct: bool = False
    includes: tuple[str, ...] = ()
    skip: Operand | None = None
    take: Operand | None = None
    update: str | None = None


def boosts(expression: Expression | None) -> bool:
    """Return whether a part of the condition is boosted."""
    match expression:
        case And(parts) | Or(parts):
            return any(map(boosts, parts))
        case Not(part):
            return boosts(part)
        case Method(name, arguments):
            return name == "boost" or any(map(boosts, arguments))
    return False
