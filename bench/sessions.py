"""How far the faxes of a simulated PBX are, and what they add up to.

They advance from list to list, all at once: so a poll can be checked. Or by time, each at its own
moment: so what comes too late misses bad lines, as it would of a real page.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

PATTERN: Final = (0, 2, 2, 9)
"""What TotalBadLines reads from step to step while a page is received; then comes the next page."""
STEP_SECONDS: Final = 2.0
"""How long each of these is read where time advances them. As with a real page the last lines are
gone 2 s after they came, so a poll that is more than 2 s after the one before may miss some."""
_SPREAD: Final = 0.6180339887
"""Of a page, from one fax to the next: where each stands is then spread evenly."""


class Truth(NamedTuple):
    """What happened at a PBX since each of its faxes was first asked about."""

    transmitted: int
    received: int
    """Pages."""
    bad_lines: int


def truth(lists: int, sessions: int) -> tuple[int, int]:
    """Pages and bad lines that are counted after so many lists, where lists advance the faxes; the
    first is where counting begins."""
    pages, bad_lines = _until(lists - 1)
    return pages * sessions, bad_lines * ((sessions + 1) // 2)


def reading(step: int) -> tuple[int, int]:
    """Pages that are done, and bad lines of the one under way."""
    pages, moment = divmod(step, len(PATTERN))
    return pages, PATTERN[moment]


def receives(number: int) -> bool:
    """Whether a session receives; the others send, and have no bad lines."""
    return number % 2 == 0


class Clock:
    """Steps since it was made, until it is stopped."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun = now()
        self._stopped: float | None = None

    def steps(self) -> float:
        """Those that are over."""
        now = self._now() if self._stopped is None else self._stopped
        return (now - self._begun) / STEP_SECONDS

    def stop(self) -> None:
        """From now on nothing advances."""
        if self._stopped is None:
            self._stopped = self._now()

    def resume(self) -> None:
        """It goes on from where it was stopped, if it was."""
        if self._stopped is not None:
            self._begun += self._now() - self._stopped
            self._stopped = None


class Faxes:
    """The faxes of one PBX."""

    def __init__(self, sessions: int, clock: Clock | None = None, first: int = 0) -> None:
        """`clock`: advances them; None: each list does. `first`: how many faxes there are at PBXs
        before this one."""
        self.lists = 0
        """How often they were listed."""
        self._clock = clock
        self._ahead = [(first + n) * _SPREAD % 1 * len(PATTERN) for n in range(sessions)]
        self._began: dict[int, int] = {}

    def step(self, number: int) -> int:
        """How far one is, now that it is asked about."""
        step = self._now(number)
        self._began.setdefault(number, step)
        return step

    def forget(self) -> None:
        """The next time that each is asked about is the first."""
        self._began.clear()

    def truth(self) -> Truth:
        """What happened so far."""
        pages, bad_lines = {True: 0, False: 0}, 0
        for number, began in self._began.items():
            before, now = _until(began), _until(self._now(number))
            pages[receives(number)] += now[0] - before[0]
            bad_lines += now[1] - before[1] if receives(number) else 0
        return Truth(pages[False], pages[True], bad_lines)

    def _now(self, number: int) -> int:
        if self._clock is None:
            return self.lists - 1
        return int(self._clock.steps() + self._ahead[number])


def _until(step: int) -> tuple[int, int]:
    """Pages of one fax, and bad lines of one that receives."""
    pages, bad_lines = reading(step)
    return pages, pages * PATTERN[-1] + bad_lines
