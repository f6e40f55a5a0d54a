"""The counters and histograms of one Asterisk: what each event, reading and ended fax adds to them.

A key is there with 0 before it is counted up, so that increase() sees its first step.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import Final

from exporter.fax import MODEM_RATES, FaxResult, Operation, Reason, State, Transport
from exporter.ledger.history import EndedFax
from exporter.ledger.session import Added

PAGE_OPERATIONS: Final = (Operation.SEND, Operation.RECEIVE, Operation.GATEWAY)
RESULT_OPERATIONS: Final = (Operation.SEND, Operation.RECEIVE)
COUNTED_STATES: Final = (State.ACTIVE, State.COMPLETE)

PAGE_SECONDS: Final = (2, 4, 6, 8, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300)
SESSION_SECONDS: Final = (10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1800, 3600)
SESSION_PAGES: Final = (0, 1, 2, 3, 5, 10, 20, 50, 100, 200)
SESSION_BAD_LINES: Final = (0, 1, 3, 10, 30, 100, 300, 1000, 3000)


@dataclass(slots=True)
class Histogram:
    """Counts per bucket, each bound inclusive, and the sum of what was observed."""

    bounds: tuple[int, ...]
    counts: list[int] = field(init=False)
    sum: float = 0.0

    def __post_init__(self) -> None:
        """One bucket more than bounds, for what exceeds them all."""
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float, times: int = 1) -> None:
        """Counts `value`, `times` times."""
        bucket = next((i for i, bound in enumerate(self.bounds) if value <= bound), -1)
        self.counts[bucket] += times
        self.sum += value * times


# The keys of all PBXs are the same objects: there can be thousands of PBXs.
@lru_cache(maxsize=8)
def _state_keys(operation: Operation, peer: str) -> tuple[tuple[Operation, State, str], ...]:
    return tuple(product([operation], COUNTED_STATES, [peer]))


@lru_cache(maxsize=8)
def _transport_keys(
    operation: Operation, peer: str
) -> tuple[tuple[Operation, Transport, str], ...]:
    return tuple(product([operation], Transport, [peer]))


@lru_cache(maxsize=8)
def _failure_keys(
    operation: Operation, peer: str
) -> tuple[tuple[Operation, Transport, Reason, str], ...]:
    return tuple(product([operation], Transport, Reason, [peer]))


@dataclass(slots=True)
class Totals:
    """What was counted since the exporter began. The last part of a key, where it is a text, is the
    peer: empty if peers are not told apart."""

    pages: Counter[tuple[Operation, State, str]] = field(default_factory=Counter)
    bad_lines: Counter[tuple[Operation, State, str]] = field(default_factory=Counter)
    rejected: Counter[tuple[Operation, str]] = field(default_factory=Counter)
    fallbacks: Counter[Operation] = field(default_factory=Counter)
    started: Counter[Operation] = field(default_factory=Counter)
    ended: Counter[Operation] = field(default_factory=Counter)
    finished: Counter[tuple[Operation, Transport, str]] = field(default_factory=Counter)
    failures: Counter[tuple[Operation, Transport, Reason, str]] = field(default_factory=Counter)
    results_unknown: Counter[Operation] = field(default_factory=Counter)
    page_seconds: dict[Operation, Histogram] = field(default_factory=dict)
    session_seconds: dict[Operation, Histogram] = field(default_factory=dict)
    session_pages: dict[Operation, Histogram] = field(default_factory=dict)
    session_rate: dict[Operation, Histogram] = field(default_factory=dict)
    session_bad_lines: dict[Operation, Histogram] = field(default_factory=dict)
    opened: set[tuple[Operation, str]] = field(default_factory=set)
    """Operations and peers all of whose keys are there."""

    def __post_init__(self) -> None:
        """Makes every key without a peer that can occur, with 0."""
        for operation in Operation:
            self.started[operation] = self.ended[operation] = 0
            self.session_seconds[operation] = Histogram(SESSION_SECONDS)
        for operation in PAGE_OPERATIONS:
            self.fallbacks[operation] = 0
            self.page_seconds[operation] = Histogram(PAGE_SECONDS)
            self.session_pages[operation] = Histogram(SESSION_PAGES)
            self.session_rate[operation] = Histogram(MODEM_RATES)
        for operation in RESULT_OPERATIONS:
            self.results_unknown[operation] = 0
        self.session_bad_lines[Operation.RECEIVE] = Histogram(SESSION_BAD_LINES)

    def open(self, operation: Operation, peer: str) -> None:
        """Makes every key of this operation and peer that can occur, with 0."""
        if (operation, peer) in self.opened:
            return
        self.opened.add((operation, peer))
        if operation in PAGE_OPERATIONS:
            self.pages.update(dict.fromkeys(_state_keys(operation, peer), 0))
        if operation is Operation.RECEIVE:
            self.bad_lines.update(dict.fromkeys(_state_keys(operation, peer), 0))
            self.rejected.update({(operation, peer): 0})
        if operation in RESULT_OPERATIONS:
            self.finished.update(dict.fromkeys(_transport_keys(operation, peer), 0))
            self.failures.update(dict.fromkeys(_failure_keys(operation, peer), 0))

    def add(self, added: Added, operation: Operation, state: State, peer: str) -> None:
        """What a reading, or an event, adds to what was seen of its session."""
        if added.pages:
            self.pages[operation, state, peer] += added.pages
            if added.page_seconds is not None:
                self.page_seconds[operation].observe(added.page_seconds, added.pages)
        if added.bad_lines:
            self.bad_lines[operation, state, peer] += added.bad_lines
        if added.rejected:
            self.rejected[operation, peer] += 1
        if added.fell_back:
            self.fallbacks[operation] += 1

    def add_result(self, result: FaxResult, peer: str) -> None:
        """How a fax ended, by its event."""
        operation, transport = result.operation, result.transport
        self.open(operation, peer)
        self.finished[operation, transport, peer] += 1
        if result.succeeded is None:
            self.results_unknown[operation] += 1
        elif result.reason is not None:
            self.failures[operation, transport, result.reason, peer] += 1

    def add_unlisted(self, fax: EndedFax, peer: str) -> None:
        """A fax that began and ended between two lists: all that its event tells."""
        pages = fax.pages or 0
        self.started[fax.operation] += 1
        self.ended[fax.operation] += 1
        self.pages[fax.operation, State.COMPLETE, peer] += pages
        self.add_ended(fax, pages)

    def add_ended(self, fax: EndedFax, pages: int) -> None:
        """What is observed of a fax once, when it is over. `pages`: those that were counted."""
        operation = fax.operation
        if fax.seconds is not None:
            self.session_seconds[operation].observe(fax.seconds)
        if operation not in PAGE_OPERATIONS:
            return
        self.session_pages[operation].observe(pages)
        if fax.bad_lines is not None:
            self.session_bad_lines[operation].observe(fax.bad_lines)
        if fax.data_rate is not None:
            self.session_rate[operation].observe(fax.data_rate)
