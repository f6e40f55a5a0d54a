"""When the polls of one connection are due, and how late each begins as far as the PBX is not the
cause."""

import math
from typing import Final

from exporter.polling.lateness import Lateness

_ROUNDING: Final = 1e-6
"""Intervals: what is due so soon after a poll was that poll, but for rounding."""


class Schedule:
    """At multiples of the interval: polls that a long one has missed are left out."""

    def __init__(
        self, interval: float, phase: float | None, lateness: Lateness, now: float
    ) -> None:
        """The first poll is to begin now. `interval`: seconds. `phase`: when within an interval,
        from 0 to 1; None: as the first happens to be. `now`: seconds of a monotonic clock, as all
        times here."""
        self._interval = interval
        self._lateness = lateness
        self._due = now
        if phase is not None:
            self._due -= (now - phase * interval) % interval
        self._first = self._due

    def over(self, now: float, ours: float, least: float = 0.0) -> float:
        """The poll is over, and `ours` seconds of it this process took rather than the PBX. How
        long to wait for the next, at least `least`."""
        self._first = self._next(now + least - ours)
        self._due = self._next(now + least)
        return self._due - now

    def sooner(self, now: float, pause: float) -> float:
        """Another poll comes between, after so many seconds at most. How long to wait for it."""
        pause = min(self._due - now, pause)
        self._first, self._due = now + pause, self._due - self._interval
        return pause

    def begins(self, now: float) -> None:
        """The next poll begins. Polls that this process itself caused to be left out were due
        first."""
        self._lateness.begun(now - self._first)

    def _next(self, over: float) -> float:
        passed = math.ceil((over - self._due) / self._interval + _ROUNDING)
        return self._due + self._interval * max(1, passed)
