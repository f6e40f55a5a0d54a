"""What was counted of one Asterisk since midnight, and hour by hour: for people, who look at a
clock on a wall. totals.py has what began with the exporter.

Days and hours are those of this machine's zone. There is no clock here: every time is an argument,
in seconds since the epoch, and may be earlier than the one before, if the clock was set.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nlargest
from operator import attrgetter
from typing import Final, NamedTuple

from exporter.fax import Reason
from exporter.ledger.history import EndedFax

HOURS: Final = 24
"""Of which hours are kept apart: the present one and those before."""


@dataclass(slots=True)
class Figures:
    """Faxes that are over, or never began, and what was counted of them."""

    faxes: int = 0
    succeeded: int = 0
    failed: int = 0
    """Those whose result is not known are neither: gateways, no event, no `channelvars`."""
    pages: int = 0
    """As the counters count them, and so are bad lines; but only once their fax is over."""
    bad_lines: int = 0
    failures: Counter[Reason] = field(default_factory=Counter)
    """Why those that failed did."""

    @property
    def success_ratio(self) -> float | None:
        """The share, 0 to 1, that ended well of those whose result is known; None if there is
        none."""
        known = self.succeeded + self.failed
        return self.succeeded / known if known else None

    def add(self, fax: EndedFax) -> None:
        """Counts it; of one that was told as over before and went on, only what is new."""
        self.pages += fax.counted_pages
        self.bad_lines += fax.counted_bad_lines
        if fax.went_on:
            return
        self.faxes += 1
        self.succeeded += fax.succeeded is True
        self.failed += fax.succeeded is False
        if fax.reason is not None:
            self.failures[fax.reason] += 1


@dataclass(slots=True)
class Hour:
    """Faxes that ended within one hour of the local clock."""

    start: float
    """Seconds since the epoch."""
    faxes: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """What was counted today."""

    since: float
    """Seconds since the epoch: midnight, or when counting began if that was later."""
    figures: Figures
    peers: dict[str, Figures]
    """By peer, if they are told apart: those of which a fax was over today."""

    def busiest(self, most: int) -> "Day":
        """The same with so many of the peers at most: those with most failures, then faxes."""
        ranked = nlargest(most, self.peers.items(), key=lambda one: (one[1].failed, one[1].faxes))
        return Day(self.since, self.figures, dict(ranked))


class Earlier(NamedTuple):
    """What an exporter before this one was told of one Asterisk."""

    faxes: Iterable[EndedFax]
    since: float
    """Seconds since the epoch: from then on all are among them."""


class Today:
    """The present day, and the last hours. Memory is bounded: a few numbers for each hour, and as
    many peers as there are names in `Peers`."""

    def __init__(self) -> None:
        """Counting begins with the first time that is told."""
        self._began = float("inf")
        """Since when every fax is in here."""
        self._day = Day(self._began, Figures(), {})
        self._midnight: float | None = None
        """With which the day began."""
        self._hours: dict[float, Hour] = {}
        """By their start."""
        self.taken = 0
        """How many faxes have been told: with the same number, at the same time, it is the same."""

    def begin(self, now: float) -> None:
        """From now on every fax that is over is told."""
        self._turn(now)

    def add(self, fax: EndedFax, peer: str, now: float) -> None:
        """A fax that is over. `peer`: as it is counted, empty if peers are not told apart."""
        self._turn(now)
        self._take(fax, peer)

    def restore(self, faxes: Iterable[tuple[EndedFax, str]], since: float, now: float) -> None:
        """Takes faxes that an exporter before this one was told, with their peers as they are
        counted, as if they had been told here: all there were `since` then."""
        self._turn(now)
        assert self._midnight is not None  # by then
        self._began = min(self._began, since)
        begun = max(self._midnight, self._began)
        self._day = Day(begun, self._day.figures, self._day.peers)
        for fax, peer in faxes:
            if _oldest(now) < fax.ended <= now:
                self._take(fax, peer)

    def day(self, now: float) -> Day:
        """The present day until now."""
        self._turn(now)
        return self._day

    def hours(self, now: float) -> list[Hour]:
        """The last HOURS in which a fax ended, the oldest first."""
        self._turn(now)
        oldest = _oldest(now)
        last = [hour for hour in self._hours.values() if oldest < hour.start <= now]
        return sorted(last, key=attrgetter("start"))

    @property
    def since(self) -> float:
        """As that of the day, as far as was told until now."""
        return self._day.since

    @property
    def began(self) -> float:
        """Since when every fax is in here, seconds since the epoch; infinite before it began."""
        return self._began

    def _take(self, fax: EndedFax, peer: str) -> None:
        self.taken += 1
        if self._midnight is not None and fax.ended >= self._midnight:
            self._day.figures.add(fax)
            if peer:
                self._day.peers.setdefault(peer, Figures()).add(fax)
        if not fax.went_on:
            start = hour_of(fax.ended)
            hour = self._hours.setdefault(start, Hour(start))
            hour.faxes += 1
            hour.failed += fax.succeeded is False

    def _turn(self, now: float) -> None:
        """Begins a day, if another has begun than the one that there was."""
        # A clock that was set back was wrong before, and so is what it said of the beginning.
        self._began = min(self._began, now)
        midnight = midnight_of(now)
        if self._midnight == midnight:
            if now < self._day.since:
                self._day = Day(now, self._day.figures, self._day.peers)
            return
        # Set back to a day of which nothing is known any more: counted from now on.
        back = self._midnight is not None and midnight < self._midnight
        self._midnight = midnight
        self._day = Day(now if back else max(midnight, self._began), Figures(), {})
        self._hours = {s: hour for s, hour in self._hours.items() if _oldest(now) < s <= now}


def _oldest(now: float) -> float:
    """The last HOURS began after that. Where a zone shifts by half hours, half of one is missing
    on that day."""
    return now - HOURS * 3600


def midnight_of(instant: float) -> float:
    """When the local day of this instant began."""
    local = datetime.fromtimestamp(instant)
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).timestamp()


def hour_of(instant: float) -> float:
    """When the local hour of this instant began. One that the clock goes through twice is two."""
    local = datetime.fromtimestamp(instant)
    return local.replace(minute=0, second=0, microsecond=0).timestamp()


def last_hours(now: float) -> list[float]:
    """When each of the last HOURS began, the oldest first, the present one last."""
    starts = [hour_of(now)]
    while len(starts) < HOURS:
        starts.append(hour_of(starts[-1] - 1))
    return starts[::-1]
