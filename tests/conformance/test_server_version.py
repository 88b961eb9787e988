"""Which server it is: asked by the store, of any server, without a database."""

from __future__ import annotations

import re

import pytest

import evsession
from tests.backends import Backend
from tests.conformance.kennel import Told


async def test_the_version(backend: Backend) -> None:
    told = Told()
    async with backend.connect(None) as store:
        version = await store.server_version(told)
    assert told.calls == [(None, version)]
    assert re.fullmatch(r"\d+\.\d+\.\d+(\+evsession-\d.*)?", version)
    assert (backend.name == "ravendb") == ("+" not in version)
    assert version.partition("+evsession-")[2] in ("", evsession.__version__)


@pytest.mark.server
async def test_a_neo4j_is_none(neo4j_url: str) -> None:
    async with evsession.Store(neo4j_url) as store:
        with pytest.raises(evsession.ProtocolError, match="which RavenDB") as caught:
            await store.server_version()
    assert (caught.value.status_code, caught.value.operation) == (404, "server_version")
