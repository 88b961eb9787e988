"""Random programs with hooks that edit, add, remove and veto: what is vetoed is not done, and the rest is done soon, once.

A failure names its seed. Nothing overlaps in these programs; those in which it does are beside the sessions' own tests.
"""

from __future__ import annotations

import copy
import dataclasses
from abc import abstractmethod
from random import Random
from typing import Any

import pytest
import trio
import trio.testing

import evsession
from evsession import CommitEvent, SessionError
from evsession.testing.scripted import ScriptedTransport
from tests.unit.session.documents.tiny import TinyRaven
from tests.unit.session.graphs.memory import LABEL, MemoryGraph
from tests.unit.unitofwork.machine import Faulty

PRE = ["insert.pre", "update.pre", "delete.pre"]
EVENTS = [*PRE, "commit.pre", "insert.post", "update.post", "delete.post", "commit.post"]
SEEDS = 400
AT_ONCE = 40

Dog = evsession.DocumentType("Dog")


@evsession.node("E")
@dataclasses.dataclass(eq=False)
class Thing:
    id: str
    value: int = 0
    n: int = 0


class Program:
    """A program of one session, drawn by its seed.

    Attributes:
        ids: The ids of what there is at first.
        session: The session.
        entities: What the program has loaded or made.
        spared: The ids of those whose deletion hooks have vetoed in the commit that is under way.
        unwanted: The ids of those that hooks have removed in it.
    """

    ids: list[str]
    session: Any

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.count = 0
        self.entities: list[Any] = []
        self.spared: set[str] = set()
        self.unwanted: set[str] = set()

    @abstractmethod
    async def run(self) -> None:
        """Open a session and play."""

    @abstractmethod
    def make(self) -> Any:
        """Add a new entity."""

    @abstractmethod
    def fail(self, *, fails: bool) -> None:
        """Let the next commit reach nobody, or not."""

    @abstractmethod
    def rows(self) -> dict[str, Any]:
        """Return what the server has."""

    @abstractmethod
    def fields(self, entity: Any) -> dict[str, Any]:
        """Return what the server should have of it."""

    async def play(self) -> None:
        for _ in range(3):
            for _ in range(self.random.randint(1, 4)):
                self.act()
            await self.commit_with_hooks()
            self.check_what_is_believed()
            if self.random.random() < 0.6:
                await self.commit_the_rest()

    def act(self, *, is_hook: bool = False) -> None:
        """Do something with some entity, if that can be done."""
        session, entity = self.session, self.random.choice(self.entities)
        what = self.random.choice(["edit", "edit", "increment", "remove", "add", "make"])
        self.count += 1
        known = session._unit.map.of(entity)
        if what == "make":
            self.entities.append(self.make())
        elif known is None:
            return  # it was deleted, or vetoed
        elif what == "edit":
            entity.value = self.count
        elif what == "increment" and not known.is_removed:
            session.increment(entity, "n")
        elif what == "remove":
            session.remove(entity)
            if is_hook:
                self.unwanted.add(entity.id)
        elif what == "add" and not known.is_reference and self.has_its_key(entity):
            session.add(entity)

    def has_its_key(self, entity: Any) -> bool:
        """Return whether no other entity has been added under its key."""
        known = self.session._unit.map.of(entity)
        return known is not None and self.session._unit.map.get(known.key) is known

    async def commit_with_hooks(self) -> None:
        random, session = self.random, self.session
        guarded = {one for one in self.ids if random.random() < 0.4}
        guards = random.choice([PRE, PRE, ["delete.pre"], ["update.pre"], ["update.pre", "delete.pre"]])
        acts = random.randint(0, 6)
        self.spared.clear()
        self.unwanted.clear()

        def hook(event: CommitEvent) -> None:
            nonlocal acts
            for entity in event.entities if event.name in guards else ():
                if entity.id in guarded and self.has_its_key(entity):
                    event.prevent(entity)
                    if event.name == "delete.pre":
                        self.spared.add(entity.id)
            if acts and random.random() < 0.5:
                acts -= 1
                self.act(is_hook=True)

        for event in EVENTS:
            session.on(event, hook)
        self.fail(fails=random.random() < 0.25)
        before = copy.deepcopy(self.rows())
        try:
            await session.commit()
        except SessionError as error:
            assert not error.uncertain
            assert self.rows() == before
        else:
            self.check_what_was_spared(before)
        self.fail(fails=False)
        for event in EVENTS:
            session.off(event)

    def check_what_was_spared(self, before: dict[str, Any]) -> None:
        removed = {known.entity.id for known in self.session._unit.map if known.is_removed and self.has_its_key(known.entity)}
        for one in self.spared - self.unwanted:
            assert one in self.rows() or one not in before
            assert one not in removed

    def check_what_is_believed(self) -> None:
        session = self.session
        pending = {id(change.entity) for change in session.changes()}
        for known in list(session._unit.map):
            assert known.writes == 0
            assert session.is_dirty(known.entity) is (id(known.entity) in pending)
            if id(known.entity) not in pending and not known.is_reference:
                assert self.rows()[known.entity.id] == self.fields(known.entity)

    async def commit_the_rest(self) -> None:
        """Without hooks all is done that was asked for, and what was done already is not done again."""
        session = self.session
        expected = {
            known.entity.id: None if known.is_removed else self.fields(known.entity)
            for known in session._unit.map
            if self.has_its_key(known.entity) and (known.is_removed or not known.is_reference)
        }
        await session.commit()
        assert session.changes() == []
        assert {one: self.rows().get(one) for one in expected} == expected


