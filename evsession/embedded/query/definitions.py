"""Definitions of static indexes, read as far as this server runs them: maps that select and rename fields, sums of them.

Knows two small grammars. A map in C# is ``from d in docs.Dogs select new { d.breed, Years = d.age }`` (or ``docs.Dogs.Select(d =>
new { ... })``), one in JavaScript ``map('Dogs', d => ({ breed: d.breed }))``. Values are fields by their paths, keys (``Id(d)``,
``id(d)``) and constants. A reduction is in C#, with ``g.Key``, ``g.Sum(x => x.field)`` and ``g.Count()``. All else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import msgspec
from lark import Lark, Token, Tree, UnexpectedInput

from evsession.embedded.failures import RavenFailure, invalid_argument
from evsession.embedded.query.terms import literal
from evsession.wire.json import JSON, decode

__all__ = ["Constant", "FieldOf", "Index", "Key", "Map", "Reduction", "one_of", "read_index"]

COMPILATION = "Raven.Client.Exceptions.Documents.Compilation.IndexCompilationException"
CREATION = "Raven.Client.Exceptions.Documents.Indexes.IndexCreationException"
MISMATCH = "Map and Reduce functions of a index must return identical types."
ANALYZERS = {"Default": "fold", "Exact": "exact", "Search": "words", "No": "no"}
STORAGES = ("Yes", "No")
ALL_FIELDS = "__all_fields"
"""The name under which an index has options for all fields that have none of their own."""
Node = Tree[Token]


class FieldOf(msgspec.Struct, frozen=True):
    """A field of the document."""

    path: str


class Key(msgspec.Struct, frozen=True):
    """The key of the document."""


class Constant(msgspec.Struct, frozen=True):
    """The same value for all."""

    value: str | float | int | bool | None


Source: TypeAlias = "FieldOf | Key | Constant"


class Map(msgspec.Struct, frozen=True):
    """What an index takes from the documents of one collection; None is all documents."""

    collection: str | None
    fields: dict[str, Source]


class Reduction(msgspec.Struct, frozen=True):
    """How rows are summed up.

    Attributes:
        keys: Fields that make a group.
        fields: What a row has: the index of a key, ``""`` for the number of rows, or the field to sum up.
    """

    keys: tuple[str, ...]
    fields: dict[str, int | str]


class Index(msgspec.Struct, frozen=True):
    """A static index.

    Attributes:
        name: Its name.
        maps: What it takes.
        reduction: How that is summed up, or None.
        analyzers: How fields become terms, by name, ``"no"`` for not at all; see `analyzer`.
    """

    name: str
    maps: tuple[Map, ...]
    reduction: Reduction | None
    analyzers: dict[str, str]

    @property
    def fields(self) -> set[str]:
        """Names of the fields that it has."""
        if self.reduction is not None:
            return set(self.reduction.fields)
        return {name for one in self.maps for name in one.fields}

    def analyzer(self, field: str) -> str:
        """Return how a field becomes terms."""
        return self.analyzers.get(field) or self.analyzers.get(ALL_FIELDS, "fold")


def read_index(definition: Mapping[str, JSON]) -> Index:
    """Return what a definition says, whose name and maps are of the right shape.

    Raises:
        RavenFailure: it does not compile, or this server cannot run it; the message says which part.
    """
    name, maps = definition["Name"], definition["Maps"]
    read = tuple(_map(name, text) for text in maps)
    _check_collections(name, read)
    reduce = definition.get("Reduce")
    if reduce is not None and not isinstance(reduce, str):
        raise invalid_argument("The 'Reduce' of an index is a text")
    reduction = _reduction(name, reduce, read) if reduce else None
    _check_fields(name, maps, read, reduction)
    return Index(name, read, reduction, _analyzers(name, definition.get("Fields")))


def _check_collections(name: str, maps: tuple[Map, ...]) -> None:
    collections = [(one.collection or "").lower() for one in maps]
    if len(set(collections)) < len(collections) or ("" in collections and len(collections) > 1):
        raise _refused(name, "several maps of one collection")


def _check_fields(name: str, texts: list[str], maps: tuple[Map, ...], reduction: Reduction | None) -> None:
    """See that maps in C#, and the reduction, give the same fields; those in JavaScript may give others."""
    given = [set(one.fields) for one, text in zip(maps, texts, strict=True) if not _is_javascript(text)]
    if reduction is not None:
        given.append(set(reduction.fields))
    if any(fields != given[0] for fields in given):
        raise RavenFailure(500, COMPILATION, f"Failed to compile index '{name}': {MISMATCH}")


