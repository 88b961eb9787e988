"""RavenDB's query language: from text to a tree. Knows no documents and no SQL."""

from evsession.embedded.rql.parser import invalid_query, parse
from evsession.embedded.rql.tree import Query

__all__ = ["Query", "invalid_query", "parse"]
