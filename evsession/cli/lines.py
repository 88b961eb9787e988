"""Documents as text: what is printed, and what is read again. Pure functions; knows no file and no session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = ["Incoming", "decoded", "document_line", "incoming", "line", "parse_documents", "split_lines"]

METADATA, COLLECTION, ID, PROJECTION = "@metadata", "@collection", "@id", "@projection"
ALLOWED = frozenset({"@expires", "@refresh", "@archive-at"})
"""Names with an ``@`` in metadata that a program may write; the others with one are the server's."""

SERVERS = frozenset({"Last-Modified"})
"""Names without an ``@`` that are the server's all the same."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some programs, most of them on Windows, write before a text; it is no part of it."""

HILO = "raven/hilo/"
"""How the keys of documents begin, in lower case, by which the server gives out ranges of numbers."""


def line(value: Any, *, pretty: bool = False) -> bytes:
    """Return the value as JSON that ends a line; on several lines if it shall be pretty."""
    data = msgspec.json.encode(value)
    return (msgspec.json.format(data, indent=2) if pretty else data) + b"\n"


def document_line(fields: Mapping[str, Any], metadata: Mapping[str, Any], *, pretty: bool = False) -> bytes:
    """Return a document as JSON with its metadata last."""
    return line({**fields, METADATA: dict(metadata)}, pretty=pretty)


@dataclass(frozen=True)
class Incoming:
    """A document that is to be written.

    Attributes:
        fields: All but ``@metadata``.
        key: The key, or None for one that is made.
        collection: The collection, or None for none.
        metadata: The program's own part of it, or None for none.
    """

    fields: dict[str, Any]
    key: str | None = None
    collection: str | None = None
    metadata: dict[str, Any] | None = None

    @property
    def is_hilo(self) -> bool:
        """Whether it counts the numbers that were given out for keys."""
        return self.key is not None and self.key.lower().startswith(HILO)


def incoming(value: Any, *, key: str | None = None, collection: str | None = None) -> Incoming:
    """Return the document that a JSON value stands for.

    Args:
        value: The JSON. An object is used up.
        key: The key, in place of its own.
        collection: The collection, in place of its own; documents that count numbers keep theirs.

    Raises:
        ValueError: it stands for none.
    """
    if not isinstance(value, dict):
        raise ValueError(f"a document is a JSON object, not {_kind(value)}")
    known = value.pop(METADATA, None) or {}
    if not isinstance(known, dict):
        raise ValueError(f"{METADATA} is a JSON object, not {_kind(known)}")
    for name in (ID, COLLECTION):
        if known.get(name) is not None and not isinstance(known[name], str):
            raise ValueError(f"{METADATA}.{name} is a text, not {_kind(known[name])}")
    if known.get(PROJECTION):
        raise ValueError("this is the result of a projection, not a whole document")
    own = {name: fact for name, fact in known.items() if _is_programs(name)}
    home = known.get(COLLECTION)
    made = Incoming(value, known.get(ID) if key is None else key, None if home == "@empty" else home, own or None)
    return made if collection is None or made.is_hilo else Incoming(value, made.key, collection, made.metadata)


def _is_programs(name: str) -> bool:
    return name in ALLOWED or (not name.startswith("@") and name not in SERVERS)


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null", dict: "an object"}
    return names.get(type(value), "a number")


def split_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield each document's text with the number of its first line, counted from 1; empty lines are passed over.

    A document is one line, or what stands from a line ``{`` to a line ``}``, as ``--pretty`` prints it. A mark of the byte order
    before the first one is left out.
    """
    block: list[bytes] = []
    first = 0
    for number, given in enumerate(lines, 1):
        text = given.removeprefix(BYTE_ORDER_MARK) if number == 1 else given
        bare = text.rstrip(b"\r\n")
        if block or bare == b"{":
            first = first if block else number
            block.append(text)
            if bare == b"}":
                yield first, b"".join(block)
                block.clear()
        elif bare.strip():
            yield number, text
    if block:
        yield first, b"".join(block)


def decoded(text: bytes) -> Any:
    """Return the value that the JSON stands for.

    Raises:
        ValueError: it is none.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ValueError(f"this is not JSON: {error}") from None


def parse_documents(data: bytes) -> list[Any]:
    """Return the values of one JSON object, of a list, or of JSON lines; nothing at all is no document.

    Raises:
        ValueError: it is none of these; it names the line, if there are several documents.
    """
    data = data.removeprefix(BYTE_ORDER_MARK)
    pieces = list(split_lines(data.splitlines(keepends=True)))
    try:
        value = decoded(data) if pieces else []
        return value if isinstance(value, list) else [value]
    except ValueError:
        if len(pieces) < 2 or pieces[0][1].lstrip().startswith(b"["):
            raise
    values = []
    for number, text in pieces:
        try:
            values.append(decoded(text))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return values