def _is_javascript(text: str) -> bool:
    return re.match(r"\s*map\s*\(", text) is not None


def _refused(name: str, what: str) -> RavenFailure:
    return RavenFailure(500, COMPILATION, f"Failed to compile index {name}: the embedded server of evsession does not run {what}")


def _analyzers(name: str, fields: JSON) -> dict[str, str]:
    if fields is not None and not isinstance(fields, dict):
        raise _unlike(fields, "IndexFieldOptions")
    found = {}
    for field, options in (fields or {}).items():
        if not isinstance(options, dict):
            raise _unlike(options, "IndexFieldOptions")
        indexing = one_of(options, "Indexing", tuple(ANALYZERS), "FieldIndexing") or "Default"
        storage = one_of(options, "Storage", STORAGES, "FieldStorage")
        if options.get("Analyzer") or options.get("Spatial"):
            raise _refused(name, f"the analyzer or spatial options of the field '{field}'")
        if indexing == "No" and storage != "Yes":
            raise _refused(name, f"the field '{field}', which is neither indexed nor stored")
        found[field] = ANALYZERS[indexing]
    return found


def one_of(options: Mapping[str, JSON], name: str, choices: tuple[str, ...], kind: str) -> str | None:
    """Return an option of a few choices, None if it is not given.

    Raises:
        RavenFailure: it is none of them.
    """
    value = options.get(name)
    if value is not None and value not in choices:
        raise _unlike(value, kind)
    return value


def _unlike(value: JSON, kind: str) -> RavenFailure:
    message = f"Could not convert Sparrow.Json.LazyStringValue ('{value}') to Raven.Client.Documents.Indexes.{kind}"
    return RavenFailure(500, "System.FormatException", message)


@lru_cache(maxsize=2)
def _grammar(name: str) -> Lark:
    grammar = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=False)


def _parse(index: str, text: str, grammar: str, what: str) -> Node:
    try:
        return _grammar(grammar).parse(text)
    except UnexpectedInput as error:
        where = f" (line {error.line}, column {error.column})" if error.line > 0 else ""
        raise _refused(index, f"this {what}{where}: {text}") from None


def _map(index: str, text: str) -> Map:
    if _is_javascript(text):
        return _javascript_map(index, text)
    if not re.match(r"\s*(?:from|docs)\b", text):
        raise RavenFailure(500, CREATION, f"JavaScript index {index} doesn't contain any map functions: {text}")
    parsed = _parse(index, text, "csharp.lark", "map; it runs maps that select fields")
    (root,) = _trees(parsed)
    if root.data == "reduce":
        raise _refused(index, f"a reduction as a map: {text}")
    source, fields = _trees(root)
    tokens = [token for token in root.children if isinstance(token, Token)]
    variable = str(tokens[0])
    named = [_text(token) for token in _tokens(source) if token.type != "DOCS"]
    found: dict[str, Source] = {}
    for field in _trees(fields):
        names = [str(token) for token in _tokens(field)]
        value = _csharp_value(index, _trees(field)[0], variable)
        name = names[0] if names else _implicit(index, value, text)
        if name in found:
            raise RavenFailure(500, COMPILATION, f"Failed to compile index {index}: '{name}' is twice in {text}")
        found[name] = value
    return Map(named[0] if named else None, found)


def _implicit(index: str, value: Source, text: str) -> str:
    if isinstance(value, FieldOf):
        return value.path.rpartition(".")[2]
    raise _refused(index, f"a field without a name: {text}")


