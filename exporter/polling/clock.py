"""Where a poller's time comes from: the clocks of this machine, or those of a test."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """`monotonic` seconds for durations, `wall` seconds since the epoch for what people read."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
