"""Databases, indexes and the server's version. Knows the administrative endpoints; knows no document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evsession.errors import ConfigurationError, ProtocolError, SessionError
from evsession.raven.errors import error_from
from evsession.raven.rql import check_name
from evsession.raven.vocabulary import Database
from evsession.wire.flow import Flow
from evsession.wire.json import check, decode, decode_object, encode
from evsession.wire.message import Request, Response
from evsession.wire.url import target

__all__ = ["create_database_flow", "delete_database_flow", "delete_index_flow", "put_index_flow", "server_version_flow"]

JSON_BODY = (("Content-Type", "application/json"),)

EMBEDDED = "evsession-"
"""How the commit of the embedded server begins."""


def create_database_flow(database: Database) -> Flow[None]:
    """Create a database with one replica.

    Raises:
        ConcurrencyError: there is one of this name (409 "Database 'x' already exists!", seen on 5.4, 6.2 and 7.1).
    """
    # The name in the body wins over the one in the query.
    where = target("/admin/databases", [("name", database.name), ("replicationFactor", "1")])
    response = yield Request("PUT", where, encode({"DatabaseName": database.name}), JSON_BODY, writes=True)
    _check_done(response, 200, 201)


def delete_database_flow(database: Database) -> Flow[None]:
    """Delete a database and its files. One that is not there is no error (the server answers 200 on 5.4, 6.2 and 7.1)."""
    body = {"DatabaseNames": [database.name], "HardDelete": True, "TimeToWaitForConfirmation": "00:00:15"}
    response = yield Request("DELETE", "/admin/databases", encode(body), JSON_BODY, writes=True)
    _check_done(response, 200, 204)


def put_index_flow(
    database: Database,
    name: str,
    maps: str | Sequence[str],
    reduce: str | None = None,
    fields: Mapping[str, Mapping[str, Any]] | None = None,
) -> Flow[None]:
    """Define an index or change it; the same definition again changes nothing.

    Raises:
        ConfigurationError: if the definition cannot be one.
        SessionError: with the code ``"IndexCompilationException"``, if it does not compile.
    """
    definition: dict[str, Any] = {"Name": _index_name(name), "Maps": _maps(maps)}
    if reduce is not None:
        definition["Reduce"] = _function(reduce, "the reduce function of an index")
    if fields is not None:
        definition["Fields"] = _fields(fields)
    body = encode({"Indexes": [definition]})
    response = yield Request("PUT", database.path("admin", "indexes"), body, JSON_BODY, writes=True)
    _check_done(response, 200, 201)


def delete_index_flow(database: Database, name: str) -> Flow[None]:
    """Delete an index, also one that the server made (``"Auto/Dogs/Bybreed"``).

    Raises:
        SessionError: with status 404, there is none of this name.
    """
    if not check_name(name, "the name of an index"):
        raise ConfigurationError("an index has a name")
    response = yield Request("DELETE", target(database.path("indexes"), [("name", name)]), writes=True)
    if response.status == 404 and not response.body:
        raise SessionError(f"there is no index {name!r}", status_code=404)
    _check_done(response, 200, 204)


def _check_done(response: Response, *statuses: int) -> None:
    """Raise unless it is done, and RavenDB says so: by an object, or by 204. A page of somebody in between says nothing."""
    if response.status not in statuses:
        raise error_from(response, writes=True)
    if response.status != 204:
        decode_object(response.body)


def _index_name(name: object) -> str:
    # The server's own rule: "Only letters, digits and characters ('_', '-', '.', '/') are allowed" (seen on 5.4, 6.2 and 7.1).
    if not isinstance(name, str) or not name or not all(c.isalnum() or c in "_-./" for c in name):
        raise ConfigurationError(f"{name!r} cannot be the name of an index: letters, digits and '_', '-', '.', '/' only")
    return name


def _maps(maps: object) -> list[str]:
    several = [maps] if isinstance(maps, str) else maps
    if not isinstance(several, (list, tuple)) or not several:
        raise ConfigurationError(f"the maps of an index are one text or several, not {maps!r}")
    return [_function(one, "a map of an index") for one in several]


def _function(text: object, what: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise ConfigurationError(f"{what} is the text of a function, not {text!r}")
    return text


def _fields(fields: object) -> dict[str, Any]:
    if not isinstance(fields, Mapping):
        raise ConfigurationError(f"the fields of an index are a mapping of names to options, not {fields!r}")
    for name, options in fields.items():
        check_name(name, "a field of an index")
        if not isinstance(options, Mapping):
            raise ConfigurationError(f"the options of the field {name!r} are a mapping, not {options!r}")
    plain = {name: dict(options) for name, options in fields.items()}
    check(plain)
    return plain


def server_version_flow() -> Flow[str]:
    """Ask for the version, such as ``"7.1.5"``; the embedded server's is ``"7.1.0+evsession-0.1.0"``.

    Needs no database. ``FullVersion`` has three numbers, ``ProductVersion`` two: ``{"BuildVersion": 71028, "ProductVersion":
    "7.1", "CommitHash": "082d079", "FullVersion": "7.1.5"}`` (the same form on 5.4.207, 6.2.4 and 7.1.5).

    Raises:
        ProtocolError: it is no RavenDB.
    """
    response = yield Request("GET", "/build/version")
    if response.status not in (200, 404):
        raise error_from(response)
    about = decode(response.body) if response.status == 200 else None
    version, commit = (about.get("FullVersion"), about.get("CommitHash")) if isinstance(about, dict) else (None, None)
    if not isinstance(version, str):
        raise ProtocolError("the server does not say which RavenDB it is; is it one?", status_code=response.status)
    return f"{version}+{commit}" if isinstance(commit, str) and commit.startswith(EMBEDDED) else version
