"""Documents in one SQLite file, or in memory. Knows keys, change vectors and collections, but neither HTTP nor queries."""

from evsession.embedded.storage.database import Database
from evsession.embedded.storage.documents import DOCUMENT_COLUMNS, document_json, last_etag
from evsession.embedded.storage.keys import fold_key
from evsession.embedded.storage.schema import Tables
from evsession.embedded.storage.store import Storage
from evsession.embedded.storage.transaction import Transaction, Written

__all__ = [
    "DOCUMENT_COLUMNS",
    "Database",
    "Storage",
    "Tables",
    "Transaction",
    "Written",
    "document_json",
    "fold_key",
    "last_etag",
]
