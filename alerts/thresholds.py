"""The numbers that a site may want to change, for rules and dashboards alike."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Threshold:
    """A number that alerts compare with, recorded as global:asterisk_fax_NAME:threshold.

    As a string it is what an expression compares with.
    """

    name: str
    value: float
    comment: str
    """What it means, with its unit; for who edits the rules file."""

    @property
    def series(self) -> str:
        """What it is recorded as."""
        return f"global:asterisk_fax_{self.name}:threshold"

    def __str__(self) -> str:
        return f"scalar({self.series})"


FAILURES_OBJECTIVE: Final = Threshold(
    "failures_objective",
    0.02,
    "The objective: the share of faxes, 0 to 1, that may fail, or never begin, for reasons of "
    "this side or the line. More for days is a warning; five times as many, or nearly all for "
    "minutes, wakes somebody. A number that is no fax and a machine that refuses (no_fax, "
    "not_accepted) are not counted.",
)
PAGE_BURN: Final = 5
"""How many times the objective is a page."""
THEIRS_SHARE: Final = Threshold(
    "theirs",
    0.3,
    "The share of faxes, 0 to 1, that may end as no_fax or not_accepted. Raise it where faxes are "
    "broadcast to old lists of numbers.",
)
MISSING: Final = Threshold(
    "missing",
    0.3,
    "The share of half an hour, 0 to 1, that may be missing of what comes and goes.",
)
BAD_LINES: Final = Threshold(
    "bad_lines", 1, "Bad lines per received page that are no reason to call the carrier."
)
BAD_LINES_FACTOR: Final = Threshold(
    "bad_lines_factor", 3, "Times as many bad lines per page as usual."
)
BAD_LINES_USUAL: Final = Threshold(
    "bad_lines_usual",
    2,
    "Bad lines per received page that are at most taken for usual, however long there have been "
    "more.",
)
BAD_LINES_FAXES: Final = Threshold(
    "bad_lines_faxes",
    0.2,
    "The share of a day's faxes, 0 to 1, that must have got worse; of an hour's it is twice as "
    "much.",
)
PAGE_DURATION_FACTOR: Final = Threshold(
    "page_duration_factor",
    1.8,
    "Times as long per page as usual. From 14400 to 9600 bit/s it is 1.5.",
)
RATE_FALLBACKS: Final = Threshold(
    "rate_fallbacks", 0.5, "Times that a session's data rate goes down, on average."
)
PROGRESS_SECONDS: Final = Threshold("progress_seconds", 600, "Seconds without a new page.")
RESULTS_MISSING: Final = Threshold(
    "results_missing",
    0.05,
    "The share of completed faxes, 0 to 1, of which the result may be missing.",
)
RESTARTS: Final = Threshold(
    "restarts",
    3,
    "Times that Asterisk may be started in two hours, as when it is maintained; in a day twice as "
    "often.",
)
CAPACITY_USED: Final = Threshold(
    "capacity_used", 0.8, "The share of the capacity, 0 to 1, that may be in use."
)

MISSED: Final = Threshold(
    "missed",
    20,
    "Faxes that came in the same hours of the weeks before, and of which not one came now: then a "
    "line is silent.",
)

FAILING_SECONDS: Final = Threshold(
    "failing_seconds",
    16 * 3600,
    "Seconds from the first to the last of the faxes of which none succeeded: more than a night, "
    "so that two of them are enough where there is one a day.",
)

LATE_POLLS: Final = Threshold(
    "late_polls",
    10,
    "Polls in half an hour that came more than a second too late while a page was being received.",
)

THRESHOLDS: Final = (
    FAILURES_OBJECTIVE,
    THEIRS_SHARE,
    MISSING,
    BAD_LINES,
    BAD_LINES_FACTOR,
    BAD_LINES_USUAL,
    BAD_LINES_FAXES,
    PAGE_DURATION_FACTOR,
    RATE_FALLBACKS,
    PROGRESS_SECONDS,
    RESULTS_MISSING,
    RESTARTS,
    CAPACITY_USED,
    MISSED,
    FAILING_SECONDS,
    LATE_POLLS,
)
"""All, in the order in which they stand in the rules file."""