class OnDocuments(Program):
    ids = ["dogs/a", "dogs/b", "dogs/c", "dogs/d"]

    async def run(self) -> None:
        evsession.document(Dog, collection="Dogs")  # other tests declare classes for the same collection
        self.tiny = TinyRaven({one: {"n": 0, "value": 0} for one in self.ids})
        self.wire = Faulty(ScriptedTransport(repeat=self.tiny))
        async with evsession.Store(transport=self.wire, database="db") as store, store.open_session() as session:
            self.session = session
            self.entities += [await session.load(one) for one in self.ids[:3]]
            self.entities.append(session.get_reference(Dog, self.ids[3]))
            await self.play()

    def make(self) -> Any:
        entity = Dog(value=self.count)
        self.session.store(entity, key=f"dogs/new{self.count}")
        return entity

    def fail(self, *, fails: bool) -> None:
        self.wire.fault = "refused" if fails else ""

    def rows(self) -> dict[str, Any]:
        return self.tiny.rows

    def fields(self, entity: Any) -> dict[str, Any]:
        return dict(entity)


class OnNodes(Program):
    ids = ["a", "b", "c", "d"]

    async def run(self) -> None:
        self.server = MemoryGraph(self.random, pauses=(0.0,))
        for one in self.ids:
            self.server.put("E", id=one, value=0, n=0)
        async with evsession.GraphStore(transport=self.server) as graph, graph.open_session() as session:
            self.session = session
            self.entities += [await session.load(Thing, one) for one in self.ids[:3]]
            self.entities.append(session.get_reference(Thing, self.ids[3]))
            await self.play()

    def make(self) -> Any:
        entity = Thing(f"new{self.count}", value=self.count)
        self.session.add(entity)
        return entity

    def fail(self, *, fails: bool) -> None:
        self.server.loses = "/tx" if fails else None

    def rows(self) -> dict[str, Any]:
        return {node["id"]: {name: value for name, value in node.items() if name != LABEL} for node in self.server.nodes.values()}

    def fields(self, entity: Any) -> dict[str, Any]:
        return dataclasses.asdict(entity)


@pytest.mark.parametrize("kind", [OnDocuments, OnNodes])
@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_vetoes_last_and_the_rest_is_done(first: int, kind: type[Program], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
    for seed in range(first, first + AT_ONCE):
        trio._core._run._r.seed(seed)
        try:
            trio.run(kind(seed).run, clock=trio.testing.MockClock(autojump_threshold=0))
        except Exception as error:
            raise AssertionError(f"program {seed} goes wrong") from error
