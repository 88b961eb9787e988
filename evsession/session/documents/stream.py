"""Results of any size, one document at a time. The parsing is RavenDB's; nothing is remembered."""

from __future__ import annotations

from typing import TypeVar

from evsession.errors import SessionError
from evsession.raven.errors import query_error
from evsession.raven.queries import Query
from evsession.raven.streams import StreamParser, stream_request
from evsession.raven.vocabulary import Database
from evsession.session.documents.workspace import Workspace
from evsession.session.operation import Owner
from evsession.session.rows import Rows
from evsession.wire.message import Response
from evsession.wire.transport import Exchange

__all__ = ["Stream"]

E = TypeVar("E")

PIECE = 16_384
"""Bytes of an answer of which documents are made in one go: few enough to stay in the processor's cache."""


class Stream(Rows[E]):
    """An asynchronous iterator of documents; nothing is sent before the first one is asked for.

    Leaving the loop early, or dropping the stream, drops its connection. ``options.timeout`` limits each wait for the server. A
    failure is told to the handlers, then raised, and again by each further step; what came before it was good. One task at a
    time.
    """

    def __init__(self, owner: Owner, database: Database, workspace: Workspace, query: Query, cls: type | None) -> None:
        super().__init__(owner)
        self._request = stream_request(database, query)
        self._index = query.index
        self._workspace = workspace
        self._cls = cls
        self._parser = StreamParser(query.index)
        self._unfit: SessionError | None = None
        self._data = b""
        self._place = 0

    async def _fill(self) -> None:
        """Wait for more rows, or for the end."""
        if self._unfit is not None:
            raise self._unfit
        if self._exchange is None:
            self._exchange = await self._wait(self._open)
        data = await self._wait(self._exchange.receive)
        if not data:
            self._parser.close()
            self._end()
        self._data, self._place = data, 0

    def _go_on(self) -> bool:
        """Make documents of a few rows more; a failure that the server tells, or one that fits no document, comes after them."""
        start = self._place
        if start >= len(self._data) or self._unfit is not None:
            return False
        self._place = start + PIECE
        try:
            rows = self._parser.feed(self._data[start : self._place])
            self._add(self._workspace.materialize(rows, self._cls))
        except SessionError as error:
            self._unfit = error
        return True

    def close(self) -> None:
        """End the stream; what had come and was not given is dropped. Never waits."""
        self._data = b""
        super().close()

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
