"""Work that is heavy, one piece for each turn of the loop: everybody else has a turn in between."""

import asyncio
from collections import deque
from collections.abc import Callable


class Turns:
    """Calls that wait for their turn, the first come first."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._waiting: deque[Callable[[], None]] = deque()

    def add(self, call: Callable[[], None]) -> None:
        """Calls it in a turn of its own."""
        self._waiting.append(call)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        try:
            self._waiting[0]()
        finally:
            self._waiting.popleft()
            if self._waiting:
                asyncio.get_running_loop().call_soon(self._next)
