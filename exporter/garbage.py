"""When Python looks for garbage in cycles: seldom, and not among what stays.

Polls leave none, but failed connections and removed targets do. A look stops everything until all
there is was visited, and Python looks the more often the more is replaced: by each poll.
"""

import asyncio
import gc
from collections.abc import Callable, Collection
from typing import Final

LOOK_SECONDS: Final = 10.0
"""Targets that are the same for so long have settled: connected, or been tried."""
OBJECTS_OF_ONE: Final = 25
"""By so many objects a target may have more at one moment than at another, without garbage."""
FEWEST: Final = 2000
"""Objects more than at the last look after which Python looks again, with few targets."""


async def follow(targets: Callable[[], Collection[int]]) -> None:
    """Sets aside what is there, each time the targets have changed and settled again. `targets`:
    numbers, each of one target only."""
    settled: frozenset[int] = frozenset()
    before: frozenset[int] = frozenset()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = frozenset(targets())
        if now == before and now != settled:
            set_aside(len(now), again=not settled <= now)
            settled = now
        before = now


def set_aside(targets: int, *, again: bool) -> None:
    """Looks for garbage once, and from then on among none of what is left. `again`: among that,
    too, which was set aside before."""
    gc.set_threshold(max(FEWEST, OBJECTS_OF_ONE * targets), *gc.get_threshold()[1:])
    if again:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
