"""From lark's tree of a query to ours."""

from __future__ import annotations

import re
from typing import Any

from lark import Token, Tree

from evsession.embedded.failures import unsupported
from evsession.embedded.rql import tree

__all__ = ["Builder"]

Node = Tree[Token]
_INDEX = re.compile(r"\[\s*(-?\d+)\s*\]")
MAX_DIGITS = 400
"""Whole numbers of more digits are fractions, whatever they are then."""


class Builder:
    """Builds one query.

    Args:
        text: As it was written.
        programs: The programs in it, by where they begin.
    """

    def __init__(self, text: str, programs: dict[int, str]) -> None:
        self.text = text
        self.programs = programs

    def query(self, parsed: Node) -> tree.Query:
        """Return the query."""
        parts: dict[str, Any] = {"declarations": ()}
        for node in parsed.children:
            if isinstance(node, Tree):
                getattr(self, f"_{node.data}")(node, parts)
        return tree.Query(self.text, **parts)

    def _declaration(self, node: Node, parts: dict[str, Any]) -> None:
        begin, end = node.children[0], node.children[-1]
        assert isinstance(begin, Token)
        assert isinstance(end, Token)
        head = self.text[begin.end_pos : end.start_pos]
        name = str(node.children[2])
        parts["declarations"] += (tree.Declaration(name, f"{head.strip()} {self._program(end)}"),)

    def _from_collection(self, node: Node, parts: dict[str, Any]) -> None:
        named, *alias = [child for child in node.children if isinstance(child, Tree)]
        parts["source"] = _name(named.children[0])
        parts["alias"] = str(alias[0].children[-1]) if alias else None

    def _from_index(self, node: Node, parts: dict[str, Any]) -> None:
        self._from_collection(node, parts)
        parts["is_index"] = True

    def _group(self, node: Node, parts: dict[str, Any]) -> None:
        parts["group"] = self._operands(node)

    def _where(self, node: Node, parts: dict[str, Any]) -> None:
        parts["where"] = self._expression(node.children[1])

    def _order(self, node: Node, parts: dict[str, Any]) -> None:
        parts["order"] = tuple(self._sort(child) for child in _trees(node))

    def _sort(self, node: Node) -> tree.SortKey:
        types = {child.type: str(child).lower() for child in node.children[1:] if isinstance(child, Token)}
        kind = types.get("STRING_TYPE") or types.get("NUMBER_TYPE")
        return tree.SortKey(self._operand(node.children[0]), kind, "DESC" in types)

    def _loads(self, node: Node, parts: dict[str, Any]) -> None:
        for child in _trees(node):
            operand, *rest = child.children
            alias = str(rest[-1]) if rest else ""
            load = tree.Load(self._operand(operand), alias.removesuffix("[]"), alias.endswith("[]"))
            parts["loads"] = (*parts.get("loads", ()), load)

    def _filter(self, node: Node, parts: dict[str, Any]) -> None:
        raise unsupported("filter in queries; where asks for fields, too")

    def _select(self, node: Node, parts: dict[str, Any]) -> None:
        for child in node.children:
            if isinstance(child, Tree):
                parts["items"] = (*parts.get("items", ()), self._item(child))
            elif child.type == "BRACES":
                parts["program"] = self._program(child)
            else:
                parts["distinct"] = parts.get("distinct", False) or child.type == "DISTINCT"

    def _item(self, node: Node) -> tree.Item:
        first, *rest = node.children
        operand = None if isinstance(first, Token) else self._operand(first)
        return tree.Item(operand, _name(rest[-1]) if rest else None)

    def _include(self, node: Node, parts: dict[str, Any]) -> None:
        paths = []
        for operand in self._operands(node):
            if not isinstance(operand, tree.Field):
                raise unsupported("includes of anything but documents")
            paths.append(operand.path)
        parts["includes"] = tuple(paths)

    def _take(self, node: Node, parts: dict[str, Any]) -> None:
        (parts["take"],) = self._operands(node)

    def _skip(self, node: Node, parts: dict[str, Any]) -> None:
        (parts["skip"],) = self._operands(node)

    def _skip_take(self, node: Node, parts: dict[str, Any]) -> None:
        parts["skip"], parts["take"] = self._operands(node)

    def _take_skip(self, node: Node, parts: dict[str, Any]) -> None:
        parts["take"], parts["skip"] = self._operands(node)

    def _update(self, node: Node, parts: dict[str, Any]) -> None:
        token = node.children[-1]
        assert isinstance(token, Token)
        parts["update"] = self._program(token)[1:-1]

    def _program(self, braces: Token) -> str:
        return self.programs[braces.start_pos or 0]

    def _operands(self, node: Node) -> tuple[tree.Operand, ...]:
        return tuple(self._operand(child) for child in _trees(node))

    def _operand(self, node: Node | Token) -> tree.Operand:
        built = self._expression(node)
        if isinstance(built, tree.All):  # `true` where a value stands
            return tree.Value(True)
        assert isinstance(built, (tree.Field, tree.Value, tree.Parameter, tree.Method))
        return built

    def _expression(self, node: Node | Token) -> tree.Expression:
        assert isinstance(node, Tree)
        built: tree.Expression = getattr(self, f"_make_{node.data}")(node)
        return built

    def _make_field(self, node: Node) -> tree.Expression:
        return tree.Field(_INDEX.sub(r".\1", str(node.children[0])))

    def _make_text(self, node: Node) -> tree.Expression:
        return tree.Field(_name(node.children[0]), is_quoted=True)

    def _make_true(self, node: Node) -> tree.Expression:
        return tree.All()

    def _make_false(self, node: Node) -> tree.Expression:
        return tree.Value(False)

    def _make_null(self, node: Node) -> tree.Expression:
        return tree.Value(None)

    def _make_number(self, node: Node) -> tree.Expression:
        text = str(node.children[0]).replace("_", "")
        return tree.Value(float(text) if "." in text or len(text) > MAX_DIGITS else int(text))

    def _make_parameter(self, node: Node) -> tree.Expression:
        return tree.Parameter(str(node.children[0])[1:])

    def _make_operator(self, node: Node) -> tree.Expression:
        return tree.Operator(str(node.children[0]).lower())

    def _make_method(self, node: Node) -> tree.Expression:
        written = str(node.children[0])
        return tree.Method(written.lower(), tuple(self._expression(child) for child in _trees(node)), written)

    def _make_compare(self, node: Node) -> tree.Expression:
        left, operator, right = node.children
        name = {"==": "=", "<>": "!="}.get(str(operator), str(operator))
        return tree.Compare(name, self._operand(left), self._operand(right))

    def _make_between(self, node: Node) -> tree.Expression:
        return tree.Between(*self._operands(node))

    def _make_one_of(self, node: Node) -> tree.Expression:
        field, *values = self._operands(node)
        return tree.Member(field, tuple(values), every=False)

    def _make_all_of(self, node: Node) -> tree.Expression:
        field, *values = self._operands(node)
        return tree.Member(field, tuple(values), every=True)

    def _make_negated(self, node: Node) -> tree.Expression:
        return tree.Not(self._expression(node.children[-1]))

    def _make_conjunction(self, node: Node) -> tree.Expression:
        return tree.And(tuple(self._expression(child) for child in _trees(node)))

    def _make_expression(self, node: Node) -> tree.Expression:
        return tree.Or(tuple(self._expression(child) for child in _trees(node)))


def _trees(node: Node) -> list[Node]:
    return [child for child in node.children if isinstance(child, Tree)]


def _name(token: Node | Token) -> str:
    """Return a name, or the value of a string: a backslash takes the meaning of what follows, a doubled quote is a quote."""
    assert isinstance(token, Token)
    text = str(token)
    if token.type != "STRING":
        return text
    quote = text[0]

    def unescaped(found: re.Match[str]) -> str:
        return _ESCAPES.get(found[1], found[1]) if found[1] else quote

    return re.sub(rf"\\(.)|{quote}{quote}", unescaped, text[1:-1], flags=re.DOTALL)


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "0": "\0"}
