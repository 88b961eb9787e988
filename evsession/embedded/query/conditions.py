"""From a condition of RQL to one of SQL. Knows what RavenDB's comparisons mean; see `terms` for what they are made on.

Each comparison asks whether a document has a term that fits; two ends of a range on one field, joined by ``and``, ask for one
term between them. ``!=`` is the opposite of ``=``, but as a part of ``or`` it finds no document without the field; ``not
startsWith`` and ``not endsWith`` ask for a text that is different. All seen on 7.1.

Different here: a range whose ends are the wrong way around finds nothing (7.1 forgets the upper end), one of a whole number and
a fraction is one of fractions, two ends in the same direction are two conditions, and ``exact(id() = x)`` is ``id() = x``. Where
another part of an ``and`` finds few documents, RavenDB looks at these one by one, and lets some into a range of numbers that have
no number, or several of which none is in it; here a range means the same wherever it stands. ``all in`` an empty list fails
always; on RavenDB it finds nothing in an index without documents. In a query that names its documents a name in quotes is a
field, whatever is in it; 7.1 refuses one with a dot.
"""

from __future__ import annotations

from evsession.embedded.failures import RavenFailure
from evsession.embedded.query.functions import check_pattern
from evsession.embedded.query.searching import ends_with, searched, starts_with
from evsession.embedded.query.sources import FieldPlan, Source
from evsession.embedded.query.sql import FALSE, TRUE, Piece, joined, negated
from evsession.embedded.query.terms import MAX_INTEGER, fold, literal, numbers_of, stored, text_of, ticks_of, words
from evsession.embedded.query.values import Values, are_mixed, kind_of, named
from evsession.embedded.rql import tree
from evsession.wire.json import JSON, encode

__all__ = ["Conditions", "FieldNames", "is_id"]

_OPERATIONS = {">": "GreaterThan", ">=": "GreaterThanOrEqual", "<": "LessThan", "<=": "LessThanOrEqual"}
_SCANNED = (
    "EXISTS (SELECT 1 FROM (SELECT json_extract(e.value, '$[0]') AS t, json_extract(e.value, '$[1]') AS l,"
    " json_extract(e.value, '$[2]') AS d FROM json_each(ev_terms({body}, {path}, ?)) e) x WHERE {condition})"
)
_KEPT = "d.etag IN (SELECT x.document FROM "
NULL = Piece("x.t IS NULL")


def is_id(operand: tree.Expression) -> bool:
    """Return whether it is ``id()``."""
    return isinstance(operand, tree.Method) and operand.name == "id"


class FieldNames:
    """Names of fields as a query writes them: with its alias, or in quotes.

    Args:
        values: The query's.
    """

    def __init__(self, values: Values) -> None:
        self._values = values

    def __call__(self, operand: tree.Expression) -> str:
        """Return the name of the field.

        Raises:
            RavenFailure: it is none.
        """
        if isinstance(operand, tree.Method):
            raise self._values.method_missing(operand)
        if not isinstance(operand, tree.Field):
            raise self._values.fail("Expected a field name")
        if operand.is_quoted:
            return literal(operand.path)
        if self._values.query.alias is not None and "." not in operand.path and operand.path.endswith("[]"):
            raise self._values.unknown_alias(operand.path[:-2])  # one without brackets is taken for a field (seen on 7.1)
        return self._values.own_path(operand.path)


