"""How late polls begin, as far as this process is the cause, and whether it keeps up with them.

All pollers of the process tell one `Lateness`. A PBX that answers slowly makes its own polls late,
which is not meant here: see `Part`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Final, NamedTuple

from exporter.ledger import Histogram
from exporter.polling.clock import Clock
from exporter.polling.loop_time import LoopTime

BOUNDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds, of the histogram."""
LATE: Final = 0.5
"""The share of the interval by which a poll is late at the least, to count as late here."""
LEAST_LATE: Final = 0.1
"""Seconds; what is less is the ordinary lateness of a machine that does other things too."""
SLOT_SECONDS: Final = 10.0
"""So long at least is a slot: one look at how polls went."""
SLOTS: Final = 3
"""In so many slots in a row polls must be late, or in time, until that is said: a pause for once,
such as a reload or a standstill, is no overload."""
BEHIND: Final = 0.02
"""The share of polls that are late, 0 to 1, from which on the process does not keep up."""
KEPT_UP: Final = 0.01
"""The share that are late, 0 to 1, up to which it does again."""
BUSY_SECONDS: Final = 60.0
"""Over so long the share of time is told in which the loop is busy."""
TICK_SECONDS: Final = 1.0
STANDSTILL: Final = 3.0
"""Seconds in which nothing was done at all, from which on that is told by itself."""
TURNS: Final = 8
"""Turns of the loop that a poll takes, each of which may make it late: its timer, its list, what it
asks then, and each time the task that goes on. Five at the least beside a simulated PBX, and eleven
with thirty sessions that are written message by message."""

log = logging.getLogger(__name__)


class Pace(NamedTuple):
    """How polling goes in this process, as it is told to others."""

    lateness: Histogram
    """Seconds by which polls began late."""
    busy: float | None
    """The share of the last minute in which the loop was busy, 0 to 1; None if not known yet."""
    behind: str
    """That it does not keep up, and what to do; empty if it does. Without a full stop."""


@dataclass(frozen=True, slots=True)
class Part:
    """When something began that waits for a PBX, to tell afterwards what this process did to make
    it long.

    The loop serves many: what it was busy for meanwhile did not all hold this one up. It saw what
    had come for this one in each of its turns, so this one waited for as many as it takes, TURNS,
    and not for the others. But turns in which the loop stood still held up whatever was under way.
    """

    spent: LoopTime
    begun: float
    waited: float
    turns: int
    stood: float

    def ours(self, now: float) -> float:
        """Seconds of it, at the most, that this process took rather than the PBX."""
        turns = self.spent.turns - self.turns
        if not turns:
            return 0.0
        busy = max(0.0, now - self.begun - (self.spent.waited - self.waited))
        stood = min(busy, self.spent.stood - self.stood)
        return max(stood, busy * min(1.0, TURNS / turns))


@dataclass(slots=True)
class _Slot:
    polls: int = 0
    late: int = 0
    latest: float = 0.0
    """Seconds by which the one that was latest began late."""

    @property
    def share(self) -> float:
        """Of its polls, those that were late, 0 to 1."""
        return self.late / self.polls if self.polls else 0.0


