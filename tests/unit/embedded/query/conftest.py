"""Fixtures of queries' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.embedded.query.shelf import Shelf


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """An empty database."""
    opened = Shelf()
    yield opened
    opened.storage.close()
