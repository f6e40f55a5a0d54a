"""What was seen goes in, exact totals come out. No I/O, no clock."""

from exporter.ledger.gauges import Gauges
from exporter.ledger.history import KEPT, EndedFax, History
from exporter.ledger.ledger import Ledger
from exporter.ledger.matching import EVENT_LATENESS
from exporter.ledger.observation import Observation
from exporter.ledger.peers import OTHER_PEER, PeerTotals, Remembered
from exporter.ledger.session import RunningSession
from exporter.ledger.today import HOURS, Day, Earlier, Figures, Hour, Today, last_hours
from exporter.ledger.totals import PAGE_OPERATIONS, Exemplar, Histogram, Totals

__all__ = [
    "EVENT_LATENESS",
    "HOURS",
    "KEPT",
    "OTHER_PEER",
    "PAGE_OPERATIONS",
    "Day",
    "Earlier",
    "EndedFax",
    "Exemplar",
    "Figures",
    "Gauges",
    "Histogram",
    "History",
    "Hour",
    "Ledger",
    "Observation",
    "PeerTotals",
    "Remembered",
    "RunningSession",
    "Today",
    "Totals",
    "last_hours",
]
