"""A database with documents, which is asked in RQL past evsession's own methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.backends import Backend

__all__ = ["INVALID", "Asked"]

INVALID = "Raven.Client.Exceptions.InvalidQueryException"


class Asked:
    """A database.

    Args:
        backend: Where it is.
        database: Its name.
        documents: What it holds, by collection and key.
    """

    def __init__(self, backend: Backend, database: str, documents: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        self.path = f"/databases/{database}"
        self._backend = backend
        for collection, ours in documents.items():
            for key, document in ours.items():
                stored = {**document, "@metadata": {"@collection": collection, **document.get("@metadata", {})}}
                backend.ask("PUT", f"{self.path}/docs?id={key}", stored)

    def answer(self, text: str, **parameters: Any) -> tuple[int, Any]:
        """Ask a query."""
        body = {"Query": text, "QueryParameters": parameters, "WaitForNonStaleResults": True}
        return self._backend.answer("POST", f"{self.path}/queries", body)

    def results(self, text: str, **parameters: Any) -> list[Any]:
        """Return the rows with their metadata."""
        status, answer = self.answer(text, **parameters)
        assert status == 200, answer
        results: list[Any] = answer["Results"]
        return results

    def rows(self, text: str, **parameters: Any) -> list[Any]:
        """Return the rows without their metadata."""
        return [{name: value for name, value in row.items() if name != "@metadata"} for row in self.results(text, **parameters)]

    def keys(self, text: str, **parameters: Any) -> list[str]:
        """Return the keys of the documents that are found."""
        return [row["@metadata"]["@id"] for row in self.results(text, **parameters)]

    def refused(self, text: str, **parameters: Any) -> tuple[str, str]:
        """Return the type and the first line of why a query is refused."""
        status, answer = self.answer(text, **parameters)
        assert status == 500, answer
        return answer["Type"], answer["Message"].split("\n")[0]
