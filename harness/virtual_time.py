"""An event loop in which waiting takes no time: hours of polling in seconds, over real sockets."""

import asyncio
import functools
import inspect
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from exporter.polling import Clock, LoopTime
from exporter.polling.loop_time import NotingSelector

T = TypeVar("T")
EPOCH = 1_800_000_000.0
"""What a wall clock says when a loop begins, seconds."""


class _Selector(selectors.DefaultSelector):
    """Advances time where a real one would wait. On loopback no bytes are under way meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            ready = super().select(None)
        elif not ready and timeout:
            self.now += timeout
        return ready


class _Noting(NotingSelector, _Selector):
    """Notes what was waited, as that of the exporter does."""

    def __init__(self) -> None:
        self.spent = LoopTime()
        super().__init__(self.spent, lambda: self.now)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Noting()
        super().__init__(self._clock)

    @property
    def spent(self) -> LoopTime:
        return self._clock.spent

    def time(self) -> float:
        return self._clock.now

    def work(self, seconds: float) -> None:
        self._clock.now += seconds


def run(work: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, in virtual time."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)


def wall() -> float:
    """The wall clock that goes with the running loop, seconds since the epoch."""
    return EPOCH + asyncio.get_running_loop().time()


def spent() -> LoopTime:
    """How the time of the running loop goes."""
    return _running().spent


def work(seconds: float) -> None:
    """So long the running loop does something, and looks at nothing else."""
    _running().work(seconds)


def _running() -> _Loop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop)
    return loop


def clock() -> Clock:
    """Both clocks of a poller in the running loop."""
    return Clock(monotonic=asyncio.get_running_loop().time, wall=wall)


async def until(condition: Callable[[], bool], seconds: float = 600) -> None:
    """Waits, in the loop's own time, until the condition holds; AssertionError after `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.01)


def in_virtual_time(
    test: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Makes of an async test one that pytest runs in virtual time, with the fixtures it names."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        run(test(*args, **kwargs))

    wrapper.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    return wrapper
