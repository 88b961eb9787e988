"""Random programs of several tasks on one graph session, and what must hold of them whatever the order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from random import Random
from typing import Any

import trio

import evsession
from tests.unit.session.memory_graph import CALL

WAYS = ("await", "await", "await", "callback", "callback", "both", "cut", "cut", "cut both", "cancel", "timeout", "nobody")
VERBS = {
    "add": 8,
    "edit": 6,
    "remove": 3,
    "replace": 2,
    "add again": 2,
    "evict": 1,
    "revert": 1,
    "increment": 3,
    "commit": 10,
    "flush": 5,
    "commit_transaction": 2,
    "rollback": 4,
    "refresh": 2,
    "load": 1,
    "run": 5,
    "fail": 1,
    "begin": 3,
    "use": 3,
    "tx.run": 5,
    "tx.fail": 1,
    "tx.commit": 3,
    "tx.rollback": 2,
    "tx.close": 2,
    "transaction": 3,
    "block": 2,
    "get_transaction": 3,
    "write_transaction": 2,
    "reset": 1,
    "close": 1,
    "pause": 3,
}
WORKS = ("transaction", "block", "get_transaction", "write_transaction")


@dataclasses.dataclass
class Step:
    """One thing that a task does.

    Attributes:
        verb: What.
        way: How it is listened to.
        delay: After how long it is cut off, or how long a pause is.
        target: Which entity or transaction.
        inner: What the work of a transaction does.
        raises: Whether that raises in the end.
    """

    verb: str
    way: str = "await"
    delay: float = 0.0
    target: int = 0
    inner: list[Step] = dataclasses.field(default_factory=list)
    raises: bool = False


@dataclasses.dataclass
class Program:
    """What several tasks do.

    Attributes:
        tasks: The steps of each.
        seed: Of whatever else is left to chance.
        losses: How likely connections break.
        hook: What a hook does.
        pace: What all times are multiplied with.
    """

    tasks: list[list[Step]]
    seed: int = 0
    losses: float = 0.0
    hook: str = ""
    pace: float = 1.0


def make_program(seed: int, *, pace: float = 1.0) -> Program:
    """Return the program of this seed."""
    random = Random(seed)
    # Many programs have few verbs, so that these meet each other often.
    names = random.sample(list(VERBS), random.randint(4, 12))
    names += [name for name in ("add", "commit") if name not in names]
    weights = [VERBS[name] for name in names]

    def step(depth: int) -> Step:
        verb = random.choices(names, weights)[0]
        if verb in WORKS and depth == 2:
            verb = "edit"
        inner = [step(depth + 1) for _ in range(random.randint(0, 3))] if verb in WORKS else []
        delay = random.choice((0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4)) * pace
        return Step(verb, random.choice(WAYS), delay, random.randrange(6), inner, random.random() < 0.3)

    tasks = [[step(0) for _ in range(random.randint(1, 6))] for _ in range(random.randint(1, 4))]
    rate = random.choice((0.0, 0.0, 0.0, 0.1))
    return Program(tasks, seed, rate, random.choice(("", "", "", "pause", "read", "raise")), pace)


@dataclasses.dataclass
class Told:
    """What was told of one call.

    Attributes:
        number: Its number.
        verb: What was called.
        outer: The call in whose work it was.
        answers: What the callback got.
        outcome: ``"ok"``, ``"failed"``, ``"refused"`` (nothing was begun), ``"left"`` (the task was cancelled), or nothing yet.
        error: What was raised.
        subject: The transaction that was asked.
    """

    number: int
    verb: str
    outer: int = 0
    answers: list[tuple[BaseException | None, Any]] = dataclasses.field(default_factory=list)
    has_callback: bool = False
    outcome: str = ""
    error: BaseException | None = None
    value: Any = None
    subject: Any = None
    operation: Any = None


class Boom(Exception):
    """What work raises."""


class Wrong(AssertionError):
    """What must not be."""


class Run:
    """A program under way on a session.

    Args:
        session: The session.
        node: The class of its entities, with ``id``, ``v`` and ``n``.
        statement: Creates a node, given its ``id``.
    """

    def __init__(self, session: evsession.GraphSession, node: Any, statement: str, note: Callable[[str], object]) -> None:
        self.session = session
        self.told: list[Told] = []
        self.transactions: list[Any] = []
        self.entities: list[Any] = []
        self.wanted: dict[str, Any] = {}
        self.sums: dict[Any, int] = {}
        self.values: dict[Any, int] = {}
        self.forgotten: set[str] = set()
        self._node = node
        self._statement = statement
        self._numbers = count(1)
        self._hook = ""
        self._note = note
        self._nursery: trio.Nursery

    async def play(self, program: Program) -> None:
        """Run the tasks side by side, and wait until all is done."""
        if program.hook:
            self._add_hook(program)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for steps in program.tasks:
                nursery.start_soon(self._task, steps)
        await self.session.drain()
        for told in self.told:
            if told.verb == "close" and told.operation is not None:
                with suppress(evsession.SessionError):
                    await told.operation

    def _add_hook(self, program: Program) -> None:
        random, self._hook = Random(program.seed), program.hook

        @self.session.on("insert.post")
        async def hook(event: evsession.CommitEvent) -> None:
            if self._hook == "pause":
                await trio.sleep(0.05 * program.pace)
            elif self._hook == "read":
                await self.session.run("RETURN 1")
            elif self._hook == "raise" and random.random() < 0.3:
                raise Boom

    async def _task(self, steps: list[Step]) -> None:
        for step in steps:
            with suppress(evsession.SessionError, Boom):  # of what has no operation
                await self.do(step, self.session)

    async def do(self, step: Step, place: Any) -> None:
        """Do a step."""
        verb = step.verb
        if verb in ("commit", "flush", "remove", "replace", *WORKS):
            await self._find_out()
        if verb == "pause":
            await trio.sleep(step.delay)
        elif verb in ("add", "add again", "edit", "remove", "replace", "increment", "evict", "revert"):
            self._edit(step, place)
        elif verb.startswith("tx."):
            if isinstance(place, evsession.GraphTransaction) and step.target < 4:
                await self._call(step, self._of(verb, place), place)
            elif self.transactions:
                tx = self.transactions[-1 - step.target % len(self.transactions)]
                await self._call(step, self._of(verb, tx), tx)
        elif verb == "use":
            tx = self.session.use_transaction()
            self._meet(tx)
        elif verb == "block":
            await self._block(step)
        else:
            made = self._of_session(step)
            if made is not None:
                await self._call(step, made)

    async def _find_out(self) -> None:
        """Do as the manual says after a commit whose outcome is unknown."""
        unsure = [entity for entity in self.session.identity_map if self.session._nodes.of(entity).unsure is not None]
        for entity in unsure:
            with trio.move_on_after(9), suppress(evsession.SessionError):
                await self.session.refresh(entity)

    def _meet(self, tx: Any) -> None:
        if all(tx is not one for one in self.transactions):
            self.transactions.append(tx)

    def _edit(self, step: Step, place: Any) -> None:
        session, verb = self.session, step.verb
        # What is known, so that all tasks change the same few.
        if verb == "add" or not self.entities:
            entity = self._node(f"e{next(self._numbers)}", v=next(self._numbers))
            self.entities.append(entity)
            self.wanted[entity.id] = entity
            session.add(entity)
            self._note(f"add {entity}")
            return
        entity = self.entities[-1 - step.target % len(self.entities)]
        self._note(f"{verb} {entity}")
        if verb == "edit":
            entity.v = self.values[entity] = next(self._numbers)
        elif verb == "add again":
            if self.wanted[entity.id] in (None, entity):
                session.add(entity)
                self.wanted[entity.id] = entity
        elif entity not in session.identity_map:
            return
        elif verb == "evict":
            session.evict(entity)
            self.forgotten.add(entity.id)
            self.entities = [one for one in self.entities if one.id != entity.id]
        elif verb == "revert":
            session.revert(entity)
            self.values[entity], self.sums[entity] = entity.v, entity.n
        elif verb == "increment":
            session.increment(entity, "n", 1)
            self.sums[entity] = self.sums.get(entity, 0) + 1
        elif verb == "remove":
            session.remove(entity)
            if self.wanted[entity.id] is entity:
                self.wanted[entity.id] = None
        elif self.wanted[entity.id] is entity:
            other = self._node(entity.id, v=next(self._numbers))
            session.remove(entity).add(other)
            self.entities.append(other)
            self.wanted[entity.id] = other

    def _of(self, verb: str, tx: Any) -> Callable[..., Any]:
        if verb == "tx.run":
            return lambda *callback: tx.run(self._statement, {"id": f"r{len(self.told)}"}, *callback)
        if verb == "tx.fail":
            return lambda *callback: tx.run("FAIL", *callback)
        made: Callable[..., Any] = getattr(tx, verb[3:])
        return made

    def _of_session(self, step: Step) -> Callable[..., Any] | None:
        session, verb = self.session, step.verb
        if verb in ("commit", "flush", "commit_transaction", "rollback", "reset", "close"):
            made: Callable[..., Any] = getattr(session, verb)
            return made
        if verb == "run":
            return lambda *callback: session.run(self._statement, {"id": f"r{len(self.told)}"}, *callback)
        if verb == "fail":
            return lambda *callback: session.run("FAIL", *callback)
        if verb == "begin":
            return session.begin_transaction
        if verb == "load":
            key = f"e{step.target}"
            return lambda *callback: session.load(self._node, key, *callback)
        if verb == "refresh":
            if not self.entities:
                return None
            entity = self.entities[-1 - step.target % len(self.entities)]
            return lambda *callback: session.refresh(entity, callback=callback[0] if callback else None)
        if verb == "transaction":
            return lambda *callback: session.transaction(self._work(step, session), *callback)
        if verb == "write_transaction":
            return lambda *callback: session.write_transaction(self._work(step, None), *callback)
        assert verb == "get_transaction", verb
        return lambda *callback: evsession.get_transaction(session, self._work(step, None), *callback)

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

        return work

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
            self._note(f"call {told.number} block: {told.outcome} {told.error!r}")

    def _tell(self, verb: str, subject: Any) -> Told:
        told = Told(len(self.told) + 1, verb, CALL.get(), subject=subject)
        self.told.append(told)
        return told

    async def _call(self, step: Step, make: Callable[..., Any], subject: Any = None) -> None:
        told = self._tell(step.verb, subject)
        if step.verb == "begin" and step.way == "nobody":
            step = dataclasses.replace(step, way="await")
        way = step.way
        if step.verb == "run":
            told.subject = self.session.assigned_transaction
        self._note(f"call {told.number} {step.verb} {way} {step.delay} (in {told.outer}) {subject or ''}")

        def callback(error: BaseException | None, value: Any = None) -> None:
            told.answers.append((error, value))
            self._note(f"call {told.number} tells its callback {error!r} {value!r}")
            if step.verb == "begin" and value is not None:
                self._meet(value)

        listens = way in ("callback", "both", "cut both", "cancel")
        told.has_callback = listens
        token = CALL.set(told.number)
        try:
            with trio.move_on_after(step.delay if way in ("cut", "cut both") else 9999):
                await self._listen(step, make, told, (callback,) if listens else ())
        except (evsession.SessionError, Boom) as error:
            told.outcome, told.error = told.outcome or "failed", error
        except Exception as error:
            self._note(f"call {told.number} is wrong: {error!r}")
            raise
        finally:
            CALL.reset(token)
            if way not in ("callback", "nobody", "cancel"):
                told.outcome = told.outcome or "left"
            self._note(f"call {told.number} {step.verb}: {told.outcome} {told.error!r} {told.value!r}")

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
        if step.verb == "begin":
            self._meet(told.value)

    def settle(self) -> None:
        """Take over what callbacks were told, and check that each was told once."""
        for told in self.told:
            if told.outcome == "refused":
                continue
            if told.operation is not None and not told.operation.is_done:
                raise Wrong(f"{told} has not ended")
            if told.has_callback and told.operation is not None and len(told.answers) != 1:
                raise Wrong(f"{told} has called back {len(told.answers)} times")
            if told.answers:
                error, value = told.answers[0]
                if told.outcome in ("ok", "failed") and (error is None) != (told.outcome == "ok"):
                    raise Wrong(f"{told} has told two things")
                told.outcome, told.error, told.value = ("ok" if error is None else "failed"), error, value
            elif told.operation is not None and told.outcome in ("", "left"):
                error = told.operation._error
                told.operation._heard = True
                told.outcome, told.error = ("ok" if error is None else "failed"), error

    def check_nothing_left(self) -> None:
        """Check that nothing is left of what has ended, and that what is open is the program's."""
        session = self.session
        _check(not session._enders, "something that ends a transaction is counted for ever")
        _check(not session._turns.all(), "somebody keeps a turn")
        _check(session._coming is None and session._managed is None, "a transaction is awaited for ever")
        current = session._current
        _check((current is None) == (session._unit.journal is None), "the unit of work has another transaction than the session")
        _check(current is None or any(current is tx for tx in self.transactions), f"nobody has {current!r}, which is open")
        for tx in self.transactions if session._is_open else ():
            _check(tx._asked is tx._phase, f"{tx!r} is asked to end for ever")

    def check_nodes(self, nodes: list[dict[str, Any]]) -> None:
        """Check that the session is right about the nodes of its entities."""
        unit = self.session._unit
        _check(not unit._frozen and not any(known.writes for known in unit.map), "something is being written for ever")
        nodes = [node for node in nodes if node["id"] not in self.forgotten]
        there = {node["id"]: node for node in nodes}
        # A commit whose outcome is not known may be committed again, and then is there twice: the manual says so.
        _check(len(there) == len(nodes) or bool(self.session._lost), f"a node is there twice: {nodes}")
        believed = {
            known.entity.id: unit.mapper.fields(known.snapshot.known)
            for known in unit.map
            if known.snapshot is not None and not known.is_flushed
        }
        unsure = {known.entity.id for known in unit.map if known.unsure is not None}
        for key in {*there, *believed} - unsure - self.forgotten:
            _check(there.get(key) == believed.get(key), f"the session believes {believed.get(key)}, there is {there.get(key)}")

    async def finish(self) -> bool:
        """End what is open, find out what is unknown, and commit what is pending; then nothing is.

        Returns:
            Whether that was possible: the program may have closed the session.
        """
        session, self._hook = self.session, ""
        if not session._is_open:
            return False
        for tx in self.transactions:
            if tx.is_open:
                await tx.close()
        _check(not session.has_transaction() and session._current is None, "a transaction stays open")
        await self._find_out()
        pending = sorted((change.kind, change.key) for change in session.changes())
        saved = await session.commit()
        kinds = {"insert": saved.inserted, "update": saved.updated, "delete": saved.removed}
        written = sorted((kind, key) for kind, keys in kinds.items() for key in keys)
        _check(pending == written, f"{pending} was pending, {written} was written")
        _check(not session.changes(), f"{session.changes()} is pending after all")
        return True

    def check_wishes(self, nodes: list[dict[str, Any]]) -> None:
        """Check that all is as the program wanted it in the end."""
        there = {node["id"]: node for node in nodes}
        for key, entity in {} if self.session._lost else self.wanted.items():
            if key in self.forgotten:
                continue
            shown = None if entity is None else {"id": key, "v": self.values.get(entity, entity.v), "n": self.sums.get(entity, 0)}
            _check(there.get(key) == shown, f"{shown} was wanted, there is {there.get(key)}")
            _check(entity is None or entity in self.session.identity_map, f"{entity!r} is not known any more")


def _check(is_right: bool, wrong: str) -> None:
    if not is_right:
        raise Wrong(wrong)
