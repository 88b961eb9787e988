"""The scripted transport keeps its own word."""

from __future__ import annotations

import pytest

from evsession.errors import ConnectionFailed, SessionClosed
from evsession.testing.scripted import ScriptedTransport, json_answer
from evsession.wire.message import Request
from evsession.wire.transport import Trail

GET = Request("GET", "/")


async def test_answers_come_in_order_then_the_last_for_ever_or_a_refusal() -> None:
    transport = ScriptedTransport(json_answer({"n": 1}), repeat=json_answer(None, 204))
    assert [(await transport.send(GET, Trail())).status for _ in range(3)] == [200, 204, 204]
    with pytest.raises(ConnectionFailed, match="GET /"):
        await ScriptedTransport().send(GET, Trail())


async def test_a_closed_one_refuses() -> None:
    transport = ScriptedTransport(json_answer(None))
    await transport.aclose()
    with pytest.raises(SessionClosed):
        await transport.send(GET, Trail())
    assert transport.requests == []
