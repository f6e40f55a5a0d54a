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
GONE: Final = 0.25
"""When so many targets are gone, as a share of those that are there, what they left is looked for
among all, which takes 0.15 s for every thousand; one that is gone leaves half a dozen objects."""


async def follow(targets: Callable[[], Collection[int]]) -> None:
    """Sets aside what is there, each time the targets have changed and settled again. `targets`:
    numbers, each of one target only."""
    settled: frozenset[int] = frozenset()
    before: frozenset[int] = frozenset()
    gone = 0
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = frozenset(targets())
        if now == before and now != settled:
            gone += len(settled - now)
            again = gone > GONE * len(now)
            set_aside(len(now), again=again)
            gone, settled = 0 if again else gone, now
        before = now


def set_aside(targets: int, *, again: bool) -> None:
    """Looks for garbage once, and from then on among none of what is left. `again`: among that,
    too, which was set aside before."""
    gc.set_threshold(max(FEWEST, OBJECTS_OF_ONE * targets), *gc.get_threshold()[1:])
    if again:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
