"""RavenDB's HTTP API as a function from requests to responses. Knows no socket, no trio and no threads."""

from evsession.embedded.app.answers import Conversation
from evsession.embedded.app.app import App

__all__ = ["App", "Conversation"]
