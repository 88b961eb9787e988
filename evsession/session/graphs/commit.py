"""How a batch of the unit of work gets into a graph: grouped statements in one transaction, and the way back when that fails."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from evsession.errors import SessionError, TransactionError, UnsupportedFeature
from evsession.neo4j.answers import Answer
from evsession.neo4j.batches import Row, delete_rows, insert_rows, update_rows
from evsession.neo4j.cypher import Cypher
from evsession.neo4j.encoding import TypedMap
from evsession.neo4j.flows import Opened
from evsession.neo4j.nodes import NodeInfo
from evsession.neo4j.results import Result
from evsession.neo4j.statements import GraphDatabase, Statement, begin_request, commit_request, run_request
from evsession.session.calls import Call
from evsession.session.graphs.mapper import Item, NodePicture, need_info
from evsession.session.graphs.transaction import GraphTransaction
from evsession.session.operation import Steps
from evsession.unitofwork.changes import MISSING, diff
from evsession.unitofwork.tracking import Kind
from evsession.unitofwork.unit import UnitOfWork
from evsession.wire.message import Request

__all__ = ["GraphBatches", "Whole"]

_ROW = re.compile(r"rows\[(\d+)\]\.(?:set\.)?(.*)", re.DOTALL)


class Whole:
    """The pause that is all steps of a commit, so that what is half done when they fail can be undone.

    The steps yield nothing but pauses. They are begun at once, for what they write is what there is at the call.
    """

    def __init__(self, steps: Steps, undo: Callable[[BaseException], Awaitable[None]]) -> None:
        self.results: tuple[Any, ...] = ()
        self._steps = steps
        self._undo = undo
        self._first: Any = next(steps)

    async def wait(self) -> None:
        """Take the steps."""
        try:
            await self._first.wait()  # the turn: who is cut off before it has come has nothing to undo
        except BaseException:
            self._steps.close()
            raise
        await self._go_on()

    async def _go_on(self) -> None:
        step: Any
        try:
            while True:
                try:
                    step = self._steps.send(None)
                except StopIteration as stop:
                    self.results = stop.value
                    return
                await step.wait()
        except BaseException as error:
            await self._undo(error)  # noqa: ASYNC102 - what must be shielded there is
            raise
        finally:
            self._steps.close()

    def close(self) -> None:
        """Give up steps that nobody waits for any more."""
        self._steps.close()


class Home(Protocol):
    """The session."""

    _unit: UnitOfWork[NodePicture]
    _database: GraphDatabase
    _mark: str
    _current: GraphTransaction | None
    _lost: int

    def _new_work_transaction(self) -> GraphTransaction:
        """Return a transaction that begins with its first statement."""

    def _work_transaction(self) -> GraphTransaction:
        """Return the open transaction, or open one for this commit."""


def _blame(error: BaseException, items: Sequence[Item]) -> None:
    """Let an error name the entity, if it is about a single one, and the property in place of the parameter."""
    if not isinstance(error, SessionError):
        return
    if isinstance(error, UnsupportedFeature) and (place := _ROW.fullmatch(error.path)) is not None:
        error.key, error.path = items[int(place[1])].known.key, place[2]
        error.message = error.message.replace(place[0], f"{place[2]} of {error.key!r}", 1)
    elif len(items) == 1:
        error.key = error.key or items[0].known.key


class GraphBatches:
    """The backend of one commit: it writes into the open transaction, or into one for the whole commit."""

    def __init__(self, session: Home) -> None:
        self._session = session
        self._unit = session._unit
        self._transaction: GraphTransaction | None = None
        self._lost = session._lost

    def write(self, batch: Sequence[Item], *, ends: bool) -> Generator[Any, Any, Sequence[Item]]:
        """Send the statements of the batch, and stage it; `end` makes it last."""
        # What a flush that was called before has deleted may have left its key to another one.
        batch = [item for item in batch if item.kind is not Kind.DELETE or not item.known.is_flushed]
        if not batch:
            return []
        self._check_known(batch)
        transaction = self._transaction = self._session._work_transaction()
        transaction._is_half = ends
        yield Call(lambda: self._send(transaction, batch))
        self._unit.stage(batch)
        for item in batch:
            if item.known.is_flushed and not item.known.is_removed:  # added again meanwhile
                item.known.snapshot, item.known.is_flushed = None, False
        return list(batch)

    def lasts(self, *, ends: bool) -> bool:
        """Return False: until the end of the transaction nothing does."""
        return False

    def end(self) -> Generator[Any, Any, None]:
        """Commit the transaction if there is one; of one that somebody else has ended that is refused."""
        transaction = self._transaction
        if transaction is None and self._unit.journal is not None:
            transaction = self._session._work_transaction()
        if transaction is not None:
            yield Call(partial(transaction._do, "commit"))

    def _check_known(self, batch: Sequence[Item]) -> None:
        """Refuse to write again what a commit may have written whose outcome was not unknown yet when this one was called."""
        unsure = [item for item in batch if item.known.unsure is not None] if self._session._lost != self._lost else []
        if unsure:
            known = unsure[0].known
            raise TransactionError(
                f"whether {known.entity!r} was written by the commit before this one is unknown, so it is not written again;"
                " refresh it, and commit again",
                key=known.key,
                uncertain=True,
            )

    async def _send(self, transaction: GraphTransaction, batch: Sequence[Item]) -> None:
        items: Sequence[Item] = ()
        # One that was asked to end before is left to that.
        transaction._check("run", transaction._phase if transaction._flushes else transaction._asked)
        try:
            for cypher, items, rows in self.statements(batch):
                result = await transaction._do("run", *cypher)
                if rows:
                    self._check_found(items, result)
                    self._settle(items, rows, result)
        except BaseException as error:
            _blame(error, items)
            # Half a batch must not be committed later on: whatever the transaction was opened for, it is over.
            await transaction._break(error)  # noqa: ASYNC102 - what must be shielded there is
            raise

    def statements(self, batch: Sequence[Item]) -> Iterator[tuple[Cypher, Sequence[Item], Sequence[Row]]]:
        """Yield one statement for each kind of change and class of nodes, with what it is about; rows are those of changes."""
        groups: dict[tuple[Kind, int], list[Item]] = {}
        for item in batch:
            groups.setdefault((item.kind, id(need_info(item.known.entity))), []).append(item)
        for (kind, _), items in groups.items():
            info = need_info(items[0].known.entity)
            if kind is Kind.UPDATE:
                rows = [self._row(info, item) for item in items]
                yield update_rows(info.labels, info.key, rows), items, rows
            elif kind is Kind.INSERT:
                # What was compared is what is sent: it is neither read nor encoded again.
                yield insert_rows(info.labels, [TypedMap(item.content) for item in items]), items, ()
            else:
                yield delete_rows(info.labels, info.key, [self._key(info, item) for item in items]), items, ()

    def requests(self, batch: Sequence[Item]) -> Iterator[Request]:
        """Yield the requests that would write the batch and end the transaction."""
        session = self._session
        transaction = session._current if self._unit.journal is not None else None
        opened = None if transaction is None else transaction._opened
        for cypher, _, _ in self.statements(batch):
            statement = Statement.of(*cypher)
            if opened is None:
                opening = (transaction or session._new_work_transaction())._begin_now()
                yield begin_request(session._database, opening, statement, session._mark)
                opened = Opened("new", (), Answer())
            else:
                yield run_request(session._database, opened.id, opened.affinity, statement, session._mark)
        if opened is not None:
            yield commit_request(session._database, opened.id, opened.affinity)

    def _key(self, info: NodeInfo, item: Item) -> Any:
        """Return the primary key as the database knows it."""
        picture = item.before or item.known.snapshot
        content = item.content if picture is None else picture.known
        return self._unit.mapper.fields(content)[info.key]

    @staticmethod
    def _check_found(items: Sequence[Item], result: Result) -> None:
        found = set(result.values("place"))
        for place, item in enumerate(items):
            if place not in found:
                raise SessionError(
                    f"there is no {item.known.key} any more; nothing was written", status_code=404, key=item.known.key
                )

    def _row(self, info: NodeInfo, item: Item) -> Row:
        fields = self._unit.mapper.fields
        before = {} if item.before is None else fields(item.before.known)
        changes = diff(before, fields(item.content))
        # A field that was also assigned is not what it was plus the increment; the assignment wins, and is sent as it is.
        increments = {
            name: amount
            for name, amount in (item.increments or {}).items()
            if name not in changes or (before.get(name, 0) + amount == changes[name].new)
        }
        settings = {
            name: None if change.new is MISSING else change.new for name, change in changes.items() if name not in increments
        }
        item.increments = increments or None
        return Row(self._key(info, item), settings, increments)

    def _settle(self, items: Sequence[Item], rows: Sequence[Row], result: Result) -> None:
        """Let entities have what the server made of their increments."""
        names = sorted({name for row in rows for name in row.increments})
        for place, made in result.values() if names else ():
            item, fields = items[place], dict(zip(names, made, strict=True))
            increments = item.increments
            self._note_others(item, fields)
            self._unit.settle_increments(item, fields, setattr)
            item.increments = increments  # the transaction may be rolled back

    def _note_others(self, item: Item, made: Mapping[str, Any]) -> None:
        """Take note that others have counted, too: so a rollback leaves the same increments pending, not an assignment."""
        known, mapper = item.known, self._unit.mapper
        if known.snapshot is None or id(known) in (self._unit.journal or {}):
            return
        before, sent = mapper.fields(known.snapshot.known), mapper.fields(item.content)
        moved = {name: before[name] + made[name] - sent[name] for name in item.increments or {} if before.get(name) is not None}
        if moved:
            known.snapshot = NodePicture(mapper.compose({**before, **moved}))
