"""Queries in RQL, and the indexes that make them fast. Knows the storage's tables, and no HTTP."""

from evsession.embedded.query.engine import Page, QueryEngine
from evsession.embedded.query.functions import prepare
from evsession.embedded.query.kept import drop

__all__ = ["Page", "QueryEngine", "drop", "prepare"]
