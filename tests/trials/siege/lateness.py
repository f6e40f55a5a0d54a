"""How late polls are, and how far apart, from when they came."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Punctuality:
    """Of the polls within a span of time, seconds."""

    polls: int = 0
    median_gap: float = 0.0
    worst_gap: float = 0.0
    late: float = 0.0
    """The latest of them, against its multiple of the interval; a poll that was left out is as late
    as the next is after it."""


def punctuality(
    polls: Sequence[tuple[int, float]], begin: float, end: float, interval: float
) -> Punctuality:
    """`polls` are of one exporter: number of the connection, and when. What the multiples are is
    found from the polls outside of the span; each connection has its own."""
    times = [when for _, when in polls]
    first = next((n for n, when in enumerate(times) if when >= begin), len(times))
    # From the last before the span to the first after it, so that a gap at its edge counts.
    around = times[max(0, first - 1) :]
    last = next((n for n, when in enumerate(around) if when > end), len(around) - 1)
    gaps = [later - earlier for earlier, later in pairwise(around[: last + 1])]
    if not gaps:
        return Punctuality(0, end - begin, end - begin, end - begin)
    late = 0.0
    for connection in {number for number, _ in polls}:
        own = [when for number, when in polls if number == connection]
        # Only the last connection is still expected to poll when the span is over.
        until = end if connection == polls[-1][0] else 0.0
        late = max(late, _latest([*own, max(until, own[-1])], begin, end, interval))
    inside = sum(begin <= when <= end for when in times)
    return Punctuality(inside, statistics.median(gaps), max(gaps), late)


def _latest(times: Sequence[float], begin: float, end: float, interval: float) -> float:
    outside = [when for when in times if not begin <= when <= end] or list(times)
    origin = outside[0]
    offsets = [(when - origin + interval / 2) % interval - interval / 2 for when in outside]
    phase = origin + statistics.median(offsets)
    due = phase + interval * round((times[0] - phase) / interval)
    late = 0.0
    for when in times:
        # One that comes before its time by the clock of another process is not late.
        while due < when + interval / 10:
            if begin <= due <= end:
                late = max(late, when - due)
            due += interval
    return late
