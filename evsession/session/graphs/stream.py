"""Results of any size from a graph, one record at a time. The parsing is Neo4j's; nothing is remembered."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import trio

from evsession.errors import OperationTimeout, ProtocolError, SessionError, UnsupportedFeature
from evsession.neo4j.answers import summary_of
from evsession.neo4j.errors import error_from
from evsession.neo4j.flows import check_flow, learn_flow
from evsession.neo4j.results import Record, index_of
from evsession.neo4j.statements import Statement, statement_request
from evsession.neo4j.streams import LineParser, ObjectParser
from evsession.neo4j.summaries import Summary
from evsession.neo4j.transactions import TransactionConfig
from evsession.session.graphs.release import terminate
from evsession.session.rows import Rows
from evsession.wire.flow import run_flow
from evsession.wire.message import Request, Response
from evsession.wire.transport import Exchange, Trail

if TYPE_CHECKING:
    from evsession.session.graphs.session import GraphSession

__all__ = ["GraphStream"]


class GraphStream(Rows[Record]):
    """An asynchronous iterator of `Record`; nothing is sent before the first one is asked for.

    Leaving the loop early, or dropping the stream, drops its connection, which ends the statement at its next row; cancelled
    while it waits, it terminates the statement. ``options.timeout`` limits each wait for the server, and a wait that is too long
    terminates the statement, too. A failure is told to the handlers, then raised, and again by each further step; what came
    before it was good. Without an end of the answer nobody knows whether what the statement has written lasts, so the error is
    `uncertain`, unless the session only reads. One task at a time.

    Attributes:
        summary: What became of the statement, once all records were given; else None.
    """

    def __init__(self, session: GraphSession, statement: Statement, config: TransactionConfig) -> None:
        super().__init__(session)
        self.summary: Summary | None = None
        self._session = session
        self._statement = statement
        self._config = config
        self._tag = session._next_tag()
        self._parser: LineParser | ObjectParser | None = None
        self._index: dict[str, int] = {}
        self._is_asked = False

    async def _fill(self) -> None:
        try:
            if self._exchange is None and self._parser is None:
                self._exchange = await self._wait(self._open)
            if self._exchange is not None:
                self._take(await self._wait(self._exchange.receive))
            else:
                self._finish()
        except trio.Cancelled:
            await self._terminate()  # noqa: ASYNC102 - what must be shielded there is
            raise
        except OperationTimeout as error:
            error.uncertain = self._may_have_written()
            await self._terminate()  # noqa: ASYNC120 - it shields itself
            raise
        except ProtocolError as error:
            error.uncertain = self._may_have_written()
            raise

    async def _terminate(self) -> None:
        """Terminate the statement, if it was sent."""
        if self._is_asked:
            await terminate(self._transport, self._session._database, self._tag, self._trail)

    def _may_have_written(self) -> bool:
        return self._is_asked and self._trail.sent and self._session._access == "WRITE"

    def _take(self, data: bytes) -> None:
        parser = self._parser
        assert parser is not None
        rows = parser.feed(data) if data else parser.close()
        if parser.fields is not None and not self._index:
            self._index = index_of(parser.fields)
        self._add(map(Record, rows, repeat(self._index)))
        if not data:
            super(Rows, self).close()
            if not rows:
                self._finish()

    def _finish(self) -> None:
        assert self._parser is not None
        answer = self._parser.finish()
        self._session._saw(answer)
        statement = self._statement
        self.summary = summary_of(answer, statement.text, statement.parameters, self._session._database.name)
        self._end()

    async def _open(self) -> Exchange:
        session, statement, config = self._session, self._statement, self._config
        features = await run_flow(learn_flow(session._server), self._ask)
        await run_flow(check_flow(session._server, statement, config), self._ask)
        if config.timeout is not None and not features.has_timeouts:
            raise UnsupportedFeature(f"a timeout of a stream needs Neo4j 2026.04; the server is {features.version}")
        name = session._database.name
        writes = session._access == "WRITE"
        self._parser = LineParser(name, writes=writes) if features.has_lines else ObjectParser(name, writes=writes)
        opening = session._opening(config, session._access)
        request = statement_request(session._database, statement, opening, self._tag, as_lines=features.has_lines)
        self._trail, self._is_asked = Trail(self.name, self._trail.observe), True  # of the statement alone
        exchange = await self._transport.open(request, self._trail)
        try:
            head = await exchange.finish()
            if head.status != 202:
                raise refusal(Response(head.status, head.headers, await exchange.read()), name, writes=writes)
        except BaseException:
            exchange.close()
            raise
        return exchange

    async def _ask(self, request: Request) -> Response:
        return await self._transport.send(request, self._trail)


def refusal(response: Response, database: str, *, writes: bool) -> SessionError:
    """Return what a refusal means, also as the only line of JSON lines."""
    body = response.body
    if (response.header(b"content-type") or "").endswith("jsonl"):
        parser = LineParser(database, writes=writes)
        try:
            parser.feed(body.rstrip(b"\n") + b"\n")
        except SessionError as error:
            error.status_code = response.status
            return error
    return error_from(response, database=database, writes=writes)
