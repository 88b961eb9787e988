"""A commit with hooks: what they are told in which order, what they may change, and what is as before when it fails."""

from __future__ import annotations

from typing import Any

import pytest

from evsession.errors import ConfigurationError, InvalidDocument, KeyConflict, TransactionError
from evsession.unitofwork.changes import MISSING
from evsession.unitofwork.commit import MAX_ROUNDS
from evsession.unitofwork.hooks import CommitEvent
from tests.unit.unitofwork.shelf import Desk, Hooks, Log, Note, Refused, Shelf, Thing

EVERYTHING = [
    "commit.pre",
    "delete.pre",
    "update.pre",
    "insert.pre",
    "delete.post",
    "update.post",
    "insert.post",
    "commit.post",
]


def desk(**rows: dict[str, Any]) -> Desk:
    return Desk(Shelf(**rows))


def logged(at: Desk, *events: str) -> Log:
    log = Log()
    for event in events or EVERYTHING:
        at.on(event, log)
    return log


class TestEvents:
    def test_one_event_for_each_kind_and_type_in_order(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1}, c={}, d={})
        log = logged(at)
        a, b, c, d = at.load("a"), at.load("b"), at.load("c"), at.load("d", Note)
        at.remove(c, d)
        a.n = b.n = 2
        at.add(Thing("e"), Note("f"), Thing())
        saved = at.commit()
        assert log.told == [
            ("commit.pre", 0, ["c", "d", "a", "b", "e", "f", None]),
            ("delete.pre", 1, ["c"]),
            ("delete.pre", 1, ["d"]),
            ("update.pre", 1, ["a", "b"]),
            ("insert.pre", 1, ["e", None]),
            ("insert.pre", 1, ["f"]),
            ("delete.post", 1, ["c"]),
            ("delete.post", 1, ["d"]),
            ("update.post", 1, ["a", "b"]),
            ("insert.post", 1, ["e", "made/4"]),
            ("insert.post", 1, ["f"]),
            ("commit.post", 1, ["c", "d", "a", "b", "e", "f", "made/4"]),
        ]
        assert [event.type for event in log.events] == [
            *(None, Thing, Note, Thing, Thing, Note, Thing, Note, Thing, Thing, Note, None)
        ]
        assert {event.session for event in log.events} == {at}
        assert saved.rounds == 1

    def test_hooks_of_a_type_are_told_of_that_type_only(self) -> None:
        at = desk()
        log = Log()
        at.on("insert.pre", log, type=Note)
        at.add(Thing("a"))
        at.commit()
        assert log.told == []
        at.add(Note("b"), Thing("c"))
        at.commit()
        assert log.told == [("insert.pre", 1, ["b"])]

    def test_updates_say_what_has_changed(self) -> None:
        at = desk(a={"n": 1, "gone": 1, "same": 1})
        log = logged(at, "commit.pre", "update.pre", "update.post", "insert.pre")
        a = at.load("a")
        a.n, a.deep = 2, {"x": [1]}
        del a.gone
        at.add(Thing("b", n=1))
        at.commit()
        expected = {"n": (1, 2), "deep": (MISSING, {"x": [1]}), "gone": (1, MISSING)}
        assert [dict(event.changes[0]) if event.changes else None for event in log.events] == [None, expected, None, expected]
        assert log.events[1].changes["a"] == expected
        assert log.events[1].changes[a] == expected

    def test_a_commit_of_nothing_is_told_but_not_sent(self) -> None:
        at = desk(a={})
        log = logged(at)
        at.load("a")
        saved = at.commit()
        assert log.told == [("commit.pre", 0, []), ("commit.post", 0, [])]
        assert (saved, saved.rounds, at.shelf.sent) == ([], 0, [])

    def test_a_flush_tells_what_comes_before_and_the_commit_what_comes_after(self) -> None:
        at = desk()
        log = logged(at)
        at.begin()
        at.add(Thing("a"))
        assert at.flush() == ["a"]
        assert log.told == [("commit.pre", 0, ["a"]), ("insert.pre", 1, ["a"])]
        log.told.clear()
        saved = at.commit()
        assert log.told == [("commit.pre", 0, []), ("insert.post", 0, ["a"]), ("commit.post", 0, ["a"])]
        assert saved == ["a"]
        assert at.shelf.ends == 1


