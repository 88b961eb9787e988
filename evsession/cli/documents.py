"""``load``, ``query``, ``save``, ``delete`` and ``patch``: what a document session does, in one call each."""

from __future__ import annotations

from typing import Any

import click

import evsession
from evsession.cli.collections import meant_by
from evsession.cli.lines import Incoming, decoded, document_line, incoming, parse_documents
from evsession.cli.output import counted, name_of, note, open_input, printing
from evsession.cli.target import Target, on_documents, run_in_session
from evsession.cli.values import assigned

__all__ = ["delete", "load", "patch", "query", "save"]

pretty_option = click.option("--pretty", is_flag=True, help="Indent the documents.")


def print_documents(documents: list[Any], *, pretty: bool) -> None:
    """Print each document with its metadata."""
    with printing() as write:
        for document in documents:
            write(document_line(document, document.metadata, pretty=pretty))


def check_assignments(context: click.Context, parameter: click.Parameter, arguments: tuple[str, ...]) -> dict[str, Any]:
    """Return the values by name; the callback of parameters that take ``NAME=VALUE``."""
    try:
        return assigned(arguments)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@pretty_option
@on_documents()
def load(target: Target, keys: tuple[str, ...], *, pretty: bool) -> None:
    """Print documents by their keys.

    If one is missing, the others are printed all the same, and the status is 1.
    """

    async def work(store: evsession.Store, session: evsession.Session) -> list[Any]:
        documents = await session.load(list(keys))
        return [documents.load(key) for key in keys]

    found = run_in_session(target, work)
    print_documents([document for document in found if document is not None], pretty=pretty)
    missing = [key for key, document in zip(keys, found, strict=True) if document is None]
    for key in missing:
        note(f"there is no document {key!r}")
    if missing:
        click.get_current_context().exit(1)


@click.command()
@click.argument("type_name", metavar="TYPE")
@click.argument("conditions", metavar="[FIELD=VALUE]...", nargs=-1, callback=check_assignments)
@click.option("--sort", metavar="FIELD", multiple=True, help="Sort by this field, -FIELD for descending; again for further ones.")
@click.option("--start", metavar="N", type=click.IntRange(0), help="Skip the first N.")
@click.option("--page-size", metavar="N", type=click.IntRange(0), help="Print at most N; without it, all.")
@click.option("--wait", metavar="SECONDS", type=click.FloatRange(0, min_open=True), help="Wait this long for a fresh index.")
@pretty_option
@on_documents()
def query(
    target: Target,
    type_name: str,
    conditions: dict[str, Any],
    sort: tuple[str, ...],
    start: int | None,
    page_size: int | None,
    wait: float | None,
    *,
    pretty: bool,
) -> None:
    """Print the documents of a type that have these values, all of them.

    TYPE is the name of a type (Dog) or of its collection (Dogs). A VALUE is JSON, or else text: age=5 is a number, name='"5"' a
    text. A text may be written as in Lucene: age='5 TO 10', name='Lab*', breed='(Poodle OR Labrador)'. How many there are is
    told on the standard error output.
    """

    async def work(store: evsession.Store, session: evsession.Session) -> Any:
        specs = {"sort": list(sort), "start": start, "page_size": page_size, "wait_for_non_stale": wait}
        return await session.query(await meant_by(session, type_name), conditions, specs)

    documents, statistics = run_in_session(target, work)
    print_documents(documents, pretty=pretty)
    note(counted(len(documents), statistics.total) + (", by a stale index" if statistics.stale else ""))


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), default="-")
@click.option("--key", help="The key, for one document; in place of its own.")
@click.option("--collection", metavar="NAME", help="The collection of all of them, in place of their own.")
@on_documents(makes=True)
def save(target: Target, file: str, key: str | None, collection: str | None) -> None:
    """Write documents in one atomic batch, and print their keys.

    FILE has one JSON object, a list, or one JSON object on each line; without it, or as "-", it is the standard input. Key and
    collection are those in "@metadata" ("@id", "@collection"); documents without a key get one. What exists is overwritten.
    """
    documents = _read(file, key, collection)

    async def work(store: evsession.Store, session: evsession.Session) -> list[str]:
        for one in documents:
            session.store(one.fields, key=one.key, collection=one.collection, metadata=one.metadata)
        return await session.save()

    keys = run_in_session(target, work)
    with printing() as write:
        for made in keys:
            write(made.encode() + b"\n")


def _read(file: str, key: str | None, collection: str | None) -> list[Incoming]:
    try:
        with open_input(file) as opened:
            values = parse_documents(opened.read())
    except ValueError as error:
        raise click.ClickException(f"{name_of(file)}: {error}") from None
    if key is not None and len(values) != 1:
        raise click.UsageError(f"--key is for one document, but there are {len(values)}")
    documents = []
    for number, value in enumerate(values, 1):
        try:
            documents.append(incoming(value, key=key, collection=collection))
        except ValueError as error:
            raise click.ClickException(f"{name_of(file)}, document {number}: {error}") from None
    return documents


@click.command()
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@click.option("--etag", help="The change vector that the document must have; for one key.")
@on_documents()
def delete(target: Target, keys: tuple[str, ...], etag: str | None) -> None:
    """Delete documents in one atomic batch. One that is not there is no error, unless an etag is given."""
    if etag is not None and len(keys) != 1:
        raise click.UsageError(f"--etag is for one document, but there are {len(keys)}")

    async def work(store: evsession.Store, session: evsession.Session) -> None:
        await session.delete([{"key": key, "etag": etag} for key in keys])

    run_in_session(target, work)


@click.command()
@click.argument("key")
@click.argument("patches", required=False)
@click.option("--script", metavar="JS", help="In place of PATCHES: JavaScript, such as 'this.age += args.years'.")
@click.option(
    "--arg", "values", metavar="NAME=VALUE", multiple=True, callback=check_assignments, help="What the script finds as args.NAME."
)
@click.option("--etag", help="The change vector that the document must have.")
@on_documents()
def patch(target: Target, key: str, patches: str | None, script: str | None, values: dict[str, Any], etag: str | None) -> None:
    """Change a document without loading it.

    PATCHES is a list of commands as JSON, such as '[{"Type": "Inc", "Name": "age", "Value": 1}]'; there are Set, Unset, Inc,
    Add, Insert, Remove, Modify, Copy and Rename. All are done, or none.
    """
    change = _patch(patches, script, values)

    async def work(store: evsession.Store, session: evsession.Session) -> None:
        await session.patch(key, change, etag)

    run_in_session(target, work)


def _patch(patches: str | None, script: str | None, values: dict[str, Any]) -> Any:
    if (patches is None) == (script is None):
        raise click.UsageError("give either PATCHES or --script")
    if script is not None:
        return evsession.Patch(script, values)
    if values:
        raise click.UsageError("--arg is for --script")
    try:
        return decoded((patches or "").encode())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="PATCHES") from None
