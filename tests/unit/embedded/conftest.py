"""Servers for the unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evsession.embedded.app import App
from tests.unit.embedded.server import Server


@pytest.fixture(params=["memory", "file"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server in memory, and one on a file."""
    app = App(None if request.param == "memory" else tmp_path / "data.db")
    yield Server(app)
    app.close()
