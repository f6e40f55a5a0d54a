"""Doing once what many ask for at the same time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Something that is done for all who ask for it, by one task at a time.

    Whoever asks gets the outcome of a run that began after he did. So at most one runs and one
    waits, however many ask, and however often.
    """

    def __init__(self, do: Callable[[], Awaitable[T]]) -> None:
        """Does nothing yet."""
        self._do = do
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Returns what it returned, or raises what it raised. Who is cancelled while he waits
        leaves the others undisturbed."""
        if self._next is None:
            self._next = asyncio.create_task(self._run(self._running))
            self._next.add_done_callback(_retrieved)
        return await asyncio.shield(self._next)

    async def _run(self, before: asyncio.Task[T] | None) -> T:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        try:
            return await self._do()
        finally:
            self._running = None

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
