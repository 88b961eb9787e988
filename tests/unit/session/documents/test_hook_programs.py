"""Random programs with hooks that edit, add, remove and veto: what is vetoed is not done, and the rest is done soon.

A failure names its seed. Nothing waits in these programs, so no two of their commits overlap; those that do are in
`test_overlapping_programs`.
"""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest
import trio

import evsession
from evsession import CommitEvent, SessionError
from evsession.testing.scripted import ScriptedTransport
from tests.unit.session.documents.tiny import TinyRaven
from tests.unit.unitofwork.machine import Faulty

Dog = evsession.DocumentType("Dog")

KEYS = ["dogs/a", "dogs/b", "dogs/c", "dogs/d"]
PRE = ["insert.pre", "update.pre", "delete.pre"]
EVENTS = [*PRE, "commit.pre", "insert.post", "update.post", "delete.post", "commit.post"]
SEEDS = 400
AT_ONCE = 40


class Program:
    """A program of one session, drawn by its seed.

    Attributes:
        spared: The keys of documents whose deletion hooks have vetoed in the commit that is under way.
        unwanted: The keys of those that hooks have removed in it.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.tiny = TinyRaven({key: {"n": 0, "name": key} for key in KEYS})
        self.wire = Faulty(ScriptedTransport(repeat=self.tiny))
        self.count = 0
        self.spared: set[str] = set()
        self.unwanted: set[str] = set()

    async def run(self) -> None:
        evsession.document(Dog, collection="Dogs")  # other tests declare classes for the same collection
        async with evsession.Store(transport=self.wire, database="db") as store, store.open_session() as self.session:
            self.entities: list[Any] = [await self.session.load(key) for key in KEYS[:3]]
            self.entities.append(self.session.get_reference(Dog, KEYS[3]))
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
        known = session._workspace.of(entity)
        if what == "make":
            self.entities.append(Dog(value=self.count))
            session.store(self.entities[-1], key=f"dogs/new{self.count}")
        elif known is None:
            return  # it was deleted, or vetoed
        elif what == "edit":
            entity["value"] = self.count
        elif what == "increment" and not known.is_removed:
            session.increment(entity, "n")
        elif what == "remove":
            session.remove(entity)
            if is_hook:
                self.unwanted.add(entity.id)
        elif what == "add" and session.identity_map.get(entity.id) is entity:
            session.add(entity)

    async def commit_with_hooks(self) -> None:
        random, session = self.random, self.session
        guarded = {key for key in KEYS if random.random() < 0.4}
        guards = random.choice([PRE, PRE, ["delete.pre"], ["update.pre"], ["update.pre", "delete.pre"]])
        acts = random.randint(0, 6)
        self.spared.clear()
        self.unwanted.clear()

        def hook(event: CommitEvent) -> None:
            nonlocal acts
            for entity in event.entities if event.name in guards else ():
                if entity.id in guarded and session.identity_map.get(entity.id) is entity:
                    event.prevent(entity)
                    if event.name == "delete.pre":
                        self.spared.add(entity.id)
            if acts and random.random() < 0.5:
                acts -= 1
                self.act(is_hook=True)

        for event in EVENTS:
            session.on(event, hook)
        self.wire.fault = random.choice(["", "", "", "refused"])
        before, batches = copy.deepcopy(self.tiny.rows), self.wire.batches
        try:
            await session.commit()
        except SessionError:
            assert self.tiny.rows == before or self.wire.batches > batches + 1  # a hook of an earlier batch has made new work
        else:
            self.check_what_was_spared(before)
        self.wire.fault = ""
        for event in EVENTS:
            session.off(event)

    def check_what_was_spared(self, before: dict[str, Any]) -> None:
        for key in self.spared - self.unwanted:
            assert key in self.tiny.rows or key not in before
            known = self.session._unit.map.get(key)
            assert known is None or not known.is_removed

    def check_what_is_believed(self) -> None:
        session = self.session
        pending = {id(change.entity) for change in session.changes()}
        for known in list(session._unit.map):
            assert known.writes == 0
            assert session.is_dirty(known.entity) is (id(known.entity) in pending)
            if id(known.entity) not in pending and not known.is_reference:
                assert self.tiny.rows[str(known.key)] == dict(known.entity)

    async def commit_the_rest(self) -> None:
        """Without hooks all is done that was asked for."""
        session = self.session
        expected = {
            str(known.key): None if known.is_removed else dict(known.entity)
            for known in session._unit.map
            if known.is_removed or not known.is_reference
        }
        await session.commit()
        assert session.changes() == []
        for key, fields in expected.items():
            assert self.tiny.rows.get(key) == fields


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_vetoes_last_and_the_rest_is_done(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        try:
            trio.run(Program(seed).run)
        except Exception as error:
            raise AssertionError(f"program {seed} goes wrong") from error
