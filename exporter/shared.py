"""Doing once what many ask for at the same time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Something that is done for all who ask for it, by one task at a time.

    Whoever asks gets the outcome of a run that began after he did. So at most one runs and one
    waits, however many ask. And between two runs there is a pause as long as the first one took:
    however often they ask, half of the time is left for others.
    """

    def __init__(self, do: Callable[[], Awaitable[T]]) -> None:
        """Does nothing yet."""
        self._do = do
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None
        self._pause_until = 0.0

    async def __call__(self) -> T:
        """Returns what it returned, or raises what it raised. Who is cancelled while he waits
        leaves the others undisturbed."""
        if self._next is None:
            self._next = asyncio.create_task(self._run(self._running))
            self._next.add_done_callback(_retrieved)
        return await asyncio.shield(self._next)

    async def _run(self, before: asyncio.Task[T] | None) -> T:
        loop = asyncio.get_running_loop()
        if before is not None:
            await asyncio.wait([before])
        if (pause := self._pause_until - loop.time()) > 0:
            await asyncio.sleep(pause)
        self._running, self._next = self._next, None
        begun = loop.time()
        try:
            return await self._do()
        finally:
            self._running = None
            self._pause_until = 2 * loop.time() - begun

    @property
    def idle(self) -> bool:
        """Whether nobody waits for anything."""
        return self._running is None and self._next is None

    async def close(self) -> None:
        """Cancels what runs and what waits."""
        for task in (self._next, self._running):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
        self._next = self._running = None


class Recent(Generic[T]):
    """Something that is done for all who ask for it, and whose outcome is good for a while."""

    def __init__(self, do: Callable[[], Awaitable[T]], lasts: float) -> None:
        """`lasts`: seconds from the moment at which it began to be done."""
        self._shared = Shared(do)
        self._lasts = lasts
        self._kept: tuple[T] | None = None
        self._forgotten: asyncio.TimerHandle | None = None

    async def __call__(self) -> T:
        """As `Shared`, but the outcome may be of a run that began up to `lasts` seconds ago."""
        if self._kept is not None:
            return self._kept[0]
        begun = asyncio.get_running_loop().time()
        outcome = await self._shared()
        self._keep(outcome, begun)
        return outcome

    def _keep(self, outcome: T, begun: float) -> None:
        loop = asyncio.get_running_loop()
        until = begun + self._lasts
        if until <= loop.time():
            return
        if self._forgotten is not None:
            self._forgotten.cancel()
        self._kept = (outcome,)
        self._forgotten = loop.call_at(until, self._forget)

    def _forget(self) -> None:
        """Memory is not held for what nobody asks for any more."""
        self._kept = self._forgotten = None

    @property
    def idle(self) -> bool:
        """Whether nobody waits for anything."""
        return self._shared.idle


def _retrieved(task: "asyncio.Task[T]") -> None:
    """Takes note of an exception, so that asyncio does not log it if all who asked have gone."""
    if not task.cancelled():
        task.exception()
