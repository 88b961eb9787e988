"""Simple programs of projections, understood without running them: ``{ name: d.name, key: id(d), "odd name": d["odd name"] }``.

Knows a small grammar of JavaScript, and what RavenDB answers for it: null for what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from lark import Lark, LarkError, Token, Tree

from evsession.embedded.query.paths import NULL, fields_of_object
from evsession.embedded.query.sources import METADATA
from evsession.wire.json import Raw, encode

__all__ = ["Shape", "shape_of"]

Bodies: TypeAlias = Mapping[str, bytes]
Shape: TypeAlias = Callable[[bytes, str, Bodies], Raw]
"""Makes a value of a document, its key, and other documents by their names."""

Node = Tree[Token]


@lru_cache(maxsize=256)
def shape_of(program: str, alias: str | None, others: frozenset[str] = frozenset()) -> Shape | None:
    """Return what makes the rows of a projection, or None if the program has to be run; `others` names other documents."""
    try:
        parsed = _grammar().parse(program)
        return _value(parsed, alias, others)
    except (LarkError, _TooHard, RecursionError):
        return None


class _TooHard(Exception):
    """The program uses something that only the engine knows."""


@lru_cache(maxsize=1)
def _grammar() -> Lark:
    grammar = Path(__file__).with_name("javascript.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=False)


def _value(node: Node, alias: str | None, others: frozenset[str]) -> Shape:
    trees = [child for child in node.children if isinstance(child, Tree)]
    tokens = [child for child in node.children if isinstance(child, Token)]
    if node.data == "object":
        pairs = {_text(pair.children[0]): _value(_tree(pair.children[1]), alias, others) for pair in trees}
        return lambda body, key, bodies: Raw(encode({name: shape(body, key, bodies) for name, shape in pairs.items()}))
    if node.data == "array":
        items = [_value(item, alias, others) for item in trees]
        return lambda body, key, bodies: Raw(encode([shape(body, key, bodies) for shape in items]))
    if node.data == "constant":
        constant = Raw(encode(_text(tokens[0])) if tokens[0].type == "STRING" else str(tokens[0]).encode())
        return lambda body, key, bodies: constant
    root = str(tokens[-1])
    if root != alias and (root not in others or node.data == "key"):
        raise _TooHard
    if node.data == "key":
        return lambda body, key, bodies: Raw(encode(key))
    steps = [_text(step.children[0]) for step in trees]
    if not steps or "length" in steps or steps[0] == METADATA:
        raise _TooHard
    if root != alias:
        return lambda body, key, bodies: _follow(bodies[root], steps)
    return lambda body, key, bodies: _follow(body, steps)


def _follow(body: bytes, steps: list[str]) -> Raw:
    found = Raw(body)
    for step in steps:
        member = fields_of_object(found).get(step)
        if member is None:
            return NULL
        found = member
    return found


def _tree(node: Node | Token) -> Node:
    assert isinstance(node, Tree)
    return node


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


def _text(token: Node | Token) -> str:
    assert isinstance(token, Token)
    if token.type != "STRING":
        return str(token)
    units = re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", _unescaped, str(token)[1:-1], flags=re.DOTALL)
    try:
        return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le")  # pairs of escapes are one character
    except UnicodeDecodeError as error:
        raise _TooHard from error


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 16))
    if found[2] in "x123456789":
        raise _TooHard
    return _ESCAPES.get(found[2], found[2])
