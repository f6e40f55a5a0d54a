"""Heavy work, one piece in each turn of the loop."""

import asyncio
from functools import partial

from exporter.web.turns import Turns


async def test_between_two_pieces_everybody_has_a_turn() -> None:
    turns = Turns()
    done: list[int] = []
    seen: list[int] = []
    for number in range(5):
        turns.add(partial(done.append, number))
    while len(done) < 5:
        seen.append(len(done))
        await asyncio.sleep(0)
    assert done == [0, 1, 2, 3, 4]
    assert seen == [0, 1, 2, 3, 4]
    turns.add(lambda: done.append(5))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert done[-1] == 5


async def test_a_piece_that_fails_keeps_no_other_from_its_turn() -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    turns = Turns()
    done: list[int] = []

    def fail() -> None:
        raise ValueError("a defect")

    turns.add(fail)
    turns.add(lambda: done.append(1))
    for _ in range(3):
        await asyncio.sleep(0)
    assert done == [1]
    assert len(told) == 1
