"""Few wait, each has his turn, and who goes leaves nothing behind that nobody counts."""

import asyncio

import pytest

from exporter.web.one_by_one import OneByOne


class Work:
    """Ends when the test lets it, one after the other."""

    def __init__(self) -> None:
        self.begun = self.done = self.at_once = 0
        self.go_on = asyncio.Semaphore(0)

    async def __call__(self) -> int:
        self.begun += 1
        self.at_once = max(self.at_once, self.begun - self.done)
        await self.go_on.acquire()
        self.done += 1
        return self.done


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_each_has_his_turn_and_no_more_come_than_may() -> None:
    work, clients = Work(), OneByOne(3)
    asked = [asyncio.create_task(clients(work)) for _ in range(3)]
    await turns()
    assert clients.full
    for _ in range(3):
        work.go_on.release()
    assert await asyncio.gather(*asked) == [1, 2, 3]
    assert work.at_once == 1
    assert not clients.full


async def test_who_goes_before_his_turn_makes_room_at_once() -> None:
    work, clients = Work(), OneByOne(2)
    asked = [asyncio.create_task(clients(work)) for _ in range(2)]
    await turns()
    asked[1].cancel()
    await turns()
    assert not clients.full
    work.go_on.release()
    assert await asked[0] == 1
    assert work.begun == 1


async def test_who_goes_while_it_is_his_turn_keeps_it_until_it_is_done() -> None:
    work, clients = Work(), OneByOne(2)
    first = asyncio.create_task(clients(work))
    await turns()
    first.cancel()
    second = asyncio.create_task(clients(work))
    await turns()
    assert clients.full
    assert work.begun == 1
    for _ in range(2):
        work.go_on.release()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second == 2


async def test_an_error_is_told_and_to_nobody_who_is_gone() -> None:
    goes_on = asyncio.Event()

    async def fails() -> None:
        await goes_on.wait()
        raise ValueError("a defect")

    clients = OneByOne(2)
    gone, stays = (asyncio.create_task(clients(fails)) for _ in range(2))
    await turns()
    gone.cancel()
    await turns()
    goes_on.set()
    with pytest.raises(ValueError, match="a defect"):
        await stays
    assert gone.cancelled()
    assert not clients.full


async def test_at_the_end_nobody_waits_for_long() -> None:
    work, clients = Work(), OneByOne(2)
    client = asyncio.create_task(clients(work))
    await turns()
    client.cancel()
    await turns()
    client.cancel()  # as asyncio.run() does with all that is left
    with pytest.raises(asyncio.CancelledError):
        await client
    assert not clients.full
