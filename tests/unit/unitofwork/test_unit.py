"""What is new, changed and removed, what a commit freezes of it, and what a transaction gives back."""

from __future__ import annotations

from typing import Any

import pytest

from evsession.errors import InvalidDocument, KeyConflict
from evsession.unitofwork.changes import MISSING
from evsession.unitofwork.tracking import Kind, Staged, Tracked
from tests.unit.unitofwork.shelf import Desk, Note, Page, Refused, Shelf, Thing


def desk(**rows: dict[str, Any]) -> Desk:
    return Desk(Shelf(**rows))


class TestQueue:
    def test_new_changed_and_removed_go_in_one_batch_deletions_first(self) -> None:
        at = desk(a={"n": 1}, b={"n": 2}, c={"n": 3})
        a, b, _ = at.load("a"), at.load("b"), at.load("c")
        new = Thing("d", n=4)
        at.add(new)
        at.remove(b)
        a.n = 10
        assert at.kinds() == {a: "update", b: "delete", new: "insert"}
        saved = at.commit()
        assert at.shelf.sent == [[("delete", "b", {}), ("update", "a", {"n": 10}), ("insert", "d", {"n": 4})]]
        assert at.shelf.rows == {"a": {"n": 10}, "c": {"n": 3}, "d": {"n": 4}}
        assert saved == ["a", "d"]
        assert (saved.inserted, saved.updated, saved.removed, saved.rounds) == (["d"], ["a"], ["b"], 1)
        assert at.kinds() == {}

    def test_nothing_to_do_sends_nothing(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        a.n = 2
        a.n = 1
        saved = at.commit()
        assert (saved, saved.rounds, at.shelf.sent) == ([], 0, [])

    def test_adding_twice_is_adding_once(self) -> None:
        at = desk()
        one = Thing("a")
        at.add(one, one)
        at.add(one)
        assert at.commit() == ["a"]
        assert at.shelf.sent == [[("insert", "a", {})]]
        at.add(one)
        assert at.commit() == []

    def test_a_new_one_that_is_removed_only_leaves_the_queue(self) -> None:
        at = desk()
        one = Thing("a")
        at.add(one)
        at.remove(one)
        assert len(at.unit.map) == 0
        assert at.commit() == []
        at.add(one)
        assert at.commit() == ["a"]

    def test_added_after_its_removal_it_stays(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        at.remove(a)
        at.remove(a)
        at.add(a)
        assert at.kinds() == {}
        assert at.commit() == []
        at.remove(a)
        assert at.commit().removed == ["a"]
        at.add(a)
        assert at.commit().inserted == ["a"]

    def test_a_key_is_free_for_another_once_its_owner_is_removed(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        other = Thing("a", n=2)
        with pytest.raises(KeyConflict, match="'a'") as caught:
            at.add(other)
        assert caught.value.key == "a"
        at.remove(a)
        at.add(other)
        with pytest.raises(KeyConflict, match="'a'"):
            at.add(a)
        assert at.kinds() == {a: "delete", other: "insert"}
        assert at.commit() == ["a"]
        assert at.shelf.rows == {"a": {"n": 2}}
        assert at.unit.map.get("a") is at.known(other)
        assert at.unit.map.of(a) is None

    def test_what_cannot_be_stored_freezes_nothing(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        a.n, new = 2, Thing("b", n={1})
        at.add(new)
        with pytest.raises(InvalidDocument, match="n cannot be stored"):
            at.unit.freeze()
        assert at.known(a).writes == at.known(new).writes == 0
        assert at.unit._frozen == []
        new.n = 1
        assert at.commit() == ["a", "b"]

    def test_two_new_ones_may_not_claim_one_key(self) -> None:
        at = desk(taken={})
        at.load("taken")
        one, two = Thing(n=1), Thing(n=2)
        at.add(one, two)
        one.key, two.key = "a", "A"
        with pytest.raises(KeyConflict, match="'A'"):
            at.commit()
        assert at.known(one).key is at.known(two).key is None
        two.key = "taken"
        with pytest.raises(KeyConflict, match="'taken'"):
            at.commit()
        assert at.known(one).writes == 0
        two.key = None
        assert at.commit() == ["a", "made/2"]
        assert at.unit.map.get("MADE/2") is at.known(two)

    def test_a_new_one_may_claim_the_key_of_one_that_is_removed(self) -> None:
        at = desk(a={"n": 1})
        at.remove(at.load("a"))
        one = Thing(n=2)
        at.add(one)
        one.key = "a"
        assert at.commit() == ["a"]
        assert at.shelf.rows == {"a": {"n": 2}}


class TestCommitsInARow:
    def test_an_edit_after_the_call_waits_for_the_next_commit(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        a.n = 2
        with at.call() as commit:
            a.n = 3
            assert commit() == ["a"]
        assert at.shelf.rows == {"a": {"n": 2}}
        assert at.kinds() == {a: "update"}
        assert at.commit() == ["a"]
        assert at.shelf.rows == {"a": {"n": 3}}

    def test_the_second_of_two_sends_only_what_the_first_has_not(self) -> None:
        at = desk(a={"n": 1})
        a, new = at.load("a"), Thing("b", n=0)
        at.add(new)
        a.n = 2
        with at.call() as first, at.call() as second:
            new.n = 5
            with at.call() as third:
                assert first() == ["a", "b"]
                assert second() == []
                saved = third()
        assert (saved, saved.updated, saved.inserted) == (["b"], ["b"], [])
        assert at.shelf.sent[1:] == [[("update", "b", {"n": 5})]]

    def test_set_back_while_a_commit_is_under_way_it_is_sent_again(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        a.n = 2
        with at.call() as first:
            a.n = 1  # as it was loaded, but no longer as it will be
            with at.call() as second:
                first()
                assert second() == ["a"]
        assert at.shelf.rows == {"a": {"n": 1}}

    def test_when_the_first_fails_the_second_inserts(self) -> None:
        at = desk()
        new = Thing("b", n=0)
        at.add(new)
        with at.call() as first:
            new.n = 1
            with at.call() as second:
                at.shelf.refuses = True
                with pytest.raises(Refused):
                    first()
                at.shelf.refuses = False
                assert second().inserted == ["b"]
        assert at.shelf.rows == {"b": {"n": 1}}

    def test_a_removal_is_sent_although_it_was_taken_back_since_the_call(self) -> None:
        at = desk(a={"n": 1}, b={})
        a, b = at.load("a"), at.load("b")
        at.remove(a, b)
        with at.call() as commit:
            at.add(a)
            at.unit.forget(at.known(b))
            assert commit().removed == ["a"]
        assert at.shelf.rows == {"b": {}}
        assert at.kinds() == {a: "insert"}

    def test_added_again_while_it_is_deleted_it_is_new(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        at.remove(a)
        at.shelf.meanwhile = lambda: at.add(a)
        assert at.commit().removed == ["a"]
        assert at.kinds() == {a: "insert"}
        at.shelf.meanwhile = lambda: None
        assert at.commit().inserted == ["a"]

    def test_removed_while_it_is_inserted_it_is_deleted_next(self) -> None:
        at = desk()
        a = Thing("a")
        at.add(a)
        at.shelf.meanwhile = lambda: at.remove(a)
        assert at.commit().inserted == ["a"]
        assert at.kinds() == {a: "delete"}
        at.shelf.meanwhile = lambda: None
        assert at.commit().removed == ["a"]
        assert at.shelf.rows == {}

    def test_removed_while_its_insert_fails_it_only_leaves(self) -> None:
        at = desk()
        a = Thing("a")
        at.add(a)
        at.shelf.meanwhile, at.shelf.refuses = lambda: at.remove(a), True
        with pytest.raises(Refused):
            at.commit()
        assert at.kinds() == {}
        assert at.unit.map.of(a) is None

    def test_a_failed_commit_leaves_everything_pending(self) -> None:
        at = desk(a={"n": 1}, b={"n": 2})
        a, b, new = at.load("a"), at.load("b"), Thing("c", n=3)
        a.n = 5
        at.remove(b)
        at.add(new)
        before = at.kinds()
        at.shelf.refuses = True
        for _ in range(2):
            with pytest.raises(Refused):
                at.commit()
            assert at.kinds() == before
            assert at.known(new).snapshot is None
        at.shelf.refuses = False
        assert at.commit() == ["a", "c"]
        assert at.shelf.rows == {"a": {"n": 5}, "c": {"n": 3}}


class TestWithoutDetection:
    def test_what_is_known_is_written_whether_it_changed_or_not(self) -> None:
        at = Desk(Shelf(a={"n": 1}), detects=False)
        a = at.load("a")
        assert at.kinds() == {a: "update"}
        assert at.commit() == ["a"]
        assert at.shelf.sent == [[("update", "a", {"n": 1})]]


class TestChanges:
    def test_of_one_that_changed_is_new_or_is_removed(self) -> None:
        at = desk(a={"n": 1, "gone": [1], "same": {"x": 1}})
        a, new = at.load("a"), Thing("b", n=1)
        at.add(new)
        a.n, a.more = 2, None
        del a.gone
        assert at.unit.changes(at.known(a)) == {"n": (1, 2), "more": (MISSING, None), "gone": ([1], MISSING)}
        assert at.unit.changes(at.known(new)) == {"n": (MISSING, 1)}
        at.remove(a)
        assert at.unit.changes(at.known(a)) == {}


class TestIncrements:
    def test_what_the_server_makes_of_it_is_taken_over(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        at.shelf.rows["a"]["n"] = 11  # somebody else has added 10
        at.increment(a, "n", 2)
        at.increment(a, "n", 3)
        assert a.n == 6
        assert at.kinds() == {a: "update"}
        assert at.commit() == ["a"]
        assert at.shelf.sent == [[("update", "a", {"n": "+5"})]]
        assert a.n == at.shelf.rows["a"]["n"] == 16
        assert at.kinds() == {}
        assert at.commit() == []

    def test_after_a_failure_it_is_pending_again_beside_what_came_meanwhile(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        at.increment(a, "n", 2)
        at.shelf.meanwhile, at.shelf.refuses = lambda: at.increment(a, "n", 5), True
        with pytest.raises(Refused):
            at.commit()
        at.shelf.meanwhile, at.shelf.refuses = lambda: None, False
        assert at.known(a).increments == {"n": 7}
        assert a.n == 8
        assert at.commit() == ["a"]
        assert at.shelf.rows == {"a": {"n": 8}}

    def test_those_of_a_commit_that_is_cut_off_are_not_for_one_that_was_called_before(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        a.name = "Max"
        with at.call() as first:
            at.increment(a, "n", 1)
            with at.call():
                pass
            assert at.known(a).increments == {"n": 1}
            first()
            assert at.shelf.rows == {"a": {"n": 1, "name": "Max"}}
        assert at.commit() == ["a"]
        assert at.shelf.rows == {"a": {"n": 2, "name": "Max"}}
        assert at.commit() == []

    def test_those_of_a_transaction_that_is_rolled_back_are_for_a_commit_that_was_called_already(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        at.begin()
        at.increment(a, "n", 1)
        at.flush()
        at.shelf.rows["a"]["n"] = 101
        a.name = "Max"
        with at.call() as waiting:
            at.unit.roll_back()
            assert waiting() == ["a"]
        assert at.shelf.rows == {"a": {"n": 102, "name": "Max"}}
        assert at.commit() == []

    def test_one_that_changes_nothing_in_sum_is_sent_still(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        at.increment(a, "n", 1)
        at.increment(a, "n", -1)
        at.shelf.rows["a"]["n"] = 7
        assert at.commit() == ["a"]
        assert a.n == 7

    def test_an_edit_meanwhile_counts_from_the_servers_value(self) -> None:
        at = desk(a={"n": 1, "m": 0})
        a = at.load("a")
        at.increment(a, "n", 1)
        at.shelf.rows["a"]["n"] = 101

        def meanwhile() -> None:
            a.n += 1000

        at.shelf.meanwhile = meanwhile
        assert at.commit() == ["a"]
        assert a.n == 1102
        assert at.known(a).snapshot == Page(b'{"m": 0, "n": 102}')
        assert at.kinds() == {a: "update"}

    def test_a_commit_that_was_called_meanwhile_counts_from_the_servers_value(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1})
        a, b = at.load("a"), at.load("b")
        at.increment(a, "n", 1)
        at.shelf.rows["a"]["n"] = 101
        with at.call() as first:
            at.increment(a, "n", 5)
            b.n = 2
            with at.call() as second:
                a.n = "text"
                with at.call() as third:
                    first()
                    assert a.n == "text"
                    second()
                    assert at.shelf.rows == {"a": {"n": 107}, "b": {"n": 2}}
                    assert third() == ["a"]
        assert at.shelf.rows["a"] == {"n": "text"}
        assert at.kinds() == {}

    def test_what_is_no_number_any_more_is_left_alone(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        known = at.known(a)
        sent = Staged(known, Kind.UPDATE, b'{"n": 2}', increments={"n": 1})
        at.unit.settle_increments(sent, {"n": "text"}, setattr)
        assert a.n == 1
        assert sent.content == b'{"n": 2}'
        assert sent.increments is None
        unknown = Staged(known, Kind.UPDATE, b"{}", increments={"n": 1})
        at.unit.settle_increments(unknown, {"n": 5}, setattr)
        assert (a.n, unknown.content) == (1, b"{}")
        truth = Staged(known, Kind.UPDATE, b'{"n": true}', increments={"n": 1})
        at.unit.settle_increments(truth, {"n": 5}, setattr)
        assert a.n == 1
        nothing = Staged(known, Kind.UPDATE, b'{"n": 2}')
        at.unit.settle_increments(nothing, {"n": 5}, setattr)
        assert (a.n, nothing.content) == (1, b'{"n": 2}')


class TestTransaction:
    def test_what_was_flushed_is_written_at_the_end_as_it_was_flushed(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1})
        a, b, new = at.load("a"), at.load("b"), Thing("c", n=1)
        at.begin()
        a.n = 2
        at.add(new)
        at.remove(b)
        assert at.flush() == ["a", "c"]
        assert at.shelf.sent == []
        assert at.kinds() == {}
        a.n = 3
        assert at.flush() == ["a"]
        new.n = 2
        saved = at.commit()
        assert saved == ["a", "c"]
        assert (saved.inserted, saved.updated, saved.removed) == (["c"], ["a"], ["b"])
        assert at.shelf.sent == [[("delete", "b", {}), ("update", "a", {"n": 3}), ("insert", "c", {"n": 2})]]
        assert at.unit.journal is None

    def test_a_rollback_makes_all_of_it_pending_again(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1}, c={"n": 1})
        a, b, c, new = at.load("a"), at.load("b"), at.load("c"), Thing("d", n=1)
        at.begin()
        a.n = 2
        at.add(new)
        at.remove(b)
        at.increment(c, "n", 4)
        before = at.kinds()
        at.flush()
        at.increment(c, "n", 5)
        at.flush()
        a.n = 3
        at.unit.roll_back()
        assert at.unit.journal is None
        assert (a.n, c.n) == (3, 10)
        assert at.kinds() == before
        at.commit()
        assert at.shelf.rows == {"a": {"n": 3}, "c": {"n": 10}, "d": {"n": 1}}
        at.unit.roll_back()
        assert at.kinds() == {}

    def test_increments_of_flushes_add_up(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1})
        a, b = at.load("a"), at.load("b")
        at.shelf.rows["a"]["n"] = 100
        at.begin()
        at.increment(a, "n", 1)
        at.increment(b, "n", 1)
        at.flush()
        at.increment(a, "n", 2)
        at.flush()
        at.increment(a, "n", 4)
        at.commit()
        assert at.shelf.rows == {"a": {"n": 107}, "b": {"n": 2}}
        assert (a.n, b.n) == (107, 2)
        assert at.kinds() == {}

    def test_one_that_is_as_it_was_before_the_transaction_is_not_sent(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        at.begin()
        a.n = 2
        at.flush()
        a.n = 1
        assert at.kinds() == {a: "update"}
        at.commit()
        assert at.shelf.sent == []
        assert at.kinds() == {}

    def test_inserted_and_removed_in_one_transaction_it_was_never_there(self) -> None:
        at = desk()
        new = Thing("a")
        at.begin()
        at.add(new)
        at.flush()
        at.remove(new)
        saved = at.commit()
        assert at.shelf.sent == []
        assert saved.removed == []
        assert at.unit.map.of(new) is None
        assert at.commit().removed == []
        at.add(new)
        assert at.commit().inserted == ["a"]

    def test_its_removal_flushed_too_it_was_never_there(self) -> None:
        at = desk()
        new = Thing("a")
        at.begin()
        at.add(new)
        at.flush()
        at.remove(new)
        at.flush()
        assert at.commit().removed == []
        assert at.shelf.sent == []
        assert at.unit.map.of(new) is None
        at.add(new)
        assert at.commit().inserted == ["a"]

    def test_inserted_removed_and_rolled_back_it_is_gone(self) -> None:
        at = desk()
        new = Thing("a")
        at.begin()
        at.add(new)
        at.flush()
        at.remove(new)
        at.unit.roll_back()
        assert at.kinds() == {}
        assert at.unit.map.of(new) is None

    def test_a_flushed_removal_can_be_taken_back(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        at.begin()
        at.remove(a)
        at.flush()
        assert at.kinds() == {}
        at.add(a)
        a.n = 2
        at.commit()
        assert at.shelf.sent == [[("update", "a", {"n": 2})]]

    def test_a_flushed_removal_of_an_edited_one_is_a_removal(self) -> None:
        at = desk(a={"n": 1})
        a = at.load("a")
        at.begin()
        a.n = 2
        at.flush()
        at.remove(a)
        at.flush()
        at.commit()
        assert at.shelf.sent == [[("delete", "a", {})]]
        assert at.shelf.rows == {}

    def test_who_is_forgotten_is_not_written(self) -> None:
        at = desk(a={"n": 1}, b={"n": 1})
        a, b = at.load("a"), at.load("b")
        at.begin()
        at.unit.forget(at.known(at.load("b")))  # with nothing staged
        b = at.load("b")
        a.n = b.n = 2
        at.flush()
        at.unit.forget(at.known(a))
        assert at.commit() == ["b"]
        assert at.shelf.rows == {"a": {"n": 1}, "b": {"n": 2}}

    def test_clear_forgets_what_was_staged_and_leaves_the_transaction_open(self) -> None:
        at = desk(a={"n": 1})
        at.unit.clear()
        a = at.load("a")
        at.begin()
        a.n = 2
        at.flush()
        at.unit.clear()
        assert at.unit.journal == {}
        assert at.commit() == []
        assert at.shelf.rows == {"a": {"n": 1}}
        assert len(at.unit.map) == 0

    def test_one_that_has_no_key_yet_is_not_listed_by_a_flush(self) -> None:
        at = desk()
        new = Thing(n=1)
        at.begin()
        at.add(new)
        assert at.flush() == []
        assert at.commit() == ["made/0"]

    def test_a_failed_end_leaves_the_transaction_open_and_staged(self) -> None:
        at = desk(a={"n": 1})
        a, new = at.load("a"), Thing("b")
        at.begin()
        a.n = 2
        at.flush()
        at.add(new)
        at.shelf.refuses = True
        with pytest.raises(Refused):
            at.commit()
        assert at.unit.journal is not None
        assert len(at.unit.journal) == 1
        assert at.kinds() == {new: "insert"}
        at.shelf.refuses = False
        assert at.commit() == ["a", "b"]

    def test_a_removal_in_the_same_transaction_frees_the_key(self) -> None:
        at = desk(a={"n": 1})
        a, other = at.load("a"), Note("a", n=2)
        at.begin()
        at.remove(a)
        at.flush()
        at.add(other)
        at.flush()
        at.commit()
        assert at.shelf.sent == [[("delete", "a", {}), ("insert", "a", {"n": 2})]]


def test_what_is_known_of_one_says_in_which_state_it_is() -> None:
    known = Tracked[Page](Thing("a"), "a", "7", None, {})
    assert repr(known) == "<Tracked 'a' new>"
    known.snapshot = Page(b"{}")
    assert repr(known) == "<Tracked 'a' version 7>"
    known.is_removed = True
    assert repr(known) == "<Tracked 'a' version 7, removed>"
    known.is_reference = True
    assert repr(known) == "<Tracked 'a' reference, removed>"


def test_of_those_under_one_key_only_what_a_lost_write_deleted_is_forgotten() -> None:
    at = desk(a={"n": 1})
    old, new = at.load("a"), Thing("a", n=2)
    at.remove(old)
    at.add(new)
    former, heir = at.unit.map.of(old), at.unit.map.of(new)
    assert former is not None
    assert heir is not None
    at.unit.forget_former(heir)
    assert at.unit.map.of(old) is former
    former.unsure = b""
    at.unit.forget_former(heir)
    assert at.unit.map.of(old) is None
