"""Change vectors: which of two versions of a document is the later one. Knows their text only."""

from __future__ import annotations

__all__ = ["is_later"]


def is_later(version: str | None, than: str | None) -> bool:
    """Return whether the version came after the other one: on every node of a cluster it is as far, on one it is farther.

    ``A:12-XKNk9uUE60y92is95T3rIg, B:3-...`` names, for each node, how far it was, and the id of its database, which tells nodes
    apart (seen on 5.4 - 7.1). Versions that were made on two nodes at once have no order, and what is no change vector has none.
    """
    here, there = _places(version), _places(than)
    if not here or not there or here == there:
        return False
    return all(here.get(node, -1) >= place for node, place in there.items())


def _places(version: str | None) -> dict[str, int]:
    """Return how far each node was; nothing if this is no change vector."""
    places: dict[str, int] = {}
    for part in (version or "").split(","):
        place, _, node = part.partition(":")[2].strip().partition("-")
        if not (place.isdecimal() and node):
            return {}
        places[node] = int(place)
    return places