def _csharp_value(index: str, node: Node, variable: str) -> Source:
    token = _tokens(node)[-1]
    if node.data == "constant":
        return Constant(_constant(token))
    first, _, rest = str(token).partition(".")
    if node.data == "key" and first == variable:
        return Key()
    if first != variable or not rest:
        raise _refused(index, f"'{token}' in a map; values are fields of '{variable}', its key and constants")
    return Key() if rest == "Id" else FieldOf(rest)


def _javascript_map(index: str, text: str) -> Map:
    parsed = _parse(index, text, "map.lark", "map; it runs maps that select fields")
    collection, function = _tokens(parsed)[0], _trees(parsed)[0]
    (variable,) = [
        token for node in [function, *_trees(function)] if node.data in ("function", "parameter") for token in _tokens(node)
    ]
    (fields,) = function.find_data("object")
    found: dict[str, Source] = {}
    for pair in _trees(fields):
        (name,), (value,) = _tokens(pair), _trees(pair)
        found[_text(name)] = _javascript_value(index, value, str(variable))
    return Map(_text(collection), found)


def _javascript_value(index: str, node: Node, variable: str) -> Source:
    first = _tokens(node)[-1 if node.data == "key" else 0]
    if node.data == "constant":
        return Constant(_constant(first))
    if str(first) != variable:
        raise _refused(index, f"'{first}' in a map; values are fields of '{variable}', its key and constants")
    if node.data == "key":
        return Key()
    steps = [_text(step.children[0]) for step in _trees(node)]
    return FieldOf(".".join(steps) if len(steps) > 1 else literal(*steps))


def _reduction(index: str, text: str, maps: tuple[Map, ...]) -> Reduction:
    parsed = _parse(index, text, "csharp.lark", "reduction; it runs sums and counts by keys, in C#")
    (root,) = _trees(parsed)
    if root.data != "reduce":
        raise _refused(index, f"a map as a reduction: {text}")
    row, row_again, group = (str(token) for token in _tokens(root))
    keys_node, reduced = _trees(root)
    if row != row_again.partition(".")[0]:
        raise _refused(index, f"this reduction: {text}")
    keys = tuple(_member_of(index, str(token), row) for token in _tokens(keys_node))
    fields: dict[str, int | str] = {}
    for node in _trees(reduced):
        name, value = _aggregate(index, [str(token) for token in _tokens(node)], group, keys, str(node.data))
        fields[name] = value
    known = {name for one in maps for name in one.fields}
    for used in [*keys, *(value for value in fields.values() if isinstance(value, str) and value)]:
        if used not in known:
            raise _refused(index, f"a reduction by '{used}', which no map has")
    return Reduction(keys, fields)


def _aggregate(index: str, tokens: list[str], group: str, keys: tuple[str, ...], kind: str) -> tuple[str, int | str]:
    if kind == "kept":
        member = _member_of(index, tokens[-1], group)
        first, _, key = member.partition(".")
        if first == "Key" and (key in keys or (not key and len(keys) == 1)):
            return tokens[0] if len(tokens) == 2 else key or "Key", keys.index(key) if key else 0
        raise _refused(index, f"'{tokens[-1]}' in a reduction")
    name, called, *function = tokens
    method = _member_of(index, called, group)
    if method == "Count" and not function:
        return name, ""
    if method == "Sum" and function:
        return name, _member_of(index, function[1], function[0])
    raise _refused(index, f"'{called}' in a reduction; it runs Sum and Count")


def _member_of(index: str, member: str, variable: str) -> str:
    first, _, rest = member.partition(".")
    if first != variable or not rest:
        raise _refused(index, f"'{member}' here; fields of '{variable}' can be")
    return rest


def _trees(node: Node) -> list[Node]:
    return [child for child in node.children if isinstance(child, Tree)]


def _tokens(node: Node) -> list[Token]:
    return [child for child in node.children if isinstance(child, Token)]


def _text(token: Node | Token) -> str:
    assert isinstance(token, Token)
    if token.type == "VERBATIM":
        return str(token)[2:-1]
    return re.sub(r"\\(.)", r"\1", str(token)[1:-1]) if token.type == "STRING" else str(token)


def _constant(token: Token) -> str | float | int | bool | None:
    if token.type == "STRING":
        return _text(token)
    value: str | float | int | bool | None = decode(str(token).encode())
    return value
