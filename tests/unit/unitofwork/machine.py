"""Random programs on a session, against a plain model of the database and of what the session must believe.

Each rule does one thing in the program and in the model; then both must agree: the objects' values, what is dirty and what of it,
the keys, what was sent, and the database.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
import trio
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import evsession
from evsession import ConcurrencyError, ConfigurationError, ConnectionFailed, DirtyEntity, KeyConflict, NotLoaded, SessionError
from evsession.testing.scripted import ScriptedTransport
from evsession.unitofwork.changes import is_same
from evsession.wire.message import Request, Response
from evsession.wire.transport import Trail, Transport
from tests.unit.session.documents.tiny import TinyRaven

T = TypeVar("T")
Fields = dict[str, Any]

Dog = evsession.DocumentType("Dog")

KEYS = ["dogs/a", "dogs/b", "dogs/c", "dogs/d"]
SCALARS = st.sampled_from([0, 1, 2, "x", None, True, 1.5])
DEEP = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=2),
    max_leaves=5,
)
FIELDS = st.sampled_from(["deep", "list", "name", "other"])
WHICH = st.integers(0, 50)


class Faulty:
    """A transport that fails when it is told to: before a batch is sent, or when its answer is on the way."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.fault = ""
        self.batches = 0

    async def send(self, request: Request, trail: Trail) -> Response:
        if not request.target.endswith("/bulk_docs"):
            return await self.inner.send(request, trail)
        fault, self.fault = self.fault, ""
        self.batches += 1
        if fault == "refused":
            await trio.lowlevel.checkpoint()
            raise ConnectionFailed("nobody is there")
        if fault == "not written":
            await trio.lowlevel.checkpoint()
            trail.sent = True
            raise ConnectionFailed("hung up")
        response = await self.inner.send(request, trail)
        if fault == "written":
            raise ConnectionFailed("hung up")
        return response

    async def open(self, request: Request, trail: Trail, *, streams_body: bool = False) -> Any:
        return await self.inner.open(request, trail, streams_body=streams_body)

    async def aclose(self) -> None:
        await self.inner.aclose()


