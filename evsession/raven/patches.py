"""Patches: a script that the server runs on one document, in one transaction.

Knows the patch endpoint; the commands of 2012 are `legacy`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from evsession.errors import ConfigurationError, ProtocolError
from evsession.raven.errors import patch_error
from evsession.raven.legacy import SCRIPT, check_commands
from evsession.raven.vocabulary import CHANGE_VECTOR, ID, LAST_MODIFIED, Database
from evsession.wire.flow import Flow
from evsession.wire.json import JSON, check, decode, encode
from evsession.wire.message import Request
from evsession.wire.url import target

__all__ = ["Patch", "PatchResult", "legacy_patch", "patch_flow"]


@dataclass(frozen=True, slots=True)
class Patch:
    """A script in JavaScript for one document: `this` is the document, `args` are the values.

    The values are copied when the patch is made. They are never part of the script's text, so they need no quoting; keep the text
    constant, and the server compiles it once. ``1.0`` becomes ``1``, and calculating with integers above 2**53 is inexact.

    Raises:
        ConfigurationError: the script is no text or empty, or the values are not a mapping.
        InvalidDocument: a value has no form in JSON.
    """

    script: str
    values: Mapping[str, JSON] | None = field(default=None)

    def __post_init__(self) -> None:
        script: object = self.script
        if not isinstance(script, str) or not script.strip():
            raise ConfigurationError(f"the script of a patch is a text of JavaScript, not {script!r}")
        given: object = {} if self.values is None else self.values
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"the values of a patch are a mapping, not {given!r}")
        values = dict(given)
        check(values)
        object.__setattr__(self, "values", decode(encode(values)))

    def to_json(self) -> dict[str, Any]:
        """Return the patch as the server takes it, alone or in a batch."""
        return {"Script": self.script, "Values": self.values}


class PatchResult(msgspec.Struct, frozen=True):
    """What a patch did.

    Attributes:
        key: The document.
        status: ``"Patched"``, or ``"NotModified"`` if the document is as it was.
        document: The document as it is now; its ``@metadata`` lacks what `facts` has. None if the server did not send it.
        change_vector: The new version of the document; None when nothing changed.
        last_modified: When that was written, as metadata has it; None when nothing changed.
    """

    key: str
    status: str
    document: dict[str, Any] | None
    change_vector: str | None = None
    last_modified: str | None = None

    @property
    def facts(self) -> dict[str, str]:
        """Return the metadata that is new: id, change vector, time."""
        known = {ID: self.key, CHANGE_VECTOR: self.change_vector, LAST_MODIFIED: self.last_modified}
        return {name: value for name, value in known.items() if value is not None}


def legacy_patch(patches: list[dict[str, Any]]) -> Patch:
    """Return the patch for a list of 2012's commands; they run in order, all or none.

    ``Set``, ``Unset``, ``Inc``, ``Add``, ``Insert``, ``Remove``, ``Modify``, ``Copy`` and ``Rename``, each with ``Name``, some
    with ``Value``, ``Position``, ``AllPositions`` or ``Nested``. ``PrevVal`` makes a command depend on the value that is there:
    another one fails the patch with a `ConcurrencyError`. Names are taken literally, dots and all.

    Raises:
        PatchError: naming the command by its index, the field and what is wrong with it.
        InvalidDocument: a value has no form in JSON.
    """
    return Patch(SCRIPT, {"ops": check_commands(patches)})


def patch_flow(database: Database, key: str, patch: Patch, change_vector: str | None = None) -> Flow[PatchResult]:
    """Run the patch on the document, if it is still of this version where one is given.

    Raises:
        SessionError: with status 404, there is no such document (but 409 if a change vector was given; seen on 5.4, 6.2 and 7.1).
        ConcurrencyError: the document is of another version, or a ``PrevVal`` is not there.
        PatchError: the script failed; nothing was written.
    """
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    if change_vector is not None:
        headers += (("If-Match", _quoted(change_vector)),)
    body = encode({"Patch": patch.to_json()})
    response = yield Request("PATCH", target(database.path("docs"), [("id", key)]), body, headers, writes=True, key=key)
    if response.status not in (200, 201):
        raise patch_error(response, key=key)
    answer = decode(response.body)
    if not isinstance(answer, dict) or not isinstance(answer.get("Status"), str):
        raise ProtocolError("the answer to the patch has no status", status_code=response.status, key=key, uncertain=True)
    document = answer.get("ModifiedDocument")
    return PatchResult(
        key,
        answer["Status"],
        document if isinstance(document, dict) else None,
        answer.get("ChangeVector"),
        answer.get("LastModified"),
    )


def _quoted(change_vector: object) -> str:
    """Return the change vector as a header's value. It may hold spaces and commas, but nothing that ends the value."""
    if (
        not isinstance(change_vector, str)
        or not change_vector.isascii()
        or not change_vector.isprintable()
        or '"' in change_vector
    ):
        raise ConfigurationError(f"{change_vector!r} is no change vector")
    return f'"{change_vector}"'