class Conditions:
    """Compiles the conditions of one query on one source.

    Args:
        source: What is looked through.
        values: The query's values.
        names: Its names.
    """

    def __init__(self, source: Source, values: Values, names: FieldNames) -> None:
        self._source = source
        self._values = values
        self._names = names
        self._exact = False

    def compile_all(self, expression: tree.Expression, within: Piece) -> Piece:
        """Return the whole condition, `within` included, which says which rows belong to the source.

        That is left out where kept terms, which are of the source's rows only, decide: SQLite would look for both.

        Raises:
            RavenFailure: it cannot be understood.
        """
        parts = self._with_ranges(expression.parts) if isinstance(expression, tree.And) else [expression]
        pieces = [self.compile(part) for part in parts]
        if within == TRUE or any(piece.text.startswith(_KEPT) for piece in pieces):
            return joined(pieces, "AND")
        return joined([within, *pieces], "AND")

    def compile(self, expression: tree.Expression | _Range) -> Piece:
        """Return the condition.

        Raises:
            RavenFailure: it cannot be understood.
        """
        if isinstance(expression, tree.Compare):  # first, for it is what most queries are made of
            return self._compare(expression.operator, expression.left, self._values.scalar(expression.right))
        if isinstance(expression, _Range):
            low, high = expression.low, expression.high
            return self._range(expression.field, low, high, with_low=expression.with_low, with_high=expression.with_high)
        match expression:
            case tree.And(parts):
                return joined([self.compile(part) for part in self._with_ranges(parts)], "AND")
            case tree.Or(parts):
                return joined([self._alternative(part) for part in parts], "OR")
            case tree.Not(tree.Method("startswith" | "endswith") as method):
                return self._method(method, is_negated=True)
            case tree.Not(part):
                return negated(self.compile(part))
            case tree.All():
                return TRUE
            case tree.Between(field, low, high):
                return self._between(field, low, high)
            case tree.Member(field, values, every):
                return self._member(field, self._values.several(field, values), every=every)
            case tree.Method():
                return self._method(expression)
        shown = named(expression)
        operators = "'in', 'between', =, <, >, <=, >=, !="
        message = f"Expected operator after '{shown}' field, but found nothing. Valid operators are: {operators}"
        raise RavenFailure(500, "Raven.Client.Exceptions.InvalidQueryException", f"{message}\nQuery: {self._values.query.text}")

    def _with_ranges(self, parts: tuple[tree.Expression, ...]) -> list[tree.Expression | _Range]:
        """Join two ends of a range on one field, if they come first: they ask for one term between them (seen on 7.1)."""
        one, other, *rest = parts
        if isinstance(other, tree.Compare) and other.operator in _OPERATIONS and _are_ends(one, other):
            assert isinstance(one, tree.Compare)
            low, high = (one, other) if one.operator[0] == ">" else (other, one)
            ends = self._values.scalar(low.right), self._values.scalar(high.right)
            if None not in ends:
                return [_Range(one.left, *ends, low.operator == ">=", high.operator == "<="), *rest]
        return list(parts)

    def _alternative(self, part: tree.Expression) -> Piece:
        """Compile a part of ``or``: there ``!=`` finds none without the field, unless something is boosted (seen on 7.1)."""
        piece = self.compile(part)
        inner = part.arguments[0] if isinstance(part, tree.Method) and part.name == "exact" else part
        if not isinstance(inner, tree.Compare) or inner.operator != "!=" or is_id(inner.left):
            return piece
        if tree.boosts(self._values.query.where):
            return piece
        return joined([self._has(self._field(inner.left), TRUE), piece], "AND")

    def _field(self, operand: tree.Expression, analyzer: str = "fold") -> FieldPlan:
        return self._source.field(self._names(operand), "exact" if self._exact and analyzer == "fold" else analyzer)

    def _has(self, plan: FieldPlan, condition: Piece) -> Piece:
        """Return whether the document has a term that fits."""
        if plan.kept is not None:
            text = f"{_KEPT}{self._source.terms} x WHERE x.field = ? AND {condition.text})"
            return Piece(text, (plan.kept, *condition.values))
        text = _SCANNED.format(body=plan.body.text, path=plan.path.text, condition=condition.text)
        return Piece(text, (*plan.body.values, *plan.path.values, plan.analyzer, *condition.values))

    def _key(self) -> Piece:
        if not self._source.has_ids:
            self._source.field("id()", "fold")  # says that it is not indexed, if that is so
        return Piece("d.key")

    def _compare(self, operator: str, left: tree.Operand, value: JSON) -> Piece:
        if operator in _OPERATIONS:
            if value is None:
                raise RavenFailure(500, "System.NotSupportedException", f"Unhandled operation: {_OPERATIONS[operator]}")
            ends = (value, None) if operator[0] == ">" else (None, value)
            return self._range(left, *ends, with_low=operator == ">=", with_high=operator == "<=")
        if is_id(left):
            self._key()
            equal = Piece("d.key = ?", (fold(value),)) if isinstance(value, str) else FALSE
        else:
            plan = self._field(left)
            equal = self._equal(plan, value)
        return negated(equal) if operator == "!=" else equal

    def _equal(self, plan: FieldPlan, value: JSON) -> Piece:
        if value is None:
            return self._has(plan, NULL)
        if isinstance(value, dict):
            return FALSE
        if isinstance(value, str):
            if (ticks := ticks_of(value)) is not None:
                return self._has(plan, Piece("x.l = ?", (ticks,)))
            if plan.analyzer == "words":
                return joined([self._has(plan, Piece("x.t = ?", (word,))) for word in words(value)] or [FALSE], "AND")
        if not numbers_of(value):
            return self._has(plan, Piece("x.t = ?", (_text(plan, value),)))
        return self._has(plan, _number("=", value))

    def _range(self, field: tree.Operand, low: JSON, high: JSON, *, with_low: bool = True, with_high: bool = True) -> Piece:
        ends = [(">=" if with_low else ">", low), ("<=" if with_high else "<", high)]
        given = [(sign, value) for sign, value in ends if value is not None]
        if is_id(field):
            column = self._key().text
            if not all(isinstance(value, str) for _, value in given):
                return FALSE  # keys are no numbers
            return joined([Piece(f"{column} {sign} ?", (text_of(value),)) for sign, value in given] or [TRUE], "AND")
        plan = self._field(field)
        if all(numbers_of(value) for _, value in given) and any(_is_fraction(value) for _, value in given):
            given = [(sign, float(value)) for sign, value in given]
        pieces = [self._end(plan, sign, value) for sign, value in given]
        return self._has(plan, joined(pieces or [TRUE], "AND"))

    def _between(self, field: tree.Operand, first: tree.Operand, last: tree.Operand) -> Piece:
        """Nulls lie beyond the upper end: with null as the upper end they belong to the range (seen on 7.1)."""
        low, high = self._values.scalar(first), self._values.scalar(last)
        kinds = {kind_of(value) for value in (low, high) if value is not None or not isinstance(first, tree.Parameter)}
        if are_mixed((first, last)) or len(kinds) > 1:
            raise self._values.incompatible(field, (first, last))
        between = self._range(field, low, high)
        if high is not None or is_id(field):
            return between
        return joined([between, self._has(self._field(field), NULL)], "OR")

    def _end(self, plan: FieldPlan, sign: str, value: JSON) -> Piece:
        if numbers_of(value):
            return _number(sign, value)
        if isinstance(value, str) and (ticks := ticks_of(value)) is not None:
            return Piece(f"x.l {sign} ?", (ticks,))
        return Piece(f"x.t {sign} ?", (_text(plan, value),))

    def _member(self, field: tree.Operand, values: list[JSON], *, every: bool) -> Piece:
        if is_id(field):
            self._key()
            keys = [fold(value) for value in values if isinstance(value, str)]
            return Piece("d.key IN (SELECT value FROM json_each(?))", (encode(keys).decode(),))
        plan = self._field(field)
        if every:
            if not values:
                raise RavenFailure(500, "System.IndexOutOfRangeException", "Index was outside the bounds of the array.")
            return joined([self._has(plan, _listed(plan, [value])) for value in values], "AND")
        return self._has(plan, _listed(plan, values)) if values else FALSE

    def _method(self, method: tree.Method, *, is_negated: bool = False) -> Piece:
        if method.name in ("startswith", "endswith"):
            return self._affix(method, is_negated=is_negated)
        compile_method = {
            "regex": self._regex,
            "exists": self._exists,
            "search": self._search,
            "exact": self._exactly,
            "boost": self._boosted,
        }.get(method.name)
        if compile_method is None:
            raise self._values.method_missing(method)
        return compile_method(method)

    def _argument(self, method: tree.Method) -> tree.Expression:
        if not method.arguments:
            raise self._values.fail(
                f"Method {method.written}() expects a field name as its first argument but no arguments were passed"
            )
        return method.arguments[0]

    def _text_argument(self, method: tree.Method) -> str:
        self._argument(method)
        if len(method.arguments) < 2:
            raise self._values.fail(f"Method {method.written}() expects second argument to be provided")
        return self._values.text(method.arguments[1], method.written)

    def _affix(self, method: tree.Method, *, is_negated: bool) -> Piece:
        """Compile ``startsWith`` or ``endsWith``. Negated, it asks for a text that is different (seen on 7.1)."""
        text, field = self._text_argument(method), self._argument(method)
        compile_affix = starts_with if method.name == "startswith" else ends_with
        if is_id(field):
            piece = compile_affix(self._key().text, fold(text))
            return negated(piece) if is_negated else piece
        plan = self._field(field)
        piece = compile_affix("x.t", _text(plan, text))
        return self._has(plan, joined([Piece("x.t IS NOT NULL"), negated(piece)], "AND") if is_negated else piece)

    def _regex(self, method: tree.Method) -> Piece:
        pattern, field = self._text_argument(method), self._argument(method)
        check_pattern(pattern)
        if is_id(field):
            return Piece(f"ev_regex(?, {self._key().text})", (pattern,))
        return self._has(self._field(field), Piece("ev_regex(?, x.t)", (pattern,)))

    def _exists(self, method: tree.Method) -> Piece:
        field = self._argument(method)
        if is_id(field):
            self._key()
            return TRUE
        return self._has(self._field(field), TRUE)

    def _search(self, method: tree.Method) -> Piece:
        text, field = self._text_argument(method), self._argument(method)
        word = method.arguments[2].name if len(method.arguments) > 2 and isinstance(method.arguments[2], tree.Operator) else "or"
        if is_id(field):
            return Piece(f"{self._key().text} = ?", (fold(text),))
        plan = self._field(field, "words")
        if not text.strip():
            return self._has(plan, Piece("x.t = ?", ("",)))
        return joined(searched(text, plan, self._has) or [FALSE], word.upper())

    def _exactly(self, method: tree.Method) -> Piece:
        condition = self._argument(method)
        if isinstance(condition, (tree.Field, tree.Value, tree.Parameter, tree.Operator)):
            raise self._values.fail("Unable to understand query")
        before, self._exact = self._exact, True
        try:
            return self.compile(condition)
        finally:
            self._exact = before

    def _boosted(self, method: tree.Method) -> Piece:
        if len(method.arguments) != 2:
            count = len(method.arguments)
            raise self._values.fail(f"Boost(expression, boostVal) requires two arguments, but was called with {count}")
        return self.compile(method.arguments[0])


