"""How the time of an event loop goes: what it spent waiting for others, and what it did not.

Not the CPU time of its thread: on a machine with too few cores a process is late and uses little.
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from exporter.loop import GatheringSelector

SLACK: Final = 0.002
"""Seconds by which a wait that is over is noticed late at best: epoll counts in milliseconds."""


@dataclass(slots=True)
class LoopTime:
    """Of one loop, since it began; all zero if its selector does not count."""

    waited: float = 0.0
    """Seconds in which it had nothing to do."""
    turns: int = 0
    """How often it looked what there is to do."""


class NotingSelector(GatheringSelector):
    """Notes how long it waited. What a wait took beyond its timeout was no waiting: then the
    process did not run, though there was something to do."""

    def __init__(self, spent: LoopTime, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(monotonic)
        self._spent = spent
        self._monotonic = monotonic

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As the selector of this system does."""
        self._spent.turns += 1
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        begun = self._monotonic()
        ready = super().select(timeout)
        waited = self._monotonic() - begun
        self._spent.waited += waited if timeout is None else min(waited, timeout + SLACK)
        return ready


def since_boot() -> float:
    """Seconds since this machine was started, those in which it was suspended included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def new_loop(spent: LoopTime) -> asyncio.AbstractEventLoop:
    """A loop whose time is noted in `spent`."""
    return asyncio.SelectorEventLoop(NotingSelector(spent))
