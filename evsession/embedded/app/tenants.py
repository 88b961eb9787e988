"""The databases of a server with what belongs to each beside its documents: how it is queried, and what runs on it."""

from __future__ import annotations

import threading

from evsession.embedded.app.operations import Operations
from evsession.embedded.failures import RavenFailure
from evsession.embedded.query import QueryEngine
from evsession.embedded.storage import Database, Storage

__all__ = ["Tenant", "Tenants"]


class Tenant:
    """A database at work.

    Attributes:
        database: Its documents' counters and tables.
        storage: Where they are.
        engine: What runs its queries.
        operations: States of operations by number; they are gone with the process, as RavenDB's are.
    """

    def __init__(self, storage: Storage, database: Database) -> None:
        self.storage = storage
        self.database = database
        self.engine = QueryEngine(database)
        self.operations = Operations()


class Tenants:
    """All databases of a storage, each with its one `Tenant`."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._tenants: dict[int, Tenant] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Tenant:
        """Return the database at work.

        Raises:
            RavenFailure: there is none of this name, or it is switched off.
        """
        database = self.storage.database(name)
        if database is None:
            raise RavenFailure(
                500, "Raven.Client.Exceptions.Database.DatabaseDoesNotExistException", f"Database '{name}' does not exist."
            )
        if database.disabled:
            raise RavenFailure(
                503,
                "Raven.Client.Exceptions.Database.DatabaseDisabledException",
                f"{name} has been disabled",
            )
        with self._lock:
            tenant = self._tenants.get(database.number)
            if tenant is None:
                tenant = self._tenants[database.number] = Tenant(self.storage, database)
        return tenant

    def forget(self, database: Database) -> None:
        """Let go of a database that was deleted."""
        with self._lock:
            self._tenants.pop(database.number, None)
