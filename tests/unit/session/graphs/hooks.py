"""Hooks of random programs: what they do in commits, and what has to become of it."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import TYPE_CHECKING, Any

import trio

import evsession
from tests.unit.session.graphs.memory import CALL
from tests.unit.session.graphs.programs import Program

if TYPE_CHECKING:
    from tests.unit.session.graphs.runs import Run

MOST = 6
"""Entities that hooks add in one program: each may make one more."""


class Boom(Exception):
    """What works and hooks raise."""


@dataclasses.dataclass
class Deed:
    """What a hook has done.

    Attributes:
        call: The number of the call whose commit has called it.
        what: ``"add"``, ``"remove"`` or ``"increment"``.
        entity: To which entity.
    """

    call: int
    what: str
    entity: Any


class Hooks:
    """The hooks of one program.

    Attributes:
        deeds: What they have done that stands if the commit does, and is taken back with it.
    """

    def __init__(self, run: Run, program: Program) -> None:
        self.deeds: list[Deed] = []
        self._run = run
        self._random = Random(program.seed)
        self._pace = program.pace
        self._is_on = True
        for event, deed in program.hooks:
            self._listen(event, deed)

    def stop(self) -> None:
        """Do nothing any more."""
        self._is_on = False

    def _listen(self, event: str, deed: str) -> None:
        @self._run.session.on(event)
        async def hook(event: evsession.CommitEvent) -> None:
            if self._is_on and (deed == "pause" or self._random.random() < 0.5):
                self._run.note(f"call {CALL.get()}: the hook of {event} is to {deed}")
                if deed == "pause":
                    await trio.sleep(0.05 * self._pace)
                elif deed == "read":
                    await self._run.session.run("RETURN 1")
                elif deed == "raise":
                    raise Boom
                else:
                    self._meddle(event, deed)

    def _meddle(self, event: evsession.CommitEvent, deed: str) -> None:
        run, random = self._run, self._random
        session = run.session
        entities: list[Any] = [one for one in event.entities if run.wanted.get(one.id) is one]
        kept: list[Any] = [known.entity for known in session._unit.map if not known.is_removed]
        if deed == "add":
            if sum(one.what == "add" for one in self.deeds) < MOST:
                entity = run.make("h")
                session.add(entity)
                self._note("add", entity)
                if random.random() < 0.5:
                    run.share(entity)
        elif deed == "remove":
            known = [one for one in kept if one.id[0] in "he"]
            if known:
                entity = random.choice(known)
                session.remove(entity)
                self._note("remove", entity)
                if entity.id[0] == "e":
                    run.free.add(entity.id)  # the program may add it again
        elif not entities:
            return
        elif deed == "edit" and (run.tracks or event.name.endswith(".pre")):
            entity = random.choice(entities)
            entity.v = run.values[id(entity)] = run.number()
            if not run.tracks:
                run.free.add(entity.id)  # a commit that waits has it as it was
        elif deed == "increment":
            entity = random.choice(entities)
            if any(entity is one for one in kept):
                session.increment(entity, "n", 1)
                self._note("increment", entity)
        elif deed == "prevent" and event.name.endswith(".pre"):
            entity = random.choice(entities)
            event.prevent(entity)
            run.free.add(entity.id)

    def has_counted(self, entity: Any) -> bool:
        """Return whether a hook has incremented the entity."""
        return any(deed.what == "increment" and deed.entity is entity for deed in self.deeds)

    def _note(self, what: str, entity: Any) -> None:
        self._run.note(f"call {CALL.get()}: a hook is to {what} {entity!r}")
        self.deeds.append(Deed(CALL.get(), what, entity))

    def settle(self) -> None:
        """Let the program want what hooks have done in commits that stand, and nothing of what they have done in others."""
        run = self._run
        for deed in self.deeds:
            told, entity = run.told[deed.call - 1], deed.entity
            if told.verb != "commit" or not (told.outcome == "ok" or told.is_sure):
                run.free.add(entity.id)
                if not (told.outcome == "ok" or told.is_sure):
                    run.forgotten.add(entity.id)  # it was taken back, and may be there
                continue
            is_done = told.outcome == "ok"
            if deed.what == "increment" and not run.tracks:
                run.free.add(entity.id)  # a commit that waits may have it as it was
            elif deed.what == "increment":
                run.sums[id(entity)] = run.sums.get(id(entity), 0) + is_done
            elif deed.what == "add":
                run.wanted[entity.id] = entity if is_done else None
            elif is_done:
                run.wanted[entity.id] = None
