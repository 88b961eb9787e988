"""Running a flow by hand: each answer is given to one request."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from evsession.wire.flow import Flow
from evsession.wire.message import Request, Response

T = TypeVar("T")


def answer(status: int, body: object = b"", *headers: tuple[bytes, bytes]) -> Response:
    return Response(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def run(flow: Flow[T], *answers: Response) -> tuple[list[Request], T]:
    """Return the requests that the flow made, and its result."""
    requests = [next(flow)]
    for position, response in enumerate(answers):
        try:
            requests.append(flow.send(response))
        except StopIteration as end:
            assert position == len(answers) - 1
            return requests, end.value
    raise AssertionError("the flow wants another answer")


def body_of(request: Request) -> Any:
    return json.loads(request.body)
