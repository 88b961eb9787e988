"""The steps of the session's writes: commit, delete, patch. Joins RavenDB's batches with the unit of work."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from evsession.config import Conventions
from evsession.errors import ConcurrencyError, ConfigurationError, ProtocolError, SessionError, TransactionError
from evsession.raven.batches import Command, Delete, Written, batch_flow, batch_request, is_taken_identity
from evsession.raven.hilo import HiLoRanges, hilo_key_flow
from evsession.raven.keys import KeySource, check_new_key, separator_of
from evsession.raven.patches import Patch, patch_flow
from evsession.raven.vocabulary import COLLECTION, METADATA, Database
from evsession.session.documents.commands import Commands, Item
from evsession.session.documents.mapper import Known
from evsession.session.documents.order import SingleWrites, after
from evsession.session.documents.workspace import Workspace
from evsession.session.operation import Steps
from evsession.wire.flow import Flow
from evsession.wire.message import Request

__all__ = ["Writer"]

IDENTITY_TRIES = 64
"""How often a batch is sent whose identities meet keys that were chosen by hand; each try moves RavenDB's counter on by one."""


class Writer:
    """Writes of one session; what a commit does with its batches.

    Attributes:
        single: Those writes that are no commits.
    """

    def __init__(self, database: Database, workspace: Workspace, conventions: Conventions, ranges: HiLoRanges) -> None:
        self._database = database
        self._workspace = workspace
        self._conventions = conventions
        self._ranges = ranges
        self._commands = Commands(workspace)
        self.single = SingleWrites()

    def backend(self, *, checks: bool) -> Batches:
        """Return what writes the batches of one commit.

        Args:
            checks: Whether documents must still be of the version that is known here.
        """
        return Batches(self, checks=checks)

    def write(self, batch: Sequence[Item], *, checks: bool) -> Flow[None]:
        """Write a batch all or nothing, and take note of it.

        The outcome is unknown from the moment it is sent until the answer has come.
        """
        keys = yield from self._keys(batch)
        commands = self._commands.build(batch, keys, checks=checks)
        before = []
        for item in batch:
            known = item.known
            before.append(known.unsure)
            known.unsure = item.content
        try:
            written = yield from self._send(commands)
        except SessionError as error:
            # The operation will say so of nonsense, too: it alone knows what was sent.
            if error.uncertain or isinstance(error, ProtocolError):
                self._workspace.lost += 1
                for item in batch:
                    if item.known.is_removed:  # while it was sent
                        self._workspace.doubt(item.known)
            else:
                # What became of an earlier write is as unknown as before: this refusal may have come of its success.
                for item, unsure in zip(batch, before, strict=True):
                    item.known.unsure = unsure
            raise
        self._commands.apply(batch, written)

    def request(self, batch: Sequence[Item], *, checks: bool) -> Request:
        """Return the request that would write the batch. Keys that are not fetched yet are shown as they will begin."""
        commands = self._commands.build(batch, [self._shown_key(item) for item in batch], checks=checks)
        return batch_request(self._database, commands)

    def _shown_key(self, item: Item) -> str | None:
        if isinstance(item.key, KeySource):
            return (
                item.known.key or f"{item.known.facts[COLLECTION].lower()}{separator_of(item.known.entity, self._conventions)}?"
            )
        return item.key or item.known.key

    def _keys(self, batch: Sequence[Item]) -> Flow[list[str | None]]:
        """Give numbers from the ranges to those that want one; the others have their key."""
        for item in batch:
            if item.key is KeySource.HILO and item.known.key is None:
                collection, separator = item.known.facts[COLLECTION], separator_of(item.known.entity, self._conventions)
                key = yield from hilo_key_flow(self._database, collection, self._ranges, separator)
                self._workspace.name(item.known, key)
        return [item.known.key or (None if isinstance(item.key, KeySource) else item.key) for item in batch]

    def _send(self, commands: Sequence[Command]) -> Flow[list[Written]]:
        for _ in range(IDENTITY_TRIES - 1):
            try:
                return (yield from batch_flow(self._database, commands))
            except ConcurrencyError as error:
                if not is_taken_identity(error, commands):
                    raise
        return (yield from batch_flow(self._database, commands))

    def delete(self, targets: Sequence[Any], etag: str | None, *, checks: bool) -> Steps:
        """Delete at once, all or nothing. A document that was stored but not saved is only taken back."""
        commands: list[Delete] = []
        gone: list[tuple[str, Known | None]] = []
        for target in targets:
            key, version = self._workspace.address(target)
            if key is None and self._workspace.discard(target):
                continue
            if key is None:
                raise ConfigurationError(f"{target!r} has no key, so it cannot be deleted")
            # A version that the program wrote down is always checked; one that came with a document, if the option says so.
            is_explicit = type(target) is dict and self._workspace.of(target) is None
            chosen = etag if etag is not None else version if checks or is_explicit else None
            command = Delete(check_new_key(key), _check_etag(chosen))
            if command in commands:
                continue  # it would meet the first one
            commands.append(command)
            named, owner = self._workspace.of(target), self._workspace.known_as(key)
            gone.append((command.key, named or owner))
            if named is not None and owner is not None and owner is not named and owner.snapshot is not None:
                gone.append((command.key, owner))  # what is named is not saved yet, and this is the document under its key
        with self._workspace.deletions.under_way([known for _, known in gone]), self.single.of(key for key, _ in gone):
            if commands:
                yield from batch_flow(self._database, commands)
            # What was stored under the key while the server was deleting is another document.
            for key, known in gone:
                self._workspace.forget(key, known)
        return ()

    def patch(self, key: str, patch: Patch, etag: str | None) -> Steps:
        """Change a document on the server. An entity of it that has no edits takes the result."""
        known = self._workspace.known_as(check_new_key(key))
        version = None if known is None else known.version
        with self.single.of([key]):
            result = yield from patch_flow(self._database, key, patch, _check_etag(etag))
        if known is not None and result.document is not None and result.change_vector is not None:
            row = dict(result.document)
            metadata = row.pop(METADATA, None) or {}
            self._workspace.renewal.renew(known, row, {**metadata, **result.facts}, version)
            if known.is_reference:
                known.version = result.change_vector
        return ()


