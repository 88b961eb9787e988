"""How a batch of the unit of work gets into a graph: grouped statements in one transaction, and the way back when that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, Protocol

from evsession.errors import SessionError
from evsession.neo4j.batches import Row, delete_rows, insert_rows, update_rows
from evsession.neo4j.encoding import TypedMap
from evsession.neo4j.nodes import NodeInfo
from evsession.neo4j.results import Result
from evsession.session.graph_mapper import Item, NodePicture, need_info
from evsession.session.graph_transaction import GraphTransaction
from evsession.session.operation import Steps
from evsession.unitofwork.changes import MISSING, diff
from evsession.unitofwork.tracking import Kind
from evsession.unitofwork.unit import UnitOfWork

__all__ = ["Doing", "GraphBatches", "Whole"]


class Doing:
    """The pause while something asynchronous is done.

    Attributes:
        value: What it gave.
    """

    def __init__(self, function: Callable[[], Awaitable[Any]]) -> None:
        self._function = function
        self.value: Any = None

    async def wait(self) -> None:
        """Do it."""
        self.value = await self._function()


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
        step = self._first
        try:
            while True:
                await step.wait()
                try:
                    step = self._steps.send(None)
                except StopIteration as stop:
                    self.results = stop.value
                    return
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

    def _work_transaction(self) -> GraphTransaction:
        """Return the open transaction, or open one for this commit."""


class GraphBatches:
    """The backend of one commit: it writes into the open transaction, or into one for the whole commit."""

    def __init__(self, session: Home) -> None:
        self._session = session
        self._unit = session._unit

    def write(self, batch: Sequence[Item], *, ends: bool) -> Generator[Any, Any, Sequence[Item]]:
        """Send the statements of the batch, and stage it; `end` makes it last."""
        if not batch:
            return []
        transaction = self._session._work_transaction()
        yield Doing(lambda: self._send(transaction, batch))
        self._unit.stage(batch)
        return list(batch)

    def end(self) -> Generator[Any, Any, None]:
        """Commit the transaction if there is one."""
        if self._unit.journal is not None:
            yield Doing(self._session._work_transaction().commit)

    async def _send(self, transaction: GraphTransaction, batch: Sequence[Item]) -> None:
        groups: dict[tuple[Kind, int], list[Item]] = {}
        for item in batch:
            groups.setdefault((item.kind, id(need_info(item.known.entity))), []).append(item)
        for (kind, _), items in groups.items():
            info = need_info(items[0].known.entity)
            if kind is Kind.UPDATE:
                await self._update(transaction, info, items)
            elif kind is Kind.INSERT:
                # What was compared is what is sent: it is neither read nor encoded again.
                await transaction.run(*insert_rows(info.labels, [TypedMap(item.content) for item in items]))
            else:
                keys = [self._key(info, item) for item in items]
                await transaction.run(*delete_rows(info.labels, info.key, keys))

    def _key(self, info: NodeInfo, item: Item) -> Any:
        """Return the primary key as the database knows it."""
        picture = item.before or item.known.snapshot
        content = item.content if picture is None else picture.known
        return self._unit.mapper.fields(content)[info.key]

    async def _update(self, transaction: GraphTransaction, info: NodeInfo, items: Sequence[Item]) -> None:
        rows = [self._row(info, item) for item in items]
        result = await transaction.run(*update_rows(info.labels, info.key, rows))
        found = set(result.values("place"))
        for place, item in enumerate(items):
            if place not in found:
                raise SessionError(
                    f"there is no {item.known.key} any more; nothing was written", status_code=404, key=item.known.key
                )
        self._settle(items, rows, result)

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
            self._unit.settle_increments(items[place], dict(zip(names, made, strict=True)), setattr)
