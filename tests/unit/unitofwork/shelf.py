"""A database that is a dict, and sessions on it: proof that the unit of work knows no real one, and its tests' workbench."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evsession.errors import InvalidDocument
from evsession.unitofwork.commit import Commit, Saved
from evsession.unitofwork.hooks import CommitEvent, Hook, HookCall
from evsession.unitofwork.tracking import Kind, Staged, Tracked
from evsession.unitofwork.unit import UnitOfWork


@dataclass(frozen=True)
class Page:
    """A snapshot."""

    known: bytes


class Thing:
    """An entity: its attributes are its fields, but for the key."""

    def __init__(self, key: str | None = None, **fields: Any) -> None:
        self.key = key
        vars(self).update(fields)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key}>"


class Note(Thing):
    """Another type of entities."""


class ShelfMapper:
    """Content is JSON with sorted names; new things without a key are numbered when they are written."""

    def content(self, known: Tracked[Page]) -> bytes:
        fields = {name: value for name, value in vars(known.entity).items() if name != "key"}
        for name, value in fields.items():
            if isinstance(value, set):
                raise InvalidDocument(f"{name} cannot be stored", key=known.key)
        return self.compose(fields)

    def contents(self, entities: Sequence[Tracked[Page]]) -> list[bytes]:
        return [self.content(known) for known in entities]

    def changed(self, known: Tracked[Page]) -> bytes | None:
        assert known.snapshot is not None
        content = self.content(known)
        return None if content == known.snapshot.known else content

    def scan(self, entities: Sequence[Tracked[Page]]) -> Iterator[tuple[Tracked[Page], bytes | None]]:
        for known in entities:
            content = self.changed(known)
            if content is not None or known.increments or known.writes:
                yield known, content

    def claim(self, known: Tracked[Page]) -> str:
        return known.entity.key or "made later"

    def claims(self, entities: Sequence[Tracked[Page]]) -> list[Any]:
        return [self.claim(known) for known in entities]

    def key_of(self, claim: str) -> str | None:
        return None if claim == "made later" else claim

    def fields(self, content: bytes) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(content)
        return fields

    def compose(self, fields: Mapping[str, Any]) -> bytes:
        return json.dumps(fields, sort_keys=True).encode()

    def picture(self, content: bytes, before: Page | None) -> Page:
        return Page(content)

    def type_of(self, known: Tracked[Page]) -> tuple[type, str | None]:
        return type(known.entity), f"{type(known.entity).__name__}s"

    def address(self, known: Tracked[Page]) -> str | None:
        return known.key or known.entity.key

    def check_field(self, known: Tracked[Page], field: str, value: Any) -> None:
        pass

    def stored_name(self, known: Tracked[Page], field: str) -> str:
        return field


class Refused(Exception):
    """What the shelf answers when it is told to fail."""


class Shelf:
    """The database.

    Attributes:
        rows: Fields by key.
        sent: What each write was made of: kind, key and fields.
        refuses: Whether writes fail; nothing is changed then.
        meanwhile: Called while a write is under way.
        ends: How often a transaction was ended.
    """

    def __init__(self, **rows: dict[str, Any]) -> None:
        self.rows: dict[str, dict[str, Any]] = rows
        self.sent: list[list[tuple[str, str, dict[str, Any]]]] = []
        self.refuses = False
        self.meanwhile: Callable[[], object] = lambda: None
        self.ends = 0


class Writes:
    """The backend of one commit: an open transaction is kept until it ends."""

    def __init__(self, shelf: Shelf, unit: UnitOfWork[Page]) -> None:
        self.shelf = shelf
        self.unit = unit

    def write(self, batch: Sequence[Staged[Page]], *, ends: bool) -> Generator[Any, Any, Sequence[Staged[Page]]]:
        unit = self.unit
        if unit.journal is not None and not ends:
            unit.stage(batch)
            return []
        items = list(batch) if unit.journal is None else unit.joined(batch)
        if items:
            yield "write"
            if self.shelf.refuses:
                raise Refused
            self.shelf.sent.append([self._apply(item) for item in items])
        for item in batch:
            item.increments = None
        unit.settle(items)
        return items

    def lasts(self, *, ends: bool) -> bool:
        return ends or self.unit.journal is None

    def end(self) -> Generator[Any, Any, None]:
        self.unit.end()
        self.shelf.ends += 1
        yield from ()

    def _apply(self, item: Staged[Page]) -> tuple[str, str, dict[str, Any]]:
        known, rows = item.known, self.shelf.rows
        if item.kind is Kind.DELETE:
            assert known.key is not None
            del rows[known.key]
            self._forget(known)
            return "delete", known.key, {}
        key = known.key or f"made/{len(rows)}"
        assert (key in rows) is (item.kind is Kind.UPDATE)
        told = self.unit.mapper.fields(item.content)
        row = dict(told)
        for field, amount in (item.increments or {}).items():
            row[field] = rows[key].get(field, 0) + amount
            told[field] = f"+{amount}"
        rows[key] = row
        if item.increments:
            self.unit.settle_increments(item, row, setattr)
        known.snapshot = Page(item.content)
        if self.unit.map.of(known.entity) is known:
            self.unit.map.rekey(known, key)
        known.entity.key = key
        return item.kind.value, key, told

    def _forget(self, known: Tracked[Page]) -> None:
        if known.is_removed:
            self.unit.map.remove(known)
        else:
            known.snapshot = None
        known.is_removed = known.is_flushed = False


class Hooks:
    """The hooks of one desk; a type may be a class or the name of a type."""

    def __init__(self) -> None:
        self.added: dict[str, list[tuple[type | None, Hook]]] = defaultdict(list)

    @property
    def has_hooks(self) -> bool:
        return any(self.added.values())

    def hooks(self, event: str, entity_type: type | None, name: str | None) -> Sequence[Hook]:
        found = self.added.get(event, ())
        return [hook for wanted, hook in found if wanted is None or entity_type is None or issubclass(entity_type, wanted)]


class Desk:
    """A session on a shelf, without any operation or task: every verb runs to its end."""

    def __init__(self, shelf: Shelf | None = None, *, detects: bool = True) -> None:
        self.shelf = shelf or Shelf()
        self.hooks = Hooks()
        self.unit: UnitOfWork[Page] = UnitOfWork(ShelfMapper(), detects=detects)
        self.commits: list[Commit[Page]] = []

    def on(self, event: str, hook: Hook, *, type: type | None = None) -> None:
        self.hooks.added[event].append((type, hook))

    def load(self, key: str, cls: type[Thing] = Thing) -> Any:
        known = self.unit.map.get(key)
        if known is None:
            known = Tracked(cls(key, **self.shelf.rows[key]), key, "1", None, {})
            known.snapshot = Page(self.unit.mapper.content(known))
            self.unit.map.add(known)
        return known.entity

    def known(self, entity: Any) -> Tracked[Page]:
        known = self.unit.map.of(entity)
        assert known is not None
        return known

    def add(self, *entities: Any) -> None:
        for entity in entities:
            known = self.unit.map.of(entity)
            if known is not None:
                self.unit.take_back(known)
            else:
                self.unit.add(Tracked(entity, entity.key, None, None, {}))

    def remove(self, *entities: Any) -> None:
        for entity in entities:
            self.unit.remove(self.known(entity))

    def increment(self, entity: Any, field: str, amount: int) -> None:
        setattr(entity, field, getattr(entity, field, 0) + amount)
        self.unit.increment(self.known(entity), field, amount)

    def begin(self) -> None:
        self.unit.journal = {}

    def commit(self, *, ends: bool = True) -> Saved:
        with self.call(ends=ends) as commit:
            return commit()

    def flush(self) -> Saved:
        return self.commit(ends=self.unit.journal is None)

    @contextmanager
    def call(self, *, ends: bool = True) -> Iterator[Callable[[], Saved]]:
        """Call a commit; what the block does happens before it is its turn, which comes with the call of what is yielded."""
        frozen = self.unit.freeze()
        commit = Commit(self.unit, self, self.hooks, Writes(self.shelf, self.unit))
        self.commits.append(commit)

        def run() -> Saved:
            steps = commit.run(frozen, ends=ends)
            try:
                step = next(steps)
                while True:
                    if isinstance(step, HookCall):
                        finish(step.wait())
                    else:
                        self.shelf.meanwhile()
                    step = steps.send(None)
            except StopIteration as stop:
                saved: Saved = stop.value
                return saved
            finally:
                steps.close()

        try:
            yield run
        finally:
            self.unit.release(frozen)

    def kinds(self) -> dict[Any, str]:
        """What a commit would do now."""
        kinds = {known.entity: self.unit.kind_of(known) for known in self.unit.map}
        return {entity: kind.value for entity, kind in kinds.items() if kind is not None}


def finish(coroutine: Any) -> None:
    """Run what awaits nothing."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something")


class Log:
    """A hook that notes what it is told: name, round, keys, and for updates the changes."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.events: list[CommitEvent] = []

    def __call__(self, event: CommitEvent) -> None:
        self.events.append(event)
        self.told.append((event.name, event.round, event.keys))
