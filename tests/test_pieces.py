"""Long work in pieces: others have their turn in between, and not after each small part."""

import asyncio
import time

import pytest

from exporter.pieces import PIECE_SECONDS, Pieces


async def test_the_others_have_their_turn_once_a_piece_was_worked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, turns = 0.0, 0
    monkeypatch.setattr(time, "perf_counter", lambda: now)

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    await asyncio.sleep(0)
    work, turns = Pieces(), 0
    for _ in range(100):
        now += PIECE_SECONDS / 8
        await work.done()
    task.cancel()
    assert turns == 100 // 8
