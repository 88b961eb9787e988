"""Random programs on one graph session under way: each step is done, and what was told of it is remembered."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import trio

import evsession
from evsession.standins import is_reference
from tests.unit.session.graphs.checks import check, settle
from tests.unit.session.graphs.hooks import Boom, Hooks
from tests.unit.session.graphs.memory import CALL
from tests.unit.session.graphs.programs import Program, Step, Told

SEEDS = ("s0", "s1", "s2")
"""The keys of nodes that are there from the beginning, with 0 in ``v`` and ``n``."""

ROWS = 40
EDITS = ("add", "add again", "edit", "remove", "replace", "increment", "evict", "revert", "refer")
MANAGED = ("write_transaction", "read_transaction")
WAITS = ("pause", "block", "rows")


class Run:
    """A program under way on a session.

    Args:
        session: The session.
        node: The class of its entities, with ``id``, ``v`` and ``n``.
        statement: Creates a node, given its ``id``.
        note: Takes note of what happens.

    Attributes:
        told: What was told of each call.
        transactions: Those that the program has met.
        entities: Those that it changes.
        wanted: Which entity each key is to have in the end.
        values: What is to be in ``v`` of each, by place in memory.
        sums: What is to be in ``n``.
        forgotten: Keys of which the session need not know anything.
        free: Keys of which only the session knows what is wanted.
        kept: All entities, so that no other one takes the place of any.
    """

    def __init__(self, session: evsession.GraphSession, node: Any, statement: str, note: Callable[[str], object]) -> None:
        self.session = session
        self.note = note
        self.told: list[Told] = []
        self.transactions: list[Any] = []
        self.entities: list[Any] = []
        self.wanted: dict[str, Any] = {}
        self.sums: dict[int, int] = {}
        self.values: dict[int, int] = {}
        self.forgotten: set[str] = set()
        self.free: set[str] = set()
        self.kept: list[Any] = []
        self.tracks = session.with_identity_map
        self._node = node
        self._statement = statement
        self._numbers = count(1)
        self._hooks: Hooks
        self._nursery: trio.Nursery

    def number(self) -> int:
        """Return one that no other thing has."""
        return next(self._numbers)

    def make(self, kind: str) -> Any:
        """Return a new entity."""
        return self._make(f"{kind}{self.number()}")

    def _make(self, key: str) -> Any:
        entity = self._node(id=key, v=self.number(), n=0)
        self.kept.append(entity)
        self.values[id(entity)] = entity.v
        return entity

    async def play(self, program: Program) -> None:
        """Run the tasks side by side, and wait until all is done."""
        self.session.options.cache = program.cache
        self._hooks = Hooks(self, program)
        async with trio.open_nursery() as self._nursery:
            async with trio.open_nursery() as nursery:
                for steps in program.tasks:
                    nursery.start_soon(self._task, steps)
            await self.session.drain()
        for told in self.told:
            if told.verb == "close" and told.operation is not None:
                with suppress(evsession.SessionError):
                    await told.operation

    async def _task(self, steps: list[Step]) -> None:
        for step in steps:
            with suppress(evsession.SessionError, Boom):  # of what has no operation
                await self.do(step, self.session)

    async def do(self, step: Step, place: Any) -> None:
        """Do a step."""
        if step.verb in ("commit", "flush", "remove", "replace", "transaction", "block", "get_transaction", "write_transaction"):
            await self._find_out()
        if step.verb == "pause":
            await trio.sleep(step.delay)
        elif step.verb == "block":
            await self._block(step)
        elif step.verb == "rows":
            await self._read_rows(step)
        else:
            await self._act(step, place)

    def do_now(self, step: Step, place: Any) -> Any:
        """Do a step without waiting, as a plain function does, and return its operation."""
        if step.verb in WAITS:
            return None
        acting = self._act(dataclasses.replace(step, way="cancel" if step.way == "cancel" else "callback"), place)
        before = len(self.told)
        with suppress(StopIteration):
            acting.send(None)
            raise AssertionError(f"{step} has waited")
        return self.told[before].operation if len(self.told) > before else None

    async def _act(self, step: Step, place: Any) -> None:
        verb = step.verb
        if verb in EDITS:
            self._edit(step)
        elif verb.startswith("tx."):
            if isinstance(place, evsession.GraphTransaction) and step.target < 4:
                await self._call(step, self._of(verb, place), place)
            elif self.transactions:
                tx = self.transactions[-1 - step.target % len(self.transactions)]
                await self._call(step, self._of(verb, tx), tx)
        elif verb == "use":
            self._meet(self.session.use_transaction())
        elif verb in ("refresh", "hydrate", "save", "delete"):
            if self.entities:
                await self._call_with_entity(step, place)
        else:
            await self._call(step, self._of_session(step))

    async def _find_out(self) -> None:
        """Do as the manual says after a commit whose outcome is unknown."""
        unsure = [entity for entity in self.session.identity_map if self.session._nodes.of(entity).unsure is not None]
        for entity in unsure:
            with trio.move_on_after(9), suppress(evsession.SessionError):
                await self.session.refresh(entity)

    def _meet(self, tx: Any) -> None:
        if all(tx is not one for one in self.transactions):
            self.transactions.append(tx)

    def _entity(self, step: Step) -> Any:
        # What is known, so that all tasks change the same few.
        return self.entities[-1 - step.target % len(self.entities)]

    def _edit(self, step: Step) -> None:
        session, verb = self.session, step.verb
        if verb == "refer":
            self._refer(SEEDS[step.target % len(SEEDS)])
            return
        if verb == "add" or not self.entities:
            entity = self.make("e")
            self.entities.append(entity)
            self.wanted[entity.id] = entity
            session.add(entity)
            self.note(f"add {entity}")
            return
        entity = self._entity(step)
        self.note(f"{verb} {entity}")
        is_wanted = self.wanted[entity.id] is entity
        if not self.tracks and is_wanted and not is_reference(entity):
            session.add(entity)  # what was written before is not remembered
        if verb == "edit":
            if is_wanted and not self.tracks and entity not in session.identity_map:
                return
            entity.v = self.values[id(entity)] = self.number()
        elif verb == "add again":
            if self.wanted[entity.id] in (None, entity):
                session.add(entity)
                self.wanted[entity.id] = entity
                if is_reference(entity):  # if it was deleted, nobody knows what is to be created
                    self.free.add(entity.id)
        elif entity in session.identity_map:
            self._edit_known(verb, entity)

    def _edit_known(self, verb: str, entity: Any) -> None:
        session, is_wanted = self.session, self.wanted[entity.id] is entity
        if verb == "evict":
            session.evict(entity)
            self.forgotten.add(entity.id)
            self.entities = [one for one in self.entities if one.id != entity.id]
        elif verb == "revert":
            session.revert(entity)
            if is_reference(entity) or self._hooks.has_counted(entity):
                self.free.add(entity.id)
            else:
                self.values[id(entity)], self.sums[id(entity)] = entity.v, entity.n
        elif verb == "increment":
            session.increment(entity, "n", 1)
            self.sums[id(entity)] = self.sums.get(id(entity), 0) + 1
        elif verb == "remove":
            session.remove(entity)
            if is_wanted:
                self.wanted[entity.id] = None
        elif is_wanted:
            other = self._make(entity.id)
            session.remove(entity).add(other)
            self.entities.append(other)
            self.wanted[entity.id] = other

    def _refer(self, key: str) -> None:
        is_known = key in self.wanted or key in self.forgotten
        if is_known and (self.wanted.get(key) is None or not self.tracks):
            return
        entity = self.session.get_reference(self._node, key)
        self.note(f"refer to {key}: {entity!r}")
        if is_known:
            wanted = self.wanted[key]
            check(entity is wanted or wanted not in self.session.identity_map, f"{key} is two objects")
        else:
            self._adopt(entity)

    def _adopt(self, entity: Any) -> None:
        """Change an entity from now on that is there from the beginning."""
        if entity.id in SEEDS and entity.id not in self.wanted and entity.id not in self.forgotten and self.tracks:
            self.kept.append(entity)
            self.entities.append(entity)
            self.wanted[entity.id] = entity
            self.values[id(entity)] = 0

    def share(self, entity: Any) -> None:
        """Change an entity from now on that a hook has made."""
        self.entities.append(entity)
        self.wanted[entity.id] = entity
        self.free.add(entity.id)

    def _of(self, verb: str, tx: Any) -> Callable[..., Any]:
        if verb == "tx.run":
            return lambda *callback: tx.run(self._statement, {"id": f"r{len(self.told)}"}, *callback)
        if verb == "tx.fail":
            return lambda *callback: tx.run("FAIL", *callback)
        made: Callable[..., Any] = getattr(tx, verb[3:])
        return made

    def _of_session(self, step: Step) -> Callable[..., Any]:
        session, verb = self.session, step.verb
        if verb in ("commit", "flush", "commit_transaction", "rollback", "reset", "close"):
            made: Callable[..., Any] = getattr(session, verb)
            return made
        verbs: dict[str, Callable[..., Any]] = {
            "run": lambda *callback: session.run(self._statement, {"id": f"r{len(self.told)}"}, *callback),
            "fail": lambda *callback: session.run("FAIL", *callback),
            "stream": lambda *callback: session.stream(*self._stream(), *callback, on_record=lambda record: None),
            "begin": session.begin_transaction,
            "load": lambda *callback: session.load(self._node, (f"e{step.target}", *SEEDS)[step.target % 4], *callback),
            "relate": lambda *callback: self._node.relate_to(
                "to", {"target": {"id": "nobody"}}, *callback, expected=step.target % 2, session=session
            ),
            "transaction": lambda *callback: session.transaction(self._work(step, session), *callback),
            "write_transaction": lambda *callback: session.write_transaction(self._work(step, None), *callback),
            "read_transaction": lambda *callback: session.read_transaction(self._work(step, None), *callback),
            "get_transaction": lambda *callback: evsession.get_transaction(session, self._work(step, None), *callback),
            "get_runnable": lambda *callback: evsession.get_runnable(session, self._work(step, session), *callback),
        }
        return verbs[verb]

    def _stream(self) -> tuple[str, dict[str, Any]]:
        return f"{self._statement} WITH n UNWIND range(1, {ROWS}) AS row RETURN row", {"id": f"r{len(self.told)}"}

    async def _call_with_entity(self, step: Step, place: Any) -> None:
        session, verb, entity = self.session, step.verb, self._entity(step)
        if verb in ("refresh", "hydrate"):
            method = getattr(session, verb)
            await self._call(step, lambda *callback: method(entity, callback=callback[0] if callback else None))
            return
        has_left = entity.id in self.free and entity not in session.identity_map
        if has_left or self.wanted[entity.id] is not entity or sum(one.id == entity.id for one in self.kept) > 1:
            self.forgotten.add(entity.id)  # the session has another object for the node, or none
        elif verb == "delete":
            self.free.add(entity.id)
        where = place if isinstance(place, evsession.GraphTransaction) else session
        made = getattr(entity, verb)
        subject = session.assigned_transaction if where is session else where
        await self._call(step, lambda *callback: made(*callback, session=where), subject, key=entity.id)

    def _work(self, step: Step, subject: Any) -> Callable[..., Any]:
        async def work(given: Any) -> Any:
            if given is not subject:
                self._meet(given)
            for inner in step.inner:
                try:
                    await self.do(inner, given)
                except evsession.SessionError:
                    if step.raises:
                        raise
            if step.raises:
                raise Boom
            return "worked"

        def plain(given: Any) -> Any:
            if given is not subject:
                self._meet(given)
            operation = None
            for inner in step.inner:
                with suppress(evsession.SessionError):
                    operation = self.do_now(inner, given) or operation
            if step.raises:
                raise Boom
            if step.style != "operation":
                return "worked"
            for told in self.told:
                told.is_handed_on = told.is_handed_on or (operation is not None and told.operation is operation)
            return operation

        def telling(given: Any, done: Callable[..., None]) -> None:
            plain_raises = dataclasses.replace(step, raises=False)
            self._work(dataclasses.replace(plain_raises, style="plain"), subject)(given)

            async def tell() -> None:
                await trio.sleep(step.delay)
                done(Boom() if step.raises else None, "worked")

            self._nursery.start_soon(tell)

        if step.style == "nothing":
            return self._take_nothing
        if step.style == "done" and step.verb in MANAGED:
            return telling
        return plain if step.style in ("plain", "operation") else work

    def _take_nothing(self) -> None:
        raise AssertionError

    async def _block(self, step: Step) -> None:
        told = self._tell("block", None)
        token = CALL.set(told.number)
        try:
            with trio.move_on_after(step.delay if step.way.startswith("cut") else 9999):
                async with self.session.transaction() as tx:
                    told.subject = tx
                    self._meet(tx)
                    for inner in step.inner:
                        await self.do(inner, tx)
                    if step.raises:
                        raise Boom
                told.outcome = "ok"
        except (evsession.SessionError, Boom) as error:
            told.outcome, told.error = "failed", error
        finally:
            told.outcome = told.outcome or "left"
            CALL.reset(token)
            self.note(f"call {told.number} block: {told.outcome} {told.error!r}")

    async def _read_rows(self, step: Step) -> None:
        """Read a stream, which may be left early, or be cut off."""
        told = self._tell("rows", None)
        token, most = CALL.set(told.number), 8 * (step.target + 1)
        self.note(f"call {told.number} rows: {most} at most, {step.way} {step.delay}")
        try:
            with trio.move_on_after(step.delay if step.way.startswith("cut") else 9999):
                stream = self.session.stream(*self._stream())
                async for _ in stream:
                    if stream.count == most:
                        break
                else:
                    check(stream.count == ROWS, f"{told} has ended after {stream.count} rows")
                    told.outcome = "ok"
        except evsession.SessionError as error:
            told.outcome, told.error = "failed", error
        finally:
            told.outcome = told.outcome or "left"
            CALL.reset(token)
            self.note(f"call {told.number} rows: {told.outcome} {told.error!r}")

    def _tell(self, verb: str, subject: Any, key: str = "") -> Told:
        told = Told(len(self.told) + 1, verb, CALL.get(), subject=subject, key=key)
        self.told.append(told)
        return told

    async def _call(self, step: Step, make: Callable[..., Any], subject: Any = None, key: str = "") -> None:
        told = self._tell(step.verb, subject, key)
        if step.verb == "begin" and step.way == "nobody":
            step = dataclasses.replace(step, way="await")
        way = step.way
        if step.verb == "run":
            told.subject = self.session.assigned_transaction
        self.note(f"call {told.number} {step.verb} {key} {way} {step.delay} (in {told.outer}) {subject or ''}")

        def callback(error: BaseException | None, value: Any = None) -> None:
            told.answers.append((error, value))
            self.note(f"call {told.number} tells its callback {error!r} {value!r}")
            self._take(step, value)

        listens = way in ("callback", "both", "cut both", "cancel")
        told.has_callback = listens
        token = CALL.set(told.number)
        try:
            with trio.move_on_after(step.delay if way in ("cut", "cut both") else 9999):
                await self._listen(step, make, told, (callback,) if listens else ())
        except (evsession.SessionError, Boom) as error:
            told.outcome, told.error = told.outcome or "failed", error
        except Exception as error:
            if "_take_nothing" in str(error):
                told.outcome, told.error = "failed", error
            else:
                self.note(f"call {told.number} is wrong: {error!r}")
                raise
        finally:
            CALL.reset(token)
            if way not in ("callback", "nobody", "cancel"):
                told.outcome = told.outcome or "left"
            self.note(f"call {told.number} {step.verb}: {told.outcome} {told.error!r} {told.value!r}")

    async def _listen(self, step: Step, make: Callable[..., Any], told: Told, callback: tuple[Any, ...]) -> None:
        way = step.way
        if way == "timeout":
            self.session.options.timeout = 0.001 + step.delay
        try:
            told.operation = operation = make(*callback)
        except evsession.SessionError as error:
            told.outcome, told.error = "refused", error
            return
        finally:
            self.session.options.timeout = None
        if way == "cancel":

            async def cancel() -> None:
                await trio.sleep(step.delay)
                operation.cancel()

            self._nursery.start_soon(cancel)
        if way in ("callback", "nobody", "cancel"):
            return
        told.value = await operation
        told.outcome = "ok"
        self._take(step, told.value)

    def _take(self, step: Step, value: Any) -> None:
        """Go on with what an operation has given."""
        if step.verb == "begin" and value is not None:
            self._meet(value)
        elif step.verb == "load" and value is not None:
            self._adopt(value)

    def settle(self) -> None:
        """Know what was told of each call, and what is open for that."""
        for told in self.told:
            settle(told)
            phase = None if told.subject is None else told.subject._phase.name
            # Nobody but who has called knows of these that their outcome is unknown.
            if told.verb in ("save", "delete") and ((told.outcome != "ok" and not told.is_sure) or phase == "UNKNOWN"):
                self.forgotten.add(told.key)
        self._hooks.settle()

    async def finish(self) -> bool:
        """End what is open, find out what is unknown, and commit what is pending; then nothing is.

        Returns:
            Whether that was possible: the program may have closed the session.
        """
        session = self.session
        self._hooks.stop()
        if not session._is_open:
            return False
        for tx in self.transactions:
            if tx.is_open:
                await tx.close()
        check(not session.has_transaction() and session._current is None, "a transaction stays open")
        await self._find_out()
        session.evict(*[entity for entity in session.identity_map if entity.id in self.forgotten])
        pending = sorted((change.kind, change.key or "") for change in session.changes())
        saved = await session.commit()
        kinds = {"insert": saved.inserted, "update": saved.updated, "delete": saved.removed}
        written = sorted((kind, key) for kind, keys in kinds.items() for key in keys)
        check(pending == written, f"{pending} was pending, {written} was written")
        check(not session.changes(), f"{session.changes()} is pending after all")
        return True