class _Range(tree.Node, frozen=True):
    """Two comparisons that were joined."""

    field: tree.Operand
    low: JSON
    high: JSON
    with_low: bool
    with_high: bool


def _are_ends(one: tree.Expression | _Range, other: tree.Compare) -> bool:
    return (
        isinstance(one, tree.Compare)
        and one.operator in _OPERATIONS
        and one.operator[0] != other.operator[0]
        and one.left == other.left
    )


def _text(plan: FieldPlan, value: JSON) -> str:
    """Return a value as a text to compare with the field's terms."""
    return stored(value if plan.analyzer == "exact" and isinstance(value, str) else text_of(value))


def _is_fraction(value: JSON) -> bool:
    """Return whether a number is compared as a fraction; so are whole ones beyond 64 bits."""
    return isinstance(value, float) or abs(value) > MAX_INTEGER


def _number(sign: str, value: JSON) -> Piece:
    numbers = numbers_of(value)
    assert numbers  # asked before
    whole, fraction = numbers
    return Piece(f"x.d {sign} ?", (fraction,)) if _is_fraction(value) else Piece(f"x.l {sign} ?", (whole,))


def _listed(plan: FieldPlan, values: list[JSON]) -> Piece:
    """Return whether a term is one of the values: they are compared as texts, numbers too (seen on 7.1)."""
    texts = [
        value if isinstance(value, str) and ticks_of(value) is not None else _text(plan, value)
        for value in values
        if value is not None and not isinstance(value, dict)
    ]
    pieces = [NULL] if None in values else []
    if texts:
        pieces.append(Piece("x.t IN (SELECT value FROM json_each(?))", (encode(texts).decode(),)))
    return joined(pieces or [FALSE], "OR")
