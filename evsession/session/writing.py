"""The steps of the session's writes: save, delete, patch. Joins RavenDB's batches with what the session remembers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evsession.config import Conventions
from evsession.errors import ConcurrencyError, ConfigurationError
from evsession.raven.batches import Delete, Put, Written, batch_flow, is_taken_identity
from evsession.raven.hilo import HiLoRanges, hilo_key_flow
from evsession.raven.keys import KeySource, check_new_key, separator_of
from evsession.raven.patches import Patch, patch_flow
from evsession.raven.vocabulary import COLLECTION, METADATA, Database
from evsession.session.gate import Turns
from evsession.session.operation import Steps
from evsession.session.workspace import Staged, Workspace
from evsession.wire.flow import Flow

__all__ = ["Writer"]

IDENTITY_TRIES = 64
"""How often a batch is sent whose identities meet keys that were chosen by hand; each try moves RavenDB's counter on by one."""


class Writer:
    """Writes of one session."""

    def __init__(self, database: Database, workspace: Workspace, ranges: HiLoRanges) -> None:
        self._database = database
        self._workspace = workspace
        self._ranges = ranges
        self._turns = Turns()

    def save(self, conventions: Conventions, *, checks: bool) -> Steps:
        """Write what is new and what changed, as it is at the call, in one batch; the result is the list of keys.

        Saves of one session take turns. What an earlier one has written by then is not written again.
        """
        staged = self._workspace.freeze(conventions)
        turn = self._turns.take()
        try:
            yield turn
            batch = [item for item in staged if item.is_due]
            if not batch:
                return ([],)
            keys = yield from self._keys(batch, conventions)
            commands = [self._workspace.command(item, key, checks=checks) for item, key in zip(batch, keys, strict=True)]
            written = yield from self._send(commands)
            return (self._workspace.apply(batch, written),)
        finally:
            self._workspace.release(staged)
            turn.release()

    def _keys(self, batch: Sequence[Staged], conventions: Conventions) -> Flow[list[str | None]]:
        """Give numbers from the ranges to those that want one; the others have their key."""
        for item in batch:
            if item.key is KeySource.HILO and item.known.key is None:
                collection, separator = item.known.facts[COLLECTION], separator_of(item.known.entity, conventions)
                key = yield from hilo_key_flow(self._database, collection, self._ranges, separator)
                self._workspace.name(item.known, key)
        return [item.known.key or (None if isinstance(item.key, KeySource) else item.key) for item in batch]

    def _send(self, commands: Sequence[Put]) -> Flow[list[Written]]:
        for _ in range(IDENTITY_TRIES - 1):
            try:
                return (yield from batch_flow(self._database, commands))
            except ConcurrencyError as error:
                if not is_taken_identity(error, commands):
                    raise
        return (yield from batch_flow(self._database, commands))

    def delete(self, targets: Sequence[Any], etag: str | None, conventions: Conventions, *, checks: bool) -> Steps:
        """Delete at once, all or nothing. A document that was stored but not saved is only taken back."""
        commands, known = [], []
        for target in targets:
            key, version = self._workspace.address(target, conventions)
            if key is None and self._workspace.discard(target):
                continue
            if key is None:
                raise ConfigurationError(f"{target!r} has no key, so it cannot be deleted")
            # A version that the program wrote down is always checked; one that came with a document, if the option says so.
            is_explicit = type(target) is dict and self._workspace.of(target) is None
            chosen = etag if etag is not None else version if checks or is_explicit else None
            commands.append(Delete(check_new_key(key), _check_etag(chosen)))
            known.append(self._workspace.of(target) or self._workspace.known_as(key))
        if commands:
            yield from batch_flow(self._database, commands)
        # What was stored under the key while the server was deleting is another document.
        for command, entity in zip(commands, known, strict=True):
            self._workspace.forget(command.key, entity)
        return ()

    def patch(self, key: str, patch: Patch, etag: str | None) -> Steps:
        """Change a document on the server. An entity of it that has no edits takes the result."""
        known = self._workspace.known_as(check_new_key(key))
        version = None if known is None else known.version
        result = yield from patch_flow(self._database, key, patch, _check_etag(etag))
        if known is not None and result.document is not None and result.change_vector is not None:
            row = dict(result.document)
            metadata = row.pop(METADATA, None) or {}
            self._workspace.renew(known, row, {**metadata, **result.facts}, version)
        return ()


def _check_etag(etag: object) -> str | None:
    if etag is not None and (not isinstance(etag, str) or not etag.isprintable()):
        raise ConfigurationError(f"an etag is the text of a change vector, not {etag!r}")
    return etag
