"""What the main process is asked for one client alone, since each may ask for something else: one
after the other, and few may wait.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

BUSY: Final = "more is being looked up than the exporter takes at once; try again"
"""What is said to who may not wait."""

T = TypeVar("T")


class OneByOne:
    """Those who wait for an answer of one kind, and the one whose turn it is."""

    def __init__(self, most: int) -> None:
        """`most`: how many there may be, the one whose turn it is among them."""
        self._most = most
        self._there = 0
        self._turn = asyncio.Lock()

    @property
    def full(self) -> bool:
        """Whether no more may come."""
        return self._there >= self._most

    async def __call__(self, do: Callable[[], Awaitable[T]]) -> T:
        """What `do` returns, once it is its turn.

        Who is cancelled before makes room at once. From then on he keeps his place and the turn
        until it is done: the main process goes on answering, and would have any number to answer
        if clients came and went without waiting."""
        self._there += 1
        try:
            async with self._turn:
                return await _to_its_end(do)
        finally:
            self._there -= 1


async def _to_its_end(do: Callable[[], Awaitable[T]]) -> T:
    task = asyncio.ensure_future(do())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):  # there is nobody to be told
            await task
        raise
