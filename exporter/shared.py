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


def _retrieved(task: "asyncio.Task[T]") -> None:
    """Takes note of an exception, so that asyncio does not log it if all who asked have gone."""
    if not task.cancelled():
        task.exception()
