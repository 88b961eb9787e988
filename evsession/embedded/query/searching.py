"""What ``search`` looks for: its text becomes words, beginnings and ends of words, and phrases. Knows how RavenDB 7.1 reads it.

Words are looked for one by one. What is in quotes is a phrase: its words one after the other, words that every text has left
out on both sides. So is one word that is cut into several (``x-ray``). A list is read through, so a phrase may begin in one item
and end in the next. A quote that nothing closes ends with the text, a backslash before a quote makes it part of a word, and a
quote needs no spaces around it. Stars count at the ends of a word; in quotes a star at the end makes the first word a beginning,
and forgets the others, and all other stars are nothing.

Different here: with ``and`` a star alone finds all, where 7.1 finds nothing beside a phrase.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from evsession.embedded.query.sources import FieldPlan
from evsession.embedded.query.sql import TRUE, Piece, joined
from evsession.embedded.query.terms import fold, stored, words
from evsession.embedded.storage.documents import successor
from evsession.wire.json import encode

__all__ = ["ends_with", "searched", "starts_with"]

_PARTS = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.?)*)(?:"|$)|(?P<bare>(?:[^\s"\\]|\\["\\]?)+)', re.DOTALL)


def searched(text: str, plan: FieldPlan, has: Callable[[FieldPlan, Piece], Piece]) -> list[Piece]:
    """Return a condition for each word and phrase of a search.

    Args:
        text: What is searched.
        plan: The field.
        has: Says whether a term of the field fits.
    """
    pieces: list[Piece] = []
    for found in _PARTS.finditer(text):
        quoted, bare = found["quoted"], found["bare"]
        if bare is not None and bare != bare.strip("*"):
            pieces.append(has(plan, _starred(bare)))
            continue
        parts = _words((bare or quoted).strip("*"), plan.analyzer)
        if parts and quoted and quoted.endswith("*") and not quoted.startswith("*"):
            pieces.append(has(plan, starts_with("x.t", parts[0])))
        elif parts:
            pieces.append(_phrase(parts, plan, has))
    return pieces


def _words(text: str, analyzer: str) -> list[str]:
    """Return the words as the field has them: one that is not made for searches has its whole text (seen on 7.1)."""
    if analyzer == "words" or not text:
        return words(text)
    return [stored(text if analyzer == "exact" else fold(text))]


def _phrase(parts: list[str], plan: FieldPlan, has: Callable[[FieldPlan, Piece], Piece]) -> Piece:
    pieces = [has(plan, Piece("x.t = ?", (word,))) for word in dict.fromkeys(parts)]
    if len(parts) > 1:  # the words first, for they may be kept
        where = f"ev_phrase({plan.body.text}, {plan.path.text}, ?)"
        pieces.append(Piece(where, (*plan.body.values, *plan.path.values, encode(parts).decode())))
    return joined(pieces, "AND")


def _starred(word: str) -> Piece:
    inner = fold(word.strip("*"))
    starts, ends = word.startswith("*"), word.endswith("*")
    if not inner:
        return TRUE
    if starts and ends:
        return Piece("ev_infix(x.t, ?)", (inner,))
    return ends_with("x.t", inner) if starts else starts_with("x.t", inner)


def starts_with(column: str, prefix: str) -> Piece:
    """Return whether a column starts with a text; an empty one it must be itself."""
    if not prefix:
        return Piece(f"{column} = ?", ("",))
    end = successor(prefix)
    if end is None:
        return Piece(f"{column} >= ?", (prefix,))
    return Piece(f"({column} >= ? AND {column} < ?)", (prefix, end))


def ends_with(column: str, suffix: str) -> Piece:
    """Return whether a column ends with a text."""
    return Piece(f"ev_suffix({column}, ?)", (suffix,))
