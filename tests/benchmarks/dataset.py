"""What is read and written: documents of a size, the database that holds them, and the requests that every client sends alike.

Knows no client. The server is filled over urllib, so that no peer has a part in what it is measured on.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

__all__ = [
    "BATCH",
    "ITEMS",
    "QUERY",
    "STREAM",
    "TEAM",
    "USERS",
    "bulk_keys",
    "fill",
    "item",
    "saved_keys",
    "user",
    "user_keys",
    "user_of",
]

USERS = 1_024
"""Documents of about 1 KB, to load and to query."""

TEAM = 128
"""Documents that a query finds."""

ITEMS = 50_000
"""Documents of about 300 bytes, to stream."""

BATCH = 1_000
"""Documents that one save writes."""

QUERY = "from 'Users' where team = $p0"
STREAM = "from 'Items'"

_TEXT = "The quick brown fox jumps over the lazy dog and runs away from the old grey cat. "


def user(number: int) -> dict[str, Any]:
    """Return the fields of a document of about 1 KB."""
    return {
        "name": f"User {number}",
        "team": f"t{number % (USERS // TEAM)}",
        "age": 20 + number % 60,
        "score": number / 7,
        "active": number % 3 == 0,
        "manager": None,
        "email": f"user{number}@example.com",
        "address": {
            "street": f"{number} Long Street",
            "city": "Amsterdam",
            "zip": f"{10_000 + number}",
            "country": "Netherlands",
        },
        "tags": ["alpha", "beta", "gamma", f"tag{number % 10}"],
        "history": [{"year": 2000 + year, "points": number * year, "place": year % 4} for year in range(4)],
        "notes": _TEXT * 5,
    }


def item(number: int) -> dict[str, Any]:
    """Return the fields of a document of about 300 bytes."""
    return {
        "name": f"Item {number}",
        "price": number / 100,
        "count": number % 100,
        "colour": "green",
        "owner": f"users/{number % USERS}",
        "tags": ["small", "cheap"],
        "size": {"width": 10, "height": 20, "depth": 30},
        "text": _TEXT,
    }


def user_keys(count: int) -> list[str]:
    """Return keys of users that are all different."""
    if count > USERS:
        raise ValueError(f"there are {USERS} users")
    return [user_of(number) for number in range(count)]


def user_of(number: int) -> str:
    """Return the key of a user."""
    return f"users/{number}"


def saved_keys(batch: int) -> list[str]:
    """Return the keys of a batch to save."""
    return [f"saveds/{batch * BATCH + number}" for number in range(BATCH)]


def bulk_keys(count: int) -> list[str]:
    """Return the keys of a bulk insert."""
    return [f"bulks/{number}" for number in range(count)]


def fill(url: str, database: str) -> None:
    """Create the database and its documents, unless they are there."""
    try:
        _ask(url, "PUT", f"/admin/databases?name={database}", {"DatabaseName": database})
    except urllib.error.HTTPError as error:
        if error.code != 409:
            raise
    home = f"{url}/databases/{database}"
    for collection, count, make in (("Users", USERS, user), ("Items", ITEMS, item)):
        found = _ask(home, "POST", "/queries", {"Query": f"from '{collection}' limit 0, 0"})["TotalResults"]
        if found != count:
            _write(home, collection, [(f"{collection.lower()}/{number}", make(number)) for number in range(count)])
    index = {"Query": QUERY, "QueryParameters": {"p0": "t0"}, "WaitForNonStaleResults": True}
    if len(_ask(home, "POST", "/queries", index)["Results"]) != TEAM:
        raise RuntimeError(f"the query does not find {TEAM} documents in the database {database!r}; delete it, then start again")


def _write(home: str, collection: str, documents: list[tuple[str, dict[str, Any]]]) -> None:
    for start in range(0, len(documents), 5_000):
        commands = [
            {"Id": key, "Type": "PUT", "ChangeVector": None, "Document": {**fields, "@metadata": {"@collection": collection}}}
            for key, fields in documents[start : start + 5_000]
        ]
        _ask(home, "POST", "/bulk_docs", {"Commands": commands})


def _ask(url: str, method: str, path: str, body: object) -> Any:
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
