"""What a commit would send: a dry run to look at, and to print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from evsession.unitofwork.tracking import Kind, Staged
from evsession.wire.message import Request

__all__ = ["Plan"]


class Plan:
    """A dry run of a commit: nothing of it was sent. ``print(plan)`` shows it.

    Keys that the server makes, or that are fetched before, are shown as they will begin. Hooks have not been called.

    Attributes:
        inserts: The entities that would be inserted.
        updates: Those that would be updated.
        deletes: Those that would be deleted.
        requests: The exact requests, as `Request`; none when there is nothing to do.
    """

    def __init__(self, batch: Sequence[Staged[Any]], requests: Sequence[Request]) -> None:
        self.inserts = [item.known.entity for item in batch if item.kind is Kind.INSERT]
        self.updates = [item.known.entity for item in batch if item.kind is Kind.UPDATE]
        self.deletes = [item.known.entity for item in batch if item.kind is Kind.DELETE]
        self.requests = list(requests)

    def __len__(self) -> int:
        return len(self.inserts) + len(self.updates) + len(self.deletes)

    def __bool__(self) -> bool:
        return bool(self.requests)

    def __str__(self) -> str:
        if not self.requests:
            return "nothing to do"
        return "\n\n".join(_show(request) for request in self.requests)

    def __repr__(self) -> str:
        return f"<Plan {len(self.inserts)} inserts, {len(self.updates)} updates, {len(self.deletes)} deletes>"


def _show(request: Request) -> str:
    body = msgspec.json.format(request.body, indent=2).decode() if request.body else ""
    return f"{request.method} {request.target}\n{body}".rstrip()
