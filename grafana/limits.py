"""From which values on a panel changes its colour: those from which on an alert fires.

Red is what wakes somebody, orange what can wait until the morning. What no alert looks at has no
colour, or that of something to look at.
"""

from typing import Final

from alerts import thresholds
from grafana.panels import GREEN, LIMIT, ORANGE, PAGE_LIMIT, RED, Query, Steps

_OBJECTIVE: Final = thresholds.FAILURES_OBJECTIVE

FAILURES: Final[Steps] = (
    (0, GREEN),
    (_OBJECTIVE.value, ORANGE),
    (_OBJECTIVE.value * thresholds.PAGE_BURN, RED),
)
"""Share of faxes that fail by this side or the line, as `promql.ours` has it."""
THEIRS: Final[Steps] = ((0, GREEN), (thresholds.THEIRS_SHARE.value, ORANGE))
"""Share of faxes that fail by the other side."""
BAD_LINES: Final[Steps] = ((0, GREEN), (thresholds.BAD_LINES.value, ORANGE))
"""Lines per page."""
FALLBACKS: Final[Steps] = ((0, GREEN), (thresholds.RATE_FALLBACKS.value, ORANGE))
"""For each fax."""
WAITING: Final[Steps] = ((0, GREEN), (thresholds.PROGRESS_SECONDS.value, ORANGE))
"""Seconds without a new page."""


def alert_above(threshold: thresholds.Threshold) -> Query:
    """A line where the alert of the site's own rules begins; none where it has no such rules.

    Of several rules files, such as those of two releases of the chart, that which begins first.
    """
    return Query(f"min({threshold.series})", LIMIT)


def failures_above() -> tuple[Query, Query]:
    """Lines at the objective of the site's own rules, and where more wakes somebody."""
    return (
        alert_above(_OBJECTIVE),
        Query(f"{thresholds.PAGE_BURN} * min({_OBJECTIVE.series})", PAGE_LIMIT),
    )
