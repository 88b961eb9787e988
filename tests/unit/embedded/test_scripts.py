"""What a PATCH script may do, how its document comes and goes, and how it is stopped."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsession.embedded import scripts
from evsession.embedded.scripts import PatchOutcome, ScriptError, check_script, project, run_patch
from evsession.raven.legacy import SCRIPT

BIG = 2**60 + 1
DOG: dict[str, Any] = {
    "name": "Max",
    "age": 12,
    "big": BIG,
    "weight": 30.0,
    "list": [1, BIG],
    "owner": {"name": "Olga", "big": BIG},
    "none": None,
    "@metadata": {"@collection": "Dogs", "@id": "dogs/max", "@last-modified": "2026-11-21T11:23:32.4762230Z"},
}

ME = {"name": "Max", "age": 12, "weight": 30.0, "owner": None, "none": None, "@metadata": {"@collection": "Dogs"}}
"""What is left of the dog within the dog."""


class Shelf:
    """Documents, and what a script asked of them."""

    def __init__(self, **documents: dict[str, Any]) -> None:
        self.documents = documents
        self.calls: list[tuple[Any, ...]] = []

    def load(self, key: str) -> dict[str, Any] | None:
        self.calls.append(("load", key))
        return self.documents.get(key)

    def put(self, key: str, document: dict[str, Any], *version: str) -> str:
        self.calls.append(("put", key, *version))
        self.documents[key or "guid"] = document
        return key or "guid"

    def delete(self, key: str, *version: str) -> object:
        self.calls.append(("del", key, *version))
        return self.documents.pop(key, None)


def run(script: str, args: Mapping[str, Any] | None = None, shelf: Shelf | None = None) -> PatchOutcome:
    shelf = shelf or Shelf()
    return run_patch(script, args or {}, DOG, key="dogs/max", load=shelf.load, put=shelf.put, delete=shelf.delete)


def changed(script: str, args: Mapping[str, Any] | None = None, shelf: Shelf | None = None) -> dict[str, Any]:
    """Return the fields that the script changed; `...` is one that is gone."""
    after = run(script, args, shelf).document
    return {name: after.get(name, ...) for name in {**DOG, **after} if repr(after.get(name, ...)) != repr(DOG.get(name, ...))}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", {}),
        ("this.age += 1", {"age": 13}),
        ("delete this.name; delete this.nothing", {"name": ...}),
        ("this.name = undefined; this.new = undefined", {"name": None}),
        ("this.y = [1, , 2]; this.z = []; this.z[5] = 1", {"y": [1, 2], "z": [1]}),
        ("this.y = {'@metadata': {'@id': 'x', 'z': 1}}", {"y": {"@metadata": {"@id": "x", "z": 1}}}),
        ("this.owner = {y: this}; delete this.list; delete this.big", {"list": ..., "big": ..., "owner": {"y": ME}}),
        ("return 5", {}),
        ("let a = 1; const b = x => x + a; this.y = b(2)", {"y": 3}),
        ("this.y = [undefined, function () {}, NaN, -Infinity]", {"y": [None, None, "NaN", "-Infinity"]}),
        ("this.y = {a: undefined, b: true}", {"y": {"a": None, "b": True}}),
        ("this.y = new Date(0); this.z = new Date('?')", {"y": "1970-01-01T00:00:00.0000000Z", "z": None}),
        ("this.y = {}; this.y.y = this.y", {"y": {"y": None}}),
        ("this.y = this.owner; this.z = this.owner", {"y": DOG["owner"], "z": DOG["owner"]}),
        ("this.y = '😀' + '\\ud800'; this['\\ud800'] = {'\\ud800': 1}", {"y": "😀\ufffd", "\ufffd": {"\ufffd": 1}}),
        ("this['__proto__'] = {a: 1}", {"__proto__": {"a": 1}}),
        ("this.owner.__proto__ = 1", {"owner": {**DOG["owner"], "__proto__": 1}}),
        ("this.toJSON = () => 5; this.y = {toJSON() { return 5; }}", {"toJSON": None, "y": {"toJSON": None}}),
        ("this['@metadata'].Custom = 1", {"@metadata": {**DOG["@metadata"], "Custom": 1}}),
        ("this.y = id(this); this.z = id({}); this.n = id(null)", {"y": "dogs/max", "z": None, "n": None}),
        ("this.y = getMetadata(this)['@id']; this.z = lastModified(this)", {"y": "dogs/max", "z": 1795260212476}),
        ("this.y = lastModified({}); this.z = typeof lastModified({})", {"z": "undefined"}),
        ("this.y = [typeof this.constructor, typeof this.owner.constructor]", {"y": ["undefined", "function"]}),
    ],
)  # fmt: skip
def test_what_a_script_leaves(script: str, expected: dict[str, Any]) -> None:
    assert changed(script) == expected


def test_values_come_by_two_names() -> None:
    assert changed("this.y = args.v[0] + $v[1]", {"v": [1, 2]}) == {"y": 3}
    assert changed("this['x;}'] = args['x;}']", {"x;}": "'; throw 1; '"}) == {"x;}": "'; throw 1; '"}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("this.y = 1", {"y": 1}),
        ("this.big = this.big; this.list.push(2); this.owner.age = 1",
         {"list": [1, BIG, 2], "owner": {"name": "Olga", "big": BIG, "age": 1}}),
        ("this.y = this.owner; delete this.owner", {"y": DOG["owner"], "owner": ...}),
        ("this.y = args.v", {"y": {"n": BIG, "f": 1.0, "e": 1e30}}),
        ("this.y = this.big", {"y": 2**60}),
        ("this.big = this.big + 1000", {"big": 2**60 + 1024}),
        ("this.y = 1e21", {"y": 1e21}),
        ("this.y = load('other')", {"y": {"n": BIG}}),
    ],
)  # fmt: skip
def test_numbers_that_are_left_alone_keep_every_digit(script: str, expected: dict[str, Any]) -> None:
    assert changed(script, {"v": {"n": BIG, "f": 1.0, "e": 1e30}}, Shelf(other={"n": BIG})) == expected


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(), lambda some: st.lists(some) | st.dictionaries(st.text(), some), max_leaves=8
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), VALUES))
def test_every_document_comes_back_as_it_was(document: dict[str, Any]) -> None:
    shelf = Shelf()
    outcome = run_patch("", {"a": 1}, document, key="x", load=shelf.load, put=shelf.put, delete=shelf.delete)
    # Names that look like numbers come first in JavaScript; the order has no meaning.
    assert outcome.document == document
    assert {name: repr(value) for name, value in _leaves(outcome.document)} == {n: repr(v) for n, v in _leaves(document)}


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    return [(path, value)] if items is None else [leaf for name, item in items for leaf in _leaves(item, (*path, name))]


def test_output_is_kept() -> None:
    outcome = run("output('hi'); console.log({a: 1}); output(null); output(5)")
    assert outcome.output == ["hi", '{"a":1}', "null", "5"]
    assert outcome.document == DOG


class TestOtherDocuments:
    def test_each_call_is_made_once_and_in_order(self) -> None:
        shelf = Shelf(a={"n": 1})
        script = """
        this.y = load('a').n + load('a').n;
        this.key = put('b', {n: 2, date: new Date(0), self: this.owner});
        this.z = load(['b', 'nobody']);
        this.gone = [del('a'), del('a')];
        this.none = typeof load('a');
        """
        stored = {"n": 2, "date": "1970-01-01T00:00:00.0000000Z", "self": DOG["owner"]}
        expected = {"y": 2, "key": "b", "z": [stored, None], "gone": [True, False], "none": "undefined"}
        assert changed(script, shelf=shelf) == expected
        assert [call[0] for call in shelf.calls] == ["load", "load", "put", "load", "load", "del", "del", "load"]
        assert shelf.documents == {"b": stored}

    def test_keys_that_the_storage_makes_and_versions(self) -> None:
        shelf = Shelf()
        assert changed("this.y = put(null, []); put('a', {}, 'A:1'); del('a', 'A:1'); this.z = load(null)", shelf=shelf) == {
            "y": "guid",
            "z": None,
        }
        assert shelf.calls == [("put", ""), ("put", "a", "A:1"), ("del", "a", "A:1")]

    def test_a_script_cannot_catch_that_it_waits(self) -> None:
        shelf = Shelf(a={"n": 1})
        script = "try { this.y = load('a').n; } catch (e) { this.y = e.message; } finally { put('b', {y: this.y}); }"
        assert changed(script, shelf=shelf) == {"y": 1}
        assert shelf.calls == [("load", "a"), ("put", "b")]

    def test_time_and_chance_stand_still(self) -> None:
        shelf = Shelf()
        script = """
        const before = [Date.now(), new Date().getTime(), Date(), Math.random()];
        put('a', {before}); load('a');
        this.same = new Date() instanceof Date && Date.UTC(1970, 0) === 0 && before[0] === before[1] && before[3] < 1;
        this.differs = Math.random() !== Math.random();
        """
        assert changed(script, shelf=shelf) == {"same": True, "differs": True}
        assert len(shelf.calls) == 2

    def test_one_that_does_not_do_the_same_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # There is more room beside a larger answer, and that can be measured.
        monkeypatch.setattr(scripts, "MEMORY_LIMIT", 4 << 20)
        script = """
        let kept = [], count = 0;
        try { for (;; count++) kept.push(new ArrayBuffer(1000)); } catch (e) { kept = null; }
        load('a' + count);
        """
        with pytest.raises(ScriptError, match="same twice"):
            run_patch(script, {}, {}, key="x", load=lambda key: {"text": "x" * 100_000}, put=max, delete=bool)

    def test_what_the_storage_raises_goes_through(self) -> None:
        def refuse(*call: object) -> Any:
            raise LookupError("full")

        with pytest.raises(LookupError, match="full"):
            run_patch("try { put('a', {}) } catch (e) {}", {}, {}, key="x", load=refuse, put=refuse, delete=refuse)


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        ("this is no script", "syntax", "line 1"),
        ("\n\nvar a = ;", "syntax", "line 3"),
        ("}", "syntax", "'}'"),
        ("let args = 1", "syntax", "redefinition"),
        ("throw 'boom'", "runtime", "Script failed for document ID 'dogs/max'. boom"),
        ("throw new Error('boom')", "runtime", "Error: boom"),
        ("throw {a: 1}", "runtime", '{"a":1}'),
        ("throw null", "runtime", "null"),
        ("throw undefined", "runtime", "undefined"),
        ("this.nothing.at = 1", "runtime", "'at' of undefined"),
        ("x = 5", "runtime", "x is not defined"),
        ("eval('1')", "runtime", "String compilation"),
        ("new Function('1')", "runtime", "String compilation"),
        ("(() => {}).constructor('1')", "runtime", "String compilation"),
        ("(async function* () {}).constructor('1')", "runtime", "String compilation"),
        ("function f() { f(); } f()", "recursion", "recursion is forbidden"),
        ("this.y = 5n", "misuse", "BigInt"),
        ("this.y = {a: [Symbol('x')]}", "misuse", "Symbol"),
        ("put('a', {b: 1n})", "misuse", "BigInt"),
        ("id()", "misuse", "single argument"),
        ("id(5)", "misuse", "object argument"),
        ("load()", "misuse", "single string"),
        ("load(5)", "misuse", "string or array"),
        ("load([5])", "misuse", "array of strings"),
        ("put('a')", "misuse", "2 or 3"),
        ("put(5, {})", "misuse", "first parameter"),
        ("put('a', null)", "misuse", "'a'"),
        ("del(5)", "misuse", "must be a string"),
        ("throw {a: 1n}", "runtime", "[object Object]"),
    ],
)
def test_a_script_that_fails(script: str, kind: str, said: str) -> None:
    with pytest.raises(ScriptError) as caught:
        run(script)
    assert (caught.value.kind, caught.value.status) == (kind, 500)
    assert said in caught.value.message


def test_one_that_is_only_parsed() -> None:
    check_script("while (true) {}")
    with pytest.raises(ScriptError) as caught:
        check_script("this is no script")
    assert caught.value.kind == "syntax"


class TestLimits:
    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scripts, "TIME_LIMIT", 0.02)
        monkeypatch.setattr(scripts, "MEMORY_LIMIT", 4 << 20)

    @pytest.mark.parametrize(
        "script",
        [
            "while (true) {}",
            "while (true) try { while (true) {} } catch (e) {} finally { continue; }",
            "/(a+)+$/.test('a'.repeat(60) + 'b')",
            "for (let n = 0; ; n++) load('' + n)",
            "this.y = {get z() { while (true) {} }}",
        ],
    )
    def test_endless(self, script: str) -> None:
        with pytest.raises(ScriptError) as caught:
            run(script)
        assert (caught.value.kind, caught.value.type) == ("timeout", scripts._SCRIPT_FAILED)

    @pytest.mark.parametrize(
        "script",
        [
            "const a = []; while (true) a.push('x'.repeat(10000) + a.length)",
            "let s = 'x'; while (true) s += s",
            "new ArrayBuffer(1e9)",
            "globalThis.a = []; while (true) { try { while (true) a.push([]) } catch (e) {} a.push([]) }",
        ],
    )
    def test_a_memory_bomb(self, script: str) -> None:
        with pytest.raises(ScriptError) as caught:
            run(script)
        assert caught.value.kind in ("memory", "timeout")
        assert caught.value.type == scripts._SCRIPT_FAILED

    def test_the_next_script_runs(self) -> None:
        for script in ("while (true) {}", "let s = 'x'; while (true) s += s"):
            with pytest.raises(ScriptError):
                run(script)
            assert changed("this.y = 1") == {"y": 1}


def test_memory_that_is_too_full_to_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "MEMORY_LIMIT", 4 << 20)
    with pytest.raises(ScriptError) as caught:
        run("globalThis.kept = []; try { while (true) kept.push([]); } catch (e) { throw null; }")
    assert caught.value.kind == "memory"


def test_deep_documents_are_refused_without_harm() -> None:
    with pytest.raises(ScriptError, match="recursion"):
        run("let deep = []; for (let n = 0; n < 50000; n++) deep = [deep]; this.y = deep")


def test_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "quickjs", None)
    with pytest.raises(ScriptError, match=r"pip install 'evsession\[embedded\]'") as caught:
        run("this.y = 1")
    assert caught.value.kind == "missing engine"


def test_the_script_of_2012s_commands() -> None:
    assert changed(
        SCRIPT, {"ops": [{"Type": "Inc", "Name": "age", "Value": 1}, {"Type": "Rename", "Name": "age", "Value": "n"}]}
    ) == {
        "age": ...,
        "n": 13,
    }
    with pytest.raises(ScriptError, match="legacy-patch: big holds an integer beyond"):
        run(SCRIPT, {"ops": [{"Type": "Inc", "Name": "big", "Value": 1}]})


class TestProjections:
    def test_the_last_expression_is_the_value(self) -> None:
        shelf = Shelf(a={"n": 1})
        source = "function twice(x) { return x * 2; }\n({age: twice(d.age), key: id(d), other: load('a').n, big: d.big})"
        expected = {"age": 24, "key": "dogs/max", "other": 1, "big": 2**60}
        assert project(source, {"d": DOG}, load=shelf.load) == expected
        assert project("d", {"d": DOG}, load=shelf.load) == {**DOG, "@metadata": {"@collection": "Dogs", "@id": "dogs/max"}}
        assert project("undefined", {}, load=shelf.load) is None

    @pytest.mark.parametrize(("source", "kind"), [("a b", "syntax"), ("nothing", "runtime"), ("put('a', {})", "runtime")])
    def test_one_that_fails(self, source: str, kind: str) -> None:
        with pytest.raises(ScriptError) as caught:
            project(source, {}, load=lambda key: None)
        assert caught.value.kind == kind
