"""What a session without an identity map keeps of what it read: as long as the program holds it, and no longer."""

from __future__ import annotations

import gc
from typing import Any

from evsession.unitofwork.acquaintances import Acquaintances
from evsession.unitofwork.tracking import Tracked
from tests.unit.unitofwork.shelf import Page, Thing


class Slotted:
    __slots__ = ("a",)


def tracked(entity: Any, key: str = "things/1") -> Tracked[Page]:
    return Tracked(entity, key, "v1", Page(b"{}"), {"fact": 1})


def test_one_is_known_again_once() -> None:
    met = Acquaintances[Page]()
    thing = Thing("things/1")
    met.meet(tracked(thing))
    known = met.take(thing)
    assert known is not None
    assert known.entity is thing
    assert (known.key, known.version, known.snapshot, known.facts) == ("things/1", "v1", Page(b"{}"), {"fact": 1})
    assert met.take(thing) is None
    assert met.take(Thing()) is None


def test_nobody_is_kept_alive_and_the_place_is_free_again() -> None:
    met = Acquaintances[Page]()
    thing = Thing("things/1")
    met.meet(tracked(thing))
    assert len(met._met) == 1
    del thing
    gc.collect()
    assert met._met == {}


def test_the_place_in_memory_of_another_is_no_acquaintance() -> None:
    met = Acquaintances[Page]()
    first, second = Thing("things/1"), Thing("things/2")
    met.meet(tracked(first))
    met._met[id(second)] = met._met[id(first)]  # as when a weak reference's callback has not run yet
    assert met.take(second) is None
    assert met.take(first) is not None


def test_one_that_allows_no_weak_reference_is_not_kept() -> None:
    met = Acquaintances[Page]()
    thing = Slotted()
    met.meet(tracked(thing))
    assert met.take(thing) is None


def test_the_end_of_the_session_comes_before_that_of_the_entity() -> None:
    met = Acquaintances[Page]()
    thing = Thing("things/1")
    met.meet(tracked(thing))
    del met
    gc.collect()
    del thing
    gc.collect()  # the callback must find nothing to complain about; a warning would fail the test