class Batches:
    """The backend of one commit: RavenDB's batches. An open transaction is kept here until it ends, since RavenDB has none."""

    def __init__(self, writer: Writer, *, checks: bool) -> None:
        self._writer = writer
        self._unit = writer._workspace.unit
        self._checks = checks
        self._lost = writer._workspace.lost
        self._earlier = writer.single.all()

    def write(self, batch: Sequence[Item], *, ends: bool) -> Generator[Any, Any, Sequence[Item]]:
        """Write the batch with what the open transaction has staged; or stage it, too."""
        unit = self._unit
        if unit.journal is not None and not ends:
            unit.stage(batch)
            return []
        items = list(batch) if unit.journal is None else unit.joined(batch)
        if items:
            yield from after(self._earlier, (item.known.key for item in items if item.known.key is not None))
            self._check_known(items)
            yield from self._writer.write(items, checks=self._checks)
        for item in batch:
            item.increments, item.is_settled = None, True
        unit.settle(items)
        return items

    def _check_known(self, items: Sequence[Item]) -> None:
        """Refuse to do again what a batch may have done that was lost since this commit was called, where twice is not once."""
        if self._writer._workspace.lost == self._lost:
            return
        for item in items:
            known = item.known
            if known.unsure is not None and (item.increments or (item.before is None and known.key is None)):
                raise TransactionError(
                    f"whether {known.entity!r} was written by the commit before this one is unknown, so it is not written again;"
                    " find out, and commit again",
                    key=known.key,
                    uncertain=True,
                )

    def lasts(self, *, ends: bool) -> bool:
        """Return whether it was sent: what is staged can be rolled back."""
        return ends or self._unit.journal is None

    def end(self) -> Generator[Any, Any, None]:
        """Let the transaction be over; all of it has been written."""
        self._unit.end()
        yield from ()


def _check_etag(etag: object) -> str | None:
    if etag is not None and (not isinstance(etag, str) or not etag.isprintable()):
        raise ConfigurationError(f"an etag is the text of a change vector, not {etag!r}")
    return etag