class TestEdits:
    def test_what_a_hook_edits_is_saved(self) -> None:
        at = desk(a={"n": 1})
        log = logged(at, "update.post")

        def stamp(event: CommitEvent) -> None:
            for entity in event.entities:
                entity.at = event.name

        at.on("insert.pre", stamp)
        at.on("update.pre", stamp)
        a = at.load("a")
        a.n = 2
        at.add(Thing("b", n=1))
        at.commit()
        assert at.shelf.rows == {"a": {"n": 2, "at": "update.pre"}, "b": {"n": 1, "at": "insert.pre"}}
        assert log.events[0].changes["a"] == {"n": (1, 2), "at": (MISSING, "update.pre")}
        assert at.kinds() == {}
        assert at.commit() == []
        assert len(at.shelf.sent) == 1

    def test_an_edit_of_another_one_joins_as_an_update(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1})
        log = logged(at, "update.pre", "update.post")
        a, b = at.load("a"), at.load("b")

        def touch(event: CommitEvent) -> None:
            b.n = 9

        at.on("update.pre", touch, type=Thing)
        a.n = 2
        saved = at.commit()
        assert at.shelf.sent == [[("update", "a", {"n": 2}), ("update", "b", {"n": 9})]]
        assert log.told == [("update.pre", 1, ["a"]), ("update.pre", 2, ["b"]), ("update.post", 2, ["a", "b"])]
        assert (saved.rounds, saved.updated) == (2, ["a", "b"])

    def test_an_edit_in_commit_pre_is_part_of_the_first_round(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        log = logged(at, "update.pre")
        at.on("commit.pre", lambda event: setattr(a, "n", 2))
        assert at.commit() == ["a"]
        assert log.told == [("update.pre", 1, ["a"])]

    def test_an_edit_that_sets_everything_back_leaves_nothing_to_do(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        a.n = 2
        at.on("update.pre", lambda event: setattr(a, "n", 1))
        assert at.commit() == []
        assert at.shelf.sent == []
        assert at.kinds() == {}

    def test_the_programs_edits_since_the_call_stay_out(self) -> None:
        at = desk(a={"n": 1, "m": 1, "gone": 1, "late": 0})
        a, new = at.load("a"), Thing("b", n=1)

        def edit(event: CommitEvent) -> None:
            a.m = new.m = "hook"
            del a.gone

        at.on("update.pre", edit)
        a.n = 2
        at.add(new)
        with at.call() as commit:
            a.late = new.late = "program"
            new.n = 7
            assert commit() == ["a", "b"]
        assert at.shelf.rows == {"a": {"n": 2, "m": "hook", "late": 0}, "b": {"n": 1, "m": "hook"}}
        assert at.kinds() == {a: "update", new: "update"}
        assert at.unit.changes(at.known(a)) == {"late": (0, "program")}

    def test_what_the_program_took_out_meanwhile_a_hook_may_take_out_too(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        a.n = 2

        def take_out(event: CommitEvent) -> None:
            del a.extra

        at.on("update.pre", take_out)
        with at.call() as commit:
            a.extra = 1
            commit()
        assert at.shelf.rows == {"a": {"n": 2}}
        assert at.kinds() == {}

    def test_of_one_that_was_not_part_of_it_only_the_hooks_edit_is_sent(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1, "m": 1})
        a, b = at.load("a"), at.load("b")
        at.on("update.pre", lambda event: setattr(b, "m", "hook"), type=Thing)
        a.n = 2
        with at.call() as commit:
            b.n = "program"
            commit()
        assert at.shelf.rows["b"] == {"n": 1, "m": "hook"}
        assert at.kinds() == {b: "update"}

    def test_a_hook_that_undoes_a_later_edit_makes_no_work(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1})
        a, b = at.load("a"), at.load("b")
        log = logged(at, "update.post")
        at.on("update.pre", lambda event: setattr(b, "n", 1))
        a.n = 2
        with at.call() as commit:
            b.n = 5
            assert commit() == ["a"]
        assert log.told == [("update.post", 1, ["a"])]
        assert at.kinds() == {}

    def test_a_removal_that_the_program_takes_back_since_the_call_is_sent(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        log = logged(at, "delete.pre", "delete.post")
        at.remove(a)
        with at.call() as commit:
            at.add(a)
            assert commit().removed == ["a"]
        assert log.told == [("delete.pre", 1, ["a"]), ("delete.post", 1, ["a"])]
        assert at.kinds() == {a: "insert"}

    def test_one_that_the_program_made_unstorable_since_the_call_does_no_harm(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1}, c={"n": 1})
        a, b, c, new = at.load("a"), at.load("b"), at.load("c"), Thing("d")
        logged(at)
        a.n = c.n = 2
        with at.call() as commit:
            b.n = c.n = {1}
            at.add(new)
            new.n = {1}
            assert commit() == ["a", "c"]
        assert at.shelf.rows == {"a": {"n": 2}, "b": {"n": 1}, "c": {"n": 2}}

    def test_what_a_hook_makes_unstorable_is_named_and_nothing_is_sent(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        a.n = 2
        at.on("update.pre", lambda event: setattr(a, "n", {1}))
        with pytest.raises(InvalidDocument, match="n cannot be stored"):
            at.commit()
        assert at.shelf.sent == []
        at.hooks = Hooks()
        a.n = 2
        assert at.commit() == ["a"]

    def test_one_that_a_hook_repairs_is_saved_as_repaired(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        a.n = 2
        at.on("update.pre", lambda event: setattr(a, "n", 3))
        with at.call() as commit:
            a.n = {1}
            commit()
        assert at.shelf.rows == {"a": {"n": 3}}

    def test_a_hook_may_increment(self) -> None:
        at = desk(a={"n": 1, "m": 1}, b={"n": 1})
        a, b = at.load("a"), at.load("b")

        def count(event: CommitEvent) -> None:
            if a in event.entities:
                at.increment(a, "n", 5)
                at.increment(b, "n", 7)

        at.on("update.pre", count)
        a.m = 2
        at.shelf.rows["a"]["n"], at.shelf.rows["b"]["n"] = 100, 200
        at.commit()
        assert at.shelf.rows == {"a": {"n": 105, "m": 2}, "b": {"n": 207}}
        assert (a.n, b.n) == (105, 207)
        assert at.kinds() == {}

    def test_an_increment_that_changes_nothing_in_memory_is_sent(self) -> None:
        at = desk(a={"n": 1, "m": 1})
        a = at.load("a")

        def count(event: CommitEvent) -> None:
            at.increment(a, "n", 5)
            a.n = 1
            a.m = 1

        at.on("update.pre", count)
        a.m = 2
        at.shelf.rows["a"]["n"] = 100
        at.commit()
        assert at.shelf.rows["a"]["n"] == 105

    def test_an_edit_after_the_write_waits_for_the_next_commit(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        a.n = 2
        at.on("update.post", lambda event: setattr(a, "n", 3))
        at.commit()
        assert at.shelf.rows == {"a": {"n": 2}}
        assert at.kinds() == {a: "update"}

    def test_one_that_a_hook_loads_is_watched_from_then_on(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1}, c={"n": 1})
        a = at.load("a")

        def load(event: CommitEvent) -> None:
            at.load("b").n = 2
            at.load("c")

        at.on("update.pre", load, type=Thing)
        a.n = 2
        assert at.commit() == ["a", "b"]
        assert at.shelf.rows == {"a": {"n": 2}, "b": {"n": 2}, "c": {"n": 1}}

    def test_without_detection_what_a_hook_edits_is_written(self) -> None:
        at = Desk(Shelf(a={"n": 1}, b={"n": 1}), detects=False)
        a = at.load("a")
        b: list[Any] = []

        def edit(event: CommitEvent) -> None:
            a.n = 2
            if not b:
                b.append(at.load("b"))
                b[0].n = 3

        at.on("update.pre", edit)
        assert at.commit() == ["a", "b"]
        assert at.shelf.rows == {"a": {"n": 2}, "b": {"n": 3}}


class TestMoreWork:
    def test_what_a_hook_adds_joins_the_same_batch_as_a_further_round(self) -> None:
        at = desk()
        log = logged(at, "insert.pre", "insert.post")

        def audit(event: CommitEvent) -> None:
            at.add(*(Note(f"audit/{key}", n=0) for key in event.keys))

        at.on("insert.pre", audit, type=Thing)
        at.hooks.added["insert.pre"] = [(Thing, lambda event: None if event.type is Note else audit(event)), (None, log)]
        at.add(Thing("a"), Thing("b"))
        saved = at.commit()
        assert len(at.shelf.sent) == 1
        assert saved == ["a", "b", "audit/a", "audit/b"]
        assert saved.rounds == 2
        assert log.told == [
            ("insert.pre", 1, ["a", "b"]),
            ("insert.pre", 2, ["audit/a", "audit/b"]),
            ("insert.post", 2, ["a", "b"]),
            ("insert.post", 2, ["audit/a", "audit/b"]),
        ]

    def test_what_a_hook_adds_and_edits_later_is_saved_as_edited(self) -> None:
        at = desk()
        note = Note("n", n=0)

        def first(event: CommitEvent) -> None:
            if event.type is Thing:
                at.add(note)
            else:
                note.n = 2

        at.on("insert.pre", first)
        at.add(Thing("a"))
        at.commit()
        assert at.shelf.rows == {"a": {}, "n": {"n": 2}}

    def test_what_a_hook_removes_is_deleted_in_the_same_batch(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1}, c={"n": 1})
        a, b, c, new = at.load("a"), at.load("b"), at.load("c"), Thing("d")
        log = logged(at, "delete.pre", "update.post", "delete.post", "insert.post")

        def remove(event: CommitEvent) -> None:
            at.remove(*(entity for entity in (b, c, new) if at.unit.map.of(entity) and not at.known(entity).is_removed))

        at.on("update.pre", remove)
        a.n = b.n = 2  # b is to be updated until the hook removes it, c is not
        at.add(new)
        saved = at.commit()
        assert at.shelf.sent == [[("delete", "b", {}), ("delete", "c", {}), ("update", "a", {"n": 2})]]
        assert (saved.removed, saved.updated, saved.inserted) == (["b", "c"], ["a"], [])
        assert log.told == [("delete.pre", 2, ["b", "c"]), ("delete.post", 2, ["b", "c"]), ("update.post", 2, ["a"])]
        assert at.unit.map.of(new) is None

    def test_a_hook_may_take_a_removal_back(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1})
        a, b = at.load("a"), at.load("b")
        at.remove(a, b)
        at.on("delete.pre", lambda event: at.add(a))
        assert at.commit().removed == ["b"]
        assert at.shelf.rows == {"a": {"n": 1}}
        assert at.kinds() == {}

    def test_the_program_removing_meanwhile_does_not_join(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1})
        a, b = at.load("a"), at.load("b")
        logged(at)
        a.n = 2
        with at.call() as commit:
            at.remove(b)
            at.add(Thing("c"))
            assert commit() == ["a"]
        assert sorted(at.shelf.rows) == ["a", "b"]
        assert sorted(at.kinds().values()) == ["delete", "insert"]

    def test_what_a_post_hook_adds_and_removes_is_a_batch_of_its_own(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        log = logged(at, "commit.pre", "insert.pre", "insert.post", "delete.pre", "delete.post", "commit.post")

        def after(event: CommitEvent) -> None:
            if event.type is Thing:
                at.add(Note("log", n=1))
                at.remove(a)

        at.on("insert.post", after)
        at.add(Thing("b"))
        saved = at.commit()
        assert at.shelf.sent == [[("insert", "b", {})], [("delete", "a", {}), ("insert", "log", {"n": 1})]]
        assert log.told == [
            ("commit.pre", 0, ["b"]),
            ("insert.pre", 1, ["b"]),
            ("insert.post", 1, ["b"]),
            ("delete.pre", 2, ["a"]),
            ("insert.pre", 2, ["log"]),
            ("delete.post", 2, ["a"]),
            ("insert.post", 2, ["log"]),
            ("commit.post", 2, ["a", "b", "log"]),
        ]
        assert (saved, saved.removed, saved.rounds) == (["b", "log"], ["a"], 2)

    def test_what_a_post_hook_queues_and_forgets_is_no_work(self) -> None:
        at = desk()

        def after(event: CommitEvent) -> None:
            note = Note("log")
            at.add(note)
            at.remove(note)

        at.on("insert.post", after)
        at.add(Thing("b"))
        assert at.commit() == ["b"]
        assert len(at.shelf.sent) == 1

    @pytest.mark.parametrize("when", ["insert.pre", "insert.post"])
    def test_a_hook_that_never_ends_is_named(self, when: str) -> None:
        at = desk()

        def more_and_more(event: CommitEvent) -> None:
            at.add(Note())

        at.on(when, more_and_more)
        at.add(Thing("a"))
        with pytest.raises(TransactionError, match=r"more_and_more.*\(insert\.p.*type Note.*100 rounds"):
            at.commit()
        assert at.commits[-1].rounds == MAX_ROUNDS
        written = 0 if when == "insert.pre" else MAX_ROUNDS
        assert len(at.shelf.rows) == written
        assert set(at.kinds().values()) == ({"insert"} if when == "insert.pre" else set())
        assert len(at.unit.map) == (1 if when == "insert.pre" else MAX_ROUNDS)

    def test_edits_that_never_end_are_no_rounds(self) -> None:
        at = desk(a={"n": 1}, **{f"b{n}": {"n": 0} for n in range(MAX_ROUNDS)})
        things = [at.load(key) for key in at.shelf.rows]

        def next_one(event: CommitEvent) -> None:
            things.pop().n = "touched"

        at.on("update.pre", next_one)
        things.pop(0).n = 2
        with pytest.raises(TransactionError, match=r"a hook keeps making new work of type Thing"):
            at.commit()
        assert at.shelf.sent == []


class TestVetoes:
    def test_a_vetoed_insert_leaves_the_session(self) -> None:
        at = desk()
        one, two = Thing("a"), Thing("b")
        log = logged(at, "insert.post")
        at.on("insert.pre", lambda event: event.prevent(one))
        at.add(one, two)
        assert at.commit() == ["b"]
        assert log.told == [("insert.post", 1, ["b"])]
        assert at.unit.map.of(one) is None
        assert at.kinds() == {}

    def test_a_vetoed_update_stays_unsaved(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1})
        a, b = at.load("a"), at.load("b")
        a.n = b.n = 2

        def veto(event: CommitEvent) -> None:
            event.prevent(a)
            a.n = 3

        at.on("update.pre", veto)
        assert at.commit() == ["b"]
        assert at.shelf.rows == {"a": {"n": 1}, "b": {"n": 2}}
        assert at.kinds() == {a: "update"}
        at.hooks = Hooks()
        assert at.commit() == ["a"]

    def test_a_vetoed_removal_stays(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1})
        a, b = at.load("a"), at.load("b")
        log = logged(at, "delete.post")
        at.remove(a, b)
        at.on("delete.pre", lambda event: event.prevent(a))
        assert at.commit().removed == ["b"]
        assert log.told == [("delete.post", 1, ["b"])]
        assert at.kinds() == {}
        assert at.load("a") is a

    def test_a_vetoed_removal_with_an_edit_is_a_soft_delete(self) -> None:
        at = desk(a={"n": 1}, b={})
        a, b = at.load("a"), at.load("b", Note)
        log = logged(at, "update.pre", "delete.post", "update.post")

        def soften(event: CommitEvent) -> None:
            event.prevent()
            for entity in event.entities:
                entity.deleted = True

        at.on("delete.pre", soften, type=Note)
        at.hooks.added["delete.pre"] = [(Note, soften)]
        at.remove(a, b)
        saved = at.commit()
        assert at.shelf.rows == {"b": {"deleted": True}}
        assert (saved.removed, saved.updated, saved.rounds) == (["a"], ["b"], 2)
        assert log.told == [("update.pre", 2, ["b"]), ("delete.post", 2, ["a"]), ("update.post", 2, ["b"])]
        assert at.kinds() == {}
        assert at.commit() == []

    def test_a_vetoed_removal_stays_though_its_update_is_vetoed_too(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        at.on("delete.pre", lambda event: event.prevent())
        at.on("update.pre", lambda event: event.prevent())
        a.n = 2
        at.remove(a)
        assert at.commit() == []
        assert at.kinds() == {a: "update"}
        at.hooks = Hooks()
        assert at.commit() == ["a"]
        assert at.shelf.rows == {"a": {"n": 2}}

    def test_commit_pre_may_veto_some_or_refuse_all(self) -> None:
        at = desk()
        one, two = Thing("a"), Thing("b")
        at.add(one, two)
        at.on("commit.pre", lambda event: event.prevent())
        with pytest.raises(TransactionError, match="has prevented the commit"):
            at.commit()
        assert at.kinds() == {one: "insert", two: "insert"}
        assert at.shelf.sent == []
        at.hooks = Hooks()
        at.on("commit.pre", lambda event: event.prevent(two))
        assert at.commit() == ["a"]
        assert at.unit.map.of(two) is None

    def test_a_veto_is_forgotten_when_the_commit_fails(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1})
        a, b, new, other = at.load("a"), at.load("b"), Thing("c"), Thing("d")
        at.on("insert.pre", lambda event: event.prevent(new))
        at.on("delete.pre", lambda event: event.prevent(a))
        b.n = 2
        at.remove(a)
        at.add(new, other)
        before = at.kinds()
        at.shelf.refuses = True
        with pytest.raises(Refused):
            at.commit()
        assert at.kinds() == before == {a: "delete", b: "update", new: "insert", other: "insert"}
        at.shelf.refuses = False
        at.hooks = Hooks()
        at.commit()
        assert sorted(at.shelf.rows) == ["b", "c", "d"]

    def test_a_veto_is_forgotten_when_the_transaction_is_rolled_back(self) -> None:
        at = desk(a={"n": 1})
        a, new, other = at.load("a"), Thing("b"), Thing("c")
        at.on("insert.pre", lambda event: event.prevent(new))
        at.on("delete.pre", lambda event: event.prevent())
        at.remove(a)
        at.add(new, other)
        before = at.kinds()
        at.begin()
        assert at.flush() == ["c"]
        assert at.kinds() == {}
        at.unit.roll_back()
        assert at.kinds() == before == {a: "delete", new: "insert", other: "insert"}

    def test_a_removal_whose_key_has_gone_to_another_cannot_be_vetoed(self) -> None:
        at = desk(a={"n": 1})
        a, new = at.load("a"), Thing("a", n=2)
        at.remove(a)
        at.add(new)
        at.on("delete.pre", lambda event: event.prevent())
        with pytest.raises(KeyConflict, match="'a' cannot stay: another object was added under its key"):
            at.commit()
        assert at.kinds() == {a: "delete", new: "insert"}
        at.hooks = Hooks()
        at.on("insert.pre", lambda event: event.prevent())
        at.commit()
        assert at.shelf.rows == {}

    def test_the_removal_of_one_that_has_no_key_yet_can_be_vetoed(self) -> None:
        at = desk()
        new = Thing(n=1)
        at.on("delete.pre", lambda event: event.prevent())
        at.begin()
        at.add(new)
        at.flush()
        at.remove(new)
        assert at.commit() == [new.key] == ["made/0"]
        assert at.shelf.rows == {"made/0": {"n": 1}}
        assert at.kinds() == {}

    def test_what_was_vetoed_can_be_added_again(self) -> None:
        at = desk()
        one = Thing("a")
        at.on("insert.pre", lambda event: event.prevent())
        at.add(one)
        assert at.commit() == []
        at.hooks = Hooks()
        at.add(one)
        assert at.commit() == ["a"]

    def test_it_is_too_late_after_the_write(self) -> None:
        at = desk()
        at.on("insert.post", lambda event: event.prevent())
        at.add(Thing("a"))
        with pytest.raises(ConfigurationError, match="cannot be prevented"):
            at.commit()
        assert at.shelf.rows == {"a": {}}

    def test_a_hook_may_name_a_new_one(self) -> None:
        at = desk()
        at.on("insert.pre", lambda event: setattr(event.entities[0], "key", "named"))
        at.add(Thing(n=1))
        assert at.commit() == ["named"]
        assert at.unit.map.get("named") is not None