class Loop:
    """A trio loop in a thread, with a store and a session in it; calls run there one after the other."""

    def __init__(self, make: Callable[[], evsession.Store]) -> None:
        self._make = make
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(30)

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:  # noqa: ASYNC103 - raised by close()
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._end = trio.Event()
        async with self._make() as self.store, self.store.open_session() as self.session:
            self._ready.set()
            await self._end.wait()

    def call(self, function: Callable[[], T]) -> T:
        return trio.from_thread.run_sync(function, trio_token=self._token)

    def wait(self, function: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            with trio.fail_after(30):
                return await function()

        return trio.from_thread.run(run, trio_token=self._token)

    def close(self) -> None:
        trio.from_thread.run_sync(self._end.set, trio_token=self._token)
        self._thread.join(30)
        if self._failure is not None:
            raise self._failure


class Entry:
    """What the model knows of one object.

    Attributes:
        now: The values that the object must have; of a reference, those that were set.
        base: What was loaded, written or staged last; None while it is new.
        raw: What the server had then.
        added: Pending increments.
        version: The version that the session knows; `is_named` of a new one whether it goes by a key of its own.
        unflushed: In a transaction that has staged it: base, raw and increments before, else None.
    """

    def __init__(self, entity: Any, key: str | None, now: Fields, base: Fields | None, version: str | None) -> None:
        self.entity = entity
        self.key = key
        self.now = copy.deepcopy(now)
        self.base = copy.deepcopy(base)
        self.raw = copy.deepcopy(base)
        self.version = version
        self.added: dict[str, int] = {}
        self.is_removed = False
        self.is_gone = False  # its removal is staged
        self.is_reference = False
        self.unflushed: tuple[Fields | None, Fields | None, dict[str, int]] | None = None

    @property
    def kind(self) -> str | None:
        if self.is_removed:
            return None if self.is_gone else "delete"
        if self.base is None:
            return "insert"
        return "update" if not is_same(self.now, self.base) or self.added else None

    def __repr__(self) -> str:
        return f"<Entry {self.key} {self.kind}>"


def differences(old: Fields, new: Fields) -> dict[str, tuple[Any, Any]]:
    names = [*old, *(name for name in new if name not in old)]
    gone = evsession.MISSING
    pairs = {name: (old.get(name, gone), new.get(name, gone)) for name in names}
    return {name: pair for name, pair in pairs.items() if not is_same(*pair)}


def merged(new: Fields, known: Fields, raw: Fields) -> Fields:
    """The body that is sent: what was not edited is as the server had it."""
    body = {name: raw[name] if name in known and is_same(new[name], known[name]) else new[name] for name in new if name in raw}
    body.update({name: value for name, value in raw.items() if name not in known and name not in new})
    return {**{name: value for name, value in new.items() if name not in raw}, **body}


class Failure(Exception):
    """That the model's server refuses a batch."""


class SessionMachine(RuleBasedStateMachine):
    """Programs of one session on `TinyRaven`."""

    loop: Loop

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []
        self.strays: list[Any] = []
        self.rows: dict[str, Fields] = {}
        self.in_transaction = False

    # -- the server

    def make_store(self) -> evsession.Store:
        self.tiny = TinyRaven()
        self.wire = Faulty(ScriptedTransport(repeat=self.tiny))
        return evsession.Store(transport=self.wire, database="db")

    def put(self, key: str, fields: Fields) -> None:
        self.tiny.put(key, fields)

    def delete(self, key: str) -> None:
        self.tiny.delete(key)

    def stored(self) -> dict[str, Fields]:
        return self.tiny.rows

    def version_of(self, key: str) -> str | None:
        return self.tiny.versions.get(key)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.wait(self.session.rollback)
            self.loop.close()

    @property
    def session(self) -> evsession.Session:
        return self.loop.session

    @initialize(checks=st.booleans(), first=st.sets(st.sampled_from(KEYS)))
    def begin(self, checks: bool, first: set[str]) -> None:
        evsession.document(Dog, collection="Dogs")  # other tests declare classes for the same collection
        self.loop = Loop(self.make_store)
        self.checks = self.session.options.use_optimistic_concurrency = checks
        for key in sorted(first):
            self.other_writes(key, {"n": 1, "list": [1, {"x": 2}], "name": key})

    def other_writes(self, key: str, fields: Fields) -> None:
        self.put(key, fields)
        self.rows[key] = copy.deepcopy(fields)

    @rule(key=st.sampled_from(KEYS), value=SCALARS, added=st.integers(0, 3))
    def another_client_writes(self, key: str, value: Any, added: int) -> None:
        row = self.rows.get(key, {"name": "theirs"})
        self.other_writes(key, {**row, "theirs": value, "n": row.get("n", 0) + added})

    @rule(key=st.sampled_from(KEYS))
    def another_client_deletes(self, key: str) -> None:
        self.delete(key)
        self.rows.pop(key, None)

    # -- what the model knows

    def of_key(self, key: str) -> Entry | None:
        """The owner of a key; one that is to be deleted leaves it to another."""
        owners = [entry for entry in self.entries if entry.key == key]
        return next((entry for entry in owners if not entry.is_removed), owners[0] if owners else None)

    def choose(self, which: int, *, removed: bool | None = False) -> Entry | None:
        some = [entry for entry in self.entries if removed is None or entry.is_removed is removed]
        return some[which % len(some)] if some else None

    def forget(self, entry: Entry) -> None:
        self.entries.remove(entry)
        if not entry.is_reference:
            self.strays.append(entry.entity)

    # -- reading

    @rule(key=st.sampled_from(KEYS))
    def load(self, key: str) -> None:
        entry, row = self.of_key(key), self.rows.get(key)
        if entry is not None and entry.is_reference:
            return  # that is hydrate's
        entity = self.loop.wait(lambda: self.session.load(key))
        if entry is not None:
            assert entity is entry.entity
        elif row is None:
            assert entity is None
        else:
            assert entity.id == key
            self.entries.append(Entry(entity, key, row, row, self.version_of(key)))

    @rule(key=st.sampled_from(KEYS))
    def refer(self, key: str) -> None:
        entry = self.of_key(key)
        entity = self.loop.call(lambda: self.session.get_reference(Dog, key))
        if entry is not None:
            assert entity is entry.entity
            return
        entry = Entry(entity, key, {}, {}, None)
        entry.is_reference = True
        self.entries.append(entry)
        with pytest.raises(NotLoaded):
            _ = entity.name

    @rule(which=WHICH)
    def hydrate(self, which: int) -> None:
        entry = self.choose(which)
        if entry is None or entry.unflushed is not None:
            return
        row = self.rows.get(entry.key or "")
        if not entry.is_reference:
            self.loop.wait(lambda: self.session.hydrate(entry.entity))
        elif row is None:
            with pytest.raises(SessionError) as caught:
                self.loop.wait(lambda: self.session.hydrate(entry.entity))
            assert (caught.value.status_code, caught.value.key) == (404, entry.key)
        else:
            self.loop.wait(lambda: self.session.hydrate(entry.entity))
            self.learn(entry, row)

    def learn(self, entry: Entry, row: Fields) -> None:
        """Let the model know that a reference was loaded."""
        entry.is_reference = False
        entry.now = {**copy.deepcopy(row), **{name: row.get(name, 0) + by for name, by in entry.added.items()}, **entry.now}
        entry.base, entry.raw, entry.version = copy.deepcopy(row), copy.deepcopy(row), self.version_of(entry.key or "")

    @rule(which=WHICH, force=st.booleans())
    def refresh(self, which: int, force: bool) -> None:
        entry = self.choose(which)
        if entry is None or entry.unflushed is not None or entry.is_reference:
            return
        row = self.rows.get(entry.key or "")
        if entry.base is None or (entry.kind is not None and not force):
            with pytest.raises(DirtyEntity):
                self.loop.wait(lambda: self.session.refresh(entry.entity, force=force))
        elif row is None:
            with pytest.raises(SessionError, match="no document"):
                self.loop.wait(lambda: self.session.refresh(entry.entity, force=force))
        else:
            self.loop.wait(lambda: self.session.refresh(entry.entity, force=force))
            entry.now, entry.base, entry.raw = copy.deepcopy(row), copy.deepcopy(row), copy.deepcopy(row)
            entry.added, entry.version = {}, self.version_of(entry.key or "")

    # -- editing

    @rule(which=WHICH, field=FIELDS, value=DEEP)
    def set_field(self, which: int, field: str, value: Any) -> None:
        entry = self.choose(which, removed=None)
        if entry is not None:
            entry.entity[field] = copy.deepcopy(value)
            entry.now[field] = copy.deepcopy(value)

    @rule(which=WHICH, field=FIELDS)
    def delete_field(self, which: int, field: str) -> None:
        entry = self.choose(which)
        if entry is not None and field in entry.now:
            del entry.entity[field], entry.now[field]

    @rule(which=WHICH, field=FIELDS)
    def set_back(self, which: int, field: str) -> None:
        entry = self.choose(which)
        if entry is not None and entry.base is not None and field in entry.base:
            entry.entity[field] = copy.deepcopy(entry.base[field])
            entry.now[field] = copy.deepcopy(entry.base[field])

    @rule(which=WHICH, value=SCALARS, place=st.integers(0, 2))
    def edit_inside(self, which: int, value: Any, place: int) -> None:
        entry = self.choose(which)
        if entry is None:
            return
        for holder in (entry.entity, entry.now):
            for name in ("list", "deep"):
                inside = dict.get(holder, name)
                while isinstance(inside, (list, dict)):
                    following = inside[0] if isinstance(inside, list) and inside else None
                    following = inside.get("x") if isinstance(inside, dict) else following
                    if isinstance(following, (list, dict)):
                        inside = following
                        continue
                    if isinstance(inside, dict):
                        inside["y"] = value
                    elif place < len(inside):
                        inside[place] = value
                    else:
                        inside.append(value)
                    break

    @rule(which=WHICH, amount=st.integers(-3, 3))
    def increment(self, which: int, amount: int) -> None:
        entry = self.choose(which)
        if entry is None:
            return
        self.loop.call(lambda: self.session.increment(entry.entity, "n", amount))
        if not entry.is_reference or "n" in entry.now:
            entry.now["n"] = entry.now.get("n", 0) + amount
        if entry.base is not None:
            entry.added["n"] = entry.added.get("n", 0) + amount

    @rule(which=WHICH)
    def revert(self, which: int) -> None:
        entry = self.choose(which, removed=None)
        if entry is None:
            return
        if entry.base is None:
            with pytest.raises(ConfigurationError):
                self.loop.call(lambda: self.session.revert(entry.entity))
            return
        self.loop.call(lambda: self.session.revert(entry.entity))
        back = entry.base if entry.is_reference else entry.raw
        entry.now, entry.added = copy.deepcopy(back or {}), {}
        entry.base = copy.deepcopy(entry.now)

    # -- the queue

    @rule(key=st.sampled_from(KEYS) | st.none(), value=DEEP)
    def add_new(self, key: str | None, value: Any) -> None:
        entity = Dog(name="new", deep=copy.deepcopy(value))
        owner = None if key is None else self.of_key(key)
        if owner is not None and not owner.is_removed:
            with pytest.raises(KeyConflict):
                self.loop.call(lambda: self.session.store(entity, key=key))
            return
        self.loop.call(lambda: self.session.store(entity, key=key))
        self.entries.append(Entry(entity, key, {"name": "new", "deep": value}, None, None))

    @rule(which=WHICH)
    def add_stray(self, which: int) -> None:
        if not self.strays:
            return
        entity = self.strays[which % len(self.strays)]
        key = entity.id
        owner = None if key is None else self.of_key(key)
        if owner is not None and not owner.is_removed:
            return
        self.strays[:] = [stray for stray in self.strays if stray is not entity]
        version = entity.metadata.get("@change-vector")
        self.loop.call(lambda: self.session.add(entity))
        self.entries.append(Entry(entity, key, dict(entity), None, version))

    @rule(which=WHICH)
    def add_again(self, which: int) -> None:
        entry = self.choose(which, removed=None)
        if entry is None:
            return
        rival = None if entry.key is None else self.of_key(entry.key)
        if entry.is_removed and rival is not None and rival is not entry:
            with pytest.raises(KeyConflict):
                self.loop.call(lambda: self.session.add(entry.entity))
            return
        self.loop.call(lambda: self.session.add(entry.entity))
        entry.is_removed = entry.is_gone = False

    @rule(which=WHICH, by_key=st.booleans())
    def remove(self, which: int, by_key: bool) -> None:
        entry = self.choose(which)
        if entry is None:
            return
        target = entry.key if by_key and entry.key is not None else entry.entity
        self.loop.call(lambda: self.session.remove(target))
        if entry.base is None:
            self.forget(entry)
        else:
            entry.is_removed = True

    @rule(key=st.sampled_from(KEYS))
    def remove_unknown(self, key: str) -> None:
        if self.of_key(key) is not None:
            return
        self.loop.call(lambda: self.session.remove(key))
        entry = Entry(self.session.identity_map.get(key), key, {}, {}, None)
        entry.is_reference = entry.is_removed = True
        self.entries.append(entry)

    @rule(which=WHICH)
    def evict(self, which: int) -> None:
        entry = self.choose(which, removed=None)
        if entry is not None:
            self.loop.call(lambda: self.session.evict(entry.entity))
            self.forget(entry)

    @rule()
    def clear(self) -> None:
        self.loop.call(self.session.clear)
        for entry in list(self.entries):
            self.forget(entry)

    # -- writing

    def work(self, *, ends: bool) -> list[tuple[str, Entry]]:
        """What is written: everything pending, with what the transaction has staged."""
        found: list[tuple[str, Entry]] = []
        for entry in self.entries:
            was = entry.base if entry.unflushed is None else entry.unflushed[0]
            if entry.kind is None and (entry.unflushed is None or not ends):
                continue
            if entry.is_removed:
                kind = None if was is None and ends else "delete"
            elif was is None:
                kind = "insert"
            else:
                changed = not is_same(entry.now, was) or entry.added or (entry.unflushed and entry.unflushed[2])
                kind = "update" if changed or not ends else None
            if kind is not None:
                found.append((kind, entry))
        return sorted(found, key=lambda one: ["delete", "update", "insert"].index(one[0]))

    def edit_of(self, entry: Entry) -> tuple[Fields, list[str], dict[str, int]]:
        """What an update in place sets, takes out and adds to."""
        was: Fields = (entry.base if entry.unflushed is None else entry.unflushed[0]) or {}
        added = dict(entry.unflushed[2]) if entry.unflushed is not None else {}
        for field, amount in entry.added.items():
            added[field] = added.get(field, 0) + amount
        added = {
            field: amount
            for field, amount in added.items()
            if field not in entry.now or is_same(entry.now[field], was.get(field, 0) + amount)
        }
        changes = differences(was, entry.now)
        sets = {name: new for name, (_, new) in changes.items() if new is not evsession.MISSING and name not in added}
        unsets = [name for name, (_, new) in changes.items() if new is evsession.MISSING and name not in added]
        return sets, unsets, added

    def carry_out(self, work: list[tuple[str, Entry]]) -> list[tuple[str, str | None]]:
        """Let the model's server do it; returns the commands. Raises `Failure`, having done nothing."""
        rows = copy.deepcopy(self.rows)
        commands: list[tuple[str, str | None]] = []
        for kind, entry in work:
            key = entry.key or ""
            held = self.version_of(key) if key in rows else None
            if kind == "delete":
                if self.checks and entry.version is not None and entry.version != held:
                    raise Failure(409)
                commands.append(("DELETE", key))
                rows.pop(key, None)
                continue
            has_increments = entry.added or (entry.unflushed and entry.unflushed[2])
            if kind == "update" and (entry.is_reference or has_increments):
                sets, unsets, added = self.edit_of(entry)
                wants = entry.version if (sets or unsets) and not entry.is_reference else None
                commands.append(("PATCH", key))
                if self.checks and wants is not None and wants != held:
                    raise Failure(409)
                if key not in rows:
                    raise Failure(404)
                row = {**rows[key], **copy.deepcopy(sets)}
                for name in unsets:
                    row.pop(name, None)
                for name, amount in added.items():
                    row[name] = row.get(name, 0) + amount
                rows[key] = row
                continue
            if self.checks and entry.key is not None and (entry.version if kind == "update" else entry.version or None) != held:
                raise Failure(409)
            commands.append(("PUT", entry.key or "dogs|"))
            if entry.key is not None:
                was = entry.base if entry.unflushed is None else entry.unflushed[0]
                raw = entry.raw if entry.unflushed is None else entry.unflushed[1]
                body = entry.now if kind == "insert" else merged(entry.now, was or {}, raw or {})
                rows[key] = copy.deepcopy(body)
        self.rows = rows
        return commands

    def take_note(self, work: list[tuple[str, Entry]]) -> None:
        """Let the model know that it was written."""
        for kind, entry in work:
            if kind == "delete":
                self.forget(entry)
                continue
            if entry.key is None:
                entry.key = entry.entity.id
                assert entry.key is not None
                assert entry.key not in self.rows
                self.rows[entry.key] = copy.deepcopy(entry.now)
            row = self.rows[entry.key]
            added = set(entry.added) | set(entry.unflushed[2] if entry.unflushed is not None else ())
            if kind == "update" and added and not entry.is_reference:
                entry.now = copy.deepcopy(row)  # nothing of what others have changed is hidden
            elif kind == "update" and added:
                for name in self.edit_of(entry)[2]:
                    if name in entry.now:
                        entry.now[name] = row[name]
            entry.base, entry.added = copy.deepcopy(entry.now), {}
            entry.raw, entry.version = copy.deepcopy(row), self.version_of(entry.key)

    def end_transaction(self, work: list[tuple[str, Entry]]) -> None:
        written = [entry for _, entry in work]
        for entry in list(self.entries):
            if entry.unflushed is not None:
                if entry not in written:
                    entry.base, entry.raw = entry.unflushed[:2]
                    if entry.is_removed and entry.base is None:
                        self.forget(entry)  # it was never there
                entry.unflushed = None
        self.in_transaction = False

    @rule()
    def plan(self) -> None:
        plan = self.loop.call(self.session.plan)
        work = self.work(ends=True)
        assert len(plan) == len(work)
        assert {id(entity) for entity in plan.inserts} == {id(entry.entity) for kind, entry in work if kind == "insert"}
        assert {id(entity) for entity in plan.updates} == {id(entry.entity) for kind, entry in work if kind == "update"}
        assert {id(entity) for entity in plan.deletes} == {id(entry.entity) for kind, entry in work if kind == "delete"}
        assert len(plan.requests) == bool(work)

    @rule()
    def commit(self) -> None:
        work = self.work(ends=True)
        before = self.wire.batches
        try:
            self.carry_out(work)
        except Failure as failed:
            with pytest.raises(SessionError) as caught:
                self.loop.wait(self.session.commit)
            assert caught.value.status_code == failed.args[0]
            assert not caught.value.uncertain
            assert isinstance(caught.value, ConcurrencyError) is (failed.args[0] == 409)
            return
        saved = self.loop.wait(self.session.commit)
        assert self.wire.batches - before == bool(work)
        self.take_note(work)
        assert sorted(saved.removed) == sorted(str(entry.key) for kind, entry in work if kind == "delete")
        assert sorted(saved.updated) == sorted(str(entry.key) for kind, entry in work if kind == "update")
        assert sorted(saved.inserted) == sorted(str(entry.key) for kind, entry in work if kind == "insert")
        self.end_transaction(work)

    @rule()
    def a_commit_that_reaches_nobody(self) -> None:
        work = self.work(ends=True)
        if not work:
            return
        self.wire.fault = "refused"
        with pytest.raises(ConnectionFailed) as caught:
            self.loop.wait(self.session.commit)
        assert not caught.value.uncertain

    @rule(is_written=st.booleans())
    def a_commit_whose_answer_is_lost(self, is_written: bool) -> None:
        work = self.work(ends=True)
        if not work or self.in_transaction or any(entry.key is None or entry.added for _, entry in work):
            return
        if any(entry.is_reference for kind, entry in work if kind == "update"):
            return
        if any(self.of_key(entry.key or "") is not entry for _, entry in work):
            return
        if is_written:
            try:
                self.carry_out(work)
            except Failure:
                return
        self.wire.fault = "written" if is_written else "not written"
        with pytest.raises(ConnectionFailed) as caught:
            self.loop.wait(self.session.commit)
        assert caught.value.uncertain
        self.loop.wait(lambda: self.session.refresh(*[entry.entity for _, entry in work]))
        for kind, entry in work:  # what happens to be there already as it was to be written counts as written
            key = entry.key or ""
            is_there = key not in self.rows if kind == "delete" else key in self.rows and is_same(self.rows[key], entry.now)
            if is_there:
                self.take_note([(kind, entry)])
            elif entry.is_reference:
                self.learn(entry, self.rows[key])

    @precondition(lambda self: not self.in_transaction)
    @rule()
    def begin_transaction(self) -> None:
        transaction = self.loop.call(self.session.use_transaction)
        assert transaction.is_open
        assert self.loop.call(self.session.use_transaction) is transaction
        self.in_transaction = True

    @precondition(lambda self: self.in_transaction)
    @rule()
    def flush(self) -> None:
        before = self.wire.batches
        self.loop.wait(self.session.flush)
        assert self.wire.batches == before
        for entry in self.entries:
            if entry.kind is None:
                continue
            base, raw, added = entry.unflushed or (entry.base, entry.raw, {})
            entry.unflushed = base, raw, dict(added)
            if entry.is_removed:
                entry.is_gone = True
                continue
            for name, amount in entry.added.items():
                entry.unflushed[2][name] = entry.unflushed[2].get(name, 0) + amount
            entry.raw = merged(entry.now, entry.base, entry.raw or {}) if entry.base is not None else copy.deepcopy(entry.now)
            entry.base, entry.added = copy.deepcopy(entry.now), {}

    @rule()
    def roll_back(self) -> None:
        self.loop.wait(self.session.rollback)
        for entry in list(self.entries):
            if entry.unflushed is None:
                continue
            entry.base, entry.raw, added = entry.unflushed
            for name, amount in added.items():
                entry.added[name] = entry.added.get(name, 0) + amount
            entry.unflushed, entry.is_gone = None, False
            if entry.is_removed and entry.base is None:
                self.forget(entry)
        self.in_transaction = False

    # -- hooks

    @rule(
        edited=WHICH,
        removed=WHICH,
        vetoed=WHICH,
        key=st.sampled_from(KEYS),
        actions=st.sets(st.sampled_from(["edit", "remove", "add", "veto"]), min_size=1),
        spares=st.booleans(),
        fails=st.booleans(),
    )
    def commit_with_hooks(
        self, edited: int, removed: int, vetoed: int, key: str, actions: set[str], spares: bool, fails: bool
    ) -> None:
        if self.in_transaction:
            return
        victim = self.choose(vetoed, removed=None) if "veto" in actions else None
        to_edit = self.choose(edited) if "edit" in actions else None
        to_remove = self.choose(removed) if "remove" in actions else None
        to_edit = None if to_edit is victim else to_edit
        to_remove = None if to_remove in (victim, to_edit) else to_remove
        owner = self.of_key(key)
        new = (
            Dog(name="by a hook") if "add" in actions and (owner is None or (owner.is_removed and owner is not victim)) else None
        )

        def before(event: evsession.CommitEvent) -> None:
            if to_edit is not None:
                to_edit.entity["name"] = "hooked"
            if to_remove is not None:
                self.session.remove(to_remove.entity)
            if new is not None:
                self.session.store(new, key=key)

        def veto(event: evsession.CommitEvent) -> None:
            is_other_way = spares and event.name != f"{veto_kind}.pre"  # an update instead of the deletion is let through
            if victim is not None and not is_other_way and any(entity is victim.entity for entity in event.entities):
                event.prevent(victim.entity)

        for name in ("insert.pre", "update.pre", "delete.pre"):
            self.session.on(name, veto)
        self.session.on("commit.pre", before)
        queue = {id(entry): (entry.is_removed, entry.base) for entry in self.entries}
        if to_edit is not None:
            to_edit.now["name"] = "hooked"
        if to_remove is not None:
            to_remove.is_removed = True
        if new is not None:
            self.entries.append(Entry(new, key, {"name": "by a hook"}, None, None))
        veto_kind = None if victim is None else victim.kind
        is_replaced = victim is not None and victim.key is not None and self.of_key(victim.key) is not victim
        if victim is not None and veto_kind == "delete":
            victim.is_removed = False  # what was edited before is an update then
        work = [
            one
            for one in self.work(ends=True)
            if (one[1] is not victim or (veto_kind == "delete" and spares)) and (one[0] != "delete" or one[1].base is not None)
        ]
        try:
            if is_replaced and veto_kind == "delete":
                raise Failure(None)  # its key has gone to another one
            if fails and work:
                self.wire.fault = "refused"
                raise Failure(None)
            self.carry_out(work)
        except Failure as failed:
            with pytest.raises(SessionError) as caught:
                self.loop.wait(self.session.commit)
            assert caught.value.status_code == failed.args[0]
            if new is not None:
                self.entries.pop()
            for entry in self.entries:
                entry.is_removed = queue[id(entry)][0]
        else:
            self.loop.wait(self.session.commit)
            if to_remove is not None and to_remove.base is None:
                self.forget(to_remove)
            self.take_note(work)
            if victim is not None and veto_kind == "insert":
                self.forget(victim)
        finally:
            for name in ("commit.pre", "insert.pre", "update.pre", "delete.pre"):
                self.session.off(name)

    # -- what must hold

    @invariant()
    def the_database_holds_what_was_committed(self) -> None:
        if hasattr(self, "loop"):
            assert self.stored() == self.rows

    @invariant()
    def the_session_believes_what_it_must(self) -> None:
        if not hasattr(self, "loop"):
            return
        session = self.session
        assert session.has_transaction() is self.in_transaction
        assert session.state == ("transaction" if self.in_transaction else "idle")
        assert sorted(map(id, session.identity_map)) == sorted(id(entry.entity) for entry in self.entries)
        for entry in self.entries:
            assert is_same(dict(dict.items(entry.entity)), entry.now), entry
            assert session.is_dirty(entry.entity) is (entry.kind is not None), entry
            if entry.key is not None and self.of_key(entry.key) is entry:
                assert session.identity_map.get(entry.key) is entry.entity
            expected = {} if entry.is_removed else differences(entry.base or {}, entry.now)
            assert session.changes(entry.entity) == expected, entry
        assert {id(change.entity): change.kind for change in session.changes()} == {
            id(entry.entity): entry.kind for entry in self.entries if entry.kind is not None
        }
