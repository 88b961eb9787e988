"""Writing any number of documents in one request that is sent while they come. The form of the request is RavenDB's."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

import trio

from evsession.config import Conventions
from evsession.errors import SessionClosed, SessionError
from evsession.raven.bulk import bulk_item, bulk_request, kill_request, operation_id_flow
from evsession.raven.codec import encode_entity, set_key
from evsession.raven.document import Document, put_key
from evsession.raven.errors import error_from
from evsession.raven.hilo import HiLoRanges, hilo_key_flow
from evsession.raven.keys import check_new_key, is_server_made, new_key, separator_of
from evsession.raven.storable import check_storable, chosen_facts, own_metadata
from evsession.raven.types import info_of
from evsession.raven.vocabulary import COLLECTION, Database
from evsession.session.operation import Owner
from evsession.session.streaming import Streaming
from evsession.wire.flow import Flow, run_flow
from evsession.wire.json import encode
from evsession.wire.message import Request, Response
from evsession.wire.transport import Trail

__all__ = ["BulkInsert"]

T = TypeVar("T")

ABORT_TIMEOUT = 2.0
"""Seconds that telling the server to stop may hold up a program that is leaving by an exception."""

_NAMES = (str, type(None))

CHUNK = 122_880
"""Bytes that are collected before they are sent. Of more than 128 KiB glibc would map and unmap fresh pages for each copy."""


class BulkInsert(Streaming):
    """Documents on their way to the server: ``async with store.bulk_insert() as insert: await insert.store(document)``.

    `store` waits while the server is slower than the program, so memory stays flat. Leaving the block waits until the server has
    everything; leaving it by an exception stops the insert. It is not atomic: what the server had taken before a failure stays,
    so the error is `uncertain`. Documents are overwritten without any check. One task at a time.

    A document without a key gets one by the id generation strategy; ``"auto"`` and ``"server"`` mean ``"hilo"`` here, since
    RavenDB tells no keys and makes no identities in a bulk insert (it answers 500, seen on 5.4 - 7.1). A program may take its
    time between documents: the server waits for more than a minute without a sign (seen on 5.4 - 7.1). ``options.timeout``
    limits each wait for the server.

    Attributes:
        count: How many documents were given so far.
    """

    name = "bulk_insert"

    def __init__(self, owner: Owner, database: Database, conventions: Conventions, ranges: HiLoRanges) -> None:
        super().__init__(owner)
        self.count = 0
        self._database = database
        self._conventions = conventions
        self._ranges = ranges
        self._number = 0
        self._is_entered = False
        self._buffer: list[bytes] = []
        self._size = 0
        self._opening = b"["
        self._places: dict[tuple[type, str | None], tuple[str | None, bytes]] = {}

    async def __aenter__(self) -> BulkInsert:
        if self._is_entered:
            raise SessionClosed("a bulk insert is for one 'async with' block; call bulk_insert() again for another one")
        self._is_entered = True
        try:
            async with self._guarded():
                self._number = await self._run(operation_id_flow(self._database))
                request = bulk_request(self._database, self._number)
                self._exchange = await self._wait(lambda: self._transport.open(request, self._trail, streams_body=True))
        except SessionError as error:
            self._tell(error)
            raise
        return self

    async def store(
        self, document: Any, *, key: str | None = None, collection: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> str:
        """Give one document and return its key. Waits only when a chunk is full, and is a checkpoint only then.

        Arguments and errors are as in `Session.store`.

        Raises:
            SessionClosed: outside of the block, or after the insert has failed.
            InvalidDocument: the document cannot be stored; the insert goes on without it.
        """
        if self._exchange is None:
            raise SessionClosed("a bulk insert takes documents only inside its 'async with' block, and until it fails")
        is_document = isinstance(document, Document)
        place = None
        if metadata is None and collection.__class__ in _NAMES and not (is_document and document._metadata):
            place = self._places.get((type(document), collection))
        home, facts = place or self._place(document, collection, metadata)
        content = encode_entity(document)
        chosen = check_new_key(key) if key is not None else await self._make_key(document, home)
        if is_document:
            put_key(document, chosen)
        else:
            set_key(document, chosen)
        self.count += 1
        item = bulk_item(chosen, content, facts)
        self._buffer.append(item)
        self._size += len(item)
        if self._size >= CHUNK:
            await self._flush()
        return chosen

    def _place(self, document: Any, collection: str | None, metadata: Mapping[str, Any] | None) -> tuple[str | None, bytes]:
        """Return the collection and the metadata as JSON; they are kept by class where they depend on nothing else."""
        check_storable(document)
        info = info_of(document)
        facts, version = own_metadata(document)
        depends = bool(facts or metadata or version)
        facts.update(chosen_facts(collection, metadata))
        home = facts.get(COLLECTION) or (info.collection if info is not None else None)
        if home is not None:
            facts[COLLECTION] = home
        place = home, encode(facts)
        if not depends:
            self._places[type(document), collection] = place
        return place

    async def _make_key(self, document: Any, collection: str | None) -> str:
        """Make the key here: from the id, as a GUID where no number is wanted, else with the next number of the collection."""
        made = new_key(document, info_of(document), self._conventions, collection=collection)
        if isinstance(made, str) and not is_server_made(made):
            return made
        if made is None or collection is None:
            return str(uuid.uuid4())
        separator = separator_of(document, self._conventions)
        return await self._run(hilo_key_flow(self._database, collection, self._ranges, separator))

    async def _flush(self, end: bytes = b"") -> None:
        data = self._opening + b",".join(self._buffer) + end
        self._opening = b"," if self._buffer else self._opening
        self._buffer.clear()
        self._size = 0
        exchange = self._exchange
        assert exchange is not None
        async with self._guarded(writes=True):
            if not await self._wait(lambda: exchange.send(data)):
                await self._finish()

    async def _finish(self) -> None:
        """Read the server's answer, which is its verdict on everything."""
        exchange = self._exchange
        assert exchange is not None
        head = await self._wait(exchange.finish)
        body = await self._wait(exchange.read)
        self.close()
        if head.status != 201:
            raise error_from(Response(head.status, head.headers, body), writes=True)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if self._exchange is None:
            if isinstance(error, SessionError):
                self._tell(error)
        elif kind is not None:
            await self._abort()  # noqa: ASYNC102 - it shields itself
        else:  # nothing was raised: this is the end of the work, not a clean-up
            await self._complete()  # noqa: ASYNC102

    async def _complete(self) -> None:
        """Send the rest and the end of the array, and wait for the answer."""
        try:
            if not self._buffer and self._opening == b",":
                self._opening = b""
            await self._flush(b"]")
            if self._exchange is not None:
                async with self._guarded(writes=True):
                    await self._finish()
        except SessionError as failure:
            self._tell(failure)
            raise

    async def _abort(self) -> None:
        """Drop the connection, so that the server never sees the end of the array, and tell it to stop."""
        self.close()
        with trio.move_on_after(ABORT_TIMEOUT, shield=True):
            # The program's own exception is on its way, and the server stops by itself at the broken body.
            with suppress(SessionError):
                await self._transport.send(kill_request(self._database, self._number), Trail(self.name))

    async def _run(self, flow: Flow[T]) -> T:
        """Run a flow beside the insert; its failure ends the insert, of which the server may keep what was sent."""
        async with self._guarded(writes=self._opening == b","):
            return await run_flow(flow, self._ask)

    async def _ask(self, request: Request) -> Response:
        return await self._wait(lambda: self._transport.send(request, self._trail))
