"""HiLo ranges and the flows that fetch and return them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsession.errors import ProtocolError, SessionError
from evsession.raven.hilo import HiLoRange, HiLoRanges, hilo_key_flow, hilo_next_flow, hilo_return_flow
from evsession.raven.vocabulary import Database
from evsession.wire.message import Request, Response

DATABASE = Database("Northwind")


class Server:
    """Hands out ranges as RavenDB does: one counter per tag, taken back only from its end."""

    def __init__(self, size: int = 32) -> None:
        self.size = size
        self.max: dict[str, int] = {}

    def answer(self, request: Request) -> Response:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}
        tag = asked["tag"]
        if request.method == "PUT":
            if self.max.get(tag) == int(asked["end"]):
                self.max[tag] = int(asked["last"])
            return Response(200)
        low = self.max.get(tag, 0) + 1
        self.max[tag] = low + self.size - 1
        body = {
            "Prefix": tag + "/",
            "Low": low,
            "High": self.max[tag],
            "LastSize": self.size,
            "ServerTag": "A",
            "LastRangeAt": "T",
        }
        return Response(201, body=json.dumps(body).encode())


def run(flow: Any, server: Server) -> Any:
    try:
        request = next(flow)
        while True:
            request = flow.send(server.answer(request))
    except StopIteration as stop:
        return stop.value


def test_one_request_serves_a_range() -> None:
    server, ranges = Server(), HiLoRanges()
    keys = [run(hilo_key_flow(DATABASE, "Dogs", ranges), server) for _ in range(32)]
    assert (keys[0], keys[-1], server.max) == ("dogs/1-A", "dogs/32-A", {"Dogs": 32})
    assert run(hilo_key_flow(DATABASE, "Dogs", ranges, "--"), server) == "dogs--33-A"


def test_what_is_asked() -> None:
    ranges = HiLoRanges()
    request = next(hilo_next_flow(DATABASE, "Big Dogs", ranges))
    assert request.target == "/databases/Northwind/hilo/next?tag=Big%20Dogs&lastBatchSize=0&lastRangeAt=&lastMax=0"
    assert not request.writes
    run(hilo_next_flow(DATABASE, "Big Dogs", ranges), Server())
    assert next(hilo_next_flow(DATABASE, "Big Dogs", ranges)).target.endswith("lastBatchSize=32&lastRangeAt=T&lastMax=32")


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(1, 3))
def test_concurrent_flows_share_without_repeating(schedule: list[int], size: int) -> None:
    server, ranges, keys = Server(size), HiLoRanges(), []
    waiting: dict[int, Any] = {}
    for step in schedule:
        flow, answer = waiting.pop(step, (None, None))
        if flow is None:
            flow = hilo_key_flow(DATABASE, "Dogs", ranges)
        try:
            request = flow.send(answer)
            waiting[step] = (flow, server.answer(request))
        except StopIteration as stop:
            keys.append(stop.value)
    for flow, answer in waiting.values():
        try:
            flow.send(answer)
        except StopIteration as stop:
            keys.append(stop.value)
    rest = [number for _, unused in ranges.drain() for number in range(unused.low, unused.high + 1)]
    numbers = [int(key[5:-2]) for key in keys] + rest
    assert sorted(numbers) == list(range(1, server.max.get("Dogs", 0) + 1))


def test_a_cancelled_flow_takes_no_number() -> None:
    ranges = HiLoRanges()
    flow = hilo_key_flow(DATABASE, "Dogs", ranges)
    next(flow)
    flow.close()
    assert ranges.drain() == []


def test_the_rest_is_returned_from_the_end() -> None:
    server, ranges = Server(), HiLoRanges()
    for tag in ("Dogs", "Cats"):
        for _ in range(2):
            run(hilo_next_flow(DATABASE, tag, ranges), server)
    for _ in range(5):
        ranges.take("Dogs")
    first = next(hilo_return_flow(DATABASE, ranges))
    assert (first.method, first.writes) == ("PUT", True)
    assert ranges.drain() == []
    ranges.add("Dogs", HiLoRange(6, 32, "A"), size=32, at="T")
    ranges.add("Dogs", HiLoRange(33, 64, "A"), size=32, at="T")
    assert run(hilo_return_flow(DATABASE, ranges), server) is None
    assert server.max == {"Dogs": 5, "Cats": 64}


def test_a_refusal_is_an_error() -> None:
    flow = hilo_key_flow(DATABASE, "Dogs", HiLoRanges())
    next(flow)
    with pytest.raises(SessionError) as caught:
        flow.send(Response(500, body=b'{"Type": "X", "Message": "no"}'))
    assert caught.value.status_code == 500


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"Low": "x", "High": 1, "ServerTag": "A"}', b"null"])
def test_an_answer_of_another_form(body: bytes) -> None:
    flow = hilo_next_flow(DATABASE, "Dogs", HiLoRanges())
    next(flow)
    with pytest.raises(ProtocolError):
        flow.send(Response(201, body=body))