class Lateness:
    """Of all polls of this process."""

    def __init__(
        self,
        interval: float = 1.0,
        spent: LoopTime | None = None,
        clock: Clock | None = None,
        since_boot: Callable[[], float] | None = None,
    ) -> None:
        """`interval`: seconds from poll to poll. `spent`: the time of the loop that polls; None if
        that is not noted: then all are the PBXs' delays. `since_boot`: seconds of a clock that goes
        on while the machine is suspended, as the monotonic one does not."""
        self._interval = interval
        self._late = max(LEAST_LATE, LATE * interval)
        self._spent = spent
        self._monotonic = (clock or Clock()).monotonic
        self._since_boot = since_boot or self._monotonic
        self._histogram = Histogram(BOUNDS)
        self._slot = _Slot()
        self._slots: deque[_Slot] = deque(maxlen=SLOTS)
        now = self._monotonic()
        self._slot_ends = now + self._slot_seconds
        ticks = round(BUSY_SECONDS / TICK_SECONDS)
        self._times: deque[tuple[float, float]] = deque([(now, self._waited)], ticks + 1)
        """Of each tick: when it was, and how long the loop had waited until then."""
        self._calm = True
        """The last tick came in time: what stands still from now on had not too much to do."""
        self._behind = ""

    @property
    def keeps_up(self) -> bool:
        """Whether polls begin when they are due, by and large."""
        return not self._behind

    @property
    def behind(self) -> str:
        """As in Pace."""
        return self._behind

    @property
    def pace(self) -> Pace:
        """As it is now."""
        return Pace(deepcopy(self._histogram), self.busy, self._behind)

    @property
    def busy(self) -> float | None:
        """The share of the last minute, 0 to 1, in which the loop was not waiting; None if that is
        not noted, or there was no time yet."""
        (since, waited), now = self._times[0], self._monotonic()
        if self._spent is None or now <= since:
            return None
        return min(1.0, max(0.0, 1 - (self._waited - waited) / (now - since)))

    def part(self, now: float) -> Part:
        """To be kept while a PBX is waited for."""
        spent = self._spent or _UNKNOWN
        return Part(spent, now, spent.waited, spent.turns, spent.stood)

    def begun(self, late: float) -> None:
        """A poll began `late` seconds after it was due, since this process was not ready for it.
        One that takes the place of others, which were left out for the same cause, is as late as
        the first of them."""
        late = max(0.0, late)
        self._histogram.observe(late)
        slot = self._slot
        slot.polls += 1
        if late >= self._late:
            slot.late += 1
            slot.latest = max(slot.latest, late)

    async def follow(self, targets: Callable[[], int]) -> None:
        """Warns when the process does not keep up, and tells when it does again; ends only when
        cancelled. `targets`: how many are polled."""
        while True:
            begun = self._since_boot()
            await asyncio.sleep(TICK_SECONDS)
            self.tick(self._since_boot() - begun - TICK_SECONDS, targets())

    def tick(self, late: float, targets: int) -> None:
        """To be called every TICK_SECONDS; `late`: by how many seconds it is too late."""
        now = self._monotonic()
        self._times.append((now, self._waited))
        if late >= STANDSTILL and self._calm:
            log.warning(_STOOD_STILL, late)
        self._calm = late < TICK_SECONDS
        if now >= self._slot_ends:
            self._slot_ends = now + self._slot_seconds
            self._slots.append(self._slot)
            self._slot = _Slot()
            self._judge(targets)

    @property
    def _waited(self) -> float:
        return 0.0 if self._spent is None else self._spent.waited

    @property
    def _slot_seconds(self) -> float:
        return max(SLOT_SECONDS, self._interval)

    def _judge(self, targets: int) -> None:
        shares = [slot.share for slot in self._slots]
        if len(shares) < SLOTS:
            return
        if self.keeps_up and min(shares) >= BEHIND:
            self._behind = self._words(targets)
            log.warning("%s", self._behind)
        elif not self.keeps_up and max(shares) <= KEPT_UP:
            self._behind = ""
            log.info("polls begin in time again: this process keeps up with its targets")

    def _words(self, targets: int) -> str:
        polls, late = sum(s.polls for s in self._slots), sum(s.late for s in self._slots)
        latest = max(slot.latest for slot in self._slots)
        busy = self.busy
        loop = "" if busy is None else f", and it was busy for {100 * busy:.0f} % of the time"
        shards = "let one more exporter share the targets (docs/fleet.md has the steps), "
        return (
            f"this process cannot keep up with its {targets} target{'' if targets == 1 else 's'}: "
            f"of the last {polls} polls {100 * late / polls:.0f} % began more than "
            f"{self._late:g} s late, one of them {latest:.1f} s{loop}; bad lines may be "
            f"missed; {shards if targets > 1 else ''}"
            "give it more CPU, or set a longer --poll.interval"
        )


_STOOD_STILL: Final = (
    "for %.1f s this process did nothing at all, and no poll began: it was stopped, or the machine "
    "was suspended or had no time for it; polls go on now, and bad lines of pages meanwhile may "
    "have been missed"
)
_UNKNOWN: Final = LoopTime()
"""Of a loop whose time is not noted: without turns nothing is due to this process."""
