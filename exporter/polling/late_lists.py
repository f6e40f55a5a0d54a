"""Lists that come so late that bad lines may have been missed, whatever made them late: this
process, the PBX, or the way to it."""

from typing import Final

from exporter.fax import FaxSession, ListedSession, Operation, State
from exporter.ledger import Observation

LATE: Final = 1.0
"""Seconds beyond the interval. What a page had last can be read for 2 s or so after its last line,
and an interval of 1 s is what bad lines need; see docs/limits.md."""


class LateLists:
    """Of one PBX."""

    def __init__(self, interval: float) -> None:
        """`interval`: seconds from poll to poll."""
        self._longest = interval + LATE
        self._last: Observation | None = None

    def missed(self, seen: Observation) -> bool:
        """Whether this observation, which has a list, may have missed bad lines: it is late, and at
        the one before a page was received whose lines are not corrected."""
        before, self._last = self._last, seen
        if before is None or seen.listed_at - before.listed_at <= self._longest:
            return False
        return any(_in_page(one, before.details.get(one.number)) for one in before.listed or ())


def _in_page(listed: ListedSession, detail: FaxSession | None) -> bool:
    """Whether a page with bad lines may be under way. `detail`: None if it is not known."""
    if listed.operation is not Operation.RECEIVE or listed.state is not State.ACTIVE:
        return False
    return detail is None or not (detail.negotiated and detail.ecm)
