"""Random documents and queries on them: what is asked of both servers, from a seed.

Left out is what `evsession.embedded.query` says is different: ranges the wrong way around, texts that look like times beside
others in what is sorted, sorting without ``where``, lists within lists, and characters beyond the basic plane.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

NAMES = ("Max", "max", "Ada", "Zoe", "Émile", "a b", "A b c", "", "o'reilly", "x' OR 'a'='a", "10", "9", "-1", "true", "null")
NUMBERS = (0, 1, 2, 5, 10, 12, 100, -1, -3, 0.5, 1.5, 2.25, 9.75, -1.5, 1e3, 10.0, 2**40, 0.1)
TIMES = (
    "2012-04-13",
    "2012-04-13T08:30:00.0000000Z",
    "2012-04-13T08:30:00Z",
    "2012-04-13T10:30:00+02:00",
    "2017-01-01T00:00:00.1230000",
    "2022-02-02",
)
TAGS = ("red", "Red", "blue", "old", 1, 2.5, True, None)
WORDS = ("max", "ada", "a", "b", "o'reilly", "zo*", "*da", "*il*", "max ada", "x")
PATTERNS = ("^m", "a", "^.{3}$", "o.e", r"^\d+$", "b$")
FIELDS = {
    "name": NAMES,
    "age": NUMBERS,
    "mixed": (*NAMES, *NUMBERS, True, False),
    "tags": TAGS,
    "owner.name": NAMES,
    "owner.age": NUMBERS,
    "vets[].fee": NUMBERS,
    "vets.name": NAMES,
    "'odd name'": NAMES,
    "flag": (True, False, "true"),
    "nothing": NAMES,
}
SORTS = (
    "name",
    "age as double",
    "age as long",
    "owner.name",
    "owner.age as double",
    "mixed",
    "mixed as double",
    "flag",
    "'odd name'",
)

WRONG = (
    "from Dogs where",
    "from Dogs where name",
    "from Dogs where name = ",
    "from Dogs where name 5",
    "from Dogs where (name = 'x'",
    "from Dogs where name = 'x')",
    "from Dogs where name = 'x",
    "from Dogs wher name = 1",
    "from Dogs where not name = 1",
    "from Dogs where name is null",
    "from Dogs where name between 1",
    "from Dogs where name in (1",
    "from Dogs where name in (1, 'x')",
    "from Dogs where name = $none",
    "from Dogs where name = other",
    "from Dogs where name > null",
    "from Dogs where startsWith(name)",
    "from Dogs where startsWith(name, 5)",
    "from Dogs where search(name, 5)",
    "from Dogs where regex(name, '(')",
    r"from Dogs where regex(name, '\\k<none>')",
    "from Dogs where exists()",
    "from Dogs where nosuch(name)",
    "from Dogs where lucene(name, 'x')",
    "from Dogs where name = $list",
    "from Dogs where name in ($kinds)",
    "from Dogs as d where x.name = 1",
    "from Dogs order by",
    "from Dogs order by name as colour",
    "from Dogs limit -1",
    "from Dogs limit 1.5",
    "from Dogs limit $text",
    "from Dogs select",
    "from Dogs select name, name",
    "from Dogs select nosuch(name)",
    "from Dogs select count()",
    "from Dogs group by name select avg(age)",
    "from Dogs group by name where age > 3 select name",
    "from index 'Dogs' where name = 1",
    "select name from Dogs",
    "from `Dogs`",
    "from Dogs; ",
    "from Dogs where $text = name2 = 1",
)
INDEXES = (
    {
        "Name": "ByName",
        "Maps": [
            "from d in docs.Dogs select new { d.name, Years = d.age, OwnerName = d.owner.name, d.tags, one = 1, Key = Id(d) }"
        ],
    },
    {"Name": "InScript", "Maps": ["map('Dogs', d => ({ name: d.name, years: d.age }))"]},
    {"Name": "Several", "Maps": ["from d in docs.Dogs select new { n = d.age }", "from m in docs.Moments select new { m.n }"]},
    {"Name": "Everything", "Maps": ["from d in docs select new { d.name }"]},
    {
        "Name": "Sums",
        "Maps": ["from d in docs.Dogs select new { d.flag, count = 1 }"],
        "Reduce": "from r in results group r by r.flag into g select new { flag = g.Key, count = g.Sum(x => x.count) }",
    },
)
BY_HAND = (
    "from index 'ByName'",
    "from index 'byname' where name = 'max'",
    "from index 'ByName' where Years > 1.5 and OwnerName != null",
    "from index 'ByName' where tags = 'red' or one = 2",
    "from index 'ByName' where Key = 'dogs/3' or id() = 'dogs/4'",
    "from index 'ByName' where exists(OwnerName)",
    "from index 'ByName' where age = 1",
    "from index 'ByName' where Name = 'max'",
    "from index 'ByName' order by age",
    "from index 'ByName' where startsWith(name, 'm') select name, age, id() as key",
    "from index 'ByName' as d where d.name = 'max' select { x: d.age, y: id(d) }",
    "from index 'ByName' select distinct name",
    "from index 'ByName' group by name",
    "from index 'InScript' where years >= 5 select name, zz",
    "from index 'Several' where n = 5.0",
    "from index 'Everything' where name = 'max'",
    "from index 'Sums'",
    "from index 'Sums' where count > 2",
    "from index 'Sums' where flag = true select count",
    "from index 'Sums' where id() = 'x'",
    "from index 'Nothing'",
    "from Dogs group by flag select flag, count()",
    "from Moments group by at where at = null or at = 5 select key() as k, count() as c, sum(n) as s",
    "from Dogs group by name, flag where count() > 1 select name, flag, count() as c",
    "from Dogs group by tags[] select tags[], count() as c",
    "from Moments group by at where at = 'noon' and sum(n) > 1 select at, sum(n)",
    "from Dogs select distinct flag",
    "from Dogs select name, owner.name, vets[].fee, vets.name, tags, nothing",
    "from Dogs as d select d.name, d.owner.name as o, d.nothing",
    "from Dogs as d where d.age > 2 select { n: d.name, 'odd name': d['odd name'], o: d.owner, k: id(d), none: d.no.such }",
    "from Dogs as d select { twice: d.name + d.name, five: 5 }",
    "declare function f(d, x) { return {name: d.name, x: x}; } from Dogs as d select f(d, $text)",
    "from Dogs select id(), name as n, 'text', $text, 5",
    "from Dogs limit 3, 4",
    "from Dogs where startsWith(id(), 'dogs/1') limit 4",
    "from Dogs offset 55",
    "from dogs where id() in ('dogs/1', 'DOGS/2', 'dogs/none')",
    "from @all_docs where name = 'max'",
    "from 'No Dogs' where name = 'max'",
    "from Moments where at between '2012-01-01' and '2013-01-01'",
    "from Moments where at in ('2012-04-13', 'noon')",
    "from Dogs where age == 1 or age <> 2",
    "from Dogs where boost(name = 'max', 2) or age == 1 // the end",
    "from Dogs where boost(name = 'max', 2) or age <> 1.0",
    "from Dogs where name = 'nobody' or (age <> 1.0 or boost(name = 'max', 2))",
    "from Dogs where exact(name <> 'Max') or age = 12345.0",
    "from Dogs where name all in ($text)",
    "from Dogs where name all in ($empty)",
    r"from Dogs where regex(name, '(?<a>.)\\k<a>')",
)
"""Asked of both as they are; the order of their rows is nobody's promise."""

