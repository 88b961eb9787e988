"""h11 over trio: moves requests to servers and answers back. Does not know what a document is."""

from evsession.transport.http import HTTPTransport
from evsession.transport.nodes import Node, parse_urls
from evsession.transport.tls import build_ssl_context

__all__ = ["HTTPTransport", "Node", "build_ssl_context", "parse_urls"]
