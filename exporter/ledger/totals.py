"""The counters and histograms of one Asterisk: what each event, reading and ended fax adds to them.

A key is there with 0 before it is counted up, so that increase() sees its first step.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import product
from typing import Final, NamedTuple

from exporter.fax import FaxResult, Operation, Reason, State, Transport
from exporter.ledger.history import EndedFax
from exporter.ledger.session import Added

PAGE_OPERATIONS: Final = (Operation.SEND, Operation.RECEIVE, Operation.GATEWAY)
RESULT_OPERATIONS: Final = (Operation.SEND, Operation.RECEIVE)
COUNTED_STATES: Final = (State.ACTIVE, State.COMPLETE)

PAGE_SECONDS: Final = (5, 10, 15, 20, 30, 45, 60, 120)
SESSION_SECONDS: Final = (15, 30, 60, 120, 300, 600, 1800)
SESSION_PAGES: Final = (0, 1, 2, 5, 10, 20)
SESSION_RATES: Final = (2400, 4800, 7200, 9600, 12000, 14400)
"""bit/s; beyond them are those of V.34 alone."""
SESSION_BAD_LINES: Final = (0, 1, 10, 30, 100, 300, 1000)


class Exemplar(NamedTuple):
    """One fax of those that were counted."""

    unique_id: str
    """Of its channel."""
    value: float
    wall: float
    """Seconds since the epoch: when it ended."""


@dataclass(slots=True)
class Histogram:
    """Counts per bucket, each bound inclusive, and the sum of what was observed."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    sum: float = 0.0
    exemplars: dict[int, Exemplar] = field(default_factory=dict)
    """The last of each bucket, by its place."""

    def __post_init__(self) -> None:
        """One bucket more than bounds, for what exceeds them all."""
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float, times: int = 1, of: EndedFax | None = None) -> None:
        """Counts `value`, `times` times. `of`: the fax that it was observed of."""
        bucket = next(
            (i for i, bound in enumerate(self.bounds) if value <= bound), len(self.bounds)
        )
        self.counts[bucket] += times
        self.sum += value * times
        if of is not None and of.unique_id and of.heard_at is not None:
            self.exemplars[bucket] = Exemplar(of.unique_id, value, of.heard_at)


@dataclass(slots=True)
class Totals:
    """What was counted since the exporter began. A key stays where it is, and new ones come after
    it."""

    pages: Counter[tuple[Operation, State]] = field(default_factory=Counter)
    bad_lines: Counter[tuple[Operation, State]] = field(default_factory=Counter)
    rejected: Counter[Operation] = field(default_factory=Counter)
    fallbacks: Counter[Operation] = field(default_factory=Counter)
    started: Counter[Operation] = field(default_factory=Counter)
    ended: Counter[Operation] = field(default_factory=Counter)
    finished: Counter[tuple[Operation, Transport]] = field(default_factory=Counter)
    succeeded: Counter[tuple[Operation, Transport]] = field(default_factory=Counter)
    failures: Counter[tuple[Operation, Reason]] = field(default_factory=Counter)
    exemplars: dict[tuple[Operation, Reason], Exemplar] = field(default_factory=dict)
    """The last fax of each failure that told its Uniqueid."""
    results_unknown: Counter[Operation] = field(default_factory=Counter)
    last_fax: dict[Operation, float] = field(default_factory=dict)
    """Seconds since the epoch: when the last one ended; no key before."""
    last_success: dict[Operation, float] = field(default_factory=dict)
    """The same of those that ended well."""
    page_seconds: dict[Operation, Histogram] = field(default_factory=dict)
    session_seconds: dict[Operation, Histogram] = field(default_factory=dict)
    session_pages: dict[Operation, Histogram] = field(default_factory=dict)
    session_rate: dict[Operation, Histogram] = field(default_factory=dict)
    session_bad_lines: dict[Operation, Histogram] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Makes every key that can occur, with 0."""
        for operation in Operation:
            self.started[operation] = self.ended[operation] = 0
        for operation in PAGE_OPERATIONS:
            self.pages.update(dict.fromkeys(product([operation], COUNTED_STATES), 0))
            self.fallbacks[operation] = 0
        for operation in RESULT_OPERATIONS:
            self.page_seconds[operation] = Histogram(PAGE_SECONDS)
            self.session_seconds[operation] = Histogram(SESSION_SECONDS)
            self.session_pages[operation] = Histogram(SESSION_PAGES)
            self.session_rate[operation] = Histogram(SESSION_RATES)
            for table in (self.finished, self.succeeded):
                table.update(dict.fromkeys(product([operation], Transport), 0))
            self.failures.update(dict.fromkeys(product([operation], Reason), 0))
            self.results_unknown[operation] = 0
        self.bad_lines.update(dict.fromkeys(product([Operation.RECEIVE], COUNTED_STATES), 0))
        self.rejected[Operation.RECEIVE] = 0
        self.session_bad_lines[Operation.RECEIVE] = Histogram(SESSION_BAD_LINES)

    def add(self, added: Added, operation: Operation, state: State) -> None:
        """What a reading, or an event, adds to what was seen of its session."""
        if added.pages:
            self.pages[operation, state] += added.pages
            if added.page_seconds is not None and operation in self.page_seconds:
                self.page_seconds[operation].observe(added.page_seconds, added.pages)
        if added.bad_lines:
            self.bad_lines[operation, state] += added.bad_lines
        if added.rejected:
            self.rejected[operation] += 1
        if added.fell_back:
            self.fallbacks[operation] += 1

    def add_result(self, result: FaxResult, wall: float) -> None:
        """How a fax ended, by its event, which came at that time, seconds since the epoch."""
        operation, reason = result.operation, result.reason
        self.finished[operation, result.transport] += 1
        self.last_fax[operation] = wall
        if result.succeeded is None:
            self.results_unknown[operation] += 1
        elif result.succeeded:
            self.succeeded[operation, result.transport] += 1
            self.last_success[operation] = wall
        elif reason is not None:
            self.failures[operation, reason] += 1
            if result.unique_id:
                self.exemplars[operation, reason] = Exemplar(result.unique_id, 1, wall)

    def add_unlisted(self, fax: EndedFax) -> None:
        """A fax that began and ended between two lists: all that its event tells."""
        pages = fax.pages or 0
        self.started[fax.operation] += 1
        self.ended[fax.operation] += 1
        self.pages[fax.operation, State.COMPLETE] += pages
        self.add_ended(fax, pages)

    def add_ended(self, fax: EndedFax, pages: int) -> None:
        """What is observed of a fax once, when it is over. `pages`: those that were counted."""
        operation = fax.operation
        if operation not in RESULT_OPERATIONS:
            return
        if fax.seconds is not None:
            self.session_seconds[operation].observe(fax.seconds, of=fax)
        self.session_pages[operation].observe(pages, of=fax)
        if fax.bad_lines is not None:
            self.session_bad_lines[operation].observe(fax.bad_lines, of=fax)
        if fax.data_rate is not None:
            self.session_rate[operation].observe(fax.data_rate, of=fax)
