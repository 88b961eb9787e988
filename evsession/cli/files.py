"""``import`` and ``export``: files of any size, one document on each line, in constant memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

import evsession
from evsession.cli.collections import count_documents, meant_by
from evsession.cli.lines import Incoming, decoded, document_line, incoming, split_lines
from evsession.cli.output import counted, name_of, note, open_input, printing, progress
from evsession.cli.target import Target, on_documents, run_in_session

__all__ = ["export_documents", "import_documents"]


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--collection", metavar="NAME", help="The collection of all of them, in place of their own.")
@on_documents(makes=True)
def import_documents(target: Target, file: str, collection: str | None) -> None:
    """Write the documents of a file of any size by bulk insert.

    FILE has one JSON object on each line, as export writes it; "-" is the standard input. Key and collection are those in
    "@metadata"; documents without a key get one. What exists is overwritten. The whole is not atomic: when it fails, some
    documents may have been written.
    """
    reading = Reading(file)

    async def work(store: evsession.Store, session: evsession.Session) -> None:
        await _import(store, session, reading, collection)

    try:
        with reading.opened():
            run_in_session(target, work)
    except (click.ClickException, evsession.SessionError, KeyboardInterrupt):
        if reading.given:
            note(f"{counted(reading.given)} had been given before; they may have been written, or not")
        raise
    note(f"{counted(reading.given)} imported")


class Reading:
    """The lines of a file, told to a progress bar by their bytes.

    Attributes:
        path: Its path, ``"-"`` for the standard input, whose length is not known and which has no bar.
        given: How many documents were given on.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.given = 0
        self._lines: Iterable[bytes] = ()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the file, and show the progress bar."""
        with open_input(self.path) as file:
            if self.path == "-":
                self._lines = file
                yield
                return
            with progress("importing", os.fstat(file.fileno()).st_size) as bar:
                self._lines = _told(file, bar)
                yield

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._lines)


def _told(lines: Iterable[bytes], bar: Any) -> Iterator[bytes]:
    for line in lines:
        yield line
        bar.update(len(line))


async def _import(store: evsession.Store, session: evsession.Session, reading: Reading, collection: str | None) -> None:
    """Insert the document of each line."""
    async with store.bulk_insert() as insert:
        for number, text in split_lines(reading):
            try:
                one = incoming(decoded(text), collection=collection)
                if not (one.is_hilo and await _is_behind(session, one)):
                    await insert.store(one.fields, key=one.key, collection=one.collection, metadata=one.metadata)
            except ValueError as error:  # those of the session, too, which refuse a document
                raise click.ClickException(f"{name_of(reading.path)}, line {number}: {error}") from None
            reading.given += 1


async def _is_behind(session: evsession.Session, counter: Incoming) -> bool:
    """Return whether the server has given out more numbers already; it must not give them out again."""
    known = await session.load(counter.key or "")
    theirs, ours = (known or {}).get("Max"), counter.fields.get("Max")
    return isinstance(theirs, int) and isinstance(ours, int) and theirs >= ours


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("type_name", metavar="[TYPE]", required=False)
@on_documents()
def export_documents(target: Target, file: str, type_name: str | None) -> None:
    """Write all documents, or those of a type, to a file: one JSON object on each line, as import reads it.

    TYPE is the name of a type (Dog) or of its collection (Dogs). FILE is as it was until all has been written; "-" is the
    standard output. The counters for keys (HiLo) go along; attachments, counters, time series, revisions, identities and indexes
    do not.
    """

    async def work(store: evsession.Store, session: evsession.Session) -> int:
        return await _export(session, type_name, write)

    with printing() if file == "-" else writing_whole(file) as write:
        total = run_in_session(target, work)
    note(f"{counted(total)} exported")


async def _export(session: evsession.Session, type_name: str | None, write: Callable[[bytes], Any]) -> int:
    """Write each document of a type, or of all, and return their number."""
    rows = session.stream("from @all_docs" if type_name is None else await meant_by(session, type_name))
    first = await anext(rows, None)
    if first is None:
        return 0
    collection, begun = type_name or "@all_docs", [first]
    if not collection.startswith("@"):
        collection = first.metadata.get("@collection", "@empty")
        counter = await session.load(f"Raven/Hilo/{collection}")
        begun = begun if counter is None else [counter, first]
    with progress("exporting", await count_documents(session, collection)) as bar:

        def put(document: Any) -> None:
            write(document_line(document, document.metadata))
            bar.update(1)

        for document in begun:
            put(document)
        async for document in rows:
            put(document)
    return rows.count + len(begun) - 1


@contextmanager
def writing_whole(path: str) -> Iterator[Callable[[bytes], Any]]:
    """Give a function that writes to a file beside the one of this path, which takes its place at the end if nothing was raised.

    What is no file, such as a pipe or ``/dev/null``, is written to at once.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as device:
            yield device.write
        return
    place = os.path.realpath(path)
    temporary = f"{place}.{os.getpid()}.part"
    try:
        file = open(temporary, "xb")  # noqa: SIM115 - closed below, and only then removed
    except OSError as error:
        error.filename = path
        raise
    try:
        with file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise
