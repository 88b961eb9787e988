"""Writing single fields of a document in a batch: what is set, taken out and added to, and nothing else of it.

Knows one constant script. For entities that are not loaded, and for increments, which must not undo those of others.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from evsession.errors import PatchError, SessionError
from evsession.wire.json import JSON, Raw, encode

__all__ = ["Edit", "edit_command", "reason_of"]

_NO_NUMBER = "evsession: there is no number to add to in "

_SCRIPT = f"""\
for (var name in args.set) this[name] = args.set[name];
for (var i = 0; i < args.unset.length; i++) delete this[args.unset[i]];
for (var name in args.increment) {{
    var value = this[name];
    if (value === undefined || value === null) value = 0;
    if (typeof value !== 'number') throw '{_NO_NUMBER}' + name + '.';
    this[name] = value + args.increment[name];
}}"""

_MISSING = "evsession: there is no such document"
# Without it the rest of the batch is written, and the missing document told by a status in the answer (seen on 5.4 - 7.1).
_IF_MISSING = Raw(encode({"Script": f"throw '{_MISSING}';", "Values": {}}))


class Edit(
    msgspec.Struct,
    frozen=True,
    rename={
        "key": "Id",
        "change_vector": "ChangeVector",
        "patch": "Patch",
        "if_missing": "PatchIfMissing",
        "returns_document": "ReturnDocument",
    },
    tag_field="Type",
    tag="PATCH",
):
    """Change fields of a document; a missing one fails the batch."""

    key: str
    change_vector: str | None
    patch: Raw
    if_missing: Raw = _IF_MISSING
    returns_document: bool = True


def edit_command(
    key: str,
    change_vector: str | None,
    *,
    sets: Mapping[str, JSON],
    unsets: list[str],
    increments: Mapping[str, JSON],
) -> Edit:
    """Return the command that sets, takes out and adds to fields, in this order.

    RavenDB calculates with doubles: sums above 2**53 are inexact. A field that is not there counts as 0.
    """
    values = {"set": sets, "unset": unsets, "increment": increments}
    return Edit(key, change_vector, Raw(encode({"Script": _SCRIPT, "Values": values})))


def reason_of(error: SessionError) -> SessionError:
    """Return what the failure of a batch means: a document that an edit is for may be missing, or a field be no number."""
    _, _, rest = error.message.partition("document ID '")
    key, quote, said = rest.rpartition("'. ")
    key = key if quote else (error.key or "")
    if _MISSING in error.message:
        return SessionError(f"there is no document {key!r} to change; nothing was written", status_code=404, key=key)
    if _NO_NUMBER in said:
        field = said.partition(_NO_NUMBER)[2].rstrip(".")
        text = f"{field!r} of {key!r} holds no number that could be added to; nothing was written"
        return PatchError(text, status_code=error.status_code, code=error.code, key=key)
    return error
