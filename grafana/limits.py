"""From which values on a panel changes its colour: those from which on an alert fires.

Red is what wakes somebody, orange what can wait until the morning, and yellow half of the way to
red. What no alert looks at has no colour.
"""

from typing import Final

from alerts import thresholds
from alerts.thresholds import Threshold
from grafana.panels import GREEN, LIMIT, ORANGE, RED, YELLOW, Query, Steps

FAILURES: Final[Steps] = (
    (0, GREEN),
    (thresholds.FAILURES.value / 2, YELLOW),
    (thresholds.FAILURES.value, RED),
)
"""Share of faxes."""
SUCCESS: Final[Steps] = (
    (0, RED),
    (1 - thresholds.FAILURES.value, YELLOW),
    (1 - thresholds.FAILURES.value / 2, GREEN),
)
BAD_LINES: Final[Steps] = ((0, GREEN), (thresholds.BAD_LINES.value, ORANGE))
"""Lines per page."""
WAITING: Final[Steps] = ((0, GREEN), (thresholds.PROGRESS_SECONDS.value, ORANGE))
"""Seconds without a new page."""


def alert_above(threshold: Threshold) -> Query:
    """A line where the alert of the site's own rules begins; none where it has no such rules."""
    return Query(f"max({threshold.series})", LIMIT)
