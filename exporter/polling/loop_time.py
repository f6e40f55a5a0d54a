"""How the time of an event loop goes: what it spent waiting for others, and what it did not.

Not the CPU time of its thread: on a machine with too few cores a process is late and uses little.
"""

import asyncio
import math
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from exporter.loop import GatheringSelector

SLACK: Final = 0.002
"""Seconds by which a wait that is over is noticed late at best: epoll counts in milliseconds."""
STANDING: Final = 0.5
"""Seconds: a turn that takes as long holds up whatever is under way, and not only its own."""
_BOOT_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Only Linux has the first."""


@dataclass(slots=True)
class LoopTime:
    """Of one loop, since it began; all zero if its selector does not count."""

    waited: float = 0.0
    """Seconds in which it had nothing to do."""
    turns: int = 0
    """How often it looked what there is to do."""
    stood: float = 0.0
    """Seconds of those turns that took STANDING or longer: nothing else went on meanwhile."""


class NotingSelector(selectors.DefaultSelector):
    """Notes how long it waited. What a wait took beyond its timeout was no waiting: then the
    process did not run, though there was something to do."""

    def __init__(self, spent: LoopTime, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._spent = spent
        self._monotonic = monotonic
        self._looked = math.inf
        """When the last look was over, or the process should have gone on; inf before the first."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As the selector of this system does."""
        self._spent.turns += 1
        begun = self._monotonic()
        if (turn := begun - self._looked) >= STANDING:
            self._spent.stood += turn
        if timeout is not None and timeout <= 0:
            self._looked = begun
            return super().select(timeout)
        ready = super().select(timeout)
        waited = self._monotonic() - begun
        if timeout is not None:
            waited = min(waited, timeout + SLACK)
        self._spent.waited += waited
        self._looked = begun + waited
        return ready


class _Selector(NotingSelector, GatheringSelector):
    """Lets what comes gather too, which is waiting."""


def since_boot() -> float:
    """Seconds since this machine was started, those in which it was suspended included where the
    system counts them."""
    return time.clock_gettime(_BOOT_CLOCK)


def new_loop(spent: LoopTime) -> asyncio.AbstractEventLoop:
    """A loop that lets what comes gather, and whose time is noted in `spent`."""
    return asyncio.SelectorEventLoop(_Selector(spent))
