"""The scrape loop of one Asterisk, and of many."""

from exporter.polling.fleet import Fleet, cancelled
from exporter.polling.poller import (
    CORESETTINGS,
    CORESTATUS,
    FAXSESSIONS,
    FAXSTATS,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    REFUSED_PAUSE,
    SHUTDOWN_PAUSE,
    Clock,
    Failure,
    Poller,
)

__all__ = [
    "CORESETTINGS",
    "CORESTATUS",
    "FAXSESSIONS",
    "FAXSTATS",
    "FIRST_PAUSE",
    "LONGEST_PAUSE",
    "REFUSED_PAUSE",
    "SHUTDOWN_PAUSE",
    "Clock",
    "Failure",
    "Fleet",
    "Poller",
    "cancelled",
]
