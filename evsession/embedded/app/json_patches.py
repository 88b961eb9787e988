"""JSON patches (RFC 6902): a document is changed step by step, without a script. Alone, or as a command of a batch.

What RavenDB makes of the RFC, seen on 7.1: the position after a list's last item is out of bounds (``-`` appends), ``test``
compares numbers as they are written and never with null, ``~01`` is a slash, what comes before the first slash counts for
nothing, a change vector is not looked at, and a missing document is a failure. A patch that does more than to test has modified
the document, even to what it was.
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

import msgspec

from evsession.embedded.app.answers import json_answer
from evsession.embedded.app.call import Call, Routes, parse_object
from evsession.embedded.app.documents import stored_form
from evsession.embedded.app.patches import Patched, shown
from evsession.embedded.failures import RavenFailure, invalid_argument
from evsession.embedded.storage import Transaction
from evsession.raven.vocabulary import METADATA
from evsession.wire.json import JSON, Raw, encode
from evsession.wire.message import Response

__all__ = ["JSON_PATCH_ROUTES", "Step", "json_patch", "parse_steps"]

_SORTED = msgspec.json.Encoder(order="sorted")
_INDEX = re.compile(r"\s*[+-]?[0-9]{1,10}\s*", re.ASCII)
_WITH_VALUE = ("add", "replace", "test")
_WITH_SOURCE = ("move", "copy")

_Container: TypeAlias = "dict[str, JSON] | list[JSON]"


class Step(NamedTuple):
    """One operation of a patch: its name in lower case, where it acts, where it takes a value from, and the value."""

    name: str
    path: str
    source: str
    value: JSON


class _Place(NamedTuple):
    """A member of an object or of a list, which need not exist yet; None in a list is behind its end."""

    container: _Container
    name: str | int | None

    def take(self) -> JSON:
        """Return what is there, and remove it."""
        container: JSON = self.container  # what an object is popped by is no index, and mypy cannot tell
        return container.pop(self.name)

    def insert(self, value: JSON) -> None:
        """Put the value there: over what an object has, before what a list has."""
        if isinstance(self.container, dict):
            self.container.pop(str(self.name), None)  # what is written goes to the end (seen on 7.1)
            self.container[str(self.name)] = value
        else:
            self.container.insert(len(self.container) if self.name is None else int(self.name), value)


def parse_steps(raw: Raw) -> list[Step]:
    """Return the operations of a patch.

    Raises:
        RavenFailure: it has another shape.
    """
    if bytes(raw) == b"null":
        raise _null()
    operations = parse_object(bytes(raw), exact=True).get("Operations")
    if operations is None:
        raise _null()
    if not isinstance(operations, list):
        raise RavenFailure(500, "System.FormatException", f"'Operations' must be a list, not {operations!r}")
    return [_step(operation) for operation in operations]


def _null() -> RavenFailure:
    return RavenFailure(500, "System.NullReferenceException", "Object reference not set to an instance of an object.")


def _step(asked: JSON) -> Step:
    if asked is None:
        raise _null()
    if not isinstance(asked, dict):
        raise RavenFailure(500, "System.InvalidCastException", f"An operation must be an object, not {type(asked).__name__}")
    written, path, source = asked.get("op"), asked.get("path"), asked.get("from")
    name = written.lower() if isinstance(written, str) else ""
    if name not in (*_WITH_VALUE, *_WITH_SOURCE, "remove"):
        raise invalid_argument(f"Unable to understand 'op' {written if isinstance(written, str) else ''}")
    if not isinstance(path, str):
        raise invalid_argument("Unable to find 'path' property") if path is not None or "path" not in asked else _null()
    if name in _WITH_VALUE and "value" not in asked:
        raise invalid_argument(f"Unable to find 'value' property for operation '{name}'")
    if name not in _WITH_SOURCE:
        source = ""
    elif not (isinstance(source, str) and source):
        raise invalid_argument(f"Unable to find 'from' property for operation '{name}'")
    for written in (path, source):
        if not all(part.strip() for part in written.split("/")[1:]):
            raise invalid_argument(f"Invalid path {written}. Paths must be of format /*/*/*... ")
    return Step(name, path, source, asked.get("value"))


def json_patch(transaction: Transaction, id: str | None, steps: list[Step]) -> Patched:
    """Carry out the steps on the document and store what they leave.

    Raises:
        RavenFailure: there is no such document, or a step cannot be done; the transaction is to be undone.
    """
    if not id:
        raise invalid_argument("Argument is null or whitespace (Parameter 'id')")
    row = transaction.read(id)
    if row is None:
        raise RavenFailure(
            500, "System.InvalidOperationException", f"Cannot apply json patch because the document {id} does not exist"
        )
    document, metadata = parse_object(row[1], exact=True), parse_object(row[2], exact=True)
    if metadata:
        document[METADATA] = metadata
    try:
        for step in steps:
            _carry_out(document, step)
        if all(step.name == "test" for step in steps):
            return Patched("NotModified")
        body, kept, collection = stored_form(document)
        written = transaction.put(id, body, kept, collection)  # in this spelling from now on, unlike after scripts
    except RavenFailure as cause:
        kind, message = (
            "System.InvalidOperationException",
            f"An error occurred while trying to apply json patch operation to document {id}.",
        )
        raise RavenFailure(500, kind, message, Error=f"{kind}: {message}\n ---> {cause.type}: {cause.message}") from cause
    return Patched("Patched", shown(body.encode(), kept.encode()), written=written)


def _carry_out(document: dict[str, JSON], step: Step) -> None:
    if step.name in _WITH_SOURCE:
        source = _existing(document, step.source, step)
        target = _place(document, step.path, step)
        target.insert(source.take() if step.name == "move" else _copied(source, step))
    elif step.name == "add":
        _place(document, step.path, step).insert(step.value)
    else:
        place = _existing(document, step.path, step)
        if step.name == "test":
            _test(place, step.value)
        else:
            place.take()
            if step.name == "replace":
                place.insert(step.value)


def _copied(source: _Place, step: Step) -> JSON:
    if step.path.startswith(f"{step.source}/"):
        raise RavenFailure(500, "System.IO.InvalidDataException", f"'{step.source}' cannot be copied into itself")
    return parse_object(encode({"copy": _value(source)}), exact=True)["copy"]


def _value(place: _Place) -> JSON:
    container: JSON = place.container
    return container[place.name]


def _test(place: _Place, value: JSON) -> None:
    current = _value(place)
    if value is None or current is None:
        raise _null()
    if _SORTED.encode(current) != _SORTED.encode(value):
        message = f"The current value '{_text(current)}' is not equal to the test value '{_text(value)}'"
        raise RavenFailure(500, "System.InvalidOperationException", message)


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _place(document: dict[str, JSON], path: str, step: Step) -> _Place:
    """Return the place of this path, all but the last part of which must exist."""
    *way, last = path.split("/")[1:] or [path]
    container: JSON = document
    name = ""
    for part in way:
        name = _unescaped(part)
        container = _value(_found(container, name, path, step))
    if isinstance(container, dict):
        return _Place(container, _unescaped(last))
    if isinstance(container, list):
        return _Place(container, None if last == "-" and step.name != "remove" else _index(container, last, path))
    raise _unreachable(_unescaped(last), path, step, f" because element at {name} is not an object or a collection")


def _existing(document: dict[str, JSON], path: str, step: Step) -> _Place:
    place = _place(document, path, step)
    if place.name is None:
        raise invalid_argument(f"Expected an index but got a '-' at path {path}")
    if isinstance(place.container, dict) and place.name not in place.container:
        raise _unreachable(str(place.name), path, step)
    return place


def _found(container: JSON, name: str, path: str, step: Step) -> _Place:
    if isinstance(container, list):
        return _Place(container, _index(container, name, path))
    if not isinstance(container, dict) or name not in container:
        raise _unreachable(name, path, step)
    return _Place(container, name)


def _index(container: list[JSON], text: str, path: str) -> int:
    index = int(text) if _INDEX.fullmatch(text) else 1 << 31
    if not -(1 << 31) <= index < 1 << 31:
        raise invalid_argument(f"Expected an index but got a '{text}' at path {path}")
    if not 0 <= index < len(container):
        reason = f"Position {index} is out of array bounds at array {path}"
        message = f"Specified argument was out of the range of valid values. (Parameter '{reason}')"
        raise RavenFailure(500, "System.ArgumentOutOfRangeException", message)
    return index


def _unreachable(name: str, path: str, step: Step, reason: str = "") -> RavenFailure:
    message = f"Cannot reach target location. Failed to fetch '{name}' in path '{path}' for operation '{step.name.title()}'"
    return invalid_argument(message + reason)


def _unescaped(part: str) -> str:
    return part.replace("~0", "~").replace("~1", "/")


def patch_by_steps(call: Call) -> Response:
    """Carry out the steps in the body on one document."""
    if not (id := call.text("id")):
        raise invalid_argument("Query string id is mandatory, but wasn't specified.")
    steps = parse_steps(Raw(call.request.body))
    with call.tenant.storage.write(call.tenant.database) as transaction:
        result = json_patch(transaction, id, steps)
    answer: dict[str, JSON] = {"Status": result.status}
    if result.written is not None:
        written = result.written
        answer |= {"ModifiedDocument": result.document, "LastModified": written.modified}
        answer |= {"ChangeVector": written.change_vector, "Collection": written.collection}
    return json_answer(answer)


JSON_PATCH_ROUTES: Routes = {("PATCH", "json-patch"): patch_by_steps}
