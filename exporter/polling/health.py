"""How one PBX fares, in one word that a fleet is sorted by, and in a sentence that says why."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import chain
from operator import attrgetter
from typing import Final, NamedTuple

from exporter.fax import REASON_WORDS, THEIRS, Reason
from exporter.ledger import KEPT, EndedFax, History
from exporter.polling.status import Status

LATELY: Final = 24 * 3600.0
"""Seconds: faxes that ended longer ago say nothing about now."""
LEAST_FAILURES: Final = 3
"""Fewer failures are no state; nor are fewer faxes, if none of them succeeds."""
FAILING_SHARE: Final = 0.25
"""The share of the last faxes, 0 to 1, that must fail for reasons of this side or the line."""


class Health(StrEnum):
    """The worst first: a PBX whose faxes fail is worse off than one that is known to be off."""

    FAILING = "failing"
    """It is up, and its faxes fail."""
    DOWN = "down"
    """Not up: no connection, or polls that bring nothing."""
    INCOMPLETE = "incomplete"
    """It is up, and a part of what it should tell is missing."""
    STARTING = "starting"
    """Nothing has been tried to its end yet, so nothing is known."""
    OK = "ok"


class Lately(NamedTuple):
    """The last faxes that ended within LATELY, KEPT at most."""

    ended: int = 0
    succeeded: int = 0
    failed: int = 0
    """Those whose result is not known are neither."""
    theirs: int = 0
    """Of `failed`, those that failed by the other end; see THEIRS."""
    commonest: Reason | None = None
    """Why most of those of this side or the line failed; if there are none, of all that failed."""

    @classmethod
    def of(cls, failed: Iterable[EndedFax], others: Iterable[EndedFax], now: float) -> "Lately":
        """Of these. `now`: seconds of a monotonic clock."""
        return cls._of_last(_last(failed, others, now))

    @classmethod
    def _of_last(cls, last: Sequence[EndedFax]) -> "Lately":
        reasons = Counter(fax.reason for fax in last if fax.reason is not None)
        theirs = sum(reasons[reason] for reason in THEIRS)
        ours = Counter({r: n for r, n in reasons.items() if r not in THEIRS})
        most = (ours or reasons).most_common(1)
        return cls(
            ended=len(last),
            succeeded=sum(fax.succeeded is True for fax in last),
            failed=sum(fax.succeeded is False for fax in last),
            theirs=theirs,
            commonest=most[0][0] if most else None,
        )

    @property
    def known(self) -> int:
        """Those whose result is known."""
        return self.succeeded + self.failed

    @property
    def ours(self) -> int:
        """Those that failed for reasons of this side or the line."""
        return self.failed - self.theirs

    @property
    def failing(self) -> bool:
        """Whether its faxes fail: many for reasons of this side or the line, or none succeeds."""
        if self.known < LEAST_FAILURES:
            return False
        many = self.ours >= LEAST_FAILURES and self.ours >= FAILING_SHARE * self.known
        return many or not self.succeeded

    @property
    def why(self) -> str:
        """How many of them fail, and most of them why."""
        most = "" if self.commonest is None else f"; most often: {REASON_WORDS[self.commonest]}"
        if not self.succeeded:
            return f"all of the last {self.known} faxes failed{most}"
        by = "for reasons of this side or the line"
        return f"{self.ours} of the last {self.known} faxes failed {by}{most}"


def _last(failed: Iterable[EndedFax], others: Iterable[EndedFax], now: float) -> list[EndedFax]:
    """The newest first."""
    # KEPT of each kind are remembered, so these are the last KEPT of all.
    newest = sorted(chain(failed, others), key=attrgetter("ended_at"), reverse=True)[:KEPT]
    return [fax for fax in newest if now - fax.ended_at <= LATELY]


class LatelyOf:
    """`Lately` of one history: the same object as long as no fax is added, and none gets too
    old."""

    def __init__(self, history: History) -> None:
        """Of this one."""
        self._history = history
        self._added = 0
        self._oldest = math.inf
        """When the first of them ended to get too old."""
        self._value = Lately()

    def at(self, now: float) -> Lately:
        """As of now: seconds of the monotonic clock that the faxes ended by."""
        history = self._history
        if history.added != self._added or now - self._oldest > LATELY:
            last = _last(history.failed, history.others, now)
            self._added, self._value = history.added, Lately._of_last(last)
            self._oldest = last[-1].ended_at if last else math.inf
        return self._value


def health_of(status: Status, hints: Sequence[str], lately: Lately) -> tuple[Health, str]:
    """How it fares, and why, in a sentence without a full stop; empty where nothing is wrong."""
    if not status.up:
        return Health.STARTING if status.untried else Health.DOWN, status.outage or ""
    if lately.failing:
        return Health.FAILING, lately.why
    if hints:
        more = f" (and {len(hints) - 1} more)" if len(hints) > 1 else ""
        return Health.INCOMPLETE, f"{hints[0]}{more}"
    missing = [name for name, works in status.collectors.items() if not works]
    if missing:
        return Health.INCOMPLETE, f"the last poll brought nothing of {', '.join(missing)}"
    return Health.OK, ""