class TestFailure:
    def test_a_hook_that_raises_before_the_write_leaves_all_as_it_was(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1}, c={"n": 1})
        a, b, c, new = at.load("a"), at.load("b"), at.load("c"), Thing("d")
        a.n = 2
        at.add(new)
        at.remove(c)
        before = at.kinds()

        def mess(event: CommitEvent) -> None:
            at.add(Note("x"), c)
            at.remove(b, new)
            passing = Note("y")
            at.add(passing)
            at.remove(passing)
            raise ZeroDivisionError

        at.on("insert.pre", mess)
        with pytest.raises(ZeroDivisionError):
            at.commit()
        assert at.kinds() == before
        assert {known.entity for known in at.unit.map} == {a, b, c, new}
        assert all(known.writes == 0 for known in at.unit.map)
        at.hooks = Hooks()
        at.commit()
        assert at.shelf.rows == {"a": {"n": 2}, "b": {"n": 1}, "d": {}}

    def test_a_refused_write_takes_back_what_hooks_have_queued(self) -> None:
        at = desk(a={"n": 1})
        a, new, note = at.load("a"), Thing("b"), Note("c")

        def more(event: CommitEvent) -> None:
            if event.type is Thing:
                at.add(note)
                at.remove(a)

        at.on("insert.pre", more)
        at.add(new)
        at.shelf.refuses = True
        for _ in range(2):
            with pytest.raises(Refused):
                at.commit()
            assert at.kinds() == {new: "insert"}
        at.shelf.refuses = False
        assert at.commit() == ["b", "c"]
        assert sorted(at.shelf.rows) == ["b", "c"]

    def test_a_removal_of_a_hook_is_taken_back_and_commits_that_wait_still_write_edits(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1})
        a, b = at.load("a"), at.load("b")
        at.on("update.pre", lambda event: at.remove(a))
        b.n = 2
        with at.call() as first:
            a.n = 2
            with at.call() as second:
                at.shelf.refuses = True
                with pytest.raises(Refused):
                    first()
                at.shelf.refuses = False
                at.hooks.added.clear()
                assert second() == ["a", "b"]
        assert at.shelf.rows == {"a": {"n": 2}, "b": {"n": 2}}

    def test_a_removal_of_a_hook_is_taken_back_although_its_key_has_gone_to_another(self) -> None:
        at = desk(a={"n": 1})
        a, new, other = at.load("a"), Thing("b"), Thing("a", n=2)
        at.on("insert.pre", lambda event: at.remove(a))
        at.add(new)
        at.shelf.meanwhile, at.shelf.refuses = lambda: at.add(other), True
        with pytest.raises(Refused):
            at.commit()

    def test_a_hook_that_raises_after_the_write_does_not_undo_it(self) -> None:
        at = desk(a={"n": 1})
        a, new = at.load("a"), Thing("b")
        note = Note("c")

        def fail(event: CommitEvent) -> None:
            at.add(note)
            raise ZeroDivisionError

        at.on("insert.post", fail)
        at.add(new)
        a.n = 2
        with pytest.raises(ZeroDivisionError):
            at.commit()
        assert at.shelf.rows == {"a": {"n": 2}, "b": {}}
        assert at.kinds() == {}
        assert at.unit.map.of(note) is None

    def test_a_refused_second_batch_does_not_undo_the_first(self) -> None:
        at = desk()
        new, note = Thing("a"), Note("log")

        def after(event: CommitEvent) -> None:
            at.add(note)
            at.shelf.refuses = True

        at.on("insert.post", after)
        at.add(new)
        with pytest.raises(Refused):
            at.commit()
        assert at.shelf.rows == {"a": {}}
        assert at.kinds() == {}
        assert at.unit.map.of(note) is None

    def test_given_up_in_the_middle_it_leaves_all_as_it_was(self) -> None:
        at = desk(a={"n": 1})
        a, note = at.load("a"), Note("x")
        at.on("update.pre", lambda event: at.add(note))
        a.n = 2

        def give_up() -> None:
            raise KeyboardInterrupt

        at.shelf.meanwhile = give_up
        with pytest.raises(KeyboardInterrupt):
            at.commit()
        assert at.kinds() == {a: "update"}
        assert at.known(a).writes == 0
        assert at.unit._frozen == []

    def test_hook_increments_are_pending_after_a_failure(self) -> None:
        at = desk(a={"n": 1})
        a, new = at.load("a"), Thing("b")
        at.on("insert.pre", lambda event: at.increment(a, "n", 5))
        at.add(new)
        at.shelf.refuses = True
        with pytest.raises(Refused):
            at.commit()
        assert at.known(a).increments == {"n": 5}
