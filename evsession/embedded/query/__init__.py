"""Queries in RQL, and the indexes that make them fast. Knows the storage's tables, and no HTTP."""

from evsession.embedded.query.definitions import one_of
from evsession.embedded.query.engine import Page, QueryEngine
from evsession.embedded.query.functions import prepare
from evsession.embedded.query.inspection import State
from evsession.embedded.query.kept import drop
from evsession.embedded.query.naming import AutoIndex

__all__ = ["AutoIndex", "Page", "QueryEngine", "State", "drop", "one_of", "prepare"]
