"""The document session: every method that programs call, and nothing of how it is done.

Knows which steps belong to which method. The steps are in `reading` and `writing`, their driving is `Operation`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, overload

from evsession.config import Conventions, Held, SessionOptions
from evsession.raven.hilo import HiLoRanges
from evsession.raven.includes import include_paths
from evsession.raven.patches import Patch, legacy_patch
from evsession.raven.queries import Query, collection_query, index_query, raw_query
from evsession.raven.results import Statistics
from evsession.raven.shapes import key_name_of
from evsession.raven.specs import Specs
from evsession.raven.storable import check_storable
from evsession.raven.types import collection_of
from evsession.raven.vocabulary import Database
from evsession.session.callbacks import Callback, shift
from evsession.session.conversation import Running
from evsession.session.documents.order import fixed_after_writers
from evsession.session.documents.queryable import Queryable
from evsession.session.documents.reading import Reader, check_type
from evsession.session.documents.stream import Stream
from evsession.session.documents.work import DocumentWork
from evsession.session.documents.workspace import Workspace
from evsession.session.documents.writing import Writer
from evsession.session.events import Events
from evsession.session.gate import Gate
from evsession.session.operation import Operation, Steps
from evsession.session.rows import consume

__all__ = ["Session"]

E = TypeVar("E")
Params = Mapping[str, Any]


class Session(DocumentWork):
    """A conversation with one database: it remembers what it loaded, notices what changed, and writes that in one batch.

    Open one with `Store.open_session`, best in ``async with``: leaving waits for the session's operations, then closes it.
    Operations run concurrently and end in any order; saves take turns in call order. A session is for one trio run, and keeps
    what it loaded for as long as it is open, so open one per unit of work.

    Each method that asks the server returns an `Operation`. Its callback is always the last argument, also when optional ones
    before it are left out.

    Attributes:
        conventions: The session's own copy of the store's `Conventions`; free to change.
        options: The session's own copy of `SessionOptions`; free to change.
    """

    conventions = Held(Conventions)

    def __init__(
        self,
        *,
        database: Database,
        conventions: Conventions,
        options: SessionOptions,
        events: Events,
        gate: Gate,
        ranges: HiLoRanges,
        running: Running,
        with_identity_map: bool = True,
    ) -> None:
        super().__init__(options=options, events=events, gate=gate, running=running)
        self.conventions = conventions
        self._database = database
        self._workspace = Workspace(conventions, tracks=with_identity_map)
        self._unit = self._workspace.unit
        self._reader = Reader(database, self._workspace)
        self._writer = Writer(database, self._workspace, conventions, ranges)
        self._start_working()

    # Calls with `type` come first, since without it the same arguments give Any.
    @overload
    def load(  # type: ignore[overload-overlap]  # a str is a sequence of str to the checker, but never to `load`
        self, key: str, includes: Callback | None = None, callback: Callback | None = None, *, type: type[E]
    ) -> Operation[E | None]: ...
    @overload
    def load(  # type: ignore[overload-overlap]
        self, key: str, includes: str | Sequence[str], callback: Callback | None = None, *, type: type[E]
    ) -> Operation[tuple[E | None, Queryable[Any]]]: ...
    @overload
    def load(
        self, key: Sequence[str], includes: Callback | None = None, callback: Callback | None = None, *, type: type[E]
    ) -> Operation[Queryable[E]]: ...
    @overload
    def load(
        self, key: Sequence[str], includes: str | Sequence[str], callback: Callback | None = None, *, type: type[E]
    ) -> Operation[tuple[Queryable[E], Queryable[Any]]]: ...
    @overload
    def load(self, key: str, includes: Callback | None = None, callback: Callback | None = None) -> Operation[Any]: ...
    @overload
    def load(
        self, key: str, includes: str | Sequence[str], callback: Callback | None = None
    ) -> Operation[tuple[Any, Queryable[Any]]]: ...
    @overload
    def load(
        self, key: Sequence[str], includes: Callback | None = None, callback: Callback | None = None
    ) -> Operation[Queryable[Any]]: ...
    @overload
    def load(
        self, key: Sequence[str], includes: str | Sequence[str], callback: Callback | None = None
    ) -> Operation[tuple[Queryable[Any], Queryable[Any]]]: ...
    def load(self, key: Any, includes: Any = None, callback: Callback | None = None, *, type: Any = None) -> Operation[Any]:
        """Load a document by its key, or several in one request.

        The result is the document, or None where there is none; for several keys a `Queryable` of those found, in the order
        asked. With `includes` (a path such as ``"owner.id"``, or several) a second result is the `Queryable` of documents that
        are referred to there, from the same request. All of them are remembered: loading one again gives the same object and
        sends nothing. A missing document is no error, but a handler of 404 is told of it. A callback may always take both
        results.

        Args:
            key: A key or several. Keys are compared without regard to case, as on the server.
            includes: Paths of fields that hold keys; lists are gone through.
            callback: Called with the error and the results.
            type: The class to make of the document instead of the one declared for its collection.

        Raises:
            ConfigurationError: a key that can be none, or an include that is no path.
        """
        callback, includes = shift(callback, includes)
        paths = include_paths(includes)
        cls = check_type(type)
        cache = self.options.cache and self._workspace.tracks
        if not isinstance(key, str) and isinstance(key, Iterable) and not isinstance(key, (bytes, Mapping)):
            steps = self._reader.load_many(list(key), paths, cls, cache=cache)
        else:
            steps = self._reader.load(key, paths, cls, cache=cache)
        return Operation(self, "load", steps, callback, 1 if includes is None else 2)

    def exists(self, key: str, callback: Callback | None = None) -> Operation[bool]:
        """Ask whether the document exists, without loading it. A missing database is an error, not False."""
        return Operation(self, "exists", self._reader.exists(key), callback, 1)

    @overload
    def query(
        self, type: str, params: Any = None, specs: Any = None, callback: Callback | None = None, **more: Any
    ) -> Operation[tuple[Queryable[Any], Statistics]]: ...
    @overload
    def query(
        self, type: type[E], params: Any = None, specs: Any = None, callback: Callback | None = None, **more: Any
    ) -> Operation[tuple[Queryable[E], Statistics]]: ...
    def query(
        self, type: Any, params: Any = None, specs: Any = None, callback: Callback | None = None, **more: Any
    ) -> Operation[Any]:
        """Query the documents of a type; results are a `Queryable` and `Statistics`.

        Args:
            type: A document class, or the name of a type. A name that no class has means the collection of its plural: ``"Dog"``
                asks ``Dogs``, and so does ``"Dogs"``; for a collection that is no plural, use `raw`.
            params: Field and value each; all must hold. Values may be Lucene-style: ``"5 TO 12"``, ``"[5 TO 12}"``, ``"Lab*"``,
                ``"*dor"``, ``"(a OR b)"``, a list. Text is compared without regard to case, numbers as numbers. They are
                translated to RQL with parameters, so they mean the same on every server version. ``"id()"`` is the key, and so
                is the ``id`` of a class that is no `Document`.
            specs: `projections`, `sort`, `start`, `page_size`, `include`, `wait_for_non_stale`; or the same as keywords.
            callback: Called with the error, the documents and the statistics.
            **more: Single specs.

        Raises:
            QueryError: a value that starts like a Lucene form but is none; or the server refuses the query.
            ConfigurationError: an unknown spec, or one out of range.
        """
        callback, params, specs = shift(callback, params, specs)
        steps = self._query(lambda: _type_query(type, params, specs, more))
        return Operation(self, "query", steps, callback, 2)

    def index(
        self, name: str, params: Any = None, specs: Any = None, callback: Callback | None = None, **more: Any
    ) -> Operation[tuple[Queryable[Any], Statistics]]:
        """Query a static index by its name; everything else is as in `query`.

        Raises:
            QueryError: no such index; or an un-indexed field, which its `field` names.
        """
        callback, params, specs = shift(callback, params, specs)
        steps = self._query(lambda: (index_query(name, params, Specs.of(specs, **more)), None))
        return Operation(self, "index", steps, callback, 2)

    def raw(self, rql: str, params: Any = None, callback: Callback | None = None) -> Operation[tuple[Queryable[Any], Statistics]]:
        """Run RQL as it is, with parameters (``$name``) as they are; results are as in `query`.

        RavenDB compares the whole part of an integer parameter: give ``5.0``, not ``5``, where fractions matter (seen on 5.4 -
        7.1).
        """
        callback, params = shift(callback, params)
        return Operation(self, "raw", self._query(lambda: (raw_query(rql, params), None)), callback, 2)

    def _query(self, build: Callable[[], tuple[Query, type | None]]) -> Steps:
        return (yield from self._reader.query(*build()))

    @overload
    def stream(
        self,
        source: Any,
        params: Any = None,
        specs: Any = None,
        callback: Callback | None = None,
        *,
        on_document: Any,
        **more: Any,
    ) -> Operation[int]: ...
    @overload
    def stream(
        self, source: Any, params: Any = None, specs: Any = None, *, callback: Callback, **more: Any
    ) -> Operation[int]: ...
    @overload
    def stream(self, source: Any, params: Any, specs: Any, callback: Callback, **more: Any) -> Operation[int]: ...
    @overload
    def stream(self, source: Any, params: Any, specs: Callback, **more: Any) -> Operation[int]: ...
    @overload
    def stream(self, source: Any, params: Callback, **more: Any) -> Operation[int]: ...
    @overload
    def stream(self, source: str, params: Params | None = None, specs: Params | None = None, **more: Any) -> Stream[Any]: ...
    @overload
    def stream(self, source: type[E], params: Params | None = None, specs: Params | None = None, **more: Any) -> Stream[E]: ...
    def stream(
        self,
        source: Any,
        params: Any = None,
        specs: Any = None,
        callback: Callback | None = None,
        *,
        on_document: Any = None,
        **more: Any,
    ) -> Any:
        """Read a result of any size in constant memory: ``async for dog in session.stream(Dog, {"breed": "Labrador"})``.

        The documents are not remembered. With a callback or `on_document` it is an `Operation` instead, which calls
        ``on_document(document)`` for each and ends with the callback, whose result is their number.

        Args:
            source: The name of a type, a document class, or RQL (a text that starts with ``from`` or ``declare``).
            params: As in `query`, or the parameters of the RQL.
            specs: As in `query`, but no includes: RavenDB has none in streams.
            callback: Called with the error and the number of documents.
            on_document: A function of one document, plain or async; an async one holds the stream until it is done.
            **more: Single specs.
        """
        callback, params, specs = shift(callback, params, specs)

        def build() -> Stream[Any]:
            return Stream(self, self._database, self._workspace, *_stream_query(source, params, specs, more))

        if callback is not None or on_document is not None:
            return consume(self, build, "on_document", on_document, callback)
        stream = build()
        self._streams.add(stream)
        return stream

    def store(
        self,
        document: Any,
        *,
        key: str | None = None,
        collection: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Have the next `save` write this document, or each of a list. Sends nothing; edits made until then are saved, too.

        A plain dict is tracked, too, until it is loaded by its key: then it becomes a `Document`, and that one is tracked.

        Args:
            document: A `Document`, an instance of a class marked with `document`, a dict, or a list of these.
            key: The whole key; without it, one is made from the document's id or by the id generation strategy.
            collection: The collection, in place of the type's.
            metadata: Further metadata, such as ``{"@expires": "2030-01-01T00:00:00Z"}``.

        Raises:
            TypeError: for anything else.
            KeyConflict: another object of this session has the key; those before it in a list are stored.
            ConfigurationError: a key that can be none.
        """
        self._check_open()
        if not isinstance(document, (list, tuple)):
            check_storable(document)
            self._workspace.store(document, key, collection, metadata)
            return self
        if key is not None:
            raise TypeError("one key cannot be for several documents")
        for one in document:
            check_storable(one)
        for one in document:
            self._workspace.store(one, None, collection, metadata)
        return self

    def delete(self, document: Any, etag: Any = None, callback: Callback | None = None) -> Operation[None]:
        """Delete at once: a document, a key, or a list of documents, keys and ``{"key": ..., "etag": ...}`` as one atomic batch.

        Deleting what is not there is no error. An etag (the change vector, ``document.metadata["@change-vector"]``) that is
        given is always checked; that of a loaded document is checked with ``options.use_optimistic_concurrency``.

        Raises:
            ConcurrencyError: an etag does not match, or there is no document to match it; nothing is deleted.
            ConfigurationError: a document without a key.
        """
        callback, etag = shift(callback, etag)
        several = isinstance(document, (list, tuple))
        if several and etag is not None:
            raise TypeError("one etag cannot be for several documents: give {'key': ..., 'etag': ...} for each")
        targets = list(document) if several else [document]
        steps = self._writer.delete(targets, etag, checks=self.options.use_optimistic_concurrency)
        return Operation(self, "delete", fixed_after_writers(self._queue(), steps), callback, 0)

    def patch(self, key: str, patches: Any, etag: Any = None, callback: Callback | None = None) -> Operation[None]:
        """Change a document on the server without loading it.

        If the session knows the document and it has no unsaved edits, it takes the result. One with unsaved edits keeps them, and
        the next save writes it as it is here, over the patch; with ``options.use_optimistic_concurrency`` it is refused.

        Args:
            key: The document's key.
            patches: A `Patch`, or 2012's list such as ``[{"Type": "Inc", "Name": "age", "Value": 1}]``: Set, Unset, Inc, Add,
                Insert, Remove, Modify (with Nested), Copy, Rename, each optionally with PrevVal. All are done, or none.
            etag: The change vector that the document must have.
            callback: Called with the error.

        Raises:
            SessionError: status 404, there is no such document.
            ConcurrencyError: the etag, or a PrevVal, does not match.
            PatchError: it is no patch (the message names its place in the list), or the server cannot apply it.
        """
        callback, etag = shift(callback, etag)
        return Operation(self, "patch", fixed_after_writers(self._queue(), self._patch(key, patches, etag)), callback, 0)

    def _patch(self, key: str, patches: Any, etag: str | None) -> Steps:
        patch = patches if isinstance(patches, Patch) else legacy_patch(patches)
        return (yield from self._writer.patch(key, patch, etag))

    def __repr__(self) -> str:
        state = "open" if self._is_open else "closed"
        return f"<Session {self._database.name!r} {state}, {len(self._workspace)} documents, {self._gate.count} in flight>"


def _stream_query(source: Any, params: Any, specs: Any, more: Mapping[str, Any]) -> tuple[Query, type | None]:
    if isinstance(source, str) and source.lstrip().lower().startswith(("from ", "declare ")):
        if specs is not None or more:
            raise TypeError("RQL says everything itself: specs go with a type")
        return raw_query(source, params), None
    return _type_query(source, params, specs, more)


def _type_query(source: Any, params: Any, specs: Any, more: Mapping[str, Any]) -> tuple[Query, type | None]:
    collection, cls = collection_of(source)
    key = None if cls is None else key_name_of(cls)
    return collection_query(collection, params, Specs.of(specs, **more), key=key), cls
