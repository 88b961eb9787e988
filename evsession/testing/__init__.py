"""Scripted peers and faults, for this project's tests and for its users'."""

from evsession.testing.server import Peer, ScriptedServer, SeenRequest, Step
from evsession.testing.steps import answer, close, forever, read_head, read_request, reset, send, stall

__all__ = [
    "Peer",
    "ScriptedServer",
    "SeenRequest",
    "Step",
    "answer",
    "close",
    "forever",
    "read_head",
    "read_request",
    "reset",
    "send",
    "stall",
]
