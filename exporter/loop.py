"""The event loop of the main process: what many connections bring within a moment is read together.

Asterisk writes an answer message by message, and with a thousand PBXs something comes ten thousand
times a second. To wake up for each of these costs more than to work it off.
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Final

GATHERED: Final = 0.001
"""Seconds between two looks at the sockets, if the first found something."""

Ready = list[tuple[selectors.SelectorKey, int]]


class GatheringSelector(selectors.DefaultSelector):
    """Lets GATHERED pass between two looks at the sockets. What comes to a loop at rest is found at
    once, and timers are not late."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`clock`: seconds, monotonic; `sleep` waits for so many."""
        super().__init__()
        self._clock = clock
        self._sleep = sleep
        self._next_look = clock()

    def select(self, timeout: float | None = None) -> Ready:
        """As every selector, but may find nothing before the timeout."""
        early = self._next_look - self._clock()
        if early > 0:
            if timeout is not None and timeout <= early:
                if timeout > 0:
                    self._sleep(timeout)
                return []
            self._sleep(early)
            if timeout is not None:
                timeout -= early
        ready = super().select(timeout)
        if ready:
            self._next_look = self._clock() + GATHERED
        return ready


def gathering_loop() -> asyncio.AbstractEventLoop:
    """A loop for asyncio.Runner."""
    return asyncio.SelectorEventLoop(GatheringSelector())
