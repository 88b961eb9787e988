"""A database in memory with its engine, without an app around them."""

from __future__ import annotations

from typing import Any

from evsession.embedded.query import Page, QueryEngine, prepare
from evsession.embedded.storage import Storage
from evsession.wire.json import decode, encode


class Shelf:
    """Documents and their queries."""

    def __init__(self) -> None:
        self.storage = Storage()
        database = self.storage.create_database("shelf")
        assert database is not None
        self.database = database
        self.engine = QueryEngine(database)
        with self.storage.read() as connection:
            prepare(connection)

    def put(self, key: str, document: dict[str, Any] | str, collection: str = "Dogs") -> None:
        """Write a document, also one that is JSON already."""
        body = document if isinstance(document, str) else encode(document).decode()
        with self.storage.write(self.database) as transaction:
            transaction.put(key, body, encode({"@collection": collection}).decode(), collection)

    def delete(self, key: str) -> None:
        """Delete a document."""
        with self.storage.write(self.database) as transaction:
            transaction.delete(key)

    def define(self, name: str, *maps: str, **others: Any) -> None:
        """Define an index."""
        definition = {"Name": name, "Maps": list(maps), **others}
        with self.storage.write(self.database) as transaction:
            self.engine.define(transaction.connection, definition)
            transaction.connection.execute(
                f"INSERT OR REPLACE INTO {self.database.tables.indexes} VALUES (?, ?, ?)",
                (name.lower(), name, encode(definition).decode()),
            )

    def page(self, text: str, parameters: dict[str, Any] | None = None, **options: Any) -> Page:
        """Run a query."""
        with self.storage.read() as connection:
            return self.engine.run(connection, text, parameters or {}, **options)

    def rows(self, text: str, **parameters: Any) -> list[Any]:
        """Return the rows of a query without their metadata."""
        found = [decode(row) for row in self.page(text, parameters).rows]
        for row in found:
            del row["@metadata"]
        return found

    def keys(self, text: str, **parameters: Any) -> list[str]:
        """Return the ends of the keys of the documents that a query finds."""
        return [decode(row)["@metadata"]["@id"].rpartition("/")[2] for row in self.page(text, parameters).rows]

    def maintain(self) -> None:
        """Build what queries wish for."""
        with self.storage.write(self.database) as transaction:
            self.engine.maintain(transaction.connection)
