"""The polling of one Asterisk, and of many; and what can be wrong with one, in words."""

from exporter.polling import troubles
from exporter.polling.backoff import FIRST_PAUSE, LONGEST_PAUSE, REFUSED_PAUSE
from exporter.polling.clock import Clock
from exporter.polling.fleet import Fleet, cancel_and_wait
from exporter.polling.health import Health, Lately, health_of
from exporter.polling.lateness import Lateness, Pace
from exporter.polling.loop_time import LoopTime, new_loop, since_boot
from exporter.polling.poll import CORESETTINGS, CORESTATUS, FAXSESSIONS, FAXSTATS
from exporter.polling.poller import SHUTDOWN_PAUSE, Poller
from exporter.polling.snapshot import Counts, FaxShown, Row, Shown, health, told
from exporter.polling.status import Failure, Status

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
    "Counts",
    "Failure",
    "FaxShown",
    "Fleet",
    "Health",
    "Lately",
    "Lateness",
    "LoopTime",
    "Pace",
    "Poller",
    "Row",
    "Shown",
    "Status",
    "cancel_and_wait",
    "health",
    "health_of",
    "new_loop",
    "since_boot",
    "told",
    "troubles",
]
