"""What was seen goes in, exact totals come out. No I/O, no clock."""

from exporter.ledger.history import KEPT, EndedFax
from exporter.ledger.ledger import (
    OTHER_PEER,
    PAGE_OPERATIONS,
    BadLines,
    Histogram,
    Ledger,
    PageCount,
    RunningSession,
    Unobserved,
)
from exporter.ledger.lives import Lives, is_another
from exporter.ledger.matching import EVENT_LATENESS, LIST_PATIENCE, Matching, Outcome, Phase
from exporter.ledger.observation import Observation

__all__ = [
    "EVENT_LATENESS",
    "KEPT",
    "LIST_PATIENCE",
    "OTHER_PEER",
    "PAGE_OPERATIONS",
    "BadLines",
    "EndedFax",
    "Histogram",
    "Ledger",
    "Lives",
    "Matching",
    "Observation",
    "Outcome",
    "PageCount",
    "Phase",
    "RunningSession",
    "Unobserved",
    "is_another",
]
