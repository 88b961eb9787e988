"""From the text of a query to its tree, on lark. Knows the grammar and RavenDB's way to complain.

Programs in braces are JavaScript, which RQL's grammar cannot read: their insides are blanked before parsing, and taken from the
text afterwards. An error names its position as RavenDB does, ``1:16 Expected end of query but got: name``; what was expected
is said in our words, which are RavenDB's for the common mistakes only.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from lark import Lark, UnexpectedInput, UnexpectedToken
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF

from evsession.embedded.failures import RavenFailure
from evsession.embedded.rql import tree
from evsession.embedded.rql.build import Builder

__all__ = ["invalid_query", "parse"]

PARSE_FAILURE = "Raven.Server.Documents.Queries.Parser.QueryParser+ParseException"
INVALID = "Raven.Client.Exceptions.InvalidQueryException"

MAX_LENGTH = 1_000_000
"""Characters of a query."""

MAX_NESTING = 200
"""Parentheses within parentheses, for the tree is walked recursively."""

_TOKENS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|//[^\n]*|/\*.*?\*/|[{}()]""", re.DOTALL)
_WORDS = {
    "$END": "end of query",
    "COMPARISON": "an operator ('in', 'between', =, <, >, <=, >=, !=)",
    "LPAR": "'('",
    "RPAR": "')'",
    "COMMA": "','",
    "PATH": "a name",
    "STRING": "a text",
    "NUMBER": "a number",
    "PARAMETER": "a parameter",
    "BRACES": "'{'",
    "STAR": "'*'",
    "STRING_TYPE": "'string'",
    "NUMBER_TYPE": "'long', 'double' or 'alphaNumeric'",
}


def parse(text: str) -> tree.Query:
    """Return the query.

    Raises:
        RavenFailure: it is none; the message says where and what was expected instead.
    """
    if not text.strip():
        raise RavenFailure(500, "System.InvalidOperationException", "Index query does not contain 'Query' field.")
    if len(text) > MAX_LENGTH:
        raise _failure(text, 1, 1, f"Expected a query of at most {MAX_LENGTH} characters")
    return _parse_long(text) if len(text) > 10_000 else _parse(text)


def invalid_query(message: str, text: str) -> RavenFailure:
    """Return the failure of a query that can be read but not be run."""
    return RavenFailure(500, INVALID, f"{message}\nQuery: {text}")


def _parse_long(text: str) -> tree.Query:
    blanked, programs = _without_programs(text)
    try:
        parsed = _grammar().parse(blanked)
    except UnexpectedInput as error:
        raise _explained(error, text, blanked) from None
    return Builder(text, programs).query(parsed)


_parse = lru_cache(maxsize=1024)(_parse_long)


@lru_cache(maxsize=1)
def _grammar() -> Lark:
    grammar = Path(__file__).with_name("rql.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=False, maybe_placeholders=False)


def _without_programs(text: str) -> tuple[str, dict[int, str]]:
    """Return the text with the insides of braces blanked, and the programs with their braces by where they begin."""
    programs: dict[int, str] = {}
    pieces: list[str] = []
    depth = begin = end = nesting = 0
    for found in _TOKENS.finditer(text):
        token = found[0]
        nesting += (token == "(") - (token == ")")
        if nesting > MAX_NESTING:
            raise _at(text, found.start(), f"Expected at most {MAX_NESTING} nested parentheses")
        if token == "{":
            if depth == 0:
                begin = found.start()
            depth += 1
        elif token == "}" and depth:
            depth -= 1
            if depth == 0:
                programs[begin] = text[begin : found.end()]
                pieces += [text[end : begin + 1], re.sub(r"[^\n]", " ", text[begin + 1 : found.start()]), "}"]
                end = found.end()
    if depth:
        raise _at(text, begin, "Expected '}' for '{' but got to the end of the query")
    return "".join([*pieces, text[end:]]), programs


def _at(text: str, position: int, message: str) -> RavenFailure:
    line = text.count("\n", 0, position) + 1
    return _failure(text, line, position - text.rfind("\n", 0, position), message)


def _failure(text: str, line: int, column: int, message: str) -> RavenFailure:
    return RavenFailure(500, PARSE_FAILURE, f"{line}:{column} {message}\nQuery: \n{text}")


def _explained(error: UnexpectedInput, text: str, blanked: str) -> RavenFailure:
    is_end = isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END")
    expected = _expected(error)
    position: int = len(text) if is_end else getattr(error, "pos_in_stream", 0)  # lark declares it as None
    got = "to the end of the query" if is_end else _word_at(blanked, position)
    if "COMPARISON" in expected and (name := _last_word(blanked[:position])):
        found = "nothing" if is_end else f"'{got[:1]}'"
        operators = "Valid operators are: 'in', 'between', =, <, >, <=, >=, !="
        return invalid_query(f"Expected operator after '{name}' field, but found {found}. {operators}", text)
    wanted = "end of query" if expected & {"$END", "UPDATE"} else ", ".join(sorted({_describe(name) for name in expected}))
    return _at(text, position, f"Expected {wanted} but got{' ' if is_end else ': '}{got}")


def _expected(error: UnexpectedInput) -> set[str]:
    if isinstance(error, UnexpectedCharacters):
        return set(error.allowed or ())
    return set(error.expected) if isinstance(error, UnexpectedToken) else set()


def _describe(terminal: str) -> str:
    return _WORDS.get(terminal, terminal)


def _word_at(text: str, position: int) -> str:
    found = re.compile(r"\S+").match(text, position)
    return found[0] if found else ""


def _last_word(text: str) -> str | None:
    found = re.search(r"([\w.\[\]@]+|'[^']*'|\"[^\"]*\")\s*$", text)
    return found[1] if found else None
