"""Results of any size, one document at a time. The parsing is RavenDB's; nothing is remembered."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import trio

from evsession.errors import SessionClosed, SessionError
from evsession.raven.errors import query_error
from evsession.raven.queries import Query
from evsession.raven.streams import StreamParser, stream_request
from evsession.raven.vocabulary import Database
from evsession.session.callbacks import Callback
from evsession.session.operation import Operation, Owner, Steps
from evsession.session.streaming import Streaming
from evsession.session.workspace import Workspace
from evsession.wire.json import JSON
from evsession.wire.message import Response
from evsession.wire.transport import Exchange

__all__ = ["Stream"]

E = TypeVar("E")


class Stream(Streaming, Generic[E]):
    """An asynchronous iterator of documents; nothing is sent before the first one is asked for.

    Leaving the loop early, or dropping the stream, drops its connection. ``options.timeout`` limits each wait for the server. A
    failure is told to the handlers, then raised, and again by each further step; what came before it was good. One task at a
    time.
    """

    name = "stream"

    def __init__(self, owner: Owner, database: Database, workspace: Workspace, query: Query, cls: type | None) -> None:
        super().__init__(owner)
        self._request = stream_request(database, query)
        self._index = query.index
        self._workspace = workspace
        self._cls = cls
        self._parser = StreamParser(query.index)
        self._documents: deque[E] = deque()
        self._made = 0
        self._is_ended = False
        self._broken: SessionError | None = None
        self._unfit: SessionError | None = None

    @property
    def count(self) -> int:
        """How many documents were given so far."""
        return self._made - len(self._documents)

    def __aiter__(self) -> Stream[E]:
        return self

    async def __anext__(self) -> E:
        try:
            # Nearly every document is there already: one coroutine and one call in C for each.
            return self._documents.popleft() if self._documents else await self.take()
        except SessionError as error:
            self._tell(error)
            raise

    async def take(self) -> E:
        """Return the next document, or raise StopAsyncIteration; handlers are not told of a failure."""
        while not self._documents:
            if self._broken is not None:
                await trio.lowlevel.checkpoint()
                raise self._broken
            if self._is_ended:
                await trio.lowlevel.checkpoint()
                raise StopAsyncIteration
            try:
                async with self._guarded():
                    await self._fill()
            except BaseException as error:
                # Never an end that looks like the end of the documents.
                cut_off = SessionClosed("the stream was cut off while it waited for the server", operation=self.name)
                self._broken = error if isinstance(error, SessionError) else cut_off
                raise
        return self._documents.popleft()

    async def _fill(self) -> None:
        """Wait for more rows, or for the end."""
        if self._unfit is not None:
            raise self._unfit
        if self._exchange is None:
            self._exchange = await self._wait(self._open)
        data = await self._wait(self._exchange.receive)
        if data:
            self._take_rows(self._parser.feed(data))
        else:
            self._parser.close()
            super().close()
            self._is_ended = True

    def _take_rows(self, rows: list[dict[str, JSON]]) -> None:
        """Make documents of the rows, when all before have been given; one that fits no document fails the stream after these."""
        try:
            self._documents.extend(self._workspace.materialize(rows, self._cls))
        except SessionError as error:
            self._unfit = error
        self._made += len(self._documents)

    async def _open(self) -> Exchange:
        exchange = await self._transport.open(self._request, self._trail)
        try:
            head = await exchange.finish()
            if head.status != 200:
                raise query_error(Response(head.status, head.headers, await exchange.read()), index=self._index)
        except BaseException:
            exchange.close()
            raise
        return exchange

    def close(self) -> None:
        """End the stream; what had come and was not given is dropped. Never waits."""
        self._is_ended = True
        self._made -= len(self._documents)
        self._documents.clear()
        super().close()

    def __del__(self) -> None:
        # Leaving "async for" early drops the stream without a word; that is no mistake worth a warning.
        if getattr(self, "_exchange", None) is not None:
            self.close()

    def consume(self, on_document: Callable[[Any], object] | None, callback: Callback | None) -> Operation[int]:
        """Return the operation that reads the whole stream."""
        if on_document is not None and not callable(on_document):
            raise TypeError(f"on_document must be callable, not {on_document!r}")
        return Operation(self._owner, "stream", self._consume(_Consumption(self, on_document)), callback, 1, timed=False)

    def _consume(self, consumption: _Consumption) -> Steps:
        yield consumption
        return (self.count,)


class _Consumption:
    """The pause of an operation while its stream is read."""

    def __init__(self, stream: Stream[Any], on_document: Callable[[Any], object] | None) -> None:
        self._stream = stream
        self._on_document = on_document

    async def wait(self) -> None:
        """Read to the end."""
        stream = self._stream
        try:
            while True:
                try:
                    document = await stream.take()
                except StopAsyncIteration:
                    return
                result = None if self._on_document is None else self._on_document(document)
                if inspect.iscoroutine(result):
                    await result
        finally:
            stream.close()
