"""What the twins need."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def real_raven_url() -> str:
    """The URL of a real RavenDB, whatever else the other tests run on."""
    url = os.environ.get("EVSESSION_TEST_RAVENDB")
    if not url:
        if os.environ.get("EVSESSION_REQUIRE_SERVERS"):
            pytest.fail("EVSESSION_REQUIRE_SERVERS is set, but EVSESSION_TEST_RAVENDB names no server")
        pytest.skip("no real RavenDB: set EVSESSION_TEST_RAVENDB to its URL")
    return url.rstrip("/")
