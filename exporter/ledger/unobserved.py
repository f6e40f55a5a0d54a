"""How many faxes FAXStats has counted as completed of which no completion event has told."""

from collections import deque
from typing import Final

from exporter.ledger.matching import EVENT_LATENESS

MAX_COMPLETION_RATE: Final = 1000
"""Completions per second; a count that rises faster is not believed."""


class Unobserved:
    """Completions counted by Asterisk, less the completion events that came.

    Events come up to 5 s late: whatever was counted EVENT_LATENESS ago must have been heard by
    now, and what is missing is unobserved. While other faxes end, their events can stand in for
    the missing ones; after EVENT_LATENESS without a completion the number is exact.
    """

    def __init__(self) -> None:
        self.total = 0
        self._completed: int | None = None
        """What FAXStats said last; None until it has come once."""
        self._balance = 0
        """Completions counted, less events heard, less those known to be unobserved."""
        self._readings: deque[tuple[float, int]] = deque()
        """When, and how many completions were new: those of the last EVENT_LATENESS."""

    def heard(self) -> None:
        """A completion event came."""
        self._balance -= 1

    def restarted(self) -> None:
        """Asterisk counts from 0 again."""
        if self._completed is not None:
            self._completed = 0

    def counted(self, completed: int, at: float) -> int:
        """Takes what FAXStats says; returns how many completions it shows to be unobserved."""
        new = self._new_completions(completed, at)
        self._completed = completed
        self._balance += new
        self._readings.append((at, new))
        while self._readings[0][0] <= at - EVENT_LATENESS:
            self._readings.popleft()
        may_be_heard_yet = sum(new for _, new in self._readings)
        missing = max(0, self._balance - may_be_heard_yet)
        self._balance -= missing
        self.total += missing
        if not may_be_heard_yet:
            # What is left over are events of faxes that were counted before the first reading.
            self._balance = 0
        return missing

    def _new_completions(self, completed: int, at: float) -> int:
        """By how much the count has risen since the last reading."""
        if self._completed is None:
            return 0
        # It falls when res_fax is loaded again: then it has begun again at 0.
        new = completed - self._completed if completed >= self._completed else completed
        elapsed = at - self._readings[-1][0]
        return new if new <= MAX_COMPLETION_RATE * (1 + elapsed) else 0
