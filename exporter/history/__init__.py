"""The faxes that are over, kept over restarts: an SQLite database, in a file or in memory.

One thread of the main process owns it. A fault of the file, or of the disk, costs no poll, but for
the one that docs/history.md names: who cuts SQLite's shared memory ends the process.
"""

from exporter.history.database import TooSlow
from exporter.history.keeper import FaxHistory, Unavailable
from exporter.history.query import MAX_LIMIT, MAX_TIME, RESULTS, FaxPage, Query, Stored
from exporter.history.storage import fault

__all__ = [
    "MAX_LIMIT",
    "MAX_TIME",
    "RESULTS",
    "FaxHistory",
    "FaxPage",
    "Query",
    "Stored",
    "TooSlow",
    "Unavailable",
    "fault",
]