WRONG_PARAMETERS = {"empty": [], "list": [1, 2], "kinds": [1, "x"], "text": "x"}


class Question(NamedTuple):
    """A query, whether it says in which order its rows come, and the query for all rows of which it asks for some."""

    text: str
    parameters: dict[str, Any]
    is_ordered: bool
    whole: str


class Questions:
    """Makes documents and queries."""

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)
        self._parameters: dict[str, Any] = {}

    def documents(self, count: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield keys, collections and documents."""
        for number in range(count):
            yield f"dogs/{number}", "Dogs", self._dog()
        for number in range(count // 4):
            yield f"moments/{number}", "Moments", {"at": self.pick.choice((*TIMES, *TIMES, "noon", None, 5)), "n": number}

    def _dog(self) -> dict[str, Any]:
        dog: dict[str, Any] = {}
        for field in ("name", "age", "mixed", "flag"):
            self._maybe(dog, field, (*FIELDS[field], None))
        self._maybe(dog, "odd name", NAMES)
        if self.pick.random() < 0.7:
            dog["tags"] = [self.pick.choice(TAGS) for _ in range(self.pick.randint(1, 3))]
        if self.pick.random() < 0.6:
            dog["owner"] = {
                "name": self.pick.choice(NAMES),
                "age": self.pick.choice(NUMBERS),
                "id": f"dogs/{self.pick.randint(0, 30)}",
            }
        if self.pick.random() < 0.5:
            count = self.pick.randint(1, 3)
            dog["vets"] = [{"name": self.pick.choice(NAMES), "fee": self.pick.choice(NUMBERS)} for _ in range(count)]
        if self.pick.random() < 0.3:
            dog["friend"] = f"dogs/{self.pick.randint(0, 40)}"
        return dog

    def _maybe(self, dog: dict[str, Any], field: str, values: tuple[Any, ...]) -> None:
        if self.pick.random() < 0.85:
            dog[field] = self.pick.choice(values)

    def warm_up(self) -> str:
        """Return a query after which RavenDB has an index on all fields, which makes the others quick."""
        return "from Dogs where " + " or ".join(f"{field} = 'x'" for field in FIELDS)

    def question(self) -> Question:
        """Return a query."""
        self._parameters = {}
        if self.pick.random() < 0.1:
            return self._of_moments()
        where = self._condition(2)
        sorts = self.pick.sample(SORTS, self.pick.choice((0, 0, 1, 2)))
        order = ""
        if sorts:
            keys = [f"{sort}{self.pick.choice(('', ' desc'))}" for sort in sorts]
            order = " order by " + ", ".join([*keys, "id()"])
        shape = self.pick.choice(
            ("", "", "", " select name, age", " select id() as key, owner.name, mixed as m", " select distinct name")
        )
        includes = "" if shape or self.pick.random() < 0.7 else " include friend, owner.id"
        paging = ""
        if sorts and self.pick.random() < 0.5:
            # A page of no rows at all RavenDB takes for no limit, if it is to be distinct; with includes 6.2 fails on it.
            least = int("distinct" in shape or bool(includes))
            paging = f" limit {self.pick.randint(0, 4)}, {self.pick.randint(least, 6)}"
        whole = f"from Dogs where {where}"
        return Question(f"{whole}{order}{shape}{includes}{paging}", self._parameters, bool(sorts), whole)

    def _of_moments(self) -> Question:
        value = self._value(TIMES)
        operator = self.pick.choice(("=", "<", ">", "<=", ">=", "!="))
        whole = f"from Moments where at {operator} {value}"
        return Question(whole, self._parameters, False, whole)

    def _value(self, values: tuple[Any, ...], *, text: bool = False) -> str:
        """Return a parameter; whole numbers and fractions are different questions."""
        value = self.pick.choice([value for value in values if not text or isinstance(value, str)])
        if isinstance(value, int) and not isinstance(value, bool) and self.pick.random() < 0.5:
            value = float(value)
        name = f"p{len(self._parameters)}"
        self._parameters[name] = value
        return f"${name}"

    def _condition(self, depth: int) -> str:
        kind = self.pick.random()
        if depth and kind < 0.35:
            word = self.pick.choice((" and ", " or ", " and not "))
            left, right = self._condition(depth - 1), self._condition(depth - 1)
            while word == " and " and left.split()[0] == right.split()[0]:  # two ends of a range that is none
                right = self._condition(depth - 1)
            return f"({left}{word}{right})" if depth < 2 else f"{left}{word}{right}"
        if kind < 0.42:
            return self._by_key()
        return self._leaf()

    def _by_key(self) -> str:
        key = f"{self.pick.choice(('dogs', 'DOGS'))}/{self.pick.randint(0, 9)}"
        name = f"p{len(self._parameters)}"
        if self.pick.random() < 0.3:
            self._parameters[name] = [key, "dogs/1", "dogs/nobody"]
            return f"id() in (${name})"
        self._parameters[name] = key
        return f"startsWith(id(), ${name})" if self.pick.random() < 0.5 else f"id() = ${name}"

    def _leaf(self) -> str:
        field = self.pick.choice(list(FIELDS))
        values = FIELDS[field]
        has_texts = any(isinstance(value, str) for value in values)
        forms = [self._compared, self._compared, self._ranged, self._listed, self._existing]
        if has_texts:
            forms += [self._by_method, self._exactly, self._searched]
        return self.pick.choice(forms)(field, values)

    def _compared(self, field: str, values: tuple[Any, ...]) -> str:
        operator = self.pick.choice(("=", "=", "=", "!=", "<", ">", "<=", ">="))
        if operator in ("=", "!=") and self.pick.random() < 0.15:
            return f"{field} {operator} null"
        return f"{field} {operator} {self._value(tuple(value for value in values if value is not None))}"

    def _ranged(self, field: str, values: tuple[Any, ...]) -> str:
        floats, wholes = _numbers(values, float), _numbers(values, int)
        texts = sorted({value.lower() for value in values if isinstance(value, str) and value})
        pools: list[list[Any]] = [pool for pool in (floats, wholes, texts) if len(pool) > 1]
        ends = sorted(self.pick.sample(self.pick.choice(pools or [["a", "b"]]), 2))
        low, high = (f"p{len(self._parameters)}", f"p{len(self._parameters) + 1}")
        self._parameters |= {low: ends[0], high: ends[1]}
        if self.pick.random() < 0.5:
            return f"{field} between ${low} and ${high}"
        return f"({field} >= ${low} and {field} <= ${high})"

    def _listed(self, field: str, values: tuple[Any, ...]) -> str:
        numbers = [float(value) for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
        texts = [value for value in values if isinstance(value, str)]
        pool: list[Any] = numbers if numbers and (not texts or self.pick.random() < 0.5) else texts
        name = f"p{len(self._parameters)}"
        self._parameters[name] = [self.pick.choice(pool) for _ in range(self.pick.randint(0, 3))] if pool else []
        every = self._parameters[name] and self.pick.random() < 0.3
        return f"{field} {'all ' if every else ''}in (${name})"

    def _existing(self, field: str, values: tuple[Any, ...]) -> str:
        return f"exists({field})"

    def _by_method(self, field: str, values: tuple[Any, ...]) -> str:
        method = self.pick.choice(("startsWith", "endsWith", "regex"))
        if method == "regex":
            return f"regex({field}, {self._value(PATTERNS)})"
        name = f"p{len(self._parameters)}"
        self._parameters[name] = self.pick.choice(("m", "M", "a", "ma", "x", "e", "1", "É"))
        return f"{method}({field}, ${name})"

    def _exactly(self, field: str, values: tuple[Any, ...]) -> str:
        # Each field that is asked for exactly is a further index of RavenDB's.
        return f"exact(name = {self._value(NAMES, text=True)})"

    def _searched(self, field: str, values: tuple[Any, ...]) -> str:
        return f"search('odd name', {self._value(WORDS)})"


def _numbers(values: tuple[Any, ...], kind: type) -> list[Any]:
    return [value for value in values if isinstance(value, kind) and not isinstance(value, bool)]
