"""Scripted peers and faults, for this project's tests and for its users'."""

from evsession.testing.scripted import ScriptedExchange, ScriptedTransport, json_answer
from evsession.testing.server import Peer, ScriptedServer, SeenRequest, Step
from evsession.testing.steps import answer, close, forever, read_head, read_request, reset, send, stall

__all__ = [
    "Peer",
    "ScriptedExchange",
    "ScriptedServer",
    "ScriptedTransport",
    "SeenRequest",
    "Step",
    "answer",
    "close",
    "forever",
    "json_answer",
    "read_head",
    "read_request",
    "reset",
    "send",
    "stall",
]
