"""Long work on the event loop, done in pieces: between two of them all others have their turn."""

import asyncio
import time
from typing import Final

PIECE_SECONDS: Final = 0.005
"""How long one may take: so much later is a poll at most."""


class Pieces:
    """One long work."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    async def done(self) -> None:
        """To be called after each small part of it: lets the others have their turn once
        PIECE_SECONDS were worked since they had."""
        if time.perf_counter() - self._begun >= PIECE_SECONDS:
            await self.turn()

    async def turn(self) -> None:
        """Lets the others have their turn."""
        await asyncio.sleep(0)
        self._begun = time.perf_counter()
